"""Which groups of shots there are, in which order, and what colour each has everywhere in the window. Free of Qt."""

import math
import re
import tomllib
from dataclasses import dataclass
from functools import lru_cache

from pydantic import ValidationError

from braggwatch.gui.monitor import Monitor
from braggwatch.gui.theme import N_GROUP_TONES, group_tone
from braggwatch.processing.shot_groups import LONGEST_NAME, OTHERS, GroupSettings
from braggwatch.streamer.wording import plain

MOST = 64
"""More names are not looked at; a processor tells fewer groups apart."""
_NUMBER = re.compile(r"(-?\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class KnownGroups:
    """The groups of the settings in force, in their order, then others that shots came with, by their names."""

    names: tuple[str, ...] = ()
    """As the processor says them; `label` is for people. Those of `leftover` stand last."""
    leftover: frozenset[str] = frozenset()
    """The groups of shots that belong to none, because their value is another one or is not there."""
    states: tuple[str, ...] = ()
    """The groups that the settings name, whether shots came with them or not; empty where they do not."""
    by: str = ""
    """The value that shots are grouped by; empty where that is not known."""

    @property
    def proper(self) -> tuple[str, ...]:
        """The names without those of `leftover`."""
        return tuple(name for name in self.names if name not in self.leftover)

    @property
    def without_value(self) -> str:
        """The group of shots that came without the value they are grouped by; empty where it is not known."""
        if self.by:
            return GroupSettings(by=self.by).group_of({})
        return next((name for name in self.names if name in self.leftover and name != OTHERS), "")

    def tone(self, name: str) -> str:
        """Return the name of the field of `Theme` that is a group's colour."""
        if name in self.leftover or name not in self.names:
            return "quiet"
        return group_tone(self.names.index(name))

    def dashed(self, name: str) -> bool:
        """Return whether a group's line is dashed, because another group may have the same colour."""
        return name in self.names and self.names.index(name) >= N_GROUP_TONES and name not in self.leftover


def known_groups(monitor: Monitor) -> KnownGroups:
    """Return the groups that are known; none where shots are not grouped."""
    text = "" if monitor.settings is None else monitor.settings.text
    by, expected, are_states = _of_settings(text)
    history = monitor.history
    said = (monitor.status, monitor.finished, *((history.session, history.recent) if history is not None else ()))
    told = [group.name for message in said if message is not None for group in message.groups[:MOST]]
    return _ordered(by, expected, are_states, tuple(dict.fromkeys((*told, *monitor.hits.groups[:MOST]))))


def label(name: str) -> str:
    """Return a group's name as it is shown."""
    return plain(name, LONGEST_NAME)


@lru_cache(maxsize=8)
def _ordered(by: str, expected: tuple[str, ...], are_states: bool, told: tuple[str, ...]) -> KnownGroups:
    others = sorted({name for name in told if name} - set(expected), key=_by_number)
    missing = GroupSettings(by=by).group_of({})
    leftover = [name for name in others if name in (OTHERS, missing) or (not by and name.startswith("no "))]
    names = (*expected, *(name for name in others if name not in leftover), *leftover)
    return KnownGroups(names[:MOST], frozenset(leftover), expected if are_states else (), by)


@lru_cache(maxsize=4)
def _of_settings(text: str) -> tuple[str, tuple[str, ...], bool]:
    """Return the value by which settings group, the groups that they tell apart, and whether these have names."""
    try:
        settings = GroupSettings.model_validate(tomllib.loads(text).get("groups", {}))
    except (tomllib.TOMLDecodeError, RecursionError, ValidationError):
        return "", (), False
    if settings.edges:
        places = (math.nextafter(settings.edges[0], -math.inf), *settings.edges)
        between = (settings.group_of({settings.by: place}) for place in places)
        return settings.by, tuple(dict.fromkeys(between)), False
    return settings.by, tuple(dict.fromkeys(settings.names.values())), bool(settings.names)


def _by_number(name: str) -> tuple[tuple[bool, float, str], ...]:
    """Return what sorts names as people do: 2 before 10."""
    parts = _NUMBER.split(name[:LONGEST_NAME])
    return tuple((i % 2 == 0, float(part) if i % 2 else 0.0, "" if i % 2 else part) for i, part in enumerate(parts))
