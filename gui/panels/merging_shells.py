"""How the quality of the merged data falls with resolution."""

import numpy as np
import pyqtgraph as pg
from PyQt5.QtCore import QPointF, Qt, pyqtSignal
from PyQt5.QtGui import QColor

from braggwatch.gui import style
from braggwatch.gui.controllers.merging_view import ShellPlots, ShellQuantity
from braggwatch.gui.panels.choice_plot import Choice, ChoicePlot
from braggwatch.gui.panels.plot import Plot, Quantity
from braggwatch.gui.panels.resolution_axis import ResolutionAxis
from braggwatch.gui.theme import DARK, Theme

_POINT_PX = 7
_QUANTITIES: dict[ShellQuantity, tuple[str, str, str]] = {
    "cc_half": ("CC½", "", "CC½: correlation of two random halves of the crystals; band: its standard error"),
    "completeness": ("Completeness", "%", "Completeness: share of the different reflections that were observed"),
    "snr": ("I/σ(I)", "", "I/σ: mean of the merged intensities over their standard errors"),
    "r_split": ("R_split", "%", "R_split: how far the two halves differ, of their mean; smaller is better"),
}
_SHORT: dict[ShellQuantity, str] = {"cc_half": "CC½", "completeness": "Compl.", "snr": "I/σ", "r_split": "R_split"}


class ShellsPlot(ChoicePlot):
    """One of four statistics against resolution, equally spaced in 1/d²."""

    shell_clicked = pyqtSignal(int)

    def __init__(self) -> None:
        self._shown: ShellPlots | None = None
        entries = tuple((name, _SHORT[name], meaning) for name, (_, _, meaning) in _QUANTITIES.items())
        super().__init__(Plot(Quantity("Resolution d", "Å"), Quantity("CC½")), Choice(entries))
        self.put_axes({"bottom": ResolutionAxis("bottom", "", power=2)})
        view = self.plot.plotItem.vb
        view.setMouseEnabled(x=False, y=False)
        self.band = self.plot.add_band("indexed")
        self.target = self.plot.add_curve("", "predicted", Qt.PenStyle.DashLine)
        self.curve = self.plot.add_curve("", "indexed")
        self.points = pg.ScatterPlotItem(size=_POINT_PX, pen=None, pxMode=True)
        self.plot.addItem(self.points)
        self.plot.clicked.connect(self._tell_shell)
        self.plot.scene().sigMouseMoved.connect(self._hover)
        self.choice.chosen.connect(lambda _name: self._draw())
        self.set_theme(DARK)

    @property
    def quantity(self) -> ShellQuantity:
        """What is drawn."""
        return next(name for name in _QUANTITIES if name == self.choice.name)

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        self.plot.set_theme(theme)
        self.points.setBrush(QColor(theme.indexed))

    def show_shells(self, shown: ShellPlots) -> None:
        """Draw them."""
        self._shown = shown
        self._draw()

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
