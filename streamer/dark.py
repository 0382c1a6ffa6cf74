"""Darks from a stream, from files, or from the averages of several workers."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Any

import msgspec
import numpy as np
import zmq
from numpy.typing import NDArray

from braggwatch.processing.average_files import (
    PEDESTAL_NOISE,
    PEDESTALS,
    blank_detector,
    is_average,
    read_average,
)
from braggwatch.processing.averaging import RunningMoments
from braggwatch.processing.decompression import decompress
from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Frame, Refused, Series, SeriesEnd, image_nbytes
from braggwatch.processing.jungfrau import ADC, ERROR, SATURATED, STAGE_CODES
from braggwatch.streamer.sources.source import Source

_TOGETHER = 8
"""Frames that are unpacked and worked in together."""
_MAX_IMAGE_BYTES = 2**30
_POLL_MS = 200


@dataclass(frozen=True, eq=False)
class TakenDark:
    """What became of the frames."""

    moments: RunningMoments
    n_refused: int
    """Frames that could not be unpacked or had another shape or type than the first."""
    last_refusal: str
    series: str
    """The detector's own name of the first series, if it has one."""
    stages: tuple[RunningMoments, ...] = ()
    """Of a JUNGFRAU, raw pixels by gain stage; `moments` is then that of the first."""

    @property
    def pedestals(self) -> dict[str, NDArray[np.float32]]:
        """Mean and noise of each gain stage, ``(3, ss, fs)``, ADU, by dataset; NaN where a pixel never was in it."""
        if not self.stages:
            return {}
        means = [stage.mean - code for stage, code in zip(self.stages, STAGE_CODES, strict=True)]
        return {
            PEDESTALS: np.stack(means).astype(np.float32),
            PEDESTAL_NOISE: np.stack([stage.stddev for stage in self.stages]),
        }


def merged_averages(paths: Sequence[Path]) -> TakenDark | None:
    """Merge averages of the stage ``average`` into one; None where one of the files is something else.

    Raises ValueError where their shapes differ.
    """
    if not paths or not all(is_average(path) for path in paths):
        return None
    merged = read_average(paths[0])
    for path in paths[1:]:
        merged.merge(read_average(path))
    return TakenDark(merged, 0, "", "")


def take_dark(
    source: Source,
    *,
    n_frames: int | None = None,
    one_series: bool = False,
    gain_stages: bool = False,
    progress: Callable[[int], None] = lambda _: None,
    stopped: Callable[[], bool] = lambda: False,
) -> TakenDark:
    """Average the frames of a source until `n_frames` are in, or it has no more, or `stopped` says so.

    With `one_series` the end of the series ends it too, as for a detector that may send others. Frames that cannot be
    unpacked, or are not as the first one, are counted and left out. With `gain_stages` the pixels are a JUNGFRAU's and
    are averaged by the stage that they say. `progress` is told how many are in. Raises
    ValueError where no frame could be used.
    """
    taker = FrameAverager(n_frames, progress, gain_stages=gain_stages)
    try:
        poller = zmq.Poller()
        for socket in source.sockets:
            poller.register(socket, zmq.POLLIN)
        while not (taker.is_full or source.exhausted or stopped()):
            for socket, _ in poller.poll(_POLL_MS):
                for event in source.receive(socket) or ():
                    taker.take(event)
            if one_series and taker.series_ended:
                break
    finally:
        taker.finish()
    return taker.result()


