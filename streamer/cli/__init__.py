"""The command `braggwatch`."""

import logging
import sys
from typing import Annotated, Any

import typer
import zmq
from rich.logging import RichHandler

import braggwatch
from braggwatch.streamer.cli import config, dark, demo, export, gui, process, simulate, watch
from braggwatch.streamer.cli.console import messages, say_error

app = typer.Typer(
    help="Braggwatch: hits and indexed crystals from a detector's stream, while the frames arrive.\n\n"
    "Try `braggwatch demo` first. At a beamline: `braggwatch config show --cell 'YOUR CELL' > beamline.toml`, put the "
    "detector's address in under [source], `braggwatch config check beamline.toml`, and "
    "`braggwatch process beamline.toml`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo")(demo.demo)
app.command("process")(process.process)
app.command("gui")(gui.gui)
app.command("watch")(watch.watch)
app.command("simulate")(simulate.simulate)
app.command("export")(export.export)
app.command("dark")(dark.dark)
app.add_typer(config.app, name="config")


def _show_version(wanted: bool) -> None:
    if wanted:
        print(braggwatch.__version__)
        raise typer.Exit


@app.callback()
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
    try:
        app()
    except (ValueError, OSError, zmq.ZMQError) as error:
        if logging.getLogger().isEnabledFor(logging.INFO):
            raise
        say_error(str(error))
        sys.exit(2)
