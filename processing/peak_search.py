"""Spots: connected pixels that stand out of their ring, measured against the background around them."""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from braggwatch.processing.detector import Detector
from braggwatch.processing.radial_bins import LEFT_OUT

TILE_ROWS, TILE_COLUMNS = 8, 64
"""Pixels that are compared with one threshold, the lowest of their rings, before any is looked at closely."""

FLAT_SIGMA = 0.01
"""ADU: standard deviation of a local background that has none, the value that peakfinder8 takes."""

FS, SS, PANEL, INTENSITY, BACKGROUND, SNR, N_PIXELS, MAX_VALUE = range(8)
"""Rows of the array that `search` fills."""


@dataclass(frozen=True, eq=False)
class Tiles:
    """Rectangles of pixels in which a spot can start, that is all but the outermost rows and columns of a panel.

    They lie in strips across a panel, so that the search can go along whole rows, as memory is read fastest.
    """

    strips: NDArray[np.int32]
    """``(n_strips, 5)``: first row, one past the last, panel, first tile, one past the last."""
    columns: NDArray[np.int32]
    """``(n_tiles, 2)``: first column, one past the last."""
    rings: NDArray[np.int32]
    """``(n_tiles, 2)``: smallest and largest bin among its pixels."""
    n_levels: int
    """How many lengths 1, 2, 4 … of runs of bins are needed to cover the bins of any tile with two runs."""

    @classmethod
    def of(cls, detector: Detector, bins: NDArray[np.uint16]) -> "Tiles":
        """Cut the panels into tiles and leave out those with no usable pixel."""
        strips, columns, rings = [], [], []
        n_tiles = 0
        for index, panel in enumerate(detector.panels):
            left, right = panel.fs_start + 1, panel.fs_stop - 1
            stops = np.minimum(np.arange(left, right, TILE_COLUMNS) + TILE_COLUMNS, right)
            # A last tile that would be narrower begins earlier: only full rows of a tile are compared fast.
            across = np.stack([np.maximum(stops - TILE_COLUMNS, left), stops], axis=1).astype(np.int32)
            for row in range(panel.ss_start + 1, panel.ss_stop - 1, TILE_ROWS):
                end = min(row + TILE_ROWS, panel.ss_stop - 1)
                found = np.empty_like(across)
                _find_rings(bins[row:end], across, found)
                used = found[:, 0] <= found[:, 1]
                columns.append(across[used])
                rings.append(found[used])
                strips.append((row, end, index, n_tiles, n_tiles + int(used.sum())))
                n_tiles = strips[-1][-1]
        empty = np.empty((0, 2), np.int32)
        all_rings = np.concatenate([empty, *rings])
        span = int((all_rings[:, 1] - all_rings[:, 0]).max(initial=0)) + 1
        strip_array = np.array(strips, np.int32).reshape(-1, 5)
        return cls(strip_array, np.concatenate([empty, *columns]), all_rings, span.bit_length())


def disc(radius: int) -> NDArray[np.int32]:
    """Return the row and column offsets of a disc, ``(n, 2)``.

    As in peakfinder8, the offset `radius` itself is not part of it while `-radius` is.
    """
    along = np.arange(-radius, radius)
    row, column = np.meshgrid(along, along, indexing="ij")
    inside = row**2 + column**2 <= radius**2
    return np.stack([row[inside], column[inside]], axis=1).astype(np.int32)


@njit(nogil=True, cache=True)
def _find_rings(bins, columns, rings):  # type: ignore[no-untyped-def]
    """Write the smallest and largest bin of each tile of one strip; the smallest is the larger where there is none."""
    for tile in range(len(columns)):
        low, high = np.int32(LEFT_OUT), np.int32(-1)
        for row in range(len(bins)):
            for column in range(columns[tile, 0], columns[tile, 1]):
                ring = bins[row, column]
                if ring != LEFT_OUT:
                    low, high = min(low, np.int32(ring)), max(high, np.int32(ring))
        rings[tile, 0], rings[tile, 1] = low, high


