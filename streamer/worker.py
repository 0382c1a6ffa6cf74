"""A worker: takes frames from the hub, sends them through the pipeline, returns the results."""

import contextlib
import logging
import math
import os
import socket
import threading
import traceback
from time import monotonic
from typing import Any

import numpy as np
import zmq
from numpy.typing import NDArray

import braggwatch
from braggwatch.processing.crystal import Crystal
from braggwatch.processing.frame import Frame, Series
from braggwatch.processing.peaks import Peaks
from braggwatch.processing.pipeline import Pipeline, RefusedFrameError
from braggwatch.processing.pipeline_settings import PipelineSettings
from braggwatch.processing.shot import Shot
from braggwatch.streamer import worker_protocol as protocol
from braggwatch.streamer.corrected_images import CorrectedImages
from braggwatch.streamer.integrated import pack_integrated
from braggwatch.streamer.memory import keep_freed_memory
from braggwatch.streamer.messages import PEAK, CrystalFound, Dumped, Result, State
from braggwatch.streamer.wording import plain

log = logging.getLogger(__name__)

HEARTBEAT_S = 0.5
MAX_FAILURES = 20
"""Kinds of failures that are logged in full."""
LONGEST_ERROR = 500
"""Characters of what an exception says that go to the hub."""
_RESOLUTION_PERCENTILE = 95.0


def run_worker(hub: str, name: str) -> None:
    """Work for the hub at a ZeroMQ address until it says stop."""
    keep_freed_memory()
    Worker(hub, name).run()


class UnusableSeriesError(ValueError):
    """No pipeline can be made for a series: settings and header do not fit together, and the text says where."""


