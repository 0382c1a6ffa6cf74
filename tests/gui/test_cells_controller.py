"""The histograms of cells, and the proposal of another target."""

from pathlib import Path

import numpy as np
import pytest
from messages_by_hand import NotingOutbox
from msgspec.structs import replace
from quality_by_hand import TARGET, monitor_with, rows_of_lattices, settings
from recording_views import BarView

from braggwatch.gui.controllers.cells import BINS, CellsController
from braggwatch.gui.monitor import Monitor
from braggwatch.gui.shot_key import ShotKey
from braggwatch.gui.target_cell import TargetCell
from braggwatch.processing.crystfel_cell import cell_text
from braggwatch.processing.unit_cell import UnitCell
from braggwatch.streamer.archive_messages import HitRow
from braggwatch.streamer.control_messages import Change, Changed


def test_the_fit_is_said_with_its_error_width_and_outliers_and_the_target_is_there() -> None:
    monitor, _ = monitor_with(rows_of_lattices(2000))
    monitor.take([settings()])
    view = BarView()
    controller = CellsController(monitor, view)
    controller.refresh()
    a, _, c, alpha, *_ = view.told["drawn"]
    assert a.fit.value == pytest.approx(79.3, abs=0.01) and a.target == 79.2
    assert a.value.startswith("79.30") and a.value.endswith(" Å") and "±" in a.value
    assert a.spread == f"σ 0.05 · {a.fit.n_outliers} of 1\u2009600 outliers"
    assert 100 < a.fit.n_outliers < 200
    assert c.name == "c" and alpha.unit == "°" and alpha.value.endswith("0.003°")
    assert len(a.counts) == BINS and a.counts.sum() == np.sum(
        (monitor.hits.lattices["cell"][:, 0] >= a.edges[0]) & (monitor.hits.lattices["cell"][:, 0] <= a.edges[-1])
    )
    assert view.told["can"][0]


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_few_lattices_are_no_trouble(n: int) -> None:
    monitor, _ = monitor_with(rows_of_lattices(n))
    view = BarView()
    CellsController(monitor, view).refresh()
    if n:
        assert [histogram.fit.n for histogram in view.told["drawn"]] == [n] * 6
    else:
        assert view.told["empty"] == "No cells yet: waiting for the first indexed shot."


def test_hits_without_lattices_are_counted_in_the_empty_panel() -> None:
    rows = [row for row in rows_of_lattices(30) if not row.crystals]
    monitor, _ = monitor_with(rows)
    view = BarView()
    CellsController(monitor, view).refresh()
    assert view.told["empty"] == "No cells yet: 6 hits, none of them indexed so far."


def test_a_bar_opens_its_shots_the_newest_first_and_not_too_many() -> None:
    monitor, _ = monitor_with(rows_of_lattices(5000))
    view = BarView()
    controller = CellsController(monitor, view)
    controller.refresh()
    view.bar_clicked.emit(2, 38.0, 38.2)
    assert len(monitor.selection) == 1000
    numbers = [key.number for key in monitor.selection]
    assert numbers == sorted(numbers, reverse=True)
    row = monitor.hits.find(monitor.selection[0])
    lattices = monitor.hits.lattices
    assert 38.0 <= lattices["cell"][lattices["hit"] == row][0, 2] < 38.2
    view.bar_clicked.emit(2, 500.0, 501.0)
    assert len(monitor.selection) == 1000, "a bar without shots changes nothing"


def test_the_fitted_cell_is_sent_only_after_the_user_has_seen_old_and_new() -> None:
    monitor, outbox = monitor_with(rows_of_lattices(2000))
    monitor.take([settings()])
    view = BarView()
    controller = CellsController(monitor, view)
    controller.refresh()
    view.proposed.emit()
    assert view.told["proposal"].old == TARGET
    assert view.told["proposal"].new == "79.28 79.28 38.10 90 90 90 P43212"
    assert not outbox.changes
    view.confirmed.emit()
    ((change, then),) = outbox.changes
    assert change == Change({"index": {"cell": "79.28 79.28 38.10 90 90 90 P43212"}})
    assert view.told["proposal"] is None
    then(Changed(7))
    assert view.told["line"] == "The new target cell is in force, settings version 7."


def test_a_proposal_that_is_cancelled_or_refused_changes_nothing() -> None:
    monitor, outbox = monitor_with(rows_of_lattices(100))
    monitor.take([settings()])
    said: list[str] = []
    monitor.said.connect(said.append)
    view = BarView()
    controller = CellsController(monitor, view)
    controller.refresh()
    view.proposed.emit()
    view.cancelled.emit()
    view.confirmed.emit()
    assert not outbox.changes
    view.proposed.emit()
    view.confirmed.emit()
    outbox.changes[0][1](Changed(1, "index.cell: the disc is full"))
    assert said == ["The target cell was not changed: index.cell: the disc is full"]


