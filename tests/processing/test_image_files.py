"""Readers of image files: which files are taken for a series, and those of one image each."""

import bz2
import gzip
import re
from pathlib import Path
from typing import Any

import fabio
import h5py
import numpy as np
import pytest
from image_files_by_hand import images, read_all, read_one, unpacked

from braggwatch.processing.image_files import ImageFileError, find_files, open_image_files
from braggwatch.processing.image_files.cbf_header import read_mini_cbf


def test_real_pilatus_images_and_their_header_are_read(shared: Path) -> None:
    paths = [shared / "real" / f"thau_3_2_{number:04d}.cbf.bz2" for number in (1, 17)]
    ((series, frames),) = read_all(*paths)
    assert series.n_frames == len(frames) == 2
    assert (series.shape, series.dtype) == ((2527, 2463), "int32")
    assert series.photon_energy == pytest.approx(12398.419843 / 0.96859)
    assert series.distance == 0.351
    assert series.beam_center == (1261.61, 1306.96)
    assert series.pixel_size == (172e-6, 172e-6)
    assert (series.sensor_material, series.sensor_thickness) == ("Si", 0.00045)
    assert (series.detector, series.serial_number) == ("PILATUS3 6M", "60-0119")
    assert series.saturation_value == 115897
    assert (series.count_time, series.frame_time) == (0.019, 0.02)
    expected = fabio.open(str(paths[1])).data
    np.testing.assert_array_equal(unpacked(frames[1]), expected)
    assert frames[1].values == {"file": "thau_3_2_0017.cbf.bz2"}
    assert series.mask is not None
    assert series.mask[195:212].all()  # the gap below the first row of modules
    assert not series.mask[100, 100]


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("# Detector_distance 0.35100 m", "distance", 0.351),
        ("# Detector_distance: 0.2 m", "distance", 0.2),
        ("# Detector_distance 0.0 m", "distance", None),
        ("# Detector_distance nan m", "distance", None),
        ("# Wavelength 1.0 A", "photon_energy", 12398.419843320026),
        ("# Wavelength 0 A", "photon_energy", None),
        ("# Beam_xy (-3.5, 1e2) pixels", "beam_center", (-3.5, 100.0)),
        ("# Pixel_size 75e-6 m x 7.6e-5 m", "pixel_size", (75e-6, 7.6e-5)),
        ("# CdTe sensor, thickness 0.000750 m", "sensor_material", "CdTe"),
        ("# CdTe sensor, thickness 0.000750 m", "sensor_thickness", 0.00075),
        ("# Detector: EIGER2 16M, S/N E-18-0104\r", "detector", "EIGER2 16M"),
        ("# Detector: EIGER2 16M, S/N E-18-0104\r", "serial_number", "E-18-0104"),
        ("# Detector: Dectris", "serial_number", ""),
        ("", "saturation_value", None),
    ],
)
def test_a_line_of_a_mini_cbf_header_is_understood(line: str, field: str, value: Any) -> None:
    assert read_mini_cbf(f"# Tau = 0 s\n{line}\n# Gain_setting: x\n")[field] == value


@pytest.mark.parametrize("suffix", ["", ".gz", ".bz2"])
@pytest.mark.parametrize("kind", ["cbf", "edf", "tif"])
def test_single_images_are_read_compressed_or_not(tmp_path: Path, kind: str, suffix: str) -> None:
    stack = images(3, "int32")
    writer = {"cbf": fabio.cbfimage.CbfImage, "edf": fabio.edfimage.EdfImage, "tif": fabio.tifimage.TifImage}[kind]
    for number, image in enumerate(stack):
        plain = tmp_path / f"image_{number:04d}.{kind}"
        writer(data=image).write(str(plain))
        if suffix:
            content = plain.read_bytes()
            plain.unlink()
            packed = gzip.compress(content, mtime=0) if suffix == ".gz" else bz2.compress(content)
            (tmp_path / f"{plain.name}{suffix}").write_bytes(packed)
    series, frames = read_one(tmp_path / f"image_*.{kind}{suffix}")
    assert (series.name, series.n_frames) == ("image_0000", 3)
    assert series.mask is None
    np.testing.assert_array_equal([unpacked(frame) for frame in frames], stack)