class Worker:
    """One pair of hands: a loop around the pipeline. It knows nothing of where it runs."""

    def __init__(self, hub: str, name: str) -> None:
        self._hub = hub
        self._name = name
        self._settings: PipelineSettings | None = None
        self._series: dict[str, Series] = {}
        self._pipeline: Pipeline | None = None
        self._unusable: dict[str, str] = {}
        self._corrected = CorrectedImages()
        self._failures: set[str] = set()
        self._stopped = threading.Event()

    def run(self) -> None:
        """Introduce ourselves, work until the hub says stop, and say goodbye."""
        context = zmq.Context()
        heart = threading.Thread(target=self._beat, args=(context,), name="heartbeat", daemon=True)
        hub = context.socket(zmq.DEALER)
        # The hub never sends more than the credits allow; the mark only keeps ZeroMQ from setting a lower one.
        hub.set_hwm(0)
        hub.connect(self._hub)
        hello = protocol.Hello(self._name, socket.gethostname(), os.getpid(), braggwatch.__version__)
        hub.send_multipart([protocol.HELLO, protocol.encode_hello(hello)])
        heart.start()
        try:
            while self._answer(hub, hub.recv_multipart(copy=False)):
                pass
            self._end_pipeline()
            hub.send_multipart([protocol.BYE, self._name.encode()])
        finally:
            self._stopped.set()
            heart.join()
            hub.close(linger=2000)
            context.term()

    def _beat(self, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        """Tell the hub that this process lives, from a thread and socket of its own, also while a frame takes long."""
        with context.socket(zmq.DEALER) as hub:
            hub.linger = 0
            hub.connect(self._hub)
            while not self._stopped.wait(HEARTBEAT_S):
                hub.send_multipart([protocol.ALIVE, self._name.encode()])

    def _answer(self, hub: zmq.Socket[bytes], parts: list[zmq.Frame]) -> bool:
        kind = parts[0].bytes
        if kind == protocol.FRAME:
            frame = protocol.decode_frame(parts[1].buffer, parts[2].buffer)
            hub.send_multipart([protocol.RESULT, *self._result_of(frame)])
        elif kind == protocol.SERIES:
            series = protocol.decode_series(parts[1].buffer)
            self._end_series(series.key)  # a header that came late replaces what the images alone had told
            self._series[series.key] = series
            if self._pipeline is None:
                self._prepare(series.key)
        elif kind == protocol.SETTINGS:
            self._take_settings(PipelineSettings.model_validate_json(parts[1].bytes), hub)
        elif kind == protocol.END:
            self._end_series(parts[1].bytes.decode())
            hub.send_multipart([protocol.ENDED, parts[1].bytes])
        elif kind == protocol.STOP:
            return False
        return True

    def _take_settings(self, settings: PipelineSettings, hub: zmq.Socket[bytes]) -> None:
        """Take the settings to work by; others than before end the pipeline, and the next frame makes a new one."""
        known, self._settings = self._settings, settings
        if known is None:
            settings.warm_up()
            hub.send_multipart([protocol.READY])
            return
        self._end_pipeline()
        self._unusable.clear()

    def _prepare(self, key: str) -> None:
        """Get ready for a series before its first frame is here; what is wrong will be said with that frame."""
        with contextlib.suppress(UnusableSeriesError):
            self._pipeline_for(key)

    def _result_of(self, frame: Frame) -> list[bytes]:
        try:
            shot = self._pipeline_for(frame.series).process(frame)
            result = describe(shot, self._name)
            packed = protocol.encode_result(result)
            protocol.decode_result(packed)  # a user's stage may have put anything into the shot
            image = self._corrected.pack(shot, result.state, monotonic()) or b""
            integrated = pack_integrated(shot)
        except RefusedFrameError as error:
            return self._failed(frame, State.REFUSED, str(error))
        except UnusableSeriesError as error:
            return self._failed(frame, State.FAILED, str(error))
        except (Exception, SystemExit) as error:
            # A user's stage may raise anything; the frame is accounted for and the stream goes on.
            self._log_once(frame, error)
            return self._failed(frame, State.FAILED, f"{type(error).__name__}: {error}")
        parts = [packed, image, integrated]
        while not parts[-1]:
            parts.pop()
        return parts

    def _log_once(self, frame: Frame, error: BaseException) -> None:
        """Log a kind of failure with all that helps to find it, but not again for every frame."""
        where = traceback.extract_tb(error.__traceback__)[-1]
        kind = f"{type(error).__name__} at {where.filename}:{where.lineno}"
        if kind not in self._failures and len(self._failures) < MAX_FAILURES:
            self._failures.add(kind)
            log.warning("frame %d of series %s failed", frame.number, frame.series, exc_info=error)

    def _failed(self, frame: Frame, state: State, error: str) -> list[bytes]:
        line = plain(" ".join(error.split()), LONGEST_ERROR)
        result = Result(series=frame.series, number=frame.number, state=state, worker=self._name, error=line)
        return [protocol.encode_result(result)]

    def _pipeline_for(self, key: str) -> Pipeline:
        """Return the pipeline of a series; the first frame of a series makes it, and ends the one before."""
        if self._pipeline is not None and self._pipeline.series.key == key:
            return self._pipeline
        if key in self._unusable:
            raise UnusableSeriesError(self._unusable[key])
        assert self._settings is not None, "the hub sends the settings before the first frame"
        self._end_pipeline()
        try:
            self._pipeline = self._settings.pipeline(self._series[key])
        except (ValueError, OSError) as error:  # worded for the user, whom the hub tells
            log.debug("series %s cannot be processed", key, exc_info=error)
            self._unusable[key] = str(error)
        except Exception as error:
            log.warning("series %s cannot be processed", key, exc_info=error)
            self._unusable[key] = f"{type(error).__name__}: {error}"
        if self._pipeline is None:
            raise UnusableSeriesError(self._unusable[key])
        return self._pipeline

    def _end_series(self, key: str) -> None:
        if self._pipeline is not None and self._pipeline.series.key == key:
            self._end_pipeline()
        self._series.pop(key, None)
        self._unusable.pop(key, None)

    def _end_pipeline(self) -> None:
        pipeline, self._pipeline = self._pipeline, None
        if pipeline is None:
            return
        try:
            pipeline.end()
        except (Exception, SystemExit):
            log.exception("a stage did not finish series %s", pipeline.series.key)


def describe(shot: Shot, worker: str) -> Result:
    """Say in a few hundred bytes what the chain found out about a shot."""
    peaks = Peaks.empty() if shot.peaks is None else shot.peaks
    inverse_d = _inverse_d(shot, peaks)
    hit = State.INDEXED if shot.crystals else State.HIT
    return Result(
        series=shot.series.key,
        number=shot.number,
        state=hit if shot.is_hit else State.BLANK,
        group=shot.group,
        worker=worker,
        pixels_changed=shot.pixels_changed,
        n_peaks=len(peaks),
        resolution=_resolution(inverse_d),
        peaks=_rows(shot, peaks, inverse_d),
        crystals=tuple(_found(crystal) for crystal in shot.crystals),
        dumped=tuple(Dumped(d.dump, str(d.path), d.entry) for d in shot.dumped),
        seconds=shot.timings,
        notices=shot.notices,
    )


def _found(crystal: Crystal) -> CrystalFound:
    model = (crystal.block_size, crystal.mosaicity, crystal.diffraction_limit)
    known = (float(value) if math.isfinite(value) else None for value in model)
    return CrystalFound(crystal.cell, _nine(crystal.A), crystal.n_indexed, crystal.rmsd_px, *known)


def _inverse_d(shot: Shot, peaks: Peaks) -> NDArray[np.float64]:
    """Return 1/d of each spot in 1/Angstrom; NaN where the beam is not known."""
    if not len(peaks) or shot.detector.beam is None:
        return np.full(len(peaks), np.nan)
    return np.asarray(1.0 / shot.detector.resolution(peaks.fs, peaks.ss, peaks.panel))


def _resolution(inverse_d: NDArray[np.float64]) -> float | None:
    if not len(inverse_d) or np.isnan(inverse_d).any():
        return None
    return float(1.0 / np.percentile(inverse_d, _RESOLUTION_PERCENTILE))


def _rows(shot: Shot, peaks: Peaks, inverse_d: NDArray[np.float64]) -> bytes:
    rows = np.zeros(len(peaks), PEAK)
    for name in ("fs", "ss", "intensity", "max_value"):
        rows[name] = getattr(peaks, name)
    rows["inverse_d"] = inverse_d
    for lattice in range(len(shot.crystals), 0, -1):  # a spot that several explain belongs to the best of them
        rows["lattice"][shot.crystals[lattice - 1].spots] = lattice
    return rows.tobytes()


def _nine(matrix: Any) -> Any:
    return tuple(float(x) for x in matrix.ravel())
