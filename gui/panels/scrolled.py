"""A column of widgets that scrolls where there is too little room, or a sentence instead."""

from PyQt5.QtCore import Qt
from PyQt5.QtWidgets import QLabel, QScrollArea, QStackedLayout, QVBoxLayout, QWidget

from braggwatch.gui.theme import SPACE, Theme


class Scrolled(QWidget):
    """The column, or the sentence."""

    def __init__(self, *widgets: QWidget) -> None:
        super().__init__()
        body = QWidget()
        column = QVBoxLayout(body)
        column.setContentsMargins(0, SPACE // 2, 0, SPACE // 2)
        column.setSpacing(SPACE // 2)
        for widget in widgets:
            column.addWidget(widget)
        column.addStretch(1)
        self._area = QScrollArea()
        self._area.setWidget(body)
        self._area.setWidgetResizable(True)
        self._area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._sentence = QLabel()
        self._sentence.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._sentence.setWordWrap(True)
        self._sentence.setMargin(2 * SPACE)
        self._stack = QStackedLayout(self)
        self._stack.addWidget(self._area)
        self._stack.addWidget(self._sentence)

    @property
    def empty(self) -> str:
        """The sentence that is shown; empty while the column is."""
        return self._sentence.text()

    def set_empty(self, sentence: str) -> None:
        """Show a sentence; an empty one shows the column again."""
        self._sentence.setText(sentence)
        self._stack.setCurrentIndex(1 if sentence else 0)

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        # Of the area, its viewport and the column in it: left out, they show what memory held before.
        self._area.setStyleSheet(f"QScrollArea, QScrollArea > QWidget > QWidget {{ background: {theme.panel}; }}")
        self._sentence.setStyleSheet(f"color: {theme.quiet}")
