"""Puts what the hub noted into the tables of the record, a batch in one transaction."""

import math
import sqlite3
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from braggwatch import __version__
from braggwatch.processing.frame import Series
from braggwatch.streamer.merge_messages import Merging
from braggwatch.streamer.messages import Result, State
from braggwatch.streamer.record_schema import STATE_CODES
from braggwatch.streamer.recorded_merge import write_merge


class RunBegan(msgspec.Struct, frozen=True):
    """A series began, or its header became known."""

    series: Series
    time: float


class RunEnded(msgspec.Struct, frozen=True):
    """A series is over, and what the ledger says about it."""

    series: str
    counts: Mapping[str, int]
    time: float


class SettingsChanged(msgspec.Struct, frozen=True):
    """Other settings are in force."""

    text: str
    version: int
    time: float


class Merged(msgspec.Struct, frozen=True):
    """How the merge stood."""

    merging: Merging


class Done(msgspec.Struct, frozen=True):
    """A result came back."""

    result: Result
    time: float


class Lost(msgspec.Struct, frozen=True):
    """Frames first to last ended without a result."""

    series: str
    first: int
    last: int
    state: State
    time: float


class Unrecorded(msgspec.Struct, frozen=True):
    """Frames for which there was no room in memory: only counted."""

    series: str
    state: State
    n: int
    time: float


Entry = RunBegan | RunEnded | SettingsChanged | Merged | Done | Lost | Unrecorded

# What SQLite's binding refuses: integers beyond 64 bit, texts that are no Unicode, values that are of no SQL type.
_REFUSED = (OverflowError, UnicodeError, sqlite3.ProgrammingError, sqlite3.DataError, sqlite3.IntegrityError)

_FRAME = "INSERT OR IGNORE INTO frames (run, number, state, t_ms, group_id) VALUES (?, ?, ?, ?, ?)"
_HIT = "INSERT OR IGNORE INTO hits (run, number, n_peaks, resolution, peaks, group_id) VALUES (?, ?, ?, ?, ?, ?)"
_CRYSTAL = f"INSERT OR IGNORE INTO crystals VALUES ({', '.join('?' * 23)})"
_FAILURE = "INSERT OR IGNORE INTO failures (run, number, error) VALUES (?, ?, ?)"
_IMAGE = "INSERT OR IGNORE INTO images (run, number, file, entry) VALUES (?, ?, ?, ?)"
_LOSS = "INSERT OR IGNORE INTO losses (run, first, last, state, t_ms) VALUES (?, ?, ?, ?, ?)"
_HEADER = (
    "number", "name", "n_frames", "shape_ss", "shape_fs", "dtype", "photon_energy_eV", "distance_m",
    "beam_center_fs", "beam_center_ss", "pixel_size_fs_m", "pixel_size_ss_m", "saturation_value", "frame_time_s",
    "count_time_s", "sensor_material", "sensor_thickness_m", "detector", "serial_number", "joined_late",
)  # fmt: skip
_NEW_RUN = (
    f"INSERT INTO runs (key, started, settings, {', '.join(_HEADER)}) VALUES (?, ?, ?, {', '.join('?' * len(_HEADER))})"
)
_UPDATE_RUN = f"UPDATE runs SET {', '.join(f'{name} = ?' for name in _HEADER)} WHERE id = ?"


