"""Adds up many shots to a virtual powder: sum, maximum and radial profile, binned for display.

Pixels are added up in square blocks, so that the picture of any detector has at most 2²⁰ pixels, however long and thin
its image array is. What is masked, not a number, or a value by which the detector says that it knows nothing does not
count, in any shot.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import count

import numpy as np
from numba import njit
from numpy.typing import NDArray

from braggwatch.processing.compression import bslz4_chunk
from braggwatch.processing.detector import Detector
from braggwatch.processing.pixel_values import ValidRange, plain_image
from braggwatch.streamer.messages import unpack_peaks
from braggwatch.streamer.picture_messages import Powder, PowderKind

MAX_BLOCKS = 2**20
"""Pixels of the picture: 4 MiB of float32, before they are packed."""
N_RINGS = 500
"""Bins of the radial profile."""
_NO_RING = -1


def binning_of(shape: tuple[int, int]) -> int:
    """Return the side of the blocks, pixels: the shortest by which the image array has at most `MAX_BLOCKS`."""
    n_ss, n_fs = shape
    return next(side for side in count(1) if -(-n_ss // side) * -(-n_fs // side) <= MAX_BLOCKS)


class BinnedDetector:
    """The blocks of a detector's pixels, and which ring of the radial profile each belongs to."""

    def __init__(self, detector: Detector) -> None:
        """Lay the blocks over the image array of a detector, with its mask."""
        self.detector = detector
        self.binning = binning_of(detector.shape)
        n_ss, n_fs = (-(-side // self.binning) for side in detector.shape)
        self.shape = (n_ss, n_fs)
        self.q = np.empty(0, np.float32)
        """Middle of each ring, 1/Angstrom; empty where the photon energy is not known."""
        self.q_max = float("nan")
        """Of the outermost pixel, 1/Angstrom."""
        self.rings = np.full(self.shape, _NO_RING, np.int16)
        self.usable = np.zeros(self.shape, np.bool_)
        """Whether a block has any pixel that is not masked."""
        self._find_rings(replace(detector))  # a copy, so that the maps that it keeps go with it

    def _find_rings(self, detector: Detector) -> None:
        if detector.beam is None:
            q = np.full(detector.shape, np.nan, np.float32)
        else:
            q = detector.q_map()
            self.q_max = float(np.nanmax(q))
        if self.q_max > 0:
            self.q = ((np.arange(N_RINGS) + 0.5) * (self.q_max / N_RINGS)).astype(np.float32)
        _rings_of_blocks(q, detector.mask, detector.panel_map, self.binning, self.q_max / N_RINGS, self.rings)
        good = np.zeros((self.shape[0] * self.binning, self.shape[1] * self.binning), np.bool_)
        good[: detector.shape[0], : detector.shape[1]] = ~detector.mask
        blocks = good.reshape(self.shape[0], self.binning, self.shape[1], self.binning)
        self.usable[:] = blocks.any(axis=(1, 3))


class PixelPowder:
    """The pixels of shots, added up."""

    def __init__(self, kind: PowderKind, grid: BinnedDetector) -> None:
        self.n_shots = 0
        self._kind: PowderKind = kind
        self._grid = grid
        self._sum = np.zeros(grid.shape, np.float64)
        self._n_values = np.zeros(grid.shape, np.uint32)
        self._maximum = np.full(grid.shape, -np.inf, np.float32)

    def add(self, image: NDArray[np.generic]) -> None:
        """Add a shot, ``(ss, fs)`` of a type of `IMAGE_DTYPES`, ADU; raises as `plain_image` does for others."""
        grid = self._grid
        pixels = plain_image(image, grid.detector).reshape(grid.detector.shape)
        valid = ValidRange.of(pixels.dtype, grid.detector)
        _add_pixels(
            pixels, grid.detector.mask, valid.low, valid.high, valid.flagged, grid.binning,
            self._sum, self._n_values, self._maximum,
        )  # fmt: skip
        self.n_shots += 1

    def message(self, of: int) -> Powder:
        """Return the powder so far; `of`: how many shots there were of which these are a sample.

        The sum is that of a pixel: the mean of all values in a block, times the number of shots.
        """
        known = self._n_values > 0
        mean = np.divide(self._sum, self._n_values, out=np.full(self._sum.shape, np.nan), where=known)
        maximum = np.where(known, self._maximum, np.float32(np.nan))
        return Powder(
            kind=self._kind, n_shots=self.n_shots, of=max(of, self.n_shots), binning=self._grid.binning,
            shape=self._grid.shape, sum=bslz4_chunk((mean * self.n_shots).astype(np.float32)),
            maximum=bslz4_chunk(maximum), q=self._grid.q.tobytes(),
            profile=self._profile().tobytes() if len(self._grid.q) else b"",
        )  # fmt: skip

    def _profile(self) -> NDArray[np.float32]:
        in_ring = self._grid.rings != _NO_RING
        rings = self._grid.rings[in_ring]
        sums = np.bincount(rings, self._sum[in_ring], N_RINGS)
        n_values = np.bincount(rings, self._n_values[in_ring], N_RINGS)
        mean = np.divide(sums, n_values, out=np.full(N_RINGS, np.nan), where=n_values > 0)
        return np.asarray(mean, np.float32)


class SpotPowder:
    """The intensities of the spots of hits, each added where the spot lies."""

    def __init__(self, grid: BinnedDetector) -> None:
        self.n_shots = 0
        self._grid = grid
        self._sum = np.zeros(grid.shape, np.float64)

    def add(self, shots: Sequence[bytes]) -> None:
        """Add shots, each as rows of `PEAK`; spots beyond the image or of no finite intensity are left out."""
        peaks = unpack_peaks(b"".join(shots))
        known = np.isfinite(peaks["fs"]) & np.isfinite(peaks["ss"]) & np.isfinite(peaks["intensity"])
        fs, ss = (np.floor_divide(peaks[name][known], self._grid.binning) for name in ("fs", "ss"))
        inside = (fs >= 0) & (ss >= 0) & (fs < self._grid.shape[1]) & (ss < self._grid.shape[0])
        blocks = ss[inside].astype(np.intp), fs[inside].astype(np.intp)
        np.add.at(self._sum, blocks, peaks["intensity"][known][inside].astype(np.float64))
        self.n_shots += len(shots)

    def message(self, of: int) -> Powder:
        """Return the powder so far, of so many hits; what a block has is the sum over its pixels."""
        total = np.where(self._grid.usable, self._sum, np.nan).astype(np.float32)
        return Powder(
            kind="spots", n_shots=self.n_shots, of=max(of, self.n_shots), binning=self._grid.binning,
            shape=self._grid.shape, sum=bslz4_chunk(total), maximum=b"",
        )  # fmt: skip


@njit(nogil=True, cache=True)
def _rings_of_blocks(q, masked, panels, binning, ring_width, rings):  # type: ignore[no-untyped-def]
    """Write each block's ring by the mean q of its usable pixels; none where these are of two panels, or unknown."""
    n_ss, n_fs = q.shape
    for row in range(rings.shape[0]):
        for column in range(rings.shape[1]):
            total, n, panel, mixed = 0.0, 0, -1, False
            for i in range(row * binning, min((row + 1) * binning, n_ss)):
                for j in range(column * binning, min((column + 1) * binning, n_fs)):
                    if masked[i, j]:
                        continue
                    mixed |= n > 0 and panels[i, j] != panel
                    panel = panels[i, j]
                    total += q[i, j]
                    n += 1
            if n > 0 and not mixed and total == total and ring_width > 0.0:
                rings[row, column] = min(int(total / n / ring_width), N_RINGS - 1)


@njit(nogil=True, cache=True)
def _add_pixels(image, masked, low, high, flagged, binning, sums, n_values, maxima):  # type: ignore[no-untyped-def]
    """Add the usable pixels of an image to the sums, numbers and maxima of its blocks.

    The rows of a block are first added up column by column: these loops vectorise, one over each block's pixels would
    not.
    """
    n_ss, n_fs = image.shape
    good = np.empty(n_fs, np.bool_)
    column_sum = np.empty(n_fs, np.float64)
    column_n = np.empty(n_fs, np.uint32)
    column_max = np.empty(n_fs, np.float32)
    for block_row in range(sums.shape[0]):
        column_sum[:] = 0.0
        column_n[:] = 0
        column_max[:] = -np.inf
        for row in range(block_row * binning, min((block_row + 1) * binning, n_ss)):
            pixels, left_out = image[row], masked[row]
            for j in range(n_fs):
                good[j] = (pixels[j] >= low) & (pixels[j] <= high) & (not left_out[j])
            for flag in flagged:
                for j in range(n_fs):
                    good[j] &= pixels[j] != flag
            for j in range(n_fs):
                value = np.float32(pixels[j])
                column_sum[j] += np.float64(pixels[j]) if good[j] else 0.0
                column_n[j] += np.uint32(good[j])
                column_max[j] = value if good[j] and value > column_max[j] else column_max[j]
        for block in range(sums.shape[1]):
            total, n, largest = 0.0, np.uint32(0), maxima[block_row, block]
            for j in range(block * binning, min((block + 1) * binning, n_fs)):
                total += column_sum[j]
                n += column_n[j]
                largest = max(largest, column_max[j])
            sums[block_row, block] += total
            n_values[block_row, block] += n
            maxima[block_row, block] = largest
