"""`braggwatch config`: what can be set, and whether a settings file is right."""

from pathlib import Path
from typing import Annotated

import typer

from braggwatch.streamer.cli.console import output, say
from braggwatch.streamer.cli.settings_file import read_settings, source_table
from braggwatch.streamer.pyana.translation import translate
from braggwatch.streamer.settings import parse_settings

app = typer.Typer(help="Show and check settings.", no_args_is_help=True)

_FIND = ["hitfind", "dump:hit"]

SettingsFile = Annotated[
    Path | None, typer.Argument(help="A settings file (TOML, or a pyana.cfg); the defaults if left out.")
]
Source = Annotated[
    list[str], typer.Option(help="With a pyana.cfg, where frames come from: a stream's address, or files.")
]
Overrides = Annotated[
    list[str],
    typer.Option("--set", "-s", metavar="TABLE.KEY=VALUE", help="Override a setting of the file; once for each."),
]


@app.command()
def show(
    settings: SettingsFile = None,
    cell: Annotated[
        str | None,
        typer.Option(help="Without a settings file: your crystal's cell, such as '79.2 79.2 38.0 90 90 90 P43212'."),
    ] = None,
    source: Source = [],  # noqa: B006 (typer's way; it is never changed)
    set_: Overrides = [],  # noqa: B006
) -> None:
    """Print the complete settings in force, defaults included, with the meaning and unit of each.

    `braggwatch config show --cell '79.2 79.2 38.0 90 90 90 P43212' > beamline.toml` writes a file to start from.
    Without a cell, hits are found and dumped but not indexed.
    """
    if settings is not None:
        in_force = read_settings(settings, set_, source).settings
    elif cell is not None:
        in_force = parse_settings({"chain": {"stages": [*_FIND, "index", "dump:indexed"]}, "index": {"cell": cell}})
    else:
        in_force = parse_settings({"chain": {"stages": _FIND}})
    output.print(in_force.as_toml(), markup=False, soft_wrap=True)


@app.command()
def check(
    settings: Annotated[Path, typer.Argument(help="The settings file (TOML, or a pyana.cfg) to check.")],
    source: Source = [],  # noqa: B006 (typer's way; it is never changed)
    set_: Overrides = [],  # noqa: B006
) -> None:
    """Check a settings file as `process` would before its first frame."""
    in_force = read_settings(settings, set_, source).settings
    in_force.pipeline().check()
    output.print(f"{settings} is right: {' → '.join(in_force.chain.stages)}", markup=False, soft_wrap=True)


@app.command("from-pyana")
def from_pyana(
    pyana: Annotated[Path, typer.Argument(help="Configuration file of the older tools, pyana.cfg.")],
    source: Source = [],  # noqa: B006
    set_: Overrides = [],  # noqa: B006
) -> None:
    """Print a pyana.cfg as a settings file of this program.

    `braggwatch config from-pyana pyana.cfg > beamline.toml`: comments say where each value came from, what changed,
    what has no meaning here, and what is still needed.
    """
    translation = translate(pyana)
    output.print(translation.as_toml(set_, source_table(source)), markup=False, soft_wrap=True, end="")
    if translation.notes:
        say(f"{len(translation.notes)} things are not as they were; they stand at the top as comments")
