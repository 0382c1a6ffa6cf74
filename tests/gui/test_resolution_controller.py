"""The histogram of resolutions."""

import msgspec
import numpy as np
import pytest
from quality_by_hand import monitor_with, rows_of_lattices
from recording_views import RecordingView

from braggwatch.gui.controllers.resolution import ResolutionController


def test_hits_and_indexed_shots_are_counted_and_their_medians_said() -> None:
    rows = rows_of_lattices(3000)
    monitor, _ = monitor_with(rows)
    view = RecordingView()
    ResolutionController(monitor, view).refresh()
    drawn = view.told["drawn"]
    assert drawn.hits.sum() == drawn.n_hits == 3000 and drawn.indexed.sum() == drawn.n_indexed == 2400
    assert drawn.median_hits == pytest.approx(float(np.median([row.resolution for row in rows])), rel=1e-3)
    assert drawn.median_indexed == pytest.approx(float(np.median([r.resolution for r in rows if r.crystals])), rel=1e-3)


def test_a_bar_opens_its_shots() -> None:
    rows = rows_of_lattices(3000)
    monitor, _ = monitor_with(rows)
    view = RecordingView()
    controller = ResolutionController(monitor, view)
    controller.refresh()
    drawn = view.told["drawn"]
    at = int(np.argmax(drawn.hits))
    view.bar_clicked.emit(float(drawn.edges[at]), float(drawn.edges[at + 1]))
    assert len(monitor.selection) == drawn.hits[at]
    inverse_d = {row.number: 1 / row.resolution for row in rows if row.resolution}
    for key in monitor.selection:
        assert drawn.edges[at] - 1e-6 <= inverse_d[key.number] < drawn.edges[at + 1] + 1e-6


@pytest.mark.parametrize("d", [None, 0.0, -1.0, float("inf"), float("nan")])
def test_a_resolution_that_is_none_is_left_out(d: float | None) -> None:
    rows = rows_of_lattices(3)
    monitor, _ = monitor_with([msgspec.structs.replace(rows[0], resolution=d), *rows[1:]])
    view = RecordingView()
    ResolutionController(monitor, view).refresh()
    assert view.told["drawn"].n_hits == 2


def test_the_empty_panel_says_what_is_missing() -> None:
    monitor, _ = monitor_with([])
    view = RecordingView()
    ResolutionController(monitor, view).refresh()
    assert view.told["empty"] == "No resolution yet: waiting for the first hit."
    monitor, _ = monitor_with([msgspec.structs.replace(rows_of_lattices(1)[0], resolution=None)])
    ResolutionController(monitor, view).refresh()
    assert view.told["empty"].startswith("No resolution yet: of 1 hits none has one")


def test_one_hit_and_many_alike_have_a_histogram() -> None:
    for n in (1, 2, 50):
        rows = [msgspec.structs.replace(row, resolution=2.0) for row in rows_of_lattices(n)]
        monitor, _ = monitor_with(rows)
        view = RecordingView()
        ResolutionController(monitor, view).refresh()
        assert view.told["drawn"].hits.sum() == n and view.told["drawn"].median_hits == pytest.approx(2.0)
