"""The record: real files, read by a connection of their own, through crashes and full disks."""

import math
import os
import re
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from braggwatch import __version__
from braggwatch.processing.frame import Series
from braggwatch.streamer.messages import PEAK, CrystalFound, Dumped, Result, State, unpack_peaks
from braggwatch.streamer.record import Record
from braggwatch.streamer.record_schema import STATE_CODES, RecordError

SERIES = Series(
    key="eiger-42", number=42, name="lyso'); DROP TABLE frames; --", n_frames=1000, shape=(4362, 4148), dtype="uint32",
    photon_energy=12400.0, distance=0.15, beam_center=(2074.5, 2181.5), pixel_size=(75e-6, 75e-6),
    saturation_value=65000.0, frame_time=0.0075, count_time=0.0074, sensor_material="Si", sensor_thickness=450e-6,
    detector="EIGER2 16M", serial_number="E-32-0104",
)  # fmt: skip
SPOTS = np.array([(1.5, 2.5, 300.0, 200.0, 0.25, 1), (1000.25, 900.75, 77.0, 40.0, 0.4, 0)], PEAK)
CRYSTAL = CrystalFound((79.2, 79.3, 38.0, 90.0, 90.1, 90.2), (79.2, 0.0, 0.0, 0.1, 79.3, 0.0, 0.2, 0.3, 38.0), 55, 0.4,
                       1200.0, 0.05, 1.9)  # fmt: skip


def blank(number: int, series: str = SERIES.key) -> Result:
    return Result(series=series, number=number, state=State.BLANK, n_peaks=3)


def indexed(number: int, lattices: int = 1) -> Result:
    return Result(
        series=SERIES.key, number=number, state=State.INDEXED, n_peaks=2, resolution=2.1, peaks=SPOTS.tobytes(),
        crystals=(CRYSTAL,) * lattices,
        dumped=(Dumped("hit", "dumps/hit.h5", number), Dumped("indexed", "dumps/indexed.h5", number)),
    )  # fmt: skip


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as reader:
        return reader.execute(query).fetchall()


def totals(path: Path) -> dict[str, int]:
    return dict(rows(path, "SELECT state, sum(n) FROM totals GROUP BY state"))


def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "experiment.sqlite"


def test_what_was_found_in_a_frame_is_read_back_as_it_was(path: Path) -> None:
    with Record(path) as record:
        record.settings("[hitfind]\nmin_snr = 5.0\n", 3, 900.0)
        record.begin_run(SERIES, 1000.0)
        record.result(blank(0), 1000.5)
        record.result(indexed(1, lattices=2), 1001.25)
        record.result(Result(series=SERIES.key, number=2, state=State.FAILED, error="IndexError: no"), 1001.5)
        record.lost(SERIES.key, 3, State.DROPPED, 1001.5)
        record.lost(SERIES.key, range(4, 1000), State.MISSED, 1002.0)
        record.end_run(SERIES.key, {State.BLANK: 1, State.MISSED: 996, "waiting": 0}, 1003.0)
        assert record.close().problem == ""
    assert rows(path, "SELECT name, t_ms FROM frames JOIN states ON code = state ORDER BY number") == [
        ("blank", 500), ("indexed", 1250), ("failed", 1500),
    ]  # fmt: skip
    assert totals(path) == {"blank": 1, "indexed": 1, "failed": 1, "dropped": 1, "missed": 996}
    ((number, n_peaks, resolution, peaks),) = rows(path, "SELECT number, n_peaks, resolution, peaks FROM hits")
    assert (number, n_peaks, resolution) == (1, 2, 2.1)
    np.testing.assert_array_equal(unpack_peaks(peaks), SPOTS)
    crystals = rows(path, "SELECT * FROM crystals ORDER BY lattice")
    assert crystals == [(1, 1, lattice, 55, 0.4, *CRYSTAL.cell, *CRYSTAL.A, 1200.0, 0.05, 1.9) for lattice in (0, 1)]
    assert rows(path, "SELECT number, error FROM failures") == [(2, "IndexError: no")]
    assert rows(path, "SELECT dump, path, entry FROM images JOIN files ON files.id = file ORDER BY dump") == [
        ("hit", "dumps/hit.h5", 1), ("indexed", "dumps/indexed.h5", 1),
    ]  # fmt: skip
    assert rows(path, "SELECT version, time, program, text FROM settings") == [
        (3, 900.0, __version__, "[hitfind]\nmin_snr = 5.0\n")
    ]
    assert rows(path, "SELECT state, n FROM ledger ORDER BY n") == [("waiting", 0), ("blank", 1), ("missed", 996)]


