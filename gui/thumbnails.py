"""Small pictures of shots, made from their packed pixels. Free of Qt."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from braggwatch.gui.image_assembly import Assembly
from braggwatch.gui.shot_key import ShotKey
from braggwatch.processing.decompression import decompress
from braggwatch.processing.detector import Detector
from braggwatch.processing.pixel_values import IMAGE_DTYPES, ValidRange
from braggwatch.streamer.picture_messages import ShotImage

THUMBNAIL_PX = 96
"""The longer side of a picture."""
NOTHING, DARKEST, BRIGHTEST = 0, 1, 255
"""What a place in a picture can be: masked or beside the panels; or a shade from the strongest pixel to background."""
_SPOTS, _RINGS = (92.0, 99.8), (50.0, 99.8)
"""Percentiles of what is drawn white and black."""
_SURROUNDINGS = 5
_BACKGROUND = 0.3
_LARGEST_RATIO = 300
"""LZ4 packs 255 bytes into one at best; memory is not taken for what so few bytes cannot hold."""

Thumbnail = NDArray[np.uint8]
"""``(rows, columns)``: `NOTHING`, or a shade."""


@dataclass(frozen=True, eq=False)
class Frame:
    """Where a detector's pixels lie in a small picture, which is turned as `Assembly` turns the large one."""

    detector: Detector
    shape: tuple[int, int]
    """Rows and columns of the small picture."""
    bounds: NDArray[np.int64]
    """``(n, 4)``: first and last + 1 column, then row, of each panel in the image array."""
    forward: NDArray[np.float64]
    """``(n, 3, 2)``: rows fs, ss, and where image coordinates 0, 0 lie, in pixels of the small picture."""

    @classmethod
    def of(cls, detector: Detector, size: int = THUMBNAIL_PX) -> "Frame":
        """Fit a detector into `size` by `size` pixels."""
        assembly = Assembly(detector)
        bounds = np.array([(p.fs_start, p.fs_stop, p.ss_start, p.ss_stop) for p in detector.panels], np.int64)
        first, last = bounds[:, ::2] + 0.5, bounds[:, 1::2] - 0.5
        origin = assembly.to_picture(first[:, 0], first[:, 1])
        steps = np.maximum(last - first, 1.0)
        fs = (assembly.to_picture(last[:, 0], first[:, 1]) - origin) / steps[:, :1]
        ss = (assembly.to_picture(first[:, 0], last[:, 1]) - origin) / steps[:, 1:]
        forward = np.stack([fs, ss, origin - first[:, :1] * fs - first[:, 1:] * ss], axis=1)
        n_rows, n_columns = assembly.shape
        scale = size / max(n_rows, n_columns)
        shape = max(round(n_rows * scale), 1), max(round(n_columns * scale), 1)
        return cls(detector, shape, bounds, forward * np.array([shape[1] / n_columns, shape[0] / n_rows]))


def thumbnail(shot: ShotImage, frame: Frame) -> Thumbnail:
    """Return a small picture of a shot: the highest of the pixels that share a place, spots dark on bright background.

    Raises ValueError, with a sentence, where the pixels are not what the shot
    says or not the detector's.
    """
    return _shaded(strongest(_unpacked(shot, frame.detector.shape), frame))


def strongest(image: NDArray[Any], frame: Frame) -> NDArray[np.float32]:
    """Return the highest pixel that counts in each place of the small picture, float32; NaN where there is none.

    `image` is ``(ss, fs)`` of one of `IMAGE_DTYPES`.
    """
    detector = frame.detector
    valid = ValidRange.of(image.dtype, detector)
    out = np.full(frame.shape, np.nan, np.float32)
    _pool(image, detector.mask, valid.low, valid.high, valid.flagged, valid.truth, frame.bounds, frame.forward, out)
    return out


def _unpacked(shot: ShotImage, shape: tuple[int, int]) -> NDArray[Any]:
    if tuple(shot.shape) != shape:
        raise ValueError(f"the image has {shot.shape} pixels, the geometry {shape} (ss, fs)")
    if shot.dtype.lstrip("<>=|") not in IMAGE_DTYPES and shot.dtype not in (">u2", ">u4", ">i2", ">i4", ">f4"):
        raise ValueError(f"pixels of type {shot.dtype[:40]!r} cannot be shown")
    dtype = np.dtype(shot.dtype)
    n_bytes = shape[0] * shape[1] * dtype.itemsize
    if shot.encoding.algorithm != "bszstd" and len(shot.payload) * _LARGEST_RATIO < n_bytes:
        raise ValueError(f"the image takes {n_bytes} bytes, which {len(shot.payload)} packed ones cannot hold")
    image = np.empty(shape, dtype.newbyteorder("="))
    decompress(shot.payload, shot.encoding, shot.shape, shot.dtype, image)
    return image


def _shaded(pooled: NDArray[np.float32]) -> Thumbnail:
    known = np.isfinite(pooled)
    if not known.any():
        return np.full(pooled.shape, NOTHING, np.uint8)
    # a solvent ring must not drown the spots: what rises above its surroundings counts most
    smooth = median_filter(np.where(known, pooled, np.median(pooled[known])), _SURROUNDINGS, mode="nearest")
    strength = _share(pooled - smooth, known, _SPOTS) + _BACKGROUND * _share(smooth, known, _RINGS)
    shades = BRIGHTEST - np.clip(np.nan_to_num(strength), 0.0, 1.0) * (BRIGHTEST - DARKEST)
    return np.where(known, shades.astype(np.uint8), np.uint8(NOTHING))


def _share(values: NDArray[Any], known: NDArray[np.bool_], percentiles: tuple[float, float]) -> NDArray[Any]:
    white, black = np.percentile(values[known], percentiles)
    return np.sqrt(np.clip((values - white) / max(float(black - white), 1.0), 0.0, 1.0))


