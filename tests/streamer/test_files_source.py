"""Image files as a source of frames."""

import threading
import time
from pathlib import Path

import fabio
import h5py
import hdf5plugin
import numpy as np
import pytest
import zmq
from pydantic import ValidationError

from braggwatch.processing.frame import Encoding, Event, Frame, Refused, Series, SeriesEnd
from braggwatch.processing.image_files import ImageFileError
from braggwatch.streamer.sources.files import FilesSettings, FilesSource

SHAPE = (12, 20)


def write_stack(path: Path, n: int) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "entry/data/data",
            data=np.random.default_rng(n).poisson(5, (n, *SHAPE)).astype(np.uint16),
            chunks=(1, *SHAPE),
            **hdf5plugin.Bitshuffle(nelems=0, cname="lz4"),
        )


def take_all(source: FilesSource) -> list[Event]:
    """Take events as the hub does: poll the sockets, then receive until nothing is there."""
    poller = zmq.Poller()
    for socket in source.sockets:
        poller.register(socket, zmq.POLLIN)
    events: list[Event] = []
    deadline = time.monotonic() + 60
    while not source.exhausted:
        assert time.monotonic() < deadline
        for socket, _ in poller.poll(1000):
            while (found := source.receive(socket)) is not None:
                events += found
    return events


def test_files_say_what_a_detector_would_say(tmp_path: Path) -> None:
    write_stack(tmp_path / "a.h5", 40)  # more than are read ahead
    write_stack(tmp_path / "b.h5", 2)
    with FilesSource(FilesSettings(paths=[str(tmp_path / "*.h5")])) as source:
        events = take_all(source)
        assert source.receive(source.sockets[0]) is None
    kinds = [type(event) for event in events]
    assert kinds == [Series, *[Frame] * 40, SeriesEnd, Series, *[Frame] * 2, SeriesEnd]
    first, second = (event for event in events if isinstance(event, Series))
    assert first.key != second.key
    assert (first.n_frames, first.shape, first.dtype) == (40, SHAPE, "uint16")
    frames = [event for event in events if isinstance(event, Frame)]
    assert [frame.number for frame in frames] == [*range(40), 0, 1]
    assert [frame.series for frame in frames] == [first.key] * 40 + [second.key] * 2
    assert frames[0].encoding == Encoding("bslz4", "hdf5")
    with h5py.File(tmp_path / "a.h5") as file:
        assert frames[7].payload == file["entry/data/data"].id.read_direct_chunk((7, 0, 0))[1]


def test_the_same_files_played_again_are_another_run(tmp_path: Path) -> None:
    write_stack(tmp_path / "a.h5", 1)
    keys = []
    for _ in range(2):
        with FilesSource(FilesSettings(paths=[str(tmp_path / "a.h5")])) as source:
            keys.append(next(event.key for event in take_all(source) if isinstance(event, Series)))
    assert keys[0] != keys[1]


def test_a_file_that_cannot_be_read_is_refused_and_the_next_one_follows(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_bytes(b"no HDF5")
    write_stack(tmp_path / "b.h5", 1)
    with FilesSource(FilesSettings(paths=[str(tmp_path / "*.h5")])) as source:
        events = take_all(source)
    refused = events[0]
    assert isinstance(refused, Refused)
    assert refused.kind == "unreadable file"
    assert f"{tmp_path / 'a.h5'}: cannot be opened as HDF5" in refused.reason
    assert [type(event) for event in events[1:]] == [Series, Frame, SeriesEnd]


def test_an_image_that_cannot_be_read_is_refused_under_its_number(tmp_path: Path) -> None:
    for name in ("a", "c"):
        fabio.edfimage.EdfImage(data=np.zeros(SHAPE, np.uint16)).write(str(tmp_path / f"{name}.edf"))
    (tmp_path / "b.edf").write_bytes(b"cut")
    with FilesSource(FilesSettings(paths=[str(tmp_path / "*.edf")])) as source:
        events = take_all(source)
    assert [type(event) for event in events] == [Series, Frame, Refused, Frame, SeriesEnd]
    series, _, refused, last, _ = events
    assert isinstance(series, Series)
    assert isinstance(refused, Refused)
    assert isinstance(last, Frame)
    assert (refused.series, refused.number, refused.kind) == (series.key, 1, "unreadable image")
    assert last.number == 2


def test_names_without_files_are_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ImageFileError, match=r"no image files at '.*/\*\.h5': there is no such file"):
        FilesSource(FilesSettings(paths=[str(tmp_path / "*.h5")]))


def test_settings_without_names_or_with_an_unknown_key_are_refused() -> None:
    with pytest.raises(ValidationError, match="paths"):
        FilesSettings(paths=[])
    with pytest.raises(ValidationError, match="speed"):
        FilesSettings.model_validate({"type": "files", "paths": ["a.h5"], "speed": 3})


def test_a_source_that_nobody_reads_from_can_be_closed(tmp_path: Path) -> None:
    write_stack(tmp_path / "a.h5", 100)
    before = threading.active_count()
    source = FilesSource(FilesSettings(paths=[str(tmp_path / "a.h5")]))
    source.close()
    assert threading.active_count() == before


def test_frames_come_no_faster_than_the_rate(tmp_path: Path) -> None:
    write_stack(tmp_path / "a.h5", 11)
    start = time.monotonic()
    with FilesSource(FilesSettings(paths=[str(tmp_path / "a.h5")], rate=100.0)) as source:
        events = take_all(source)
    assert len(events) == 13
    assert time.monotonic() - start >= 10 / 100.0


def test_what_ends_the_reading_is_raised_to_whoever_takes_the_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_stack(tmp_path / "a.h5", 1)

    def break_down(*_: object, **__: object) -> None:
        raise MemoryError("no memory left")

    monkeypatch.setattr("braggwatch.streamer.sources.files.ImageSeries", break_down)
    with (
        FilesSource(FilesSettings(paths=[str(tmp_path / "a.h5")])) as source,
        pytest.raises(MemoryError, match="no memory left"),
    ):
        take_all(source)
    assert source.exhausted
