"""The merge in numbers: what the panel lists, and the rows of the table by shell."""

from braggwatch.gui.controllers.merging_view import Fact, ShellLine
from braggwatch.gui.controllers.merging_wording import FEW, correlation, left_out, percent, settings_words, times
from braggwatch.gui.known_groups import label
from braggwatch.gui.numbers import UNKNOWN, angstrom, count
from braggwatch.gui.plausible_merge import count_of, number, plausible_difference, plausible_time, spacing
from braggwatch.processing.data_quality import USUAL_CC_HALF, Shell, Target
from braggwatch.streamer.merge_messages import Merging
from braggwatch.streamer.wording import clock, plain


def facts_of(
    merging: Merging,
    overall: Shell,
    outer: Shell | None,
    whole: Shell | None,
    target: Target | None,
    *,
    of_group: bool = False,
) -> tuple[Fact, ...]:
    """Return the lines: what is aimed at, then what the data are like, then what became of the crystals.

    `of_group`: the message is about a group, of which less is known.
    """
    aimed = (target.cc_half, target.completeness, target.multiplicity) if target is not None else (None, None, None)
    at = angstrom(outer.d_min) if outer is not None else UNKNOWN
    wanted = USUAL_CC_HALF if aimed[0] is None else aimed[0]
    found = whole if whole is not None else overall
    return (
        Fact(
            "Resolution", at, "",
            "What the next five lines are about: the target's resolution, or the merge's where no target is set, Å",
        ),
        Fact(
            "CC½, outer shell", _with_error(outer), _wanted(aimed[0], correlation(aimed[0])),
            "Correlation of the intensities of two random halves of the crystals, in the outermost shell to the "
            "target's resolution, ± its standard error; 1 is perfect",
            short=correlation(outer.cc_half if outer is not None else None, 3),
        ),
        Fact(
            "Completeness", percent(found.completeness), _wanted(aimed[1], percent(aimed[1])),
            "Share of the different reflections that were observed at least once, %",
        ),
        Fact(
            "Multiplicity", times(found.multiplicity), _wanted(aimed[2], times(aimed[2])),
            "Observations of an observed reflection, on average",
        ),
        Fact(
            "R_split", percent(found.r_split), "",
            "How far the two halves differ, of their mean, %; smaller is better",
        ),
        Fact("I/σ(I)", times(found.snr), "", "Mean of the merged intensities over their standard errors"),
        Fact(
            f"CC½ ≥ {correlation(wanted)} to", angstrom(spacing(merging.resolution)), "",
            "Where CC½ falls below this, Å, by a curve through all shells",
        ),
        *(_about_group(merging) if of_group else _about_crystals(merging)),
    )  # fmt: skip


def _with_error(shell: Shell | None) -> str:
    if shell is None or shell.cc_half is None:
        return UNKNOWN
    error = f" ±{shell.cc_half_error:.3f}" if shell.cc_half_error is not None else ""
    return correlation(shell.cc_half, 3) + error


def _wanted(value: float | None, said: str) -> str:
    return "" if value is None else f"≥ {said}"


def _about_group(merging: Merging) -> list[Fact]:
    return [
        _crystals_merged(merging),
        Fact(
            "Left out", left_out(count_of(merging.n_outliers), 0, 0), "",
            "Outliers: crystals of this group that correlate neither with all others nor with those of the group",
        ),
    ]  # fmt: skip


def _crystals_merged(merging: Merging) -> Fact:
    n = count_of(merging.n_crystals)
    few = ", few so far" if n is not None and n < FEW else ""
    return Fact("Crystals merged", f"{count(n)}{few}", "", "Crystals whose intensities are in the merge")


