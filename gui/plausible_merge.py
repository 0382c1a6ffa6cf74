"""What a message about the merge says, without what cannot be. Free of Qt."""

import math
from dataclasses import dataclass, replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from braggwatch.processing.data_quality import Difference, Forecast, Shell, Target
from braggwatch.streamer.merge_messages import GroupMerge, Merging

F64 = NDArray[np.float64]

FINEST, COARSEST = 0.05, 1e4
"""Angstrom; no resolution lies beyond."""
MOST = 10**15
"""Nothing is counted further."""
_MOST_GROUPS = 64
"""A processor tells fewer of them apart."""
_LONGEST_S = 1e8
_LATEST = 1e11


@dataclass(frozen=True, eq=False)
class Moments:
    """How the merge came to where it is, as arrays ``(n,)`` by time; NaN where a number is unknown."""

    time: F64
    """s since 1970."""
    n_crystals: F64
    cc_half: F64
    outer_cc_half: F64
    completeness: F64


def number(value: float | None, low: float, high: float) -> float | None:
    """Return a number that lies within limits; None for any other."""
    return value if value is not None and low <= value <= high else None


def count_of(n: int) -> int | None:
    """Return a number of things; None for what cannot be one."""
    return n if 0 <= n <= MOST else None


def spacing(d: float | None) -> float | None:
    """Return a resolution, Angstrom; None for what cannot be one."""
    return number(d, FINEST, COARSEST)


def plausible_shell(shell: Shell | None) -> Shell | None:
    """Return a shell with None for every number that cannot be; None where its limits make no sense."""
    if shell is None or spacing(shell.d_min) is None or not shell.d_max > shell.d_min:
        return None
    return replace(
        shell,
        n_possible=count_of(shell.n_possible) or 0,
        n_unique=count_of(shell.n_unique) or 0,
        n_observations=count_of(shell.n_observations) or 0,
        n_pairs=count_of(shell.n_pairs) or 0,
        completeness=number(shell.completeness, 0, 1),
        multiplicity=number(shell.multiplicity, 0, 1e9),
        snr=number(shell.snr, -1e6, 1e6),
        cc_half=number(shell.cc_half, -1, 1),
        cc_half_error=number(shell.cc_half_error, 0, 2),
        cc_star=number(shell.cc_star, 0, 1),
        r_split=number(shell.r_split, 0, 1e4),
    )


def plausible_shells(merging: Merging | GroupMerge) -> list[Shell]:
    """Return the shells that make sense, low resolution first."""
    shells = [found for shell in merging.shells if (found := plausible_shell(shell)) is not None]
    return sorted(shells, key=lambda shell: -shell.d_min)


def plausible_target(merging: Merging) -> Target | None:
    """Return the target; None where there is none, or its resolution cannot be."""
    target = merging.target
    return target if target is not None and spacing(target.d_min) is not None else None


def plausible_forecast(merging: Merging | GroupMerge) -> Forecast | None:
    """Return the forecast, an unknown one where its numbers contradict each other; None where there is none."""
    found = merging.forecast
    if found is None:
        return None
    seconds, low, high = (number(value, 0, _LONGEST_S) for value in (found.seconds, found.low, found.high))
    if found.state == "ahead" and (seconds is None or (low or 0.0) > seconds or (high or math.inf) < seconds):
        return Forecast("unknown")
    return replace(
        found, seconds=seconds, low=low, high=high, crystals=number(found.crystals, 0, MOST),
        completeness_limit=number(found.completeness_limit, 0, 1),
    )  # fmt: skip


def plausible_groups(merging: Merging) -> tuple[GroupMerge, ...]:
    """Return the groups, each name once, with None for every number that cannot be; in the order of the message."""
    return tuple({group.name: _plausible_group(group) for group in merging.groups[:_MOST_GROUPS]}.values())


def _plausible_group(group: GroupMerge) -> GroupMerge:
    return msgspec.structs.replace(
        group,
        n_crystals=count_of(group.n_crystals) or 0,
        n_outliers=count_of(group.n_outliers) or 0,
        shells=tuple(plausible_shells(group)),
        overall=plausible_shell(group.overall),
        outer=plausible_shell(group.outer),
        whole=plausible_shell(group.whole),
        resolution=spacing(group.resolution),
        forecast=plausible_forecast(group),
    )


def plausible_difference(merging: Merging) -> Difference | None:
    """Return how far two groups differ, with None for every number that cannot be; None where nothing is said."""
    if merging.difference is None:
        return None
    found = merging.difference.found
    return Difference(
        count_of(found.n) or 0, number(found.cc_half, -1, 1), number(found.cc_half_error, 0, 2),
        number(found.r_iso, 0, 1e4),
    )  # fmt: skip


def plausible_time(time: float) -> float | None:
    """Return a moment, s since 1970; None for what cannot be one."""
    return number(time, 0, _LATEST)


def plausible_moments(merging: Merging) -> Moments:
    """Return the moments that have a time and a number of crystals, oldest first."""
    rows = [
        (moment.time, moment.n_crystals, _cc(moment.cc_half), _cc(moment.outer_cc_half), _share(moment.completeness))
        for moment in merging.moments
        if plausible_time(moment.time) is not None and count_of(moment.n_crystals) is not None
    ]
    columns = np.array(sorted(rows, key=lambda row: row[0]), np.float64).reshape(-1, 5).T
    return Moments(*columns)


def _cc(value: float | None) -> float:
    known = number(value, -1, 1)
    return math.nan if known is None else known


def _share(value: float | None) -> float:
    known = number(value, 0, 1)
    return math.nan if known is None else known
