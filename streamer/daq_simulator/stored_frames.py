"""Frames for the simulator, from an HDF5 file whose chunks are ready-made payloads."""

from pathlib import Path

import h5py

from braggwatch.processing.frame import Encoding, Frame

BITSHUFFLE, LZ4 = 32008, 32004
"""Numbers that HDF5 knows these filters by."""

_BITSHUFFLE_WITH = {2: "bslz4", 3: "bszstd"}


def stored_frames(path: Path, dataset: str = "/entry/data/data") -> list[Frame]:
    """Return the images of a ``(n, ss, fs)`` dataset as frames, still packed as they lie in the file.

    Raises ValueError where a chunk is not one whole image, or is packed with anything but bitshuffle or LZ4.
    """
    with h5py.File(path) as file:
        data = file[dataset]
        if data.ndim != 3 or data.chunks != (1, *data.shape[1:]):
            raise ValueError(
                f"{path}:{dataset} must be (n, ss, fs) with one chunk an image, found {data.shape} in {data.chunks}"
            )
        encoding = _encoding(data, f"{path}:{dataset}")
        return [
            Frame(
                series="",
                number=number,
                payload=data.id.read_direct_chunk((number, 0, 0))[1],
                shape=data.shape[1:],
                dtype=data.dtype.name,
                encoding=encoding,
            )
            for number in range(data.shape[0])
        ]


def _encoding(data: h5py.Dataset, where: str) -> Encoding:
    filters = data.id.get_create_plist()
    if filters.get_nfilters() == 0:
        return Encoding()
    number, _, options, name = filters.get_filter(0)
    if filters.get_nfilters() == 1 and number == BITSHUFFLE and len(options) > 4 and options[4] in _BITSHUFFLE_WITH:
        return Encoding(_BITSHUFFLE_WITH[options[4]], "hdf5")
    if filters.get_nfilters() == 1 and number == LZ4:
        return Encoding("lz4", "hdf5")
    raise ValueError(f"{where} must be packed with bitshuffle-LZ4, bitshuffle-Zstandard or LZ4, found {name!r}")
