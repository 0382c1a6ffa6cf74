"""The pixels' values as numbers, once they are large enough on the screen."""

from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PyQt5.QtCore import QPointF, QRectF, Qt
from PyQt5.QtGui import QColor, QFont, QPainter

from braggwatch.gui.image_picture import Drawing, Picture
from braggwatch.gui.image_wording import value_text
from braggwatch.gui.panels.image_colours import is_bright
from braggwatch.gui.theme import AXIS_PX

_LARGE_ENOUGH = 40.0
"""px on the screen that a pixel must have."""


class PixelNumbers(pg.GraphicsObject):
    """Writes a value on each pixel of what was drawn last."""

    def __init__(self) -> None:
        super().__init__()
        self._picture: Picture | None = None
        self._drawing: Drawing | None = None
        self._table: NDArray[np.uint8] = np.zeros((256, 4), np.uint8)

    def set_drawing(
        self, picture: Picture | None, drawing: Drawing | None, table: NDArray[np.uint8], size: float
    ) -> None:
        """Take what is on the screen, in which colours, and how many of the picture's pixels a screen pixel covers."""
        self.prepareGeometryChange()
        self._picture, self._table = picture, table
        self._drawing = drawing if size * _LARGE_ENOUGH <= 1.0 else None
        self.update()

    def boundingRect(self) -> QRectF:
        """Where there are numbers."""
        return QRectF() if self._drawing is None else QRectF(*self._drawing.rectangle)

    def paint(self, painter: QPainter, *_: Any) -> None:
        """Write them, in letters of one size however large the pixels are."""
        if self._drawing is None or self._picture is None:
            return
        to_screen = painter.worldTransform()
        painter.resetTransform()
        font = QFont(painter.font())
        font.setPixelSize(AXIS_PX)
        painter.setFont(font)
        left, top = (round(side) for side in self._drawing.rectangle[:2])
        for row, colours in enumerate(self._drawing.colours):
            for column, colour in enumerate(colours):
                x, y = left + column, top + row
                if self._picture.assembly.locate(x + 0.5, y + 0.5) is None:
                    continue
                cell = to_screen.mapRect(QRectF(QPointF(x, y), QPointF(x + 1, y + 1)))
                painter.setPen(QColor("#000000" if is_bright(self._table[colour]) else "#FFFFFF"))
                painter.drawText(cell, Qt.AlignmentFlag.AlignCenter, self._text(x + 0.5, y + 0.5))

    def _text(self, x: float, y: float) -> str:
        assert self._picture is not None
        return value_text(self._picture.value_at(x, y)) if self._picture.counts_at(x, y) else "×"
