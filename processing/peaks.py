"""The spots found in one image."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from braggwatch.processing.columns import Columns


@dataclass(frozen=True, eq=False)
class Peaks(Columns):
    """Spots found in one image, as arrays of one length."""

    fs: NDArray[np.float32]
    """Centre of mass along fs in the image array, pixels; the centre of pixel 0 is 0.5."""
    ss: NDArray[np.float32]
    """Centre of mass along ss, likewise."""
    panel: NDArray[np.int16]
    """Index of the panel."""
    intensity: NDArray[np.float32]
    """Sum over the spot's pixels above the local background, ADU."""
    background: NDArray[np.float32]
    """Mean of the local background, ADU a pixel."""
    snr: NDArray[np.float32]
    """Intensity over its standard deviation as peakfinder8 defines it."""
    n_pixels: NDArray[np.int32]
    """Number of pixels in the spot."""
    max_value: NDArray[np.float32]
    """The highest pixel value in the spot, background included, ADU."""

    def __post_init__(self) -> None:
        lengths = {f.name: len(getattr(self, f.name)) for f in fields(self)}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"the arrays of peaks must have one length, found {lengths}")

    @classmethod
    def empty(cls) -> "Peaks":
        """No peaks."""
        f, i = np.empty(0, np.float32), np.empty(0, np.int32)
        return cls(f, f, np.empty(0, np.int16), f, f, f, i, f)
