"""The line above everything: how things are in one word, and what was said."""

import msgspec
import pytest
from messages_by_hand import NotingOutbox, shot_image
from numbers_by_hand import T0, run, status
from PyQt5.QtCore import Qt
from pytestqt.qtbot import QtBot

from braggwatch.gui.controllers.strip import StripController
from braggwatch.gui.monitor import Monitor
from braggwatch.gui.panels.strip import StripPanel
from braggwatch.gui.theme import LIGHT
from braggwatch.streamer.feed_messages import Finished, Ledger, Notice, RecordState, Throughput


class Clock:
    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


class Strip:
    def __init__(self, qtbot: QtBot) -> None:
        self.monitor = Monitor(NotingOutbox())
        self.view = StripPanel()
        qtbot.addWidget(self.view)
        self.clock = Clock()
        self.controller = StripController(self.monitor, self.view, self.clock, lambda: T0 + self.clock.time)
        self.view.resize(1280, 40)
        self.view.show()

    def word(self) -> str:
        self.controller.refresh()
        return str(self.view.word.text())


@pytest.fixture
def strip(qtbot: QtBot) -> Strip:
    return Strip(qtbot)


def test_one_word_says_how_things_are(strip: Strip) -> None:
    assert strip.word() == "WAITING FOR PROCESSOR"
    strip.monitor.set_link("heard")
    strip.monitor.take([status(word="WAITING FOR DETECTOR", run=None)])
    assert strip.word() == "WAITING FOR DETECTOR"
    strip.monitor.take([status(), shot_image(1)])
    assert strip.word() == "LIVE"
    strip.monitor.pause()
    assert strip.word() == "PAUSED"
    strip.monitor.go_live()
    assert strip.word() == "LIVE"
    strip.monitor.take([Finished(time=T0)])
    assert strip.word() == "FINISHED"
    strip.monitor.begin_anew()
    strip.monitor.set_link("record")
    assert strip.word() == "RECORD"


def test_a_processor_that_is_gone_is_said_with_the_time_since_it_was_heard(strip: Strip) -> None:
    strip.monitor.take([status()])
    strip.clock.time += 12
    strip.monitor.set_link("gone")
    assert strip.word() == "PROCESSOR GONE 12 s"
    strip.controller.stale = False
    strip.clock.time += 0.5
    assert not strip.controller.stale
    strip.clock.time += 0.6
    assert strip.controller.stale
    assert strip.word() == "PROCESSOR GONE 13 s"
    strip.monitor.set_link("heard")
    strip.monitor.take([status()])
    assert strip.word() == "LIVE"


def test_a_processor_that_finished_and_left_is_not_gone(strip: Strip) -> None:
    strip.monitor.take([status(), Finished(time=T0)])
    strip.clock.time += 60
    strip.monitor.set_link("gone")
    assert strip.word() == "FINISHED"
    strip.controller.stale = False
    strip.clock.time += 60
    assert not strip.controller.stale


def test_run_detector_energy_and_distance_stand_beside_it(strip: Strip) -> None:
    strip.monitor.take([status()])
    strip.controller.refresh()
    assert strip.view.facts.text == "run 42 · EIGER2 16M · 12.40 keV · 150.0 mm"
    strip.monitor.take([status(run=run(photon_energy=None, distance=None, detector="a\x1b[31mb"))])
    strip.controller.refresh()
    assert strip.view.facts.text == "run 42 · a\ufffd[31mb"


def test_rate_latency_and_losses_are_shown_and_dropped_frames_are_an_alarm(strip: Strip) -> None:
    strip.monitor.take([status()])
    strip.controller.refresh()
    assert [label.text() for label in strip.view.numbers] == ["133.0 Hz", "p99 41 ms", "dropped 0"]
    lossy = run(ledger=Ledger.of({"blank": 900, "dropped": 1234}, 2134))
    strip.monitor.take([status(run=lossy, throughput=Throughput())])
    strip.controller.refresh()
    assert [label.text() for label in strip.view.numbers] == ["– Hz", "p99 41 ms", "dropped 1\u2009234"]
    assert strip.view.theme.alarm in strip.view.numbers[2].styleSheet()
    assert all(label.toolTip() for label in strip.view.numbers)


def test_the_newest_of_notices_and_said_lines_is_the_message(strip: Strip) -> None:
    strip.controller.refresh()
    assert strip.view.message.text == "" and not strip.view.link.isVisible()
    notices = (
        Notice(kind="a", text="an old thing", last=T0 - 500),
        Notice(kind="b", text="no geometry", count=12, last=T0 + 90),
    )
    strip.monitor.take([status(notices=notices)])
    strip.controller.refresh()
    assert strip.view.message.text == "⚠ no geometry" and strip.view.link.isVisible()
    strip.monitor.said.emit("no hit is known")
    assert strip.controller.stale
    strip.controller.refresh()
    assert strip.view.message.text == "⚠ no hit is known"
    strip.clock.time += 120
    strip.controller.refresh()
    assert strip.view.message.text == "no hit is known"


def test_the_details_list_everything_once_with_its_count_and_go_on_while_they_are_open(
    strip: Strip, qtbot: QtBot
) -> None:
    strip.monitor.take([status(notices=(Notice(kind="b", text="no geometry", count=12, last=T0),))])
    for _ in range(3):
        strip.monitor.said.emit("a line\nwith a break")
    strip.controller.refresh()
    qtbot.mouseClick(strip.view.link, Qt.MouseButton.LeftButton)
    lines = strip.view.details.text.toPlainText().split("\n")
    assert [line.partition("  ")[2] for line in lines] == ["a line\ufffdwith a break  (× 3)", "no geometry  (× 12)"]
    assert strip.view.details.isVisible() and not strip.view.details.isModal()
    strip.monitor.take([status(record=RecordState(path="r", problem="the disk is full"))])
    strip.controller.refresh()
    assert "the disk is full" in strip.view.details.text.toPlainText()
    strip.view.details.close()


def test_ever_new_lines_do_not_fill_the_memory(strip: Strip) -> None:
    for i in range(1000):
        strip.monitor.said.emit(f"line {i}")
    assert len(strip.controller.lines()) == 200


def test_the_buttons_ask_for_the_other_theme_and_for_help(strip: Strip, qtbot: QtBot) -> None:
    with qtbot.waitSignal(strip.view.theme_wanted):
        qtbot.mouseClick(strip.view.theme_button, Qt.MouseButton.LeftButton)
    with qtbot.waitSignal(strip.view.help_wanted):
        qtbot.mouseClick(strip.view.help_button, Qt.MouseButton.LeftButton)


def test_the_word_has_the_colour_of_its_meaning_in_every_theme(strip: Strip) -> None:
    strip.monitor.take([status()])
    strip.controller.refresh()
    strip.view.set_theme(LIGHT)
    assert LIGHT.indexed in strip.view.word.styleSheet() and LIGHT.indexed in strip.view.dot.styleSheet()
    strip.monitor.take([msgspec.structs.replace(status(), word="STOPPED")])
    strip.controller.refresh()
    assert LIGHT.alarm in strip.view.word.styleSheet()


def test_facts_and_message_do_not_overlap_at_any_width(strip: Strip) -> None:
    strip.monitor.take([status()])
    strip.monitor.said.emit("a long line that says at length what went wrong and where to change it " * 3)
    for width in (3000, 1920, 1280, 800):
        strip.view.resize(width, 40)
        strip.controller.refresh()
        assert not strip.view.grab().isNull()
        assert strip.view.facts.geometry().right() < strip.view.message.geometry().left()
        assert strip.view.message.geometry().right() < strip.view.link.geometry().left()
