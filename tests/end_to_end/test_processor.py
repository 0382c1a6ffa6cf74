"""`braggwatch process` beside a simulated detector: nothing lost unseen, whatever is killed on the way."""

import os
import re
import signal
import time
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401 - so that h5py reads bitshuffle
import numpy as np
import psutil
import pytest
import zmq
from programs import (
    LOST,
    Program,
    free_address,
    hits_among,
    processing,
    query,
    recorded_totals,
    small_pool,
    start_simulator,
    still_running,
    summary_counts,
    wait_for_results,
    wait_until,
    write_settings,
)

from braggwatch.streamer.cli.free_ports import free_ports
from braggwatch.streamer.daq_simulator.report import SimulatorReport
from braggwatch.streamer.feed_client import FeedClient


def workers_of(feed: FeedClient) -> dict[str, int]:
    """The process of each worker, by name."""
    assert feed.status is not None
    return {worker.name: worker.pid or 0 for worker in feed.status.workers}


def test_record_and_summary_agree_with_what_a_misbehaving_detector_says_it_sent(tmp_path: Path) -> None:
    report = tmp_path / "sent.json"
    faults = ("--skip", "0.1", "--truncate", "0.1", "--duplicate", "0.1", "--garbage", "0.1", "--restart-after", "40")
    simulator, address = start_simulator(tmp_path, "--frames", "120", "--report", str(report), *faults)
    with simulator, processing(tmp_path, write_settings(tmp_path, address), "--series", "2") as (processor, _):
        assert processor.wait() == 0
        assert simulator.wait() == 0
    sent = SimulatorReport.read(report).series
    assert [series.reached for series in sent] == [40, 120]
    assert min(sum(len(s.skipped) for s in sent), sum(len(s.truncated) for s in sent), sent[1].garbage) > 5

    whole = [set(range(s.reached)) - set(s.skipped) - set(s.truncated) for s in sent]
    hits = sum(len(numbers & hits_among(120)) for numbers in whole)
    n_whole = sum(len(numbers) for numbers in whole)
    expected = {
        **LOST,
        "missed": sum(len(s.skipped) for s in sent) + 80,  # the first series broke off after 40 of its 120
        "refused": sum(len(s.truncated) for s in sent),
        "blank": n_whole - hits,
        "hit": 0,
        "indexed": hits,
    }
    said = summary_counts(processor.output)
    assert {state: said[state] for state in expected} == expected
    assert (said["sum"], said["received"]) == (240, 240 - expected["missed"])
    record = tmp_path / "record.sqlite"
    assert recorded_totals(record) == {state: n for state, n in expected.items() if n}
    assert query(record, "SELECT sum(n) FROM ledger") == [(240,)]
    notes = query(record, "SELECT number FROM frames JOIN states ON code = state WHERE name = 'refused' AND run = 2")
    assert {number for (number,) in notes} <= set(sent[1].truncated)
    assert "has arrived before: it is " in processor.output
    assert f"(× {sum(len(s.duplicated) for s in sent)})" in processor.output


def test_a_worker_process_killed_in_mid_run_costs_no_frame(tmp_path: Path) -> None:
    simulator, address = start_simulator(tmp_path, "--frames", "100000", "--rate", "50")
    settings = write_settings(tmp_path, address, hub={"silence": 2.0})
    with simulator, processing(tmp_path, settings) as (processor, feed):
        wait_for_results(feed, 50)
        before = workers_of(feed)
        os.kill(before["worker-0"], signal.SIGKILL)
        # The engine starts it again under the same name, and it works on.
        wait_until(lambda: workers_of(feed).get("worker-0", before["worker-0"]) != before["worker-0"], feed=feed)
        wait_for_results(feed, 100)
        processor.interrupt()
        assert processor.wait() == 0
    said = summary_counts(processor.output)
    n = said["received"]
    hits = len(hits_among(n))
    assert n > 100
    assert said == {**LOST, "received": n, "blank": n - hits, "hit": 0, "indexed": hits, "sum": n}
    assert recorded_totals(tmp_path / "record.sqlite") == {"blank": n - hits, "indexed": hits}
    # Whichever is noticed first: its silence, its broken connection, or the new process under its name.
    assert re.search(r"worker worker-0 (has not been heard of for 2\.0 s|is gone|was restarted)", processor.output)


