"""Frames from the detector to workers and back: none is lost unseen, whatever happens on the way."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from rig import SHAPE, THRESHOLD, Rig, frame, pipeline_settings

from braggwatch.processing.frame import Encoding, Frame
from braggwatch.streamer.daq_simulator.settings import FaultSettings
from braggwatch.streamer.messages import State
from braggwatch.streamer.quarantine import read_quarantined


@pytest.mark.parametrize("protocol", ["dectris-v2", "dectris-v1"])
def test_every_frame_of_a_series_gets_its_result(rig: Rig, protocol: str) -> None:
    hub = rig.hub(rig.detector(200, protocol=protocol), protocol=protocol)
    rig.start_workers(2)
    witness = rig.run(hub)
    assert witness.states() == {State.HIT: 100, State.BLANK: 100}
    assert {number for (_, number), r in witness.results.items() if r.state is State.HIT} == set(range(0, 200, 2))
    assert not witness.warnings


def test_the_ledger_agrees_with_what_a_misbehaving_detector_truly_sent(rig: Rig) -> None:
    faults = FaultSettings(seed=3, skip=0.1, truncate=0.1, duplicate=0.1, garbage=0.1)
    hub = rig.hub(rig.detector(300, faults=faults))
    rig.start_workers(2)
    witness = rig.run(hub)
    sent = rig.report.series[0]
    states = witness.states()
    assert min(len(sent.skipped), len(sent.truncated), len(sent.duplicated), sent.garbage) > 10
    assert {n for (_, n), (state, _) in witness.lost.items() if state is State.MISSED} == set(sent.skipped)
    refused = {key[1] for key, r in witness.results.items() if r.state is State.REFUSED}
    refused |= {n for (_, n), (state, _) in witness.lost.items() if state is State.REFUSED}
    assert refused == set(sent.truncated)
    assert states[State.HIT] + states[State.BLANK] == sent.whole
    assert witness.warnings["unexpected-number"] == len(sent.duplicated)
    assert sum(states.values()) == 300


def test_settings_that_change_in_mid_run_cost_no_frame_and_judge_those_that_come_after(rig: Rig) -> None:
    hub = rig.hub(rig.detector(300, rate=300.0))
    rig.start_workers(2)
    while len(rig.witness.results) < 100:
        hub.turn(0.05)
    arrived = hub.accounts.totals()["total"]
    hub.change_settings(pipeline_settings(tables={"hitfind": {**THRESHOLD, "threshold_adu": 5000.0}}))
    witness = rig.run(hub)
    assert sum(witness.states().values()) == 300
    assert set(witness.states()) == {State.HIT, State.BLANK}
    hits = {number for (_, number), result in witness.results.items() if result.state is State.HIT}
    assert hits >= set(range(0, 100, 2)) - set(range(90, 100))
    assert max(hits) < arrived, "no frame that arrived later was judged by the old settings"
    assert not witness.warnings


def test_a_detector_that_is_restarted_in_mid_series_begins_a_new_one(rig: Rig) -> None:
    hub = rig.hub(rig.detector(50, faults=FaultSettings(restart_after=20)))
    rig.start_workers(1)
    witness = rig.run(hub, series=2)
    ended = {counts.series: counts for counts in witness.ended}
    first, second = (ended[series.key] for series in witness.began)
    assert [s.number for s in witness.began] == [7, 7]
    assert (first.total, first.states[State.MISSED]) == (50, 30)
    assert (second.total, second.states[State.MISSED]) == (50, 0)


def test_several_series_in_a_row_are_told_apart(rig: Rig) -> None:
    hub = rig.hub(rig.detector(30, n_series=3))
    rig.start_workers(2)
    witness = rig.run(hub, series=3)
    assert [counts.total for counts in witness.ended] == [30, 30, 30]
    assert len({counts.series for counts in witness.ended}) == 3
    assert witness.states() == {State.HIT: 45, State.BLANK: 45}


def test_a_killed_workers_frames_go_to_another(rig: Rig) -> None:
    hub = rig.hub(
        rig.detector(200, rate=200.0), stages=["own_stages.Slow", "hitfind"], silence=4.0,
        tables={"own_stages.Slow": {"seconds": 0.004}},
    )  # fmt: skip
    rig.start_workers(2)

    def kill_when_busy() -> None:
        while len(rig.witness.results) < 60:
            time.sleep(0.01)
        rig.workers["worker-0"].kill()

    killer = threading.Thread(target=kill_when_busy)
    killer.start()
    witness = rig.run(hub)
    killer.join()
    assert witness.deaths == {"worker-0": 1}
    assert witness.states() == {State.HIT: 100, State.BLANK: 100}


def test_a_frame_that_kills_one_worker_is_given_to_another(rig: Rig, tmp_path: Path) -> None:
    stages = ["own_stages.Deadly", "hitfind"]
    hub = rig.hub(
        rig.detector(40), stages=stages, silence=4.0, tables={stages[0]: {"once": [7], "traces": str(tmp_path)}}
    )
    rig.start_workers(2)
    witness = rig.run(hub)
    assert sum(witness.deaths.values()) == 1
    assert witness.states() == {State.HIT: 20, State.BLANK: 20}


def test_a_frame_that_kills_two_workers_is_quarantined(rig: Rig, tmp_path: Path) -> None:
    stages = ["own_stages.Deadly", "hitfind"]
    hub = rig.hub(
        rig.detector(40), stages=stages, silence=4.0, tables={stages[0]: {"always": [8], "traces": str(tmp_path)}}
    )
    rig.start_workers(2)
    witness = rig.run(hub)
    assert witness.states() == {State.HIT: 19, State.BLANK: 20, State.QUARANTINED: 1}
    [((_, number), (_, reason))] = witness.lost.items()
    assert number == 8
    assert reason.startswith("it killed 2 workers and was set aside in ")
    [file] = tmp_path.glob("series7_frame8_*.msgpack")
    header, held = read_quarantined(file)
    assert header.photon_energy == 12_000.0
    assert bytes(held.payload) == frame(8, hit=True).payload


def test_a_worker_that_is_stuck_is_restarted(rig: Rig, tmp_path: Path) -> None:
    stages = ["own_stages.Stuck", "hitfind"]
    hub = rig.hub(rig.detector(10), stages=stages, frame_timeout=1.5, tables={stages[0]: {"traces": str(tmp_path)}})
    rig.start_workers(1)
    witness = rig.run(hub)
    assert witness.states() == {State.HIT: 5, State.BLANK: 5}
    assert "was busy with one frame for more than 1.5 s" in witness.texts["worker-lost"]


def test_a_stage_that_raises_fails_its_frame_and_no_other(rig: Rig) -> None:
    hub = rig.hub(rig.detector(30), stages=["own_stages.Faulty", "hitfind"])
    rig.start_workers(1)
    witness = rig.run(hub)
    assert witness.states() == {State.FAILED: 10, State.HIT: 10, State.BLANK: 10}
    failed = next(result for result in witness.results.values() if result.number == 6)
    assert failed.error == "RuntimeError: no luck with 6"


@pytest.mark.parametrize("policy", ["oldest", "newest"])
def test_under_overload_the_chosen_frames_are_dropped_and_counted(rig: Rig, policy: str) -> None:
    stages = ["own_stages.Slow", "hitfind"]
    size = 2 * SHAPE[0] * SHAPE[1]
    hub = rig.hub(
        rig.detector(100), stages=stages, drop=policy, queue_bytes=10 * size, credits=1,
        tables={stages[0]: {"seconds": 0.02}},
    )  # fmt: skip
    rig.start_workers(1)
    witness = rig.run(hub)
    dropped = sorted(n for (_, n), (state, _) in witness.lost.items() if state is State.DROPPED)
    done = sorted(number for _, number in witness.results)
    assert dropped
    assert sorted(dropped + done) == list(range(100))
    assert (99 in done) == (policy == "oldest")
    assert len(done) < 60


def test_with_drop_never_the_detector_has_to_wait(rig: Rig) -> None:
    stages = ["own_stages.Slow", "hitfind"]
    size = 2 * SHAPE[0] * SHAPE[1]
    hub = rig.hub(
        rig.detector(150), stages=stages, drop="never", queue_bytes=10 * size, tables={stages[0]: {"seconds": 0.005}}
    )
    rig.start_workers(1)
    longest = 0
    while hub.accounts.n_ended < 1:
        hub.turn(0.05)
        longest = max(longest, hub.queue_length)
    assert rig.witness.states() == {State.HIT: 75, State.BLANK: 75}
    assert longest <= 11


def test_pixels_that_do_not_unpack_are_refused(rig: Rig) -> None:
    good = frame(0, hit=True)
    bad = Frame(
        series="", number=1, payload=np.random.default_rng(0).bytes(500), shape=SHAPE, dtype="uint16",
        encoding=Encoding("bslz4", "hdf5"),
    )  # fmt: skip
    hub = rig.hub(rig.detector(2, frames=[good, bad]))
    rig.start_workers(1)
    assert rig.run(hub).states() == {State.HIT: 1, State.REFUSED: 1}


def test_nonsense_at_the_workers_socket_does_no_harm(rig: Rig) -> None:
    import zmq

    hub = rig.hub(rig.detector(20, rate=100.0))
    with zmq.Context() as context, context.socket(zmq.DEALER) as stranger:
        stranger.linger = 0
        stranger.connect(rig.hub_address)
        for parts in ([b""], [b"hello"], [b"hello", b"\xff\xff"], [b"result", b"x"], [b"alive", b"\xff"], [b"x"] * 9):
            stranger.send_multipart(parts)
        rig.start_workers(1)
        witness = rig.run(hub)
    assert witness.states() == {State.HIT: 10, State.BLANK: 10}
    assert witness.warnings["worker-message"] >= 2
