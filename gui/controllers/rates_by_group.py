"""The rates of each group of shots: curves, numbers, and whether two of them differ by more than chance."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from braggwatch.gui.group_differences import Difference, largest_difference
from braggwatch.gui.known_groups import KnownGroups, label
from braggwatch.gui.numbers import margin, number, of
from braggwatch.gui.rate_curves import OF_GROUPS, Curve, Proportion, curve_of, proportion_of, said
from braggwatch.gui.timeline import LOOKED_AT, Sliding, Timeline
from braggwatch.streamer.wording import clock, duration

Kind = Literal["all", "hit", "indexed", "indexed of all"]
KINDS: dict[Kind, str] = {
    "all": "all together",
    "hit": "hit rate by group",
    "indexed": "indexed of hits by group",
    "indexed of all": "indexed of all by group",
}
"""What can be drawn, and how it is called."""
_PROPORTION: dict[Kind, Proportion] = dict(zip(("hit", "indexed", "indexed of all"), OF_GROUPS, strict=True))
MOST_DRAWN = 8
"""More curves cannot be told apart."""


@dataclass(frozen=True)
class GroupRate:
    """One group."""

    key: str
    """Its name as the processor says it."""
    name: str
    short: str
    """The same without what all groups have in common, for where there is little room."""
    tone: str
    """Name of a field of `Theme`."""
    dashed: bool
    curve: Curve
    digits: str
    """The rate over the window, in percent, without the unit; “–” when unknown. After a run, that of its end."""
    margin: str
    below: str
    """What was divided."""
    meaning: str


@dataclass(frozen=True)
class Comparison:
    """The two groups that differ most."""

    texts: tuple[str, ...]
    """The longest first."""
    sure: bool
    """Whether they differ by more than chance."""
    meaning: str


@dataclass(frozen=True)
class ByGroup:
    """What is drawn of the groups."""

    quantity: str
    groups: tuple[GroupRate, ...]
    """In the order of `KnownGroups`."""
    note: tuple[str, ...]
    """That groups are left out, the longest text first; empty where none is."""
    comparison: Comparison | None


def rates_by_group(timeline: Timeline, sliding: Sliding, known: KnownGroups, kind: Kind, since: float) -> ByGroup:
    """Return the rates of the largest groups since a time, s since 1970; `kind` is none but ``all``."""
    wanted = _PROPORTION[kind]
    begin = _first_of(timeline, since)
    frames = {name: int(timeline.counts[timeline.row_of(name, LOOKED_AT), begin:].sum()) for name in timeline.groups}
    seen = [name for name, n in sorted(frames.items(), key=lambda item: -item[1]) if n]
    order = {name: i for i, name in enumerate(known.names)}
    drawn = sorted(seen[:MOST_DRAWN], key=lambda name: order.get(name, len(order)))
    largest = f"showing the {len(drawn)} largest of {len(seen)} groups"
    note = (
        (f"too many to draw: {largest}", largest, f"{len(drawn)} largest of {len(seen)}")
        if len(seen) > len(drawn)
        else ()
    )
    groups = tuple(_group(timeline, sliding, known, wanted, name) for name in drawn)
    return ByGroup(wanted.name, groups, note, _comparison(timeline, known, wanted, seen, begin))


def _first_of(timeline: Timeline, since: float) -> int:
    """Return the first bin since a time in which a shot of any group was looked at; where there is none, the last."""
    rows = [timeline.row_of(name, LOOKED_AT) for name in timeline.groups]
    begin = int(np.searchsorted(timeline.edges, since))
    found = np.flatnonzero(timeline.counts[rows, begin:].any(axis=0))
    return begin + int(found[0]) if len(found) else timeline.counts.shape[1] - 1


def _last_of(sliding: Sliding) -> int:
    """Return the last point at which a run was on; after it there is nothing new to be said."""
    on = np.flatnonzero(sliding.sums[LOOKED_AT])
    return int(on[-1]) if len(on) else -1


def _group(timeline: Timeline, sliding: Sliding, known: KnownGroups, wanted: Proportion, name: str) -> GroupRate:
    n = sliding.sums[timeline.row_of(name, wanted.row)]
    divided_by = sliding.sums[timeline.row_of(name, wanted.of)]
    at = _last_of(sliding)
    last = proportion_of(int(n[at]), int(divided_by[at]))
    when = f"the {duration(float(sliding.seconds[at]))} before {clock(float(sliding.times[at]))}"
    return GroupRate(
        name, label(name), label(name).removeprefix(f"{known.by} "), known.tone(name), known.dashed(name),
        curve_of(n, divided_by),
        number(last), margin(last), of(last) or "none",
        f"{label(name)}: {wanted.name} over {when}, in %, ± half the 95 % interval (Wilson). "
        "A click opens the group's newest hits.",
    )  # fmt: skip


def reading(timeline: Timeline, sums: NDArray[np.int64], drawn: ByGroup) -> list[str]:
    """Return each group's rate in one column of `Sliding.sums`."""
    wanted = next(proportion for proportion in OF_GROUPS if proportion.name == drawn.quantity)
    return [
        f"{group.name} "
        + said(int(sums[timeline.row_of(group.key, wanted.row)]), int(sums[timeline.row_of(group.key, wanted.of)]))
        for group in drawn.groups
    ]


def _comparison(
    timeline: Timeline, known: KnownGroups, wanted: Proportion, seen: list[str], begin: int
) -> Comparison | None:
    """Compare all groups that shots belong to; where there is but one, with the shots that belong to none."""
    proper = [name for name in known.proper if name in seen]
    names = proper if len(proper) > 1 else [name for name in reversed(known.names) if name in seen]
    counts = {}
    for name in names:
        n, divided_by = (timeline.counts[timeline.row_of(name, row), begin:].sum() for row in (wanted.row, wanted.of))
        counts[name] = int(n), int(divided_by)
    found = largest_difference(counts)
    if found is None:
        return None
    span = duration(float(timeline.edges[-1] - timeline.edges[begin]))
    return Comparison(_texts(found, len(counts), span), found.verdict == "more than chance", _meaning(found, span))


def _texts(found: Difference, n_groups: int, span: str) -> tuple[str, ...]:
    verdict = found.verdict
    most = f"of {n_groups} groups these differ most: " if n_groups > 2 else ""
    return (
        f"{most}{found}, {verdict} (last {span})",
        f"{most}{found}, {verdict}",
        f"{found}, {verdict}",
        f"{label(found.one)} – {label(found.other)}: {found.points}, {verdict}",
        f"{found.points}, {verdict}",
        f"{found.points.removesuffix(' points')}, {verdict}",
        verdict,
    )


def _meaning(found: Difference, span: str) -> str:
    return (
        f"{found}, {found.verdict}, over the last {span}.\n"
        "Percentage points ± half the 95 % interval (Newcombe). “More than chance”: chance alone would do as much\n"
        "less than once in 1 000 times, “may be chance”: once in 20 to 1 000 times; with more than two groups,\n"
        "allowing for the number of pairs. Where the groups were measured one after the other, the jet or\n"
        "the crystals may have changed as well."
    )
