"""Workers that Dask starts, watches and restarts."""

import os
import signal
import time

import pytest
import zmq
from distributed import LocalCluster
from rig import Rig

from braggwatch.streamer import worker_protocol as protocol
from braggwatch.streamer.engine import Engine, EngineSettings
from braggwatch.streamer.hub import Hub
from braggwatch.streamer.messages import State


def turn_until_ready(hub: Hub, n: int) -> dict[str, int]:
    """Let the hub turn until so many workers are ready; return their process numbers by name."""
    deadline = time.monotonic() + 60
    while sum(member.ready for member in hub.workforce) < n:
        hub.turn(0.05, listen=False)
        assert time.monotonic() < deadline, "the workers were not ready in time"
    return {member.name: member.hello.pid for member in hub.workforce}


def test_workers_of_the_embedded_cluster_do_a_series_and_go_when_told(rig: Rig) -> None:
    hub = rig.hub(rig.detector(60))
    with Engine(EngineSettings(workers=2)) as engine:
        engine.start_workers(rig.hub_address)
        pids = turn_until_ready(hub, 2)
        assert set(pids) == {"worker-0", "worker-1"}
        assert rig.run(hub).states() == {State.HIT: 30, State.BLANK: 30}
        hub.dismiss_workers(10.0)
        assert len(hub.workforce) == 0
    assert not any(os.path.exists(f"/proc/{pid}") for pid in pids.values())  # noqa: PTH110


@pytest.mark.parametrize("how", ["killed", "restarted on request"])
def test_a_worker_comes_back_under_its_name_as_another_process(rig: Rig, how: str) -> None:
    hub = rig.hub(rig.detector(60))
    with Engine(EngineSettings(workers=2)) as engine:
        engine.start_workers(rig.hub_address)
        before = turn_until_ready(hub, 2)
        if how == "killed":
            os.kill(before["worker-0"], signal.SIGKILL)
        else:
            engine.restart_worker("worker-0")
        deadline = time.monotonic() + 60
        after = before
        while after.get("worker-0") in (None, before["worker-0"]) and time.monotonic() < deadline:
            hub.turn(0.05, listen=False)
            after = {member.name: member.hello.pid for member in hub.workforce if member.ready}
        assert after["worker-0"] != before["worker-0"]
        assert after["worker-1"] == before["worker-1"]
        assert rig.run(hub).states() == {State.HIT: 30, State.BLANK: 30}
        hub.dismiss_workers(10.0)


def test_workers_can_run_in_a_dask_cluster_that_is_there_already(rig: Rig) -> None:
    hub = rig.hub(rig.detector(60))
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, memory_limit=0) as cluster,
        Engine(EngineSettings(workers=2, scheduler=cluster.scheduler_address)) as engine,
    ):
        engine.start_workers(rig.hub_address)
        turn_until_ready(hub, 2)
        assert rig.run(hub).states() == {State.HIT: 30, State.BLANK: 30}
        hub.dismiss_workers(10.0)


def test_a_worker_whose_loop_ends_with_an_exception_is_named_and_started_again() -> None:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as hub, Engine(EngineSettings(workers=1)) as engine:
        hub.linger = 0
        hub.rcvtimeo = 30_000
        hub.bind("tcp://127.0.0.1:*")
        engine.start_workers(hub.get_string(zmq.LAST_ENDPOINT))

        def next_hello() -> bytes:
            while (parts := hub.recv_multipart())[1] != protocol.HELLO:
                pass
            return parts[0]

        hub.send_multipart([next_hello(), protocol.SETTINGS, b"nonsense"])
        failed: dict[str, str] = {}
        deadline = time.monotonic() + 30
        while not failed and time.monotonic() < deadline:
            time.sleep(0.05)
            failed = engine.revive_workers()
        assert failed["worker-0"].startswith("ValidationError: ")
        assert engine.revive_workers() == {}
        hub.send_multipart([next_hello(), protocol.STOP])
