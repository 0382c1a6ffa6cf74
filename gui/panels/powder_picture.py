"""The picture of a powder, with rings."""

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PyQt5.QtCore import QPointF, QRectF
from PyQt5.QtGui import QColor, QResizeEvent

from braggwatch.gui import style
from braggwatch.gui.image_rings import Ring
from braggwatch.gui.panels.plot import Plot, Quantity
from braggwatch.gui.theme import AXIS_PX, DARK, Theme

COLOURS = ("inverted grey", "viridis", "inferno", "cividis")
_MEANING = "Many shots in one picture, as the panels lie. Wheel zooms, drag pans, double click shows everything."
_MOST_RINGS = 8
_LABELS_FROM_PX = 140


class PowderPicture(Plot):
    """An image that can be zoomed; masked pixels in a colour that is no data."""

    def __init__(self) -> None:
        super().__init__(Quantity("x"), Quantity("y"))
        self._pixels: NDArray[np.float32] | None = None
        self._with_rings = True
        self._n_rings = 0
        plot = self.plotItem
        plot.hideAxis("left")
        plot.hideAxis("bottom")
        plot.layout.setContentsMargins(0, 0, 0, 0)
        plot.vb.setAspectLocked(True)
        plot.vb.invertY(True)
        plot.vb.setDefaultPadding(0.0)
        plot.vb.setToolTip(_MEANING)
        self.image = pg.ImageItem(axisOrder="row-major")
        self._masked = pg.ImageItem(axisOrder="row-major", levels=(0, 1))
        self.addItem(self.image)
        self.addItem(self._masked, ignoreBounds=True)
        self._curves = [pg.PlotCurveItem(antialias=True, connect="finite") for _ in range(_MOST_RINGS)]
        self._labels = [pg.TextItem(anchor=(0.5, 0.5)) for _ in range(_MOST_RINGS)]
        for item in (*self._curves, *self._labels):
            item.setZValue(5)
            self.addItem(item, ignoreBounds=True)
            item.setVisible(False)
        self.set_colours(COLOURS[0])
        self.scene().sigMouseMoved.connect(self._hover)
        self.set_theme(DARK)

    def show_picture(
        self,
        pixels: NDArray[np.float32],
        masked: NDArray[np.bool_],
        levels: tuple[float, float],
        rings: tuple[Ring, ...],
    ) -> None:
        """Draw ``(rows, columns)``, NaN where there is nothing."""
        anew = self._pixels is None or self._pixels.shape != pixels.shape
        self._pixels = pixels
        self.image.setImage(pixels, levels=levels)
        self._masked.setImage(masked.view(np.uint8), autoLevels=False, levels=(0, 1))
        if anew:
            self.plotItem.vb.setRange(QRectF(0, 0, pixels.shape[1], pixels.shape[0]), padding=0.01)
        self._place_rings(rings[:_MOST_RINGS], pixels.shape)

    def _place_rings(self, rings: tuple[Ring, ...], shape: tuple[int, int]) -> None:
        self._n_rings = 0
        for ring in rings:
            x, y = ring.points.T
            # labels at the top right of each ring, or wherever it is inside
            u, v = x / shape[1], y / shape[0]
            inside = np.flatnonzero((u > 0.02) & (u < 0.98) & (v > 0.02) & (v < 0.98))
            if not len(inside):
                continue
            at = inside[np.argmax(x[inside] - y[inside])]
            self._curves[self._n_rings].setData(x, y)
            label = self._labels[self._n_rings]
            label.setText(f"{ring.d:g} Å")
            label.setPos(x[at], y[at])
            self._n_rings += 1
        self.set_rings_visible(self._with_rings)

    def set_rings_visible(self, visible: bool) -> None:
        """Show or hide the rings."""
        self._with_rings = visible
        for i, (curve, label) in enumerate(zip(self._curves, self._labels, strict=True)):
            curve.setVisible(visible and i < self._n_rings)
            label.setVisible(visible and i < self._n_rings and self.height() > _LABELS_FROM_PX)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Leave out the labels where they would cover the picture."""
        super().resizeEvent(event)
        if hasattr(self, "_labels"):
            self.set_rings_visible(self._with_rings)

    def set_colours(self, name: str) -> None:
        """Take one of `COLOURS`."""
        grey = pg.ColorMap([0.0, 1.0], [(255, 255, 255), (0, 0, 0)])
        self.image.setColorMap(grey if name == COLOURS[0] else pg.colormap.get(name))

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        super().set_theme(theme)
        if not hasattr(self, "_labels"):
            return
        self.plotItem.showGrid(x=False, y=False)
        self.plotItem.vb.setBackgroundColor(None)
        self._masked.setLookupTable(np.array([(0, 0, 0, 0), QColor(theme.masked).getRgb()], np.uint8))
        background = QColor(theme.panel)
        background.setAlpha(200)
        for curve, label in zip(self._curves, self._labels, strict=True):
            curve.setPen(style.line_pen(theme.multi_lattice, 1.0))
            label.setColor(theme.text)
            label.fill = pg.mkBrush(background)
            label.setFont(style.font(AXIS_PX))

    def _hover(self, place: QPointF) -> None:
        view = self.plotItem.vb
        text = _MEANING
        if self._pixels is not None and view.sceneBoundingRect().contains(place):
            point = view.mapSceneToView(place)
            column, row = int(point.x() // 1), int(point.y() // 1)
            if 0 <= row < self._pixels.shape[0] and 0 <= column < self._pixels.shape[1]:
                value = float(self._pixels[row, column])
                text = f"{'masked' if np.isnan(value) else f'{value:.4g} ADU'}\n{_MEANING}"
        view.setToolTip(text)
