"""Darks and masks from files, and images less their dark."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pytest
from numpy.typing import NDArray

from braggwatch.processing.array_files import load_array, load_mask
from braggwatch.processing.average_files import blank_detector
from braggwatch.processing.calibration import Calibration
from braggwatch.processing.detector import Detector

SHAPE = (6, 4)
DARK = np.arange(24, dtype=np.float64).reshape(SHAPE) / 7


def detector(max_adu: float = float("inf"), **more: Any) -> Detector:
    """One panel of SHAPE with flags and saturation."""
    flat = blank_detector(SHAPE)
    return replace(flat, panels=(replace(flat.panels[0], max_adu=max_adu),), **more)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float32", ">u2"])
def test_the_dark_is_subtracted_and_bad_values_become_nan(dtype: str) -> None:
    image = np.arange(24).reshape(SHAPE).astype(dtype)
    expected = np.arange(24).reshape(SHAPE) - DARK
    if image.dtype.kind == "f":
        image[2, 3] = expected[2, 3] = np.nan
    else:
        image[2, 3] = np.iinfo(dtype).max
        expected[2, 3] = np.nan
    result = Calibration(detector(), DARK)(image)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, rtol=1e-6, atol=1e-6)


def test_the_smallest_signed_value_and_flagged_values_become_nan() -> None:
    image = np.zeros(SHAPE, np.int16)
    image[0, :] = [-32768, 32767, 5, 6]
    result = Calibration(detector(flag_values=(5.0, 65535.0, 0.5)), DARK)(image)
    np.testing.assert_array_equal(np.isnan(result[0]), [True, True, True, False])
    assert not np.isnan(result[1:]).any()
    floats = Calibration(detector(flag_values=(5.0,)), DARK)(image.astype(np.float32))
    np.testing.assert_array_equal(np.isnan(floats[0]), [False, False, True, False])


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_limits_hold_for_the_image_before_the_dark(dtype: str) -> None:
    image = np.zeros(SHAPE, dtype)
    image[0, :] = [-1, 0, 90, 91]
    result = Calibration(detector(flag_below=0.0, flag_above=90.0), np.full(SHAPE, 10.0))(image)
    np.testing.assert_array_equal(result[0], [np.nan, -10.0, 80.0, np.nan])
    assert (result[1:] == -10.0).all()


def test_zero_of_an_unsigned_image_is_a_measurement() -> None:
    np.testing.assert_allclose(Calibration(detector(), DARK)(np.zeros(SHAPE, np.uint16)), -DARK, rtol=1e-6)


def test_one_output_serves_all_images_and_the_input_is_left_alone() -> None:
    calibration = Calibration(detector(), DARK)
    image = np.full(SHAPE, 9, np.uint16)
    first = calibration(image)
    assert calibration(image[::-1, ::-1]) is first
    np.testing.assert_allclose(first, 9 - DARK, rtol=1e-6)
    assert (image == 9).all()


def test_views_of_strides_are_read_right() -> None:
    big = np.arange(96, dtype=np.uint16).reshape(12, 8)
    np.testing.assert_allclose(Calibration(detector(), DARK)(big[::2, 1::2]), big[::2, 1::2] - DARK, rtol=1e-6)


def test_the_gain_multiplies_what_the_dark_has_left() -> None:
    gain = np.linspace(0.5, 7.0, 24).reshape(SHAPE)
    gain[0, :3] = [0.0, -1.0, np.nan]
    calibration = Calibration(detector(), DARK, gain=gain)
    image = np.arange(24, dtype=np.uint16).reshape(SHAPE)
    np.testing.assert_allclose(calibration(image)[1:], ((image - DARK) * gain)[1:], rtol=1e-5)
    assert sorted(zip(*np.nonzero(calibration.mask), strict=True)) == [(0, 0), (0, 1), (0, 2)]
    assert calibration.corrected.mask.sum() == 3


def test_a_gain_level_takes_the_zeros_of_the_map_as_the_older_code_did() -> None:
    where = np.array([[0, 1, 2, 0]] * 6)
    result = Calibration(detector(), gain=where, gain_level=6.87)(np.full(SHAPE, 10, np.uint16))
    np.testing.assert_allclose(result[0], [68.7, 10, 10, 68.7], rtol=1e-6)
    for level in (0.0, -1.0):
        with pytest.raises(ValueError, match="gain_level must be positive"):
            Calibration(detector(), gain=where, gain_level=level)


@pytest.mark.parametrize("dtype", ["uint16", "int32", "float32"])
def test_a_saturated_pixel_stays_saturated_and_no_other_becomes_so(dtype: str) -> None:
    dark, gain = np.full(SHAPE, 1000.0), np.ones(SHAPE)
    gain[:, 0] = 6.87
    dark[5, 3] = -500.0
    calibration = Calibration(detector(max_adu=16383.0), dark, gain=gain)
    image = np.full(SHAPE, 16382, dtype)
    image[0, 0], image[1, 1], image[2, 2] = 16383, 16383, 16384
    if dtype != "float32":
        image[3, 3] = np.iinfo(dtype).max
    corrected = calibration(image)
    limit = calibration.corrected.panels[0].max_adu
    assert limit == pytest.approx((16383 - 1000) * 6.87)
    saturated = corrected >= limit
    assert sorted(zip(*np.nonzero(saturated), strict=True)) == [(0, 0), (1, 1), (2, 2)]
    assert np.isnan(corrected[3, 3]) == (dtype != "float32")
    without = Calibration(detector(), dark)(image)
    assert without[1, 1] == 16383 - 1000


def test_pixels_masked_while_images_come_are_nan_from_then_on_saturated_or_not() -> None:
    calibration = Calibration(detector(max_adu=50.0), DARK)
    image = np.full(SHAPE, 60, np.uint16)
    assert np.isfinite(calibration(image)).all()
    bad = np.zeros(SHAPE, bool)
    bad[2, 2] = True
    calibration.mask_pixels(bad)
    np.testing.assert_array_equal(np.isnan(calibration(image)), bad)
    with pytest.raises(ValueError, match=re.escape("the mask's shape is (4, 6)")):
        calibration.mask_pixels(bad.T)


def test_one_pixel_is_enough_and_pixels_of_no_panel_are_nan() -> None:
    one = Calibration(blank_detector((1, 1)), np.array([[3.0]]), gain=np.array([[2.0]]))
    assert one(np.array([[5]], np.uint16))[0, 0] == 4.0
    half = blank_detector(SHAPE)
    half = replace(half, panels=(replace(half.panels[0], ss_stop=3),))
    result = Calibration(half, DARK)(np.ones(SHAPE, np.uint16))
    assert np.isfinite(result[:3]).all()
    assert np.isnan(result[3:]).all()


def test_noise_rules_pixels_out() -> None:
    noise = np.ones(SHAPE)
    noise[0] = [0.0, np.nan, 3.0, 3.1]
    noise[1, 0], noise[1, 1] = -1.0, np.inf
    dark = DARK.copy()
    dark[5, 3] = np.nan
    mask = Calibration(detector(), dark, noise, max_noise=3.0).mask
    assert sorted(zip(*np.nonzero(mask), strict=True)) == [(0, 0), (0, 1), (0, 3), (1, 0), (1, 1), (5, 3)]
    assert not Calibration(detector(), DARK).mask.any()
    assert Calibration(detector(), DARK, np.full(SHAPE, 1e30)).mask.sum() == 0


def test_a_calibration_that_leaves_no_pixel_is_refused() -> None:
    for bad in ({"noise": np.zeros(SHAPE)}, {"dark": np.full(SHAPE, np.nan)}, {"gain": np.zeros(SHAPE)}):
        with pytest.raises(ValueError, match="dark, noise and gain map leave no pixel"):
            Calibration(detector(), **bad)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((4, 6), np.uint16), "the image's shape is (4, 6), the dark image's is (6, 4)"),
        (np.zeros(SHAPE, np.complex64), "expected an image of integers or floats, found complex64"),
    ],
)
def test_images_that_do_not_fit_are_refused(image: NDArray[np.generic], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Calibration(detector(), DARK)(image)


def test_darks_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=re.escape("the noise's shape is (4, 6), expected the image's (6, 4)")):
        Calibration(detector(), DARK, DARK.T)
    with pytest.raises(ValueError, match=re.escape("the dark's shape is (24,), expected the image's (6, 4)")):
        Calibration(detector(), DARK.ravel())
    with pytest.raises(ValueError, match=re.escape("max_noise must be positive, found -1")):
        Calibration(detector(), DARK, DARK, max_noise=-1)
    with pytest.raises(ValueError, match="max_noise needs a noise, found none"):
        Calibration.load(detector(), max_noise=3.0)
    with pytest.raises(ValueError, match="gain_level needs a gain map, found none"):
        Calibration.load(detector(), gain_level=3.0)


@pytest.fixture
def h5(tmp_path: Path) -> Path:
    path = tmp_path / "dark.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("calibration/average", data=DARK, **hdf5plugin.Bitshuffle())
        file["calibration/comment"] = "made by hand"
    return path


def test_the_only_image_in_an_hdf5_file_is_found(h5: Path) -> None:
    np.testing.assert_array_equal(load_array(h5, SHAPE), DARK)
    np.testing.assert_array_equal(load_array(f"{h5}:/calibration/average", SHAPE), DARK)


def test_of_several_images_one_must_be_named(h5: Path) -> None:
    with h5py.File(h5, "a") as file:
        file["noise"] = np.ones(SHAPE)
    with pytest.raises(
        ValueError, match=re.escape("dark.h5: expected one dataset of two or three dimensions, found: ")
    ):
        load_array(h5, SHAPE)
    with pytest.raises(ValueError, match=re.escape("/calibration/average (6, 4), /noise (6, 4); say which one as")):
        load_array(h5, SHAPE)
    assert load_array(f"{h5}:/noise", SHAPE).sum() == 24
    with pytest.raises(
        ValueError, match=re.escape("expected a dataset /calibration, found of two or three dimensions: /cal")
    ):
        load_array(f"{h5}:/calibration", SHAPE)


def test_a_file_without_an_image_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "empty.h5", "w") as file:
        file["x"] = 3
    with pytest.raises(ValueError, match="expected one dataset of two or three dimensions, found: none"):
        load_array(tmp_path / "empty.h5", SHAPE)


def test_npy_files_and_stacks_of_modules_are_read(tmp_path: Path) -> None:
    path = tmp_path / "dark.npy"
    np.save(path, DARK.reshape(2, 3, 4))
    np.testing.assert_array_equal(load_array(path, SHAPE), DARK)
    np.save(path, DARK.reshape(3, 2, 4)[:2])
    with pytest.raises(
        ValueError, match=re.escape("expected the image's shape (6, 4), or modules that stack up to it; found")
    ):
        load_array(path, SHAPE)
    np.save(path, DARK.reshape(2, 4, 3))
    with pytest.raises(ValueError, match=re.escape("found (2, 4, 3)")):
        load_array(path, SHAPE)


def test_a_dark_that_the_older_tools_put_together_is_refused_with_what_to_do(tmp_path: Path) -> None:
    np.save(tmp_path / "dark.npy", np.zeros((1765, 1765), np.uint8))
    message = (
        "found (1765, 1765). It is a CSPAD as the older tools put its panels together, and fits only images put "
        "together likewise; for others take a new one: braggwatch dark"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        load_array(tmp_path / "dark.npy", (1480, 1552))
    assert load_array(tmp_path / "dark.npy", (1765, 1765)).shape == (1765, 1765)


def test_a_dark_and_its_noise_are_loaded_together(h5: Path, tmp_path: Path) -> None:
    noise = np.ones(SHAPE)
    noise[3, 2] = 0
    np.save(tmp_path / "noise.npy", noise)
    calibration = Calibration.load(detector(), h5, tmp_path / "noise.npy")
    np.testing.assert_allclose(calibration(np.ones(SHAPE, np.uint16)), 1 - DARK, rtol=1e-6, atol=1e-7)
    assert list(zip(*np.nonzero(calibration.mask), strict=True)) == [(3, 2)]
    noise_only = Calibration.load(detector(), None, tmp_path / "noise.npy")
    assert (noise_only(np.ones(SHAPE, np.uint16)) == 1).all()
    assert noise_only.mask.sum() == 1


PICKLES_ARE_NOT_READ = "pickles are not read, because loading one can run any program"


def test_pickles_are_refused_with_the_command_that_converts_them(tmp_path: Path) -> None:
    for name in ("dark.pickle", "dark.PKL", "dark"):
        (tmp_path / name).write_bytes(b"\x80\x02}q\x00.")
        command = f". In the Python that wrote it: libtbx.python convert_pickle.py {name} (the script is in docs/conv"
        with pytest.raises(ValueError, match=re.escape(PICKLES_ARE_NOT_READ + command)):
            load_array(tmp_path / name, SHAPE)
    np.save(tmp_path / "dark.npy", np.array([{}], object))
    with pytest.raises(ValueError, match=PICKLES_ARE_NOT_READ + "; save it again as an array of numbers"):
        load_array(tmp_path / "dark.npy", SHAPE)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"not an array", b"PK\x03\x04"])
def test_npy_files_that_are_none_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "dark.npy").write_bytes(content)
    with pytest.raises(ValueError, match=re.escape("expected a .npy file with an array of numbers")):
        load_array(tmp_path / "dark.npy", SHAPE)


def test_files_that_are_missing_or_hold_no_numbers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=re.escape("gone.h5: no such file")):
        load_array(tmp_path / "gone.h5", SHAPE)
    np.save(tmp_path / "words.npy", np.full(SHAPE, "a"))
    with pytest.raises(ValueError, match="expected an array of numbers, found <U1"):
        load_array(tmp_path / "words.npy", SHAPE)


def test_masks_are_read_in_either_convention(tmp_path: Path) -> None:
    path = tmp_path / "mask.npy"
    values = np.zeros(SHAPE, np.uint8)
    values[0] = [0, 1, 2, 5]
    np.save(path, values)
    np.testing.assert_array_equal(load_mask(path, SHAPE)[0], [False, True, True, True])
    np.testing.assert_array_equal(load_mask(path, SHAPE, good_bits=1)[0], [True, False, True, False])
    np.testing.assert_array_equal(load_mask(path, SHAPE, bad_bits=4)[0], [False, False, False, True])
    np.testing.assert_array_equal(load_mask(path, SHAPE, good_bits=1, bad_bits=4)[0], [True, False, True, True])
    assert not load_mask(path, SHAPE, good_bits=0, bad_bits=0).any()
    np.save(path, values.astype(np.float32))
    np.testing.assert_array_equal(load_mask(path, SHAPE)[0], [False, True, True, True])
    with pytest.raises(ValueError, match="expected a mask of whole numbers, to be read by its bits; found float32"):
        load_mask(path, SHAPE, good_bits=1)


def test_all_64_bits_of_a_mask_can_be_tested(tmp_path: Path) -> None:
    values = np.zeros(SHAPE, np.uint64)
    values[1, 1] = 2**63
    np.save(tmp_path / "mask.npy", values)
    assert load_mask(tmp_path / "mask.npy", SHAPE, bad_bits=2**63).sum() == 1
