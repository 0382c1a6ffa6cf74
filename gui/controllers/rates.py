"""Rates against time: what the window of the user's choice saw, and the shots behind a point."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from braggwatch.gui.monitor import Monitor
from braggwatch.gui.newest import newest_first
from braggwatch.gui.numbers import UNKNOWN, count, rate
from braggwatch.gui.timeline import HITS, INDEXED, LOOKED_AT, LOST, MULTI_LATTICE, Sliding, Timeline, slide
from braggwatch.processing.proportion import wilson_interval
from braggwatch.streamer.feed_messages import Mark, Rate
from braggwatch.streamer.wording import clock, duration, plain

WINDOWS = (10, 30, 60, 120, 300, 600)
"""s that the rates can look back."""
SPANS = (120, 600, 0)
"""s that can be shown; 0: everything."""
TOPS = (1, 2, 5, 10, 20, 30, 40, 50, 60, 80, 100)
"""% at which the axis may end, so that it does not jump about."""


@dataclass(frozen=True)
class Proportion:
    """One of the curves."""

    name: str
    row: int
    of: int
    """Rows of `Timeline.counts`."""


PROPORTIONS = (
    Proportion("hit rate", HITS, LOOKED_AT),
    Proportion("indexed of hits", INDEXED, HITS),
    Proportion("indexed of all", INDEXED, LOOKED_AT),
    Proportion("multi-lattice", MULTI_LATTICE, INDEXED),
)


@dataclass(frozen=True)
class Curve:
    """A proportion against time, with its 95 % interval, in %; NaN where nothing was looked at. All are ``(m,)``."""

    value: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


@dataclass(frozen=True)
class RatesShown:
    """What the panel draws."""

    times: NDArray[np.float64]
    """``(m,)``, s since 1970."""
    curves: tuple[Curve, ...]
    """As `PROPORTIONS`."""
    lost: NDArray[np.float64]
    """``(m,)``: frames dropped or missed a second; NaN between runs."""
    begin: float
    end: float
    """What is to be seen, s since 1970."""
    top: float
    """%, a little above `highest`."""
    highest: float
    """% where the axis ends."""
    marks: tuple[Mark, ...]


class RatesView(Protocol):
    """What the controller asks of its panel."""

    window_chosen: Any
    """s (int)."""
    span_chosen: Any
    """s (int), 0 for everything."""
    times_clicked: Any
    """From and to, s since 1970 (float)."""
    hovered: Any
    """Where the mouse is, s since 1970; NaN when it has left."""

    def show_rates(self, shown: RatesShown) -> None:
        """Draw the curves."""

    def show_empty(self, why: str) -> None:
        """Show a sentence instead."""

    def show_reading(self, text: str) -> None:
        """Say what the curves are at the mouse; empty: nothing."""

    def show_choice(self, window: int, span: int) -> None:
        """Show what is chosen."""


class RatesController:
    """Keeps the curves up to date."""

    def __init__(self, monitor: Monitor, view: RatesView) -> None:
        self._monitor, self._view = monitor, view
        self.window, self.span = 60, 600
        self.stale = True
        self._timeline: Timeline | None = None
        self._sliding: Sliding | None = None
        monitor.history_changed.connect(self._set_stale)
        monitor.status_changed.connect(self._set_stale_while_empty)
        view.window_chosen.connect(self._choose_window)
        view.span_chosen.connect(self._choose_span)
        view.times_clicked.connect(self.select_hits)
        view.hovered.connect(self.read)
        view.show_choice(self.window, self.span)

    def refresh(self) -> None:
        """Work the curves out anew."""
        history = self._monitor.history
        self._sliding = None
        if history is not None:
            try:
                self._timeline = Timeline.of(history)
            except ValueError as error:
                self._monitor.said.emit(f"the history that the processor sent makes no sense: {plain(str(error))}")
                self._timeline = None
        else:
            self._timeline = None
        if self._timeline is None or not self._timeline.counts[[LOOKED_AT, LOST]].any():
            self._view.show_empty(self._why_empty())
            return
        self._sliding = slide(self._timeline, self.window, self._since(self._timeline))
        self._view.show_rates(self._shown(self._timeline, self._sliding))

    def select_hits(self, begin: float, end: float) -> None:
        """Select the hits between two times, or the nearest one within the window before; the newest is shown."""
        times = self._monitor.hits.hits["time"]
        found = np.flatnonzero((times >= begin) & (times <= end))
        if not len(found):
            near = np.flatnonzero((times > end - self.window - 1) & (times <= end + 1))
            found = near[[np.argmin(np.abs(times[near] - end))]] if len(near) else near
        if not len(found):
            self._monitor.said.emit(f"no hit is known of the {duration(self.window)} before {clock(end)}")
            return
        self._monitor.select(newest_first(self._monitor.hits, found))

    def read(self, time: float) -> None:
        """Tell the view what the curves are at a time."""
        self._view.show_reading(self._reading(time))

    def _reading(self, time: float) -> str:
        sliding = self._sliding
        if sliding is None or not len(sliding.times) or not np.isfinite(time):
            return ""
        at = min(int(np.searchsorted(sliding.times, time)), len(sliding.times) - 1)
        sums = sliding.sums[:, at]
        parts = [f"{p.name} {_said(int(sums[p.row]), int(sums[p.of]))}" for p in PROPORTIONS]
        return " · ".join([clock(float(sliding.times[at])), *parts, f"lost {count(int(sums[LOST]))} frames"])

    def _since(self, timeline: Timeline) -> float:
        return float(timeline.edges[-1]) - self.span if self.span else -np.inf

    def _shown(self, timeline: Timeline, sliding: Sliding) -> RatesShown:
        curves = tuple(_curve(sliding.sums[p.row], sliding.sums[p.of]) for p in PROPORTIONS)
        highest = max((float(np.nanmax(c.value)) for c in curves if np.isfinite(c.value).any()), default=0.0)
        ceiling = next((top for top in TOPS if top >= highest * 1.05), 100)
        alive = sliding.sums[[LOOKED_AT, LOST]].any(axis=0)
        return RatesShown(
            times=sliding.times,
            curves=curves,
            lost=np.where(alive, sliding.sums[LOST] / sliding.seconds, np.nan),
            begin=float(max(self._since(timeline), _first(timeline))),
            end=float(timeline.edges[-1]),
            top=ceiling * 1.03,
            highest=ceiling,
            marks=timeline.marks,
        )

    def _why_empty(self) -> str:
        status = self._monitor.status
        if status is None:
            return "Waiting for a processor."
        if status.word in ("FINISHED", "STOPPED", "RECORD"):
            return "No frame was looked at, so there are no rates."
        where = plain(status.source) or "the detector"
        return f"Waiting for frames on {where} since {clock(status.since)}: there are rates once one was looked at."

    def _choose_window(self, seconds: int) -> None:
        self.window = seconds
        self.stale = True

    def _choose_span(self, seconds: int) -> None:
        self.span = seconds
        self.stale = True

    def _set_stale(self) -> None:
        self.stale = True

    def _set_stale_while_empty(self) -> None:
        if self._sliding is None:
            self.stale = True


def _first(timeline: Timeline) -> float:
    """Return when the first frame was counted: before it there is nothing to see."""
    counted = timeline.counts[[LOOKED_AT, LOST]].any(axis=0)
    return float(timeline.edges[int(np.argmax(counted))])


def _curve(n: NDArray[np.int64], of: NDArray[np.int64]) -> Curve:
    low, high = wilson_interval(n, of)
    value = np.divide(n, of, out=np.full(len(n), np.nan), where=of > 0)
    return Curve(100 * value, 100 * low, 100 * high)


def _said(n: int, of: int) -> str:
    if not of:
        return UNKNOWN
    low, high = wilson_interval(n, of)
    return rate(Rate(n, of, float(low), float(high)))
