"""The whole of a record at a glance: its runs, and what became of all frames against time."""

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from braggwatch.processing.frame import Series
from braggwatch.processing.shot_groups import LONGEST_NAME, MAX_GROUPS, OTHERS
from braggwatch.streamer.feed_messages import History, Ledger, Mark, Run
from braggwatch.streamer.group_counts import GroupCounts
from braggwatch.streamer.messages import State
from braggwatch.streamer.record_reader import STATES
from braggwatch.streamer.statistics import RECENT_S
from braggwatch.streamer.time_bins import N_SESSION_BINS, Slot, as_bins
from braggwatch.streamer.wording import plain

FRAMES_AT_ONCE = 200_000
"""Frames counted by one query: a tenth of a second."""

Progress = Callable[[int], None]
"""Is told how many more frames have been counted; may raise to end the reading."""

_SECOND = "CAST(? + t_ms / 1000.0 AS INTEGER)"
_COUNTED = f"""
SELECT {_SECOND} AS second, state, group_id, count(*) FROM frames
WHERE run = ? AND number >= ? AND number < ? GROUP BY second, state, group_id
"""
_MULTI_LATTICE = f"""
SELECT {_SECOND} AS second, count(*) FROM crystals CROSS JOIN frames USING (run, number)
WHERE crystals.run = ? AND crystals.number >= ? AND crystals.number < ? AND lattice = 1 GROUP BY second
"""
_LOST = f"""
SELECT {_SECOND} AS second, state, sum(last - first + 1) FROM losses WHERE run = ? GROUP BY second, state
"""
_LARGEST = f"""
SELECT id, name FROM groups
JOIN (SELECT group_id, count(*) AS n FROM frames WHERE group_id IS NOT NULL GROUP BY group_id) ON group_id = id
WHERE name != '{OTHERS}' ORDER BY n DESC, id LIMIT {MAX_GROUPS}
"""
_END_OF_NUMBERS = 2**63 - 1


@dataclass(frozen=True)
class RecordedRun:
    """A run as the record has it."""

    id: int
    series: Series
    started: float
    ended: float | None
    """s since 1970."""


