"""Shots counted by group, in bounded memory whatever a detector sends."""

from collections.abc import Iterable, Mapping

from braggwatch.processing.shot_groups import LONGEST_NAME, MAX_GROUPS, OTHERS, GroupSettings
from braggwatch.streamer.feed_messages import GroupBins
from braggwatch.streamer.messages import State
from braggwatch.streamer.wording import plain


class GroupNames:
    """Keeps groups few: the first 16 that come have their name, all further ones are one.

    A name that is new must be the one that the settings in force give: a result may have been on its way when they were
    changed.
    """

    def __init__(self, settings: GroupSettings) -> None:
        self._settings = settings
        self._kept: dict[str, str] = {}

    def __call__(self, name: str, values: Mapping[str, float | int | str]) -> str:
        """Return the name under which a shot is counted that a worker put into a group; empty for none.

        `values` are those that came with its frame.
        """
        if not name:
            return ""
        kept = self._kept.get(name)
        if kept is not None:
            return kept
        name = self._settings.group_of(values)
        if not name or name == OTHERS or name in self._kept:
            return self._kept.get(name, name)
        if len(self._kept) >= MAX_GROUPS:
            return OTHERS
        kept = self._kept[name] = plain(name, LONGEST_NAME)
        return kept


class GroupCount:
    """How many shots of one group were looked at, and what they were."""

    __slots__ = ("frames", "hits", "indexed")

    def __init__(self) -> None:
        self.frames = 0
        self.hits = 0
        """Indexed ones included."""
        self.indexed = 0

    def add(self, state: State, n: int = 1) -> None:
        """Count n shots that ended in a state; only blank, hit and indexed were looked at."""
        if state is State.INDEXED:
            self.indexed += n
            self.hits += n
        elif state is State.HIT:
            self.hits += n
        elif state is not State.BLANK:
            return
        self.frames += n


class GroupCounts:
    """The counts of all groups, by name."""

    __slots__ = ("by_name",)

    def __init__(self) -> None:
        self.by_name: dict[str, GroupCount] = {}

    def add(self, name: str, state: State, n: int = 1) -> None:
        """Count n shots of a group; those without a group are not counted."""
        if not name:
            return
        count = self.by_name.get(name)
        if count is None:
            count = self.by_name[name] = GroupCount()
        count.add(state, n)

    def merge(self, other: "GroupCounts") -> None:
        """Add what was counted elsewhere."""
        for name, count in other.by_name.items():
            total = self.by_name.get(name)
            if total is None:
                total = self.by_name[name] = GroupCount()
            total.frames += count.frames
            total.hits += count.hits
            total.indexed += count.indexed


def group_bins(bins: Iterable[GroupCounts]) -> tuple[GroupBins, ...]:
    """Turn the counts in bins that follow on each other into columns, a set of them for each group."""
    counted = [counts.by_name for counts in bins]
    nothing = GroupCount()
    names = sorted(set().union(*counted))
    columns = ((name, [counts.get(name, nothing) for counts in counted]) for name in names)
    return tuple(
        GroupBins(
            name=name,
            frames=[count.frames for count in column],
            hits=[count.hits for count in column],
            indexed=[count.indexed for count in column],
        )
        for name, column in columns
    )