def test_without_a_target_nothing_can_be_proposed_and_the_reason_is_said() -> None:
    monitor, outbox = monitor_with(rows_of_lattices(100))
    view = BarView()
    controller = CellsController(monitor, view)
    controller.refresh()
    assert view.told["can"] == (False, "The processor has not said its settings yet.")
    view.proposed.emit()
    view.confirmed.emit()
    assert not outbox.changes


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[index", "The settings that the processor sent are no TOML."),
        ("index = 3", "The settings in force name no target cell."),
        ("[index]\ncell = 5", "The settings in force name no target cell."),
        ("[index]\ncell = '1 2 3'", "The target cell cannot be read here: expected six numbers"),
        ("[index]\ncell = '/x/y.cell'", "The target cell is in a file on the processor's machine: /x/y.cell."),
    ],
)
def test_settings_without_a_readable_cell_are_a_sentence(text: str, problem: str) -> None:
    target = TargetCell.of(settings(text))
    assert target.cell is None and target.problem.startswith(problem)


def test_a_cell_file_that_the_settings_name_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "here.cell"
    path.write_text(cell_text(UnitCell.from_string(TARGET)))
    assert TargetCell.of(settings(f"[index]\ncell = '{path}'\n")).cell is None


def test_a_cell_is_written_with_the_symmetry_word_that_stands_in_the_settings() -> None:
    cell = UnitCell.from_string("10.123 10.123 20.5 90 90 120 R3:H")
    for word in ("R3:H", "hR", "R"):
        target = TargetCell.of(settings(f"[index]\ncell = '10,10,20,90,90,120 {word}'"))
        assert target.in_this_form(cell) == f"10.12 10.12 20.50 90 90 120 {word}"
    monoclinic = UnitCell.from_string("10 20 30 90 100.37 90 P21")
    target = TargetCell.of(settings("[index]\ncell = '10 20 30 90 100 90'"))
    assert target.in_this_form(monoclinic) == "10.00 20.00 30.00 90 100.37 90"


def test_forgetting_everything_empties_the_panel() -> None:
    monitor, _ = monitor_with(rows_of_lattices(100))
    view = BarView()
    controller = CellsController(monitor, view)
    controller.refresh()
    assert not controller.stale
    monitor.begin_anew()
    assert controller.stale
    controller.refresh()
    assert "empty" in view.told and "drawn" not in view.told
    assert CellsController(Monitor(NotingOutbox()), BarView()).stale
    assert ShotKey("run-1", 3) not in monitor.selection


def of_two_groups(n: int) -> list[HitRow]:
    """Every second hit is pumped, and its cell longer by 0.4 Angstrom."""
    rows = []
    for i, row in enumerate(rows_of_lattices(n, outliers=0.0)):
        pumped = i % 2 == 1
        longer = [replace(c, cell=(c.cell[0] + 0.4 * pumped, *c.cell[1:])) for c in row.crystals]
        rows.append(replace(row, group="pumped" if pumped else "dark", crystals=tuple(longer)))
    return rows


def test_the_cells_of_one_group_are_shown_fitted_proposed_and_opened_alone() -> None:
    monitor, outbox = monitor_with(of_two_groups(1000))
    monitor.take([settings()])
    view = BarView()
    controller = CellsController(monitor, view)
    controller.refresh()
    assert view.told["groups"] == ([("dark", "dark"), ("pumped", "pumped")], "")
    assert view.told["drawn"][0].fit.n == 800
    view.group_chosen.emit("pumped")
    assert controller.stale
    controller.refresh()
    assert view.told["groups"][1] == "pumped" and view.told["drawn"][0].fit.n == 400
    assert view.told["drawn"][0].fit.value == pytest.approx(79.7, abs=0.01)
    view.bar_clicked.emit(0, 79.0, 80.5)
    groups = {monitor.hits.row(monitor.hits.find(key) or 0).group for key in monitor.selection}
    assert groups == {"pumped"} and len(monitor.selection) == 400
    view.proposed.emit()
    view.confirmed.emit()
    assert outbox.changes[-1][0] == Change({"index": {"cell": "79.48 79.48 38.10 90 90 90 P43212"}})
    view.group_chosen.emit("")
    controller.refresh()
    assert view.told["drawn"][0].fit.n == 800


def test_where_shots_are_not_grouped_no_group_is_offered_and_a_group_without_lattices_says_so() -> None:
    monitor, _ = monitor_with(rows_of_lattices(20))
    view = BarView()
    controller = CellsController(monitor, view)
    controller.refresh()
    assert view.told["groups"] == ([], "")
    view.group_chosen.emit("pumped")
    controller.refresh()
    assert view.told["groups"] == ([("pumped", "pumped")], "pumped")
    assert view.told["empty"] == "No cells of group pumped yet: none of its hits is indexed so far."
    assert not view.told["can"][0]
