"""The tables of the record, and what makes a file one of ours."""

import sqlite3
from pathlib import Path

from braggwatch.streamer.messages import State

APPLICATION_ID = 0x42726757
"""``BrgW`` in SQLite's header field for what a file is."""
VERSION = 4
"""Rises with every change of the tables."""

OVERALL, WHOLE, OUTER = 0, -1, -2
"""Numbers in `merge_shells` and `merge_group_shells` of what is no shell of the merge: all its reflections, all to the
target's resolution, and the outermost shell to that."""

STATE_CODES: dict[State, int] = {
    State.MISSED: 1,
    State.REFUSED: 2,
    State.DROPPED: 3,
    State.BLANK: 4,
    State.HIT: 5,
    State.INDEXED: 6,
    State.FAILED: 7,
    State.QUARANTINED: 8,
    State.SKIPPED: 9,
}
"""How states are written; also in the table `states`, so that the file explains itself."""

_TABLES = """
CREATE TABLE states (code INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);

CREATE TABLE settings (
    id INTEGER PRIMARY KEY,
    version INTEGER NOT NULL,
    time REAL NOT NULL,
    program TEXT NOT NULL,
    text TEXT NOT NULL
);

CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    number INTEGER,
    name TEXT NOT NULL DEFAULT '',
    started REAL NOT NULL,
    ended REAL,
    settings INTEGER REFERENCES settings (id),
    n_frames INTEGER,
    shape_ss INTEGER, shape_fs INTEGER, dtype TEXT,
    photon_energy_eV REAL,
    distance_m REAL,
    beam_center_fs REAL, beam_center_ss REAL,
    pixel_size_fs_m REAL, pixel_size_ss_m REAL,
    saturation_value REAL,
    frame_time_s REAL, count_time_s REAL,
    sensor_material TEXT, sensor_thickness_m REAL,
    detector TEXT NOT NULL DEFAULT '',
    serial_number TEXT NOT NULL DEFAULT '',
    joined_late INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE groups (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);

CREATE TABLE frames (
    run INTEGER NOT NULL REFERENCES runs (id),
    number INTEGER NOT NULL,
    state INTEGER NOT NULL REFERENCES states (code),
    t_ms INTEGER NOT NULL,
    group_id INTEGER REFERENCES groups (id),
    PRIMARY KEY (run, number)
) WITHOUT ROWID;

CREATE TABLE losses (
    run INTEGER NOT NULL REFERENCES runs (id),
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    state INTEGER NOT NULL REFERENCES states (code),
    t_ms INTEGER NOT NULL,
    PRIMARY KEY (run, first, state)
) WITHOUT ROWID;

CREATE TABLE unrecorded (
    run INTEGER NOT NULL REFERENCES runs (id),
    state INTEGER NOT NULL REFERENCES states (code),
    n INTEGER NOT NULL,
    PRIMARY KEY (run, state)
) WITHOUT ROWID;

CREATE TABLE ledger (
    run INTEGER NOT NULL REFERENCES runs (id),
    state TEXT NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (run, state)
) WITHOUT ROWID;

CREATE TABLE hits (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES runs (id),
    number INTEGER NOT NULL,
    n_peaks INTEGER NOT NULL,
    resolution REAL,
    peaks BLOB NOT NULL,
    group_id INTEGER REFERENCES groups (id),
    UNIQUE (run, number)
);

CREATE TABLE crystals (
    run INTEGER NOT NULL REFERENCES runs (id),
    number INTEGER NOT NULL,
    lattice INTEGER NOT NULL,
    n_indexed INTEGER NOT NULL,
    rmsd_px REAL,
    a REAL, b REAL, c REAL, alpha REAL, beta REAL, gamma REAL,
    ax REAL, ay REAL, az REAL, bx REAL, by REAL, bz REAL, cx REAL, cy REAL, cz REAL,
    block_size REAL, mosaicity REAL, diffraction_limit REAL,
    PRIMARY KEY (run, number, lattice)
) WITHOUT ROWID;

CREATE TABLE failures (
    run INTEGER NOT NULL REFERENCES runs (id),
    number INTEGER NOT NULL,
    error TEXT NOT NULL,
    PRIMARY KEY (run, number)
) WITHOUT ROWID;

CREATE TABLE files (id INTEGER PRIMARY KEY, dump TEXT NOT NULL, path TEXT NOT NULL, UNIQUE (dump, path));

CREATE TABLE images (
    run INTEGER NOT NULL REFERENCES runs (id),
    number INTEGER NOT NULL,
    file INTEGER NOT NULL REFERENCES files (id),
    entry INTEGER NOT NULL,
    PRIMARY KEY (run, number, file)
) WITHOUT ROWID;

CREATE TABLE merges (
    id INTEGER PRIMARY KEY,
    time REAL NOT NULL,
    began REAL NOT NULL,
    a REAL, b REAL, c REAL, alpha REAL, beta REAL, gamma REAL,
    space_group TEXT NOT NULL,
    n_crystals INTEGER NOT NULL,
    n_outliers INTEGER NOT NULL,
    n_empty INTEGER NOT NULL,
    n_rejected INTEGER NOT NULL,
    resolution REAL,
    target_d_min REAL, target_cc_half REAL, target_completeness REAL, target_multiplicity REAL,
    forecast TEXT,
    forecast_s REAL, forecast_low_s REAL, forecast_high_s REAL, forecast_crystals REAL
);

CREATE TABLE merge_shells (
    merge INTEGER NOT NULL REFERENCES merges (id),
    shell INTEGER NOT NULL,
    d_max REAL, d_min REAL NOT NULL,
    n_possible INTEGER NOT NULL, n_unique INTEGER NOT NULL, n_observations INTEGER NOT NULL, n_pairs INTEGER NOT NULL,
    completeness REAL, multiplicity REAL, snr REAL,
    cc_half REAL, cc_half_error REAL, cc_star REAL, r_split REAL,
    PRIMARY KEY (merge, shell)
) WITHOUT ROWID;

CREATE TABLE merge_groups (
    merge INTEGER NOT NULL REFERENCES merges (id),
    name TEXT NOT NULL,
    is_leftover INTEGER NOT NULL,
    n_crystals INTEGER NOT NULL,
    n_outliers INTEGER NOT NULL,
    resolution REAL,
    forecast TEXT,
    forecast_s REAL, forecast_low_s REAL, forecast_high_s REAL, forecast_crystals REAL,
    PRIMARY KEY (merge, name)
) WITHOUT ROWID;

CREATE TABLE merge_group_shells (
    merge INTEGER NOT NULL REFERENCES merges (id),
    name TEXT NOT NULL,
    shell INTEGER NOT NULL,
    d_max REAL, d_min REAL NOT NULL,
    n_possible INTEGER NOT NULL, n_unique INTEGER NOT NULL, n_observations INTEGER NOT NULL, n_pairs INTEGER NOT NULL,
    completeness REAL, multiplicity REAL, snr REAL,
    cc_half REAL, cc_half_error REAL, cc_star REAL, r_split REAL,
    PRIMARY KEY (merge, name, shell)
) WITHOUT ROWID;

CREATE TABLE merge_differences (
    merge INTEGER NOT NULL REFERENCES merges (id),
    first TEXT NOT NULL, second TEXT NOT NULL,
    n INTEGER NOT NULL,
    cc_half REAL, cc_half_error REAL, r_iso REAL,
    PRIMARY KEY (merge, first, second)
) WITHOUT ROWID;

CREATE TABLE tags (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES runs (id),
    number INTEGER,
    tag TEXT NOT NULL,
    time REAL NOT NULL,
    UNIQUE (run, number, tag)
);

CREATE VIEW totals AS
SELECT run, name AS state, sum(n) AS n FROM (
    SELECT run, state AS code, count(*) AS n FROM frames GROUP BY run, state
    UNION ALL SELECT run, state, sum(last - first + 1) FROM losses GROUP BY run, state
    UNION ALL SELECT run, state, n FROM unrecorded
) JOIN states USING (code) GROUP BY run, code;
"""


