"""`braggwatch config`: what can be set, and whether a settings file is right."""

from pathlib import Path
from typing import Annotated

import typer

from braggwatch.streamer.cli.console import output
from braggwatch.streamer.settings import load_settings, parse_settings

app = typer.Typer(help="Show and check settings.", no_args_is_help=True)

_FIND = ["hitfind", "dump:hit"]

SettingsFile = Annotated[Path | None, typer.Argument(help="A settings file (TOML); the defaults if left out.")]


@app.command()
def show(
    settings: SettingsFile = None,
    cell: Annotated[
        str | None,
        typer.Option(help="Without a settings file: your crystal's cell, such as '79.2 79.2 38.0 90 90 90 P43212'."),
    ] = None,
) -> None:
    """Print the complete settings in force, defaults included, with the meaning and unit of each.

    `braggwatch config show --cell '79.2 79.2 38.0 90 90 90 P43212' > beamline.toml` writes a file to start from.
    Without a cell, hits are found and dumped but not indexed.
    """
    if settings is not None:
        in_force = load_settings(settings)
    elif cell is not None:
        in_force = parse_settings({"chain": {"stages": [*_FIND, "index", "dump:indexed"]}, "index": {"cell": cell}})
    else:
        in_force = parse_settings({"chain": {"stages": _FIND}})
    output.print(in_force.as_toml(), markup=False, soft_wrap=True)


@app.command()
def check(settings: Annotated[Path, typer.Argument(help="The settings file (TOML) to check.")]) -> None:
    """Check a settings file as `process` would before its first frame."""
    in_force = load_settings(settings)
    in_force.pipeline().check()
    output.print(f"{settings} is right: {' → '.join(in_force.chain.stages)}", markup=False)
