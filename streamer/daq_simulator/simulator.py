"""The simulated detector itself: a PUSH socket and a clock."""

from collections.abc import Callable, Sequence
from threading import Event
from time import monotonic, sleep
from types import TracebackType
from typing import Any, Self

import msgspec
import zmq

from braggwatch.processing.frame import Frame, Series
from braggwatch.streamer.daq_simulator import encode_dectris_v1, encode_dectris_v2
from braggwatch.streamer.daq_simulator.faults import Fault, FaultPlan
from braggwatch.streamer.daq_simulator.laser import laser_pattern
from braggwatch.streamer.daq_simulator.report import SentSeries, SimulatorReport
from braggwatch.streamer.daq_simulator.settings import SimulatorSettings

PATIENCE = 100
"""How long a message waits for a taker before it is looked whether to stop, ms."""

LINGER = 180_000
"""How long messages in the queue wait for their taker after the last one, ms: whoever reads may still be compiling."""


def run_simulator(settings: SimulatorSettings, frames: Sequence[Frame], series: Series) -> SimulatorReport:
    """Send everything that the settings order and return what was truly sent (see `Simulator`)."""
    with Simulator(settings, frames, series) as simulator:
        return simulator.run()


class Simulator:
    """Sends stored frames, again and again from the first, as the series that the settings order.

    The frames' per-shot values go along as a user's own data do: ``user_data`` of Stream V2, image appendix of V1. What
    is the same for all series is told by `series`; its `number` is the first series' number, and its `name` goes
    into their unique ids. Use it as a context manager, `run` it in a thread, and `stop` it from another.
    """

    def __init__(
        self,
        settings: SimulatorSettings,
        frames: Sequence[Frame],
        series: Series,
        *,
        order: Callable[[int], int] | None = None,
    ) -> None:
        """Bind the socket; `order` tells by frame number which of the frames is sent, one after another if left out.

        Raises ValueError for no frames, or for frames that the protocol has no name for.
        """
        if not frames:
            raise ValueError("the simulator needs at least one frame, found none")
        self._settings = settings
        self._first = series
        self._v2 = settings.protocol == "dectris-v2"
        self._frames = frames
        self._order = order or (lambda number: number % len(frames))
        self._data = [_image_data(frame, self._v2) for frame in frames]
        self._laser = laser_pattern(settings.laser) if settings.laser is not None else ()
        self._stopped = Event()
        self._began: float | None = None
        self._due = 0
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.PUSH)
        self._socket.sndhwm = 100  # beyond it the simulated detector waits, or loses frames without wait_for_peer
        self._socket.sndtimeo = PATIENCE if settings.wait_for_peer else 0
        self._socket.linger = LINGER
        try:
            self._socket.bind(settings.address)
        except zmq.ZMQError as error:
            self._socket.close()
            self._context.term()
            raise ValueError(f"the simulator cannot send from {settings.address!r}: {error}") from None
        self.address = self._socket.get_string(zmq.LAST_ENDPOINT)
        self.report = SimulatorReport()
        """What has been sent so far."""

    def run(self) -> SimulatorReport:
        """Send every series and return what was truly sent."""
        faults, first = self._settings.faults, self._first.number
        passes = [(first + n, faults.die_after) for n in range(self._settings.n_series)]
        if faults.restart_after is not None:
            passes.insert(0, (first, faults.restart_after))
        for ordinal, (number, break_off) in enumerate(passes):
            name = f"{self._first.name or 'simulated'}-{faults.seed}-{ordinal}"
            series = msgspec.structs.replace(
                self._first, number=number, name=name, n_frames=self._settings.n_frames, joined_late=False
            )
            self._send_series(series, break_off, FaultPlan(faults, ordinal))
        return self.report

    def stop(self) -> None:
        """Make `run` return soon; may be called from another thread."""
        self._stopped.set()

    def _send_series(self, series: Series, break_off: int | None, plan: FaultPlan) -> None:
        sent = SentSeries(series.number, series.name, self._settings.n_frames)
        self.report.series.append(sent)
        encode = encode_dectris_v2.encode_start if self._v2 else encode_dectris_v1.encode_header
        self._send(encode(series))
        for number in range(sent.n_frames if break_off is None else min(break_off, sent.n_frames)):
            self._wait_for_turn()
            if self._stopped.is_set():
                return
            self._send_frame(series, number, plan, sent)
            sent.reached = number + 1
            garbage = plan.garbage()
            if garbage is not None and self._send([garbage]):
                sent.garbage += 1
        if break_off is None:
            encode_end = encode_dectris_v2.encode_end if self._v2 else encode_dectris_v1.encode_end
            sent.ended = self._send(encode_end(series))

    def _send_frame(self, series: Series, number: int, plan: FaultPlan, sent: SentSeries) -> None:
        fault = plan.next()
        if fault is Fault.SKIP:
            sent.skipped.append(number)
            return
        parts = self._image(series, number)
        if fault is Fault.TRUNCATE:
            index = 0 if self._v2 else 2
            pixels = memoryview(self._frames[self._order(number)].payload).nbytes
            parts[index] = bytes(parts[index])[: plan.cut(pixels) - pixels]
        if not self._send(parts):
            sent.not_taken.append(number)
        elif fault is Fault.TRUNCATE:
            sent.truncated.append(number)
        elif fault is Fault.DUPLICATE and self._send(parts):
            sent.duplicated.append(number)

    def _image(self, series: Series, number: int) -> list[Any]:
        index = self._order(number)
        values = dict(self._frames[index].values)
        if self._laser:
            values["laser_1"] = self._laser[number % len(self._laser)]
        if self._v2:
            return encode_dectris_v2.encode_image(series, number, self._data[index], values)
        return encode_dectris_v1.encode_image(series, self._frames[index], number, values)

    def _wait_for_turn(self) -> None:
        rate = self._settings.rate
        if rate is None:
            return
        self._began = monotonic() if self._began is None else self._began
        sleep(max(0.0, self._began + self._due / rate - monotonic()))
        self._due += 1

    def _send(self, parts: list[Any]) -> bool:
        """Send a message; return whether it was taken. With `wait_for_peer` only `stop` keeps it from that."""
        while not self._stopped.is_set():
            try:
                self._socket.send_multipart(parts, copy=False)
                return True
            except zmq.Again:
                if not self._settings.wait_for_peer:
                    return False
        return False

    def close(self) -> None:
        """Close the socket; messages in its queue still go out unless the simulator was stopped."""
        self._socket.close(linger=0 if self._stopped.is_set() else LINGER)
        self._context.term()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.stop()
        self.close()


def _image_data(frame: Frame, v2: bool) -> tuple[bytes, bytes]:
    """Return what is the same whenever the frame is sent; raise ValueError where the protocol has no name for it."""
    if v2:
        return encode_dectris_v2.image_data(frame)
    encode_dectris_v1.encoding_name(frame)
    return b"", b""
