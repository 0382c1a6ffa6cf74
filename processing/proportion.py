"""How well a proportion is known."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Z95 = 1.959963984540054
"""Within so many standard deviations lie 95 % of a normal distribution."""


def wilson_interval(n: ArrayLike, of: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the lower and upper end of the 95 % interval of the proportions ``n / of``.

    `n` and `of` are whole numbers of any one shape, which the ends have too; where `of` is 0 they are NaN. Raises
    ValueError when an n does not lie within 0 and of.

    E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209: honest also near 0 and 1, and with few frames.
    """
    n, of = np.asarray(n, np.float64), np.asarray(of, np.float64)
    wrong = ~((n >= 0) & (n <= of))
    if wrong.any():
        at = np.flatnonzero(wrong)[0]
        raise ValueError(f"a proportion needs 0 <= n <= of; found n = {n.flat[at]:.0f} of {of.flat[at]:.0f}")
    of = np.where(of > 0, of, np.nan)
    p = n / of
    centre = p + Z95 * Z95 / (2 * of)
    half = Z95 * np.sqrt(p * (1 - p) / of + Z95 * Z95 / (4 * of * of))
    scale = 1 + Z95 * Z95 / of
    # exact at the ends, where rounding would leave a trace
    low = np.where(n == 0, 0 * of, (centre - half) / scale)
    high = np.where(n == of, 1 + 0 * of, (centre + half) / scale)
    return low, high
