"""A small drawing of a crystal's axes, seen along the beam."""

import numpy as np
from numpy.typing import NDArray
from PyQt5.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from PyQt5.QtGui import QColor, QPainter, QPen, QPolygonF
from PyQt5.QtWidgets import QWidget

from braggwatch.gui.style import font
from braggwatch.gui.theme import AXIS_PX, DARK, SPACE, Theme

_HEAD_PX = 6.0
_SYMBOLS = "abc"


class AxesDrawing(QWidget):
    """Arrows for a, b and c, as long as they are across the beam; the longest axis reaches the circle."""

    def __init__(self) -> None:
        super().__init__()
        self._axes: NDArray[np.float64] = np.zeros((3, 3))
        self.setMinimumSize(88, 88)
        self.setToolTip(
            "The crystal's axes seen along the beam: x (along fs) to the right, y (along ss) downwards.\n"
            "An axis across the beam reaches the circle if it is the longest; solid: towards the source, "
            "dashed: away from it."
        )
        self.set_theme(DARK)

    def sizeHint(self) -> QSize:
        """Return a square."""
        return QSize(104, 104)

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        self._theme = theme
        self.update()

    def set_axes(self, axes: NDArray[np.float64]) -> None:
        """Take a, b, c as the rows of ``(3, 3)``, lab frame, Angstrom; NaN leaves them out."""
        self._axes = axes / np.linalg.norm(axes, axis=1).max() if np.isfinite(axes).all() else np.zeros((3, 3))
        self.update()

    def paintEvent(self, event: QEvent) -> None:
        """Draw the circle, the beam in its middle, and the arrows, those that point away from the viewer first."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(font(AXIS_PX, bold=True))
        radius = min(self.width(), self.height()) / 2 - AXIS_PX - 2
        middle = QPointF(self.width() / 2, self.height() / 2)
        painter.setPen(QPen(QColor(self._theme.line), 1.0))
        painter.drawEllipse(middle, radius, radius)
        for axis in np.argsort(-self._axes[:, 2], kind="stable") if self._axes.any() else ():
            self._paint_arrow(painter, middle, radius, int(axis))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(self._theme.quiet))
        painter.drawEllipse(middle, 2.5, 2.5)

    def _paint_arrow(self, painter: QPainter, middle: QPointF, radius: float, axis: int) -> None:
        x, y, z = (float(value) for value in self._axes[axis])
        away, length = z > 0, float(np.hypot(x, y)) * radius
        colour = QColor(self._theme.quiet if away else self._theme.text)
        painter.setPen(QPen(colour, 1.5, Qt.PenStyle.DashLine if away else Qt.PenStyle.SolidLine))
        tip = middle + QPointF(x, y) * radius
        painter.drawLine(middle, tip)
        along = QPointF(x, y) * (radius / length) if length > 1e-6 else QPointF(0.0, -1.0)
        if length > _HEAD_PX:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(colour)
            back, side = tip - along * _HEAD_PX, QPointF(-along.y(), along.x()) * (_HEAD_PX / 2)
            painter.drawPolygon(QPolygonF([tip, back + side, back - side]))
        painter.setPen(colour)
        label = tip + along * (SPACE + 1)
        box = QRectF(0, 0, 2 * AXIS_PX, 2 * AXIS_PX)
        box.moveCenter(label)
        painter.drawText(box, int(Qt.AlignmentFlag.AlignCenter), _SYMBOLS[axis])
