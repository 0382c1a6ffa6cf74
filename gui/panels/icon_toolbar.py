"""A row of small buttons with icons; those that do not fit go into a menu at the end."""

from collections.abc import Callable, Sequence

import qtawesome
from PyQt5.QtCore import QSize, Qt
from PyQt5.QtWidgets import QAction, QActionGroup, QMenu, QToolBar, QToolButton

from braggwatch.gui.theme import AXIS_PX, SPACE, Theme

_ICON_PX = 18


class IconToolbar(QToolBar):
    """Takes buttons, switches and menus, and colours their icons."""

    def __init__(self) -> None:
        super().__init__()
        self.setIconSize(QSize(_ICON_PX, _ICON_PX))
        self.setMovable(False)
        self._icons: list[tuple[QAction | QToolButton, str, Callable[[Theme], str]]] = []
        self._theme: Theme | None = None

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        self._theme = theme
        for button, icon, colour in self._icons:
            button.setIcon(qtawesome.icon(icon, color=colour(theme), color_disabled=theme.line))
        self.setStyleSheet(
            f"QToolBar {{ background: {theme.panel}; border: none; spacing: 0px; padding: 0px }}"
            f"QToolBar::separator {{ background: transparent; width: {SPACE}px }}"
            f"QToolButton {{ border: none; padding: 2px; border-radius: 3px; color: {theme.text} }}"
            f"QToolButton:checked {{ background: {theme.line} }}"
            f"QToolButton:hover {{ background: {theme.line} }}"
            "QToolButton::menu-indicator { image: none }"
            f"QLineEdit {{ background: {theme.window}; color: {theme.text}; border: 1px solid {theme.line};"
            f" border-radius: 3px; font-size: {AXIS_PX}px; padding: 1px 3px }}"
        )

    def _button(self, icon: str, tip: str) -> QAction:
        action = QAction(self)
        action.setToolTip(tip)
        action.setText(tip)
        self.addAction(action)
        self._icons.append((action, icon, plain_colour))
        return action

    def _set_icon(self, button: QAction | QToolButton, icon: str) -> None:
        """Give a button another icon."""
        colour = next((colour for known, _, colour in self._icons if known is button), plain_colour)
        self._icons = [entry for entry in self._icons if entry[0] is not button] + [(button, icon, colour)]
        if self._theme is not None:
            button.setIcon(qtawesome.icon(icon, color=colour(self._theme), color_disabled=self._theme.line))

    def _switch(self, icon: str, tip: str, colour: Callable[[Theme], str] | None = None) -> QAction:
        action = self._button(icon, tip)
        self._icons[-1] = (action, icon, colour or plain_colour)
        action.setCheckable(True)
        action.setChecked(True)
        return action

    def _menu_button(
        self, icon: str, tip: str, choices: Sequence[tuple[str, str]], chosen: Callable[[str], None]
    ) -> QActionGroup:
        button = QToolButton()
        button.setToolTip(tip)
        button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        menu = QMenu(button)
        group = QActionGroup(self)
        for name, text in choices:
            action = menu.addAction(text)
            action.setCheckable(True)
            action.setData(name)
            group.addAction(action)
        group.actions()[0].setChecked(True)
        group.triggered.connect(lambda action: chosen(action.data()))
        button.setMenu(menu)
        self.addWidget(button)
        self._icons.append((button, icon, plain_colour))
        return group

    def _check(self, group: QActionGroup, name: str) -> None:
        for action in group.actions():
            if action.data() == name:
                action.setChecked(True)


def plain_colour(theme: Theme) -> str:
    """Return the colour of icons that mean nothing else."""
    return theme.text
