"""`braggwatch dark`: from a stream, from files, from averages."""

import threading
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray
from PyQt5.QtGui import QImage
from typer.testing import CliRunner

from braggwatch.processing.array_files import load_array
from braggwatch.processing.average_files import blank_detector, read_average, write_average
from braggwatch.processing.averaging import RunningMoments
from braggwatch.processing.compression import bslz4_chunk
from braggwatch.processing.detector_settings import DetectorSettings
from braggwatch.processing.frame import Encoding, Frame, Refused, Series
from braggwatch.streamer.cli import make_app
from braggwatch.streamer.daq_simulator.settings import SimulatorSettings
from braggwatch.streamer.daq_simulator.simulator import Simulator
from braggwatch.streamer.daq_simulator.stored_frames import from_files
from braggwatch.streamer.dark import take_dark
from braggwatch.streamer.dark_report import png
from braggwatch.streamer.sources.settings import DectrisV2Settings
from braggwatch.streamer.sources.source import open_source

SHAPE = (96, 130)


def frames(n: int = 50) -> NDArray[np.uint16]:
    rng = np.random.default_rng(0)
    stack = rng.normal(rng.uniform(900, 1100, SHAPE), 4.0, (n, *SHAPE))
    stack[:, 10, 20] = 1234.0
    stack[:, 30, 40] = 9000 + rng.normal(0, 4, n)
    stack[:, 50, 60] = rng.normal(1000, 200, n)
    return stack.astype(np.uint16)


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """The frames in an HDF5 file with the header that a stream of them needs."""
    path = tmp_path / "frames_master.h5"
    with h5py.File(path, "w") as file:
        file["entry/data/data"] = frames()
        detector = file.create_group("entry/instrument/detector")
        detector["x_pixel_size"] = detector["y_pixel_size"] = 75e-6
        detector["detector_distance"] = 0.1
        detector["beam_center_x"], detector["beam_center_y"] = 65.0, 48.0
        file["entry/instrument/beam/incident_wavelength"] = 1.0
    return path


def run(*arguments: str | Path) -> Any:
    return CliRunner().invoke(make_app(), ["dark", *map(str, arguments)])


