"""TIFF with pixels of 32 bit, uncompressed."""

import struct
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

_SHORT, _LONG, _ASCII = 3, 4, 2
_SAMPLE_FORMATS = {"u": 1, "i": 2, "f": 3}


def write_tiff(file: IO[bytes], image: NDArray[Any], description: str) -> None:
    """Write an image ``(ss, fs)`` of integers or floats, and an ASCII text as its ``ImageDescription``.

    Pixels of less than 32 bit get 32, signed or not as they were; others stay as wide as they are, so that every value
    is kept. The layout is the baseline of TIFF 6.0 (Adobe, 1992) with its ``SampleFormat``, in one strip.
    """
    pixels = as_wide_as_32_bit(image)
    text = description.encode("ascii")
    text += b" " * (-(len(text) + 1) % 8) + b"\0"  # so that what follows begins at a multiple of eight
    n_ss, n_fs = pixels.shape
    tags = 11
    text_at = 8
    directory_at = text_at + len(text)
    pixels_at = directory_at + 2 + 12 * tags + 4 + 6
    entries = [
        (256, _LONG, 1, n_fs),
        (257, _LONG, 1, n_ss),
        (258, _SHORT, 1, 8 * pixels.itemsize),
        (259, _SHORT, 1, 1),  # not compressed
        (262, _SHORT, 1, 1),  # 0 is black
        (270, _ASCII, len(text), text_at),
        (273, _LONG, 1, pixels_at),
        (277, _SHORT, 1, 1),  # one sample a pixel
        (278, _LONG, 1, n_ss),
        (279, _LONG, 1, pixels.nbytes),
        (339, _SHORT, 1, _SAMPLE_FORMATS[pixels.dtype.kind]),
    ]
    directory = struct.pack("<H", tags) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    file.write(struct.pack("<2sHI", b"II", 42, directory_at) + text)
    file.write(directory + struct.pack("<I", 0) + bytes(6))
    file.write(pixels.data)


def as_wide_as_32_bit(image: NDArray[Any]) -> NDArray[Any]:
    """Return an image in C order, little-endian, of at least 32 bit a pixel."""
    width = max(image.dtype.itemsize, 4)
    return np.ascontiguousarray(image, f"<{image.dtype.kind}{width}")
