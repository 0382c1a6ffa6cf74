"""What the hub tells reaches statistics, record and feed, and nothing piles up."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from by_hand import frames_of, named_series

from braggwatch.processing.detector_settings import DetectorSettings
from braggwatch.processing.frame import Frame
from braggwatch.streamer.feed import Feed
from braggwatch.streamer.feed_client import FeedClient
from braggwatch.streamer.feed_messages import Queue
from braggwatch.streamer.ledger import LedgerCounts
from braggwatch.streamer.live_merge import LiveMerge
from braggwatch.streamer.messages import Result, State
from braggwatch.streamer.pictures import Pictures
from braggwatch.streamer.record import Record
from braggwatch.streamer.results import Results
from braggwatch.streamer.settings import parse_settings
from braggwatch.streamer.shot_images import ShotImages
from braggwatch.streamer.statistics import Statistics

ABOUT = {"experiment": "e", "source": "s", "protocol": "p", "version": "0"}


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[tuple[Results, Feed]]:
    with (
        Feed("tcp://127.0.0.1:*") as feed,
        Record(tmp_path / "record.sqlite") as record,
        Pictures(DetectorSettings()) as pictures,
        LiveMerge() as merge,
    ):
        yield Results(Statistics(0.0), record, feed, pictures, ShotImages(8.0), merge, about=ABOUT), feed


def test_thousands_of_series_are_counted_and_not_all_remembered(parts: tuple[Results, Feed]) -> None:
    results, feed = parts
    for index in range(3000):
        results.series_began(named_series(f"s{index}", number=index))
        results.series_ended(LedgerCounts(f"s{index}", 0, 0, {}))
    assert len(results._runs) <= 2
    with FeedClient(feed.address) as client:
        while client.status is None:
            results.publish({"total": 0}, LedgerCounts("s2999", 0, 0, {}), Queue(), [])
            feed.serve()
            client.poll(0.05)
    assert client.status.runs == 3000
    assert client.status.run is not None
    assert client.status.run.number == 2999


def test_a_header_that_comes_late_does_not_begin_the_run_anew(parts: tuple[Results, Feed]) -> None:
    results, _ = parts
    results.series_began(named_series(joined_late=True))
    [began] = [run.started for run in results._runs.values()]
    results.series_began(named_series(n_frames=5))
    [run] = results._runs.values()
    assert (run.started, run.n_frames) == (began, 5)
    assert results.finished({"total": 0}, "").runs == 1


def test_a_value_that_differs_from_shot_to_shot_makes_seventeen_groups_everywhere(
    parts: tuple[Results, Feed], tmp_path: Path
) -> None:
    results, feed = parts
    results.settings_in_force(parse_settings({"groups": {"by": "pulse"}}))
    results.series_began(named_series("s"))
    for frame in frames_of("s", range(200)):
        done(results, frame, f"{frame.number}\x1b")
    with FeedClient(feed.address) as client:
        while client.status is None or client.shots is None or client.history is None:
            results.publish({"total": 200}, None, Queue(), [])
            feed.serve()
            client.poll(0.05)
    finished = results.finished({"total": 200}, "")
    names = {*(f"pulse {n}\ufffd" for n in range(16)), "others"}
    assert {group.name for group in client.status.groups} == {group.name for group in finished.groups} == names
    assert {bins.name for bins in client.history.session.groups} == names
    assert {shot.group for shot in client.shots.shots} == {"others"}
    with closing(sqlite3.connect(tmp_path / "record.sqlite")) as record:
        assert {name for (name,) in record.execute("SELECT name FROM groups")} == names


def test_groups_are_told_apart_again_once_a_value_that_differs_from_shot_to_shot_is_given_up(
    parts: tuple[Results, Feed],
) -> None:
    results, _ = parts
    results.settings_in_force(parse_settings({"groups": {"by": "pulse"}}))
    results.series_began(named_series("s"))
    for frame in frames_of("s", range(200)):
        done(results, frame, frame.number)
    results.settings_in_force(parse_settings({"groups": {"by": "pulse", "edges": [1000, 2000]}}), change="edges")
    for frame in frames_of("s", range(200, 300)):
        done(results, frame, 10 * frame.number, group=f"pulse {10 * frame.number}")  # were on their way
        done(results, frame, 10 * frame.number)
    groups = {group.name: group.frames for group in results.finished({"total": 200}, "").groups}
    assert groups == {"pulse ≥ 2000": 200}


def done(results: Results, frame: Frame, pulse: int | str, group: str | None = None) -> None:
    """Hand in the result of a frame that came with a pulse number."""
    name = f"pulse {pulse}" if group is None else group
    result = Result(series="s", number=frame.number, state=State.HIT, group=name)
    results.frame_done(result, 0.01, msgspec.structs.replace(frame, values={"pulse": pulse}), None)
