"""How good merged intensities are, by shell of resolution and overall."""

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.optimize import least_squares

from braggwatch.processing.data_quality import Shell

F64 = NDArray[np.float64]

FEWEST_PAIRS = 5
"""A correlation of fewer reflections than this is unknown."""


@dataclass(frozen=True)
class MergeStatistics:
    """The statistics of a merge at one moment."""

    shells: tuple[Shell, ...]
    """Low resolution first."""
    overall: Shell
    n_crystals: int
    """Crystals merged."""
    n_outliers: int
    """Crystals left out since they do not correlate with the rest, or cannot be scaled."""

    def resolution(self, cc_half: float) -> float | None:
        """Return d in Angstrom at which CC1/2 falls below `cc_half`, such as 0.5 or 0.3.

        Where all shells are better, the limit of the last one; None where it is unknown or none is. CC1/2 is fitted
        with ``(1 - tanh((s - s0) / r)) / 2`` of s = 1/d², as Aimless does it (Evans & Murshudov, Acta Cryst. D 69,
        1204, 2013).
        """
        known = [
            ((shell.d_max**-2 + shell.d_min**-2) / 2, shell.cc_half, max(shell.cc_half_error, 0.01))
            for shell in self.shells
            if shell.cc_half is not None and shell.cc_half_error is not None
        ]
        if len(known) < 3:
            return None
        s, cc, error = np.array(known).T
        last = self.shells[-1].d_min ** -2

        def miss(fit: F64) -> F64:
            return np.asarray((0.5 * (1.0 - np.tanh((s - fit[0]) / fit[1])) - cc) / error)

        start = float(np.interp(-0.5, -np.minimum.accumulate(cc), s))
        limits = ([-10.0 * last, 1e-4 * last], [10.0 * last, 10.0 * last])
        fit = least_squares(miss, [start, 0.2 * last], bounds=limits, loss="soft_l1").x
        at = float(fit[0] + fit[1] * math.atanh(1.0 - 2.0 * cc_half))
        if at <= 0.0:
            return None
        return float(max(at**-0.5, self.shells[-1].d_min))


def shell_edges(inverse_d: F64, n_shells: int, d_min: float) -> F64:
    """Return the limits in 1/d ``(n_shells + 1,)`` of shells of one volume in reciprocal space, to `d_min`.

    `inverse_d` are those of all possible reflections in ascending order, 1/Angstrom; the first is where shells begin.
    """
    first = float(inverse_d[0]) * (1.0 - 1e-9) if len(inverse_d) else 0.0
    edges = np.linspace(first**3, (1.0 / d_min) ** 3, n_shells + 1) ** (1.0 / 3.0)
    edges[-1] = 1.0 / d_min  # as it was given, without the roots' rounding
    return np.asarray(edges)


def statistics(
    inverse_d: F64,
    edges: F64,
    halves: tuple[NDArray[np.int32], F64],
    merged: tuple[F64, F64],
    crystals: tuple[int, int],
) -> MergeStatistics:
    """Return the statistics of merged intensities.

    `inverse_d` ``(n,)`` in ascending order and `edges` in 1/d, 1/Angstrom. `halves`: number of observations and mean
    intensity in each half, ``(2, n)``. `merged`: intensity and sigma ``(n,)``, NaN where not observed. `crystals`: how
    many were merged and left out.
    """
    limits = np.searchsorted(inverse_d, edges, side="left")
    limits[-1] = np.searchsorted(inverse_d, edges[-1] * (1.0 + 1e-6), side="right")
    shells = tuple(
        _shell(1.0 / low if low > 0 else math.inf, 1.0 / high, slice(first, stop), halves, merged)
        for low, high, first, stop in zip(edges[:-1], edges[1:], limits[:-1], limits[1:], strict=True)
    )
    overall = _shell(shells[0].d_max, shells[-1].d_min, slice(limits[0], limits[-1]), halves, merged)
    return MergeStatistics(shells, overall, *crystals)