@njit(nogil=True, cache=True)
def _pool(image, mask, low, high, flagged, truth, bounds, forward, out):  # type: ignore[no-untyped-def]
    """Write the highest pixel of `image` ``(ss, fs)`` that falls on each place into `out`, NaN before.

    Pixels of `mask`, outside `low` to `high`, or among `flagged` ``(k,)`` do not count. `truth` ``(0,)`` has the type
    of `ValidRange.truth`; `bounds` and `forward` are those of `Frame`.
    """
    highest = np.empty(image.shape[1], image.dtype)
    known = np.empty(image.shape[1], truth.dtype)
    for p in range(bounds.shape[0]):
        fs_start, fs_stop, ss_start, ss_stop = bounds[p]
        x_fs, y_fs = forward[p, 0]
        x_ss, y_ss = forward[p, 1]
        x0, y0 = forward[p, 2]
        drift = max(abs(y_fs) * (fs_stop - fs_start), abs(x_ss) * (ss_stop - ss_start))
        if drift >= 0.5 or flagged.size > 0:
            for ss in range(ss_start, ss_stop):
                x, y = (ss + 0.5) * x_ss + x0, (ss + 0.5) * y_ss + y0
                _pool_pixels(image[ss], mask[ss], low, high, flagged, fs_start, fs_stop, x, x_fs, y, y_fs, out)
            continue
        # the panel lies along the places: all rows of pixels of one row of places are pooled before its columns
        x0 += 0.5 * (ss_start + ss_stop) * x_ss
        y0 += 0.5 * (fs_start + fs_stop) * y_fs
        part = slice(fs_start, fs_stop)
        ss = ss_start
        while ss < ss_stop:
            row = int(np.floor((ss + 0.5) * y_ss + y0))
            highest[part] = low
            known[part] = 0
            while ss < ss_stop and int(np.floor((ss + 0.5) * y_ss + y0)) == row:
                _raise(image[ss, part], mask[ss, part], low, high, highest[part], known[part])
                ss += 1
            if 0 <= row < out.shape[0]:
                _pool_columns(highest[part], known[part], fs_start, x0, x_fs, out[row])


@njit(nogil=True, cache=True, boundscheck=False)
def _raise(values, mask, low, high, highest, known):  # type: ignore[no-untyped-def]
    """Raise `highest` ``(n,)`` to the `values` that count, and note where there were any; written to be vectorised."""
    for i in range(values.size):
        value = values[i]
        counts = (not mask[i]) & (value >= low) & (value <= high)
        highest[i] = max(highest[i], value) if counts else highest[i]
        known[i] |= counts


@njit(nogil=True, cache=True)
def _pool_columns(highest, known, fs_start, x0, x_fs, row):  # type: ignore[no-untyped-def]
    """Pool what `_raise` left into a row of places."""
    for i in range(highest.size):
        x = x0 + (fs_start + i + 0.5) * x_fs
        if known[i] and 0.0 <= x < row.size and not highest[i] <= row[int(x)]:
            row[int(x)] = highest[i]


@njit(nogil=True, cache=True)
def _pool_pixels(values, mask, low, high, flagged, fs_start, fs_stop, x0, x_fs, y0, y_fs, out):  # type: ignore[no-untyped-def]
    """Pool a row of pixels that lies anyhow."""
    for fs in range(fs_start, fs_stop):
        value = values[fs]
        if mask[fs] or not (value >= low and value <= high):
            continue
        x, y = x0 + (fs + 0.5) * x_fs, y0 + (fs + 0.5) * y_fs
        if not (x >= 0.0 and x < out.shape[1] and y >= 0.0 and y < out.shape[0]):
            continue
        row, column = int(y), int(x)
        if value <= out[row, column]:
            continue
        bad = False
        for flag in flagged:
            bad |= value == flag
        if not bad:
            out[row, column] = value


class ThumbnailMaker:
    """Makes pictures in a thread that lives as long as there is something to do; the newest wish comes first."""

    def __init__(self, done: Callable[[], None]) -> None:
        """`done` is called in that thread after each picture."""
        self._done = done
        self._lock = threading.Lock()
        self._wanted: list[tuple[ShotImage, Detector]] = []
        self._in_the_making: ShotKey | None = None
        self._made: dict[ShotKey, Thumbnail | None] = {}
        self._working = False

    def want(self, shots: Iterable[tuple[ShotImage, Detector]]) -> None:
        """Ask for pictures of these shots, the last one first, instead of those that were asked for before.

        What is in the making, or made and not taken yet, is not made again.
        """
        with self._lock:
            known = {self._in_the_making, *self._made}
            self._wanted = [(shot, on) for shot, on in shots if ShotKey.of(shot.result) not in known]
            if not self._wanted or self._working:
                return
            self._working = True
        threading.Thread(target=self._work, name="thumbnails", daemon=True).start()

    def take(self) -> dict[ShotKey, Thumbnail | None]:
        """Return what was made since the last call; None for a shot that no picture can be made of."""
        with self._lock:
            made, self._made = self._made, {}
        return made

    def _work(self) -> None:
        frame: Frame | None = None
        while True:
            with self._lock:
                if not self._wanted:
                    self._working = False
                    return
                shot, detector = self._wanted.pop()
                key = self._in_the_making = ShotKey.of(shot.result)
            try:
                if frame is None or frame.detector is not detector:
                    frame = Frame.of(detector)
                picture: Thumbnail | None = thumbnail(shot, frame)
            except ValueError:
                picture = None  # the image panel says why
            with self._lock:
                self._made[key], self._in_the_making = picture, None
            self._done()
