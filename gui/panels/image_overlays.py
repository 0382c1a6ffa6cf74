"""What is drawn over the picture: spots, predictions, rings, the beam centre."""

from typing import Any

import numpy as np
import pyqtgraph as pg
from PyQt5.QtCore import QRectF
from PyQt5.QtGui import QColor, QPainterPath

from braggwatch.gui.image_rings import Ring
from braggwatch.gui.image_spots import Points, Spots
from braggwatch.gui.theme import AXIS_PX, LINE_PX, Theme

_SPOT_PX, _PREDICTED_PX, _TRIAL_PX, _CENTRE_PX = 13.0, 8.0, 17.0, 22.0
_FULL_SIZE_FROM, _SMALLEST = 700.0, 0.45
"""Marks have their size in a view of so many px along its shorter side; in smaller ones they shrink to this part."""
_LARGEST_PIXEL = 48
"""Marks grow with the pixels, so that they go on to surround a spot, until these have so many px on the screen."""
_PREDICTED_ALPHA, _LABEL_ALPHA, _ABOVE_ALPHA = 190, 210, 130
_ABOVE_PX = 3.0
_MOST_RINGS = 6
_LABEL_MARGIN, _LABEL_DISTANCE = 20.0, 44.0
"""px between a ring's label and the edge of the view, and between two labels, at least."""
_LABELS_FROM = 150.0
"""px of the view's shorter side below which labels would hide the picture."""


class Marks(pg.ScatterPlotItem):
    """Marks that leave clicks to the picture below them, on which masks are drawn."""

    def mouseClickEvent(self, event: Any) -> None:
        """Take no click."""
        event.ignore()


