"""The mask editor: mouse, undo, files, and that nothing that was drawn is lost silently."""

import time
import tomllib
from pathlib import Path

import h5py
import numpy as np
import pytest
from messages_by_hand import SHAPE, NotingOutbox, detector, geometry, shot_image
from PyQt5.QtCore import QEvent, QPoint, QPointF, Qt
from PyQt5.QtGui import QColor, QImage, QMouseEvent
from PyQt5.QtTest import QTest
from PyQt5.QtWidgets import QApplication
from pytestqt.qtbot import QtBot
from test_image_controller import settle

from braggwatch.gui.controllers.image import ImageController
from braggwatch.gui.controllers.mask_editor import MaskEditorController
from braggwatch.gui.mask_shapes import Polygon, Ring, rectangle
from braggwatch.gui.monitor import Monitor
from braggwatch.gui.panels.image import ImagePanel
from braggwatch.gui.panels.image_colours import edited_colour
from braggwatch.gui.panels.mask_editor import MaskEditor
from braggwatch.processing.detector_settings import DetectorSettings
from braggwatch.processing.frame import Series
from braggwatch.processing.mask_files import save_mask
from braggwatch.streamer.picture_messages import Geometry, SettingsInForce

LEFT, RIGHT, NONE = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton, Qt.MouseButton.NoButton
PRESS, MOVE, RELEASE, TWICE = (
    QEvent.Type.MouseButtonPress, QEvent.Type.MouseMove, QEvent.Type.MouseButtonRelease,
    QEvent.Type.MouseButtonDblClick,
)  # fmt: skip


class Drawing:
    """A panel with its controllers, and a hand on the mouse."""

    def __init__(self, qtbot: QtBot, *messages: object) -> None:
        self.monitor, self.panel = Monitor(NotingOutbox()), ImagePanel()
        qtbot.addWidget(self.panel)
        self.image = ImageController(self.monitor, self.panel)
        self.controller = MaskEditorController(self.monitor, self.panel.mask_editor, self.image)
        self.panel.resize(700, 620)
        self.panel.show()
        self.monitor.take(messages or (geometry(), shot_image(1)))  # type: ignore[arg-type]
        self.settle()
        self.panel.toolbar.edit_mask.setChecked(True)
        self.settle()

    @property
    def editor(self) -> MaskEditor:
        return self.panel.mask_editor

    @property
    def mask(self) -> np.ndarray:
        return next(iter(self.controller._edits.values())).mask

    def settle(self) -> None:
        settle(self.image)
        self.controller.refresh()
        QApplication.processEvents()

    def mouse(self, kind: QEvent.Type, x: float, y: float, button: Qt.MouseButton, buttons: Qt.MouseButton) -> None:
        canvas = self.panel.canvas
        place = QPointF(canvas.mapFromScene(canvas.box.mapViewToScene(QPointF(x, y))))
        event = QMouseEvent(kind, place, button, buttons, Qt.KeyboardModifier.NoModifier)
        QApplication.sendEvent(canvas.viewport(), event)

    def drag(self, x0: float, y0: float, x1: float, y1: float) -> None:
        self.mouse(PRESS, x0, y0, LEFT, LEFT)
        for part in (0.3, 0.6, 1.0):
            time.sleep(0.02)  # pyqtgraph passes over moves that follow each other faster than 100 times a second
            self.mouse(MOVE, x0 + part * (x1 - x0), y0 + part * (y1 - y0), NONE, LEFT)
        self.mouse(RELEASE, x1, y1, LEFT, NONE)
        QApplication.processEvents()

    def click(self, x: float, y: float, button: Qt.MouseButton = LEFT) -> None:
        self.mouse(MOVE, x, y, NONE, NONE)
        self.mouse(PRESS, x, y, button, button)
        self.mouse(RELEASE, x, y, button, NONE)
        QApplication.processEvents()

    def double_click(self, x: float, y: float) -> None:
        self.click(x, y)
        self.mouse(TWICE, x, y, LEFT, LEFT)
        self.mouse(RELEASE, x, y, LEFT, NONE)
        QApplication.processEvents()

    def colour_at(self, x: float, y: float) -> QColor:
        canvas = self.panel.canvas
        place: QPoint = canvas.mapFromScene(canvas.box.mapViewToScene(QPointF(x, y)))
        return QColor(QImage(canvas.grab().toImage()).pixel(place))


@pytest.fixture
def drawing(qtbot: QtBot) -> Drawing:
    return Drawing(qtbot)


def within(mask: np.ndarray, expected: np.ndarray, edge: int) -> bool:
    """Whether two masks are the same but for `edge` pixels: the mouse moves by pixels of the screen."""
    return int(np.count_nonzero(mask != expected)) <= edge


