"""What a window gets from a running processor, shots and pictures among it, and what it can change there."""

import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401 - so that h5py reads bitshuffle
import numpy as np
from programs import (
    Program,
    free_address,
    hits_among,
    query,
    recorded_totals,
    small_pool,
    start_simulator,
    summary_counts,
    wait_for_results,
    wait_until,
    write_settings,
)

from braggwatch.processing.decompression import decompress
from braggwatch.streamer.control_client import ControlClient
from braggwatch.streamer.control_messages import Change, Changed
from braggwatch.streamer.feed_client import FeedClient
from braggwatch.streamer.feed_messages import TOPICS
from braggwatch.streamer.messages import State, unpack_peaks
from braggwatch.streamer.picture_messages import Geometry, Peakogram, Powder, SettingsInForce, ShotImage


@contextmanager
def watching(
    folder: Path, *options: str, frames: tuple[str, ...], **tables: dict[str, Any]
) -> Iterator[tuple[Program, FeedClient]]:
    """Start a processor, and a detector as soon as its workers are ready; hear everything that it says."""
    address = free_address()
    with (
        Program(folder, "process", write_settings(folder, address, **tables), "--no-view", *options) as processor,
        FeedClient(processor.message(r"braggwatch watch (tcp://\S+)"), topics=TOPICS) as feed,
    ):
        wait_until(lambda: all_ready(feed), feed=feed, of=processor)
        simulator, _ = start_simulator(folder, *frames, address=address)
        with simulator:
            yield processor, feed


def all_ready(feed: FeedClient) -> bool:
    workers = feed.status.workers if feed.status is not None else ()
    return bool(workers) and all(worker.state == "ready" for worker in workers)


def ask(feed: FeedClient, processor: Program, settings: dict[str, dict[str, Any]]) -> Changed:
    assert feed.header is not None
    with ControlClient(feed.address, feed.header.control) as client:
        client.ask(Change(settings, by="somebody"))
        answers: list[Changed] = []

        def answered() -> bool:
            answers.extend([answer] if (answer := client.poll(0.0)) is not None else [])
            return bool(answers)

        wait_until(answered, feed=feed, of=processor)
    return answers[0]


def n_of(feed: FeedClient, *states: State) -> int:
    assert feed.status is not None
    return sum(feed.status.totals.counts[state] for state in states)


def has(feed: FeedClient, *topics: bytes) -> Callable[[], bool]:
    return lambda: set(topics) <= set(feed.newest)


def n_added_up(feed: FeedClient) -> int:
    powder = feed.newest[b"powder.all"]
    assert isinstance(powder, Powder)
    return powder.n_shots


def check_image(feed: FeedClient, topic: bytes, state: State) -> None:
    image = feed.newest[topic]
    assert isinstance(image, ShotImage)
    assert image.result.state is state
    assert (image.result.number in hits_among(image.result.number + 1)) == (state is not State.BLANK)
    assert len(unpack_peaks(image.result.peaks)) == image.result.n_peaks
    pixels = np.empty(image.shape, image.dtype)
    decompress(image.payload, image.encoding, image.shape, image.dtype, pixels)
    np.testing.assert_array_equal(pixels, small_pool().image(image.result.number))


def test_a_viewer_gets_shots_with_their_pixels_the_geometry_and_pictures_of_many_shots(tmp_path: Path) -> None:
    topics = (
        b"image.blank", b"image.indexed", b"geometry", b"settings", b"peakogram", b"powder.all", b"powder.hits",
        b"powder.spots",
    )  # fmt: skip
    with watching(tmp_path, frames=("--frames", "100000", "--rate", "60")) as (processor, feed):
        wait_until(has(feed, *topics), feed=feed, of=processor)
        wait_until(lambda: n_added_up(feed) > 5, feed=feed, of=processor)
        with FeedClient(feed.address, topics=TOPICS) as late:
            wait_until(has(late, *topics), feed=late, of=processor)
            for viewer in (feed, late):
                check_image(viewer, b"image.blank", State.BLANK)
                check_image(viewer, b"image.indexed", State.INDEXED)
        assert feed.status is not None
        assert all(0 < (worker.busy or 0) <= 1 for worker in feed.status.workers)
        assert not feed.problems
        processor.interrupt()
        wait_until(lambda: feed.finished is not None, feed=feed)
        assert processor.wait() == 0
    geometry, peakogram = feed.newest[b"geometry"], feed.newest[b"peakogram"]
    powders = {kind: feed.newest[f"powder.{kind}".encode()] for kind in ("all", "hits", "spots")}
    assert isinstance(geometry, Geometry)
    assert geometry.detector().shape == (512, 512)
    assert isinstance(peakogram, Peakogram)
    n_hits = n_of(feed, State.HIT, State.INDEXED)
    assert peakogram.n_shots == n_hits
    assert np.frombuffer(peakogram.counts, "<u4").sum() == peakogram.n_peaks > 0
    spots, everything = powders["spots"], powders["all"]
    assert isinstance(spots, Powder)
    assert isinstance(everything, Powder)
    assert (spots.n_shots, spots.of) == (n_hits, n_hits)
    assert 5 < everything.n_shots < everything.of == n_hits + n_of(feed, State.BLANK)


