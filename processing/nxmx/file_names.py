"""Names of files that no two processes take, and what became of their writers."""

import re
from collections.abc import Iterable
from pathlib import Path

from braggwatch.processing.nxmx.superblock import has_writer_flags, make_readable
from braggwatch.processing.process_names import PROCESS, is_gone, process_name

_OWN = re.compile(rf"_{PROCESS}_\d{{5}}\.(h5|cxi)$")


def safe_file_name(name: str, length: int = 48) -> str:
    """Return `name` as part of a file name: letters, digits, ``.``, ``_``, ``-``, at most 48, none hidden.

    Anything else becomes ``_``; an empty name becomes ``_``.
    """
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name[:length]).lstrip(".") or "_"


def unique_name(parts: Iterable[str], number: int, suffix: str = ".h5") -> str:
    """Return PARTS_PROCESS_NUMBER.h5 with the name of this process; empty parts are left out."""
    return "_".join([*filter(None, parts), process_name(), f"{number:05d}"]) + suffix


def is_dump_name(path: Path) -> bool:
    """Whether a file has a name such as `unique_name` gives."""
    return _OWN.search(path.name) is not None


def order_written(path: Path) -> tuple[str, str, int, str]:
    """Return the key that sorts files by what their names say: dump and series, process, number of the file.

    The random part of a name differs from file to file, so that their names alone do not.
    """
    found = _OWN.search(path.name)
    if found is None:
        return path.name, "", 0, ""
    number = int(path.stem.rpartition("_")[2])
    return path.name[: found.start()], f"{found['host']}-{found['pid']}", number, path.name


def repair_abandoned(directory: Path) -> list[Path]:
    """Make files readable that killed processes of this machine left in the midst of a flush; return them.

    Files of processes that live, of other machines and of other names are not touched.
    """
    repaired = []
    for path in (*directory.glob("*.h5"), *directory.glob("*.cxi")):
        found = _OWN.search(path.name)
        if found is None or not is_gone(found["host"], int(found["pid"])):
            continue
        try:
            if has_writer_flags(path):
                make_readable(path)
                repaired.append(path)
        except (OSError, ValueError):
            # Not ours to judge: killed before it was a file of any use, or not ours to write.
            continue
    return repaired


def group_in_file_name(group: str) -> str:
    """Return a group's name as part of a file's; empty for none. Those of numbers stay apart: from, below."""
    return safe_file_name(group.replace("≥", "from").replace("<", "below")) if group else ""
