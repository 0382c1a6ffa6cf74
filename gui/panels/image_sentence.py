"""The sentence over the picture that says why there is nothing to see, or what is missing."""

from PyQt5.QtCore import Qt
from PyQt5.QtGui import QFont
from PyQt5.QtWidgets import QLabel, QWidget

from braggwatch.gui.theme import SPACE, Theme

_TEXT_PX = 13
_WIDEST = 460


class Sentence(QLabel):
    """Lies over another widget; clicks go through it."""

    def __init__(self, over: QWidget) -> None:
        super().__init__(over)
        self.setWordWrap(True)
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        self.setStyleSheet(
            f"color: {theme.text}; background: {theme.panel}; padding: {SPACE}px; border-radius: {SPACE // 2}px"
        )

    def place(self, *, below: bool) -> None:
        """Take the middle of what it lies over, or its lower edge where there is a picture."""
        self.setVisible(bool(self.text()))
        font = QFont(self.font())
        font.setPixelSize(_TEXT_PX)
        self.setFont(font)
        over = self.parentWidget()
        if over is None:
            return
        area = over.rect()
        width = min(area.width() - 2 * SPACE, _WIDEST)
        height = self.heightForWidth(max(width, 1))
        top = area.height() - height - SPACE if below else (area.height() - height) // 2
        self.setGeometry((area.width() - width) // 2, max(top, 0), width, height)
