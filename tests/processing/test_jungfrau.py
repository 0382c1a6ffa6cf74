"""JUNGFRAU's raw pixels in all gain stages."""

import gzip
import re
from pathlib import Path
from typing import Any

import h5py
import msgpack
import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from braggwatch.processing.array_files import load_stages
from braggwatch.processing.average_files import blank_detector
from braggwatch.processing.detector_settings import DetectorSettings
from braggwatch.processing.jungfrau import JungfrauCalibration

SHAPE = (130, 257)
RNG = np.random.default_rng(0)
PEDESTALS = np.stack([RNG.normal(3000, 200, SHAPE), RNG.normal(15000, 100, SHAPE), RNG.normal(14500, 100, SHAPE)])
GAINS = np.stack([RNG.normal(41, 1, SHAPE), RNG.normal(-1.4, 0.05, SHAPE), RNG.normal(-0.1, 0.004, SHAPE)])


def raw_of(energy: NDArray[np.float64]) -> NDArray[np.uint16]:
    """Read keV out as the detector does: each pixel in the first stage that reaches so far."""
    adc = np.rint(PEDESTALS + energy * GAINS)
    stage = np.where(adc[0] <= 0x3FFF, 0, np.where(adc[1] >= 100, 1, 2))
    chosen = np.take_along_axis(adc, stage[None], axis=0)[0]
    codes = np.array([0, 0x4000, 0xC000], np.uint16)[stage]
    raw: NDArray[np.uint16] = np.maximum(chosen, 0).astype(np.uint16) | codes
    return raw


def energies() -> NDArray[np.float64]:
    """Mostly nothing, and pixels of every stage."""
    energy = RNG.exponential(3.0, SHAPE)
    energy[40:60, 100:140] = RNG.uniform(400, 9000, (20, 40))
    energy[80, 3:9] = RNG.uniform(20_000, 100_000, 6)
    return energy


def test_all_stages_are_converted_within_the_rounding_of_the_adc() -> None:
    energy = energies()
    raw = raw_of(energy)
    assert set(np.unique(raw >> 14)) == {0, 1, 3}
    result = JungfrauCalibration(blank_detector(SHAPE), PEDESTALS, GAINS)(raw)
    step = np.abs(1 / np.take_along_axis(GAINS, np.minimum(raw >> 14, 2)[None].astype(int), axis=0)[0])
    assert (np.abs(result - energy) <= 0.5 * step + 1e-6 * energy + 1e-3).all()


@pytest.mark.parametrize("share", [0.01, 0.5, 1.0])
def test_scattered_pixels_of_other_stages_are_all_converted_in_a_large_image(share: float) -> None:
    shape, rng = (300, 511), np.random.default_rng(1)
    pedestals = np.stack([rng.normal(mean, 100, shape) for mean in (3000, 15000, 14500)]).astype(np.float32)
    gains = np.stack([rng.normal(mean, abs(mean) / 50, shape) for mean in (41.0, -1.4, -0.1)])
    raw = rng.integers(0, 0x4000, shape).astype(np.uint16)
    others = rng.random(shape) < share
    raw[others] |= rng.choice(np.array([0x4000, 0x8000, 0xC000], np.uint16), int(others.sum()))
    raw[0, 0], raw[-1, -1] = 0xFFFF, 0xC000
    stage = np.array([0, 1, -1, 2])[raw >> 14]
    with np.errstate(invalid="ignore"):
        expected = (raw & 0x3FFF) - np.take_along_axis(pedestals, stage[None], axis=0)[0]
        expected = expected / np.take_along_axis(gains, stage[None], axis=0)[0]
    expected[(stage < 0) | (raw == 0xFFFF)] = np.nan
    expected[raw == 0xC000] = (-pedestals[2] / gains[2]).max()
    result = JungfrauCalibration(blank_detector(shape), pedestals, gains)(raw)
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-4)


def test_codes_that_say_nothing_are_nan_and_saturation_is_kept() -> None:
    raw = raw_of(np.zeros(SHAPE))
    raw[0, :3] = [0x8000 | 77, 0xFFFF, 0xC000]
    calibration = JungfrauCalibration(blank_detector(SHAPE), PEDESTALS, GAINS)
    result = calibration(raw)
    limit = calibration.corrected.panels[0].max_adu
    assert np.isnan(result[0, :2]).all()
    assert np.isfinite(result[1:]).all()
    assert result[0, 2] == pytest.approx(limit)
    assert limit == pytest.approx((-PEDESTALS[2] / GAINS[2]).max(), rel=1e-5)
    assert (result[1:] < limit).all()


