"""Loops of `BoxPeakFinder`: planes under boxes of pixels, and connected pixels that stand above them."""

import numpy as np
from numba import njit

from braggwatch.processing.peak_search import (
    BACKGROUND,
    FLAT_SIGMA,
    FS,
    INTENSITY,
    MAX_VALUE,
    N_PIXELS,
    PANEL,
    SNR,
    SS,
)

ROUNDS = 5
"""How often a plane is fitted at most, each time without the pixels that stood above the last one."""
LEAST_PIXELS = 10
"""Below that, a box has a level instead of a plane."""
LEVEL, ALONG_FS, ALONG_SS, SIGMA, MIDDLE_FS, MIDDLE_SS = range(6)
"""What is known of a box: its plane about its middle (ADU, ADU a pixel), its standard deviation (ADU), its middle."""


@njit(nogil=True, cache=True)
def fill_panel(image, usable, low, high, flagged, panel, pixels):  # type: ignore[no-untyped-def]
    """Copy a panel into `pixels` as float32, NaN where it is not usable or its value means nothing."""
    for row in range(panel[0], panel[1]):
        source, use, target = image[row, panel[2] : panel[3]], usable[row, panel[2] : panel[3]], pixels[row - panel[0]]
        for i in range(len(source)):
            known = use[i] & (source[i] >= low) & (source[i] <= high)
            target[i] = np.float32(source[i]) if known else np.float32(np.nan)
        for flag in flagged:
            for i in range(len(source)):
                target[i] = np.float32(np.nan) if source[i] == flag else target[i]


@njit(nogil=True, cache=True)
def fit_boxes(pixels, row_edges, column_edges, height, boxes):  # type: ignore[no-untyped-def]
    """Fit a plane to each box of a panel, pixels that stand `height` standard deviations above it left out.

    `boxes` ``(n_rows, n_columns, 6)`` as `LEVEL` and its like; the standard deviation of an empty box is infinite.
    """
    for i in range(len(row_edges) - 1):
        for j in range(len(column_edges) - 1):
            _fit_box(pixels, row_edges[i], row_edges[i + 1], column_edges[j], column_edges[j + 1], height, boxes[i, j])


@njit(nogil=True, cache=True, fastmath={"reassoc", "nsz", "contract"})
def _row_sums(values, x, level, slope, limit):  # type: ignore[no-untyped-def]
    """Sums over what lies less than `limit` above the line ``level + slope x``; NaN lies nowhere.

    Vector code: one type throughout, and the condition written out each time (see `radial_background`).
    """
    zero, one = np.float32(0), np.float32(1)
    n, sx, sxx, sr, sxr, srr = zero, zero, zero, zero, zero, zero
    for i in range(values.size):
        rest = values[i] - (level + slope * x[i])
        used = one if rest < limit else zero
        r = rest if rest < limit else zero
        n += used
        sx += used * x[i]
        sxx += used * x[i] * x[i]
        sr += r
        sxr += r * x[i]
        srr += r * r
    return n, sx, sxx, sr, sxr, srr


