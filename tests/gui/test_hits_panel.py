"""The table of hits as it is seen and used."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hits_by_hand import varied_rows
from messages_by_hand import NotingOutbox
from PyQt5.QtCore import QModelIndex, Qt
from PyQt5.QtWidgets import QApplication, QLineEdit
from pytestqt.qtbot import QtBot

from braggwatch.gui.controllers.hits import HitsController
from braggwatch.gui.hit_table import COLUMNS
from braggwatch.gui.monitor import Monitor
from braggwatch.gui.panels.hits import HitsPanel
from braggwatch.gui.theme import LIGHT
from braggwatch.streamer.archive_messages import Refusal, ShotWanted, Tagged, TagWanted
from braggwatch.streamer.feed_messages import Ledger, Status
from braggwatch.streamer.messages import State

ROWS = varied_rows(600)


class Bench:
    """A panel with its controller, and a monitor that knows some hits."""

    def __init__(self, qtbot: QtBot, n: int) -> None:
        self.outbox = NotingOutbox()
        self.monitor = Monitor(self.outbox)
        self.panel = HitsPanel()
        qtbot.addWidget(self.panel)
        self.controller = HitsController(self.monitor, self.panel)
        self.panel.resize(900, 300)
        self.panel.show()
        self.grow(n)

    def grow(self, n: int) -> None:
        here = len(self.monitor.hits)
        self.monitor.hits.extend(ROWS[here : here + n])
        self.monitor.hits_changed.emit()
        self.refresh()

    def refresh(self) -> None:
        while self.controller.stale:
            self.controller.refresh()

    def filter(self, text: str) -> None:
        self.panel.filter_line.setText(text)
        self.refresh()

    def seen(self) -> list[int]:
        """Which rows of `ROWS` are seen, by frame number and run."""
        ids = {(row.run, row.number): i for i, row in enumerate(ROWS)}
        model = self.panel.rows
        return [ids[model.hit_at(i).run, model.hit_at(i).number] for i in range(model.rowCount())]

    def click(self, qtbot: QtBot, position: int, keys: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
        table = self.panel.table
        where = table.visualRect(self.panel.rows.index(position, 1)).center()
        qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, keys, where)
        self.refresh()


@pytest.fixture
def bench(qtbot: QtBot) -> Bench:
    return Bench(qtbot, 300)


def action(menu: Any, text: str) -> Any:
    return next(action for action in menu.actions() if action.text() == text)


def test_all_hits_are_seen_with_their_cells_and_counted(bench: Bench) -> None:
    assert bench.seen() == list(range(300))
    assert bench.panel.counts.text() == "300 of 300 hits"
    model, row = bench.panel.rows, ROWS[8]
    texts = [model.data(model.index(8, column)) for column in range(model.columnCount())]
    titles = [model.headerData(column, Qt.Orientation.Horizontal) for column in range(model.columnCount())]
    assert titles == ["run", "frame", "time", "state", "group", "spots", "res. (Å)", "lattices", "indexed", "a (Å)",
                      "b (Å)", "c (Å)", "α (°)", "β (°)", "γ (°)", "RMSD (px)", "file · image", "tags"]  # fmt: skip
    assert texts[1] == str(row.number) and texts[5] == str(row.n_peaks)
    assert texts[3:5] == [row.state.value, "–"]


def test_a_filter_is_applied_as_it_is_typed_and_counted(bench: Bench) -> None:
    bench.filter("indexed")
    expected = [i for i, row in enumerate(ROWS[:300]) if row.crystals]
    assert bench.seen() == expected
    assert bench.panel.counts.text() == f"{len(expected)} of 300 hits"
    bench.grow(300)
    assert bench.seen() == [i for i, row in enumerate(ROWS) if row.crystals]


def test_a_filter_that_is_not_understood_says_why_and_leaves_the_rows_as_they_are(bench: Bench) -> None:
    bench.filter("multi")
    before = bench.seen()
    bench.filter("multi x<2")
    assert bench.panel.problem.isVisible()
    assert bench.panel.problem.text().startswith("there is no column “x”: expected run, frame, spots")
    assert bench.seen() == before
    bench.filter("")
    assert not bench.panel.problem.isVisible()


def test_a_column_is_sorted_upwards_then_downwards_then_as_recorded(bench: Bench) -> None:
    header = bench.panel.table.horizontalHeader()
    for order in (Qt.SortOrder.AscendingOrder, Qt.SortOrder.DescendingOrder):
        header.sectionClicked.emit(5)
        bench.refresh()
        spots = [ROWS[i].n_peaks for i in bench.seen()]
        assert spots == sorted(spots, reverse=order == Qt.SortOrder.DescendingOrder)
        assert (header.sortIndicatorSection(), header.sortIndicatorOrder()) == (5, order)
    header.sectionClicked.emit(5)
    bench.refresh()
    assert bench.seen() == list(range(300))


def test_a_click_shows_the_shot_and_steps_go_through_the_rows_that_are_seen(bench: Bench, qtbot: QtBot) -> None:
    bench.filter("indexed res<3")
    bench.controller._sort("res")
    bench.refresh()
    seen = bench.seen()
    bench.click(qtbot, 2)
    assert bench.monitor.selected == bench.monitor.hits.key(seen[2])
    assert [request for request, _ in bench.outbox.asked] == [ShotWanted(*bench.monitor.hits.key(seen[2]))]
    bench.monitor.step(1)
    assert bench.monitor.selected == bench.monitor.hits.key(seen[3])
    bench.refresh()
    assert bench.panel.selected_rows() == [seen[3]]


def test_a_shot_that_is_chosen_elsewhere_is_selected_and_brought_into_sight(bench: Bench) -> None:
    bench.monitor.select([bench.monitor.hits.key(250)])
    bench.refresh()
    assert bench.panel.selected_rows() == [250]
    table = bench.panel.table
    assert table.viewport().rect().contains(table.visualRect(bench.panel.rows.index(250, 0)).center())
    assert bench.monitor.selection == (bench.monitor.hits.key(250),)


@pytest.mark.parametrize("column", ["spots", "frame", "file"])
def test_rows_that_come_in_between_leave_selection_and_sight_as_they_were(
    bench: Bench, qtbot: QtBot, column: str
) -> None:
    bench.controller._sort(column)
    bench.refresh()
    table, model = bench.panel.table, bench.panel.rows
    table.verticalScrollBar().setValue(100)
    bench.click(qtbot, 102)
    bench.click(qtbot, 104, Qt.KeyboardModifier.ShiftModifier)
    top, selected = model.row_at(table.rowAt(0)), bench.panel.selected_rows()
    assert len(selected) == 3
    bench.grow(100)
    assert model.rowCount() == 400
    assert model.row_at(table.rowAt(0)) == top
    assert bench.panel.selected_rows() == selected


def test_whoever_is_at_the_end_sees_what_comes_and_nobody_else_is_moved(bench: Bench) -> None:
    bar = bench.panel.table.verticalScrollBar()
    bench.panel.table.scrollToBottom()
    bench.grow(50)
    assert bar.value() == bar.maximum() > 300
    bar.setValue(40)
    bench.grow(50)
    assert bar.value() == 40


def test_the_menu_copies_and_opens_folders(bench: Bench, qtbot: QtBot) -> None:
    first, second = [i for i, row in enumerate(ROWS[:10]) if row.dumped][:2]
    bench.click(qtbot, first)
    bench.click(qtbot, second, Qt.KeyboardModifier.ControlModifier)
    menu = bench.panel.menu()
    with qtbot.waitSignal(bench.panel.folder_wanted) as opened:
        action(menu, "Open folder").trigger()
    assert opened.args == ["dumps"]
    action(menu, "Copy path").trigger()
    assert QApplication.clipboard().text() == ROWS[first].dumped[0].path
    action(menu, "Copy as text").trigger()
    lines = QApplication.clipboard().text().splitlines()
    assert [line.split(",")[1] for line in lines] == [f" frame {ROWS[i].number}" for i in (first, second)]


def test_a_tag_is_asked_for_and_shown_when_it_is_kept(bench: Bench, qtbot: QtBot) -> None:
    bench.click(qtbot, 3)
    bench.outbox.asked.clear()
    line = next(child for child in bench.panel.menu().findChildren(QLineEdit))
    qtbot.keyClicks(line, "ice")
    qtbot.keyPress(line, Qt.Key.Key_Return)
    series, number = bench.monitor.hits.key(3)
    assert [request for request, _ in bench.outbox.asked] == [TagWanted(series, number, "ice", True)]
    bench.outbox.answer(Tagged(series, number, ("ice",)))
    bench.filter("tag:ice")
    assert bench.seen() == [3]
    tags = action(bench.panel.menu(), "Tags").menu()
    taking_off = action(tags, "ice")
    assert taking_off.isChecked()
    bench.panel.table.selectAll()
    taking_off.trigger()
    assert bench.outbox.asked[-1][0] == TagWanted(series, number, "ice", False)


def test_a_tag_that_somebody_else_has_given_is_shown_and_filtered_by(bench: Bench) -> None:
    bench.filter("tag:ice")
    assert bench.panel.rows.rowCount() == 0
    bench.monitor.retag(bench.monitor.hits.key(3), ("ice",))
    assert bench.controller.stale
    bench.controller.refresh()
    assert bench.panel.rows.rowCount() == 1


def test_a_tag_that_is_refused_is_a_line(bench: Bench) -> None:
    said: list[str] = []
    bench.monitor.said.connect(said.append)
    bench.panel.tag_wanted.emit([3], "ice", True)
    bench.panel.tag_wanted.emit([3], "  ", True)
    bench.outbox.answer(Tagged("run-0", 21, (), "the record is read only"))
    bench.panel.tag_wanted.emit([3], "ice", True)
    bench.outbox.answer(Refusal("no such shot"))
    assert said == ["the tag was not kept: the record is read only", "the tag was not kept: no such shot"]
    assert not bench.outbox.asked


def test_the_rows_that_are_seen_are_saved(bench: Bench, qtbot: QtBot, tmp_path: Path) -> None:
    said: list[str] = []
    bench.monitor.said.connect(said.append)
    bench.filter("multi")
    for path in (tmp_path / "hits.csv", tmp_path / "nowhere" / "hits.csv"):
        bench.panel.export_wanted.emit(str(path))
        qtbot.waitUntil(lambda: bench.controller.stale)
        bench.refresh()
    assert len((tmp_path / "hits.csv").read_text("utf-8").splitlines()) == 1 + len(bench.seen())
    assert said == [
        f"{len(bench.seen())} hits were written to {tmp_path / 'hits.csv'}",
        f"the hits could not be written to {tmp_path / 'nowhere' / 'hits.csv'}: No such file or directory",
    ]


def test_an_empty_table_says_what_is_waited_for(qtbot: QtBot) -> None:
    bench = Bench(qtbot, 0)
    assert bench.panel.empty.text() == "No hits: nothing was heard from the processor yet."
    bench.monitor.take([Status(word="LIVE", since=0.0, time=1.0, source="tcp://detector:31001")])
    bench.refresh()
    assert bench.panel.empty.text() == "No hits yet: waiting for the first frame from tcp://detector:31001."
    totals = Ledger(counts={State.BLANK: 214}, total=214)
    bench.monitor.take([Status(word="LIVE", since=0.0, time=1.0, totals=totals)])
    bench.refresh()
    assert bench.panel.empty.text() == "No hits yet: 214 frames were looked at, all of them blank."
    bench.grow(5)
    assert bench.panel.table.isVisible() and not bench.panel.empty.isVisible()
    bench.filter("res<0.5")
    assert bench.panel.empty.text() == "None of 5 hits is “res<0.5”."


def test_another_processor_begins_with_an_empty_table_and_the_same_filter(bench: Bench) -> None:
    bench.filter("indexed")
    bench.monitor.begin_anew()
    bench.refresh()
    assert bench.seen() == []
    bench.grow(20)
    assert bench.seen() == [i for i, row in enumerate(ROWS[:20]) if row.crystals]


def test_a_click_on_a_row_that_the_filter_has_hidden_meanwhile_shows_that_shot_alone(bench: Bench) -> None:
    bench.panel.filter_line.setText("run=9")
    bench.panel.row_chosen.emit(7)
    assert bench.monitor.selection == (bench.monitor.hits.key(7),)


def test_the_marked_row_and_the_colours_follow(bench: Bench) -> None:
    bench.monitor.select([bench.monitor.hits.key(4)])
    bench.refresh()
    model = bench.panel.rows
    assert model.data(model.index(4, 0), Qt.ItemDataRole.FontRole).bold()
    assert model.data(model.index(5, 0), Qt.ItemDataRole.FontRole) is None
    bench.panel.set_theme(LIGHT)
    indexed = next(i for i, row in enumerate(ROWS) if row.crystals)
    assert model.data(model.index(indexed, 3), Qt.ItemDataRole.ForegroundRole).color().name() == LIGHT.indexed.lower()
    assert model.rowCount(QModelIndex()) == 300
    assert not bench.panel.grab().isNull()


def test_the_group_has_a_column_where_shots_are_grouped_and_a_way_to_see_it_alone(bench: Bench) -> None:
    column = next(i for i, column in enumerate(COLUMNS) if column.name == "group")
    assert bench.panel.table.isColumnHidden(column)
    grouped = [
        msgspec.structs.replace(row, id=1000 + i, series="grouped", group=("laser_1 0", "laser_1 1")[i % 2])
        for i, row in enumerate(ROWS[:40])
    ]
    bench.monitor.hits.extend(grouped)
    bench.monitor.hits_changed.emit()
    bench.refresh()
    assert not bench.panel.table.isColumnHidden(column)
    bench.panel.table.selectRow(bench.panel.rows.rowCount() - 1)
    only = next(action for action in bench.panel.menu().actions() if action.text() == "Only group laser_1 1")
    only.trigger()
    bench.refresh()
    assert bench.panel.filter_line.text() == 'group:"laser_1 1"'
    texts = {bench.panel.rows.data(bench.panel.rows.index(i, column)) for i in range(bench.panel.rows.rowCount())}
    assert bench.panel.rows.rowCount() == 20 and texts == {"laser_1 1"}
