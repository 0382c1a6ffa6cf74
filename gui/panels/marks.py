"""Moments in a plot against time: lines from top to bottom with a word on each."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyqtgraph as pg
from PyQt5.QtCore import QPointF, QRectF, Qt
from PyQt5.QtGui import QColor, QFontMetricsF, QPainter

from braggwatch.gui import style
from braggwatch.gui.theme import AXIS_PX, DARK, Theme

_BESIDE_PX = 4


@dataclass(frozen=True)
class Line:
    """One of them."""

    x: float
    label: str
    """Left out where it would run into the next one's."""
    dashed: bool


class Marks(pg.GraphicsObject):
    """All of them as one item; it covers the view and takes no part in what the axes show."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: tuple[Line, ...] = ()
        self.set_theme(DARK)

    def set_lines(self, lines: Sequence[Line]) -> None:
        """Draw these from now on."""
        self.lines = tuple(sorted(lines, key=lambda line: line.x))
        self.update()

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        self._colour, self._paper = QColor(theme.quiet), QColor(theme.panel)
        self._paper.setAlpha(190)
        self.update()

    def boundingRect(self) -> QRectF:
        """Return what it covers: all that is seen."""
        return QRectF(self.viewRect())

    def viewTransformChanged(self) -> None:
        """Cover what is seen now."""
        self.prepareGeometryChange()
        super().viewTransformChanged()

    def dataBounds(self, *args: object, **kwargs: object) -> tuple[None, None]:
        """Leave the axes alone."""
        return None, None

    def paint(self, painter: QPainter, *args: object) -> None:
        """Draw lines and words, in pixels, so that words keep their shape."""
        view = self.viewRect()
        to_device = painter.transform()
        bottom = to_device.map(QPointF(view.left(), view.top())).y()
        top = to_device.map(QPointF(view.left(), view.bottom())).y()
        right_end = to_device.map(QPointF(view.right(), view.top())).x()
        painter.resetTransform()
        pens = {dashed: style.line_pen(self._colour.name(), 1.0, _STYLES[dashed]) for dashed in (False, True)}
        font = style.font(AXIS_PX)
        metrics = QFontMetricsF(font)
        painter.setFont(font)
        next_free = right_end
        for line in reversed(self.lines):  # the newest word is the one that stays
            if not view.left() <= line.x <= view.right():
                continue
            x = to_device.map(QPointF(line.x, view.top())).x()
            painter.setPen(pens[line.dashed])
            painter.drawLine(QPointF(x, top), QPointF(x, bottom))
            end = x + _BESIDE_PX + metrics.horizontalAdvance(line.label)
            if line.label and end < next_free:
                painter.setPen(self._colour)
                box = QRectF(x + 1, bottom - metrics.height() - 1, end - x, metrics.height())
                painter.fillRect(box, self._paper)
                painter.drawText(QPointF(x + _BESIDE_PX, bottom - metrics.descent() - 1), line.label)
            next_free = min(next_free, x - _BESIDE_PX)


_STYLES = {False: Qt.PenStyle.SolidLine, True: Qt.PenStyle.DashLine}
