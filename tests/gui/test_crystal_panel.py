"""The crystal of the shot that is shown."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from indexed_by_hand import SETTINGS, indexed_shot, peak_lists
from messages_by_hand import CELL, NotingOutbox, geometry, shot_image
from pytestqt.qtbot import QtBot

from braggwatch.gui.controllers.crystal import CrystalController
from braggwatch.gui.monitor import Monitor
from braggwatch.gui.panels.crystal import CrystalPanel
from braggwatch.gui.shot_key import ShotKey
from braggwatch.gui.theme import DARK, LIGHT
from braggwatch.processing.detector import Detector
from braggwatch.streamer.archive_messages import Shot
from braggwatch.streamer.messages import State
from braggwatch.streamer.picture_messages import Geometry, ShotImage


class Bench:
    def __init__(self, qtbot: QtBot) -> None:
        self.outbox = NotingOutbox()
        self.monitor = Monitor(self.outbox)
        self.monitor.go_live("frame")
        self.panel = CrystalPanel()
        qtbot.addWidget(self.panel)
        self.controller = CrystalController(self.monitor, self.panel)
        self.panel.resize(1000, 420)
        self.panel.show()
        self.controller.refresh()

    def show(self, shot: ShotImage) -> None:
        self.monitor.take([shot])
        self.controller.refresh()

    def facts(self) -> dict[str, str]:
        return {name.text(): value.text() for name, value in self.panel.facts}

    def cell(self) -> list[tuple[str, ...]]:
        return [tuple(label.text() for label in labels) for labels in self.panel.cell]


@pytest.fixture
def bench(qtbot: QtBot) -> Bench:
    return Bench(qtbot)


def changed(shot: ShotImage, **crystal: object) -> ShotImage:
    first = msgspec.structs.replace(shot.result.crystals[0], **crystal)
    return msgspec.structs.replace(shot, result=msgspec.structs.replace(shot.result, crystals=(first,)))


def test_it_is_said_when_the_geometry_is_that_of_another_run(bench: Bench) -> None:
    bench.monitor.take([msgspec.structs.replace(geometry(), series="run-2", run=2)])
    bench.show(shot_image(5))
    assert bench.panel.heading.text() == "Frame 5 · geometry of run 2"
    bench.monitor.take([geometry()])
    bench.controller.refresh()
    assert bench.panel.heading.text() == "Frame 5"


def test_cell_rmsd_and_plots_are_those_of_the_indexer(bench: Bench, shared: Path) -> None:
    detector = Detector.from_crystfel(shared / "frames" / "lysozyme_4m.geom")
    shot, (crystal,) = indexed_shot(181204, peak_lists(shared / "frames" / "lysozyme_4m.h5")[2], detector)
    bench.monitor.take([Geometry.of("run-1", 1, detector), SETTINGS])
    bench.show(shot)
    assert bench.panel.heading.text() == "Frame 181\u2009204"
    for (symbol, found, deviation), expected, value, wanted, unit in zip(
        bench.cell(), "abcαβγ", crystal.cell, (79.2, 79.2, 38.0, 90.0, 90.0, 90.0), "ÅÅÅ°°°", strict=True
    ):
        assert (symbol, found) == (expected, f"{value:.2f} {unit}")
        assert float(deviation.split()[0].replace("−", "-")) == pytest.approx(value - wanted, abs=0.006)
    assert bench.panel.target.text() == "Target: 79.2 79.2 38.0 90 90 90 P43212"
    n = shot.result.n_peaks
    assert bench.facts()["RMSD"] == f"{crystal.rmsd_px:.2f} px"
    assert bench.facts()["Indexed"] == f"{crystal.n_indexed} of {n} ({100 * crystal.n_indexed / n:.0f} %)"
    assert bench.facts()["Resolution"] == "1.98 Å"
    assert bench.facts()["Diffracts to"] == "–"
    assert bench.facts()["Mosaicity"] == "–"
    x, y = bench.panel.residuals.points.getData()
    assert np.sqrt(np.mean(x**2 + y**2)) == pytest.approx(crystal.rmsd_px, rel=1e-5)
    x, y = bench.panel.residuals.circle.getData()
    assert np.hypot(x, y) == pytest.approx(np.full(len(x), crystal.rmsd_px))
    explained = bench.panel.spots._spots["explained"][0].getData()[0]
    assert len(explained) == crystal.n_indexed
    # the residuals drawn on the map, shortened again, are as long as they are
    x, y = bench.panel.spots.arrows.getData()
    legend = [label.text for _, label in bench.panel.spots.plotItem.legend.items]
    lengthened = int(legend[-1].removeprefix("residual × "))
    lengths = np.hypot(np.diff(x)[::2], np.diff(y)[::2]) / lengthened / 0.075
    assert np.sqrt(np.mean(lengths**2)) == pytest.approx(crystal.rmsd_px, rel=1e-3)


def test_each_lattice_of_a_double_hit_can_be_chosen(bench: Bench, shared: Path) -> None:
    detector = Detector.from_crystfel(shared / "frames" / "lysozyme_4m.geom")
    lists = peak_lists(shared / "frames" / "lysozyme_4m_hard.h5")
    shot, crystals = next(
        (shot, crystals) for peaks in lists for shot, crystals in [indexed_shot(7, peaks, detector, 2)]
        if len(crystals) == 2
    )  # fmt: skip
    bench.monitor.take([Geometry.of("run-1", 1, detector)])
    bench.show(shot)
    tabs = bench.panel.lattices
    assert [tabs.tabText(i) for i in range(tabs.count())] == [
        f"Lattice {i + 1} · {c.n_indexed}" for i, c in enumerate(crystals)
    ]
    tabs.setCurrentIndex(1)
    bench.controller.refresh()
    assert bench.cell()[0][1] == f"{crystals[1].cell[0]:.2f} Å"
    spots = bench.panel.spots._spots
    n_first = len(crystals[0].spots)
    assert len(spots["elsewhere"][0].getData()[0]) == n_first
    bench.show(
        msgspec.structs.replace(shot, result=msgspec.structs.replace(shot.result))
    )  # the same shot once more, as of somebody who clicks on it again
    assert tabs.currentIndex() == 1
    assert bench.cell()[0][1] == f"{crystals[1].cell[0]:.2f} Å"
    bench.show(shot_image(9))  # of another size: the first lattice again, without places
    assert tabs.currentIndex() == 0 and not tabs.isVisible()
    assert bench.panel.spots.empty == "The places of the spots need the geometry of the run, which is not known."


def test_what_integration_tells_of_a_crystal_is_shown(bench: Bench) -> None:
    bench.show(changed(shot_image(1), block_size=1204.4, mosaicity=0.0512, diffraction_limit=1.853))
    assert bench.facts()["Diffracts to"] == "1.85 Å"
    assert bench.facts()["Mosaicity"] == "0.051 ° · 1204 Å"


def test_the_directions_of_the_axes_are_angles_to_the_beam(bench: Bench) -> None:
    axes = np.array([[0.0, 0.0, 80.0], [0.0, 80.0, 0.0], [-38.0, 0.0, 0.0]])
    bench.show(changed(shot_image(1), A=tuple(axes.ravel().tolist())))
    assert [label.text() for label in bench.panel.angles] == [
        "0.0 °, azimuth 0.0 °", "90.0 °, azimuth 90.0 °", "90.0 °, azimuth 180.0 °"]  # fmt: skip


def test_without_settings_or_target_there_is_no_deviation(bench: Bench) -> None:
    bench.monitor.take([geometry()])
    bench.show(shot_image(1))
    assert [row[2] for row in bench.cell()] == ["–"] * 6
    assert bench.panel.target.text() == "The processor has not said its settings yet."
    bench.monitor.take([SETTINGS])
    bench.controller.refresh()
    assert bench.cell()[1] == ("b", f"{CELL[1]:.2f} Å", "+0.10 Å")
    assert bench.cell()[0][2] == "0.00 Å"


def test_a_hit_that_is_not_indexed_says_why_and_shows_its_spots(bench: Bench) -> None:
    bench.monitor.take([geometry(), SETTINGS])
    bench.show(shot_image(1234, State.HIT))
    assert bench.panel.heading.text() == "Frame 1\u2009234: not indexed"
    assert bench.panel.reasons.text().startswith("No lattice of the target cell explains 8 or more of the 40 spots.")
    assert "95 % of the spots lie within 2.10\u00a0Å." in bench.panel.reasons.text()
    assert not bench.panel.numbers.isVisible() and not bench.panel.residuals.isVisible()
    spots = bench.panel.spots._spots
    assert len(spots["unexplained"][0].getData()[0]) + len(spots["ice"][0].getData()[0]) == 40
    bench.show(shot_image(1235))
    assert bench.panel.numbers.isVisible() and bench.panel.residuals.isVisible()


def test_blanks_problems_and_the_beginning_are_sentences(bench: Bench) -> None:
    assert bench.panel.empty.text() == "No shot is shown yet: the crystal of the first indexed one appears here."
    bench.show(shot_image(3, State.BLANK))
    assert bench.panel.empty.text() == "Frame 3 is no hit (blank): 40 spots were found."
    bench.monitor.select([ShotKey("run-1", 99)])
    bench.outbox.answer(Shot("run-1", 99, None, "Frame 99 was dropped."))
    bench.controller.refresh()
    assert bench.panel.empty.text() == "Frame 99 was dropped."


@pytest.mark.parametrize(
    "crystal",
    [
        {"A": (0.0,) * 9},
        {"A": (float("nan"),) * 9, "cell": (float("nan"),) * 6, "rmsd_px": float("nan")},
        {"A": (float("inf"),) * 9, "rmsd_px": float("inf")},
        {"A": (1e308,) * 9, "rmsd_px": -1.0},
        {"A": (79.2, 0.0, 0.0, 0.0, 79.2, 0.0, 0.0, 0.0, 1e-300), "n_indexed": -5},
    ],
)
def test_a_lattice_that_makes_no_sense_is_shown_without_predictions(bench: Bench, crystal: dict[str, object]) -> None:
    bench.monitor.take([geometry(), SETTINGS])
    bench.show(changed(shot_image(1), **crystal))
    assert bench.panel.residuals.empty == "Nothing can be predicted from this lattice: its axes do not span space."
    assert not bench.panel.grab().isNull()


def test_spots_that_cannot_be_read_are_a_line(bench: Bench) -> None:
    said: list[str] = []
    bench.monitor.said.connect(said.append)
    bench.monitor.take([geometry()])
    shot = shot_image(5)
    bench.show(msgspec.structs.replace(shot, result=msgspec.structs.replace(shot.result, peaks=b"odd")))
    assert said == ["the spots of frame 5 cannot be read: spots come in rows of 24 bytes, found 3 bytes"]
    assert bench.panel.residuals.empty == "No spot belongs to this lattice alone."


@pytest.mark.parametrize("size", [(1, 1), (260, 180), (300, 700), (600, 420), (3840, 1000)])
def test_the_panel_is_drawn_at_any_size_in_both_themes(bench: Bench, size: tuple[int, int]) -> None:
    bench.monitor.take([geometry(), SETTINGS])
    for state in (State.INDEXED, State.HIT):
        bench.show(shot_image(2, state))
        bench.panel.resize(*size)
        for theme in (DARK, LIGHT):
            bench.panel.set_theme(theme)
            assert not bench.panel.grab().isNull()
    assert bench.panel.plots.isVisibleTo(bench.panel._shown) == (size not in ((1, 1), (260, 180)))