@njit(nogil=True, cache=True)
def set_floors(cut, rings, lowest, high, floors):  # type: ignore[no-untyped-def]
    """Write for each tile a value, in the image's type, that is not above the cut of any of its rings.

    `lowest` is work space, ``(n_levels, n_bins)``: ``lowest[level, k]`` becomes the lowest cut of the ``2**level``
    rings from k, so that two of them cover any run of rings. `high` is the largest value that counts.
    """
    n = lowest.shape[1]
    lowest[0, :] = cut[:n]
    for level in range(1, len(lowest)):
        half = 1 << (level - 1)
        for k in range(n - half):
            lowest[level, k] = min(lowest[level - 1, k], lowest[level - 1, k + half])
        lowest[level, n - half :] = lowest[level - 1, n - half :]
    for tile in range(len(rings)):
        first, last = rings[tile, 0], rings[tile, 1]
        level = 0
        while (2 << level) <= last - first + 1:
            level += 1
        threshold = min(lowest[level, first], lowest[level, last + 1 - (1 << level)])
        # Cuts are never negative, so for integers cutting off the fraction rounds down: v > 7.3 is v > 7.
        floors[tile] = high if threshold >= high else floors.dtype.type(threshold)


@njit(nogil=True, cache=True)
def _any_between(row, floor, high, truth):  # type: ignore[no-untyped-def]
    """Say whether any of 64 values lies above `floor` and not above `high`; all three of one type.

    Straight vector code, 16 times as fast as with a bool, because the number of turns is known when it is compiled and
    because the answer is kept in an unsigned integer as wide as a pixel: the type of `truth`.
    """
    yes, no = truth.dtype.type(1), truth.dtype.type(0)
    found = no
    for i in range(TILE_COLUMNS):
        found = max(found, yes if (row[i] > floor) & (row[i] <= high) else no)
    return found != no


@njit(nogil=True, cache=True)
def search(  # type: ignore[no-untyped-def]
    image, bins, low, high, flagged, truth, strips, columns, floors, cut, mean, noise, panels, ring_offsets,
    min_snr, min_pixels, max_pixels, seen, stamp, queue, out,
):  # fmt: skip
    """Find the spots of one image and return how many; their properties stand in the columns of `out`.

    `image` is ``(ss, fs)``; `bins`, `cut` and `mean` as in `RadialBackground`, `strips` and `columns` as in `Tiles`,
    `floors` from `set_floors`; `panels` ``(n, 4)``: first row, one past the last, first column, one past the last.
    Pixels of `seen` that hold `stamp` are taken as part of a spot that was looked at already. The search ends when
    `out` is full. `low`, `high`, `flagged` and `truth` as in `ValidRange`. Where `noise` ``(ss, fs)`` is not empty, a
    spot's pixels also stand `min_snr` times their own noise above their ring's mean.
    """
    n_found = 0
    for strip in range(len(strips)):
        panel, first_tile, last_tile = strips[strip, 2], strips[strip, 3], strips[strip, 4]
        for row in range(strips[strip, 0], strips[strip, 1]):
            for tile in range(first_tile, last_tile):
                left, right = columns[tile, 0], columns[tile, 1]
                floor = floors[tile]
                full = right - left == TILE_COLUMNS
                if full and not _any_between(image[row, left:right], floor, high, truth):
                    continue
                for column in range(left, right):
                    value = image[row, column]
                    if not (floor < value <= high) or not np.float32(value) > cut[bins[row, column]]:
                        continue
                    if seen[row, column] == stamp or _is_flagged(value, flagged):
                        continue
                    if _is_noise(value, noise, min_snr, mean, bins, row, column):
                        continue
                    n = _grow(
                        image, bins, high, flagged, cut, mean, noise, min_snr, panels[panel], seen, stamp, queue, row,
                        column,
                    )  # fmt: skip
                    if min_pixels <= n <= max_pixels and _measure(
                        image, bins, low, high, flagged, cut, mean, panels[panel], ring_offsets, queue[:n], min_snr,
                        out[:, n_found],
                    ):  # fmt: skip
                        out[PANEL, n_found] = panel
                        n_found += 1
                        if n_found == out.shape[1]:
                            return n_found
    return n_found


@njit(nogil=True, cache=True)
def _is_flagged(value, flagged):  # type: ignore[no-untyped-def]
    for flag in flagged:  # noqa: SIM110 (any() of a generator does not compile)
        if value == flag:
            return True
    return False


@njit(nogil=True, cache=True)
def _is_noise(value, noise, min_snr, mean, bins, row, column):  # type: ignore[no-untyped-def]
    return noise.size > 0 and not np.float32(value) - mean[bins[row, column]] > min_snr * noise[row, column]