@njit(nogil=True, cache=True)
def _fit_box(pixels, top, bottom, left, right, height, box):  # type: ignore[no-untyped-def]
    middle_ss, middle_fs = 0.5 * (top + bottom - 1), 0.5 * (left + right - 1)
    box[:] = 0.0
    box[MIDDLE_FS], box[MIDDLE_SS], box[SIGMA] = middle_fs, middle_ss, np.inf
    x = (np.arange(left, right) - middle_fs).astype(np.float32)
    # Sums about a number close to the background keep their digits in float32.
    box[LEVEL] = _first_known(pixels, top, bottom, left, right)
    limit, before = np.float32(np.inf), -1.0
    for _ in range(ROUNDS):
        count = sum_x = sum_y = sum_xx = sum_xy = sum_yy = sum_r = sum_xr = sum_yr = sum_rr = 0.0
        for row in range(top, bottom):
            y = row - middle_ss
            line = np.float32(box[LEVEL] + box[ALONG_SS] * y)
            n, sx, sxx, sr, sxr, srr = _row_sums(pixels[row, left:right], x, line, np.float32(box[ALONG_FS]), limit)
            count += n
            sum_x += sx
            sum_y += n * y
            sum_xx += sxx
            sum_xy += sx * y
            sum_yy += n * y * y
            sum_r += sr
            sum_xr += sxr
            sum_yr += sr * y
            sum_rr += srr
        if count == 0.0 or count == before:
            return
        before = count
        level, along_fs, along_ss = sum_r / count, 0.0, 0.0
        if count >= LEAST_PIXELS:
            level, along_fs, along_ss = _plane(count, sum_x, sum_y, sum_xx, sum_xy, sum_yy, sum_r, sum_xr, sum_yr)
        box[LEVEL] += level
        box[ALONG_FS] += along_fs
        box[ALONG_SS] += along_ss
        variance = (sum_rr - level * sum_r - along_fs * sum_xr - along_ss * sum_yr) / count
        box[SIGMA] = max(np.sqrt(max(variance, 0.0)), FLAT_SIGMA)
        limit = np.float32(height * box[SIGMA])


@njit(nogil=True, cache=True)
def _first_known(pixels, top, bottom, left, right):  # type: ignore[no-untyped-def]
    for row in range(top, bottom):
        for column in range(left, right):
            if np.isfinite(pixels[row, column]):
                return np.float64(pixels[row, column])
    return 0.0


@njit(nogil=True, cache=True)
def _plane(n, sx, sy, sxx, sxy, syy, sr, sxr, syr):  # type: ignore[no-untyped-def]
    """Return level and slopes of least squares from the sums; only the level where the pixels lie on a line.

    About the pixels' centre only two equations are left: a call of LAPACK would take longer than all the sums.
    """
    x, y = sx / n, sy / n
    xx, xy, yy = sxx - n * x * x, sxy - n * x * y, syy - n * y * y
    xr, yr = sxr - x * sr, syr - y * sr
    determinant = xx * yy - xy * xy
    if not determinant > 1e-6 * xx * yy:
        return sr / n, 0.0, 0.0
    along_fs, along_ss = (yy * xr - xy * yr) / determinant, (xx * yr - xy * xr) / determinant
    return sr / n - along_fs * x - along_ss * y, along_fs, along_ss


@njit(nogil=True, cache=True)
def thresholds(boxes, row_edges, column_edges, height, noise, panel, out):  # type: ignore[no-untyped-def]
    """Write for each pixel of a panel what stands `height` standard deviations above its plane, ADU.

    The standard deviation is the box's, or the pixel's own where `noise` ``(ss, fs)`` is not empty and larger.
    """
    for i in range(len(row_edges) - 1):
        for j in range(len(column_edges) - 1):
            box = boxes[i, j]
            slope, sigma = np.float32(box[ALONG_FS]), np.float32(box[SIGMA])
            left, right = column_edges[j], column_edges[j + 1]
            for row in range(row_edges[i], row_edges[i + 1]):
                start = np.float32(
                    box[LEVEL] + box[ALONG_SS] * (row - box[MIDDLE_SS]) + slope * (left - box[MIDDLE_FS])
                )
                target = out[row, left:right]
                for k in range(target.size):
                    target[k] = start + slope * np.float32(k)
                if noise.size:
                    own = noise[panel[0] + row, panel[2] + left : panel[2] + right]
                    for k in range(target.size):
                        target[k] += height * max(sigma, own[k])
                else:
                    for k in range(target.size):
                        target[k] += height * sigma