def test_the_header_of_a_run_is_kept_and_names_from_the_wire_are_only_text(path: Path) -> None:
    with Record(path) as record:
        record.begin_run(SERIES, 1000.0)
        record.end_run(SERIES.key, {}, 1010.0)
    columns = (
        "key, number, name, started, ended, n_frames, shape_ss, shape_fs, dtype, photon_energy_eV, distance_m, "
        "beam_center_fs, beam_center_ss, pixel_size_fs_m, pixel_size_ss_m, saturation_value, frame_time_s, "
        "count_time_s, sensor_material, sensor_thickness_m, detector, serial_number, joined_late"
    )
    assert rows(path, f"SELECT {columns} FROM runs") == [
        (
            "eiger-42", 42, "lyso'); DROP TABLE frames; --", 1000.0, 1010.0, 1000, 4362, 4148, "uint32", 12400.0, 0.15,
            2074.5, 2181.5, 75e-6, 75e-6, 65000.0, 0.0075, 0.0074, "Si", 450e-6, "EIGER2 16M", "E-32-0104", 0,
        )
    ]  # fmt: skip


def test_a_header_that_comes_late_completes_the_run_that_it_belongs_to(path: Path) -> None:
    with Record(path) as record:
        record.result(blank(5), 1000.0)
        record.begin_run(SERIES, 1001.0)
        record.result(blank(6), 1002.0)
    assert rows(path, "SELECT id, detector, started FROM runs") == [(1, "EIGER2 16M", 1000.0)]
    assert rows(path, "SELECT run, number FROM frames") == [(1, 5), (1, 6)]


def test_a_frame_is_recorded_once_and_the_first_word_stands(path: Path) -> None:
    with Record(path) as record:
        record.result(blank(7), 1.0)
        record.result(indexed(7), 1.0)
    assert totals(path) == {"blank": 1}


def test_an_rmsd_that_is_unknown_is_null(path: Path) -> None:
    crystal = CrystalFound(CRYSTAL.cell, CRYSTAL.A, 10, math.nan)
    with Record(path) as record:
        record.result(Result(series="s", number=0, state=State.INDEXED, crystals=(crystal,)), 1.0)
    assert rows(path, "SELECT rmsd_px FROM crystals") == [(None,)]


def test_an_experiment_goes_on_in_the_same_file_and_a_key_that_returns_is_another_run(path: Path) -> None:
    for start in (1000.0, 2000.0):
        with Record(path) as record:
            record.settings("text", 1, start)
            record.begin_run(SERIES, start)
            record.result(indexed(0), start + 1)
    assert rows(path, "SELECT id, key, settings FROM runs") == [(1, "eiger-42", 1), (2, "eiger-42", 2)]
    assert rows(path, "SELECT run, number, file FROM images ORDER BY run, file") == [
        (1, 0, 1), (1, 0, 2), (2, 0, 1), (2, 0, 2),
    ]  # fmt: skip


def test_another_program_reads_the_file_while_it_grows(path: Path) -> None:
    with Record(path) as record:
        for number in range(3000):
            record.result(blank(number), 1.0)
        until(lambda: totals(path).get("blank") == 3000)
        record.result(blank(3000), 2.0)
        until(lambda: totals(path).get("blank") == 3001)
        state = record.state()
        assert (state.frames, state.pending, state.unrecorded, state.problem) == (3001, 0, 0, "")


def test_a_closed_record_is_one_file(path: Path) -> None:
    with Record(path) as record:
        record.result(blank(0), 1.0)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_every_state_has_its_code_in_the_file(path: Path) -> None:
    Record(path).close()
    assert dict(rows(path, "SELECT name, code FROM states")) == {s.value: c for s, c in STATE_CODES.items()}
    assert set(STATE_CODES) == set(State)


