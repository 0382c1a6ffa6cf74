"""What is said of groups of shots above their rates: whether they differ, and which are left out."""

from PyQt5.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from braggwatch.gui.controllers.rates_by_group import ByGroup
from braggwatch.gui.panels.fitting_label import FittingLabel
from braggwatch.gui.theme import SPACE, Theme


class GroupWords(QWidget):
    """Two sentences below each other; without groups it is not there."""

    def __init__(self) -> None:
        super().__init__()
        self.compared, self.note = FittingLabel(bold=True), FittingLabel(quiet=True)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        column = QVBoxLayout(self)
        column.setContentsMargins(SPACE, 0, SPACE, 0)
        column.setSpacing(0)
        column.addWidget(self.compared)
        column.addWidget(self.note)

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        self.compared.set_theme(theme)
        self.note.set_theme(theme)

    @property
    def short(self) -> bool:
        """Whether there is one sentence at most."""
        return self.note.isHidden()

    def show_groups(self, drawn: ByGroup | None) -> None:
        """Say what is drawn; None: nothing of groups."""
        comparison = None if drawn is None else drawn.comparison
        note = () if drawn is None else drawn.note
        self.compared.setVisible(comparison is not None)
        if comparison is not None:
            self.compared.set_texts(*comparison.texts)
            self.compared.set_tone("text" if comparison.sure else "quiet")
            self.compared.setToolTip(comparison.meaning)
        self.note.setVisible(bool(note))
        self.note.set_texts(*note)
        self.setVisible(comparison is not None or bool(note))
