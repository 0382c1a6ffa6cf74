"""Files that have their name once they are whole."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from braggwatch.processing.process_names import PROCESS, is_gone, process_name

_UNFINISHED = re.compile(rf"\..+_{PROCESS}\.part$")


def write_whole(files: Mapping[Path, Callable[[IO[bytes]], object]]) -> None:
    """Write files under other names; they get their own, in order, when all are whole, and are removed if not.

    Meanwhile a file is called ``.NAME_PROCESS.part``. Raises OSError where there is no room.
    """
    process = process_name()
    parts = {path: path.with_name(f".{path.name}_{process}.part") for path in files}
    try:
        for path, write in files.items():
            with parts[path].open("xb") as file:
                write(file)
        for path, part in parts.items():
            part.replace(path)
    except BaseException:
        for part in parts.values():
            part.unlink(missing_ok=True)
        raise


def free_path(path: Path) -> Path:
    """Return `path`, or where it is taken, the same with ``-2``, ``-3`` and so on at the end of its stem."""
    free, number = path, 2
    while free.exists():
        free, number = path.with_stem(f"{path.stem}-{number}"), number + 1
    return free


def remove_abandoned(directory: Path) -> list[Path]:
    """Remove what killed processes of this machine left of files that they were writing; return what that was.

    Files of processes that live, of other machines and of other names are not touched. Raises OSError where the
    folder cannot be read.
    """
    removed = []
    for path in directory.glob(".*.part"):
        found = _UNFINISHED.match(path.name)
        if found is None or not is_gone(found["host"], int(found["pid"])):
            continue
        try:
            path.unlink()
        except OSError:
            continue  # another process was quicker, or it is not ours to remove
        removed.append(path)
    return removed
