"""The integrated reflections of one crystal in one image."""

import enum
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from braggwatch.processing.columns import Columns


class Flag(enum.IntFlag):
    """What speaks against a reflection's intensity."""

    SATURATED = 1
    """A pixel of the spot is at or above what its panel can count."""
    MASKED = 2
    """A pixel of the spot is masked, or has no value."""
    OVERLAPPED = 4
    """Another reflection is so near that the spots may share pixels."""
    EDGE = 8
    """The spot reaches beyond its panel."""
    NO_BACKGROUND = 16
    """Fewer than half of the pixels around the spot tell the background."""


@dataclass(frozen=True, eq=False)
class Reflections(Columns):
    """Reflections as arrays of one length, in the order in which they were predicted."""

    hkl: NDArray[np.int32]
    """``(n, 3)``: Miller indices."""
    fs: NDArray[np.float32]
    """Predicted centre along fs in the image array, pixels; the centre of pixel 0 is 0.5."""
    ss: NDArray[np.float32]
    """Likewise along ss."""
    panel: NDArray[np.int16]
    """Index of the panel."""
    intensity: NDArray[np.float32]
    """What the spot holds above the background, ADU; NaN where nothing could be measured."""
    sigma: NDArray[np.float32]
    """Standard deviation of `intensity`, ADU; NaN likewise."""
    background: NDArray[np.float32]
    """Mean background under the spot, ADU a pixel."""
    peak: NDArray[np.float32]
    """The highest pixel of the spot, background included, ADU."""
    flags: NDArray[np.uint8]
    """`Flag` bits; 0 for a reflection that nothing speaks against."""
    excitation_error: NDArray[np.float32]
    """Distance of the reciprocal-lattice point from the Ewald sphere, 1/Angstrom, positive outside."""
    partiality: NDArray[np.float32]
    """Share of what the reflection would give exactly on the sphere of a perfect beam, in (0, 1]."""
    inverse_d: NDArray[np.float32]
    """1/d, 1/Angstrom."""
    fitted: NDArray[np.bool_]
    """Whether `intensity` comes of a profile that was fitted; it was summed up otherwise."""

    @property
    def good(self) -> NDArray[np.bool_]:
        """``(n,)``: whether nothing speaks against a reflection."""
        return np.asarray(self.flags == 0)
