"""One NXmx file as `NXmxWriter` writes it, read while it grows or afterwards."""

from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
from numpy.typing import NDArray

from braggwatch.processing.beam import HC, Beam
from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import image_nbytes
from braggwatch.processing.image_files.error import MAX_IMAGE_BYTES, ImageFileError
from braggwatch.processing.nxmx.geometry import DETECTOR
from braggwatch.processing.panel import Panel, Vector

_BSLZ4 = 2
"""The fifth value of the bitshuffle filter's options."""
BROKEN = (OSError, KeyError, RuntimeError, ValueError, TypeError, AttributeError, IndexError)
"""What h5py makes of a file that is damaged, or not what it should be."""


class NXmxReader:
    """Gives the images of one file as the compressed chunks that they are, also of a file that still grows.

    A process should open a file that grows only once: looking for news through one handle makes HDF5 lose images that
    another one knew.
    """

    def __init__(self, path: Path) -> None:
        """Open a file; nothing keeps its writer from going on. Raises ImageFileError where it is no dump of ours."""
        self.path = path
        try:
            self._file = h5py.File(path, "r", swmr=True, locking=False)
        except OSError as error:
            raise ImageFileError(f"{path} cannot be opened: {_one_line(error)}") from None
        try:
            self._pixels = self._file["entry/data/data"]
            self._numbers = self._file["entry/frames/number"]
            self.shape = (int(self._pixels.shape[1]), int(self._pixels.shape[2]))
            """``(ss, fs)`` of an image."""
            self.dtype = str(self._pixels.dtype.name if self._pixels.dtype.isnative else self._pixels.dtype.str)
            self._check()
        except BROKEN as error:
            self.close()
            if isinstance(error, ImageFileError):
                raise
            raise ImageFileError(f"{path} is no dump of Braggwatch: {_one_line(error)}") from None

    @property
    def file(self) -> h5py.File:
        """The open file, for what it holds beside the pixels."""
        return self._file

    def chunk(self, entry: int, number: int) -> bytes | None:
        """Return an image as its bitshuffle-LZ4 chunk (framing ``hdf5``); None where it is not in the file yet.

        `entry` is its index in the file. Raises ImageFileError where that is not the frame of this `number`, and where
        the file is damaged.
        """
        try:
            if entry >= len(self._numbers):
                # Whoever sees an image's number finds the rest of it (`NXmxWriter.flush`).
                self._numbers.refresh()
                self._pixels.refresh()
            if not 0 <= entry < len(self._numbers):
                return None
            found = int(self._numbers[entry])
            if found != number:
                raise ImageFileError(f"{self.path}: image {entry} is frame {found}, expected frame {number}")
            return self._read(entry)
        except BROKEN as error:
            if isinstance(error, ImageFileError):
                raise
            raise ImageFileError(f"{self.path}: image {entry} cannot be read: {_one_line(error)}") from None

    def detector(self) -> Detector:
        """Return panels, mask and beam as they were when the file was begun. Raises ImageFileError.

        A file tells one saturation value for all panels, and of what marks bad pixels only the lowest valid value.
        """
        try:
            group = self._file[DETECTOR]
            distance = float(np.ravel(group["transformations/translation"][()])[0])
            max_adu = self._max_adu(group)
            names = sorted((name for name in group if name.startswith("module")), key=lambda name: (len(name), name))
            mask = np.asarray(group["pixel_mask"][()]) != 0
            panels = tuple(_panel(group[name], distance, max_adu) for name in names)
            lowest = group.get("underload_value")
            flag_below = float("-inf") if lowest is None else float(lowest[()])
            return Detector(panels, self.shape, self._beam(), mask, flag_below=flag_below)
        except BROKEN as error:
            raise ImageFileError(f"{self.path}: its geometry cannot be read: {_one_line(error)}") from None

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _check(self) -> None:
        n_bytes = image_nbytes(self.shape, self.dtype)
        if self._pixels.ndim != 3 or not 0 < n_bytes <= MAX_IMAGE_BYTES or self._pixels.dtype.kind not in "iuf":
            raise ImageFileError(f"{self.path}: its images of {self.shape} {self.dtype} take {n_bytes} bytes each")
        self._image_bytes = n_bytes
        # Half as much again: a compressor may make noise longer, never by more than a fraction of it.
        self._max_chunk_bytes = n_bytes + n_bytes // 2 + 4096
        properties = self._pixels.id.get_create_plist()
        filters = [properties.get_filter(i) for i in range(properties.get_nfilters())]
        packed = [(code, int(options[4])) for code, _, options, _ in filters if len(options) > 4]
        if self._pixels.chunks != (1, *self.shape) or packed != [(hdf5plugin.FILTERS["bshuf"], _BSLZ4)]:
            raise ImageFileError(f"{self.path}: expected one bitshuffle-LZ4 chunk an image")

    def _read(self, entry: int) -> bytes:
        chunk = self._pixels.id.get_chunk_info_by_coord((entry, 0, 0))
        if chunk.byte_offset is None or chunk.filter_mask != 0:
            raise ImageFileError(f"{self.path}: image {entry} is not there")
        if chunk.size > self._max_chunk_bytes:
            raise ImageFileError(f"{self.path}: image {entry} takes {chunk.size} bytes, more than its pixels")
        packed: bytes = self._pixels.id.read_direct_chunk((entry, 0, 0))[1]
        # Beyond the end of a file that was cut, HDF5 reads zeros.
        if int.from_bytes(packed[:8], "big") != self._image_bytes:
            raise ImageFileError(f"{self.path}: image {entry} is damaged")
        return packed

    def _max_adu(self, group: h5py.Group) -> float:
        if "saturation_value" not in group:
            return float("inf")
        # NXmx counts the value itself as valid; here a pixel that has reached it is saturated.
        return float(group["saturation_value"][()]) + (1.0 if self._pixels.dtype.kind in "iu" else 0.0)

    def _beam(self) -> Beam | None:
        wavelengths = self._file["entry/instrument/beam/incident_wavelength"]
        wavelengths.refresh()
        known = np.asarray(wavelengths[:1], np.float64)
        if not (known.size and known[0] > 0):
            return None
        spread = self._file.get("entry/instrument/beam/incident_wavelength_spread")
        wavelength = float(known[0])
        return Beam(HC / wavelength, 0.0 if spread is None else float(spread[()]) / wavelength)


def _panel(module: h5py.Group, distance: float, max_adu: float) -> Panel:
    ss_start, fs_start = (int(n) for n in module["data_origin"][()])
    n_ss, n_fs = (int(n) for n in module["data_size"][()])
    offset = np.asarray(module["module_offset"].attrs["offset"], np.float64)
    return Panel(
        name=_text(module["name"][()]), fs_start=fs_start, fs_stop=fs_start + n_fs, ss_start=ss_start,
        ss_stop=ss_start + n_ss, corner=_vector(offset + np.array([0.0, 0.0, distance])),
        fs=_step(module["fast_pixel_direction"]), ss=_step(module["slow_pixel_direction"]), max_adu=max_adu,
    )  # fmt: skip


def _step(axis: h5py.Dataset) -> Vector:
    return _vector(float(np.ravel(axis[()])[0]) * np.asarray(axis.attrs["vector"], np.float64))


def _vector(values: NDArray[np.float64]) -> Vector:
    x, y, z = values
    return float(x), float(y), float(z)


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
