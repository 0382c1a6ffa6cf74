"""Rates against time, with their intervals, what was lost, and when runs and settings changed."""

import math
from collections.abc import Mapping

import pyqtgraph as pg
from PyQt5.QtCore import QPointF, Qt, pyqtSignal
from PyQt5.QtGui import QResizeEvent
from PyQt5.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout

from braggwatch.gui import style
from braggwatch.gui.controllers.rates import RatesShown
from braggwatch.gui.panels.group_curve import GroupCurve
from braggwatch.gui.panels.group_digits import GroupDigits
from braggwatch.gui.panels.group_words import GroupWords
from braggwatch.gui.panels.marks import Line, Marks
from braggwatch.gui.panels.panel import Panel
from braggwatch.gui.panels.plot import Plot, Quantity
from braggwatch.gui.panels.rates_boxes import RatesBoxes
from braggwatch.gui.rate_curves import PROPORTIONS
from braggwatch.gui.theme import DARK, SPACE, Theme
from braggwatch.streamer.feed_messages import Mark
from braggwatch.streamer.wording import plain

_CLICK_PX = 4
_SHORTEST_S = 10
_LEAST_WITH_DIGITS, _LEAST_DIGITS, _MOST_DIGITS = 420, 176, 320
"""px: width of the panel from which on it has digits of groups beside the plot, and of these."""
_LEAST_BESIDE = 1250
"""px of width from which on what is said of groups has room beside the boxes."""
_MANY = 3
"""From more groups on, their bands are drawn faintly."""
_MOST_NAMED = 2
"""So many groups have room in the legend of a narrow plot; of more the digits are shown instead."""
_HEAD_PX = 56
"""Height of what stands above the plot."""
_COLOURS = (
    ("hit", Qt.PenStyle.SolidLine),
    ("indexed", Qt.PenStyle.SolidLine),
    ("indexed", Qt.PenStyle.DotLine),
    ("multi_lattice", Qt.PenStyle.SolidLine),
)
"""As `PROPORTIONS`."""
_MEANING = (
    "hit rate: hits of the frames looked at, %\n"
    "indexed of hits: shots with a lattice, of the hits, %\n"
    "indexed of all: shots with a lattice, of the frames looked at, %\n"
    "multi-lattice: shots with two or more lattices, of the indexed ones, %\n"
    "lost: frames dropped or missed a second (right axis)\n"
    "bands: 95 % interval (Wilson); solid marks: runs; dashed marks: settings changed\n"
    "A click opens the hits of that time; the wheel zooms, a double click shows everything again."
)


