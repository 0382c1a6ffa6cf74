"""Pixels as the HDF5 filter bitshuffle-LZ4 stores them in a chunk."""

import struct
from typing import Any

import hdf5plugin
import numpy as np
from numpy.typing import NDArray

from braggwatch.processing.bitshuffle_library import bitshuffle_library

_BLOCK_BYTES = 8192


def bslz4_filter() -> dict[str, Any]:
    """Return the keywords of ``create_dataset`` for chunks that `bslz4_chunk` makes."""
    return dict(hdf5plugin.Bitshuffle(nelems=0, cname="lz4"))


def bslz4_chunk(pixels: NDArray[Any]) -> bytes:
    """Compress an array of any shape into the bytes of one chunk, for ``write_direct_chunk``.

    Twelve bytes of header (size of the array and of a block in bytes, big-endian), then the blocks.
    """
    pixels = np.ascontiguousarray(pixels)
    block = _BLOCK_BYTES // pixels.itemsize
    library, sizes = bitshuffle_library(), (pixels.size, pixels.itemsize, block)
    packed = np.empty(library.bshuf_compress_lz4_bound(*sizes), np.uint8)
    n_bytes = library.bshuf_compress_lz4(pixels.ctypes.data, packed.ctypes.data, *sizes)
    if n_bytes < 0:
        raise ValueError(f"bitshuffle cannot pack {pixels.shape} {pixels.dtype.name}: its error {n_bytes}")
    return struct.pack(">QI", pixels.nbytes, block * pixels.itemsize) + packed[:n_bytes].tobytes()
