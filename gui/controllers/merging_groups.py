"""The merge by group: what is said of each, and which part of the merge the panels speak of."""

import msgspec

from braggwatch.gui.controllers.merging_view import GroupLine
from braggwatch.gui.controllers.merging_wording import Words, correlation, forecast_words, percent
from braggwatch.gui.known_groups import KnownGroups, label
from braggwatch.gui.numbers import angstrom, count
from braggwatch.gui.plausible_merge import count_of, plausible_forecast, plausible_groups, plausible_shell, spacing
from braggwatch.processing.data_quality import Shell
from braggwatch.streamer.merge_messages import GroupMerge, Merging

EVERY_GROUP = "every group"


def part_of(merging: Merging, group: str) -> Merging:
    """Return what the message would be if only that group were merged; the message itself where there is none such."""
    found = next((one for one in plausible_groups(merging) if one.name == group), None)
    return merging if found is None or found.overall is None else _of_group(merging, found)


def part_waited_for(merging: Merging) -> tuple[str, Merging]:
    """Return the part of the merge that takes longest, and its name.

    That is a group where shots are grouped, as each is to reach the target; otherwise all, without a name.
    """
    slowest = msgspec.structs.replace(merging, groups=plausible_groups(merging)).slowest
    if slowest is None or slowest.forecast is None:
        return "", merging
    name = EVERY_GROUP if slowest.forecast.state == "reached" else label(slowest.name)
    return name, _of_group(merging, slowest)


def _of_group(merging: Merging, group: GroupMerge) -> Merging:
    return msgspec.structs.replace(
        merging, n_crystals=group.n_crystals, n_outliers=group.n_outliers, shells=group.shells, overall=group.overall,
        outer=group.outer, whole=group.whole, resolution=group.resolution, forecast=group.forecast,
    )  # fmt: skip


def said_of(name: str, words: Words) -> Words:
    """Return a statement with the name of what it is about ahead of it; as it is where there is no name."""
    if not name:
        return words
    texts = [f"{name}: {text[0].lower()}{text[1:]}" for text in words.texts if text]
    return Words((*texts, words.texts[-1]), words.tone)


def group_lines(
    merging: Merging, overall: Shell, known: KnownGroups, chosen: str, elapsed: float, *, over: bool
) -> tuple[GroupLine, ...]:
    """Return a row for all crystals and one for each group, in the groups' order; none where shots are not grouped.

    `elapsed`: s since the message was made.
    """
    groups = sorted(plausible_groups(merging), key=lambda group: _place(known, group.name))
    if not groups:
        return ()
    whole = msgspec.structs.replace(
        merging, overall=overall, outer=plausible_shell(merging.outer), whole=plausible_shell(merging.whole),
        forecast=plausible_forecast(merging),
    )  # fmt: skip
    lines = [_line("", "all", whole, "", not chosen, elapsed, over)]
    for group in groups:
        shown = _of_group(merging, group)
        lines.append(
            _line(group.name, label(group.name), shown, known.tone(group.name), group.name == chosen, elapsed, over)
        )
    return tuple(lines)


def _place(known: KnownGroups, name: str) -> tuple[int, str]:
    return (known.names.index(name) if name in known.names else len(known.names)), name


def _line(name: str, title: str, merging: Merging, tone: str, chosen: bool, elapsed: float, over: bool) -> GroupLine:
    n, outliers = count_of(merging.n_crystals), count_of(merging.n_outliers)
    whole = merging.whole or merging.overall
    outer = merging.outer
    words = forecast_words(merging.forecast, elapsed, over=over, n_crystals=n)
    cc = correlation(outer.cc_half if outer is not None else None)
    complete = percent(whole.completeness if whole is not None else None)
    reach = angstrom(spacing(merging.resolution))
    done = words.texts[-1] if merging.forecast is not None else ""
    meaning = (
        f"{title}: {count(n)} crystals merged, {count(outliers)} left out as outliers; {complete} complete, CC½ {cc} "
        f"in the outermost shell to the target's resolution, data to {reach}\n{words.texts[0]}"
    )
    texts = (title, count(n), complete.removesuffix(" %"), cc, reach.removesuffix(" Å"), done)
    return GroupLine(name, texts, tone, words.tone, meaning, chosen, merging.overall is not None)
