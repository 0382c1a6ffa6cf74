"""Photon counts: Poisson noise on a mean image, and spots spread over pixels."""

from math import erf, exp, lgamma, log, sqrt

import numba
import numpy as np
from numpy.typing import NDArray

N_LEVELS = 2048
"""Means are rounded to this many steps of equal ratio: for means of 0.01 to 100 photons each is within 0.23 %."""
MAX_MEAN = 50_000.0
"""Largest mean count of a pixel, photons."""
MASKED, SHADOWED, EMPTY = 0, 1, 2
"""The first levels: pixels that always read the mask value, pixels that no photon reaches, and pixels of mean zero."""
_FIRST = 3


class PoissonField:
    """Draws images whose pixels are independent Poisson counts about a fixed mean image, some ns a pixel.

    The means are rounded to a few thousand levels. For each level and pulse energy the cumulative distribution is
    tabulated, and one 32-bit random number a pixel is looked up in it: its upper 8 bits lead to the first count that
    is possible, from where the table is searched (the "guide table" method: H. C. Chen and Y. Asau, AIIE Transactions
    6, 163, 1974). Random numbers are SplitMix64 of seed and pixel, so that the image depends on nothing else.
    """

    def __init__(self, mean: NDArray[np.float32], masked: NDArray[np.bool_], mask_value: int) -> None:
        """Take the mean image ``(ss, fs)``, photons, negative where none arrives; `masked` pixels read `mask_value`.

        Raises ValueError where a mean is not finite or larger than 50000 photons.
        """
        if masked.shape != mean.shape:
            raise ValueError(f"the mask's shape is {masked.shape}, expected the mean image's {mean.shape}")
        if not np.isfinite(mean).all() or mean.max(initial=0.0) > MAX_MEAN:
            raise ValueError(
                f"mean counts must be finite and at most {MAX_MEAN:.0f} photons a pixel, found {mean.max()}: "
                "lower the background's level"
            )
        self.mask_value = mask_value
        positive = mean[(mean > 0) & ~masked]
        low, high = (float(positive.min()), float(positive.max())) if positive.size else (1.0, 1.0)
        low = max(low, high * 1e-6)
        self._means = np.geomspace(low, high, N_LEVELS)
        self.levels = np.full(mean.shape, EMPTY, np.uint16)
        """``(ss, fs)``: which level each pixel has."""
        step = np.log(high / low) / (N_LEVELS - 1) if high > low else 1.0
        lit = mean > 0
        nearest = np.rint(np.log(np.maximum(mean[lit], low) / low) / step)
        self.levels[lit] = nearest.astype(np.uint16) + _FIRST
        self.levels[mean < 0] = SHADOWED
        self.levels[masked] = MASKED

    def reached(self, row: NDArray[np.int64], column: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return for each pixel whether photons can be counted there."""
        return np.asarray(self.levels[row, column] >= EMPTY)

    def draw(self, scale: float, seed: int, out: NDArray[np.uint16]) -> None:
        """Write an image with all means multiplied by `scale` into `out`, ``(ss, fs)`` uint16 in C order."""
        if out.shape != self.levels.shape or out.dtype != np.uint16 or not out.flags.c_contiguous:
            raise ValueError(
                f"expected a C-ordered uint16 array of shape {self.levels.shape}, "
                f"found {out.dtype} of shape {out.shape} and strides {out.strides}"
            )
        means = np.concatenate([[0.0, 0.0, 0.0], np.minimum(self._means * scale, MAX_MEAN)])
        lowest = np.maximum(np.floor(means - 10.0 * np.sqrt(means) - 10.0), 0.0).astype(np.int64)
        highest = np.ceil(means + 10.0 * np.sqrt(means) + 12.0).astype(np.int64)
        start = np.concatenate([[0], np.cumsum(highest - lowest + 1)])
        cumulative = np.empty(start[-1], np.uint32)
        guide = np.empty((len(means), 256), np.uint16)
        _tabulate(means, lowest, start, cumulative, guide)
        lowest[MASKED] = self.mask_value
        _look_up(self.levels.reshape(-1), lowest, start, cumulative, guide, np.uint64(seed), out.reshape(-1))


@numba.njit(nogil=True, cache=True)
def _tabulate(means, lowest, start, cumulative, guide):  # type: ignore[no-untyped-def]
    """For each level write P(count <= lowest + j) as 32-bit integers, and where to start for each of 256 upper bits."""
    for level in range(len(means)):
        mean = means[level]
        n = start[level + 1] - start[level]
        count = lowest[level]
        chance = 1.0 if mean == 0.0 else exp(count * log(mean) - mean - lgamma(count + 1.0))
        total = chance
        table = cumulative[start[level] : start[level + 1]]
        for j in range(n):
            table[j] = np.uint32(min(max(total * 4294967296.0 - 1.0, 0.0), 4294967295.0))
            count += 1
            chance *= mean / count
            total += chance
        table[n - 1] = np.uint32(4294967295)
        j = 0
        for upper in range(256):
            while table[j] < np.uint32(upper << 24):
                j += 1
            guide[level, upper] = j


@numba.njit(nogil=True, cache=True)
def _look_up(levels, lowest, start, cumulative, guide, seed, out):  # type: ignore[no-untyped-def]
    """Write a count for each pixel; two pixels share the 64 bits of one SplitMix64 number."""
    bits = np.uint64(0)
    for i in range(len(levels)):
        if i & 1:
            bits >>= np.uint64(32)
        else:
            bits = seed + np.uint64(i) * np.uint64(0x9E3779B97F4A7C15)
            bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            bits ^= bits >> np.uint64(31)
        level = levels[i]
        random = np.uint32(bits & np.uint64(0xFFFFFFFF))
        j = np.int64(guide[level, random >> np.uint32(24)])
        first = start[level]
        while random > cumulative[first + j]:
            j += 1
        out[i] = lowest[level] + j


def spread_spots(
    fs: NDArray[np.float64],
    ss: NDArray[np.float64],
    covariance: NDArray[np.float64],
    photons: NDArray[np.float64],
    bounds: NDArray[np.int64],
    n_sigma: float,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Integrate spots of normal profile over pixels.

    `fs`, `ss` ``(n,)``: centres, pixels; `covariance` ``(n, 3)``: (fs fs, fs ss, ss ss), pixels², the smallest standard
    deviation at least 0.25 pixels; `photons` ``(n,)``: sums; `bounds` ``(n, 4)``: first row, end row, first column and
    end column of the panel. A spot ends `n_sigma` standard deviations from its centre. Returns row, column and mean
    photons of all pixels touched; pixels of overlapping spots come several times.
    """
    reach_fs, reach_ss = n_sigma * np.sqrt(covariance[:, 0]), n_sigma * np.sqrt(covariance[:, 2])
    window = np.stack(
        [
            np.maximum(np.floor(ss - reach_ss).astype(np.int64), bounds[:, 0]),
            np.minimum(np.floor(ss + reach_ss).astype(np.int64) + 1, bounds[:, 1]),
            np.maximum(np.floor(fs - reach_fs).astype(np.int64), bounds[:, 2]),
            np.minimum(np.floor(fs + reach_fs).astype(np.int64) + 1, bounds[:, 3]),
        ],
        axis=1,
    )
    size = np.maximum(window[:, 1] - window[:, 0], 0) * np.maximum(window[:, 3] - window[:, 2], 0)
    total = int(size.sum())
    row, column, mean = np.empty(total, np.int64), np.empty(total, np.int64), np.empty(total)
    _integrate_spots(fs, ss, covariance, photons, window, row, column, mean)
    return row, column, mean


@numba.njit(nogil=True, cache=True)
def _integrate_spots(fs, ss, covariance, photons, window, row, column, mean):  # type: ignore[no-untyped-def]
    """Take exact shares of quarter rows along ss, and in each the exact shares of pixels along fs at its middle.

    So nothing is lost from the sum. Pixels of profiles without correlation of fs and ss are exact, those of others are
    wrong by a few ten-thousandths of the whole spot at most.
    """
    n = 0
    for i in range(len(fs)):
        wide = sqrt(2.0 * covariance[i, 2])
        slope = covariance[i, 1] / covariance[i, 2]
        narrow = sqrt(2.0 * (covariance[i, 0] - slope * covariance[i, 1]))
        for r in range(window[i, 0], window[i, 1]):
            for c in range(window[i, 2], window[i, 3]):
                row[n + c - window[i, 2]] = r
                column[n + c - window[i, 2]] = c
                mean[n + c - window[i, 2]] = 0.0
            for quarter in range(4):
                low = r + 0.25 * quarter - ss[i]
                share = 0.5 * (erf((low + 0.25) / wide) - erf(low / wide))
                centre = fs[i] + slope * (low + 0.125)
                before = erf((window[i, 2] - centre) / narrow)
                for c in range(window[i, 2], window[i, 3]):
                    after = erf((c + 1.0 - centre) / narrow)
                    mean[n + c - window[i, 2]] += 0.5 * photons[i] * share * (after - before)
                    before = after
            n += max(window[i, 3] - window[i, 2], 0)


@numba.njit(nogil=True, cache=True)
def add_photons(row, column, photons, levels, ceiling, image):  # type: ignore[no-untyped-def]
    """Add `photons` to the pixels of `image` that light reaches, up to `ceiling`."""
    for i in range(len(row)):
        if levels[row[i], column[i]] >= EMPTY:
            image[row[i], column[i]] = min(np.int64(image[row[i], column[i]]) + photons[i], ceiling)
