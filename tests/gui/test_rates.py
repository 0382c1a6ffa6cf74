"""The rates against time: what is drawn, and which shots are behind a point."""

import math

import msgspec
import numpy as np
import pytest
from messages_by_hand import NotingOutbox, hit_row, hits
from numbers_by_hand import T0, bins, history, random_bins, status, two_runs
from numpy.typing import NDArray
from PyQt5.QtCore import QPoint, QPointF, Qt
from pytestqt.qtbot import QtBot
from scipy.stats import binomtest

from braggwatch.gui.controllers.rates import RatesController
from braggwatch.gui.monitor import Monitor
from braggwatch.gui.panels.rates import RatesPanel
from braggwatch.gui.rate_curves import PROPORTIONS
from braggwatch.gui.theme import LIGHT
from braggwatch.streamer.feed_messages import History, Mark
from braggwatch.streamer.messages import State

HIT, INDEXED_OF_HITS, INDEXED_OF_ALL, MULTI = range(4)


def panel(qtbot: QtBot, told: History | None) -> tuple[RatesPanel, RatesController, Monitor]:
    view = RatesPanel()
    qtbot.addWidget(view)
    monitor = Monitor(NotingOutbox())
    controller = RatesController(monitor, view)
    if told is not None:
        monitor.take([told])
    view.resize(900, 300)
    view.show()
    controller.refresh()
    return view, controller, monitor


def drawn(view: RatesPanel, curve: int) -> NDArray[np.float64]:
    return np.asarray(view.curves[curve].yData)


def test_the_curves_are_hits_of_the_frames_looked_at_and_so_on_in_percent(qtbot: QtBot) -> None:
    told = random_bins(300)
    view, controller, _ = panel(qtbot, history(told))
    last = {state: sum(column[-controller.window :]) for state, column in told.counts.items()}
    n_hits = last[State.HIT] + last[State.INDEXED]
    looked_at = last[State.BLANK] + n_hits
    multi = sum(told.multi_lattice[-controller.window :])
    assert drawn(view, HIT)[-1] == pytest.approx(100 * n_hits / looked_at)
    assert drawn(view, INDEXED_OF_HITS)[-1] == pytest.approx(100 * last[State.INDEXED] / n_hits)
    assert drawn(view, INDEXED_OF_ALL)[-1] == pytest.approx(100 * last[State.INDEXED] / looked_at)
    assert drawn(view, MULTI)[-1] == pytest.approx(100 * multi / last[State.INDEXED])
    lost = (last[State.DROPPED] + last[State.MISSED]) / controller.window
    assert view.lost.yData[-1] == pytest.approx(lost)


def test_the_band_is_wilsons_interval(qtbot: QtBot) -> None:
    view, _, _ = panel(qtbot, history(bins({State.BLANK: [30], State.HIT: [7]})))
    expected = binomtest(7, 37).proportion_ci(0.95, method="wilson")
    box = view.bands[HIT].boundingRect()
    assert (box.top(), box.bottom()) == pytest.approx((100 * expected.low, 100 * expected.high))


def test_a_pause_between_runs_breaks_the_line_and_marks_stand_where_things_happened(qtbot: QtBot) -> None:
    view, _, _ = panel(qtbot, two_runs())
    at_pause = (view.curves[HIT].xData > T0 + 205) & (view.curves[HIT].xData < T0 + 295)
    assert at_pause.any() and np.isnan(drawn(view, HIT)[at_pause]).all()
    assert np.isfinite(drawn(view, HIT)[~at_pause]).sum() > 400
    assert [(line.label, line.dashed) for line in view.marks.lines] == [
        ("run 41", False), ("", False), ("run 42", False), ("hitfind min_snr 5 → 6", True),
    ]  # fmt: skip


