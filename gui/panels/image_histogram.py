"""The histogram of the pixels, on which levels are chosen by hand."""

from typing import Any

import numpy as np
import pyqtgraph as pg
from PyQt5.QtCore import pyqtSignal
from PyQt5.QtGui import QColor, QFont

from braggwatch.gui.image_levels import Histogram, Levels, from_axis, to_axis
from braggwatch.gui.theme import AXIS_PX, BAND_ALPHA, LINE_PX, Theme

_DECADES = [10.0**k for k in range(7)]


class ValueAxis(pg.AxisItem):
    """Pixel values on the axis of `image_levels.to_axis`: ticks at 0 and at powers of ten of either sign."""

    def tickValues(self, minVal: float, maxVal: float, size: float) -> list[tuple[float, list[float]]]:
        """Return where the ticks are."""
        values = [0.0, *_DECADES, *(-value for value in _DECADES[1:])]
        places = [place for value in values if minVal <= (place := to_axis(value)) <= maxVal]
        return [(1.0, places)]

    def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:
        """Return what they say."""
        return [_short(from_axis(value)) for value in values]


def _short(value: float) -> str:
    size = abs(value)
    for limit, divisor, letter in ((999.5, 1.0, ""), (999.5e3, 1e3, "k"), (1e12, 1e6, "M")):
        if size < limit:
            return f"{value / divisor:.0f}{letter}"
    return f"{value:.0e}"


class LevelsPlot(pg.PlotWidget):
    """Pixels against value, with the levels as a region that can be dragged."""

    levels_dragged = pyqtSignal(float, float)
    """Two pixel values, the smaller one first."""

    def __init__(self) -> None:
        super().__init__(axisItems={"bottom": ValueAxis("bottom")}, enableMenu=False)
        self._curve = pg.PlotCurveItem([0.0, 1.0], [0.0], stepMode="center", fillLevel=0.0)
        self._region = pg.LinearRegionItem(swapMode="sort")
        self._region.setToolTip("Drag either edge: pixel values of the first and the last shade")
        self.addItem(self._curve)
        self.addItem(self._region, ignoreBounds=True)
        self._region.sigRegionChanged.connect(self._tell)
        self._setting = False
        self._unit = "ADU"
        self.setMouseEnabled(x=False, y=False)
        self.hideButtons()
        self.setToolTip("How many of the shown pixels have which value; masked ones are not counted")
        plot = self.getPlotItem()
        plot.setContentsMargins(0, 4, 8, 0)
        plot.setLabel("bottom", self._quantity)
        plot.setLabel("left", "pixels")
        plot.getAxis("left").setTicks([[(float(k), f"10{_POWERS[k]}") for k in range(0, 9, 2)]])
        plot.getAxis("left").setWidth(52)

    @property
    def _quantity(self) -> str:
        return f"pixel value ({self._unit})"

    def set_unit(self, unit: str) -> None:
        """Say in which unit the values are."""
        self._unit = unit
        self.getPlotItem().getAxis("bottom").setLabel(self._quantity)

    def set_histogram(self, histogram: Histogram) -> None:
        """Show a histogram."""
        edges, counts = histogram.occupied()
        if not len(counts):
            self._curve.setData([0.0, 1.0], [0.0], stepMode="center")
            return
        self._curve.setData(edges, np.log10(counts + 1.0), stepMode="center")
        span = max(edges[-1] - edges[0], 0.5)
        self.setXRange(edges[0] - 0.03 * span, edges[0] + 1.03 * span, padding=0)
        self.setYRange(0.0, float(np.log10(counts.max() + 1.0)) * 1.05, padding=0)

    def set_levels(self, levels: Levels) -> None:
        """Put the region where the levels are."""
        self._setting = True
        self._region.setRegion((to_axis(levels.low), to_axis(levels.high)))
        self._setting = False

    def levels(self) -> tuple[float, float]:
        """Return the pixel values between which the region lies."""
        low, high = self._region.getRegion()
        return from_axis(low), from_axis(high)

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        self.setBackground(theme.panel)
        self._curve.setPen(pg.mkPen(theme.text, width=LINE_PX))
        quiet = QColor(theme.quiet)
        quiet.setAlpha(BAND_ALPHA)
        self._curve.setBrush(pg.mkBrush(quiet))
        band = QColor(theme.multi_lattice)
        band.setAlpha(BAND_ALPHA)
        self._region.setBrush(band)
        self._region.setHoverBrush(band)
        for line in self._region.lines:
            line.setPen(pg.mkPen(theme.multi_lattice, width=2))
            line.setHoverPen(pg.mkPen(theme.multi_lattice, width=4))
        font = QFont(self.font())
        font.setPixelSize(AXIS_PX)
        style: dict[str, Any] = {"color": theme.quiet, "font-size": f"{AXIS_PX}px"}
        for name, text in (("bottom", self._quantity), ("left", "pixels")):
            axis = self.getPlotItem().getAxis(name)
            axis.setPen(pg.mkPen(theme.line))
            axis.setTextPen(pg.mkPen(theme.quiet))
            axis.setLabel(text, **style)
            axis.setTickFont(font)
            axis.enableAutoSIPrefix(False)

    def _tell(self) -> None:
        if not self._setting:
            self.levels_dragged.emit(*self.levels())


_POWERS = "⁰¹²³⁴⁵⁶⁷⁸"
