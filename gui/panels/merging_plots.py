"""How the quality of the merged data came to where it is, and how it falls with resolution."""

from functools import partial

import numpy as np
import pyqtgraph as pg
from PyQt5.QtCore import QPointF, Qt, pyqtSignal
from PyQt5.QtGui import QColor, QResizeEvent
from PyQt5.QtWidgets import QButtonGroup, QHBoxLayout, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from braggwatch.gui import style
from braggwatch.gui.controllers.merging_view import F64, Progress, ShellPlots, ShellQuantity
from braggwatch.gui.controllers.merging_wording import correlation, percent
from braggwatch.gui.numbers import count
from braggwatch.gui.panels.plot import ClockAxis, Plot, Quantity
from braggwatch.gui.panels.resolution_axis import ResolutionAxis
from braggwatch.gui.theme import DARK, SPACE, Theme
from braggwatch.streamer.wording import clock

_LEAST_UPRIGHT_PX, _LEAST_LABELLED_PX, _LEAST_BUTTONS_PX = 210, 160, 120
_POINT_PX = 7
_AHEAD = 0.6
"""Of the time so far; the forecast is drawn no further ahead."""
_QUANTITIES: dict[ShellQuantity, tuple[str, str, str]] = {
    "cc_half": ("CC½", "", "CC½: correlation of two random halves of the crystals; band: its standard error"),
    "completeness": ("Completeness", "%", "Completeness: share of the different reflections that were observed"),
    "snr": ("I/σ(I)", "", "I/σ: mean of the merged intensities over their standard errors"),
    "r_split": ("R_split", "%", "R_split: how far the two halves differ, of their mean; smaller is better"),
}
_SHORT: dict[ShellQuantity, str] = {"cc_half": "CC½", "completeness": "Compl.", "snr": "I/σ", "r_split": "R_split"}
_TIME = Quantity("Time of day", "h:min")
_PROGRESS_MEANING = (
    "CC½: correlation of two random halves of the crystals, in the outermost shell to the target's resolution and of "
    "all reflections\ncompleteness: share of the different reflections that were observed, to the target's resolution\n"
    "dashed: the target of the curve of the same colour; band: when it is likely reached (80 %)\n"
    "Click to see the indexed shots of that time."
)


class ProgressAxis(ClockAxis):
    """The time of day, or the number of crystals."""

    def __init__(self) -> None:
        super().__init__("bottom")
        self.by_clock = True

    def tickSpacing(self, minVal: float, maxVal: float, size: float) -> list[tuple[float, float]]:
        """Return how far apart ticks are."""
        kind = ClockAxis if self.by_clock else pg.AxisItem
        return list(kind.tickSpacing(self, minVal, maxVal, size))

    def tickValues(self, minVal: float, maxVal: float, size: float) -> list[tuple[float, object]]:
        """Return where ticks are."""
        kind = ClockAxis if self.by_clock else pg.AxisItem
        return list(kind.tickValues(self, minVal, maxVal, size))

    def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:
        """Return their texts."""
        if self.by_clock:
            return super().tickStrings(values, scale, spacing)
        return [count(round(value)) if value == round(value) else "" for value in values]


class UpToOne(pg.AxisItem):
    """An axis for shares and correlations: above 1 there is only room for the legend."""

    def tickValues(self, minVal: float, maxVal: float, size: float) -> list[tuple[float, list[float]]]:
        """Return where ticks are."""
        levels = super().tickValues(minVal, maxVal, size)
        return [(step, [value for value in values if value < 1.0001]) for step, values in levels]


