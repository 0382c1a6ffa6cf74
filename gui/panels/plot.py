"""What all plots have in common: axes with quantity and unit, light grid, legend, clock time, a sentence when empty."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PyQt5.QtCore import QEvent, QPointF, QRectF, Qt, pyqtSignal
from PyQt5.QtGui import QFontMetrics, QMouseEvent, QPainter, QPainterPath
from PyQt5.QtWidgets import QLabel

from braggwatch.gui import style
from braggwatch.gui.theme import AXIS_PX, DARK, SPACE, Theme

_CLOCK_STEPS = (
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800,
)  # fmt: skip
_PX_PER_CLOCK = 80
_PX_PER_LEGEND_COLUMN = 125
_PX_PER_LEGEND_ROW = 22
_PX_PER_LEGEND_SAMPLE = 36
"""Line and gaps beside a name."""
_MOST_LEGEND = 0.4
"""Of the height; a legend that would take more is left out."""
_LEAST_LABELLED_PX = 160


@dataclass(frozen=True)
class Quantity:
    """What an axis shows."""

    name: str
    unit: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.unit})" if self.unit else self.name


class ClockAxis(pg.AxisItem):
    """A time axis, s since 1970, that shows the local time of day."""

    def tickSpacing(self, minVal: float, maxVal: float, size: float) -> list[tuple[float, float]]:
        """Return one level of ticks: whole seconds, minutes, hours or days."""
        least = (maxVal - minVal) / max(size / _PX_PER_CLOCK, 1.0)
        step = next((s for s in _CLOCK_STEPS if s >= least), 86_400 * max(round(least / 86_400), 1))
        return [(step, 0)]

    def tickValues(self, minVal: float, maxVal: float, size: float) -> list[tuple[float, Any]]:
        """Return where the ticks are, so that whole hours are whole here."""
        if not np.isfinite([minVal, maxVal]).all() or maxVal <= minVal:
            return []
        step = self.tickSpacing(minVal, maxVal, size)[0][0]
        offset = _seconds_from_utc(maxVal)
        first = np.ceil((minVal + offset) / step) * step - offset
        return [(step, np.arange(first, maxVal, step))]

    def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:
        """Return the ticks' texts."""
        form = "%H:%M:%S" if spacing < 60 else "%H:%M" if spacing < 86_400 else "%d %b"
        return [_local(value, form) for value in values]


def _local(seconds: float, form: str) -> str:
    try:
        return time.strftime(form, time.localtime(seconds))
    except (OverflowError, ValueError, OSError):
        return ""


def _seconds_from_utc(seconds: float) -> int:
    try:
        return time.localtime(seconds).tm_gmtoff
    except (OverflowError, ValueError, OSError):
        return 0


class Band(pg.GraphicsObject):
    """The room between two curves; it is broken where either is NaN."""

    def __init__(self) -> None:
        super().__init__()
        self.path = QPainterPath()
        self.brush = style.band_brush(DARK.quiet)

    def set_data(self, x: NDArray[Any], low: NDArray[Any], high: NDArray[Any]) -> None:
        """Take ``(n,)`` places and limits; some thousand at most, because every one is drawn."""
        self.prepareGeometryChange()
        self.path = QPainterPath()
        known = np.concatenate(([False], np.isfinite(x) & np.isfinite(low) & np.isfinite(high), [False]))
        ends = np.flatnonzero(known[1:] != known[:-1])
        for begin, end in zip(ends[::2], ends[1::2], strict=True):
            part = slice(begin, end)
            xs = np.concatenate((x[part], x[part][::-1]))
            ys = np.concatenate((low[part], high[part][::-1]))
            self.path.addPath(pg.arrayToQPath(xs, ys))
            self.path.closeSubpath()
        self.informViewBoundsChanged()
        self.update()

    def set_colour(self, colour: str) -> None:
        """Take the colour of the curve that it belongs to."""
        self.brush = style.band_brush(colour)
        self.update()

    def boundingRect(self) -> QRectF:
        """Return what it covers, in the units of the axes."""
        return self.path.boundingRect()

    def paint(self, painter: QPainter, *args: object) -> None:
        """Fill it."""
        painter.fillPath(self.path, self.brush)


