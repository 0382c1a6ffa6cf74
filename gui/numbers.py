"""How numbers are written in the window: what `streamer.wording` says, and what only the window needs. Free of Qt."""

import math

from braggwatch.streamer.feed_messages import Queue, Rate
from braggwatch.streamer.wording import UNKNOWN, count, duration, margin, said

__all__ = ["UNKNOWN", "age", "angstrom", "count", "distance", "duration", "energy", "fill", "frequency", "hertz",
           "margin", "number", "of", "rate"]  # fmt: skip

STALE_S = 5.0
"""A value that is older turns quiet and shows its age."""


def number(rate: Rate) -> str:
    """Return a proportion in percent without its unit, such as ``12.4``, for digits that are shown large."""
    return UNKNOWN if rate.value is None else f"{100 * rate.value:.1f}"


def rate(value: Rate) -> str:
    """Return a proportion with half its 95 % interval, such as ``12.4 % ±0.6``."""
    return UNKNOWN if value.value is None else f"{number(value)} % {margin(value)}".rstrip()


def of(rate: Rate) -> str:
    """Return what was divided, such as ``496 of 3 990``; empty while there is nothing."""
    return f"{count(rate.n)} of {count(rate.of)}" if rate.of else ""


def hertz(value: float | None) -> str:
    """Return frames a second, such as ``133.0 Hz``."""
    return said(value, "Hz")


def frequency(value: float | None) -> str:
    """Return a number of things by the second, such as ``12.5 /s``."""
    return said(value, "/s")


def angstrom(value: float | None) -> str:
    """Return a length in the crystal with two decimals, such as ``2.10 Å``."""
    return said(value, "Å", 2)


def energy(electronvolt: float | None) -> str:
    """Return a photon energy, such as ``12.40 keV``."""
    return said(None if electronvolt is None else electronvolt / 1e3, "keV", 2)


def distance(metres: float | None) -> str:
    """Return a detector's distance, such as ``150.0 mm``."""
    return said(None if metres is None else metres * 1e3, "mm")


def fill(queue: Queue) -> str:
    """Return how full the queue is, such as ``31 %``."""
    return said(100 * queue.bytes / queue.limit, "%", 0) if queue.limit > 0 else UNKNOWN


def age(seconds: float | None) -> str:
    """Return how old a value is, such as ``12 s ago``; empty while it is so fresh that nobody needs to know."""
    if seconds is None or not math.isfinite(seconds) or seconds <= STALE_S:
        return ""
    return f"{duration(seconds)} ago"
