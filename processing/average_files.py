"""Averages on disk: one HDF5 file with mean, standard deviation, maximum and count of each pixel."""

import contextlib
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
from numpy.typing import NDArray

from braggwatch.processing.averaging import RunningMoments
from braggwatch.processing.detector import Detector

FORMAT = "braggwatch-average-1"
MEAN, STDDEV, MAXIMUM, COUNT = "/mean", "/stddev", "/maximum", "/count"
PEDESTALS, PEDESTAL_NOISE = "/pedestals", "/pedestal_noise"
_UNITS = {MEAN: "ADU", STDDEV: "ADU", MAXIMUM: "ADU", COUNT: "images"}


def write_average(
    path: Path,
    moments: RunningMoments,
    provenance: Mapping[str, str],
    masks: Mapping[str, NDArray[np.bool_]] | None = None,
    more: Mapping[str, NDArray[np.float32]] | None = None,
) -> None:
    """Write an average; a file of that name is replaced, at once and as a whole, so that it can be read at any time.

    `masks` are written beside it as uint8, 1 where a pixel is bad, `more` as further datasets in ADU. Raises OSError
    where there is no room.
    """
    arrays: dict[str, NDArray[Any]] = {
        MEAN: moments.mean, STDDEV: moments.stddev, MAXIMUM: moments.maximum, COUNT: moments.count, **(more or {})
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        with h5py.File(unfinished, "w") as file:
            file.attrs["format"] = FORMAT
            file.attrs["n_images"] = moments.n_images
            file.attrs["written"] = datetime.now(UTC).isoformat(timespec="seconds")
            file.attrs.update(provenance)
            for name, array in arrays.items():
                file.create_dataset(name, data=array, **hdf5plugin.Bitshuffle())
                file[name].attrs["units"] = _UNITS.get(name, "ADU")
            for name, mask in (masks or {}).items():
                file.create_dataset(f"/masks/{name}", data=mask.astype(np.uint8), **hdf5plugin.Bitshuffle())
        unfinished.replace(path)
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)


def is_average(path: Path) -> bool:
    """Say whether a file was written by `write_average`."""
    try:
        with h5py.File(path, "r") as file:
            return str(file.attrs.get("format", "")) == FORMAT
    except OSError:
        return False


def read_average(path: Path) -> RunningMoments:
    """Read an average so that it can be gone on with, or merged with others.

    Raises ValueError where the file is no average, or its images do not have one shape.
    """
    if not is_average(path):
        raise ValueError(f"{path}: expected an average as the stage average or `braggwatch dark` write it")
    with h5py.File(path, "r") as file:
        missing = [name for name in _UNITS if not isinstance(file.get(name), h5py.Dataset)]
        shapes = {} if missing else {name: file[name].shape for name in _UNITS}
        if missing or len(set(shapes.values())) != 1 or len(file[MEAN].shape) != 2:
            raise ValueError(f"{path}: expected {', '.join(_UNITS)} of one shape (ss, fs), found {shapes or missing}")
        arrays: dict[str, NDArray[Any]] = {name: np.asarray(file[name][()]) for name in _UNITS}
        n_images = int(file.attrs.get("n_images", 0))
    moments = RunningMoments(blank_detector(arrays[MEAN].shape))
    moments.merge_average(arrays[COUNT], arrays[MEAN], arrays[STDDEV], arrays[MAXIMUM], n_images)
    return moments


def blank_detector(shape: tuple[int, int], flag_values: tuple[float, ...] = ()) -> Detector:
    """Return a detector of a shape, for work to which it does not matter where the pixels lie."""
    return Detector.single_panel(shape, pixel_size=1e-4, distance=1.0, beam_center=(0.0, 0.0), flag_values=flag_values)
