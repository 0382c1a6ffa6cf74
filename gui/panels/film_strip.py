"""The last hits as a strip of small pictures."""

from collections.abc import Sequence

from PyQt5.QtCore import QEvent, QRect, QRectF, QSizeF, Qt, pyqtSignal
from PyQt5.QtGui import QColor, QHelpEvent, QImage, QMouseEvent, QPainter, QPen, QPixmap, QResizeEvent, QWheelEvent
from PyQt5.QtWidgets import QAbstractScrollArea, QFrame, QLabel, QStackedLayout, QToolTip, QWidget

from braggwatch.gui.controllers.film_strip import Film
from braggwatch.gui.panels.panel import Panel
from braggwatch.gui.shot_key import ShotKey
from braggwatch.gui.style import chosen, font
from braggwatch.gui.theme import AXIS_PX, DARK, SPACE, Theme
from braggwatch.gui.thumbnails import BRIGHTEST, NOTHING, THUMBNAIL_PX, Thumbnail

_LINE_PX = AXIS_PX + 4
_N_LINES = 3
_LEAST_PX, _MOST_PX = 32, 2 * THUMBNAIL_PX
_LEAST_WIDTH = 116
"""Of a film, so that the lines below the picture fit."""
_BORDER_PX = 2
_BAR_PX = 3
"""Below the picture, in the colour of its group."""


class FilmStripPanel(Panel):
    """Shots side by side, the newest on the right."""

    name = "shots"
    title = "Shots"

    film_chosen = pyqtSignal(object)
    """With the `ShotKey`."""

    def __init__(self) -> None:
        super().__init__()
        self.strip = Strip(self)
        self.strip.film_chosen.connect(self.film_chosen)
        self.empty = QLabel()
        self.empty.setWordWrap(True)
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._body = QStackedLayout(self)
        self._body.addWidget(self.strip)
        self._body.addWidget(self.empty)
        self.set_theme(DARK)

    def set_films(self, films: Sequence[Film]) -> None:
        """Show these shots, oldest first; whoever sees the newest one stays with the newest."""
        self.strip.set_films(films)

    def set_empty(self, text: str) -> None:
        """Say why there is nothing to see."""
        self.empty.setText(text)
        self._body.setCurrentWidget(self.empty if text else self.strip)

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        super().set_theme(theme)
        self.strip.set_theme(theme)
        self.empty.setStyleSheet(f"color: {theme.quiet}; padding: {2 * SPACE}px")


