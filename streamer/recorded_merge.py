"""The last merge of a record, as its processor told it."""

import math
import sqlite3
from typing import Any

from braggwatch.processing.data_quality import Forecast, Shell, Target
from braggwatch.streamer.merge_messages import MergeMoment, Merging
from braggwatch.streamer.record_schema import OUTER, OVERALL, WHOLE

_NEWEST = """
SELECT id, time, began, a, b, c, alpha, beta, gamma, space_group, n_crystals, n_outliers, n_empty, n_rejected,
    resolution, target_d_min, target_cc_half, target_completeness, target_multiplicity,
    forecast, forecast_s, forecast_low_s, forecast_high_s, forecast_crystals
FROM merges ORDER BY id DESC LIMIT 1
"""
_SHELLS = """
SELECT shell, d_max, d_min, n_possible, n_unique, n_observations, n_pairs, completeness, multiplicity, snr, cc_half,
    cc_half_error, cc_star, r_split
FROM merge_shells WHERE merge = ? ORDER BY shell
"""
_MOMENTS = f"""
SELECT time, n_crystals, overall.cc_half, outermost.cc_half, whole.completeness
FROM merges
JOIN merge_shells AS overall ON overall.merge = merges.id AND overall.shell = {OVERALL}
JOIN merge_shells AS whole ON whole.merge = merges.id AND whole.shell = {WHOLE}
JOIN merge_shells AS outermost ON outermost.merge = merges.id AND outermost.shell = {OUTER}
WHERE began = ? ORDER BY merges.id DESC LIMIT 400
"""


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
        moments=tuple(MergeMoment(*values) for values in reversed(connection.execute(_MOMENTS, (began,)).fetchall())),
    )  # fmt: skip


def _shell(d_max: float | None, *others: Any) -> Shell:
    return Shell(math.inf if d_max is None else d_max, *others)