def test_a_change_of_settings_judges_the_frames_that_come_after_and_costs_none(tmp_path: Path) -> None:
    record = tmp_path / "record.sqlite"
    frames = "--frames", "400", "--series", "2", "--rate", "50"
    with watching(tmp_path, "--series", "2", frames=frames) as (processor, feed):
        wait_for_results(feed, 60)
        refused = ask(feed, processor, {"hitfind": {"min_snr": "high"}})
        assert refused.version == 1
        assert refused.problem.startswith("[hitfind] min_snr: should be a valid number")
        assert ask(feed, processor, {"source": {"address": "tcp://127.0.0.1:1"}}).problem
        assert feed.status is not None
        assert feed.status.settings_version == 1

        assert ask(feed, processor, {"hitfind": {"min_peaks": 2000}, "feed": {"window": 60}}) == Changed(2)
        wait_until(lambda: (feed.status is not None and feed.status.settings_version) == 2, feed=feed, of=processor)
        arrived, before = feed.status.totals.total, n_of(feed, State.INDEXED)
        assert feed.status.window == 60
        wait_until(lambda: feed.finished is not None, feed=feed)
        assert processor.wait() == 0
    in_force = feed.newest[b"settings"]
    assert isinstance(in_force, SettingsInForce)
    assert in_force.version == 2
    assert tomllib.loads(in_force.text)["hitfind"]["min_peaks"] == 2000
    assert feed.history is not None
    [mark] = [mark for mark in feed.history.marks if mark.kind == "settings"]
    assert mark.label == "hitfind.min_peaks 10 → 2000, feed.window 30 → 60"

    said = summary_counts(processor.output)
    assert said["sum"] == 800
    assert said["blank"] + said["indexed"] == 800
    assert 20 < said["indexed"] <= before + 20 < len(hits_among(400))
    assert recorded_totals(record) == {"blank": said["blank"], "indexed": said["indexed"]}
    rows = query(record, "SELECT number FROM frames JOIN states ON code = state WHERE name = 'indexed' AND run = 1")
    assert len(rows) == said["indexed"], "the second run has none"
    assert {number for (number,) in rows} <= hits_among(400)
    assert max(number for (number,) in rows) < arrived
    settings = query(record, "SELECT id, version, text FROM settings ORDER BY id")
    assert [version for _, version, _ in settings] == [1, 2]
    assert settings[1][2] == in_force.text
    assert in_force.text.startswith("# changed by somebody: hitfind.min_peaks 10 → 2000")
    assert query(record, "SELECT settings FROM runs ORDER BY id") == [(settings[0][0],), (settings[1][0],)]
    images = query(record, "SELECT number, path, entry FROM images JOIN files ON files.id = file")
    assert len(images) == said["indexed"]
    for number, path, entry in images:
        with h5py.File(path) as file:
            assert file["entry/frames/number"][entry] == number


def test_after_a_change_images_go_on_into_new_files_and_none_is_overwritten(tmp_path: Path) -> None:
    record = tmp_path / "record.sqlite"
    frames = "--frames", "100000", "--rate", "50"
    with watching(tmp_path, frames=frames, engine={"workers": 1}) as (processor, feed):
        wait_for_results(feed, 40)
        for version in (2, 3):
            assert ask(feed, processor, {"hitfind": {"min_peaks": 10 + version}}) == Changed(version)
            wait_for_results(feed, n_of(feed, *State) + 60)
        processor.interrupt()
        assert processor.wait() == 0
    said = summary_counts(processor.output)
    assert said["indexed"] == len(hits_among(said["sum"]))
    images = query(record, "SELECT number, path, entry FROM images JOIN files ON files.id = file")
    assert len(images) == said["indexed"]
    assert len({path for _, path, _ in images}) == 3
    for number, path, entry in images:
        with h5py.File(path) as file:
            np.testing.assert_array_equal(file["entry/data/data"][entry], small_pool().image(number))
