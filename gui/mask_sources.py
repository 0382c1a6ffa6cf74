"""Who masked a pixel, as the window shows it. Free of Qt."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from braggwatch.processing.pixel_maps import BY_CALIBRATION, BY_FILE, BY_GEOMETRY, BY_HEADER, BY_PANEL


@dataclass(frozen=True)
class MaskSource:
    """One reason for a pixel to be masked."""

    bit: int
    name: str
    colour: str
    """Name of a colour of the theme."""


SOURCES = (
    MaskSource(BY_GEOMETRY, "geometry", "quiet"),
    MaskSource(BY_HEADER, "detector", "multi_lattice"),
    MaskSource(BY_PANEL, "ignored panels", "predicted"),
    MaskSource(BY_FILE, "file", "hit"),
    MaskSource(BY_CALIBRATION, "calibration", "indexed"),
)
"""A pixel that several mask is shown as masked by the first of them; of several pixels in one place, the last is seen,
which are the few."""


def categories(bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return for each pixel which of `SOURCES` it is shown by, counted from 1; 0 where it is not masked."""
    table = np.zeros(256, np.uint8)
    every = np.arange(256)
    for number in range(len(SOURCES), 0, -1):
        table[(every & SOURCES[number - 1].bit) != 0] = number
    return table[bits]


def counted(bits: NDArray[np.uint8]) -> tuple[int, ...]:
    """Return how many pixels each of `SOURCES` masks; those that several mask count for each."""
    counts = np.bincount(bits.reshape(-1), minlength=256)
    every = np.arange(256)
    return tuple(int(counts[(every & source.bit) != 0].sum()) for source in SOURCES)
