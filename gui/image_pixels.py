"""The loops over a picture's pixels: assembling, binning, counting values and drawing; `image_picture` calls them.

A picture comes as `values` ``(rows, columns)`` of the detector's dtype and `states` ``(rows, columns)`` uint8 of
`image_assembly`. Of the pixels with state `DATA` only those count whose value lies between `low` and `high` and is none
of `flagged` ``(n,)`` (`processing.pixel_values.ValidRange`); NaN never counts.
"""

import math

import numpy as np
from numba import njit

from braggwatch.gui.image_assembly import DATA, GAP, MASKED

GAP_COLOUR, MASKED_COLOUR, FIRST_COLOUR, LAST_COLOUR = 0, 1, 2, 255
"""What `draw` writes: which entry of a table of 256 colours a place takes."""


@njit(nogil=True, cache=True)
def assemble(image, lookup, values):  # type: ignore[no-untyped-def]
    """Pick the pixels of the raveled `image` into `values`, both of the detector's dtype; 0 where `lookup` is -1."""
    for row in range(values.shape[0]):
        for column in range(values.shape[1]):
            index = lookup[row, column]
            values[row, column] = image[index] if index >= 0 else image.dtype.type(0)


@njit(nogil=True, cache=True, inline="always")
def _state_of(value, state, low, high, flagged):  # type: ignore[no-untyped-def]
    if state != DATA:
        return state
    if not low <= value <= high:
        return MASKED
    for flag in flagged:
        if value == flag:
            return MASKED
    return DATA


@njit(nogil=True, cache=True)
def bin_by_two(values, states, low, high, flagged, binned, binned_states):  # type: ignore[no-untyped-def]
    """Write the highest value of each 2 x 2 pixels that count, so that a spot stays as dark however small it is drawn.

    Where none counts, the highest of the others is written, and the state is `MASKED`, or `GAP` where all are gaps.
    `binned` and `binned_states` have half as many rows and columns, rounded up.
    """
    n_rows, n_columns = values.shape
    for row in range(binned.shape[0]):
        whole_rows = 2 * row + 1 < n_rows and len(flagged) == 0
        for column in range(binned.shape[1]):
            i, j = 2 * row, 2 * column
            if whole_rows and j + 1 < n_columns:  # almost always four pixels that count: three times as fast as below
                a, b, c, d = values[i, j], values[i, j + 1], values[i + 1, j], values[i + 1, j + 1]
                if (
                    states[i, j] | states[i, j + 1] | states[i + 1, j] | states[i + 1, j + 1] == DATA
                    and low <= a <= high
                    and low <= b <= high
                    and low <= c <= high
                    and low <= d <= high
                ):
                    binned[row, column] = max(max(a, b), max(c, d))
                    binned_states[row, column] = DATA
                    continue
            best = values[i, j]
            best_state = GAP
            for k in range(i, min(i + 2, n_rows)):
                for m in range(j, min(j + 2, n_columns)):
                    value = values[k, m]
                    state = _state_of(value, states[k, m], low, high, flagged)
                    if state < best_state or (state == best_state and value > best):
                        best = value
                        best_state = state
            binned[row, column] = best
            binned_states[row, column] = best_state


@njit(nogil=True, cache=True)
def count_values(values, states, low, high, flagged, step, scale, start, width, bin_of, counts):  # type: ignore[no-untyped-def]
    """Count every `step`-th pixel that counts, on an axis of asinh(value / scale).

    The axis begins at `start` and has steps of `width`; `bin_of` ``(m,)`` says which of `counts` ``(n,)`` int64 each
    step adds to. Values beyond either end add to the step there.
    """
    n_rows, n_columns = values.shape
    for at in range(0, n_rows * n_columns, step):
        row = at // n_columns
        column = at - row * n_columns
        value = values[row, column]
        if _state_of(value, states[row, column], low, high, flagged) == DATA:
            place = (math.asinh(value / scale) - start) / width
            counts[bin_of[int(min(max(place, 0.0), len(bin_of) - 1.0))]] += 1


@njit(nogil=True, cache=True)
def draw(values, states, low, high, flagged, columns, rows, table, black, factor, masked, out):  # type: ignore[no-untyped-def]
    """Write which colour each place of the screen takes.

    `columns` ``(n,)`` and `rows` ``(m,)`` int64 say to which column and row of `out` uint8 each one of the picture
    goes; where several go to one, the highest value wins. A value takes the entry (value - `black`) * `factor` of
    `table` ``(k,)`` uint8, which must not fall. Places that do not count become `MASKED_COLOUR` where `masked` is true,
    else they are drawn as their value says, NaN as `MASKED_COLOUR` even so.
    """
    out[:] = GAP_COLOUR
    last = len(table) - 1.0
    for i in range(len(rows)):
        target = out[rows[i]]
        for j in range(len(columns)):
            state = states[i, j]
            if state == GAP:
                continue
            value = values[i, j]
            if masked and _state_of(value, state, low, high, flagged) == MASKED:
                colour = np.uint8(MASKED_COLOUR)
            else:
                place = (value - black) * factor
                if place >= 0.0:
                    # unsigned, so that numba need not think of negative indices
                    colour = table[np.uint64(min(place, last))]
                else:  # NaN comes here too
                    colour = table[0] if place < 0.0 else np.uint8(MASKED_COLOUR)
            to = np.uint64(columns[j])
            target[to] = max(target[to], colour)
