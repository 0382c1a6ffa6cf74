"""Which pixels of the image array lie within a shape that was drawn on the picture."""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from braggwatch.gui.image_assembly import Assembly

MAX_CORNERS = 10_000


@dataclass(frozen=True, eq=False)
class Polygon:
    """A closed line, straight from corner to corner; where it crosses itself, what is enclosed twice is outside."""

    corners: NDArray[np.float64]
    """``(n, 2)`` picture coordinates."""


@dataclass(frozen=True)
class Ring:
    """What lies between two circles; one whose inner radius is 0 is a disc."""

    x: float
    y: float
    """Picture coordinates of the centre."""
    inner: float
    outer: float
    """Radii, pixels of the picture."""


Shape = Polygon | Ring


def rectangle(x0: float, y0: float, x1: float, y1: float) -> Polygon:
    """Return the rectangle with these two opposite corners, sides along those of the picture."""
    return Polygon(np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], float))


def pixels_in(shape: Shape, assembly: Assembly) -> NDArray[np.bool_]:
    """Return ``(ss, fs)`` bool: which pixels have their centre within a shape, seen along the beam as it is drawn.

    Of panels that shade each other, the pixels of all count. Raises ValueError where coordinates are no numbers.
    """
    inside = np.zeros(assembly.detector.shape, np.bool_)
    bounds, forward = assembly.placements
    if isinstance(shape, Ring):
        numbers = np.array([shape.x, shape.y, shape.inner, shape.outer])
        if not np.isfinite(numbers).all():
            raise ValueError("the ring's centre or a radius is no number")
        turned_back = np.linalg.inv(forward[:, :2])
        _fill_ring(shape.x, shape.y, shape.inner, shape.outer, bounds, forward, turned_back, inside)
        return inside
    corners = np.ascontiguousarray(shape.corners, float)
    if corners.ndim != 2 or corners.shape[1] != 2 or not 3 <= len(corners) <= MAX_CORNERS:
        raise ValueError(f"a polygon needs 3 to {MAX_CORNERS} corners, found {corners.shape}")
    if not np.isfinite(corners).all():
        raise ValueError("a corner of the polygon is no number")
    _fill_polygon(corners, bounds, forward, np.linalg.inv(forward[:, :2]), inside)
    return inside


def extent(shape: Shape) -> tuple[float, float, float, float]:
    """Return the left, top, right and bottom side of the box around a shape, in picture coordinates."""
    if isinstance(shape, Ring):
        return shape.x - shape.outer, shape.y - shape.outer, shape.x + shape.outer, shape.y + shape.outer
    left, top = shape.corners.min(axis=0)
    right, bottom = shape.corners.max(axis=0)
    return float(left), float(top), float(right), float(bottom)


@njit(nogil=True, cache=True)
def _fill_polygon(corners, bounds, forward, inverse, inside):  # type: ignore[no-untyped-def]
    """Fill row by row between the crossings with the polygon's sides, by the even-odd rule.

    Straight lines stay straight on a turned panel, so that the corners are moved into each panel's own coordinates.
    `bounds` ``(m, 4)`` and `forward` ``(m, 3, 2)`` are `Assembly.placements`, `inverse` ``(m, 2, 2)`` turns back.
    """
    n = len(corners)
    own = np.empty_like(corners)
    crossings = np.empty(n)
    for p in range(len(bounds)):
        for i in range(n):
            x, y = corners[i, 0] - forward[p, 2, 0], corners[i, 1] - forward[p, 2, 1]
            own[i, 0] = x * inverse[p, 0, 0] + y * inverse[p, 1, 0]
            own[i, 1] = x * inverse[p, 0, 1] + y * inverse[p, 1, 1]
        first_fs, end_fs = bounds[p, 0], bounds[p, 1]
        low, high = own[:, 1].min(), own[:, 1].max()
        if high < bounds[p, 2] or low > bounds[p, 3]:
            continue
        first = int(np.floor(max(low, bounds[p, 2])))
        for row in range(first, int(np.ceil(min(high, bounds[p, 3])))):
            middle = row + 0.5
            n_crossings = 0
            for i in range(n):
                j = i + 1 if i + 1 < n else 0
                if (own[i, 1] <= middle) != (own[j, 1] <= middle):
                    part = (middle - own[i, 1]) / (own[j, 1] - own[i, 1])
                    crossings[n_crossings] = own[i, 0] + part * (own[j, 0] - own[i, 0])
                    n_crossings += 1
            crossings[:n_crossings].sort()
            for i in range(0, n_crossings - 1, 2):
                begin = np.ceil(min(max(crossings[i] - 0.5, first_fs), end_fs))
                end = np.ceil(min(max(crossings[i + 1] - 0.5, first_fs), end_fs))
                inside[row, int(begin) : int(end)] = True


@njit(nogil=True, cache=True)
def _fill_ring(x, y, inner, outer, bounds, forward, inverse, inside):  # type: ignore[no-untyped-def]
    """Fill where a pixel's centre lies between two circles; arguments as of `_fill_polygon`."""
    for p in range(len(bounds)):
        # a circle's extent along a panel's own axes: the outer radius times the length of a row of the inverse
        reach_fs = outer * np.hypot(inverse[p, 0, 0], inverse[p, 1, 0])
        reach_ss = outer * np.hypot(inverse[p, 0, 1], inverse[p, 1, 1])
        dx, dy = x - forward[p, 2, 0], y - forward[p, 2, 1]
        fs = dx * inverse[p, 0, 0] + dy * inverse[p, 1, 0]
        ss = dx * inverse[p, 0, 1] + dy * inverse[p, 1, 1]
        first_fs, end_fs = max(fs - reach_fs - 1, bounds[p, 0]), min(fs + reach_fs + 1, bounds[p, 1])
        first_ss, end_ss = max(ss - reach_ss - 1, bounds[p, 2]), min(ss + reach_ss + 1, bounds[p, 3])
        if first_fs >= end_fs or first_ss >= end_ss:
            continue
        least, most = inner * inner, outer * outer
        for row in range(int(first_ss), int(np.ceil(end_ss))):
            for column in range(int(first_fs), int(np.ceil(end_fs))):
                u = (column + 0.5) * forward[p, 0, 0] + (row + 0.5) * forward[p, 1, 0] - dx
                v = (column + 0.5) * forward[p, 0, 1] + (row + 0.5) * forward[p, 1, 1] - dy
                distance = u * u + v * v
                if least <= distance <= most:
                    inside[row, column] = True
