"""The crystal of the shot that is shown."""

import numpy as np
from PyQt5.QtCore import QSize, Qt, pyqtSignal
from PyQt5.QtGui import QResizeEvent
from PyQt5.QtWidgets import (
    QBoxLayout,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLayout,
    QScrollArea,
    QStackedLayout,
    QTabBar,
    QVBoxLayout,
    QWidget,
)

from braggwatch.gui.controllers.crystal import CrystalPicture, SpotMap, UnindexedPicture
from braggwatch.gui.panels.crystal_axes import AxesDrawing
from braggwatch.gui.panels.crystal_plots import ResidualPlot, SpotPlot
from braggwatch.gui.panels.panel import Panel
from braggwatch.gui.theme import DARK, SPACE, Theme
from braggwatch.streamer.wording import said

_NUMBERS_PX = 268
_BESIDE_PX = 560
"""Wide enough for plots beside the numbers."""
_NUMBERS_HIGH_PX = 404
_REASONS_HIGH_PX = 160
_PLOTS_HIGH_PX = 200
"""High enough for plots below numbers or reasons."""
_ALIGNMENTS = Qt.AlignmentFlag.AlignLeft, Qt.AlignmentFlag.AlignRight, Qt.AlignmentFlag.AlignRight
_ANY_PX = 2**24 - 1
_FACTS = 6
"""Lines of numbers besides the cell, as many as in `CrystalPicture.facts`."""


