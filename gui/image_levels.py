"""How pixel values become shades: the histogram, levels chosen from it, and the table from value to shade."""

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from braggwatch.gui.image_pixels import FIRST_COLOUR, LAST_COLOUR

Scale = Literal["linear", "sqrt", "log"]
SCALES: tuple[Scale, ...] = ("linear", "sqrt", "log")

_SOFT = 2.0
"""Values below this, ADU, lie evenly on the histogram's axis, those above on a logarithmic one."""
_START, _STOP, _WIDTH = -14.0, 24.0, 0.02
_TABLE_SIZE = 65536
_HIGHEST: dict[Scale, float] = {"linear": 0.9995, "sqrt": 0.9999, "log": 1.0}
"""The part of the pixels below the upper level: a scale that lifts weak values can afford more range."""
_LOWEST = 0.01
_SPREAD = 2.2
"""By how much the part of pixels that belong to spots grows with each binning by 2 x 2."""
_FARTHEST = 1e12
"""Levels beyond this, ADU, are not believed."""
_DECADES = 2.5
"""How many powers of ten the logarithmic scale spreads over the shades."""


def to_axis(value: float) -> float:
    """Return a pixel value's place on the histogram's axis: even around 0, logarithmic further out, for both signs."""
    return float(np.arcsinh(value / _SOFT))


def from_axis(place: float) -> float:
    """Return the pixel value at a place on the histogram's axis."""
    return float(_SOFT * np.sinh(min(max(place, _START), _STOP)))


@dataclass(frozen=True)
class Axis:
    """The bins of a histogram."""

    bin_of: NDArray[np.int64]
    """``(n,)``: which bin each step of the axis belongs to."""
    edges: NDArray[np.float64]
    """``(m + 1,)`` on the axis; between them the bins."""
    values: NDArray[np.float64]
    """``(m,)``: a pixel value in each bin, ADU; a whole number where pixels are."""

    scale = _SOFT
    start = _START
    width = _WIDTH


@cache
def axis_for(whole: bool) -> Axis:
    """Return the bins for float pixels, or for integer ones: these have at least one integer in each."""
    steps = np.arange(_START, _STOP + _WIDTH / 2, _WIDTH)
    middle = _SOFT * np.sinh(steps[:-1] + _WIDTH / 2)
    if not whole:
        return Axis(np.arange(len(steps) - 1), steps, middle)
    values, first, bin_of = np.unique(np.round(middle) + 0.0, return_index=True, return_inverse=True)
    return Axis(bin_of.astype(np.int64), np.append(steps[first], steps[-1]), values)


@dataclass(frozen=True)
class Histogram:
    """How many of the pixels that count have which value."""

    counts: NDArray[np.int64]
    """``(n,)``."""
    axis: Axis

    @property
    def n_pixels(self) -> int:
        """How many pixels were counted."""
        return int(self.counts.sum())

    def percentile(self, part: float) -> float:
        """Return the value below which this part of the pixels lies, to the width of a bin; NaN without pixels."""
        sums = np.cumsum(self.counts)
        if not sums[-1]:
            return float("nan")
        index = min(int(np.searchsorted(sums, part * sums[-1])), len(self.counts) - 1)
        return float(self.axis.values[index])

    def occupied(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return edges (on the axis) and counts from the first to the last bin with a pixel; empty without pixels."""
        filled = np.flatnonzero(self.counts)
        if not len(filled):
            return np.empty(0), np.empty(0, np.int64)
        first, last = filled[0], filled[-1]
        return self.axis.edges[first : last + 2], self.counts[first : last + 1]


@dataclass(frozen=True)
class Levels:
    """Between which pixel values the shades lie, ADU."""

    low: float
    high: float

    @classmethod
    def chosen(cls, histogram: Histogram, scale: Scale, n_binned: int = 0) -> "Levels":
        """Choose levels that show the background and let spots stand out; 0 to 1 where no pixel counts.

        The histogram is that of a picture that was binned 2 x 2 `n_binned` times: the background of such a picture is
        brighter, so that it takes levels of its own.
        """
        above = (1.0 - _HIGHEST[scale]) * _SPREAD**n_binned
        low, high = histogram.percentile(_LOWEST), histogram.percentile(max(1.0 - above, 0.9))
        return cls.between(low, high) if np.isfinite([low, high]).all() else cls(0.0, 1.0)

    @classmethod
    def between(cls, one: float, other: float) -> "Levels":
        """Make levels of two values in any order, a little apart where they are the same."""
        low, high = min(one, other), max(one, other)
        return cls(low, max(high, low + max(1e-3, 1e-6 * abs(low))))


@dataclass(frozen=True)
class LevelsFor:
    """Levels that were chosen by hand, and for which images: those of another detector may lie elsewhere altogether."""

    levels: Levels
    shape: tuple[int, int]
    """``(ss, fs)``."""

    def as_text(self) -> str:
        """Return what `from_text` reads."""
        return f"{self.levels.low!r} {self.levels.high!r} {self.shape[0]} {self.shape[1]}"

    @classmethod
    def from_text(cls, text: str) -> "LevelsFor | None":
        """Read it; None for what makes no sense."""
        try:
            low, high, ss, fs = text.split()
            levels, shape = (float(low), float(high)), (int(ss), int(fs))
        except ValueError:
            return None
        believed = all(abs(level) < _FARTHEST for level in levels)  # False for NaN too
        return cls(Levels.between(*levels), shape) if believed else None


@lru_cache(8)
def shade_table(levels: Levels, scale: Scale) -> tuple[NDArray[np.uint8], float, float]:
    """Return ``(65536,)`` uint8 shades, never falling, the value of the first, and entries a value (for `draw`)."""
    part = np.linspace(0.0, 1.0, _TABLE_SIZE)
    if scale == "sqrt":
        part = np.sqrt(part)
    elif scale == "log":
        reach = 10.0**_DECADES
        part = np.log1p(part * reach) / np.log1p(reach)
    shades = FIRST_COLOUR + np.floor(part * (LAST_COLOUR - FIRST_COLOUR) + 0.5)
    return shades.astype(np.uint8), levels.low, (_TABLE_SIZE - 1) / (levels.high - levels.low)
