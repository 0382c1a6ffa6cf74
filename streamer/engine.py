"""Starts, watches and restarts workers with Dask; frames never pass through it."""

import logging
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from time import monotonic
from types import TracebackType
from typing import Any, Self

import dask.config
from distributed import Client, LocalCluster, wait
from pydantic import BaseModel, ConfigDict, Field

from braggwatch.streamer.worker import run_worker

log = logging.getLogger(__name__)

_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
"""A worker is one thread; bitshuffle's OpenMP threads would only get in each other's way."""

_SLOT = {"slot": 1}
"""Each Dask worker has one and a worker loop takes one, so that a loop never queues behind another."""

REVIVE_EVERY_S = 2.0
RESTART_PATIENCE_S = 10
GOODBYE_PATIENCE_S = 5


@contextmanager
def _deaf_to_stop_signals() -> Iterator[None]:
    """Keep SIGINT and SIGTERM from threads started here, and from all processes that those ever start.

    Ctrl-C reaches every process of a terminal, and service managers stop all of a group as well; workers must go on
    until the hub has told them to finish.
    """
    resource_tracker.ensure_running()  # started by multiprocessing in passing, it would let the signals in again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class EngineSettings(BaseModel):
    """Where the workers run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    workers: int = Field(
        default_factory=lambda: os.cpu_count() or 1, ge=1, le=1024, description="Number of worker processes."
    )
    scheduler: str | None = Field(
        default=None,
        description="Address of a running Dask scheduler, tcp://host:port; left out, workers start on this machine.",
    )


class Engine:
    """A number of workers, kept alive as long as this is open."""

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self._cluster: LocalCluster | None = None
        self._client: Client | None = None
        self._loops: list[Any] = []
        self._hub = ""
        self._next_look = 0.0
        self._errands = ThreadPoolExecutor(1, "engine")

    def __enter__(self) -> Self:
        with dask.config.set(
            {
                # A worker that dies is started again for as long as the run lasts.
                "distributed.scheduler.allowed-failures": 1_000_000,
                "distributed.nanny.pre-spawn-environ": dict.fromkeys(_ONE_THREAD, "1"),
            }
        ):
            if self._settings.scheduler is None:
                with _deaf_to_stop_signals():
                    self._cluster = LocalCluster(
                        n_workers=self._settings.workers,
                        threads_per_worker=1,
                        processes=True,
                        dashboard_address=None,
                        # There is a port even without a dashboard; a fixed one stands in a second processor's way.
                        scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
                        silence_logs=logging.ERROR,
                        memory_limit=0,
                        resources=_SLOT,
                    )
            self._client = Client(self._cluster if self._cluster is not None else self._settings.scheduler)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._errands.shutdown(cancel_futures=True)
        if self._client is not None:
            with suppress(TimeoutError):
                wait(self._loops, timeout=GOODBYE_PATIENCE_S)
            self._client.cancel(self._loops)
            self._client.close()
        if self._cluster is not None:
            self._cluster.close()

    def start_workers(self, hub: str) -> None:
        """Start the worker loops; they connect to the hub's address `hub`."""
        self._hub = hub
        self._loops = [self._start(index) for index in range(self._settings.workers)]

    def revive_workers(self) -> dict[str, str]:
        """Start the loops again that ended with an exception, and return what it said, by name; looks now and then.

        Dask does so only where the process died.
        """
        if monotonic() < self._next_look:
            return {}
        self._next_look = monotonic() + REVIVE_EVERY_S
        failed = {index: loop.exception() for index, loop in enumerate(self._loops) if loop.status == "error"}
        for index in failed:
            self._loops[index] = self._start(index)
        return {f"worker-{index}": f"{type(error).__name__}: {error}" for index, error in failed.items()}

    def _start(self, index: int) -> Any:
        assert self._client is not None
        slot = _SLOT if self._cluster is not None else None
        return self._client.submit(run_worker, self._hub, f"worker-{index}", pure=False, resources=slot)

    def restart_worker(self, name: str) -> None:
        """Have Dask kill and restart the process of a worker loop; returns at once."""
        self._errands.submit(self._restart, name)

    def _restart(self, name: str) -> None:
        assert self._client is not None
        key = self._loops[int(name.rpartition("-")[2])].key
        addresses = [address for address, keys in self._client.processing().items() if key in keys]
        self._client.restart_workers(addresses, timeout=RESTART_PATIENCE_S, raise_for_error=False)
