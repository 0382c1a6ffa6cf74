"""The overview of all keys, over the window while it is wanted."""

from collections.abc import Sequence
from html import escape

from PyQt5.QtCore import QEvent, QObject, Qt
from PyQt5.QtWidgets import QFrame, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from braggwatch.gui.theme import SPACE, TITLE_PX, Theme

N_COLUMNS = 2


class ShortcutOverview(QFrame):
    """What each key does, by menu; a key or a click puts it away. It holds nothing up: the window goes on below."""

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self.setObjectName("shortcuts")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(*(4 * SPACE,) * 4)
        layout.setSpacing(6 * SPACE)
        self._columns = [QVBoxLayout() for _ in range(N_COLUMNS)]
        for column in self._columns:
            column.setSpacing(2 * SPACE)
            column.setAlignment(Qt.AlignmentFlag.AlignTop)
            layout.addLayout(column)
        self._sections: list[QLabel] = []
        self._keys: list[tuple[str, list[tuple[str, str]]]] = []
        window.installEventFilter(self)
        self.hide()

    def set_keys(self, keys: Sequence[tuple[str, Sequence[tuple[str, str]]]]) -> None:
        """Take what each key does: by menu, what is done and its key."""
        self._keys = [(menu, list(entries)) for menu, entries in keys if entries]

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        self.setStyleSheet(
            f"#shortcuts {{ background: {theme.panel}; border: 1px solid {theme.line}; border-radius: {SPACE}px }}"
            f"#shortcuts QLabel {{ color: {theme.text}; background: transparent }}"
        )
        for label in self._sections:
            label.deleteLater()
        self._sections = [self._section(theme, menu, entries) for menu, entries in self._keys]
        filled = [0] * N_COLUMNS
        for label, (_, entries) in zip(self._sections, self._keys, strict=True):
            column = filled.index(min(filled))
            self._columns[column].addWidget(label)
            filled[column] += len(entries) + 2

    def toggle(self) -> None:
        """Show it in the middle of the window, or put it away."""
        if self.isVisible():
            self.hide()
            return
        self._place()
        self.show()
        self.raise_()
        self.setFocus()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Stay in the middle of the window, and go with the next click or key."""
        if self.isVisible() and event is not None:
            if event.type() == QEvent.Type.Resize:
                self._place()
            elif event.type() == QEvent.Type.MouseButtonPress:
                self.hide()
        return super().eventFilter(watched, event)

    def event(self, event: QEvent | None) -> bool:
        """Have the next key for itself, whatever it does in the window."""
        if event is not None and event.type() == QEvent.Type.ShortcutOverride:
            event.accept()
            return True
        return super().event(event)

    def mousePressEvent(self, event: object) -> None:
        """Go."""
        self.hide()

    def keyPressEvent(self, event: object) -> None:
        """Go."""
        self.hide()

    def _section(self, theme: Theme, menu: str, entries: Sequence[tuple[str, str]]) -> QLabel:
        rows = "".join(
            f"<tr><td style='padding: 2px {2 * SPACE}px 2px 0; color: {theme.text}'><b>{escape(key)}</b></td>"
            f"<td style='padding: 2px 0; color: {theme.text}'>{escape(what)}</td></tr>"
            for what, key in entries
        )
        label = QLabel(
            f"<p style='font-size: {TITLE_PX}px; color: {theme.quiet}'>{escape(menu.upper())}</p><table>{rows}</table>",
            self,
        )
        label.setTextFormat(Qt.TextFormat.RichText)
        return label

    def _place(self) -> None:
        window = self.parentWidget()
        if window is None:
            return
        self.adjustSize()
        size = self.sizeHint().boundedTo(window.size())
        self.setGeometry(
            (window.width() - size.width()) // 2, (window.height() - size.height()) // 2, size.width(), size.height()
        )
