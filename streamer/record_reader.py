"""What the archive looks up in the record: hits by the page, single shots, shots by their spots."""

import contextlib
import math
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from braggwatch.processing.shot_groups import LONGEST_NAME
from braggwatch.streamer.archive_messages import MAX_ROWS, MAX_TAGGED, HitRow, Hits, TaggedShot
from braggwatch.streamer.messages import CrystalFound, Dumped, Result, State, unpack_peaks
from braggwatch.streamer.record_schema import STATE_CODES, RecordError, check_record
from braggwatch.streamer.wording import plain

BUSY_S = 1.0
"""s to wait where another program holds the file."""
MAX_SCANNED = 20_000
"""Hits whose spots are looked at for one question: some 150 MB, less than a second."""
MAX_FOUND = 1000
_SCANNED_AT_ONCE = 500

STATES = {code: state for state, code in STATE_CODES.items()}

# CROSS JOIN keeps SQLite to this order: the few hits first, then what belongs to each, by primary key.
_HITS = """
SELECT hits.id, runs.key, runs.number, hits.number, runs.started + frames.t_ms / 1000.0, frames.state, n_peaks,
       resolution, groups.name
FROM hits CROSS JOIN runs ON runs.id = hits.run
CROSS JOIN frames ON frames.run = hits.run AND frames.number = hits.number
LEFT JOIN groups ON groups.id = hits.group_id
WHERE hits.id > ? ORDER BY hits.id LIMIT ?
"""
_OF_HITS = "FROM hits CROSS JOIN {0} ON {0}.run = hits.run AND {0}.number = hits.number"
_BETWEEN = "WHERE hits.id BETWEEN ? AND ? ORDER BY hits.id"
_CRYSTALS = f"""
SELECT hits.id, n_indexed, rmsd_px, block_size, mosaicity, diffraction_limit,
    a, b, c, alpha, beta, gamma, ax, ay, az, bx, by, bz, cx, cy, cz
{_OF_HITS.format("crystals")} {_BETWEEN}, lattice
"""
_DUMPED = f"""
SELECT hits.id, dump, path, entry {_OF_HITS.format("images")} CROSS JOIN files ON files.id = images.file
{_BETWEEN}, files.id
"""
_DUMPED_BLANK = """
SELECT dump, path, entry FROM images JOIN files ON files.id = images.file WHERE run = ? AND number = ? ORDER BY files.id
"""
_TAGS = f"SELECT hits.id, tag {_OF_HITS.format('tags')} {_BETWEEN}, tags.id"
_TAGGED = """
SELECT key, tags.number, max(tags.id) AS newest FROM tags JOIN runs ON runs.id = tags.run
WHERE tags.number IS NOT NULL GROUP BY tags.run, tags.number ORDER BY newest DESC LIMIT ?
"""
_SPOTS = """
SELECT hits.id, runs.key, hits.number, peaks FROM hits CROSS JOIN runs ON runs.id = hits.run
WHERE hits.id < ? ORDER BY hits.id DESC LIMIT ?
"""


def open_read_only(path: Path) -> sqlite3.Connection:
    """Open a record, of which nothing is changed. Raises RecordError where it cannot be read or is no record."""
    if not path.is_file():
        raise RecordError(f"there is no record {path}; expected the SQLite file that a processor has written")
    uri = path.absolute().as_uri()
    try:
        # Not mode=ro: whoever closes a record last must be able to merge its write-ahead log into it.
        return _open(f"{uri}?mode=rw", path)
    except sqlite3.Error as error:
        if not Path(f"{path}-wal").exists():
            # In a folder that is not writable SQLite wants to hear that nobody writes.
            with contextlib.suppress(sqlite3.Error):
                return _open(f"{uri}?mode=ro&immutable=1", path)
        raise RecordError(f"the record {path} cannot be read: {error}") from error


