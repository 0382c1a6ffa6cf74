"""One CXI file with the pixels and spots of many dumps, as Cheetah writes them and ``indexamajig --peaks=cxi`` reads.

The layout is that of CXI 1.6 (Maia, Nat. Methods 9, 854, 2012; cxidb.org).
"""

from pathlib import Path

import h5py
import hdf5plugin
import numpy as np

from braggwatch.processing.beam import HC
from braggwatch.processing.closing import Closing
from braggwatch.processing.compression import bslz4_chunk, bslz4_filter
from braggwatch.processing.crystfel_geometry_text import DataFile
from braggwatch.processing.dumped_shots import DumpedShot, DumpedShots
from braggwatch.processing.image_files.error import ImageFileError
from braggwatch.processing.nxmx.cxi_names import CXI_DETECTOR, CXI_SOURCE, CXI_VERSION, DATA, J_PER_EV, MASK, NOT_VALID
from braggwatch.processing.nxmx.peak_rows import FIELDS, MAX_PEAKS, RESULT

_ENTRY = "/entry_1"
CXI = DataFile(data=DATA, mask=MASK, wavelength=f"{CXI_SOURCE}/wavelength", peaks=RESULT)
"""Where things lie in these files, and in dumps of that format."""


class CxiWriter(Closing):
    """Copies images out of dumps, as they were packed, with their spots: nothing is unpacked, nothing kept in memory.

    All images must have one shape and one dtype. What the spots' places mean is told in `PeakRows`.
    """

    def __init__(self, path: Path, first: DumpedShots) -> None:
        """Begin a file at `path`, which must not exist (FileExistsError), for images such as `first` has them."""
        self.n_images = 0
        self._path = first.path
        self._kind = first.reader.shape, first.reader.dtype
        self._file = h5py.File(path, "x", libver=("v110", "v110"))
        file, (n_ss, n_fs) = self._file, first.reader.shape
        file["cxi_version"] = CXI_VERSION
        self._pixels = file.create_dataset(
            CXI.data, (0, n_ss, n_fs), first.reader.dtype, maxshape=(None, n_ss, n_fs), chunks=(1, n_ss, n_fs),
            **bslz4_filter(),
        )  # fmt: skip
        self._rows = {
            name: file.create_dataset(
                f"{RESULT}/{name}", (0, MAX_PEAKS), dtype, maxshape=(None, MAX_PEAKS), chunks=(1, MAX_PEAKS),
                **hdf5plugin.LZ4(),
            )
            for name, _, dtype, _ in FIELDS
        }  # fmt: skip
        text = h5py.string_dtype()
        self._numbers = {
            name: file.create_dataset(name, (0,), dtype, maxshape=(None,), chunks=(1024,))
            for name, dtype in (
                (f"{RESULT}/nPeaks", np.int32),
                (CXI.wavelength, np.float64),
                (f"{CXI_SOURCE}/energy", np.float64),
                (f"{_ENTRY}/frame_number", np.int64),
                (f"{_ENTRY}/experiment_identifier", text),
            )
        }
        self._numbers[CXI.wavelength].attrs["units"] = "angstrom"
        self._numbers[f"{CXI_SOURCE}/energy"].attrs["units"] = "J"
        mask = file.create_dataset(CXI.mask, (n_ss, n_fs), np.uint32, chunks=(n_ss, n_fs), **bslz4_filter())
        mask.id.write_direct_chunk((0, 0), bslz4_chunk(np.where(first.detector.mask, NOT_VALID, np.uint32(0))))
        file[f"{CXI_DETECTOR}/distance"] = first.detector.distance
        panel = first.detector.panels[0]
        file[f"{CXI_DETECTOR}/x_pixel_size"] = float(np.linalg.norm(panel.fs))
        file[f"{CXI_DETECTOR}/y_pixel_size"] = float(np.linalg.norm(panel.ss))
        file[f"{_ENTRY}/data_1/mask"] = h5py.SoftLink(CXI.mask)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def append(self, dump: DumpedShots, shot: DumpedShot) -> None:
        """Add an image of a dump; raises ImageFileError where it cannot be read or is of another shape or dtype."""
        found = dump.reader.shape, dump.reader.dtype
        if found != self._kind:
            raise ImageFileError(
                f"{dump.path}: its images are {found[0]} {found[1]}, those of {self._path} {self._kind[0]} "
                f"{self._kind[1]}; a CXI file holds images of one kind, so export them one by one"
            )
        chunk = dump.reader.chunk(shot.entry, shot.number)
        if chunk is None:
            raise ImageFileError(f"{dump.path}: image {shot.entry} is not there any more")
        row = self.n_images
        self._pixels.resize(row + 1, axis=0)
        self._pixels.id.write_direct_chunk((row, 0, 0), chunk)
        for name, dataset in self._rows.items():
            dataset.resize(row + 1, axis=0)
            dataset.id.write_direct_chunk((row, 0), _packed_row(dump, name, shot.entry))
        energy = HC / shot.wavelength * J_PER_EV
        identifier = f"{dump.path.name}//{shot.entry}"
        values = (len(shot.peaks), shot.wavelength, energy, shot.number, identifier)
        for dataset, value in zip(self._numbers.values(), values, strict=True):
            dataset.resize(row + 1, axis=0)
            dataset[row] = value
        self.n_images += 1


def _packed_row(dump: DumpedShots, name: str, entry: int) -> bytes:
    dataset = dump.reader.file[f"{RESULT}/{name}"].id
    # HDF5 says nothing about a chunk that is not there, and returns that of another row
    if dataset.get_chunk_info_by_coord((entry, 0)).byte_offset is None:
        raise ImageFileError(f"{dump.path}: the spots of image {entry} are not there; is the file open elsewhere?")
    packed: bytes = dataset.read_direct_chunk((entry, 0))[1]
    return packed
