"""The table of hits: which rows are seen, in which order, and what stands in their cells. Free of Qt."""

import csv
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TextIO

import numpy as np

from braggwatch.gui.hit_columns import HitColumns
from braggwatch.gui.hit_filter import HitFilter, read_filter
from braggwatch.gui.hit_values import HitValues, Rows
from braggwatch.gui.known_groups import label
from braggwatch.gui.shot_key import ShotKey
from braggwatch.streamer.archive_messages import HitRow
from braggwatch.streamer.wording import UNKNOWN, clock, count, plain, said


@dataclass(frozen=True)
class Column:
    """One column of the table."""

    name: str
    """Of `hit_values.NAMES`."""
    title: str
    meaning: str
    text: Callable[[HitRow], str]
    export: Callable[[HitRow], object]
    """The same for a CSV file; None where it is not known."""


def _cell_column(name: str, symbol: str, place: int) -> Column:
    unit, digits = ("Å", 2) if place < 3 else ("°", 1)
    what = "axis" if place < 3 else "angle"
    return Column(
        name,
        f"{symbol} ({unit})",
        f"Cell {what} {symbol} of the best lattice, {unit}",
        lambda row: said(row.crystals[0].cell[place], "", digits) if row.crystals else UNKNOWN,
        lambda row: row.crystals[0].cell[place] if row.crystals else None,
    )


def _file(row: HitRow) -> str:
    if not row.dumped:
        return UNKNOWN
    return f"{plain(PurePath(row.dumped[0].path).name)} · {count(row.dumped[0].entry)}"


COLUMNS: tuple[Column, ...] = (
    Column("run", "run", "The detector's number of the run", lambda row: str(row.run), lambda row: row.run),
    Column("frame", "frame", "Frame number within the run, from 0", lambda row: count(row.number),
           lambda row: row.number),
    Column("time", "time", "When its result came, local time", lambda row: clock(row.time), lambda row: row.time),
    Column("state", "state", "hit: no lattice was found; indexed: at least one", lambda row: row.state.value,
           lambda row: row.state.value),
    Column("group", "group", "Group of the shot, such as pumped or dark",
           lambda row: label(row.group) or UNKNOWN, lambda row: row.group),
    Column("spots", "spots", "How many spots were found", lambda row: count(row.n_peaks), lambda row: row.n_peaks),
    Column("res", "res. (Å)", "d spacing within which 95 % of the spots lie, Å",
           lambda row: said(row.resolution, "", 2), lambda row: row.resolution),
    Column("lattices", "lattices", "How many lattices were found", lambda row: str(len(row.crystals)),
           lambda row: len(row.crystals)),
    Column("indexed", "indexed", "How many spots the best lattice explains",
           lambda row: count(row.crystals[0].n_indexed) if row.crystals else UNKNOWN,
           lambda row: row.crystals[0].n_indexed if row.crystals else None),
    *(_cell_column(name, symbol, i)
      for i, (name, symbol) in enumerate(zip(("a", "b", "c", "al", "be", "ga"), "abcαβγ", strict=True))),
    Column("rmsd", "RMSD (px)", "Root mean square distance of observed from predicted spots, pixels",
           lambda row: said(row.crystals[0].rmsd_px, "", 2) if row.crystals else UNKNOWN,
           lambda row: row.crystals[0].rmsd_px if row.crystals else None),
    Column("file", "file · image", "The file that holds the image, and which image in it, counted from 0", _file,
           lambda row: " ".join(f"{place.path}:{place.entry}" for place in row.dumped)),
    Column("tags", "tags", "What people have marked it with", lambda row: plain(" ".join(row.tags)),
           lambda row: " ".join(row.tags)),
)  # fmt: skip


