"""A pump–probe run over real sockets: groups in feed, record, dumps and summary are the truth, and each shot in one."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import h5py
import pytest
from programs import (
    hits_among,
    processing,
    query,
    recorded_totals,
    start_simulator,
    summary_counts,
    wait_for_results,
    wait_until,
    write_settings,
)

from braggwatch.streamer.control_client import ControlClient
from braggwatch.streamer.control_messages import Change, Changed
from braggwatch.streamer.daq_simulator.report import SimulatorReport
from braggwatch.streamer.feed_client import FeedClient
from braggwatch.streamer.feed_messages import Group
from braggwatch.streamer.messages import State
from braggwatch.streamer.replay import RecordFeed

N = 120
NAMES = {"0": "dark", "1": "pumped"}


def laser(number: int) -> int:
    """The state of the laser for a shot: three on, two off."""
    return int(number % 5 < 3)


def counted(groups: tuple[Group, ...]) -> dict[str, tuple[int, int, int]]:
    """Frames, hits and indexed shots of each group."""
    return {group.name: (group.frames, group.hits, group.indexed) for group in groups}


def documented_query() -> str:
    """What docs/record.md asks of the groups."""
    text = (Path(__file__).resolve().parents[2] / "docs" / "record.md").read_text()
    found: list[str] = [sql for sql in re.findall(r"```sql\n(.*?)```", text, re.DOTALL) if "groups.name" in sql]
    return found[0]


def test_rates_by_group_are_the_truth_wherever_they_are_read(tmp_path: Path) -> None:
    report = tmp_path / "sent.json"
    simulator, address = start_simulator(
        tmp_path, "--frames", str(N), "--laser", "3 on, 2 off", "--skip", "0.1", "--report", str(report)
    )
    settings = write_settings(
        tmp_path, address, groups={"by": "laser_1", "names": NAMES}, dump={"by_group": True}
    )  # fmt: skip
    with simulator, processing(tmp_path, settings, "--series", "1") as (processor, feed):
        wait_until(lambda: feed.finished is not None, feed=feed)
        assert processor.wait() == simulator.wait() == 0
        assert feed.finished is not None and feed.shots is not None and feed.history is not None
        finished, shots, history = feed.finished, feed.shots, feed.history

    [sent] = SimulatorReport.read(report).series
    arrived = set(range(N)) - set(sent.skipped)
    hits = hits_among(N) & arrived
    truth = {
        name: tuple(sum(laser(n) == state for n in numbers) for numbers in (arrived, hits, hits))
        for state, name in enumerate(NAMES.values())
    }
    assert counted(finished.groups) == truth
    assert all(group.hit.n == group.hits and group.hit.of == group.frames for group in finished.groups)
    in_bins = {
        group.name: tuple(map(sum, (group.frames, group.hits, group.indexed))) for group in history.session.groups
    }
    assert in_bins == truth
    assert all(shot.group == NAMES[str(laser(shot.number))] for shot in shots.shots)

    record = tmp_path / "record.sqlite"
    for name, frames, hit_percent, indexed_percent in query(record, documented_query()):
        assert frames == truth[name][0]
        assert hit_percent == pytest.approx(100 * truth[name][1] / frames)
        assert indexed_percent == pytest.approx(100.0)
    with RecordFeed(record) as replayed, FeedClient(replayed.address) as client:
        wait_until(lambda: client.status is not None and client.status.groups != (), feed=client)
        assert client.status is not None
        assert counted(client.status.groups) == truth

    dumped: Counter[str] = Counter()
    for path in (tmp_path / "dumps").iterdir():
        with h5py.File(path, "r") as file:
            [name] = {name.decode() for name in file["entry/frames/group"]}
            assert path.name.startswith(f"hit_{name}_")
            assert {NAMES[str(laser(int(n)))] for n in file["entry/frames/number"]} == {name}
            dumped[name] += len(file["entry/frames/number"])
    assert dumped == {name: n_hits for name, (_, n_hits, _) in truth.items()}

    for name, (frames, n_hits, _) in truth.items():
        assert re.search(rf"^  {name} +{frames} +{100 * n_hits / frames:.1f} % ±", processor.output, re.MULTILINE)


@pytest.mark.parametrize("protocol", ["dectris-v1", "dectris-v2"])
def test_shots_of_the_other_laser_state_are_skipped_and_counted(tmp_path: Path, protocol: str) -> None:
    simulator, address = start_simulator(tmp_path, "--frames", "60", "--laser", "3 on, 2 off", "--protocol", protocol)
    settings = write_settings(
        tmp_path, {"type": protocol, "address": address}, select={"keep": {"laser_1": 1}}, chain={"stages": ["hitfind"]}
    )  # fmt: skip
    with simulator, processing(tmp_path, settings, "--series", "1") as (processor, _):
        assert processor.wait() == simulator.wait() == 0
    hits = {n for n in hits_among(60) if laser(n)}
    expected = {"skipped": 24, "blank": 36 - len(hits), "hit": len(hits)}
    assert recorded_totals(tmp_path / "record.sqlite") == expected
    said = summary_counts(processor.output)
    assert {state: said[state] for state in expected} == expected and said["sum"] == 60
    assert query(tmp_path / "record.sqlite", "SELECT count(*) FROM groups") == [(0,)]


def test_groups_and_selection_change_while_frames_come_and_cost_none(tmp_path: Path) -> None:
    simulator, address = start_simulator(tmp_path, "--frames", "100000", "--rate", "50", "--laser", "1 on, 1 off")
    settings = write_settings(tmp_path, address, chain={"stages": ["hitfind"]})
    with simulator, processing(tmp_path, settings) as (processor, feed):
        wait_for_results(feed, 20)
        assert feed.status is not None and feed.status.groups == ()
        changed = change(feed, groups={"by": "laser_1", "names": NAMES}, select={"keep": {"laser_1": 1}})
        assert (changed.problem, changed.version) == ("", 2)
        wait_until(lambda: skipped(feed) >= 20 and "pumped" in groups(feed), feed=feed)
        assert change(feed, select={"keep": None}).problem == ""
        wait_until(lambda: groups(feed) == set(NAMES.values()), feed=feed)
        refused = change(feed, select={"settle": 1.0})
        assert refused.problem.startswith("[select]: keep is missing")
        processor.interrupt()
        assert processor.wait() == 0
    said = summary_counts(processor.output)
    assert said["skipped"] >= 20 and said["sum"] == said["received"]
    assert said["skipped"] + said["blank"] + said["hit"] == said["received"]
    numbers = query(
        tmp_path / "record.sqlite", "SELECT first FROM losses JOIN states ON code = state WHERE name = 'skipped'"
    )
    assert {number % 2 for (number,) in numbers} == {1}


def change(feed: FeedClient, **tables: dict[str, Any]) -> Changed:
    """Have the processor change its settings, and return its answer."""
    assert feed.header is not None
    with ControlClient(feed.address, feed.header.control) as client:
        client.ask(Change(tables, by="a test"))
        while (answer := client.poll(0.1)) is None:
            feed.poll(0.05)
    return answer


def skipped(feed: FeedClient) -> int:
    """Frames left out so far."""
    return 0 if feed.status is None else feed.status.totals.counts[State.SKIPPED]


def groups(feed: FeedClient) -> set[str]:
    """The groups that there are by now."""
    return set() if feed.status is None else set(counted(feed.status.groups))
