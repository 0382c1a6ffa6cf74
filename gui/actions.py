"""Everything that can be done from the menus and with a key."""

from collections.abc import Callable

from PyQt5.QtCore import Qt
from PyQt5.QtGui import QKeySequence
from PyQt5.QtWidgets import QAction, QActionGroup, QMainWindow, QMenu

MENUS = ("File", "Shot", "Image", "View", "Help")
_SAID = {
    "Left": "←", "Right": "→", "Shift+Left": "Shift ←", "Shift+Right": "Shift →",
}  # fmt: skip


class Actions:
    """The menus of a window; each action by its name, as it is remembered and tested."""

    def __init__(self, window: QMainWindow) -> None:
        self._window = window
        self.by_name: dict[str, QAction] = {}
        self._menus: dict[str, QMenu] = {}
        self._in_menu: dict[str, list[QAction]] = {title: [] for title in MENUS}
        self._groups: dict[str, QActionGroup] = {}
        for title in MENUS:
            menu = QMenu(title, window)
            window.menuBar().addMenu(menu)
            self._menus[title] = menu

    def add(self, menu: str, name: str, text: str, key: str, do: Callable[[], object]) -> QAction:
        """Add something to do; `key` is written as Qt writes it, empty for none."""
        action = QAction(text, self._window)
        action.setObjectName(name)
        action.setShortcut(QKeySequence(key))
        action.setShortcutContext(Qt.ShortcutContext.WindowShortcut)
        action.triggered.connect(lambda _checked: do())
        self._insert(menu, action)
        return action

    def add_switch(
        self, menu: str, name: str, text: str, key: str, switch: Callable[[bool], object], *, on: bool
    ) -> QAction:
        """Add something that is on or off; `switch` is told whenever that changes."""
        action = QAction(text, self._window)
        action.setObjectName(name)
        action.setCheckable(True)
        action.setChecked(on)
        action.setShortcut(QKeySequence(key))
        action.toggled.connect(switch)
        self._insert(menu, action)
        return action

    def add_choice(self, menu: str, group: str, name: str, text: str, key: str, do: Callable[[], object]) -> QAction:
        """Add one of several of which exactly one is chosen."""
        action = self.add(menu, name, text, key, do)
        action.setCheckable(True)
        self._groups.setdefault(group, QActionGroup(self._window)).addAction(action)
        return action

    def add_separator(self, menu: str) -> None:
        """Draw a line between what was added and what follows."""
        self._menus[menu].addSeparator()

    def add_submenu(self, menu: str, title: str, actions: list[QAction]) -> None:
        """Add actions that have no key of their own."""
        below = self._menus[menu].addMenu(title)
        if below is not None:
            below.addActions(actions)

    def overview(self) -> list[tuple[str, list[tuple[str, str]]]]:
        """Return, by menu, what is done with which key."""
        return [
            (title, [(_plain(action.text()), _key(action)) for action in actions if not action.shortcut().isEmpty()])
            for title, actions in self._in_menu.items()
        ]

    def _insert(self, menu: str, action: QAction) -> None:
        self._menus[menu].addAction(action)
        self._window.addAction(action)  # so that its key works where the menu bar is hidden
        self._in_menu[menu].append(action)
        self.by_name[action.objectName()] = action


def _plain(text: str) -> str:
    return text.replace("&", "")


def _key(action: QAction) -> str:
    key = action.shortcut().toString()
    return _SAID.get(key, key)