class RecordWriter:
    """Writes entries through one connection; used from one thread."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._runs: dict[str, tuple[int, float]] = {}
        self._files: dict[tuple[str, str], int] = {}
        self._groups: dict[str, int] = {}
        self._settings: int | None = None
        self.frames = 0
        """Frames whose end was written."""
        self.repeated = 0
        """Frames whose end was in the file already; the first word stands."""
        self.refused = 0
        """Entries that SQLite cannot hold, such as numbers beyond 64 bit."""
        self.refusal = ""
        """Why the last of them was refused."""

    def write(self, entries: list[Entry]) -> None:
        """Write all entries or, on sqlite3.OperationalError and the like, none: then write them again later.

        Entries that SQLite cannot hold are left out and counted.
        """
        try:
            self._transaction(self._insert, entries)
        except _REFUSED:
            self._transaction(self._insert_those_that_fit, entries)

    def _transaction(self, insert: Callable[[list[Entry]], None], entries: list[Entry]) -> None:
        known = self._known()
        refused = self.refused
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            insert(entries)
            self._connection.execute("COMMIT")
        except BaseException:
            self._restore(known)
            self.refused = refused
            # A full disk may have rolled back already.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def _known(self) -> tuple[Any, ...]:
        return dict(self._runs), dict(self._files), dict(self._groups), self._settings, self.frames, self.repeated

    def _restore(self, known: tuple[Any, ...]) -> None:
        self._runs, self._files, self._groups, self._settings, self.frames, self.repeated = known

    def _insert_those_that_fit(self, entries: list[Entry]) -> None:
        for entry in entries:
            known = self._known()
            self._connection.execute("SAVEPOINT entry")
            try:
                self._insert([entry])
            except _REFUSED as error:
                self._connection.execute("ROLLBACK TO entry")
                self._restore(known)
                self.refused += 1
                self.refusal = f"{type(entry).__name__}: {error}"
            self._connection.execute("RELEASE entry")

    def _insert(self, entries: list[Entry]) -> None:
        results: list[Done] = []
        losses: list[Lost] = []
        for entry in entries:
            match entry:
                case Done(result, time):
                    self._run(result.series, time)
                    results.append(entry)
                case Lost():
                    self._run(entry.series, entry.time)
                    losses.append(entry)
                case RunBegan(series, time):
                    self._begin(series, time)
                case RunEnded(key, counts, time):
                    self._end(key, counts, time)
                case SettingsChanged(text, version, time):
                    self._settings = self._insert_one(
                        "INSERT INTO settings (version, time, program, text) VALUES (?, ?, ?, ?)",
                        (version, time, __version__, text),
                    )
                case Merged(merging):
                    write_merge(self._connection, merging)
                case Unrecorded(key, state, n, time):
                    self._connection.execute(
                        "INSERT INTO unrecorded (run, state, n) VALUES (?, ?, ?) "
                        "ON CONFLICT (run, state) DO UPDATE SET n = n + excluded.n",
                        (self._run(key, time)[0], STATE_CODES[state], n),
                    )
        self._insert_results(results)
        for loss in losses:
            self._insert_loss(loss)

    def _insert_results(self, results: list[Done]) -> None:
        frames, hits, crystals, failures = [], [], [], []
        images: list[tuple[int, int, int, int]] = []
        for done in results:
            result = done.result
            run, started = self._run(result.series, done.time)
            number = result.number
            group = self._group(result.group) if result.group else None
            frames.append((run, number, STATE_CODES[result.state], _milliseconds(done.time - started), group))
            images.extend((run, number, self._file(d.dump, d.path), d.entry) for d in result.dumped)
            if result.state is State.BLANK:
                continue
            if result.state in (State.HIT, State.INDEXED):
                hits.append((run, number, result.n_peaks, result.resolution, result.peaks, group))
            for lattice, crystal in enumerate(result.crystals):
                rmsd = crystal.rmsd_px if math.isfinite(crystal.rmsd_px) else None
                model = crystal.block_size, crystal.mosaicity, crystal.diffraction_limit
                crystals.append((run, number, lattice, crystal.n_indexed, rmsd, *crystal.cell, *crystal.A, *model))
            if result.error:
                failures.append((run, number, result.error))
        written = self._connection.executemany(_FRAME, frames).rowcount if frames else 0
        self.frames += written
        self.repeated += len(frames) - written
        for statement, rows in ((_HIT, hits), (_CRYSTAL, crystals), (_FAILURE, failures), (_IMAGE, images)):
            if rows:
                self._connection.executemany(statement, rows)

    def _insert_loss(self, loss: Lost) -> None:
        run, started = self._run(loss.series, loss.time)
        row = (run, loss.first, loss.last, STATE_CODES[loss.state], _milliseconds(loss.time - started))
        n = loss.last - loss.first + 1
        if self._connection.execute(_LOSS, row).rowcount:
            self.frames += n
        else:
            self.repeated += n

    def _begin(self, series: Series, time: float) -> None:
        if series.key in self._runs:
            self._connection.execute(_UPDATE_RUN, (*_header(series), self._runs[series.key][0]))
        else:
            run = self._insert_one(_NEW_RUN, (series.key, time, self._settings, *_header(series)))
            self._runs[series.key] = (run, time)

    def _end(self, key: str, counts: Mapping[str, int], time: float) -> None:
        run, _ = self._run(key, time)
        self._connection.execute("UPDATE runs SET ended = ? WHERE id = ?", (time, run))
        self._connection.executemany(
            "INSERT OR REPLACE INTO ledger (run, state, n) VALUES (?, ?, ?)",
            [(run, str(state), n) for state, n in counts.items()],
        )

    def _run(self, key: str, time: float) -> tuple[int, float]:
        """Return id and start of a run; one that nobody announced begins here."""
        if key not in self._runs:
            run = self._insert_one(
                "INSERT INTO runs (key, started, settings) VALUES (?, ?, ?)", (key, time, self._settings)
            )
            self._runs[key] = (run, time)
        return self._runs[key]

    def _file(self, dump: str, path: str) -> int:
        if (dump, path) not in self._files:
            self._connection.execute("INSERT OR IGNORE INTO files (dump, path) VALUES (?, ?)", (dump, path))
            (self._files[dump, path],) = self._connection.execute(
                "SELECT id FROM files WHERE dump = ? AND path = ?", (dump, path)
            ).fetchone()
        return self._files[dump, path]

    def _group(self, name: str) -> int:
        if name not in self._groups:
            self._connection.execute("INSERT OR IGNORE INTO groups (name) VALUES (?)", (name,))
            (self._groups[name],) = self._connection.execute("SELECT id FROM groups WHERE name = ?", (name,)).fetchone()
        return self._groups[name]

    def _insert_one(self, statement: str, values: tuple[Any, ...]) -> int:
        row = self._connection.execute(statement, values).lastrowid
        assert row is not None
        return row


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _header(series: Series) -> tuple[Any, ...]:
    ss, fs = series.shape or (None, None)
    beam_fs, beam_ss = series.beam_center or (None, None)
    size_fs, size_ss = series.pixel_size or (None, None)
    return (
        series.number, series.name, series.n_frames, ss, fs, series.dtype, series.photon_energy, series.distance,
        beam_fs, beam_ss, size_fs, size_ss, series.saturation_value, series.frame_time, series.count_time,
        series.sensor_material, series.sensor_thickness, series.detector, series.serial_number,
        int(series.joined_late),
    )  # fmt: skip
