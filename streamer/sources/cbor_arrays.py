"""Arrays in CBOR: multi-dimensional (tags 40, 1040) and typed (64 to 87, RFC 8746), packed as DECTRIS does (56500)."""

from typing import Any, NamedTuple

import numpy as np

from braggwatch.processing.frame import Encoding
from braggwatch.streamer.sources.bad_message import BadMessageError, checked_shape
from braggwatch.streamer.sources.cbor_reader import Tagged

ROW_MAJOR, COLUMN_MAJOR = 40, 1040
PACKED = 56500

DTYPES = {
    64: "uint8",
    65: ">u2",
    66: ">u4",
    67: ">u8",
    68: "uint8",
    69: "uint16",
    70: "uint32",
    71: "uint64",
    72: "int8",
    73: ">i2",
    74: ">i4",
    75: ">i8",
    77: "int16",
    78: "int32",
    79: "int64",
    80: ">f2",
    81: ">f4",
    82: ">f8",
    84: "float16",
    85: "float32",
    86: "float64",
}
"""numpy's name for each tag of RFC 8746 that numpy has a type for."""

ALGORITHMS = ("bslz4", "bszstd", "lz4")


class PackedArray(NamedTuple):
    """A two-dimensional array, its elements still packed."""

    payload: Any
    """Buffer."""
    shape: tuple[int, int]
    """``(ss, fs)``."""
    dtype: str
    encoding: Encoding


def packed_array(value: Any) -> PackedArray:
    """Return what a two-dimensional array in row-major order holds; nothing is unpacked.

    Raises BadMessageError.
    """
    if not isinstance(value, Tagged) or value.tag != ROW_MAJOR:
        found = f"tag {value.tag}" if isinstance(value, Tagged) else type(value).__name__
        raise BadMessageError("array", f"pixels must be a row-major array (CBOR tag {ROW_MAJOR}), found {found}")
    if not isinstance(value.value, list) or len(value.value) != 2:
        raise BadMessageError("array", "an array must be [dimensions, elements]")
    dimensions, elements = value.value
    shape = checked_shape(dimensions, "an image's dimensions")
    if not isinstance(elements, Tagged) or elements.tag not in DTYPES:
        found = f"tag {elements.tag}" if isinstance(elements, Tagged) else type(elements).__name__
        raise BadMessageError("dtype", f"pixels must be a typed array (CBOR tags 64 to 86), found {found}")
    dtype = DTYPES[elements.tag]
    payload, encoding = _unwrapped(elements.value, np.dtype(dtype).itemsize)
    return PackedArray(payload, shape, dtype, encoding)


def _unwrapped(value: Any, itemsize: int) -> tuple[memoryview, Encoding]:
    """Return bytes and how they are packed, from a byte string or [algorithm, element size, byte string]."""
    if isinstance(value, memoryview):
        return value, Encoding()
    if not isinstance(value, Tagged) or value.tag != PACKED or not isinstance(value.value, list):
        raise BadMessageError("encoding", f"elements must be bytes or packed (CBOR tag {PACKED})")
    if len(value.value) != 3 or not isinstance(value.value[2], memoryview):
        raise BadMessageError("encoding", "a packed array must be [algorithm, element size, bytes]")
    algorithm, element_size, payload = value.value
    if algorithm not in ALGORITHMS:
        raise BadMessageError(
            "encoding", f"compression must be one of {', '.join(ALGORITHMS)}, found {algorithm!r:.40}"
        )
    if algorithm != "lz4" and element_size != itemsize:
        raise BadMessageError(
            "encoding", f"{algorithm} of {element_size!r:.40}-byte elements for {itemsize}-byte pixels"
        )
    return payload, Encoding(algorithm, "hdf5")
