"""Intensities by the shape that spots have, which is learned from the strong ones of the shots before."""

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from braggwatch.processing.detector import Detector
from braggwatch.processing.pixel_values import ValidRange
from braggwatch.processing.spot_pixels import has_value, span

_PER_PIXEL = 2
"""Bins of a profile in a pixel, each way."""
_GRID = 3
"""Each way, the detector has so many regions."""
_STRONG = 10.0
"""Profiles are learned from spots with an I/sigma above this."""
_ENOUGH = 100
"""A region's profile is used once so many spots were seen: each of its bins was then met two dozen times."""
_FORGET = 1000
"""Once so many were seen they count half, so that a profile is that of the last two thousand spots at most."""
_ROUNDS = 3
_SETTLED = 0.05
"""A fit that moves by less, in standard deviations, is taken."""


class ProfileFitter:
    """Fits profiles to spots whose intensities were summed up, and learns them from the strong ones.

    The detector has 3 x 3 regions, and where panels lie in several orientations, as many for each of these: a profile
    is that of spots in rows and columns of the image. It is the mean of ``(pixel - background) / intensity`` over
    strong spots, in bins of half a pixel from the predicted place, so that it holds as well how well places are
    predicted there. A pixel is compared with the mean of its own bin: on average over many spots the fit is right
    whatever the profile's shape, however coarse the bins.

    A fit is the least squares solution for intensity and background, pixels weighted by the variance expected from the
    last round's solution, the background held to what the ring around says (as in R. Kahn et al., J. Appl. Cryst. 15,
    330, 1982, and A. G. W. Leslie, Acta Cryst. D 55, 1696, 1999). For strong spots this becomes the sum again; weak
    ones gain, since pixels at the rim, which hold noise only, hardly count.

    Memory: 5 kB a region. One fitter serves one thread at a time.
    """

    def __init__(self, detector: Detector, *, radius: float, gain: float, noise: float) -> None:
        """Get ready for spots of a `radius` in pixels; `gain` and `noise` in ADU, as `Integrator` has them."""
        self._detector = detector
        self._radius = float(radius)
        self._counting = float(gain), float(noise) ** 2
        self._bounds = np.array([(p.ss_start, p.ss_stop, p.fs_start, p.fs_stop) for p in detector.panels], np.int64)
        self._kind, n_kinds = _orientations(detector)
        self._low, self._size = _extent(detector)
        n_bins = 2 * math.ceil(_PER_PIXEL * (radius + 1.0))
        self._sums = np.zeros((n_kinds * _GRID**2, n_bins, n_bins))
        self._counts = np.zeros_like(self._sums)
        self._spots = np.zeros(len(self._sums))

    @property
    def n_learned(self) -> int:
        """How many regions know their profile."""
        return int(np.count_nonzero(self._spots >= _ENOUGH))

    def __call__(
        self,
        image: NDArray[Any],
        valid: ValidRange,
        place: NDArray[np.float64],
        panel: NDArray[np.int64],
        measured: NDArray[np.float64],
        flags: NDArray[np.uint8],
    ) -> NDArray[np.bool_]:
        """Put fitted intensities in place of sums where nothing speaks against these, then learn from the strong ones.

        `image` ``(ss, fs)`` of a type with the range `valid`; `place` ``(n, 2)`` fs, ss, on `panel` ``(n,)``.
        `measured` ``(5, n)``: intensity, sigma, background, peak, and the background's variance in units of one
        pixel's; the first three are overwritten. Returns which were: none where no profile is known.
        """
        fitted = np.zeros(len(place), np.bool_)
        region = self._region(place, panel)
        spots = (
            image, self._detector.mask, valid.low, valid.high, valid.flagged, place, panel, region, self._bounds,
            self._radius,
        )  # fmt: skip
        profiles = self._sums, self._counts, self._spots
        summed = measured[:3].copy()
        # with what earlier shots have told: a spot that is part of its own profile would seem too strong
        _fit_all(*spots, *self._counting, *profiles, measured, flags, fitted)
        _learn_all(*spots, *profiles, summed, flags)
        return fitted

    def _region(self, place: NDArray[np.float64], panel: NDArray[np.int64]) -> NDArray[np.int64]:
        at = (self._detector.position(place[:, 0], place[:, 1], panel)[:, :2] - self._low) / self._size
        cell = np.clip((at * _GRID).astype(np.int64), 0, _GRID - 1)
        return np.asarray((self._kind[panel] * _GRID + cell[:, 0]) * _GRID + cell[:, 1])


def _orientations(detector: Detector) -> tuple[NDArray[np.int64], int]:
    """Return for each panel which of the orientations that occur it has, to a quarter turn, and how many occur."""
    fs, ss = (np.array([getattr(panel, axis)[:2] for panel in detector.panels]) for axis in ("fs", "ss"))
    quarter = np.rint(np.degrees(np.arctan2(fs[:, 1], fs[:, 0])) / 90.0).astype(np.int64) % 4
    mirrored = fs[:, 0] * ss[:, 1] - fs[:, 1] * ss[:, 0] < 0.0
    found, kind = np.unique(quarter + 4 * mirrored, return_inverse=True)
    return kind.reshape(-1).astype(np.int64), len(found)


