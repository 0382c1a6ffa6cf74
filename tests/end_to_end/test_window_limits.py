"""The window with very little, with very much, with many panels, and under a user who does everything at once."""

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from programs import Program, start_simulator, write_settings
from PyQt5.QtWidgets import QApplication
from pytestqt.qtbot import QtBot
from watched_window import Gaps, Watched, all_done, watching

from braggwatch.gui.controllers.image import ImageController
from braggwatch.gui.panels.image import ImagePanel
from braggwatch.gui.presets import PRESETS
from braggwatch.gui.pulse import is_seen
from braggwatch.gui.theme import THEMES
from braggwatch.processing.beam import Beam
from braggwatch.processing.crystfel_geometry_text import geometry_text
from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Series
from braggwatch.processing.panel import Panel
from braggwatch.processing.simulation.demo import LYSOZYME
from braggwatch.processing.simulation.pool import StillPool, prepare_pool
from braggwatch.processing.simulation.still import StillSimulator
from braggwatch.streamer.messages import PEAK, CrystalFound, Result, State
from braggwatch.streamer.record import Record
from braggwatch.streamer.replay import RecordFeed
from braggwatch.streamer.wording import said

SPOTS, SHAPE = 20, (512, 512)


def write_record(path: Path, n_hits: int) -> None:
    """Write a record of hits in the first of three frames each; every second hit is indexed, and nothing is dumped."""
    random = np.random.default_rng(1)
    series = Series(
        key="run-1", number=1, name="lyso", n_frames=3 * n_hits, shape=SHAPE, dtype="uint16", photon_energy=12_400.0,
        distance=0.05, beam_center=(256.0, 256.0), pixel_size=(75e-6, 75e-6), detector="EIGER2",
    )  # fmt: skip
    with Record(path, limit_bytes=2**31) as record:
        record.settings('[experiment]\nname = "lyso"\n', 1, 1e9)
        record.begin_run(series, 1e9)
        for hit in range(n_hits):
            indexed = hit % 2 == 0
            record.result(
                Result(
                    series="run-1", number=3 * hit, state=State.INDEXED if indexed else State.HIT, n_peaks=SPOTS,
                    resolution=1.8 + random.random(), peaks=spots(random, indexed),
                    crystals=(crystal(random),) if indexed else (),
                ),
                1e9 + 0.03 * hit,
            )  # fmt: skip
        counts = {State.INDEXED: (n_hits + 1) // 2, State.HIT: n_hits // 2}
        record.end_run("run-1", {state.value: n for state, n in counts.items()}, 1e9 + 0.03 * n_hits)
        assert record.close(timeout=60.0).problem == ""


def spots(random: np.random.Generator, indexed: bool) -> bytes:
    rows = np.zeros(SPOTS, PEAK)
    rows["fs"], rows["ss"] = random.uniform(0, SHAPE[0], (2, SPOTS))
    rows["intensity"], rows["max_value"] = random.exponential(500, SPOTS), random.exponential(200, SPOTS) + 20
    rows["inverse_d"] = random.uniform(0.03, 0.5, SPOTS)
    rows["lattice"][:12] = indexed
    return rows.tobytes()


def crystal(random: np.random.Generator) -> CrystalFound:
    """Return lysozyme in any orientation."""
    lengths = np.array([79.2, 79.2, 38.0]) * random.normal(1, 0.003, 3)
    axes = np.linalg.qr(random.normal(size=(3, 3)))[0] * lengths[:, None]
    a, b, c = lengths.tolist()
    return CrystalFound((a, b, c, 90.0, 90.0, 90.0), cast("tuple[float, ...]", tuple(axes.ravel().tolist())), 12, 0.4)  # type: ignore[arg-type]


@pytest.mark.parametrize("n_hits", [1, 100_000])
def test_every_panel_shows_one_hit_and_a_hundred_thousand(tmp_path: Path, qtbot: QtBot, n_hits: int) -> None:
    path = tmp_path / "record.sqlite"
    write_record(path, n_hits)
    with RecordFeed(path) as record, watching(qtbot, record.address, tmp_path) as watched:
        gaps, monitor = Gaps(), watched.monitor
        watched.until(lambda m: len(m.hits) == n_hits)
        print(f"{n_hits} hits: longest gap {gaps.longest_ms()} ms while they come;", end=" ")
        watched.until(all_done(n_hits))
        controllers = {panel.name: (panel, controller) for panel, controller in watched.composition.panels}
        for name in watched.window.docks.by_name:
            watched.live(0.02)
            gaps.longest_ms()
            watched.window.docks.show(name)
            panel, controller = controllers[name]
            watched.until(lambda _, panel=panel, controller=controller: is_seen(panel) and not controller.stale)  # type: ignore[misc]
            watched.live(0.2)
            print(f"{name} {gaps.longest_ms()}", end=" ")
        print("ms")
        assert len(monitor.hits.lattices) == (n_hits + 1) // 2
        for key in (monitor.hits.key(0), monitor.hits.key(n_hits - 1)):
            monitor.select([key])
            watched.until(lambda m, key=key: m.shot is not None and m.shot.result.number == key.number)  # type: ignore[misc]
            watched.live(0.1)
        assert monitor.shot is not None
        assert len(monitor.shot.result.peaks) == SPOTS * PEAK.itemsize
        assert watched.said == []


# -- many panels --------------------------------------------------------------------------------------------------


def sixteen_panels() -> Detector:
    """Four by four panels of 128 x 128 pixels with gaps of 8 between them; each is turned by a quarter to the last."""
    size, panels = 75e-6, []
    for number in range(16):
        row, column = divmod(number, 4)
        fs = np.array([(1, 0), (0, 1), (-1, 0), (0, -1)][number % 4])
        ss = np.array([-fs[1], fs[0]])
        middle = np.array([column - 1.5, row - 1.5]) * 136
        corner = (middle - 64 * (fs + ss)) * size
        panels.append(
            Panel(
                f"p{number}", 128 * column, 128 * (column + 1), 128 * row, 128 * (row + 1), (*corner, 0.05),
                (*(fs * size), 0.0), (*(ss * size), 0.0),
            )
        )  # fmt: skip
    return Detector(tuple(panels), SHAPE, Beam(12398.42))


@pytest.fixture(scope="module")
def panels_pool() -> StillPool:
    return prepare_pool(StillSimulator(sixteen_panels(), LYSOZYME, beam_stop=0.0015), 8, 0.5, seed=2)


def test_a_detector_of_sixteen_panels_is_shown_as_it_stands(
    tmp_path: Path, qtbot: QtBot, panels_pool: StillPool
) -> None:
    (tmp_path / "panels.geom").write_text(geometry_text(panels_pool.detector))
    panels_pool.save(tmp_path / "pool.h5")
    simulator, address = start_simulator(tmp_path, "--frames", "24", "--rate", "40")
    settings = write_settings(tmp_path, address, detector={"geometry": str(tmp_path / "panels.geom")})
    with simulator, Program(tmp_path, "process", settings, "--no-view") as processor:
        feed = processor.message(r"braggwatch watch (tcp://\S+)")
        with watching(qtbot, feed, tmp_path) as watched:
            monitor = watched.monitor
            watched.until(all_done(24))
            watched.until(lambda m: len(m.hits) == 12)
            watched.until(lambda m: {"all", "hits", "spots"} <= set(m.powders))
            assert monitor.detector is not None
            assert len(monitor.detector.panels) == 16
            assert monitor.status is not None
            assert monitor.status.totals.counts[State.INDEXED] > 6
            watched.look_at_everything()
            check_edges(watched, panels_pool)
            assert watched.said == []


def check_edges(watched: Watched, pool: StillPool) -> None:
    """Point at two opposite corner pixels of every panel: at their middles, and a little farther inside."""
    image, controller = watched.composition.panels[1]
    assert isinstance(image, ImagePanel)
    assert isinstance(controller, ImageController)
    watched.window.resize(1920, 1080)
    watched.window.arrange(PRESETS[0])
    key = watched.monitor.hits.key(0)
    watched.monitor.select([key])
    watched.until(lambda m: m.shot is not None and m.shot.result.number == key.number)
    watched.until(lambda _: not controller.stale and not controller.preparing)
    picture, pixels, detector = image.canvas.picture, pool.image(key.number), pool.detector
    assert picture is not None
    assert picture.assembly.shape == (4 * 136 - 8, 4 * 136 - 8)
    for panel in detector.panels:
        for fs, ss, inwards in (
            (panel.fs_start, panel.ss_start, 0.1),
            (panel.fs_stop - 1, panel.ss_stop - 1, -0.1),
        ):
            [(x, y)] = picture.assembly.to_picture(fs + 0.5, ss + 0.5)
            image.canvas.pointed.emit(x, y)
            d = float(detector.resolution(fs + 0.5, ss + 0.5)[0])
            assert image.readout.text() == (
                f"{pixels[ss, fs]} ADU · fs {fs + 0.5} ss {ss + 0.5} · panel {panel.name} · {said(d, 'Å', 2)}"
            )
            [(x, y)] = picture.assembly.to_picture(fs + 0.5 + inwards, ss + 0.5)
            image.canvas.pointed.emit(x, y)
            assert image.readout.text().startswith(f"{pixels[ss, fs]} ADU · fs {fs + 0.5 + inwards:.1f}")
    image.canvas.pointed.emit(128 + 4.0, 50.0)
    assert image.readout.text() == "", "there is nothing between panels"


# -- everything at once -------------------------------------------------------------------------------------------


@pytest.fixture
def tidy_theme() -> Iterator[None]:
    yield
    application = QApplication.instance()
    if isinstance(application, QApplication):
        application.setStyleSheet("")


@pytest.mark.usefixtures("tidy_theme")
def test_docks_sizes_and_colours_change_while_shots_come_in(tmp_path: Path, qtbot: QtBot) -> None:
    simulator, address = start_simulator(tmp_path, "--frames", "100000", "--rate", "60")
    settings = write_settings(tmp_path, address)
    with simulator, Program(tmp_path, "process", settings, "--no-view") as processor:
        feed = processor.message(r"braggwatch watch (tcp://\S+)")
        with watching(qtbot, feed, tmp_path) as watched:
            window, monitor = watched.window, watched.monitor
            watched.until(lambda m: m.shot is not None and len(m.hits) > 5)
            for name in PRESETS * 4:
                window.arrange(name)
                watched.live(0.05)
            for size in ((1, 1), (3840, 2160), (1, 1), (3840, 2160), (1280, 800)):
                window.resize(*size)
                watched.live(0.3)
            for floating in (True, False):
                for dock in window.docks.by_name.values():
                    dock.show()
                    dock.setFloating(floating)
                    watched.live(0.03)
                watched.live(0.5)
            for name in PRESETS:
                for theme in ("light", "dark"):
                    window.set_theme(THEMES[theme])
                    watched.live(0.1)
                window.arrange(name)
            n_before = len(monitor.hits)
            watched.until(lambda m: len(m.hits) > n_before)
            assert window.preset == PRESETS[2]
            assert not any(dock.isFloating() for dock in window.docks.by_name.values())
            assert watched.said == []