@njit(nogil=True, cache=True)
def search(  # type: ignore[no-untyped-def]
    pixels, boxes, row_edges, column_edges, noise, panel, index, margin, signal_height, spot_height,
    least_area, most_area, least_value, threshold, signal, queue, out, n_found,
):  # fmt: skip
    """Find the spots of a panel and return how many there are now; their properties stand in the columns of `out`.

    `pixels` from `fill_panel`, `boxes` from `fit_boxes`; `threshold`, `signal` and `queue` are work space. The search
    ends when `out` is full.
    """
    n_ss, n_fs = panel[1] - panel[0], panel[3] - panel[2]
    signal[:n_ss, :n_fs] = 0
    for height in (signal_height, spot_height):
        thresholds(boxes, row_edges, column_edges, height, noise, panel, threshold)
        for row in range(margin, n_ss - margin):
            marks, values, limits = signal[row], pixels[row], threshold[row]
            for column in range(margin, n_fs - margin):
                marks[column] += np.uint8(values[column] > limits[column])
    row_box, column_box = _box_of(row_edges), _box_of(column_edges)
    for row in range(margin, n_ss - margin):
        for column in range(margin, n_fs - margin):
            if signal[row, column] < 2:
                continue
            n = _grow(signal, n_ss, n_fs, queue, row, column)
            if not least_area <= n <= most_area or not _exceeds(pixels, queue[:n], least_value):
                continue
            _measure(pixels, boxes, row_box, column_box, queue[:n], panel, out[:, n_found])
            out[PANEL, n_found] = index
            n_found += 1
            if n_found == out.shape[1]:
                return n_found
    return n_found


@njit(nogil=True, cache=True)
def _box_of(edges):  # type: ignore[no-untyped-def]
    found = np.empty(edges[-1], np.int64)
    for i in range(len(edges) - 1):
        found[edges[i] : edges[i + 1]] = i
    return found


@njit(nogil=True, cache=True)
def _grow(signal, n_ss, n_fs, queue, row, column):  # type: ignore[no-untyped-def]
    """Collect into `queue` the signal pixels that touch each other, corners included, and clear their marks."""
    signal[row, column] = 0
    queue[0, 0], queue[0, 1] = row, column
    done, n = 0, 1
    while done < n:
        row, column = queue[done, 0], queue[done, 1]
        done += 1
        for r in range(max(row - 1, 0), min(row + 2, n_ss)):
            for c in range(max(column - 1, 0), min(column + 2, n_fs)):
                if signal[r, c]:
                    signal[r, c] = 0
                    queue[n, 0], queue[n, 1] = r, c
                    n += 1
    return n


@njit(nogil=True, cache=True)
def _exceeds(pixels, spot, least_value):  # type: ignore[no-untyped-def]
    for i in range(len(spot)):  # noqa: SIM110 (any() of a generator does not compile)
        if pixels[spot[i, 0], spot[i, 1]] > least_value:
            return True
    return False


@njit(nogil=True, cache=True)
def _measure(pixels, boxes, row_box, column_box, spot, panel, out):  # type: ignore[no-untyped-def]
    total = sum_fs = sum_ss = background = sigma = 0.0
    highest = -np.inf
    for i in range(len(spot)):
        row, column = spot[i, 0], spot[i, 1]
        box = boxes[row_box[row], column_box[column]]
        below = box[LEVEL] + box[ALONG_SS] * (row - box[MIDDLE_SS]) + box[ALONG_FS] * (column - box[MIDDLE_FS])
        value = np.float64(pixels[row, column])
        total += value - below
        sum_fs += (value - below) * column
        sum_ss += (value - below) * row
        background += below
        if value > highest:
            highest, sigma = value, box[SIGMA]
    out[FS] = panel[2] + sum_fs / total + 0.5
    out[SS] = panel[0] + sum_ss / total + 0.5
    out[INTENSITY] = total
    out[BACKGROUND] = background / len(spot)
    out[SNR] = total / sigma
    out[N_PIXELS] = len(spot)
    out[MAX_VALUE] = highest
