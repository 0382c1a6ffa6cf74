"""Hits and blanks."""

import bz2
from pathlib import Path
from typing import Any

import fabio
import h5py
import hdf5plugin  # noqa: F401 (registers the compression of the frames)
import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from braggwatch.processing.chain import Verdict
from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Encoding, Frame, Series
from braggwatch.processing.hit_criteria import BrightPixel, Roi
from braggwatch.processing.shot import Shot
from braggwatch.processing.stages.hitfind import Hitfind, HitfindSettings

SHAPE = (300, 400)


def detector(**more: Any) -> Detector:
    return Detector.single_panel(SHAPE, pixel_size=1e-4, distance=0.1, beam_center=(200.0, 150.0), **more)


def shot_of(image: NDArray[Any], where: Detector) -> Shot:
    series = Series(key="s", number=1, shape=where.shape, dtype=image.dtype.name)
    frame = Frame(series="s", number=0, payload=b"", shape=where.shape, dtype=image.dtype.name, encoding=Encoding())
    return Shot(series, frame, image, where)


def judged(image: NDArray[Any], where: Detector | None = None, **settings: Any) -> Shot:
    """Send one image through a stage and check that its verdict is its decision."""
    where = where or detector()
    shot = shot_of(image, where)
    stage = Hitfind(HitfindSettings(**settings))
    stage.begin(shot.series, where)
    verdict = stage.event(shot)
    stage.end()
    assert verdict is (Verdict.KEEP if shot.is_hit else Verdict.SKIP)
    return shot


def image_with_spots(n: int, height: int = 200) -> NDArray[np.uint16]:
    image = np.random.default_rng(1).poisson(3.0, SHAPE).astype(np.uint16)
    for i in range(n):
        row, column = 20 + 40 * (i // 8), 30 + 45 * (i % 8)
        image[row : row + 2, column : column + 2] += np.uint16(height)
    return image


def test_a_hit_has_at_least_min_peaks_spots() -> None:
    shot = judged(image_with_spots(12), min_peaks=12)
    assert shot.is_hit
    assert shot.peaks is not None
    assert len(shot.peaks) == 12
    blank = judged(image_with_spots(12), min_peaks=13)
    assert not blank.is_hit
    assert blank.peaks is not None


def test_a_shot_with_more_spots_than_a_hit_may_have_is_none() -> None:
    assert judged(image_with_spots(12), min_peaks=5, max_peaks_in_hit=12).is_hit
    assert not judged(image_with_spots(13), min_peaks=5, max_peaks_in_hit=12).is_hit


def test_negate_hits_takes_blanks_for_hits() -> None:
    assert not judged(image_with_spots(12), negate_hits=True).is_hit
    assert judged(image_with_spots(0), negate_hits=True).is_hit
    assert judged(image_with_spots(0), method="threshold", threshold_adu=5000, negate_hits=True).is_hit


def test_with_the_method_spots_only_spots_above_the_height_count() -> None:
    image = image_with_spots(12, height=500)
    image[20:22, 30:32] = 450
    assert judged(image, method="spots", threshold_adu=450, min_peaks=11).is_hit
    assert not judged(image, method="spots", threshold_adu=450, min_peaks=12).is_hit
    assert judged(image, method="spots", threshold_adu=449.5, min_peaks=12).is_hit


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_with_the_method_threshold_one_pixel_is_enough_and_equal_is_enough(dtype: str) -> None:
    image = image_with_spots(0).astype(dtype)
    image[299, 399] = 1000
    assert judged(image, method="threshold", threshold_adu=1000).is_hit
    assert not judged(image, method="threshold", threshold_adu=1000.5).is_hit
    assert not judged(image, method="threshold", threshold_adu=1e12).is_hit
    assert judged(image, method="threshold", threshold_adu=-5).is_hit


def test_a_hit_by_threshold_has_its_spots_for_the_stages_behind() -> None:
    hit = judged(image_with_spots(12), method="threshold", threshold_adu=150)
    assert hit.peaks is not None
    assert len(hit.peaks) == 12
    assert judged(image_with_spots(12), method="threshold", threshold_adu=1500).peaks is None


def test_masked_and_flagged_pixels_do_not_make_a_hit_by_threshold() -> None:
    image = image_with_spots(0)
    image[10, 10] = 65535
    image[20, 20] = 2000
    image[30, 30] = 3000
    mask = np.zeros(SHAPE, bool)
    mask[20, 20] = True
    where = detector(mask=mask, flag_values=(3000,))
    assert not judged(image, where, method="threshold", threshold_adu=1000).is_hit
    image[40, 40] = 1500
    assert judged(image, where, method="threshold", threshold_adu=1000).is_hit
    spoilt = image.astype(np.float32)
    spoilt[40, 40] = np.nan
    spoilt[10, 10] = np.inf
    assert not judged(spoilt, where, method="threshold", threshold_adu=1000).is_hit


def test_the_threshold_is_looked_for_in_the_roi_only() -> None:
    image = image_with_spots(0)
    image[100, 50] = 1000
    inside: dict[str, Any] = {"method": "threshold", "threshold_adu": 900}
    assert judged(image, roi="50:51,100:101", **inside).is_hit
    assert not judged(image, roi="51:400,0:300", **inside).is_hit
    assert not judged(image, roi="0:50,0:300", **inside).is_hit
    assert not judged(image, roi="0:400,0:100", **inside).is_hit


def test_a_roi_outside_the_image_is_refused() -> None:
    with pytest.raises(ValueError, match=r"roi 0:401,0:300 leaves the image of 400 x 300 pixels"):
        BrightPixel(detector(), 10.0, Roi.parse("0:401,0:300"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"roi": "10:5,0:9"}, "roi must read fast_lo:fast_hi,slow_lo:slow_hi"),
        ({"roi": "ten"}, "roi must read fast_lo:fast_hi,slow_lo:slow_hi .* found 'ten'"),
        ({"roi": "0:5,0:9"}, 'roi goes with method = "threshold" only'),
        ({"method": "spots"}, 'method = "spots" needs threshold_adu'),
        ({"method": "threshold"}, 'method = "threshold" needs threshold_adu'),
        ({"threshold_adu": 5.0}, 'threshold_adu has no meaning for method = "peakfinder8"'),
        ({"min_pixels": 300}, r"max_pixels \(200\) must not be smaller than min_pixels \(300\)"),
        ({"max_peaks": 5}, "with max_peaks = 5 the search ends before min_peaks = 10"),
        ({"max_peaks_in_hit": 4}, "max_peaks_in_hit must lie between min_peaks"),
        ({"max_peaks_in_hit": 5000}, "max_peaks_in_hit must lie between min_peaks"),
        ({"d_min": 4.0, "d_max": 3.0}, r"d_min \(4.0\) must be smaller than d_max \(3.0\)"),
        ({"min_snrr": 4.0}, "min_snrr"),
    ],
    ids=str,
)
def test_settings_that_contradict_each_other_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        HitfindSettings(**settings)


