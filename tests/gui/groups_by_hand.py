"""Shots of several groups, made by hand."""

import msgspec
import numpy as np
from numbers_by_hand import T0, bins, history, random_bins

from braggwatch.streamer.feed_messages import Bins, GroupBins, History
from braggwatch.streamer.messages import State
from braggwatch.streamer.picture_messages import SettingsInForce

TWO_STATES = SettingsInForce(
    version=1, time=T0, text='[groups]\nby = "laser_1"\nnames = { "0" = "dark", "1" = "pumped" }\n'
)


def grouped(made: Bins, **columns: list[int] | tuple[list[int], list[int], list[int]]) -> Bins:
    """Bins with groups: frames alone, or frames, hits and indexed."""
    groups = []
    for name, column in columns.items():
        frames, hits, indexed = column if isinstance(column, tuple) else (column, [0] * len(column), [0] * len(column))
        groups.append(GroupBins(name=name.replace("_", " "), frames=frames, hits=hits, indexed=indexed))
    return msgspec.structs.replace(made, groups=tuple(groups))


def of_frames(**columns: list[int]) -> History:
    """A history of which only is known how many frames of each group came in each second; the others were blank."""
    n = len(next(iter(columns.values())))
    made = bins({State.BLANK: [sum(column[i] for column in columns.values()) for i in range(n)]})
    return history(grouped(made, **columns))


def random_groups(rates: dict[str, float], n: int = 600, frames: float = 60.0, seed: int = 3) -> History:
    """Groups that hit at some rate, and of whose hits 70 % are indexed."""
    random = np.random.default_rng(seed)
    groups = []
    for name, rate in rates.items():
        of_group = random.poisson(frames, n)
        hits = random.binomial(of_group, rate)
        groups.append(GroupBins(name=name, frames=of_group.tolist(), hits=hits.tolist(),
                                indexed=random.binomial(hits, 0.7).tolist()))  # fmt: skip
    return history(msgspec.structs.replace(random_bins(n), groups=tuple(groups)))
