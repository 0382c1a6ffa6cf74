"""The window: docks, menus, keys, what it remembers, and what it does when something goes wrong."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import msgspec
import pytest
from messages_by_hand import NotingOutbox, geometry, hit_row, hits, shot_image
from PyQt5.QtCore import QPoint, Qt
from PyQt5.QtTest import QTest
from PyQt5.QtWidgets import QDockWidget, QPushButton
from pytestqt.qtbot import QtBot

from braggwatch.gui.complaints import Complaints
from braggwatch.gui.composition import Composition
from braggwatch.gui.controllers.tuning import TuningController
from braggwatch.gui.link import Link
from braggwatch.gui.monitor import Monitor
from braggwatch.gui.panels.image import ImagePanel
from braggwatch.gui.panels.panel import Panel
from braggwatch.gui.presets import PRESETS, Layout, Tabs, names, preset
from braggwatch.gui.pulse import is_seen
from braggwatch.gui.remembered import Remembered, recall, remember
from braggwatch.gui.shot_key import ShotKey
from braggwatch.gui.window import Window
from braggwatch.streamer.feed import Feed
from braggwatch.streamer.messages import State

SMALLEST = 1280, 800


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    return tmp_path / "window.json"


@pytest.fixture
def link() -> Iterator[Link]:
    with Feed("tcp://127.0.0.1:*") as feed, Link(feed.address) as link:
        yield link


def opened(qtbot: QtBot, link: Link, memory: Path) -> Composition:
    composition = Composition(link, memory)
    qtbot.addWidget(composition.window)
    composition.open()
    qtbot.waitExposed(composition.window)
    return composition


@pytest.fixture
def composition(qtbot: QtBot, link: Link, memory: Path) -> Iterator[Composition]:
    yield (made := opened(qtbot, link, memory))
    made.window.close()


def fill(monitor: Monitor, *numbers: int) -> None:
    """Let a processor have found these shots."""
    monitor.take([geometry(), *(shot_image(number) for number in numbers)])
    monitor.hits.extend(hits([hit_row(i + 1, number) for i, number in enumerate(numbers)]).rows)
    monitor.hits_changed.emit()


def visible(window: Window) -> set[str]:
    """The panels that are really seen: neither hidden nor behind another tab."""
    return {name for name, dock in window.docks.by_name.items() if is_seen(cast("Panel", dock.widget()))}


def fronts(layout: Layout) -> Iterator[str]:
    """The panels of a layout that are in front."""
    if isinstance(layout, Tabs):
        yield layout.names[0]
        return
    for part, _ in layout.parts:
        yield from fronts(part)


def test_every_layout_shows_its_panels_and_fits_into_the_smallest_window(
    qtbot: QtBot, composition: Composition
) -> None:
    window = composition.window
    window.resize(*SMALLEST)
    for name in PRESETS:
        window.arrange(name)
        qtbot.wait(50)
        assert (window.width(), window.height()) == SMALLEST, name
        wanted = set(names(preset(name, SMALLEST[1]))) & set(window.docks.by_name)
        shown = {name for name, dock in window.docks.by_name.items() if dock.isVisible()}
        assert shown == wanted, name
        assert visible(window) == set(fronts(preset(name, SMALLEST[1]))) & set(window.docks.by_name)


def test_every_layout_names_only_panels_that_there_are(composition: Composition) -> None:
    for name in PRESETS:
        for height in (800, 1080):
            assert set(names(preset(name, height))) <= set(composition.window.docks.by_name)


def test_every_key_does_one_thing_is_in_a_menu_and_in_the_overview(composition: Composition) -> None:
    menus = composition.window.menus
    keys = [action.shortcut().toString() for action in menus.by_name.values() if not action.shortcut().isEmpty()]
    assert len(keys) == len(set(keys))
    listed = [key for _, entries in menus.overview() for _, key in entries]
    assert len(listed) == len(keys)
    wanted = {"Space", "←", "→", "Shift ←", "Shift →", "Home", "End", "1", "2", "3", "?"} | set("SPRMBLAFT")
    assert wanted <= set(listed)


def test_the_overview_comes_with_a_key_and_goes_with_the_next(qtbot: QtBot, composition: Composition) -> None:
    window = composition.window
    qtbot.keyClick(window, Qt.Key_Question)
    assert window.overview.isVisible()
    assert window.rect().contains(window.overview.geometry())
    qtbot.keyClick(window.overview, Qt.Key_X)
    assert not window.overview.isVisible()
    spots = window.menus.by_name["spots"].isChecked()
    window.activateWindow()
    for key in (Qt.Key_Escape, Qt.Key_S):  # these mean something in the window
        window.menus.by_name["shortcuts"].trigger()
        qtbot.keyClick(window.overview, key)
        assert not window.overview.isVisible()
    assert window.menus.by_name["spots"].isChecked() == spots


def test_keys_pause_step_and_go_live(qtbot: QtBot, composition: Composition) -> None:
    window, monitor = composition.window, composition.monitor
    fill(monitor, *range(30))
    assert monitor.shot is not None and monitor.shot.result.number == 29

    def shown_after(key: int, modifier: Qt.KeyboardModifier = Qt.NoModifier) -> int:
        qtbot.keyClick(window, key, modifier)
        assert monitor.shot is not None
        return monitor.shot.result.number

    assert shown_after(Qt.Key_Space) == 29
    assert monitor.selected == ShotKey("run-1", 29)
    assert shown_after(Qt.Key_Left) == 28
    assert shown_after(Qt.Key_Left, Qt.ShiftModifier) == 18
    assert shown_after(Qt.Key_Right, Qt.ShiftModifier) == 28
    assert shown_after(Qt.Key_Home) == 0
    assert shown_after(Qt.Key_Right) == 1
    assert shown_after(Qt.Key_End) == 29
    assert not monitor.live
    assert shown_after(Qt.Key_Space) == 29
    assert monitor.live


def test_number_keys_choose_what_is_followed(qtbot: QtBot, composition: Composition) -> None:
    window, monitor = composition.window, composition.monitor
    monitor.take([shot_image(1, State.INDEXED), shot_image(2, State.HIT), shot_image(3, State.BLANK)])
    for key, follow, number in ((Qt.Key_1, "frame", 3), (Qt.Key_2, "hit", 2), (Qt.Key_3, "indexed", 1)):
        qtbot.keyClick(window, key)
        assert monitor.follow == follow
        assert monitor.shot is not None and monitor.shot.result.number == number
        assert window.menus.by_name[f"follow {follow}"].isChecked()


def test_t_shows_the_tuning_layout_and_goes_back(qtbot: QtBot, composition: Composition) -> None:
    window = composition.window
    qtbot.keyClick(window, Qt.Key_T)
    assert window.preset == "tuning"
    qtbot.keyClick(window, Qt.Key_T)
    assert window.preset == "control room"


def image_of(composition: Composition) -> ImagePanel:
    return next(panel for panel, _ in composition.panels if isinstance(panel, ImagePanel))


def test_the_window_comes_back_as_it_was_left(qtbot: QtBot, link: Link, memory: Path) -> None:
    composition = opened(qtbot, link, memory)
    window, image = composition.window, image_of(composition)
    image.toolbar.colour_map_chosen.emit("viridis")
    image.set_scale("sqrt")
    window.arrange("quality")
    window.menus.by_name["light"].setChecked(True)
    window.menus.by_name["rings"].setChecked(False)
    window.docks.by_name["hits"].setFloating(True)
    window.docks.by_name["image"].hide()
    window.resize(1500, 900)
    window.close()

    composition = opened(qtbot, link, memory)
    again, image = composition.window, image_of(composition)
    assert image.chosen() == {"colours": "viridis", "scale": "sqrt"}
    assert again.theme.name == "light"
    assert again.preset == "quality"
    assert not again.menus.by_name["rings"].isChecked()
    assert again.menus.by_name["spots"].isChecked()
    assert again.docks.by_name["hits"].isFloating()
    assert not again.docks.by_name["image"].isVisible()
    assert (again.width(), again.height()) == (1500, 900)
    again.close()


def resized(qtbot: QtBot, window: Window, height: int) -> None:
    window.resize(1600, height)
    qtbot.waitUntil(lambda: not window._at_rest.isActive())


def drag_border_beside(dock: QDockWidget, window: Window) -> bool:
    """Press and release where the border at the left of a dock should be; whether it was there."""
    place = QPoint(dock.geometry().left() - 2, 400)
    QTest.mousePress(window, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place)
    QTest.mouseRelease(window, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place)
    return window.docks.by_hand


def test_a_window_that_becomes_small_or_large_takes_the_form_that_fits_and_keeps_the_tabs_that_were_chosen(
    qtbot: QtBot, composition: Composition
) -> None:
    window = composition.window
    resized(qtbot, window, 1100)
    assert fronts(preset("control room", 1100)) != fronts(preset("control room", 800))
    assert visible(window) == set(fronts(preset("control room", 1100)))
    window.docks.show("orientations")
    resized(qtbot, window, 800)
    assert visible(window) == {*fronts(preset("control room", 800)), "orientations"} - {"cells"}
    resized(qtbot, window, 1100)
    assert visible(window) == {*fronts(preset("control room", 1100)), "orientations"} - {"cells"}


@pytest.mark.parametrize("by_hand", ["float", "close", "menu", "border"])
def test_a_window_whose_docks_were_moved_keeps_them_whatever_its_size(
    qtbot: QtBot, composition: Composition, by_hand: str
) -> None:
    window = composition.window
    resized(qtbot, window, 1100)
    health = window.docks.by_name["health"]
    if by_hand == "float":
        window.docks.by_name["hits"].setFloating(True)
    elif by_hand == "close":
        health.close()
    elif by_hand == "menu":
        health.toggleViewAction().trigger()
    else:
        # Qt lays the docks out some events after they were put in their places: until then the border is elsewhere.
        qtbot.waitUntil(lambda: drag_border_beside(window.docks.by_name["image"], window))
    assert window.docks.by_hand
    before = visible(window)
    resized(qtbot, window, 800)
    assert visible(window) == before
    window.arrange("control room")
    assert visible(window) == set(fronts(preset("control room", 800)))
    resized(qtbot, window, 1100)
    assert visible(window) == set(fronts(preset("control room", 1100)))


def test_a_press_beside_the_borders_is_no_move(qtbot: QtBot, composition: Composition) -> None:
    window = composition.window
    qtbot.mouseClick(window, Qt.MouseButton.LeftButton, pos=QPoint(3, 3))
    assert not window.docks.by_hand


def test_a_layout_that_nobody_moved_fits_the_size_at_the_next_start_and_its_tabs_come_back(
    qtbot: QtBot, link: Link, memory: Path
) -> None:
    window = opened(qtbot, link, memory).window
    resized(qtbot, window, 1100)
    window.docks.show("orientations")
    window.close()
    again = opened(qtbot, link, memory).window
    assert "orientations" in visible(again)
    assert not again.docks.by_hand
    again.close()
    remember(memory, msgspec.structs.replace(recall(memory), height=800))  # as if it had been laid out for that
    once_more = opened(qtbot, link, memory).window
    assert visible(once_more) == set(fronts(preset("control room", once_more.height())))
    once_more.close()


def test_a_layout_that_is_damaged_or_of_another_version_is_left_out(qtbot: QtBot, link: Link, memory: Path) -> None:
    window = opened(qtbot, link, memory).window
    window.docks.by_name["hits"].setFloating(True)
    window.close()
    left = recall(memory)
    layout = left.unpacked()
    assert layout is not None
    foreign = [
        msgspec.structs.replace(left, docks=("image", "weather")),
        msgspec.structs.replace(left, state=left.state[:40]),
        left.with_layout(layout[0], b"nonsense"),
        Remembered(
            theme="pink",
            preset="kitchen",
            chosen={"image": {"scale": "odd"}, "oven": {"heat": "high"}},
            checked={"spots": False, "oven": True, "follow hit": True},
        ),
    ]
    for remembered in foreign:
        remember(memory, remembered)
        again = opened(qtbot, link, memory).window
        assert not again.docks.by_name["hits"].isFloating()
        assert again.theme.name == "dark"
        assert again.preset == "control room"
        assert again.docks.by_name["image"].isVisible()
        again.close()


def test_a_theme_reaches_every_panel(composition: Composition) -> None:
    for name in ("light", "dark"):
        composition.window.menus.by_name["light"].setChecked(name == "light")
        assert {panel.theme.name for panel, _ in composition.panels} == {name}


class Counting:
    """A controller that counts how often it is asked to draw."""

    def __init__(self) -> None:
        self.stale = True
        self.n_refreshed = 0

    def refresh(self) -> None:
        self.n_refreshed += 1


class Failing(Counting):
    def refresh(self) -> None:
        super().refresh()
        raise RuntimeError("the pen is broken")


def test_only_panels_that_are_seen_and_stale_are_drawn(qtbot: QtBot, composition: Composition) -> None:
    window, panel = composition.window, next(p for p, _ in composition.panels if p.name == "hits")
    counting = Counting()
    composition.pulse.stop()
    composition.pulse.use([(panel, counting)])
    window.docks.show("hits")
    qtbot.wait(20)
    composition.pulse.beat()
    assert counting.n_refreshed == 1
    composition.pulse.beat()
    assert counting.n_refreshed == 1, "nothing had changed"
    counting.stale = True
    window.docks.by_name["hits"].hide()
    qtbot.wait(20)
    composition.pulse.beat()
    assert counting.n_refreshed == 1, "nobody sees it"
    window.docks.show("hits")
    qtbot.wait(20)
    composition.pulse.beat()
    assert counting.n_refreshed == 2


def test_a_panel_that_fails_is_said_once_and_the_others_go_on(qtbot: QtBot, composition: Composition) -> None:
    by_name = {panel.name: panel for panel, _ in composition.panels}
    composition.pulse.stop()
    failing, counting = Failing(), Counting()
    composition.pulse.use([(by_name["image"], failing), (by_name["hits"], counting)])
    composition.window.docks.show("hits")
    qtbot.wait(20)
    said: list[str] = []
    composition.monitor.said.connect(said.append)
    for _ in range(5):
        failing.stale = counting.stale = True
        composition.pulse.beat()
    assert (failing.n_refreshed, counting.n_refreshed) == (5, 5)
    assert said == ["drawing image failed: RuntimeError: the pen is broken"]


def test_an_exception_in_a_slot_is_said_and_the_program_goes_on(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # put back afterwards
    monitor = Monitor(NotingOutbox())
    said: list[str] = []
    monitor.said.connect(said.append)
    Complaints(monitor).watch_slots()
    button = QPushButton()
    qtbot.addWidget(button)
    button.clicked.connect(lambda: [][0])
    button.click()
    assert said == ["what was asked for failed: IndexError: list index out of range"]


def test_a_fault_in_a_handler_of_the_monitor_does_not_keep_the_next_message_away(composition: Composition) -> None:
    monitor, said = composition.monitor, list[str]()

    def fail() -> None:
        raise RuntimeError("a handler is wrong")

    monitor.said.connect(said.append)
    monitor.geometry_changed.connect(fail)
    for message in (geometry(), shot_image(3)):
        with composition.complaints.told("taking it"):
            monitor.take([message])
    assert monitor.shot is not None
    assert said == ["taking it failed: RuntimeError: a handler is wrong"]


def test_what_tuning_tries_leaves_the_image_with_the_tuning_panel(qtbot: QtBot, composition: Composition) -> None:
    window = composition.window
    image = next(panel for panel, _ in composition.panels if isinstance(panel, ImagePanel))
    tuning = next(controller for _, controller in composition.panels if isinstance(controller, TuningController))
    fill(composition.monitor, 1)
    window.arrange("tuning")
    qtbot.waitUntil(lambda: image.canvas.picture is not None)
    tuning.trial_peaks.emit([20.0, 30.0], [40.0, 50.0])
    assert len(image.canvas.overlays.trial.points()) == 2
    window.arrange("control room")
    qtbot.waitUntil(lambda: len(image.canvas.overlays.trial.points()) == 0)


def test_panels_stay_panels_when_they_float(qtbot: QtBot, composition: Composition) -> None:
    window = composition.window
    for name, dock in window.docks.by_name.items():
        dock.setFloating(True)
        dock.show()
        qtbot.wait(10)
        assert isinstance(dock.widget(), Panel), name
        dock.setFloating(False)