def test_no_hits_are_a_line_at_zero_with_a_band_above_it(qtbot: QtBot) -> None:
    view, _, _ = panel(qtbot, history(bins({State.BLANK: [10] * 20})))
    assert drawn(view, HIT).tolist() == [0.0] * 20
    assert np.isnan(drawn(view, INDEXED_OF_HITS)).all()
    assert view.bands[HIT].boundingRect().height() > 1


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("WAITING FOR DETECTOR", "Waiting for frames on tcp://127.0.0.1:31001 since"),
        ("FINISHED", "No frame was looked at, so there are no rates."),
    ],
)
def test_before_the_first_frame_a_sentence_says_what_is_waited_for(qtbot: QtBot, word: str, sentence: str) -> None:
    view, controller, monitor = panel(qtbot, None)
    assert view.plot.empty == "Waiting for a processor."
    monitor.take([status(word=word), history(bins({State.BLANK: [0, 0]}))])
    assert controller.stale
    controller.refresh()
    assert view.plot.empty.startswith(sentence)
    monitor.take([history(bins({State.BLANK: [0, 1]}))])
    controller.refresh()
    assert view.plot.empty == ""


def test_the_user_chooses_how_far_the_rates_look_back_and_what_is_shown(qtbot: QtBot) -> None:
    told = random_bins(500)
    view, controller, _ = panel(qtbot, history(told))
    controller.stale = False
    view.window_box.setCurrentIndex(view.window_box.findText("over 10 s"))
    view.window_box.activated.emit(view.window_box.currentIndex())
    view.span.setCurrentIndex(view.span.findText("last 2 min"))
    view.span.activated.emit(view.span.currentIndex())
    assert controller.stale
    controller.refresh()
    assert view.curves[HIT].xData[0] == T0 + 381
    n_hits = sum(told.counts[State.HIT][-10:]) + sum(told.counts[State.INDEXED][-10:])
    assert drawn(view, HIT)[-1] == pytest.approx(100 * n_hits / (n_hits + sum(told.counts[State.BLANK][-10:])))
    assert view.plot.plotItem.vb.viewRange()[0] == pytest.approx([T0 + 380, T0 + 500])


def test_what_the_user_has_zoomed_into_stays_until_a_double_click(qtbot: QtBot) -> None:
    view, controller, monitor = panel(qtbot, history(random_bins(500)))
    box = view.plot.plotItem.vb
    box.setRange(xRange=(T0 + 100, T0 + 130), padding=0)
    box.sigRangeChangedManually.emit([True, True])
    monitor.take([history(random_bins(501))])
    controller.refresh()
    assert box.viewRange()[0] == pytest.approx([T0 + 100, T0 + 130])
    qtbot.mouseDClick(view.plot.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(400, 100))
    assert box.viewRange()[0] == pytest.approx([T0, T0 + 501])


def with_hits(monitor: Monitor, *numbers: int) -> None:
    monitor.ask_for_hits()
    assert isinstance(monitor.outbox, NotingOutbox)
    rows = [msgspec.structs.replace(hit_row(i + 1, n), time=T0 + n) for i, n in enumerate(numbers)]
    monitor.outbox.answer(hits(rows))


def test_a_click_opens_the_hits_of_that_time(qtbot: QtBot) -> None:
    view, _, monitor = panel(qtbot, history(random_bins(300)))
    with_hits(monitor, 10, 149, 150, 151, 290)
    view.times_clicked.emit(T0 + 148.5, T0 + 150.5, 0.0)
    assert [key.number for key in monitor.selection] == [150, 149]
    assert monitor.selected is not None and monitor.selected.number == 150


def test_a_click_into_the_plot_means_the_time_under_the_mouse(qtbot: QtBot) -> None:
    view, _, monitor = panel(qtbot, history(random_bins(300)))
    with_hits(monitor, *range(0, 300, 30))
    box = view.plot.plotItem.vb
    place = view.plot.mapFromScene(box.mapViewToScene(QPointF(T0 + 150, 20.0)))
    qtbot.mouseClick(view.plot.viewport(), Qt.MouseButton.LeftButton, pos=place)
    qtbot.waitUntil(lambda: bool(monitor.selection))
    assert [key.number for key in monitor.selection] == [150]


