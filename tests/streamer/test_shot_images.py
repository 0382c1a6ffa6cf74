"""Shots go onto the feed with the pixels that were looked at, so many a second, and no kind takes another's place."""

import gc
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
import zmq
from by_hand import named_series
from rig import SHAPE, frame

from braggwatch.processing.compression import bslz4_chunk
from braggwatch.processing.decompression import decompress
from braggwatch.processing.detector_settings import DetectorSettings
from braggwatch.processing.frame import Encoding, Frame
from braggwatch.streamer import shot_images
from braggwatch.streamer.feed import Feed
from braggwatch.streamer.feed_client import FeedClient
from braggwatch.streamer.feed_messages import TOPICS, Queue
from braggwatch.streamer.live_merge import LiveMerge
from braggwatch.streamer.messages import Result, State
from braggwatch.streamer.picture_messages import ShotImage
from braggwatch.streamer.pictures import Pictures
from braggwatch.streamer.record import Record
from braggwatch.streamer.results import Results
from braggwatch.streamer.shot_images import ShotImages
from braggwatch.streamer.statistics import Statistics

FRAME = frame(0, hit=True)


def result(number: int = 0, state: State = State.HIT, *, changed: bool = False) -> Result:
    return Result(series="s", number=number, state=state, pixels_changed=changed)


def test_blanks_never_take_the_place_of_hits() -> None:
    images, kinds = ShotImages(per_s=8.0), Counter[str]()
    for tick in range(10_000):
        state = State.INDEXED if tick % 100 == 0 else State.HIT if tick % 50 == 0 else State.BLANK
        if (image := images.pick(result(tick, state), FRAME, None, tick / 1000)) is not None:
            kinds[image.kind] += 1
    assert kinds["blank"] == 20
    assert 24 <= kinds["hit"] <= 30
    assert 24 <= kinds["indexed"] <= 30


def test_none_are_sent_where_none_are_wanted() -> None:
    assert ShotImages(per_s=0.0).pick(result(), FRAME, None, 1.0) is None


def test_a_clock_that_is_set_back_does_not_keep_images_away() -> None:
    images = ShotImages(per_s=8.0)
    assert images.pick(result(), FRAME, None, 1e9) is not None
    assert images.pick(result(), FRAME, None, 1e9 + 0.1) is None
    assert images.pick(result(), FRAME, None, 1e9 - 3600) is not None


@pytest.mark.parametrize("state", [State.FAILED, State.REFUSED])
def test_frames_that_nobody_could_look_at_are_not_sent(state: State) -> None:
    assert ShotImages(per_s=8.0).pick(result(state=state), FRAME, None, 1.0) is None


def test_what_is_too_large_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shot_images, "MAX_PACKED_BYTES", 100)
    assert ShotImages(per_s=8.0).pick(result(), FRAME, None, 1.0) is None


def test_pixels_that_the_worker_changed_are_sent_as_it_changed_them_or_not_at_all() -> None:
    images = ShotImages(per_s=8.0)
    assert images.pick(result(changed=True), FRAME, None, 1.0) is None
    image = images.pick(result(changed=True), FRAME, bslz4_chunk(np.full(SHAPE, 1.5, np.float32)), 1.0)
    assert image is not None
    assert (image.dtype, image.encoding) == ("float32", Encoding("bslz4", "hdf5"))
    pixels = np.empty(SHAPE, np.float32)
    decompress(image.payload, image.encoding, image.shape, image.dtype, pixels)
    assert (pixels == 1.5).all()


@pytest.fixture
def results(tmp_path: Path) -> Iterator[tuple[Results, Feed]]:
    about = dict.fromkeys(("experiment", "source", "protocol", "version"), "")
    with (
        Feed("tcp://127.0.0.1:*") as feed,
        Record(tmp_path / "record.sqlite") as record,
        Pictures(DetectorSettings()) as pictures,
        LiveMerge() as merge,
    ):
        yield Results(Statistics(0.0), record, feed, pictures, ShotImages(8.0), merge, about=about), feed


def received_frame(number: int) -> Frame:
    """Return a large frame whose payload lies in memory that belongs to a message of ZeroMQ, as from a detector."""
    pixels = np.random.default_rng(number).integers(0, 1000, (1024, 1024)).astype(np.uint16)
    with zmq.Context() as context, context.socket(zmq.PAIR) as one, context.socket(zmq.PAIR) as other:
        one.bind("inproc://frame")
        other.connect("inproc://frame")
        one.send(pixels.tobytes())
        payload = other.recv(copy=False).buffer
    return msgspec.structs.replace(FRAME, series="s", number=number, payload=payload, shape=(1024, 1024))


def test_a_viewer_gets_the_detectors_own_pixels_also_when_everybody_else_has_let_go_of_them(
    results: tuple[Results, Feed],
) -> None:
    told, feed = results
    told.series_began(named_series(shape=(1024, 1024)))
    with FeedClient(feed.address, topics=TOPICS) as viewer:
        while viewer.status is None:
            told.publish({"total": 0}, None, Queue(), [])
            feed.serve()
            viewer.poll(0.05)
        for number, state in enumerate((State.BLANK, State.HIT, State.INDEXED)):
            told.frame_done(result(number, state), 0.001, received_frame(number), None)
        gc.collect()
        scratch = [np.ones((1024, 1024), np.uint16) for _ in range(10)]  # what lay free would be written over
        wanted = (b"image.blank", b"image.hit", b"image.indexed")
        while not all(topic in viewer.newest for topic in wanted):
            viewer.poll(0.05)
    assert len(scratch) == 10
    for number, topic in enumerate(wanted):
        image = viewer.newest[topic]
        assert isinstance(image, ShotImage)
        assert image.result.number == number
        expected = np.random.default_rng(number).integers(0, 1000, (1024, 1024)).astype(np.uint16)
        np.testing.assert_array_equal(np.frombuffer(image.payload, np.uint16).reshape(1024, 1024), expected)


def test_the_last_pictures_are_published_before_the_last_word(results: tuple[Results, Feed]) -> None:
    told, feed = results
    told.series_began(named_series())
    told.frame_done(result(), 0.001, msgspec.structs.replace(FRAME, series="s"), None)
    told.finished({"total": 1}, "done")
    assert {b"geometry", b"peakogram", b"powder.hits", b"powder.all", b"powder.spots"} <= set(feed._newest)