class ProgressPlot(QWidget):
    """CC1/2 and completeness against time or crystals, with the target."""

    moment_clicked = pyqtSignal(int)

    def __init__(self) -> None:
        super().__init__()
        self._shown: Progress | None = None
        self._x: F64 = np.zeros(0)
        self.plot = Plot(_TIME, Quantity("CC½, completeness"))
        self.axis = ProgressAxis()
        _put_axes(self.plot, {"bottom": self.axis, "left": UpToOne("left")})
        self.plot.plotItem.vb.setMouseEnabled(x=False, y=False)
        self.plot.plotItem.vb.setToolTip(_PROGRESS_MEANING)
        self.plot.add_legend()
        self.ahead = self.plot.add_band("predicted")
        dash = Qt.PenStyle.DashLine
        self.completeness = self.plot.add_curve("completeness", "text")
        self.overall = self.plot.add_curve("CC½, all", "indexed", Qt.PenStyle.DotLine)
        self.outer = self.plot.add_curve("CC½, outer shell", "indexed")
        self.cc_target = self.plot.add_curve("target", "indexed", dash)
        self.completeness_target = self.plot.add_curve("", "text", dash)
        self.plot.clicked.connect(self._tell_moment)
        self.plot.scene().sigMouseMoved.connect(self._hover)
        self.axes = _Buttons((("time", "Time", "Against the time of day"),
                              ("crystals", "Crystals", "Against the number of merged crystals")))  # fmt: skip
        self.axes.chosen.connect(lambda _name: self._draw())
        _above(self, self.axes, self.plot)

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        self.plot.set_theme(theme)

    def show_progress(self, shown: Progress) -> None:
        """Draw it."""
        self._shown = shown
        self._draw()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Keep the curves off the legend."""
        super().resizeEvent(event)
        _fit(self.plot, self.axes, self.height())
        self._frame()

    def _draw(self) -> None:
        if self._shown is None:
            return
        moments = self._shown.moments
        by_clock = self.axes.name == "time"
        self._x = moments.time if by_clock else moments.n_crystals
        if by_clock != self.axis.by_clock:
            self.axis.by_clock = by_clock
            self.axis.setLabel(str(_TIME if by_clock else Quantity("Merged crystals")))
            style.style_axis(self.axis, self.plot.theme)
        self.completeness.setData(self._x, moments.completeness)
        self.overall.setData(self._x, moments.cc_half)
        self.outer.setData(self._x, moments.outer_cc_half)
        self._frame()

    def _frame(self) -> None:
        if self._shown is None or not len(self._x):
            return
        first, last = float(self._x.min()), float(self._x.max())
        ahead = last
        expected = self._shown.expected if self.axis.by_clock else None
        if expected is not None:
            ahead = max(last, min(expected[2], last + _AHEAD * (last - first)))
        end = max(ahead, first + (10.0 if self.axis.by_clock else 1.0))
        both = np.array([first, end])
        for line, value in ((self.cc_target, self._shown.target_cc_half),
                            (self.completeness_target, self._shown.target_completeness)):  # fmt: skip
            line.setData(both, np.full(2, np.nan if value is None else value))
        if expected is not None and expected[0] < end:
            sides = np.array([max(expected[0], last), min(expected[2], end)])
            self.ahead.set_data(sides, np.zeros(2), np.ones(2))
        else:
            self.ahead.set_data(np.zeros(0), np.zeros(0), np.zeros(0))
        moments = self._shown.moments
        lowest = np.concatenate((moments.cc_half, moments.outer_cc_half))
        low = float(np.min(lowest[np.isfinite(lowest)], initial=0.0))
        high = 1.02 + max(1.02 - low, 0.0) * self.plot.headroom / (1 - self.plot.headroom)
        self.plot.plotItem.vb.setRange(xRange=(first, end), yRange=(low, high), padding=0)

    def _nearest(self, x: float) -> int | None:
        return int(np.argmin(np.abs(self._x - x))) if len(self._x) else None

    def _tell_moment(self, x: float, y: float) -> None:
        place = self._nearest(x)
        if place is not None:
            self.moment_clicked.emit(place)

    def _hover(self, place: QPointF) -> None:
        view = self.plot.plotItem.vb
        at = self._nearest(view.mapSceneToView(place).x()) if view.sceneBoundingRect().contains(place) else None
        if at is None or self._shown is None:
            view.setToolTip(_PROGRESS_MEANING)
            return
        m = self._shown.moments
        view.setToolTip(
            f"{clock(float(m.time[at]))}, {count(int(m.n_crystals[at]))} crystals: CC½ {self._shown.outer} "
            f"{correlation(_known(m.outer_cc_half[at]))}, of all {correlation(_known(m.cc_half[at]))}, completeness "
            f"{percent(_known(m.completeness[at]))}\n{_PROGRESS_MEANING}"
        )


class ShellsPlot(QWidget):
    """One of four statistics against resolution, equally spaced in 1/d²."""

    shell_clicked = pyqtSignal(int)

    def __init__(self) -> None:
        super().__init__()
        self._shown: ShellPlots | None = None
        self.plot = Plot(Quantity("Resolution d", "Å"), Quantity("CC½"))
        _put_axes(self.plot, {"bottom": ResolutionAxis("bottom", "", power=2)})
        view = self.plot.plotItem.vb
        view.setMouseEnabled(x=False, y=False)
        self.band = self.plot.add_band("indexed")
        self.target = self.plot.add_curve("", "predicted", Qt.PenStyle.DashLine)
        self.curve = self.plot.add_curve("", "indexed")
        self.points = pg.ScatterPlotItem(size=_POINT_PX, pen=None, pxMode=True)
        self.plot.addItem(self.points)
        self.plot.clicked.connect(self._tell_shell)
        self.plot.scene().sigMouseMoved.connect(self._hover)
        self.quantities = _Buttons(tuple((name, _SHORT[name], _QUANTITIES[name][2]) for name in _QUANTITIES))
        self.quantities.chosen.connect(lambda _name: self._draw())
        _above(self, self.quantities, self.plot)
        self.set_theme(DARK)

    @property
    def quantity(self) -> ShellQuantity:
        """What is drawn."""
        return next(name for name in _QUANTITIES if name == self.quantities.name)

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        self.plot.set_theme(theme)
        self.points.setBrush(QColor(theme.indexed))

    def show_shells(self, shown: ShellPlots) -> None:
        """Draw them."""
        self._shown = shown
        self._draw()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Do without the axis' name where there is little room."""
        super().resizeEvent(event)
        _fit(self.plot, self.quantities, self.height())

    def _meaning(self) -> str:
        return (
            f"{_QUANTITIES[self.quantity][2]}\ndashed: the target and its resolution\n"
            "Click to see the indexed shots that diffract to this shell."
        )

    def _draw(self) -> None:
        shown = self._shown
        if shown is None:
            return
        name, unit, _ = _QUANTITIES[self.quantity]
        axis = self.plot.plotItem.getAxis("left")
        axis.setLabel(str(Quantity(name, unit)))
        style.style_axis(axis, self.plot.theme)
        if not len(shown.edges):
            self.plot.set_empty("No shell yet.")
            return
        self.plot.set_empty("")
        x, y = shown.inverse_d2, shown.values[self.quantity]
        known = np.isfinite(y)
        self.curve.setData(x, y)
        self.points.setData(x[known], y[known])
        errors = shown.errors if self.quantity == "cc_half" else np.full(len(x), np.nan)
        self.band.set_data(x, y - errors, y + errors)
        seen = y[known]
        low, high = float(np.min(seen, initial=0.0)), float(np.max(seen, initial=0.0))
        if self.quantity == "cc_half":
            high = 1.0
        elif self.quantity == "completeness":
            high = 100.0
        high = 1.06 * high or 1.0
        from_, to = 0.0, float(shown.edges[:, 1].max())
        self._draw_target(shown, from_, low, high)
        self.plot.plotItem.vb.setRange(xRange=(from_, 1.02 * to), yRange=(1.05 * low, high), padding=0)
        self.plot.plotItem.vb.setToolTip(self._meaning())

    def _draw_target(self, shown: ShellPlots, left: float, low: float, high: float) -> None:
        """Draw a corner: up to the target's value, out to its resolution."""
        value = shown.targets.get(self.quantity)
        if shown.target_d is None:
            self.target.setData([], [])
            return
        at = shown.target_d**-2
        if value is None:
            self.target.setData([at, at], [low, high])
        else:
            self.target.setData([left, at, at], [value, value, low])

    def _shell_at(self, x: float) -> int | None:
        if self._shown is None:
            return None
        inside = np.flatnonzero((self._shown.edges[:, 0] <= x) & (x < self._shown.edges[:, 1]))
        return int(inside[0]) if len(inside) else None

    def _tell_shell(self, x: float, y: float) -> None:
        place = self._shell_at(x)
        if place is not None:
            self.shell_clicked.emit(place)

    def _hover(self, place: QPointF) -> None:
        view = self.plot.plotItem.vb
        at = self._shell_at(view.mapSceneToView(place).x()) if view.sceneBoundingRect().contains(place) else None
        tip = f"{self._shown.tips[at]}\n\n" if at is not None and self._shown is not None else ""
        view.setToolTip(tip + self._meaning())


