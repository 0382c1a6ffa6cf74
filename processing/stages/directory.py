"""Folders that stages write to."""

import os
from pathlib import Path


def refuse_unwritable(directory: Path) -> None:
    """Raise ValueError where nothing could be written to `directory`, which need not exist yet."""
    there = directory.absolute()
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise ValueError(f"directory: expected a folder, found a file at {there}")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ValueError(f"directory: {there} is not writable for this user; choose another folder")
