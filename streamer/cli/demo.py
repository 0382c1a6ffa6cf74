"""`braggwatch demo`: a simulated detector, the processor and the window or view, each a process of its own."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from braggwatch.processing.simulation.demo import LYSOZYME
from braggwatch.streamer.cli.console import output, say
from braggwatch.streamer.cli.free_ports import free_ports
from braggwatch.streamer.cli.gui import has_display, open_window, window_problem
from braggwatch.streamer.cli.simulate import open_pool
from braggwatch.streamer.daq_simulator.report import SimulatorReport
from braggwatch.streamer.feed_client import FeedClient
from braggwatch.streamer.feed_messages import Finished
from braggwatch.streamer.settings import Settings, parse_settings
from braggwatch.streamer.terminal import print_summary, watch_feed
from braggwatch.streamer.truth import compare_with_truth

START_PATIENCE_S = 180.0
"""The very first start compiles every kernel."""
LAST_WORD_S = 60.0
SHORT, LONG = 1000, 10_000
"""Frames that are sent where nothing else is said: with the view in the terminal, and with the window."""
MERGED, MOST_MERGED = 500, 2000
"""Stills, all different, that are simulated to be merged, where nothing else is said and at most: 1.2 MB each."""
BYTES_A_FRAME = 800_000
"""What a frame of the window's demonstration takes on disk; half of them are hits of 1.4 MB, each dumped once."""


