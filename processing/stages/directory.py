"""Folders that stages write to."""

import errno
import os
import shutil
from pathlib import Path

_LEAST_FREE_BYTES = 64 << 20
"""Room on the disk without which no file is begun."""


def refuse_unwritable(directory: Path) -> None:
    """Raise ValueError where nothing could be written to `directory`, which need not exist yet."""
    there = directory.absolute()
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise ValueError(f"directory: expected a folder, found a file at {there}")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ValueError(f"directory: {there} is not writable for this user; choose another folder")


def refuse_full_disk(directory: Path) -> None:
    """Make a directory if it is not there; raise OSError where the disk has no room for another file."""
    directory.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(directory).free < _LEAST_FREE_BYTES:
        raise OSError(errno.ENOSPC, f"less than {_LEAST_FREE_BYTES >> 20} MiB left", str(directory))
