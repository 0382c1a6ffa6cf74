"""What lies under a spot, told by the pixels around it: parts of the kernel that integrates."""

import math

from numba import njit

from braggwatch.processing.spot_pixels import has_value, span

_OUTLIER = 4.0
"""Background pixels that many standard deviations above the rest belong to a spot that nobody predicted."""


@njit(nogil=True, cache=True)
def gather_ring(  # type: ignore[no-untyped-def]
    image, mask, low, high, flagged, fs, ss, box, middle, outer, others, inner, ring
):  # fmt: skip
    """Write value, x and y (from the predicted place) of the pixels that tell the background; return their number."""
    m = 0
    first_row, last_row = span(ss, outer, box[0], box[1])
    first_column, last_column = span(fs, outer, box[2], box[3])
    for row in range(first_row, last_row):
        for column in range(first_column, last_column):
            x, y = column + 0.5 - fs, row + 0.5 - ss
            if not middle * middle < x * x + y * y <= outer * outer:
                continue
            value = image[row, column]
            if mask[row, column] or not has_value(value, low, high, flagged):
                continue
            if _in_another_spot(column + 0.5, row + 0.5, others, inner):
                continue
            ring[0, m], ring[1, m], ring[2, m] = value, x, y
            m += 1
    return m


@njit(nogil=True, cache=True)
def _in_another_spot(fs, ss, others, inner):  # type: ignore[no-untyped-def]
    inside = False
    for k in range(len(others)):
        inside |= (fs - others[k, 0]) ** 2 + (ss - others[k, 1]) ** 2 <= inner * inner
    return inside


@njit(nogil=True, cache=True)
def clip(ring, m, gain, variance):  # type: ignore[no-untyped-def]
    """Take out, twice at most, what stands out of the background; return how many pixels are left."""
    for _ in range(2):
        mean, spread = 0.0, 0.0
        for k in range(m):
            mean += ring[0, k]
        mean /= max(m, 1)
        for k in range(m):
            spread += (ring[0, k] - mean) ** 2
        # a photon more than usual is no outlier where there are hardly any
        limit = mean + gain + _OUTLIER * math.sqrt(max(spread / max(m, 1), gain * max(mean, 0.0) + variance))
        left = 0
        for k in range(m):
            if ring[0, k] <= limit:
                ring[0, left], ring[1, left], ring[2, left] = ring[0, k], ring[1, k], ring[2, k]
                left += 1
        if left == m:
            break
        m = left
    return m


@njit(nogil=True, cache=True)
def level_at_spot(ring, m, plane):  # type: ignore[no-untyped-def]
    """Return the background at the predicted place, and its variance in units of one pixel's.

    With `plane`, the value there of the plane through the pixels. The spot is symmetric about the place, so that this
    is also the mean under it.
    """
    mean = 0.0
    for k in range(m):
        mean += ring[0, k]
    mean /= m
    if not plane:
        return mean, 1.0 / m
    x, y, xx, xy, yy, xv, yv = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for k in range(m):
        x += ring[1, k] / m
        y += ring[2, k] / m
    for k in range(m):
        dx, dy, dv = ring[1, k] - x, ring[2, k] - y, ring[0, k] - mean
        xx, xy, yy, xv, yv = xx + dx * dx, xy + dx * dy, yy + dy * dy, xv + dx * dv, yv + dy * dv
    determinant = xx * yy - xy * xy
    if not determinant > 1e-9 * xx * yy:  # all pixels on one line
        return mean, 1.0 / m
    slope_x, slope_y = (yy * xv - xy * yv) / determinant, (xx * yv - xy * xv) / determinant
    share = 1.0 / m + (yy * x * x - 2.0 * xy * x * y + xx * y * y) / determinant
    return mean - slope_x * x - slope_y * y, share
