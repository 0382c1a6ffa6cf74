"""How well a proportion is known."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Z95 = 1.959963984540054
"""Within so many standard deviations lie 95 % of a normal distribution."""


def wilson_interval(n: ArrayLike, of: ArrayLike, z: float = Z95) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the lower and upper end of the 95 % interval, or of that of `z`, of the proportions ``n / of``.

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
    centre = p + z * z / (2 * of)
    half = z * np.sqrt(p * (1 - p) / of + z * z / (4 * of * of))
    scale = 1 + z * z / of
    # exact at the ends, where rounding would leave a trace
    low = np.where(n == 0, 0 * of, (centre - half) / scale)
    high = np.where(n == of, 1 + 0 * of, (centre + half) / scale)
    return low, high


def difference_interval(n1: int, of1: int, n2: int, of2: int, z: float = Z95) -> tuple[float, float]:
    """Return the lower and upper end of the 95 % interval, or of that of `z`, of ``n1 / of1 - n2 / of2``.

    Where 0 lies outside, the two proportions differ by more than chance. Raises ValueError where an n does not lie
    within 0 and of, or an of is 0.

    R. G. Newcombe, Statist. Med. 17 (1998) 873, method 10: out of Wilson's intervals of the two, as honest as those.
    """
    if not (of1 > 0 and of2 > 0):
        raise ValueError(
            f"a difference of proportions needs something to divide by; found {n1} of {of1}, {n2} of {of2}"
        )
    lows, highs = wilson_interval([n1, n2], [of1, of2], z)
    p1, p2 = n1 / of1, n2 / of2
    below, above = np.hypot(p1 - lows[0], highs[1] - p2), np.hypot(highs[0] - p1, p2 - lows[1])
    return p1 - p2 - float(below), p1 - p2 + float(above)
