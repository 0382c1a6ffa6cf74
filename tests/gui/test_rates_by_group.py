"""The rates of groups of shots: what is drawn, what is said, and which shots are behind a point."""

import math
from typing import Any

import msgspec
import numpy as np
import pytest
from groups_by_hand import TWO_STATES, random_groups
from messages_by_hand import NotingOutbox, hit_row, hits
from numbers_by_hand import T0, bins, history, random_bins, status
from PyQt5.QtCore import QPoint, Qt
from pytestqt.qtbot import QtBot
from scipy.stats import binomtest

from braggwatch.gui.controllers.rates import RatesController
from braggwatch.gui.controllers.rates_by_group import MOST_DRAWN
from braggwatch.gui.monitor import Monitor
from braggwatch.gui.panels.rates import RatesPanel
from braggwatch.gui.theme import DARK, LIGHT
from braggwatch.streamer.feed_messages import GroupBins, History, Mark
from braggwatch.streamer.messages import State
from braggwatch.streamer.wording import clock

TWO = random_groups({"dark": 0.149, "pumped": 0.121})


class Bench:
    def __init__(self, qtbot: QtBot, told: History, kind: str = "hit") -> None:
        self.view = RatesPanel()
        qtbot.addWidget(self.view)
        self.monitor = Monitor(NotingOutbox())
        self.said: list[str] = []
        self.monitor.said.connect(self.said.append)
        self.controller = RatesController(self.monitor, self.view)
        self.monitor.take([status(), told])
        self.view.resize(1000, 300)
        self.view.show()
        self.choose(kind)

    def choose(self, kind: str) -> None:
        self.view.kind.setCurrentIndex(self.view.kind.findData(kind))
        self.view.kind.activated.emit(self.view.kind.currentIndex())
        self.controller.refresh()

    def drawn(self) -> list[Any]:
        return [curve for curve in self.view.group_curves if curve.curve.isVisible()]

    def named(self) -> list[str]:
        return [label.text for _, label in self.view.plot.plotItem.legend.items]


def of_last_minute(told: History, name: str) -> tuple[int, int, int]:
    group = next(group for group in told.recent.groups if group.name == name)
    return sum(group.frames[-60:]), sum(group.hits[-60:]), sum(group.indexed[-60:])


def test_where_shots_are_not_grouped_nothing_is_offered_and_no_room_is_taken(qtbot: QtBot) -> None:
    bench = Bench(qtbot, history(random_bins(300)))
    for part in (bench.view.kind, bench.view.words.compared, bench.view.words.note, bench.view.digits):
        assert not part.isVisible()
    assert bench.named() == ["hit rate", "indexed of hits", "indexed of all", "multi-lattice", "lost"]
    assert all(curve.isVisible() for curve in bench.view.curves)
    bench.view.toggle_by_group()
    assert bench.view.kind.currentData() == "hit" and not bench.view.kind.isVisible()


@pytest.mark.parametrize(("kind", "n", "of"), [("hit", 1, 0), ("indexed", 2, 1), ("indexed of all", 2, 0)])
def test_each_group_has_a_curve_with_its_interval_and_large_digits(qtbot: QtBot, kind: str, n: int, of: int) -> None:
    bench = Bench(qtbot, TWO, kind)
    assert bench.named() == ["dark", "pumped"]
    assert not any(item.isVisible() for item in (*bench.view.curves, *bench.view.bands))
    assert len(bench.drawn()) == 2 and bench.view.digits.isVisible()
    for curve, digits, name in zip(bench.drawn(), bench.view.digits.groups, ("dark", "pumped"), strict=True):
        counts = of_last_minute(TWO, name)
        assert curve.curve.yData[-1] == pytest.approx(100 * counts[n] / counts[of])
        assert (digits.name, digits.digits) == (name, f"{100 * counts[n] / counts[of]:.1f}")
        expected = binomtest(counts[n], counts[of]).proportion_ci(0.95, method="wilson")
        assert digits.margin == f"±{50 * (expected.high - expected.low):.1f}"
        assert digits.curve.low[-1] == pytest.approx(100 * expected.low)


def test_the_difference_is_said_over_all_that_is_shown_and_whether_it_is_more_than_chance(qtbot: QtBot) -> None:
    bench = Bench(qtbot, TWO)
    frames, n = ({g.name: sum(getattr(g, what)) for g in TWO.recent.groups} for what in ("frames", "hits"))
    dark, pumped = (100 * n[name] / frames[name] for name in ("dark", "pumped"))
    text = bench.view.words.compared.text
    assert text.startswith(f"pumped {pumped:.1f} % – dark {dark:.1f} %: \u2212{dark - pumped:.1f} ± 0.")
    assert text.endswith(" points, more than chance (last 10 min)")
    assert bench.view.words.compared.isVisible()
    alike = Bench(qtbot, random_groups({"dark": 0.12, "pumped": 0.12}, n=60))
    assert alike.view.words.compared.text.endswith(", no difference seen (last 60 s)")