def _about_crystals(merging: Merging) -> list[Fact]:
    rejected = count_of(merging.n_rejected)
    facts = [
        _crystals_merged(merging),
        *_difference(merging),
        *([_ambiguity(merging)] if len(merging.settings) > 1 else []),
        Fact(
            "Left out",
            left_out(count_of(merging.n_outliers), count_of(merging.n_foreign), count_of(merging.n_empty)),
            "",
            "Outliers: crystals that do not correlate with the rest. Of another cell: or of another space group than "
            "the merge's. Empty: without a reflection that could be used",
        ),
        Fact(
            "Rejected", f"{count(rejected)} observation{'s' if rejected != 1 else ''}", "",
            "Single observations left out since they lie far from the others of their reflection",
        ),
    ]  # fmt: skip
    skipped = count_of(merging.n_left_out)
    if skipped:
        meaning = "Shots with crystals that could not be merged in time: the machine is too slow for them"
        facts.append(Fact("No time for", f"{count(skipped)} shots", "", meaning, "alarm"))
    return [*facts, *_kind(merging)]


def _difference(merging: Merging) -> list[Fact]:
    """Say whether there is a signal, where there are two groups."""
    found = plausible_difference(merging)
    if merging.difference is None or found is None:
        return []
    first, second = (label(name) for name in (merging.difference.first, merging.difference.second))
    error = UNKNOWN if found.cc_half_error is None else f"{found.cc_half_error:.2f}"
    verdict = {None: "not known yet", True: "beyond chance", False: "none beyond chance so far"}[found.beyond_chance]
    return [
        Fact(
            "Difference", f"{verdict}: CC½ {correlation(found.cc_half)} ±{error}, R_iso {percent(found.r_iso)}", "",
            f"Of the intensities of {second} and {first}, to the target's resolution. CC½: correlation of the "
            "differences of two random halves, 0 without a signal, ± its standard error; R_iso: mean difference over "
            "mean intensity, noise included. Scale and fall-off with resolution do not count",
            short=f"{correlation(found.cc_half)} ±{error}",
        )
    ]  # fmt: skip


def _ambiguity(merging: Merging) -> Fact:
    names = [plain(name, 20) for name in merging.settings[:8]]
    numbers = [count_of(n) for n in merging.in_setting[: len(names)]]
    numbers += [None] * (len(names) - len(numbers))
    return Fact(
        "Ambiguous", settings_words(names, numbers, number(merging.agreement, 0, 1)), "",
        "The lattice has more symmetry than the crystal, so that it can be indexed in several ways. Which one is told "
        "by correlation with the rest; here: how many crystals came in each, and on how many of the first ones two "
        "halves agree",
    )  # fmt: skip


def _kind(merging: Merging) -> list[Fact]:
    facts = []
    if merging.cell is not None:
        lengths = " ".join(f"{x:.2f}" if 0 < x < 1e5 else UNKNOWN for x in merging.cell[:3])
        angles = " ".join(f"{x:g}" if 0 < x < 180 else UNKNOWN for x in merging.cell[3:])
        group = plain(merging.space_group, 30)
        facts.append(Fact("Merged as", f"{group} · {lengths} Å · {angles}°", "", "Space group and cell, Å and degrees"))
    since = clock(plausible_time(merging.since))
    facts.append(Fact("Since", since, "", "When this merge began; another cell or another way of merging begins anew"))
    return facts


def shell_line(shell: Shell) -> ShellLine:
    """Return the row of a shell, and what it says in a tooltip."""
    low = f"{shell.d_max:.2f}" if shell.d_max < 1e4 else "∞"
    limits = f"{low}–{shell.d_min:.2f}"
    unique = count(shell.n_unique)
    texts = (
        limits, unique, percent(shell.completeness).removesuffix(" %"), times(shell.multiplicity), times(shell.snr),
        correlation(shell.cc_half, 3), correlation(shell.cc_star, 3), percent(shell.r_split).removesuffix(" %"),
    )  # fmt: skip
    meaning = (
        f"{limits} Å: {unique} of {count(shell.n_possible)} reflections, {percent(shell.completeness)}, "
        f"{times(shell.multiplicity)} times each\n"
        f"CC½ {_with_error(shell)} of {count(shell.n_pairs)} pairs, CC* {correlation(shell.cc_star, 3)}, "
        f"R_split {percent(shell.r_split)}, I/σ {times(shell.snr)}"
    )
    return ShellLine(texts, meaning)
