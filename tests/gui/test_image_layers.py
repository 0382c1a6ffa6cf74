"""Dark, noise, gain and mask in the image panel: what is asked for, shown and said, and what is not believed."""

from typing import Any

import msgspec
import numpy as np
import pytest
from messages_by_hand import SHAPE, NotingOutbox, geometry, shot_image
from psygnal import Signal
from PyQt5.QtCore import QPointF
from PyQt5.QtGui import QColor
from test_image_controller import RecordingView, settle

from braggwatch.gui.controllers.image import ImageController
from braggwatch.gui.image_layers import Layer
from braggwatch.gui.image_levels import Levels
from braggwatch.gui.monitor import Monitor
from braggwatch.gui.panels.image import ImagePanel
from braggwatch.processing.compression import bslz4_chunk
from braggwatch.processing.pixel_maps import BY_CALIBRATION, BY_FILE, BY_HEADER
from braggwatch.streamer.archive_messages import Refusal, Tagged
from braggwatch.streamer.map_messages import Map, MapWanted
from braggwatch.streamer.picture_messages import SettingsInForce


class LayerView(RecordingView):
    """Notes each layer that it was told of."""

    follow_wanted = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.layers: list[Layer] = []

    def set_layer(self, layer: Layer) -> None:
        self.layers.append(layer)

    def picture(self) -> Any:
        return self.told["picture"][0]


Shown = tuple[Monitor, LayerView, ImageController, NotingOutbox]


def shown(*messages: Any) -> Shown:
    outbox, view = NotingOutbox(), LayerView()
    monitor = Monitor(outbox)
    controller = ImageController(monitor, view)
    view.controller = controller
    monitor.take(messages or (geometry(), shot_image(1)))
    settle(controller)
    return monitor, view, controller, outbox


def noise_values() -> np.ndarray:
    return np.random.default_rng(7).uniform(1, 3, SHAPE).astype(np.float32)


def map_of(kind: Any = "noise", values: np.ndarray | None = None, **fields: Any) -> Map:
    values = noise_values() if values is None else values
    good = Map(
        series="run-1", kind=kind, shape=(values.shape[0], values.shape[1]), dtype=values.dtype.name, unit="ADU",
        source="/data/dark.h5:/stddev", payload=bslz4_chunk(values),
    )  # fmt: skip
    return msgspec.structs.replace(good, **fields)


def choose(view: LayerView, controller: ImageController, layer: str) -> None:
    view.layer_chosen.emit(layer)
    settle(controller)


def answer(outbox: NotingOutbox, controller: ImageController, found: Any) -> None:
    outbox.answer(found)
    settle(controller)


def test_the_chosen_map_is_asked_for_and_shown_instead_of_the_shot_which_is_said() -> None:
    _, view, controller, outbox = shown()
    choose(view, controller, "noise")
    assert [request for request, _ in outbox.asked] == [MapWanted("run-1", "noise")]
    assert view.picture() is None and view.told["sentence"] == ("Waiting for the noise map of the processor.",)
    answer(outbox, controller, map_of())
    assert np.array_equal(view.picture().levels[0].values, noise_values())
    assert view.layers[-1] == Layer("noise", "ADU")
    caption, _ = view.told["caption"]
    assert caption == ("noise map", "not the shot", "ADU", "dark.h5:/stddev") and view.told["sentence"] == ("",)
    view.pointed.emit(10.5, 20.5)
    pixel = np.random.default_rng(1).poisson(5.0, SHAPE)[20, 10]
    assert view.told["readout"][0].startswith(
        f"noise {noise_values()[20, 10]:.4g} ADU · shot {pixel} ADU · fs 10.5 ss 20.5"
    )
    choose(view, controller, "image")
    assert view.picture().levels[0].values.dtype == np.uint16 and view.layers[-1].kind == "image"
    assert view.told["caption"][0][0] == "frame 1"


def test_a_map_stays_while_shots_go_by_and_is_asked_for_once() -> None:
    monitor, view, controller, outbox = shown()
    choose(view, controller, "noise")
    answer(outbox, controller, map_of())
    picture = view.picture()
    for number in (2, 3, 4):
        monitor.take([shot_image(number)])
        settle(controller)
    assert view.picture() is picture and not outbox.asked
    choose(view, controller, "image")
    assert monitor.shot is not None and monitor.shot.result.number == 4
    choose(view, controller, "noise")
    assert not outbox.asked and view.picture() is not None


