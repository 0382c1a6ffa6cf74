"""A detector, a hub and workers, all of them real, with frames small enough to send thousands."""

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from braggwatch.processing.frame import Encoding, Frame, Series
from braggwatch.processing.pipeline_settings import PipelineSettings
from braggwatch.streamer.daq_simulator.report import SimulatorReport
from braggwatch.streamer.daq_simulator.settings import FaultSettings, SimulatorSettings
from braggwatch.streamer.daq_simulator.simulator import Simulator
from braggwatch.streamer.hub import Hub
from braggwatch.streamer.hub_settings import HubSettings
from braggwatch.streamer.ledger import LedgerCounts
from braggwatch.streamer.messages import Result, State
from braggwatch.streamer.quarantine import set_aside
from braggwatch.streamer.select_settings import SelectSettings
from braggwatch.streamer.sources.settings import DectrisV1Settings, DectrisV2Settings
from braggwatch.streamer.sources.source import open_source

SHAPE = (64, 64)
BRIGHT = 1000
"""The pixel that makes a frame a hit for `THRESHOLD`."""
THRESHOLD = {"method": "threshold", "threshold_adu": 500.0}


def frame(number: int, *, hit: bool) -> Frame:
    """Return a frame that is a hit or a blank, and can be told from the others."""
    image = np.full(SHAPE, number % 100, np.uint16)
    image[32, 32] = BRIGHT if hit else 0
    return Frame(series="", number=number, payload=image.tobytes(), shape=SHAPE, dtype="uint16", encoding=Encoding())


def series() -> Series:
    """Return the header that goes with `frame`."""
    return Series(
        key="", number=7, shape=SHAPE, dtype="uint16", photon_energy=12_000.0, distance=0.1, beam_center=(32.0, 32.0),
        pixel_size=(75e-6, 75e-6), frame_time=0.001, count_time=0.0009,
    )  # fmt: skip


def pipeline_settings(
    stages: list[str] | None = None, tables: dict[str, dict[str, Any]] | None = None, **more: Any
) -> bytes:
    """Return what the hub sends to its workers; `more` are tables that belong to no stage."""
    settings = PipelineSettings.model_validate(
        {"chain": {"stages": stages or ["hitfind"]}, "stages": {"hitfind": THRESHOLD, **(tables or {})}, **more}
    )
    return settings.model_dump_json().encode()


@dataclass
class Witness:
    """Remembers everything that the hub tells."""

    began: list[Series] = field(default_factory=list)
    results: dict[tuple[str, int], Result] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)
    corrected: dict[tuple[str, int], bytes] = field(default_factory=dict)
    packed: list[bytes] = field(default_factory=list)
    """What was integrated."""
    lost: dict[tuple[str, int], tuple[State, str]] = field(default_factory=dict)
    warnings: Counter[str] = field(default_factory=Counter)
    texts: dict[str, str] = field(default_factory=dict)
    deaths: Counter[str] = field(default_factory=Counter)
    ended: list[LedgerCounts] = field(default_factory=list)

    def series_began(self, series: Series) -> None:
        self.began.append(series)

    def frame_arrived(self, n_bytes: int) -> None:
        assert n_bytes > 0

    def frame_done(self, result: Result, latency: float, frame: Frame, corrected: Any) -> None:
        key = result.series, result.number
        assert key == (frame.series, frame.number)
        assert key not in self.results, "a frame has one result"
        self.results[key] = result
        self.latencies.append(latency)
        if corrected is not None:
            self.corrected[key] = corrected

    def integrated(self, packed: bytes) -> None:
        self.packed.append(packed)

    def frames_lost(self, series: str, numbers: range, state: State, reason: str) -> None:
        for number in numbers:
            key = series, number
            assert key not in self.results
            assert key not in self.lost, "a frame is lost once"
            self.lost[key] = state, reason

    def warned(self, kind: str, text: str) -> None:
        self.warnings[kind] += 1
        self.texts[kind] = text

    def worker_lost(self, name: str) -> None:
        self.deaths[name] += 1

    def series_ended(self, counts: LedgerCounts) -> None:
        self.ended.append(counts)

    def states(self) -> Counter[State]:
        """How many frames ended in which state."""
        return Counter([r.state for r in self.results.values()] + [state for state, _ in self.lost.values()])