def test_a_click_where_no_hit_was_takes_the_nearest_one_in_the_window_or_says_that_there_is_none(qtbot: QtBot) -> None:
    view, _, monitor = panel(qtbot, history(random_bins(300)))
    said: list[str] = []
    monitor.said.connect(said.append)
    with_hits(monitor, 100, 120, 290)
    view.times_clicked.emit(T0 + 139, T0 + 141, 0.0)
    assert [key.number for key in monitor.selection] == [120]
    view.times_clicked.emit(T0 + 249, T0 + 251, 0.0)
    assert [key.number for key in monitor.selection] == [120]
    assert len(said) == 1 and said[0].startswith("no hit is known of the 60 s before ")


def test_more_hits_than_anybody_steps_through_are_cut_to_the_newest(qtbot: QtBot) -> None:
    view, _, monitor = panel(qtbot, history(random_bins(300)))
    with_hits(monitor, *range(2000))
    view.times_clicked.emit(T0 - 1, T0 + 5000, 0.0)
    assert len(monitor.selection) == 1000
    assert monitor.selected is not None and monitor.selected.number == 1999


def test_the_mouse_reads_the_curves(qtbot: QtBot) -> None:
    view, controller, _ = panel(qtbot, history(bins({State.BLANK: [30, 0], State.HIT: [7, 0]})))
    view.resize(1600, 300)
    controller.read(T0 + 0.9)
    assert "hit rate 18.9 % ±" in view.reading.text()
    assert "multi-lattice –" in view.reading.text()
    view.hovered.emit(math.nan)
    assert view.reading.text() == ""


def test_a_history_that_makes_no_sense_is_a_line_and_a_sentence(qtbot: QtBot) -> None:
    view, controller, monitor = panel(qtbot, history(random_bins(30)))
    said: list[str] = []
    monitor.said.connect(said.append)
    monitor.take([history(msgspec.structs.replace(random_bins(5), width=-1.0))])
    controller.refresh()
    assert len(said) == 1 and said[0].startswith("the history that the processor sent makes no sense: bins of -1.0 s")
    assert view.plot.empty


def test_a_long_session_with_many_marks_is_drawn_in_both_themes_at_every_size(qtbot: QtBot) -> None:
    marks = [Mark(T0 + 500 * i, "run began", f"run {i}") for i in range(200)]
    view, controller, _ = panel(qtbot, history(random_bins(100_000), marks=marks))
    view.span_chosen.emit(0)
    controller.refresh()
    assert len(drawn(view, HIT)) <= 1000
    for theme in (view.theme, LIGHT):
        view.set_theme(theme)
        for size in ((260, 180), (1, 1), (3000, 900)):
            view.resize(*size)
            assert not view.grab().isNull()
    assert len(PROPORTIONS) == len(view.curves)


def test_the_legend_covers_no_curve_whatever_the_size_of_the_dock(qtbot: QtBot) -> None:
    view, _, _ = panel(qtbot, history(random_bins(300)))
    for size in ((900, 300), (900, 160), (500, 260), (1900, 200)):
        view.resize(*size)
        qtbot.wait(1)
        legend, box = view.plot.plotItem.legend, view.plot.plotItem.vb
        highest = max(float(np.nanmax(drawn(view, curve))) for curve in range(4))
        assert legend.isVisible()
        assert box.mapFromView(QPointF(T0, highest)).y() >= legend.geometry().bottom()


def test_what_is_shown_begins_with_the_first_frame(qtbot: QtBot) -> None:
    view, _, _ = panel(qtbot, history(bins({State.BLANK: [0] * 100 + [5] * 50})))
    assert view.plot.plotItem.vb.viewRange()[0] == pytest.approx([T0 + 100, T0 + 150])
