"""What a trial has come to: before and after, and the shots that are judged otherwise."""

from collections.abc import Sequence

from PyQt5.QtCore import Qt, pyqtSignal
from PyQt5.QtWidgets import QGridLayout, QLabel, QListWidget, QSizePolicy, QVBoxLayout, QWidget

from braggwatch.gui.controllers.tuning_wording import EffectRow
from braggwatch.gui.theme import SPACE, Theme

_LISTED = 4
"""Shots that are seen at once; the others are scrolled to."""


class TrialTable(QWidget):
    """A table of two columns, a line below it, and a list."""

    shot_clicked = pyqtSignal(int)

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[tuple[QLabel, QLabel, QLabel]] = []
        self._shots: list[str] = []
        self._theme: Theme | None = None
        self._effect: list[EffectRow] = []
        self._narrow = False
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(SPACE)
        self._grid.setVerticalSpacing(SPACE // 2)
        self._grid.setColumnStretch(1, 1)
        self._grid.setColumnStretch(2, 1)
        self._heads = [QLabel("in force"), QLabel("trial")]
        for column, head in enumerate(self._heads, 1):
            self._grid.addWidget(head, 0, column)
        self.progress, self.problem = QLabel(), QLabel()
        for label in (self.progress, self.problem):
            label.setWordWrap(True)
            label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.shots = QListWidget()
        self.shots.setToolTip(
            "Shots that the trial values judge otherwise; click one to see it, ← and → go through all"
        )
        self.shots.setUniformItemSizes(True)
        self.shots.currentRowChanged.connect(self._choose)
        self.shots.itemClicked.connect(lambda _item: self._choose(self.shots.currentRow()))
        column_of_all = QVBoxLayout(self)
        column_of_all.setContentsMargins(SPACE, SPACE, SPACE, 0)
        column_of_all.setSpacing(SPACE // 2)
        column_of_all.addLayout(self._grid)
        column_of_all.addWidget(self.progress)
        column_of_all.addWidget(self.problem)
        column_of_all.addWidget(self.shots)
        self.problem.hide()
        self.shots.hide()

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        self._theme = theme
        for label in (*self._heads, self.progress, *(name for name, _, _ in self._rows)):
            label.setStyleSheet(f"color: {theme.quiet}")
        self.problem.setStyleSheet(f"color: {theme.alarm}")
        self._colour()

    def set_effect(self, rows: Sequence[EffectRow], progress: str, problem: str) -> None:
        """Show the quantities, how far the trial is, and what is wrong with it."""
        while len(self._rows) < len(rows):
            self._add_row()
        self._effect = list(rows)
        self._write()
        self.progress.setText(progress)
        self.problem.setText(problem)
        self.problem.setVisible(bool(problem))

    def set_narrow(self, narrow: bool) -> None:
        """Leave numbers and intervals of proportions to the tooltip where there is no room for them."""
        if narrow != self._narrow:
            self._narrow = narrow
            self._write()

    def set_shots(self, shots: Sequence[str]) -> None:
        """List shots; the chosen one stays chosen where the list stays the same."""
        if list(shots) == self._shots:
            return
        self._shots = list(shots)
        blocked = self.shots.blockSignals(True)
        self.shots.clear()
        self.shots.addItems(self._shots)
        self.shots.blockSignals(blocked)
        self.shots.setVisible(bool(shots))
        if shots:
            row = self.shots.sizeHintForRow(0)
            self.shots.setFixedHeight(min(len(shots), _LISTED) * row + 2 * self.shots.frameWidth())

    def _add_row(self) -> None:
        labels = QLabel(), QLabel(), QLabel()
        for column, label in enumerate(labels):
            label.setTextInteractionFlags(Qt.TextInteractionFlag.NoTextInteraction)
            self._grid.addWidget(label, len(self._rows) + 1, column)
        self._rows.append(labels)
        if self._theme is not None:
            self.set_theme(self._theme)

    def _write(self) -> None:
        for (name, before, after), row in zip(self._rows, self._effect, strict=False):
            name.setText(row.name)
            name.setToolTip(row.tooltip)
            for label, text, full in ((before, row.before, row.full_before), (after, row.after, row.full_after)):
                label.setText(full if full and not self._narrow else text)
                label.setToolTip(f"{row.tooltip}: {full}" if full else row.tooltip)
        self._colour()

    def _colour(self) -> None:
        if self._theme is None:
            return
        for (_, before, after), row in zip(self._rows, self._effect, strict=False):
            before.setStyleSheet(f"color: {self._theme.quiet if row.changed else self._theme.text}")
            after.setStyleSheet(f"color: {self._theme.text}; font-weight: {'bold' if row.changed else 'normal'}")

    def _choose(self, place: int) -> None:
        if place >= 0:
            self.shot_clicked.emit(place)
