"""Freed memory: kept for the next frame by programs in a hurry, given back by those that last."""

import ctypes
import platform

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -2, -3, -8

KEPT = 2**28
"""Bytes at the top of the heap that may lie free."""
LARGE = 2**18
"""Bytes from which on a block is large."""


def keep_freed_memory() -> bool:
    """Make this process's allocator fit for messages of megabytes; return whether it could.

    ZeroMQ allocates every message anew, and glibc gives memory of that size back as soon as it is free, so that each
    frame is paid for in page faults: half of what the hub does for a 4 Mpx frame. To be called ahead of the first
    ZeroMQ context, by programs that receive frames. Does nothing where the C library is not glibc.
    """
    return _set({M_ARENA_MAX: 1, M_MMAP_THRESHOLD: 2**25, M_TRIM_THRESHOLD: KEPT, M_TOP_PAD: 2**26})


def give_back_freed_memory() -> bool:
    """Have every large block in a mapping of its own, which goes when the block is freed; return whether that could be.

    A viewer keeps some hundred packed images for a while. In one heap they leave holes of their sizes, which the next
    ones do not fit: a third of its memory. To be called ahead of the first ZeroMQ context.
    """
    return _set({M_ARENA_MAX: 2, M_MMAP_THRESHOLD: LARGE})


def _set(settings: dict[int, int]) -> bool:
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    accepted = [mallopt(name, value) for name, value in settings.items()]
    return all(accepted)
