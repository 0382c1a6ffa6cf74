"""Pictures of many shots come out of their thread complete, whatever is thrown at it."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np
import pytest
from rig import SHAPE, frame, series

from braggwatch.processing.decompression import decompress
from braggwatch.processing.detector_settings import DetectorSettings
from braggwatch.processing.frame import Encoding, Frame
from braggwatch.streamer import pictures as pictures_module
from braggwatch.streamer.messages import PEAK, Result, State
from braggwatch.streamer.picture_messages import Geometry, Peakogram, Powder
from braggwatch.streamer.pictures import Picture, Pictures

T = TypeVar("T", Geometry, Peakogram)
SERIES = msgspec.structs.replace(series(), key="s")


class Taken:
    """Everything that has come out of the thread."""

    def __init__(self, pictures: Pictures) -> None:
        self.messages: list[Picture] = []
        self.problems: list[str] = []
        self._pictures = pictures

    def take(self) -> None:
        messages, problem = self._pictures.take()
        self.messages += messages
        self.problems += [problem] if problem else []

    def until(self, met: Callable[[], object]) -> None:
        deadline = time.monotonic() + 60
        while not met():
            assert time.monotonic() < deadline, (self.messages, self.problems)
            time.sleep(0.02)
            self.take()

    def of(self, kind: type[T]) -> list[T]:
        return [message for message in self.messages if isinstance(message, kind)]

    def powder(self, kind: str) -> Powder:
        return [m for m in self.messages if isinstance(m, Powder) and m.kind == kind][-1]


@pytest.fixture
def pictures() -> Iterator[Pictures]:
    with Pictures(DetectorSettings()) as pictures:
        yield pictures


def shot(number: int, *, hit: bool, key: str = "s") -> tuple[Result, Frame]:
    peaks = np.zeros(3 if hit else 0, PEAK)
    peaks["fs"], peaks["ss"], peaks["intensity"], peaks["max_value"], peaks["inverse_d"] = 32.5, 32.5, 10, 1000, 0.01
    state = State.HIT if hit else State.BLANK
    result = Result(series=key, number=number, state=state, n_peaks=len(peaks), peaks=peaks.tobytes())
    return result, msgspec.structs.replace(frame(number, hit=hit), series=key)


def test_every_hits_spots_and_a_sample_of_the_pixels_are_in_the_pictures(
    pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures_module, "SAMPLE_EVERY_S", 0.0)
    taken = Taken(pictures)
    pictures.series_began(SERIES)
    taken.until(lambda: taken.of(Geometry))
    for number in range(10):
        pictures.shot(*shot(number, hit=number % 2 == 0))
        taken.until(lambda: not pictures._samples)
    pictures.close()
    taken.take()
    [geometry] = taken.of(Geometry)
    assert (geometry.series, geometry.run, geometry.shape) == ("s", 7, SHAPE)
    last = taken.of(Peakogram)[-1]
    assert (last.n_shots, last.n_peaks) == (5, 15)
    everything, hits, spots = (taken.powder(kind) for kind in ("all", "hits", "spots"))
    assert (everything.n_shots, everything.of) == (10, 10)
    assert (hits.n_shots, hits.of) == (5, 5)
    assert (spots.n_shots, spots.of) == (5, 5)
    total = np.empty(SHAPE, np.float32)
    decompress(hits.sum, Encoding("bslz4"), SHAPE, "float32", total)
    assert total[32, 32] == 5000
    assert total[0, 0] == sum(range(0, 10, 2))
    decompress(spots.sum, Encoding("bslz4"), SHAPE, "float32", total)
    assert total[32, 32] == total.sum() == 150


def test_of_a_burst_only_a_few_frames_are_unpacked_and_all_are_counted(pictures: Pictures) -> None:
    taken = Taken(pictures)
    pictures.series_began(SERIES)
    for number in range(500):
        pictures.shot(*shot(number, hit=True))
    pictures.close()
    taken.take()
    assert taken.powder("spots").n_shots == 500
    assert 1 <= taken.powder("all").n_shots <= 20
    assert taken.powder("all").of == 500


def test_runs_of_the_same_geometry_go_into_one_picture_and_another_begins_anew(pictures: Pictures) -> None:
    taken = Taken(pictures)
    pictures.series_began(SERIES)
    pictures.shot(*shot(0, hit=True))
    pictures.series_began(msgspec.structs.replace(SERIES, key="t"))
    pictures.shot(*shot(0, hit=True, key="t"))
    taken.until(lambda: taken.of(Peakogram) and taken.of(Peakogram)[-1].n_shots == 2)
    pictures.series_began(msgspec.structs.replace(SERIES, key="u", distance=0.2))
    pictures.shot(*shot(1, hit=True))  # a late result of the first
    pictures.shot(*shot(0, hit=True, key="u"))
    pictures.close()
    taken.take()
    assert [(geometry.series, geometry.alike) for geometry in taken.of(Geometry)] == [
        ("s", ()),
        ("t", ("s",)),
        ("u", ()),
    ]
    assert taken.of(Peakogram)[-1].n_shots == 1
    assert taken.of(Peakogram)[-1].inverse_d[1] < taken.of(Peakogram)[0].inverse_d[1]


def test_a_series_without_a_geometry_is_said_and_the_next_one_has_pictures(pictures: Pictures) -> None:
    taken = Taken(pictures)
    pictures.series_began(msgspec.structs.replace(SERIES, key="r", distance=None))
    pictures.shot(*shot(0, hit=True, key="r"))
    taken.until(lambda: taken.problems)
    assert taken.problems[0].startswith("there are no pictures of run 7: the stream's header lacks: detector distance")
    pictures.series_began(SERIES)
    pictures.shot(*shot(0, hit=True))
    taken.until(lambda: taken.of(Peakogram))
    assert taken.of(Peakogram)[-1].n_shots == 1


def test_damaged_pixels_are_said_and_the_spots_still_count(pictures: Pictures) -> None:
    taken = Taken(pictures)
    pictures.series_began(SERIES)
    result, good = shot(0, hit=True)
    pictures.shot(result, msgspec.structs.replace(good, payload=b"short"))
    taken.until(lambda: taken.problems)
    assert taken.problems[0].startswith("pictures of many shots cannot be made: uncompressed pixels of (64, 64)")
    taken.until(lambda: taken.of(Peakogram))


def test_calibration_goes_into_mask_and_powder(tmp_path: Path) -> None:
    dark, noise = np.full(SHAPE, 2.0, np.float32), np.ones(SHAPE, np.float32)
    noise[5, 6] = 0
    np.save(tmp_path / "dark.npy", dark)
    np.save(tmp_path / "noise.npy", noise)
    settings = DetectorSettings(dark=str(tmp_path / "dark.npy"), noise=str(tmp_path / "noise.npy"))
    with Pictures(DetectorSettings()) as pictures:
        taken = Taken(pictures)
        pictures.series_began(SERIES)
        pictures.detector_changed(settings)
        pictures.shot(*shot(9, hit=False))
        pictures.close()
        taken.take()
    without, with_mask = (geometry.detector().mask for geometry in taken.of(Geometry))
    assert (without.sum(), with_mask.sum(), with_mask[5, 6]) == (0, 1, True)
    total = np.empty(SHAPE, np.float32)
    decompress(taken.powder("all").sum, Encoding("bslz4"), SHAPE, "float32", total)
    assert (total[0, 0], total[32, 32]) == (7.0, -2.0)
    assert np.isnan(total[5, 6])


def test_frames_that_failed_are_in_no_picture(pictures: Pictures) -> None:
    taken = Taken(pictures)
    pictures.series_began(SERIES)
    result, failed = shot(0, hit=False)
    pictures.shot(msgspec.structs.replace(result, state=State.FAILED), failed)
    pictures.close()
    taken.take()
    assert [type(message) for message in taken.messages] == [Geometry]
