"""One setting to turn: its name, a slider, a box to type in, and the way back."""

import math

from PyQt5.QtCore import QEvent, QObject, Qt, pyqtSignal
from PyQt5.QtWidgets import (
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QGridLayout,
    QLabel,
    QLineEdit,
    QSizePolicy,
    QSlider,
    QSpinBox,
    QToolButton,
    QWidget,
)

from braggwatch.gui.theme import AXIS_PX, Theme
from braggwatch.gui.tuned_fields import TunedField, Value

EDITOR_WIDTH, NARROW_EDITOR_WIDTH = 104, 64
"""px."""
_LARGEST = 2**31 - 1
_LONGEST_OLD = 10
"""Characters of an old value that the way back can show; a longer one stands in its tooltip."""

_LEAST_NAME = 110
"""px that a setting's name has at least."""


class FieldRow(QObject):
    """The widgets of one setting in a row of a grid; what the user does goes out as `changed` and `reset`."""

    changed = pyqtSignal(str, str, object)
    """Table, key, value."""
    reset = pyqtSignal(str, str)

    def __init__(self, field: TunedField, grid: QGridLayout, row: int, parent: QWidget) -> None:
        super().__init__(parent)
        self.field = field
        self._theme: Theme | None = None
        self._old: str | None = None
        self._narrow, self._wide = False, True
        self.label = QCheckBox(field.key) if field.optional else QLabel(field.key)
        self.label.setMinimumWidth(_LEAST_NAME)  # a long name is cut in a narrow panel; the tooltip has all of it
        self.slider = QSlider(Qt.Orientation.Horizontal) if field.slider_steps else None
        self.editor = self._make_editor()
        self.off = QLabel("none")
        self.off.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.back = QToolButton()
        self.back.setAutoRaise(True)
        policy = self.back.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.back.setSizePolicy(policy)
        self.back.hide()
        grid.addWidget(self.label, row, 0)
        if self.slider is not None:
            grid.addWidget(self.slider, row, 1)
        wide = field.kind in ("text", "choice")
        grid.addWidget(self.editor, row, 1 if wide else 2, 1, 2 if wide else 1)
        grid.addWidget(self.off, row, 2)
        grid.addWidget(self.back, row, 3)
        for widget in (self.label, self.slider, self.editor, self.off):
            if widget is not None:
                widget.setToolTip(field.tooltip)
        for widget in (self.slider, self.editor):
            if widget is not None:
                widget.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
                widget.installEventFilter(self)
        self._connect()

    def _make_editor(self) -> QWidget:
        field = self.field
        if field.kind == "choice":
            combo = QComboBox()
            combo.addItems(field.choices)
            combo.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            return combo
        if field.kind == "switch":
            return QCheckBox()
        if field.kind == "text":
            line = QLineEdit()
            line.setMinimumWidth(60)
            return line
        spin = QSpinBox() if field.kind == "whole" else QDoubleSpinBox()
        whole = field.kind == "whole"
        low, high = (min(max(limit, -_LARGEST), _LARGEST) for limit in (field.low, field.high))
        if not whole:
            spin.setDecimals(field.decimals)
        spin.setRange(int(low) if whole else low, int(high) if whole else high)
        if field.scale is not None:
            spin.setSingleStep(int(field.scale.step) if whole else field.scale.step)
            spin.setSuffix(f" {field.scale.unit}" if field.scale.unit else "")
        spin.setKeyboardTracking(False)
        spin.setFixedWidth(EDITOR_WIDTH)
        spin.setAlignment(Qt.AlignmentFlag.AlignRight)
        return spin

    def _connect(self) -> None:
        editor = self.editor
        if self.slider is not None:
            self.slider.setRange(0, self.field.slider_steps)
            self.slider.valueChanged.connect(self._slide)
        if self.field.optional:
            self.label.toggled.connect(lambda on: self._say(self.field.start() if on else None))
        self.back.clicked.connect(lambda: self.reset.emit(*self.field.name))
        match self.field.kind:
            case "choice":
                editor.currentTextChanged.connect(self._say)
            case "switch":
                editor.toggled.connect(self._say)
            case "text":
                editor.editingFinished.connect(self._say_text)
            case _:
                editor.valueChanged.connect(self._say)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Leave the wheel to the list of settings unless the user has chosen this one."""
        if event is not None and event.type() == QEvent.Type.Wheel:
            event.ignore()
            return isinstance(watched, QWidget) and not watched.hasFocus()
        return super().eventFilter(watched, event)

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        self._theme = theme
        self.off.setStyleSheet(f"color: {theme.quiet}")
        self._mark()

    def set_room(self, *, narrow: bool, wide: bool) -> None:
        """Do without the slider in a narrow panel, and show the old value only in a wide one."""
        self._narrow, self._wide = narrow, wide
        if isinstance(self.editor, QAbstractSpinBox):
            self.editor.setFixedWidth(NARROW_EDITOR_WIDTH if narrow else EDITOR_WIDTH)
            symbols = QAbstractSpinBox.ButtonSymbols
            self.editor.setButtonSymbols(symbols.NoButtons if narrow else symbols.UpDownArrows)
        self._show_parts(self._is_on())
        self._mark()

    def set_value(self, value: Value, in_force: str | None) -> None:
        """Show a value; `in_force` is what is in force instead, None where it is this value."""
        widgets = [widget for widget in (self.label, self.slider, self.editor) if widget is not None]
        blocked = [widget.blockSignals(True) for widget in widgets]
        if self.field.optional:
            self.label.setChecked(value is not None)
        self._put(value)
        for widget, before in zip(widgets, blocked, strict=True):
            widget.blockSignals(before)
        self._show_parts(not self.field.optional or value is not None)
        if in_force != self._old:
            self._old = in_force
            self._mark()

    def _put(self, value: Value) -> None:
        match self.field.kind:
            case "choice":
                self.editor.setCurrentIndex(self.editor.findText(str(value)))
            case "switch":
                self.editor.setChecked(value is True)
            case "text":
                if not self.editor.hasFocus():
                    self.editor.setText("" if value is None else str(value))
                    self.editor.setCursorPosition(0)
            case _:
                self._put_number(value)

    def _put_number(self, value: Value) -> None:
        if not isinstance(value, float | int) or isinstance(value, bool) or not math.isfinite(value):
            return
        bounded = min(max(value, -_LARGEST), _LARGEST)
        self.editor.setValue(round(bounded) if self.field.kind == "whole" else bounded)
        if self.slider is not None and not self.slider.isSliderDown():
            self.slider.setValue(self.field.position_of(bounded))

    def _is_on(self) -> bool:
        return not self.field.optional or bool(self.label.isChecked())

    def _show_parts(self, on: bool) -> None:
        self.editor.setVisible(on)
        self.off.setVisible(not on)
        if self.slider is not None:
            self.slider.setVisible(on and not self._narrow)

    def _mark(self) -> None:
        changed = self._old is not None
        self.back.setVisible(changed)
        if changed:
            short = self._wide and len(str(self._old)) <= _LONGEST_OLD
            self.back.setText(f"↺ {self._old}" if short else "↺")
            self.back.setToolTip(f"In force: {self._old}. Click to go back to it")
        if self._theme is not None:
            colour, weight = (self._theme.text, "bold") if changed else (self._theme.quiet, "normal")
            size = f"; font-size: {AXIS_PX}px" if self._narrow else ""
            self.label.setStyleSheet(f"color: {colour}; font-weight: {weight}{size}")

    def _slide(self, position: int) -> None:
        value = self.field.value_at(position)
        blocked = self.editor.blockSignals(True)
        self.editor.setValue(value)
        self.editor.blockSignals(blocked)
        self._say(value)

    def _say_text(self) -> None:
        text = self.editor.text().strip()
        self._say(text if text or not self.field.optional else None)

    def _say(self, value: Value) -> None:
        if isinstance(value, float):
            value = round(value, 6)
        self.changed.emit(*self.field.name, value)
