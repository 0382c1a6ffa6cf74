"""From a frame's packed pixels to an array.

Bitshuffled pixels are unpacked by our own kernel on top of the LZ4 and Zstandard libraries in the wheels of lz4 and
hdf5plugin. Into a reused array it takes a third of the time of bitshuffle itself (benchmarks/decode.py), which unpacks
into new memory each time, crashes on damaged blocks, and starts as many threads as there are cores. The GIL is released
meanwhile.
"""

import ctypes
import threading
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from braggwatch.processing.bit_planes import CUT, OK, SLACK, unpack_blocks
from braggwatch.processing.bitshuffle_library import bitshuffle_library
from braggwatch.processing.frame import Encoding, image_nbytes

HEADER = 12
"""Bytes ahead of the blocks of a framed payload: size unpacked (8) and size of a block (4), big-endian."""

DEFAULT_BLOCK = 8192
"""Bytes a bitshuffled block takes unpacked where no header says otherwise."""

LARGEST_BLOCK = 2**24
"""Larger bitshuffled blocks are refused, bytes."""

_ELEMENTS = {1: np.uint8, 2: np.uint16, 4: np.uint32}


def decompress(payload: Any, encoding: Encoding, shape: tuple[int, int], dtype: str, out: NDArray[Any]) -> None:
    """Unpack a frame's pixels into `out`.

    `payload` is a buffer packed as `encoding` says; `shape` is ``(ss, fs)`` and `dtype` numpy's name of what it holds.
    `out` has that shape and that dtype in either byte order, C-contiguous. Raises ValueError, before anything is
    unpacked where sizes do not fit, and with `out` undefined where a block is damaged.
    """
    pixels = np.dtype(dtype)
    if out.shape != tuple(shape) or out.dtype.newbyteorder("=") != pixels.newbyteorder("="):
        raise ValueError(f"pixels of {tuple(shape)} {pixels.name} do not fit an array of {out.shape} {out.dtype.name}")
    if not out.flags.c_contiguous or not out.flags.writeable:
        raise ValueError("pixels can only be unpacked into a writeable array in C order")
    packed = np.frombuffer(memoryview(payload).toreadonly(), np.uint8)
    match encoding.algorithm, encoding.framing:
        case "none", _:
            _copy(packed, out)
        case (("bslz4" | "bszstd"), ("hdf5" | "headerless" | "zero_header")):
            _unpack_bitshuffled(packed, encoding, out)
        case "lz4", "hdf5":
            _unpack_framed_lz4(packed, out)
        case "lz4", "bare":
            _unpack_lz4(packed, out.reshape(-1).view(np.uint8), "the LZ4 block")
        case algorithm, framing:
            raise ValueError(f"pixels packed as {algorithm!r} in {framing!r} framing cannot be unpacked")
    if pixels != out.dtype:
        out.byteswap(inplace=True)


def as_hdf5_chunk(payload: Any, encoding: Encoding, shape: tuple[int, int], dtype: str) -> Any:
    """Return bitshuffled pixels as a chunk for HDF5's bitshuffle filter; None for pixels packed in any other way.

    The arguments are those of `decompress`. `payload` itself is returned where it is such a chunk already, else a copy
    behind the header that it lacks.
    """
    if encoding.algorithm not in ("bslz4", "bszstd"):
        return None
    if encoding.framing == "hdf5":
        return payload
    blocks = memoryview(payload)[0 if encoding.framing == "headerless" else HEADER :]
    return b"".join((image_nbytes(shape, dtype).to_bytes(8, "big"), DEFAULT_BLOCK.to_bytes(4, "big"), blocks))


def _copy(packed: NDArray[np.uint8], out: NDArray[Any]) -> None:
    if packed.size != out.nbytes:
        raise ValueError(
            f"uncompressed pixels of {out.shape} {out.dtype.name} take {out.nbytes} bytes, found {packed.size}"
        )
    out.reshape(-1).view(np.uint8)[:] = packed