class Rig:
    """Detector → hub → workers, on this machine's own sockets and processes."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self.stack = stack
        self.folder = folder
        self.witness = Witness()
        self.report = SimulatorReport()
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        self.hub_address = ""
        self._keep_alive = threading.Event()

    def detector(
        self,
        n_frames: int = 100,
        *,
        frames: list[Frame] | None = None,
        hit: Callable[[int], bool] = lambda n: n % 2 == 0,
        faults: FaultSettings | None = None,
        **options: Any,
    ) -> str:
        """Start a detector and return its address."""
        settings = SimulatorSettings(
            address="tcp://127.0.0.1:*", n_frames=n_frames, faults=faults or FaultSettings(), **options
        )
        stored = frames or [frame(number, hit=hit(number)) for number in range(n_frames)]
        simulator = self.stack.enter_context(Simulator(settings, stored, series()))
        self.report = simulator.report
        thread = threading.Thread(target=simulator.run)
        self.stack.callback(thread.join)
        self.stack.callback(simulator.stop)
        thread.start()
        return simulator.address

    def hub(
        self,
        address: str,
        *,
        protocol: str = "dectris-v2",
        stages: list[str] | None = None,
        tables: dict[str, dict[str, Any]] | None = None,
        select: SelectSettings | None = None,
        **options: Any,
    ) -> Hub:
        """Make a hub that reads from an address; `options` are the hub's settings."""
        source_settings = (DectrisV2Settings if protocol == "dectris-v2" else DectrisV1Settings)(address=address)
        pipeline = pipeline_settings(stages, tables)
        source = self.stack.enter_context(open_source(source_settings))
        hub = Hub(
            source, HubSettings(**options), pipeline, self.witness,
            quarantine=lambda series, frame: set_aside(self.folder, series, frame),
            restart_worker=self.restart_worker, select=select,
        )  # fmt: skip
        self.stack.callback(hub.close)
        self.hub_address = hub.bind("tcp://127.0.0.1:*")
        return hub

    def start_workers(self, n: int) -> None:
        """Start worker processes; one that dies is started again, as the engine does."""
        for index in range(n):
            self._start_worker(f"worker-{index}")
        keeper = threading.Thread(target=self._keep_workers)
        self.stack.callback(self._stop_workers, keeper)
        keeper.start()

    def restart_worker(self, name: str) -> None:
        """Kill a worker's process; it is started again."""
        self.workers[name].kill()

    def run(self, hub: Hub, *, series: int = 1, patience: float = 60.0) -> Witness:
        """Let the hub turn until so many series are over, and check its accounts on the way."""
        deadline = time.monotonic() + patience
        while hub.accounts.n_ended < series:
            hub.turn(0.05)
            totals = hub.accounts.totals()
            assert sum(n for state, n in totals.items() if state != "total") == totals["total"]
            assert time.monotonic() < deadline, f"not finished in time: {totals}, {dict(self.witness.warnings)}"
        return self.witness

    def _start_worker(self, name: str) -> None:
        code = "import sys; from braggwatch.streamer.worker import run_worker; run_worker(*sys.argv[1:])"
        path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
        self.workers[name] = subprocess.Popen(
            [sys.executable, "-c", code, self.hub_address, name],
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        )

    def _keep_workers(self) -> None:
        while not self._keep_alive.wait(0.05):
            for name, process in list(self.workers.items()):
                if process.poll() is not None:
                    self._start_worker(name)

    def _stop_workers(self, keeper: threading.Thread) -> None:
        self._keep_alive.set()
        keeper.join()
        for process in self.workers.values():
            process.kill()
            process.wait()
