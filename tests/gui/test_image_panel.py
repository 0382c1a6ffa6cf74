"""The image panel on a screen that is none."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from messages_by_hand import NotingOutbox, geometry, shot_image
from PyQt5.QtCore import QEvent, QPoint, QPointF, Qt
from PyQt5.QtGui import QColor, QImage, QMouseEvent, QWheelEvent
from PyQt5.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from braggwatch.gui.controllers.image import ImageController
from braggwatch.gui.image_levels import Levels
from braggwatch.gui.monitor import Monitor
from braggwatch.gui.panels.image import ImagePanel
from braggwatch.gui.theme import DARK, LIGHT

Shown = tuple[Monitor, ImagePanel, ImageController]


@pytest.fixture
def shown(qtbot: QtBot) -> Callable[..., Shown]:
    def show(*messages: object, size: tuple[int, int] = (600, 500)) -> Shown:
        monitor, panel = Monitor(NotingOutbox()), ImagePanel()
        qtbot.addWidget(panel)
        controller = ImageController(monitor, panel)
        panel.resize(*size)
        panel.show()
        monitor.take(messages)  # type: ignore[arg-type]
        settle(controller)
        return monitor, panel, controller

    return show


def settle(controller: ImageController) -> None:
    deadline = time.monotonic() + 60
    controller.refresh()
    while controller.preparing or controller.stale:
        assert time.monotonic() < deadline
        time.sleep(0.002)
        controller.refresh()
    QApplication.processEvents()


def screen_place(panel: ImagePanel, x: float, y: float) -> QPoint:
    """Return where on the canvas a point of the picture is seen."""
    return panel.canvas.mapFromScene(panel.canvas.box.mapViewToScene(QPointF(x, y)))


def colour_at(panel: ImagePanel, x: float, y: float) -> str:
    image = QImage(panel.canvas.grab().toImage())
    return str(QColor(image.pixel(screen_place(panel, x, y))).name())


def bare(panel: ImagePanel) -> None:
    """Take all overlays away."""
    panel.toolbar.spots.toggle()
    panel.toolbar.predicted.toggle()
    panel.toolbar.rings.toggle()
    panel.toolbar.centre.toggle()


def test_each_pixel_is_seen_in_the_shade_of_its_value(shown: Callable[..., Shown]) -> None:
    _, panel, _ = shown(geometry(), shot_image(1))
    bare(panel)
    pixels = np.random.default_rng(1).poisson(5.0, (200, 240))
    panel.plot.levels_dragged.emit(0.0, 20.0)
    panel.canvas.box.setRange(xRange=(100, 120), yRange=(50, 66), padding=0)
    panel.canvas.box.sigRangeChangedManually.emit([True, True])
    for x, y in ((103, 52), (110, 60), (118, 64)):
        grey = QColor(colour_at(panel, x + 0.1, y + 0.1)).red()
        assert grey == pytest.approx(255 * (1 - pixels[y, x] / 20.0), abs=3)


def test_marks_are_seen_where_the_spots_are(shown: Callable[..., Shown]) -> None:
    _, panel, _ = shown(geometry(), shot_image(1))
    spots = panel.canvas.overlays.indexed.getData()
    random = np.random.default_rng(1)
    assert np.allclose(spots[0], random.uniform(0, 240, 40)[:20], atol=1e-4)
    assert len(panel.canvas.overlays.found.getData()[0]) == 20
    assert len(panel.canvas.overlays.predicted.getData()[0]) > 5


def test_keys_show_and_hide_each_overlay(shown: Callable[..., Shown]) -> None:
    _, panel, _ = shown(geometry(), shot_image(1))
    overlays = panel.canvas.overlays
    for toggle, item in (
        (panel.toolbar.spots.toggle, overlays.found), (panel.toolbar.spots.toggle, overlays.indexed),
        (panel.toolbar.predicted.toggle, overlays.predicted), (panel.toolbar.rings.toggle, overlays.ring_lines),
        (panel.toolbar.centre.toggle, overlays.centre), (panel.toolbar.rings.toggle, overlays.ring_labels[0]),
    ):  # fmt: skip
        assert item.isVisible()
        toggle()
        assert not item.isVisible()
        toggle()
    assert panel.canvas.mask_shown
    panel.toolbar.mask.toggle()
    assert not panel.canvas.mask_shown


def test_the_zoom_stays_when_another_shot_comes_and_fits_when_the_shape_changes(shown: Callable[..., Shown]) -> None:
    monitor, panel, controller = shown(geometry(), shot_image(1))
    wheel(panel, 100, 100, 5)
    before = panel.canvas.box.viewRect()
    monitor.take([shot_image(2)])
    settle(controller)
    assert panel.canvas.box.viewRect() == before
    monitor.take([geometry((50, 60)), shot_image(3, shape=(50, 60))])
    settle(controller)
    assert panel.canvas.box.viewRect().contains(30.0, 25.0) and panel.canvas.box.viewRect().height() < 60


def wheel(panel: ImagePanel, x: float, y: float, notches: int) -> None:
    canvas = panel.canvas
    place = QPointF(screen_place(panel, x, y))
    event = QWheelEvent(
        place, canvas.viewport().mapToGlobal(place.toPoint()), QPoint(), QPoint(0, 120 * notches),
        Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(canvas.viewport(), event)


def test_the_wheel_zooms_at_the_cursor_and_a_double_click_fits(shown: Callable[..., Shown]) -> None:
    _, panel, _ = shown(geometry(), shot_image(1))
    whole = panel.canvas.box.viewRect()
    place = screen_place(panel, 60.0, 150.0)
    wheel(panel, 60.0, 150.0, 4)
    assert panel.canvas.box.viewRect().width() < 0.8 * whole.width()
    moved = screen_place(panel, 60.0, 150.0) - place
    assert abs(moved.x()) <= 2 and abs(moved.y()) <= 2
    press, release, twice = (
        QEvent.Type.MouseButtonPress, QEvent.Type.MouseButtonRelease, QEvent.Type.MouseButtonDblClick,
    )  # fmt: skip
    for kind in (press, release, twice, release):
        button = Qt.MouseButton.LeftButton
        QApplication.sendEvent(
            panel.canvas.viewport(), QMouseEvent(kind, QPointF(place), button, button, Qt.KeyboardModifier.NoModifier)
        )
    QApplication.processEvents()
    assert panel.canvas.box.viewRect().width() == pytest.approx(whole.width(), rel=0.01)


def test_a_picture_that_fits_goes_on_to_fit_when_the_panel_changes_its_size(shown: Callable[..., Shown]) -> None:
    _, panel, _ = shown(geometry(), shot_image(1))
    panel.resize(300, 600)
    QApplication.processEvents()
    view = panel.canvas.box.viewRect()
    assert view.contains(0.1, 0.1) and view.contains(239.9, 199.9) and view.width() < 260


def test_what_is_under_the_cursor_is_said(shown: Callable[..., Shown]) -> None:
    _, panel, _ = shown(geometry(), shot_image(1))
    panel.canvas.scene().sigMouseMoved.emit(panel.canvas.box.mapViewToScene(QPointF(239.5, 0.5)))
    value = np.random.default_rng(1).poisson(5.0, (200, 240))[0, 239]
    assert panel.readout.text().startswith(f"{value} ADU · fs 239.5 ss 0.5 · panel p0 · ")


def test_levels_dragged_on_the_histogram_stay_until_automatic_ones_are_wanted(shown: Callable[..., Shown]) -> None:
    monitor, panel, controller = shown(geometry(), shot_image(1))
    panel.plot.levels_dragged.emit(3.0, 11.0)
    assert panel.canvas.levels == Levels(3.0, 11.0)
    monitor.take([shot_image(2)])
    settle(controller)
    assert panel.canvas.levels == Levels(3.0, 11.0)
    panel.auto_levels()
    assert panel.canvas.levels.low < 3.0 and panel.canvas.levels.high > 11.0


def test_levels_chosen_by_hand_come_back_for_images_of_the_same_shape(shown: Callable[..., Shown]) -> None:
    _, panel, _ = shown(geometry(), shot_image(1))
    assert "levels" not in panel.chosen()
    panel.plot.levels_dragged.emit(3.0, 11.5)
    left = panel.chosen()

    monitor, again, controller = shown()
    again.choose(left)
    assert again.chosen() == left, "they are not lost where no image comes"
    monitor.take([geometry(), shot_image(2)])
    settle(controller)
    low, high = again.canvas.levels.low, again.canvas.levels.high
    assert (low, high) == pytest.approx((3.0, 11.5), rel=1e-6)
    again.auto_levels()
    assert "levels" not in again.chosen()

    shape = (100, 120)
    monitor, other, controller = shown()
    other.choose(left)
    monitor.take([geometry(shape), shot_image(2, shape=shape)])
    settle(controller)
    assert other.canvas.manual is None and "levels" not in other.chosen()


@pytest.mark.parametrize("text", ["", "3 11", "3 eleven 200 240", "nan 11 200 240", "0 inf 200 240", "1 2 3.5 4"])
def test_levels_that_make_no_sense_are_left_out(shown: Callable[..., Shown], text: str) -> None:
    monitor, panel, controller = shown()
    panel.choose({"levels": text})
    monitor.take([geometry(), shot_image(1)])
    settle(controller)
    assert panel.canvas.manual is None


def test_the_histogram_is_shown_when_wanted_and_has_the_levels_in_force(shown: Callable[..., Shown]) -> None:
    _, panel, _ = shown(geometry(), shot_image(1))
    assert not panel.plot.isVisible()
    panel.toolbar.histogram.setChecked(True)
    assert panel.plot.isVisible()
    low, high = panel.plot.levels()
    assert (low, high) == pytest.approx((panel.canvas.levels.low, panel.canvas.levels.high), abs=1e-6)


def test_the_logarithmic_scale_lifts_weak_pixels_and_goes_again(shown: Callable[..., Shown]) -> None:
    _, panel, _ = shown(geometry(), shot_image(1))
    panel.canvas.manual = Levels(0.0, 1000.0)
    panel.canvas.redraw()
    assert panel.canvas.drawing is not None
    linear = int(panel.canvas.drawing.colours.max())
    panel.toggle_log()
    assert panel.canvas.drawing.colours.max() > linear
    panel.toggle_log()
    assert panel.canvas.drawing.colours.max() == linear


def test_pixels_that_are_large_on_the_screen_show_their_values(shown: Callable[..., Shown]) -> None:
    _, panel, _ = shown(geometry(), shot_image(1))
    bare(panel)
    panel.plot.levels_dragged.emit(100.0, 200.0)  # so that all pixels are white
    panel.canvas.box.setRange(xRange=(100, 110), yRange=(50, 58), padding=0)
    panel.canvas.box.sigRangeChangedManually.emit([True, True])
    left, right = (screen_place(panel, x, 54.5) for x in (104.0, 105.0))
    row = panel.canvas.grab().toImage()
    middle = [QColor(row.pixel(x, left.y())).red() for x in range(left.x() + 2, right.x() - 2)]
    assert min(middle) < 128 < max(middle)
    panel.fit()
    assert panel.canvas.drawing is not None and len(panel.canvas.drawing.colours) > 150


def test_the_picture_is_saved_with_its_overlays_and_trouble_is_said(
    shown: Callable[..., Shown], tmp_path: Path, qtbot: QtBot
) -> None:
    _, panel, _ = shown(geometry(), shot_image(1))
    panel.export.save(tmp_path / "shot")
    saved = QImage(str(tmp_path / "shot.png"))
    colours = {QColor(saved.pixel(x, y)).name() for x in range(saved.width()) for y in range(saved.height())}
    assert saved.width() == 600 and DARK.indexed.lower() in colours
    with qtbot.waitSignal(panel.trouble) as said:
        panel.export.save(tmp_path / "no folder" / "shot.png")
    assert "could not be written" in said.args[0]


def test_the_picture_is_copied(shown: Callable[..., Shown]) -> None:
    _, panel, _ = shown(geometry(), shot_image(1))
    panel.export.copy()
    clipboard = QApplication.clipboard()
    assert clipboard is not None and clipboard.pixmap().width() == 600


def test_the_number_of_a_frame_can_be_typed(shown: Callable[..., Shown], qtbot: QtBot) -> None:
    monitor, panel, controller = shown(geometry(), shot_image(1204), shot_image(1300))
    assert panel.toolbar.number.text() == "1\u2009300"
    panel.toolbar.number.setText("1 204")
    panel.toolbar.number.returnPressed.emit()
    settle(controller)
    assert monitor.shot is not None and monitor.shot.result.number == 1204 and not monitor.live
    panel.toolbar.number.setText("twelve")
    panel.toolbar.number.returnPressed.emit()
    assert monitor.shot.result.number == 1204
    panel.toolbar.pause.trigger()
    assert monitor.live


def test_masked_pixels_and_gaps_have_the_themes_colours(shown: Callable[..., Shown]) -> None:
    monitor = Monitor(NotingOutbox())
    monitor.take([geometry()])
    assert monitor.detector is not None
    mask = np.zeros((200, 240), bool)
    mask[:60, :60] = True
    masked = type(geometry()).of("run-1", 1, monitor.detector.with_mask(mask))
    _, panel, _ = shown(masked, shot_image(1))
    bare(panel)
    for theme in (DARK, LIGHT):
        panel.set_theme(theme)
        assert colour_at(panel, 30.0, 30.0) == theme.masked.lower()
        assert colour_at(panel, -2.0, 100.0) == theme.panel.lower()


@pytest.mark.parametrize("size", [(140, 84), (260, 180), (400, 300), (1200, 900), (3840, 2160)])
def test_every_size_can_be_shown(shown: Callable[..., Shown], size: tuple[int, int]) -> None:
    _, panel, _ = shown(geometry(), shot_image(1), size=size)
    panel.toolbar.histogram.setChecked(True)
    assert panel.grab().width() == size[0]
    assert panel.canvas.height() > 0.45 * size[1]


def test_a_sentence_stands_where_there_is_no_picture(shown: Callable[..., Shown]) -> None:
    _, panel, _ = shown(size=(260, 180))
    assert panel.sentence.isVisible() and panel.canvas.rect().contains(panel.sentence.geometry())
    assert panel.sentence.text() == "Nothing has been heard of a processor yet."
