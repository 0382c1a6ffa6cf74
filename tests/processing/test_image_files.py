"""Readers of image files, on real files and on files in the layouts that detectors write."""

import bz2
import gzip
import re
from pathlib import Path
from typing import Any

import fabio
import h5py
import hdf5_bitshuffle
import hdf5plugin
import lz4.block
import numpy as np
import pytest
from numpy.typing import NDArray

from braggwatch.processing.compression import bslz4_chunk
from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Encoding, Frame, Series, image_nbytes
from braggwatch.processing.image_files import ImageFileError, ImageSeries, find_files, open_image_files
from braggwatch.processing.image_files.cbf_header import read_mini_cbf
from braggwatch.processing.nxmx import NXmxWriter
from braggwatch.processing.shot import Shot

SHAPE = (18, 26)
BSLZ4 = hdf5plugin.Bitshuffle(nelems=0, cname="lz4")


def images(n: int, dtype: str = "uint16", seed: int = 0) -> NDArray[Any]:
    return np.random.default_rng(seed).poisson(9, (n, *SHAPE)).astype(dtype)


def unpacked(frame: Frame) -> NDArray[Any]:
    """Unpack with the compressors' own libraries, not with the code under test."""
    dtype = np.dtype(frame.dtype)
    payload = bytes(frame.payload)
    if frame.encoding.algorithm == "none":
        return np.frombuffer(payload, dtype).reshape(frame.shape)
    assert int.from_bytes(payload[:8], "big") == image_nbytes(frame.shape, frame.dtype)
    block = int.from_bytes(payload[8:12], "big")
    if frame.encoding.algorithm == "lz4":
        data = lz4.block.decompress(payload[16:], uncompressed_size=block)
        return np.frombuffer(data, dtype).reshape(frame.shape)
    lz4_inside = frame.encoding.algorithm == "bslz4"
    unpack = hdf5_bitshuffle.decompress_lz4 if lz4_inside else hdf5_bitshuffle.decompress_zstd
    return unpack(np.frombuffer(payload, np.uint8)[12:], frame.shape, dtype, block // dtype.itemsize)


def read_all(*paths: Path, dataset: str | None = None) -> list[tuple[Series, list[Frame]]]:
    return [(found.series, list(found)) for found in open_image_files(paths, dataset=dataset)]


def read_one(path: Path, dataset: str | None = None) -> tuple[Series, list[Frame]]:
    (found,) = read_all(path, dataset=dataset)
    return found


def write_master(folder: Path, stacks: list[NDArray[Any]], *, virtual: bool, vds_in_group: bool = True) -> Path:
    """Write what the DECTRIS filewriter writes: a master file, and data files that it links to."""
    master = folder / "run_master.h5"
    for number, stack in enumerate(stacks, 1):
        with h5py.File(folder / f"run_data_{number:06d}.h5", "w") as file:
            file.create_dataset("entry/data/data", data=stack, chunks=(1, *stack.shape[1:]), **BSLZ4)
    with h5py.File(master, "w") as file:
        entry = file.create_group("entry")
        entry.attrs["NX_class"] = "NXentry"
        data = entry.create_group("data")
        if virtual:
            layout = h5py.VirtualLayout((sum(map(len, stacks)), *SHAPE), stacks[0].dtype)
            at = 0
            for number, stack in enumerate(stacks, 1):
                name = f"run_data_{number:06d}.h5"
                layout[at : at + len(stack)] = h5py.VirtualSource(name, "entry/data/data", stack.shape)
                at += len(stack)
            data.create_virtual_dataset("data", layout)
        else:
            for number in range(1, len(stacks) + 1):
                data[f"data_{number:06d}"] = h5py.ExternalLink(f"run_data_{number:06d}.h5", "entry/data/data")
        detector = entry.create_group("instrument/detector")
        detector["detector_distance"] = 125.0
        detector["detector_distance"].attrs["units"] = np.bytes_("mm")
        detector["beam_center_x"], detector["beam_center_y"] = 12.5, 9.75
        detector["x_pixel_size"], detector["y_pixel_size"] = 7.5e-5, 7.6e-5
        detector["sensor_thickness"] = 450.0
        detector["sensor_thickness"].attrs["units"] = "um"
        detector["sensor_material"] = "Si"
        detector["description"] = np.bytes_("Dectris EIGER2 Si 4M")
        detector["detector_number"] = np.bytes_("E-32-0107")
        detector["count_time"], detector["frame_time"] = 0.0099, 0.01
        specific = detector.create_group("detectorSpecific")
        specific["countrate_correction_count_cutoff"] = np.uint32(50000)
        mask = np.zeros(SHAPE, np.uint32)
        mask[2, 3:6] = 1
        specific["pixel_mask"] = mask
        beam = entry.create_group("instrument/beam")
        beam["incident_wavelength"] = 0.9795
        beam["incident_wavelength"].attrs["units"] = "angstrom"
    return master


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


def open_one(path: Path, dataset: str | None = None) -> ImageSeries:
    return ImageSeries([path], key="k", number=1, dataset=dataset)


def test_a_real_cspad_stack_of_float_frames_is_read(shared: Path) -> None:
    path = shared / "real" / "thermolysin_cspad.h5"
    series, frames = read_one(path)
    with h5py.File(path) as file:
        np.testing.assert_array_equal([unpacked(frame) for frame in frames], file["entry/data/data"][()])
    assert (series.shape, series.dtype) == ((11840, 194), "float32")


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
            packed = gzip.compress(content) if suffix == ".gz" else bz2.compress(content)
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
        ("a.edf.gz", gzip.compress(b"x" * 100)[:-12], "a.edf.gz: cannot be read: .*"),
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
