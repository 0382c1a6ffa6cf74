"""`braggwatch process`: the processor."""

import subprocess
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer

from braggwatch.processing.chain_settings import SettingsError
from braggwatch.streamer.cli.console import say, say_error
from braggwatch.streamer.cli.gui import open_window, window_problem
from braggwatch.streamer.cli.settings_file import GivenSettings, read_settings
from braggwatch.streamer.processor import Processor, stopping_on_signals
from braggwatch.streamer.terminal import print_summary, watch_feed


def process(
    settings: Annotated[
        Path | None,
        typer.Argument(
            help="Settings file (TOML); `braggwatch config show` writes one. Or a pyana.cfg.", show_default=False
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="The same, as the older tools had it: pyana.cfg.", show_default=False),
    ] = None,
    source: Annotated[
        list[str],
        typer.Option(help="With a pyana.cfg, where frames come from: a stream's address, or files; once for each."),
    ] = [],  # noqa: B006 (typer's way; it is never changed)
    set_: Annotated[
        list[str],
        typer.Option(
            "--set",
            "-s",
            metavar="TABLE.KEY=VALUE",
            help="Override a setting of the file, such as -s hitfind.min_snr=6; once for each.",
        ),
    ] = [],  # noqa: B006
    series: Annotated[
        int | None,
        typer.Option(
            min=1, help="End after so many series (runs of the detector); on and on if left out.", show_default=False
        ),
    ] = None,
    view: Annotated[
        bool | None, typer.Option(help="Show the live view here; the default where this is a terminal.")
    ] = None,
) -> None:
    """Find hits, index and dump while the frames arrive, until Ctrl-C.

    Watch it from anywhere with `braggwatch watch`. Ctrl-C stops in good order: frames that are here are finished, files
    closed, and a summary says where everything went (exit code 0); a second Ctrl-C interrupts at once (130). Settings
    that cannot be used are refused before the first frame (2).
    """
    path = config or settings
    if path is None or (config is not None and settings is not None):
        raise SettingsError("expected one settings file, as in `braggwatch process beamline.toml` or with --config")
    given = read_settings(path, set_, source, is_pyana=config is not None and config.suffix.lower() != ".toml")
    given.settings.pipeline().check()
    _run(given, max_series=series, view=sys.stdout.isatty() if view is None else view)


def _run(given: GivenSettings, *, max_series: int | None, view: bool) -> None:
    """Run a processor, with the live view beside it where it is wanted, and print its summary."""
    processor = Processor(given.settings, max_series=max_series)
    viewers: list[threading.Thread] = []
    # It stays when the processor has ended: what it shows can be looked at until somebody closes it.
    window: list[subprocess.Popen[bytes]] = []
    wants_window = given.wants_window and not window_problem()

    def on_ready(address: str) -> None:
        say(f"Watch it from elsewhere with: braggwatch watch {address}")
        if wants_window:
            window.append(open_window(address))
        if view:
            # As a daemon: a processor that is interrupted says no last word for which the view would wait.
            viewers.append(
                threading.Thread(target=watch_feed, args=(address,), kwargs={"until_finished": True}, daemon=True)
            )
            viewers[0].start()

    with stopping_on_signals(processor):
        try:
            finished = processor.run(on_ready)
        except KeyboardInterrupt:
            say_error("interrupted: frames that were not finished are lost, and the last images of a dump may be")
            raise
        for viewer in viewers:
            viewer.join()
        print_summary(finished)
