"""Mean, deviation and maximum over many images, in files too."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from braggwatch.processing.average_files import blank_detector, is_average, read_average, write_average
from braggwatch.processing.averaging import RunningMoments
from braggwatch.processing.chain import Verdict
from braggwatch.processing.chain_settings import build_chain, resolve_stages
from braggwatch.processing.detector_settings import DetectorSettings
from braggwatch.processing.frame import Encoding, Frame, Series
from braggwatch.processing.shot import Shot
from braggwatch.processing.stages.average import Average

SHAPE = (23, 57)
PEDESTALS = np.random.default_rng(7).uniform(1000, 9000, SHAPE)


def images(n: int, dtype: str = "uint16", seed: int = 0) -> NDArray[Any]:
    return np.random.default_rng(seed).normal(PEDESTALS, 12.0, (n, *SHAPE)).astype(dtype)


def moments_of(stack: NDArray[Any], **detector: Any) -> RunningMoments:
    moments = RunningMoments(blank_detector(stack.shape[1:], **detector))
    for image in stack:
        moments.add(image)
    return moments


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "uint32", "int32", "float32"])
@pytest.mark.parametrize("n", [2, 8, 19])
def test_the_moments_are_those_of_numpy(dtype: str, n: int) -> None:
    stack = images(n, "float64") / (50 if dtype == "uint8" else 1)
    stack = stack.astype(dtype)
    moments = moments_of(stack)
    exact = stack.astype(np.float64)
    assert moments.n_images == n
    assert (moments.count == n).all()
    np.testing.assert_allclose(moments.mean, exact.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(moments.stddev, exact.std(axis=0, ddof=1), rtol=2e-4, atol=1e-4)
    np.testing.assert_array_equal(moments.maximum, stack.max(axis=0).astype(np.float32))


def test_a_high_pedestal_and_many_images_cost_no_digits() -> None:
    rng = np.random.default_rng(3)
    stack = (60_000 + rng.integers(0, 2, (4001, 3, 5))).astype(np.uint16)
    moments = moments_of(stack)
    np.testing.assert_allclose(moments.stddev, stack.astype(float).std(axis=0, ddof=1), rtol=1e-6)


def test_values_that_mean_bad_are_left_out_pixel_by_pixel() -> None:
    stack = images(20)
    stack[3, 1, 1] = 65535
    stack[4:, 2, 2] = 65535
    stack[:, 4, 4] = 65535
    stack[5, 6, 6] = 77
    moments = moments_of(stack, flag_values=(77.0,))
    assert [int(moments.count[i, i]) for i in (0, 1, 2, 4, 6)] == [20, 19, 4, 0, 19]
    assert moments.maximum[1, 1] < 65535
    np.testing.assert_allclose(moments.mean[2, 2], stack[:4, 2, 2].mean(), rtol=1e-6)
    np.testing.assert_allclose(moments.mean[6, 6], np.delete(stack[:, 6, 6], 5).mean(), rtol=1e-6)
    assert all(np.isnan(array[4, 4]) for array in (moments.mean, moments.stddev, moments.maximum))
    numbers = images(3, "float32")
    numbers[1, 0, 0], numbers[2, 0, 1] = np.nan, np.inf
    assert moments_of(numbers).count[0, :3].tolist() == [2, 2, 3]


def test_one_image_has_a_mean_but_no_deviation() -> None:
    moments = moments_of(images(1))
    np.testing.assert_array_equal(moments.mean, images(1)[0])
    assert np.isnan(moments.stddev).all()


def test_views_and_the_other_byte_order_are_taken_and_other_shapes_refused() -> None:
    stack = images(9)
    moments = RunningMoments(blank_detector(SHAPE))
    for image in stack:
        moments.add(np.asfortranarray(image).astype(">u2"))
    np.testing.assert_allclose(moments.mean, stack.mean(axis=0), rtol=1e-6)
    with pytest.raises(ValueError, match="the image's shape is"):
        moments.add(stack[0].T)
    with pytest.raises(TypeError, match="the image's type is bool"):
        moments.add(stack[0] > 0)


@pytest.mark.parametrize("cuts", [(0,), (1,), (13,), (8, 16, 17)])
def test_parts_merge_to_the_whole_also_through_files(cuts: tuple[int, ...], tmp_path: Path) -> None:
    stack = images(25)
    stack[20:, 0, 0] = 65535
    stack[:, 0, 1] = 65535
    whole = moments_of(stack)
    merged, read = RunningMoments(blank_detector(SHAPE)), RunningMoments(blank_detector(SHAPE))
    for number, part in enumerate(np.split(stack, cuts)):
        moments = moments_of(part)
        write_average(tmp_path / f"{number}.h5", moments, {"version": "1"})
        merged.merge(moments)
        read.merge(read_average(tmp_path / f"{number}.h5"))
    for one in (merged, read):
        assert one.n_images == 25
        for name in ("count", "mean", "stddev", "maximum"):
            np.testing.assert_allclose(getattr(one, name), getattr(whole, name), rtol=5e-5, err_msg=name)
    with pytest.raises(ValueError, match="averages of shapes"):
        merged.merge(RunningMoments(blank_detector((2, 2))))


def test_a_file_that_is_no_average_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        file["mean"] = np.zeros((2, 2))
    assert not is_average(path)
    assert not is_average(tmp_path / "gone.h5")
    with pytest.raises(ValueError, match="expected an average as the stage average or `braggwatch dark` write it"):
        read_average(path)
    write_average(path, moments_of(images(2)), {})
    with h5py.File(path, "a") as file:
        del file["stddev"]
    with pytest.raises(ValueError, match="stddev"):
        read_average(path)


def run_stage(stack: NDArray[Any], folder: Path, **options: Any) -> Path:
    """Send images through a chain of the stage alone and return its file."""
    specs = resolve_stages(["average:dark"], {"average": {"directory": str(folder), **options}})
    chain = build_chain(specs, {"version": "9"})
    series = Series(key="s", number=4, shape=SHAPE, dtype=stack.dtype.name)
    chain.begin(series, blank_detector(SHAPE))
    for number, image in enumerate(stack):
        frame = Frame(series="s", number=number, payload=b"", shape=SHAPE, dtype=stack.dtype.name, encoding=Encoding())
        shot = Shot(series, frame, image, blank_detector(SHAPE))
        chain.event(shot)
        assert not shot.notices
    chain.end()
    (path,) = folder.glob("dark_0004_*.h5")
    return path


def test_the_stage_writes_what_the_detector_reads_back_as_dark_and_noise(tmp_path: Path) -> None:
    stack = images(30)
    path = run_stage(stack, tmp_path / "new")
    with h5py.File(path) as file:
        assert dict(file.attrs)["version"] == "9"
        assert int(file.attrs["n_images"]) == 30
    calibration = DetectorSettings(dark=str(path), noise=str(path)).calibration(blank_detector(SHAPE))
    assert calibration is not None
    exact = stack.astype(np.float64).mean(axis=0)
    np.testing.assert_allclose(calibration(stack[0]), stack[0] - exact, atol=1e-2)
    assert not calibration.mask.any()


def test_the_file_is_whole_while_images_come(tmp_path: Path) -> None:
    stage = build_chain(
        resolve_stages(["average"], {"average": {"directory": str(tmp_path), "write_seconds": 1e-9}}), {}
    ).stages[0][1]
    assert isinstance(stage, Average)
    stack = images(11)
    series = Series(key="s", number=1, shape=SHAPE, dtype="uint16")
    stage.begin(series, blank_detector(SHAPE))
    for number, image in enumerate(stack):
        frame = Frame(series="s", number=number, payload=b"", shape=SHAPE, dtype="uint16", encoding=Encoding())
        assert stage.event(Shot(series, frame, image, blank_detector(SHAPE))) is Verdict.KEEP
        (path,) = tmp_path.iterdir()  # nothing unfinished beside it
        assert read_average(path).n_images == number + 1
    np.testing.assert_allclose(read_average(path).mean, stack.mean(axis=0), rtol=1e-6)


def test_a_folder_that_cannot_be_written_is_told_and_costs_no_shot(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    options = {"directory": str(tmp_path / "file"), "write_seconds": 1e-9}
    stage = build_chain(resolve_stages(["average"], {"average": options}), {}).stages[0][1]
    series = Series(key="s", number=1, shape=SHAPE, dtype="uint16")
    stage.begin(series, blank_detector(SHAPE))
    frame = Frame(series="s", number=0, payload=b"", shape=SHAPE, dtype="uint16", encoding=Encoding())
    shot = Shot(series, frame, images(1)[0], blank_detector(SHAPE))
    assert stage.event(shot) is Verdict.KEEP
    assert "cannot write to" in shot.notices["average-not-written"]
    stage.end()
