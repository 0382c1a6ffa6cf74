"""The tools of the mask editor, as small buttons."""

from PyQt5.QtCore import QSize, pyqtSignal
from PyQt5.QtWidgets import QAction, QActionGroup

from braggwatch.gui.panels.icon_toolbar import IconToolbar
from braggwatch.gui.panels.mask_pen import Tool

_TOOLS: tuple[tuple[Tool, str, str], ...] = (
    ("move", "mdi6.hand-back-right-outline", "Move the picture"),
    ("rectangle", "mdi6.vector-square", "Rectangle"),
    ("circle", "mdi6.vector-circle", "Circle"),
    ("ring", "mdi6.circle-double", "Ring"),
    ("polygon", "mdi6.vector-polygon", "Polygon"),
    ("threshold", "mdi6.plus-minus-variant", "Pixels below or above a value of what is shown"),
)


class MaskToolbar(IconToolbar):
    """Buttons of the mask editor."""

    tool_chosen = pyqtSignal(str)

    def __init__(self) -> None:
        super().__init__()
        self._tools = QActionGroup(self)
        for name, icon, tip in _TOOLS:
            self._exclusive(self._tools, icon, tip).setData(name)
        self._tools.triggered.connect(lambda action: self.tool_chosen.emit(action.data()))
        self.addSeparator()
        modes = QActionGroup(self)
        self.add = self._exclusive(modes, "mdi6.plus-box-outline", "What is drawn is added to the mask")
        self.take_off = self._exclusive(modes, "mdi6.minus-box-outline", "What is drawn is taken off the mask")
        self.add.setChecked(True)
        self.addSeparator()
        self.undo = self._button("mdi6.undo", "Undo")
        self.redo = self._button("mdi6.redo", "Redo")
        self.clear = self._button("mdi6.eraser", "Clear: mask nothing")
        self.invert = self._button("mdi6.select-inverse", "Invert: mask what is not masked, and nothing else")
        self.addSeparator()
        self.masked_now = self._button(
            "mdi6.layers-plus", "Add everything that is masked now: by the detector, the mask file in force, noise …"
        )
        self.load = self._button("mdi6.folder-open-outline", "Go on with the mask of a file …")
        self.save = self._button("mdi6.content-save-outline", "Save the mask …")

    def choose_tool(self, tool: Tool) -> None:
        """Take a tool."""
        for action in self._tools.actions():
            if action.data() == tool and not action.isChecked():
                action.trigger()

    @property
    def full_width(self) -> int:
        """The width that all buttons need, px."""
        return super().sizeHint().width()

    def sizeHint(self) -> QSize:
        """Return a width that never widens the panel: what does not fit goes into the menu at the end."""
        return QSize(1, super().sizeHint().height())

    def _exclusive(self, group: QActionGroup, icon: str, tip: str) -> QAction:
        action = self._switch(icon, tip)
        action.setChecked(False)
        group.addAction(action)
        return action
