"""From a frame's packed pixels to an array."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from braggwatch.processing.frame import Encoding, image_nbytes

BLOCK_BYTES = 8192


def decompress(
    payload: Any, encoding: Encoding, shape: tuple[int, int], dtype: str, out: NDArray[Any]
) -> None:
    """Unpack pixels into `out`, ``(ss, fs)``, C order."""
    import bitshuffle
    import lz4.block
    data = np.frombuffer(payload, np.uint8)
    nbytes = image_nbytes(shape, dtype)
    native = np.dtype(dtype)
    try:
        if encoding.algorithm == "none":
            pixels = data.view(native).reshape(shape)
        elif encoding.algorithm == "bslz4":
            start = 0 if encoding.framing == "headerless" else 12
            block = 0
            if encoding.framing == "hdf5":
                if int.from_bytes(data[:8].tobytes(), "big") != nbytes:
                    raise ValueError("wrong size")
                block = int.from_bytes(data[8:12].tobytes(), "big") // native.itemsize
            at, left = start, nbytes // native.itemsize // 8 * 8
            while left > 0:
                at += 4 + int.from_bytes(data[at : at + 4].tobytes(), "big")
                left -= block or BLOCK_BYTES // native.itemsize
            if at > len(data):
                raise ValueError("truncated")
            pixels = bitshuffle.decompress_lz4(data[start:], shape, native, block)
        elif encoding.algorithm == "lz4" and encoding.framing == "bare":
            pixels = np.frombuffer(lz4.block.decompress(payload, uncompressed_size=nbytes), native).reshape(shape)
        else:
            raise ValueError(f"cannot unpack {encoding}")
    except Exception as error:
        raise ValueError(str(error)) from None
    np.copyto(out, pixels)


def as_hdf5_chunk(payload: Any, encoding: Encoding, shape: tuple[int, int], dtype: str) -> Any:
    """Return the payload as a chunk of the HDF5 bitshuffle filter, None where it cannot be one."""
    if encoding.algorithm not in ("bslz4", "bszstd"):
        return None
    if encoding.framing == "hdf5":
        return payload
    blocks = memoryview(payload)[0 if encoding.framing == "headerless" else 12 :]
    return image_nbytes(shape, dtype).to_bytes(8, "big") + BLOCK_BYTES.to_bytes(4, "big") + blocks
