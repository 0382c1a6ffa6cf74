"""Draws shapes on the picture with the mouse."""

import math
from typing import Any, Literal

import numpy as np
import pyqtgraph as pg
from PyQt5.QtCore import QObject, QPointF, Qt, pyqtSignal

from braggwatch.gui.mask_shapes import Polygon, Ring, rectangle
from braggwatch.gui.panels.image_box import ImageBox

Tool = Literal["move", "rectangle", "circle", "ring", "polygon", "threshold"]
HINTS: dict[Tool, str] = {
    "move": "Drag moves the picture. Choose a tool to draw.",
    "rectangle": "Drag from corner to corner; a click takes one pixel. The middle button moves the picture.",
    "circle": "Drag from the centre outwards; near the beam it begins at the beam.",
    "ring": "Drag from the centre to the outer circle, then click on the inner one; Esc gives up.",
    "polygon": "Click each corner; a double click closes, a right click takes one back, Esc gives up.",
    "threshold": "All pixels beyond a limit in what is shown; values that mean bad are left out.",
}
_SNAP_PX = 12.0
"""So near to the beam's place, px on the screen, a circle begins there."""
_WIDTH_PX = 2.0


class MaskPen(QObject):
    """Takes clicks and drags on the picture while a tool is chosen, and shows what they would come to."""

    drawn = pyqtSignal(object)
    """A shape in picture coordinates."""

    def __init__(self, box: ImageBox) -> None:
        super().__init__()
        self._box = box
        self._tool: Tool = "move"
        self._corners: list[tuple[float, float]] = []
        self._ring: Ring | None = None
        """Whose inner circle is not chosen yet."""
        self.beam: tuple[float, float] | None = None
        """Where the beam meets the picture, as far as it is known."""
        self._line = pg.PlotCurveItem(antialias=True)
        box.addItem(self._line, ignoreBounds=True)

    def set_tool(self, tool: Tool) -> None:
        """Draw with another tool; what was begun is given up."""
        self._tool = tool
        self._box.pen = None if tool in ("move", "threshold") else self
        self.give_up()

    @property
    def has_begun(self) -> bool:
        """Whether a shape is begun and not finished."""
        return bool(self._corners) or self._ring is not None

    def set_colour(self, colour: str) -> None:
        """Draw lines in another colour."""
        self._line.setPen(pg.mkPen(colour, width=_WIDTH_PX))

    def give_up(self) -> None:
        """Forget what was begun."""
        self._corners, self._ring = [], None
        self._line.setData([], [])

    def move(self, x: float, y: float) -> None:
        """Show what a click here would come to; NaN where the mouse is not on the picture."""
        if not (math.isfinite(x) and math.isfinite(y)):
            return
        if self._ring is not None:
            self._show(self._with_inner(self._ring, x, y))
        elif self._corners:
            line = np.array([*self._corners, (x, y), self._corners[0]])
            self._line.setData(line[:, 0], line[:, 1])

    def click(self, event: Any) -> bool:
        """Take a click; False where it means nothing here."""
        place = self._box.mapToView(event.pos())
        if event.button() == Qt.MouseButton.RightButton:
            return self._take_back(place)
        if event.button() != Qt.MouseButton.LeftButton:
            return False
        if self._ring is not None:
            self._finish(self._with_inner(self._ring, place.x(), place.y()))
        elif self._tool == "polygon" and event.double():
            if len(self._corners) > 2:
                self._finish(Polygon(np.array(self._corners)))
        elif self._tool == "polygon":
            self._corners.append((place.x(), place.y()))
            self.move(place.x(), place.y())
        elif self._tool == "rectangle":
            x, y = math.floor(place.x()), math.floor(place.y())
            self._finish(rectangle(x, y, x + 1, y + 1))
        return True

    def drag(self, event: Any) -> bool:
        """Take a drag; False where it means nothing here."""
        if event.button() != Qt.MouseButton.LeftButton or self._tool == "polygon":
            return False
        begin, end = self._box.mapToView(event.buttonDownPos()), self._box.mapToView(event.pos())
        self._ring = None
        if self._tool == "rectangle":
            shape: Polygon | Ring = rectangle(begin.x(), begin.y(), end.x(), end.y())
        else:
            x, y = self._snapped(begin)
            shape = Ring(x, y, 0.0, math.hypot(end.x() - x, end.y() - y))
        if not event.isFinish():
            self._show(shape)
        elif self._tool == "ring" and isinstance(shape, Ring):
            self._ring = shape
            self._show(shape)
        else:
            self._finish(shape)
        return True

    def _take_back(self, place: QPointF) -> bool:
        if self._ring is not None or len(self._corners) == 1:
            self.give_up()
        elif self._corners:
            self._corners.pop()
            self.move(place.x(), place.y())
        return True

    def _snapped(self, place: QPointF) -> tuple[float, float]:
        if self.beam is not None:
            reach = _SNAP_PX * float(self._box.viewPixelSize()[0])
            if math.hypot(place.x() - self.beam[0], place.y() - self.beam[1]) < reach:
                return self.beam
        return place.x(), place.y()

    def _with_inner(self, ring: Ring, x: float, y: float) -> Ring:
        """Return a ring with another circle through a point; the larger one of both is the outer one."""
        inner, outer = sorted((math.hypot(x - ring.x, y - ring.y), ring.outer))
        return Ring(ring.x, ring.y, inner, outer)

    def _finish(self, shape: Polygon | Ring) -> None:
        self.give_up()
        self.drawn.emit(shape)

    def _show(self, shape: Polygon | Ring) -> None:
        if isinstance(shape, Polygon):
            line = np.concatenate([shape.corners, shape.corners[:1]])
        else:
            angle = np.linspace(0, 2 * np.pi, 181)
            circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
            gap = np.full((1, 2), np.nan)
            line = np.array([shape.x, shape.y]) + np.concatenate([shape.outer * circle, gap, shape.inner * circle])
        self._line.setData(line[:, 0], line[:, 1], connect="finite")
