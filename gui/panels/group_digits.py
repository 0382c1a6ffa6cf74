"""A rate of each group in large digits."""

from collections.abc import Sequence

from PyQt5.QtCore import QEvent, QPoint, QRectF, QSize, Qt, pyqtSignal
from PyQt5.QtGui import QColor, QFontMetricsF, QHelpEvent, QMouseEvent, QPainter, QPaintEvent
from PyQt5.QtWidgets import QSizePolicy, QToolTip, QWidget

from braggwatch.gui import style
from braggwatch.gui.controllers.rates_by_group import GroupRate
from braggwatch.gui.numbers import UNKNOWN
from braggwatch.gui.theme import AXIS_PX, DARK, SPACE, TITLE_PX, Theme

_LEAST_TALL = 52
"""px of height that a group needs for its name above its digits."""
_LARGEST_PX, _MOST_ROW = 44, 96
_LINE = 18.0
_BAR = 4
_WIDEST = "100.0"
_SMALLEST_IN_LINE, _LARGEST_IN_LINE = 14, 24
_LEFT, _RIGHT = (
    int(side | Qt.AlignmentFlag.AlignVCenter) for side in (Qt.AlignmentFlag.AlignLeft, Qt.AlignmentFlag.AlignRight)
)


class GroupDigits(QWidget):
    """Groups below each other, each with a bar in its colour."""

    clicked = pyqtSignal(str)
    """With `GroupRate.key`."""

    def __init__(self) -> None:
        super().__init__()
        self.theme: Theme = DARK
        self.groups: tuple[GroupRate, ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Ignored)
        self.setCursor(Qt.CursorShape.PointingHandCursor)

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        self.theme = theme
        self.update()

    def set_groups(self, groups: Sequence[GroupRate]) -> None:
        """Show these."""
        self.groups = tuple(groups)
        self.update()

    def fits(self, height: int) -> bool:
        """Return whether all groups can be read in a height, px."""
        return height >= len(self.groups) * (AXIS_PX + 2)

    def minimumSizeHint(self) -> QSize:
        """Ask for no height."""
        return QSize(0, 0)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw them."""
        painter = QPainter(self)
        for i, group in enumerate(self.groups):
            room = self._place(i)
            bar = QRectF(room.left(), room.top() + 2, _BAR, room.height() - 4)
            if group.dashed:
                bar.setHeight(bar.height() / 3)
                painter.fillRect(bar.translated(0, 2 * bar.height()), self._colour(group.tone))
            painter.fillRect(bar, self._colour(group.tone))
            room.setLeft(bar.right() + SPACE)
            if room.height() >= _LEAST_TALL:
                self._paint_tall(painter, group, room)
            else:
                self._paint_line(painter, group, room)
        painter.end()

    def _paint_tall(self, painter: QPainter, group: GroupRate, room: QRectF) -> None:
        """Draw the name, and below it the digits with their margin and what was divided."""
        self._text(
            painter, group.name, "quiet", TITLE_PX, QRectF(room.left(), room.top(), room.width(), _LINE), bold=True
        )
        row = QRectF(room.left(), room.top() + _LINE, room.width(), room.height() - _LINE)
        px = int(min(row.height() / 1.2, _LARGEST_PX, _widest_px(0.6 * room.width())))
        tone = "quiet" if group.digits == UNKNOWN else "text"
        wide = self._text(painter, group.digits, tone, px, row, bold=True)
        if tone == "text":
            wide += self._text(painter, " %", tone, px // 2, row.adjusted(wide, 0, 0, 0))
        beside = row.adjusted(wide + SPACE, 0, 0, 0)
        half = QRectF(beside.left(), beside.center().y() - 15, beside.width(), 15)
        self._text(painter, group.margin, "quiet", TITLE_PX, half)
        self._text(painter, group.below, "quiet", AXIS_PX, half.translated(0, 15))

    def _paint_line(self, painter: QPainter, group: GroupRate, room: QRectF) -> None:
        """Draw name and digits beside each other, the name as far as there is room."""
        px = self._line_px(room)
        margin, value = QRectF(room), QRectF(room)
        margin.setLeft(room.right() - _advance("±10.0", min(px, TITLE_PX)))
        self._text(painter, group.margin, "quiet", min(px, TITLE_PX), margin, flags=_RIGHT)
        value.setRight(margin.left() - SPACE / 2)
        value.setLeft(value.right() - _value_px(px) - 2)
        tone = "quiet" if group.digits == UNKNOWN else "text"
        self._text(
            painter, f"{group.digits} %" if tone == "text" else UNKNOWN, tone, px, value, bold=True, flags=_RIGHT
        )
        name = QRectF(room.left(), room.top(), value.left() - room.left() - SPACE / 2, room.height())
        fits = _advance(group.name, min(px, TITLE_PX)) <= name.width()
        text = group.name if fits else group.short
        self._text(painter, text, "quiet", min(px, TITLE_PX), name, elide=Qt.TextElideMode.ElideMiddle)

    def _line_px(self, room: QRectF) -> int:
        """Return how high digits may be that stand beside names: so high that the names fit, or else not low."""
        most = int(min(max(0.72 * room.height(), 8), _LARGEST_IN_LINE))
        widest = max(_advance(group.name, min(most, TITLE_PX)) for group in self.groups)
        needed = widest + _advance("±10.0", min(most, TITLE_PX)) + SPACE + 2
        fitting = (px for px in range(most, _SMALLEST_IN_LINE, -1) if needed + _value_px(px) <= room.width())
        return next(fitting, min(most, _SMALLEST_IN_LINE))

    def _text(
        self,
        painter: QPainter,
        text: str,
        tone: str,
        px: int,
        room: QRectF,
        *,
        bold: bool = False,
        flags: int = _LEFT,
        elide: Qt.TextElideMode = Qt.TextElideMode.ElideRight,
    ) -> float:
        """Draw a text as far as there is room, and return how wide it is."""
        font = style.font(max(px, 1), bold=bold)
        metrics = QFontMetricsF(font)
        painter.setFont(font)
        painter.setPen(self._colour(tone))
        painter.drawText(room, flags, metrics.elidedText(text, elide, max(room.width(), 0)))
        return metrics.horizontalAdvance(text)

    def _place(self, i: int) -> QRectF:
        height = min((self.height() - SPACE) / max(len(self.groups), 1), _MOST_ROW)
        return QRectF(0, SPACE / 2 + i * height, self.width() - SPACE, height)

    def _at(self, point: QPoint) -> GroupRate | None:
        return next((g for i, g in enumerate(self.groups) if self._place(i).contains(point)), None)

    def _colour(self, tone: str) -> QColor:
        return QColor(getattr(self.theme, tone))

    def event(self, event: QEvent | None) -> bool:
        """Say what the number under the mouse means."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            group = self._at(event.pos())
            QToolTip.showText(event.globalPos(), "" if group is None else f"{group.meaning}\n{group.below}", self)
            return True
        return super().event(event)

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        """Tell which group was clicked."""
        group = self._at(event.pos()) if event is not None else None
        if group is not None:
            self.clicked.emit(group.key)


def _advance(text: str, px: int, *, bold: bool = False) -> float:
    return float(QFontMetricsF(style.font(px, bold=bold)).horizontalAdvance(text))


def _value_px(px: int) -> float:
    return _advance(f"{_WIDEST} %", px, bold=True)


def _widest_px(width: float) -> float:
    """Return how high digits may be so that the widest rate fits with its unit."""
    metrics = QFontMetricsF(style.font(100, bold=True))
    return 100 * width / (metrics.horizontalAdvance(_WIDEST) + metrics.horizontalAdvance(" %") / 2)
