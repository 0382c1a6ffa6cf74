"""Residuals on the map of the detector."""

from typing import Any

import msgspec
import numpy as np
import pytest
from messages_by_hand import NotingOutbox, shot_image
from psygnal import Signal
from PyQt5.QtCore import QPointF, Qt
from pytestqt.qtbot import QtBot
from quality_by_hand import keeping
from recording_views import RecordingView
from scipy.spatial.transform import Rotation

from braggwatch.gui.controllers.residuals import FEWEST, TILES, ResidualsController
from braggwatch.gui.monitor import Monitor
from braggwatch.gui.panels.residuals import ResidualsPanel
from braggwatch.gui.shot_key import ShotKey
from braggwatch.gui.theme import DARK, LIGHT
from braggwatch.processing.beam import Beam
from braggwatch.processing.detector import Detector
from braggwatch.processing.panel import Panel
from braggwatch.processing.prediction import Predictor
from braggwatch.processing.unit_cell import UnitCell
from braggwatch.streamer.messages import PEAK, CrystalFound
from braggwatch.streamer.picture_messages import Geometry, ShotImage

CELL = UnitCell.from_string("79.2 79.2 38.0 90 90 90 P43212")
SHAPE = (600, 600)
PIXEL = 75e-6


def two_panels() -> Detector:
    """Left and right half, one above the other in the image array."""
    left = Panel("left", 0, 300, 0, 600, (-300 * PIXEL, -300 * PIXEL, 0.06), (PIXEL, 0, 0), (0, PIXEL, 0))
    right = Panel("right", 300, 600, 0, 600, (0.0, -300 * PIXEL, 0.06), (PIXEL, 0, 0), (0, PIXEL, 0))
    return Detector((left, right), SHAPE, Beam(12_400.0))


def one_panel() -> Detector:
    return Detector.single_panel(
        SHAPE, pixel_size=PIXEL, distance=0.06, beam_center=(300.0, 300.0), photon_energy=12_400.0
    )


def indexed_shot(number: int, detector: Detector, off: float = 0.0) -> ShotImage:
    """A shot whose spots lie where they are predicted, those right of the middle `off` pixels further along fs."""
    A = CELL.A @ Rotation.random(rng=np.random.default_rng(number)).as_matrix()
    predicted = Predictor(detector, CELL, profile_radius=5e-4)(A)
    peaks = np.zeros(len(predicted), PEAK)
    peaks["fs"], peaks["ss"], peaks["lattice"] = predicted.fs, predicted.ss, 1
    peaks["fs"] += np.where(predicted.fs > 300, off, 0.0)
    image = shot_image(number)
    crystal = CrystalFound(cell=CELL.parameters, A=tuple(A.ravel().tolist()), n_indexed=len(peaks), rmsd_px=0.1)
    result = msgspec.structs.replace(image.result, peaks=peaks.tobytes(), n_peaks=len(peaks), crystals=(crystal,))
    return msgspec.structs.replace(image, result=result)


class PartView(RecordingView):
    part_clicked = Signal(int)


def controlled(detector: Detector | None) -> tuple[Monitor, PartView, ResidualsController]:
    monitor = Monitor(NotingOutbox())
    view = PartView()
    controller = ResidualsController(monitor, view)
    if detector is not None:
        monitor.take([Geometry.of("run-1", 1, detector)])
    return monitor, view, controller


def test_a_panel_that_is_off_is_found_and_the_others_are_not() -> None:
    detector = two_panels()
    monitor, view, controller = controlled(detector)
    monitor.take([indexed_shot(n, detector, off=0.8) for n in range(20)])
    controller.refresh()
    drawn = view.told["drawn"]
    by_name = dict(zip(drawn.names, drawn.shifts, strict=True))
    np.testing.assert_allclose(by_name["right"], [0.8, 0.0], atol=0.05)
    np.testing.assert_allclose(by_name["left"], [0.0, 0.0], atol=0.05)
    assert drawn.worst.startswith("most off: right by 0.") and drawn.summary.endswith(" spots of 20 shots")
    left, right = (drawn.places[drawn.names.index(name), 0] for name in ("left", "right"))
    assert -22 < left < 0 < right < 22
    view.part_clicked.emit(drawn.names.index("right"))
    assert monitor.selection[0] == ShotKey("run-1", 19)


def test_one_panel_is_shown_in_tiles() -> None:
    detector = one_panel()
    monitor, view, controller = controlled(detector)
    for n in range(40):
        monitor.take([indexed_shot(n, detector)])
    controller.refresh()
    drawn = view.told["drawn"]
    assert 4 < len(drawn.names) <= TILES**2 and (drawn.n_spots >= FEWEST).all()
    assert np.abs(drawn.shifts).max() < 0.1 and drawn.rmsd.max() < 0.1


