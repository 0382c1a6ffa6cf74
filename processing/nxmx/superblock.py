"""Let any program open an HDF5 file whose writer has not closed it, or never will.

While a file is open for writing, HDF5 keeps two flags set in the file's superblock, and a plain ``h5py.File(path)`` of
a file with these flags fails: also after the writer was killed, until somebody runs ``h5clear``. The flags are advice
to readers, nothing else depends on them: under SWMR the writer orders its writes so that what is in the file is valid
at any moment. So the writer clears them after each flush. Layout and checksum: HDF5 File Format Specification 3.0,
sections II.A (superblock version 3) and the lookup3 hash by Bob Jenkins (public domain).
"""

import os
import struct
from pathlib import Path

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_SIZE = 48
"""Bytes of a version 3 superblock with 8-byte offsets, its checksum the last four."""
_FLAGS = 11
"""Offset of the flags."""
_END = 28
"""Offset of the end-of-file address."""
_MASK = 0xFFFFFFFF


def make_readable(path: Path) -> None:
    """Make the flushed part of an HDF5 file readable without ``swmr=True``.

    To be called between flushes by the writer, or by anybody once the writer is dead: it also sets the end of the file
    that the superblock tells, and the file's length, to the larger of the two, which differ after a flush that was cut
    short. Raises ValueError if the file has no valid version 3 superblock with 8-byte offsets (``libver`` v110 or
    later), and then leaves it as it is.
    """
    descriptor = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
    try:
        block = os.pread(descriptor, _SIZE, 0)
        if len(block) < _SIZE or block[:8] != _SIGNATURE or block[8] != 3 or block[9:11] != b"\x08\x08":
            raise ValueError(f"{path}: expected an HDF5 superblock of version 3 with 8-byte offsets at its start")
        if struct.unpack_from("<I", block, _SIZE - 4)[0] != _lookup3(block[:-4]):
            raise ValueError(f"{path}: the checksum of its superblock is wrong")
        size = os.fstat(descriptor).st_size
        end = max(size, struct.unpack_from("<Q", block, _END)[0])
        if end > size:
            os.ftruncate(descriptor, end)
        wanted = block[:_FLAGS] + b"\0" + block[_FLAGS + 1 : _END] + struct.pack("<Q", end) + block[_END + 8 : -4]
        if wanted != block[:-4]:
            # One small write, so that a reader sees either the old or the new block.
            os.pwrite(descriptor, wanted + struct.pack("<I", _lookup3(wanted)), 0)
    finally:
        os.close(descriptor)


def has_writer_flags(path: Path) -> bool:
    """Tell whether an HDF5 file says that somebody is writing to it; False for what is no such file."""
    with path.open("rb") as file:
        block = file.read(_SIZE)
    return len(block) == _SIZE and block[:8] == _SIGNATURE and block[8] == 3 and block[_FLAGS] != 0


def _lookup3(data: bytes) -> int:
    """Return the 32-bit lookup3 hash of `data`, of initial value 0."""
    a = b = c = (0xDEADBEEF + len(data)) & _MASK
    padded = data + b"\0" * (-len(data) % 12)
    words = struct.unpack(f"<{len(padded) // 4}I", padded)
    for i in range(0, len(words), 3):
        a, b, c = (a + words[i]) & _MASK, (b + words[i + 1]) & _MASK, (c + words[i + 2]) & _MASK
        if i + 3 < len(words):
            a, b, c = _mix(a, b, c)
    return _final(a, b, c)


def _rotated(x: int, k: int) -> int:
    return ((x << k) | (x >> (32 - k))) & _MASK


def _mix(a: int, b: int, c: int) -> tuple[int, int, int]:
    for k in (4, 6, 8, 16, 19, 4):
        # The three words change roles after each step.
        a = ((a - c) & _MASK) ^ _rotated(c, k)
        c = (c + b) & _MASK
        a, b, c = b, c, a
    return a, b, c


def _final(a: int, b: int, c: int) -> int:
    for k in (14, 11, 25, 16, 4, 14, 24):
        c = ((c ^ b) - _rotated(b, k)) & _MASK
        a, b, c = b, c, a
    return b
