"""Leaves shots out before their pixels are looked at, by the values that come with them."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from braggwatch.processing.frame import Frame, Series
from braggwatch.processing.shot_groups import value_text
from braggwatch.streamer.select_settings import SelectSettings
from braggwatch.streamer.wording import plain

_MOST_NAMED = 12
"""Values of the stream that a notice names."""
_ROUNDING_S = 1e-6
"""What times lose as floating-point numbers: s since 1970 are good to a quarter of that."""


@dataclass
class Settling:
    """What is known of one series: whether its last frame had the values asked for, and since when they last came."""

    wanted: bool | None = None
    """None before the first frame."""
    since: float | None = None
    """When frames with the values came after frames without them; None where no such change was seen."""


class Selection:
    """Decides in the order in which frames arrive; the older tools' rule (mod_event_info, common_mode_correction).

    A frame is kept whose values are those of `SelectSettings.keep`, `settle` s or more after the first frame that had
    them again. As in the older tools the values are taken for settled at a series' first frame, because what was before
    is not known.

    Where images come over several sockets, one that was taken before a change may arrive after it. Then the time to
    settle begins anew with the next frame that has the values: a few more are left out, none too few.
    """

    def __init__(self, settings: SelectSettings) -> None:
        self._wanted = {name: value_text(value) for name, value in settings.keep.items()}
        self._settle = settings.settle
        self._said: tuple[tuple[str, ...], tuple[str, ...], str] = (), (), ""
        """The last notice, with what was missing and what was there: frames that lack a value come by the thousand."""

    def keeps(self, frame: Frame, series: Series, settling: Settling, arrived: float) -> bool:
        """Return whether a frame is to be looked at; `settling` of its series is brought up to date.

        A frame's time is that of its exposure, or its number times the series' frame time, or when it `arrived` (s).
        """
        if not self._wanted:
            return True
        if not all(_has(frame.values.get(name), text) for name, text in self._wanted.items()):
            settling.wanted = False
            return False
        time = _time_of(frame, series, arrived)
        if settling.wanted is False:
            settling.since = time
        settling.wanted = True
        return settling.since is None or time - settling.since >= self._settle - _ROUNDING_S

    def complaint(self, values: Mapping[str, float | int | str]) -> str:
        """Say which of the values asked for a frame does not have at all, as a sentence; empty where it has all."""
        missing = tuple(name for name in self._wanted if name not in values)
        if not missing:
            return ""
        there = tuple(values)
        if self._said[:2] != (missing, there):
            self._said = missing, there, _complaint(missing, there)
        return self._said[2]


def _has(value: float | str | None, wanted: str) -> bool:
    if value is None:
        return False
    return value_text(value) == wanted or (isinstance(value, str) and wanted in value.split())


def _time_of(frame: Frame, series: Series, arrived: float) -> float:
    if frame.timestamp is not None:
        return frame.timestamp
    return arrived if series.frame_time is None else frame.number * series.frame_time


def _complaint(missing: tuple[str, ...], there: tuple[str, ...]) -> str:
    text = f"frames come without {', '.join(missing)}, which [select] keep asks for, and are skipped; "
    if not there:
        return plain(f"{text}the stream sends no values with them", 500)
    text += f"the stream sends {', '.join(there[:_MOST_NAMED])}{', …' if len(there) > _MOST_NAMED else ''}"
    alike = [match for name in missing for match in get_close_matches(name, there, 1)]
    return plain(f"{text}. Is {' and '.join(dict.fromkeys(alike))} meant?" if alike else text, 500)
