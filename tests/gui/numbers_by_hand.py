"""Numbers that a processor would send, made by hand: status, history, last word."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from braggwatch.streamer.feed_messages import (
    Bins,
    Dump,
    History,
    Latency,
    Ledger,
    Mark,
    Queue,
    Rate,
    Rates,
    RecordState,
    Run,
    Status,
    Throughput,
    Worker,
)
from braggwatch.streamer.messages import State
from braggwatch.streamer.statistics import wilson

T0 = 1.75e9
COUNTS = {
    "missed": 3, "refused": 0, "dropped": 12, "blank": 34_562, "hit": 1_412, "indexed": 3_480, "failed": 1,
    "quarantined": 0, "skipped": 0, "waiting": 21, "working": 4,
}  # fmt: skip
TOTAL = sum(COUNTS.values())


def rates() -> Rates:
    return Rates(
        hit=wilson(496, 3990), indexed_of_hits=wilson(352, 496), indexed=wilson(352, 3990),
        multi_lattice=wilson(30, 352), dropped=wilson(5, 4013), missed=wilson(12, 4013),
    )  # fmt: skip


def run(**changes: Any) -> Run:
    known: dict[str, Any] = {
        "key": "run-1", "number": 42, "name": "lysozyme_0042", "detector": "EIGER2 16M", "shape": (4362, 4148),
        "photon_energy": 12_400.0, "distance": 0.15, "n_frames": 100_000, "started": T0,
        "ledger": Ledger.of({"blank": 900, "hit": 70, "indexed": 30}, 1000),
    }  # fmt: skip
    return Run(**{**known, **changes})


def status(**changes: Any) -> Status:
    known: dict[str, Any] = {
        "word": "LIVE", "since": T0, "time": T0 + 60, "experiment": "mx2533", "source": "tcp://127.0.0.1:31001",
        "run": run(), "totals": Ledger.of(COUNTS, TOTAL), "runs": 3, "window": 30.0, "rates": rates(),
        "throughput": Throughput(133.0, 1.31e9, 132.4), "latency": Latency(3990, 0.018, 0.041, 0.2), "frame_age": 0.01,
        "queue": Queue(21, 310_000_000, 1_000_000_000),
        "workers": (
            Worker(name="tcp://127.0.0.1:40001", pid=311, host="node7", state="ready", frames_per_s=67.1, busy=0.81),
            Worker(name="tcp://127.0.0.1:40002", pid=312, host="node7", state="ready", frames_per_s=65.3, busy=0.79,
                   restarts=1),
        ),
        "dumps": (Dump(name="hit", directory="/data/mx2533/dumps/hit", images=4892),),
        "record": RecordState(path="/data/mx2533/record.sqlite", frames=39_000, pending=12),
    }  # fmt: skip
    return Status(**{**known, **changes})


def rate(n: int, of: int) -> Rate:
    return wilson(n, of)


def bins(counts: Mapping[State, Iterable[int]], start: float = T0, width: float = 1.0, multi: Any = None) -> Bins:
    columns = {state: [int(n) for n in column] for state, column in counts.items()}
    n = len(next(iter(columns.values()), []))
    zero = [0] * n
    return Bins(
        start=start, width=width, counts={state: columns.get(state, zero) for state in State},
        multi_lattice=zero if multi is None else [int(m) for m in multi], arrived=zero, n_bytes=zero, results=zero,
        latency_sum=[0.0] * n, latency_max=[0.0] * n,
    )  # fmt: skip


def random_bins(n: int, start: float = T0, width: float = 1.0, seed: int = 1) -> Bins:
    random = np.random.default_rng(seed)
    indexed = random.poisson(9.0, n)
    counts = {
        State.BLANK: random.poisson(110.0, n), State.HIT: random.poisson(4.0, n), State.INDEXED: indexed,
        State.DROPPED: random.poisson(0.1, n), State.MISSED: random.poisson(0.05, n),
    }  # fmt: skip
    return bins(counts, start, width, random.binomial(indexed, 0.1))


def history(recent: Bins, session: Bins | None = None, marks: Iterable[Mark] = ()) -> History:
    return History(recent=recent, session=session or recent, marks=tuple(marks))


def two_runs(n: int = 600) -> History:
    """Ten minutes with a pause, two runs and a change of settings."""
    made = random_bins(n)
    for state in State:
        made.counts[state][n // 3 : n // 2] = [0] * (n // 2 - n // 3)
    made.multi_lattice[n // 3 : n // 2] = [0] * (n // 2 - n // 3)
    made.counts[State.DROPPED][n - 100 : n - 95] = [40] * 5
    return history(
        made,
        marks=(
            Mark(T0, "run began", "run 41"),
            Mark(T0 + n // 3, "run ended", "run 41"),
            Mark(T0 + n // 2, "run began", "run 42"),
            Mark(T0 + 0.7 * n, "settings", "hitfind min_snr 5 → 6"),
        ),
    )