class RecordError(OSError):
    """A file cannot be used as the record."""


def open_record(path: Path, *, busy_s: float) -> sqlite3.Connection:
    """Open the record of an experiment, or begin it; waits `busy_s` where another program holds the file.

    Raises RecordError when the file is not a record, is of a newer Braggwatch, or cannot be opened.
    """
    try:
        # autocommit: every transaction begins and ends where the code says so
        connection = sqlite3.connect(path, timeout=busy_s, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise RecordError(_cannot_open(path, error)) from error
    try:
        if not _is_empty(connection):
            check_record(connection, path)
        connection.execute("PRAGMA journal_mode = WAL")
        # A crash of the processor loses nothing that was committed; a power cut at most the last seconds.
        connection.execute("PRAGMA synchronous = NORMAL")
        _create(connection)
    except RecordError:
        connection.close()
        raise
    except sqlite3.Error as error:
        connection.close()
        raise RecordError(_cannot_open(path, error)) from error
    return connection


def _cannot_open(path: Path, error: sqlite3.Error) -> str:
    return (
        f"the record {path} cannot be opened: {error}; expected a record of Braggwatch or a path where a file can be "
        "created. Choose another path for the record"
    )


def _is_empty(connection: sqlite3.Connection) -> bool:
    (n,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return bool(n == 0)


def check_record(connection: sqlite3.Connection, path: Path) -> None:
    """Raise RecordError where an open SQLite file is no record, or one of another version."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        raise RecordError(
            f"{path} is an SQLite file, but no record of Braggwatch: expected application id {APPLICATION_ID:#x}, "
            f"found {application:#x}. Choose another path for the record"
        )
    if version != VERSION:
        raise RecordError(
            f"the record {path} has schema version {version}; this Braggwatch writes version {VERSION}. "
            "Continue it with the Braggwatch that began it, or choose another path for the record"
        )


def _create(connection: sqlite3.Connection) -> None:
    """Write the tables into an empty file, all or none, also when two processes try at once."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        if _is_empty(connection):
            for statement in _TABLES.split(";\n"):
                if statement.strip():
                    connection.execute(statement)
            connection.executemany(
                "INSERT INTO states (code, name) VALUES (?, ?)",
                [(code, state.value) for state, code in STATE_CODES.items()],
            )
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
