"""Every panel of the window against the record of a finished session: what it shows is what SQL and h5py find."""

import math
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar, cast

import numpy as np
import pyqtgraph as pg
import pytest
from programs import PATIENCE_S
from PyQt5.QtCore import QObject, QPointF, Qt, QUrl, pyqtSlot
from PyQt5.QtGui import QDesktopServices
from PyQt5.QtTest import QTest
from PyQt5.QtWidgets import QApplication, QGridLayout, QLabel, QToolButton
from recorded_session import N_FRAMES, Session, run_session

from braggwatch.gui.composition import Composition
from braggwatch.gui.link import Link
from braggwatch.gui.panels.cells import CellsPanel
from braggwatch.gui.panels.crystal import CrystalPanel
from braggwatch.gui.panels.film_strip import FilmStripPanel
from braggwatch.gui.panels.fitting_label import FittingLabel
from braggwatch.gui.panels.headline import HeadlinePanel
from braggwatch.gui.panels.health import HealthPanel
from braggwatch.gui.panels.hits import HitsPanel
from braggwatch.gui.panels.image import ImagePanel
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
from braggwatch.gui.panels.tuning import TuningPanel
from braggwatch.gui.shot_key import ShotKey
from braggwatch.streamer.replay import RecordFeed

P = TypeVar("P", bound=Panel)
Item = TypeVar("Item")
TAGS = ("good", "twinned")


class Seen:
    """The window on a record, as somebody who looks at it and clicks into it."""

    def __init__(self, link: Link, session: Session, memory: Path) -> None:
        self.session = session
        self.composition = Composition(link, memory)
        self.window, self.monitor = self.composition.window, self.composition.monitor
        self.said: list[str] = []
        self.monitor.said.connect(self.said.append)
        self.composition.open()
        self.window.resize(1920, 1080)

    def until(self, condition: Callable[[], object]) -> None:
        """Let the window live until something is so."""
        deadline = monotonic() + PATIENCE_S
        while not condition():
            assert monotonic() < deadline, f"waited too long; said was {self.said}"
            QTest.qWait(10)

    def at(self, kind: type[P]) -> P:
        """Bring a panel to the front, and wait until it has drawn what is known."""
        panel, controller = next((p, c) for p, c in self.composition.panels if isinstance(p, kind))
        self.window.docks.show(panel.name)
        QTest.qWait(20)
        self.until(lambda: not controller.stale)
        assert self.said == []
        return panel

    def select(self, number: int) -> None:
        """Choose a hit and wait for its pixels."""
        key = ShotKey(self.session.number("SELECT key FROM runs"), number)
        self.monitor.select([key])
        self.until(lambda: shot_of(self) == number and self.monitor.shot is not None and self.monitor.shot.payload)

    def selected(self) -> list[int]:
        """Which frames a click has opened."""
        return [key.number for key in self.monitor.selection]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """One finished session, in whose record somebody has marked the first hit."""
    session = run_session(tmp_path_factory.mktemp("session"))
    with closing(sqlite3.connect(session.record)) as db:
        first = session.number("SELECT min(number) FROM hits")
        db.executemany("INSERT INTO tags (run, number, tag, time) VALUES (1, ?, ?, 0)", [(first, tag) for tag in TAGS])
        db.commit()
    assert set(session.counts) == {"blank", "hit", "indexed"}
    assert session.n_multi > 0
    return session


