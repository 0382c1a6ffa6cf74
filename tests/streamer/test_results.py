"""What the hub tells reaches statistics, record and feed, and nothing piles up."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from by_hand import named_series

from braggwatch.processing.detector_settings import DetectorSettings
from braggwatch.streamer.feed import Feed
from braggwatch.streamer.feed_client import FeedClient
from braggwatch.streamer.feed_messages import Queue
from braggwatch.streamer.ledger import LedgerCounts
from braggwatch.streamer.live_merge import LiveMerge
from braggwatch.streamer.pictures import Pictures
from braggwatch.streamer.record import Record
from braggwatch.streamer.results import Results
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
