"""`braggwatch export`: dumps as files for other programs."""

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from braggwatch.processing.merge_statistics import MergeStatistics
from braggwatch.processing.merging_sums import Scaling
from braggwatch.processing.shot_groups import MAX_GROUPS
from braggwatch.streamer.cli.console import messages, output, say
from braggwatch.streamer.dumps import dump_files, look_through
from braggwatch.streamer.export import Exported, Format
from braggwatch.streamer.export import export as write
from braggwatch.streamer.merge_wording import COLUMNS, difference_in_words, shell_cells
from braggwatch.streamer.merged_export import MergeOptions, Weighting
from braggwatch.streamer.wording import plain

_MERGED = "Options of --format merged"


def export(
    dumps: Annotated[list[Path], typer.Argument(help="Files that the stage dump has written, or folders of them.")],
    to: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")],
    kind: Annotated[
        Format,
        typer.Option(
            "--format",
            "-f",
            help="stream: CrystFEL stream 2.3. mtz: unmerged reflections. merged: merged reflections as MTZ, with "
            "their statistics. dials: experiment list (.expt) with the reflection table (.refl) beside it. cxi: images "
            "and spots for indexamajig, with their geometry beside it. geom: a CrystFEL geometry, with which it reads "
            "the dumps as they are.",
        ),
    ],
    group: Annotated[
        str,
        typer.Option(help="Only images of this group of shots. Merged reflections are on the scale of all groups."),
    ] = "",
    by_group: Annotated[
        bool,
        typer.Option(
            "--by-group",
            help="merged: a file for each group of shots, its name before the ending, all on one scale and in one "
            "setting. stream: with a list beside it (.split) by which partialator --custom-split merges the groups.",
        ),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there already.")] = False,
    d_min: Annotated[
        float | None,
        typer.Option(
            help="Merge to this resolution in Å; left out: as far as any reflection was integrated.",
            rich_help_panel=_MERGED,
        ),
    ] = None,
    shells: Annotated[
        int | None,
        typer.Option(help="Shells of resolution in the statistics; 10 if left out.", rich_help_panel=_MERGED),
    ] = None,
    scaling: Annotated[
        Scaling | None,
        typer.Option(
            help="How crystals are scaled: none, scale (a factor each, if left out), or scale_and_b.",
            rich_help_panel=_MERGED,
        ),
    ] = None,
    weighting: Annotated[
        Weighting | None,
        typer.Option(
            help="mean: over partialities (if left out); partiality: by the predicted ones.", rich_help_panel=_MERGED
        ),
    ] = None,
) -> None:
    """Write dumps as files that CrystFEL, CCP4, cctbx, DIALS and others take."""
    options = _given(d_min=d_min, n_shells=shells, scaling=scaling, weighting=weighting)
    if options and kind != "merged":
        raise ValueError("--d-min, --shells, --scaling and --weighting are options of --format merged")
    found = look_through(dump_files(dumps))
    if group:
        found = found.of(group)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=messages, transient=True, disable=not messages.is_terminal) as bar:
        task = bar.add_task("images", total=found.n_images)
        exported = write(
            found, to, kind, by_group=by_group, force=force, command=shlex.join(["braggwatch", *sys.argv[1:]]),
            merging=MergeOptions(**options), progress=lambda n: bar.update(task, completed=n),
        )  # fmt: skip
    for merged in exported.merged:
        output.print(_table(merged.statistics, merged.group))
    if by_group and (difference := difference_in_words(exported.difference)):
        say(f"Difference: {difference}.")
    if by_group and exported.merged:
        written = {merged.group for merged in exported.merged}
        for name in sorted(found.groups.keys() - written)[:MAX_GROUPS]:
            say(f"No file of its own has the group {plain(name)}.")
    say(_summary(exported))


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _table(statistics: MergeStatistics, group: str) -> Table:
    title = Text(f"{plain(group)}: {statistics.n_crystals} crystals", "bold") if group else None
    table = Table(box=None, pad_edge=False, title=title, title_justify="left")
    for name in COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    for shell in statistics.shells:
        table.add_row(*shell_cells(shell))
    table.add_row("all", *shell_cells(statistics.overall)[1:])
    return table


def _summary(exported: Exported) -> str:
    counts = [f"{exported.n_images} images"]
    if exported.n_crystals:
        counts.append(f"{exported.n_crystals} crystals")
    if exported.n_reflections:
        counts.append(f"{exported.n_reflections} reflections")
    n_outliers = sum(merged.statistics.n_outliers for merged in exported.merged)
    if n_outliers:
        counts.append(f"{n_outliers} crystals left out, unlike the rest")
    return f"Wrote {' and '.join(str(file) for file in exported.files)}: {', '.join(counts)}."