def test_all_together_is_one_choice_away_and_back(qtbot: QtBot) -> None:
    bench = Bench(qtbot, TWO)
    bench.view.toggle_by_group()
    bench.controller.refresh()
    assert bench.view.kind.currentData() == "all" and not bench.drawn() and not bench.view.digits.isVisible()
    assert bench.named()[0] == "hit rate" and all(curve.isVisible() for curve in bench.view.curves)
    bench.view.toggle_by_group()
    bench.controller.refresh()
    assert len(bench.drawn()) == 2


def test_of_many_groups_the_largest_are_drawn_and_it_is_said_so(qtbot: QtBot) -> None:
    rates = {f"delay {i}": 0.1 + 0.005 * i for i in range(16)}
    told = random_groups(rates)
    for group in told.recent.groups[::2]:
        group.frames[:], group.hits[:], group.indexed[:] = [1] * 600, [0] * 600, [0] * 600
    bench = Bench(qtbot, told)
    assert [group.name for group in bench.view.digits.groups] == [f"delay {i}" for i in range(1, 16, 2)]
    assert len(bench.drawn()) == MOST_DRAWN
    assert bench.view.words.note.text == "too many to draw: showing the 8 largest of 16 groups"
    assert bench.view.words.compared.text.startswith("of 16 groups these differ most: delay 15 ")
    assert [group.dashed for group in bench.view.digits.groups] == [False] * 4 + [True] * 4


def test_shots_that_belong_to_no_group_are_drawn_in_grey_and_not_compared_with_two_that_do(qtbot: QtBot) -> None:
    told = random_groups({"dark": 0.12, "no laser_1": 0.5, "pumped": 0.12})
    bench = Bench(qtbot, told)
    bench.monitor.take([TWO_STATES])
    bench.controller.refresh()
    assert [(group.name, group.tone) for group in bench.view.digits.groups] == [
        ("dark", "group_1"), ("pumped", "group_2"), ("no laser_1", "quiet"),
    ]  # fmt: skip
    assert bench.view.words.compared.text.startswith("pumped 1")
    alone = Bench(qtbot, random_groups({"others": 0.12, "pumped": 0.5}))
    assert alone.view.words.compared.text.startswith("pumped 50.1 % – others 11.8 %: +38.")


def with_hits(monitor: Monitor, groups: dict[int, str]) -> None:
    monitor.ask_for_hits()
    assert isinstance(monitor.outbox, NotingOutbox)
    monitor.outbox.answer(
        hits([msgspec.structs.replace(hit_row(i, n), time=T0 + n, group=group)
              for i, (n, group) in enumerate(groups.items(), 1)])
    )  # fmt: skip


def test_a_click_near_a_curve_opens_the_hits_of_its_group(qtbot: QtBot) -> None:
    bench = Bench(qtbot, random_groups({"dark": 0.4, "pumped": 0.1}))
    with_hits(bench.monitor, {100: "dark", 101: "pumped", 102: "dark", 103: "pumped", 500: "pumped"})
    bench.view.times_clicked.emit(T0 + 99.5, T0 + 103.5, 38.0)
    assert [key.number for key in bench.monitor.selection] == [102, 100]
    bench.view.times_clicked.emit(T0 + 99.5, T0 + 103.5, 5.0)
    assert [key.number for key in bench.monitor.selection] == [103, 101]
    bench.view.times_clicked.emit(T0 + 299.5, T0 + 300.5, 5.0)
    assert bench.said[-1].startswith("no hit of group pumped is known of the 60 s before")
    bench.choose("all")
    bench.view.times_clicked.emit(T0 + 99.5, T0 + 103.5, 38.0)
    assert [key.number for key in bench.monitor.selection] == [103, 102, 101, 100]


def test_a_click_on_the_digits_opens_the_groups_newest_hits(qtbot: QtBot) -> None:
    bench = Bench(qtbot, TWO)
    with_hits(bench.monitor, {100: "dark", 101: "pumped", 102: "dark"})
    qtbot.mouseClick(bench.view.digits, Qt.MouseButton.LeftButton, pos=QPoint(30, 30))
    assert [key.number for key in bench.monitor.selection] == [102, 100]


def test_the_mouse_reads_every_group(qtbot: QtBot) -> None:
    bench = Bench(qtbot, TWO)
    bench.view.resize(2000, 300)
    bench.controller.read(T0 + 600)
    counts = of_last_minute(TWO, "pumped")
    assert f"pumped {100 * counts[1] / counts[0]:.1f} % ±" in bench.view.reading.text()
    bench.controller.read(math.nan)
    assert bench.view.reading.text() == ""


