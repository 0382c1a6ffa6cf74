"""The hit tests of the older tools: whether any pixel is bright enough, and how many spots are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numba import njit
from numpy.typing import DTypeLike, NDArray

from braggwatch.processing.detector import Detector
from braggwatch.processing.peaks import Peaks
from braggwatch.processing.pixel_values import ValidRange, plain_image


@dataclass(frozen=True)
class Roi:
    """A rectangle of the image array, in pixels; the upper ends are not part of it."""

    fs_start: int
    fs_stop: int
    ss_start: int
    ss_stop: int

    @classmethod
    def parse(cls, text: str) -> "Roi":
        """Read ``fast_lo:fast_hi,slow_lo:slow_hi``. Raises ValueError for anything else."""
        try:
            (fs_start, fs_stop), (ss_start, ss_stop) = (map(int, part.split(":")) for part in text.split(","))
        except ValueError:
            fs_start = fs_stop = ss_start = ss_stop = 0
        if not (0 <= fs_start < fs_stop and 0 <= ss_start < ss_stop):
            raise ValueError(
                f"roi must read fast_lo:fast_hi,slow_lo:slow_hi in pixels, each lo below its hi, found {text!r}"
            )
        return cls(fs_start, fs_stop, ss_start, ss_stop)


class BrightPixel:
    """Says whether an unmasked pixel reaches a threshold."""

    def __init__(self, detector: Detector, threshold: float, roi: Roi | None = None) -> None:
        """Look in the whole image or in `roi`; `threshold` in ADU. Raises ValueError where `roi` leaves the image."""
        n_ss, n_fs = detector.shape
        usable = ~detector.mask
        if roi is not None:
            if roi.fs_stop > n_fs or roi.ss_stop > n_ss:
                raise ValueError(
                    f"roi {roi.fs_start}:{roi.fs_stop},{roi.ss_start}:{roi.ss_stop} leaves the image of "
                    f"{n_fs} x {n_ss} pixels (fs x ss)"
                )
            inside = np.zeros(detector.shape, np.bool_)
            inside[roi.ss_start : roi.ss_stop, roi.fs_start : roi.fs_stop] = True
            usable &= inside
        self.detector = detector
        self._threshold = float(threshold)
        edges = np.diff(usable.reshape(-1).view(np.int8), prepend=np.int8(0), append=np.int8(0))
        self._starts, self._stops = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)

    def warm_up(self, dtype: DTypeLike) -> None:
        """Compile for images of one type."""
        self(np.zeros(self.detector.shape, dtype))

    def __call__(self, image: NDArray[Any]) -> bool:
        """Look at an image ``(ss, fs)``; types, and values that do not count, as for `PeakFinder`."""
        flat = plain_image(image, self.detector)
        valid = ValidRange.of(flat.dtype, self.detector)
        threshold = max(self._threshold, float(valid.low))
        if not threshold <= float(valid.high):
            return False
        level = flat.dtype.type(threshold if flat.dtype.kind == "f" else np.ceil(threshold))
        return bool(_any_reaches(flat, self._starts, self._stops, level, valid.high, valid.flagged, valid.truth))


class BrightSpots:
    """Picks the spots whose highest pixel is bright enough, as ``distl_flags`` said.

    ``permissive``: its value, background included, is above the threshold. ``restrictive``: it is also above 255/256 of
    2.5 times the value below which 90 % of the usable pixels lie on the panels searched, or above 255/256 ADU where
    that value is not positive: the older code compared numbers from 0 to 255 in which this value is 2/5 of the range.
    """

    def __init__(
        self,
        detector: Detector,
        threshold: float,
        rule: Literal["permissive", "restrictive"],
        usable: NDArray[np.bool_],
        panels: Sequence[int],
    ) -> None:
        """`threshold` in ADU; `usable` ``(ss, fs)`` pixels that count on the panels of these numbers."""
        self.detector = detector
        self._threshold = float(threshold)
        self._pixels: NDArray[np.intp] | None = None
        if rule == "restrictive":
            searched = np.zeros(detector.shape, np.bool_)
            for number in panels:
                searched[detector.panels[number].slices] = True
            self._pixels = np.flatnonzero(searched & usable)

    def __call__(self, image: NDArray[Any], peaks: Peaks) -> Peaks:
        """Return those of an image's spots that are bright enough."""
        bright = peaks.max_value > self._threshold
        if self._pixels is not None and bright.any():
            bright &= peaks.max_value > self._least(image)
        return peaks[bright]

    def _least(self, image: NDArray[Any]) -> float:
        assert self._pixels is not None
        flat = plain_image(image, self.detector)
        valid = ValidRange.of(flat.dtype, self.detector)
        values = flat[self._pixels]
        values = values[(values >= valid.low) & (values <= valid.high) & ~np.isin(values, valid.flagged)]
        rank = int(0.9 * len(values))
        level = float(np.partition(values, rank)[rank]) if len(values) else 0.0
        return 255 / 256 * (2.5 * level if level > 0 else 1.0)


@njit(nogil=True, cache=True)
def _any_reaches(image, starts, stops, level, high, flagged, truth):  # type: ignore[no-untyped-def]
    for run in range(starts.size):
        pixels = image[starts[run] : stops[run]]
        if _reaches(pixels, level, high, truth) and (flagged.size == 0 or _unflagged(pixels, level, high, flagged)):
            return True
    return False


@njit(nogil=True, cache=True)
def _reaches(pixels, level, high, truth):  # type: ignore[no-untyped-def]
    """Vector code, because the answer is kept in an unsigned integer as wide as a pixel: the type of `truth`."""
    yes, no = truth.dtype.type(1), truth.dtype.type(0)
    found = no
    for i in range(pixels.size):
        found = max(found, yes if (pixels[i] >= level) & (pixels[i] <= high) else no)
    return found != no


@njit(nogil=True, cache=True)
def _unflagged(pixels, level, high, flagged):  # type: ignore[no-untyped-def]
    for value in pixels:  # noqa: SIM110 (any() of a generator does not compile)
        if level <= value <= high and not np.any(flagged == value):
            return True
    return False