def test_an_image_of_another_size_in_a_series_is_refused(tmp_path: Path) -> None:
    fabio.edfimage.EdfImage(data=images(1)[0]).write(str(tmp_path / "a.edf"))
    fabio.edfimage.EdfImage(data=images(1)[0, :5]).write(str(tmp_path / "b.edf"))
    with pytest.raises(
        ImageFileError,
        match=r"b.edf: the image is \(5, 26\) uint16, expected \(18, 26\) uint16 as in a.edf",
    ):
        read_one(tmp_path / "*.edf")


def test_several_images_in_one_edf_file_are_not_taken_for_one(tmp_path: Path) -> None:
    several = fabio.edfimage.EdfImage(data=images(1)[0])
    several.append_frame(data=images(1)[0])
    several.write(str(tmp_path / "a.edf"))
    with pytest.raises(ImageFileError, match=r"a.edf: expected one image, found 2; convert the file to HDF5"):
        read_one(tmp_path / "a.edf")


def test_files_of_several_kinds_become_a_series_each_with_its_own_key(tmp_path: Path) -> None:
    for name in ("a.h5", "b.h5"):
        with h5py.File(tmp_path / name, "w") as file:
            file["image"] = images(2)
    for name in ("c.edf", "d.edf"):
        fabio.edfimage.EdfImage(data=images(1)[0]).write(str(tmp_path / name))
    found = read_all(tmp_path / "*")
    assert [len(frames) for _, frames in found] == [2, 2, 2]
    assert len({series.key for series, _ in found}) == 3
    assert [series.number for series, _ in found] == [1, 2, 3]
    assert all(frame.series == series.key for series, frames in found for frame in frames)


def test_a_name_with_brackets_that_exists_is_no_pattern(tmp_path: Path) -> None:
    path = tmp_path / "run[1].h5"
    path.touch()
    assert find_files([path]) == [path]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none_*.cbf", r"no image files at '.*none_\*.cbf': there is no such file"),
        ("missing.h5", "no image files at '.*missing.h5': there is no such file"),
        (".", r"no image files at '.*': it is a folder: add /\* to take its files"),
    ],
)
def test_a_name_without_files_is_refused_before_anything_is_read(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(ImageFileError, match=message):
        open_image_files([tmp_path / name])


def test_an_empty_list_of_names_is_refused() -> None:
    with pytest.raises(ImageFileError, match="the list of names is empty"):
        find_files([])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.h5", b"", "a.h5: cannot be opened as HDF5"),
        ("a.h5", b"\x89HDF\r\n\x1a\n" + b"\0" * 40, "a.h5: cannot be opened as HDF5"),
        ("a.cbf", b"", "a.cbf: no image in a known format"),
        ("a.cbf", b"###CBF: VERSION 1.5\nnot really", "a.cbf: no image in a known format"),
        ("a.npy", b"\x93NUMPY\x01\x00v\x00{'descr': '|O'}", "a.npy: no image in a known format"),
        ("a.txt", b"hello", "a.txt: no image in a known format"),
        ("a.cbf.gz", b"not gzip", "a.cbf.gz: cannot be read: Not a gzipped file"),
        ("a.cbf.bz2", b"not bzip2", "a.cbf.bz2: cannot be read: Invalid data stream"),
        ("a.edf.gz", gzip.compress(b"x" * 100, mtime=0)[:-12], "a.edf.gz: cannot be read: .*"),
    ],
)
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ImageFileError, match=message):
        read_one(tmp_path / name)


def test_a_header_that_claims_too_large_an_image_is_refused_before_memory_is_taken(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("stack", (2, 200_000, 200_000), "uint16", chunks=(1, 100, 100))
    with pytest.raises(ImageFileError, match="an image takes 80000000000 bytes, expected 1 to 1073741824"):
        read_one(tmp_path / "a.h5")
    plain = tmp_path / "a.cbf"
    fabio.cbfimage.CbfImage(data=images(1, "int32")[0]).write(str(plain))
    claimed = re.sub(rb"(Size-\w+-Dimension:) +\d+", rb"\1 9999999", plain.read_bytes())
    plain.write_bytes(claimed)
    with pytest.raises(ImageFileError, match="its header claims 99999980000001 pixels"):
        read_one(plain)
