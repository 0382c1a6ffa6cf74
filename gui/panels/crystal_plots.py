"""Where a shot's spots are and where they should be, and how far they are off."""

from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PyQt5.QtGui import QColor, QResizeEvent

from braggwatch.gui.controllers.crystal import SpotMap
from braggwatch.gui.panels.plot import Plot, Quantity
from braggwatch.gui.style import line_pen
from braggwatch.gui.theme import LINE_PX, Theme

F64 = NDArray[np.float64]
_CIRCLE = np.stack([np.cos(np.linspace(0, 2 * np.pi, 97)), np.sin(np.linspace(0, 2 * np.pi, 97))])
_SPOT_PX = 6.0
_LEGEND_FROM_PX = 240


class SpotPlot(Plot):
    """Spots on the detector, by what explains them, with their residuals as lengthened lines."""

    def __init__(self) -> None:
        super().__init__(Quantity("x", "mm"), Quantity("y", "mm"))
        self.setToolTip("Spots on the detector seen along the beam, x along fs and y along ss, mm from the beam")
        self.plotItem.invertY(True)
        self.plotItem.setAspectLocked(True)
        self.plotItem.vb.setDefaultPadding(0.1)  # room for the legend
        self.add_legend()
        self.arrows = pg.PlotCurveItem(connect="pairs")
        self.addItem(self.arrows)
        self._spots: dict[str, tuple[Any, str, bool]] = {}
        for what, name, colour, filled in (
            ("unexplained", "found", "hit", False),
            ("ice", "on an ice ring", "alarm", True),
            ("elsewhere", "other lattice", "multi_lattice", True),
            ("explained", "indexed", "indexed", True),
        ):
            item = pg.ScatterPlotItem(size=_SPOT_PX, pxMode=True, name=name)
            self.addItem(item)
            self._spots[what] = item, colour, filled
        self.set_theme(self.theme)

    def show_spots(self, spots: SpotMap) -> None:
        """Show these; kinds of which there are none are left out of the legend."""
        named = []
        for what, (item, _, _) in self._spots.items():
            place: F64 = getattr(spots, what)
            item.setData(x=place[:, 0], y=place[:, 1])
            if len(place):
                named.append((item, item.name()))
        self.arrows.setData(x=spots.arrows[:, 0], y=spots.arrows[:, 1], connect="pairs")
        if len(spots.arrows):
            named.append((self.arrows, f"residual × {spots.lengthened}"))
        _name(self.plotItem.legend, named)
        self.set_empty("")
        _fit(self, [item for item, _, _ in self._spots.values()])

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Draw smaller spots where there is little room."""
        super().resizeEvent(event)
        if hasattr(self, "_spots"):
            _fit(self, [item for item, _, _ in self._spots.values()])

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        super().set_theme(theme)
        if not hasattr(self, "_spots"):
            return  # while it is being made
        self.arrows.setPen(line_pen(theme.predicted))
        for item, colour, filled in self._spots.values():
            value = getattr(theme, colour)
            item.setPen(line_pen(value, LINE_PX))
            item.setBrush(QColor(value) if filled else None)


class ResidualPlot(Plot):
    """Observed minus predicted of each spot, with a circle as wide as the RMSD."""

    def __init__(self) -> None:
        super().__init__(Quantity("residual along fs", "px"), Quantity("residual along ss", "px"))
        self.setToolTip("Observed minus predicted position of each indexed spot, pixels, along fs and ss of its panel")
        self.plotItem.invertY(True)
        self.plotItem.setAspectLocked(True)
        self.add_legend()
        self.circle = self.add_curve("", "predicted")
        self.circle.setDownsampling(auto=False)
        self.circle.setClipToView(False)
        self.points = pg.ScatterPlotItem(size=_SPOT_PX, pxMode=True)
        self.addItem(self.points)
        self.zero = [pg.InfiniteLine(angle=angle) for angle in (0, 90)]
        for line in self.zero:
            line.setZValue(-10)
            self.addItem(line)
        self.set_theme(self.theme)

    def show_residuals(self, pixels: F64, rmsd: float) -> None:
        """Show ``(k, 2)`` pixels, and the circle."""
        self.points.setData(x=pixels[:, 0], y=pixels[:, 1])
        known = bool(np.isfinite(rmsd) and rmsd >= 0)
        x, y = rmsd * _CIRCLE if known else np.empty((2, 0))
        self.circle.setData(x, y)
        _name(self.plotItem.legend, [(self.points, "spots")] + [(self.circle, f"RMSD {rmsd:.2f} px")] * known)
        reach = 1.15 * max(float(np.abs(pixels).max(initial=0.0)), 1.2 * rmsd if known else 0.0, 0.1)
        self.plotItem.setRange(xRange=(-reach, reach), yRange=(-reach, reach), padding=0)
        self.set_empty("")
        _fit(self, [self.points])

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Draw smaller spots where there is little room."""
        super().resizeEvent(event)
        if hasattr(self, "points"):
            _fit(self, [self.points])

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        super().set_theme(theme)
        if hasattr(self, "zero"):
            self.points.setPen(None)
            self.points.setBrush(QColor(theme.indexed))
            for line in self.zero:
                line.setPen(line_pen(theme.quiet, 1.0))


def _fit(plot: Plot, scatters: list[Any]) -> None:
    """Leave out the legend where it would hide the spots, and draw these as large as there is room for them."""
    plot.plotItem.legend.setVisible(plot.height() >= _LEGEND_FROM_PX and not plot.empty)
    size = min(max(min(plot.width(), plot.height()) / 40, 3.0), _SPOT_PX)
    for scatter in scatters:
        if scatter.opts["size"] != size:
            scatter.setSize(size)


def _name(legend: Any, named: list[tuple[Any, str]]) -> None:
    """Let a legend name these items, unless it does so already."""
    if [(sample.item, label.text) for sample, label in legend.items] != named:
        legend.clear()
        for item, name in named:
            legend.addItem(item, name)
