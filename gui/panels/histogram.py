"""A histogram whose bars can be clicked."""

from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PyQt5.QtCore import QPointF, pyqtSignal
from PyQt5.QtGui import QColor, QResizeEvent

from braggwatch.gui import style
from braggwatch.gui.panels.plot import Plot, Quantity
from braggwatch.gui.theme import Theme


class Histogram(Plot):
    """One or more series of counts over the same bins, drawn as filled steps."""

    bar_clicked = pyqtSignal(float, float)
    """From and to, in the unit of x."""

    def __init__(self, x: Quantity, y: Quantity, meaning: str) -> None:
        """`meaning`: what the tooltip says besides the counts."""
        super().__init__(x, y)
        self._meaning = meaning
        self._edges = np.zeros(0)
        self._top = 0
        self._series: list[tuple[Any, str, str, NDArray[np.int64]]] = []
        self._lines: list[tuple[Any, str]] = []
        self._hovered = pg.BarGraphItem(x0=[], x1=[], y0=[], y1=[], pen=None)
        self.addItem(self._hovered)
        view = self.plotItem.vb
        view.setMouseEnabled(x=False, y=False)
        view.setDefaultPadding(0.0)
        view.setToolTip(meaning)
        self.clicked.connect(self._tell_bar)
        view.sigResized.connect(self._frame)
        self.scene().sigMouseMoved.connect(self._hover)

    def add_series(self, name: str, colour: str) -> None:
        """Add counts; `name` is for the legend and the tooltip."""
        curve = pg.PlotDataItem(stepMode="center", fillLevel=0, name=name or None)
        self.addItem(curve)
        self._series.append((curve, colour, name, np.zeros(0, np.int64)))
        self._colour_series()

    def add_line(self, colour: str) -> Any:
        """Return an upright dashed line (`setValue`), not seen until it is shown."""
        line = pg.InfiniteLine(angle=90, movable=False)
        line.setVisible(False)
        line.setZValue(5)
        self.addItem(line, ignoreBounds=True)
        self._lines.append((line, colour))
        self._colour_series()
        return line

    def set_counts(self, edges: NDArray[np.float64], *counts: NDArray[np.int64]) -> None:
        """Take the edges of the bins ``(n + 1,)`` and the counts ``(n,)`` of each series."""
        self._edges = np.asarray(edges, np.float64)
        for i, given in enumerate(counts):
            curve, colour, name, _ = self._series[i]
            self._series[i] = curve, colour, name, given
            curve.setData(self._edges, given)
        self._top = max(int(given.max()) for given in counts)
        self._frame()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep the legend off the bars."""
        super().resizeEvent(event)
        if hasattr(self, "_edges"):  # not while it is being made
            self._frame()

    def _frame(self) -> None:
        """Leave room above the bars for the legend."""
        if len(self._edges):
            x_range = float(self._edges[0]), float(self._edges[-1])
            y_range = 0.0, max(self._top, 1) / (0.88 - self.headroom)
            self.plotItem.vb.setRange(xRange=x_range, yRange=y_range, padding=0)

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        super().set_theme(theme)
        if hasattr(self, "_series"):
            self._colour_series()

    def _colour_series(self) -> None:
        for curve, colour, _, _ in self._series:
            value = getattr(self.theme, colour)
            curve.setPen(style.line_pen(value))
            # opaque, so that a series before another keeps its colour
            curve.setBrush(QColor(style.mixed(self.theme.panel, value, 0.35)))
        for line, colour in self._lines:
            line.setPen(style.line_pen(getattr(self.theme, colour), style=pg.QtCore.Qt.PenStyle.DashLine))
        over = QColor(self.theme.text)
        over.setAlpha(40)
        self._hovered.setOpts(brush=over)

    def _bar(self, x: float) -> int | None:
        at = int(np.searchsorted(self._edges, x, side="right")) - 1
        return at if 0 <= at < len(self._edges) - 1 else None

    def _tell_bar(self, x: float, y: float) -> None:
        at = self._bar(x)
        if at is not None and not self.empty:
            self.bar_clicked.emit(float(self._edges[at]), float(self._edges[at + 1]))

    def _hover(self, place: QPointF) -> None:
        view = self.plotItem.vb
        inside = view.sceneBoundingRect().contains(place) and not self.empty
        at = self._bar(view.mapSceneToView(place).x()) if inside else None
        if at is None:
            self._hovered.setOpts(x0=[], x1=[], y0=[], y1=[])
            view.setToolTip(self._meaning)
            return
        low, high = self._edges[at : at + 2]
        self._hovered.setOpts(x0=[low], x1=[high], y0=[0], y1=[view.viewRange()[1][1]])
        numbers = ", ".join(f"{counts[at]} {name}".rstrip() for _, _, name, counts in self._series if len(counts) > at)
        view.setToolTip(
            f"{self.bar_text(float(low), float(high))}: {numbers}\n{self._meaning}\nClick to see these shots."
        )

    def bar_text(self, low: float, high: float) -> str:
        """Return how a bar's limits are said."""
        return f"{low:.2f} to {high:.2f}"
