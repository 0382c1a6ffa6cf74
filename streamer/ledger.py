"""One line for every frame: where it is now, and where its way ended."""

import re
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from braggwatch.streamer.messages import State

WAITING = "waiting"
"""In the hub's queue."""
WORKING = "working"
"""Out at a worker."""

MAX_GAP = 10_000_000
"""A frame number this far beyond the highest so far is taken for garbage: the ledger's memory grows with the number."""
MAX_BEFORE_FIRST = 1000
"""Where a series was joined late, its first frames may come in any order, over several sockets."""

# One byte a frame. 0 stands for a number that has not arrived: missed, unless it turns up after all.
_STATES: tuple[str, ...] = (State.MISSED, WAITING, WORKING, *(s for s in State if s is not State.MISSED))
_CODES: Mapping[str, int] = {state: code for code, state in enumerate(_STATES)}


class LedgerCounts(msgspec.Struct, frozen=True):
    """How many frames of a series are in each state; the states add up to `total`."""

    series: str
    first: int
    """The first frame number that counts: 0, or the lowest that has come where we joined late."""
    total: int
    """Frames from `first` to the highest number known to exist."""
    states: dict[str, int]
    """By name: every `State`, and `waiting` and `working`."""

    @property
    def adds_up(self) -> bool:
        """Whether every frame is in exactly one state."""
        return sum(self.states.values()) == self.total


class SeriesLedger:
    """Every frame number of one series with its state, one byte each."""

    def __init__(self, series: str, *, n_frames: int | None = None, joined_late: bool = False) -> None:
        """Open the ledger of a series; joined in mid-series, it begins with the first frame that arrives."""
        self.series = series
        self.n_frames = n_frames
        self._first: int | None = None if joined_late else 0
        self._codes = bytearray()
        self._counts = [0] * len(_STATES)

    @property
    def open(self) -> int:
        """How many frames are waiting or out at a worker."""
        return self._counts[_CODES[WAITING]] + self._counts[_CODES[WORKING]]

    @property
    def total(self) -> int:
        """How many frame numbers the ledger knows of."""
        return len(self._codes)

    def state(self, number: int) -> str:
        """Return the state of a frame; a number not known yet is `missed`."""
        index = number - (self._first or 0)
        return _STATES[self._codes[index]] if 0 <= index < len(self._codes) else State.MISSED

    def accepts(self, number: int) -> str | None:
        """Return why a frame of this number cannot be taken, or None if it can."""
        if self._first is None:
            return None if 0 <= number < 2**62 else f"frame number {number} is not possible"
        index = number - self._first
        if number < 0 or index < -MAX_BEFORE_FIRST:
            return f"frame {number} lies before the first of this series ({self._first})"
        if index < 0:
            return None
        if index >= len(self._codes) + MAX_GAP:
            highest = self._first + len(self._codes) - 1
            return f"frame number {number} jumps more than {MAX_GAP} beyond the highest so far ({highest})"
        if index < len(self._codes) and self._codes[index] != _CODES[State.MISSED]:
            return f"frame {number} has arrived before: it is {_STATES[self._codes[index]]}"
        return None

    def learn(self, *, n_frames: int | None, joined_late: bool) -> None:
        """Take in what a header says that came after the first frames; with it, the series begins at 0."""
        self.n_frames = n_frames
        if not joined_late and (self._first or 0) < MAX_GAP:
            self._begin_at(0)

    def move(self, number: int, state: str) -> None:
        """Put a frame into a state; numbers skipped on the way there are missed until they arrive."""
        if self._first is None:
            self._first = number
        if number < self._first:
            self._begin_at(number)
        index = number - self._first
        if index >= len(self._codes):
            self._grow(index + 1)
        old, new = self._codes[index], _CODES[state]
        self._counts[old] -= 1
        self._counts[new] += 1
        self._codes[index] = new

    def close(self) -> Iterator[range]:
        """Say that no more frames will come, and return the numbers that never did, as ranges."""
        if self._first is not None and self.n_frames is not None and self.n_frames - self._first < MAX_GAP:
            self._grow(max(self.n_frames - self._first, len(self._codes)))
        return self.missing()

    def missing(self) -> Iterator[range]:
        """Return the numbers that have not arrived, as ranges."""
        first = self._first or 0
        return (range(first + gap.start(), first + gap.end()) for gap in re.finditer(rb"\0+", self._codes))

    def counts(self) -> LedgerCounts:
        """Return the counts of all states as they are now."""
        states = dict(zip(_STATES, self._counts, strict=True))
        return LedgerCounts(self.series, self._first or 0, len(self._codes), states)

    def _begin_at(self, first: int) -> None:
        """Let the ledger begin at an earlier number."""
        added = (self._first or 0) - first
        self._codes[:0] = bytes(added)
        self._counts[_CODES[State.MISSED]] += added
        self._first = first

    def _grow(self, length: int) -> None:
        added = length - len(self._codes)
        self._codes.extend(bytes(added))
        self._counts[_CODES[State.MISSED]] += added


def add_counts(series: Iterable[LedgerCounts]) -> dict[str, int]:
    """Return the states of several series added up, with their sum as `total`."""
    sums = dict.fromkeys((*_STATES, "total"), 0)
    for counts in series:
        sums["total"] += counts.total
        for state, n in counts.states.items():
            sums[state] += n
    return sums
