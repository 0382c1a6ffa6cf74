"""Readers of HDF5 image files, on real files and on files in the layouts that detectors write."""

from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pytest
from image_files_by_hand import BSLZ4, SHAPE, images, open_one, read_all, read_one, unpacked, write_master

from braggwatch.processing.compression import bslz4_chunk
from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Encoding, Frame, Series
from braggwatch.processing.image_files import ImageFileError
from braggwatch.processing.nxmx import NXmxWriter
from braggwatch.processing.shot import Shot


@pytest.mark.parametrize("virtual", [False, True], ids=["links", "virtual dataset"])
def test_a_dectris_master_file_gives_raw_chunks_of_all_its_data_files(tmp_path: Path, virtual: bool) -> None:
    stacks = [images(3, seed=1), images(3, seed=2), images(1, seed=3)]
    series, frames = read_one(write_master(tmp_path, stacks, virtual=virtual))
    expected = np.concatenate(stacks)
    assert [frame.number for frame in frames] == list(range(7))
    assert {frame.encoding for frame in frames} == {Encoding("bslz4", "hdf5")}
    np.testing.assert_array_equal([unpacked(frame) for frame in frames], expected)
    assert series.n_frames == 7
    assert (series.shape, series.dtype) == (SHAPE, "uint16")
    assert series.photon_energy == pytest.approx(12398.419843 / 0.9795)
    assert series.distance == pytest.approx(0.125)
    assert series.beam_center == (12.5, 9.75)
    assert series.pixel_size == (7.5e-5, 7.6e-5)
    assert series.sensor_thickness == pytest.approx(450e-6)
    assert (series.sensor_material, series.detector) == ("Si", "Dectris EIGER2 Si 4M")
    assert series.serial_number == "E-32-0107"
    assert (series.count_time, series.frame_time) == (0.0099, 0.01)
    assert series.saturation_value == 50000
    assert series.mask is not None
    assert np.argwhere(series.mask).tolist() == [[2, 3], [2, 4], [2, 5]]


def test_a_pattern_that_matches_master_and_data_files_reads_each_image_once(tmp_path: Path) -> None:
    write_master(tmp_path, [images(2), images(2)], virtual=False)
    assert [len(frames) for _, frames in read_all(tmp_path / "*.h5")] == [4]


@pytest.mark.parametrize("virtual", [False, True], ids=["links", "virtual dataset"])
def test_a_missing_data_file_is_named(tmp_path: Path, virtual: bool) -> None:
    master = write_master(tmp_path, [images(2), images(2)], virtual=virtual)
    (tmp_path / "run_data_000002.h5").unlink()
    with pytest.raises(
        ImageFileError, match=r"run_data_000002.h5, which is not there.*keep the data files beside the master file"
    ):
        read_one(master)


def test_a_virtual_dataset_of_half_images_is_read_through_hdf5(tmp_path: Path) -> None:
    stack = images(3)
    for half in (0, 1):
        with h5py.File(tmp_path / f"half{half}.h5", "w") as file:
            file["data"] = stack[:, 9 * half : 9 * half + 9]
    layout = h5py.VirtualLayout((3, *SHAPE), "uint16")
    for half in (0, 1):
        layout[:, 9 * half : 9 * half + 9] = h5py.VirtualSource(f"half{half}.h5", "data", (3, 9, 26))
    with h5py.File(tmp_path / "whole.h5", "w") as file:
        file.create_virtual_dataset("entry/data/data", layout)
    _, frames = read_one(tmp_path / "whole.h5")
    np.testing.assert_array_equal([unpacked(frame) for frame in frames], stack)


def test_real_frames_come_as_the_chunks_that_are_in_the_file(shared: Path) -> None:
    path = shared / "frames" / "lysozyme_4m.h5"
    with open_one(path) as found, h5py.File(path) as file:
        assert len(found) == 24
        assert found.series.shape == (2162, 2068)
        data = file["entry/data/data"]
        for index in (0, 23):
            frame = found.frame(index)
            assert frame.payload == data.id.read_direct_chunk((index, 0, 0))[1]
            assert frame.encoding == Encoding("bslz4", "hdf5")
            np.testing.assert_array_equal(unpacked(frame), data[index])


