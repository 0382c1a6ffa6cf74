"""The mask editor inside the image panel: tools, a line that says what they do, and the mask over the picture."""

from collections.abc import Callable

from PyQt5.QtCore import Qt, pyqtSignal
from PyQt5.QtGui import QResizeEvent
from PyQt5.QtWidgets import (
    QApplication,
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from braggwatch.gui.controllers.mask_editor_view import MaskState
from braggwatch.gui.image_layers import Layer
from braggwatch.gui.mask_picture import MaskPicture
from braggwatch.gui.panels.fitting_label import FittingLabel
from braggwatch.gui.panels.image_canvas import ImageCanvas
from braggwatch.gui.panels.image_colours import edited_colour
from braggwatch.gui.panels.mask_pen import HINTS, MaskPen, Tool
from braggwatch.gui.panels.mask_toolbar import MaskToolbar
from braggwatch.gui.theme import AXIS_PX, SPACE, Theme
from braggwatch.streamer.wording import count

_LIMIT_PX = 140
_LARGEST = 1e9
"""Of a threshold, in the unit of the layer."""


class MaskEditor(QWidget):
    """Draws on an image canvas; decides nothing."""

    opened = pyqtSignal(bool)
    shape_drawn = pyqtSignal(object, bool)
    """A shape, and whether its pixels are added or taken off."""
    threshold_wanted = pyqtSignal(float, bool, bool)
    """The limit, whether what is below it is meant, and whether it is added."""
    undo_wanted = pyqtSignal()
    redo_wanted = pyqtSignal()
    clear_wanted = pyqtSignal()
    invert_wanted = pyqtSignal()
    masked_now_wanted = pyqtSignal()
    load_wanted = pyqtSignal(str)
    save_wanted = pyqtSignal(str)
    discard_wanted = pyqtSignal()
    stay_wanted = pyqtSignal()
    asking_changed = pyqtSignal()
    """`is_asking` may be another."""

    def __init__(self, canvas: ImageCanvas) -> None:
        super().__init__()
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._canvas = canvas
        self._tool: Tool = "rectangle"
        self.pen = MaskPen(canvas.box)
        self.toolbar = MaskToolbar()
        self._counts = "", ""
        self.counts = QLabel()
        self.counts.setToolTip("Pixels of the mask that is drawn here, of all pixels of the image array")
        self.message = FittingLabel(quiet=True)
        self.setting = QLineEdit()
        self.setting.setReadOnly(True)
        self.setting.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setting.setToolTip(
            "For the table [detector] of the processor's settings file; the processor must be able to read this path"
        )
        self.copy = QPushButton("Copy")
        self._setting_row = _row(self.setting, self.copy)
        self.side, self.limit, self.unit = QComboBox(), QDoubleSpinBox(), QLabel("ADU")
        self.side.addItems(["below", "above"])
        self.side.setCurrentIndex(1)
        self.limit.setRange(-_LARGEST, _LARGEST)
        self.limit.setDecimals(3)
        for widget in (self.limit, self.unit):
            widget.setMinimumWidth(24)
        self.limit.setMaximumWidth(_LIMIT_PX)
        self.limit.setToolTip("Pixels whose value in what is shown lies beyond this")
        self.find = QPushButton("Apply")
        self._threshold_row = _row(QLabel("Pixels"), self.side, self.limit, self.unit, self.find)
        self.save_first, self.discard, self.stay = QPushButton("Save …"), QPushButton("Discard"), QPushButton("Go on")
        self._question_row = _row(self.save_first, self.discard, self.stay)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, SPACE // 2)
        layout.setSpacing(2)
        first = QHBoxLayout()
        first.addWidget(self.toolbar, 1)
        first.addWidget(self.counts)
        layout.addLayout(first)
        line = QHBoxLayout()
        line.setContentsMargins(SPACE, 0, SPACE, 0)
        line.addWidget(self.message)
        layout.addLayout(line)
        for row in (self._threshold_row, self._setting_row, self._question_row):
            row.hide()
            layout.addWidget(row)
        self._connect()
        self.set_layer(Layer())
        self.hide()

    def _connect(self) -> None:
        bar = self.toolbar
        for action, signal in (
            (bar.undo, self.undo_wanted), (bar.redo, self.redo_wanted), (bar.clear, self.clear_wanted),
            (bar.invert, self.invert_wanted), (bar.masked_now, self.masked_now_wanted),
        ):  # fmt: skip
            action.triggered.connect(lambda _checked, wanted=signal: wanted.emit())
        bar.tool_chosen.connect(self._take_tool)
        bar.load.triggered.connect(self._ask_which)
        bar.save.triggered.connect(self._ask_where)
        self.pen.drawn.connect(lambda shape: self.shape_drawn.emit(shape, self._adds))
        self._canvas.pointed.connect(self.pen.move)
        self.find.clicked.connect(self._want_threshold)
        if (line := self.limit.lineEdit()) is not None:
            line.returnPressed.connect(self.find.click)
        self.copy.clicked.connect(self._copy_setting)
        self.save_first.clicked.connect(self._ask_where)
        self.discard.clicked.connect(self.discard_wanted)
        self.stay.clicked.connect(self.stay_wanted)

    # -- what the controller says -------------------------------------------------------------------------------

    def set_mask(self, picture: MaskPicture | None) -> None:
        """Show the mask over the picture."""
        self._canvas.set_mask_picture(picture)

    def set_state(self, state: MaskState) -> None:
        """Say how the mask stands."""
        bar = self.toolbar
        part = f" · {100 * state.n_masked / state.n_pixels:.3g} %" if state.n_pixels and state.n_masked else ""
        unsaved = " · not saved" if state.unsaved else ""
        short = part.removeprefix(" · ") or "0 px"
        self._counts = f"{count(state.n_masked)} px{part}{unsaved}", f"{short}{unsaved}"
        self._write_counts()
        for action, what, name, key in (
            (bar.undo, state.undoable, "Undo", "Ctrl+Z"), (bar.redo, state.redoable, "Redo", "Ctrl+Shift+Z"),
        ):  # fmt: skip
            action.setEnabled(bool(what))
            action.setToolTip(f"{name}: {what or 'nothing'} ({key})")
        for action in (bar.clear, bar.save):
            action.setEnabled(state.n_masked > 0)
        for action in (bar.invert, bar.load, bar.masked_now):
            action.setEnabled(state.n_pixels > 0)

    def set_message(self, text: str, setting: str = "") -> None:
        """Say a sentence, and below it the line of a settings file, which can be copied."""
        self.message.set_texts(text)
        self.message.set_tone("quiet")
        self.message.setToolTip(text)
        self.setting.setText(setting)
        self.setting.setCursorPosition(0)
        self._setting_row.setVisible(bool(setting))

    def ask_before_closing(self, text: str) -> None:
        """Ask whether to save, to discard or to go on."""
        self.set_message(text)
        self.message.set_tone("alarm")
        self._question_row.show()
        self.asking_changed.emit()

    def stop_asking(self) -> None:
        """Take that question back."""
        self._question_row.hide()
        self.asking_changed.emit()

    @property
    def is_asking(self) -> bool:
        """Whether the question must be seen, however little room there is."""
        return not self._question_row.isHidden()

    def say_what_to_do(self) -> None:
        """Say how the chosen tool is used."""
        self.set_message(HINTS[self._tool])

    # -- what the panel says ------------------------------------------------------------------------------------

    def open(self, wanted: bool) -> None:
        """Open the editor, or put it away with its mask, which is kept."""
        if wanted == self.isVisibleTo(self.parentWidget()):
            return
        self.setVisible(wanted)
        self.stop_asking()
        self.pen.set_tool(self._tool if wanted else "move")
        if wanted:
            self.toolbar.choose_tool(self._tool)
            self.say_what_to_do()
        self.opened.emit(wanted)

    def give_up(self) -> None:
        """Give up the shape that was begun, or where none was, the tool; the window's keys work again."""
        if self.pen.has_begun:
            self.pen.give_up()
        elif self.isVisibleTo(self.parentWidget()):
            self.toolbar.choose_tool("move")
        self._canvas.setFocus()

    def set_layer(self, layer: Layer) -> None:
        """Say which values a threshold is of."""
        self.unit.setText(f"{layer.unit} of the {layer.kind}")
        has_values = layer.kind != "mask"
        self.find.setEnabled(has_values)
        self.find.setToolTip("" if has_values else "The mask has no values: choose another layer (D)")

    def set_beam(self, beam: tuple[float, float] | None) -> None:
        """Say where the beam meets the picture."""
        self.pen.beam = beam

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        self.toolbar.set_theme(theme)
        self.message.set_theme(theme)
        self.setStyleSheet(
            f"MaskEditor {{ background: {theme.panel}; border-bottom: 1px solid {theme.line} }}"
            f"QLabel, QComboBox, QDoubleSpinBox, QPushButton, QLineEdit {{ font-size: {AXIS_PX}px }}"
            f"QLabel {{ color: {theme.text} }}"
        )
        self.counts.setContentsMargins(SPACE // 2, 0, SPACE, 0)
        self.set_colour()

    def set_colour(self) -> None:
        """Take the colour that stands out of the picture's."""
        self.pen.set_colour(edited_colour(self._canvas.colour_map))

    # -- the rest -----------------------------------------------------------------------------------------------

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Say as much as there is room for."""
        super().resizeEvent(event)
        self._write_counts()

    def _write_counts(self) -> None:
        """Say how many pixels are masked, in short where the buttons need the room."""
        text, short = self._counts
        room = self.width() - self.toolbar.full_width - 2 * SPACE
        self.counts.setText(text if self.counts.fontMetrics().horizontalAdvance(text) <= room else short)

    @property
    def _adds(self) -> bool:
        return bool(self.toolbar.add.isChecked())

    def _take_tool(self, tool: Tool) -> None:
        self._tool = tool
        self.pen.set_tool(tool)
        self._threshold_row.setVisible(tool == "threshold")
        self.say_what_to_do()

    def _want_threshold(self) -> None:
        self.limit.interpretText()
        self.threshold_wanted.emit(self.limit.value(), self.side.currentIndex() == 0, self._adds)

    def _copy_setting(self) -> None:
        if (clipboard := QApplication.clipboard()) is not None:
            clipboard.setText(self.setting.text())

    def _ask_where(self) -> None:
        dialog = QFileDialog(self, "Save the mask", "mask.h5", "Masks (*.h5)")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        self._show(dialog, self.save_wanted.emit)

    def _ask_which(self) -> None:
        dialog = QFileDialog(self, "Go on with a mask", "", "Masks (*.h5 *.hdf5 *.npy);;All files (*)")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        self._show(dialog, self.load_wanted.emit)

    def _show(self, dialog: QFileDialog, then: Callable[[str], None]) -> None:
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(then)
        dialog.show()  # not modal: data flow on


def _row(*widgets: QWidget) -> QWidget:
    row = QWidget()
    layout = QHBoxLayout(row)
    layout.setContentsMargins(SPACE, 0, SPACE, 0)
    layout.setSpacing(SPACE // 2)
    for widget in widgets:
        layout.addWidget(widget, 1 if isinstance(widget, QLineEdit) else 0)
    if not any(isinstance(widget, QLineEdit) for widget in widgets):
        layout.addStretch(1)
    return row
