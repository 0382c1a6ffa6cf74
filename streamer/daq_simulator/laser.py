"""The simulated pump laser: on for some shots, off for others, again and again."""

import re

LONGEST = 100_000
"""Shots until the pattern repeats."""

_PART = re.compile(r"(\d{1,6}) +(on|off)")


def laser_pattern(text: str) -> tuple[int, ...]:
    """Return the laser's state, 1 or 0, for each shot until it repeats: ``2 on, 1 off`` is 1, 1, 0.

    Raises ValueError for anything else, and for patterns of no or more than 100 000 shots.
    """
    states: list[int] = []
    for part in text.split(","):
        found = _PART.fullmatch(part.strip())
        if found is None:
            raise ValueError(f"a laser's pattern looks like '1 on, 1 off'; found {text!r}")
        if len(states) + int(found[1]) > LONGEST:
            raise ValueError(f"a laser's pattern repeats after at most {LONGEST} shots; found {text!r}")
        states += [int(found[2] == "on")] * int(found[1])
    if not states:
        raise ValueError(f"a laser's pattern has at least one shot; found {text!r}")
    return tuple(states)
