"""Layers and the mask editor in the real window, beside a real processor: what it corrects by is what is seen."""

from pathlib import Path

import numpy as np
import pytest
from programs import Program, start_simulator, write_settings
from pytestqt.qtbot import QtBot
from watched_window import Watched, all_done, watching

from braggwatch.gui.mask_shapes import Ring
from braggwatch.gui.mask_sources import SOURCES
from braggwatch.gui.panels.image import ImagePanel
from braggwatch.processing.pixel_maps import BY_FILE
from braggwatch.streamer.cli.free_ports import free_ports
from braggwatch.streamer.control_messages import Change, Changed
from braggwatch.streamer.replay import RecordFeed

SHAPE = (512, 512)


@pytest.fixture
def dark(tmp_path: Path) -> np.ndarray:
    random = np.random.default_rng(5)
    made = random.uniform(0.0, 0.4, SHAPE).astype(np.float32)
    np.save(tmp_path / "dark.npy", made)
    np.save(tmp_path / "noise.npy", random.uniform(0.2, 0.3, SHAPE))
    return made


def image_panel(watched: Watched) -> ImagePanel:
    (panel,) = (panel for panel, _ in watched.composition.panels if isinstance(panel, ImagePanel))
    return panel


def values_of(panel: ImagePanel) -> np.ndarray:
    picture = panel.canvas.picture
    return np.zeros(SHAPE) if picture is None else picture.levels[0].values


def choose(watched: Watched, layer: str) -> ImagePanel:
    """Show a layer, and wait until it is there or why not is said."""
    panel = image_panel(watched)
    panel.layer_chosen.emit(layer)

    def is_there() -> bool:
        sentence = panel.sentence.text()
        return panel.canvas.picture is not None or (bool(sentence) and not sentence.startswith("Waiting"))

    watched.until(lambda _: is_there())
    return panel


def test_the_window_shows_the_dark_that_the_processor_uses_and_a_mask_drawn_there_comes_into_force(
    tmp_path: Path, qtbot: QtBot, dark: np.ndarray
) -> None:
    feed = f"tcp://127.0.0.1:{free_ports(3)[0]}"
    simulator, detector = start_simulator(tmp_path, "--frames", "60", "--rate", "40")
    files = {"dark": str(tmp_path / "dark.npy"), "noise": str(tmp_path / "noise.npy")}
    settings = write_settings(tmp_path, detector, feed={"address": feed}, detector=files)
    with (
        simulator,
        Program(tmp_path, "process", settings, "--no-view", "--series", "2"),
        watching(qtbot, feed, tmp_path) as watched,
    ):
        watched.until(lambda m: m.shot is not None and m.geometry is not None)
        panel = choose(watched, "dark")
        assert panel.canvas.picture is not None
        assert np.array_equal(panel.canvas.picture.levels[0].values, dark)
        choose(watched, "gain")
        assert panel.canvas.picture is None
        assert panel.sentence.text() == "There is none: [detector] names no `gain_map`."
        choose(watched, "noise")

        panel.toolbar.edit_mask.setChecked(True)
        watched.until(lambda _: panel.mask_editor.toolbar.masked_now.isEnabled())
        panel.mask_editor.shape_drawn.emit(Ring(256.0, 256.0, 100.0, 110.0), True)
        panel.mask_editor.save_wanted.emit(str(tmp_path / "ring.h5"))
        ss, fs = np.indices(SHAPE) + 0.5
        distance = np.hypot(fs - 256, ss - 256)
        ring = (distance >= 100) & (distance <= 110)
        answers: list[Changed] = []
        change = Change({"detector": {"mask": f"{tmp_path / 'ring.h5'}:/mask"}}, by="a test")
        watched.monitor.outbox.change(change, answers.append)
        watched.until(lambda _: answers)
        assert answers[0].problem == ""
        watched.until(lambda m: m.detector is not None and m.detector.mask[ring].all())
        choose(watched, "mask")
        number = [source.bit for source in SOURCES].index(BY_FILE) + 1
        watched.until(lambda _: np.array_equal(values_of(panel) == number, ring))
        choose(watched, "image")
        watched.until(all_done(60))
        assert watched.said == []


def test_the_layers_of_a_finished_session_come_from_the_files_that_it_named(
    tmp_path: Path, qtbot: QtBot, dark: np.ndarray
) -> None:
    simulator, detector = start_simulator(tmp_path, "--frames", "24", "--rate", "40")
    files = {"dark": str(tmp_path / "dark.npy")}
    settings = write_settings(tmp_path, detector, detector=files)
    with simulator, Program(tmp_path, "process", settings, "--no-view", "--series", "1") as processor:
        assert processor.wait() == 0, processor.messages
    with RecordFeed(tmp_path / "record.sqlite") as record, watching(qtbot, record.address, tmp_path) as watched:
        watched.until(lambda m: m.shot is not None and m.geometry is not None)
        panel = choose(watched, "dark")
        assert panel.canvas.picture is not None
        assert np.array_equal(panel.canvas.picture.levels[0].values, dark)
        (tmp_path / "dark.npy").unlink()
        choose(watched, "noise")
        assert panel.sentence.text() == "There is none: [detector] names no `noise`."
        watched.look_at_everything()
        assert watched.said == []
