"""How good the data are, when they will be good enough, and what they are to reach."""

import math
import time
from collections.abc import Callable

import numpy as np

from braggwatch.gui.controllers.ageing import Ageing
from braggwatch.gui.controllers.merging_facts import facts_of, shell_line
from braggwatch.gui.controllers.merging_target import TargetController
from braggwatch.gui.controllers.merging_view import F64, MergingShown, MergingView, Progress, ShellPlots, ShellQuantity
from braggwatch.gui.controllers.merging_wording import (
    FEW,
    OLD_S,
    Words,
    forecast_words,
    quality_words,
    target_words,
)
from braggwatch.gui.monitor import Monitor
from braggwatch.gui.newest import newest_first
from braggwatch.gui.numbers import count, duration
from braggwatch.gui.plausible_merge import (
    count_of,
    plausible_forecast,
    plausible_moments,
    plausible_shell,
    plausible_shells,
    plausible_target,
    plausible_time,
)
from braggwatch.processing.data_quality import Forecast, Shell, Target
from braggwatch.streamer.merge_messages import Merging
from braggwatch.streamer.wording import plain


class MergingController(Ageing):
    """Keeps the panel up to date."""

    def __init__(self, monitor: Monitor, view: MergingView, clock: Callable[[], float] = time.monotonic) -> None:
        """Measure ages with `clock`, in s."""
        super().__init__(monitor, clock)
        self._view = view
        self._shells: list[Shell] = []
        self._times: F64 = np.zeros(0)
        self._target = TargetController(monitor, view, self.set_stale)
        for signal in (monitor.merging_changed, monitor.settings_changed):
            signal.connect(self.set_stale)
        view.shell_clicked.connect(self._open_shell)
        view.moment_clicked.connect(self._open_moment)

    def refresh(self) -> None:
        """Work out what to show."""
        self.stale = False
        merging = self.monitor.merging
        overall = None if merging is None else plausible_shell(merging.overall)
        self._shells = [] if merging is None else plausible_shells(merging)
        finest = self._shells[-1].d_min if self._shells else None
        coarsest = self._shells[0].d_min if self._shells else None
        self._target.refresh(finest, coarsest)
        if merging is None or overall is None or not merging.n_crystals > 0:
            self._view.show_empty(self._why_empty(merging))
            return
        self._view.show_merging(self._picture(merging, overall))

    def _picture(self, merging: Merging, overall: Shell) -> MergingShown:
        outer, whole = plausible_shell(merging.outer), plausible_shell(merging.whole)
        target, forecast = plausible_target(merging), plausible_forecast(merging)
        n = count_of(merging.n_crystals)
        elapsed = 0.0 if self.over else self.since(merging.time)
        verdict = forecast_words(forecast, elapsed, over=self.over, n_crystals=n)
        if elapsed > OLD_S:
            verdict = Words((f"{verdict.texts[0]}, as of {duration(elapsed)} ago", *verdict.texts), "quiet")
        moments = plausible_moments(merging)
        self._times = moments.time
        return MergingShown(
            verdict,
            quality_words(outer, whole, few=n is None or n < FEW),
            target_words(target),
            facts_of(merging, overall, outer, whole, target),
            Progress(
                moments, None if target is None else target.cc_half, None if target is None else target.completeness,
                "" if target is None or outer is None else f"{outer.d_max:.2f}–{outer.d_min:.2f} Å",
                None if self.over else _expected(forecast, merging.time),
            ),
            _plots(self._shells, target),
            tuple(shell_line(shell) for shell in (*self._shells, overall)),
        )  # fmt: skip

    def _why_empty(self, merging: Merging | None) -> str:
        monitor = self.monitor
        if merging is not None and merging.problem:
            return plain(merging.problem, 400)
        if monitor.link == "record":
            return "Nothing was merged in this session."
        if merging is None:
            if monitor.status is None:
                return "Waiting for a processor, which tells how the merge goes."
            return "Nothing merged yet: waiting for the processor to tell of the merge."
        foreign = count_of(merging.n_foreign)
        but = f"; {count(foreign)} crystals of another cell or space group were left out" if foreign else ""
        return f"Nothing merged yet: waiting for the first integrated crystals{but}."

    def _open_shell(self, place: int) -> None:
        """Open the indexed shots whose resolution lies in a shell; after the last one: in any."""
        hits = self.monitor.hits.hits
        chosen = hits["indexed"].copy()
        if place < len(self._shells):
            shell = self._shells[place]
            chosen &= (hits["resolution"] < shell.d_max) & (hits["resolution"] >= shell.d_min)
        self.monitor.select(newest_first(self.monitor.hits, np.flatnonzero(chosen)))

    def _open_moment(self, place: int) -> None:
        """Open the indexed shots that came between a moment and the one before it."""
        if not 0 <= place < len(self._times):
            return
        hits = self.monitor.hits.hits
        begin = self._times[place - 1] if place else -math.inf
        chosen = hits["indexed"] & (hits["time"] > begin) & (hits["time"] <= self._times[place])
        self.monitor.select(newest_first(self.monitor.hits, np.flatnonzero(chosen)))


def _expected(forecast: Forecast | None, told: float) -> tuple[float, float, float] | None:
    if forecast is None or forecast.state != "ahead" or plausible_time(told) is None:
        return None
    if forecast.seconds is None or forecast.low is None or forecast.high is None:
        return None
    return told + forecast.low, told + forecast.seconds, told + forecast.high


def _plots(shells: list[Shell], target: Target | None) -> ShellPlots:
    edges = np.array([(shell.d_max**-2, shell.d_min**-2) for shell in shells], np.float64).reshape(-1, 2)
    values: dict[ShellQuantity, F64] = {
        "cc_half": _column([shell.cc_half for shell in shells]),
        "completeness": 100 * _column([shell.completeness for shell in shells]),
        "snr": _column([shell.snr for shell in shells]),
        "r_split": 100 * _column([shell.r_split for shell in shells]),
    }
    targets: dict[ShellQuantity, float] = {}
    if target is not None and target.cc_half is not None:
        targets["cc_half"] = target.cc_half
    return ShellPlots(
        edges.mean(axis=1), edges, values, _column([shell.cc_half_error for shell in shells]), targets,
        None if target is None else target.d_min, tuple(shell_line(shell).meaning for shell in shells),
    )  # fmt: skip


def _column(values: list[float | None]) -> F64:
    return np.array([math.nan if value is None else value for value in values], np.float64)
