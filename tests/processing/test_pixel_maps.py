"""What the settings say of each pixel, as people look at it, against what images are really corrected by."""

from pathlib import Path

import h5py
import msgspec
import numpy as np
import pytest

from braggwatch.processing.calibration import Calibration
from braggwatch.processing.chain import Chain
from braggwatch.processing.detector_settings import DetectorSettings
from braggwatch.processing.frame import Encoding, Frame, Series
from braggwatch.processing.mask_files import save_mask
from braggwatch.processing.pipeline import Pipeline
from braggwatch.processing.pixel_maps import (
    BY_CALIBRATION,
    BY_FILE,
    BY_GEOMETRY,
    BY_HEADER,
    BY_PANEL,
    MapKind,
    read_map,
)
from braggwatch.processing.stages.hitfind import Hitfind, HitfindSettings

SHAPE = (30, 40)
GEOMETRY = """
clen = 0.1
photon_energy = 9000
res = 10000
left/min_fs = 0
left/max_fs = 15
left/min_ss = 0
left/max_ss = 29
left/corner_x = -20
left/corner_y = -15
left/fs = x
left/ss = y
right/min_fs = 20
right/max_fs = 39
right/min_ss = 0
right/max_ss = 29
right/corner_x = 2
right/corner_y = -15
right/fs = x
right/ss = y
"""


def series(mask: bool = True) -> Series:
    header = np.zeros(SHAPE, bool)
    header[3, 4] = header[5, 30] = True
    return Series(
        key="run", number=1, shape=SHAPE, dtype="uint16", photon_energy=9000.0, distance=0.1, beam_center=(20.0, 15.0),
        pixel_size=(1e-4, 1e-4), mask=header if mask else None,
    )  # fmt: skip


def written(folder: Path, **arrays: np.ndarray) -> dict[str, str]:
    """Write each array into a file of its own; its settings."""
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return {name: str(folder / f"{name}.npy") for name in arrays}


def noise_with_a_dead_pixel() -> np.ndarray:
    noise = np.random.default_rng(1).uniform(1, 3, SHAPE)
    noise[10, 10] = 0.0
    noise[11, 10] = 50.0
    return noise


def test_the_dark_is_what_is_subtracted_and_the_gain_what_is_multiplied_by(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    files = written(tmp_path, dark=random.uniform(90, 110, SHAPE), gain_map=random.uniform(0.5, 2, SHAPE))
    settings = DetectorSettings(**files)  # type: ignore[arg-type]
    dark, gain = read_map(settings, series(), "dark"), read_map(settings, series(), "gain")
    assert (dark.unit, dark.source, gain.unit) == ("ADU", files["dark"], "")
    image = random.integers(0, 1000, SHAPE).astype(np.uint16)
    correct = settings.calibration(settings.detector(series()))
    assert isinstance(correct, Calibration)
    assert np.allclose((image - dark.values) * gain.values, correct(image), rtol=1e-6)


def test_a_gain_map_with_a_level_is_shown_as_the_factors_that_it_stands_for(tmp_path: Path) -> None:
    where = np.ones(SHAPE)
    where[:, 20:] = 0
    settings = DetectorSettings(**written(tmp_path, gain_map=where), gain_map_level=6.75)  # type: ignore[arg-type]
    gain = read_map(settings, series(), "gain").values
    assert set(gain[:, 20:].ravel()) == {6.75} and set(gain[:, :20].ravel()) == {1.0}


def test_of_an_average_the_mean_is_the_dark_and_the_deviation_the_noise(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "dark.h5", "w") as file:
        file["/mean"], file["/stddev"] = np.full(SHAPE, 100.0), np.full(SHAPE, 2.5)
    both = str(tmp_path / "dark.h5")
    settings = DetectorSettings(dark=both, noise=both)
    assert set(read_map(settings, series(), "dark").values.ravel()) == {100.0}
    noise = read_map(settings, series(), "noise")
    assert set(noise.values.ravel()) == {2.5} and noise.values.dtype == np.float32 and noise.unit == "ADU"


def test_each_stage_of_a_jungfrau_has_its_own_pedestals_and_gains(tmp_path: Path) -> None:
    pedestals = np.arange(3 * 1200).reshape(3, *SHAPE).astype(float)
    gains = np.stack([np.full(SHAPE, value) for value in (40.0, -1.4, -0.1)])
    settings = DetectorSettings(**written(tmp_path, stage_pedestals=pedestals, stage_gains=gains))  # type: ignore[arg-type]
    for stage in range(3):
        dark, gain = read_map(settings, series(), "dark", stage), read_map(settings, series(), "gain", stage)
        assert np.array_equal(dark.values, pedestals[stage]) and np.allclose(gain.values, gains[stage])
        assert (dark.n_stages, gain.n_stages, gain.unit) == (3, 3, "ADU/keV")
    with pytest.raises(ValueError, match="expected a gain stage from 0 to 2, found 3"):
        read_map(settings, series(), "dark", 3)


def test_the_mask_says_who_masked_each_pixel(tmp_path: Path) -> None:
    (tmp_path / "two.geom").write_text(GEOMETRY)
    in_file = np.zeros(SHAPE, np.uint8)
    in_file[3, 4] = in_file[20, 25:28] = 1
    settings = DetectorSettings(
        geometry=tmp_path / "two.geom", ignored_panels=[0], max_noise=10.0,
        **written(tmp_path, mask=in_file, noise=noise_with_a_dead_pixel()),  # type: ignore[arg-type]
    )  # fmt: skip
    bits = read_map(settings, series(), "mask").values
    assert bits[3, 4] == BY_HEADER | BY_FILE | BY_PANEL
    assert bits[5, 30] == BY_HEADER and bits[20, 26] == BY_FILE
    assert (bits[:, 16:20] == BY_GEOMETRY).all()
    assert bits[10, 10] == bits[11, 10] == BY_CALIBRATION | BY_PANEL and bits[12, 10] == BY_PANEL
    correction = settings.calibration(settings.detector(series()))
    assert correction is not None and np.array_equal(bits != 0, correction.corrected.mask)


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("dark", "there is none: [detector] names no `dark`"),
        ("noise", "there is none: [detector] names no `noise`"),
        ("gain", "there is none: [detector] names no `gain_map`"),
    ],
)
def test_what_the_settings_do_not_name_is_said(kind: MapKind, sentence: str) -> None:
    with pytest.raises(ValueError) as said:
        read_map(DetectorSettings(), series(), kind)
    assert str(said.value) == sentence
    assert set(np.unique(read_map(DetectorSettings(), series(), "mask").values)) == {0, BY_HEADER}


