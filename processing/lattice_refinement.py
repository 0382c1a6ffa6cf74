"""Refining a lattice against the spots it explains, and how likely chance alone explains as many."""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

F64 = NDArray[np.float64]


@njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def invert(m: F64, out: F64) -> float:
    """Write the inverse of a ``(3, 3)`` matrix to `out`; return its determinant."""
    c00 = m[1, 1] * m[2, 2] - m[1, 2] * m[2, 1]
    c01 = m[1, 2] * m[2, 0] - m[1, 0] * m[2, 2]
    c02 = m[1, 0] * m[2, 1] - m[1, 1] * m[2, 0]
    det = m[0, 0] * c00 + m[0, 1] * c01 + m[0, 2] * c02
    out[0, 0] = c00 / det
    out[1, 0] = c01 / det
    out[2, 0] = c02 / det
    out[0, 1] = (m[0, 2] * m[2, 1] - m[0, 1] * m[2, 2]) / det
    out[1, 1] = (m[0, 0] * m[2, 2] - m[0, 2] * m[2, 0]) / det
    out[2, 1] = (m[0, 1] * m[2, 0] - m[0, 0] * m[2, 1]) / det
    out[0, 2] = (m[0, 1] * m[1, 2] - m[0, 2] * m[1, 1]) / det
    out[1, 2] = (m[0, 2] * m[1, 0] - m[0, 0] * m[1, 2]) / det
    out[2, 2] = (m[0, 0] * m[1, 1] - m[0, 1] * m[1, 0]) / det
    return float(det)


@njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def turned_cell(A: F64, B0: F64, A0: F64, out: F64) -> None:
    """Write to `out` the ideal cell `A0` turned to lie on `A` as well as it can.

    All ``(3, 3)`` with a, b, c as rows; `B0` is the inverse of `A0`. The turn is the orthogonal factor of ``B0 A``
    (polar decomposition by Newton's iteration, Higham 1986).
    """
    turn = np.empty((3, 3))
    inverse = np.empty((3, 3))
    for i in range(3):
        for j in range(3):
            turn[i, j] = B0[i, 0] * A[0, j] + B0[i, 1] * A[1, j] + B0[i, 2] * A[2, j]
    for _ in range(4):
        invert(turn, inverse)
        for i in range(3):
            for j in range(3):
                out[i, j] = 0.5 * (turn[i, j] + inverse[j, i])
        for i in range(3):
            for j in range(3):
                turn[i, j] = out[i, j]
    for i in range(3):
        for j in range(3):
            out[i, j] = A0[i, 0] * turn[0, j] + A0[i, 1] * turn[1, j] + A0[i, 2] * turn[2, j]


@njit(nogil=True, cache=True, fastmath=True, boundscheck=False, error_model="numpy")
def refine_lattice(q: F64, n: int, A: F64, ideal: F64, reach: float, stiffness: float) -> int:
    """Move a lattice to the spots that lie within `reach` (1/Angstrom) of its nodes: one step of least squares.

    `q` ``(3, >= n)``: spots, of which the first `n` are looked at. `A` ``(3, 3)``: a, b, c as rows, changed in place.
    `ideal`: where A would be if the spots said nothing; `stiffness` (1/Angstrom squared) is its weight beside the
    spots'. Returns how many spots took part; none at the origin does.
    """
    B = np.empty((3, 3))
    invert(A, B)
    g00 = B[0, 0] ** 2 + B[1, 0] ** 2 + B[2, 0] ** 2
    g11 = B[0, 1] ** 2 + B[1, 1] ** 2 + B[2, 1] ** 2
    g22 = B[0, 2] ** 2 + B[1, 2] ** 2 + B[2, 2] ** 2
    g01 = 2.0 * (B[0, 0] * B[0, 1] + B[1, 0] * B[1, 1] + B[2, 0] * B[2, 1])
    g02 = 2.0 * (B[0, 0] * B[0, 2] + B[1, 0] * B[1, 2] + B[2, 0] * B[2, 2])
    g12 = 2.0 * (B[0, 1] * B[0, 2] + B[1, 1] * B[1, 2] + B[2, 1] * B[2, 2])
    a0, a1, a2 = A[0, 0], A[0, 1], A[0, 2]
    b0, b1, b2 = A[1, 0], A[1, 1], A[1, 2]
    c0, c1, c2 = A[2, 0], A[2, 1], A[2, 2]
    limit = reach * reach
    xx = yy = zz = xy = xz = yz = count = 0.0
    ax = ay = az = bx = by = bz = cx = cy = cz = 0.0
    for i in range(n):
        x, y, z = q[0, i], q[1, i], q[2, i]
        u = a0 * x + a1 * y + a2 * z
        v = b0 * x + b1 * y + b2 * z
        w = c0 * x + c1 * y + c2 * z
        h, k, l = np.rint(u), np.rint(v), np.rint(w)  # noqa: E741
        u, v, w = h - u, k - v, l - w
        d2 = g00 * u * u + g11 * v * v + g22 * w * w + g01 * u * v + g02 * u * w + g12 * v * w
        weight = 1.0 if d2 < limit and abs(h) + abs(k) + abs(l) > 0.5 else 0.0
        count += weight
        x, y, z = weight * x, weight * y, weight * z
        xx += x * x
        yy += y * y
        zz += z * z
        xy += x * y
        xz += x * z
        yz += y * z
        ax += u * x
        ay += u * y
        az += u * z
        bx += v * x
        by += v * y
        bz += v * z
        cx += w * x
        cy += w * y
        cz += w * z
    normal = np.empty((3, 3))
    normal[0, 0] = xx + stiffness
    normal[1, 1] = yy + stiffness
    normal[2, 2] = zz + stiffness
    normal[0, 1] = normal[1, 0] = xy
    normal[0, 2] = normal[2, 0] = xz
    normal[1, 2] = normal[2, 1] = yz
    invert(normal, B)
    for row in range(3):
        if row == 0:
            x, y, z = ax, ay, az
        elif row == 1:
            x, y, z = bx, by, bz
        else:
            x, y, z = cx, cy, cz
        x += stiffness * (ideal[row, 0] - A[row, 0])
        y += stiffness * (ideal[row, 1] - A[row, 1])
        z += stiffness * (ideal[row, 2] - A[row, 2])
        A[row, 0] += B[0, 0] * x + B[0, 1] * y + B[0, 2] * z
        A[row, 1] += B[1, 0] * x + B[1, 1] * y + B[1, 2] * z
        A[row, 2] += B[2, 0] * x + B[2, 1] * y + B[2, 2] * z
    return int(count)


