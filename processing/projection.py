"""The loops between pixels and directions behind `Detector` (detector.py), which checks what they get."""

import math

from numba import njit


@njit(nogil=True, cache=True)
def fill_q_map(frames, bounds, wavelength, out):  # type: ignore[no-untyped-def]
    """Write |q| in 1/Angstrom of each pixel's centre; pixels of no panel are left as they are.

    `frames` is ``(n, 3, 3)`` float64, rows fs, ss and origin of each panel in m; `bounds` is ``(n, 4)`` int64,
    first and last + 1 column, then row; `out` is ``(ss, fs)`` float32.
    """
    for p in range(len(frames)):
        fsx, fsy, fsz = frames[p, 0]
        for row in range(bounds[p, 2], bounds[p, 3]):
            x0 = frames[p, 2, 0] + (row + 0.5) * frames[p, 1, 0]
            y0 = frames[p, 2, 1] + (row + 0.5) * frames[p, 1, 1]
            z0 = frames[p, 2, 2] + (row + 0.5) * frames[p, 1, 2]
            for column in range(bounds[p, 0], bounds[p, 1]):
                x = x0 + (column + 0.5) * fsx
                y = y0 + (column + 0.5) * fsy
                z = z0 + (column + 0.5) * fsz
                r2 = x * x + y * y
                length = math.sqrt(r2 + z * z)
                # 1 - cos(2 theta), written so that nothing cancels near the beam
                versine = r2 / (length * (length + z)) if z > 0.0 else 1.0 - z / length
                out[row, column] = math.sqrt(2.0 * versine) / wavelength


@njit(nogil=True, cache=True)
def fill_radius_map(frames, bounds, pixel_sizes, out):  # type: ignore[no-untyped-def]
    """Write the distance of each pixel's centre from the beam axis in its panel's pixels; arrays as in `fill_q_map`."""
    for p in range(len(frames)):
        fsx, fsy = frames[p, 0, 0], frames[p, 0, 1]
        for row in range(bounds[p, 2], bounds[p, 3]):
            x0 = frames[p, 2, 0] + (row + 0.5) * frames[p, 1, 0]
            y0 = frames[p, 2, 1] + (row + 0.5) * frames[p, 1, 1]
            for column in range(bounds[p, 0], bounds[p, 1]):
                x = x0 + (column + 0.5) * fsx
                y = y0 + (column + 0.5) * fsy
                out[row, column] = math.sqrt(x * x + y * y) / pixel_sizes[p]


@njit(nogil=True, cache=True)
def project_rays(rays, inverses, bounds, fs, ss, panel):  # type: ignore[no-untyped-def]
    """Find where rays from the sample meet panels.

    `rays` is ``(m, 3)`` float64; `inverses` is ``(n, 3, 3)``: the inverse of the matrix whose columns are a panel's fs,
    ss and origin, so that it turns a ray into a multiple (column, row, 1); `bounds` as in `fill_q_map`. Writes ``(m,)``
    image coordinates `fs`, `ss` and the index `panel`, which must come as NaN, NaN and -1. Of several panels the one
    nearest to the sample is taken.
    """
    for i in range(len(rays)):
        x, y, z = rays[i, 0], rays[i, 1], rays[i, 2]
        nearest = 0.0
        for p in range(len(inverses)):
            # w is the inverse of the distance along the ray: the multiplications avoid a division for every panel
            w = inverses[p, 2, 0] * x + inverses[p, 2, 1] * y + inverses[p, 2, 2] * z
            if not w > nearest:
                continue
            u = inverses[p, 0, 0] * x + inverses[p, 0, 1] * y + inverses[p, 0, 2] * z
            if not bounds[p, 0] * w <= u < bounds[p, 1] * w:
                continue
            v = inverses[p, 1, 0] * x + inverses[p, 1, 1] * y + inverses[p, 1, 2] * z
            if bounds[p, 2] * w <= v < bounds[p, 3] * w:
                nearest = w
                panel[i] = p
                fs[i] = u / w
                ss[i] = v / w