class Timeline:
    """What became of the frames, second by second at the end and in at most 1024 bins over all."""

    def __init__(self, start: float, end: float) -> None:
        """From the second of `start` to that of `end`, s since 1970; what lies outside is counted at the edge."""
        self._start, self._end = int(start), max(int(start), int(end))
        self._width = 1
        while (self._end - self._start) // self._width >= N_SESSION_BINS:
            self._width *= 2
        n_bins = (self._end - self._start) // self._width + 1
        self._session = [Slot(self._start + i * self._width, self._width) for i in range(n_bins)]
        self._recent_start = max(self._end - RECENT_S + 1, self._start)
        self._recent = [Slot(second) for second in range(self._recent_start, self._end + 1)]

    def add(self, second: int, state: State, n: int, group: str = "") -> None:
        """Count n frames of a group that ended in a state."""
        for slot in self._slots(second):
            slot.counts[state] += n
            slot.groups.add(group, state, n)
            slot.arrived += n if state is not State.MISSED else 0
            slot.results += n if state in (State.BLANK, State.HIT, State.INDEXED, State.FAILED) else 0

    def add_multi_lattice(self, second: int, n: int) -> None:
        """Count n shots with more than one lattice."""
        for slot in self._slots(second):
            slot.multi_lattice += n

    @property
    def multi_lattice(self) -> int:
        """How many shots had more than one lattice."""
        return sum(slot.multi_lattice for slot in self._session)

    @property
    def groups(self) -> GroupCounts:
        """How many shots of each group were looked at, and what they were."""
        total = GroupCounts()
        for slot in self._session:
            total.merge(slot.groups)
        return total

    def history(self, marks: Sequence[Mark]) -> History:
        """Return it as viewers know it; bytes and latencies are not in a record."""
        return History(
            recent=as_bins(self._recent, self._recent_start, 1),
            session=as_bins(self._session, self._start, self._width),
            marks=tuple(marks),
        )

    def _slots(self, second: int) -> list[Slot]:
        second = min(max(second, self._start), self._end)
        found = [self._session[(second - self._start) // self._width]]
        return found + ([self._recent[second - self._recent_start]] if second >= self._recent_start else [])


@dataclass
class RecordSummary:
    """All frames of a record, counted."""

    runs: list[RecordedRun]
    timeline: Timeline
    began: float
    ended: float
    """Of the first and of the last run, s since 1970."""
    counts: dict[int, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """By run."""
    totals: dict[int, int] = field(default_factory=dict)
    """What the processor had counted on its own when the run ended, by run; none for a run that did not end."""
    unrecorded: int = 0
    """Frames among them without a row of their own."""

    @property
    def n_frames(self) -> int:
        """How many frames there were in all."""
        return sum(counts.total() for counts in self.counts.values())

    def total(self) -> Slot:
        """Return everything added up."""
        total = Slot(int(self.began))
        added = self._added()
        total.counts = {state: added[state] for state in State}
        total.multi_lattice = self.timeline.multi_lattice
        total.groups = self.timeline.groups
        return total

    def ledger(self) -> Ledger:
        """Return where the frames of all runs ended."""
        added = self._added()
        return Ledger.of(added, sum(self._total(run.id) for run in self.runs))

    def run(self, run: RecordedRun, span: tuple[int, int] | None) -> Run:
        """Return a run as viewers know it; `span`: its lowest and highest frame number."""
        series = run.series
        return Run(
            key=series.key, number=series.number, name=series.name, detector=series.detector, shape=series.shape,
            photon_energy=series.photon_energy, distance=series.distance, n_frames=series.n_frames,
            started=run.started, ended=run.ended,
            ledger=Ledger.of(self.counts[run.id], self._total(run.id), *(span or (None, None))),
        )  # fmt: skip

    def _added(self) -> Counter[str]:
        return sum(self.counts.values(), Counter[str]())

    def _total(self, run: int) -> int:
        return self.totals.get(run, self.counts[run].total())


def read_runs(connection: sqlite3.Connection) -> list[RecordedRun]:
    """Return the runs in the order in which they began."""
    cursor = connection.cursor()
    cursor.row_factory = sqlite3.Row
    return [_run(row) for row in cursor.execute("SELECT * FROM runs ORDER BY id")]


def read_summary(connection: sqlite3.Connection, progress: Progress) -> RecordSummary:
    """Count all frames of a record, in bounded memory. Raises sqlite3.Error, and what `progress` raises."""
    runs, groups = read_runs(connection), _group_names(connection)
    ends = [_end_of(connection, run) for run in runs]
    began, ended = min((run.started for run in runs), default=0.0), max(ends, default=0.0)
    summary = RecordSummary(runs, Timeline(began, ended), began, ended)
    for run in runs:
        _count_frames(connection, run, groups, summary, progress)
        for second, code, n in connection.execute(_LOST, (run.started, run.id)):
            summary.timeline.add(second, STATES[code], n)
            summary.counts[run.id][STATES[code]] += n
    for run_id, code, n in connection.execute("SELECT run, state, n FROM unrecorded"):
        summary.counts[run_id][STATES[code]] += n
        summary.unrecorded += n
    summary.totals = dict(connection.execute("SELECT run, sum(n) FROM ledger GROUP BY run").fetchall())
    return summary


def span_of(connection: sqlite3.Connection, run: RecordedRun) -> tuple[int, int] | None:
    """Return the lowest and the highest frame number of a run; None where it has no frames."""
    numbers = [
        number
        for query in (
            "SELECT min(number) FROM frames WHERE run = ?", "SELECT max(number) FROM frames WHERE run = ?",
            "SELECT min(first) FROM losses WHERE run = ?", "SELECT max(last) FROM losses WHERE run = ?",
        )
        if (number := connection.execute(query, (run.id,)).fetchone()[0]) is not None
    ]  # fmt: skip
    return (min(numbers), max(numbers)) if numbers else None


def _group_names(connection: sqlite3.Connection) -> dict[int, str]:
    """Return by id the names under which the shots of groups are counted: of several sessions the largest 16."""
    (n,) = connection.execute("SELECT count(*) FROM groups").fetchone()
    rows = connection.execute(_LARGEST if n > MAX_GROUPS else "SELECT id, name FROM groups")
    return {id_: plain(str(name), LONGEST_NAME) for id_, name in rows}


def _count_frames(
    connection: sqlite3.Connection,
    run: RecordedRun,
    groups: dict[int, str],
    summary: RecordSummary,
    progress: Progress,
) -> None:
    first: int | None = -_END_OF_NUMBERS
    while first is not None:
        row = connection.execute(
            "SELECT number FROM frames WHERE run = ? AND number >= ? ORDER BY number LIMIT 1 OFFSET ?",
            (run.id, first, FRAMES_AT_ONCE),
        ).fetchone()
        after = row[0] if row else None
        where = run.started, run.id, first, _END_OF_NUMBERS if after is None else after
        counted = 0
        for second, code, group, n in connection.execute(_COUNTED, where):
            summary.timeline.add(second, STATES[code], n, "" if group is None else groups.get(group, OTHERS))
            summary.counts[run.id][STATES[code]] += n
            counted += n
        for second, n in connection.execute(_MULTI_LATTICE, where):
            summary.timeline.add_multi_lattice(second, n)
        progress(counted)
        first = after


def _end_of(connection: sqlite3.Connection, run: RecordedRun) -> float:
    """Return when a run ended; when its last result came where its end was not recorded."""
    if run.ended is not None:
        return run.ended
    (t_ms,) = connection.execute("SELECT max(t_ms) FROM frames WHERE run = ?", (run.id,)).fetchone()
    return run.started + (t_ms or 0) / 1000


def _run(row: sqlite3.Row) -> RecordedRun:
    series = Series(
        key=row["key"], number=row["number"] or 0, name=row["name"], n_frames=row["n_frames"],
        shape=_pair(row["shape_ss"], row["shape_fs"]), dtype=row["dtype"], photon_energy=row["photon_energy_eV"],
        distance=row["distance_m"], beam_center=_pair(row["beam_center_fs"], row["beam_center_ss"]),
        pixel_size=_pair(row["pixel_size_fs_m"], row["pixel_size_ss_m"]), saturation_value=row["saturation_value"],
        frame_time=row["frame_time_s"], count_time=row["count_time_s"], sensor_material=row["sensor_material"],
        sensor_thickness=row["sensor_thickness_m"], detector=row["detector"], serial_number=row["serial_number"],
        joined_late=bool(row["joined_late"]),
    )  # fmt: skip
    return RecordedRun(row["id"], series, row["started"], row["ended"])


def _pair(a: Any, b: Any) -> Any:
    return None if a is None or b is None else (a, b)
