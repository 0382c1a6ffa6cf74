"""The hub's accounts: the ledger of every series that is open, and the sums of those that are over."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from time import monotonic

from braggwatch.processing.frame import Series
from braggwatch.streamer import worker_protocol as protocol
from braggwatch.streamer.audience import Audience
from braggwatch.streamer.ledger import LedgerCounts, SeriesLedger, add_counts
from braggwatch.streamer.messages import State
from braggwatch.streamer.selection import Settling


@dataclass(eq=False)
class Run:
    """A series in the hub."""

    series: Series
    ledger: SeriesLedger
    packed: bytes
    settling: Settling = field(default_factory=Settling)
    ended: float | None = None
    """When its end was announced, monotonic seconds."""
    closing: dict[str, float] = field(default_factory=dict)
    """Names of workers that still have to say that everything is written, and since when, monotonic seconds."""


class Accounts:
    """Every series with its ledger; what ends without a result is told to the audience."""

    def __init__(self, audience: Audience) -> None:
        self._audience = audience
        self._open: dict[str, Run] = {}
        self._over = LedgerCounts("", 0, 0, {})
        self._last_over: LedgerCounts | None = None
        self.n_ended = 0
        """How many series are over and written."""

    def __iter__(self) -> Iterator[Run]:
        """Yield the open series, of which any may be closed meanwhile."""
        return iter(list(self._open.values()))

    def __len__(self) -> int:
        return len(self._open)

    def __getitem__(self, key: str) -> Run:
        return self._open[key]

    def get(self, key: str | None) -> Run | None:
        """Return an open series; None where it is unknown or closed."""
        return None if key is None else self._open.get(key)

    def begin(self, series: Series) -> Run:
        """Open the accounts of a series, or put a header in force that came after its first frames."""
        run = self._open.get(series.key)
        if run is None:
            ledger = SeriesLedger(series.key, n_frames=series.n_frames, joined_late=series.joined_late)
            run = self._open[series.key] = Run(series, ledger, protocol.encode_series(series))
        else:
            run.series, run.packed = series, protocol.encode_series(series)
            run.ledger.learn(n_frames=series.n_frames, joined_late=series.joined_late)
        self._audience.series_began(series)
        return run

    def end_all(self) -> None:
        """Take every open series for ended: no more frames will be taken, and those to come are not missed."""
        for run in self:
            if run.ended is None:
                run.ended = monotonic()
                run.ledger.n_frames = None

    def lose(self, series: str, number: int, state: State, reason: str) -> None:
        """Note that a frame's way ended without a result."""
        self._open[series].ledger.move(number, state)
        self._audience.frames_lost(series, range(number, number + 1), state, reason)

    def close(self, run: Run) -> None:
        """Close the accounts of a series; what never arrived is missed for good."""
        del self._open[run.series.key]
        for numbers in run.ledger.close():
            self._audience.frames_lost(run.series.key, numbers, State.MISSED, "never arrived")
        counts = self._last_over = run.ledger.counts()
        self.n_ended += 1
        sums = add_counts([self._over, counts])
        self._over = LedgerCounts("", 0, sums.pop("total"), sums)
        self._audience.series_ended(counts)

    def totals(self) -> dict[str, int]:
        """Return how many frames of all series are in each state, with their `total`."""
        return add_counts([self._over, *(run.ledger.counts() for run in self)])

    def current(self) -> LedgerCounts | None:
        """Return the counts of the newest series, also when it is over; None before the first."""
        runs = list(self)
        return runs[-1].ledger.counts() if runs else self._last_over
