"""The map of orientations."""

import numpy as np
import pytest
from quality_by_hand import monitor_with, rows_of_lattices, settings
from recording_views import RecordingView

from braggwatch.gui.controllers.orientations import AS_POINTS, GRID, OrientationsController
from braggwatch.gui.monitor import Monitor
from braggwatch.streamer.archive_messages import HitRow


def drawn(rows: list[HitRow]) -> tuple[Monitor, RecordingView, OrientationsController]:
    monitor, _ = monitor_with(rows)
    monitor.take([settings()])
    view = RecordingView()
    controller = OrientationsController(monitor, view)
    controller.refresh()
    return monitor, view, controller


def test_few_poles_are_points_within_the_disc_and_many_are_a_density() -> None:
    few = drawn(rows_of_lattices(200))[1].told["drawn"]
    assert few.points.shape == (160, 2) and few.density is None
    assert ((few.points**2).sum(axis=1) <= 1 + 1e-9).all()
    many = drawn(rows_of_lattices(3 * AS_POINTS))[1].told["drawn"]
    assert many.points is None and many.density.shape == (GRID, GRID)
    assert np.nanmean(many.density) == pytest.approx(1, abs=0.05)
    assert np.nanstd(many.density) < 0.25, "uniform orientations look uniform"
    assert np.isnan(many.density[0, 0]) and np.isfinite(many.density[GRID // 2, GRID // 2])


def test_uniform_orientations_are_called_so_and_aligned_ones_too() -> None:
    assert drawn(rows_of_lattices(1000))[1].told["drawn"].statement == "No preferred orientation seen"
    aligned = drawn(rows_of_lattices(1000, aligned=0.6))[1].told["drawn"]
    assert aligned.statement.startswith("Strong preferred orientation: c* gathers ")
    assert aligned.axis_at == pytest.approx((0, 0), abs=0.1)
    assert aligned.figures.startswith("strength 0.5") and aligned.figures.endswith(" · 800 lattices")


def test_too_few_to_tell_is_said() -> None:
    assert drawn(rows_of_lattices(5))[1].told["drawn"].statement == "Too few to tell: 4 of 10 lattices"
    assert drawn([])[1].told["empty"] == "No orientations yet: waiting for the first indexed shot."


def test_symmetry_adds_the_equivalent_poles_until_it_is_switched_off() -> None:
    _, view, controller = drawn(rows_of_lattices(100))
    assert view.told["drawn"].n_poles == 80
    view.axis_chosen.emit("a*")
    assert controller.stale
    controller.refresh()
    assert view.told["drawn"].n_poles == 160 and view.told["drawn"].axis == "a*"
    view.fold_chosen.emit(False)
    controller.refresh()
    assert view.told["drawn"].n_poles == 80


def test_a_click_opens_the_nearest_shot_or_in_a_density_those_around_it() -> None:
    monitor, view, _ = drawn(rows_of_lattices(100))
    x, y = view.told["drawn"].points[17]
    view.place_clicked.emit(float(x), float(y))
    hit = int(monitor.hits.lattices["hit"][17])
    assert monitor.selection == (monitor.hits.key(hit),)
    view.place_clicked.emit(3.0, 0.0)
    assert monitor.selection == (monitor.hits.key(hit),)
    monitor, view, _ = drawn(rows_of_lattices(3 * AS_POINTS))
    view.place_clicked.emit(0.3, 0.2)
    # a cap of radius 0.06 in the map holds 0.36 % of the poles
    assert len(monitor.selection) == pytest.approx(0.0036 * 4800, abs=14)


def test_lattices_that_come_later_are_added_to_those_before() -> None:
    rows = rows_of_lattices(400)
    monitor, view, controller = drawn(rows[:100])
    monitor.hits.extend(rows[100:])
    monitor.hits_changed.emit()
    assert controller.stale
    controller.refresh()
    at_once = drawn(rows)[1].told["drawn"]
    assert view.told["drawn"].figures == at_once.figures
    np.testing.assert_allclose(view.told["drawn"].points, at_once.points)
    monitor.begin_anew()
    controller.refresh()
    assert "empty" in view.told