def test_a_real_cspad_stack_of_float_frames_is_read(shared: Path) -> None:
    path = shared / "real" / "thermolysin_cspad.h5"
    series, frames = read_one(path)
    with h5py.File(path) as file:
        np.testing.assert_array_equal([unpacked(frame) for frame in frames], file["entry/data/data"][()])
    assert (series.shape, series.dtype) == ((11840, 194), "float32")


@pytest.mark.parametrize(
    ("options", "algorithm"),
    [
        (BSLZ4, "bslz4"),
        (hdf5plugin.Bitshuffle(nelems=0, cname="zstd"), "bszstd"),
        (hdf5plugin.LZ4(), "lz4"),
        ({}, "none"),
        ({"compression": "gzip"}, "none"),
        ({"shuffle": True, "compression": "gzip"}, "none"),
    ],
)
@pytest.mark.parametrize("dtype", ["uint16", ">i4", "float32"])
def test_chunks_come_as_they_are_where_a_decoder_knows_them_and_unpacked_otherwise(
    tmp_path: Path, options: Any, algorithm: str, dtype: str
) -> None:
    stack = images(2, dtype)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("stack", data=stack, chunks=(1, *SHAPE), **options)
    series, frames = read_one(tmp_path / "a.h5")
    assert np.dtype(series.dtype) == np.dtype(dtype)
    assert [frame.encoding.algorithm for frame in frames] == [algorithm] * 2
    np.testing.assert_array_equal([unpacked(frame) for frame in frames], stack)


@pytest.mark.parametrize("chunks", [None, (2, *SHAPE), (1, 9, 26)], ids=["contiguous", "two images", "half images"])
def test_other_chunks_than_of_one_image_are_unpacked(tmp_path: Path, chunks: Any) -> None:
    stack = images(3)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("stack", data=stack, chunks=chunks, **(BSLZ4 if chunks else {}))
    _, frames = read_one(tmp_path / "a.h5")
    assert {frame.encoding.algorithm for frame in frames} == {"none"}
    np.testing.assert_array_equal([unpacked(frame) for frame in frames], stack)