def test_other_settings_or_another_run_ask_anew_and_the_old_map_stays_until_the_new_one_is_there() -> None:
    monitor, view, controller, outbox = shown()
    choose(view, controller, "noise")
    answer(outbox, controller, map_of())
    before = view.picture()
    monitor.take([SettingsInForce(version=2, time=0.0, text="")])
    settle(controller)
    assert [request for request, _ in outbox.asked] == [MapWanted("run-1", "noise")] and view.picture() is before
    answer(outbox, controller, map_of(values=noise_values() + 1))
    assert np.array_equal(view.picture().levels[0].values, noise_values() + 1)
    monitor.take([msgspec.structs.replace(geometry(), series="run-2", run=2)])
    shot = shot_image(9)
    monitor.take([msgspec.structs.replace(shot, result=msgspec.structs.replace(shot.result, series="run-2"))])
    settle(controller)
    assert [request for request, _ in outbox.asked] == [MapWanted("run-2", "noise")]


def test_why_there_is_none_is_said_and_asked_again_when_it_is_chosen_again() -> None:
    _, view, controller, outbox = shown()
    choose(view, controller, "dark")
    answer(outbox, controller, Map(series="run-1", kind="dark", problem="there is none: [detector] names no `dark`"))
    assert view.picture() is None
    assert view.told["sentence"] == ("There is none: [detector] names no `dark`.",)
    assert not outbox.asked
    choose(view, controller, "dark")
    answer(outbox, controller, Refusal("the archive has not answered for 20 s"))
    assert view.told["sentence"] == ("The archive has not answered for 20 s.",)


def test_before_any_shot_the_maps_of_the_present_run_are_shown() -> None:
    _, view, controller, outbox = shown(geometry())
    choose(view, controller, "noise")
    answer(outbox, controller, map_of())
    assert view.picture() is not None
    view.pointed.emit(10.5, 20.5)
    assert view.told["readout"][0].startswith(f"noise {noise_values()[20, 10]:.4g} ADU · fs 10.5")


def test_the_stage_of_a_jungfraus_pedestals_is_chosen() -> None:
    _, view, controller, outbox = shown()
    choose(view, controller, "dark")
    answer(outbox, controller, map_of("dark", n_stages=3))
    assert view.layers[-1].n_stages == 3
    assert view.told["caption"][0][0] == "dark map of stage G0"
    view.stage_chosen.emit(2)
    settle(controller)
    assert [request for request, _ in outbox.asked] == [MapWanted("run-1", "dark", 2)]
    answer(outbox, controller, map_of("dark", n_stages=3, stage=2))
    assert view.layers[-1] == Layer("dark", "ADU", 2, 3)
    choose(view, controller, "noise")
    assert [request for request, _ in outbox.asked] == [MapWanted("run-1", "noise")], "noise has no stages"


def test_the_mask_is_shown_by_who_masked_a_pixel_even_one_among_many() -> None:
    bits = np.zeros(SHAPE, np.uint8)
    bits[:50] = BY_HEADER
    bits[10, 10] = BY_HEADER | BY_FILE
    bits[150, 100] = BY_FILE
    bits[151, 100] = BY_CALIBRATION | 128
    _, view, controller, outbox = shown()
    choose(view, controller, "mask")
    answer(outbox, controller, map_of("mask", bits, unit=""))
    assert view.layers[-1].masked_by == (0, 50 * SHAPE[1], 0, 2, 1)
    values = view.picture().levels[0].values
    assert (values[0, 0], values[10, 10], values[150, 100], values[151, 100], values[199, 0]) == (2, 2, 4, 5, 0)
    smallest = view.picture().levels[-1].values
    assert smallest.max() == 5 and (view.picture().levels[-1].states == 0).all()
    for place, text in (((100.5, 150.5), "masked by file"), ((0.5, 199.5), "not masked")):
        view.pointed.emit(*place)
        assert view.told["readout"][0].startswith(f"{text} · shot ")


@pytest.mark.parametrize(
    "fields",
    [
        {"shape": (3, 4)}, {"payload": b"\xff" * 500}, {"payload": b"x"}, {"dtype": "nonsense"}, {"dtype": "uint16"},
        {"unit": "\x1b[2J\n" * 99, "source": "\0" * 900}, {"series": "another"}, {"kind": "gain"},
        {"payload": bslz4_chunk(np.full(SHAPE, np.nan, np.float32))},
        {"payload": bslz4_chunk(np.full(SHAPE, 3e38, np.float32))}, {"n_stages": 5, "stage": 4},
        {"problem": "\x1b[31m" * 200}, {"shape": (2**14, 2**14)},
    ],
    ids=range(13),
)  # fmt: skip
def test_a_map_that_makes_no_sense_costs_a_sentence_and_nothing_else(fields: dict[str, Any]) -> None:
    _, view, controller, outbox = shown()
    choose(view, controller, "noise")
    answer(outbox, controller, map_of(**fields))
    view.pointed.emit(10.5, 20.5)
    if view.picture() is None:
        assert len(view.told["sentence"][0]) > 10
    assert "\x1b" not in str(view.told)
    choose(view, controller, "image")
    choose(view, controller, "gain")
    answer(outbox, controller, map_of("gain"))
    assert view.picture() is not None


