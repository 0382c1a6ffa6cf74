"""The view of the merge: what it shows at which size, and what a click says."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from merging_by_hand import AMBIGUOUS, D_MIN, T0, changed, merged
from messages_by_hand import NotingOutbox, hits
from numbers_by_hand import status
from PyQt5.QtCore import QPointF, Qt
from PyQt5.QtWidgets import QWidget
from pytestqt.qtbot import QtBot
from quality_by_hand import keeping, rows_of_lattices, settings

from braggwatch.gui.controllers.headline import HeadlineController
from braggwatch.gui.controllers.merging import MergingController
from braggwatch.gui.monitor import Monitor
from braggwatch.gui.panels.headline import HeadlinePanel
from braggwatch.gui.panels.merging import MergingPanel
from braggwatch.gui.panels.plot import Plot
from braggwatch.gui.theme import DARK, LIGHT
from braggwatch.processing.data_quality import Forecast, Shell, Target
from braggwatch.streamer.merge_messages import MergeMoment, Merging

NAN, INFINITE, BIG = math.nan, math.inf, 2**62
Show = Callable[..., tuple[MergingPanel, MergingController, Monitor]]


@pytest.fixture
def show(qtbot: QtBot) -> Show:
    def made(*messages: Any, size: tuple[int, int] = (900, 640)) -> tuple[MergingPanel, MergingController, Monitor]:
        monitor, view = Monitor(NotingOutbox()), MergingPanel()
        controller = MergingController(monitor, view)
        qtbot.addWidget(view, before_close_func=keeping(view, controller))
        view.setMinimumSize(140, 84)
        view.resize(*size)
        view.show()
        monitor.set_link("heard")
        monitor.take([settings(""), *messages])
        controller.refresh()
        qtbot.wait(1)
        return view, controller, monitor

    return made


def click(qtbot: QtBot, plot: Plot, x: float, y: float) -> None:
    place = plot.mapFromScene(plot.plotItem.vb.mapViewToScene(QPointF(x, y)))
    qtbot.mouseClick(plot.viewport(), Qt.MouseButton.LeftButton, pos=place)


def seen(view: MergingPanel) -> set[str]:
    parts: dict[str, QWidget] = {
        "progress": view.progress,
        "shells": view.shells,
        "facts": view.facts,
        "table": view.table,
    }
    return {name for name, part in parts.items() if part.isVisible()}


@pytest.mark.parametrize("message", [merged(), merged(1, per_turn=1), merged(60, AMBIGUOUS), None])
def test_it_draws_at_every_size_in_both_themes(show: Show, message: Merging | None) -> None:
    view, controller, _ = show(*([] if message is None else [message]))
    for theme in (LIGHT, DARK):
        view.set_theme(theme)
        for width, height in ((140, 84), (260, 180), (500, 700), (1600, 900), (3840, 2160)):
            view.resize(width, height)
            assert not view.grab().isNull()
    controller.refresh()


def test_as_much_is_shown_at_once_as_there_is_room_for(show: Show) -> None:
    view, _, _ = show(merged())
    assert seen(view) == {"progress", "shells", "facts", "table"}
    assert not view.tabs.isVisible()
    for size, expected in (
        ((500, 700), [{"progress", "facts"}, {"shells", "table"}]),
        ((900, 300), [{"progress", "shells"}, {"facts", "table"}]),
        ((260, 180), [{"facts"}, {"progress"}, {"shells"}, {"table"}]),
    ):
        view.resize(*size)
        assert view.tabs.isVisible()
        found = []
        for place in range(view.tabs.count()):
            view.tabs.setCurrentIndex(place)
            found.append(seen(view))
        assert found == expected


def test_the_curves_are_the_messages_numbers(show: Show) -> None:
    message = merged()
    view, _, _ = show(message)
    np.testing.assert_allclose(view.progress.completeness.xData, [moment.time for moment in message.moments])
    np.testing.assert_allclose(
        view.progress.completeness.yData, [moment.completeness or 0 for moment in message.moments]
    )
    assert set(view.progress.completeness_target.yData) == {0.99}
    view.progress.choice.choose("crystals")
    np.testing.assert_allclose(view.progress.completeness.xData, [moment.n_crystals for moment in message.moments])
    np.testing.assert_allclose(view.shells.curve.yData, [shell.cc_half or 0 for shell in message.shells])
    middles = [(shell.d_max**-2 + shell.d_min**-2) / 2 for shell in message.shells]
    np.testing.assert_allclose(view.shells.curve.xData, middles)
    view.shells.choice.choose("r_split")
    np.testing.assert_allclose(view.shells.curve.yData, [100 * (shell.r_split or 0) for shell in message.shells])
    ticks = view.shells.plot.plotItem.getAxis("bottom")
    assert ticks.tickStrings([1 / 9, 1 / 16], 1.0, 1.0) == ["3", "4"]


def test_a_click_on_a_shell_a_row_or_a_moment_opens_shots(qtbot: QtBot, show: Show) -> None:
    message = merged()
    view, controller, monitor = show(message, size=(1200, 800))
    rows = [replace_time(row, T0 + 0.02 * i) for i, row in enumerate(rows_of_lattices(600))]
    monitor.hits.extend(hits(rows).rows)
    controller.refresh()
    opened = []
    monitor.selection_changed.connect(lambda: opened.append(len(monitor.selection)))
    shell = message.shells[-1]
    click(qtbot, view.shells.plot, 0.5 * (shell.d_max**-2 + shell.d_min**-2), 0.5)
    row = view.table.rows
    qtbot.mouseClick(row, Qt.MouseButton.LeftButton, pos=row.rect().bottomLeft() + QPointF(30, -5).toPoint())
    moment = message.moments[1]
    click(qtbot, view.progress.plot, moment.time, 0.5)
    assert opened[-2:] == [480, 120]


def replace_time(row: Any, time: float) -> Any:
    return row.__class__(**{**{name: getattr(row, name) for name in row.__struct_fields__}, "time": time})


def test_a_shell_under_the_mouse_says_its_numbers(show: Show) -> None:
    message = merged()
    view, _, _ = show(message)
    plot = view.shells.plot
    shell = message.shells[4]
    at = plot.plotItem.vb.mapViewToScene(QPointF(0.5 * (shell.d_max**-2 + shell.d_min**-2), 0.5))
    plot.scene().sigMouseMoved.emit(at)
    assert f"{shell.d_max:.2f}–{shell.d_min:.2f} Å: {shell.n_unique} of " in plot.plotItem.vb.toolTip()
    plot = view.progress.plot
    plot.scene().sigMouseMoved.emit(plot.plotItem.vb.mapViewToScene(QPointF(message.moments[2].time, 0.5)))
    assert f" {message.moments[2].n_crystals} crystals: CC½ " in plot.plotItem.vb.toolTip()


def test_the_target_is_changed_in_the_panel(qtbot: QtBot, show: Show) -> None:
    view, _, monitor = show(merged())
    qtbot.mouseClick(view.change, Qt.MouseButton.LeftButton)
    editor = view.editor
    assert editor.isVisible() and not editor.yes.isEnabled()
    assert [box.isChecked() for box in editor.boxes] == [False, True, True, False]
    editor.numbers[2].setValue(95.0)
    editor.boxes[3].setChecked(True)
    editor.numbers[3].setValue(12.0)
    assert editor.change.text() == "completeness 99 % → 95 % · multiplicity does not matter → 12"
    qtbot.mouseClick(editor.yes, Qt.MouseButton.LeftButton)
    assert isinstance(monitor.outbox, NotingOutbox)
    ((change, _),) = monitor.outbox.changes
    assert change.settings == {"merge": {"target_completeness": 0.95, "target_multiplicity": 12.0}}
    assert change.by == "the merging panel"
    assert not editor.isVisible() and view.line.text == "Asking the processor …"


def test_of_a_record_the_button_is_grey_and_says_why(show: Show) -> None:
    view, controller, monitor = show(merged())
    monitor.set_link("record")
    controller.refresh()
    assert not view.change.isEnabled()
    assert "This is a record" in view.change.toolTip()


def test_what_is_drawn_is_remembered(show: Show) -> None:
    view, _, _ = show(merged())
    view.shells.choice.choose("snr")
    view.progress.choice.choose("crystals")
    again, _, _ = show(merged())
    again.choose(view.chosen())
    assert again.chosen() == {"shells": "snr", "progress": "crystals"}
    again.choose({"shells": "nonsense", "progress": "nonsense"})
    assert again.chosen() == {"shells": "snr", "progress": "crystals"}


# -- what makes no sense ------------------------------------------------------------------------------------------

ODD = [NAN, INFINITE, -INFINITE, -1.0, 0.0, 1e300, -1e300, 1e-300]


def with_odd(shell: Shell, fields: dict[str, Any]) -> Shell:
    return replace(shell, **fields)


def odd_shells(shell: Shell) -> list[Shell]:
    names = [name for name, value in vars(shell).items() if isinstance(value, float)]
    counted = [name for name, value in vars(shell).items() if isinstance(value, int)]
    return [
        *(with_odd(shell, {name: odd}) for name in names for odd in ODD),
        *(with_odd(shell, {name: n}) for name in counted for n in (-BIG, BIG, 0)),
        with_odd(shell, dict.fromkeys(names, NAN)),
        replace(shell, d_max=shell.d_min, d_min=shell.d_max),
    ]


def odd_messages() -> list[Merging]:
    good = merged()
    assert good.outer is not None and good.target is not None
    odd = odd_shells(good.outer)
    return [
        *(changed(good, outer=shell, whole=shell, overall=shell, shells=(shell,)) for shell in odd),
        changed(good, shells=tuple(odd)), changed(good, shells=()), changed(good, shells=good.shells[::-1]),
        changed(good, shells=good.shells * 200), changed(good, overall=None), changed(good, outer=None, whole=None),
        *(changed(good, time=odd, since=odd, resolution=odd, agreement=odd, cell=(odd,) * 6) for odd in ODD),
        *(changed(good, n_crystals=n, n_outliers=n, n_empty=n, n_rejected=n, n_foreign=n, n_left_out=n)
          for n in (-BIG, -1, BIG)),
        *(changed(good, target=Target(odd)) for odd in ODD),
        *(changed(good, forecast=Forecast("ahead", *odd)) for odd in (
            (None, None, None), (NAN, NAN, NAN), (-5.0, -6.0, -7.0), (INFINITE, 1.0, 2.0), (1e300, 1e299, 1e301),
            (5.0, 9.0, 1.0),
        )),
        changed(good, forecast=Forecast("not at this rate", completeness_limit=NAN, held_up_by="completeness")),
        changed(good, forecast=Forecast("reached", NAN, NAN, NAN, NAN)),
        changed(good, settings=("h,k,l", "\x1b[2J\n"), in_setting=()),
        changed(good, settings=("k,h,-l",) * 500, in_setting=(-BIG,) * 3, agreement=NAN),
        changed(good, settings=(), in_setting=(1, 2, 3)),
        changed(good, space_group="\0\x1b[31m" * 99), changed(good, problem="\n" * 9000, overall=None),
        changed(good, moments=()),
        changed(good, moments=tuple(MergeMoment(t, n, t, t, t) for t in ODD for n in (-BIG, -1, 0, BIG))),
        changed(good, moments=(MergeMoment(1e9, 5, NAN, INFINITE, -3.0), MergeMoment(1e9, 5, 0.5, -0.9, 2.0))),
        changed(good, moments=good.moments * 500),
    ]  # fmt: skip


def test_a_message_that_makes_no_sense_does_no_harm(qtbot: QtBot, show: Show) -> None:
    view, controller, monitor = show(status(), merged())
    now = HeadlinePanel()
    headline = HeadlineController(monitor, now)
    qtbot.addWidget(now, before_close_func=keeping(now, headline))
    now.resize(300, 400)
    for message in odd_messages():
        monitor.take([message])
        for n, name in enumerate(("cc_half", "completeness", "snr", "r_split")):
            view.shells.choice.choose(name)
            view.progress.choice.choose(("time", "crystals")[n % 2])
            controller.refresh()
            view.grab()
        headline.refresh()
        now.grab()
        texts = (*view.verdict._texts, *view.quality._texts, *(row.meaning for row in view.facts.rows.rows))
        assert not any(word in text for text in texts for word in ("nan", "inf ", "e+", "\x1b"))
    monitor.take([merged()])
    controller.refresh()
    assert view.quality.text.endswith("-fold")
    np.testing.assert_allclose(view.shells.plot.plotItem.vb.viewRange()[0][1], 1.02 * D_MIN**-2)


def test_the_time_of_the_forecast_is_drawn_where_it_is_near_and_takes_no_room_where_it_is_far(show: Show) -> None:
    message = merged()
    first, last = message.moments[0].time, message.moments[-1].time
    for seconds, near in ((1.0, True), (3600.0, False)):
        forecast = Forecast("ahead", 2 * seconds, seconds, 3 * seconds)
        view, _, _ = show(changed(message, forecast=forecast))
        left, right = view.progress.plot.plotItem.vb.viewRange()[0]
        assert left == pytest.approx(first)
        assert (right > last + 1) == near
        assert (not view.progress.ahead.path.isEmpty()) == near
        view.progress.choice.choose("crystals")
        assert view.progress.ahead.path.isEmpty()