class CrystalPanel(Panel):
    """Numbers, a drawing of the axes, and two plots where there is room for them."""

    name = "crystal"
    title = "Indexed images"

    lattice_chosen = pyqtSignal(int)
    """From 0."""

    def __init__(self) -> None:
        super().__init__()
        self.heading, self.target, self.reasons = QLabel(), QLabel(), QLabel()
        self.lattices = QTabBar()
        self.lattices.setDrawBase(False)
        self.lattices.setExpanding(False)
        self.lattices.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.lattices.setToolTip("Lattices of this shot, the best one first, with the number of spots each explains")
        self.lattices.currentChanged.connect(self.lattice_chosen)
        self.cell: list[tuple[QLabel, QLabel, QLabel]] = []
        self.facts: list[tuple[QLabel, QLabel]] = []
        self._names: list[QLabel] = []
        self.angles: list[QLabel] = []
        self.axes = AxesDrawing()
        self.spots, self.residuals = SpotPlot(), ResidualPlot()
        self.empty = QLabel()
        for label in (self.empty, self.reasons, self.target):
            label.setWordWrap(True)
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._with_numbers = True
        self._lay_out()
        self.set_theme(DARK)

    # -- setters ------------------------------------------------------------------------------------------------

    def show_crystal(self, picture: CrystalPicture) -> None:
        """Show a lattice."""
        self._show(numbers=True)
        self.heading.setText(picture.title)
        self._show_lattices(picture)
        for labels, row in zip(self.cell, picture.cell, strict=True):
            for label, text in zip(labels, (row.symbol, row.found, row.deviation), strict=True):
                label.setText(text)
        self.target.setText(picture.target)
        self.axes.set_axes(picture.axes)
        for label, axis in zip(self.angles, picture.directions, strict=True):
            label.setText(f"{said(axis.to_beam, '°')}, azimuth {said(axis.azimuth, '°')}".replace("-", "−"))
        for (name, value), (fact, text, meaning) in zip(self.facts, picture.facts, strict=True):
            name.setText(fact)
            value.setText(text)
            name.setToolTip(meaning)
            value.setToolTip(meaning)
        self._show_spots(picture.spots)
        self.residuals.setVisible(True)
        if picture.problem:
            self.residuals.show_residuals(np.empty((0, 2)), np.nan)
            self.residuals.set_empty(picture.problem)
        else:
            self.residuals.show_residuals(picture.pixels, picture.rmsd)

    def show_unindexed(self, picture: UnindexedPicture) -> None:
        """Show why there is none."""
        self._show(numbers=False)
        self.heading.setText(picture.title)
        self.reasons.setText("\n\n".join(picture.reasons).replace(" Å", "\u00a0Å"))
        self._show_spots(picture.spots)
        self.residuals.setVisible(False)

    def show_empty(self, text: str) -> None:
        """Say what is waited for."""
        self.empty.setText(text)
        self._body.setCurrentWidget(self.empty)

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        super().set_theme(theme)
        for part in (self.axes, self.spots, self.residuals):
            part.set_theme(theme)
        quiet = [self.empty, self.target, *self._names, *(name for name, _ in self.facts)]
        quiet += [label for symbol, _, deviation in self.cell for label in (symbol, deviation)]
        for label in quiet:
            label.setStyleSheet(f"color: {theme.quiet}; background: transparent")
        for label in (self.reasons, *self.angles, *(v for _, v in self.facts), *(v for _, v, _ in self.cell)):
            label.setStyleSheet(f"color: {theme.text}; background: transparent")
        self.heading.setStyleSheet(f"color: {theme.text}; font-weight: 600")
        self.scroll.setStyleSheet(f"QScrollArea, QScrollArea > QWidget > QWidget {{ background: {theme.panel} }}")

    def _show(self, numbers: bool) -> None:
        self._body.setCurrentWidget(self._shown)
        self.numbers.setVisible(numbers)
        self.lattices.setVisible(numbers)
        self.reasons.setVisible(not numbers)
        if numbers != self._with_numbers:
            self._with_numbers = numbers
            self._fit(self.width(), self.height())

    def _show_lattices(self, picture: CrystalPicture) -> None:
        tabs = self.lattices
        blocked = tabs.blockSignals(True)
        while tabs.count() > len(picture.lattices):
            tabs.removeTab(tabs.count() - 1)
        while tabs.count() < len(picture.lattices):
            tabs.addTab("")
        for place, text in enumerate(picture.lattices):
            tabs.setTabText(place, text)
        tabs.setCurrentIndex(picture.chosen)
        tabs.blockSignals(blocked)
        tabs.setVisible(len(picture.lattices) > 1)

    def _show_spots(self, spots: SpotMap | None) -> None:
        if spots is None:
            self.spots.set_empty("The places of the spots need the geometry of the run, which is not known.")
        else:
            self.spots.show_spots(spots)

    # -- layout -------------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        self.numbers = QWidget()
        column = QVBoxLayout(self.numbers)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(SPACE)
        top = QHBoxLayout()
        top.addLayout(self._cell_grid(), 1)
        top.addWidget(self.axes)
        column.addLayout(top)
        column.addWidget(self.target)
        column.addLayout(self._fact_grid())
        text = QWidget()
        lines = QVBoxLayout(text)
        lines.setContentsMargins(SPACE, SPACE, SPACE, SPACE)
        lines.setSpacing(SPACE)
        for widget in (self.heading, self.lattices, self.numbers, self.reasons):
            lines.addWidget(widget)
        lines.addStretch(1)
        self.scroll = QScrollArea()
        self.scroll.setWidgetResizable(True)
        self.scroll.setFrameShape(QFrame.Shape.NoFrame)
        self.scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.scroll.setWidget(text)
        self.plots = QWidget()
        self._plots = QBoxLayout(QBoxLayout.Direction.LeftToRight, self.plots)
        self._plots.setContentsMargins(0, 0, 0, 0)
        self._plots.setSpacing(0)
        self._plots.addWidget(self.spots, 1)
        self._plots.addWidget(self.residuals, 1)
        self._shown = QWidget()
        self._whole = QBoxLayout(QBoxLayout.Direction.LeftToRight, self._shown)
        self._whole.setContentsMargins(0, 0, 0, 0)
        self._whole.setSpacing(0)
        self._whole.addWidget(self.scroll)
        self._whole.addWidget(self.plots, 1)
        self._body = QStackedLayout(self)
        self._body.setSizeConstraint(QLayout.SizeConstraint.SetNoConstraint)  # what does not fit is hidden or scrolled
        self._body.addWidget(self.empty)
        self._body.addWidget(self._shown)

    def _cell_grid(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setVerticalSpacing(2)
        grid.setColumnStretch(3, 1)
        for row, symbol in enumerate("abcαβγ"):
            what = "axis" if row < 3 else "angle"
            labels = QLabel(), QLabel(), QLabel()
            labels[1].setToolTip(f"Cell {what} {symbol} of this lattice, {'Å' if row < 3 else 'degrees'}")
            labels[2].setToolTip(f"{symbol} of this lattice minus that of the target cell, found − target")
            for place, label in enumerate(labels):
                label.setAlignment(
                    (Qt.AlignmentFlag.AlignLeft if place == 0 else Qt.AlignmentFlag.AlignRight)
                    | Qt.AlignmentFlag.AlignVCenter
                )
                grid.addWidget(label, row, place)
            self.cell.append(labels)
        return grid

    def _fact_grid(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setVerticalSpacing(2)
        grid.setColumnStretch(1, 1)
        for row in range(_FACTS):
            name, value = QLabel(), QLabel()
            grid.addWidget(name, row, 0)
            grid.addWidget(value, row, 1)
            self.facts.append((name, value))
        for row, symbol in enumerate("abc", _FACTS):
            name, angles = QLabel(f"{symbol} to beam"), QLabel()
            for place, label in enumerate((name, angles)):
                label.setToolTip(
                    f"Angle between axis {symbol} and the beam, and its direction across the beam from x (along fs) to "
                    "y (along ss), degrees"
                )
                grid.addWidget(label, row, place)
            self.angles.append(angles)
            self._names.append(name)
        return grid

    def minimumSizeHint(self) -> QSize:
        """Return a size at which a part of the numbers can be read."""
        return QSize(180, 100)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Put the plots where there is room."""
        self._fit(event.size().width(), event.size().height())
        super().resizeEvent(event)

    def _fit(self, width: int, height: int) -> None:
        """Put the plots beside the numbers, below them, or nowhere."""
        text_px = _NUMBERS_HIGH_PX if self._with_numbers else _REASONS_HIGH_PX
        beside = width >= _BESIDE_PX
        below = not beside and height >= text_px + _PLOTS_HIGH_PX
        self.plots.setVisible(beside or below)
        self._whole.setDirection(QBoxLayout.Direction.LeftToRight if beside else QBoxLayout.Direction.TopToBottom)
        self.scroll.setMaximumSize(_NUMBERS_PX if beside else _ANY_PX, text_px if below else _ANY_PX)
        self.scroll.setMinimumSize(_NUMBERS_PX if beside else 0, text_px if below else 0)
        across = width - _NUMBERS_PX > height if beside else width > height - text_px
        self._plots.setDirection(QBoxLayout.Direction.LeftToRight if across else QBoxLayout.Direction.TopToBottom)
