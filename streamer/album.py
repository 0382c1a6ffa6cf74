"""The pictures made of many shots of one geometry: peakogram and powders. No thread, no socket."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from braggwatch.processing.decompression import decompress
from braggwatch.processing.detector import Detector
from braggwatch.processing.detector_settings import Correction
from braggwatch.processing.frame import Frame
from braggwatch.streamer.peakogram import SpotCounts
from braggwatch.streamer.picture_messages import Peakogram, Powder
from braggwatch.streamer.powder import BinnedDetector, PixelPowder, SpotPowder

PEAKOGRAM_EVERY_S = 2.0
POWDER_EVERY_S = 5.0


class Album:
    """Adds up shots, and gives each picture as a message when it is time and something has changed."""

    def __init__(self, detector: Detector, calibration: Correction | None) -> None:
        """Begin with empty pictures; pixels are calibrated as the workers do, before any stage sees them."""
        grid = BinnedDetector(detector)
        self._detector = detector
        self._calibration = calibration
        self._spot_counts = SpotCounts(1 / grid.q_max) if grid.q_max > 0 else None
        self._spots = SpotPowder(grid)
        self._hits = PixelPowder("hits", grid)
        self._all = PixelPowder("all", grid)
        self._raw: NDArray[Any] = np.empty((0, 0), np.uint8)
        self._said: dict[str, tuple[float, tuple[int, int]]] = {}
        """Of each picture: when it was given last, monotonic seconds, and how many shots were in it, of how many."""
        self.n_hits = 0
        """Hits of this geometry so far, also those that were not looked at."""
        self.n_frames = 0

    def add_spots(self, shots: Sequence[bytes]) -> None:
        """Add hits, the spots of each as rows of `PEAK`."""
        self._spots.add(shots)
        if self._spot_counts is not None:
            self._spot_counts.add(shots)

    def add_pixels(self, frame: Frame, *, to_hits: bool, to_all: bool) -> None:
        """Unpack a shot and add its pixels; raises ValueError where they cannot be unpacked or do not fit."""
        dtype = np.dtype(frame.dtype).newbyteorder("=")
        if frame.shape != self._detector.shape:
            raise ValueError(f"the frame's shape is {frame.shape}, the detector's is {self._detector.shape}")
        if self._raw.shape != frame.shape or self._raw.dtype != dtype:
            self._raw = np.empty(frame.shape, dtype)
        decompress(frame.payload, frame.encoding, frame.shape, frame.dtype, self._raw)
        image = self._raw if self._calibration is None else self._calibration(self._raw)
        if to_hits:
            self._hits.add(image)
        if to_all:
            self._all.add(image)

    def messages(self, now: float, *, last: bool = False) -> list[Peakogram | Powder]:
        """Return the pictures that have changed and whose time has come; `last`: whether it has come or not."""
        due: list[Peakogram | Powder] = []
        counts, shots = self._spot_counts, self._spots.n_shots
        if counts is not None and self._is_due("peakogram", (shots, shots), PEAKOGRAM_EVERY_S, now, last):
            due.append(counts.message())
        for name, powder, of in (
            ("spots", self._spots, self.n_hits),
            ("hits", self._hits, self.n_hits),
            ("all", self._all, self.n_frames),
        ):
            if self._is_due(name, (powder.n_shots, of), POWDER_EVERY_S, now, last):
                due.append(powder.message(of))
        return due

    def _is_due(self, name: str, content: tuple[int, int], every: float, now: float, last: bool) -> bool:
        said_at, said = self._said.get(name, (float("-inf"), (0, 0)))
        if not content[0] or content == said or (now - said_at < every and not last):
            return False
        self._said[name] = now, content
        return True
