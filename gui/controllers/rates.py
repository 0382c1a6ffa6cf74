"""Rates against time: what the window of the user's choice saw, and the shots behind a point."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from braggwatch.gui.controllers.rates_by_group import KINDS, ByGroup, GroupRate, Kind, rates_by_group, reading
from braggwatch.gui.known_groups import known_groups
from braggwatch.gui.monitor import Monitor
from braggwatch.gui.newest import newest_first
from braggwatch.gui.numbers import count
from braggwatch.gui.rate_curves import PROPORTIONS, Curve, curve_of, said
from braggwatch.gui.skipped import all_skipped
from braggwatch.gui.timeline import LOOKED_AT, LOST, Sliding, Timeline, slide
from braggwatch.streamer.feed_messages import Mark
from braggwatch.streamer.wording import clock, duration, plain

WINDOWS = (10, 30, 60, 120, 300, 600)
"""s that the rates can look back."""
SPANS = (120, 600, 0)
"""s that can be shown; 0: everything."""
TOPS = (1, 2, 5, 10, 20, 30, 40, 50, 60, 80, 100)
"""% at which the axis may end, so that it does not jump about."""


@dataclass(frozen=True)
class RatesShown:
    """What the panel draws."""

    times: NDArray[np.float64]
    """``(m,)``, s since 1970."""
    curves: tuple[Curve, ...]
    """As `PROPORTIONS`; empty where groups are shown."""
    by_group: ByGroup | None
    """None where all are shown together."""
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
    kind_chosen: Any
    """One of `KINDS`."""
    times_clicked: Any
    """From and to, s since 1970, and the height in % (float)."""
    group_clicked: Any
    """`GroupRate.key`."""
    hovered: Any
    """Where the mouse is, s since 1970; NaN when it has left."""

    def show_rates(self, shown: RatesShown) -> None:
        """Draw the curves."""

    def show_empty(self, why: str) -> None:
        """Show a sentence instead."""

    def show_reading(self, text: str) -> None:
        """Say what the curves are at the mouse; empty: nothing."""

    def show_choice(self, window: int, span: int, kind: Kind) -> None:
        """Show what is chosen."""

    def show_grouped(self, grouped: bool) -> None:
        """Offer the kinds, or none where shots are not grouped."""


class RatesController:
    """Keeps the curves up to date."""

    def __init__(self, monitor: Monitor, view: RatesView) -> None:
        self._monitor, self._view = monitor, view
        self.window, self.span = 60, 600
        self.kind: Kind = "all"
        self.stale = True
        self._timeline: Timeline | None = None
        self._sliding: Sliding | None = None
        self._by_group: ByGroup | None = None
        monitor.history_changed.connect(self._set_stale)
        monitor.settings_changed.connect(self._set_stale)
        monitor.status_changed.connect(self._set_stale_while_empty)
        view.window_chosen.connect(self._choose_window)
        view.span_chosen.connect(self._choose_span)
        view.kind_chosen.connect(self._choose_kind)
        view.times_clicked.connect(self.select_hits)
        view.group_clicked.connect(self.select_group)
        view.hovered.connect(self.read)
        view.show_choice(self.window, self.span, self.kind)

    def refresh(self) -> None:
        """Work the curves out anew."""
        history = self._monitor.history
        self._sliding = self._by_group = None
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
            self._view.show_grouped(False)
            return
        self._view.show_grouped(bool(self._timeline.groups))
        self._sliding = slide(self._timeline, self.window, self._since(self._timeline))
        self._view.show_rates(self._shown(self._timeline, self._sliding))

    def select_hits(self, begin: float, end: float, height: float) -> None:
        """Select the hits between two times, or the nearest one within the window before; the newest is shown.

        Where groups are shown, those of the group whose curve is nearest to a height, in %.
        """
        group = self._nearest(end, height)
        hits = self._monitor.hits.hits
        times = hits["time"]
        wanted = np.ones(len(hits), bool) if group is None else self._of_group(group.key)
        found = np.flatnonzero(wanted & (times >= begin) & (times <= end))
        if not len(found):
            near = np.flatnonzero(wanted & (times > end - self.window - 1) & (times <= end + 1))
            found = near[[np.argmin(np.abs(times[near] - end))]] if len(near) else near
        if not len(found):
            of_group = "" if group is None else f" of group {group.name}"
            self._monitor.said.emit(f"no hit{of_group} is known of the {duration(self.window)} before {clock(end)}")
            return
        self._monitor.select(newest_first(self._monitor.hits, found))

    def select_group(self, key: str) -> None:
        """Select the newest hits of a group."""
        self._monitor.select(newest_first(self._monitor.hits, np.flatnonzero(self._of_group(key))))

    def _of_group(self, key: str) -> NDArray[np.bool_]:
        of_group: NDArray[np.bool_] = self._monitor.hits.hits["group"] == self._monitor.hits.code_of(key)
        return of_group

    def _nearest(self, time: float, height: float) -> GroupRate | None:
        """Return the group whose curve is nearest to a place; None where all are shown together."""
        if self._sliding is None or self._by_group is None or not len(self._sliding.times):
            return None
        at = self._at(self._sliding, time)
        known = [group for group in self._by_group.groups if np.isfinite(group.curve.value[at])]
        return min(known, key=lambda group: abs(group.curve.value[at] - height), default=None)

    def read(self, time: float) -> None:
        """Tell the view what the curves are at a time."""
        self._view.show_reading(self._reading(time))

    def _reading(self, time: float) -> str:
        sliding, timeline = self._sliding, self._timeline
        if sliding is None or timeline is None or not len(sliding.times) or not np.isfinite(time):
            return ""
        at = self._at(sliding, time)
        sums = sliding.sums[:, at]
        if self._by_group is not None:
            parts = reading(timeline, sums, self._by_group)
        else:
            parts = [f"{p.name} {said(int(sums[p.row]), int(sums[p.of]))}" for p in PROPORTIONS]
        return " · ".join([clock(float(sliding.times[at])), *parts, f"lost {count(int(sums[LOST]))} frames"])

    @staticmethod
    def _at(sliding: Sliding, time: float) -> int:
        return min(int(np.searchsorted(sliding.times, time)), len(sliding.times) - 1)

    def _since(self, timeline: Timeline) -> float:
        return float(timeline.edges[-1]) - self.span if self.span else -np.inf

    def _shown(self, timeline: Timeline, sliding: Sliding) -> RatesShown:
        if self.kind != "all" and timeline.groups:
            known, since = known_groups(self._monitor), self._since(timeline)
            self._by_group = rates_by_group(timeline, sliding, known, self.kind, since)
        of_all = PROPORTIONS if self._by_group is None else ()
        curves = tuple(curve_of(sliding.sums[p.row], sliding.sums[p.of]) for p in of_all)
        if self._by_group is None:
            highest = max(curve.highest for curve in curves)
        else:
            highest = max((group.curve.highest_settled for group in self._by_group.groups), default=0.0)
        ceiling = next((top for top in TOPS if top >= highest * 1.05), 100)
        alive = sliding.sums[[LOOKED_AT, LOST]].any(axis=0)
        return RatesShown(
            times=sliding.times,
            curves=curves,
            by_group=self._by_group,
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
        if skipped := all_skipped(status):
            return skipped
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

    def _choose_kind(self, kind: str) -> None:
        self.kind = next((known for known in KINDS if known == kind), self.kind)
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
