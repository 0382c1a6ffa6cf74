"""`braggwatch demo`: a simulated detector, the processor and the view, each a process of its own."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from braggwatch.processing.simulation.demo import LYSOZYME
from braggwatch.streamer.cli.console import output, say
from braggwatch.streamer.cli.free_ports import free_ports
from braggwatch.streamer.cli.simulate import open_pool
from braggwatch.streamer.daq_simulator.report import SimulatorReport
from braggwatch.streamer.feed_client import FeedClient
from braggwatch.streamer.settings import Settings, parse_settings
from braggwatch.streamer.terminal import print_summary, watch_feed
from braggwatch.streamer.truth import compare_with_truth

START_PATIENCE_S = 180.0
"""The very first start compiles every kernel."""


def demo(
    frames: Annotated[int, typer.Option(min=1, help="Frames to send.")] = 1000,
    rate: Annotated[float, typer.Option(min=0.1, help="Frames a second.")] = 50.0,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 2,
    directory: Annotated[
        Path | None, typer.Option(help="Folder for everything the demo writes; a new one here if left out.")
    ] = None,
) -> None:
    """Show it at work: lysozyme stills of 4 Mpx, half of them hits, from a simulated EIGER2 over ZeroMQ.

    Ends by itself with a summary, checked against what the simulator knows to be true.
    """
    folder = (directory or Path(f"demo-{datetime.now(UTC):%Y%m%d-%H%M%S}")).absolute()
    folder.mkdir(parents=True, exist_ok=directory is not None)
    detector, feed_address = (f"tcp://127.0.0.1:{port}" for port in free_ports(3)[:2])  # the feed takes two
    settings = demo_settings(folder, workers, detector=detector, feed=feed_address)
    settings_file, pool_file, report_file = (folder / n for n in ("demo.toml", "stills.h5", "sent.json"))
    settings_file.write_text(settings.as_toml(), encoding="utf-8")
    pool = open_pool(pool_file, 0.5, seed=1)
    with (
        _program("process", str(settings_file), "--series", "1", "--no-view", log=folder / "process.log") as processor,
        FeedClient(feed_address) as feed,
    ):
        say("Starting the processor; the first start compiles its kernels, which takes a minute or two …")
        _wait_for_workers(feed, workers, processor, folder / "process.log")
        with _program(
            "simulate", "--address", detector, "--pool", str(pool_file), "--frames", str(frames), "--rate", str(rate),
            "--report", str(report_file), log=folder / "simulate.log",
        ) as simulator, _stopping(processor, if_fails=simulator):  # fmt: skip
            finished = watch_feed(feed_address, until_finished=True)
        if simulator.returncode:
            log = (folder / "simulate.log").read_text(errors="replace")
            raise OSError(f"the simulated detector failed; its log says:\n{log}")
    sent = SimulatorReport.read(report_file)
    if finished is None:
        raise OSError(f"the processor ended without a summary; see {folder / 'process.log'}")
    print_summary(finished, sent=sum(series.whole for series in sent.series))
    output.print(
        compare_with_truth(settings.experiment.record, pool, LYSOZYME).in_words(), markup=False, soft_wrap=True
    )
    output.print(f"Everything of this demo is in {folder}", markup=False, soft_wrap=True)


def demo_settings(folder: Path, workers: int, *, detector: str, feed: str) -> Settings:
    """Return the settings of the demonstration: its files in `folder`, the addresses of detector and feed."""
    return parse_settings(
        {
            "experiment": {
                "name": "demo", "record": str(folder / "record.sqlite"), "quarantine": str(folder / "quarantine"),
            },
            "source": {"type": "dectris-v2", "address": detector},
            "chain": {"stages": ["hitfind", "dump:hit", "index", "dump:indexed"]},
            "hub": {"drop": "never"},
            "engine": {"workers": workers},
            "feed": {"address": feed},
            "dump": {"directory": str(folder / "dumps")},
            "index": {"cell": "79.2 79.2 38.0 90 90 90 P43212"},
        }
    )  # fmt: skip


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