def test_after_kill_9_of_the_processor_its_files_are_whole_and_it_starts_again_at_once(tmp_path: Path) -> None:
    # In short series: one that has begun before a processor is there never tells it where the pixels are.
    simulator, address = start_simulator(tmp_path, "--frames", "100", "--series", "1000", "--rate", "60")
    feed_port = free_ports(3)[0]
    settings = write_settings(tmp_path, address, feed={"address": f"tcp://127.0.0.1:{feed_port}"})
    record = tmp_path / "record.sqlite"
    with simulator:
        with processing(tmp_path, settings) as (processor, feed):
            wait_until(lambda: record.exists() and len(query(record, "SELECT * FROM images")) > 50, feed=feed)
            left = processor.children()
            processor.process.kill()
            assert processor.wait() == -signal.SIGKILL
        committed = query(record, "SELECT number, name FROM frames JOIN states ON code = state")
        images = query(record, "SELECT number, path, entry FROM images JOIN files ON files.id = file")
        with processing(tmp_path, settings) as (processor, feed):
            wait_for_results(feed, 20)
            processor.interrupt()
            assert processor.wait() == 0

    assert not still_running(left), "workers outlive a processor that was killed"
    assert len(committed) > 50
    assert {n for n, state in committed if state == "indexed"} <= hits_among(100)
    assert {n for n, state in committed if state == "blank"}.isdisjoint(hits_among(100))
    assert len(images) > 50
    for number, path, entry in images:
        with h5py.File(path) as file:
            if entry < len(file["entry/frames/number"]):  # the last ones may not have been flushed
                assert file["entry/frames/number"][entry] == number
                np.testing.assert_array_equal(file["entry/data/data"][entry], small_pool().image(number))
    flushed = sum(len(h5py.File(path)["entry/frames/number"]) for path in {path for _, path, _ in images})
    assert flushed >= len(images) - 60, "at most a second's images are lost"
    assert len(query(record, "SELECT * FROM frames")) >= len(committed) + 20


@pytest.mark.parametrize("how", ["Ctrl-C", "SIGTERM"])
def test_it_ends_in_good_order_when_it_is_told_to_stop(tmp_path: Path, how: str) -> None:
    simulator, address = start_simulator(tmp_path, "--frames", "100000", "--rate", "100")
    with simulator, processing(tmp_path, write_settings(tmp_path, address)) as (processor, feed):
        wait_for_results(feed, 50)
        children = processor.children()
        if how == "Ctrl-C":
            processor.interrupt()
        else:
            processor.process.terminate()
            processor.process.terminate()  # as two programs that both want it gone
        assert processor.wait() == 0
    assert not still_running(children)
    assert "Traceback" not in processor.messages
    assert f"Finished: stopped by {'SIGINT' if how == 'Ctrl-C' else 'SIGTERM'}" in processor.output
    record = tmp_path / "record.sqlite"
    assert not (tmp_path / "record.sqlite-wal").exists()
    said = summary_counts(processor.output)
    assert {state: said[state] for state in LOST} == LOST
    assert said["sum"] == said["received"] == said["blank"] + said["indexed"] >= 50
    assert sum(recorded_totals(record).values()) == said["sum"]
    assert query(record, "SELECT count(*) FROM runs WHERE ended IS NULL") == [(0,)]
    images = 0
    for path in (tmp_path / "dumps").iterdir():
        with h5py.File(path) as file:
            images += len(file["entry/data/data"])
    assert images == said["indexed"]


def test_a_second_ctrl_c_interrupts_it_and_it_says_so(tmp_path: Path) -> None:
    simulator, address = start_simulator(tmp_path, "--frames", "100000", "--rate", "100")
    with simulator, processing(tmp_path, write_settings(tmp_path, address)) as (processor, feed):
        wait_for_results(feed, 50)
        children = processor.children()
        assert feed.status is not None
        for worker in feed.status.workers:
            psutil.Process(worker.pid).suspend()  # so that there is something to wait for
        processor.interrupt()
        time.sleep(0.5)  # two at once would be one
        processor.interrupt()
        assert processor.wait() == 130
    assert not still_running(children)
    assert "interrupted: frames that were not finished are lost" in processor.messages


