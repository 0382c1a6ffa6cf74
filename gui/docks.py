"""The panels as docks, and how they are laid out by a preset."""

from collections.abc import Iterable
from itertools import pairwise

from PyQt5.QtCore import QPoint, QRect, Qt, pyqtSignal
from PyQt5.QtGui import QCloseEvent
from PyQt5.QtWidgets import QAction, QDockWidget, QMainWindow

from braggwatch.gui.panels.panel import Panel
from braggwatch.gui.presets import Column, Layout, Row, Tabs, names

SMALLEST = 140, 84
"""px to which a panel may be squeezed, so that all of them fit on the smallest screen."""


class Dock(QDockWidget):
    """One panel's place."""

    closed = pyqtSignal()

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """Tell that the user does not want it."""
        super().closeEvent(event)
        self.closed.emit()


class Docks:
    """All docks of a window; one for each panel, under the panel's name."""

    def __init__(self, window: QMainWindow, panels: Iterable[Panel]) -> None:
        self._window = window
        self.by_name: dict[str, QDockWidget] = {}
        self.by_hand = False
        """Whether somebody has moved, shown, hidden or resized docks since they were arranged."""
        self._arranging = False
        for panel in panels:
            dock = Dock(panel.title.upper(), window)
            dock.setObjectName(panel.name)
            panel.setMinimumSize(*SMALLEST)
            panel.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
            dock.setWidget(panel)
            dock.hide()
            self.by_name[panel.name] = dock
            dock.topLevelChanged.connect(self.note_hand)
            dock.closed.connect(self.note_hand)
            if (switch := dock.toggleViewAction()) is not None:
                switch.triggered.connect(self.note_hand)

    def note_hand(self) -> None:
        """Somebody has moved something."""
        self.by_hand = self.by_hand or not self._arranging

    def actions(self) -> list[QAction]:
        """Return the switches that show and hide each panel."""
        return [action for dock in self.by_name.values() if (action := dock.toggleViewAction()) is not None]

    def show(self, name: str) -> None:
        """Bring a panel to the front, wherever it is."""
        dock = self.by_name.get(name)
        if dock is not None:
            dock.show()
            dock.raise_()

    def arrange(self, layout: Layout) -> None:
        """Put the docks where a preset has them, and hide those that it has not."""
        self._arranging = True
        self._put(layout)
        self._arranging = self.by_hand = False

    def chosen_tabs(self, layout: Layout) -> list[str]:
        """Return the panels that are seen though a layout has another one in front of them."""
        if isinstance(layout, Row | Column):
            return [name for part, _ in layout.parts for name in self.chosen_tabs(part)]
        return [name for name in layout.names[1:] if name in self.by_name and self._is_seen(self.by_name[name])]

    def _is_seen(self, dock: QDockWidget) -> bool:
        """Tell whether a dock is in front: Qt moves what is behind another tab out of the window."""
        place = QRect(dock.mapTo(self._window, QPoint(0, 0)), dock.size())
        return dock.isVisible() and self._window.rect().intersects(place)

    def _put(self, layout: Layout) -> None:
        for dock in self.by_name.values():
            dock.setFloating(False)
            self._window.removeDockWidget(dock)
        first = self._first(layout)
        if first is None:
            return
        self._window.addDockWidget(Qt.DockWidgetArea.TopDockWidgetArea, first)
        self._split(layout)
        shown = [self.by_name[name] for name in names(layout) if name in self.by_name]
        for dock in self.by_name.values():
            if dock not in shown:
                self._window.tabifyDockWidget(shown[-1], dock)  # where it comes up when it is wanted
            dock.setVisible(dock in shown)
        self._raise_fronts(layout)
        area = self._window.contentsRect()
        self._size(layout, area.width(), area.height())

    def _first(self, layout: Layout) -> QDockWidget | None:
        """Return the dock that stands for a part of the layout; None where none of its panels is there."""
        return next((self.by_name[name] for name in names(layout) if name in self.by_name), None)

    def _split(self, layout: Layout) -> None:
        """Divide the place of a layout's first dock among all of them, the large parts before the small."""
        if isinstance(layout, Tabs):
            in_one_place = [self.by_name[name] for name in layout.names if name in self.by_name]
            for before, after in pairwise(in_one_place):
                self._window.tabifyDockWidget(before, after)
            return
        orientation = Qt.Orientation.Horizontal if isinstance(layout, Row) else Qt.Orientation.Vertical
        firsts = [dock for part, _ in layout.parts if (dock := self._first(part)) is not None]
        for before, after in pairwise(firsts):
            self._window.splitDockWidget(before, after, orientation)
        for part, _ in layout.parts:
            self._split(part)

    def _raise_fronts(self, layout: Layout) -> None:
        if isinstance(layout, Row | Column):
            for part, _ in layout.parts:
                self._raise_fronts(part)
        elif (front := self._first(layout)) is not None:
            front.raise_()

    def _size(self, layout: Layout, width: float, height: float) -> None:
        """Give each part its share; panels that are not there leave theirs to the others."""
        if isinstance(layout, Tabs):
            return
        across = isinstance(layout, Row)
        parts = [(part, share, dock) for part, share in layout.parts if (dock := self._first(part)) is not None]
        whole = sum(share for _, share, _ in parts)
        sizes = [max(int((width if across else height) * share / whole), 1) for _, share, _ in parts]
        docks = [dock for _, _, dock in parts]
        self._window.resizeDocks(docks, sizes, Qt.Orientation.Horizontal if across else Qt.Orientation.Vertical)
        for (part, _, _), size in zip(parts, sizes, strict=True):
            self._size(part, size if across else width, height if across else size)
