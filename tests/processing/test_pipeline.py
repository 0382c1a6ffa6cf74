"""Packed frames in, shots that have been through the chain out; no sockets."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from braggwatch.processing.chain import Chain, Verdict
from braggwatch.processing.compression import bslz4_chunk
from braggwatch.processing.detector import Detector
from braggwatch.processing.detector_settings import DetectorSettings
from braggwatch.processing.frame import Encoding, Frame, Series
from braggwatch.processing.pipeline import Pipeline, RefusedFrameError
from braggwatch.processing.pipeline_settings import PipelineSettings
from braggwatch.processing.shot import Shot

SHAPE = (60, 50)


class Watcher:
    """A stage that remembers what it saw, and skips frames of odd number."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.image = np.empty((0, 0))
        self.shot: Shot | None = None
        self.life: list[str] = []

    def begin(self, series: Series, detector: Detector) -> None:
        self.life.append(f"begin {series.number}")

    def event(self, shot: Shot) -> Verdict:
        self.seen.append(shot.number)
        self.image = shot.image.copy()
        self.shot = shot
        return Verdict.SKIP if shot.number % 2 else Verdict.KEEP

    def end(self) -> None:
        self.life.append("end")


def series(**changes: Any) -> Series:
    known: dict[str, Any] = {
        "key": "k", "number": 3, "shape": SHAPE, "dtype": "uint16", "photon_energy": 12_000.0, "distance": 0.1,
        "beam_center": (25.0, 30.0), "pixel_size": (1e-4, 1e-4),
    }  # fmt: skip
    return Series(**{**known, **changes})


def frame(image: np.ndarray[Any, Any], number: int = 0, **changes: Any) -> Frame:
    known: dict[str, Any] = {
        "series": "k", "number": number, "payload": bslz4_chunk(image), "shape": image.shape,
        "dtype": str(image.dtype), "encoding": Encoding("bslz4", "hdf5"),
    }  # fmt: skip
    return Frame(**{**known, **changes})


def pixels(dtype: str = "uint16") -> np.ndarray[Any, Any]:
    return np.random.default_rng(1).integers(0, 100, SHAPE).astype(dtype)


def pipeline(*stages: Watcher, settings: DetectorSettings | None = None, header: Series | None = None) -> Pipeline:
    chain = Chain([(f"stage:{index}", stage) for index, stage in enumerate(stages)])
    return Pipeline(header or series(), settings or DetectorSettings(), chain)


def test_a_shot_has_the_unpacked_pixels_and_knows_that_nothing_changed_them() -> None:
    watcher = Watcher()
    shot = pipeline(watcher).process(frame(pixels()))
    np.testing.assert_array_equal(watcher.image, pixels())
    assert shot.image.dtype == np.uint16
    assert not shot.pixels_changed
    assert set(shot.timings) == {"decode", "stage:0"}


def test_a_skipped_shot_is_seen_by_no_later_stage() -> None:
    first, second = Watcher(), Watcher()
    line = pipeline(first, second)
    for number in range(4):
        line.process(frame(pixels(), number))
    assert first.seen == [0, 1, 2, 3]
    assert second.seen == [0, 2]


def test_stages_begin_and_end_with_the_series() -> None:
    watcher = Watcher()
    pipeline(watcher).end()
    assert watcher.life == ["begin 3", "end"]


def test_dark_and_noise_are_subtracted_and_masked(tmp_path: Path) -> None:
    dark, noise = np.full(SHAPE, 10.0), np.ones(SHAPE)
    noise[0, 0], noise[1, 1] = 0.0, 50.0
    np.save(tmp_path / "dark.npy", dark)
    np.save(tmp_path / "noise.npy", noise)
    settings = DetectorSettings(dark=f"{tmp_path}/dark.npy", noise=f"{tmp_path}/noise.npy", max_noise=20.0)
    watcher = Watcher()
    line = pipeline(watcher, settings=settings)
    shot = line.process(frame(pixels()))
    assert shot.pixels_changed
    assert line.detector.mask[0, 0]
    assert line.detector.mask[1, 1]
    assert line.detector.mask.sum() == 2
    good = ~line.detector.mask
    np.testing.assert_allclose(watcher.image[good], pixels()[good] - 10.0)


def test_the_settings_say_what_the_detector_is_called() -> None:
    header = series(detector="EIGER2")
    for settings, name in ((None, "EIGER2"), (DetectorSettings(name="CxiDs1-0|Cspad-0"), "CxiDs1-0|Cspad-0")):
        line = pipeline(Watcher(), settings=settings, header=header)
        assert line.series.detector == line.process(frame(pixels())).series.detector == name


def test_masks_of_the_header_and_of_a_file_add_up(tmp_path: Path) -> None:
    of_header, of_file = np.zeros(SHAPE, bool), np.zeros(SHAPE, np.uint8)
    of_header[2, 3], of_file[4, 5] = True, 1
    np.save(tmp_path / "mask.npy", of_file)
    line = pipeline(Watcher(), settings=DetectorSettings(mask=f"{tmp_path}/mask.npy"), header=series(mask=of_header))
    assert sorted(map(tuple, np.argwhere(line.detector.mask).tolist())) == [(2, 3), (4, 5)]


