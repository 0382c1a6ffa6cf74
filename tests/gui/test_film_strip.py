"""The strip of the last hits."""

import msgspec
import pytest
from groups_by_hand import TWO_STATES
from messages_by_hand import NotingOutbox, geometry, shot_image
from PyQt5.QtCore import QPoint, Qt
from PyQt5.QtGui import QHelpEvent
from pytestqt.qtbot import QtBot

from braggwatch.gui.controllers.film_strip import AT_MOST, FilmStripController
from braggwatch.gui.monitor import Monitor
from braggwatch.gui.panels.film_strip import FilmStripPanel
from braggwatch.gui.shot_key import ShotKey
from braggwatch.gui.theme import DARK, LIGHT
from braggwatch.streamer.feed_messages import Status
from braggwatch.streamer.messages import State


class Bench:
    def __init__(self, qtbot: QtBot) -> None:
        self.monitor = Monitor(NotingOutbox())
        self.panel = FilmStripPanel()
        qtbot.addWidget(self.panel)
        self.controller = FilmStripController(self.monitor, self.panel)
        self.panel.resize(500, 180)
        self.panel.show()
        self.controller.refresh()
        self.strip = self.panel.strip
        self.bar = self.strip.horizontalScrollBar()

    def take(self, *numbers: int, state: State = State.INDEXED) -> None:
        self.monitor.take([shot_image(number, state) for number in numbers])
        self.controller.refresh()

    def numbers(self) -> list[int]:
        return [film.key.number for film in self.strip.films]

    def place(self, number: int) -> QPoint:
        centre: QPoint = self.strip.rect_of(self.numbers().index(number)).center()
        return centre


@pytest.fixture
def bench(qtbot: QtBot) -> Bench:
    return Bench(qtbot)


def test_the_last_hits_are_on_the_strip_the_newest_on_the_right_and_blanks_are_not(bench: Bench) -> None:
    bench.take(1, 2)
    bench.take(3, state=State.BLANK)
    bench.take(4, state=State.HIT)
    assert bench.numbers() == [1, 2, 4]
    bench.take(*range(10, 10 + AT_MOST))
    assert bench.numbers() == list(range(10, 10 + AT_MOST))


def test_a_film_says_its_state_as_colour_and_word_with_spots_and_resolution(bench: Bench) -> None:
    bench.take(1)
    bench.take(2, state=State.HIT)
    double = shot_image(1234567)
    result = msgspec.structs.replace(double.result, crystals=double.result.crystals * 2, resolution=None)
    bench.monitor.take([msgspec.structs.replace(double, result=result)])
    bench.controller.refresh()
    films = bench.strip.films
    assert [(film.meaning, film.word) for film in films] == [
        ("indexed", "indexed"), ("hit", "hit"), ("multi_lattice", "2 lattices")]  # fmt: skip
    assert films[0].lines == ("1", "40 spots · 2.10 Å")
    assert films[2].lines == ("1\u2009234\u2009567", "40 spots · –")
    assert "40 spots found, 30 of them indexed" in films[0].about


def test_pictures_come_when_they_are_made_and_only_once(bench: Bench, qtbot: QtBot) -> None:
    bench.take(1, 2)
    assert [film.picture for film in bench.strip.films] == [None, None]
    bench.monitor.take([geometry()])
    bench.controller.refresh()

    def all_there() -> bool:
        bench.controller.refresh()
        return all(film.picture is not None for film in bench.strip.films)

    qtbot.waitUntil(all_there, timeout=30_000)
    before = [film.picture for film in bench.strip.films]
    bench.take(3)
    qtbot.waitUntil(all_there, timeout=30_000)
    after = [film.picture for film in bench.strip.films]
    assert after[0] is before[0] and after[1] is before[1]


def test_a_click_shows_the_shot_and_steps_go_along_the_strip(bench: Bench, qtbot: QtBot) -> None:
    bench.take(1, 5, 9)
    qtbot.mouseClick(bench.strip.viewport(), Qt.MouseButton.LeftButton, pos=bench.place(5))
    assert bench.monitor.selected == ShotKey("run-1", 5)
    bench.monitor.step(1)
    assert bench.monitor.selected == ShotKey("run-1", 9)
    bench.controller.refresh()
    assert [film.shown for film in bench.strip.films] == [False, False, True]