class FrameAverager:
    """Gathers frames by eights, and lets two threads unpack them and work them in."""

    def __init__(self, n_frames: int | None, progress: Callable[[int], None], *, gain_stages: bool = False) -> None:
        self._left = n_frames
        self._progress = progress
        self._pool = ThreadPoolExecutor(min(os.cpu_count() or 1, 4))
        self._series: dict[str, Series] = {}
        self._first: Series | None = None
        self._moments: list[RunningMoments] = []
        self._by_stage = gain_stages
        self._stack: NDArray[Any] = np.empty((0, 0, 0), np.uint8)
        self._waiting: list[Frame] = []
        self._n_refused = 0
        self._refusal = ""
        self._shown = 0.0
        self.series_ended = False

    @property
    def is_full(self) -> bool:
        """Whether as many frames are in, or on their way in, as were asked for."""
        return self._left == 0

    def take(self, event: Series | Frame | SeriesEnd | Refused) -> None:
        """Take what a source says."""
        if isinstance(event, Series):
            self._series[event.key] = event
        elif isinstance(event, SeriesEnd):
            self.series_ended = bool(self._moments)
        elif isinstance(event, Refused):
            self._refuse(event.reason)
        elif not self.is_full:
            self._take_frame(event)

    def _take_frame(self, frame: Frame) -> None:
        if not self._moments:
            if image_nbytes(frame.shape, frame.dtype) > _MAX_IMAGE_BYTES:
                self._refuse(f"a frame unpacks to more than {_MAX_IMAGE_BYTES} bytes")
                return
            self._first = self._series.get(frame.series, Series(key=frame.series, number=0))
            if self._by_stage and np.dtype(frame.dtype).newbyteorder("=") != np.uint16:
                self._refuse(f"a frame is of {frame.dtype}, expected JUNGFRAU's raw pixels as uint16")
                return
            self._moments = [RunningMoments(one) for one in _detectors(self._first, frame, self._by_stage)]
            self._stack = np.empty((_TOGETHER, *frame.shape), frame.dtype)
        if frame.shape != self._stack.shape[1:] or np.dtype(frame.dtype) != self._stack.dtype:
            self._refuse(
                f"a frame is of {frame.shape} {frame.dtype}, the first was of {self._stack.shape[1:]} "
                f"{self._stack.dtype}"
            )
            return
        self._waiting.append(frame)
        if self._left is not None:
            self._left -= 1
        if len(self._waiting) == _TOGETHER or self.is_full:
            self._work_in()

    def _work_in(self) -> None:
        if not self._moments or not self._waiting:
            return
        frames, self._waiting = self._waiting, []
        jobs = [self._pool.submit(_unpack, frame, self._stack[slot]) for slot, frame in enumerate(frames)]
        faults = [job.result() for job in jobs]
        good = [slot for slot, fault in enumerate(faults) if fault is None]
        for fault in faults:
            if fault is not None:
                self._refuse(fault)
        if len(good) < len(frames):
            self._stack[: len(good)] = self._stack[good]
        stack = self._stack[: len(good)]
        native = stack if stack.dtype.isnative else stack.astype(stack.dtype.newbyteorder("="))
        for moments in self._moments if good else ():
            moments.add_stack(native, self._pool)
        if monotonic() - self._shown > 0.1:
            self._shown = monotonic()
            self._progress(self._moments[0].n_images)

    def _refuse(self, reason: str) -> None:
        self._n_refused += 1
        self._refusal = reason

    def finish(self) -> None:
        """Work in the frames that still wait, and let the threads go."""
        self._work_in()
        self._pool.shutdown()

    def result(self) -> TakenDark:
        """Return what came of it; raises ValueError where no frame could be used."""
        if not self._moments or not self._moments[0].n_images:
            raise ValueError(f"no frame could be averaged{f': {self._refusal}' if self._refusal else ''}")
        self._progress(self._moments[0].n_images)
        name = "" if self._first is None else self._first.name
        stages = tuple(self._moments) if self._by_stage else ()
        return TakenDark(self._moments[0], self._n_refused, self._refusal, name, stages)


def _unpack(frame: Frame, out: NDArray[Any]) -> str | None:
    try:
        decompress(frame.payload, frame.encoding, frame.shape, frame.dtype, out)
    except ValueError as error:
        return str(error)
    return None


def _detectors(series: Series, frame: Frame, by_stage: bool) -> list[Detector]:
    """Return a detector whose flag values are the stream's, or one for each gain stage; it does not matter where."""
    anywhere = msgspec.structs.replace(
        series, shape=frame.shape, dtype=np.dtype(frame.dtype).name, distance=1.0, pixel_size=(1e-4, 1e-4),
        beam_center=(0.0, 0.0), mask=None,
    )  # fmt: skip
    if not by_stage:
        return [Detector.from_series(anywhere)]
    # G2 without its first and last number, which mean saturation and error
    ranges = [(code, code | ADC) for code in STAGE_CODES[:2]] + [(SATURATED + 1, ERROR - 1)]
    blank = blank_detector(frame.shape)
    return [replace(blank, flag_below=float(low), flag_above=float(high)) for low, high in ranges]
