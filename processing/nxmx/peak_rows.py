"""Spots in the layout of CXI files (Cheetah, CrystFEL's ``--peaks=cxi``)."""

import struct
from typing import Any

import h5py
import hdf5plugin
import lz4.block
import numpy as np

from braggwatch.processing.nxmx.groups import Column
from braggwatch.processing.peaks import Peaks

MAX_PEAKS = 2048
"""Spots stored of one image: a row's length. Of more, the strongest are stored."""

RESULT = "/entry_1/result_1"
FIELDS = (
    ("peakXPosRaw", "fs", np.float32, -0.5),
    ("peakYPosRaw", "ss", np.float32, -0.5),
    ("peakTotalIntensity", "intensity", np.float32, 0),
    ("peakMaximumValue", "max_value", np.float32, 0),
    ("peakBackground", "background", np.float32, 0),
    ("peakSNR", "snr", np.float32, 0),
    ("peakNPixels", "n_pixels", np.int32, 0),
)
"""CXI's name, name in `Peaks`, dtype, and what is added to make a pixel's centre its index."""
_CONVENTION = (
    "pixel index in /entry/data/data: the centre of the first pixel is 0. CrystFEL's --peaks=cxi adds the half pixel "
    "by default; leave out --no-half-pixel-shift"
)


class PeakRows:
    """``/entry_1/result_1``: ``nPeaks`` (n,) and one (n, MAX_PEAKS) array for each property, zero beyond nPeaks.

    One row of each array is one compressed chunk, so that the empty end of a row costs nothing and each row is written
    once.
    """

    def __init__(self, file: h5py.File) -> None:
        group = file.create_group(RESULT)
        self.n_peaks = Column(group, "nPeaks", np.int32)
        self._datasets = []
        for name, _, dtype, shift in FIELDS:
            dataset = group.create_dataset(
                name, (0, MAX_PEAKS), dtype, maxshape=(None, MAX_PEAKS), chunks=(1, MAX_PEAKS), **hdf5plugin.LZ4()
            )
            if shift:
                dataset.attrs["convention"] = _CONVENTION
                dataset.attrs["units"] = "pixel"
            self._datasets.append(dataset)
        self._pending: list[list[bytes]] = []
        self._n_written = 0
        self._buffer = np.zeros(MAX_PEAKS, np.float32)

    def append(self, peaks: Peaks) -> None:
        """Keep the spots of one image for the next `write`."""
        if len(peaks) > MAX_PEAKS:
            strongest = np.argpartition(-peaks.intensity, MAX_PEAKS)[:MAX_PEAKS]
            peaks = peaks[np.sort(strongest)]
        self.n_peaks.append(len(peaks))
        self._pending.append([self._packed(peaks, name, dtype, shift) for _, name, dtype, shift in FIELDS])

    def write(self) -> None:
        """Append the kept rows to the file."""
        self.n_peaks.write()
        stop = self._n_written + len(self._pending)
        for column, dataset in enumerate(self._datasets):
            dataset.id.set_extent((stop, MAX_PEAKS))
            for row, packed in enumerate(self._pending, self._n_written):
                dataset.id.write_direct_chunk((row, 0), packed[column])
        self._n_written = stop
        self._pending.clear()

    def _packed(self, peaks: Peaks, name: str, dtype: Any, shift: float) -> bytes:
        row = self._buffer.view(dtype)
        row[: len(peaks)] = getattr(peaks, name)
        if shift:
            row[: len(peaks)] += shift
        row[len(peaks) :] = 0
        return _lz4_chunk(row.tobytes())


def _lz4_chunk(row: bytes) -> bytes:
    """Return a row as the HDF5 filter LZ4 stores it: total and block size, then one block behind its length.

    Plain LZ4 because bitshuffle starts its threads for each call, which costs more than a row is worth.
    """
    packed: bytes = lz4.block.compress(row, store_size=False)
    if len(packed) >= len(row):
        packed = row  # the filter takes a block of full length as stored
    return struct.pack(">QII", len(row), len(row), len(packed)) + packed
