"""The line above everything."""

import qtawesome
from PyQt5.QtCore import QSize, Qt, pyqtSignal
from PyQt5.QtGui import QResizeEvent
from PyQt5.QtWidgets import QHBoxLayout, QLabel, QPlainTextEdit, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from braggwatch.gui import style
from braggwatch.gui.controllers.strip import Reading, Word
from braggwatch.gui.panels.fitting_label import FittingLabel
from braggwatch.gui.panels.panel import Panel
from braggwatch.gui.theme import DARK, SPACE, Theme

_WORD_PX = 15
_ICON_PX = 18
_MOST_FACTS = 0.35
"""Of the width."""


class Details(QWidget):
    """Everything that was said, in a window of its own; nothing waits for it to be closed."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Tool)
        self.setWindowTitle("Messages")
        self.text = QPlainTextEdit()
        self.text.setReadOnly(True)
        self.text.setPlaceholderText("Nothing has been said yet.")
        column = QVBoxLayout(self)
        column.setContentsMargins(SPACE, SPACE, SPACE, SPACE)
        column.addWidget(self.text)
        self.resize(720, 320)

    def set_lines(self, lines: list[str]) -> None:
        """Show these; what the user has marked stays while nothing is new."""
        text = "\n".join(lines)
        if text != self.text.toPlainText():
            self.text.setPlainText(text)


class StripPanel(Panel):
    """Word, facts, newest message, numbers, and two buttons."""

    name = "strip"
    title = "Strip"

    theme_wanted = pyqtSignal()
    help_wanted = pyqtSignal()
    details_wanted = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.dot = QLabel("●")
        self.word = QLabel()
        self.word.setFont(style.font(_WORD_PX, bold=True))
        self.facts = FittingLabel(px=style.TEXT_PX)
        self.facts.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.message = FittingLabel(px=style.TEXT_PX)
        self.link = QToolButton()
        self.link.setText("details")
        self.link.setToolTip("List everything that was said")
        self.numbers: list[QLabel] = []
        self.details = Details(self)
        self.theme_button = _button("Light or dark colours", self.theme_wanted.emit)
        self.help_button = _button("All shortcuts", self.help_wanted.emit)
        self.link.setAutoRaise(True)
        self.link.clicked.connect(self._open_details)
        self._word, self._readings = Word("", "quiet", ""), tuple[Reading, ...]()
        self._lay_out()
        self.set_theme(DARK)

    def _lay_out(self) -> None:
        line = QHBoxLayout(self)
        line.setContentsMargins(SPACE, SPACE // 2, SPACE, SPACE // 2)
        line.setSpacing(SPACE)
        line.addWidget(self.dot)
        line.addWidget(self.word)
        line.addSpacing(SPACE)
        line.addWidget(self.facts)
        line.addWidget(self.message, 1)
        line.addWidget(self.link)
        self._numbers_at = QHBoxLayout()
        self._numbers_at.setSpacing(2 * SPACE)
        line.addLayout(self._numbers_at)
        line.addWidget(self.theme_button)
        line.addWidget(self.help_button)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    # -- setters ------------------------------------------------------------------------------------------------

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        super().set_theme(theme)
        self.facts.set_theme(theme)
        self.message.set_theme(theme)
        icon = "mdi6.weather-night" if theme.name == "light" else "mdi6.weather-sunny"
        self.theme_button.setIcon(qtawesome.icon(icon, color=theme.text))
        self.help_button.setIcon(qtawesome.icon("mdi6.help", color=theme.text))
        self._colour()

    def show_word(self, word: Word) -> None:
        """Show how things are, as a dot and as a word."""
        if word != self._word:
            self._word = word
            self.word.setText(word.text)
            self.word.setToolTip(word.meaning)
            self.dot.setToolTip(word.meaning)
            self._colour()

    def show_facts(self, facts: str) -> None:
        """Say which run of which detector this is."""
        self.facts.set_texts(facts)
        self._fit_facts()
        self.facts.setToolTip(f"Run, detector, photon energy and detector distance: {facts}" if facts else "")

    def show_readings(self, readings: list[Reading]) -> None:
        """Show the numbers."""
        while len(self.numbers) < len(readings):
            self.numbers.append(QLabel())
            self._numbers_at.addWidget(self.numbers[-1])
        self._readings = tuple(readings)
        for i, label in enumerate(self.numbers):
            label.setVisible(i < len(readings))
        for label, reading in zip(self.numbers, readings, strict=False):
            label.setText(f"{reading.name} {reading.text}".strip())
            label.setToolTip(reading.meaning)
        self._colour()

    def show_message(self, text: str, tone: str) -> None:
        """Show the newest message, with a sign where it is news."""
        self.message.set_texts(f"⚠ {text}" if tone == "alarm" else text)
        self.message.set_tone(tone)
        self.message.setToolTip(text)
        self.link.setVisible(bool(text))
        if self.details.isVisible():
            self.details_wanted.emit()

    def show_details(self, lines: list[str]) -> None:
        """List everything that was said, the newest first."""
        self.details.set_lines(lines)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Leave room for the message."""
        super().resizeEvent(event)
        self._fit_facts()

    def _fit_facts(self) -> None:
        natural = self.facts.fontMetrics().horizontalAdvance(self.facts.text) + SPACE
        self.facts.setFixedWidth(min(natural, int(_MOST_FACTS * self.width())))

    def _open_details(self) -> None:
        self.details_wanted.emit()
        self.details.show()
        self.details.raise_()

    def _colour(self) -> None:
        colour = getattr(self.theme, self._word.tone)
        self.dot.setStyleSheet(f"color: {colour}; font-size: {_WORD_PX + 5}px")
        self.word.setStyleSheet(f"color: {colour}; font-size: {_WORD_PX}px; font-weight: bold")
        for label, reading in zip(self.numbers, self._readings, strict=False):
            sheet = f"color: {getattr(self.theme, reading.tone)}"
            if label.styleSheet() != sheet:  # setting one is dear
                label.setStyleSheet(sheet)


def _button(meaning: str, do: object) -> QToolButton:
    button = QToolButton()
    button.setToolTip(meaning)
    button.setAutoRaise(True)
    button.setIconSize(QSize(_ICON_PX, _ICON_PX))
    button.clicked.connect(do)
    return button