def test_a_mask_can_be_1_where_pixels_are_good(tmp_path: Path) -> None:
    good = np.ones(SHAPE, np.uint8)
    good[2, 3], good[4, 5] = 0, 3
    np.save(tmp_path / "mask.npy", good)
    line = pipeline(Watcher(), settings=DetectorSettings(mask=f"{tmp_path}/mask.npy", mask_good=1, mask_bad=2))
    assert sorted(map(tuple, np.argwhere(line.detector.mask).tolist())) == [(2, 3), (4, 5)]
    with pytest.raises(ValidationError, match="mask_good and mask_bad need mask"):
        DetectorSettings(mask_good=1)


def test_panels_are_left_out_by_their_place_in_the_geometry_file(tmp_path: Path) -> None:
    geometry = tmp_path / "two.geom"
    geometry.write_text(
        "photon_energy = 12000\nclen = 0.1\nres = 10000\nadu_per_photon = 1\ndata = /data\n"
        "dim0 = %\ndim1 = ss\ndim2 = fs\nfs = +1.0x\nss = +1.0y\n"
        "a/min_fs = 0\na/max_fs = 49\na/min_ss = 0\na/max_ss = 29\na/corner_x = -25\na/corner_y = -40\n"
        "b/min_fs = 0\nb/max_fs = 49\nb/min_ss = 30\nb/max_ss = 59\nb/corner_x = -25\nb/corner_y = 10\n"
    )
    mask = DetectorSettings(geometry=geometry, ignored_panels=[1]).detector(series()).mask
    assert mask[30:].all()
    assert not mask[:30].any()
    with pytest.raises(ValueError, match=r"\[detector\] ignored_panels: expected numbers from 0 to 1, found 2"):
        DetectorSettings(geometry=geometry, ignored_panels=[2]).detector(series())
    with pytest.raises(
        ValueError, match=r"from 0 to 0, found 5; without a geometry file \(\[detector\] geometry\) there"
    ):
        DetectorSettings(ignored_panels=[5]).detector(series())


def test_settings_override_what_the_header_says() -> None:
    settings = DetectorSettings(distance=0.2, photon_energy=9000.0, beam_center=(1.0, 2.0))
    detector = pipeline(Watcher(), settings=settings).detector
    assert detector.distance == pytest.approx(0.2)
    assert detector.beam is not None
    assert detector.beam.photon_energy == 9000.0
    np.testing.assert_allclose(detector.beam_center, [(1.0, 2.0)])


@pytest.mark.parametrize("missing", ["distance", "pixel_size", "beam_center", "shape"])
def test_an_incomplete_header_without_a_geometry_file_is_said_so(missing: str) -> None:
    with pytest.raises(ValueError, match=r"geom"):
        pipeline(Watcher(), header=series(**{missing: None}))


def test_frames_that_do_not_fit_or_do_not_unpack_are_refused() -> None:
    line = pipeline(Watcher())
    with pytest.raises(RefusedFrameError, match=r"the frame's shape is \(50, 60\), the detector's is \(60, 50\)"):
        line.process(frame(pixels().T.copy()))
    cut = frame(pixels())
    with pytest.raises(RefusedFrameError):
        line.process(frame(pixels(), payload=cut.payload[:50]))
    small = pipeline(Watcher(), settings=DetectorSettings(max_image_bytes=100))
    with pytest.raises(RefusedFrameError, match=r"unpacks to 6000 bytes, \[detector\] max_image_bytes allows 100"):
        small.process(frame(pixels()))


def test_after_a_refused_frame_the_next_one_is_right() -> None:
    watcher = Watcher()
    line = pipeline(watcher)
    with pytest.raises(RefusedFrameError):
        line.process(frame(pixels(), payload=b"xx"))
    line.process(frame(pixels()))
    np.testing.assert_array_equal(watcher.image, pixels())


def test_what_a_stage_raises_goes_through() -> None:
    class Broken(Watcher):
        def event(self, shot: Shot) -> Verdict:
            raise ZeroDivisionError("no")

    with pytest.raises(ZeroDivisionError):
        pipeline(Broken()).process(frame(pixels()))


@pytest.mark.parametrize(
    "detector",
    [
        {},
        {"dark": "dark.h5"},
        {"noise": "dark.h5", "gain_map": "gain.h5", "common_mode": "robust"},
        {"common_mode": "chebyshev"},
        {"stage_pedestals": "pedestals.h5", "stage_gains": "gains.h5"},
    ],
)
def test_everything_is_compiled_without_the_files_being_there(detector: dict[str, Any]) -> None:
    settings = PipelineSettings.model_validate({"detector": detector, "chain": {"stages": ["hitfind"]}})
    assert settings.detector.corrects == bool(detector)
    settings.warm_up()


def test_a_region_of_interest_far_out_does_not_keep_a_worker_from_getting_ready() -> None:
    hitfind = {"method": "threshold", "threshold_adu": 5.0, "roi": "1500:1600,1700:1900"}
    PipelineSettings.model_validate({"chain": {"stages": ["hitfind"]}, "stages": {"hitfind": hitfind}}).warm_up()
