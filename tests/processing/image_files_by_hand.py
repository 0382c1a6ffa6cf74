"""Image files as detectors and their programs write them, and what is read of them."""

from pathlib import Path
from typing import Any

import h5py
import hdf5_bitshuffle
import hdf5plugin
import lz4.block
import numpy as np
from numpy.typing import NDArray

from braggwatch.processing.frame import Frame, Series, image_nbytes
from braggwatch.processing.image_files import ImageSeries, open_image_files

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


def open_one(path: Path, dataset: str | None = None) -> ImageSeries:
    return ImageSeries([path], key="k", number=1, dataset=dataset)


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