def test_a_file_of_another_shape_is_refused_by_its_name(tmp_path: Path) -> None:
    settings = DetectorSettings(**written(tmp_path, dark=np.zeros((4, 5))))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"dark\.npy: expected the image's shape \(30, 40\)"):
        read_map(settings, series(), "dark")


def test_a_mask_that_was_saved_masks_those_pixels_by_the_setting_that_is_said(tmp_path: Path) -> None:
    drawn = np.random.default_rng(3).uniform(size=SHAPE) < 0.1
    said = save_mask(tmp_path / "drawn.h5", drawn, "a test")
    assert said == f"{tmp_path / 'drawn.h5'}:/mask"
    bare = DetectorSettings().detector(series(mask=False))
    assert not bare.mask.any()
    assert np.array_equal(DetectorSettings(mask=said).detector(series(mask=False)).mask, drawn)
    save_mask(tmp_path / "drawn.h5", ~drawn, "another test")
    assert np.array_equal(DetectorSettings(mask=str(tmp_path / "drawn.h5")).detector(series(mask=False)).mask, ~drawn)
    assert [path.name for path in tmp_path.iterdir()] == ["drawn.h5"]


def test_a_spot_under_a_mask_that_was_saved_is_not_found(tmp_path: Path) -> None:
    shape, places = (128, 160), ((30, 40), (90, 120))
    image = np.random.default_rng(6).poisson(10, shape).astype(np.uint16)
    for ss, fs in places:
        image[ss - 1 : ss + 2, fs - 1 : fs + 2] += 500
    drawn = np.zeros(shape, bool)
    drawn[85:96, 115:126] = True
    header = msgspec.structs.replace(series(mask=False), shape=shape)
    shot = Frame(
        series="run", number=0, payload=image.tobytes(), shape=shape, dtype="uint16", encoding=Encoding()
    )  # fmt: skip
    for settings, expected in (
        (DetectorSettings(), places),
        (DetectorSettings(mask=save_mask(tmp_path / "drawn.h5", drawn, "a test")), places[:1]),
    ):
        chain = Chain([("hitfind", Hitfind(HitfindSettings(min_peaks=1)))])
        peaks = Pipeline(header, settings, chain).process(shot).peaks
        assert peaks is not None
        found = sorted(
            (round(float(ss) - 0.5), round(float(fs) - 0.5)) for ss, fs in zip(peaks.ss, peaks.fs, strict=True)
        )
        assert found == sorted(expected)


def test_a_mask_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        save_mask(tmp_path / "nowhere" / "drawn.h5", np.zeros(SHAPE, bool), "a test")
    assert list(tmp_path.iterdir()) == []
