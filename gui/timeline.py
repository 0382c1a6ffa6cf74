"""Counts against time as the processor tells them, and what a sliding window makes of them. Free of Qt."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from braggwatch.gui.known_groups import MOST, label
from braggwatch.streamer.feed_messages import Bins, History, Mark
from braggwatch.streamer.messages import State

LOOKED_AT, HITS, INDEXED, MULTI_LATTICE, LOST = range(5)
"""Rows of `Timeline.counts`: frames looked at, hits (the indexed ones included), indexed shots, those with two or more
lattices, and frames dropped or missed. The first three of each group follow."""
N_OF_ALL, N_OF_GROUP = 5, 3
MOST_FRAMES = 2**40
"""Of a bin; more is no count of frames."""
MAX_POINTS = 800
"""More are not drawn: they would lie closer than a line is wide."""


@dataclass(frozen=True)
class Timeline:
    """The whole session in bins that follow on each other: the last minutes finely, what was before coarsely."""

    edges: NDArray[np.float64]
    """``(n + 1,)``: where the bins begin and end, s since 1970."""
    counts: NDArray[np.int64]
    """``(5 + 3 g, n)``."""
    marks: tuple[Mark, ...]
    groups: tuple[str, ...] = ()
    """Names of the g groups, in the order in which their rows follow."""

    def row_of(self, group: str, row: int) -> int:
        """Return which row of `counts` is a group's `LOOKED_AT`, `HITS` or `INDEXED`."""
        return N_OF_ALL + N_OF_GROUP * self.groups.index(group) + row

    @classmethod
    def of(cls, history: History) -> Self:
        """Put the two parts of a history together; raises ValueError where it makes no sense."""
        parts = history.session, history.recent
        groups = tuple(dict.fromkeys(group.name for part in parts for group in part.groups[:MOST]))
        recent_edges, recent = _columns(history.recent, groups)
        edges, counts = _columns(history.session, groups)
        begin = recent_edges[0]
        kept = int(np.searchsorted(edges, begin))  # so many edges lie before
        if kept and kept < len(edges):
            # The bin within which the fine ones begin: what they have of it is taken out of it.
            inside = recent[:, : int(np.searchsorted(recent_edges, edges[kept], side="right")) - 1]
            counts[:, kept - 1] = np.maximum(counts[:, kept - 1] - inside.sum(axis=1), 0)
        kept = min(kept, counts.shape[1])
        marks = tuple(mark for mark in history.marks if np.isfinite(mark.time))
        edges, counts = np.concatenate((edges[:kept], recent_edges)), np.concatenate((counts[:, :kept], recent), axis=1)
        for first in (0, *range(N_OF_ALL, len(counts), N_OF_GROUP)):
            looked_at, hits, indexed = counts[first : first + N_OF_GROUP]
            np.minimum(hits, looked_at, out=hits)
            np.minimum(indexed, hits, out=indexed)
        np.minimum(counts[MULTI_LATTICE], counts[INDEXED], out=counts[MULTI_LATTICE])
        return cls(edges, counts, marks, groups)


@dataclass(frozen=True)
class Sliding:
    """What a window saw whose end slides along the timeline; gaps between runs have a column of zeros."""

    times: NDArray[np.float64]
    """``(m,)``: ends of the window, s since 1970."""
    sums: NDArray[np.int64]
    """``(5 + 3 g, m)``."""
    seconds: NDArray[np.float64]
    """``(m,)``: how many s the window really covers; less than wanted at the beginning of a run."""


