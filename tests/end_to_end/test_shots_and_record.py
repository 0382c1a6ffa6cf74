"""The panels about one shot against the record of a finished session: they show what SQL and h5py find."""

import re
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyqtgraph as pg
import pytest
from PyQt5.QtCore import QObject, QPointF, Qt, QUrl, pyqtSlot
from PyQt5.QtGui import QDesktopServices
from PyQt5.QtTest import QTest
from PyQt5.QtWidgets import QApplication, QGridLayout, QLabel
from record_window import TAGS, Seen, drawn, grouped, shot_of, window_on_record

from braggwatch.gui.panels.crystal import CrystalPanel
from braggwatch.gui.panels.film_strip import FilmStripPanel
from braggwatch.gui.panels.hits import HitsPanel
from braggwatch.gui.panels.image import ImagePanel
from braggwatch.gui.panels.tuning import TuningPanel


@pytest.fixture(scope="module")
def seen(qapp: QApplication, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """The window on its record, with everything told."""
    with window_on_record(tmp_path_factory) as seen:
        yield seen


def bare(html: str) -> str:
    """A label's text without its colours."""
    return re.sub(r"<[^>]+>", "", html).replace("&nbsp;", " ")


def clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%H:%M:%S")


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
    seen.until(lambda: {film.key.number for film in panel.strip.films} == set(session.last_hits()))
    times = dict(session.ask("SELECT number, t_ms FROM hits JOIN frames USING (run, number)"))
    shown = [times[film.key.number] for film in panel.strip.films]
    assert shown == sorted(shown)
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
            "run": str(run), "frame": str(number), "time": clock(time), "state": state, "group": "–",
            "spots": str(n_peaks), "res. (Å)": f"{resolution:.2f}", "lattices": str(len(lattices)),
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