def test_a_click_beside_the_films_does_nothing(bench: Bench, qtbot: QtBot) -> None:
    bench.take(1)
    qtbot.mouseClick(bench.strip.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(450, 50))
    assert bench.monitor.live


def test_the_newest_stays_in_sight_unless_the_user_has_scrolled_away(bench: Bench) -> None:
    bench.monitor.select([ShotKey("run-1", 1)])
    bench.take(*range(20))
    bench.bar.setValue(bench.bar.maximum())
    bench.take(*range(20, 30))
    assert bench.bar.value() == bench.bar.maximum() > 0
    bench.bar.setValue(300)
    place = bench.place(5)
    bench.take(*range(30, 40))
    assert bench.place(5) == place


def test_a_shot_that_is_chosen_elsewhere_is_brought_into_sight(bench: Bench) -> None:
    bench.take(*range(40))
    bench.monitor.select([ShotKey("run-1", 3)])
    bench.controller.refresh()
    assert bench.strip.viewport().rect().contains(bench.place(3))
    assert [film.key.number for film in bench.strip.films if film.shown] == [3]


def test_an_empty_strip_says_what_is_waited_for(bench: Bench) -> None:
    assert bench.panel.empty.text() == "No shots: nothing was heard from the processor yet."
    bench.monitor.take([Status(word="LIVE", since=0.0, time=1.0)])
    bench.controller.refresh()
    assert bench.panel.empty.text() == "No hit yet. The last hits appear here, the newest on the right."
    bench.take(1, 2, state=State.BLANK)
    assert bench.panel.empty.text() == "No hit among the last 2 shots that came with their pixels."
    bench.take(3)
    assert bench.strip.isVisible()


@pytest.mark.parametrize("size", [(1, 1), (120, 60), (260, 180), (3840, 400)])
def test_the_strip_is_drawn_at_any_size_in_both_themes(bench: Bench, size: tuple[int, int]) -> None:
    bench.take(1, 2)
    bench.panel.resize(*size)
    for theme in (DARK, LIGHT):
        bench.panel.set_theme(theme)
        assert not bench.panel.grab().isNull()


def test_a_film_of_a_run_whose_geometry_is_not_known_says_by_which_one_it_is_drawn(bench: Bench) -> None:
    bench.monitor.take([msgspec.structs.replace(geometry(), series="run-2", run=2)])
    bench.take(1)
    assert "\nDrawn with the geometry of run 2; that of its own run is not known" in bench.strip.films[0].about
    bench.monitor.take([geometry()])
    bench.controller.refresh()
    assert "geometry" not in bench.strip.films[0].about


def test_the_mouse_tells_about_the_shot_under_it(bench: Bench, qtbot: QtBot) -> None:
    bench.take(7)
    at = bench.place(7)
    event = QHelpEvent(QHelpEvent.Type.ToolTip, at, bench.strip.viewport().mapToGlobal(at))
    assert bench.strip.viewportEvent(event)
    assert bench.strip.films[0].about.startswith("Frame 7, ")


def test_the_group_of_a_shot_stands_beside_its_number_and_has_its_colour(bench: Bench) -> None:
    bench.monitor.take([TWO_STATES])
    shots = [shot_image(1), shot_image(2), shot_image(3)]
    for shot, group in zip(shots, ("dark", "pumped", ""), strict=True):
        bench.monitor.take([msgspec.structs.replace(shot, result=msgspec.structs.replace(shot.result, group=group))])
    bench.controller.refresh()
    assert [film.lines[0] for film in bench.strip.films] == ["1 · dark", "2 · pumped", "3"]
    assert [film.group_tone for film in bench.strip.films] == ["group_1", "group_2", ""]
    assert "Group pumped" in bench.strip.films[1].about and "Group" not in bench.strip.films[2].about
    for theme in (DARK, LIGHT):
        bench.strip.set_theme(theme)
        image = bench.strip.grab().toImage()
        seen = {image.pixelColor(x, y).name() for x in range(0, image.width(), 3) for y in range(image.height())}
        assert {theme.group_1.lower(), theme.group_2.lower()} <= seen