def disc(x: float, y: float, radius: float, inner: float = 0.0) -> np.ndarray:
    ss, fs = np.indices(SHAPE) + 0.5
    distance = np.hypot(fs - x, ss - y)
    return np.asarray((distance <= radius) & (distance >= inner))


# -- drawing ------------------------------------------------------------------------------------------------------


def test_a_drag_masks_a_rectangle_which_is_seen_in_a_colour_of_its_own(drawing: Drawing) -> None:
    drawing.drag(50.0, 40.0, 90.0, 60.0)
    expected = np.zeros(SHAPE, bool)
    expected[40:60, 50:90] = True
    assert expected.sum() > 0 and within(drawing.mask, expected, 130)
    blue, plain = drawing.colour_at(70, 50), drawing.colour_at(120, 50)
    assert blue.blue() > blue.red() + 60 and abs(plain.blue() - plain.red()) < 10
    assert edited_colour("inverted grey") == "#0072B2"


def test_a_click_with_the_rectangle_masks_the_pixel_under_it_and_takes_it_off_again(drawing: Drawing) -> None:
    drawing.panel.canvas.box.setRange(xRange=(100, 120), yRange=(50, 66), padding=0)
    drawing.panel.canvas.box.sigRangeChangedManually.emit([True, True])
    drawing.click(110.5, 58.5)
    assert np.argwhere(drawing.mask).tolist() == [[58, 110]]
    drawing.editor.toolbar.take_off.trigger()
    drawing.click(110.5, 58.5)
    assert not drawing.mask.any()


def test_a_circle_that_begins_near_the_beam_begins_at_the_beam(drawing: Drawing) -> None:
    drawing.editor.toolbar.choose_tool("circle")
    drawing.drag(121.5, 101.0, 150.0, 100.0)
    assert within(drawing.mask, disc(120.0, 100.0, 30.0), 110)
    drawing.editor.clear_wanted.emit()
    drawing.drag(60.0, 50.0, 80.0, 50.0)
    assert within(drawing.mask, disc(60.0, 50.0, 20.0), 90)


def test_a_ring_takes_a_drag_and_a_click(drawing: Drawing) -> None:
    drawing.editor.toolbar.choose_tool("ring")
    drawing.drag(60.0, 80.0, 100.0, 80.0)
    assert not drawing.mask.any()
    drawing.click(85.0, 80.0)
    assert within(drawing.mask, disc(60.0, 80.0, 40.0, 25.0), 220)


def test_a_polygon_takes_clicks_a_right_click_takes_a_corner_back_and_a_double_click_closes_it(
    drawing: Drawing,
) -> None:
    drawing.editor.toolbar.choose_tool("polygon")
    drawing.panel.canvas.box.setRange(xRange=(0, 200), yRange=(0, 160), padding=0)
    drawing.panel.canvas.box.sigRangeChangedManually.emit([True, True])
    width = drawing.panel.canvas.box.viewRect().width()
    for x, y in ((20.0, 20.0), (100.0, 20.0), (180.0, 150.0)):
        drawing.click(x, y)
    drawing.click(150.0, 150.0, RIGHT)
    drawing.double_click(100.0, 120.0)
    ss, fs = np.indices(SHAPE) + 0.5
    expected = (fs >= 20) & (fs <= 100) & (ss >= 20) & (ss - 20 <= (fs - 20) * 100 / 80)
    assert expected.sum() > 3000 and within(drawing.mask, expected, 260)
    assert drawing.panel.canvas.box.viewRect().width() == pytest.approx(width, rel=0.02), "and fits no picture"


def test_escape_gives_up_the_shape_then_the_tool_and_a_polygon_of_four_corners_is_called_one(drawing: Drawing) -> None:
    editor = drawing.editor
    editor.toolbar.choose_tool("polygon")
    for x, y in ((20.0, 20.0), (100.0, 20.0)):
        drawing.click(x, y)
    editor.give_up()
    for x, y in ((100.0, 30.0), (180.0, 40.0), (180.0, 140.0)):
        drawing.click(x, y)
    drawing.monitor.take([shot_image(2)])
    drawing.settle()  # what is begun survives the next shot
    drawing.double_click(110.0, 120.0)
    assert 6000 < drawing.mask.sum() < 9000 and not drawing.mask[:, :95].any()
    assert editor.toolbar.undo.toolTip() == "Undo: polygon (Ctrl+Z)"
    editor.give_up()
    view = drawing.panel.canvas.box.viewRect()
    drawing.drag(100.0, 100.0, 60.0, 80.0)
    assert drawing.panel.canvas.box.viewRect() != view, "a drag moves the picture again"


