"""The C library behind HDF5's bitshuffle filter, with the LZ4 and Zstandard that it was built with.

It comes in the wheel of hdf5plugin, one for all versions of Python; bitshuffle's own wheels end at Python 3.12.
"""

import ctypes
from functools import cache
from pathlib import Path

import hdf5plugin


@cache
def bitshuffle_library() -> ctypes.CDLL:
    """Return the library, its functions declared as far as they are called here."""
    (path,) = Path(hdf5plugin.PLUGIN_PATH).glob("libh5bshuf.*")
    library = ctypes.CDLL(str(path))
    size = ctypes.c_size_t
    library.bshuf_compress_lz4_bound.argtypes = [size, size, size]
    library.bshuf_compress_lz4_bound.restype = size
    library.bshuf_compress_lz4.argtypes = [ctypes.c_void_p, ctypes.c_void_p, size, size, size]
    library.bshuf_compress_lz4.restype = ctypes.c_int64
    library.ZSTD_createDCtx.restype = ctypes.c_void_p
    return library
