"""Dark, noise, gain and mask over the archive's real sockets: what viewers get, or why there is nothing."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
import zmq
from archive_viewer import FEED, Viewer, viewer_of
from recorded_experiment import BEGAN, SHAPE, Experiment, run

from braggwatch.processing.decompression import decompress
from braggwatch.processing.detector_settings import DetectorSettings
from braggwatch.processing.pixel_maps import BY_FILE, BY_HEADER
from braggwatch.streamer import calibration_maps
from braggwatch.streamer.archive import Archive
from braggwatch.streamer.archive_client import ArchiveClient
from braggwatch.streamer.archive_messages import Refusal
from braggwatch.streamer.calibration_maps import CalibrationMaps
from braggwatch.streamer.feed_client import FeedClient
from braggwatch.streamer.feed_messages import TOPICS
from braggwatch.streamer.map_messages import MAP_ENCODING, Map, MapWanted
from braggwatch.streamer.picture_messages import Geometry
from braggwatch.streamer.pictures import Pictures
from braggwatch.streamer.replay import RecordFeed


def unpacked(found: Map) -> np.ndarray:
    assert found.problem == ""
    values = np.empty(found.shape, found.dtype)
    decompress(found.payload, MAP_ENCODING, found.shape, found.dtype, values)
    return values


@pytest.fixture
def dark(tmp_path: Path) -> np.ndarray:
    made = np.random.default_rng(1).normal(100, 3, SHAPE).astype(np.float32)
    np.save(tmp_path / "dark.npy", made)
    return made


@pytest.fixture
def maps(tmp_path: Path, dark: np.ndarray) -> CalibrationMaps:
    made = CalibrationMaps(DetectorSettings(dark=str(tmp_path / "dark.npy")))
    made.know(run(1))
    return made


@pytest.fixture
def viewer(tmp_path: Path, maps: CalibrationMaps) -> Iterator[Viewer]:
    with Archive(tmp_path / "no record yet.sqlite", FEED, maps) as archive:
        asking = viewer_of(archive)
        yield asking
        asking.client.close()


def test_a_viewer_gets_the_dark_that_the_settings_name_before_there_is_a_record(
    tmp_path: Path, viewer: Viewer, dark: np.ndarray
) -> None:
    found = viewer.ask(MapWanted("run-1", "dark"), Map)
    assert (found.series, found.kind, found.unit, found.n_stages) == ("run-1", "dark", "ADU", 1)
    assert found.source == str(tmp_path / "dark.npy")
    assert np.array_equal(unpacked(found), dark)


def test_where_there_is_none_a_sentence_says_which_setting_is_missing(viewer: Viewer) -> None:
    found = viewer.ask(MapWanted("run-1", "noise"), Map)
    assert (found.problem, found.payload) == ("there is none: [detector] names no `noise`", b"")
    found = viewer.ask(MapWanted("another", "dark"), Map)
    assert found.problem == "this run is not known any more: there are maps of the last runs only"


def test_a_file_that_is_gone_is_named(tmp_path: Path, viewer: Viewer) -> None:
    (tmp_path / "dark.npy").unlink()
    problem = viewer.ask(MapWanted("run-1", "dark"), Map).problem
    assert problem == f"{tmp_path / 'dark.npy'} cannot be read: No such file or directory"


def test_a_map_is_read_once_until_the_settings_or_the_run_change(
    tmp_path: Path, viewer: Viewer, maps: CalibrationMaps, dark: np.ndarray
) -> None:
    viewer.ask(MapWanted("run-1", "dark"), Map)
    np.save(tmp_path / "dark.npy", dark + 1)
    assert np.array_equal(unpacked(viewer.ask(MapWanted("run-1", "dark"), Map)), dark)
    maps.know(run(2))
    assert np.array_equal(unpacked(viewer.ask(MapWanted("run-2", "dark"), Map)), dark + 1)
    np.save(tmp_path / "other.npy", dark + 2)
    maps.describe(DetectorSettings(dark=str(tmp_path / "other.npy")))
    assert np.array_equal(unpacked(viewer.ask(MapWanted("run-1", "dark"), Map)), dark + 2)


def test_the_pictures_know_of_runs_and_settings_as_the_hub_tells_them(tmp_path: Path, dark: np.ndarray) -> None:
    with Pictures(DetectorSettings()) as pictures:
        wanted = MapWanted("run-1", "dark")
        assert "not known any more" in pictures.maps.find(wanted).problem
        pictures.series_began(run(1))
        assert pictures.maps.find(wanted).problem == "there is none: [detector] names no `dark`"
        pictures.detector_changed(DetectorSettings(dark=str(tmp_path / "dark.npy")))
        assert np.array_equal(unpacked(pictures.maps.find(wanted)), dark)


def test_headers_with_masks_are_kept_as_long_as_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration_maps, "KEPT_MASK_BYTES", 3 * SHAPE[0] * SHAPE[1])
    maps = CalibrationMaps(DetectorSettings())
    masked = np.zeros(SHAPE, bool)
    masked[2, 3] = True
    for number in range(10):
        maps.know(msgspec.structs.replace(run(number), mask=masked))
    known = [n for n in range(10) if not maps.find(MapWanted(f"run-{n}", "mask")).problem]
    assert known == [7, 8, 9]
    assert np.argwhere(unpacked(maps.find(MapWanted("run-9", "mask"))) & BY_HEADER).tolist() == [[2, 3]]


def test_a_map_that_is_too_large_for_viewers_is_not_sent(viewer: Viewer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration_maps, "MAX_PACKED_BYTES", 1000)
    assert "more than viewers take" in viewer.ask(MapWanted("run-1", "dark"), Map).problem


def test_maps_of_a_record_are_read_from_the_files_that_its_settings_name_or_beside_it(
    tmp_path: Path, dark: np.ndarray
) -> None:
    written = Experiment(tmp_path)
    mask = np.zeros(SHAPE, np.uint8)
    mask[7, 8] = 1
    np.save(tmp_path / "moved.npy", mask)
    settings = f'[detector]\ndark = "{tmp_path / "dark.npy"}"\nmask = "/gone/moved.npy"\n'
    written.settings(settings, 1, BEGAN)
    written.process(1)
    with (
        RecordFeed(written.close()) as feed,
        FeedClient(feed.address, topics=TOPICS) as hearing,
        ArchiveClient() as client,
    ):
        while not any(isinstance(message, Geometry) for message in hearing.newest.values()):
            hearing.poll(0.1)
        assert hearing.header is not None
        client.connect(feed.address, hearing.header.archive)
        viewer = Viewer(client)
        assert np.array_equal(unpacked(viewer.ask(MapWanted("run-1", "dark"), Map)), dark)
        assert np.argwhere(unpacked(viewer.ask(MapWanted("run-1", "mask"), Map)) & BY_FILE).tolist() == [[7, 8]]
        assert "no `noise`" in viewer.ask(MapWanted("run-1", "noise"), Map).problem


@pytest.mark.parametrize(
    "fields",
    [
        {"shape": (0, 0)}, {"shape": (-3, -4)}, {"shape": (2**40, 2**40)}, {"dtype": "float64"}, {"dtype": "nonsense"},
        {"dtype": "uint8"}, {"stage": 3}, {"stage": -1}, {"n_stages": 2**40}, {"n_stages": 0, "stage": 0, "shape": ()},
        {"shape": (1, 1)}, {"nothing": True},
    ],
    ids=str,
)  # fmt: skip
def test_a_map_that_makes_no_sense_is_a_refusal(fields: dict[str, object]) -> None:
    good = msgspec.to_builtins(Map(series="run-1", kind="dark", shape=(4, 5)))
    payload = b"" if fields.pop("nothing", False) else bytes(5000)
    with zmq.Context() as context, context.socket(zmq.ROUTER) as odd, ArchiveClient() as client:
        odd.linger = 0
        client.connect(FEED, f"tcp://127.0.0.1:{odd.bind_to_random_port('tcp://127.0.0.1')}")
        client.ask(MapWanted("run-1", "dark"), 1)
        assert odd.poll(20_000)
        who, name, _ = odd.recv_multipart()
        odd.send_multipart([who, name, msgspec.msgpack.encode({**good, **fields}), payload])
        ((_, refusal),) = Viewer(client).answers(1)
    assert isinstance(refusal, Refusal)
    assert refusal.problem.startswith("the archive sent an answer that makes no sense")
