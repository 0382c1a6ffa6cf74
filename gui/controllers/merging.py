"""How good the data are, when they will be good enough, and what they are to reach."""

import math
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from braggwatch.gui.controllers.ageing import Ageing
from braggwatch.gui.controllers.merging_facts import facts_of, shell_line
from braggwatch.gui.controllers.merging_groups import group_lines, part_of, part_waited_for, said_of
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
from braggwatch.gui.known_groups import known_groups, label
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
        self._group = ""
        self._target = TargetController(monitor, view, self.set_stale)
        for signal in (monitor.merging_changed, monitor.settings_changed):
            signal.connect(self.set_stale)
        view.shell_clicked.connect(self._open_shell)
        view.moment_clicked.connect(self._open_moment)
        view.group_clicked.connect(self._choose_group)

    def refresh(self) -> None:
        """Work out what to show."""
        self.stale = False
        merging = self.monitor.merging
        overall = None if merging is None else plausible_shell(merging.overall)
        if merging is None or part_of(merging, self._group) is merging:
            self._group = ""
        self._shells = [] if merging is None else plausible_shells(part_of(merging, self._group))
        finest = self._shells[-1].d_min if self._shells else None
        coarsest = self._shells[0].d_min if self._shells else None
        self._target.refresh(finest, coarsest)
        if merging is None or overall is None or not merging.n_crystals > 0:
            self._view.show_empty(self._why_empty(merging))
            return
        self._view.show_merging(self._picture(merging, overall))

    def _picture(self, everything: Merging, overall_of_all: Shell) -> MergingShown:
        elapsed = 0.0 if self.over else self.since(everything.time)
        merging, target = part_of(everything, self._group), plausible_target(everything)
        verdict, quality = self._verdict(everything, elapsed)
        moments = plausible_moments(everything)
        self._times = moments.time
        outer, whole = plausible_shell(merging.outer), plausible_shell(merging.whole)
        overall = plausible_shell(merging.overall) or overall_of_all
        return MergingShown(
            verdict,
            quality,
            target_words(target),
            facts_of(merging, overall, outer, whole, target, of_group=bool(self._group)),
            Progress(
                moments, None if target is None else target.cc_half, None if target is None else target.completeness,
                "" if target is None or outer is None else f"{outer.d_max:.2f}–{outer.d_min:.2f} Å",
                None if self.over else _expected(plausible_forecast(everything), everything.time),
            ),
            _plots(self._shells, target),
            tuple(shell_line(shell) for shell in (*self._shells, overall)),
            group_lines(
                everything, overall_of_all, known_groups(self.monitor), self._group, elapsed, over=self.over
            ),
        )  # fmt: skip

    def _verdict(self, everything: Merging, elapsed: float) -> tuple[Words, tuple[str, ...]]:
        """Say when the target is reached and how good the data are: of the chosen group, or of what takes longest."""
        name, merging = label(self._group), part_of(everything, self._group)
        if not self._group:
            name, merging = part_waited_for(everything)
        n = count_of(merging.n_crystals)
        words = forecast_words(plausible_forecast(merging), elapsed, over=self.over, n_crystals=n)
        words = said_of(name, words)
        if elapsed > OLD_S:
            words = Words((f"{words.texts[0]}, as of {duration(elapsed)} ago", *words.texts), "quiet")
        outer, whole = plausible_shell(merging.outer), plausible_shell(merging.whole)
        return words, quality_words(outer, whole, few=n is None or n < FEW)

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
        chosen = self._indexed()
        if place < len(self._shells):
            shell = self._shells[place]
            chosen &= (hits["resolution"] < shell.d_max) & (hits["resolution"] >= shell.d_min)
        self.monitor.select(newest_first(self.monitor.hits, np.flatnonzero(chosen)))

    def _choose_group(self, name: str) -> None:
        """Show the numbers of a group, and its newest indexed shots; of an empty name those of all."""
        self._group = name
        self.set_stale()
        self.monitor.select(newest_first(self.monitor.hits, np.flatnonzero(self._indexed())))

    def _indexed(self) -> NDArray[np.bool_]:
        """Return which hits are indexed and of the chosen group."""
        hits = self.monitor.hits.hits
        indexed: NDArray[np.bool_] = hits["indexed"].copy()
        if self._group:
            indexed &= hits["group"] == self.monitor.hits.code_of(self._group)
        return indexed

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