def test_while_a_tool_is_chosen_the_wheel_and_without_one_a_drag_still_move_the_picture(drawing: Drawing) -> None:
    drawing.editor.toolbar.choose_tool("move")
    view = drawing.panel.canvas.box.viewRect()
    drawing.drag(100.0, 100.0, 60.0, 80.0)
    assert drawing.panel.canvas.box.viewRect() != view and not drawing.mask.any()
    drawing.editor.toolbar.choose_tool("circle")
    drawing.panel.toolbar.edit_mask.setChecked(False)
    drawing.drag(100.0, 100.0, 60.0, 80.0)
    assert not drawing.mask.any(), "the editor is put away"


def test_pixels_above_a_value_of_the_shot_are_masked(drawing: Drawing) -> None:
    drawing.editor.toolbar.choose_tool("threshold")
    assert drawing.editor.unit.text() == "ADU of the image"
    drawing.editor.limit.setValue(9.0)
    QTest.keyClick(drawing.editor.limit, Qt.Key.Key_Return)
    deadline = 0
    while not drawing.mask.any() and deadline < 500:
        drawing.settle()
        deadline += 1
    pixels = np.random.default_rng(1).poisson(5.0, SHAPE)
    assert np.array_equal(drawing.mask, pixels > 9)
    assert drawing.editor.message.text.endswith("pixels added to the mask.")


def test_undo_redo_clear_and_how_the_mask_stands_are_seen(drawing: Drawing) -> None:
    bar = drawing.editor.toolbar
    assert not bar.undo.isEnabled() and drawing.editor.counts.text() == "0 px"
    drawing.editor.shape_drawn.emit(rectangle(10, 10, 20, 20), True)
    assert (
        drawing.editor.counts.text() == "100 px · 0.208 % · not saved"
        and bar.undo.toolTip() == "Undo: rectangle (Ctrl+Z)"
    )
    drawing.editor.shape_drawn.emit(Ring(60, 60, 0, 10), True)
    bar.undo.trigger()
    assert drawing.mask.sum() == 100 and bar.redo.toolTip() == "Redo: circle (Ctrl+Shift+Z)"
    bar.redo.trigger()
    bar.clear.trigger()
    assert not drawing.mask.any()
    bar.undo.trigger()
    assert drawing.mask.sum() > 400


def test_what_is_masked_already_can_be_taken_over(qtbot: QtBot) -> None:
    masked = np.zeros(SHAPE, bool)
    masked[7, 8] = masked[100:110, 50:60] = True
    drawing = Drawing(qtbot, Geometry.of("run-1", 1, detector().with_mask(masked)), shot_image(1))
    drawing.editor.toolbar.masked_now.trigger()
    assert np.array_equal(drawing.mask, masked)
    drawing.editor.toolbar.invert.trigger()
    assert np.array_equal(drawing.mask, ~masked)


def test_shapes_that_are_none_are_a_sentence(drawing: Drawing) -> None:
    drawing.editor.shape_drawn.emit(Polygon(np.full((3, 2), np.nan)), True)
    assert drawing.editor.message.text == "A corner of the polygon is no number."
    drawing.editor.shape_drawn.emit(Ring(-500.0, -500.0, 0.0, 5.0), True)
    assert drawing.editor.message.text.startswith("No pixel changed")


# -- files --------------------------------------------------------------------------------------------------------


def bare_series() -> Series:
    return Series(
        key="k", number=1, shape=SHAPE, dtype="uint16", photon_energy=9000.0, distance=0.1, beam_center=(120.0, 100.0),
        pixel_size=(75e-6, 75e-6),
    )  # fmt: skip


def test_a_mask_is_saved_and_the_line_that_is_said_makes_the_processor_use_it(drawing: Drawing, tmp_path: Path) -> None:
    drawing.editor.shape_drawn.emit(Ring(60, 60, 0, 10), True)
    drawing.editor.save_wanted.emit(str(tmp_path / 'beam "stop'))
    assert drawing.editor.counts.text().endswith("%") and not drawing.controller.unsaved
    assert drawing.editor.message.text == "Saved. Into the table [detector] of the settings file:"
    drawing.editor.copy.click()
    clipboard = QApplication.clipboard()
    assert clipboard is not None
    table = tomllib.loads(f"[detector]\n{clipboard.text()}")["detector"]
    assert table == {"mask": f'{tmp_path}/beam "stop.h5:/mask'}
    assert np.array_equal(DetectorSettings(**table).detector(bare_series()).mask, drawing.mask)


def test_settings_that_would_read_the_mask_otherwise_or_have_another_are_named(
    drawing: Drawing, tmp_path: Path
) -> None:
    text = '[detector]\nmask = "/old/mask.h5"\nmask_good = 1\n'
    drawing.monitor.take([SettingsInForce(version=2, time=0.0, text=text)])
    drawing.editor.shape_drawn.emit(Ring(60, 60, 0, 10), True)
    drawing.editor.save_wanted.emit(str(tmp_path / "mask.h5"))
    assert drawing.editor.message.text == (
        "Saved. Into the table [detector], in place of /old/mask.h5; take mask_good and mask_bad out, here 1 is bad:"
    )


