"""A source and workers whose every word the test says itself, on the hub's real sockets, in one process."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import zmq
from rig import SHAPE, Witness, frame, series

from braggwatch import __version__
from braggwatch.processing.frame import Event, Frame, Series
from braggwatch.streamer import worker_protocol as protocol
from braggwatch.streamer.hub import Hub
from braggwatch.streamer.hub_settings import HubSettings
from braggwatch.streamer.messages import Result, State
from braggwatch.streamer.quarantine import set_aside


def named_series(key: str = "s", **changes: Any) -> Series:
    """Return a series of a key."""
    return msgspec.structs.replace(series(), key=key, **changes)


def frames_of(key: str, numbers: Sequence[int]) -> list[Frame]:
    """Return frames of a series."""
    return [msgspec.structs.replace(frame(number, hit=False), series=key) for number in numbers]


class SpokenSource:
    """Says what it is told to say."""

    def __init__(self) -> None:
        self._events: list[Event | Exception] = []
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._taker = self._context.socket(zmq.PULL)
        self._taker.set_hwm(0)
        self._taker.bind("inproc://source")
        self._bell = self._context.socket(zmq.PUSH)
        self._bell.set_hwm(0)
        self._bell.connect("inproc://source")
        self.exhausted = False

    def say(self, *events: Event | Exception) -> None:
        """Have these events said as soon as the hub listens; an exception is raised."""
        self._events.extend(events)
        for _ in events:
            self._bell.send(b"")

    @property
    def sockets(self) -> Sequence["zmq.Socket[bytes]"]:
        return [self._taker]

    def receive(self, socket: "zmq.Socket[bytes]") -> list[Event] | None:
        try:
            socket.recv(zmq.NOBLOCK)
        except zmq.Again:
            return None
        event = self._events.pop(0)
        if isinstance(event, Exception):
            raise event
        return [event]

    def silence(self) -> dict[str, str]:
        return {}

    def close(self) -> None:
        self._context.destroy(linger=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class HandWorker:
    """A worker's socket; what it says is up to the test."""

    def __init__(self, bench: "Bench", name: str) -> None:
        self.name = name
        self._bench = bench
        self._socket = bench.context.socket(zmq.DEALER)
        self._socket.linger = 0
        self._socket.connect(bench.address)

    def say(self, *parts: bytes) -> None:
        """Send a message to the hub."""
        self._socket.send_multipart(parts)

    def hello(self, version: str = __version__) -> None:
        """Introduce itself."""
        self.say(protocol.HELLO, protocol.encode_hello(protocol.Hello(self.name, "here", 1, version)))
        assert self.hear(protocol.SETTINGS)

    def ready(self) -> None:
        """Say that frames may come."""
        self.say(protocol.READY)
        self._bench.until(lambda: any(m.name == self.name and m.ready for m in self._bench.hub.workforce))

    def result(self, frame: Frame, state: State = State.BLANK, **more: Any) -> None:
        """Hand a frame in."""
        self.say(
            protocol.RESULT,
            protocol.encode_result(Result(series=frame.series, number=frame.number, state=state, **more)),
        )

    def heard(self, *, turns: int = 3) -> list[list[bytes]]:
        """Return what the hub has sent, after a few of its turns."""
        for _ in range(turns):
            self._bench.hub.turn(0.005)
        messages = []
        while self._socket.poll(20):
            messages.append(self._socket.recv_multipart())
        return messages

    def hear(self, kind: bytes) -> list[bytes]:
        """Return the next message of a kind, alive while it waits; those before it are passed over."""
        for _ in range(200):
            self.say(protocol.ALIVE, self.name.encode())
            self._bench.hub.turn(0.005)
            while self._socket.poll(5):
                parts = self._socket.recv_multipart()
                if parts[0] == kind:
                    return parts[1:]
        raise AssertionError(f"{self.name} heard no {kind!r}")

    def take(self, n: int) -> list[Frame]:
        """Return the next n frames."""
        return [protocol.decode_frame(*self.hear(protocol.FRAME)) for _ in range(n)]

    def die(self) -> None:
        """Go without a word, as after kill -9."""
        self._socket.close(linger=0)


class Bench:
    """A hub, a source that says what it is told, and any number of workers made by hand."""

    def __init__(self, stack: ExitStack, folder: Path, **options: Any) -> None:
        self._stack = stack
        self.witness = Witness()
        self.source = stack.enter_context(SpokenSource())
        self.restarted: list[str] = []
        self.hub = Hub(
            self.source, HubSettings(**options), b"{}", self.witness,
            quarantine=lambda series, frame: set_aside(folder, series, frame), restart_worker=self.restarted.append,
        )  # fmt: skip
        stack.callback(self.hub.close)
        self.address = self.hub.bind("tcp://127.0.0.1:*")
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        stack.callback(self.context.destroy, linger=0)

    def worker(self, name: str, *, ready: bool = True) -> HandWorker:
        """Have a worker join."""
        worker = HandWorker(self, name)
        self._stack.callback(worker.die)
        worker.hello()
        if ready:
            worker.ready()
        return worker

    def until(self, met: Callable[[], object], patience: float = 10.0) -> None:
        """Let the hub turn until something is so, and check its accounts on the way."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            self.hub.turn(0.01)
            totals = self.hub.accounts.totals()
            assert sum(n for state, n in totals.items() if state != "total") == totals["total"]
            assert self.hub.queue_bytes >= 0
            if met():
                return
        raise AssertionError(f"it did not come to that: {self.hub.accounts.totals()}, {dict(self.witness.warnings)}")


__all__ = ["SHAPE", "Bench", "HandWorker", "SpokenSource", "frames_of", "named_series"]