def _extent(detector: Detector) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the lowest lab x and y of any panel, and how far it is to the highest, m."""
    corners = np.concatenate(
        [
            detector.position([p.fs_start, p.fs_stop] * 2, np.repeat([p.ss_start, p.ss_stop], 2), np.full(4, i))[:, :2]
            for i, p in enumerate(detector.panels)
        ]
    )
    low = corners.min(axis=0)
    return low, np.maximum(corners.max(axis=0) - low, np.finfo(float).tiny)


@njit(nogil=True, cache=True)
def _fit_all(  # type: ignore[no-untyped-def]
    image, mask, low, high, flagged, place, panel, region, bounds, radius, gain, variance, sums, counts, spots,
    measured, flags, fitted,
):  # fmt: skip
    """Fit all spots without a flag whose region knows its profile; what is `fitted` is written into `measured`."""
    n_bins = sums.shape[1]
    most = (2 * math.ceil(radius) + 2) ** 2
    values, profile, bins = np.empty(most), np.empty(most), np.empty((most, 2), np.int64)
    for i in range(len(place)):
        r = region[i]
        if flags[i] != 0 or spots[r] < _ENOUGH:
            continue
        n = _gather(image, mask, low, high, flagged, place[i], bounds[panel[i]], radius, n_bins, values, bins)
        for k in range(n):
            y, x = bins[k]
            profile[k] = sums[r, y, x] / max(counts[r, y, x], 1.0)
        intensity, sigma, level = _fit(values, profile, n, measured[:, i], gain, variance)
        if math.isfinite(intensity) and sigma > 0.0:
            measured[0, i], measured[1, i], measured[2, i] = intensity, sigma, level
            fitted[i] = True


@njit(nogil=True, cache=True)
def _learn_all(  # type: ignore[no-untyped-def]
    image, mask, low, high, flagged, place, panel, region, bounds, radius, sums, counts, spots, summed, flags
):  # fmt: skip
    """Add the strong spots among those whose intensity, sigma and background ``(3, n)`` were `summed`."""
    n_bins = sums.shape[1]
    most = (2 * math.ceil(radius) + 2) ** 2
    values, bins = np.empty(most), np.empty((most, 2), np.int64)
    for i in range(len(place)):
        intensity, sigma, level = summed[:, i]
        if flags[i] != 0 or not intensity > _STRONG * sigma:
            continue
        r = region[i]
        n = _gather(image, mask, low, high, flagged, place[i], bounds[panel[i]], radius, n_bins, values, bins)
        for k in range(n):
            y, x = bins[k]
            sums[r, y, x] += (values[k] - level) / intensity
            counts[r, y, x] += 1.0
        spots[r] += 1.0
        if spots[r] >= 2.0 * _FORGET:
            sums[r] *= 0.5
            counts[r] *= 0.5
            spots[r] *= 0.5


@njit(nogil=True, cache=True)
def _gather(image, mask, low, high, flagged, place, box, radius, n_bins, values, bins):  # type: ignore[no-untyped-def]
    """Write the values of the spot's pixels and their bins, (y, x), of the profile; return how many there are."""
    n = 0
    fs, ss = place
    first_row, last_row = span(ss, radius, box[0], box[1])
    first_column, last_column = span(fs, radius, box[2], box[3])
    for row in range(first_row, last_row):
        y = row + 0.5 - ss
        for column in range(first_column, last_column):
            x = column + 0.5 - fs
            if y * y + x * x > radius * radius:
                continue
            value = image[row, column]
            if mask[row, column] or not has_value(value, low, high, flagged):
                continue
            values[n] = value
            bins[n, 0] = math.floor(y * _PER_PIXEL) + n_bins // 2
            bins[n, 1] = math.floor(x * _PER_PIXEL) + n_bins // 2
            n += 1
    return n


@njit(nogil=True, cache=True)
def _fit(values, profile, n, summed, gain, variance):  # type: ignore[no-untyped-def]
    """Return intensity, its standard deviation and the background; `summed` holds sums and the ring's background."""
    intensity, ring, share = summed[0], summed[2], summed[4]
    # a ring without a single photon does not say that there never is one
    level = max(ring, gain * share)
    of_ring = share * (gain * level + variance)
    sigma, background = -1.0, ring
    for _ in range(_ROUNDS):
        pp, p1, pv, ones, v1 = 0.0, 0.0, 0.0, 1.0 / of_ring, ring / of_ring
        # a photon more than were counted: chance must not make those of few photons look the most certain
        expected = gain * (max(intensity, 0.0) + gain)
        for k in range(n):
            p = profile[k]
            weight = 1.0 / (gain * level + variance + expected * max(p, 0.0))
            pp += weight * p * p
            p1 += weight * p
            pv += weight * p * values[k]
            ones += weight
            v1 += weight * values[k]
        determinant = pp * ones - p1 * p1
        if not determinant > 1e-12 * pp * ones:
            return intensity, -1.0, background
        last, intensity = intensity, (ones * pv - p1 * v1) / determinant
        background = (pp * v1 - p1 * pv) / determinant
        sigma = math.sqrt(ones / determinant)
        if abs(intensity - last) < _SETTLED * sigma:
            break
    return intensity, sigma, background