@pytest.fixture(scope="module")
def seen(session: Session, qapp: QApplication, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """The window on its record, with everything told."""
    with RecordFeed(session.record) as record, Link(record.address) as link:
        seen = Seen(link, session, tmp_path_factory.mktemp("window") / "window.json")
        monitor = seen.monitor
        seen.until(lambda: len(monitor.hits) == session.n_hits)
        seen.until(lambda: monitor.peakogram is not None and set(monitor.powders) == {"hits", "spots"})
        seen.until(lambda: len(monitor.remembered) == 2)  # the last hit, and the last indexed shot
        yield seen
        seen.window.close()


def shot_of(seen: Seen) -> int | None:
    return None if seen.monitor.shot is None else seen.monitor.shot.result.number


def grouped(n: int) -> str:
    """A number of things as the window writes it."""
    return f"{n:,}".replace(",", "\u2009")


def clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%H:%M:%S")


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


def drawn(plot: Plot, kind: type[Item]) -> list[Item]:
    """What a plot has of one kind of item."""
    return [item for item in plot.plotItem.items if isinstance(item, kind)]


def bare(html: str) -> str:
    """A label's text without its colours."""
    return re.sub(r"<[^>]+>", "", html).replace("&nbsp;", " ")


def assert_counts(edges: Any, counts: Any, values: Any) -> None:
    """Check a histogram; a value as near to an edge as a float32 is may stand on either side of it."""
    upto = np.cumsum(counts)
    for sign, compare in ((-1, np.less_equal), (1, np.greater_equal)):
        within = [np.count_nonzero((values >= edges[0]) & (values < edge + sign * 1e-5)) for edge in edges[1:]]
        assert compare(within, upto).all()


# -- how it goes ------------------------------------------------------------------------------------------------------


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
    states = [name for (name,) in seen.session.ask("SELECT name FROM states")]
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


# -- shots ------------------------------------------------------------------------------------------------------------


def show_image(seen: Seen, number: int) -> ImagePanel:
    seen.select(number)
    panel = seen.at(ImagePanel)
    seen.until(lambda: f"frame {number}" in caption_of(panel))
    return panel


def caption_of(panel: ImagePanel) -> str:
    return " | ".join(bare(label.text()) for label in panel.caption.findChildren(QLabel))


@pytest.mark.parametrize("verdict", ["hit", "indexed", "2 lattices"])
def test_the_image_says_which_shot_it_is_and_marks_the_spots_of_the_record(seen: Seen, verdict: str) -> None:
    session, number = seen.session, seen.session.one(verdict)
    panel, peaks = show_image(seen, number), session.peaks(number)
    resolution = session.number(f"SELECT resolution FROM hits WHERE number = {number}")
    words = {"hit": "hit, no lattice"}
    caption = caption_of(panel)
    assert caption.startswith(f"frame {number} · {words.get(verdict, verdict)} · {resolution:.2f} Å · paused · run 1")
    assert f"○ {session.number(f'SELECT n_peaks FROM hits WHERE number = {number}')} found" in caption
    best = session.ask(f"SELECT n_indexed FROM crystals WHERE number = {number} ORDER BY lattice LIMIT 1")
    assert f"○ {best[0][0] if best else 0} indexed" in caption
    marks = panel.canvas.overlays
    for item, lattice in ((marks.found, 0), (marks.indexed, 1), (marks.further, 2)):
        own = peaks[peaks["lattice"] == lattice]
        x, y = item.getData()
        np.testing.assert_allclose(np.stack([x, y]).T, np.stack([own["fs"], own["ss"]]).T)


def test_the_value_under_the_cursor_is_that_of_the_dump(seen: Seen) -> None:
    number = seen.session.one("2 lattices")
    panel, pixels = show_image(seen, number), seen.session.pixels(number)
    brightest = np.unravel_index(np.argmax(pixels), pixels.shape)
    for ss, fs in (brightest, (0, 0), (511, 3), (100, 401), (256, 256)):
        panel.canvas.box.setRange(xRange=(fs - 8, fs + 9), yRange=(ss - 8, ss + 9), padding=0)
        place = panel.canvas.box.mapViewToScene(QPointF(fs + 0.5, ss + 0.5))
        panel.canvas.scene().sigMouseMoved.emit(place)
        assert panel.readout.text().startswith(f"{grouped(int(pixels[ss, fs]))} ADU · fs {fs}.5 ss {ss}.5 · ")
    panel.fit()


def test_the_film_strip_has_the_last_hits_with_their_pixels(seen: Seen) -> None:
    session, panel = seen.session, seen.at(FilmStripPanel)
    seen.until(lambda: [film.key.number for film in panel.strip.films] == session.last_hits())
    seen.until(lambda: all(film.picture is not None for film in panel.strip.films))
    for film in panel.strip.films:
        number = film.key.number
        ((n_peaks, resolution),) = session.ask(f"SELECT n_peaks, resolution FROM hits WHERE number = {number}")
        assert film.word == session.verdicts[number]
        assert film.lines == (str(number), f"{n_peaks} spots · {resolution:.2f} Å")
        assert film.picture is not None
        pixels, side = session.pixels(number), len(film.picture)
        rows, columns = (np.arange(512) * side // 512 for _ in range(2))
        highest = np.zeros((side, side))
        np.maximum.at(highest, (rows[:, None], columns[None, :]), pixels)
        # spots are dark in it
        brightest = np.argsort(highest.ravel())[-n_peaks // 2 :]
        assert np.median(film.picture.ravel()[brightest]) < 0.5 * np.median(film.picture)


def test_every_cell_of_the_table_of_hits_is_what_the_record_says(seen: Seen) -> None:
    session, panel = seen.session, seen.at(HitsPanel)
    rows = session.ask(
        "SELECT hits.number, runs.number, started + t_ms / 1000.0, states.name, n_peaks, resolution, path, entry "
        "FROM hits JOIN frames USING (run, number) JOIN states ON code = state JOIN runs ON runs.id = hits.run "
        "JOIN images ON images.number = hits.number JOIN files ON files.id = file ORDER BY hits.id"
    )
    model = panel.rows
    titles = [model.headerData(i, Qt.Orientation.Horizontal) for i in range(model.columnCount())]
    tagged = session.number("SELECT min(number) FROM tags")
    assert model.rowCount() == len(rows) == session.n_hits
    for place, (number, run, time, state, n_peaks, resolution, path, entry) in enumerate(rows):
        lattices = session.ask(
            f"SELECT n_indexed, rmsd_px, a, b, c, alpha, beta, gamma FROM crystals WHERE number = {number} "
            "ORDER BY lattice"
        )
        n_indexed, rmsd, cell = (lattices[0][0], lattices[0][1], lattices[0][2:]) if lattices else (None, None, None)
        expected = {
            "run": str(run), "frame": str(number), "time": clock(time), "state": state, "spots": str(n_peaks),
            "res. (Å)": f"{resolution:.2f}", "lattices": str(len(lattices)),
            "indexed": "–" if n_indexed is None else str(n_indexed),
            "RMSD (px)": "–" if rmsd is None else f"{rmsd:.2f}",
            "file · image": f"{Path(path).name} · {entry}",
            "tags": " ".join(TAGS) if number == tagged else "",
        }  # fmt: skip
        for i, symbol in enumerate("abcαβγ"):
            unit, digits = ("Å", 2) if i < 3 else ("°", 1)
            expected[f"{symbol} ({unit})"] = "–" if cell is None else f"{cell[i]:.{digits}f}"
        shown = [model.data(model.index(place, column)) for column in range(len(titles))]
        assert dict(zip(titles, shown, strict=True)) == expected
    assert panel.counts.text() == f"{len(rows)} of {len(rows)} hits"


class FileBrowser(QObject):  # type: ignore[misc]
    """What the desktop opens folders with."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[str] = []

    @pyqtSlot(QUrl)  # type: ignore[untyped-decorator]
    def open(self, url: QUrl) -> None:
        """Note which folder it is."""
        self.opened.append(url.toLocalFile())


def test_a_hit_opens_the_folder_of_its_dump_or_says_that_it_is_elsewhere(seen: Seen) -> None:
    panel, browser = seen.at(HitsPanel), FileBrowser()
    panel.table.selectRow(0)
    (folder,) = {str(Path(path).parent) for (path,) in seen.session.ask("SELECT path FROM files")}

    def open_it() -> None:
        menu = panel.menu()
        (action,) = (action for action in menu.actions() if action.text() == "Open folder")
        action.trigger()
        menu.close()

    moved = Path(folder).rename(f"{folder} elsewhere")
    try:
        open_it()
        assert seen.said == [f"the folder {folder} is not on this machine"]
    finally:
        moved.rename(folder)
        seen.said.clear()
    QDesktopServices.setUrlHandler("file", browser.open)
    try:
        open_it()
        assert browser.opened == [folder]
        assert seen.said == []
    finally:
        QDesktopServices.unsetUrlHandler("file")
        seen.said.clear()


def shows_cell(panel: CrystalPanel, expected: list[tuple[str, str]]) -> bool:
    return [(symbol.text(), value.text()) for symbol, value, _ in panel.cell] == expected


def test_the_crystal_has_each_lattice_of_the_record_and_its_residuals(seen: Seen) -> None:
    session, number = seen.session, seen.session.one("2 lattices")
    seen.select(number)
    panel = seen.at(CrystalPanel)
    seen.until(lambda: panel.heading.text() == f"Frame {number}")
    rows = session.ask(
        f"SELECT n_indexed, rmsd_px, a, b, c, alpha, beta, gamma FROM crystals WHERE number = {number} ORDER BY lattice"
    )
    peaks = session.peaks(number)
    assert [panel.lattices.tabText(i) for i in range(panel.lattices.count())] == [
        f"Lattice {i} · {row[0]}" for i, row in enumerate(rows, 1)
    ]
    for lattice, (n_indexed, rmsd, *cell) in enumerate(rows, 1):
        panel.lattices.setCurrentIndex(lattice - 1)
        expected = [(name, f"{x:.2f} {'Å' if name in 'abc' else '°'}") for name, x in zip("abcαβγ", cell, strict=True)]
        seen.until(partial(shows_cell, seen.at(CrystalPanel), expected))
        facts = {name.text(): value.text() for name, value in panel.facts}
        assert facts["Indexed"] == f"{n_indexed} of {len(peaks)} ({100 * n_indexed / len(peaks):.0f} %)"
        assert facts["RMSD"] == f"{rmsd:.2f} px"
        x, y = panel.residuals.points.getData()
        np.testing.assert_allclose(np.stack([x, y], axis=1), session.residuals(number, lattice), atol=0.01)
        shown = {item.name(): len(item.data) for item in drawn(panel.spots, pg.ScatterPlotItem)}
        of = {k: int(np.count_nonzero(peaks["lattice"] == k)) for k in (0, 1, 2)}
        assert shown == {"found": of[0], "indexed": of[lattice], "other lattice": of[3 - lattice], "on an ice ring": 0}


def test_of_a_shot_without_a_lattice_the_crystal_panel_says_so(seen: Seen) -> None:
    number = seen.session.one("hit")
    seen.select(number)
    panel = seen.at(CrystalPanel)
    seen.until(lambda: panel.heading.text() == f"Frame {number}: not indexed")
    shown = [len(item.data) for item in drawn(panel.spots, pg.ScatterPlotItem)]
    assert sum(shown) == seen.session.number(f"SELECT n_peaks FROM hits WHERE number = {number}")


# -- all of them together ---------------------------------------------------------------------------------------------


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


# -- what would be ----------------------------------------------------------------------------------------------------


def effect_of(panel: TuningPanel) -> dict[str, tuple[str, str]]:
    """What the table says of the settings in force and of the trial, by quantity."""
    (grid,) = panel.table.findChildren(QGridLayout)
    rows = [
        [cast(Any, grid.itemAtPosition(row, column)).widget().text() for column in range(3)]
        for row in range(1, grid.rowCount())
    ]
    return {name: (in_force, trial) for name, in_force, trial in rows}


def test_tuning_judges_shots_by_the_settings_in_force_as_the_record_does(seen: Seen) -> None:
    session = seen.session
    seen.window.arrange("tuning")
    panel = seen.at(TuningPanel)
    cast(Any, panel.rows["hitfind", "min_peaks"].editor).setValue(110)

    def tried(number: int, n_peaks: int) -> bool:
        return shot_of(seen) == number and effect_of(panel)["Spots, this shot"] == (str(n_peaks), str(n_peaks))

    for verdict in ("hit", "indexed", "2 lattices"):
        number = session.one(verdict)
        seen.select(number)
        n_peaks = session.number(f"SELECT n_peaks FROM hits WHERE number = {number}")
        seen.until(partial(tried, number, n_peaks))
        assert effect_of(panel)["This shot is"] == (verdict, verdict if n_peaks >= 110 else "blank")

    last = session.last_hits()
    n = len(last)
    seen.until(lambda: f"{n} remembered shots tried" in panel.table.progress.text())
    of_them = [f"number = {number}" for number in last]
    in_force, trial = effect_of(panel)["Hits"]
    assert in_force.startswith(f"{n} of {n} · ")
    n_left = session.number(f"SELECT count(*) FROM hits WHERE n_peaks >= 110 AND ({' OR '.join(of_them)})")
    assert trial.startswith(f"{n_left} of {n} · ")
    n_indexed = sum(session.verdicts[number] != "hit" for number in last)
    assert effect_of(panel)["Indexed"][0].startswith(f"{n_indexed} of {n} · ")
    QTest.mouseClick(panel.reset, Qt.MouseButton.LeftButton)
    seen.until(lambda: cast(Any, panel.rows["hitfind", "min_peaks"].editor).value() == 10)