def test_what_was_chosen_is_chosen_again_at_the_next_start(qtbot: QtBot) -> None:
    first, second = Bench(qtbot, TWO, "indexed"), Bench(qtbot, TWO, "all")
    first.view.window_box.setCurrentIndex(first.view.window_box.findData(10))
    second.view.choose(first.view.chosen())
    second.controller.refresh()
    assert (second.controller.kind, second.controller.window, second.controller.span) == ("indexed", 10, 600)
    assert len(second.drawn()) == 2
    second.view.choose({"kind": "nonsense", "window": "\0", "other": "x"})
    assert second.controller.kind == "indexed"


def test_in_a_narrow_dock_groups_stand_as_digits_where_curves_would_have_no_names(qtbot: QtBot) -> None:
    bench = Bench(qtbot, random_groups({f"delay {i}": 0.1 for i in range(5)}))
    bench.view.resize(260, 180)
    assert bench.view.digits.isVisible() and not bench.view.plot.isVisible()
    bench.view.resize(1000, 300)
    assert bench.view.digits.isVisible() and bench.view.plot.isVisible()
    two = Bench(qtbot, TWO)
    two.view.resize(300, 200)
    qtbot.wait(1)
    assert two.view.plot.isVisible() and two.view.plot.plotItem.legend.isVisible()


def test_a_group_keeps_its_colour_when_another_one_comes(qtbot: QtBot) -> None:
    bench = Bench(qtbot, random_groups({"dark": 0.1}))
    bench.monitor.take([TWO_STATES])
    bench.controller.refresh()
    before = bench.drawn()[0].curve.opts["pen"].color().name()
    bench.monitor.take([TWO])
    bench.controller.refresh()
    pens = [curve.curve.opts["pen"].color().name().upper() for curve in bench.drawn()]
    assert pens == [before.upper(), DARK.group_2.upper()]
    bench.view.set_theme(LIGHT)
    pens = [curve.curve.opts["pen"].color().name().upper() for curve in bench.drawn()]
    assert pens == [LIGHT.group_1.upper(), LIGHT.group_2.upper()]


def test_groups_that_make_no_sense_do_no_harm(qtbot: QtBot) -> None:
    bench = Bench(qtbot, TWO)
    zeros = [0] * 30
    many = tuple(GroupBins(name=f"{i}<b>&\x1b{'x' * 1000}", frames=[9] * 30, hits=[3] * 30, indexed=[2] * 30)
                 for i in range(1000))  # fmt: skip
    for groups in (
        (GroupBins(name="dark", frames=[1], hits=zeros, indexed=zeros),),
        (GroupBins(name="x" * 10**5, frames=zeros, hits=[5] * 30, indexed=[9] * 30),),
        (GroupBins(name="", frames=[5] * 30, hits=[9] * 30, indexed=zeros),) * 2,
        many,
    ):
        made = msgspec.structs.replace(random_bins(30), groups=groups)
        bench.monitor.take([history(made), history(random_bins(30), session=made)])
        bench.controller.refresh()
        bench.controller.read(T0 + 10)
        assert not bench.view.grab().isNull()
    assert [line for line in bench.said if "makes no sense" not in line] == []


def test_an_interrupted_run_has_gaps_for_every_group(qtbot: QtBot) -> None:
    told = random_groups({"dark": 0.1, "pumped": 0.1})
    for column in (told.recent.groups[1].frames, told.recent.groups[1].hits, told.recent.groups[1].indexed):
        column[200:400] = [0] * 200
    bench = Bench(qtbot, told)
    dark, pumped = (np.isfinite(curve.curve.yData) for curve in bench.drawn())
    assert dark.all() and not pumped[270:395].any() and pumped[405:].all()
    assert bench.view.digits.groups[1].digits != "–"


def test_after_a_run_the_digits_are_those_of_its_end(qtbot: QtBot) -> None:
    made = bins({State.BLANK: [100] * 100 + [0] * 50})
    columns = [5] * 100 + [0] * 50
    groups = GroupBins(name="dark", frames=[10 * n for n in columns], hits=columns, indexed=[0] * 150)
    marks = Mark(T0, "run began", "run 1"), Mark(T0 + 100, "run ended", "run 1")
    bench = Bench(qtbot, history(msgspec.structs.replace(made, groups=(groups,)), marks=marks))
    (dark,) = bench.view.digits.groups
    assert (dark.digits, dark.below) == ("10.0", "300 of 3\u2009000")
    assert f"the 60 s before {clock(T0 + 100)}" in dark.meaning
