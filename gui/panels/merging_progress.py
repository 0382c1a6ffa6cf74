"""How the quality of the merged data came to where it is."""

import numpy as np
import pyqtgraph as pg
from PyQt5.QtCore import QPointF, Qt, pyqtSignal
from PyQt5.QtGui import QResizeEvent

from braggwatch.gui import style
from braggwatch.gui.controllers.merging_view import F64, Progress
from braggwatch.gui.controllers.merging_wording import correlation, percent
from braggwatch.gui.numbers import count
from braggwatch.gui.panels.choice_plot import Choice, ChoicePlot
from braggwatch.gui.panels.plot import ClockAxis, Plot, Quantity
from braggwatch.gui.theme import Theme
from braggwatch.streamer.wording import clock

_AHEAD = 0.6
"""Of the time so far; the forecast is drawn no further ahead."""
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


class ProgressPlot(ChoicePlot):
    """CC1/2 and completeness against time or crystals, with the target."""

    moment_clicked = pyqtSignal(int)

    def __init__(self) -> None:
        axes = (("time", "Time", "Against the time of day"),
                ("crystals", "Crystals", "Against the number of merged crystals"))  # fmt: skip
        self._shown: Progress | None = None
        self._x: F64 = np.zeros(0)
        super().__init__(Plot(_TIME, Quantity("CC½, completeness")), Choice(axes))
        self.axis = ProgressAxis()
        self.put_axes({"bottom": self.axis, "left": UpToOne("left")})
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
        self.choice.chosen.connect(lambda _name: self._draw())

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
        self._frame()

    def _draw(self) -> None:
        if self._shown is None:
            return
        moments = self._shown.moments
        by_clock = self.choice.name == "time"
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
        most = last + _AHEAD * (last - first)
        if expected is not None and expected[0] < most:
            ahead = max(last, min(expected[2], most))
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


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