class Strip(QAbstractScrollArea):
    """Draws the films that are in sight."""

    film_chosen = pyqtSignal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.films: Sequence[Film] = ()
        """What is shown, oldest first."""
        self._pixmaps: dict[ShotKey, tuple[Thumbnail, QPixmap]] = {}
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # the arrow keys are the window's
        self.viewport().setCursor(Qt.CursorShape.PointingHandCursor)
        self.set_theme(DARK)

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        self._theme = theme
        self._pixmaps.clear()
        self.viewport().update()

    def set_films(self, films: Sequence[Film]) -> None:
        """Show these shots, oldest first."""
        bar = self.horizontalScrollBar()
        at_end, before = bar.value() >= bar.maximum(), self._shown()
        first = self.films[self._at(0)] if self.films else None
        left = bar.value() - self._at(0) * self._width()
        self.films = films
        self._set_range()
        place = next((i for i, film in enumerate(films) if first is not None and film.key == first.key), 0)
        bar.setValue(bar.maximum() if at_end else place * self._width() + left)
        if self._shown() != before:
            self._bring_into_sight(self._shown())
        keys = {film.key for film in films}
        self._pixmaps = {key: pixmap for key, pixmap in self._pixmaps.items() if key in keys}
        self.viewport().update()

    def _shown(self) -> ShotKey | None:
        return next((film.key for film in self.films if film.shown), None)

    def _bring_into_sight(self, key: ShotKey | None) -> None:
        place = next((i for i, film in enumerate(self.films) if film.key == key), None)
        if place is not None:
            bar, left = self.horizontalScrollBar(), place * self._width()
            bar.setValue(min(max(bar.value(), left + self._width() - self.viewport().width()), left))

    # -- geometry -----------------------------------------------------------------------------------------------

    def _picture_px(self) -> int:
        """How large the pictures are: as large as the height allows."""
        room = self.height() - self.horizontalScrollBar().sizeHint().height() - _N_LINES * _LINE_PX - 3 * SPACE
        return min(max(room, _LEAST_PX), _MOST_PX)

    def _width(self) -> int:
        return max(self._picture_px() + 2 * SPACE, _LEAST_WIDTH)

    def _at(self, x: int) -> int:
        """Return which film is there; beyond the last one, what would be."""
        return (self.horizontalScrollBar().value() + x) // self._width()

    def _set_range(self) -> None:
        bar, width = self.horizontalScrollBar(), self.viewport().width()
        bar.setRange(0, max(len(self.films) * self._width() - width, 0))
        bar.setPageStep(width)
        bar.setSingleStep(self._width())

    def rect_of(self, place: int) -> QRect:
        """Return where a film is, in the viewport's coordinates."""
        width = self._width()
        return QRect(place * width - self.horizontalScrollBar().value(), 0, width, self.viewport().height())

    # -- events -------------------------------------------------------------------------------------------------

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep the newest shot in sight where it was."""
        bar = self.horizontalScrollBar()
        at_end = bar.value() >= bar.maximum()
        self._set_range()
        if at_end:
            bar.setValue(bar.maximum())

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Scroll sideways, whichever way the wheel turns."""
        turned = event.angleDelta()
        bar = self.horizontalScrollBar()
        bar.setValue(bar.value() - (turned.x() or turned.y()))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Choose the shot under the mouse."""
        place = self._at(event.x())
        if event.button() == Qt.MouseButton.LeftButton and place < len(self.films):
            self.film_chosen.emit(self.films[place].key)

    def viewportEvent(self, event: QEvent) -> bool:
        """Say what is known of the shot under the mouse."""
        if isinstance(event, QHelpEvent):
            place = self._at(event.x())
            about = self.films[place].about if place < len(self.films) else ""
            QToolTip.showText(event.globalPos(), about, self.viewport())
            return True
        return super().viewportEvent(event)

    def paintEvent(self, event: QEvent) -> None:
        """Draw what is in sight."""
        painter = QPainter(self.viewport())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.fillRect(self.viewport().rect(), QColor(self._theme.panel))
        last = min(self._at(self.viewport().width()) + 1, len(self.films))
        for place in range(self._at(0), last):
            self._paint(painter, self.films[place], self.rect_of(place))

    def _paint(self, painter: QPainter, film: Film, where: QRect) -> None:
        theme, size = self._theme, self._picture_px()
        colour = QColor(getattr(theme, film.meaning))
        height = size + _N_LINES * _LINE_PX + 2 * SPACE
        card = QRectF(where.x(), where.y(), where.width(), min(where.height(), height)).adjusted(2, 2, -2, -2)
        if film.shown:
            painter.setPen(QPen(QColor(theme.text), 1.5))
            painter.setBrush(QColor(chosen(theme)))
            painter.drawRoundedRect(card, 4, 4)
        square = QRectF(where.x() + (where.width() - size) / 2, where.y() + SPACE, size, size)
        self._paint_picture(painter, film, square, colour)
        if film.group_tone:
            bar = QRectF(square.left(), square.bottom() + _BORDER_PX, square.width(), _BAR_PX)
            painter.fillRect(bar, QColor(getattr(theme, film.group_tone)))
        line = QRectF(card.x() + 4, square.bottom() + SPACE // 2, card.width() - 8, _LINE_PX)
        inks = colour, QColor(theme.text), QColor(theme.text if film.shown else theme.quiet)
        for n, (text, ink) in enumerate(zip((film.word.upper(), *film.lines), inks, strict=True)):
            painter.setFont(font(AXIS_PX, bold=n == 0))
            painter.setPen(ink)
            text = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, int(line.width()))
            painter.drawText(line, int(Qt.AlignmentFlag.AlignCenter), text)
            line.translate(0, _LINE_PX)

    def _paint_picture(self, painter: QPainter, film: Film, square: QRectF, colour: QColor) -> None:
        picture = QRectF(square)
        if film.picture is not None:
            pixmap = self._pixmap(film.key, film.picture)
            scale = square.width() / max(pixmap.width(), pixmap.height())
            picture.setSize(QSizeF(pixmap.size()) * scale)
            picture.moveCenter(square.center())
            painter.drawPixmap(picture, pixmap, QRectF(pixmap.rect()))
        else:
            painter.setPen(QColor(self._theme.quiet))
            painter.setFont(font(AXIS_PX))
            painter.drawText(picture, int(Qt.AlignmentFlag.AlignCenter), "…")
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(colour, _BORDER_PX))
        painter.drawRect(picture)

    def _pixmap(self, key: ShotKey, picture: Thumbnail) -> QPixmap:
        known = self._pixmaps.get(key)
        if known is None or known[0] is not picture:
            rows, columns = picture.shape
            image = QImage(picture.tobytes(), columns, rows, columns, QImage.Format.Format_Indexed8)
            image.setColorTable(_colours(self._theme))
            known = self._pixmaps[key] = picture, QPixmap.fromImage(image)
        return known[1]


def _colours(theme: Theme) -> list[int]:
    """Return the colours of all values in a picture: inverted grey, and what is no data."""
    colours = [QColor(grey, grey, grey).rgb() for grey in range(BRIGHTEST + 1)]
    colours[NOTHING] = QColor(theme.masked).rgb()
    return colours
