"""Large numbers: hitting or not, indexing or not."""

from collections.abc import Sequence

from PyQt5.QtCore import QEvent, QPoint, QRectF, Qt, pyqtSignal
from PyQt5.QtGui import QColor, QFontMetricsF, QHelpEvent, QMouseEvent, QPainter, QPaintEvent
from PyQt5.QtWidgets import QToolTip

from braggwatch.gui import style
from braggwatch.gui.controllers.headline import DataSet, Headline
from braggwatch.gui.panels.panel import Panel
from braggwatch.gui.theme import SPACE, TITLE_PX, Theme

LARGEST_PX = 64
_LEAST_DATA_SET_PX, _LARGEST_DATA_SET_PX = 16, 30
SMALLEST_PX = 14
_UNIT = 0.5
"""Size of the unit, of that of the digits."""
_BESIDE = 0.34
"""Size of the margin beside the digits, of theirs."""
_LEADING = 1.25
_SMALL = TITLE_PX + 6.0
"""Height of title and last line, px."""
_LEAST_TALL, _LEAST_TITLED = 96, 40
"""px that a number needs for three lines, and for two."""
_DATA_SET_SHARE = 0.26
"""Of the height, for the data set below the numbers."""
_LEAST_DATA_SET, _MOST_DATA_SET = 20.0, 104.0
_LEAST_WITH_DATA_SET = 100
"""px of height that a dock needs for numbers and data set, unless it is wide."""
_LEAST_WITH_WARNING, _LEAST_WITH_SEVERAL = 60, 240
"""px of height that a dock needs for numbers and one warning, or several."""
_WARNING_MEANING = "Shots are grouped by a value that comes with them: is the laser on, and is its state in the stream?"
_WIDEST = "100.0"
"""Digits keep their size while the value changes."""
_LEFT = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)


