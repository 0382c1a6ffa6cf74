"""The merge by group in the window: which rows there are, what the rest of the panel then speaks of, and nonsense."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from merging_by_hand import changed, merged
from messages_by_hand import NotingOutbox, hits
from numbers_by_hand import status
from PyQt5.QtCore import QPoint, Qt
from pytestqt.qtbot import QtBot
from quality_by_hand import keeping, rows_of_lattices, settings
from test_merging_panel import BIG, ODD, odd_shells

from braggwatch.gui.controllers.headline import HeadlineController
from braggwatch.gui.controllers.merging import MergingController
from braggwatch.gui.monitor import Monitor
from braggwatch.gui.panels.headline import HeadlinePanel
from braggwatch.gui.panels.merging import MergingPanel
from braggwatch.gui.theme import DARK, LIGHT
from braggwatch.processing.data_quality import Difference, Forecast
from braggwatch.streamer.feed_messages import Finished
from braggwatch.streamer.merge_messages import GroupDifference, GroupMerge, Merging

AHEAD = Forecast("ahead", 720.0, 480.0, 1140.0, 5000.0, "cc_half", 1.0)
LATER = replace(AHEAD, seconds=2400.0, high=3600.0)
GROUPED = settings('[groups]\nby = "laser_1"\nnames = { "1" = "pumped", "0" = "dark" }\n')
Shown = tuple[MergingPanel, MergingController, Monitor]
Show = Callable[..., Shown]


def grouped(dark: Forecast | None = AHEAD, pumped: Forecast | None = LATER, **fields: Any) -> Merging:
    """Return what is said of 300 crystals, of which every fourth is of the group pumped."""
    message = merged(300, groups=("dark", "dark", "pumped", "dark"))
    forecasts = {"dark": dark, "pumped": pumped}
    groups = tuple(msgspec.structs.replace(group, forecast=forecasts[group.name]) for group in message.groups)
    return changed(message, **{"groups": groups, "forecast": dark, **fields})


@pytest.fixture
def show(qtbot: QtBot) -> Show:
    def made(*messages: Any, size: tuple[int, int] = (900, 640)) -> Shown:
        monitor, view = Monitor(NotingOutbox()), MergingPanel()
        controller = MergingController(monitor, view)
        qtbot.addWidget(view, before_close_func=keeping(view, controller))
        view.resize(*size)
        view.show()
        monitor.set_link("heard")
        monitor.take([GROUPED, *messages])
        controller.refresh()
        qtbot.wait(1)
        return view, controller, monitor

    return made


def texts(view: MergingPanel) -> list[list[str]]:
    return [[cell.text for cell in row.cells] for row in view.facts.groups.rows]


def fact(view: MergingPanel, name: str) -> str:
    return next(row.cells[1].text for row in view.facts.rows.rows if row.cells[0].text == name)


def click(qtbot: QtBot, view: MergingPanel, row: int) -> None:
    place = QPoint(30, row * view.facts.groups.row_height + 5)
    qtbot.mouseClick(view.facts.groups, Qt.MouseButton.LeftButton, pos=place)


def test_each_group_has_a_row_in_the_order_and_colour_that_it_has_everywhere(show: Show) -> None:
    message = grouped()
    view, _, _ = show(status(time=message.time), message)
    head, everything, pumped, dark = texts(view)
    assert head == ["group", "crystals", "% compl.", "CC½", "to (Å)", "target"]
    assert everything[:2] == ["all", str(message.n_crystals)]
    told = {group.name: group for group in message.groups}
    for row, name, done in ((pumped, "pumped", "in 40 min"), (dark, "dark", "in 12 min")):
        group = told[name]
        assert group.whole is not None and group.whole.completeness is not None
        assert group.outer is not None and group.outer.cc_half is not None
        completeness = math.floor(1000 * group.whole.completeness) / 10
        assert row == [
            name, str(group.n_crystals), f"{completeness:.1f}", f"{group.outer.cc_half - 0.005:.2f}",
            f"{group.resolution:.2f}", done,
        ]  # fmt: skip
    assert [row.square for row in view.facts.groups.rows] == ["", "", "group_1", "group_2"]


def test_where_shots_are_not_grouped_there_is_no_row(show: Show) -> None:
    view, _, _ = show(status(), merged())
    assert not view.facts.groups.isVisible()
    view, _, _ = show(status(), grouped())
    assert view.facts.groups.isVisible()


def test_the_verdict_is_that_of_the_group_that_takes_longest(show: Show) -> None:
    message = grouped()
    view, controller, monitor = show(status(time=message.time), message, size=(1600, 900))
    assert view.verdict.text == "pumped: done in about 40 min (8–60 min)"
    assert monitor.merging is not None
    group = next(group for group in message.groups if group.name == "pumped")
    assert group.whole is not None and group.whole.completeness is not None
    assert f"{math.floor(1000 * group.whole.completeness) / 10:.1f} % complete" in view.quality.text
    reached = Forecast("reached")
    for one, other, said in (
        (reached, LATER, "pumped: done in about 40 min (8–60 min)"),
        (reached, reached, "every group: target reached, by 75 crystals so far"),
        (Forecast("not at this rate"), LATER, "dark: will not be reached at this rate"),
        (None, None, "No target is set"),
    ):
        monitor.take([grouped(one, other)])
        controller.refresh()
        assert view.verdict._texts[0] == said.replace("75", str(group.n_crystals)), said


def test_in_the_end_it_says_which_group_lacked_what(show: Show) -> None:
    message = grouped()
    view, _, _ = show(status(time=message.time), message, Finished(time=message.time, merging=message))
    assert view.verdict._texts[0] == "pumped: target not reached: about 40 min more would have done"
    assert texts(view)[2][-1] == "Not reached"


def test_a_click_on_a_group_shows_its_numbers_shells_and_indexed_shots(show: Show, qtbot: QtBot) -> None:
    message = grouped()
    view, controller, monitor = show(status(time=message.time), message, size=(1600, 900))
    rows = [msgspec.structs.replace(row, group="dark" if row.number % 2 else "pumped") for row in rows_of_lattices(60)]
    monitor.hits.extend(hits(rows).rows)
    told = {group.name: group for group in message.groups}
    for place, name in ((2, "pumped"), (3, "dark")):
        click(qtbot, view, place)
        controller.refresh()
        group = told[name]
        assert [row.cells[0].bold for row in view.facts.groups.rows].index(True) == place
        assert view.verdict._texts[0].startswith(f"{name}: ")
        assert fact(view, "Crystals merged").startswith(str(group.n_crystals))
        assert "Merged as" not in {row.cells[0].text for row in view.facts.rows.rows}
        assert [line.texts[1] for line in view.table._lines[:-1]] == [str(shell.n_unique) for shell in group.shells]
        expected = {(row.series, row.number) for row in rows if row.group == name and row.crystals}
        assert {(key.series, key.number) for key in monitor.selection} == expected
        view.table.shell_clicked.emit(len(group.shells))
        assert {(key.series, key.number) for key in monitor.selection} == expected
    click(qtbot, view, 1)
    controller.refresh()
    assert fact(view, "Crystals merged").startswith(str(message.n_crystals))
    assert len(monitor.selection) == sum(1 for row in rows if row.crystals)


def test_a_group_that_is_gone_is_not_chosen_any_more(show: Show, qtbot: QtBot) -> None:
    message = grouped()
    view, controller, monitor = show(status(time=message.time), message)
    click(qtbot, view, 2)
    monitor.take([merged()])
    controller.refresh()
    assert fact(view, "Crystals merged").startswith(str(merged().n_crystals))
    monitor.take([message])
    controller.refresh()
    assert [row.cells[0].bold for row in view.facts.groups.rows].index(True) == 1


def test_a_group_without_a_merged_crystal_is_shown_but_cannot_be_chosen(show: Show) -> None:
    message = grouped(groups=(GroupMerge(name="dark", n_outliers=7), *grouped().groups[1:]))
    view, _, _ = show(status(time=message.time), message)
    assert texts(view)[3] == ["dark", "0", "–", "–", "–", ""]
    assert "7 left out as outliers" in view.facts.groups.rows[3].meaning
    assert view.facts.groups.rows[3].key == ""


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (Difference(900, 0.325, 0.031, 0.257), "beyond chance: CC½ 0.32 ±0.03, R_iso 25.7 %"),
        (Difference(900, -0.02, 0.031, 0.257), "none beyond chance so far: CC½ −0.02 ±0.03, R_iso 25.7 %"),
        (Difference(3), "not known yet: CC½ – ±–, R_iso –"),
        (Difference(-BIG, math.nan, math.inf, -1.0), "not known yet: CC½ – ±–, R_iso –"),
    ],
    ids=["signal", "chance", "few", "nonsense"],
)
def test_whether_two_groups_differ_is_one_of_the_numbers(show: Show, found: Difference, said: str) -> None:
    message = grouped(difference=GroupDifference("dark", "pumped", found))
    view, _, _ = show(status(time=message.time), message)
    assert fact(view, "Difference") == said
    view, _, _ = show(status(time=message.time), grouped(difference=None))
    assert "Difference" not in {row.cells[0].text for row in view.facts.rows.rows}


def test_the_data_set_in_now_names_the_group_that_takes_longest(qtbot: QtBot) -> None:
    monitor, view = Monitor(NotingOutbox()), HeadlinePanel()
    controller = HeadlineController(monitor, view)
    qtbot.addWidget(view, before_close_func=keeping(view, controller))
    message = grouped()
    monitor.take([GROUPED, status(time=message.time), message])
    controller.refresh()
    assert view.data_set is not None
    assert view.data_set.forecast[0] == "pumped: done in about 40 min (8–60 min)"
    assert view.data_set.forecast[-1] == "in 40 min"
    assert "of the group that takes longest" in view.data_set.meaning


def odd_groups() -> list[tuple[GroupMerge, ...]]:
    dark, pumped = grouped().groups
    assert dark.overall is not None
    with_shells = [
        msgspec.structs.replace(dark, overall=shell, whole=shell, outer=shell, shells=(shell,) * 3)
        for shell in odd_shells(dark.overall)
    ]
    return [
        *((one, pumped) for one in with_shells),
        *((msgspec.structs.replace(dark, n_crystals=n, n_outliers=n), pumped) for n in (-BIG, -1, 0, BIG)),
        *((msgspec.structs.replace(dark, resolution=odd, forecast=Forecast("ahead", odd, odd, odd)), pumped)
          for odd in ODD),
        (dark,) * 500,
        tuple(msgspec.structs.replace(dark, name=f"{n}" * 60) for n in range(300)),
        (msgspec.structs.replace(dark, name="\x1b[2J\n\0" * 99), msgspec.structs.replace(pumped, name="")),
        (msgspec.structs.replace(dark, overall=None), msgspec.structs.replace(pumped, outer=None, whole=None)),
    ]  # fmt: skip


def test_groups_that_make_no_sense_do_no_harm(show: Show, qtbot: QtBot) -> None:
    view, controller, monitor = show(status(), grouped())
    now = HeadlinePanel()
    headline = HeadlineController(monitor, now)
    qtbot.addWidget(now, before_close_func=keeping(now, headline))
    for groups in odd_groups():
        monitor.take([grouped(groups=groups)])
        for chosen in ("", groups[0].name):
            view.group_clicked.emit(chosen)
            controller.refresh()
            view.grab()
        headline.refresh()
        now.grab()
        said = (*view.verdict._texts, *view.quality._texts, *(row.meaning for row in view.facts.groups.rows))
        assert not any(word in text for text in said for word in ("nan", "inf ", "e+", "\x1b"))
        assert len(view.facts.groups.rows) <= 66


def test_it_draws_at_every_size_in_both_themes(show: Show) -> None:
    view, _, _ = show(status(), grouped())
    for theme in (LIGHT, DARK):
        view.set_theme(theme)
        for width, height in ((140, 84), (260, 180), (340, 300), (500, 700), (3840, 2160)):
            view.resize(width, height)
            assert not view.grab().isNull()
            assert texts(view)[0][0] == "group" and texts(view)[0][-1] == "target"
