"""A mask that was drawn in the window is not lost with it."""

from collections.abc import Iterator
from pathlib import Path

import h5py
import pytest
from messages_by_hand import SHAPE, geometry, shot_image
from PyQt5.QtWidgets import QApplication
from pytestqt.qtbot import QtBot
from test_image_controller import settle
from test_mask_editor import bare_series

from braggwatch.gui.composition import Composition
from braggwatch.gui.controllers.image import ImageController
from braggwatch.gui.controllers.mask_editor import MaskEditorController
from braggwatch.gui.link import Link
from braggwatch.gui.mask_shapes import rectangle
from braggwatch.gui.panels.image import ImagePanel
from braggwatch.processing.detector_settings import DetectorSettings


@pytest.fixture
def opened(qtbot: QtBot, tmp_path: Path) -> Iterator[Composition]:
    with Link("tcp://127.0.0.1:1") as link:
        composition = Composition(link, tmp_path / "config" / "window.json")
        qtbot.addWidget(composition.window)
        composition.open()
        composition.pulse.stop()
        yield composition
        composition.close_at_once()


def draw_in(composition: Composition) -> tuple[ImagePanel, MaskEditorController]:
    (panel,) = (panel for panel, _ in composition.panels if isinstance(panel, ImagePanel))
    (image,) = (one for _, one in composition.panels if isinstance(one, ImageController))
    composition.monitor.take([geometry(), shot_image(1)])
    settle(image)
    panel.toolbar.edit_mask.setChecked(True)
    panel.mask_editor.shape_drawn.emit(rectangle(0, 0, 5, 5), True)
    return panel, composition._mask


def test_a_window_with_an_unsaved_mask_asks_and_stays_until_it_is_saved(opened: Composition, tmp_path: Path) -> None:
    composition = opened
    panel, _ = draw_in(composition)
    panel.toolbar.edit_mask.setChecked(False)
    assert not composition.window.close() and composition.window.isVisible()
    editor = panel.mask_editor
    assert panel.toolbar.edit_mask.isChecked() and editor.discard.isVisibleTo(editor)
    assert editor.message.text == "The mask with 25 masked pixels is not saved."
    editor.save_wanted.emit(str(tmp_path / "mask.h5"))
    assert not composition.window.isVisible() and (tmp_path / "mask.h5").is_file()


def test_a_mask_may_be_discarded_and_who_goes_on_is_not_closed_by_saving_later(
    opened: Composition, tmp_path: Path
) -> None:
    composition = opened
    panel, _ = draw_in(composition)
    composition.window.close()
    panel.mask_editor.stay.click()
    panel.mask_editor.save_wanted.emit(str(tmp_path / "mask.h5"))
    assert composition.window.isVisible()
    panel.mask_editor.shape_drawn.emit(rectangle(0, 0, 9, 9), True)
    assert not composition.window.close()
    panel.mask_editor.discard.click()
    assert not composition.window.isVisible()


def test_who_goes_on_drawing_is_asked_no_more_and_discards_nothing_by_mistake(opened: Composition) -> None:
    panel, controller = draw_in(opened)
    assert not opened.window.close() and panel.mask_editor.is_asking
    panel.mask_editor.shape_drawn.emit(rectangle(0, 0, 9, 9), True)
    assert not panel.mask_editor.is_asking and controller.unsaved


def test_the_question_is_seen_however_small_the_image_is(opened: Composition) -> None:
    panel, _ = draw_in(opened)
    dock = opened.window.docks.by_name["image"]
    dock.setFloating(True)
    dock.resize(300, 170)
    QApplication.processEvents()
    assert panel.mask_editor.height() == 0
    assert not opened.window.close()
    QApplication.processEvents()
    for button in (panel.mask_editor.save_first, panel.mask_editor.discard, panel.mask_editor.stay):
        assert not button.visibleRegion().isEmpty()
    panel.mask_editor.stay.click()
    QApplication.processEvents()
    assert panel.mask_editor.height() == 0


def test_the_mask_of_a_detector_that_is_not_shown_any_more_is_the_one_that_is_saved(
    opened: Composition, tmp_path: Path
) -> None:
    panel, controller = draw_in(opened)
    (image,) = (one for _, one in opened.panels if isinstance(one, ImageController))
    opened.monitor.take([geometry((50, 60)), shot_image(2, shape=(50, 60))])
    settle(image)
    controller.refresh()
    assert not opened.window.close()
    said = "The mask of another detector, of 200 × 240 pixels, with 25 masked pixels is not saved."
    assert panel.mask_editor.message.text == said
    panel.mask_editor.save_wanted.emit(str(tmp_path / "mask.h5"))
    with h5py.File(tmp_path / "mask.h5") as file:
        assert file["mask"].shape == SHAPE and file["mask"][()].sum() == 25
    assert not opened.window.isVisible()


def test_a_mask_that_cannot_be_rescued_is_said_to_be_lost(
    opened: Composition, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    draw_in(opened)
    (tmp_path / "config").write_text("no folder")
    opened.close_at_once()
    assert "the mask that was not saved is lost" in caplog.text and str(tmp_path / "config") in caplog.text


def test_a_window_that_is_closed_by_a_signal_puts_the_mask_where_it_is_found_again(
    opened: Composition, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    composition = opened
    draw_in(composition)
    composition.close_at_once()
    assert not composition.window.isVisible()
    (rescued,) = (tmp_path / "config").glob("unsaved-mask-200x240-*.h5")
    assert str(rescued) in caplog.text
    assert DetectorSettings(mask=str(rescued)).detector(bare_series()).mask.sum() == 25


def test_the_keys_of_the_editor_are_in_the_overview(opened: Composition) -> None:
    composition = opened
    keys = {key: what for _, entries in composition.window.menus.overview() for what, key in entries}
    assert keys["E"] == "Draw a mask, and back" and keys["D"].startswith("Next layer")
    assert keys["Ctrl+Z"] == "Undo in the mask" and keys["Esc"].startswith("Give up")
    panel, _ = draw_in(composition)
    composition.window.menus.by_name["undo mask"].trigger()
    assert panel.mask_editor.counts.text() == "0 px"
    composition.window.menus.by_name["next layer"].trigger()
    assert panel.canvas.layer == "dark"
    composition.window.close()
