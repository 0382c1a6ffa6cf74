"""How the crystals lie: a pole figure."""

import numpy as np
import pyqtgraph as pg
from PyQt5.QtCore import QRectF, pyqtSignal
from PyQt5.QtGui import QColor, QResizeEvent
from PyQt5.QtWidgets import QButtonGroup, QCheckBox, QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from braggwatch.gui import style
from braggwatch.gui.controllers.orientations import AXES, OrientationMap
from braggwatch.gui.panels.colour_key import ColourKey, colours_of_counts
from braggwatch.gui.panels.fitting_label import FittingLabel
from braggwatch.gui.panels.panel import Panel
from braggwatch.gui.panels.plot import Plot, Quantity
from braggwatch.gui.theme import AXIS_PX, SPACE, Theme

MEANING = (
    "Poles of a reciprocal axis on the hemisphere towards the detector, in Lambert's equal-area projection: the beam\n"
    "in the middle, what is perpendicular to it on the rim, laboratory x to the right and y upwards.\n"
    "Circles every 30°. The larger ring, where there is one: where poles gather, or what they avoid.\n"
    "Click to see the shots there."
)
_TEST = (
    "Strength: 0 for uniform orientations, 1 where all crystals lie alike. p: how often uniform orientations would\n"
    "look as uneven (Bingham's test; for cubic lattices of degree 4). Eigenvalues of the orientation tensor: a third\n"
    "each where orientations are uniform."
)