def _open(uri: str, path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA query_only = ON")
        check_record(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


@dataclass(frozen=True)
class RecordedShot:
    """A frame that was looked at."""

    result: Result
    time: float
    """When its result came, s since 1970."""
    shape: tuple[int, int] | None
    dtype: str | None
    """As the run's header said."""


class RecordReader:
    """Answers questions about a record, which may be written meanwhile; used from one thread.

    Every method raises sqlite3.Error where the file cannot be read, and OverflowError for numbers beyond 64 bit.
    """

    def __init__(self, path: Path) -> None:
        """Open a record. Raises RecordError."""
        self.path = path
        self._connection = open_read_only(path)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def hits(self, after: int, limit: int) -> Hits:
        """Return at most `limit` hits in the order in which they were recorded, of ids above `after`."""
        limit = min(max(limit, 1), MAX_ROWS)
        rows = self._connection.execute(_HITS, (after, limit + 1)).fetchall()
        more = len(rows) > limit
        rows = rows[:limit]
        if not rows:
            return Hits((), after, False)
        first, last = rows[0][0], rows[-1][0]
        crystals, dumped, tags = self._crystals(first, last), self._dumped(first, last), self._tags(first, last)
        return Hits(
            tuple(
                HitRow(
                    id=id_, series=key, run=run or 0, number=number, time=time, state=STATES[state], n_peaks=n_peaks,
                    resolution=resolution, crystals=tuple(crystals[id_]), dumped=tuple(dumped[id_]),
                    tags=tuple(tags[id_]), group=_group_name(group),
                )
                for id_, key, run, number, time, state, n_peaks, resolution, group in rows
            ),
            last, more,
        )  # fmt: skip

    def shot(self, series: str, number: int) -> RecordedShot | str:
        """Return a frame that was looked at, or a sentence that says what became of it."""
        run = self._connection.execute(
            "SELECT id, started, number, shape_ss, shape_fs, dtype FROM runs WHERE key = ? ORDER BY id DESC LIMIT 1",
            (series,),
        ).fetchone()
        if run is None:
            return f"no run {plain(series, 80)!r} is in the record {self.path.name}"
        id_, started, run_number, ss, fs, dtype = run
        row = self._connection.execute(
            "SELECT state, t_ms, error, name FROM frames LEFT JOIN failures USING (run, number) "
            "LEFT JOIN groups ON groups.id = group_id WHERE run = ? AND number = ?",
            (id_, number),
        ).fetchone()
        if row is None:
            return self._why_there_is_no(number, id_, run_number)
        state, t_ms, error = STATES[row[0]], row[1], plain(row[2] or "", 300)
        if state not in (State.BLANK, State.HIT, State.INDEXED):
            return f"frame {number} {_FATES[state]}" + (f": {error}" if error else "")
        result = msgspec.structs.replace(self._result(series, number, state, id_), group=_group_name(row[3]))
        return RecordedShot(result, started + t_ms / 1000, (ss, fs) if ss and fs else None, dtype)

    def with_spots(
        self, inverse_d: tuple[float, float], max_value: tuple[float, float], limit: int
    ) -> list[tuple[str, int]]:
        """Return which shots have a spot within both ranges, newest first; the last 20 000 hits are looked at."""
        found: list[tuple[str, int]] = []
        limit = min(max(limit, 1), MAX_FOUND)
        for key, number, packed in self._packed_spots():
            try:
                spots = unpack_peaks(packed)
            except ValueError:
                continue
            inside = (spots["inverse_d"] >= inverse_d[0]) & (spots["inverse_d"] < inverse_d[1])
            inside &= (spots["max_value"] >= max_value[0]) & (spots["max_value"] < max_value[1])
            if np.any(inside):
                found.append((key, number))
                if len(found) == limit:
                    break
        return found

    def tags(self, series: str, number: int) -> tuple[str, ...]:
        """Return the tags of a shot, in the order in which they were given."""
        rows = self._connection.execute(
            "SELECT tag FROM tags JOIN runs ON runs.id = tags.run WHERE key = ? AND tags.number = ? ORDER BY tags.id",
            (series, number),
        )
        return tuple(tag for (tag,) in rows)

    def state_of_tags(self) -> str:
        """Return a word that changes whenever a tag is put on a shot or taken off; empty where there is none."""
        n, newest, when = self._connection.execute("SELECT count(*), max(id), max(time) FROM tags").fetchone()
        return f"{n} {newest} {when}" if n else ""

    def tagged_shots(self) -> list[TaggedShot]:
        """Return the shots with tags, `MAX_TAGGED` of them, those that were tagged last first."""
        rows = self._connection.execute(_TAGGED, (MAX_TAGGED,)).fetchall()
        return [TaggedShot(series, number, self.tags(series, number)) for series, number, _ in rows]

    def _packed_spots(self) -> Iterator[tuple[str, int, bytes]]:
        before = 2**63 - 1
        for _ in range(0, MAX_SCANNED, _SCANNED_AT_ONCE):
            rows = self._connection.execute(_SPOTS, (before, _SCANNED_AT_ONCE)).fetchall()
            if not rows:
                return
            before = rows[-1][0]
            yield from (row[1:] for row in rows)

    def _result(self, series: str, number: int, state: State, run: int) -> Result:
        hit = self._connection.execute(
            "SELECT id, n_peaks, resolution, peaks FROM hits WHERE run = ? AND number = ?", (run, number)
        ).fetchone()
        if hit is None:
            dumped = self._connection.execute(_DUMPED_BLANK, (run, number))
            places = tuple(Dumped(dump, path, entry) for dump, path, entry in dumped)
            return Result(series=series, number=number, state=state, dumped=places)
        id_, n_peaks, resolution, peaks = hit
        return Result(
            series=series, number=number, state=state, n_peaks=n_peaks, resolution=resolution, peaks=peaks,
            crystals=tuple(self._crystals(id_, id_)[id_]), dumped=tuple(self._dumped(id_, id_)[id_]),
        )  # fmt: skip

    def _why_there_is_no(self, number: int, run: int, run_number: int | None) -> str:
        loss = self._connection.execute(
            "SELECT state FROM losses WHERE run = ? AND first <= ? AND last >= ? ORDER BY first DESC LIMIT 1",
            (run, number, number),
        ).fetchone()
        if loss is not None:
            return f"frame {number} {_FATES[STATES[loss[0]]]}"
        (unrecorded,) = self._connection.execute("SELECT sum(n) FROM unrecorded WHERE run = ?", (run,)).fetchone()
        if unrecorded:
            return f"frame {number} is not in the record: of {unrecorded} frames of this run only the number was kept"
        first, last = self._connection.execute(
            "SELECT (SELECT min(number) FROM frames WHERE run = ?), (SELECT max(number) FROM frames WHERE run = ?)",
            (run, run),
        ).fetchone()
        span = f"so far it has frames {first} to {last}" if first is not None else "so far it has none"
        return f"frame {number} of run {run_number or 0} is not in the record: {span}"

    def _crystals(self, first: int, last: int) -> dict[int, list[CrystalFound]]:
        found = defaultdict(list)
        for id_, n_indexed, rmsd_px, *rest in self._connection.execute(_CRYSTALS, (first, last)):
            model, numbers = rest[:3], rest[3:]
            values: Any = [math.nan if x is None else x for x in numbers]
            rmsd = math.nan if rmsd_px is None else rmsd_px
            found[id_].append(CrystalFound(tuple(values[:6]), tuple(values[6:]), n_indexed, rmsd, *model))
        return found

    def _dumped(self, first: int, last: int) -> dict[int, list[Dumped]]:
        found = defaultdict(list)
        for id_, dump, path, entry in self._connection.execute(_DUMPED, (first, last)):
            found[id_].append(Dumped(dump, path, entry))
        return found

    def _tags(self, first: int, last: int) -> dict[int, list[str]]:
        found = defaultdict(list)
        for id_, tag in self._connection.execute(_TAGS, (first, last)):
            found[id_].append(tag)
        return found


def _group_name(name: object) -> str:
    return plain(name, LONGEST_NAME) if isinstance(name, str) else ""


_FATES = {
    State.MISSED: "never arrived from the detector",
    State.REFUSED: "was refused, because it arrived malformed",
    State.DROPPED: "was dropped under overload",
    State.SKIPPED: "was left out unseen, as [select] in the settings had it",
    State.FAILED: "failed",
    State.QUARANTINED: "killed two workers and was set aside",
}
