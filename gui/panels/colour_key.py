"""What the colours of a map mean: a strip of them between two numbers."""

from typing import Any

import pyqtgraph as pg
from PyQt5.QtCore import QRectF, QSize, Qt
from PyQt5.QtGui import QLinearGradient, QPainter, QPaintEvent
from PyQt5.QtWidgets import QSizePolicy, QWidget

from braggwatch.gui import style
from braggwatch.gui.theme import AXIS_PX, DARK, SPACE, Theme

_STRIP_PX = 64


def colours_of_counts(theme: Theme) -> Any:
    """Return a colour map in which few fade into the page and many stand out from it."""
    colours = pg.colormap.get("viridis", skipCache=True)
    if theme.name == "light":
        colours.reverse()
    return colours


class ColourKey(QWidget):
    """A strip of colours, the numbers at its ends, and what they are numbers of."""

    def __init__(self) -> None:
        super().__init__()
        self._texts = ("", "", "")
        self._colours: Any = None
        self._theme: Theme = DARK
        self.setFont(style.font(AXIS_PX))
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def set_scale(self, colours: Any, low: str, high: str, of: str) -> None:
        """Take pyqtgraph's colour map, the texts at its ends, and what is counted."""
        self._colours, self._texts = colours, (low, high, of)
        self.updateGeometry()
        self.update()

    def set_theme(self, theme: Theme) -> None:
        """Take other colours for the texts."""
        self._theme = theme
        self.update()

    def sizeHint(self) -> QSize:
        """Return the room for strip and texts."""
        metrics = self.fontMetrics()
        texts = sum(metrics.horizontalAdvance(text) for text in self._texts)
        return QSize(texts + _STRIP_PX + 3 * SPACE, metrics.height() + 2)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw them."""
        if self._colours is None:
            return
        low, high, of = self._texts
        metrics = self.fontMetrics()
        painter = QPainter(self)
        painter.setPen(style.line_pen(self._theme.quiet))
        flags = int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft)
        x = 0
        painter.drawText(self.rect(), flags, low)
        x += metrics.horizontalAdvance(low) + SPACE // 2
        strip = QRectF(x, self.height() / 2 - 4, _STRIP_PX, 8)
        gradient = QLinearGradient(strip.topLeft(), strip.topRight())
        for i, colour in enumerate(self._colours.getLookupTable(nPts=9, mode="qcolor")):
            gradient.setColorAt(i / 8, colour)
        painter.fillRect(strip, gradient)
        x += _STRIP_PX + SPACE // 2
        painter.drawText(self.rect().adjusted(x, 0, 0, 0), flags, f"{high} {of}")
        painter.end()
