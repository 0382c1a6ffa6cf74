"""The experiment of the demonstration: lysozyme on an EIGER2 4M."""

import numpy as np
from numpy.typing import NDArray

from braggwatch.processing.beam import Beam
from braggwatch.processing.detector import Detector
from braggwatch.processing.simulation.still import StillSimulator
from braggwatch.processing.unit_cell import UnitCell

LYSOZYME = UnitCell(79.2, 79.2, 38.0, space_group="P 43 21 2")


def eiger2_gaps(shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return where an EIGER2 of `shape` ``(ss, fs)`` has no pixels.

    Its modules of 512 x 1028 lie 38 rows and 12 columns apart.
    """
    row, column = np.arange(shape[0])[:, None], np.arange(shape[1])[None, :]
    return (row % (512 + 38) >= 512) | (column % (1028 + 12) >= 1028)


def demo_detector() -> Detector:
    """Return an EIGER2 4M of 75 µm pixels at 0.15 m from the sample, with its gaps masked, in a beam of 1 Å."""
    shape = (2162, 2068)
    return Detector.single_panel(
        shape, pixel_size=75e-6, distance=0.15, beam_center=(1034.3, 1081.6), mask=eiger2_gaps(shape)
    ).with_beam(Beam(12398.42))


def demo_simulator() -> StillSimulator:
    """Return a simulator of lysozyme stills on `demo_detector`."""
    return StillSimulator(demo_detector(), LYSOZYME, beam_stop=0.0021)
