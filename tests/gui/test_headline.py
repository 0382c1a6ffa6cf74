"""The large numbers."""

import pytest
from groups_by_hand import of_frames
from merging_by_hand import changed, merged
from messages_by_hand import NotingOutbox, hit_row, hits
from numbers_by_hand import T0, rate, rates, status
from PyQt5.QtCore import QPoint, Qt
from pytestqt.qtbot import QtBot

from braggwatch.gui.controllers.headline import HeadlineController
from braggwatch.gui.monitor import Monitor
from braggwatch.gui.panels.headline import HeadlinePanel
from braggwatch.gui.theme import DARK, LIGHT
from braggwatch.processing.data_quality import Forecast
from braggwatch.streamer.feed_messages import Finished, Group, Rates
from braggwatch.streamer.messages import State


class Now:
    def __init__(self, qtbot: QtBot) -> None:
        self.monitor = Monitor(NotingOutbox())
        self.view = HeadlinePanel()
        qtbot.addWidget(self.view)
        self.time = 100.0
        self.controller = HeadlineController(self.monitor, self.view, lambda: self.time)

    def shown(self) -> list[tuple[str, str, str]]:
        self.controller.refresh()
        return [(h.digits, h.margin, h.below) for h in self.view.headlines]


@pytest.fixture
def now(qtbot: QtBot) -> Now:
    return Now(qtbot)


def test_hit_rate_indexed_of_hits_and_multi_lattice_have_their_interval_and_what_was_divided(now: Now) -> None:
    now.monitor.take([status()])
    assert now.shown() == [
        ("12.4", "±1.0", "496 of 3\u2009990"), ("71.0", "±4.0", "352 of 496"), ("8.5", "±2.9", "30 of 352"),
    ]  # fmt: skip
    assert [h.tone for h in now.view.headlines] == ["hit", "indexed", "multi_lattice"]


def test_what_is_unknown_is_a_dash_and_says_what_is_missing(now: Now) -> None:
    assert now.shown() == [("–", "", "waiting for a processor")] * 3
    now.monitor.take([status(rates=Rates(hit=rate(0, 40)))])
    assert now.shown() == [
        ("0.0", "±4.4", "0 of 40"), ("–", "", "no hit in the last 30 s"), ("–", "", "no indexed shot in the last 30 s"),
    ]  # fmt: skip


def test_numbers_older_than_five_seconds_turn_quiet_and_show_their_age(now: Now) -> None:
    now.monitor.take([status(frame_age=1.0)])
    now.controller.refresh()
    now.controller.stale = False
    now.time += 3
    assert now.controller.stale
    now.controller.refresh()
    assert (now.view.headlines[0].tone, now.view.headlines[0].age) == ("hit", "")
    now.time += 8
    now.controller.refresh()
    assert {(h.tone, h.age) for h in now.view.headlines} == {("quiet", "12 s ago")}


def test_when_the_processor_has_finished_the_whole_session_is_shown_and_does_not_age(now: Now) -> None:
    now.monitor.take([status(), Finished(time=T0, rates=Rates(hit=rate(1, 2)))])
    now.time += 1000
    assert now.shown()[0] == ("50.0", "±40.5", "1 of 2")
    assert now.view.headlines[0].age == "" and now.view.headlines[0].tone == "hit"
    assert "over the whole session" in now.view.headlines[0].meaning


def test_digits_are_64_px_where_there_is_room_and_shrink_with_the_dock(now: Now) -> None:
    now.monitor.take([status()])
    now.controller.refresh()
    sizes = []
    for size in ((300, 500), (260, 300), (260, 180), (120, 90), (60, 40)):
        now.view.resize(*size)
        sizes.append(now.view.digits_px())
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == 64 and sizes[2] >= 26
    now.view.resize(3840, 2160)
    assert now.view.digits_px() == 64


def test_a_click_opens_the_newest_shots_behind_the_number(now: Now, qtbot: QtBot) -> None:
    now.monitor.take([status()])
    now.monitor.ask_for_hits()
    rows = [hit_row(1, 10), hit_row(2, 11, State.HIT), hit_row(3, 12, n_lattices=2), hit_row(4, 13, State.HIT)]
    assert isinstance(now.monitor.outbox, NotingOutbox)
    now.monitor.outbox.answer(hits(rows))
    now.controller.refresh()
    now.view.resize(300, 450)
    chosen = []
    for y in (70, 220, 370):
        qtbot.mouseClick(now.view, Qt.MouseButton.LeftButton, pos=QPoint(100, y))
        chosen.append([key.number for key in now.monitor.selection])
    assert chosen == [[13, 12, 11, 10], [12, 10], [12]]


