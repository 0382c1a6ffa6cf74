"""How the processor is doing, and what needs a person."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from braggwatch.gui.controllers.ageing import Ageing
from braggwatch.gui.monitor import Monitor
from braggwatch.gui.numbers import UNKNOWN, age, count, duration, fill, frequency, hertz
from braggwatch.streamer.feed_messages import Dump, Notice, RecordState, Status, Worker
from braggwatch.streamer.wording import clock, data_rate, plain, said

FULL = 0.8
"""From here on the queue is about to drop frames."""
MAX_WORKERS = 512
"""More are not listed."""


@dataclass(frozen=True)
class Line:
    """One thing with its value."""

    name: str
    text: str
    tone: str
    """Name of a field of `Theme`; `alarm` lines say in words what is wrong."""
    meaning: str
    fill: float | None = None
    """0 to 1, for what can be full."""


@dataclass(frozen=True)
class WorkerRow:
    """One worker."""

    name: str
    state: str
    rate: str
    busy: str
    restarts: str
    alarm: bool
    meaning: str


@dataclass(frozen=True)
class HealthShown:
    """What the panel shows."""

    lines: tuple[Line, ...]
    workers: tuple[WorkerRow, ...]
    notices: tuple[Line, ...]


class HealthView(Protocol):
    """What the controller asks of its panel."""

    def show_health(self, shown: HealthShown) -> None:
        """Show it."""

    def show_empty(self, why: str) -> None:
        """Show a sentence instead."""


class HealthController(Ageing):
    """Keeps the health up to date."""

    def __init__(self, monitor: Monitor, view: HealthView, clock: Callable[[], float] = time.monotonic) -> None:
        """Measure ages with `clock`, in s."""
        super().__init__(monitor, clock)
        self._view = view

    def refresh(self) -> None:
        """Work everything out anew."""
        status, finished = self.monitor.status, self.monitor.finished
        if status is None:
            self._view.show_empty("Waiting for a processor: nothing is known of its health yet.")
            return
        last = status if finished is None else finished
        lines = (*self._flow(status), self._ready(status), _record(last.record), *map(_dump, last.dumps))
        workers = tuple(self._worker(worker) for worker in status.workers[:MAX_WORKERS])
        newest_first = sorted(last.notices, key=lambda notice: -(notice.last or 0.0))
        self._view.show_health(HealthShown(lines, workers, tuple(map(_notice, newest_first))))

    def _flow(self, status: Status) -> tuple[Line, ...]:
        tone = "quiet" if self.old or self.over else "text"
        through, latency, queue = status.throughput, status.latency, status.queue
        part = queue.bytes / queue.limit if queue.limit > 0 else None
        full = part is not None and part >= FULL and not self.over
        how_full = f"{fill(queue)}{' full!' if full else ''} · {count(queue.frames)} frames"
        look_back = f"over the last {duration(status.window)}"
        return (
            Line("last frame", age(self.frame_age) or ("now" if self.frame_age is not None else UNKNOWN), tone,
                 "How long ago the last frame came"),
            Line("frames in", f"{hertz(through.frames)} · {data_rate(through.bytes)}", tone,
                 f"Frames and packed bytes that come in a second, {look_back}"),
            Line("results", frequency(through.results), tone, f"Frames that were looked at a second, {look_back}"),
            Line("latency", f"p50 {duration(latency.median)} · p99 {duration(latency.p99)}", tone,
                 f"Time from a frame's arrival to its result: half of them, and 99 %, take less, {look_back}"),
            Line("queue", how_full, "alarm" if full else tone,
                 f"Frames that wait for a worker; full at {said(queue.limit / 1e9, 'GB', 2)}: then frames are dropped,"
                 " or the detector has to wait", fill=None if part is None else min(max(part, 0.0), 1.0)),
        )  # fmt: skip

    def _ready(self, status: Status) -> Line:
        meaning = "Workers that can take frames, of all; and how often one had to be started anew"
        if not status.workers:
            return Line("workers", UNKNOWN if self.over else "none!", "quiet" if self.over else "alarm", meaning)
        ready = sum(worker.state == "ready" for worker in status.workers)
        restarts = sum(worker.restarts for worker in status.workers)
        text = f"{count(ready)} of {count(len(status.workers))} ready · restarts {count(restarts)}"
        lacking = ready < len(status.workers) and not self.over
        return Line("workers", text + (" !" if lacking else ""), "alarm" if lacking else "text", meaning)

    def _worker(self, worker: Worker) -> WorkerRow:
        pid = UNKNOWN if worker.pid is None else str(worker.pid)
        return WorkerRow(
            name=plain(worker.name, 60),
            state=plain(worker.state, 20) or UNKNOWN,
            rate=said(worker.frames_per_s, "Hz"),
            busy=UNKNOWN if worker.busy is None else said(100 * worker.busy, "%", 0),
            restarts=count(worker.restarts),
            alarm=worker.state == "gone" and not self.over,
            meaning=f"{plain(worker.name)} on {plain(worker.host, 60) or 'this machine'}, process {pid}",
        )


def _record(record: RecordState | None) -> Line:
    meaning = "Frames that are in the record on disk, and entries that are still to be written"
    if record is None:
        return Line("record", "none", "quiet", "No record is kept: what is not dumped is lost with the processor")
    text = f"{count(record.frames)} frames" + (f" · {count(record.pending)} to write" if record.pending else "")
    if record.problem:
        return Line("record", f"⚠ {plain(record.problem)}", "alarm", f"{meaning}: {plain(record.path, 500)}")
    if record.unrecorded:
        text += f" · ⚠ {count(record.unrecorded)} only counted"
        meaning += "; frames that are only counted have no row of their own: the disk was too slow or full"
    return Line("record", text, "alarm" if record.unrecorded else "text", f"{meaning}: {plain(record.path, 500)}")


def _dump(dump: Dump) -> Line:
    where = plain(dump.directory, 500)
    return Line(f"dump {plain(dump.name, 30)}", f"{count(dump.images)} images", "text", f"Images written to {where}")


def _notice(notice: Notice) -> Line:
    times = f"  (× {count(notice.count)})" if notice.count > 1 else ""
    return Line(clock(notice.last), f"⚠ {plain(notice.text)}{times}", "alarm", plain(notice.kind, 60))