def _header(packed: NDArray[np.uint8], expected: int) -> int:
    """Return the size of a block in bytes, having checked the size of the whole."""
    if packed.size < HEADER:
        raise ValueError(f"packed pixels begin with {HEADER} bytes of header, found {packed.size} bytes in all")
    total = int.from_bytes(packed[:8].tobytes(), "big")
    if total != expected:
        raise ValueError(f"the pixels take {expected} bytes, the header says {total}")
    return int.from_bytes(packed[8:HEADER].tobytes(), "big")


def _unpack_bitshuffled(packed: NDArray[np.uint8], encoding: Encoding, out: NDArray[Any]) -> None:
    itemsize = out.dtype.itemsize
    if itemsize not in _ELEMENTS:
        raise ValueError(f"bitshuffled pixels have 1, 2 or 4 bytes, found {itemsize} ({out.dtype.name})")
    block = _header(packed, out.nbytes) if encoding.framing == "hdf5" else 0
    block = block or DEFAULT_BLOCK
    if block % (8 * itemsize) or block > LARGEST_BLOCK:
        raise ValueError(f"a block takes a multiple of {8 * itemsize} bytes up to {LARGEST_BLOCK}, found {block}")
    zstd, state = _zstd() if encoding.algorithm == "bszstd" else (0, 0)
    planes = np.empty(block + SLACK, np.uint8)
    start = 0 if encoding.framing == "headerless" else HEADER
    elements = out.reshape(-1).view(_ELEMENTS[itemsize])
    status, at = unpack_blocks(_lz4(), zstd, state, packed, start, block // itemsize, planes, elements)
    if status != OK:
        trouble = "reaches beyond the end" if status == CUT else f"does not unpack to {block} bytes"
        raise ValueError(f"the block at byte {at} of {packed.size} {trouble}")


def _unpack_framed_lz4(packed: NDArray[np.uint8], out: NDArray[Any]) -> None:
    """Unpack what the HDF5 filter LZ4 writes: a block that is as long packed as unpacked is stored as it is."""
    block = _header(packed, out.nbytes)
    if block == 0:
        raise ValueError("the header says that an LZ4 block has 0 bytes")
    target = out.reshape(-1).view(np.uint8)
    at = HEADER
    for begin in range(0, target.size, block):
        piece = target[begin : begin + block]
        size = int.from_bytes(packed[at : at + 4].tobytes(), "big")
        at += 4
        if size > packed.size - at:
            raise ValueError(f"the block at byte {at} of {packed.size} reaches beyond the end")
        if size == piece.size:
            piece[:] = packed[at : at + size]
        else:
            _unpack_lz4(packed[at : at + size], piece, f"the block at byte {at} of {packed.size}")
        at += size


def _unpack_lz4(packed: NDArray[np.uint8], out: NDArray[np.uint8], what: str) -> None:
    if max(packed.size, out.size) >= 2**31:
        raise ValueError(f"{what} is larger than LZ4 allows: {packed.size} bytes for {out.size}")
    unpacked = _LZ4(_lz4())(packed.ctypes.data, out.ctypes.data, packed.size, out.size)
    if unpacked != out.size:
        raise ValueError(f"{what} does not unpack to {out.size} bytes")


_LZ4 = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int)


@cache
def _lz4() -> int:
    """Return the address of LZ4_decompress_safe in the library that the lz4 package brings or is linked to."""
    from lz4.block import _block

    return _address(ctypes.CDLL(_block.__file__).LZ4_decompress_safe)


def _zstd() -> tuple[int, int]:
    """Return the address of ZSTD_decompressDCtx and this thread's context for it, made once."""
    library = bitshuffle_library()
    if not hasattr(_this_thread, "zstd"):
        _this_thread.zstd = library.ZSTD_createDCtx()
    return _address(library.ZSTD_decompressDCtx), _this_thread.zstd


def _address(function: Any) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0


_this_thread = threading.local()
