"""Frames a second and latency of the whole program: detector process → hub → workers, over real sockets.

`python -m benchmarks.end_to_end [--frames 3000] [--workers 2] [--rate FRAMES_PER_S] [--no-dump] [--merge] [--runs 1]`

Sender, hub and workers share this machine's cores. Frames are 4 Mpx lysozyme stills, half of them hits, compressed as
the detector sends them; hits and indexed images are dumped. With --merge every indexed shot is integrated, written with
its reflections, and merged; each run is then followed by one without, and the ratio is printed.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from braggwatch.processing.simulation.demo import demo_simulator
from braggwatch.processing.simulation.pool import prepare_pool
from braggwatch.streamer.feed_messages import Finished
from braggwatch.streamer.processor import Processor
from braggwatch.streamer.settings import Settings, parse_settings

ADDRESS = "tcp://127.0.0.1:31901"
POOL_IMAGES = 24


@dataclass(frozen=True)
class Outcome:
    """One run."""

    workers: int
    rate: float | None
    frames_per_s: float
    median_ms: float
    p99_ms: float
    hits: int
    indexed: int
    lost: int


def measure(
    pool: Path, *, frames: int, workers: int, rate: float | None = None, dump: bool = True, merge: bool = False
) -> Outcome:
    """Stream frames of a pool through a processor and return what came of it."""
    with tempfile.TemporaryDirectory() as folder:
        processor = Processor(settings(Path(folder), workers, dump, merge), max_series=1)
        sender = subprocess.Popen(
            [
                sys.executable, "-m", "braggwatch.streamer", "simulate", "--address", ADDRESS, "--pool", str(pool),
                "--frames", str(frames), *(() if rate is None else ("--rate", str(rate))),
            ],
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        finished = processor.run()
        sender.wait(30)
    return _outcome(finished, workers, rate)


def settings(folder: Path, workers: int, dump: bool, merge: bool) -> Settings:
    """Return the settings of a run whose files go into `folder`."""
    every = "hitfind", "dump:hit", "index", "integrate", "dump:indexed"
    stages = [s for s in every if (dump or "dump" not in s) and (merge or s != "integrate")]
    return parse_settings(
        {
            "experiment": {"record": str(folder / "record.sqlite"), "quarantine": str(folder)},
            "source": {"type": "dectris-v2", "address": ADDRESS, "high_water_mark": 20},
            "chain": {"stages": stages},
            "hub": {"drop": "never", "queue_bytes": 2**24},
            "engine": {"workers": workers},
            "feed": {"address": "tcp://127.0.0.1:*"},
            "dump": {"directory": str(folder)},
            "index": {"cell": "79.2 79.2 38.0 90 90 90 P43212"},
        }
    )


def _outcome(finished: Finished, workers: int, rate: float | None) -> Outcome:
    counts = finished.totals.counts
    done = counts["blank"] + counts["hit"] + counts["indexed"]
    latency = finished.latency
    return Outcome(
        workers=workers, rate=rate, frames_per_s=done / (finished.seconds or float("nan")),
        median_ms=1e3 * (latency.median or float("nan")), p99_ms=1e3 * (latency.p99 or float("nan")),
        hits=counts["hit"] + counts["indexed"], indexed=counts["indexed"], lost=finished.totals.total - done,
    )  # fmt: skip


def print_outcome(outcome: Outcome) -> None:
    """Print one line."""
    offered = "as fast as possible" if outcome.rate is None else f"{outcome.rate:.0f} frames/s offered"
    print(
        f"{outcome.workers} workers, {offered}: {outcome.frames_per_s:.1f} frames/s, latency median "
        f"{outcome.median_ms:.1f} ms, p99 {outcome.p99_ms:.1f} ms; {outcome.hits} hits, {outcome.indexed} indexed, "
        f"{outcome.lost} lost",
        flush=True,
    )


def compare_with_merging(pool: Path, frames: int, workers: int, *, dump: bool) -> None:
    """Print a run with integration and merging, one without, and what part of the frames/s is left with them."""
    both = [measure(pool, frames=frames, workers=workers, dump=dump, merge=merge) for merge in (True, False)]
    for name, outcome in zip(("with integration and merging", "without"), both, strict=True):
        print(f"{name}: ", end="")
        print_outcome(outcome)
    print(f"ratio {both[0].frames_per_s / both[1].frames_per_s:.2f}", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=3000)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--rate", type=float, help="frames/s; left out: as fast as possible, then at 80 %% of that")
    parser.add_argument("--no-dump", action="store_true")
    parser.add_argument("--merge", action="store_true", help="integrate and merge, and compare with a run without")
    parser.add_argument("--runs", type=int, default=1, help="how often each is measured, for machines that are noisy")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        pool = Path(folder, "pool.h5")
        prepare_pool(demo_simulator(), POOL_IMAGES, 0.5, seed=1).save(pool)
        for workers in given.workers * given.runs:
            if given.merge:
                compare_with_merging(pool, given.frames, workers, dump=not given.no_dump)
                continue
            outcome = measure(pool, frames=given.frames, workers=workers, rate=given.rate, dump=not given.no_dump)
            print_outcome(outcome)
            if given.rate is None:
                rate = 0.8 * outcome.frames_per_s
                print_outcome(measure(pool, frames=given.frames, workers=workers, rate=rate, dump=not given.no_dump))


if __name__ == "__main__":
    main()
