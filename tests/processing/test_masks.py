"""Masks from the files that users have: of CrystFEL, named by its geometry files; of DIALS; NXmx; darks."""

import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from dumps_by_hand import shot_of, small_detector, write_dump
from numpy.typing import NDArray

from braggwatch.processing.array_files import load_mask
from braggwatch.processing.crystfel_geometry import CrystfelGeometry
from braggwatch.processing.detector import Detector
from braggwatch.processing.detector_settings import DetectorSettings
from braggwatch.processing.frame import Series
from braggwatch.processing.pixel_maps import BY_FILE, read_map

DIALS = Path(__file__).parents[1] / "data" / "dials"
HEAD = "clen = 0.1\nphoton_energy = 9500\nadu_per_photon = 1\nres = 10000\n"
SERIES = Series(key="s", number=1)


def panel(name: str, *, fs: int = 0, ss: int = 0, shape: tuple[int, int] = (5, 10), more: str = "") -> str:
    lines = [
        f"min_fs = {fs}", f"max_fs = {fs + shape[1] - 1}", f"min_ss = {ss}", f"max_ss = {ss + shape[0] - 1}",
        "corner_x = 0", "corner_y = 0", "fs = x", "ss = y", *more.splitlines(),
    ]  # fmt: skip
    return "".join(f"{name}/{line}\n" for line in lines)


def written(folder: Path, text: str, **arrays: NDArray[Any]) -> Path:
    """Write a geometry file, and masks into mask.h5 beside it."""
    with h5py.File(folder / "mask.h5", "w") as file:
        for name, values in arrays.items():
            file.create_dataset(name, data=values, compression="gzip")
    path = folder / "my.geom"
    path.write_text(HEAD + text)
    return path


def by_hand(geometry: CrystfelGeometry, values: NDArray[Any], good: int, bad: int) -> dict[str, NDArray[np.bool_]]:
    """What CrystFEL's manual says of a mask, for each panel; `values` have the axes that a file has without frames."""
    found = {}
    for described in geometry.panels:
        here = values
        for dim in described.dims:
            if isinstance(dim, int):
                here = here[dim]
        here = here[described.min_ss : described.max_ss + 1, described.min_fs : described.max_fs + 1].astype(int)
        found[described.name] = ((here & good) != good) | ((here & bad) != 0)
    return found


@pytest.mark.parametrize(
    ("name", "shape", "good", "bad"),
    [
        ("jf-swissfel-16M.geom", (8224 * 2, 1030), 1, 0),
        ("agipd_mar18_v11.geom", (16, 512, 128), 0, 0xFFFF),
        ("cspad-cxiformat.geom", (1480, 1552), 0, 0xFFFF),
    ],
)
def test_masks_named_by_real_geometry_files_leave_out_the_pixels_that_crystfel_does(
    tmp_path: Path, shared: Path, name: str, shape: tuple[int, ...], good: int, bad: int
) -> None:
    text = (shared / "geometries" / name).read_text(errors="replace")
    mask = "/mask" if "mask_file" in text else "/entry_1/data_1/mask"
    if "mask_file" not in text:
        text = text.replace("mask = ", "mask_file = run47.JF06T32V01.mask.h5\nmask = ", 1)
    (tmp_path / name).write_text(text)
    values = (np.random.default_rng(0).random(shape) < 0.02).astype(np.uint16) ^ np.uint16(good)
    with h5py.File(tmp_path / "run47.JF06T32V01.mask.h5", "w") as file:
        file[mask] = values
    geometry = CrystfelGeometry.read(tmp_path / name)
    without = Detector.from_crystfel(shared / "geometries" / name, distance=0.1, photon_energy=9500.0)
    detector = Detector.from_crystfel(tmp_path / name, distance=0.1, photon_energy=9500.0)
    expected = by_hand(geometry, values, good, bad)
    n = 0
    for described, here in zip(geometry.panels, detector.panels, strict=True):
        np.testing.assert_array_equal(
            detector.mask[here.slices], without.mask[here.slices] | expected[described.name], described.name
        )
        n += int(expected[described.name].sum())
    assert n > 5000