class _Buttons(QWidget):
    """A few small buttons of which one is pressed."""

    chosen = pyqtSignal(str)

    def __init__(self, entries: tuple[tuple[str, str, str], ...]) -> None:
        """Each entry has a name, a text and a tooltip."""
        super().__init__()
        self.name = entries[0][0]
        self.group = QButtonGroup(self)
        self.buttons: dict[str, QToolButton] = {}
        line = QHBoxLayout(self)
        line.setContentsMargins(SPACE // 2, 0, SPACE // 2, 0)
        line.setSpacing(SPACE // 4)
        for name, text, tip in entries:
            button = QToolButton()
            button.setText(text)
            button.setToolTip(tip)
            button.setCheckable(True)
            button.setChecked(name == self.name)
            button.setMinimumWidth(10)
            button.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
            button.clicked.connect(partial(self.choose, name))
            self.group.addButton(button)
            self.buttons[name] = button
            line.addWidget(button)
        line.addStretch(1)

    def choose(self, name: str) -> None:
        """Press a button; a name that there is none of is ignored."""
        if name in self.buttons:
            self.name = name
            self.buttons[name].setChecked(True)
            self.chosen.emit(name)


def _put_axes(plot: Plot, axes: dict[str, pg.AxisItem]) -> None:
    """Put other axes in the place of a plot's, under the same names."""
    names = {side: plot.plotItem.getAxis(side).labelText for side in axes}
    plot.plotItem.setAxisItems(axes)
    for side, axis in axes.items():
        axis.enableAutoSIPrefix(False)
        axis.setLabel(names[side])
    plot.plotItem.updateGrid()


def _above(widget: QWidget, buttons: QWidget, plot: Plot) -> None:
    column = QVBoxLayout(widget)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(0)
    column.addWidget(buttons)
    column.addWidget(plot, 1)
    plot.setMinimumHeight(10)


def _fit(plot: Plot, buttons: QWidget, height: int) -> None:
    """Do without the axis' names, and then without the buttons, where there is little room."""
    plot.plotItem.getAxis("bottom").showLabel(height >= _LEAST_LABELLED_PX)
    plot.plotItem.getAxis("left").showLabel(height >= _LEAST_UPRIGHT_PX)
    buttons.setVisible(height >= _LEAST_BUTTONS_PX)


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
