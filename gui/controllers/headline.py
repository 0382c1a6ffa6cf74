"""The numbers that are read from three metres away."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from braggwatch.gui.controllers.ageing import Ageing
from braggwatch.gui.controllers.merging_groups import part_waited_for, said_of
from braggwatch.gui.controllers.merging_wording import FEW, OLD_S, forecast_words, quality_words, target_words
from braggwatch.gui.group_watch import group_warnings
from braggwatch.gui.known_groups import known_groups
from braggwatch.gui.monitor import Monitor
from braggwatch.gui.newest import newest_first
from braggwatch.gui.numbers import age, duration, margin, number, of
from braggwatch.gui.plausible_merge import count_of, plausible_forecast, plausible_shell, plausible_target
from braggwatch.streamer.feed_messages import Rate, Rates


@dataclass(frozen=True)
class Headline:
    """One large number."""

    title: str
    digits: str
    """In percent, without the unit; “–” when unknown."""
    margin: str
    """Half the 95 % interval, in percent."""
    below: str
    """What was divided, or why there is nothing yet."""
    age: str
    """Empty while it is fresh."""
    tone: str
    """Name of a field of `Theme`; `quiet` where it is old."""
    meaning: str


@dataclass(frozen=True)
class DataSet:
    """How good the merged data are, and when they will do: the longest text first."""

    quality: tuple[str, ...]
    forecast: tuple[str, ...]
    tone: str
    """Of the forecast: name of a field of `Theme`."""
    meaning: str


class HeadlineView(Protocol):
    """What the controller asks of its panel."""

    clicked: Any
    """With the place of the headline."""

    def show_data_set(self, data_set: DataSet | None) -> None:
        """Show it below the headlines; None: nothing is merged."""

    def show_warnings(self, texts: Sequence[str]) -> None:
        """Say calmly what a person should look at; mostly nothing."""

    def show_headlines(self, headlines: list[Headline]) -> None:
        """Show them below each other, or beside each other where there is more room."""


class HeadlineController(Ageing):
    """Keeps the large numbers up to date."""

    def __init__(self, monitor: Monitor, view: HeadlineView, clock: Callable[[], float] = time.monotonic) -> None:
        """Measure ages with `clock`, in s."""
        super().__init__(monitor, clock)
        self._view = view
        monitor.merging_changed.connect(self.set_stale)
        monitor.history_changed.connect(self.set_stale)
        view.clicked.connect(self.select_hits)

    def refresh(self) -> None:
        """Work the numbers out anew."""
        status, finished = self.monitor.status, self.monitor.finished
        rates = finished.rates if finished is not None else status.rates if status is not None else Rates()
        whole = finished is not None or status is None
        look_back = "over the whole session" if whole or status is None else f"over the last {duration(status.window)}"
        self._view.show_headlines(
            [
                self._headline("HIT RATE", rates.hit, "hit", "no frame", f"Hits of the frames looked at, {look_back}"),
                self._headline("INDEXED OF HITS", rates.indexed_of_hits, "indexed", "no hit",
                               f"Shots with a lattice, of the hits, {look_back}"),
                self._headline("MULTI-LATTICE", rates.multi_lattice, "multi_lattice", "no indexed shot",
                               f"Shots with two or more lattices, of the indexed ones, {look_back}"),
            ]
        )  # fmt: skip

        self._view.show_data_set(self._data_set())
        quiet = self.over or self.old
        warnings = () if quiet else group_warnings(self.monitor, known_groups(self.monitor))
        self._view.show_warnings([warning.text for warning in warnings])

    def _data_set(self) -> DataSet | None:
        merging = self.monitor.merging
        if merging is None or not count_of(merging.n_crystals):
            return None
        name, merging = part_waited_for(merging)
        n = count_of(merging.n_crystals) or 0
        outer, whole = plausible_shell(merging.outer), plausible_shell(merging.whole)
        if outer is None and whole is None:
            return None
        elapsed = 0.0 if self.over else self.since(merging.time)
        words = said_of(name, forecast_words(plausible_forecast(merging), elapsed, over=self.over, n_crystals=n))
        quality = quality_words(outer, whole, few=n < FEW)
        aim = ". ".join((quality[0], words.texts[0], target_words(plausible_target(merging))[0]))
        return DataSet(
            quality[2:], words.texts, "quiet" if elapsed > OLD_S else words.tone,
            f"{aim}.\nCC½ of the outermost shell to the target's resolution, and completeness"
            f"{'; of the group that takes longest' if name else ''}. A click opens the panel Merging.",
        )  # fmt: skip

    def select_hits(self, place: int) -> None:
        """Select the newest shots behind a headline: hits, indexed ones, those with several lattices."""
        hits = self.monitor.hits.hits
        chosen = (np.ones(len(hits), bool), hits["indexed"], hits["n_lattices"] > 1)[place]
        self.monitor.select(newest_first(self.monitor.hits, np.flatnonzero(chosen)))

    def _headline(self, title: str, rate: Rate, tone: str, nothing: str, meaning: str) -> Headline:
        status = self.monitor.status
        if status is None:
            below = "waiting for a processor"
        elif rate.of:
            below = of(rate)
        else:
            below = f"{nothing} in the last {duration(status.window)}" if status.totals.total else f"{nothing} yet"
        how_old = (age(self.frame_age) or age(self.silence)) if self.old else ""
        return Headline(
            title, number(rate), margin(rate), below, how_old, "quiet" if self.old or rate.value is None else tone,
            f"{meaning}, in %, ± half the 95 % interval (Wilson). A click opens the newest ones.",
        )  # fmt: skip