class HitTable:
    """The rows of `HitColumns` that a filter lets through, in the order of a column; stable as they grow.

    Rows of equal value stand in the order in which they were recorded, and those whose value is not known last.
    """

    def __init__(self, hits: HitColumns) -> None:
        self.hits = hits
        self.values = HitValues(hits)
        self.rows: Rows = np.empty(0, np.int64)
        """``(n,)``: what is seen, as rows of `hits`, from top to bottom. Replaced, never changed."""
        self.column: str | None = None
        """By which it is sorted; None for the order in which hits were recorded."""
        self.descending = False
        self.filter: HitFilter = read_filter("")
        self._retagged = False
        self._keys: tuple[Rows, tuple[ShotKey, ...]] | None = None

    def grow(self, limit: int | None = None) -> None:
        """Let new hits in, where they belong, at most `limit` of them, and those whose tags are others in or out."""
        if self._retagged:
            self._retagged = False
            self.filter_by(self.filter)
        new = self.values.grow(limit)
        new = new[self.filter.mask(self.values, new)]
        if len(new):
            self.rows = self._sorted(np.concatenate([self.rows, new]))

    def sort(self, column: str | None, descending: bool = False) -> None:
        """Sort by another column, or, without one, in the order in which hits were recorded."""
        self.column, self.descending = column, descending
        self.rows = self._sorted(np.sort(self.rows))

    def filter_by(self, wanted: HitFilter) -> None:
        """Show other rows."""
        self.filter = wanted
        rows = np.arange(len(self.values))
        self.rows = self._sorted(rows[wanted.mask(self.values, rows)])

    def retagged(self, row: int) -> None:
        """Look again at a row whose tags are others; `grow` lets it in or out."""
        self.values.retag(row)
        self._retagged = True

    def _sorted(self, rows: Rows) -> Rows:
        if self.column is None:
            return rows
        values = self.values.of(self.column, rows)
        # numpy puts NaN last; rows that are in order already, with new ones behind them, are merged in linear time
        return rows[np.argsort(-values if self.descending else values, kind="stable")]

    def position(self, key: ShotKey | None) -> int | None:
        """Return where a shot stands; None where it is not seen."""
        row = None if key is None else self.hits.find(key)
        if row is None:
            return None
        found = np.flatnonzero(self.rows == row)
        return int(found[0]) if len(found) else None

    def keys(self) -> tuple[ShotKey, ...]:
        """Return which shots are seen, from top to bottom."""
        if self._keys is None or self._keys[0] is not self.rows:
            shots = self.values.keys
            self._keys = self.rows, tuple([shots[row] for row in self.rows.tolist()])
        return self._keys[1]


def line_of(row: HitRow) -> str:
    """Return all that is known of a hit in one line."""
    parts = [f"run {row.run}", f"frame {row.number}", row.state.value, f"{row.n_peaks} spots"]
    if row.group:
        parts.insert(3, f"group {label(row.group)}")
    if row.resolution is not None:
        parts.append(said(row.resolution, "Å", 2))
    for i, crystal in enumerate(row.crystals, 1):
        a, b, c, al, be, ga = crystal.cell
        parts.append(
            f"lattice {i}: {a:.2f} {b:.2f} {c:.2f} Å {al:.2f} {be:.2f} {ga:.2f}°, {crystal.n_indexed} spots, "
            f"RMSD {crystal.rmsd_px:.2f} px"
        )
    parts += [f"{plain(place.path, 1000)} image {place.entry}" for place in row.dumped]
    if row.tags:
        parts.append(f"tags: {plain(' '.join(row.tags))}")
    return ", ".join(parts)


def write_csv(path: Path, rows: Iterable[HitRow]) -> int:
    """Write hits with all columns and a line of titles; return how many. Raises OSError."""
    with path.open("w", newline="", encoding="utf-8") as file:
        return _write(file, rows)


def _write(file: TextIO, rows: Iterable[HitRow]) -> int:
    writer = csv.writer(file)
    writer.writerow([column.title for column in COLUMNS])
    n = 0
    for row in rows:
        writer.writerow([column.export(row) for column in COLUMNS])
        n += 1
    return n