class Legend(pg.LegendItem):
    """Names the curves at the top left, without wasting height."""

    column_px = _PX_PER_LEGEND_COLUMN
    """How wide a column has to be."""

    def __init__(self) -> None:
        super().__init__(offset=(SPACE, 1), labelTextSize=f"{AXIS_PX}px", horSpacing=8, verSpacing=0)
        self.layout.setContentsMargins(SPACE // 2, 0, SPACE, 0)

    @property
    def rows_px(self) -> int:
        """How high it is."""
        return -(-len(self.items) // max(self.columnCount, 1)) * _PX_PER_LEGEND_ROW

    def updateSize(self) -> None:
        """Take as much room as the names need."""
        super().updateSize()
        self.resize(self.width(), self.rows_px)


class Plot(pg.PlotWidget):
    """A plot that knows its colours by their meaning: the name of a field of `Theme`, such as ``hit``."""

    clicked = pyqtSignal(float, float)
    """Where in the plot, in the units of its axes; not sent after dragging."""
    double_clicked = pyqtSignal()
    """Everything is shown again."""

    def __init__(self, x: Quantity, y: Quantity, *, clock: bool = False) -> None:
        """Label the axes; with `clock`, x is s since 1970 and shown as the local time of day."""
        axes = {"bottom": ClockAxis("bottom")} if clock else {}
        super().__init__(axisItems=axes)
        self._clock = clock
        self.theme: Theme = DARK
        self._coloured: list[tuple[Any, str, dict[str, Any]]] = []
        self.plotItem.setMenuEnabled(False)
        self.plotItem.hideButtons()
        self.plotItem.layout.setContentsMargins(SPACE // 2, SPACE, SPACE + SPACE // 2, SPACE // 2)
        for side, quantity in (("left", y), ("bottom", x)):
            axis = self.plotItem.getAxis(side)
            axis.enableAutoSIPrefix(False)
            axis.setLabel(str(quantity))
        self._empty = QLabel(self)
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._empty.setWordWrap(True)
        self._empty.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._empty.hide()
        self.scene().sigMouseClicked.connect(self._tell_click)
        self.plotItem.vb.sigResized.connect(self._fit)
        self.set_theme(DARK)

    @property
    def empty(self) -> str:
        """The sentence that is shown instead of curves; empty while there is something to see."""
        return self._empty.text()

    def add_legend(self) -> None:
        """Name the curves inside, at the top left; call it before they are added."""
        self.plotItem.legend = Legend()
        self.plotItem.legend.setParentItem(self.plotItem.vb)
        style.style_plot(self.plotItem, self.theme)

    def set_legend(self, named: Sequence[tuple[Any, str]]) -> None:
        """Name these curves from now on, instead of those that were named before."""
        old, self.plotItem.legend = self.plotItem.legend, Legend()
        self.scene().removeItem(old)
        legend = self.plotItem.legend
        legend.setParentItem(self.plotItem.vb)
        for curve, name in named:
            legend.addItem(curve, escape(name))
        metrics = QFontMetrics(style.font(AXIS_PX))
        legend.column_px = _PX_PER_LEGEND_SAMPLE + max(metrics.horizontalAdvance(name) for _, name in named)
        style.style_legend(legend, self.theme)
        self._fit()

    def add_curve(self, name: str, colour: str, pen_style: Qt.PenStyle = Qt.PenStyle.SolidLine) -> Any:
        """Return a curve (`setData`) that is broken at NaN; `name` is for the legend, empty to leave it out."""
        curve = pg.PlotDataItem(connect="finite", name=name or None, antialias=True)
        if pen_style == Qt.PenStyle.SolidLine:  # piece by piece is faster than one long path, but would begin dots anew
            curve.curve.setSegmentedLineMode("on")
        curve.setDownsampling(auto=True, method="peak")
        curve.setClipToView(True)
        self.addItem(curve)
        self._coloured.append((curve, colour, {"style": pen_style}))
        self._colour(curve, colour, {"style": pen_style})
        return curve

    def restyle(self, curve: Any, colour: str, pen_style: Qt.PenStyle = Qt.PenStyle.SolidLine) -> None:
        """Give a curve, or a band, another colour."""
        options = {} if isinstance(curve, Band) else {"style": pen_style}
        self._coloured = [(item, colour, options) if item is curve else (item, *how) for item, *how in self._coloured]
        if not isinstance(curve, Band):
            curve.curve.setSegmentedLineMode("on" if pen_style == Qt.PenStyle.SolidLine else "off")
        self._colour(curve, colour, options)

    def add_band(self, colour: str) -> Band:
        """Return a band behind the curves."""
        band = Band()
        band.setZValue(-5)
        self.addItem(band)
        self._coloured.append((band, colour, {}))
        self._colour(band, colour, {})
        return band

    def set_empty(self, sentence: str) -> None:
        """Say what is waited for, and why; an empty sentence shows the curves again."""
        self._empty.setText(sentence)
        self._empty.setVisible(bool(sentence))
        self.plotItem.vb.childGroup.setVisible(not sentence)
        for side in ("left", "bottom", "right"):
            self.plotItem.getAxis(side).setStyle(showValues=not sentence)
        self.plotItem.showGrid(x=not sentence, y=not sentence, alpha=style.GRID_ALPHA)
        self._fit()

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        self.theme = theme
        self.setBackground(theme.panel)
        style.style_plot(self.plotItem, theme)
        if self.empty:
            self.plotItem.showGrid(x=False, y=False)
        self._empty.setStyleSheet(f"color: {theme.quiet}; background: transparent;")
        for item, colour, options in self._coloured:
            self._colour(item, colour, options)

    def _colour(self, item: Any, colour: str, options: dict[str, Any]) -> None:
        value = getattr(self.theme, colour)
        if isinstance(item, Band):
            item.set_colour(value)
        else:
            item.setPen(style.line_pen(value, **options))

    def _tell_click(self, event: Any) -> None:
        inside = self.plotItem.vb.sceneBoundingRect().contains(event.scenePos())
        if event.button() == Qt.MouseButton.LeftButton and not event.double() and inside:
            point = self.plotItem.vb.mapSceneToView(event.scenePos())
            self.clicked.emit(point.x(), point.y())

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Show everything again."""
        super().mouseDoubleClickEvent(event)
        self.plotItem.enableAutoRange()
        self.double_clicked.emit()

    def leaveEvent(self, event: QEvent) -> None:
        """Let go of what the mouse was over, so that no highlight stays."""
        super().leaveEvent(event)
        self.scene().sigMouseMoved.emit(QPointF(-1, -1))

    @property
    def headroom(self) -> float:
        """Which part of the height the legend takes, 0 to 0.4: curves that end below it are not covered."""
        legend = self.plotItem.legend
        if legend is None or not legend.isVisible():
            return 0.0
        return float(min((legend.rows_px + SPACE // 2) / max(self.plotItem.vb.height(), 1.0), _MOST_LEGEND))

    def _fit(self) -> None:
        """Fold the legend where the plot is narrow, and keep the sentence in the middle."""
        if self._clock:  # hours and minutes speak for themselves where there is little room
            self.plotItem.getAxis("bottom").showLabel(self.height() >= _LEAST_LABELLED_PX)
        legend = self.plotItem.legend
        if legend is not None:
            names = max(len(legend.items), 1)
            columns = min(max(int(self.plotItem.vb.width()) // legend.column_px, 1), names)
            if columns != legend.columnCount:
                legend.setColumnCount(columns)
            fits = legend.rows_px <= _MOST_LEGEND * self.plotItem.vb.height()
            legend.setVisible(fits and not self.empty)
        inset = 2 * SPACE
        self._empty.setGeometry(self.rect().adjusted(inset, inset, -inset, -inset))
        self._empty.raise_()