def test_a_full_disk_stops_the_dump_until_there_is_room_and_never_the_counting(tmp_path: Path) -> None:
    # How large a file may grow stands for how much the disk holds.
    simulator, address = start_simulator(tmp_path, "--frames", "100000", "--rate", "50")
    settings = write_settings(tmp_path, address, engine={"workers": 1})
    record = tmp_path / "record.sqlite"

    def dumped() -> int:
        return len(query(record, "SELECT * FROM images")) if record.exists() else 0

    with simulator, processing(tmp_path, settings, file_size_limit=2 << 20) as (processor, feed):
        wait_until(
            lambda: feed.status is not None and sum("File too large" in n.text for n in feed.status.notices) > 0,
            feed=feed, of=processor,
        )  # fmt: skip
        wait_for_results(feed, 200)
        before_room = dumped()
        for process in processor.children():
            process.rlimit(psutil.RLIMIT_FSIZE, (psutil.RLIM_INFINITY, psutil.RLIM_INFINITY))
        wait_until(lambda: dumped() > before_room + 20, feed=feed, of=processor)
        processor.interrupt()
        assert processor.wait() == 0
    said = summary_counts(processor.output)
    n = said["received"]
    hits = len(hits_among(n))
    assert said == {**LOST, "received": n, "blank": n - hits, "hit": 0, "indexed": hits, "sum": n}
    assert f"! dump hit: cannot write to {tmp_path}/dumps: File too large" in processor.output
    images = query(record, "SELECT number, path, entry FROM images JOIN files ON files.id = file")
    assert before_room + 20 < len(images) < hits
    for number, path, entry in images:
        with h5py.File(path) as file:
            assert file["entry/frames/number"][entry] == number
            np.testing.assert_array_equal(file["entry/data/data"][entry], small_pool().image(number))


def test_a_late_viewer_gets_the_totals_and_the_summary(tmp_path: Path) -> None:
    simulator, address = start_simulator(tmp_path, "--frames", "100000", "--rate", "100")
    settings = write_settings(tmp_path, address, engine={"workers": 1})
    with simulator, processing(tmp_path, settings) as (processor, feed):
        wait_for_results(feed, 100)
        with Program(tmp_path, "watch", feed.address, "--until-finished") as viewer:
            wait_until(lambda: " LIVE " in viewer.output, of=viewer)
            processor.interrupt()
            assert viewer.wait() == 0
        assert processor.wait() == 0
    first = next(line for line in viewer.output.splitlines() if " LIVE " in line)
    seen = re.search(r" LIVE run 1 \| ([^|]+) frames, .* dropped 0, missed 0, refused 0$", first)
    assert seen is not None, first
    assert int(re.sub(r"\D", "", seen[1])) >= 100
    assert viewer.output.endswith(processor.output)


def test_a_detector_that_is_not_there_or_says_nothing_is_told_until_frames_come(tmp_path: Path) -> None:
    def notice(feed: FeedClient) -> str:
        notices = feed.status.notices if feed.status is not None else ()
        return next((n.text for n in notices if n.kind == "silent-detector"), "")

    address = free_address()
    settings = write_settings(tmp_path, address, engine={"workers": 1})
    with processing(tmp_path, settings, "--series", "1") as (processor, feed):
        wait_until(lambda: bool(notice(feed)), feed=feed, of=processor)
        assert notice(feed) == (
            f"no message from {address} for 10 s: nothing answers at that address: is the detector's stream switched "
            "on, and the address right?"
        )
        assert feed.status is not None
        assert any(worker.state == "ready" for worker in feed.status.workers)
        with zmq.Context() as context, context.socket(zmq.PUSH) as idle:
            idle.bind(address)
            wait_until(lambda: "connected" in notice(feed), feed=feed, of=processor)
            assert notice(feed) == (
                f"no message from {address} for 10 s: connected, but nothing comes: is the detector armed, its stream "
                "enabled, and nobody else reading from it?"
            )
        simulator, _ = start_simulator(tmp_path, "--frames", "200", "--rate", "50", address=address)
        with simulator:
            wait_for_results(feed, 100)
            assert notice(feed) == ""
            assert processor.wait() == 0
    assert summary_counts(processor.output)["sum"] == 200
    assert "no message from" not in processor.output
    assert processor.messages.count("nothing answers at that address") == 1
    assert processor.messages.count("connected, but nothing comes") == 1