def test_every_setting_is_described() -> None:
    assert all(field.description for field in HitfindSettings.model_fields.values())


def test_an_event_before_begin_is_refused() -> None:
    with pytest.raises(RuntimeError, match=r"begin\(\) must come before event\(\)"):
        Hitfind(HitfindSettings()).event(shot_of(image_with_spots(0), detector()))


def test_hits_and_blanks_of_simulated_frames_are_told_apart_without_any_setting(shared: Path) -> None:
    with h5py.File(shared / "frames/lysozyme_4m.h5") as file:
        where = Detector.from_crystfel(shared / "frames/lysozyme_4m.geom").with_mask(file["mask"][:] != 0)
        found = [judged(image, where).is_hit for image in file["entry/data/data"][:]]
        assert found == file["truth/hit"][:].tolist()


def test_thaumatin_hits_and_blank_are_told_apart_without_any_setting(shared: Path, tmp_path: Path) -> None:
    found = {}
    for packed in sorted((shared / "real").glob("thau_*.cbf.bz2")):
        unpacked = tmp_path / packed.stem
        unpacked.write_bytes(bz2.decompress(packed.read_bytes()))
        image = np.ascontiguousarray(fabio.open(str(unpacked)).data)
        where = Detector.single_panel(
            image.shape, pixel_size=172e-6, distance=0.351, beam_center=(1261.61, 1306.96), mask=image < 0
        )
        found[packed.name[9:13]] = judged(image, where).is_hit
    assert found == {"0001": True, "0004": True, "0008": True, "0012": True, "0015": True, "0017": False}


def test_both_thermolysin_stills_are_hits_by_sixteen_spots_above_450_adu(shared: Path) -> None:
    where = Detector.from_crystfel(shared / "real/thermolysin_cspad.geom", shape=(11840, 194))
    with h5py.File(shared / "real/thermolysin_cspad.h5") as file:
        for image in file["entry/data/data"][:]:
            assert judged(image, where, method="spots", min_peaks=16, threshold_adu=450).is_hit
