"""How a merge is said to people, in a line and as a table by shell."""

import math
from collections.abc import Sequence

from braggwatch.processing.data_quality import USUAL_CC_HALF, Forecast, Shell, Target
from braggwatch.streamer.merge_messages import GroupDifference, GroupMerge, Merging
from braggwatch.streamer.wording import UNKNOWN, count, duration, plain, said

HELD_UP_BY = {"cc_half": "CC1/2", "completeness": "completeness", "multiplicity": "multiplicity"}
GROUP_COLUMNS = ("group", "crystals", "compl. %", "CC1/2", "outer", "reach / Å", "target")
_GROUP_WIDTHS = 8, 8, 5, 5, 9
"""Characters of each but the first and the last."""
_LONGEST_GROUP = 20
COLUMNS = ("d / Å", "unique", "compl. %", "multipl.", "I/σ", "CC1/2", "CC*", "R_split")


def forecast_in_words(forecast: Forecast | None, age: float = 0.0) -> str:
    """Return when the target is reached, `age` s after it was foretold; empty where nothing is aimed at."""
    if forecast is None:
        return ""
    if forecast.state == "reached":
        return "target reached"
    if forecast.state == "unknown":
        return "time to the target not known yet"
    held_up_by = HELD_UP_BY.get(forecast.held_up_by or "", "")
    if forecast.state == "not at this rate":
        return "target not reached at this rate" + (f": {held_up_by} holds it up" if held_up_by else "")
    low, high = (None if value is None else max(value - age, 0.0) for value in (forecast.low, forecast.high))
    middle = None if forecast.seconds is None else max(forecast.seconds - age, 0.0)
    to = "or never" if high is None else f"to {_span(high)}"
    return f"target in {_span(middle)} ({_span(low)} {to})"


def forecast_briefly(forecast: Forecast | None, age: float = 0.0) -> str:
    """Return the same in a few characters; empty where nothing is aimed at."""
    if forecast is None:
        return ""
    if forecast.state == "ahead":
        return f"in {_span(None if forecast.seconds is None else max(forecast.seconds - age, 0.0))}"
    return "not known yet" if forecast.state == "unknown" else forecast.state


def target_in_words(target: Target) -> str:
    """Return what is aimed at."""
    wanted = [
        f"CC1/2 {target.cc_half:g} in the outermost shell" if target.cc_half is not None else "",
        f"{100 * target.completeness:g} % complete" if target.completeness is not None else "",
        f"multiplicity {target.multiplicity:g}" if target.multiplicity is not None else "",
    ]
    return f"{', '.join(filter(None, wanted))} to {target.d_min:.2f} Å"


def quality_in_words(merging: Merging) -> str:
    """Return how good the data are so far, to the target's resolution."""
    whole, outer = merging.whole or merging.overall, merging.outer
    parts = [f"{count(merging.n_crystals)} crystals"]
    if whole is not None:
        parts += [
            f"{said(_percent(whole.completeness), '%')} complete to {said(whole.d_min, 'Å', 2)}",
            f"CC1/2 {said(whole.cc_half, '', 2)}" + (f" (outer {said(outer.cc_half, '', 2)})" if outer else ""),
        ]
    return " · ".join(parts)


def shell_cells(shell: Shell) -> tuple[str, ...]:
    """Return the texts of `COLUMNS` for one shell."""
    far = "∞" if math.isinf(shell.d_max) else said(shell.d_max, "", 2)
    return (
        f"{far} – {said(shell.d_min, '', 2)}", count(shell.n_unique), said(_percent(shell.completeness), ""),
        said(shell.multiplicity, ""), said(shell.snr, ""), said(shell.cc_half, "", 3), said(shell.cc_star, "", 3),
        said(shell.r_split, "", 3),
    )  # fmt: skip


def table_of_shells(merging: Merging) -> list[str]:
    """Return lines of text: a head, a line for each shell, and one for all; none where nothing is merged."""
    if merging.overall is None:
        return []
    rows: list[Sequence[str]] = [COLUMNS, *map(shell_cells, merging.shells)]
    overall = shell_cells(merging.overall)
    rows.append((f"all to {said(merging.overall.d_min, '', 2)}", *overall[1:]))
    return ["".join(f"{cell:>{17 if column == 0 else 9}}" for column, cell in enumerate(row)) for row in rows]


def table_of_groups(merging: Merging, age: float = 0.0) -> list[str]:
    """Return lines of text: a head, and one for each group; none where shots are not grouped.

    `age`: s since the message was made, which forecasts count from.
    """
    if not merging.groups:
        return []
    rows = [GROUP_COLUMNS, *(_group_cells(group, age) for group in merging.groups)]
    widest = max(len(name) for name, *_ in rows)
    return [
        "  ".join(
            [f"{name:<{widest}}", *(f"{c:>{w}}" for c, w in zip(numbers, _GROUP_WIDTHS, strict=True)), target]
        ).rstrip()
        for name, *numbers, target in rows
    ]


def _group_cells(group: GroupMerge, age: float) -> tuple[str, ...]:
    whole, outer = group.whole or group.overall, group.outer
    return (
        plain(group.name, _LONGEST_GROUP), count(group.n_crystals),
        said(_percent(whole.completeness), "") if whole else UNKNOWN, said(whole.cc_half, "", 2) if whole else UNKNOWN,
        said(outer.cc_half, "", 2) if outer else UNKNOWN, said(group.resolution, "", 2),
        forecast_briefly(group.forecast, age),
    )  # fmt: skip


def difference_in_words(difference: GroupDifference | None) -> str:
    """Return whether two groups differ by more than chance; empty where that is not known."""
    if difference is None or difference.found.beyond_chance is None:
        return ""
    first, second = (plain(name, _LONGEST_GROUP) for name in (difference.first, difference.second))
    found = difference.found
    numbers = (
        f"CC1/2 of the differences {said(found.cc_half, '', 2)} ± {said(found.cc_half_error, '', 2)}, "
        f"R_iso {said(_percent(found.r_iso), '%')}"
    )
    if found.beyond_chance:
        return f"{second} differs from {first} beyond chance ({numbers})"
    return f"{second} does not differ from {first} beyond chance so far ({numbers})"


def left_out_in_words(merging: Merging) -> str:
    """Return which crystals were not merged, and why; empty where all were."""
    reasons = (
        (merging.n_outliers, "unlike the rest"), (merging.n_foreign, "of another cell"),
        (merging.n_empty, "without usable reflections"), (merging.n_left_out, "for which there was no time"),
    )  # fmt: skip
    return ", ".join(f"{count(n)} {why}" for n, why in reasons if n)


def reach_in_words(merging: Merging) -> str:
    """Return how far CC1/2 stays above what is aimed at."""
    limit = USUAL_CC_HALF if merging.target is None or merging.target.cc_half is None else merging.target.cc_half
    return f"{said(merging.resolution, 'Å', 2)} (CC1/2 above {limit:g})"


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _span(seconds: float | None) -> str:
    return "0 s" if seconds is not None and seconds < 0.5 else duration(seconds)
