"""A mask that is being drawn, as it lies over the picture; and smaller versions of it for every zoom."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from braggwatch.gui.image_assembly import Assembly
from braggwatch.gui.image_picture import Drawing, level_for, seen_part
from braggwatch.gui.mask_shapes import Ring, pixels_in, rectangle
from braggwatch.processing.detector import Detector
from braggwatch.processing.panel import Panel

_SMALLEST = 64
"""Levels are binned until neither side is longer than this, pixels."""


class MaskPicture:
    """Which places of the picture are masked; a masked pixel is seen at every zoom, however small it is drawn."""

    def __init__(self, assembly: Assembly) -> None:
        """Make one without a masked pixel."""
        self.assembly = assembly
        self._levels = [np.zeros(assembly.shape, np.uint8)]
        while max(self._levels[-1].shape) > _SMALLEST:
            n_rows, n_columns = self._levels[-1].shape
            self._levels.append(np.zeros(((n_rows + 1) // 2, (n_columns + 1) // 2), np.uint8))

    def update(self, mask: NDArray[np.bool_], box: tuple[float, float, float, float] | None = None) -> None:
        """Take the mask ``(ss, fs)`` as it is now; `box` says in which part of the picture alone it has changed.

        The box is left, top, right and bottom in picture coordinates.
        """
        n_rows, n_columns = self.assembly.shape
        left, top, right, bottom = (0.0, 0.0, float(n_columns), float(n_rows)) if box is None else box
        # a turned pixel is seen up to one place further than its centre
        first_row, end_row = _clip(top - 1, n_rows), _clip(bottom + 2, n_rows)
        first_column, end_column = _clip(left - 1, n_columns), _clip(right + 2, n_columns)
        if first_row >= end_row or first_column >= end_column:
            return
        part = np.s_[first_row:end_row, first_column:end_column]
        lookup = self.assembly.lookup
        if lookup is None:
            self._levels[0][part] = mask[part]
        else:
            _pick(mask.reshape(-1), lookup[part], self._levels[0][part])
        for above, level in zip(self._levels[:-1], self._levels[1:], strict=True):
            first_row, first_column = first_row // 2, first_column // 2
            end_row, end_column = (end_row + 1) // 2, (end_column + 1) // 2
            _bin(above, level, first_row, end_row, first_column, end_column)

    def draw(self, left: float, top: float, right: float, bottom: float, size: float) -> Drawing | None:
        """Draw what lies between four sides, as `Picture.draw` does: 1 where anything is masked, 0 elsewhere."""
        index = level_for(size, len(self._levels))
        level = self._levels[index]
        part = seen_part(left, top, right, bottom, size, 2**index, (level.shape[0], level.shape[1]))
        if part is None:
            return None
        colours = np.zeros(part.screen, np.uint8)
        _draw(level[part.slices], part.columns, part.rows, colours)
        return Drawing(colours, part.rectangle)


def warm_up() -> None:
    """Have all kernels of masks loaded or compiled, so that the first shape need not wait for them."""
    n, vectors = _SMALLEST, ((1e-4, 0.0, 0.0), (0.0, 1e-4, 0.0))
    left = Panel("left", 0, n, 0, 4, (0.0, 0.0, 0.1), *vectors)
    right = Panel("right", 0, n, 4, 8, (1.1e-4 * n, 0.0, 0.1), *vectors)
    assembly = Assembly(Detector((left, right), (8, n)))
    picture = MaskPicture(assembly)
    for shape in (Ring(2.0, 2.0, 0.0, 1.5), rectangle(0.0, 0.0, 3.0, 3.0)):
        picture.update(pixels_in(shape, assembly))
    picture.draw(0.0, 0.0, float(n), 8.0, 1.0)


def _clip(value: float, end: int) -> int:
    return int(np.floor(min(max(value, 0.0), float(end))))


@njit(nogil=True, cache=True)
def _pick(mask, lookup, places):  # type: ignore[no-untyped-def]
    for row in range(lookup.shape[0]):
        for column in range(lookup.shape[1]):
            index = lookup[row, column]
            places[row, column] = mask[index] if index >= 0 else 0


@njit(nogil=True, cache=True)
def _bin(above, level, first_row, end_row, first_column, end_column):  # type: ignore[no-untyped-def]
    n_rows, n_columns = above.shape
    for row in range(first_row, end_row):
        below = min(2 * row + 1, n_rows - 1)
        for column in range(first_column, end_column):
            beside = min(2 * column + 1, n_columns - 1)
            left = above[2 * row, 2 * column] | above[below, 2 * column]
            level[row, column] = left | above[2 * row, beside] | above[below, beside]


@njit(nogil=True, cache=True)
def _draw(level, columns, rows, out):  # type: ignore[no-untyped-def]
    for i in range(len(rows)):
        for j in range(len(columns)):
            out[rows[i], columns[j]] |= level[i, j]
