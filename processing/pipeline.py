"""From packed frames to shots that have been through the chain: what a worker does, without its sockets."""

from time import monotonic, perf_counter
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from braggwatch.processing.chain import Chain
from braggwatch.processing.decompression import decompress
from braggwatch.processing.detector_settings import Correction, DetectorSettings
from braggwatch.processing.frame import Frame, Series, image_nbytes
from braggwatch.processing.pixel_watch import EVERY_S, BadPixelSearch, DarkDrift
from braggwatch.processing.shot import Shot
from braggwatch.processing.shot_groups import GroupSettings


class RefusedFrameError(ValueError):
    """A frame's pixels cannot be unpacked, or do not fit the series."""


class Pipeline:
    """Unpack, calibrate, and send through the chain, for the frames of one series."""

    def __init__(
        self, series: Series, settings: DetectorSettings, chain: Chain, groups: GroupSettings | None = None
    ) -> None:
        """Get ready for a series: geometry, calibration and every stage; kernels are compiled here.

        Raises ValueError where the geometry is incomplete or does not fit the frames.
        """
        self.series = series = settings.named(series)
        self.detector = settings.detector(series)
        self.calibration = settings.calibration(self.detector)
        if self.calibration is not None:
            self.detector = self.calibration.corrected
        self.chain = chain
        self._groups = groups or GroupSettings()
        noise = self.detector.noise
        self._drift = None if noise is None else DarkDrift(self.detector, noise)
        search = self.calibration is not None and settings.find_bad_pixels
        self._search = BadPixelSearch(self.detector) if search else None
        self._next_look = 0.0
        self._max_image_bytes = settings.max_image_bytes
        # Reused for every frame: a fresh 36 MB array a frame costs more in page faults than its decoding.
        self._raw = np.empty((0, 0), np.uint8)
        seen = series
        if self.calibration is not None and series.dtype is not None:
            corrected = self.calibration(np.zeros(self.detector.shape, series.dtype))
            seen = msgspec.structs.replace(series, dtype=corrected.dtype.name)
        chain.begin(seen, self.detector)

    def process(self, frame: Frame) -> Shot:
        """Send one frame through the chain.

        The shot's image is valid until the next call. Raises RefusedFrameError where the pixels cannot be unpacked or
        do not fit the detector; whatever a stage raises goes through.
        """
        start = perf_counter()
        raw = self._unpack(frame)
        image = raw if self.calibration is None else self.calibration(raw)
        group = self._groups.group_of(frame.values)
        shot = Shot(self.series, frame, image, self.detector, group=group, pixels_changed=image is not raw)
        shot.timings["decode"] = perf_counter() - start
        self.chain.event(shot)
        if self.calibration is not None and not shot.is_hit and monotonic() >= self._next_look:
            self._look_at_blank(shot, self.calibration, image)
        return shot

    def _look_at_blank(self, shot: Shot, calibration: Correction, image: NDArray[np.float32]) -> None:
        """Let a blank say, once a second, whether the dark still fits and which pixels went bad."""
        self._next_look = monotonic() + EVERY_S
        if self._drift is not None:
            found = calibration.common_mode
            said = self._drift.look(image, None if found is None else found.levels)
            if said is not None:
                shot.notices["dark-drift"] = said
        bad = None if self._search is None else self._search.look(image)
        new = 0 if bad is None else np.count_nonzero(bad & ~calibration.mask)
        if bad is not None and new:
            calibration.mask_pixels(bad)
            shot.notices["bad-pixels"] = (
                f"{new} pixels went dead, hot or noisy, and are left out from now on; `braggwatch dark` finds them too"
            )

    def end(self) -> None:
        """Finish the series: every stage flushes and closes what is open."""
        self.chain.end()

    def _unpack(self, frame: Frame) -> NDArray[Any]:
        nbytes = image_nbytes(frame.shape, frame.dtype)
        if frame.shape != self.detector.shape:
            raise RefusedFrameError(f"the frame's shape is {frame.shape}, the detector's is {self.detector.shape}")
        if nbytes > self._max_image_bytes:
            raise RefusedFrameError(
                f"the frame unpacks to {nbytes} bytes, [detector] max_image_bytes allows {self._max_image_bytes}"
            )
        if self._raw.shape != frame.shape or self._raw.dtype != np.dtype(frame.dtype):
            self._raw = np.empty(frame.shape, frame.dtype)
        try:
            decompress(frame.payload, frame.encoding, frame.shape, frame.dtype, self._raw)
        except ValueError as error:
            raise RefusedFrameError(str(error)) from error
        return self._raw
