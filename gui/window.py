"""The window: docks, menus and keys around the panels."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from PyQt5.QtCore import QByteArray, QEvent, QSize, Qt, QTimer, pyqtSignal
from PyQt5.QtGui import QCloseEvent, QResizeEvent
from PyQt5.QtWidgets import QApplication, QMainWindow, QToolBar

from braggwatch.gui.actions import Actions
from braggwatch.gui.docks import Docks
from braggwatch.gui.monitor import Follow, Monitor
from braggwatch.gui.panels.panel import Panel
from braggwatch.gui.presets import PRESETS, preset
from braggwatch.gui.remembered import Remembered, recall, remember
from braggwatch.gui.shortcuts import ShortcutOverview
from braggwatch.gui.style import apply_style
from braggwatch.gui.theme import THEMES, Theme

FIRST_SIZE = QSize(1920, 1040)
"""Where nothing is remembered, and the screen is large enough."""
LAYOUT_VERSION = 1
"""Rises when an older layout would not fit any more."""
FOLLOWED: tuple[tuple[Follow, str], ...] = (("frame", "frame"), ("hit", "hit"), ("indexed", "indexed shot"))
ALL = 2**31
AT_REST_MS = 300
"""How long a window must have kept its size before its layout is fitted to it."""


class Window(QMainWindow):
    """Shows the panels; has what the user may do with all of them together, and remembers how they were left."""

    closed = pyqtSignal()

    def __init__(self, monitor: Monitor, strip: Panel, panels: Sequence[Panel], memory: Path) -> None:
        """Put the panels into docks, the strip above them; `memory` is the file where it is remembered how."""
        super().__init__()
        self.setWindowTitle("Braggwatch")
        self.setDockNestingEnabled(True)
        self._monitor, self._memory, self._panels = monitor, memory, [strip, *panels]
        self._remembered = recall(memory)
        self.theme: Theme = THEMES.get(self._remembered.theme, THEMES["dark"])
        self.preset = ""
        self._arranged_height = 0
        self._at_rest = QTimer(self)
        self._at_rest.setSingleShot(True)
        self._at_rest.setInterval(AT_REST_MS)
        self._at_rest.timeout.connect(self._fit_layout)
        self.may_close: Callable[[], bool] = lambda: True
        """Asked before the window closes."""
        self._add_strip(strip)
        self.docks = Docks(self, panels)
        self.menus = Actions(self)
        self.overview = ShortcutOverview(self)
        self._fill_menus()
        monitor.selection_changed.connect(self._show_follow)

    def restore(self) -> None:
        """Look as it was left, once all actions are there; what is remembered but damaged or foreign is left out."""
        remembered = self._remembered
        self.overview.set_keys(self.menus.overview())
        for name, on in remembered.checked.items():
            action = self.menus.by_name.get(name)
            if action is not None and action.isCheckable() and action.actionGroup() is None:
                action.setChecked(on)
        for panel in self._panels:
            panel.choose(remembered.chosen.get(panel.name, {}))
        self.set_theme(self.theme)
        screen = QApplication.primaryScreen()
        self.resize(FIRST_SIZE if screen is None else FIRST_SIZE.boundedTo(screen.availableSize()))
        layout = remembered.unpacked() if remembered.docks == tuple(sorted(self.docks.by_name)) else None
        if layout is not None:
            self.restoreGeometry(QByteArray(layout[0]))
        self.arrange(name := remembered.preset if remembered.preset in PRESETS else PRESETS[0])
        fits = preset(name, remembered.height) == preset(name, self.height())
        if layout is not None and (remembered.by_hand or fits):
            self.restoreState(QByteArray(layout[1]), LAYOUT_VERSION)
            self.docks.by_hand = remembered.by_hand

    def arrange(self, name: str) -> None:
        """Lay the panels out by a preset, as it suits the window's size."""
        self.overview.hide()
        self.docks.arrange(preset(name, self.height()))
        self.preset, self._arranged_height = name, self.height()
        self.menus.by_name[f"preset {name}"].setChecked(True)

    def set_theme(self, theme: Theme) -> None:
        """Take other colours, everywhere."""
        self.theme = theme
        application = QApplication.instance()
        if isinstance(application, QApplication):
            apply_style(application, theme)
        for panel in self._panels:
            panel.set_theme(theme)
        self.overview.set_theme(theme)
        self.menus.by_name["light"].setChecked(theme.name == "light")

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """Remember how things were left; stay where the user must be asked first."""
        if not self.may_close():
            if event is not None:
                event.ignore()
            return
        checked = {
            name: action.isChecked()
            for name, action in self.menus.by_name.items()
            if action.isCheckable() and action.actionGroup() is None and name not in ("light", "full screen")
        }
        chosen = {panel.name: what for panel in self._panels if (what := panel.chosen())}
        remembered = Remembered(
            theme=self.theme.name,
            preset=self.preset,
            by_hand=self.docks.by_hand,
            height=self._arranged_height,
            docks=tuple(sorted(self.docks.by_name)),
            checked=checked,
            chosen=chosen,
        ).with_layout(self.saveGeometry().data(), self.saveState(LAYOUT_VERSION).data())
        remember(self._memory, remembered)
        self.closed.emit()
        super().closeEvent(event)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """See, once the size stays, whether another form of the layout fits better."""
        super().resizeEvent(event)
        self._at_rest.start()

    def event(self, event: QEvent | None) -> bool:
        """Notice when the border between two docks is dragged: Qt has no signal for it."""
        taken = super().event(event)
        if event is not None and event.type() == QEvent.Type.MouseButtonPress and event.isAccepted():
            self.docks.note_hand()
        return taken

    def _fit_layout(self) -> None:
        """Take the form of the preset that fits the window's size, unless the user has moved docks."""
        if not self.preset or self.docks.by_hand or not self.isVisible():
            return
        present = preset(self.preset, self._arranged_height)
        if preset(self.preset, self.height()) != present:
            chosen = self.docks.chosen_tabs(present)
            self.arrange(self.preset)
            for name in chosen:
                self.docks.show(name)

    def toggle_tuning(self) -> None:
        """Show the tuning layout, or go back to the first one."""
        self.arrange("tuning" if self.preset != "tuning" else PRESETS[0])

    def _add_strip(self, strip: Panel) -> None:
        bar = QToolBar("Strip", self)
        bar.setObjectName("strip bar")
        bar.setMovable(False)
        bar.setFloatable(False)
        bar.setContextMenuPolicy(Qt.ContextMenuPolicy.PreventContextMenu)
        view = bar.toggleViewAction()
        if view is not None:
            view.setEnabled(False)  # what is wrong must always be seen
        bar.addWidget(strip)
        self.addToolBar(Qt.ToolBarArea.TopToolBarArea, bar)

    def _fill_menus(self) -> None:
        actions, monitor = self.menus, self._monitor
        actions.add("File", "quit", "Quit", "Ctrl+Q", self.close)
        actions.add("Shot", "pause", "Pause, or go live", "Space", self._pause_or_go_live)
        for number, (follow, what) in enumerate(FOLLOWED, 1):
            actions.add_choice(
                "Shot", "follow", f"follow {follow}", f"Follow the latest {what}", str(number),
                partial(monitor.go_live, follow),
            )  # fmt: skip
        self._show_follow()
        actions.add_separator("Shot")
        for name, text, key, by in (
            ("back", "One shot back", "Left", -1),
            ("on", "One shot on", "Right", 1),
            ("ten back", "Ten shots back", "Shift+Left", -10),
            ("ten on", "Ten shots on", "Shift+Right", 10),
            ("first", "First shot", "Home", -ALL),
            ("last", "Last shot", "End", ALL),
        ):
            actions.add("Shot", name, text, key, partial(monitor.step, by))
        for number, name in enumerate(PRESETS, 1):
            actions.add_choice(
                "View", "preset", f"preset {name}", f"Layout “{name}”", f"Ctrl+{number}", partial(self.arrange, name)
            )
        actions.add("View", "tuning", "Tuning, and back", "T", self.toggle_tuning)
        actions.add_separator("View")
        actions.add_submenu("View", "Panels", self.docks.actions())
        actions.add_switch("View", "light", "Light colours", "Ctrl+L", self._set_light, on=self.theme.name == "light")
        actions.add_switch("View", "full screen", "Full screen", "F", self._set_full_screen, on=False)
        actions.add("Help", "shortcuts", "All shortcuts", "?", self.overview.toggle)

    def _pause_or_go_live(self) -> None:
        if self._monitor.live:
            self._monitor.pause()
        else:
            self._monitor.go_live()

    def _show_follow(self) -> None:
        self.menus.by_name[f"follow {self._monitor.follow}"].setChecked(True)

    def _set_light(self, on: bool) -> None:
        theme = THEMES["light" if on else "dark"]
        if theme is not self.theme:
            self.set_theme(theme)

    def _set_full_screen(self, on: bool) -> None:
        if on:
            self.showFullScreen()
        else:
            self.showNormal()
