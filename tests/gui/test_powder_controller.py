"""The virtual powder: pixels laid out as the panels lie, rings, and what cannot be unpacked."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from messages_by_hand import SHAPE, NotingOutbox, detector, geometry
from quality_by_hand import powder
from recording_views import RecordingView

from braggwatch.gui.controllers.powder import PowderController
from braggwatch.gui.monitor import Monitor
from braggwatch.gui.powder_picture import PowderLayout, levels_of, unpacked_pixels
from braggwatch.processing.compression import bslz4_chunk
from braggwatch.processing.detector import Detector


def shown() -> tuple[Monitor, RecordingView, PowderController, list[str]]:
    monitor = Monitor(NotingOutbox())
    view = RecordingView()
    said: list[str] = []
    monitor.said.connect(said.append)
    return monitor, view, PowderController(monitor, view), said


def test_sum_and_maximum_are_unpacked_and_it_is_said_what_they_are_made_of() -> None:
    monitor, view, controller, _ = shown()
    message = powder()
    monitor.take([geometry(), message])
    controller.refresh()
    drawn = view.told["drawn"]
    assert drawn.of == "sum of 1\u2009200 of 4\u2009000 hits" and drawn.has_maximum
    total = drawn.picture
    np.testing.assert_array_equal(total, unpacked_pixels(message.sum, message.shape))
    low, high = drawn.levels
    assert np.nanmin(total) <= low < high <= np.nanmax(total)
    view.what_chosen.emit("maximum")
    controller.refresh()
    assert view.told["drawn"].of == "maximum of 1\u2009200 of 4\u2009000 hits"
    np.testing.assert_allclose(view.told["drawn"].picture, total / 10)
    assert len(drawn.q) == len(drawn.profile) == 200


def test_each_kind_is_shown_when_it_is_chosen() -> None:
    monitor, view, controller, _ = shown()
    monitor.take([geometry(), powder("all", of=1200), powder("spots")])
    controller.refresh()
    assert view.told["empty"] == "No powder of hits yet: waiting for the first hit."
    view.kind_chosen.emit("all")
    controller.refresh()
    assert view.told["drawn"].of == "sum of 1\u2009200 frames"
    view.what_chosen.emit("maximum")
    view.kind_chosen.emit("spots")
    controller.refresh()
    assert view.told["drawn"].of == "sum of 1\u2009200 hits, spots only" and not view.told["drawn"].has_maximum
    assert len(view.told["drawn"].q) == 0


def test_another_kind_that_comes_does_not_redraw() -> None:
    monitor, _, controller, _ = shown()
    monitor.take([powder("hits")])
    controller.refresh()
    monitor.take([powder("all")])
    assert not controller.stale
    monitor.take([powder("hits")])
    assert controller.stale


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"sum": b""}, "100 × 120 float32 cannot be packed into 0 bytes"),
        ({"sum": bytes(5000)}, "the pixels take 48000 bytes, the header says 0"),
        ({"sum": bslz4_chunk(np.zeros((100, 121), np.float32))[:-9] + bytes(100)}, "the header says 48400"),
        ({"shape": (100_000, 100_000)}, "expected at least one each way and at most 16777216"),
        ({"shape": (-100, -120)}, "-100 × -120 pixels, expected at least one each way"),
        ({"q": bytes(8)}, "found 8 bytes of q and 800 of profile"),
        ({"q": bytes(7), "profile": bytes(7)}, "found 7 bytes of q and 7 of profile"),
    ],
)
def test_a_message_that_makes_no_sense_is_a_line(wrong: dict[str, object], why: str) -> None:
    monitor, view, controller, said = shown()
    monitor.take([geometry(), powder()])
    controller.refresh()
    before = view.told["drawn"]
    monitor.take([msgspec.structs.replace(powder(), **wrong)])
    controller.refresh()
    assert len(said) == 1 and said[0].startswith("the powder of hits that the processor sent makes no sense: ")
    assert why in said[0]
    assert view.told["drawn"] is before


def test_damaged_pixels_are_a_line() -> None:
    monitor, _, controller, said = shown()
    message = powder()
    damaged = message.sum[:12] + bytes(byte ^ 0x5A for byte in message.sum[12:])
    monitor.take([msgspec.structs.replace(message, sum=damaged)])
    controller.refresh()
    assert len(said) == 1 and "makes no sense" in said[0]


@pytest.mark.parametrize("binning", [0, -1, 1, 3])
def test_a_powder_of_another_detector_is_shown_as_an_array_without_rings(binning: int) -> None:
    monitor, view, controller, said = shown()
    monitor.take([geometry(), msgspec.structs.replace(powder(), binning=binning)])
    controller.refresh()
    assert view.told["drawn"].rings == () and view.told["drawn"].picture.shape == (100, 120)
    assert not said


def test_rings_lie_where_the_detector_has_their_resolution() -> None:
    layout = PowderLayout(detector(), 2, (100, 120))
    assert layout.rings
    resolution = detector().resolution_map()
    for ring in layout.rings:
        fs, ss = 2 * ring.points.T
        inside = (fs > 0) & (ss > 0) & (fs < SHAPE[1]) & (ss < SHAPE[0])
        assert inside.any()
        found = resolution[ss[inside].astype(int), fs[inside].astype(int)]
        np.testing.assert_allclose(found, ring.d, rtol=0.05)


def test_panels_are_laid_out_as_they_lie(shared: Path) -> None:
    many = Detector.from_crystfel(shared / "geometries" / "agipd_mar18_v11.geom", photon_energy=9300.0, distance=0.2)
    binning = 8
    n_rows, n_columns = (-(-side // binning) for side in many.shape)
    layout = PowderLayout(many, binning, (n_rows, n_columns))
    rows = np.arange(n_rows) * binning + binning // 2
    columns = np.arange(n_columns) * binning + binning // 2
    r = np.where(many.panel_map[np.ix_(rows, columns)] < 0, np.nan, many.pixel_radius[np.ix_(rows, columns)]).astype(
        np.float32
    )
    picture = layout.picture(r)
    # the distance from the beam, in binned pixels, is that of the place in the picture from the rings' middle
    ring = layout.rings[0]
    x0, y0 = ring.points[:-1].mean(axis=0)
    y, x = np.nonzero(np.isfinite(picture))
    expected = np.hypot(x + 0.5 - x0, y + 0.5 - y0)
    off = np.abs(picture[y, x] / binning - expected)
    assert np.median(off) < 1.0 and len(x) > 0.7 * r.size


def test_levels_are_sane_whatever_the_pixels() -> None:
    for pixels in ([np.nan], [3.0, 3.0], [0.0] * 999 + [7.0], [np.inf, np.nan, 1.0]):
        low, high = levels_of(np.array([pixels], np.float32))
        assert np.isfinite([low, high]).all() and low < high
    assert levels_of(np.array([[0.0] * 999 + [7.0]], np.float32))[1] == 7.0
