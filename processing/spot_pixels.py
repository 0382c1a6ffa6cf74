"""Which pixels of an image a spot is made of: parts of the kernels that integrate."""

import math

from numba import njit


@njit(nogil=True, cache=True)
def span(centre, radius, start, stop):  # type: ignore[no-untyped-def]
    """Return the first and last + 1 pixel that a disc may touch, within bounds."""
    return max(math.floor(centre - radius), start), min(math.floor(centre + radius) + 1, stop)


@njit(nogil=True, cache=True)
def has_value(value, low, high, flagged):  # type: ignore[no-untyped-def]
    """Tell whether a pixel's value counts as measured: see `ValidRange`."""
    known = low <= value <= high
    for k in range(len(flagged)):
        known &= value != flagged[k]
    return known
