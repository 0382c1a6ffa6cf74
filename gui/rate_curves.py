"""Proportions against time with their intervals: what the rates are drawn from. Free of Qt."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from braggwatch.gui.numbers import UNKNOWN, rate
from braggwatch.gui.timeline import HITS, INDEXED, LOOKED_AT, MULTI_LATTICE
from braggwatch.processing.proportion import wilson_interval
from braggwatch.streamer.feed_messages import Rate


@dataclass(frozen=True)
class Proportion:
    """What can be drawn."""

    name: str
    row: int
    of: int
    """Rows of `Timeline.counts`."""


PROPORTIONS = (
    Proportion("hit rate", HITS, LOOKED_AT),
    Proportion("indexed of hits", INDEXED, HITS),
    Proportion("indexed of all", INDEXED, LOOKED_AT),
    Proportion("multi-lattice", MULTI_LATTICE, INDEXED),
)
OF_GROUPS = PROPORTIONS[:3]
"""Those that are counted by group too."""


@dataclass(frozen=True)
class Curve:
    """A proportion against time, with its 95 % interval, in %; NaN where nothing was looked at. All are ``(m,)``."""

    value: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @property
    def highest(self) -> float:
        """The highest value; 0 where there is none."""
        return float(np.nanmax(self.value)) if np.isfinite(self.value).any() else 0.0

    @property
    def highest_settled(self) -> float:
        """The highest value of those that are known about as well as most: few frames make a spike of nothing."""
        width = self.high - self.low
        if not np.isfinite(width).any():
            return 0.0
        return float(np.nanmax(self.value[width <= 2 * np.nanmedian(width)]))


def curve_of(n: NDArray[np.int64], of: NDArray[np.int64]) -> Curve:
    """Return the curve of two rows of counts, ``(m,)``."""
    low, high = wilson_interval(n, of)
    value = np.divide(n, of, out=np.full(len(n), np.nan), where=of > 0)
    return Curve(100 * value, 100 * low, 100 * high)


def proportion_of(n: int, of: int) -> Rate:
    """Return a proportion with its interval; an empty one where there is nothing to divide by."""
    low, high = wilson_interval(n, of)
    return Rate(n, of, float(low), float(high)) if of else Rate()


def said(n: int, of: int) -> str:
    """Return a proportion in percent with half its interval; a dash where there is nothing to divide by."""
    return rate(proportion_of(n, of)) if of else UNKNOWN
