"""`braggwatch export`: dumps as files for other programs."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from braggwatch.streamer.cli.console import messages, say
from braggwatch.streamer.export import Exported, Format, dump_files, look_through
from braggwatch.streamer.export import export as write


def export(
    dumps: Annotated[list[Path], typer.Argument(help="Files that the stage dump has written, or folders of them.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")],
    kind: Annotated[
        Format,
        typer.Option(
            "--format",
            "-f",
            help="stream: CrystFEL stream 2.3. mtz: unmerged reflections. cxi: images and spots for indexamajig, with "
            "their geometry beside it. geom: a CrystFEL geometry, with which it reads the dumps as they are.",
        ),
    ],
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there already.")] = False,
) -> None:
    """Write dumps as files that CrystFEL, CCP4, cctbx and others take."""
    found = look_through(dump_files(dumps))
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=messages, transient=True, disable=not messages.is_terminal) as bar:
        task = bar.add_task("images", total=found.n_images)
        exported = write(
            found, output, kind, force=force, command=shlex.join(["braggwatch", *sys.argv[1:]]),
            progress=lambda n: bar.update(task, completed=n),
        )  # fmt: skip
    say(_summary(exported))


def _summary(exported: Exported) -> str:
    counts = [f"{exported.n_images} images"]
    if exported.n_crystals:
        counts.append(f"{exported.n_crystals} crystals")
    if exported.n_reflections:
        counts.append(f"{exported.n_reflections} reflections")
    return f"Wrote {' and '.join(str(file) for file in exported.files)}: {', '.join(counts)}."
