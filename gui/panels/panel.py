"""What all panels have in common."""

from collections.abc import Mapping

from PyQt5.QtCore import Qt
from PyQt5.QtWidgets import QWidget

from braggwatch.gui.theme import DARK, Theme


class Panel(QWidget):
    """A view in a dock of its own. It knows no sockets and decides nothing: setters in, signals out."""

    name = ""
    """Under which the layout remembers it, such as ``rates``."""
    title = ""
    """As it stands above the panel, such as ``Rates``."""

    def __init__(self) -> None:
        super().__init__()
        self.theme: Theme = DARK
        self.setObjectName(self.name)
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)  # or the stylesheet would not colour it

    def chosen(self) -> dict[str, str]:
        """Return what the user has chosen here and will want again at the next start."""
        return {}

    def choose(self, chosen: Mapping[str, str]) -> None:
        """Take what was chosen at the last start; what is not known is left as it is."""

    def set_theme(self, theme: Theme) -> None:
        """Take other colours; panels that draw override this, and call it."""
        self.theme = theme