def slide(timeline: Timeline, window: float, since: float) -> Sliding:
    """Return the sums over the last `window` s at the end of each bin that ends later than `since`.

    The window holds every bin that begins within it, one at least, and never reaches back into the run before. Where
    the line has to be broken, because a run is over or another one begins, all counts are zero. Of more than 800 bins
    evenly chosen ones are returned, the last one always.
    """
    edges, n = timeline.edges, timeline.counts.shape[1]
    first = int(np.searchsorted(edges, since, side="right"))
    step = -(-(n + 1 - first) // MAX_POINTS) if n + 1 > first else 1
    ends = np.arange(n, max(first, 1) - 1, -step)[::-1]
    begins = np.searchsorted(edges, edges[ends] - window - 1e-6 * window)
    begins = np.minimum(begins, np.maximum(ends - step, 0))
    began, idle = _runs(timeline)
    at = np.searchsorted(began, ends - 1, side="right") - 1
    begins = np.maximum(begins, np.where(at >= 0, began[at], 0) if len(began) else 0)
    total = np.concatenate((np.zeros((len(timeline.counts), 1), np.int64), np.cumsum(timeline.counts, axis=1)), axis=1)
    sums = total[:, ends] - total[:, begins]
    sums[:, idle[ends - 1]] = 0
    seconds = edges[ends] - edges[begins]
    # Where a run begins, a point without counts between it and the one before breaks the line.
    breaks = np.flatnonzero(np.diff(at)) + 1
    times = np.insert(edges[ends], breaks, edges[begins[breaks]])
    return Sliding(times, np.insert(sums, breaks, 0, axis=1), np.insert(seconds, breaks, 1.0))


def _runs(timeline: Timeline) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the bins in which a run began, ascending, and for each bin whether it is empty and after a run's end."""
    n = timeline.counts.shape[1]
    marks = sorted((m for m in timeline.marks if m.kind != "settings"), key=lambda mark: mark.time)
    places = np.searchsorted(timeline.edges, [mark.time for mark in marks], side="right") - 1
    over = np.array([mark.kind == "run ended" for mark in marks], bool)
    began = np.unique(places[~over])
    last = np.searchsorted(places, np.arange(n), side="right") - 1
    after_end = (last >= 0) & over[last] if len(marks) else np.zeros(n, bool)
    return began[(began >= 0) & (began < n)], after_end & (timeline.counts[LOOKED_AT] == 0)


def _columns(bins: Bins, groups: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    n = len(bins.multi_lattice)
    if not (1e-3 <= bins.width < 1e9 and abs(bins.start) < 1e12):
        raise ValueError(f"bins of {bins.width} s from {bins.start} s on; expected 0.001 s or more, and finite times")
    try:
        by_state = {state: np.array(bins.counts.get(state, [0] * n), np.int64) for state in State}
        multi_lattice = np.array(bins.multi_lattice, np.int64)
    except OverflowError:
        raise ValueError("counts that are larger than any detector can send") from None
    for state, column in (*by_state.items(), ("multi-lattice", multi_lattice)):
        if len(column) != n or (column < 0).any() or (column > MOST_FRAMES).any():
            raise ValueError(f"{len(column)} bins of {state} frames; expected {n} with counts from 0 to 2⁴⁰")
    indexed = by_state[State.INDEXED]
    hits = by_state[State.HIT] + indexed
    counts: NDArray[np.int64] = np.stack(
        [by_state[State.BLANK] + hits, hits, indexed, np.minimum(multi_lattice, indexed),
         by_state[State.DROPPED] + by_state[State.MISSED]]
    )  # fmt: skip
    edges = bins.start + bins.width * np.arange(n + 1, dtype=np.float64)
    return edges, np.concatenate((counts, *_of_groups(bins, n, groups)))


def _of_groups(bins: Bins, n: int, groups: Sequence[str]) -> list[NDArray[np.int64]]:
    """Return ``(3, n)`` for each group: frames looked at, hits, indexed; zeros for one that the bins do not know."""
    by_name = {group.name: group for group in bins.groups}
    found = []
    for name in groups:
        group = by_name.get(name)
        columns = [[0] * n] * N_OF_GROUP if group is None else [group.frames, group.hits, group.indexed]
        lengths = [len(column) for column in columns]
        if lengths != [n] * N_OF_GROUP:
            raise ValueError(f"columns of {lengths} bins of group {label(name)}; expected {n} in each")
        try:
            rows = np.array(columns, np.int64)
        except OverflowError:
            raise ValueError("counts that are larger than any detector can send") from None
        if (rows < 0).any() or (rows > MOST_FRAMES).any():
            raise ValueError(f"counts of group {label(name)} beyond 0 to 2⁴⁰")
        found.append(rows)
    return found