@njit(nogil=True, cache=True)
def _grow(  # type: ignore[no-untyped-def]
    image, bins, high, flagged, cut, mean, noise, min_snr, panel, seen, stamp, queue, row, column
):  # fmt: skip
    """Collect into `queue` the pixels above their ring's cut that touch each other, corners included."""
    seen[row, column] = stamp
    queue[0, 0], queue[0, 1] = row, column
    done, n = 0, 1
    while done < n:
        row, column = queue[done, 0], queue[done, 1]
        done += 1
        for r in range(max(row - 1, panel[0]), min(row + 2, panel[1])):
            for c in range(max(column - 1, panel[2]), min(column + 2, panel[3])):
                value = image[r, c]
                if (
                    value <= high
                    and np.float32(value) > cut[bins[r, c]]
                    and seen[r, c] != stamp
                    and not _is_flagged(value, flagged)
                    and not _is_noise(value, noise, min_snr, mean, bins, r, c)
                ):
                    seen[r, c] = stamp
                    queue[n, 0], queue[n, 1] = r, c
                    n += 1
    return n


@njit(nogil=True, cache=True)
def _measure(  # type: ignore[no-untyped-def]
    image, bins, low, high, flagged, cut, mean, panel, ring_offsets, pixels, min_snr, out
):  # fmt: skip
    """Write a spot's properties into `out`; say whether it stands out of the background around it."""
    row, column = _centre_above_ring(image, bins, mean, pixels)
    n_background, background, sigma, highest = _local_background(
        image, bins, low, high, flagged, cut, panel, ring_offsets, row, column
    )
    if n_background == 0:
        background = mean[bins[pixels[0, 0], pixels[0, 1]]]
    total = sum_fs = sum_ss = max_value = 0.0
    for i in range(len(pixels)):
        value = np.float64(image[pixels[i, 0], pixels[i, 1]])
        total += value
        sum_fs += value * pixels[i, 1]
        sum_ss += value * pixels[i, 0]
        max_value = max(max_value, value)
    intensity = total - background * len(pixels)
    out[FS] = sum_fs / total + 0.5
    out[SS] = sum_ss / total + 0.5
    out[INTENSITY] = intensity
    out[BACKGROUND] = background
    out[SNR] = intensity / sigma
    out[N_PIXELS] = len(pixels)
    out[MAX_VALUE] = max_value
    return intensity >= min_snr * sigma and (n_background == 0 or max_value >= highest)


@njit(nogil=True, cache=True)
def _centre_above_ring(image, bins, mean, pixels):  # type: ignore[no-untyped-def]
    """Return row and column of the pixel at the centre of mass of what lies above the ring's mean."""
    total = sum_row = sum_column = 0.0
    for i in range(len(pixels)):
        row, column = pixels[i, 0], pixels[i, 1]
        value = np.float64(image[row, column]) - mean[bins[row, column]]
        total += value
        sum_row += value * row
        sum_column += value * column
    return np.int64(np.rint(sum_row / total)), np.int64(np.rint(sum_column / total))


@njit(nogil=True, cache=True)
def _local_background(  # type: ignore[no-untyped-def]
    image, bins, low, high, flagged, cut, panel, ring_offsets, row, column
):  # fmt: skip
    """Return number, mean, standard deviation and maximum of the pixels around a spot that stand below their cut."""
    n = 0
    s1 = s2 = 0.0
    highest = -np.inf
    for i in range(len(ring_offsets)):
        r, c = row + ring_offsets[i, 0], column + ring_offsets[i, 1]
        if not (panel[0] <= r < panel[1] and panel[2] <= c < panel[3]):
            continue
        ring = bins[r, c]
        value = image[r, c]
        if ring == LEFT_OUT or not (low <= value <= high) or _is_flagged(value, flagged):
            continue
        v = np.float64(value)
        if v < cut[ring]:
            n += 1
            s1 += v
            s2 += v * v
            highest = max(highest, v)
    if n == 0:
        return n, 0.0, FLAT_SIGMA, highest
    background = s1 / n
    variance = s2 / n - background * background
    return n, background, np.sqrt(variance) if variance > 1e-20 else FLAT_SIGMA, highest