def demo(
    frames: Annotated[
        int | None,
        typer.Option(
            min=1, help="Frames to send; 1000, with the window at most 10 000, with --merge 500.", show_default=False
        ),
    ] = None,
    rate: Annotated[
        float | None, typer.Option(min=0.1, help="Frames a second; 50, with --merge 20.", show_default=False)
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 2,
    directory: Annotated[
        Path | None, typer.Option(help="Folder for everything the demo writes; a new one here if left out.")
    ] = None,
    window: Annotated[
        bool | None, typer.Option(help="Open the window; the default where there is a display.", show_default=False)
    ] = None,
    merge: Annotated[
        bool, typer.Option("--merge", help="Integrate and merge as well: stills that never repeat are simulated first.")
    ] = False,
    pump_probe: Annotated[
        bool, typer.Option("--pump-probe", help="Pump every second shot with a laser, and show both groups of shots.")
    ] = False,
) -> None:
    """Show it at work: lysozyme stills of 4 Mpx, half of them hits, from a simulated EIGER2 over ZeroMQ.

    Ends with a summary, checked against what the simulator knows to be true: by itself in a terminal, or when its
    window is closed.
    """
    in_window = _window_wanted(window)
    folder = (directory or Path(f"demo-{datetime.now(UTC):%Y%m%d-%H%M%S}")).absolute()
    folder.mkdir(parents=True, exist_ok=directory is not None)
    n_frames = frames or (MERGED if merge else min(LONG, _frames_that_fit(folder)) if in_window else SHORT)
    if merge and n_frames > MOST_MERGED:
        raise ValueError(f"with --merge at most {MOST_MERGED} frames can be sent, as none repeats; found {n_frames}")
    detector, feed_address = (f"tcp://127.0.0.1:{port}" for port in free_ports(4)[:2])  # the feed takes three
    settings = demo_settings(
        folder, workers, detector=detector, feed=feed_address, dump_once=in_window, merge=merge, pump_probe=pump_probe
    )
    settings_file, pool_file, report_file = (folder / n for n in ("demo.toml", "stills.h5", "sent.json"))
    settings_file.write_text(settings.as_toml(), encoding="utf-8")
    # merging the same noise twice would make the data look better than they are
    pool = open_pool(pool_file, 0.8, 1, n_frames) if merge else open_pool(pool_file, 0.5, 1)
    # With the window the processor goes on after the last frame, so that every shot can still be opened.
    until = () if in_window else ("--series", "1")
    with (
        _program("process", str(settings_file), *until, "--no-view", log=folder / "process.log") as processor,
        FeedClient(feed_address) as feed,
        _window(feed_address, wanted=in_window) as opened,
    ):
        say("Starting the processor; the first start compiles its kernels, which takes a minute or two …")
        _wait_for_workers(feed, workers, processor, folder / "process.log")
        with _program(
            "simulate", "--address", detector, "--pool", str(pool_file), "--frames", str(n_frames),
            "--rate", str(rate or (20.0 if merge else 50.0)), "--report", str(report_file),
            *(("--laser", "1 on, 1 off") if pump_probe else ()), log=folder / "simulate.log",
        ) as simulator, _stopping(processor, if_fails=simulator):  # fmt: skip
            if opened is not None:
                say(f"Sending {n_frames} frames. Close the window to end; what is found stays in {folder}")
                finished, stopped = _until_closed(opened, feed, processor, simulator)
            else:
                finished, stopped = watch_feed(feed_address, until_finished=True), False
        if simulator.returncode and not stopped:  # one that was stopped may say so in its exit code
            log = (folder / "simulate.log").read_text(errors="replace")
            raise OSError(f"the simulated detector failed; its log says:\n{log}")
    if finished is None:
        raise OSError(f"the processor ended without a summary; see {folder / 'process.log'}")
    sent = SimulatorReport.read(report_file).series
    all_sent = sum(series.reached for series in sent) == n_frames  # of others, some may still have been on their way
    print_summary(finished, sent=sum(series.whole for series in sent) if all_sent else None)
    output.print(
        compare_with_truth(settings.experiment.record, pool, LYSOZYME).in_words(), markup=False, soft_wrap=True
    )
    output.print(f"Everything of this demo is in {folder}", markup=False, soft_wrap=True)


def demo_settings(
    folder: Path,
    workers: int,
    *,
    detector: str,
    feed: str,
    dump_once: bool = False,
    merge: bool = False,
    pump_probe: bool = False,
) -> Settings:
    """Return the settings of the demonstration: its files in `folder`, the addresses of detector and feed.

    Indexed shots are dumped twice, as hits and as indexed ones, or only as hits.
    """
    stages = ["hitfind", "dump:hit", "index", *["integrate"] * merge, *["dump:indexed"] * (not dump_once)]
    return parse_settings(
        {
            "experiment": {
                "name": "demo", "record": str(folder / "record.sqlite"), "quarantine": str(folder / "quarantine"),
            },
            "source": {"type": "dectris-v2", "address": detector},
            "chain": {"stages": stages},
            "hub": {"drop": "never"},
            "engine": {"workers": workers},
            "feed": {"address": feed},
            "dump": {"directory": str(folder / "dumps")},
            "index": {"cell": "79.2 79.2 38.0 90 90 90 P43212"},
            "merge": {"d_min": 1.8, "target_d_min": 2.0},
            "groups": {"by": "laser_1", "names": {"0": "dark", "1": "pumped"}} if pump_probe else {},
        }
    )  # fmt: skip


def _window_wanted(window: bool | None) -> bool:
    if window is False or (window is None and not has_display()):
        return False
    problem = window_problem()
    if problem and window:
        raise OSError(problem)
    if problem:
        say(f"No window: {problem}.")
    return not problem


def _frames_that_fit(folder: Path) -> int:
    """Return how many frames take half of the disk's free space."""
    return max(SHORT, shutil.disk_usage(folder).free // 2 // BYTES_A_FRAME)


@contextmanager
def _window(address: str, *, wanted: bool) -> "Iterator[subprocess.Popen[bytes] | None]":
    """Open the window where it is wanted, and close it in the end if nobody has."""
    window = open_window(address) if wanted else None
    try:
        yield window
    finally:
        if window is not None and window.poll() is None:
            window.terminate()
            window.wait(30)


def _until_closed(
    window: "subprocess.Popen[bytes]",
    feed: FeedClient,
    processor: "subprocess.Popen[bytes]",
    simulator: "subprocess.Popen[bytes]",
) -> tuple[Finished | None, bool]:
    """Wait until the window is closed, and stop everything; the last word, and whether the simulator was stopped."""
    with suppress(KeyboardInterrupt):  # which stops the others in good order as well
        while window.poll() is None and processor.poll() is None:
            feed.poll(0.2)
    stopped = simulator.poll() is None
    if stopped:
        simulator.send_signal(signal.SIGINT)
        simulator.wait(30)
    if processor.poll() is None:
        processor.terminate()
    deadline = time.monotonic() + LAST_WORD_S
    while feed.finished is None and time.monotonic() < deadline:
        feed.poll(0.2)
    return feed.finished, stopped


@contextmanager
def _program(*arguments: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run one of our own commands beside this one, and stop it in the end if it still runs."""
    with log.open("wb") as file:
        program = subprocess.Popen(
            [sys.executable, "-m", "braggwatch.streamer", *arguments],
            stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env={**os.environ, "NO_COLOR": "1"},
        )  # fmt: skip
    try:
        yield program
        program.wait(30)
    finally:
        if program.poll() is None:
            program.terminate()
            program.wait(30)


@contextmanager
def _stopping(processor: "subprocess.Popen[bytes]", *, if_fails: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Stop the processor when the detector it waits for has failed."""

    def watch() -> None:
        if if_fails.wait() and processor.poll() is None:
            processor.terminate()

    thread = threading.Thread(target=watch)
    thread.start()
    yield
    thread.join()


def _wait_for_workers(feed: FeedClient, n: int, processor: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_PATIENCE_S
    while feed.status is None or sum(worker.state == "ready" for worker in feed.status.workers) < n:
        feed.poll(0.2)
        if processor.poll() is not None:
            raise OSError(f"the processor did not start; its log says:\n{log.read_text(errors='replace')}")
        if time.monotonic() > deadline:
            raise OSError(f"the workers were not ready after {START_PATIENCE_S:.0f} s; see {log}")
