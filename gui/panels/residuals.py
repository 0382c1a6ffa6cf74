"""Where on the detector spots lie off their predictions: an arrow for each part of it."""

import numpy as np
import pyqtgraph as pg
from PyQt5.QtCore import QPointF, pyqtSignal
from PyQt5.QtGui import QColor
from PyQt5.QtWidgets import QVBoxLayout

from braggwatch.gui import style
from braggwatch.gui.controllers.residuals import ResidualsMap
from braggwatch.gui.numbers import count
from braggwatch.gui.panels.fitting_label import FittingLabel
from braggwatch.gui.panels.panel import Panel
from braggwatch.gui.panels.plot import Plot, Quantity
from braggwatch.gui.theme import LINE_PX, SPACE, Theme

MEANING = (
    "Mean of observed minus predicted positions of indexed spots in each part of the detector, magnified.\n"
    "Arrows that all point alike: the beam centre; outwards or inwards: the distance; one alone: that panel."
)


class ResidualsPanel(Panel):
    """A map of the detector with one arrow a panel, or a tile where there is one panel."""

    name = "residuals"
    title = "Residuals"
    part_clicked = pyqtSignal(int)

    def __init__(self) -> None:
        super().__init__()
        self._drawn: ResidualsMap | None = None
        self.summary, self.worst = FittingLabel(), FittingLabel(quiet=True)
        for label in (self.summary, self.worst):
            label.setContentsMargins(SPACE, 0, SPACE, 0)
            label.setToolTip(
                "RMSD and mean of observed minus predicted positions, in pixels, along laboratory x and y."
            )
        self.plot = Plot(Quantity("x", "mm"), Quantity("y", "mm"))
        view = self.plot.plotItem.vb
        view.setAspectLocked(True)
        view.setMouseEnabled(x=False, y=False)
        view.setToolTip(MEANING)
        self.parts = pg.ScatterPlotItem(size=5, pen=None, pxMode=True)
        self._arrows = pg.PlotCurveItem(connect="pairs", antialias=True)
        for item in (self._arrows, self.parts):
            self.plot.addItem(item)
        self.plot.clicked.connect(self._tell_part)
        self.plot.scene().sigMouseMoved.connect(self._hover)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, SPACE // 2, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.summary)
        layout.addWidget(self.worst)
        layout.addWidget(self.plot, 1)
        self.set_theme(self.theme)

    def show_map(self, drawn: ResidualsMap) -> None:
        """Draw it."""
        self._drawn = drawn
        self.plot.set_empty("")
        size = float(np.ptp(drawn.places, axis=0).max()) or 1.0
        # the longest arrow is as long as a tenth of the map, and a pixel never longer than that
        scale = 0.1 * size / max(float(np.linalg.norm(drawn.shifts, axis=1).max()), 0.2)
        tips = drawn.places + scale * drawn.shifts
        back = -0.3 * scale * drawn.shifts
        barb = 0.5 * back[:, ::-1] * (1.0, -1.0)
        lines = [drawn.places, tips, tips, tips + back + barb, tips, tips + back - barb]
        x, y = np.stack(lines, axis=1).reshape(-1, 2).T
        self._arrows.setData(x, y)
        self.parts.setData(drawn.places[:, 0], drawn.places[:, 1])
        pieces = drawn.summary.split(" · ")
        self.summary.set_texts(*(" · ".join(pieces[:n]) for n in range(len(pieces), 0, -1)))
        self.worst.set_texts(f"{drawn.worst} · 1 px is drawn {scale:.1f} mm long", drawn.worst)
        low, high = drawn.places.min(axis=0), drawn.places.max(axis=0)
        self.plot.plotItem.vb.setRange(xRange=(low[0], high[0]), yRange=(low[1], high[1]), padding=0.12)

    def show_empty(self, why: str) -> None:
        """Show a sentence instead."""
        self._drawn = None
        self.summary.set_texts("")
        self.worst.set_texts("")
        self.plot.set_empty(why)

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        super().set_theme(theme)
        self.plot.set_theme(theme)
        for label in (self.summary, self.worst):
            label.set_theme(theme)
        self._arrows.setPen(style.line_pen(theme.predicted, LINE_PX))
        self.parts.setBrush(QColor(theme.indexed))

    def _nearest(self, x: float, y: float) -> int | None:
        if self._drawn is None:
            return None
        return int(np.argmin(np.hypot(*(self._drawn.places - (x, y)).T)))

    def _tell_part(self, x: float, y: float) -> None:
        row = self._nearest(x, y)
        if row is not None:
            self.part_clicked.emit(row)

    def _hover(self, place: QPointF) -> None:
        view = self.plot.plotItem.vb
        point = view.mapSceneToView(place)
        row = self._nearest(point.x(), point.y()) if view.sceneBoundingRect().contains(place) else None
        if row is None or self._drawn is None:
            view.setToolTip(MEANING)
            return
        along_x, along_y = self._drawn.shifts[row]
        view.setToolTip(
            f"{self._drawn.names[row]}: x {along_x:+.2f} y {along_y:+.2f} px, RMSD {self._drawn.rmsd[row]:.2f} px, "
            f"{count(int(self._drawn.n_spots[row]))} spots\n{MEANING}\nClick to see its last shots."
        )