class OrientationsPanel(Panel):
    """A pole figure: points, or a density where there are many."""

    name = "orientations"
    title = "Orientations"
    place_clicked = pyqtSignal(float, float)
    axis_chosen = pyqtSignal(str)
    fold_chosen = pyqtSignal(bool)

    def __init__(self) -> None:
        super().__init__()
        self._shown: OrientationMap | None = None
        self.statement = FittingLabel(bold=True)
        self.figures = FittingLabel(quiet=True)
        for label in (self.statement, self.figures):
            label.setToolTip(_TEST)
            label.setContentsMargins(SPACE, 0, SPACE, 0)
        self._make_plot()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, SPACE // 2, 0, SPACE // 2)
        layout.setSpacing(0)
        layout.addWidget(self.statement)
        layout.addWidget(self.figures)
        layout.addWidget(self.plot, 1)
        layout.addWidget(self._made_controls())
        self.set_theme(self.theme)

    def _make_plot(self) -> None:
        self.plot = Plot(Quantity("x"), Quantity("y"))
        plot = self.plot.plotItem
        plot.hideAxis("left")
        plot.hideAxis("bottom")
        plot.vb.setAspectLocked(True)
        plot.vb.setMouseEnabled(x=False, y=False)
        plot.vb.setToolTip(MEANING)
        plot.vb.setRange(QRectF(-1.12, -1.12, 2.24, 2.24), padding=0)
        self._density = pg.ImageItem(axisOrder="col-major")
        self._density.setRect(QRectF(-1, -1, 2, 2))
        self.plot.addItem(self._density, ignoreBounds=True)
        around = np.linspace(0, 2 * np.pi, 181)
        self._circles = []
        for angle in (90, 60, 30):
            r = np.sqrt(2.0) * np.sin(np.radians(angle) / 2)
            circle = pg.PlotCurveItem(r * np.cos(around), r * np.sin(around), antialias=True)
            self.plot.addItem(circle, ignoreBounds=True)
            self._circles.append(circle)
        self.points = pg.ScatterPlotItem(size=5, pen=None, pxMode=True)
        self.plot.addItem(self.points, ignoreBounds=True)
        self._axis = pg.ScatterPlotItem(size=15, symbol="o", brush=None, pxMode=True)
        self._beam = pg.ScatterPlotItem([0.0], [0.0], size=9, symbol="+", pxMode=True)
        self._texts = []
        for text, x, y, anchor in (
            ("beam", 0.0, 0.0, (-0.15, 1.0)), ("x", 1.0, 0.0, (-0.3, 0.5)), ("y", 0.0, 1.0, (0.5, 0.95)),
            ("30°", 0.366, -0.366, (0.1, 0.1)), ("60°", 0.5, -0.5, (0.1, 0.1)),
        ):  # fmt: skip
            item = pg.TextItem(text, anchor=anchor)
            item.setFont(style.font(AXIS_PX))
            item.setPos(x, y)
            self._texts.append(item)
        for item in (self._axis, self._beam, *self._texts):
            item.setZValue(5)
            self.plot.addItem(item, ignoreBounds=True)
        self.plot.clicked.connect(self.place_clicked)

    def _made_controls(self) -> QWidget:
        controls = QWidget()
        line = QHBoxLayout(controls)
        line.setContentsMargins(SPACE, 0, SPACE, 0)
        line.setSpacing(SPACE // 2)
        self.axes = QButtonGroup(self)
        for axis in AXES:
            button = QToolButton()
            button.setText(axis)
            button.setCheckable(True)
            button.setChecked(axis == "c*")
            button.setToolTip(f"Show where the poles of {axis} lie")
            self.axes.addButton(button)
            line.addWidget(button)
        self.axes.buttonClicked.connect(lambda button: self.axis_chosen.emit(button.text()))
        self.fold = QCheckBox("Equivalent poles")
        self.fold.setChecked(True)
        self.fold.setToolTip(
            "Show all poles that the symmetry of the target's lattice makes of one: which is called a* is chance"
        )
        self.fold.toggled.connect(self.fold_chosen)
        line.addWidget(self.fold)
        line.addStretch(1)
        self._key = ColourKey()
        self._key.setToolTip("How dense the poles lie, as a multiple of uniform orientations")
        line.addWidget(self._key)
        return controls

    def show_map(self, drawn: OrientationMap) -> None:
        """Draw it."""
        self._shown = drawn
        self.plot.set_empty("")
        said, _, where = drawn.statement.partition(": ")
        between = f"{said.split()[0]}: {where}" if where else said
        self.statement.set_texts(drawn.statement, between, said)
        parts = drawn.figures.split(" · ")
        self.figures.set_texts(*(" · ".join(parts[:n]) for n in range(len(parts), 0, -1)))
        if drawn.points is not None:
            self.points.setData(drawn.points[:, 0], drawn.points[:, 1])
            self._density.clear()
        elif drawn.density is not None:
            self.points.clear()
            self._density.setImage(drawn.density, levels=(0.0, self._most()))
            self._density.setRect(QRectF(-1, -1, 2, 2))
        if drawn.axis_at is None:
            self._axis.clear()
        else:
            self._axis.setData([drawn.axis_at[0]], [drawn.axis_at[1]])
        self._show_key()

    def _most(self) -> float:
        assert self._shown is not None and self._shown.density is not None
        return max(2.0, float(np.nanmax(self._shown.density)))

    def show_empty(self, why: str) -> None:
        """Show a sentence instead."""
        self._shown = None
        self.statement.set_texts("")
        self.figures.set_texts("")
        self.plot.set_empty(why)
        self._show_key()

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        super().set_theme(theme)
        self.plot.set_theme(theme)
        self.plot.plotItem.showGrid(x=False, y=False)
        for widget in (self.statement, self.figures, self._key):
            widget.set_theme(theme)
        for i, circle in enumerate(self._circles):
            circle.setPen(style.line_pen(style.mixed(theme.panel, theme.quiet, 0.9 if i == 0 else 0.45), 1.0))
        filled = QColor(theme.indexed)
        filled.setAlpha(170)
        self.points.setBrush(filled)
        self._axis.setPen(style.line_pen(theme.predicted, 2.0))
        self._beam.setPen(style.line_pen(theme.text))
        for text in self._texts:
            text.setColor(theme.quiet)
        self._texts[0].setColor(theme.text)
        self._density.setColorMap(colours_of_counts(theme))
        self._show_key()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Leave out what there is no room for."""
        super().resizeEvent(event)
        self.figures.setVisible(self.height() > 240)
        self.points.setSize(5 if min(self.width(), self.height()) > 330 else 3)
        self._show_key()

    def _show_key(self) -> None:
        dense = self._shown is not None and self._shown.density is not None
        if dense:
            self._key.set_scale(colours_of_counts(self.theme), "0", f"{self._most():.1f}", "× uniform")
        self._key.setVisible(dense and self.width() > 420)
        self.fold.setText("Equivalent poles" if self.width() > 300 else "Equivalent")
        room = min(self.width(), self.height()) if self._shown is not None else 0
        for text, least in zip(self._texts, (1, 240, 240, 330, 330), strict=True):
            text.setVisible(room > least)
