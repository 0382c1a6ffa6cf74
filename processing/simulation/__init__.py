"""Simulated diffraction stills with truth, for demonstrations, tests and tuning.

`StillSimulator` makes one image at a time; `prepare_pool` makes a stock of compressed ones for a simulated detector.
"""

from braggwatch.processing.simulation.background import Background
from braggwatch.processing.simulation.demo import LYSOZYME, demo_detector, demo_simulator
from braggwatch.processing.simulation.pool import StillPool, prepare_pool
from braggwatch.processing.simulation.prediction import Spread
from braggwatch.processing.simulation.still import StillSimulator, StillTruth, TrueReflections

__all__ = [
    "LYSOZYME",
    "Background",
    "Spread",
    "StillPool",
    "StillSimulator",
    "StillTruth",
    "TrueReflections",
    "demo_detector",
    "demo_simulator",
    "prepare_pool",
]
