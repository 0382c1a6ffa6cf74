"""Merges in a record: written as the processor tells them, and the last one read back."""

import math
import sqlite3
from collections import defaultdict
from dataclasses import astuple
from typing import Any

from braggwatch.processing.data_quality import Difference, Forecast, Shell, Target
from braggwatch.streamer.merge_messages import GroupDifference, GroupMerge, MergeMoment, Merging
from braggwatch.streamer.record_schema import OUTER, OVERALL, WHOLE

_MERGE = f"INSERT INTO merges VALUES (NULL, {', '.join('?' * 23)})"
_SHELL = f"INSERT INTO merge_shells VALUES ({', '.join('?' * 15)})"
_GROUP = f"INSERT INTO merge_groups VALUES ({', '.join('?' * 11)})"
_GROUP_SHELL = f"INSERT INTO merge_group_shells VALUES ({', '.join('?' * 16)})"
_DIFFERENCE = "INSERT INTO merge_differences VALUES (?, ?, ?, ?, ?, ?, ?)"
_NEWEST = """
SELECT id, time, began, a, b, c, alpha, beta, gamma, space_group, n_crystals, n_outliers, n_empty, n_rejected,
    resolution, target_d_min, target_cc_half, target_completeness, target_multiplicity,
    forecast, forecast_s, forecast_low_s, forecast_high_s, forecast_crystals
FROM merges ORDER BY id DESC LIMIT 1
"""
_STATISTICS = """
d_max, d_min, n_possible, n_unique, n_observations, n_pairs, completeness, multiplicity, snr, cc_half, cc_half_error,
    cc_star, r_split
"""
_SHELLS = f"SELECT shell, {_STATISTICS} FROM merge_shells WHERE merge = ? ORDER BY shell"
_GROUPS = """
SELECT name, is_leftover, n_crystals, n_outliers, resolution, forecast, forecast_s, forecast_low_s, forecast_high_s,
    forecast_crystals
FROM merge_groups WHERE merge = ? ORDER BY name
"""
_DIFFERENCES = "SELECT first, second, n, cc_half, cc_half_error, r_iso FROM merge_differences WHERE merge = ?"
_GROUP_SHELLS = f"SELECT name, shell, {_STATISTICS} FROM merge_group_shells WHERE merge = ? ORDER BY name, shell"
_MOMENTS = f"""
SELECT time, n_crystals, overall.cc_half, outermost.cc_half, whole.completeness
FROM merges
JOIN merge_shells AS overall ON overall.merge = merges.id AND overall.shell = {OVERALL}
JOIN merge_shells AS whole ON whole.merge = merges.id AND whole.shell = {WHOLE}
JOIN merge_shells AS outermost ON outermost.merge = merges.id AND outermost.shell = {OUTER}
WHERE began = ? ORDER BY merges.id DESC LIMIT 400
"""


def write_merge(connection: sqlite3.Connection, merging: Merging) -> None:
    """Write how a merge stands; raises what SQLite does."""
    target = (None,) * 4 if merging.target is None else astuple(merging.target)
    forecast = merging.forecast or Forecast("unknown")
    merge = connection.execute(
        _MERGE,
        (
            merging.time, merging.since, *(merging.cell or (None,) * 6), merging.space_group,
            merging.n_crystals, merging.n_outliers, merging.n_empty, merging.n_rejected, merging.resolution,
            *target, *_forecast_columns(forecast),
        ),
    ).lastrowid  # fmt: skip
    connection.executemany(_SHELL, [(merge, *row) for row in _shell_rows(merging)])
    for group in merging.groups:
        row = merge, group.name, int(group.is_leftover), group.n_crystals, group.n_outliers, group.resolution
        connection.execute(_GROUP, (*row, *_forecast_columns(group.forecast)))
        connection.executemany(_GROUP_SHELL, [(merge, group.name, *row) for row in _shell_rows(group)])
    if merging.difference is not None:
        apart = merging.difference
        connection.execute(_DIFFERENCE, (merge, apart.first, apart.second, *astuple(apart.found)))


def _forecast_columns(forecast: Forecast | None) -> tuple[Any, ...]:
    if forecast is None:
        return (None,) * 5
    return forecast.state, forecast.seconds, forecast.low, forecast.high, forecast.crystals


def _shell_rows(merge: Merging | GroupMerge) -> list[tuple[Any, ...]]:
    shells = {OVERALL: merge.overall, WHOLE: merge.whole, OUTER: merge.outer}
    shells |= dict(enumerate(merge.shells, OVERALL + 1))
    rows = [(number, *astuple(shell)) for number, shell in shells.items() if shell is not None]
    # SQLite has no infinity: NULL stands for a shell that begins at the beam
    return [(row[0], row[1] if math.isfinite(row[1]) else None, *row[2:]) for row in rows]


def read_merge(connection: sqlite3.Connection) -> Merging | None:
    """Return how the last merge of an open record stood in the end; None where nothing was merged.

    Raises what SQLite does, and ValueError, TypeError or LookupError where the rows make no sense.
    """
    row = connection.execute(_NEWEST).fetchone()
    if row is None:
        return None
    number, time, began, *cell = row[:9]
    space_group, n_crystals, n_outliers, n_empty, n_rejected, resolution = row[9:15]
    shells = {shell: _shell(*values) for shell, *values in connection.execute(_SHELLS, (number,))}
    target = None if row[15] is None else Target(*row[15:19])
    return Merging(
        time=time, since=began, cell=tuple(cell), space_group=space_group, n_crystals=n_crystals,
        n_outliers=n_outliers, n_empty=n_empty, n_rejected=n_rejected, overall=shells[OVERALL],
        shells=tuple(shells[i] for i in sorted(shells) if i > OVERALL), resolution=resolution, target=target,
        outer=shells[OUTER], whole=shells[WHOLE],
        forecast=Forecast(row[19], *row[20:24]),
        groups=_read_groups(connection, number), difference=_read_difference(connection, number),
        moments=tuple(MergeMoment(*values) for values in reversed(connection.execute(_MOMENTS, (began,)).fetchall())),
    )  # fmt: skip


def _read_groups(connection: sqlite3.Connection, merge: int) -> tuple[GroupMerge, ...]:
    shells: dict[str, dict[int, Shell]] = defaultdict(dict)
    for name, shell, *values in connection.execute(_GROUP_SHELLS, (merge,)):
        shells[name][shell] = _shell(*values)
    return tuple(
        GroupMerge(
            name=name, is_leftover=bool(leftover), n_crystals=n_crystals, n_outliers=n_outliers, resolution=resolution,
            shells=tuple(shell for number, shell in shells[name].items() if number > OVERALL),
            overall=shells[name].get(OVERALL), outer=shells[name].get(OUTER), whole=shells[name].get(WHOLE),
            forecast=None if forecast[0] is None else Forecast(*forecast),
        )
        for name, leftover, n_crystals, n_outliers, resolution, *forecast in connection.execute(_GROUPS, (merge,))
    )  # fmt: skip


def _read_difference(connection: sqlite3.Connection, merge: int) -> GroupDifference | None:
    row = connection.execute(_DIFFERENCES, (merge,)).fetchone()
    if row is None:
        return None
    first, second, *numbers = row
    return GroupDifference(first, second, Difference(*numbers))


def _shell(d_max: float | None, *others: Any) -> Shell:
    return Shell(math.inf if d_max is None else d_max, *others)
