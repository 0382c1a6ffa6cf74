"""The panels about all shots against the record of a finished session: they show what SQL and h5py find."""

import math
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyqtgraph as pg
import pytest
from PyQt5.QtCore import QPointF, Qt
from PyQt5.QtTest import QTest
from PyQt5.QtWidgets import QApplication, QToolButton
from record_window import Seen, drawn, grouped, window_on_record
from recorded_session import N_FRAMES

from braggwatch.gui.panels.cells import CellsPanel
from braggwatch.gui.panels.fitting_label import FittingLabel
from braggwatch.gui.panels.headline import HeadlinePanel
from braggwatch.gui.panels.health import HealthPanel
from braggwatch.gui.panels.ledger import LedgerPanel
from braggwatch.gui.panels.orientations import OrientationsPanel
from braggwatch.gui.panels.panel import Panel
from braggwatch.gui.panels.peakogram import PeakogramPanel
from braggwatch.gui.panels.plot import Plot
from braggwatch.gui.panels.powder import PowderPanel
from braggwatch.gui.panels.rates import RatesPanel
from braggwatch.gui.panels.residuals import ResidualsPanel
from braggwatch.gui.panels.resolution import ResolutionPanel
from braggwatch.gui.panels.strip import StripPanel


@pytest.fixture(scope="module")
def seen(qapp: QApplication, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """The window on its record, with everything told."""
    with window_on_record(tmp_path_factory) as seen:
        yield seen


def wilson(n: int, of: int) -> tuple[float, float]:
    """Middle and half width of the 95 % interval of a proportion (Wilson, 1927)."""
    z2, p = 1.959964**2, n / of
    return (p + z2 / 2 / of) / (1 + z2 / of), math.sqrt(z2 * (p * (1 - p) / of + z2 / 4 / of**2)) / (1 + z2 / of)


def click(plot: Plot, x: float, y: float) -> None:
    """Press and release the mouse at a place of a plot."""
    place = plot.mapFromScene(plot.plotItem.vb.mapViewToScene(QPointF(x, y)))
    QTest.mouseClick(plot.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place)


def press(panel: Panel, text: str) -> None:
    """Click the button of a panel that says this."""
    (button,) = (b for b in panel.findChildren(QToolButton) if b.text() == text)
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def assert_counts(edges: Any, counts: Any, values: Any) -> None:
    """Check a histogram; a value as near to an edge as a float32 is may stand on either side of it."""
    upto = np.cumsum(counts)
    for sign, compare in ((-1, np.less_equal), (1, np.greater_equal)):
        within = [np.count_nonzero((values >= edges[0]) & (values < edge + sign * 1e-5)) for edge in edges[1:]]
        assert compare(within, upto).all()


def test_the_strip_says_that_it_is_a_record_and_which_run(seen: Seen) -> None:
    strip = seen.at(StripPanel)
    ((number, detector, energy, distance),) = seen.session.ask(
        "SELECT number, detector, photon_energy_eV, distance_m FROM runs"
    )
    assert strip.word.text() == "RECORD"
    assert strip.facts.text == f"run {number} · {detector} · {energy / 1e3:.2f} keV · {distance * 1e3:.1f} mm"
    assert strip.numbers[-1].text() == f"dropped {seen.session.counts.get('dropped', 0)}"


def test_the_headline_has_the_proportions_of_the_record(seen: Seen) -> None:
    session, panel = seen.session, seen.at(HeadlinePanel)
    n_indexed = session.counts["indexed"]
    expected = [(session.n_hits, N_FRAMES), (n_indexed, session.n_hits), (session.n_multi, n_indexed)]
    assert [headline.below for headline in panel.headlines] == [f"{n} of {of}" for n, of in expected]
    assert [headline.digits for headline in panel.headlines] == [f"{100 * n / of:.1f}" for n, of in expected]
    assert [headline.margin for headline in panel.headlines] == [f"±{100 * wilson(*e)[1]:.1f}" for e in expected]


def test_the_ledger_has_every_state_of_the_record_and_adds_up(seen: Seen) -> None:
    panel = seen.at(LedgerPanel)
    heads, *rows = (tuple(cell.text for cell in row.cells) for row in panel.rows.rows)
    assert heads == ("frames", "run 1", "all")
    words = {"hit, not indexed": "hit"}
    shown = {words.get(word, word): (int(run), int(total)) for word, run, total in rows}
    # whoever selects no shots need not read of skipped ones
    states = [name for (name,) in seen.session.ask("SELECT name FROM states WHERE name != 'skipped'")]
    assert set(shown) == {*states, "waiting", "working"}
    for state, numbers in shown.items():
        assert numbers == (seen.session.counts.get(state, 0),) * 2
    sums, said = (tuple(cell.text for cell in row.cells) for row in panel.check.rows)
    n = seen.session.number("SELECT sum(n) FROM totals")
    assert sums == ("sum", str(n), str(n))
    assert said == (f"✓ adds up to all {n} frames",)


def test_the_health_counts_the_frames_of_the_record_and_the_images_of_its_dumps(seen: Seen) -> None:
    panel = seen.at(HealthPanel)
    shown = {row.cells[0].text: row.cells[1].text for row in panel.lines.rows}
    assert shown["record"] == f"{seen.session.number('SELECT count(*) FROM frames')} frames"
    assert shown["dump hit"] == f"{seen.session.number('SELECT count(*) FROM images')} images"
    assert panel.notices.rows == ()
    assert panel.workers.rows == ()


def test_every_point_of_the_rates_counts_the_frames_of_the_minute_before_it(seen: Seen) -> None:
    session, panel = seen.session, seen.at(RatesPanel)
    rows = session.ask(
        "SELECT started + t_ms / 1000.0, states.name, (SELECT count(*) FROM crystals c WHERE c.number = f.number) "
        "FROM frames f JOIN runs ON runs.id = run JOIN states ON code = state"
    )
    times, states, lattices = (np.array(column) for column in zip(*rows, strict=True))
    indexed = states == "indexed"
    hit = indexed | (states == "hit")
    everything = np.ones(len(rows), bool)
    proportions = ((hit, everything), (indexed, hit), (indexed, everything), (lattices > 1, indexed))
    assert [curve.name() for curve in panel.curves] == [
        "hit rate", "indexed of hits", "indexed of all", "multi-lattice",
    ]  # fmt: skip
    for curve, (some, of) in zip(panel.curves, proportions, strict=True):
        x, y = curve.xData, curve.yData
        for end, value in zip(x, y, strict=True):
            before = (times < end) & (times >= end - 60)
            n, n_of = np.count_nonzero(some & before), np.count_nonzero(of & before)
            if np.isfinite(value):
                assert value == pytest.approx(100 * n / n_of)
            else:
                assert end > times.max() or not n_of
        last = y[np.isfinite(y)][-1]
        assert last == pytest.approx(100 * np.count_nonzero(some) / np.count_nonzero(of))
    assert np.nanmax(panel.lost.yData) == 0

    end = x[np.isfinite(y)][-1]
    panel.plot.scene().sigMouseMoved.emit(panel.plot.plotItem.vb.mapViewToScene(QPointF(end - 0.01, 5.0)))
    reading = panel.reading.text()
    n_hits, n_indexed = session.n_hits, session.counts["indexed"]
    assert f"hit rate {100 * n_hits / N_FRAMES:.1f} % ±{100 * wilson(n_hits, N_FRAMES)[1]:.1f}" in reading
    assert f"indexed of hits {100 * n_indexed / n_hits:.1f} % ±{100 * wilson(n_indexed, n_hits)[1]:.1f}" in reading
    click(panel.plot, (times.min() + times.max()) / 2, 5.0)
    assert set(seen.selected()) <= set(session.verdicts)
    assert seen.selected()


def test_the_residuals_are_those_of_all_lattices_of_the_last_hits(seen: Seen) -> None:
    session, panel = seen.session, seen.at(ResidualsPanel)
    n_lattices = {"hit": 0, "indexed": 1, "2 lattices": 2}
    lattices = {number: n_lattices[session.verdicts[number]] for number in session.last_hits()}
    n_shots = sum(n > 0 for n in lattices.values())
    off = np.concatenate([session.residuals(number, k) for number, n in lattices.items() for k in range(1, n + 1)])
    expected = (
        f"RMSD {np.sqrt((off**2).sum(axis=1).mean()):.2f} px · mean x {off[:, 0].mean():+.2f} "
        f"y {off[:, 1].mean():+.2f} px · {grouped(len(off))} spots of {n_shots} shots"
    )
    seen.until(lambda: panel.summary.text == expected)
    peaks = np.concatenate([session.peaks(number) for number in lattices])
    own = peaks[peaks["lattice"] > 0]
    in_tile, _, _ = np.histogram2d(own["fs"], own["ss"], bins=8, range=((0, 512), (0, 512)))
    assert len(panel.parts.data) == np.count_nonzero(in_tile >= 5) > 0


def test_the_cells_are_fitted_where_the_medians_of_the_record_lie(seen: Seen) -> None:
    session, panel = seen.session, seen.at(CellsPanel)
    assert not panel.empty
    target = (79.2, 79.2, 38.0, 90.0, 90.0, 90.0)
    for parameter, name, goal in zip(panel.parameters, ("a", "b", "c", "alpha", "beta", "gamma"), target, strict=True):
        values = session.column(f"SELECT {name} FROM crystals")
        fitted = float(re.findall(r"\d+\.\d+", parameter.label.text)[0])
        assert fitted == pytest.approx(np.median(values), abs=0.01)
        assert f" of {len(values)} outliers" in parameter.spread.text
        outliers, lattices = drawn(parameter.plot, pg.PlotDataItem)
        assert_counts(lattices.xData, outliers.yData + lattices.yData, values)
        assert parameter.target.value() == goal


def test_the_resolution_is_that_of_every_hit(seen: Seen) -> None:
    session, panel = seen.session, seen.at(ResolutionPanel)
    hits = 1 / session.column("SELECT resolution FROM hits")
    indexed = 1 / session.column(
        "SELECT resolution FROM hits WHERE EXISTS (SELECT * FROM crystals WHERE crystals.number = hits.number)"
    )
    (summary,) = panel.findChildren(FittingLabel)
    assert summary.text == (
        f"Median {1 / np.median(hits):.2f} Å of {len(hits)} hits · "
        f"{1 / np.median(indexed):.2f} Å of {len(indexed)} indexed"
    )
    for curve, values in zip(drawn(panel.plot, pg.PlotDataItem), (hits, indexed), strict=True):
        assert curve.yData.sum() == len(values)
        assert_counts(curve.xData, curve.yData, values)


def test_the_orientations_have_a_pole_for_every_lattice(seen: Seen) -> None:
    panel, axes = seen.at(OrientationsPanel), seen.session.axes()
    assert panel.figures.text.endswith(f" · {len(axes)} lattices")
    c_star = np.cross(axes[:, 0], axes[:, 1])
    c_star /= np.linalg.norm(c_star, axis=1)[:, None]
    c_star *= np.where(c_star[:, 2] < 0, -1, 1)[:, None]  # towards the detector
    places = c_star[:, :2] / np.sqrt(1 + c_star[:, 2:])  # Lambert's projection, the rim at 1
    x, y = panel.points.getData()
    assert len(x) == len(axes)
    for place in places:
        assert np.hypot(x - place[0], y - place[1]).min() < 1e-3


def test_the_peakogram_counts_every_spot_and_opens_the_shots_behind_a_bin(seen: Seen) -> None:
    session, panel = seen.session, seen.at(PeakogramPanel)
    n_peaks = session.number("SELECT sum(n_peaks) FROM hits")
    assert panel.summary.text.startswith(f"{grouped(n_peaks)} spots of {session.n_hits} hits · ")
    (image,) = drawn(panel.plot, pg.ImageItem)
    counts = np.where(np.isfinite(image.image), 10**image.image, 0).round().astype(int)
    assert counts.sum() == n_peaks
    i, j = np.unravel_index(np.argmax(counts), counts.shape)
    bin_of = image.mapRectToParent(image.boundingRect())
    width, height = bin_of.width() / counts.shape[0], bin_of.height() / counts.shape[1]
    left, bottom = bin_of.left() + i * width, bin_of.top() + j * height
    seen.select(session.one("hit"))
    click(panel.plot, left + width / 2, bottom + height / 2)
    with_such_a_spot = {
        number
        for number, peaks in session.all_peaks.items()
        if np.any(
            (peaks["q"] >= left) & (peaks["q"] < left + width)
            & (peaks["max"] >= 10**bottom) & (peaks["max"] < 10 ** (bottom + height))
        )
    }  # fmt: skip
    assert with_such_a_spot
    seen.until(lambda: set(seen.selected()) == with_such_a_spot)


def test_the_powder_is_the_sum_of_the_dumped_hits_and_of_all_their_spots(seen: Seen) -> None:
    session, panel = seen.session, seen.at(PowderPanel)
    pixels = np.stack([session.pixels(number) for number in session.verdicts])
    for kind, what, said, expected in (
        ("Hits", "Max", "Maximum of {} hits", pixels.max(axis=0)),
        ("Hits", "Sum", "Sum of {} hits", pixels.sum(axis=0, dtype=np.int64)),
    ):
        press(panel, kind)
        press(panel, what)
        seen.at(PowderPanel)
        assert panel.summary.text == said.format(session.n_hits)
        np.testing.assert_allclose(panel.picture.image.image, expected)

    press(panel, "Spots")
    seen.at(PowderPanel)
    peaks = np.concatenate(list(session.all_peaks.values()))
    expected = np.zeros(pixels.shape[1:])
    np.add.at(expected, (peaks["ss"].astype(int), peaks["fs"].astype(int)), peaks["intensity"])
    assert panel.summary.text == f"Sum of {session.n_hits} hits, spots only"
    np.testing.assert_allclose(panel.picture.image.image, expected, rtol=1e-4)
    press(panel, "Hits")