def test_up_to_eight_masks_of_several_files_count_together_and_a_panel_can_have_its_own(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    first, second, own = (rng.integers(0, 8, (5, 10)).astype(np.int8) for _ in range(3))
    text = "mask0_data = /first\nmask0_file = mask.h5\nmask0_goodbits = 0x1\nmask0_badbits = 0x4\n"
    text += f"mask7_data = /second\nmask7_file = {tmp_path / 'other.h5'}\nmask7_badbits = 2\n"
    text += panel("a") + panel("b", ss=5, more="mask0_data = /own\nmask0_goodbits = 0\nmask0_badbits = 1")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["second"] = np.concatenate([second, second])
    path = written(tmp_path, text, first=first, own=np.concatenate([np.zeros_like(own), own]))
    mask = Detector.from_crystfel(path).mask
    np.testing.assert_array_equal(mask[:5], ((first & 1) == 0) | ((first & 4) != 0) | ((second & 2) != 0))
    np.testing.assert_array_equal(mask[5:], ((own & 1) != 0) | ((second & 2) != 0))


@pytest.mark.parametrize("frames", [(), (1,)])
def test_a_mask_has_the_axes_of_the_data_with_or_without_that_of_frames_and_may_be_larger(
    tmp_path: Path, frames: tuple[int, ...]
) -> None:
    values = np.random.default_rng(2).integers(0, 2, (3, 7, 12)).astype(np.float32)
    text = "dim0 = %\ndim1 = 2\ndim2 = ss\ndim3 = fs\nmask = /mask\nmask_file = mask.h5\nmask_bad = 0x1\n"
    text += panel("a", fs=2, ss=1, shape=(5, 9)) + panel("b", fs=1, ss=0, more="dim1 = 0")
    path = written(tmp_path, text, mask=values.reshape(*frames, *values.shape))
    detector = Detector.from_crystfel(path, shape=(3, 7, 12)) if not frames else Detector.from_crystfel(path)
    a, b = detector.panels
    np.testing.assert_array_equal(detector.mask[a.slices], values[2, 1:6, 2:11] == 1)
    np.testing.assert_array_equal(detector.mask[b.slices], values[0, :5, 1:11] == 1)


def test_bits_that_nobody_asked_for_mask_nothing(tmp_path: Path) -> None:
    path = written(tmp_path, "mask = /mask\nmask_file = mask.h5\n" + panel("a"), mask=np.ones((5, 10), int))
    assert not Detector.from_crystfel(path).mask.any()


@pytest.mark.parametrize(
    ("lines", "values", "message"),
    [
        ("mask = /other", np.zeros((5, 10), int), "the file has no such array; see mask_data in the geometry file"),
        ("mask = /mask", np.zeros((5, 9), int), "expected at least 10 values along fs, found (5, 9)"),
        ("mask = /mask", np.zeros((1, 1, 5, 10), int), "expected the dimensions of the data (ss, fs or %, ss, fs)"),
        ("mask = /mask", np.zeros((4, 5, 10), int), "expected one mask for all frames, found 4, one a frame"),
        ("mask = /mask", np.full((5, 10), 0.5), "expected a mask of whole numbers, to be read by its bits; found"),
        ("mask = /%/mask", np.zeros((5, 10), int), "expected a path without placeholders: one mask for all frames"),
    ],
    ids=["path", "size", "axes", "frames", "floats", "placeholder"],
)
def test_a_mask_that_does_not_fit_is_refused_with_file_array_panel_and_geometry(
    tmp_path: Path, lines: str, values: NDArray[Any], message: str
) -> None:
    text = f"dim0 = %\ndim1 = ss\ndim2 = fs\nmask_file = mask.h5\nmask_bad = 1\n{lines}\n" + panel("a")
    path = written(tmp_path, text, mask=values)
    where = f"{tmp_path}/mask.h5:{lines[7:]}, the mask of panel a in {path}: "
    with pytest.raises(ValueError, match=re.escape(where + message)):
        Detector.from_crystfel(path)


def test_a_mask_file_that_is_missing_is_refused_before_the_first_frame(tmp_path: Path) -> None:
    path = written(tmp_path, "mask = /mask\nmask_file = mask.h5\nmask_bad = 1\n" + panel("a"), mask=np.zeros((5, 10)))
    settings = DetectorSettings(geometry=path)
    settings.check_files()
    (tmp_path / "mask.h5").rename(tmp_path / "away.h5")
    message = f"[detector] geometry: {path}: expected its mask file mask.h5 beside it or in the working directory"
    with pytest.raises(ValueError, match=re.escape(message)):
        settings.check_files()
    (tmp_path / "mask.h5").write_text("no HDF5")
    with pytest.raises(ValueError, match=r"the mask of panel a in .*: expected an HDF5 file"):
        Detector.from_crystfel(path)


def test_the_mask_that_dials_wrote_is_refused_with_the_command_that_converts_it() -> None:
    message = (
        "pixels.mask: pickles are not read, because loading one can run any program. In the Python that wrote it: "
        "libtbx.python convert_pickle.py --mask pixels.mask (the script is in docs/converting-pickles.md) makes "
        "pixels.npy of it"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        load_mask(DIALS / "pixels.mask", (60, 80))


def test_a_converted_mask_of_dials_leaves_out_what_dials_was_told() -> None:
    # dials.generate_mask border=2 untrusted.rectangle=10,20,5,9 untrusted.circle=50,30,6
    ss, fs = np.mgrid[:60, :80]
    expected = (np.minimum(ss, 59 - ss) < 2) | (np.minimum(fs, 79 - fs) < 2)
    expected |= (fs >= 10) & (fs < 20) & (ss >= 5) & (ss < 9)
    expected |= (fs - 50) ** 2 + (ss - 30) ** 2 < 36
    settings = DetectorSettings(
        mask=str(DIALS / "pixels.npy"), distance=0.1, photon_energy=9000.0, beam_center=(40.0, 30.0)
    )
    detector = settings.detector(Series(key="s", number=1, shape=(60, 80), dtype="uint16", pixel_size=(1e-4, 1e-4)))
    np.testing.assert_array_equal(detector.mask, expected)


def test_a_stack_of_panels_is_laid_where_the_panels_are(tmp_path: Path) -> None:
    text = "".join(panel(f"p{n}", fs=10 * (n % 2), ss=5 * (n // 2)) for n in (2, 0, 3, 1))
    path = written(tmp_path, text)
    stack = np.random.default_rng(3).integers(0, 2, (4, 5, 10)).astype(np.uint8)
    np.save(tmp_path / "mask.npy", stack)
    settings = DetectorSettings(geometry=path, mask=str(tmp_path / "mask.npy"), dark=str(tmp_path / "dark.npy"))
    np.save(tmp_path / "dark.npy", stack * 7.0)
    detector = settings.detector(SERIES)
    expected = np.block([[stack[1], stack[3]], [stack[0], stack[2]]])
    np.testing.assert_array_equal(detector.mask, expected)
    calibration = settings.calibration(detector)
    assert calibration is not None
    np.testing.assert_array_equal(calibration(np.zeros((10, 20), np.int16)), expected * -7.0)
    np.testing.assert_array_equal(read_map(settings, SERIES, "dark").values, expected * 7.0)
    np.testing.assert_array_equal(read_map(settings, SERIES, "mask").values == BY_FILE, expected == 1)
    np.save(tmp_path / "mask.npy", stack[:3])
    with pytest.raises(ValueError, match=re.escape("expected the image's shape (10, 20), or modules that stack up")):
        settings.detector(SERIES)


def test_the_masks_of_nxmx_files_and_darks_need_no_path(tmp_path: Path) -> None:
    marked = np.zeros((60, 80), bool)
    marked[3:9, 50:60] = True
    detector = small_detector().with_mask(marked)
    write_dump(tmp_path / "a.h5", [shot_of(0, detector)], detector)
    np.testing.assert_array_equal(load_mask(tmp_path / "a.h5", (60, 80)), marked)
    with h5py.File(tmp_path / "dark.h5", "w") as file:
        file["mean"], file["masks/dead"], file["masks/bad"] = np.zeros((60, 80)), ~marked, marked.astype(np.uint8)
    np.testing.assert_array_equal(load_mask(tmp_path / "dark.h5", (60, 80)), marked)
    np.testing.assert_array_equal(load_mask(f"{tmp_path / 'dark.h5'}:/masks/dead", (60, 80)), ~marked)