class RatesPanel(Panel):
    """The plot, and what it looks back and shows."""

    name = "rates"
    title = "Rates"

    window_chosen = pyqtSignal(int)
    span_chosen = pyqtSignal(int)
    kind_chosen = pyqtSignal(str)
    times_clicked = pyqtSignal(float, float, float)
    group_clicked = pyqtSignal(str)
    hovered = pyqtSignal(float)

    def __init__(self) -> None:
        super().__init__()
        self._shown: RatesShown | None = None
        self._highest: float | None = None
        self._follows = True
        self.plot = Plot(Quantity("time of day", "h:min"), Quantity("rate", "%"), clock=True)
        self.plot.setToolTip(_MEANING)
        self.plot.add_legend()
        self.bands = [self.plot.add_band(colour) for colour, _ in _COLOURS]
        self.curves = [
            self.plot.add_curve(proportion.name, colour, pen)
            for proportion, (colour, pen) in zip(PROPORTIONS, _COLOURS, strict=True)
        ]
        self.group_curves: list[GroupCurve] = []
        """One for each group that was drawn so far."""
        self._named: tuple[str, ...] = ()
        self.marks = Marks()
        self.marks.setZValue(-10)
        self.plot.addItem(self.marks, ignoreBounds=True)
        self._add_right_axis()
        self.digits = GroupDigits()
        self.words = GroupWords()
        self.reading = QLabel()
        self.boxes = RatesBoxes()
        self.kind, self.span, self.window_box = self.boxes.kind, self.boxes.span, self.boxes.window_box
        self._lay_out()
        self.show_grouped(False)
        self._show_by_group(None)
        self.plot.plotItem.vb.sigRangeChangedManually.connect(self._stop_following)
        self.plot.clicked.connect(self._tell_times)
        self.plot.double_clicked.connect(self._follow)
        self.plot.scene().sigMouseMoved.connect(self._tell_mouse)
        self.window_box.activated.connect(lambda row: self.window_chosen.emit(self.window_box.itemData(row)))
        self.span.activated.connect(lambda row: self._choose_span(self.span.itemData(row)))
        self.kind.activated.connect(lambda row: self.kind_chosen.emit(self.kind.itemData(row)))
        self.digits.clicked.connect(self.group_clicked)
        self.set_theme(DARK)

    def _add_right_axis(self) -> None:
        plot = self.plot.plotItem
        plot.showAxis("right")
        self._right = pg.ViewBox(enableMenu=False, enableMouse=False)
        plot.scene().addItem(self._right)
        axis = plot.getAxis("right")
        axis.linkToView(self._right)
        axis.enableAutoSIPrefix(False)
        axis.setLabel("lost (1/s)")
        self._right.setXLink(plot.vb)
        self.lost = pg.PlotDataItem(connect="finite", antialias=True)
        self.lost.curve.setSegmentedLineMode("on")
        self._right.addItem(self.lost)
        plot.legend.addItem(self.lost, "lost")
        axis.setStyle(maxTickLevel=0)
        plot.vb.sigResized.connect(self._fit)

    def _lay_out(self) -> None:
        self._line = line = QHBoxLayout()
        line.setContentsMargins(SPACE, SPACE // 2, SPACE, 0)
        line.setSpacing(SPACE // 2)
        line.addWidget(self.boxes)
        line.addWidget(self.reading, 1)
        self.reading.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.reading.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._column = column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(line)
        column.addWidget(self.words)
        body = QHBoxLayout()
        body.setSpacing(0)
        body.addWidget(self.plot, 1)
        body.addWidget(self.digits)
        column.addLayout(body, 1)

    # -- setters ------------------------------------------------------------------------------------------------

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        super().set_theme(theme)
        for part in (self.plot, self.digits, self.words):
            part.set_theme(theme)
        self.lost.setPen(style.line_pen(theme.alarm))
        style.style_axis(self.plot.plotItem.getAxis("right"), theme, theme.alarm)
        self.plot.plotItem.getAxis("right").setGrid(False)
        self.marks.set_theme(theme)
        self.reading.setStyleSheet(f"color: {theme.quiet}")

    def show_rates(self, shown: RatesShown) -> None:
        """Draw the curves; what the user has zoomed into stays."""
        self._shown = shown
        self.plot.plotItem.showAxis("right")
        self.plot.set_empty("")
        for curve, band, values in zip(self.curves, self.bands, shown.curves, strict=False):
            curve.setData(shown.times, values.value)
            band.set_data(shown.times, values.low, values.high)
        self._show_by_group(shown)
        self.lost.setData(shown.times, shown.lost)
        most = max((value for value in shown.lost.tolist() if value == value), default=0.0)
        self._right.setYRange(0, max(1.0, 1.5 * most), padding=0)
        self.marks.set_lines([_line(mark) for mark in shown.marks])
        self._fit()

    def show_empty(self, why: str) -> None:
        """Show a sentence instead of the curves."""
        self.plot.set_empty(why)
        self._show_by_group(None)
        self.plot.plotItem.showAxis("right", False)
        self.reading.clear()

    def show_reading(self, text: str) -> None:
        """Say what the curves are at the mouse, as far as there is room."""
        room = self.reading.width()
        self.reading.setText(self.reading.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, room))

    def show_grouped(self, grouped: bool) -> None:
        """Offer the kinds, or none where shots are not grouped."""
        self.kind.setVisible(grouped)

    def _show_by_group(self, shown: RatesShown | None) -> None:
        """Draw the curves of the groups instead of those of all shots together, or the other way round."""
        drawn = None if shown is None else shown.by_group
        groups = () if drawn is None else drawn.groups
        times = () if shown is None else shown.times
        while len(self.group_curves) < len(groups):
            self.group_curves.append(GroupCurve(self.plot))
        for curve, band in zip(self.curves, self.bands, strict=True):
            curve.setVisible(drawn is None)
            band.setVisible(drawn is None)
        for i, of_group in enumerate(self.group_curves):
            of_group.show(groups[i] if i < len(groups) else None, times, len(groups) > _MANY)
        names = tuple(group.name for group in groups)
        if names != self._named:
            self._named = names
            curves = [of_group.curve for of_group in self.group_curves]
            of_all = [(curve, what.name) for curve, what in zip(self.curves, PROPORTIONS, strict=True)]
            # the axis of what was lost speaks for itself, and groups need the room
            self.plot.set_legend(list(zip(curves, names, strict=False)) or [*of_all, (self.lost, "lost")])
        self.digits.set_groups(groups)
        self.words.show_groups(drawn)
        self._give_room()

    def show_choice(self, window: int, span: int, kind: str) -> None:
        """Show what is chosen."""
        self.kind.setCurrentIndex(self.kind.findData(kind))
        self.window_box.setCurrentIndex(self.window_box.findData(window))
        self.span.setCurrentIndex(self.span.findData(span))

    # -- what the user does ---------------------------------------------------------------------------------------

    def chosen(self) -> dict[str, str]:
        """Return what is drawn, and over how long."""
        return self.boxes.chosen()

    def choose(self, chosen: Mapping[str, str]) -> None:
        """Take what was chosen at the last start."""
        self.boxes.choose(chosen)

    def toggle_by_group(self) -> None:
        """Show each group's hit rate, or all shots together again; where shots are not grouped, nothing happens."""
        if not self.kind.isHidden():
            self.kind.setCurrentIndex(0 if self.kind.currentIndex() else 1)
            self.kind.activated.emit(self.kind.currentIndex())

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Show the digits where there is room."""
        super().resizeEvent(event)
        self._give_room()

    def _give_room(self) -> None:
        height = self.height() - _HEAD_PX
        beside = self.width() >= _LEAST_BESIDE and self.words.short
        if beside != (self._line.indexOf(self.words) >= 0):
            if beside:
                self._line.insertWidget(1, self.words, 2)
            else:
                self._column.insertWidget(1, self.words)
        n, fits, narrow = len(self.digits.groups), self.digits.fits(height), self.width() < _LEAST_WITH_DIGITS
        self.boxes.word(short=narrow and not self.kind.isHidden())
        instead = narrow and fits and n > _MOST_NAMED  # curves without names say nothing
        self.digits.setVisible(n > 0 and fits and (instead or not narrow))
        self.plot.setVisible(not instead)
        wide = min(max(self.width() // 4, _LEAST_DIGITS), _MOST_DIGITS)
        self.digits.setFixedWidth(self.width() if instead else wide)

    def _choose_span(self, seconds: int) -> None:
        self._follows = True
        self.span_chosen.emit(seconds)

    def _stop_following(self, _axes: object) -> None:
        self._follows = False
        self._mark_axis(None)

    def _follow(self) -> None:
        self._follows = True
        self._fit()

    def _fit(self) -> None:
        """Lay the right axis over the left one, and show what is chosen, below the legend."""
        box, shown = self.plot.plotItem.vb, self._shown
        self._right.setGeometry(box.sceneBoundingRect())
        if self._follows and shown is not None:
            end = max(shown.end, shown.begin + _SHORTEST_S)
            box.setRange(xRange=(shown.begin, end), yRange=(0, shown.top / (1 - self.plot.headroom)), padding=0)
            self._mark_axis(shown.highest)

    def _mark_axis(self, highest: float | None) -> None:
        """Label the left axis up to a value, as there is room above it for the legend; None: as it comes."""
        if highest != self._highest:  # new ticks lay the plot out anew, which ends up here again
            self._highest = highest
            values = () if highest is None else (0.0, highest / 2, highest)
            ticks = [[(value, f"{value:g}") for value in values]]
            self.plot.plotItem.getAxis("left").setTicks(ticks if values else None)

    def _tell_times(self, x: float, y: float) -> None:
        pixel = float(self.plot.plotItem.vb.viewPixelSize()[0])
        self.times_clicked.emit(x - _CLICK_PX * pixel, x + _CLICK_PX * pixel, y)

    def _tell_mouse(self, place: QPointF) -> None:
        box = self.plot.plotItem.vb
        inside = box.sceneBoundingRect().contains(place)
        self.hovered.emit(box.mapSceneToView(place).x() if inside else math.nan)


def _line(mark: Mark) -> Line:
    return Line(mark.time, "" if mark.kind == "run ended" else plain(mark.label, 30), mark.kind == "settings")