class Overlays:
    """Adds its items to a box once, and moves them from then on."""

    def __init__(self, box: pg.ViewBox) -> None:
        self._box = box
        self._rings: tuple[Ring, ...] = ()
        self._sized_for = (0.0, 0)
        self.ring_lines = pg.PlotCurveItem(connect="finite", antialias=True)
        self.ring_labels = [pg.TextItem("", anchor=(0.5, 0.5)) for _ in range(_MOST_RINGS)]
        self.centre = _scatter(_cross(), _CENTRE_PX)
        self.predicted = _scatter("s", _PREDICTED_PX)
        self.found = _scatter("o", _SPOT_PX)
        self.indexed = _scatter("o", _SPOT_PX)
        self.further = _scatter("o", _SPOT_PX)
        self.trial = _scatter("d", _TRIAL_PX)
        self.above = _scatter("s", _ABOVE_PX)
        for item in (
            self.ring_lines, self.above, self.predicted, self.found, self.indexed, self.further, self.trial,
            self.centre, *self.ring_labels,
        ):  # fmt: skip
            box.addItem(item, ignoreBounds=True)

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        for item, colour, width in (
            (self.found, theme.hit, LINE_PX),
            (self.indexed, theme.indexed, 2.0),
            (self.further, theme.multi_lattice, 2.0),
            (self.trial, theme.multi_lattice, LINE_PX),
            (self.centre, theme.alarm, 2.0),
        ):
            item.setPen(pg.mkPen(colour, width=width))
        self.above.setPen(None)
        self.above.setBrush(pg.mkBrush(_faint(theme.alarm, _ABOVE_ALPHA)))
        self.predicted.setPen(pg.mkPen(_faint(theme.predicted, _PREDICTED_ALPHA), width=1.0))
        self.ring_lines.setPen(pg.mkPen(theme.multi_lattice, width=1.0))
        for label in self.ring_labels:
            label.setColor(QColor(theme.text))
            label.fill = pg.mkBrush(_faint(theme.panel, _LABEL_ALPHA))
            font = label.textItem.font()
            font.setPixelSize(AXIS_PX)
            label.setFont(font)

    def fit_to_view(self) -> None:
        """Give marks the size that suits the view, and put the rings' labels where the rings are seen."""
        shorter = min(self._box.width(), self._box.height())
        part = round(min(max(shorter / _FULL_SIZE_FROM, _SMALLEST), 1.0), 1)
        pixel = min(round(1.0 / float(self._box.viewPixelSize()[0])), _LARGEST_PIXEL)
        if (part, pixel) != self._sized_for:
            self._sized_for = part, pixel
            for item, size, n_pixels in (
                (self.found, _SPOT_PX, 8), (self.indexed, _SPOT_PX, 8), (self.further, _SPOT_PX, 8),
                (self.predicted, _PREDICTED_PX, 5), (self.trial, _TRIAL_PX, 10), (self.centre, _CENTRE_PX, 4),
                (self.above, _ABOVE_PX, 1),
            ):  # fmt: skip
                item.setSize(max(size * part, n_pixels * pixel))
        self._place_labels()

    def set_spots(self, spots: Spots) -> None:
        """Move spots and predictions."""
        for item, points in (
            (self.found, spots.found),
            (self.indexed, spots.indexed),
            (self.further, spots.further),
            (self.predicted, spots.predicted),
        ):
            item.setData(pos=points)

    def set_pixels_above(self, points: Points) -> None:
        """Move the marks of pixels that are high enough to be part of a spot."""
        self.above.setData(pos=points)

    def set_trial_spots(self, points: Points) -> None:
        """Move the spots of settings under trial."""
        self.trial.setData(pos=points)

    def set_geometry(self, rings: tuple[Ring, ...], centre: tuple[float, float] | None) -> None:
        """Move the rings and the beam centre."""
        self._rings = rings[:_MOST_RINGS]
        gap = np.full((1, 2), np.nan)
        line = np.concatenate([gap, *(part for ring in self._rings for part in (ring.points, gap))])
        self.ring_lines.setData(line[:, 0], line[:, 1])
        self.centre.setData(pos=np.empty((0, 2)) if centre is None else np.array([centre]))
        self._place_labels()

    def show(self, *, spots: bool, predicted: bool, trial: bool, centre: bool, rings: bool) -> None:
        """Show each kind, or hide it; `trial` means what the settings under trial would find."""
        for items, wanted in (
            ((self.found, self.indexed, self.further), spots), ((self.predicted,), predicted),
            ((self.trial, self.above), trial), ((self.centre,), centre), ((self.ring_lines,), rings),
        ):  # fmt: skip
            for item in items:
                item.setVisible(wanted)
        self._place_labels()

    def _place_labels(self) -> None:
        """Put each ring's label where the ring is seen, to the upper right of the beam if it can be."""
        if not self.ring_lines.isVisible() or min(self._box.width(), self._box.height()) < _LABELS_FROM:
            for label in self.ring_labels:
                label.hide()
            return
        view, px = self._box.viewRect(), float(self._box.viewPixelSize()[0])
        taken: list[Points] = []
        for i, label in enumerate(self.ring_labels):
            place = _seen(self._rings[i].points, view, _LABEL_MARGIN * px) if i < len(self._rings) else None
            if place is not None and any(np.hypot(*(place - other)) < _LABEL_DISTANCE * px for other in taken):
                place = None
            label.setVisible(place is not None)
            if place is not None:
                taken.append(place)
                label.setText(f"{self._rings[i].d:g} Å")
                label.setPos(*place)


def _faint(colour: str, alpha: int) -> QColor:
    faint = QColor(colour)
    faint.setAlpha(alpha)
    return faint


def _cross() -> QPainterPath:
    """Return two lines with room between them for what they mark, one px across."""
    path = QPainterPath()
    for x, y in ((1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0)):
        path.moveTo(0.15 * x, 0.15 * y)
        path.lineTo(0.5 * x, 0.5 * y)
    return path


def _scatter(symbol: str | QPainterPath, size: float) -> Marks:
    return Marks(symbol=symbol, size=size, brush=None, pxMode=True, antialias=True)


def _seen(points: Points, view: QRectF, margin: float) -> Points | None:
    """Return the point of a ring within the view that lies farthest to the upper right."""
    x, y = points.T
    with np.errstate(invalid="ignore"):
        inside = (x > view.left() + margin) & (x < view.right() - margin)
        inside &= (y > view.top() + margin) & (y < view.bottom() - margin)
    if not inside.any():
        return None
    score = np.where(inside, x - y, -np.inf)
    return np.asarray(points[int(np.argmax(score))])