class HeadlinePanel(Panel):
    """Draws the numbers as large as the dock allows."""

    name = "headline"
    title = "Now"

    clicked = pyqtSignal(int)
    data_set_clicked = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.headlines: tuple[Headline, ...] = ()
        self.data_set: DataSet | None = None
        self.warnings: tuple[str, ...] = ()
        self.setCursor(Qt.CursorShape.PointingHandCursor)

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        super().set_theme(theme)
        self.update()

    def show_headlines(self, headlines: list[Headline]) -> None:
        """Show them."""
        if tuple(headlines) != self.headlines:
            self.headlines = tuple(headlines)
            self.update()

    def show_warnings(self, texts: Sequence[str]) -> None:
        """Say what a person should look at, below everything; nothing takes no room."""
        if tuple(texts) != self.warnings:
            self.warnings = tuple(texts)
            self.update()

    def show_data_set(self, data_set: DataSet | None) -> None:
        """Show it below the headlines; None: nothing is merged."""
        if data_set != self.data_set:
            self.data_set = data_set
            self.update()

    def digits_px(self) -> int:
        """Return how high the digits are drawn now, px."""
        room = self._places()[0] if self.headlines else QRectF(self.rect())
        if room.height() < _LEAST_TITLED:
            return int(min(max(0.7 * room.height(), 8), 22, _fitting_px(0.5 * room.width())))
        lines = 1 if room.height() < _LEAST_TALL else 2
        by_height = (room.height() - lines * _SMALL) / _LEADING
        by_width = _fitting_px(room.width() if lines == 2 else 0.6 * room.width())
        return int(min(max(min(by_width, by_height), SMALLEST_PX), LARGEST_PX))

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw them."""
        super().paintEvent(event)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.TextAntialiasing)
        for headline, room in zip(self.headlines, self._places(), strict=True):
            if room.height() < _LEAST_TITLED:
                self._paint_line(painter, headline, room)
            elif room.height() < _LEAST_TALL:
                self._paint_compact(painter, headline, room)
            else:
                self._paint_tall(painter, headline, room)
        if self.data_set is not None and self._has_room_for_data_set():
            self._paint_data_set(painter, self.data_set)
        self._paint_warnings(painter)
        painter.end()

    def _paint_warnings(self, painter: QPainter) -> None:
        room = self._warning_place()
        room.setHeight(_SMALL)
        for text in self._warning_lines():
            self._text(painter, text, "alarm", TITLE_PX, room, bold=True)
            room.translate(0, _SMALL)

    def _warning_lines(self) -> tuple[str, ...]:
        """Return all warnings in a line, or below each other, or the first one, as there is room."""
        if not self.warnings or self.height() < _LEAST_WITH_WARNING:
            return ()
        together = " · ".join(self.warnings)
        if _advance(f"⚠ {together}", TITLE_PX) <= self.width() - 2 * SPACE:
            return (f"⚠ {together}",)
        n = len(self.warnings) if self.height() >= _LEAST_WITH_SEVERAL else 1
        return tuple(f"⚠ {text}" for text in self.warnings[:n])

    def _paint_data_set(self, painter: QPainter, data_set: DataSet) -> None:
        """Title, quality and forecast below each other; without the title, or in one line, where there is no room."""
        room = self._data_set_place()
        painter.fillRect(QRectF(room.left(), room.top() - SPACE / 4, room.width(), 1), QColor(self.theme.line))
        if room.height() < 2 * _SMALL:
            texts = (*(f"{q} · {f}" for q in data_set.quality for f in data_set.forecast), *data_set.forecast[-1:])
            self._text(painter, _fitting(texts, TITLE_PX, room.width()), data_set.tone, TITLE_PX, room)
            return
        if room.height() >= 4 * _SMALL:
            self._text(painter, "DATA SET", "quiet", TITLE_PX, QRectF(room.left(), room.top(), room.width(), _SMALL),
                       bold=True)  # fmt: skip
            room.setTop(room.top() + _SMALL)
        half = room.height() / 2
        px = int(min(half / _LEADING, _LARGEST_DATA_SET_PX))
        widest = max(_advance(texts[0], 100) for texts in (data_set.quality, data_set.forecast)) / 100
        px = max(min(px, int(room.width() / widest)), min(px, _LEAST_DATA_SET_PX))
        for i, (texts, tone) in enumerate(((data_set.quality, "text"), (data_set.forecast, data_set.tone))):
            line = QRectF(room.left(), room.top() + i * half, room.width(), half)
            self._text(painter, _fitting(texts, px, line.width()), tone, px, line, bold=True)

    def _inside(self) -> QRectF:
        """Return the room for numbers and data set: all of it, without that of a warning."""
        inside = QRectF(self.rect()).adjusted(SPACE, SPACE / 2, -SPACE, -SPACE / 2)
        if lines := self._warning_lines():
            inside.setBottom(inside.bottom() - len(lines) * _SMALL - SPACE / 2)
        return inside

    def _warning_place(self) -> QRectF:
        """Return where warnings are drawn: at the bottom."""
        inside = QRectF(self.rect()).adjusted(SPACE, SPACE / 2, -SPACE, -SPACE / 2)
        inside.setTop(inside.bottom() - len(self._warning_lines()) * _SMALL)
        return inside

    def _data_set_place(self) -> QRectF:
        """Return where the data set is drawn: at the bottom."""
        inside = self._inside()
        inside.setTop(inside.bottom() - min(max(_DATA_SET_SHARE * inside.height(), _LEAST_DATA_SET), _MOST_DATA_SET))
        return inside

    def _paint_tall(self, painter: QPainter, headline: Headline, room: QRectF) -> None:
        """Title, number with its margin, and what was divided, below each other."""
        px = self.digits_px()
        y = room.top() + min((room.height() - 2 * _SMALL - _LEADING * px) / 2, 3 * SPACE)
        self._text(painter, headline.title, "quiet", TITLE_PX, QRectF(room.left(), y, room.width(), _SMALL), bold=True)
        row = self._value(painter, headline, QRectF(room.left(), y + _SMALL, room.width(), _LEADING * px))
        beside = int(_BESIDE * px)
        needed = QFontMetricsF(style.font(beside)).horizontalAdvance("±10.0")
        # One place for all of them: where the widest would still fit.
        fits = room.width() > QFontMetricsF(style.font(px, bold=True)).horizontalAdvance(_WIDEST) + px + needed
        if fits:
            self._text(painter, headline.margin, "quiet", beside, row)
        parts = headline.age, "" if fits else headline.margin, headline.below
        below = QRectF(room.left(), row.bottom(), room.width(), _SMALL)
        self._text(painter, " · ".join(filter(None, parts)), "quiet", TITLE_PX, below)

    def _paint_compact(self, painter: QPainter, headline: Headline, room: QRectF) -> None:
        """Title, and below it the number with all the rest at its right."""
        title = QRectF(room.left(), room.top(), room.width(), _SMALL)
        self._text(painter, headline.title, "quiet", TITLE_PX, title, bold=True)
        px = self.digits_px()
        row = self._value(painter, headline, QRectF(room.left(), title.bottom(), room.width(), _LEADING * px))
        left = room.left() + 0.6 * room.width()
        rest = QRectF(left, row.center().y() - _SMALL, room.right() - left, _SMALL)
        self._text(painter, " · ".join(filter(None, (headline.margin, headline.age))), "quiet", TITLE_PX, rest)
        rest.moveTop(row.center().y())
        self._text(painter, headline.below, "quiet", TITLE_PX, rest)

    def _paint_line(self, painter: QPainter, headline: Headline, room: QRectF) -> None:
        """All in one line, because there is no room for more."""
        value = QRectF(room.left() + 0.5 * room.width(), room.top(), 0.5 * room.width(), room.height())
        self._value(painter, headline, value)
        title = QRectF(room.left(), room.top(), 0.5 * room.width() - SPACE, room.height())
        self._text(painter, headline.title, "quiet", TITLE_PX, title, bold=True)

    def _value(self, painter: QPainter, headline: Headline, row: QRectF) -> QRectF:
        """Draw digits and unit, and return the room that is left of the row."""
        px, rest = self.digits_px(), QRectF(row)
        rest.setLeft(rest.left() + self._text(painter, headline.digits, headline.tone, px, rest, bold=True))
        rest.setLeft(rest.left() + self._text(painter, " %", headline.tone, int(_UNIT * px), rest) + SPACE)
        return rest

    def _text(self, painter: QPainter, text: str, tone: str, px: int, room: QRectF, *, bold: bool = False) -> float:
        """Draw a text as far as there is room, and return how wide it is."""
        font = style.font(max(px, 1), bold=bold)
        metrics = QFontMetricsF(font)
        painter.setFont(font)
        painter.setPen(QColor(getattr(self.theme, tone)))
        wide = metrics.horizontalAdvance(text)
        painter.drawText(room, _LEFT, metrics.elidedText(text, Qt.TextElideMode.ElideRight, room.width()))
        return wide

    def _places(self) -> list[QRectF]:
        """Return where each one is drawn: below each other, or beside each other where the dock is wide."""
        n = max(len(self.headlines), 1)
        inside = self._inside()
        if self.data_set is not None and self._has_room_for_data_set():
            inside.setBottom(self._data_set_place().top() - SPACE / 2)
        beside = inside.width() > 2.2 * inside.height()
        wide = inside.width() / n if beside else inside.width()
        high = inside.height() if beside else inside.height() / n
        return [
            QRectF(
                inside.left() + i * wide * beside, inside.top() + i * high * (not beside), wide - SPACE * beside, high
            )
            for i in range(len(self.headlines))
        ]

    def event(self, event: QEvent | None) -> bool:
        """Say what the number under the mouse means."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            place = self._place_at(event.pos())
            text = "" if place is None else f"{self.headlines[place].title}: {self.headlines[place].meaning}"
            if self._is_on_data_set(event.pos()) and self.data_set is not None:
                text = self.data_set.meaning
            if self._warning_place().contains(event.pos()):
                text = "\n".join((*self.warnings, _WARNING_MEANING))
            QToolTip.showText(event.globalPos(), text, self)
            return True
        return super().event(event)

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        """Tell which number was clicked."""
        if event is not None and self._is_on_data_set(event.pos()):
            self.data_set_clicked.emit()
            return
        place = self._place_at(event.pos()) if event is not None else None
        if place is not None:
            self.clicked.emit(place)

    def _is_on_data_set(self, point: QPoint) -> bool:
        return self.data_set is not None and self._has_room_for_data_set() and self._data_set_place().contains(point)

    def _has_room_for_data_set(self) -> bool:
        return self.height() >= _LEAST_WITH_DATA_SET or self.width() >= 5 * _LEAST_WITH_DATA_SET

    def _place_at(self, point: QPoint) -> int | None:
        return next((i for i, room in enumerate(self._places()) if room.contains(point)), None)


def _fitting_px(width: float) -> float:
    """Return how high digits may be so that the widest number fits with its unit."""
    metrics = QFontMetricsF(style.font(100, bold=True))
    return 100 * width / (metrics.horizontalAdvance(_WIDEST) + _UNIT * metrics.horizontalAdvance(" %"))


def _advance(text: str, px: int) -> float:
    return QFontMetricsF(style.font(px, bold=True)).horizontalAdvance(text)


def _fitting(texts: Sequence[str], px: int, width: float) -> str:
    """Return the first of the texts that fits, or the last."""
    return next((text for text in texts if _advance(text, px) <= width), texts[-1])
