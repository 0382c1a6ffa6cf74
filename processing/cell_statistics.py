"""Which cell do many lattices share? A fit that wrong lattices do not pull, and the symmetry laid back on it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from braggwatch.processing.bravais import Parameters, lengths_and_angles
from braggwatch.processing.uniform_bins import count_in_bins
from braggwatch.processing.unit_cell import UnitCell

F64 = NDArray[np.float64]

FEW = 60
"""Below so many values there is no telling a peak from a background: the median is taken."""
_SAMPLE = 4000
"""So many values are enough to start from."""
_BINS = 512
"""The fit counts values in so many bins across its window, so that its time does not depend on how many there are."""
_STEPS = 60


@dataclass(frozen=True)
class PeakFit:
    """The peak of a distribution that has outliers; in the unit of the values."""

    n: int
    """How many finite values there were."""
    value: float
    error: float | None
    """Standard error of `value`; None for a single value."""
    width: float
    """Standard deviation of the peak."""
    n_outliers: int
    """Values that belong to the background rather than to the peak."""
    low: float
    """Values from here to `high` belong to the peak."""
    high: float


def fit_peak(values: ArrayLike) -> PeakFit | None:
    """Fit the peak of `values` ``(n,)``; those that are not finite are left out. None where none is left.

    The start is the middle of the shortest interval that holds a quarter of the values (as the shorth of Andrews et
    al., 1972, but with a quarter, so that up to about two thirds may be outliers). Then a normal distribution on a
    uniform background is fitted by maximum likelihood (expectation maximisation: Dempster, Laird & Rubin, 1977; the
    background as in Banfield & Raftery, 1993) within ten widths about the start; the error follows from the observed
    information. Fewer than `FEW` values give their median, with a width from the median absolute deviation.
    """
    x = np.asarray(values, float).ravel()
    x = x[np.isfinite(x)]
    if not len(x):
        return None
    if len(x) < FEW:
        return _median_fit(x)
    middle, width = _shortest_quarter(x)
    if width <= 1e-7 * max(abs(middle), 1e-30):
        return _without_width(x, middle)
    window = middle - 10.0 * width, middle + 10.0 * width
    counts = count_in_bins(x, _BINS, *window).astype(float)
    edges = np.linspace(*window, _BINS + 1)
    return _mixture_fit(len(x), counts, (edges[:-1] + edges[1:]) / 2, middle, width)


def symmetrised(parameters: Parameters, like: UnitCell) -> UnitCell:
    """Return the cell nearest to `parameters` that has the lattice symmetry and the space group of `like`.

    The metric tensor is averaged over the rotations: those of the space group, or for a triclinic one (an unknown one)
    those that the shape of `like` allows. Lengths are rounded to 0.001 Angstrom, angles to 0.01 degrees. Raises
    ValueError where `parameters` are no cell.
    """
    triclinic = like.group.crystal_system_str() == "triclinic"
    rotations = np.asarray(like.lattice_rotations if triclinic else like.laue_rotations, float)
    A = UnitCell(*parameters).A
    metric = np.mean(rotations @ (A @ A.T) @ rotations.transpose(0, 2, 1), axis=0)
    lengths, angles = lengths_and_angles(np.linalg.cholesky(metric)[None])
    a, b, c = (round(float(length), 3) for length in lengths[0])
    alpha, beta, gamma = (round(float(angle), 2) for angle in angles[0])
    return UnitCell(a, b, c, alpha, beta, gamma, like.space_group)


def _median_fit(x: F64) -> PeakFit:
    middle = float(np.median(x))
    width = 1.4826 * float(np.median(np.abs(x - middle)))
    inside = np.abs(x - middle) <= 4.0 * width
    # the median of a normal sample is sqrt(pi / 2) times less certain than its mean
    error = None if len(x) == 1 else 1.2533 * width / len(x) ** 0.5
    return PeakFit(
        len(x), middle, error, width, int((~inside).sum()) if len(x) > 2 else 0,
        middle - 4.0 * width, middle + 4.0 * width,
    )  # fmt: skip


def _without_width(x: F64, value: float) -> PeakFit:
    """Return the fit for values of which a quarter or more are the same."""
    tolerance = 1e-6 * abs(value)
    outside = int((np.abs(x - value) > tolerance).sum())
    return PeakFit(len(x), value, 0.0, 0.0, outside, value - tolerance, value + tolerance)


def _shortest_quarter(x: F64) -> tuple[float, float]:
    """Return the middle of the shortest interval with a quarter of the values, and the normal width that has it."""
    ordered = np.sort(x[:: max(1, len(x) // _SAMPLE)])
    n = len(ordered) // 4
    spans = ordered[n:] - ordered[: len(ordered) - n]
    first = int(np.argmin(spans))
    # a quarter of a normal distribution lies within 0.3186 standard deviations of its middle
    return float(ordered[first] + ordered[first + n]) / 2, float(spans[first]) / (2 * 0.3186)


def _mixture_fit(n: int, counts: F64, at: F64, middle: float, width: float) -> PeakFit:
    start, reach, total = middle, 10.0 * width, counts.sum()
    step = at[1] - at[0]
    share = 0.7
    peaked = np.zeros_like(at)
    for _ in range(_STEPS):
        normal = np.exp(-0.5 * ((at - middle) / width) ** 2) / (width * np.sqrt(2 * np.pi))
        peaked = share * normal / (share * normal + (1 - share) / (2 * reach) + 1e-300)
        weights = counts * peaked
        in_peak = weights.sum()
        was = middle, width
        share = min(in_peak / total, 1 - 1e-9)
        middle = float(weights @ at / in_peak)
        width = max(float(np.sqrt(weights @ (at - middle) ** 2 / in_peak)), step)
        if abs(middle - was[0]) + abs(width - was[1]) < 1e-4 * width:
            break
    # what each value says of the middle; the sum of squares is the observed information
    information = counts @ (peaked * (at - middle) / width**2) ** 2
    error = float(1 / np.sqrt(information)) if information > 0 else width
    belongs = np.flatnonzero((peaked >= 0.5) & (np.abs(at - start) < reach))
    low, high = (float(at[belongs[0]]), float(at[belongs[-1]])) if len(belongs) else (start, start)
    low, high = low - float(step) / 2, high + float(step) / 2
    inside = int(counts[belongs].sum())
    # grouping into bins widens by a twelfth of their square (Sheppard)
    width = float(np.sqrt(max(width**2 - step**2 / 12, 0.0)))
    return PeakFit(n, middle, error, width, n - inside, low, high)