def test_parts_with_few_spots_are_not_drawn_but_count_and_without_any_other_the_panel_says_so() -> None:
    detector = one_panel()
    monitor, view, controller = controlled(detector)
    few = indexed_shot(1, detector)
    few = msgspec.structs.replace(
        few, result=msgspec.structs.replace(few.result, peaks=few.result.peaks[: 4 * PEAK.itemsize])
    )
    monitor.take([few])
    controller.refresh()
    assert view.told["empty"] == "No residuals yet: no part of the detector has 5 spots of 1 shot."
    monitor.take([indexed_shot(2, detector)])
    controller.refresh()
    n = 4 + len(indexed_shot(2, detector).result.peaks) // PEAK.itemsize
    assert view.told["drawn"].summary.endswith(f" · {n} spots of 2 shots")
    assert view.told["drawn"].n_spots.sum() < n


def of_run(series: str, shot: ShotImage) -> ShotImage:
    return msgspec.structs.replace(shot, result=msgspec.structs.replace(shot.result, series=series))


def test_runs_of_one_geometry_are_added_up_also_those_before_it_was_heard_of() -> None:
    detector = two_panels()
    monitor, view, controller = controlled(detector)
    monitor.take([indexed_shot(n, detector) for n in range(10)])
    controller.refresh()
    monitor.take([msgspec.structs.replace(Geometry.of("run-2", 2, detector), alike=("run-0", "run-1"))])
    monitor.take([of_run("run-2", indexed_shot(50, detector))])
    monitor.remember_earlier(of_run("run-0", indexed_shot(60, detector)))
    controller.refresh()
    assert view.told["drawn"].summary.endswith(" spots of 12 shots")


def test_another_geometry_begins_anew_and_shots_of_the_one_before_are_left_out_and_it_is_said() -> None:
    detector = two_panels()
    monitor, view, controller = controlled(detector)
    monitor.take([indexed_shot(n, detector) for n in range(10)])
    controller.refresh()
    assert "drawn" in view.told
    other = one_panel()
    monitor.take([Geometry.of("run-2", 2, other)])
    assert controller.stale
    monitor.take([indexed_shot(50, detector), of_run("run-3", indexed_shot(51, detector))])
    controller.refresh()
    left_out = "2 shots of other or unknown geometry left out"
    assert view.told["empty"] == f"No residuals yet: waiting for indexed shots. {left_out}."
    monitor.take([of_run("run-2", indexed_shot(n, other)) for n in range(30)])
    controller.refresh()
    assert view.told["drawn"].summary.endswith(f" spots of 30 shots · {left_out}")


def test_without_geometry_the_panel_says_what_it_needs() -> None:
    _, view, controller = controlled(None)
    controller.refresh()
    assert view.told["empty"] == "No residuals yet: they need the geometry and the photon energy."


@pytest.mark.parametrize("what", ["peaks", "axes"])
def test_a_shot_that_makes_no_sense_is_a_line(what: str) -> None:
    detector = two_panels()
    monitor, _, controller = controlled(detector)
    said: list[str] = []
    monitor.said.connect(said.append)
    shot = indexed_shot(7, detector)
    flat = msgspec.structs.replace(shot.result.crystals[0], A=(0.0,) * 9)
    wrong: dict[str, Any] = {"peaks": b"123"} if what == "peaks" else {"crystals": (flat,)}
    monitor.take([msgspec.structs.replace(shot, result=msgspec.structs.replace(shot.result, **wrong))])
    controller.refresh()
    assert len(said) == 1 and said[0].startswith("shot 7 has no residuals: ")


def test_the_map_is_drawn_at_every_size_and_a_click_opens_the_shots_of_a_part(qtbot: QtBot) -> None:
    detector = two_panels()
    monitor, view = Monitor(NotingOutbox()), ResidualsPanel()
    controller = ResidualsController(monitor, view)
    qtbot.addWidget(view, before_close_func=keeping(view, controller))
    view.show()
    controller.refresh()
    assert view.plot.empty.startswith("No residuals yet")
    monitor.take([Geometry.of("run-1", 1, detector)])
    monitor.take([indexed_shot(n, detector, off=0.8) for n in range(10)])
    controller.refresh()
    assert view.summary.text.startswith("RMSD 0.")
    for theme in (LIGHT, DARK):
        view.set_theme(theme)
        for width, height in ((140, 84), (260, 180), (900, 700)):
            view.resize(width, height)
            assert not view.grab().isNull()
    x, y = (float(at[0]) for at in view.parts.getData())
    place = view.plot.mapFromScene(view.plot.plotItem.vb.mapViewToScene(QPointF(x, y)))
    qtbot.mouseClick(view.plot.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert len(monitor.selection) > 1


def test_shots_from_before_the_window_came_count_too() -> None:
    detector = two_panels()
    monitor, view, controller = controlled(detector)
    monitor.take([indexed_shot(9, detector)])
    for number in (8, 7):
        monitor.remember_earlier(indexed_shot(number, detector))
    controller.refresh()
    assert view.told["drawn"].summary.endswith(" of 3 shots")
