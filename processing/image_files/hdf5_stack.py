"""Images in an HDF5 file, handed out as compressed as they lie there."""

from bisect import bisect_right
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np

from braggwatch.processing.frame import Encoding, Frame, Series, image_nbytes
from braggwatch.processing.image_files.dumped_values import dumped_values, values_of
from braggwatch.processing.image_files.error import MAX_IMAGE_BYTES, ImageFileError
from braggwatch.processing.image_files.hdf5_datasets import image_datasets, shape_of_image
from braggwatch.processing.image_files.hdf5_header import Header

_BITSHUFFLE, _LZ4 = hdf5plugin.FILTERS["bshuf"], hdf5plugin.FILTERS["lz4"]
_RAW = Encoding("none")


class Hdf5Stack:
    """The images of one file and of those that it links to."""

    def __init__(self, path: Path, *, key: str, number: int, dataset: str | None = None) -> None:
        """Open a file; `dataset` names the stack of images, which is otherwise looked for. Raises ImageFileError."""
        self.path = path
        try:
            self._file = h5py.File(path, "r")
        except OSError as error:
            raise ImageFileError(f"{path}: cannot be opened as HDF5: {_one_line(error)}") from None
        try:
            self._parts = [_Part(stack) for stack in image_datasets(self._file, dataset)]
            shape, dtype = self._parts[0].shape, self._parts[0].dtype
            for part in self._parts:
                if (part.shape, part.dtype) != (shape, dtype):
                    raise ImageFileError(
                        f"{path}: {part.name} holds images of {part.shape} {part.dtype}, "
                        f"expected {shape} {dtype} as in {self._parts[0].name}"
                    )
            self._starts = np.cumsum([0, *(len(part) for part in self._parts)]).tolist()
            header = Header(self._file)
            self._timestamps = header.timestamps(len(self))
            self._values = dumped_values(self._file, len(self))
            energies = header.photon_energies()
            self._energies = energies if energies is not None and len(energies) >= len(self) > 1 else None
            self._series = Series(
                key=key,
                number=number,
                name=path.name.removesuffix(path.suffix),
                n_frames=len(self),
                shape=shape,
                dtype=dtype,
                **header.fields(shape, np.dtype(dtype)),
            )
        except BaseException:
            self._file.close()
            raise

    @property
    def series(self) -> Series:
        """What the header says."""
        return self._series

    def __len__(self) -> int:
        return int(self._starts[-1])

    def frame(self, index: int) -> Frame:
        """Read one image."""
        which = bisect_right(self._starts, index) - 1
        part = self._parts[which]
        try:
            payload, encoding = part.read(index - self._starts[which])
        except OSError as error:
            raise ImageFileError(f"{self.path}: image {index} cannot be read: {_one_line(error)}") from None
        values = values_of(self._values, index)
        if self._energies is not None:
            values["photon_energy"] = float(self._energies[index])
        time = None if self._timestamps is None else float(self._timestamps[index])
        return Frame(
            series=self._series.key,
            number=index,
            payload=payload,
            shape=part.shape,
            dtype=part.dtype,
            encoding=encoding,
            timestamp=None if time is None or np.isnan(time) else time,
            values=values,
        )

    def close(self) -> None:
        """Close the file."""
        self._parts = []
        self._file.close()


class _Part:
    """Consecutive images in one dataset."""

    def __init__(self, stack: "tuple[h5py.Dataset, int, int]") -> None:
        self._dataset, self._start, stop = stack
        self._length = stop - self._start
        self.name = f"{self._dataset.file.filename}:{self._dataset.name}"
        self.shape = shape_of_image(self._dataset)
        dtype = self._dataset.dtype
        if dtype.kind not in "iuf" or dtype.itemsize > 8:
            raise ImageFileError(f"{self.name} holds {dtype}, expected integer or floating-point pixels")
        self.dtype = str(dtype.name if dtype.isnative else dtype.str)
        nbytes = image_nbytes(self.shape, self.dtype)
        if not 0 < nbytes <= MAX_IMAGE_BYTES:
            raise ImageFileError(f"{self.name}: an image takes {nbytes} bytes, expected 1 to {MAX_IMAGE_BYTES}")
        # Half as much again: a compressor may make noise longer, never by more than a fraction of it.
        self._max_chunk_bytes = nbytes + nbytes // 2 + 4096
        self._encoding = _chunk_encoding(self._dataset)

    def __len__(self) -> int:
        return self._length

    def read(self, index: int) -> tuple[Any, Encoding]:
        at = self._start + index
        dataset = self._dataset
        if dataset.ndim == 2:
            return dataset[()].tobytes(), _RAW
        if self._encoding is not None:
            offset = (at, *(0 for _ in dataset.shape[1:]))
            chunk = dataset.id.get_chunk_info_by_coord(offset)
            if chunk.byte_offset is not None and chunk.filter_mask == 0:
                if chunk.size > self._max_chunk_bytes:
                    raise ImageFileError(f"{self.name}: image {at} takes {chunk.size} bytes, more than its pixels")
                return dataset.id.read_direct_chunk(offset)[1], self._encoding
        return dataset[at].tobytes(), _RAW


def _chunk_encoding(dataset: h5py.Dataset) -> Encoding | None:
    """Return how the chunks of a dataset are packed if each is one image that can be handed out as it is."""
    if dataset.is_virtual or dataset.chunks != (1, *dataset.shape[1:]):
        return None
    properties = dataset.id.get_create_plist()
    if properties.get_nfilters() == 0:
        return _RAW
    if properties.get_nfilters() > 1:
        return None
    identifier, _, options, _ = properties.get_filter(0)
    if identifier == _LZ4:
        return Encoding("lz4", "hdf5")
    if identifier == _BITSHUFFLE and len(options) > 4:
        # The fifth value: 2 for LZ4, 3 for Zstandard after the shuffle.
        return {2: Encoding("bslz4", "hdf5"), 3: Encoding("bszstd", "hdf5")}.get(int(options[4]))
    return None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
