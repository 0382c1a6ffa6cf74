"""What the merge of the crystals so far comes to, as viewers and record hear it."""

import math

import msgspec

from braggwatch.processing.data_quality import Difference, Forecast, Shell, Target

STRAY = 0.02
"""Groups with fewer crystals than this share of the largest one's are strays, for which nobody waits."""
_SLOWNESS = {"reached": 0, "ahead": 1, "unknown": 2, "not at this rate": 3}


class MergeMoment(msgspec.Struct, frozen=True, gc=False):
    """How the merge stood at one moment; numbers that were not known are None."""

    time: float
    """s since 1970."""
    n_crystals: int
    cc_half: float | None
    """Of all reflections."""
    outer_cc_half: float | None
    """Of the outermost shell to the target's resolution."""
    completeness: float | None
    """Of all reflections to the target's resolution."""


class GroupMerge(msgspec.Struct, frozen=True, kw_only=True):
    """The merge of the crystals of one group, in the frame of the merge of all."""

    name: str
    is_leftover: bool = False
    """Whether these are shots that belong to no group, as their value is another one or is missing."""
    n_crystals: int = 0
    """Crystals merged."""
    n_outliers: int = 0
    """Crystals left out since they correlate neither with the rest nor with this group."""
    shells: tuple[Shell, ...] = ()
    """To the merge's resolution, low resolution first; empty, as all that follows, while no crystal is there."""
    overall: Shell | None = None
    resolution: float | None = None
    """Angstrom, where CC1/2 falls below the target's; as `Merging.resolution`."""
    outer: Shell | None = None
    whole: Shell | None = None
    forecast: Forecast | None = None
    """Seconds count from `Merging.time`."""


class GroupDifference(msgspec.Struct, frozen=True):
    """How far two groups differ, whether by chance alone or not."""

    first: str
    """Names of the groups; this is the larger one."""
    second: str
    found: Difference


class Merging(msgspec.Struct, frozen=True, kw_only=True):
    """The merge of the crystals so far; replaces the one before."""

    time: float
    """When this was worked out, s since 1970."""
    since: float
    """When the merge began."""
    problem: str = ""
    """Why nothing is merged, as a sentence; empty when all is well."""
    cell: tuple[float, float, float, float, float, float] | None = None
    """Angstrom, degrees; None while nothing is merged."""
    space_group: str = ""
    n_crystals: int = 0
    """Crystals merged."""
    n_outliers: int = 0
    """Crystals left out since they do not correlate with the rest."""
    n_empty: int = 0
    """Crystals without a reflection that could be used."""
    n_rejected: int = 0
    """Observations left out since they lie far from the others of their reflection."""
    n_foreign: int = 0
    """Crystals of another cell or space group than the merge's, left out."""
    n_left_out: int = 0
    """Shots for which there was no time."""
    settings: tuple[str, ...] = ()
    """Ways of indexing that cannot be told by the lattice, such as ``k,h,-l``; more than one where it is ambiguous."""
    in_setting: tuple[int, ...] = ()
    """How many merged crystals came in each of `settings`."""
    agreement: float | None = None
    """Share of the first crystals on whose setting two halves of them agree; None where unknown or not ambiguous."""
    shells: tuple[Shell, ...] = ()
    """To the merge's resolution, low resolution first."""
    overall: Shell | None = None
    resolution: float | None = None
    """Angstrom, where CC1/2 falls below the target's (0.5 where it has none); None where unknown or nowhere above."""
    target: Target | None = None
    outer: Shell | None = None
    """The outermost shell to the target's resolution, whose CC1/2 the target means."""
    whole: Shell | None = None
    """All reflections to the target's resolution, whose completeness and multiplicity the target means."""
    forecast: Forecast | None = None
    """Seconds count from `time`."""
    moments: tuple[MergeMoment, ...] = ()
    """How it came to this, oldest first, at most 400."""
    groups: tuple[GroupMerge, ...] = ()
    """In the order of their names; empty where shots are not grouped."""
    difference: GroupDifference | None = None
    """Of the two largest groups but leftover ones and strays, to the target's resolution; None: there are no two."""

    @property
    def slowest(self) -> GroupMerge | None:
        """The group for which the target takes longest; None where nothing is aimed at, or shots are not grouped.

        Nobody waits for leftover groups and strays.
        """
        groups = [group for group in self.groups if not group.is_leftover]
        most = max((group.n_crystals for group in groups), default=0)
        forecasts = {one.name: one.forecast for one in groups if one.forecast and one.n_crystals > STRAY * most}
        if not forecasts:
            return None

        def slowness(group: GroupMerge) -> tuple[int, float, int]:
            forecast = forecasts[group.name]
            seconds = math.inf if forecast.seconds is None else forecast.seconds
            return _SLOWNESS[forecast.state], seconds, -group.n_crystals

        return max((group for group in groups if group.name in forecasts), key=slowness)
