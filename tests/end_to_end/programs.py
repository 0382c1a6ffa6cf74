"""The real programs, each a process of its own, and a small detector's stills for them with their truth."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
import tomli_w

from braggwatch.processing.beam import Beam
from braggwatch.processing.detector import Detector
from braggwatch.processing.simulation.demo import LYSOZYME
from braggwatch.processing.simulation.pool import StillPool, prepare_pool
from braggwatch.processing.simulation.still import StillSimulator
from braggwatch.streamer.cli.free_ports import free_ports
from braggwatch.streamer.feed_client import FeedClient
from braggwatch.streamer.messages import State

CELL = "79.2 79.2 38.0 90 90 90 P43212"
PATIENCE_S = 150.0
"""On a machine where no kernel was ever compiled, the first start takes a minute or two."""
LOST = {state.value: 0 for state in (State.MISSED, State.REFUSED, State.DROPPED, State.FAILED, State.QUARANTINED)}


class Program:
    """One of our commands, running; what it prints goes to files. It and its children are gone in the end."""

    def __init__(self, folder: Path, *arguments: str | Path, file_size_limit: int | None = None) -> None:
        name = f"{arguments[0]}-{len(list(folder.glob('*.err')))}"
        self._out, self._err = folder / f"{name}.out", folder / f"{name}.err"
        limit = [] if file_size_limit is None else ["-c", _LIMITED, str(file_size_limit)]
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, *(limit or ["-m", "braggwatch.streamer"]), *map(str, arguments)],
                stdout=out, stderr=err, stdin=subprocess.DEVNULL, cwd=folder, start_new_session=True,
                env={**os.environ, "NO_COLOR": "1"},
            )  # fmt: skip

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return self._out.read_text()

    @property
    def messages(self) -> str:
        """What it has said on standard error so far."""
        return self._err.read_text()

    def wait(self) -> int:
        """Wait until it has ended; its exit code."""
        return self.process.wait(PATIENCE_S)

    def message(self, pattern: str) -> str:
        """Wait until it has said something; the first group of the pattern."""
        wait_until(lambda: re.search(pattern, self.messages) is not None, what=self._story, of=self)
        return str(re.findall(pattern, self.messages)[0])

    def interrupt(self) -> None:
        """Press Ctrl-C: every process of it gets the signal, as in a terminal."""
        os.killpg(self.process.pid, signal.SIGINT)

    def children(self) -> list[psutil.Process]:
        """All processes that it has started."""
        return list(psutil.Process(self.process.pid).children(recursive=True))

    def _story(self) -> str:
        return f"{self.output}\n{self.messages}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            left = [*self.children(), psutil.Process(self.process.pid)]
            for process in left:
                process.kill()
        self.process.wait()


def still_running(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Which of these processes have not ended after some seconds."""

    def running() -> list[psutil.Process]:
        return [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]

    deadline = time.monotonic() + 10
    while running() and time.monotonic() < deadline:
        time.sleep(0.1)
    return running()


_LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)), resource.RLIM_INFINITY))
from braggwatch.streamer.cli import main
main()
"""


@lru_cache
def small_pool() -> StillPool:
    """Twelve lysozyme stills on a detector of 512 x 512 pixels, half of them hits; all hits can be indexed."""
    return prepare_pool(_small_simulator(), 12, 0.5, seed=2)


def mixed_pool() -> StillPool:
    """24 stills on the same detector: blanks, hits of one lattice, and a quarter of all with two lattices."""
    return prepare_pool(_small_simulator(), 24, 0.6, double_fraction=0.4, seed=5)


def blank_pool() -> StillPool:
    """Four stills on the same detector, none of them a hit."""
    return prepare_pool(_small_simulator(), 4, 0.0, seed=3)


def _small_simulator() -> StillSimulator:
    detector = Detector.single_panel((512, 512), pixel_size=75e-6, distance=0.05, beam_center=(256.3, 255.8))
    return StillSimulator(detector.with_beam(Beam(12398.42)), LYSOZYME, beam_stop=0.0015)


def hits_among(n_frames: int) -> set[int]:
    """Which of the first frames of a series are truly hits."""
    return {number for number in range(n_frames) if small_pool().truth(number).is_hit}


def write_settings(folder: Path, source: str | dict[str, Any], **tables: dict[str, Any]) -> Path:
    """Write a settings file: one source address, or its table; files in the folder, two workers, any free ports."""
    document: dict[str, dict[str, Any]] = {
        "experiment": {"record": str(folder / "record.sqlite"), "quarantine": str(folder / "quarantine")},
        "source": {"address": source} if isinstance(source, str) else source,
        "chain": {"stages": ["hitfind", "dump:hit", "index"]},
        "hub": {"drop": "never"},
        "engine": {"workers": 2},
        "feed": {"address": "tcp://127.0.0.1:*"},
        "dump": {"directory": str(folder / "dumps"), "flush_seconds": 0.2},
        "index": {"cell": CELL},
    }
    for name, table in tables.items():
        document[name] = {**document.get(name, {}), **table}
    path = folder / "settings.toml"
    path.write_text(tomli_w.dumps(document))
    return path


def free_address() -> str:
    """An address where nobody sends."""
    return f"tcp://127.0.0.1:{free_ports(1)[0]}"


def start_simulator(folder: Path, *options: str, address: str = "tcp://127.0.0.1:*") -> tuple[Program, str]:
    """Start a simulated detector that sends the small pool; it, and its address."""
    pool = folder / "pool.h5"
    if not pool.exists():
        small_pool().save(pool)
    simulator = Program(folder, "simulate", "--address", address, "--pool", pool, *options)
    return simulator, simulator.message(r"frames from (tcp://\S+)")


@contextmanager
def processing(folder: Path, settings: Path, *options: str, **how: Any) -> Iterator[tuple[Program, FeedClient]]:
    """Start a processor, and watch its feed."""
    with (
        Program(folder, "process", settings, "--no-view", *options, **how) as processor,
        FeedClient(processor.message(r"braggwatch watch (tcp://\S+)")) as feed,
    ):
        yield processor, feed


def wait_until(
    condition: Callable[[], bool],
    *,
    feed: FeedClient | None = None,
    of: Program | None = None,
    what: Callable[[], str] = lambda: "",
) -> None:
    """Wait until something is so, hearing the feed meanwhile; fails when the program ends before."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited too long: {what()}"
        assert of is None or of.process.poll() is None or condition(), f"ended before: {what()}"
        if feed is None:
            time.sleep(0.05)
            continue
        feed.poll(0.1)
        assert feed.finished is None or condition(), f"ended before: {feed.finished}"


def wait_for_results(feed: FeedClient, n: int) -> None:
    """Wait until so many frames are done."""
    wait_until(lambda: feed.status is not None and _done(feed) >= n, feed=feed, what=lambda: str(feed.status))


def _done(feed: FeedClient) -> int:
    assert feed.status is not None
    counts = feed.status.totals.counts
    return sum(counts[state] for state in (State.BLANK, State.HIT, State.INDEXED))


def summary_counts(summary: str) -> dict[str, int]:
    """Read the table of a summary: how many frames by state, and ``sent``, ``received`` and ``sum``."""
    names = {"sent by detector": "sent", "hit, not indexed": "hit"}
    rows = re.findall(r"^  ([a-z][a-z, ]*?) +([\d, \u2009\u202f]+?)(?:  =.*)?$", summary, re.MULTILINE)
    return {names.get(name, name): int(re.sub(r"\D", "", value)) for name, value in rows if re.search(r"\d", value)}


def recorded_totals(record: Path) -> dict[str, int]:
    """How many frames of all runs the record has in each state."""
    return {state: int(n) for state, n in query(record, "SELECT state, sum(n) FROM totals GROUP BY state")}


def query(record: Path, sql: str) -> list[tuple[Any, ...]]:
    """Ask a record as any other program would."""
    with closing(sqlite3.connect(f"file:{record}?mode=ro", uri=True)) as db:
        return db.execute(sql).fetchall()