def test_numbers_are_drawn_in_their_colour_in_both_themes(now: Now) -> None:
    now.monitor.take([status(rates=rates())])
    now.controller.refresh()
    now.view.resize(300, 450)
    for theme in (DARK, LIGHT):
        now.view.set_theme(theme)
        image = now.view.grab().toImage()
        colours = {image.pixelColor(x, y).name() for x in range(0, 300, 2) for y in range(0, 450, 2)}
        assert {theme.hit.lower(), theme.indexed.lower(), theme.multi_lattice.lower()} <= colours


def test_where_crystals_are_merged_the_data_set_and_when_it_is_done_stand_below(now: Now) -> None:
    now.monitor.take([status()])
    now.controller.refresh()
    assert now.view.data_set is None
    message = changed(merged(), forecast=Forecast("ahead", 720.0, 480.0, 1140.0))
    now.monitor.take([status(time=message.time + 60), message])
    now.controller.refresh()
    shown = now.view.data_set
    assert shown is not None and message.outer is not None and message.outer.cc_half is not None
    assert shown.quality[0].startswith(f"CC½ {message.outer.cc_half - 0.005:.2f} · ")
    assert shown.quality[0].endswith(" % complete")
    assert (shown.forecast[0], shown.tone) == ("Done in about 11 min (7–18 min)", "quiet")
    now.monitor.take([status(time=message.time), changed(message, n_crystals=30)])
    now.controller.refresh()
    assert now.view.data_set is not None
    assert now.view.data_set.quality[0].endswith(" so far")
    now.monitor.take([changed(message, n_crystals=0, overall=None, outer=None, whole=None, problem="none")])
    now.controller.refresh()
    assert now.view.data_set is None


def test_the_data_set_takes_its_room_from_the_numbers_and_a_click_on_it_is_told(now: Now, qtbot: QtBot) -> None:
    now.monitor.take([status()])
    now.controller.refresh()
    told: list[str] = []
    now.view.data_set_clicked.connect(lambda: told.append("data set"))
    now.view.clicked.connect(lambda place: told.append(str(place)))
    for width, height, has_room in ((300, 450, True), (260, 180, True), (900, 90, True), (140, 84, False)):
        now.view.resize(width, height)
        now.view.show_data_set(None)
        before = now.view.digits_px()
        now.monitor.take([merged()])
        now.controller.refresh()
        assert now.view.digits_px() <= before
        assert not now.view.grab().isNull()
        qtbot.mouseClick(now.view, Qt.MouseButton.LeftButton, pos=QPoint(20, height - 10))
        assert (told[-1] == "data set") == has_room
    now.view.resize(300, 450)
    qtbot.mouseClick(now.view, Qt.MouseButton.LeftButton, pos=QPoint(20, 40))
    assert told[-1] == "0"


def test_a_group_of_shots_that_is_missed_is_a_line_below_the_numbers_that_takes_its_room_only_then(now: Now) -> None:
    groups = Group(name="dark", frames=9000, hit=rate(90, 900)), Group(name="pumped", frames=6000)
    now.view.resize(300, 300)
    now.monitor.take([status(groups=groups, time=T0 + 140), of_frames(dark=[60] * 140, pumped=[60] * 140)])
    now.controller.refresh()
    assert list(now.view.warnings) == []
    before = now.view.digits_px(), now.view.grab().toImage()
    now.controller.stale = False
    now.monitor.take([of_frames(dark=[60] * 140, pumped=[60] * 100 + [0] * 40)])
    assert now.controller.stale
    now.controller.refresh()
    assert now.view.warnings == ("no shot of group pumped for 40 s",)
    assert now.view.digits_px() <= before[0] and now.view.grab().toImage() != before[1]
    for theme in (DARK, LIGHT):
        now.view.set_theme(theme)
        image = now.view.grab().toImage()
        bottom = {image.pixelColor(x, y).name() for x in range(300) for y in range(270, 300)}
        assert theme.alarm.lower() in bottom
    now.time += 60
    now.controller.refresh()
    assert list(now.view.warnings) == []  # nothing comes at all, which is another matter
