"""What the data set is to reach, to be changed."""

from PyQt5.QtCore import QEvent, QObject, Qt, pyqtSignal
from PyQt5.QtWidgets import (
    QAbstractSpinBox,
    QCheckBox,
    QDoubleSpinBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
)

from braggwatch.gui.controllers.merging_view import TargetShown
from braggwatch.gui.merge_target import MergeTarget
from braggwatch.gui.theme import SPACE, Theme

_FIELDS = (
    ("Resolution", " Å", 2, 0.05, 2.0, "To which resolution the data are to be good, Å; off: that of the merge"),
    ("CC½", "", 2, 0.05, 0.5, "CC½ that the outermost shell to that resolution is to reach; off: it does not matter"),
    ("Completeness", " %", 1, 0.5, 99.0, "Share of the different reflections that is to be observed, %; off: it does "
                                         "not matter"),
    ("Multiplicity", "", 1, 1.0, 10.0, "How often each is to be observed on average; off: it does not matter"),
)  # fmt: skip
"""Name, unit, decimals, step, what it begins with, meaning."""
_LARGEST = 1e6
_WIDTH = 104


class TargetEditor(QFrame):
    """A check box and a number for each part of the target, what would change, and buttons."""

    edited = pyqtSignal(object)
    """With a `MergeTarget`."""
    confirmed = pyqtSignal()
    cancelled = pyqtSignal()
    undo_wanted = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("target")
        self.boxes: list[QCheckBox] = []
        self.numbers: list[QDoubleSpinBox] = []
        grid = QGridLayout()
        grid.setHorizontalSpacing(SPACE)
        grid.setVerticalSpacing(SPACE // 2)
        for row, field in enumerate(_FIELDS):
            self._add_field(grid, row, *field)
        grid.setColumnStretch(1, 1)
        self.numbers[1].setRange(0.01, 0.99)
        self.numbers[2].setRange(0.1, 100.0)
        self.numbers[3].setRange(0.1, _LARGEST)
        self.change = QLabel()
        self.change.setWordWrap(True)
        self.change.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.yes, self.no, self.undo = QPushButton("Put in force"), QPushButton("Cancel"), QPushButton("Undo")
        self.yes.clicked.connect(self.confirmed)
        self.no.clicked.connect(self.cancelled)
        self.undo.clicked.connect(self.undo_wanted)
        buttons = QHBoxLayout()
        buttons.setSpacing(SPACE // 2)
        for button in (self.yes, self.no, self.undo):
            button.setMinimumWidth(30)
            buttons.addWidget(button)
        buttons.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(SPACE, SPACE // 2, SPACE, SPACE // 2)
        column.setSpacing(SPACE // 2)
        column.addLayout(grid)
        column.addWidget(self.change)
        column.addLayout(buttons)

    def _add_field(
        self, grid: QGridLayout, row: int, name: str, unit: str, decimals: int, step: float, start: float, meaning: str
    ) -> None:
        box, number = QCheckBox(name), QDoubleSpinBox()
        number.setDecimals(decimals)
        number.setSingleStep(step)
        number.setSuffix(unit)
        number.setKeyboardTracking(False)
        number.setValue(start)
        number.setFixedWidth(_WIDTH)
        number.setAlignment(Qt.AlignmentFlag.AlignRight)
        number.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        number.installEventFilter(self)
        for widget in (box, number):
            widget.setToolTip(meaning)
        box.toggled.connect(self._tell)
        number.valueChanged.connect(self._tell)
        grid.addWidget(box, row, 0)
        grid.addWidget(number, row, 1, Qt.AlignmentFlag.AlignLeft)
        self.boxes.append(box)
        self.numbers.append(number)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Leave the wheel to what scrolls, unless the user has chosen a number."""
        if event is not None and event.type() == QEvent.Type.Wheel and isinstance(watched, QAbstractSpinBox):
            event.ignore()
            return not watched.hasFocus()
        return super().eventFilter(watched, event)

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        self.setStyleSheet(f"#target {{ border: 1px solid {theme.quiet}; border-radius: 4px }}")
        self.change.setStyleSheet(f"color: {theme.quiet}")

    def show_target(self, shown: TargetShown) -> None:
        """Show values and what they would change."""
        blocked = [widget.blockSignals(True) for widget in (*self.boxes, *self.numbers)]
        self.numbers[0].setRange(*shown.limits)
        target = shown.target
        share = None if target.completeness is None else 100 * target.completeness
        values = (target.d_min, target.cc_half, share, target.multiplicity)
        for box, number, value in zip(self.boxes, self.numbers, values, strict=True):
            box.setChecked(value is not None)
            number.setEnabled(value is not None)
            if value is not None and abs(number.value() - value) > 0.5 * 10.0 ** -number.decimals():
                number.setValue(value)
        for widget, before in zip((*self.boxes, *self.numbers), blocked, strict=True):
            widget.blockSignals(before)
        self.change.setText(shown.problem or shown.said or "Change a value; then you see what would be another.")
        self.yes.setEnabled(bool(shown.said) and not shown.problem and not shown.pending)
        self.undo.setEnabled(bool(shown.undo) and not shown.pending)
        self.undo.setToolTip(shown.undo or "There is no change of yours to undo")

    def _tell(self) -> None:
        d_min, cc_half, share, multiplicity = (
            round(number.value(), number.decimals()) if box.isChecked() else None
            for box, number in zip(self.boxes, self.numbers, strict=True)
        )
        self.edited.emit(MergeTarget(d_min, cc_half, None if share is None else round(share / 100, 6), multiplicity))
