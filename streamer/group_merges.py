"""What a merge comes to for each group of shots: told beside the merge of all, on its scale and in its setting."""

from collections.abc import Collection
from dataclasses import dataclass

from braggwatch.processing.data_quality import USUAL_CC_HALF, Forecast, Target
from braggwatch.processing.forecast import Forecaster
from braggwatch.processing.intensity_differences import difference
from braggwatch.processing.merge import Merge
from braggwatch.processing.merging import Merger
from braggwatch.processing.shot_groups import OTHERS, GroupSettings
from braggwatch.streamer.merge_messages import STRAY, GroupDifference, GroupMerge

FORECASTS_AT_ONCE = 2
"""Groups whose forecast is worked out anew in one turn, which takes 50 ms each; the others' count down meanwhile."""


_UNKNOWN = Forecast("unknown")


@dataclass
class _Watched:
    """A group's forecast and when it was made, s since 1970."""

    forecaster: Forecaster
    forecast: Forecast = _UNKNOWN
    made: float = float("-inf")


class GroupMerges:
    """Watches the groups of a merge."""

    def __init__(self, merger: Merger, target: Target | None, settings: GroupSettings | None = None) -> None:
        """`target` is what each of the groups is to reach; None: nothing. `settings` say which are leftover."""
        self._merger = merger
        self._leftover = leftover_groups(settings)
        self._target = target
        self._watched: dict[str, _Watched] = {}

    def aim(self, target: Target | None) -> None:
        """Aim at another target from now on."""
        self._target = target
        known, self._watched = self._watched, {}
        if target is not None:
            self._watched = {name: _Watched(one.forecaster.aimed_at(target)) for name, one in known.items()}

    def forget(self, settings: GroupSettings) -> None:
        """Begin all groups anew, as `settings` have them."""
        self._merger.forget_groups()
        self._leftover = leftover_groups(settings)
        self._watched = {}

    def messages(self, now: float, *, last: bool = False) -> tuple[GroupMerge, ...]:
        """Return how each group stands at `now`, s since 1970; `last`: with forecasts that are all of now."""
        groups = self._merger.groups
        self._foretell(groups, now, len(groups) if last else FORECASTS_AT_ONCE)
        return tuple(self._message(name, merge, now) for name, merge in groups.items())

    def difference(self) -> GroupDifference | None:
        """Return how far the two largest groups differ, to the target's resolution."""
        d_min = None if self._target is None else self._target.d_min
        return largest_difference(self._merger, self._leftover, d_min)

    def _foretell(self, groups: dict[str, Merge], now: float, most: int) -> None:
        if self._target is None:
            return
        for name, merge in groups.items():
            if name not in self._watched:
                self._watched[name] = _Watched(Forecaster(merge, self._target))
            self._watched[name].forecaster.note(now)
        for watched in sorted(self._watched.values(), key=lambda one: one.made)[:most]:
            watched.forecast, watched.made = watched.forecaster.forecast(), now

    def _message(self, name: str, merge: Merge, now: float) -> GroupMerge:
        if not merge.n_crystals:
            return GroupMerge(name=name, is_leftover=name in self._leftover, n_outliers=merge.n_outliers)
        found, target = merge.statistics(), self._target
        aimed = found if target is None or target.d_min == merge.unit.d_min else merge.statistics(target.d_min)
        wanted = None if target is None else target.cc_half
        watched = self._watched.get(name)
        return GroupMerge(
            name=name,
            is_leftover=name in self._leftover,
            n_crystals=merge.n_crystals,
            n_outliers=merge.n_outliers,
            shells=found.shells,
            overall=found.overall,
            resolution=found.resolution(wanted or USUAL_CC_HALF),
            outer=aimed.shells[-1],
            whole=aimed.overall,
            forecast=None if watched is None else watched.forecast.later(now - watched.made),
        )


def leftover_groups(settings: GroupSettings | None) -> frozenset[str]:
    """Return the names of what belongs to no group that was meant; where settings are unknown, of one of the two."""
    return frozenset({OTHERS, settings.group_of({})} if settings is not None else {OTHERS})


def largest_difference(
    merger: Merger, leftover: Collection[str] = (OTHERS,), d_min: float | None = None
) -> GroupDifference | None:
    """Return how far the two largest groups differ, to `d_min` in Angstrom or, left out, to that of the merge.

    None where there are no two; `leftover` ones and strays do not count.
    """
    groups = [(name, merge) for name, merge in merger.groups.items() if name not in leftover]
    largest = sorted(groups, key=lambda group: -group[1].n_crystals)[:2]
    if len(largest) < 2 or largest[1][1].n_crystals <= STRAY * largest[0][1].n_crystals:
        return None
    (first, merge), (second, other) = largest
    return GroupDifference(first, second, difference(merge, other, d_min))
