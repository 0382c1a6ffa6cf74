"""The line above everything: how things are in one word, and the newest message."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from braggwatch.gui.controllers.ageing import Ageing
from braggwatch.gui.group_watch import group_warnings
from braggwatch.gui.known_groups import known_groups
from braggwatch.gui.monitor import Monitor
from braggwatch.gui.numbers import UNKNOWN, age, count, distance, duration, energy, hertz
from braggwatch.streamer.feed_messages import Status
from braggwatch.streamer.messages import State
from braggwatch.streamer.wording import clock, plain

FRESH_S = 60.0
"""A message is read as news for so long."""
MAX_SAID = 200

_WORDS = {
    "LIVE": ("indexed", "Frames come in, and the newest shot is shown."),
    "PAUSED": ("hit", "The run is paused."),
    "WAITING FOR DETECTOR": ("hit", "The processor is ready; the detector has not sent frames yet."),
    "FINISHED": ("indexed", "The processor has ended as it should; all numbers are final."),
    "STOPPED": ("alarm", "The processor was stopped before all frames were looked at."),
}


@dataclass(frozen=True)
class Word:
    """How things are."""

    text: str
    tone: str
    """Name of a field of `Theme`."""
    meaning: str


@dataclass(frozen=True)
class Reading:
    """A number with its name."""

    name: str
    text: str
    tone: str
    meaning: str


@dataclass(frozen=True)
class Line:
    """Something that was said."""

    time: float | None
    """When it was said last, s since 1970."""
    text: str
    times: int

    def __str__(self) -> str:
        return f"{clock(self.time)}  {self.text}{f'  (× {count(self.times)})' if self.times > 1 else ''}"


class StripView(Protocol):
    """What the controller asks of its panel."""

    details_wanted: Any

    def show_word(self, word: Word) -> None:
        """Show how things are."""

    def show_facts(self, facts: str) -> None:
        """Say which run of which detector this is."""

    def show_readings(self, readings: list[Reading]) -> None:
        """Show the numbers."""

    def show_message(self, text: str, tone: str) -> None:
        """Show the newest message; empty: none."""

    def show_details(self, lines: list[str]) -> None:
        """List everything that was said, the newest first."""


class StripController(Ageing):
    """Keeps the strip up to date."""

    def __init__(
        self,
        monitor: Monitor,
        view: StripView,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Measure ages with `clock`, in s; `now` is s since 1970."""
        super().__init__(monitor, clock)
        self._view = view
        self._now = now
        self._said: OrderedDict[str, Line] = OrderedDict()
        self._of_groups: dict[str, Line] = {}
        """What is wrong with the groups of shots, since it is."""
        monitor.selection_changed.connect(self.set_stale)
        monitor.said.connect(self._hear_line)
        view.details_wanted.connect(self._tell_details)

    def refresh(self) -> None:
        """Work everything out anew."""
        status = self.monitor.status
        self._watch_groups()
        self._view.show_word(self.word())
        self._view.show_facts("" if status is None else _facts(status))
        self._view.show_readings([] if status is None else self._readings(status))
        self._show_message()

    def word(self) -> Word:
        """Return how things are."""
        monitor, status = self.monitor, self.monitor.status
        if monitor.link == "record":
            return Word("RECORD", "multi_lattice", "A finished session, as it is in the record and the dumps.")
        if status is None:
            return Word("WAITING FOR PROCESSOR", "hit", "No processor has been heard at the address yet.")
        if self.over:
            return Word("FINISHED", *_WORDS["FINISHED"])
        if monitor.link == "gone":
            meaning = "The processor is not heard; what it said last is kept, and it is joined again when it returns."
            return Word(f"PROCESSOR GONE {duration(self.silence)}", "alarm", meaning)
        if status.word == "LIVE" and not monitor.live:
            return Word("PAUSED", "hit", "Frames come in, but the shot that was chosen is shown. Space goes live.")
        return Word(status.word, *_WORDS[status.word])

    def lines(self) -> list[Line]:
        """Return everything that was said, by the processor and by the window, the newest first."""
        status = self.monitor.status
        lines = [*self._said.values(), *self._of_groups.values()]
        if status is not None:
            notices = self.monitor.finished.notices if self.monitor.finished is not None else status.notices
            lines += [Line(notice.last, plain(notice.text), notice.count) for notice in notices]
            if status.record is not None and status.record.problem:
                lines.append(Line(status.time, plain(status.record.problem), 1))
        return sorted(lines, key=lambda line: -(line.time or 0.0))

    def _watch_groups(self) -> None:
        """Note what is wrong with the groups, when it begins; while no frames come, it stays as it was."""
        if self.over or self.old:
            return
        warnings = group_warnings(self.monitor, known_groups(self.monitor))
        self._of_groups = {w.line: self._of_groups.get(w.line, Line(self._now(), w.line, 1)) for w in warnings}

    def _readings(self, status: Status) -> list[Reading]:
        tone = "quiet" if self.old else "text"
        counts = status.run.ledger.counts if status.run is not None else status.totals.counts
        dropped = counts.get(State.DROPPED, 0)
        how_old = f"; the last frame came {age(self.frame_age)}" if age(self.frame_age) else ""
        look_back = f"over the last {duration(status.window)}{how_old}"
        rate = hertz(status.throughput.frames)
        return [
            Reading(
                "", f"{UNKNOWN} Hz" if rate == UNKNOWN else rate, tone, f"Frames that come in a second, {look_back}"
            ),
            Reading(
                "p99", duration(status.latency.p99), tone,
                f"Within this time 99 % of the results were there, counted from a frame's arrival, {look_back}",
            ),
            Reading(
                "dropped", count(dropped), "alarm" if dropped else tone,
                "Frames of this run that were given up because the processor could not keep up",
            ),
        ]  # fmt: skip

    def _show_message(self) -> None:
        lines = self.lines()
        if not lines:
            self._view.show_message("", "quiet")
            return
        fresh = self._now() - (lines[0].time or 0.0) < FRESH_S
        self._view.show_message(lines[0].text, "alarm" if fresh else "quiet")

    def _tell_details(self) -> None:
        self._view.show_details([str(line) for line in self.lines()])

    def _hear_line(self, text: str) -> None:
        text = plain(text, 500)
        before = self._said.pop(text, None)
        self._said[text] = Line(self._now(), text, before.times + 1 if before is not None else 1)
        if len(self._said) > MAX_SAID:
            self._said.popitem(last=False)
        self.set_stale()


def _facts(status: Status) -> str:
    run = status.run
    if run is None:
        return plain(status.source)
    parts = [
        f"run {run.number}",
        plain(run.detector, 40),
        energy(run.photon_energy),
        distance(run.distance),
    ]
    return " · ".join(part for part in parts if part and part != UNKNOWN)