def test_what_sqlite_cannot_hold_is_named_and_does_not_stop_the_rest(path: Path) -> None:
    with Record(path) as record:
        record.result(blank(0), 1.0)
        record.result(blank(2**63), 1.0)
        record.result(Result(series="s\ud800", number=1, state=State.BLANK), 1.0)
        record.result(blank(1), 1.0)
        state = record.close()
    assert totals(path) == {"blank": 2}
    assert "2 entries cannot be recorded, the last one: Done: 'utf-8' codec can't encode" in state.problem


def test_when_memory_for_waiting_entries_is_used_up_frames_are_still_counted(path: Path) -> None:
    with Record(path, limit_bytes=10_000) as record:
        with held(path):
            for number in range(100):
                record.result(blank(number), 1.0)
            record.lost(SERIES.key, range(100, 1000), State.MISSED, 1.0)
            state = record.state()
            assert state.pending < 13
            assert state.unrecorded > 980
        until(lambda: sum(totals(path).values()) == 1000)
        assert totals(path) == {"blank": 100, "missed": 900}
        assert re.match(r"\d+ frames are counted, but have no row: the disk did not keep up", record.state().problem)


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Keep the file locked, as another program would that writes to it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@pytest.mark.parametrize("n", [0, 1, 5])
def test_an_empty_range_of_lost_frames_is_nothing(path: Path, n: int) -> None:
    with Record(path) as record:
        record.lost("s", range(10, 10 + n), State.MISSED, 1.0)
    assert totals(path) == ({"missed": n} if n else {})


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"dear diary " * 100)
    with pytest.raises(RecordError) as caught:
        Record(path)
    assert str(caught.value) == (
        f"the record {path} cannot be opened: file is not a database; expected a record of Braggwatch or a path where "
        "a file can be created. Choose another path for the record"
    )
    assert path.read_bytes() == b"dear diary " * 100


def test_a_database_of_another_program_is_refused_and_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE recipes (name)")
    with pytest.raises(RecordError, match="no record of Braggwatch: expected application id 0x42726757, found 0x0"):
        Record(path)
    assert rows(path, "SELECT name FROM sqlite_master") == [("recipes",)]


def test_a_record_of_a_newer_version_is_refused(path: Path) -> None:
    Record(path).close()
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA user_version = 99")
    with pytest.raises(RecordError, match="has schema version 99; this Braggwatch writes version 4"):
        Record(path)


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"nowhere/r\.sqlite cannot be opened: unable to open database file"):
        Record(tmp_path / "nowhere" / "r.sqlite")


def run_script(script: str, *arguments: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)], stdout=subprocess.PIPE, text=True
    )


PRELUDE = """
import resource, sys, time
from braggwatch.streamer.record import Record
from braggwatch.streamer.messages import Result, State
def blank(i): return Result(series="s", number=i, state=State.BLANK)
record = Record(sys.argv[1])
"""


def test_what_was_committed_survives_a_kill_in_the_middle(path: Path) -> None:
    process = run_script(
        PRELUDE
        + """
i = 0
while True:
    for _ in range(1000):
        record.result(blank(i), 1.0)
        i += 1
    print(record.state().frames, flush=True)
    time.sleep(0.02)
""",
        path,
    )
    assert process.stdout is not None
    written = 0
    while written < 20_000:
        written = int(process.stdout.readline())
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]
    ((n, highest),) = rows(path, "SELECT count(*), max(number) FROM frames")
    assert n >= written
    assert n == highest + 1
    with Record(path) as record:
        record.result(blank(0), 1.0)
    assert totals(path) == {"blank": n + 1}


def test_a_full_disk_is_said_and_everything_is_written_when_there_is_room_again(path: Path) -> None:
    process = run_script(
        PRELUDE
        + """
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
i = 0
while not record.state().problem:
    for _ in range(1000):
        record.result(blank(i), 1.0)
        i += 1
    time.sleep(0.02)
print(record.state().problem)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
state = record.close()
print(i, state.frames, state.pending, repr(state.problem))
""",
        path,
    )
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    problem, end = out.splitlines()
    assert re.fullmatch(
        rf"the record {path} cannot be written: .*(full|I/O error); \d+ entries wait in memory\. "
        r"Free the disk, or the file: it is tried again every 1 s",
        problem,
    )
    sent, written, pending, left = end.split()
    assert sent == written
    assert (pending, left) == ("0", "''")
    assert totals(path) == {"blank": int(sent)}
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]


