"""The search for one lattice of known cell: shortest row, turn about it, refinement, test against chance.

The row search in real space and the turn of the known cell about it are as in TORO (Gasparotto et al., J. Appl. Cryst.
2024, 57, 931) and XGANDALF (Gevorkov et al., Acta Cryst. 2019, A75, 694); the scores, the order of the search and the
test that ends it are this program's own.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from braggwatch.processing.indexing_kernels import (
    pick_directions,
    pick_turns,
    refine_row,
    score_directions,
    score_row,
    score_turns,
)
from braggwatch.processing.lattice_refinement import (
    false_alarms,
    node_distances,
    refine_lattice,
    turned_cell,
)

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

N_TURNS_PICKED = 6
"""Turns about a row that are refined."""


class Target(NamedTuple):
    """The reduced primitive cell that is looked for, in the forms the kernels want."""

    A: F64
    """``(3, 3)``: reduced a, b, c as rows, Angstrom, a the shortest; right-handed."""
    inverse: F64
    """Inverse of A."""
    shape: F32
    """``(5,)``: b along and across a; c along a, across it in the plane of a and b, out of that plane. Angstrom."""
    volume: float
    longest: float
    """Length of c."""
    strain: float
    """Relative tolerance on the cell."""


class Work(NamedTuple):
    """Buffers of the search, so that nothing large is allocated for a list of spots."""

    score: F32
    """``(>= number of directions,)``."""
    right: F32
    """``(>= number of turns,)``."""
    left: F32
    """Likewise."""
    scaled: F32
    """``(3, >= spots of the search + 4)``."""
    phase: F32
    """Likewise."""
    distance: F64
    """``(>= spots,)``."""


@njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _rows(q: F64, n: int, directions: F32, target: Target, work: Work, rows: F64, value: F64) -> int:
    """Find the best directions of the shortest row among the first `n` spots; refine them and write them best first."""
    period = target.A[0, 0]
    padded = (n + 3) // 4 * 4
    scaled = work.scaled[:, :padded]
    for axis in range(3):
        for i in range(n):
            scaled[axis, i] = np.float32(q[axis, i] * period)
        scaled[axis, n:] = np.float32(0.0)
    n_directions = directions.shape[1]
    score = work.score[:n_directions]
    score_directions(directions, scaled, score)
    picked = np.empty(rows.shape[0], np.int64)
    # Two grid points on one peak of the score are one candidate; the grid has 2 pi / n_directions steradian a point.
    cos_apart = math.cos(2.0 * math.sqrt(2.0 * math.pi / n_directions))
    found = pick_directions(directions, score, cos_apart, picked)
    q2 = q[0, n - 1] ** 2 + q[1, n - 1] ** 2 + q[2, n - 1] ** 2
    stiffness = 0.05 * q2
    row = np.empty(3)
    kept = 0
    for j in range(found):
        for axis in range(3):
            row[axis] = period * directions[axis, picked[j]]
        for trim in (0.3, 0.25, 0.2):
            refine_row(q, n, period, row, trim, stiffness)
        if _stands_already(rows, kept, row, 0.02 * period):
            continue
        s = score_row(q, n, row)
        k = kept
        kept += 1
        while k > 0 and value[k - 1] < s:
            value[k] = value[k - 1]
            rows[k] = rows[k - 1]
            k -= 1
        value[k] = s
        rows[k] = row
    return kept


@njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _stands_already(rows: F64, n: int, row: F64, apart: float) -> bool:
    """Tell whether one of the first `n` rows, or its opposite, lies within `apart` of `row`."""
    for j in range(n):
        minus = plus = 0.0
        for i in range(3):
            minus += (rows[j, i] - row[i]) ** 2
            plus += (rows[j, i] + row[i]) ** 2
        if min(minus, plus) < apart * apart:
            return True
    return False


@njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _turns(q: F64, n: int, row: F64, turns: F32, target: Target, work: Work, basis: F64, lattices: F64) -> int:
    """Turn the cell about a row; write the best lattices ``(N_TURNS_PICKED, 3, 3)``."""
    length = math.sqrt(row[0] ** 2 + row[1] ** 2 + row[2] ** 2)
    for i in range(3):
        basis[0, i] = row[i] / length
    # Any direction across the row will do: the cross product with the axis it is farthest from.
    least = 0
    for i in range(1, 3):
        if abs(basis[0, i]) < abs(basis[0, least]):
            least = i
    j, k = (least + 1) % 3, (least + 2) % 3
    norm = math.sqrt(basis[0, j] ** 2 + basis[0, k] ** 2)
    basis[1, least] = 0.0
    basis[1, j] = basis[0, k] / norm
    basis[1, k] = -basis[0, j] / norm
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        basis[2, i] = basis[0, j] * basis[1, k] - basis[0, k] * basis[1, j]

    m = 0
    for i in range(n):
        t = row[0] * q[0, i] + row[1] * q[1, i] + row[2] * q[2, i]
        if abs(t - np.rint(t)) < 0.15:
            for axis in range(3):
                work.phase[axis, m] = np.float32(
                    basis[axis, 0] * q[0, i] + basis[axis, 1] * q[1, i] + basis[axis, 2] * q[2, i]
                )
            m += 1
    if m % 2:
        work.phase[:, m] = np.float32(0.0)
        m += 1
    n_turns = turns.shape[1]
    right, left = work.right[:n_turns], work.left[:n_turns]
    score_turns(work.phase[:, :m], turns[0], turns[1], target.shape, right, left)
    hand = np.empty(N_TURNS_PICKED, np.int64)
    turn = np.empty(N_TURNS_PICKED, np.int64)
    found = pick_turns(right, left, 3, hand, turn)
    for p in range(found):
        c, s = float(turns[0, turn[p]]), float(turns[1, turn[p]])
        side = 1.0 if hand[p] == 0 else -1.0
        for i in range(3):
            across = c * basis[1, i] + s * basis[2, i]
            aside = c * basis[2, i] - s * basis[1, i]
            lattices[p, 0, i] = side * target.A[0, 0] * basis[0, i]
            lattices[p, 1, i] = side * (target.shape[0] * basis[0, i] + target.shape[1] * across)
            lattices[p, 2, i] = side * (target.shape[2] * basis[0, i] + target.shape[3] * across) + (
                target.shape[4] * aside
            )
    return found


@njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _grow(q: F64, length: F64, n: int, first: int, last: int, A: F64, target: Target, reach: float) -> None:
    """Refine a lattice on the first spots, then on more and more of them out to `last`."""
    ideal = np.empty((3, 3))
    at = first
    while True:
        turned_cell(A, target.inverse, target.A, ideal)
        stiffness = (reach / (3.0 * max(target.strain, 1e-3))) ** 2
        refine_lattice(q, at, A, ideal, reach, stiffness)
        if at >= last:
            break
        limit = 1.4 * length[at - 1]
        at += 1
        while at < last and length[at] <= limit:
            at += 1


@njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _finish(q: F64, n: int, A: F64, q_high: float, target: Target, work: Work) -> tuple[float, float, int]:
    """Refine a lattice on all spots within the reach at which chance explains it least; return that test's result."""
    ideal = np.empty((3, 3))
    tried = A.copy()
    best = (1.0, 0.0, 0)
    for _ in range(5):
        node_distances(q, n, tried, work.distance)
        result = false_alarms(work.distance, n, target.volume, target.longest, q_high, target.strain)
        if result[0] >= best[0] - 1e-3:
            break
        best = result
        A[:] = tried
        turned_cell(tried, target.inverse, target.A, ideal)
        stiffness = (best[1] / (3.0 * max(target.strain, 1e-3))) ** 2
        refine_lattice(q, n, tried, ideal, best[1], stiffness)
    return best


@njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def find_lattice(
    q: F64,
    length: F64,
    n_search: int,
    n_rows: int,
    directions: F32,
    turns: F32,
    q_high: float,
    accept: float,
    target: Target,
    work: Work,
    A: F64,
) -> tuple[float, float, int]:
    """Find the lattice that explains the spots best.

    `q` ``(3, n)`` and `length` ``(n,)``: the spots, shortest first; the first `n_search` are used for the search.
    Writes the reduced a, b, c as rows to `A` and returns log10 of the number of false alarms, reach and count as
    `false_alarms` does; the search ends early at a lattice that is below `accept` and explains most spots.
    """
    n = q.shape[1]
    rows = np.empty((n_rows, 3))
    value = np.empty(n_rows)
    basis = np.empty((3, 3))
    lattices = np.empty((N_TURNS_PICKED, 3, 3))
    found = _rows(q, n_search, directions, target, work, rows, value)
    best = (1.0, 0.0, 0)
    reach = 0.3 / target.longest
    first = min(n_search, 12)
    best_value = 0.0
    for j in range(found):
        # Rows of a lattice that is less likely the better one are not looked at once one is found.
        if best[0] < accept and value[j] < 0.7 * best_value:
            break
        n_lattices = _turns(q, n_search, rows[j], turns, target, work, basis, lattices)
        leading, most = 0, -1
        for p in range(n_lattices):
            _grow(q, length, n, first, n_search, lattices[p], target, reach)
            node_distances(q, n_search, lattices[p], work.distance)
            near = 0
            for i in range(n_search):
                near += work.distance[i] < (0.6 * reach) ** 2
            if near > most:
                leading, most = p, near
        candidate = lattices[leading]
        if n > n_search:
            _grow(q, length, n, n_search, n, candidate, target, 0.8 * reach)
        result = _finish(q, n, candidate, q_high, target, work)
        if result[0] < best[0]:
            best, best_value = result, value[j]
            A[:] = candidate
            if best[0] < accept and best[2] > 0.7 * n:
                break
    return best