def assert_right(path: Path) -> None:
    stack = frames().astype(np.float64)
    mean, deviation = (load_array(f"{path}:/{name}", SHAPE).astype(np.float64) for name in ("mean", "stddev"))
    np.testing.assert_allclose(mean, stack.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(deviation, stack.std(axis=0, ddof=1), rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(load_array(f"{path}:/maximum", SHAPE), stack.max(axis=0))
    for name, where in (("dead", (10, 20)), ("hot", (30, 40)), ("noisy", (50, 60))):
        mask = load_array(f"{path}:/masks/{name}", SHAPE)
        assert mask[where], name
        assert mask.sum() <= 2


def test_a_dark_from_files_serves_as_dark_noise_and_mask(stored: Path, tmp_path: Path) -> None:
    to = tmp_path / "dark.h5"
    result = run(stored, "-o", to)
    assert result.exit_code == 0, result.output
    assert_right(to)
    assert "frames           50" in result.output
    with h5py.File(to) as file:
        assert int(file.attrs["n_images"]) == 50
        assert file.attrs["version"]
    settings = DetectorSettings(dark=str(to), noise=str(to), mask=f"{to}:/masks/bad")
    calibration = settings.calibration(blank_detector(SHAPE))
    assert calibration is not None
    assert np.abs(np.median(calibration(frames()[0]))) < 1
    page = (tmp_path / "dark.html").read_text()
    assert page.count("data:image/png;base64,") == 3
    assert "noisy pixels" in page


def test_a_file_that_is_there_is_kept_unless_forced(stored: Path, tmp_path: Path) -> None:
    to = tmp_path / "dark.h5"
    to.write_text("mine")
    assert "is there already; --force replaces it" in str(run(stored, "-o", to).exception)
    assert to.read_text() == "mine"
    assert run(stored, "-o", to, "--force").exit_code == 0
    assert_right(to)


def test_a_number_of_frames_can_be_asked_for(stored: Path, tmp_path: Path) -> None:
    assert run(stored, "-o", tmp_path / "dark.h5", "-n", "11").exit_code == 0
    assert read_average(tmp_path / "dark.h5").n_images == 11


def test_averages_of_several_workers_are_merged(tmp_path: Path) -> None:
    parts = []
    for number, part in enumerate(np.split(frames(), [7, 30])):
        moments = RunningMoments(blank_detector(SHAPE))
        moments.add_stack(np.ascontiguousarray(part))
        parts.append(tmp_path / f"part{number}.h5")
        write_average(parts[-1], moments, {})
    result = run(*parts, "-o", tmp_path / "dark.h5")
    assert result.exit_code == 0, result.output
    assert_right(tmp_path / "dark.h5")


def test_pedestals_of_a_jungfrau_are_taken_by_stage(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    shape, pedestals = (20, 30), (3000.0, 14000.0, 13500.0)
    stacks = []
    for pedestal, code in zip(pedestals, (0, 0x4000, 0xC000), strict=True):
        stacks.append(rng.normal(pedestal, 5, (30, *shape)).astype(np.uint16) | np.uint16(code))
    stacks[2][:, 4, 4] = 0xC000
    stacks[1][:, 5, 5] = stacks[0][:, 5, 5]
    stacks[0][3, 6, 6] = 0xFFFF
    for number, stack in enumerate(stacks):
        with h5py.File(tmp_path / f"g{number}.h5", "w") as file:
            file["entry/data/data"] = stack
    to = tmp_path / "dark.h5"
    result = run(*(tmp_path / f"g{number}.h5" for number in range(3)), "-o", to, "--gain-stages")
    assert result.exit_code == 0, result.exception
    with h5py.File(to) as file:
        found = file["pedestals"][()]
        np.testing.assert_allclose(np.nanmean(found, axis=(1, 2)), np.array(pedestals) - 0.5, atol=0.3)
        assert np.isnan(found[2, 4, 4])
        assert np.isnan(found[1, 5, 5])
        assert np.isfinite(found[:, 6, 6]).all()
        assert np.nanmedian(file["pedestal_noise"][1]) == pytest.approx(5, abs=0.3)
        np.testing.assert_array_equal(file["mean"][()], found[0])
    np.save(tmp_path / "gains.npy", np.ones((3, *shape)))
    settings = DetectorSettings(stage_pedestals=str(to), stage_gains=str(tmp_path / "gains.npy"), noise=str(to))
    calibration = settings.calibration(blank_detector(shape))
    assert calibration is not None
    assert abs(np.nanmean(calibration(stacks[1][0]))) < 10


def test_a_dark_from_a_stream_ends_with_its_series(stored: Path) -> None:
    simulated = from_files([str(stored)])
    settings = SimulatorSettings(address="tcp://127.0.0.1:*", n_frames=len(simulated))
    with (
        Simulator(settings, simulated.frames, simulated.series, order=simulated.order) as simulator,
        open_source(DectrisV2Settings(address=simulator.address)) as source,
    ):
        sender = threading.Thread(target=simulator.run)
        sender.start()
        taken = take_dark(source, one_series=True)
        sender.join()
    assert taken.moments.n_images == 50
    np.testing.assert_allclose(taken.moments.mean, frames().mean(axis=0), rtol=1e-6)


class GivenSource:
    """A source of events that were made by hand."""

    def __init__(self, events: list[Any]) -> None:
        import zmq

        self._events = events
        self._context = zmq.Context()
        self.bell = self._context.socket(zmq.PUSH)
        self.bell.bind("inproc://given")
        self.taker = self._context.socket(zmq.PULL)
        self.taker.connect("inproc://given")
        self.sockets = [self.taker]
        for _ in events:
            self.bell.send(b"")

    @property
    def exhausted(self) -> bool:
        return not self._events

    def receive(self, socket: Any) -> list[Any]:
        socket.recv()
        return [self._events.pop(0)]

    def close(self) -> None:
        self.bell.close(linger=0)
        self.taker.close(linger=0)
        self._context.term()


def frame_of(image: NDArray[Any], number: int, payload: bytes | None = None) -> Frame:
    chunk = bslz4_chunk(image) if payload is None else payload
    return Frame(
        series="s", number=number, payload=chunk, shape=image.shape, dtype=image.dtype.name,
        encoding=Encoding("bslz4", "hdf5"),
    )  # fmt: skip


def test_damaged_and_other_frames_are_counted_and_left_out() -> None:
    stack = frames(10)
    events: list[Any] = [Series(key="s", number=1), *(frame_of(image, n) for n, image in enumerate(stack))]
    events.insert(3, frame_of(stack[0], 99, b"damaged"))
    events.insert(5, frame_of(stack[0, :50], 98))
    events.insert(6, Refused("no CBOR", "cbor"))
    source = GivenSource(events)
    taken = take_dark(source)  # type: ignore[arg-type]
    source.close()
    assert (taken.moments.n_images, taken.n_refused) == (10, 3)
    np.testing.assert_allclose(taken.moments.mean, stack.mean(axis=0), rtol=1e-6)


def test_no_frame_at_all_is_said_with_the_reason() -> None:
    source = GivenSource([Series(key="s", number=1), Refused("no valid CBOR here", "cbor")])
    with pytest.raises(ValueError, match="no frame could be averaged: no valid CBOR here"):
        take_dark(source)  # type: ignore[arg-type]
    source.close()


def test_the_pictures_of_the_page_are_png_files() -> None:
    picture = np.arange(600, dtype=np.uint16).astype(np.uint8).reshape(20, 30)
    image = QImage.fromData(png(picture), "PNG")
    assert (image.width(), image.height()) == (30, 20)
    for column, row in ((0, 0), (29, 0), (7, 13), (29, 19)):
        assert image.pixelColor(column, row).red() == picture[row, column]
