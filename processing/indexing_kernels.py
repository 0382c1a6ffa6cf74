"""Kernels of the lattice search: how well directions and turns explain a list of spots.

All of them take spots as structure of arrays, ``(3, n)`` (x, y, z in rows), lowest resolution first, so that the inner
loop runs over directions or turns in vector registers. A spot that lies at ``t`` between the planes of a lattice row
(``t = q . a``, whole numbers are planes) scores ``(1/2 - |t - round(t)|)**2``: 1/4 on a plane, nothing half way, and
1/12 on average for a spot of no lattice.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

# No reassociation here: sums run over spots, lanes over directions. Contraction to fused multiply-adds is wanted.
_LANES = {"contract", "nsz", "nnan", "ninf", "arcp"}
_BLOCK = 512


@njit(nogil=True, cache=True, fastmath=_LANES, boundscheck=False)
def score_directions(directions: F32, q: F32, out: F32) -> None:
    """Score unit vectors ``(3, k)`` as row directions for `q` ``(3, n)``, in units of one over the row's period.

    `n` is a multiple of 4 (pad with zeros, which score the same for all). Writes `out` ``(k,)``.
    """
    half = np.float32(0.5)
    for start in range(0, directions.shape[1], _BLOCK):
        x = directions[0, start : start + _BLOCK]
        y = directions[1, start : start + _BLOCK]
        z = directions[2, start : start + _BLOCK]
        o = out[start : start + _BLOCK]
        for k in range(o.size):
            o[k] = np.float32(0.0)
        for i in range(0, q.shape[1], 4):
            x0, y0, z0 = q[0, i], q[1, i], q[2, i]
            x1, y1, z1 = q[0, i + 1], q[1, i + 1], q[2, i + 1]
            x2, y2, z2 = q[0, i + 2], q[1, i + 2], q[2, i + 2]
            x3, y3, z3 = q[0, i + 3], q[1, i + 3], q[2, i + 3]
            for k in range(o.size):
                t0 = x[k] * x0 + y[k] * y0 + z[k] * z0
                t1 = x[k] * x1 + y[k] * y1 + z[k] * z1
                t2 = x[k] * x2 + y[k] * y2 + z[k] * z2
                t3 = x[k] * x3 + y[k] * y3 + z[k] * z3
                r0 = half - abs(t0 - np.rint(t0))
                r1 = half - abs(t1 - np.rint(t1))
                r2 = half - abs(t2 - np.rint(t2))
                r3 = half - abs(t3 - np.rint(t3))
                o[k] += r0 * r0 + r1 * r1 + r2 * r2 + r3 * r3


@njit(nogil=True, cache=True, boundscheck=False)
def pick_directions(directions: F32, score: F32, cos_apart: float, picked: NDArray[np.int64]) -> int:
    """Write the best-scored directions, best first, no two (or their opposites) closer than `cos_apart`, to `picked`.

    Returns how many were found, at most ``picked.size``.
    """
    n = 0
    worst = np.float32(-1.0)
    for k in range(score.size):
        if score[k] <= worst:
            continue
        # A near one that is better forbids this one; near ones that are worse give way to it.
        forbidden = False
        kept = 0
        for j in range(n):
            p = picked[j]
            cos = (
                directions[0, k] * directions[0, p]
                + directions[1, k] * directions[1, p]
                + directions[2, k] * directions[2, p]
            )
            if abs(cos) > cos_apart:
                if score[p] >= score[k]:
                    forbidden = True
                    break
            else:
                picked[kept] = p
                kept += 1
        if forbidden:
            continue
        n = kept if kept < picked.size else picked.size - 1
        j = n
        while j > 0 and score[picked[j - 1]] < score[k]:
            picked[j] = picked[j - 1]
            j -= 1
        picked[j] = k
        n += 1
        worst = score[picked[n - 1]] if n == picked.size else np.float32(-1.0)
    return n


@njit(nogil=True, cache=True, fastmath=_LANES, boundscheck=False)
def score_turns(phase: F32, cos: F32, sin: F32, shape: F32, right: F32, left: F32) -> None:
    """Score turns about a row by the two other rows of the lattice, for both hands of the third.

    `phase` ``(3, n)``: q along the row, along a direction e1 perpendicular to it, and along the third direction e2.
    `cos`, `sin` ``(k,)`` of the turns. `shape` ``(5,)``: the second row's components along the first and across; the
    third row's along the first, across in the second's plane, and out of that plane. Writes `right` and `left`,
    ``(k,)``: with the third row on the one and on the other side. ``n`` is a multiple of 2.
    """
    half = np.float32(0.5)
    b1, b2, c1, c2, c3 = shape[0], shape[1], shape[2], shape[3], shape[4]
    for k in range(cos.size):
        right[k] = np.float32(0.0)
        left[k] = np.float32(0.0)
    for i in range(0, phase.shape[1], 2):
        b_u, c_u = b1 * phase[0, i], c1 * phase[0, i]
        x, y = phase[1, i], phase[2, i]
        b_v, c_v = b1 * phase[0, i + 1], c1 * phase[0, i + 1]
        v, w = phase[1, i + 1], phase[2, i + 1]
        for k in range(cos.size):
            along = x * cos[k] + y * sin[k]
            aside = c3 * (y * cos[k] - x * sin[k])
            t = b_u + b2 * along
            s = c_u + c2 * along
            r0 = half - abs(t - np.rint(t))
            r1 = half - abs(s + aside - np.rint(s + aside))
            r2 = half - abs(s - aside - np.rint(s - aside))
            along = v * cos[k] + w * sin[k]
            aside = c3 * (w * cos[k] - v * sin[k])
            t = b_v + b2 * along
            s = c_v + c2 * along
            r3 = half - abs(t - np.rint(t))
            r4 = half - abs(s + aside - np.rint(s + aside))
            r5 = half - abs(s - aside - np.rint(s - aside))
            both = r0 * r0 + r3 * r3
            right[k] += both + r1 * r1 + r4 * r4
            left[k] += both + r2 * r2 + r5 * r5


@njit(nogil=True, cache=True, boundscheck=False)
def pick_turns(right: F32, left: F32, apart: int, hand: NDArray[np.int64], turn: NDArray[np.int64]) -> int:
    """Write hand (0 right, 1 left) and turn of the best-scored turns, best first.

    Turns of one hand are `apart` steps or more from each other. The scores are spoilt. Returns how many were found.
    """
    n_turns = right.size
    for j in range(turn.size):
        r, l = np.argmax(right), np.argmax(left)  # noqa: E741
        if max(right[r], left[l]) < 0:
            return j
        hand[j], turn[j] = (0, r) if right[r] >= left[l] else (1, l)
        for step in range(-apart + 1, apart):
            k = (turn[j] + step) % n_turns
            if hand[j] == 0:
                right[k] = np.float32(-1.0)
            else:
                left[k] = np.float32(-1.0)
    return int(turn.size)


@njit(nogil=True, cache=True, fastmath=True, boundscheck=False, error_model="numpy")
def refine_row(q: F64, n: int, period: float, row: F64, trim: float, stiffness: float) -> None:
    """Move a lattice row vector `row` ``(3,)``, Angstrom, in place to where the first `n` spots of `q` want it.

    One step of least squares over the spots within `trim` (in planes) of a plane; `stiffness` (1/Angstrom squared)
    holds it to its direction and to its known `period`, so that what the spots do not determine stays.
    """
    ax, ay, az = row[0], row[1], row[2]
    xx = yy = zz = xy = xz = yz = bx = by = bz = 0.0
    for i in range(n):
        x, y, z = q[0, i], q[1, i], q[2, i]
        t = ax * x + ay * y + az * z
        r = np.rint(t) - t
        w = 1.0 if abs(r) < trim else 0.0
        xx += w * x * x
        yy += w * y * y
        zz += w * z * z
        xy += w * x * y
        xz += w * x * z
        yz += w * y * z
        bx += w * r * x
        by += w * r * y
        bz += w * r * z
    excess = stiffness * (period / np.sqrt(ax * ax + ay * ay + az * az) - 1.0)
    bx += excess * ax
    by += excess * ay
    bz += excess * az
    xx += stiffness
    yy += stiffness
    zz += stiffness
    c0 = yy * zz - yz * yz
    c1 = xz * yz - xy * zz
    c2 = xy * yz - xz * yy
    det = xx * c0 + xy * c1 + xz * c2
    row[0] = ax + (c0 * bx + c1 * by + c2 * bz) / det
    row[1] = ay + (c1 * bx + (xx * zz - xz * xz) * by + (xy * xz - xx * yz) * bz) / det
    row[2] = az + (c2 * bx + (xy * xz - xx * yz) * by + (xx * yy - xy * xy) * bz) / det


@njit(nogil=True, cache=True, fastmath=True, boundscheck=False)
def score_row(q: F64, n: int, row: F64) -> float:
    """Return the score of one row vector over the first `n` spots, its chance level of 1/12 a spot taken off."""
    total = 0.0
    for i in range(n):
        t = row[0] * q[0, i] + row[1] * q[1, i] + row[2] * q[2, i]
        r = 0.5 - abs(t - np.rint(t))
        total += r * r
    return total - n / 12.0