def _shell(
    d_max: float, d_min: float, part: slice, halves: tuple[NDArray[np.int32], F64], merged: tuple[F64, F64]
) -> Shell:
    count, mean = halves[0][:, part], halves[1][:, part]
    (
        n_unique, n_observations, n_pairs, snr, cc, error, r_split,
    ) = _summed(count, mean, merged[0][part], merged[1][part])  # fmt: skip
    n_possible = count.shape[1]
    cc_half = _known(cc) if n_pairs >= FEWEST_PAIRS else None
    return Shell(
        d_max=float(d_max),
        d_min=float(d_min),
        n_possible=n_possible,
        n_unique=n_unique,
        n_observations=n_observations,
        n_pairs=n_pairs,
        completeness=n_unique / n_possible if n_possible else None,
        multiplicity=n_observations / n_unique if n_unique else None,
        snr=_known(snr),
        cc_half=cc_half,
        cc_half_error=_known(error) if cc_half is not None else None,
        cc_star=None if cc_half is None or cc_half <= 0 else math.sqrt(2.0 * cc_half / (1.0 + cc_half)),
        r_split=_known(r_split),
    )


def correlation_of_halves(seen: NDArray[np.bool_], halves: F64) -> tuple[float | None, float | None]:
    """Return the correlation of two halves' values ``(2, n)`` where they were `seen` ``(n,)``, and its standard error.

    None for both where it is unknown.
    """
    count = np.ascontiguousarray(np.broadcast_to(seen, halves.shape), np.int32)
    nothing = np.zeros(len(seen))
    *_, cc, error, _ = _summed(count, np.where(seen, halves, 0.0), nothing, nothing)
    return (_known(cc), _known(error)) if math.isfinite(cc) else (None, None)


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


@njit(nogil=True, cache=True)
def _summed(count, mean, intensity, sigma):  # type: ignore[no-untyped-def]
    """Return observed reflections, observations, pairs, mean I/sigma, CC1/2 with its error, and R_split; NaN: unknown.

    The error of a correlation r is the root of ``sum (x y - r (x² + y²) / 2)²`` over n, with x and y of mean 0 and
    variance 1: that of its influence function, which holds for any distribution.
    """
    n_unique, n_observations, n_pairs = 0, 0, 0
    snr, mean0, mean1, apart, together = 0.0, 0.0, 0.0, 0.0, 0.0
    v0, v1, c = 0.0, 0.0, 0.0
    n_snr = 0
    for h in range(count.shape[1]):
        number = count[0, h] + count[1, h]
        if number == 0:
            continue
        n_unique += 1
        n_observations += number
        if sigma[h] > 0.0:
            snr += intensity[h] / sigma[h]
            n_snr += 1
        if count[0, h] == 0 or count[1, h] == 0:
            continue
        n_pairs += 1
        x, y = mean[0, h], mean[1, h]
        apart += abs(x - y)
        together += x + y
        dx, dy = x - mean0, y - mean1
        mean0 += dx / n_pairs
        mean1 += dy / n_pairs
        v0 += dx * (x - mean0)
        v1 += dy * (y - mean1)
        c += dx * (y - mean1)
    snr = snr / n_snr if n_snr > 0 else math.nan
    r_split = math.sqrt(2.0) * apart / together if together > 0.0 else math.nan
    if not (n_pairs > 2 and v0 > 0.0 and v1 > 0.0):
        return n_unique, n_observations, n_pairs, snr, math.nan, math.nan, r_split
    cc = c / math.sqrt(v0 * v1)
    influence = 0.0
    sd0, sd1 = math.sqrt(v0 / n_pairs), math.sqrt(v1 / n_pairs)
    for h in range(count.shape[1]):
        if count[0, h] > 0 and count[1, h] > 0:
            x, y = (mean[0, h] - mean0) / sd0, (mean[1, h] - mean1) / sd1
            influence += (x * y - 0.5 * cc * (x * x + y * y)) ** 2
    return n_unique, n_observations, n_pairs, snr, cc, math.sqrt(influence) / n_pairs, r_split
