"""What is wrong with the groups of shots: one of them comes no more, or the value they are grouped by. Free of Qt.

Groups that alternate, such as pumped and dark shots, are expected to go on doing so: when one of them stops, the pump
laser may have failed. Groups that came one after the other, such as delays that are scanned, are not.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from braggwatch.gui.known_groups import KnownGroups, label
from braggwatch.gui.monitor import Monitor
from braggwatch.gui.numbers import duration
from braggwatch.processing.shot_groups import OTHERS
from braggwatch.streamer.feed_messages import Bins, History, Status
from braggwatch.streamer.wording import clock

ALTERNATES = 0.9
"""A group that has more than this part of the shots before its last one is taken to have come alone."""
EXPECTED = 10.0
"""So many shots of a group must be lacking: that none comes by chance happens once in 20 000 times."""
ENOUGH = 200
"""From so many shots on, a state that never came is missed."""
LONGEST_S = 1e8


@dataclass(frozen=True)
class GroupWarning:
    """Something that a person should look at."""

    text: str
    """As it is now, such as ``no shot of group pumped for 40 s``."""
    line: str
    """The same, as long as it lasts."""


def group_warnings(monitor: Monitor, known: KnownGroups) -> tuple[GroupWarning, ...]:
    """Return what is wrong now; it means something only while frames come."""
    status = monitor.status
    if status is None or not status.groups:
        return ()
    return (*(_silent(monitor.history, status, known) or _never(status, known)), *_without_value(status, known))


def _silent(history: History | None, status: Status, known: KnownGroups) -> tuple[GroupWarning, ...]:
    """Miss the groups that came among others, and then no more for longer than the window."""
    silent: dict[str, float] = {}
    for name in known.proper if history is not None else ():
        parts = () if history is None else (history.recent, history.session)
        found = next(filter(None, (_last_shot(part, name, status.window) for part in parts)), None)
        if found is not None and found[1] >= EXPECTED and status.window < status.time - found[0] < LONGEST_S:
            silent[name] = found[0]
    if not silent:
        return ()
    last = max(silent.values())
    names = ", ".join(map(label, silent))
    which = f"group {names}" if len(silent) == 1 else f"{len(silent)} of {len(known.proper)} groups"
    which_ones = "" if len(silent) == 1 else f": {names}"
    return (
        GroupWarning(
            f"no shot of {which} for {duration(status.time - last)}{which_ones}",
            f"no shot of {which} since {clock(last)}{which_ones}",
        ),
    )


def _never(status: Status, known: KnownGroups) -> tuple[GroupWarning, ...]:
    """Miss the states that have a name in the settings, where all shots so far are of one state."""
    frames = {group.name: max(group.frames, 0) for group in status.groups}
    came = [name for name in known.names if frames.get(name) and name != known.without_value]
    missing = [name for name in known.states if not frames.get(name)]
    if len(came) != 1 or not missing or sum(frames.values()) < ENOUGH:
        return ()
    if came == [OTHERS]:
        text = "all shots so far belong to none of the groups that have a name"
    elif len(missing) == 1:
        text = f"no shot of group {label(missing[0])} so far"
    else:
        text = f"only shots of group {label(came[0])} so far"
    return (GroupWarning(text, text),)


def _without_value(status: Status, known: KnownGroups) -> tuple[GroupWarning, ...]:
    name = known.without_value
    of_all = sum(max(group.hit.of, 0) for group in status.groups)
    lacking = sum(max(group.hit.of, 0) for group in status.groups if name and group.name == name)
    if not lacking:
        return ()
    value = label(name.removeprefix("no "))
    if lacking == of_all:
        return (GroupWarning(f"no shot comes with {value}", f"no shot comes with {value}"),)
    percent = 100 * lacking / of_all
    how_many = f"{percent:.1f}" if percent >= 0.05 else "< 0.1"
    return (GroupWarning(f"{how_many} % of the shots come without {value}", f"shots come without {value}"),)


def _last_shot(bins: Bins, name: str, window: float) -> tuple[float, float] | None:
    """Return when the last shot of a group came, s since 1970, and how many were to be expected since then.

    None where the bins hold none of it. What is expected is 0 where the group came alone before.
    """
    of_group = next((group.frames for group in bins.groups if group.name == name), [])
    last = next((i for i in range(len(of_group) - 1, -1, -1) if of_group[i] > 0), None)
    if last is None or not (math.isfinite(bins.start) and 0 < bins.width < math.inf):
        return None
    begin = max(last + 1 - max(int(min(window / bins.width, 1e6)), 1), 0) if window > 0 else last
    share = _sum(of_group[begin : last + 1]) / max(sum(_sum(g.frames[begin : last + 1]) for g in bins.groups), 1)
    since = sum(_sum(group.frames[last + 1 :]) for group in bins.groups)
    end = bins.start + bins.width * (last + 1)
    return end, (share * since if share <= ALTERNATES else 0.0)


def _sum(counts: Sequence[int]) -> int:
    return sum(n for n in counts if n > 0)
