"""Bitshuffled blocks as HDF5's own filter packs and unpacks them: what our code is tested against.

A block has the given number of elements, 0 for as many as 8192 bytes hold. Blocks come without the header of the chunk.
"""

from typing import Any, Literal

import h5py
import hdf5plugin
import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

_HEADER = 12


def compress_lz4(image: NDArray[Any], block: int = 0) -> bytes:
    """Return the blocks of an array of any shape."""
    return _compress(image, block, "lz4")


def compress_zstd(image: NDArray[Any], block: int = 0) -> bytes:
    """Return the blocks of an array of any shape."""
    return _compress(image, block, "zstd")


def decompress_lz4(blocks: ArrayLike, shape: tuple[int, ...], dtype: DTypeLike, block: int = 0) -> NDArray[Any]:
    """Return the array that the blocks hold."""
    return _decompress(blocks, shape, np.dtype(dtype), block, "lz4")


def decompress_zstd(blocks: ArrayLike, shape: tuple[int, ...], dtype: DTypeLike, block: int = 0) -> NDArray[Any]:
    """Return the array that the blocks hold."""
    return _decompress(blocks, shape, np.dtype(dtype), block, "zstd")


def _compress(image: NDArray[Any], block: int, compressor: Literal["lz4", "zstd"]) -> bytes:
    with _file() as file:
        options = hdf5plugin.Bitshuffle(nelems=block, cname=compressor)
        data = file.create_dataset("data", data=image, chunks=image.shape, compression=options)
        mask, chunk = data.id.read_direct_chunk((0,) * image.ndim)
    assert mask == 0, "HDF5 stored the image without its filter"
    return bytes(chunk[_HEADER:])


def _decompress(
    blocks: ArrayLike, shape: tuple[int, ...], dtype: np.dtype[Any], block: int, compressor: Literal["lz4", "zstd"]
) -> NDArray[Any]:
    size = dtype.itemsize * int(np.prod(shape))
    header = size.to_bytes(8, "big") + (block * dtype.itemsize or 8192).to_bytes(4, "big")
    with _file() as file:
        options = hdf5plugin.Bitshuffle(nelems=block, cname=compressor)
        data = file.create_dataset("data", shape, dtype, chunks=shape, compression=options)
        data.id.write_direct_chunk((0,) * len(shape), header + np.asarray(blocks, np.uint8).tobytes())
        return np.asarray(data[()])


def _file() -> h5py.File:
    return h5py.File("never written", "w", driver="core", backing_store=False)
