"""Where all frames are: the count of every state, and whether they add up."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from braggwatch.gui.monitor import Monitor
from braggwatch.gui.newest import newest_first
from braggwatch.gui.numbers import UNKNOWN, count
from braggwatch.streamer.feed_messages import Ledger
from braggwatch.streamer.messages import State

_WORDS: dict[str, tuple[str, str, str]] = {
    State.INDEXED: ("indexed", "indexed", "Hits in which at least one lattice was found. A click opens the newest."),
    State.HIT: ("hit, not indexed", "hit", "Hits without a lattice. A click opens the newest."),
    State.BLANK: ("blank", "quiet", "Frames with too few spots for a hit."),
    State.SKIPPED: (
        "skipped",
        "quiet",
        "Frames left out unseen: [select] in the settings keeps only shots of another laser state.",
    ),
    State.MISSED: ("missed", "alarm", "Frames that the detector never sent to the processor."),
    State.DROPPED: ("dropped", "alarm", "Frames given up because the processor could not keep up."),
    State.REFUSED: ("refused", "alarm", "Frames that arrived malformed."),
    State.FAILED: ("failed", "alarm", "Frames on which a stage of the processing raised an error."),
    State.QUARANTINED: ("quarantined", "alarm", "Frames that killed two workers, set aside in a file."),
    "waiting": ("waiting", "quiet", "Frames in the queue."),
    "working": ("working", "quiet", "Frames that are being looked at."),
}
"""By state: word, tone, meaning."""


@dataclass(frozen=True)
class Row:
    """One state."""

    state: str
    word: str
    tone: str
    """Name of a field of `Theme`: the state's colour; `quiet` where an alarming one has no frame."""
    run: str
    total: str
    meaning: str


@dataclass(frozen=True)
class Check:
    """Whether all frames are in one place each."""

    text: str
    run: str
    total: str
    alarm: bool


class LedgerView(Protocol):
    """What the controller asks of its panel."""

    state_clicked: Any
    """With `Row.state`."""

    def show_rows(self, titles: tuple[str, str], rows: list[Row], check: Check) -> None:
        """Show all states and their sum."""

    def show_empty(self, why: str) -> None:
        """Show a sentence instead."""


class LedgerController:
    """Keeps the ledger up to date."""

    def __init__(self, monitor: Monitor, view: LedgerView) -> None:
        self._monitor, self._view = monitor, view
        self.stale = True
        monitor.status_changed.connect(self._set_stale)
        view.state_clicked.connect(self.select_hits)

    def refresh(self) -> None:
        """Count anew."""
        status, finished = self._monitor.status, self._monitor.finished
        if status is None:
            self._view.show_empty("Waiting for a processor: no frame is counted yet.")
            return
        last = status if finished is None else finished
        run = status.run.ledger if status.run is not None else None
        titles = (
            f"run {status.run.number}" if status.run is not None else "",
            f"{last.runs} runs" if last.runs > 1 else "all",
        )
        self._view.show_rows(
            titles, [_row(state, run, last.totals) for state in _shown(run, last.totals)], _check(run, last.totals)
        )

    def select_hits(self, state: str) -> None:
        """Select the newest shots of a state; of frames that were no hits there is nothing to show."""
        if state in (State.INDEXED, State.HIT):
            hits = self._monitor.hits
            rows = np.flatnonzero(hits.hits["indexed"] == (state == State.INDEXED))
            self._monitor.select(newest_first(hits, rows))

    def _set_stale(self) -> None:
        self.stale = True


def _shown(run: Ledger | None, totals: Ledger) -> list[str]:
    """Return the states; frames are skipped only where the settings say so, and without them there is no row."""
    skipped = any(_number(ledger, State.SKIPPED) for ledger in (run, totals) if ledger is not None)
    return [state for state in _WORDS if state != State.SKIPPED or skipped]


def _number(ledger: Ledger, state: str) -> int:
    if state == "waiting":
        return ledger.waiting
    return ledger.working if state == "working" else ledger.counts.get(State(state), 0)


def _row(state: str, run: Ledger | None, totals: Ledger) -> Row:
    word, tone, meaning = _WORDS[state]
    total = _number(totals, state)
    in_run = None if run is None else _number(run, state)
    if tone == "alarm" and not total and not in_run:
        tone = "quiet"
    return Row(state, word, tone, count(in_run), count(total), meaning)


def _check(run: Ledger | None, totals: Ledger) -> Check:
    sums = UNKNOWN if run is None else count(run.sum), count(totals.sum)
    for ledger in (totals, run):
        if ledger is not None and not ledger.balanced:
            n = abs(ledger.total - ledger.sum)
            return Check(f"⚠ {count(n)} {'frame' if n == 1 else 'frames'} unaccounted for", *sums, True)
    return Check(f"✓ adds up to all {count(totals.total)} frames", *sums, False)
