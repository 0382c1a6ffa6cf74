"""The cells found: six small histograms, and the proposal of another target."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import pyqtgraph as pg
from PyQt5.QtCore import Qt, pyqtSignal
from PyQt5.QtGui import QResizeEvent
from PyQt5.QtWidgets import (
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from braggwatch.gui import style
from braggwatch.gui.controllers.cells import NAMES, UNITS, CellHistogram, Proposal
from braggwatch.gui.panels.fitting_label import FittingLabel
from braggwatch.gui.panels.histogram import Histogram
from braggwatch.gui.panels.panel import Panel
from braggwatch.gui.panels.plot import Quantity
from braggwatch.gui.theme import DARK, SPACE, Theme

_LEAST_BOX_PX, _MOST_BOX_PX = 64, 180
LENGTHS = "axis of the conventional cell, Å"
ANGLES = "angle of the conventional cell, degrees"
_FIT_MEANING = (
    "Fitted value ± its standard error; σ: width of the peak. Fit: a normal distribution on a uniform background, so "
    "that wrong lattices do not pull; outliers belong to the background."
)


class OneParameter(QWidget):
    """A histogram under a line that says the fit."""

    def __init__(self, name: str, unit: str) -> None:
        super().__init__()
        self._narrow, self._value = False, 0.0
        meaning = f"{name}: {LENGTHS if unit == 'Å' else ANGLES}, of every lattice found."
        self.label = FittingLabel(bold=True)
        self.label.setToolTip(_FIT_MEANING)
        self.spread = FittingLabel(quiet=True)
        self.spread.setToolTip(_FIT_MEANING)
        self.plot = Histogram(Quantity(name, unit), Quantity("Lattices"), meaning)
        self.plot.add_series("outliers", "quiet")
        self.plot.add_series("lattices", "indexed")
        self.fit = pg.PlotCurveItem(antialias=True)
        self.plot.addItem(self.fit, ignoreBounds=True)
        self.target = self.plot.add_line("predicted")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        for widget in (self.label, self.spread):
            widget.setContentsMargins(SPACE // 2, 0, SPACE // 2, 0)
            layout.addWidget(widget)
        layout.addWidget(self.plot, 1)

    def show_histogram(self, shown: CellHistogram) -> None:
        """Draw it."""
        fit, unit = shown.fit, shown.unit
        self._value = fit.value
        self._place_ticks()
        middles = (shown.edges[:-1] + shown.edges[1:]) / 2
        step = shown.edges[1] - shown.edges[0]
        outside = (middles < fit.low - step / 2) | (middles > fit.high + step / 2)
        self.plot.set_counts(shown.edges, np.where(outside, shown.counts, 0), np.where(outside, 0, shown.counts))
        self.target.setVisible(shown.target is not None)
        if shown.target is not None:
            self.target.setValue(shown.target)
        if fit.width > 0:
            x = np.linspace(shown.edges[0], shown.edges[-1], 200)
            area = shown.counts[~outside].sum() * step
            self.fit.setData(x, area * np.exp(-0.5 * ((x - fit.value) / fit.width) ** 2) / (fit.width * 2.5066))
        else:
            self.fit.setData([], [])
        short = f"{fit.value:.2f}{'' if unit == '°' else ' '}{unit}"
        self.label.set_texts(f"{shown.name} {shown.value}", f"{shown.name} {short}", short, f"{fit.value:.1f}")
        self.spread.set_texts(shown.spread, *shown.spread.split(" · ")[:1])

    def arrange(self, width: int, height: int) -> None:
        """Leave out what there is no room for."""
        self.spread.setVisible(height > 110)
        plot = self.plot.plotItem
        plot.showAxis("left", width > 230)
        plot.showAxis("bottom", height > 70)
        plot.getAxis("bottom").showLabel(height > 170)
        self._narrow = width < 190
        self._place_ticks()

    def _place_ticks(self) -> None:
        """Where there is room for one label only, let it stand near the peak."""
        rounded = round(self._value, 1)
        one = [[(rounded, f"{rounded:.1f}")]] if self._narrow else None
        self.plot.plotItem.getAxis("bottom").setTicks(one)

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        self.plot.set_theme(theme)
        self.label.set_theme(theme)
        self.spread.set_theme(theme)
        self.fit.setPen(style.line_pen(theme.text))


class CellsPanel(Panel):
    """Six histograms, and a line below them that proposes the fitted cell."""

    name = "cells"
    title = "Cell"
    bar_clicked = pyqtSignal(int, float, float)
    proposed = pyqtSignal()
    confirmed = pyqtSignal()
    cancelled = pyqtSignal()
    group_chosen = pyqtSignal(str)

    def __init__(self) -> None:
        super().__init__()
        self.parameters = [OneParameter(name, unit) for name, unit in zip(NAMES, UNITS, strict=True)]
        for i, parameter in enumerate(self.parameters):
            parameter.plot.bar_clicked.connect(partial(self.bar_clicked.emit, i))
        self._empty = QLabel()
        self._empty.setWordWrap(True)
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._empty.setContentsMargins(2 * SPACE, SPACE, 2 * SPACE, SPACE)
        grid = QWidget()
        self._grid = QGridLayout(grid)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(SPACE // 2)
        self._stack = QStackedLayout()
        self._stack.addWidget(self._empty)
        self._stack.addWidget(grid)
        self._make_line()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(SPACE // 2, SPACE // 2, SPACE // 2, SPACE // 2)
        layout.setSpacing(SPACE // 2)
        layout.addLayout(self._stack, 1)
        layout.addWidget(self._line)
        self._columns = 0
        self._asking = False
        self.show_proposal(None)
        self.set_theme(DARK)
        self._arrange()

    def _make_line(self) -> None:
        self._key = QLabel()
        self._say = FittingLabel(quiet=True)
        self.groups = QComboBox()
        self.groups.setMinimumWidth(_LEAST_BOX_PX)
        self.groups.setMaximumWidth(_MOST_BOX_PX)
        self.groups.setToolTip("Of which group of shots the lattices are shown, fitted and proposed")
        self.groups.activated.connect(lambda row: self.group_chosen.emit(self.groups.itemData(row)))
        self._offered: tuple[tuple[str, str], ...] = ()
        self.groups.hide()
        self.propose = QPushButton("Propose fitted cell as target")
        self.propose.clicked.connect(self.proposed)
        self.confirm = QPushButton("Apply")
        self.confirm.setToolTip("Send the new target cell to the running processor: it acts from the next frames on.")
        self.confirm.clicked.connect(self.confirmed)
        self.cancel = QPushButton("Cancel")
        self.cancel.clicked.connect(self.cancelled)
        self.old, self.new = FittingLabel(quiet=True), FittingLabel(bold=True)
        self._line = QWidget()
        below = QVBoxLayout(self._line)
        below.setContentsMargins(0, 0, 0, 0)
        below.setSpacing(0)
        for label in (self.old, self.new):
            label.setContentsMargins(SPACE // 2, 0, SPACE // 2, 0)
            below.addWidget(label)
        line = QHBoxLayout()
        below.addLayout(line)
        line.setSpacing(SPACE)
        line.addWidget(self.groups)
        line.addWidget(self._key)
        line.addWidget(self._say, 1)
        for button in (self.propose, self.confirm, self.cancel):
            line.addWidget(button)

    def show_histograms(self, histograms: list[CellHistogram]) -> None:
        """Draw all six."""
        self._stack.setCurrentIndex(1)
        self._key.setVisible(self._wide())
        for parameter, shown in zip(self.parameters, histograms, strict=True):
            parameter.show_histogram(shown)

    def show_groups(self, groups: Sequence[tuple[str, str]], chosen: str) -> None:
        """Offer groups, each with its label, of which one is chosen, empty for all; without groups, nothing."""
        offered = (("", "all groups"), *groups)
        if offered != self._offered:
            self._offered = offered
            self.groups.clear()
            for name, text in offered:
                self.groups.addItem(text, name)
        self.groups.setCurrentIndex(max(self.groups.findData(chosen), 0))
        self.groups.setVisible(bool(groups))
        self._arrange()

    def show_empty(self, why: str) -> None:
        """Show a sentence instead."""
        self._empty.setText(why)
        self._stack.setCurrentIndex(0)
        self._key.hide()

    @property
    def empty(self) -> str:
        """The sentence that is shown instead of histograms; empty while these are shown."""
        return self._empty.text() if self._stack.currentIndex() == 0 else ""

    def show_proposal(self, proposal: Proposal | None) -> None:
        """Show old and new cell and ask whether to go on; None: do not ask."""
        asking = proposal is not None
        self.confirm.setVisible(asking)
        self.cancel.setVisible(asking)
        self.propose.setVisible(not asking)
        self._asking = asking
        self._key.setVisible(self._wide() and not asking and self._stack.currentIndex() == 1)
        self._say.set_texts("")
        for label in (self.old, self.new):
            label.setVisible(asking)
        if proposal is not None:
            self.old.set_texts(f"Target cell now: {proposal.old}", f"Now {proposal.old}")
            self.new.set_texts(f"Proposed: {proposal.new}", f"→ {proposal.new}")
            for label in (self.old, self.new):
                label.setToolTip(f"Target cell now: {proposal.old}\nProposed: {proposal.new}\nÅ and degrees.")

    def show_line(self, line: str) -> None:
        """Say how the proposal ended."""
        self._say.set_texts(line)
        self._say.setToolTip(line)

    @property
    def line(self) -> str:
        """What stands below the histograms."""
        return self._say.text

    def set_can_propose(self, can: bool, why_not: str) -> None:
        """Enable the button, or say why it is not."""
        self.propose.setEnabled(can)
        self.propose.setToolTip(
            "Make the fitted cell, with the target's symmetry, what the indexer looks for. You see old and new first."
            if can
            else why_not
        )

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        super().set_theme(theme)
        for parameter in self.parameters:
            parameter.set_theme(theme)
        for label in (self._say, self.old, self.new):
            label.set_theme(theme)
        self._empty.setStyleSheet(f"color: {theme.quiet};")
        self._key.setText(
            f"<span style='color:{theme.indexed}'>■</span> lattices &nbsp;"
            f"<span style='color:{theme.quiet}'>■</span> outliers &nbsp;"
            f"<span style='color:{theme.text}'>━</span> fit &nbsp;<span style='color:{theme.predicted}'>┅</span> target"
        )

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Put the histograms where they have most room."""
        super().resizeEvent(event)
        self._arrange()

    def _wide(self) -> bool:
        return self.width() > 560

    def _arrange(self) -> None:
        columns = 3 if self.width() > 1.1 * self.height() else 2
        if columns != self._columns:
            self._columns = columns
            for i, parameter in enumerate(self.parameters):
                # lengths above angles, or left of them
                row, column = divmod(i, 3) if columns == 3 else (i % 3, i // 3)
                self._grid.addWidget(parameter, row, column)
        self._line.setVisible(self.height() > 150)
        wide = self.width() > (320 if self.groups.isHidden() else 320 + _LEAST_BOX_PX)
        self.propose.setText("Propose fitted cell as target" if wide else "Propose fitted cell")
        self._key.setVisible(self._wide() and not self._asking and not self.empty)
        rows = 6 // columns
        for parameter in self.parameters:
            parameter.arrange(self.width() // columns, (self.height() - 3 * SPACE) // rows)
