"""The quality of merged data, and when it will do, in words."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from braggwatch.gui.numbers import UNKNOWN, angstrom, count, duration
from braggwatch.processing.data_quality import Forecast, Shell, Target

FEW = 100
"""Merged crystals: what rests on fewer is said to be so far."""
OLD_S = 20.0
"""The processor tells of the merge every few seconds; what is older than this is quiet and says so."""
_ANY_MOMENT_S = 3.0
PARTS = {"cc_half": "CC½", "completeness": "completeness", "multiplicity": "multiplicity"}


@dataclass(frozen=True)
class Words:
    """A statement in several lengths, the longest first, with the colour of its meaning."""

    texts: tuple[str, ...]
    tone: str = "text"
    """Name of a field of `Theme`."""


def percent(share: float | None) -> str:
    """Return a share as ``98.9 %``, cut off rather than rounded: 100 % is all."""
    return UNKNOWN if share is None else f"{math.floor(1000 * share + 1e-9) / 10:.1f} %"


def correlation(value: float | None, digits: int = 2) -> str:
    """Return CC1/2 or CC*, cut off rather than rounded: what is 0.50 has reached 0.5."""
    if value is None:
        return UNKNOWN
    scale = 10**digits
    return f"{math.floor(scale * value + 1e-9) / scale:.{digits}f}".replace("-", "−")


def times(value: float | None) -> str:
    """Return a multiplicity as ``12.3``, or an intensity over its error; in full where it is large."""
    if value is None:
        return UNKNOWN
    return (f"{value:.1f}" if abs(value) < 1000 else count(round(value))).replace("-", "−")


def span(low: float, high: float) -> str:
    """Return two durations as ``8–19 min``, or with a unit each where these are others."""
    (low_number, _, low_unit), (high_number, _, high_unit) = (duration(s).partition(" ") for s in (low, high))
    if low_unit != high_unit:
        return f"{low_number} {low_unit} – {high_number} {high_unit}"
    return f"{low_number} {low_unit}" if low_number == high_number else f"{low_number}–{high_number} {low_unit}"


def forecast_words(forecast: Forecast | None, elapsed: float, *, over: bool, n_crystals: int | None) -> Words:
    """Say when the target will be reached, from now; `elapsed`: s since the forecast was made.

    `over`: no more crystals will come.
    """
    if forecast is None:
        return Words(("No target is set",), "quiet")
    if forecast.state == "reached":
        return _reached(n_crystals)
    if over:
        return _ended(forecast)
    if forecast.state == "ahead" and forecast.seconds is not None:
        return _ahead(forecast, elapsed)
    if forecast.state == "not at this rate":
        return _not_at_this_rate(forecast)
    return Words(
        ("When the target is reached is not known yet", "When it is done is not known yet", "Not known yet when done",
         "Not known yet"),
        "quiet",
    )  # fmt: skip


def _reached(n_crystals: int | None) -> Words:
    if n_crystals is not None and n_crystals < FEW:
        text = f"Target reached, by {count(n_crystals)} crystals so far"
        return Words((text, "Target reached so far", "Reached so far"), "indexed")
    return Words(("Target reached", "Reached"), "indexed")


def _ended(forecast: Forecast) -> Words:
    """Say what was lacking in the end."""
    if forecast.state == "ahead" and forecast.seconds is not None:
        more = f"about {duration(forecast.seconds)} more"
        return Words((f"Target not reached: {more} would have done", f"Not reached: {more}", "Not reached"))
    held_up = f", held up by {PARTS[forecast.held_up_by]}" if forecast.held_up_by else ""
    return Words((f"Target not reached{held_up}", "Target not reached", "Not reached"))


def _ahead(forecast: Forecast, elapsed: float) -> Words:
    assert forecast.seconds is not None
    seconds = max(forecast.seconds - elapsed, 0.0)
    low = max((forecast.low or 0.0) - elapsed, 0.0)
    if seconds < _ANY_MOMENT_S:
        late = "" if forecast.high is None else f" ({duration(max(forecast.high - elapsed, 0.0))} at most)"
        return Words((f"Done any moment now{late}", "Done any moment now", "Any moment now"))
    about = duration(seconds)
    if forecast.high is None:
        between = f"{duration(low)} or longer, even over a day"
        short = f"{duration(low)} or longer"
    else:
        between = short = span(low, max(forecast.high - elapsed, seconds))
    return Words(
        (f"Done in about {about} ({between})", f"Done in about {about} ({short})", f"Done in {about} ({short})",
         f"Done in {about}", f"in {about}")
    )  # fmt: skip


def _not_at_this_rate(forecast: Forecast) -> Words:
    sentence = "Will not be reached at this rate"
    if forecast.held_up_by is None:
        return Words((sentence, "Not at this rate"), "alarm")
    what = PARTS[forecast.held_up_by]
    held_up = f"{sentence}: held up by {what}"
    texts = [held_up, f"Not at this rate: held up by {what}", f"Not at this rate: {what}", "Not at this rate"]
    if forecast.held_up_by == "completeness" and forecast.completeness_limit is not None:
        texts.insert(0, f"{held_up}, which approaches {percent(forecast.completeness_limit)}")
    return Words(tuple(texts), "alarm")


def target_words(target: Target | None) -> tuple[str, ...]:
    """Say what is aimed at."""
    if target is None:
        return ("No target", "")
    wanted = [
        *([f"CC½ {correlation(target.cc_half)}"] if target.cc_half is not None else []),
        *([f"{percent(target.completeness)} complete"] if target.completeness is not None else []),
        *([f"{times(target.multiplicity)}-fold"] if target.multiplicity is not None else []),
    ]
    at = angstrom(target.d_min)
    return f"Target: {', '.join(wanted)} at {at}", f"Target: {', '.join(wanted[:1])} at {at}", f"Target {at}"


def quality_words(outer: Shell | None, whole: Shell | None, *, few: bool) -> tuple[str, ...]:
    """Say how good the data are at the target's resolution, in a line."""
    cc = f"CC½ {correlation(outer.cc_half if outer is not None else None)}"
    complete = percent(whole.completeness if whole is not None else None)
    fold = f"{times(whole.multiplicity if whole is not None else None)}-fold"
    at = f" at {angstrom(outer.d_min)}" if outer is not None else ""
    far = " so far" if few else ""
    return (
        f"{cc}{at} · {complete} complete · {fold}{far}", f"{cc}{at} · {complete} complete{far}",
        f"{cc} · {complete} complete{far}", f"{cc} · {complete}{far}", f"{cc} · {complete}", cc,
    )  # fmt: skip


def left_out(outliers: int | None, foreign: int | None, empty: int | None) -> str:
    """Say which crystals are not in the merge, and why."""
    parts = ((outliers, "outlier" if outliers == 1 else "outliers"), (foreign, "of another cell"), (empty, "empty"))
    return " · ".join(f"{count(n)} {what}" for n, what in parts if n != 0) or "none"


def settings_words(names: Sequence[str], numbers: Sequence[int | None], agreement: float | None) -> str:
    """Say how many crystals came in each of the settings that the lattice cannot tell."""
    shares = " · ".join(f"{name} {count(n)}" for name, n in zip(names, numbers, strict=False))
    said = "not sure yet" if agreement is None else f"{percent(agreement)} agree"
    return f"{shares} · {said}"
