"""Hit finder and indexer to turn, with what a change would do before it is made."""

from collections.abc import Mapping, Sequence

from PyQt5.QtCore import Qt, pyqtSignal
from PyQt5.QtGui import QResizeEvent
from PyQt5.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QSpinBox,
    QStackedLayout,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from braggwatch.gui.controllers.tuning import N_SHOTS
from braggwatch.gui.controllers.tuning_view import FieldState, Name
from braggwatch.gui.controllers.tuning_wording import EffectRow
from braggwatch.gui.panels.panel import Panel
from braggwatch.gui.panels.trial_table import TrialTable
from braggwatch.gui.panels.tuned_field import FieldRow
from braggwatch.gui.theme import DARK, SPACE, TITLE_PX, Theme
from braggwatch.gui.tuned_fields import TunedField

_NARROW = 380
"""px of width below which there are no sliders."""
_WIDE = 480
"""px of width from which on there is room for intervals and for old values."""
_LOW = 460
"""px of height below which the table scrolls with the settings."""


class TuningPanel(Panel):
    """The table of effects, the settings below it, and the buttons at the bottom."""

    name = "tuning"
    title = "Tuning"

    value_changed = pyqtSignal(str, str, object)
    reset_wanted = pyqtSignal(str, str)
    again_wanted = pyqtSignal()
    n_shots_changed = pyqtSignal(int)
    threshold_wanted = pyqtSignal(bool)
    shot_clicked = pyqtSignal(int)
    apply_wanted = pyqtSignal()
    confirmed = pyqtSignal()
    cancelled = pyqtSignal()
    undo_wanted = pyqtSignal()
    save_wanted = pyqtSignal(str)

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[Name, FieldRow] = {}
        self._titles: list[QLabel] = []
        self.table = TrialTable()
        self.table.shot_clicked.connect(self.shot_clicked)
        self._make_controls()
        self._make_buttons()
        self._make_question()
        self._lay_out()
        self.set_theme(DARK)

    def _make_controls(self) -> None:
        self.n_shots = QSpinBox()
        self.n_shots.setRange(1, 2000)
        self.n_shots.setValue(N_SHOTS)
        self.n_shots.setSuffix(" shots")
        self.n_shots.setKeyboardTracking(False)
        self.n_shots.setToolTip("How many of the remembered shots are tried, blanks among them")
        self.n_shots.valueChanged.connect(self.n_shots_changed)
        self.again = QToolButton()
        self.again.setText("↻")
        self.again.setToolTip("Try again, with the shots that have come since")
        self.again.clicked.connect(self.again_wanted)
        self.threshold = QCheckBox("pixels above threshold")
        self.threshold.setToolTip(
            "Mark the pixels of the image that are high enough to be part of a spot: above threshold, and above "
            "the mean of their ring by min_snr standard deviations"
        )
        self.threshold.toggled.connect(self.threshold_wanted)

    def _make_buttons(self) -> None:
        self.apply, self.undo = QPushButton("Apply…"), QPushButton("Undo")
        self.reset, self.save = QPushButton("Reset"), QPushButton("Save…")
        self.apply.setToolTip("Put the trial values in force, after a look at what will change")
        self.reset.setToolTip("Go back to the values in force")
        self.save.setToolTip("Write all settings, with the trial values, to a new file")
        self.apply.clicked.connect(self.apply_wanted)
        self.undo.clicked.connect(self.undo_wanted)
        self.reset.clicked.connect(lambda: self.reset_wanted.emit("", ""))
        self.save.clicked.connect(self._ask_where)

    def _make_question(self) -> None:
        self.question = QFrame()
        self.question.setObjectName("question")
        self.question_text = QLabel()
        self.question_text.setWordWrap(True)
        self.yes, self.no = QPushButton("Put in force"), QPushButton("Cancel")
        self.yes.clicked.connect(self.confirmed)
        self.no.clicked.connect(self.cancelled)
        buttons = QHBoxLayout()
        buttons.addWidget(self.yes)
        buttons.addWidget(self.no)
        buttons.addStretch(1)
        column = QVBoxLayout(self.question)
        column.setContentsMargins(SPACE, SPACE, SPACE, SPACE)
        column.addWidget(self.question_text)
        column.addLayout(buttons)
        self.question.hide()

    def _lay_out(self) -> None:
        self.fields = QWidget()
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(SPACE)
        self._grid.setVerticalSpacing(SPACE // 2)
        self._grid.setColumnStretch(1, 1)
        self._scrolled = QVBoxLayout(self.fields)
        self._scrolled.setContentsMargins(0, 0, 0, SPACE)
        inner = QWidget()
        inner.setLayout(self._grid)
        self._grid.setContentsMargins(SPACE, 0, SPACE, 0)
        self._scrolled.addWidget(inner)
        self._scrolled.addStretch(1)
        self._scroll = QScrollArea()
        self._scroll.setWidget(self.fields)
        self._scroll.setWidgetResizable(True)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.viewport().setAutoFillBackground(False)
        self.fields.setAutoFillBackground(False)
        which = QHBoxLayout()
        which.addWidget(self.n_shots)
        which.addWidget(self.again)
        which.addStretch(1)
        controls = QHBoxLayout()
        controls.setContentsMargins(SPACE, SPACE, SPACE, 0)
        controls.setSpacing(SPACE // 2)
        controls.addLayout(which, 1)
        controls.addWidget(self.threshold)
        self.line = QLabel()
        self.line.setWordWrap(True)
        self.line.setContentsMargins(SPACE, 0, SPACE, 0)
        self.line.hide()
        buttons = QHBoxLayout()
        buttons.setContentsMargins(SPACE // 2, 0, SPACE // 2, SPACE)
        buttons.setSpacing(SPACE // 2)
        for button in (self.apply, self.undo, self.reset, self.save):
            button.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
            button.setMinimumWidth(30)
            buttons.addWidget(button)
        content = QWidget()
        self._column = QVBoxLayout(content)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(SPACE // 2)
        self._column.addLayout(controls)
        self._column.addWidget(self.table)
        self._column.addWidget(self._scroll, 1)
        self._question_place = QWidget()
        margins = QVBoxLayout(self._question_place)
        margins.setContentsMargins(SPACE, 0, SPACE, 0)
        margins.addWidget(self.question)
        self._column.addWidget(self._question_place)
        self._column.addWidget(self.line)
        self._column.addLayout(buttons)
        self.empty = QLabel()
        self.empty.setWordWrap(True)
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._pages = QStackedLayout(self)
        self._pages.addWidget(self.empty)
        self._pages.addWidget(content)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Do without sliders in a narrow dock, and let the table scroll in a low one."""
        self._fit(event.size().width(), event.size().height())
        super().resizeEvent(event)

    def _fit(self, width: int, height: int) -> None:
        narrow, wide = width < _NARROW, width >= _WIDE
        for row in self.rows.values():
            row.set_room(narrow=narrow, wide=wide)
        self.table.set_narrow(not wide)
        self._grid.setHorizontalSpacing(SPACE // 2 if narrow else SPACE)
        self._grid.setColumnMinimumWidth(3, 11 * SPACE if wide else 3 * SPACE)
        self.n_shots.setPrefix("" if narrow else "last ")
        symbols = QSpinBox.ButtonSymbols
        self.n_shots.setButtonSymbols(symbols.NoButtons if narrow else symbols.UpDownArrows)
        if height < _LOW and self._column.indexOf(self.table) >= 0:
            self._scrolled.insertWidget(0, self._question_place)
            self._scrolled.insertWidget(1, self.table)
        elif height >= _LOW and self._scrolled.indexOf(self.table) >= 0:
            self._column.insertWidget(1, self.table)
            self._column.insertWidget(3, self._question_place)

    def _ask_where(self) -> None:
        dialog = QFileDialog(self, "Save settings", "settings.toml", "Settings (*.toml)")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setOption(QFileDialog.Option.DontConfirmOverwrite)  # one that exists is refused, not overwritten
        dialog.setDefaultSuffix("toml")
        dialog.setModal(False)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self.save_wanted)
        dialog.show()

    # -- setters ------------------------------------------------------------------------------------------------

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        super().set_theme(theme)
        self.table.set_theme(theme)
        for row in self.rows.values():
            row.set_theme(theme)
        for title in self._titles:
            title.setStyleSheet(f"color: {theme.quiet}; font-size: {TITLE_PX}px; font-weight: 600")
        self.question.setStyleSheet(f"#question {{ border: 1px solid {theme.quiet}; border-radius: 4px }}")
        self.line.setStyleSheet(f"color: {theme.quiet}")
        self.empty.setStyleSheet(f"color: {theme.quiet}; padding: {2 * SPACE}px")

    def show_empty(self, why: str) -> None:
        """Show a sentence instead of everything."""
        self.empty.setText(why)
        self._pages.setCurrentIndex(0)

    def show_fields(self, fields: Sequence[TunedField]) -> None:
        """Lay out these settings, under the name of their stage."""
        for row in self.rows.values():
            row.deleteLater()
        while self._grid.count():
            item = self._grid.takeAt(0)
            if item is not None and item.widget() is not None:
                item.widget().deleteLater()
        self.rows, self._titles = {}, []
        parent = self.fields
        place = 0
        for field in fields:
            if not any(name[0] == field.table for name in self.rows):
                title = QLabel(field.table.upper())
                title.setContentsMargins(0, SPACE, 0, 0)
                self._grid.addWidget(title, place, 0, 1, 4)
                self._titles.append(title)
                place += 1
            row = FieldRow(field, self._grid, place, parent)
            row.changed.connect(self.value_changed)
            row.reset.connect(self.reset_wanted)
            self.rows[field.name] = row
            place += 1
        self.set_theme(self.theme)
        self._fit(self.width(), self.height())

    def show_values(self, states: Mapping[Name, FieldState]) -> None:
        """Set all values and mark those that are changed."""
        self._pages.setCurrentIndex(1)
        for name, state in states.items():
            self.rows[name].set_value(state.value, state.said_in_force if state.changed else None)

    def show_effect(self, rows: Sequence[EffectRow], progress: str, problem: str) -> None:
        """Show before and after, how far it has come, and what is wrong."""
        self.table.set_effect(rows, progress, problem)

    def show_changed_shots(self, shots: Sequence[str]) -> None:
        """List the shots that are judged otherwise."""
        self.table.set_shots(shots)

    def show_proposal(self, lines: Sequence[str]) -> None:
        """Show what is about to be changed and ask whether to go on; without lines: do not ask."""
        self.question_text.setText("\n".join(lines))
        self.question.setVisible(bool(lines))
        if lines:
            self._scroll.verticalScrollBar().setValue(0)  # in a low dock it stands there

    def show_line(self, line: str) -> None:
        """Say how the last request ended."""
        self.line.setText(line)
        self.line.setVisible(bool(line))

    def set_possible(self, *, apply: bool, undo: str, reset: bool, save: bool) -> None:
        """Enable the buttons; `undo` says what would be undone, empty for nothing."""
        self.apply.setEnabled(apply)
        self.undo.setEnabled(bool(undo))
        self.undo.setToolTip(undo or "There is no change of yours to undo")
        self.reset.setEnabled(reset)
        self.save.setEnabled(save)
