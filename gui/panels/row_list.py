"""Rows of text with a meaning each: what is too little for a table, and too much for labels."""

from collections.abc import Sequence
from dataclasses import dataclass

from PyQt5.QtCore import QEvent, QPoint, QRect, QRectF, QSize, Qt, pyqtSignal
from PyQt5.QtGui import QColor, QFont, QFontMetrics, QHelpEvent, QMouseEvent, QPainter, QPaintEvent
from PyQt5.QtWidgets import QSizePolicy, QToolTip, QWidget

from braggwatch.gui import style
from braggwatch.gui.theme import DARK, SPACE, Theme

_SQUARE = 9
_BAR = 3


@dataclass(frozen=True)
class Cell:
    """A text in the colour of its meaning."""

    text: str
    tone: str = "text"
    """Name of a field of `Theme`."""
    bold: bool = False
    fill: float | None = None
    """0 to 1: drawn as a bar below the text."""


@dataclass(frozen=True)
class Row:
    """One row; the list has as many columns as the longest has cells. The last cell of a shorter row takes the rest."""

    cells: tuple[Cell, ...]
    meaning: str = ""
    """Shown as a tooltip."""
    square: str = ""
    """Tone of a square ahead of the row; empty: none."""
    key: str = ""
    """What is sent when it is clicked; empty: it cannot be clicked."""


class RowList(QWidget):
    """Draws rows below each other: one column takes what room there is, the others what they need."""

    clicked = pyqtSignal(str)

    def __init__(self, stretched: int, right: Sequence[int] = ()) -> None:
        """Say which column takes the room that is left, and which ones are aligned at the right."""
        super().__init__()
        self.theme: Theme = DARK
        self.rows: tuple[Row, ...] = ()
        self._stretched, self._right = stretched, frozenset(right)
        self._widths: list[int] = []
        self._plain, self._bold = style.font(style.TEXT_PX), style.font(style.TEXT_PX, bold=True)
        self.row_height = QFontMetrics(self._plain).height() + 4
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setMouseTracking(True)

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        self.theme = theme
        self.update()

    def set_rows(self, rows: Sequence[Row]) -> None:
        """Show these from now on."""
        if tuple(rows) == self.rows:
            return
        resized = len(rows) != len(self.rows)
        self.rows = tuple(rows)
        n = max((len(row.cells) for row in self.rows), default=0)
        columns = [[row.cells[i] for row in self.rows if len(row.cells) == n] for i in range(n)]
        self._widths = [max(self._metrics(c).horizontalAdvance(c.text) + 2 for c in column) for column in columns]
        if resized:
            self.setFixedHeight(self.row_height * len(self.rows))
        self.update()

    def sizeHint(self) -> QSize:
        """Return the height of all rows."""
        return QSize(200, self.row_height * len(self.rows))

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the rows that are seen."""
        painter = QPainter(self)
        seen = self.rect() if event is None else event.rect()
        first, last = seen.top() // self.row_height, seen.bottom() // self.row_height
        for i in range(max(first, 0), min(last + 1, len(self.rows))):
            self._paint_row(painter, self.rows[i], i * self.row_height)
        painter.end()

    def _paint_row(self, painter: QPainter, row: Row, top: int) -> None:
        left = SPACE
        if any(other.square for other in self.rows):
            if row.square:
                square = QRectF(left, top + (self.row_height - _SQUARE) / 2, _SQUARE, _SQUARE)
                painter.fillRect(square, self._colour(row.square))
            left += _SQUARE + SPACE
        gaps = SPACE * max(len(self._widths) - 1, 0)
        others = sum(width for i, width in enumerate(self._widths) if i != self._stretched)
        room = max(self.width() - left - SPACE - others - gaps, 2 * SPACE)
        for i, cell in enumerate(row.cells):
            if len(row.cells) < len(self._widths) and i == len(row.cells) - 1:
                width = self.width() - left - SPACE
            else:
                width = room if i == self._stretched else self._widths[i]
            self._paint_cell(painter, cell, QRect(left, top, width, self.row_height), i in self._right)
            left += width + SPACE

    def _paint_cell(self, painter: QPainter, cell: Cell, room: QRect, right: bool) -> None:
        painter.setFont(self._font(cell))
        painter.setPen(self._colour(cell.tone))
        text = self._metrics(cell).elidedText(cell.text, Qt.TextElideMode.ElideRight, room.width())
        side = Qt.AlignmentFlag.AlignRight if right else Qt.AlignmentFlag.AlignLeft
        painter.drawText(room, int(side | Qt.AlignmentFlag.AlignVCenter), text)
        if cell.fill is not None:
            bar = QRectF(room.left(), room.bottom() - _BAR + 1, room.width(), _BAR)
            painter.fillRect(bar, self._colour("line"))
            bar.setWidth(room.width() * cell.fill)
            painter.fillRect(bar, self._colour("quiet" if cell.tone == "text" else cell.tone))

    def event(self, event: QEvent | None) -> bool:
        """Say what the row under the mouse means."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            row = self._row_at(event.pos())
            QToolTip.showText(event.globalPos(), row.meaning if row is not None else "", self)
            return True
        return super().event(event)

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Show by the cursor which rows can be clicked."""
        row = self._row_at(event.pos()) if event is not None else None
        hand = row is not None and row.key
        self.setCursor(Qt.CursorShape.PointingHandCursor if hand else Qt.CursorShape.ArrowCursor)

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        """Tell which row was clicked."""
        row = self._row_at(event.pos()) if event is not None else None
        if row is not None and row.key:
            self.clicked.emit(row.key)

    def _row_at(self, place: QPoint) -> Row | None:
        i = place.y() // self.row_height
        return self.rows[i] if 0 <= i < len(self.rows) else None

    def _colour(self, tone: str) -> QColor:
        return QColor(getattr(self.theme, tone))

    def _font(self, cell: Cell) -> QFont:
        return self._bold if cell.bold else self._plain

    def _metrics(self, cell: Cell) -> QFontMetrics:
        return QFontMetrics(self._font(cell))
