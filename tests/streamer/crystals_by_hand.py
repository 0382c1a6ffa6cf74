"""Integrated shots of lysozyme as workers pack them, without images."""

from functools import cache

import numpy as np

from braggwatch.processing.crystal import Crystal
from braggwatch.processing.reflections import Reflections
from braggwatch.processing.simulation.demo import LYSOZYME, demo_detector
from braggwatch.processing.simulation.partial_intensities import PartialIntensities
from braggwatch.processing.unit_cell import UnitCell
from braggwatch.streamer.integrated import pack_crystals

D_MIN = 3.0


@cache
def crystals(n: int = 300) -> tuple[Reflections, ...]:
    """Return the reflections of crystals turned at random."""
    rng = np.random.default_rng(3)
    simulator = PartialIntensities(demo_detector(), LYSOZYME, d_min=D_MIN)
    return tuple(simulator.measure(simulator.excite(rng), rng) for _ in range(n))


def packed(number: int, reflections: Reflections, *, cell: UnitCell = LYSOZYME, series: str = "run") -> bytes:
    """Return one shot with one crystal, as it goes from a worker to the hub."""
    return pack_crystals(series, number, [Crystal(cell.A, known=cell)], [reflections])