def test_an_image_that_was_never_written_is_the_fill_value(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data = file.create_dataset("stack", (2, *SHAPE), "uint16", chunks=(1, *SHAPE), fillvalue=7, **BSLZ4)
        data[1] = images(1)[0]
    _, frames = read_one(tmp_path / "a.h5")
    assert (unpacked(frames[0]) == 7).all()
    np.testing.assert_array_equal(unpacked(frames[1]), images(1)[0])


def test_modules_follow_each_other_along_ss(tmp_path: Path) -> None:
    stack = images(6).reshape(3, 2, *SHAPE)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("entry/data/data", data=stack, chunks=(1, 2, *SHAPE), **BSLZ4)
    series, frames = read_one(tmp_path / "a.h5")
    assert series.shape == (36, 26)
    np.testing.assert_array_equal([unpacked(frame) for frame in frames], stack.reshape(3, 36, 26))


def test_a_cxi_file_gives_its_images_energy_and_distance(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.cxi", "w") as file:
        file["entry_1/data_1/data"] = images(2, "int16")
        detector = file.create_group("entry_1/instrument_1/detector_1")
        detector["distance"] = 0.1
        detector["x_pixel_size"] = detector["y_pixel_size"] = 1.1e-4
        file["entry_1/instrument_1/source_1/energy"] = np.array([9000.0, 9010.0]) * 1.602176634e-19
    series, frames = read_one(tmp_path / "a.cxi")
    assert series.distance == 0.1
    assert series.pixel_size == (1.1e-4, 1.1e-4)
    assert [frame.values["photon_energy"] for frame in frames] == pytest.approx([9000, 9010])
    np.testing.assert_array_equal([unpacked(frame) for frame in frames], images(2, "int16"))


def test_our_own_dump_reads_back_as_it_was_dumped(tmp_path: Path) -> None:
    mask = np.zeros(SHAPE, bool)
    mask[4] = True
    detector = Detector.single_panel(
        SHAPE, pixel_size=75e-6, distance=0.2, beam_center=(13.5, 8.25), photon_energy=9500.0, mask=mask
    )
    dumped = Series(key="x", number=9, saturation_value=60000, sensor_material="Si", sensor_thickness=450e-6)
    stack = images(3)
    with_writer = NXmxWriter(
        tmp_path / "hit.h5", series=dumped, detector=detector, dtype=np.dtype("uint16"), provenance={}
    )
    for number, image in enumerate(stack):
        payload = bslz4_chunk(image)
        frame = Frame(
            series="x",
            number=10 * number,
            payload=payload,
            shape=SHAPE,
            dtype="uint16",
            encoding=Encoding("bslz4"),
            timestamp=1e9 + number,
        )
        with_writer.append(Shot(dumped, frame, image, detector), payload)
    with_writer.close()
    series, frames = read_one(tmp_path / "hit.h5")
    np.testing.assert_array_equal([unpacked(frame) for frame in frames], stack)
    assert {frame.encoding.algorithm for frame in frames} == {"bslz4"}
    assert [frame.timestamp for frame in frames] == [1e9, 1e9 + 1, 1e9 + 2]
    assert series.photon_energy == pytest.approx(9500)
    assert series.distance == pytest.approx(0.2)
    assert series.beam_center == pytest.approx((13.5, 8.25))
    assert series.pixel_size == (75e-6, 75e-6)
    assert series.saturation_value == 60000
    assert series.sensor_thickness == 450e-6
    np.testing.assert_array_equal(series.mask, mask)


def test_the_dataset_may_be_named(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["raw"] = images(2)
        file["corrected"] = images(2, "float32")
    series, _ = read_one(tmp_path / "a.h5", dataset="/corrected")
    assert series.dtype == "float32"
    with pytest.raises(
        ImageFileError, match=r"expected one stack of images \(n, ss, fs\), found /corrected \(2, 18, 26\), /raw .*"
    ):
        read_one(tmp_path / "a.h5")
    with pytest.raises(
        ImageFileError, match=r"there are no images at '/row'; stacks of images in it: /corrected, /raw"
    ):
        read_one(tmp_path / "a.h5", dataset="/row")
    with pytest.raises(ImageFileError, match="a placeholder % cannot be filled"):
        read_one(tmp_path / "a.h5", dataset="/%/data")


def test_a_single_image_in_a_plain_hdf5_file_is_a_series_of_one(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["image"] = images(1)[0]
    series, frames = read_one(tmp_path / "a.h5")
    assert series.n_frames == 1
    np.testing.assert_array_equal(unpacked(frames[0]), images(1)[0])


def test_a_cut_chunk_in_hdf5_is_an_error_of_that_image(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data = file.create_dataset("stack", (2, *SHAPE), "uint16", chunks=(1, *SHAPE), compression="gzip")
        data[0] = images(1)[0]
        data.id.write_direct_chunk((1, 0, 0), b"no gzip at all")
    with open_one(tmp_path / "a.h5") as found:
        np.testing.assert_array_equal(unpacked(found.frame(0)), images(1)[0])
        with pytest.raises(ImageFileError, match=r"a.h5: image 1 cannot be read"):
            found.frame(1)
        with pytest.raises(IndexError, match="image 2 of 2"):
            found.frame(2)


def test_an_unknown_unit_is_named(tmp_path: Path) -> None:
    master = write_master(tmp_path, [images(1)], virtual=False)
    with h5py.File(master, "a") as file:
        file["entry/instrument/detector/detector_distance"].attrs["units"] = "furlong"
    with pytest.raises(ImageFileError, match=r"detector_distance has the unit 'furlong', expected one of: m, cm, mm"):
        read_one(master)


def test_text_where_pixels_should_be_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["entry/data/data"] = np.full((2, 3, 4), b"abc")
    with pytest.raises(ImageFileError, match=r"holds \|S3, expected integer or floating-point pixels"):
        read_one(tmp_path / "a.h5")
