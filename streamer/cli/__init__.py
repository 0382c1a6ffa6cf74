"""The command `braggwatch`."""

import importlib
import logging
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
import zmq
from rich.logging import RichHandler

import braggwatch
from braggwatch.streamer.cli.console import messages, say_error

COMMANDS = ("demo", "process", "gui", "watch", "simulate", "export", "dark", "config")
"""Each has a module of its name beside this one."""


def make_app(commands: Sequence[str] = COMMANDS) -> typer.Typer:
    """Return the command line with these commands; what others need is not imported, which for all takes seconds."""
    app = typer.Typer(
        help="Braggwatch: hits and indexed crystals from a detector's stream, while the frames arrive.\n\n"
        "Try `braggwatch demo` first. At a beamline: `braggwatch config show --cell 'YOUR CELL' > beamline.toml`, put "
        "the detector's address in under [source], `braggwatch config check beamline.toml`, and "
        "`braggwatch process beamline.toml`.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(set_up)
    for name in commands:
        module = importlib.import_module(f"{__name__}.{name}")
        if name == "config":
            app.add_typer(module.app, name=name)
        else:
            app.command(name)(getattr(module, name))
    return app


def _show_version(wanted: bool) -> None:
    if wanted:
        print(braggwatch.__version__)
        raise typer.Exit


def set_up(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Tell more in the log.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and go.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Set up the log, which goes to standard error."""
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        **_log_format(),
    )


def _log_format() -> dict[str, Any]:
    if messages.is_terminal:
        return {"format": "%(message)s", "handlers": [RichHandler(console=messages, show_path=False)]}
    # In a file every message is one line, so that it can be searched.
    return {"format": "%(asctime)s %(levelname)s %(message)s", "stream": sys.stderr}


def main() -> None:
    """Run the command line; what a user can put right is said in a line, without a traceback."""
    asked = [word for word in sys.argv[1:] if not word.startswith("-")][:1]
    try:
        make_app(asked if asked and asked[0] in COMMANDS else COMMANDS)()
    except (ValueError, OSError, zmq.ZMQError) as error:
        if logging.getLogger().isEnabledFor(logging.INFO):
            raise
        say_error(str(error))
        sys.exit(2)
