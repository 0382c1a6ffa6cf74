"""Six histograms of the cells found, their fit, and the proposal to look for the fitted cell."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from braggwatch.gui.known_groups import known_groups, label
from braggwatch.gui.monitor import Monitor
from braggwatch.gui.newest import newest_first
from braggwatch.gui.target_cell import TargetCell
from braggwatch.processing.bravais import Parameters
from braggwatch.processing.cell_statistics import PeakFit, fit_peak, symmetrised
from braggwatch.processing.uniform_bins import count_in_bins
from braggwatch.streamer.control_messages import Change, Changed
from braggwatch.streamer.wording import UNKNOWN, count

NAMES = ("a", "b", "c", "α", "β", "γ")
UNITS = ("Å", "Å", "Å", "°", "°", "°")
BINS = 36
NARROWEST = (0.05, 0.05, 0.05, 0.1, 0.1, 0.1)
"""What a histogram spans at least on each side of its peak, Angstrom and degrees."""


@dataclass(frozen=True)
class CellHistogram:
    """One of the six parameters."""

    name: str
    unit: str
    edges: NDArray[np.float64]
    """``(BINS + 1,)``."""
    counts: NDArray[np.int64]
    """``(BINS,)``."""
    fit: PeakFit
    target: float | None
    value: str
    """The fitted value with its error and unit."""
    spread: str
    """Width and outliers."""


@dataclass(frozen=True)
class Proposal:
    """What is about to be changed."""

    old: str
    new: str


class CellsView(Protocol):
    """What the controller asks of its panel."""

    bar_clicked: Any
    """Which parameter (int), from and to (float)."""
    proposed: Any
    confirmed: Any
    cancelled: Any
    group_chosen: Any
    """Name of a group, empty for all."""

    def show_histograms(self, histograms: list[CellHistogram]) -> None:
        """Draw all six."""

    def show_groups(self, groups: Sequence[tuple[str, str]], chosen: str) -> None:
        """Offer groups, each with its label, of which one is chosen, empty for all; without groups, nothing."""

    def show_empty(self, why: str) -> None:
        """Show a sentence instead."""

    def show_proposal(self, proposal: Proposal | None) -> None:
        """Show old and new cell and ask whether to go on; None: do not ask."""

    def show_line(self, line: str) -> None:
        """Say how the proposal ended."""

    def set_can_propose(self, can: bool, why_not: str) -> None:
        """Enable the button, or say why it is not."""


class CellsController:
    """Keeps the cells up to date."""

    def __init__(self, monitor: Monitor, view: CellsView) -> None:
        self._monitor, self._view = monitor, view
        self.stale = True
        self.group = ""
        """Whose lattices are shown; empty for all."""
        self._fits: list[PeakFit] = []
        self._target = TargetCell.of(None)
        self._proposal: Proposal | None = None
        for signal in (monitor.hits_changed, monitor.settings_changed):
            signal.connect(self._mark)
        view.bar_clicked.connect(self._open)
        view.proposed.connect(self._propose)
        view.confirmed.connect(self._confirm)
        view.cancelled.connect(self._cancel)
        view.group_chosen.connect(self._choose_group)

    def _mark(self) -> None:
        self.stale = True

    def refresh(self) -> None:
        """Fit and draw."""
        self.stale = False
        self._target = TargetCell.of(self._monitor.settings)
        self._view.show_groups([(name, label(name)) for name in self._groups()], self.group)
        cells = np.ascontiguousarray(self._lattices()["cell"].T, np.float64)
        fits = [fit_peak(column) for column in cells]
        self._fits = [fit for fit in fits if fit is not None]
        if len(self._fits) < 6:
            self._fits = []
            self._view.show_empty(_why_empty(self._monitor, self.group))
            self._view.set_can_propose(False, "There is no cell to propose yet.")
            return
        self._view.show_histograms([self._histogram(i, fit, cells[i]) for i, fit in enumerate(self._fits)])
        self._view.set_can_propose(self._target.cell is not None, self._target.problem)

    def _histogram(self, i: int, fit: PeakFit, values: NDArray[np.float64]) -> CellHistogram:
        target = None if self._target.cell is None else self._target.cell.parameters[i]
        reach = max(6.0 * fit.width, NARROWEST[i])
        low, high = fit.value - reach, fit.value + reach
        if target is not None and abs(target - fit.value) < 4.0 * reach:
            low, high = min(low, target - 0.2 * reach), max(high, target + 0.2 * reach)
        counts, edges = count_in_bins(values, BINS, low, high), np.linspace(low, high, BINS + 1)
        return CellHistogram(NAMES[i], UNITS[i], edges, counts, fit, target, _said(fit, UNITS[i]), _spread(fit))

    def _groups(self) -> tuple[str, ...]:
        """Return the groups that hits belong to; the chosen one stays chosen when another session has none of it."""
        hits = self._monitor.hits
        names = tuple(name for name in known_groups(self._monitor).names if hits.code_of(name) > 0)
        return names if not self.group or self.group in names else (*names, self.group)

    def _lattices(self) -> NDArray[np.void]:
        """Return the lattices of the chosen group."""
        hits = self._monitor.hits
        lattices = hits.lattices
        if not self.group:
            return lattices
        of_group: NDArray[np.void] = lattices[hits.hits["group"][lattices["hit"]] == hits.code_of(self.group)]
        return of_group

    def _choose_group(self, group: str) -> None:
        self.group = group
        self._cancel()
        self.stale = True

    def _open(self, parameter: int, low: float, high: float) -> None:
        lattices = self._lattices()
        values = lattices["cell"][:, parameter]
        rows = lattices["hit"][(values >= low) & (values < high)]
        self._monitor.select(newest_first(self._monitor.hits, rows))

    def _propose(self) -> None:
        if not self._fits or self._target.cell is None:
            return
        a, b, c, alpha, beta, gamma = (fit.value for fit in self._fits)
        fitted: Parameters = (a, b, c, alpha, beta, gamma)
        try:
            new = self._target.in_this_form(symmetrised(fitted, self._target.cell))
        except ValueError as error:
            self._view.show_line(f"The fitted cell cannot be the target: {error}")
            return
        self._proposal = Proposal(self._target.text, new)
        self._view.show_proposal(self._proposal)

    def _confirm(self) -> None:
        if self._proposal is not None:
            self._view.show_line("Asking the processor …")
            self._monitor.outbox.change(Change({"index": {"cell": self._proposal.new}}), self._changed)
        self._cancel()

    def _cancel(self) -> None:
        self._proposal = None
        self._view.show_proposal(None)

    def _changed(self, changed: Changed) -> None:
        if changed.problem:
            line = f"The target cell was not changed: {changed.problem}"
            self._monitor.said.emit(line)
        else:
            line = f"The new target cell is in force, settings version {changed.version}."
        self._view.show_line(line)


def _said(fit: PeakFit, unit: str) -> str:
    unit = unit if unit == "°" else f" {unit}"
    if fit.error is None:
        return f"{fit.value:.2f}{unit}"
    # as many decimals as the error deserves, two at least
    digits = 2 if fit.error >= 0.005 or fit.error == 0 else 3
    return f"{fit.value:.{digits}f} ± {fit.error:.{digits}f}{unit}"


def _spread(fit: PeakFit) -> str:
    width = UNKNOWN if fit.n < 2 else f"{fit.width:.2f}"
    return f"σ {width} · {count(fit.n_outliers)} of {count(fit.n)} outliers"


def _why_empty(monitor: Monitor, group: str) -> str:
    n = len(monitor.hits)
    if n and group:
        return f"No cells of group {label(group)} yet: none of its hits is indexed so far."
    if not n:
        return "No cells yet: waiting for the first indexed shot."
    return f"No cells yet: {count(n)} hits, none of them indexed so far."
