"""A line of text that says as much as there is room for."""

from PyQt5.QtCore import QSize, Qt
from PyQt5.QtGui import QPainter, QPaintEvent
from PyQt5.QtWidgets import QSizePolicy, QWidget

from braggwatch.gui import style
from braggwatch.gui.theme import AXIS_PX, DARK, Theme


class FittingLabel(QWidget):
    """Shows the longest of several texts that fits, on one line; the shortest is cut short where even that does not."""

    def __init__(self, *, px: int = AXIS_PX, bold: bool = False, quiet: bool = False) -> None:
        super().__init__()
        self._texts: tuple[str, ...] = ("",)
        self._tone = "quiet" if quiet else "text"
        self._theme: Theme = DARK
        self.setFont(style.font(px, bold=bold))
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    @property
    def text(self) -> str:
        """The longest text, whatever there is room for."""
        return self._texts[0]

    def set_texts(self, *texts: str) -> None:
        """Take the texts, the longest first."""
        if texts != self._texts:
            self._texts = texts or ("",)
            self.update()

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        self._theme = theme
        self.update()

    def set_tone(self, tone: str) -> None:
        """Take the colour of a meaning: the name of a field of `Theme`."""
        self._tone = tone
        self.update()

    def sizeHint(self) -> QSize:
        """Return the height of a line; any width will do."""
        return QSize(40, self.fontMetrics().height() + 2)

    def minimumSizeHint(self) -> QSize:
        """Return the same."""
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the text."""
        metrics, room = self.fontMetrics(), self.contentsRect()
        fitting = (text for text in self._texts if metrics.horizontalAdvance(text) <= room.width())
        text = next(fitting, metrics.elidedText(self._texts[-1], Qt.TextElideMode.ElideRight, room.width()))
        painter = QPainter(self)
        painter.setFont(self.font())
        painter.setPen(style.line_pen(getattr(self._theme, self._tone)))
        painter.drawText(room, int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft), text)
        painter.end()