def test_a_pixel_without_g0_is_masked_and_one_without_another_stage_is_nan_in_it() -> None:
    pedestals, gains, noise = PEDESTALS.copy(), GAINS.copy(), np.full(SHAPE, 10.0)
    pedestals[0, 1, 1], gains[0, 2, 2], noise[3, 3], gains[1, 50, 120] = np.nan, 0.0, 0.0, 0.0
    calibration = JungfrauCalibration(blank_detector(SHAPE), pedestals, gains, noise)
    assert sorted(zip(*np.nonzero(calibration.mask), strict=True)) == [(1, 1), (2, 2), (3, 3)]
    assert np.isnan(calibration(raw_of(np.full(SHAPE, 1000.0)))[50, 120])
    assert np.isfinite(calibration(raw_of(np.zeros(SHAPE)))[50, 120])
    found = calibration.corrected.noise
    assert found is not None
    assert found[9, 9] == pytest.approx(10 / GAINS[0, 9, 9], rel=1e-5)


def test_the_bits_lie_where_the_detectors_own_software_puts_them(shared: Path) -> None:
    packed = (shared / "wire" / "sls_jungfrau_single.msgpack.gz").read_bytes()
    messages = msgpack.unpackb(gzip.decompress(packed))
    raw = np.frombuffer(_pixels(messages), np.uint16).reshape(512, 1024)
    detector = blank_detector((512, 1024))
    pedestals = np.zeros((3, 512, 1024))
    gains = np.ones((3, 512, 1024)) * np.array([1.0, 10.0, 100.0])[:, None, None]
    result = JungfrauCalibration(detector, pedestals, gains)(raw)
    adc = 1 + np.arange(512 * 1024).reshape(512, 1024) // 4096
    columns = np.arange(1024)
    expected = adc / np.where(columns < 300, 1.0, np.where(columns < 600, 10.0, 100.0))
    np.testing.assert_allclose(result, expected, rtol=1e-6)


def _pixels(messages: Any) -> bytes:
    """The first part of a module's pixels, in whatever list of lists it lies."""
    if isinstance(messages, bytes):
        return messages if len(messages) == 2 * 512 * 1024 else b""
    parts = messages.values() if isinstance(messages, dict) else messages if isinstance(messages, list) else ()
    return next((found for part in parts if (found := _pixels(part))), b"")


def test_pedestals_and_gains_come_from_files_through_the_settings(tmp_path: Path) -> None:
    np.save(tmp_path / "pedestals.npy", PEDESTALS)
    with h5py.File(tmp_path / "gains.h5", "w") as file:
        file["gains"] = np.concatenate([GAINS, GAINS[:1]]).reshape(4, 2, 65, 257)
    settings = DetectorSettings(
        stage_pedestals=str(tmp_path / "pedestals.npy"), stage_gains=f"{tmp_path}/gains.h5:/gains"
    )
    settings.check_files()
    calibration = settings.calibration(blank_detector(SHAPE))
    assert calibration is not None
    energy = energies()
    np.testing.assert_allclose(calibration(raw_of(energy)), energy, atol=6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"stage_pedestals": "a.npy"}, "stage_pedestals and stage_gains go together"),
        ({"stage_pedestals": "a", "stage_gains": "b", "dark": "c"}, "stage_pedestals takes the place of dark"),
        (
            {"stage_pedestals": "a", "stage_gains": "b", "common_mode": "median"},
            "stage_pedestals takes the place of common_mode",
        ),
    ],
)
def test_contradictions_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DetectorSettings(**settings)


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    detector = blank_detector(SHAPE)
    with pytest.raises(ValueError, match=re.escape("the shape of the gains is (2, 130, 257)")):
        JungfrauCalibration(detector, PEDESTALS, GAINS[:2])
    with pytest.raises(ValueError, match="leave no pixel"):
        JungfrauCalibration(detector, PEDESTALS, np.zeros_like(GAINS))
    calibration = JungfrauCalibration(detector, PEDESTALS, GAINS)
    with pytest.raises(ValueError, match="expected JUNGFRAU's raw pixels as uint16, found int32"):
        calibration(np.zeros(SHAPE, np.int32))
    with pytest.raises(ValueError, match="the image's shape is"):
        calibration(np.zeros((2, 2), np.uint16))
    np.save(tmp_path / "two.npy", PEDESTALS[:2])
    with pytest.raises(ValueError, match=re.escape("expected three gain stages of the image's shape (130, 257)")):
        load_stages(tmp_path / "two.npy", SHAPE)
    with pytest.raises(ValueError, match="pickles are not read"):
        load_stages(tmp_path / "gains.pickle", SHAPE)
    with pytest.raises(FileNotFoundError, match="no such file"):
        load_stages(tmp_path / "gone.h5", SHAPE)
    with h5py.File(tmp_path / "huge.h5", "w") as file:
        file.create_dataset("pedestals", (3, 10**12, SHAPE[1]), np.float32, chunks=(1, 64, SHAPE[1]))
    with pytest.raises(ValueError, match="three gain stages of the image's shape"):
        load_stages(tmp_path / "huge.h5", SHAPE)


def test_views_and_the_other_byte_order_are_read_right() -> None:
    raw = raw_of(energies())
    calibration = JungfrauCalibration(blank_detector(SHAPE), PEDESTALS, GAINS)
    expected = calibration(raw).copy()
    np.testing.assert_array_equal(calibration(np.asfortranarray(raw).astype(">u2")), expected)