def test_a_mask_that_was_saved_is_gone_on_with(drawing: Drawing, tmp_path: Path, qtbot: QtBot) -> None:
    drawing.editor.shape_drawn.emit(Ring(60, 60, 0, 10), True)
    drawing.editor.save_wanted.emit(str(tmp_path / "mask.h5"))
    saved = drawing.mask.copy()
    again = Drawing(qtbot)
    again.editor.load_wanted.emit(str(tmp_path / "mask.h5"))
    assert np.array_equal(again.mask, saved) and not again.controller.unsaved
    assert again.editor.message.text == f"Loaded mask.h5: {saved.sum()} of 48\u2009000 pixels masked."
    again.editor.shape_drawn.emit(rectangle(0, 0, 5, 5), True)
    assert again.controller.unsaved
    again.editor.undo_wanted.emit()
    assert not again.controller.unsaved
    again.editor.undo_wanted.emit()
    assert not again.mask.any()


def test_a_file_where_most_pixels_are_masked_may_mean_the_others(drawing: Drawing, tmp_path: Path) -> None:
    save_mask(tmp_path / "good.h5", np.ones(SHAPE, bool), "a test")
    drawing.editor.load_wanted.emit(str(tmp_path / "good.h5"))
    assert drawing.editor.message.text.endswith("if this file has 1 where a pixel is good, invert it.")


@pytest.mark.parametrize("what", ["missing", "text", "other shape", "pickle"])
def test_a_file_that_is_no_mask_is_refused_with_a_sentence(drawing: Drawing, tmp_path: Path, what: str) -> None:
    path = tmp_path / ("mask.pickle" if what == "pickle" else "mask.h5")
    if what == "text":
        path.write_text("no mask")
    elif what == "other shape":
        with h5py.File(path, "w") as file:
            file["mask"] = np.zeros((3, 4), np.uint8)
    drawing.editor.shape_drawn.emit(rectangle(0, 0, 5, 5), True)
    drawing.editor.load_wanted.emit(str(path))
    assert drawing.editor.message.text.startswith("This mask cannot be loaded: ")
    assert drawing.mask.sum() == 25


def test_a_mask_that_cannot_be_written_stays_unsaved_and_that_is_said(drawing: Drawing, tmp_path: Path) -> None:
    drawing.editor.shape_drawn.emit(rectangle(0, 0, 5, 5), True)
    drawing.editor.save_wanted.emit(str(tmp_path / "nowhere" / "mask.h5"))
    assert drawing.editor.message.text.startswith("The mask could not be written to ")
    assert drawing.controller.unsaved


# -- nothing is lost ----------------------------------------------------------------------------------------------


def test_a_mask_stays_while_shots_go_by_the_editor_is_closed_and_another_detector_is_shown(drawing: Drawing) -> None:
    drawing.editor.shape_drawn.emit(rectangle(0, 0, 5, 5), True)
    drawing.monitor.take([shot_image(2)])
    drawing.settle()
    drawing.panel.toolbar.edit_mask.setChecked(False)
    assert drawing.controller.unsaved
    drawing.panel.toolbar.edit_mask.setChecked(True)
    drawing.monitor.take([geometry((50, 60)), shot_image(3, shape=(50, 60))])
    drawing.settle()
    assert drawing.editor.counts.text() == "0 px" and drawing.controller.unsaved
    drawing.monitor.take([geometry(), shot_image(4)])
    drawing.settle()
    assert drawing.editor.counts.text().startswith("25 px") and drawing.mask.sum() == 25


def test_an_editor_that_waited_for_a_picture_says_what_to_do_once_it_is_there(qtbot: QtBot) -> None:
    drawing = Drawing(qtbot, Geometry.of("run-1", 1, detector()))
    assert drawing.editor.message.text == "Waiting for a picture to draw on."
    drawing.monitor.take([geometry(), shot_image(1)])
    drawing.settle()
    assert drawing.editor.message.text.startswith("Drag from corner to corner")


def test_how_many_pixels_are_masked_is_seen_in_a_narrow_dock_too(drawing: Drawing) -> None:
    editor = drawing.editor
    editor.shape_drawn.emit(rectangle(0, 0, 100, 100), True)
    for width, text in ((700, "10\u2009000 px · 20.8 % · not saved"), (560, "20.8 % · not saved")):
        drawing.panel.resize(width, 620)
        QApplication.processEvents()
        assert editor.counts.text() == text
        needed = editor.counts.fontMetrics().horizontalAdvance(text)
        assert editor.counts.isVisible() and editor.rect().contains(editor.counts.geometry())
        assert editor.counts.contentsRect().width() >= needed
    assert editor.toolbar.width() >= editor.toolbar.full_width, "and hides no button"