def test_an_answer_to_something_else_is_refused() -> None:
    _, view, controller, outbox = shown()
    choose(view, controller, "noise")
    answer(outbox, controller, Tagged("run-1", 1, ()))
    assert view.told["sentence"] == ("The archive answered something else.",)


def test_pixels_beyond_a_value_are_those_of_what_is_shown_without_values_that_mean_bad() -> None:
    _, view, controller, outbox = shown()
    pixels = np.random.default_rng(1).poisson(5.0, SHAPE)
    found = controller.beyond(7.0, below=False)
    assert found is not None and np.array_equal(found.result(60), pixels > 7)
    choose(view, controller, "noise")
    assert controller.beyond(2.0, below=True) is None, "a map that is awaited has no pixels"
    values = noise_values()
    values[3, 3] = np.nan
    answer(outbox, controller, map_of(values=values))
    found = controller.beyond(2.0, below=True)
    with np.errstate(invalid="ignore"):
        assert found is not None and np.array_equal(found.result(60), values < 2)


def panel_shown(qtbot: Any) -> tuple[ImagePanel, ImageController, NotingOutbox]:
    outbox, panel = NotingOutbox(), ImagePanel()
    monitor = Monitor(outbox)
    qtbot.addWidget(panel)
    controller = ImageController(monitor, panel)
    panel.resize(600, 500)
    panel.show()
    monitor.take([geometry(), shot_image(1)])
    settle(controller)
    return panel, controller, outbox


def test_a_mask_is_seen_in_the_colours_of_its_sources_without_marks_and_histogram(qtbot: Any) -> None:
    panel, controller, outbox = panel_shown(qtbot)
    panel.toolbar.histogram.setChecked(True)
    panel.toolbar.rings.setChecked(False)
    panel.toolbar.centre.setChecked(False)
    assert panel.plot.isVisible() and panel.canvas.overlays.indexed.isVisible()
    panel.layer_chosen.emit("mask")
    settle(controller)
    bits = np.zeros(SHAPE, np.uint8)
    bits[:60], bits[100:140] = BY_FILE, BY_CALIBRATION
    answer(outbox, controller, map_of("mask", bits, unit=""))
    assert not panel.plot.isVisible() and not panel.canvas.overlays.indexed.isVisible()
    image = panel.canvas.grab().toImage()
    for theme_colour, y in ((panel.theme.hit, 30.0), (panel.theme.indexed, 120.0)):
        place = panel.canvas.mapFromScene(panel.canvas.box.mapViewToScene(QPointF(50.0, y)))
        assert QColor(image.pixel(place)).name() == theme_colour.lower()
    panel.layer_chosen.emit("image")
    settle(controller)
    assert panel.plot.isVisible() and panel.canvas.overlays.indexed.isVisible()


def test_unit_and_gain_stages_of_a_layer_are_seen_where_there_are_any(qtbot: Any) -> None:
    panel, controller, outbox = panel_shown(qtbot)
    panel.toolbar.histogram.setChecked(True)
    panel.layer_chosen.emit("gain")
    settle(controller)
    answer(outbox, controller, map_of("gain", n_stages=3, unit="ADU/keV"))
    assert panel.plot.getPlotItem().getAxis("bottom").labelText == "pixel value (ADU/keV)"
    assert panel.toolbar._stages_button.isVisible()
    panel.layer_chosen.emit("noise")
    settle(controller)
    answer(outbox, controller, map_of())
    assert panel.plot.getPlotItem().getAxis("bottom").labelText == "pixel value (ADU)"
    assert not panel.toolbar._stages_button.isVisible()


def test_levels_by_hand_are_each_layers_own(qtbot: Any) -> None:
    panel, controller, outbox = panel_shown(qtbot)
    panel.plot.levels_dragged.emit(0.0, 20.0)
    panel.layer_chosen.emit("noise")
    settle(controller)
    answer(outbox, controller, map_of())
    assert panel.canvas.levels != Levels(0.0, 20.0) and panel.canvas.levels.high < 4
    panel.plot.levels_dragged.emit(1.0, 2.0)
    panel.layer_chosen.emit("image")
    settle(controller)
    assert panel.canvas.levels == Levels(0.0, 20.0)
    again = ImagePanel()
    qtbot.addWidget(again)
    again.choose(panel.chosen())
    assert {layer: by_hand.levels for layer, by_hand in again.canvas.earlier.items()} == {
        "image": Levels(0.0, 20.0), "noise": Levels(1.0, 2.0),
    }  # fmt: skip