@njit(nogil=True, cache=True, fastmath=True, boundscheck=False, error_model="numpy")
def node_distances(q: F64, n: int, A: F64, out: F64) -> None:
    """Write to `out` ``(>= n,)`` the squared distance, 1/Angstrom squared, of each spot to its node of the lattice.

    A spot whose node is the origin gets infinity (a large number), for the origin says nothing about a lattice.
    """
    B = np.empty((3, 3))
    invert(A, B)
    g00 = B[0, 0] ** 2 + B[1, 0] ** 2 + B[2, 0] ** 2
    g11 = B[0, 1] ** 2 + B[1, 1] ** 2 + B[2, 1] ** 2
    g22 = B[0, 2] ** 2 + B[1, 2] ** 2 + B[2, 2] ** 2
    g01 = 2.0 * (B[0, 0] * B[0, 1] + B[1, 0] * B[1, 1] + B[2, 0] * B[2, 1])
    g02 = 2.0 * (B[0, 0] * B[0, 2] + B[1, 0] * B[1, 2] + B[2, 0] * B[2, 2])
    g12 = 2.0 * (B[0, 1] * B[0, 2] + B[1, 1] * B[1, 2] + B[2, 1] * B[2, 2])
    a0, a1, a2 = A[0, 0], A[0, 1], A[0, 2]
    b0, b1, b2 = A[1, 0], A[1, 1], A[1, 2]
    c0, c1, c2 = A[2, 0], A[2, 1], A[2, 2]
    for i in range(n):
        x, y, z = q[0, i], q[1, i], q[2, i]
        u = a0 * x + a1 * y + a2 * z
        v = b0 * x + b1 * y + b2 * z
        w = c0 * x + c1 * y + c2 * z
        h, k, l = np.rint(u), np.rint(v), np.rint(w)  # noqa: E741
        u, v, w = h - u, k - v, l - w
        d2 = g00 * u * u + g11 * v * v + g22 * w * w + g01 * u * v + g02 * u * w + g12 * v * w
        out[i] = d2 if abs(h) + abs(k) + abs(l) > 0.5 else 1e9


N_REACHES = 12
REACH_STEP = 0.75


@njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def false_alarms(
    distance: F64, n: int, volume: float, longest: float, q_high: float, strain: float
) -> tuple[float, float, int]:
    """Return log10 of the number of lattices expected by chance that explain the spots as well as this one.

    An a-contrario test (Desolneux, Moisan and Morel 2000; with a free threshold as in Moisan and Stival 2004). If spots
    lay anywhere, one would be within r of a node with p = 4/3 pi r**3 volume; k of n would be with probability below
    C(n, k) p**k. That is multiplied by the number of lattices that differ at the resolution r: 8 pi**2 (q_high / r)**3
    orientations, and ``2 strain q_high / r`` values of each of six strains of the cell, and of the thresholds tried.

    `distance`: of `node_distances`. `volume`: of the primitive cell, cubic Angstrom. `longest`: its longest edge.
    `q_high`: length of a typical outer q. `strain`: relative tolerance on the cell. Returns also the reach r,
    1/Angstrom, at which it is least, and the number of spots within it.
    """
    best = 0.0
    best_reach = 0.0
    best_count = 0
    reach = 0.25 / longest
    log_n = math.lgamma(n + 1.0)
    for _ in range(N_REACHES):
        limit = reach * reach
        k = 0
        for i in range(n):
            k += distance[i] < limit
        p = 4.0 / 3.0 * math.pi * reach**3 * volume
        trials = math.log(8.0 * math.pi**2 * N_REACHES) + 3.0 * math.log(max(1.0, q_high / reach))
        trials += 6.0 * math.log(max(1.0, 2.0 * strain * q_high / reach))
        chance = log_n - math.lgamma(k + 1.0) - math.lgamma(n - k + 1.0) + k * math.log(p)
        value = (trials + chance) / math.log(10.0)
        if k > 0 and (value < best or best_count == 0):
            best, best_reach, best_count = value, reach, k
        reach *= REACH_STEP
    return best, best_reach, best_count
