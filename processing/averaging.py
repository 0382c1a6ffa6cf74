"""Mean, standard deviation and maximum of each pixel over many images, in the memory of a few."""

from concurrent.futures import Executor
from itertools import pairwise
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from braggwatch.processing.detector import Detector
from braggwatch.processing.pixel_values import IMAGE_DTYPES, ValidRange, plain_image

_BATCH = 8
"""Images that wait until they are worked in together: the sums are fetched from memory once for all of them."""
_PIXELS = 192
"""Pixels whose sums of one batch stay in the fastest cache."""
_PARTS = 8
"""Into how many parts a batch is cut for several threads."""


class RunningMoments:
    """Takes images one by one and knows the moments of each pixel.

    The mean and the sum of squared deviations of eight images are taken in two passes and merged into the running ones
    by the update of Chan, Golub and LeVeque (1979): nothing is ever the difference of large sums, so a pedestal of
    thousands of ADU costs no digits. Values that mean bad (`ValidRange`) are left out, pixel by pixel.
    """

    def __init__(self, detector: Detector) -> None:
        """Get ready for images of a detector; its flag values are left out, its mask is not looked at."""
        n = detector.shape[0] * detector.shape[1]
        self.detector = detector
        self._count = np.zeros(n, np.uint32)
        self._mean = np.zeros(n, np.float64)
        self._m2 = np.zeros(n, np.float64)
        self._maximum = np.full(n, -np.inf, np.float32)
        self._waiting: NDArray[Any] = np.empty((0, n), np.uint8)
        self._n_waiting = 0
        self._n_images = 0

    @property
    def n_images(self) -> int:
        """How many images went in."""
        return self._n_images

    def add(self, image: NDArray[Any]) -> None:
        """Take an image ``(ss, fs)``; types as for `PeakFinder`. It is copied.

        Raises ValueError for another shape, TypeError for other than numbers.
        """
        flat = plain_image(image, self.detector)
        if self._waiting.dtype != flat.dtype or not len(self._waiting):
            self._work_in()
            self._waiting = np.empty((_BATCH, flat.size), flat.dtype)
        self._waiting[self._n_waiting] = flat
        self._n_waiting += 1
        self._n_images += 1
        if self._n_waiting == _BATCH:
            self._work_in()

    def add_stack(self, images: NDArray[Any], pool: Executor | None = None) -> None:
        """Take images ``(n, ss, fs)`` of one of the types of `PeakFinder` without copying them.

        Eight at a time are as fast as it gets; with `pool` its threads share the work. Raises ValueError for another
        shape, TypeError for other types.
        """
        if images.ndim != 3 or images.shape[1:] != self.detector.shape:
            raise ValueError(f"expected images of shape (n, {self.detector.shape}), found {images.shape}")
        if images.dtype.name not in IMAGE_DTYPES or not images.dtype.isnative or not images.flags.c_contiguous:
            raise TypeError(f"expected images of {', '.join(IMAGE_DTYPES)} in C order, found {images.dtype}")
        self._work_in()
        flat = images.view()
        flat.flags.writeable = False
        self._merge_batch(flat.reshape(len(images), -1), pool)
        self._n_images += len(images)

    def merge(self, other: "RunningMoments") -> None:
        """Take what another one has gathered; raises ValueError where the shapes differ."""
        if other.detector.shape != self.detector.shape:
            raise ValueError(f"averages of shapes {self.detector.shape} and {other.detector.shape} cannot be merged")
        other._work_in()
        self._merge(other._count, other._mean, other._m2, other._maximum, other._n_images)

    def merge_average(
        self,
        count: NDArray[np.uint32],
        mean: NDArray[np.float32],
        stddev: NDArray[np.float32],
        maximum: NDArray[np.float32],
        n_images: int,
    ) -> None:
        """Take what another process has gathered, as its properties of these names gave it, ``(ss, fs)``."""
        n = count.reshape(-1)
        deviation = np.where(n > 1, stddev.reshape(-1), 0.0).astype(np.float64)
        known = n > 0
        self._merge(
            n,
            np.where(known, mean.reshape(-1), 0.0).astype(np.float64),
            deviation**2 * np.maximum(n.astype(np.float64) - 1.0, 0.0),
            np.where(known, maximum.reshape(-1), -np.inf).astype(np.float32),
            n_images,
        )

    @property
    def count(self) -> NDArray[np.uint32]:
        """``(ss, fs)``: images in which the pixel had a value."""
        return self._shaped(self._count)

    @property
    def mean(self) -> NDArray[np.float32]:
        """``(ss, fs)``, ADU; NaN where the pixel never had a value."""
        return np.where(self.count > 0, self._shaped(self._mean), np.nan).astype(np.float32)

    @property
    def stddev(self) -> NDArray[np.float32]:
        """``(ss, fs)``, ADU: standard deviation of a single value (n - 1); NaN below two values."""
        count = self.count.astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(count > 1, np.sqrt(self._shaped(self._m2) / (count - 1)), np.nan).astype(np.float32)

    @property
    def maximum(self) -> NDArray[np.float32]:
        """``(ss, fs)``, ADU; NaN where the pixel never had a value."""
        return np.where(self.count > 0, self._shaped(self._maximum), np.nan).astype(np.float32)

    def _shaped(self, flat: NDArray[Any]) -> NDArray[Any]:
        self._work_in()
        return flat.reshape(self.detector.shape)

    def _work_in(self) -> None:
        if self._n_waiting:
            waiting = self._waiting[: self._n_waiting].view()
            waiting.flags.writeable = False
            self._n_waiting = 0
            self._merge_batch(waiting, None)

    def _merge_batch(self, images: NDArray[Any], pool: Executor | None) -> None:
        valid = ValidRange.of(images.dtype, self.detector)
        # Sums of eight numbers of 16 bits are exact in float32, which is twice as fast.
        number = np.float32 if images.dtype.itemsize < 4 and len(images) <= _BATCH else np.float64

        def merge_part(first: int, last: int) -> None:
            _merge_batch(
                images, first, last, valid.low, valid.high, valid.flagged, np.empty((3, _PIXELS), number),
                self._count, self._mean, self._m2, self._maximum,
            )  # fmt: skip

        n = images.shape[1]
        if pool is None:
            merge_part(0, n)
        else:
            edges = [n * part // _PARTS for part in range(_PARTS + 1)]
            for done in [pool.submit(merge_part, *part) for part in pairwise(edges)]:
                done.result()

    def _merge(
        self,
        count: NDArray[np.uint32],
        mean: NDArray[np.float64],
        m2: NDArray[np.float64],
        maximum: NDArray[np.float32],
        n_images: int,
    ) -> None:
        self._work_in()
        ours, theirs = self._count.astype(np.float64), count.astype(np.float64)
        share = theirs / np.maximum(ours + theirs, 1.0)
        delta = mean - self._mean
        self._mean += delta * share
        self._m2 += m2 + delta**2 * ours * share
        self._count += count
        np.maximum(self._maximum, maximum, out=self._maximum)
        self._n_images += n_images


@njit(nogil=True, cache=True)
def _merge_batch(  # type: ignore[no-untyped-def]
    images, first, last, low, high, flagged, scratch, count, mean, m2, maximum
):  # fmt: skip
    """Merge pixels `first` to `last` of a batch ``(n_images, n_pixels)`` into their moments, ``(n_pixels,)``."""
    number = scratch.dtype.type
    zero, one, lowest = number(0), number(1), number(-np.inf)
    n, sums, top = scratch[0], scratch[1], scratch[2]
    for start in range(first, last, _PIXELS):
        width = min(_PIXELS, last - start)
        n[:], sums[:], top[:] = zero, zero, lowest
        for k in range(images.shape[0]):
            pixels = images[k, start : start + width]
            for i in range(width):
                known = (pixels[i] >= low) & (pixels[i] <= high)
                for flag in flagged:
                    known &= pixels[i] != flag
                value = number(pixels[i])
                n[i] += one if known else zero
                sums[i] += value if known else zero
                top[i] = max(top[i], value if known else lowest)
        # slices of them, as indexing from `start` on keeps loops from being vectorised
        here = slice(start, start + width)
        counts, means, sums2, highest = count[here], mean[here], m2[here], maximum[here]
        for i in range(width):
            sums[i] = sums[i] / max(n[i], one)
            highest[i] = max(highest[i], np.float32(top[i]))
        squares = top
        squares[:] = zero
        for k in range(images.shape[0]):
            pixels = images[k, start : start + width]
            for i in range(width):
                known = (pixels[i] >= low) & (pixels[i] <= high)
                for flag in flagged:
                    known &= pixels[i] != flag
                deviation = number(pixels[i]) - sums[i]
                squares[i] += deviation * deviation if known else zero
        for i in range(width):
            ours, theirs = np.float64(counts[i]), np.float64(n[i])
            share = theirs / max(ours + theirs, 1.0)
            delta = np.float64(sums[i]) - means[i]
            means[i] += delta * share
            sums2[i] += np.float64(squares[i]) + delta * delta * ours * share
            counts[i] += np.uint32(n[i])