def test_a_record_that_cannot_be_written_to_the_end_says_what_it_lacks(path: Path) -> None:
    record = Record(path)
    with held(path):
        record.result(blank(0), 1.0)
        state = record.close(timeout=0.2)
    assert state.problem == f"the record {path} lacks the last 1 entries: database is locked"
    assert state.pending == 1


def documented_queries() -> list[str]:
    text = (Path(__file__).resolve().parents[2] / "docs" / "record.md").read_text()
    return re.findall(r"```sql\n(.*?)```", text, re.DOTALL)


def test_the_queries_in_the_documentation_answer_what_they_say(path: Path) -> None:
    with Record(path) as record:
        record.settings("", 8, 0.0)
        record.begin_run(SERIES, 60.0)
        for number in range(20):
            result = indexed(number) if number % 4 == 0 else blank(number)
            group = "dark" if number < 8 else "pumped"
            record.result(msgspec.structs.replace(result, group=group), 60.0 + 5 * number)
        record.lost(SERIES.key, range(20, 25), State.MISSED, 170.0)
        record.settings("", 9, 130.0)
    how, where, when, which = documented_queries()
    assert rows(path, how) == [(42, 25, 5, 25.0, 100.0)]
    sharpest = rows(path, where)
    assert len(sharpest) == 10
    assert sharpest[0][2:4] == (2.1, 0.4)
    assert {row[4] for row in sharpest} == {"dumps/hit.h5", "dumps/indexed.h5"}
    assert rows(path, which) == [("dark", 8, 25.0, 100.0), ("pumped", 12, 25.0, 100.0)]
    assert rows(path, when) == [("1970-01-01 00:01:00", 12, 3, 8), ("1970-01-01 00:02:00", 8, 2, 9)]


def test_the_documentation_names_every_table_and_column(path: Path) -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "record.md").read_text()
    documented = dict(re.findall(r"^\| `(\w+)` \| .*? \| (.*) \|$", text, re.MULTILINE))
    Record(path).close()
    for (table,) in rows(path, "SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"):
        columns = [column[1] for column in rows(path, f"PRAGMA table_info({table})")]
        inside_a_range = {"b", "c", "alpha", "beta", "ay", "az", "bx", "by", "bz", "cx", "cy"}
        missing = [c for c in columns if f"`{c}`" not in documented[table] and c not in inside_a_range]
        assert not missing, f"docs/record.md lacks {missing} of {table}"


def test_groups_are_kept_by_frame_and_hit_also_when_the_record_goes_on(path: Path) -> None:
    for session, group in enumerate(("pumped", "dark", "pumped")):
        key = f"run-{session}"
        with Record(path) as record:
            record.begin_run(msgspec.structs.replace(SERIES, key=key), 1000.0 * session)
            record.result(msgspec.structs.replace(blank(0, key), group=group), 1000.0 * session)
            record.result(msgspec.structs.replace(indexed(1), series=key, group=group), 1000.0 * session)
            record.result(blank(2, key), 1000.0 * session)
    assert rows(path, "SELECT name FROM groups ORDER BY id") == [("pumped",), ("dark",)]
    by_frame = "SELECT frames.run, number, name FROM frames LEFT JOIN groups ON groups.id = group_id ORDER BY 1, 2"
    assert rows(path, by_frame) == [
        (1, 0, "pumped"), (1, 1, "pumped"), (1, 2, None), (2, 0, "dark"), (2, 1, "dark"), (2, 2, None),
        (3, 0, "pumped"), (3, 1, "pumped"), (3, 2, None),
    ]  # fmt: skip
    assert rows(path, "SELECT hits.run, name FROM hits JOIN groups ON groups.id = group_id ORDER BY 1") == [
        (1, "pumped"), (2, "dark"), (3, "pumped"),
    ]  # fmt: skip


def test_frames_that_were_left_out_unseen_are_recorded_as_such(path: Path) -> None:
    with Record(path) as record:
        record.begin_run(SERIES, 1000.0)
        record.lost(SERIES.key, 0, State.SKIPPED, 1000.0)
        record.lost(SERIES.key, range(1, 5), State.SKIPPED, 1000.0)
    assert totals(path) == {"skipped": 5}
