"""The peakogram: what is drawn, and which shots lie behind a bin."""

import msgspec
import numpy as np
import pytest
from messages_by_hand import NotingOutbox, geometry
from quality_by_hand import peakogram
from recording_views import RecordingView

from braggwatch.gui.controllers.peakogram import PeakogramController
from braggwatch.gui.monitor import Monitor
from braggwatch.gui.shot_key import ShotKey
from braggwatch.streamer.archive_messages import Refusal, ShotsFound, SpotsWanted
from braggwatch.streamer.picture_messages import Geometry


def shown() -> tuple[Monitor, NotingOutbox, RecordingView, PeakogramController]:
    outbox = NotingOutbox()
    monitor = Monitor(outbox)
    view = RecordingView()
    return monitor, outbox, view, PeakogramController(monitor, view)


def saturating_at(adu: float) -> Geometry:
    plain = geometry()
    (place,) = plain.panels
    return msgspec.structs.replace(plain, panels=(msgspec.structs.replace(place, max_adu=adu),))


def test_spots_hits_and_the_part_that_saturates_are_said() -> None:
    monitor, _, view, controller = shown()
    message = peakogram()
    monitor.take([saturating_at(60_000.0), message])
    controller.refresh()
    drawn = view.told["drawn"]
    assert drawn.counts.sum() == message.n_peaks and drawn.summary.endswith("spots of 1\u2009000 hits")
    assert drawn.saturation == pytest.approx((np.log10(60_000),) * 2)
    upper = np.linspace(0, 6, 101)[1:]
    part = 100 * drawn.counts[:, upper > np.log10(60_000)].sum() / drawn.counts.sum()
    assert drawn.detail == f"{part:.1f} % at or above saturation (60\u2009000 ADU)"


def test_a_detector_that_does_not_say_where_it_saturates_has_no_line() -> None:
    monitor, _, view, controller = shown()
    monitor.take([geometry(), peakogram()])
    controller.refresh()
    assert view.told["drawn"].saturation is None and view.told["drawn"].detail == "saturation value not known"


def test_a_click_asks_for_the_shots_behind_a_bin_and_selects_them() -> None:
    monitor, outbox, view, controller = shown()
    monitor.take([peakogram(shape=(3, 6))])
    controller.refresh()
    view.bin_clicked.emit(1, 2)
    request, then = outbox.asked[0]
    assert isinstance(request, SpotsWanted)
    assert request.inverse_d == pytest.approx((0.2, 0.4)) and request.max_value == pytest.approx((100.0, 1000.0))
    then(ShotsFound((("run-1", 8), ("run-1", 5))))
    assert monitor.selection == (ShotKey("run-1", 8), ShotKey("run-1", 5))


def test_an_empty_bin_or_one_beyond_the_edge_asks_nothing_and_a_refusal_is_a_line() -> None:
    monitor, outbox, view, controller = shown()
    said: list[str] = []
    monitor.said.connect(said.append)
    view.bin_clicked.emit(1, 2)
    monitor.take([peakogram(shape=(3, 6))])
    controller.refresh()
    for bin_ in ((0, 5), (-1, 0), (3, 0), (0, 6)):
        view.bin_clicked.emit(*bin_)
    assert not outbox.asked
    view.bin_clicked.emit(1, 2)
    outbox.answer(Refusal("there is no record"))
    view.bin_clicked.emit(1, 2)
    outbox.answer(ShotsFound(()))
    assert said == [
        "the shots behind the peakogram cannot be had: there is no record",
        "the archive has no shot with such a spot",
    ]


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"counts": b"123"}, "100 × 100 counts take 40000 bytes, found 3"),
        ({"shape": (0, 5)}, "0 × 5 bins, expected at least one each way"),
        ({"shape": (-1, -5)}, "-1 × -5 bins, expected at least one each way"),
        ({"shape": (2**20, 2**20)}, "at most 1048576 in all"),
        ({"inverse_d": (0.6, 0.1)}, "its bins reach in 1/d from 0.6 to 0.1"),
        ({"inverse_d": (0.0, float("nan"))}, "its bins reach in 1/d from 0.0 to nan"),
        ({"log10_max_value": (0.0, float("inf"))}, "its bins reach in log10 of ADU from 0.0 to inf"),
        ({"log10_max_value": (0.0, 400.0)}, r"its pixels reach up to 10^400 ADU"),
    ],
)
def test_a_message_that_makes_no_sense_is_a_line(wrong: dict[str, object], why: str) -> None:
    monitor, _, view, controller = shown()
    said: list[str] = []
    monitor.said.connect(said.append)
    monitor.take([peakogram()])
    controller.refresh()
    before = view.told["drawn"]
    monitor.take([msgspec.structs.replace(peakogram(), **wrong)])
    controller.refresh()
    assert len(said) == 1 and said[0].startswith("the peakogram that the processor sent makes no sense: ")
    assert why in said[0]
    assert view.told["drawn"] is before


def test_without_spots_the_panel_says_what_is_waited_for() -> None:
    monitor, _, view, controller = shown()
    controller.refresh()
    assert view.told["empty"] == "No peakogram yet: it comes with the first hit."
    nothing = msgspec.structs.replace(peakogram(), counts=bytes(40_000), n_shots=0, n_peaks=0)
    monitor.take([nothing])
    controller.refresh()
    assert view.told["empty"] == "No spots yet: waiting for the first hit."
    monitor.take([msgspec.structs.replace(nothing, n_shots=12)])
    controller.refresh()
    assert view.told["empty"] == "No spots to show: 12 hits, but their resolution is not known."
