"""Tags that people put on shots, written into the record."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from braggwatch.streamer.wording import plain

MAX_LENGTH = 64
MAX_TAGS = 20
"""On one shot."""
BUSY_S = 1.0
"""s to wait for the processor, which writes twice a second, a few milliseconds each time."""


class TagError(ValueError):
    """A tag that cannot be given, with the reason."""


def set_tag(record: Path, series: str, number: int, tag: str, *, present: bool) -> None:
    """Put a tag on a shot, or take it off; as it is already is as good.

    The connection is this call's own, and closed at its end. Raises TagError for a tag that is no tag and for a run
    that is not known, and sqlite3.Error where the record cannot be written.
    """
    tag = clean_tag(tag)
    uri = f"{record.absolute().as_uri()}?mode=rw"
    with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None)) as connection:
        run = connection.execute("SELECT max(id) FROM runs WHERE key = ?", (series,)).fetchone()[0]
        if run is None:
            raise TagError(f"no run {plain(series, 80)!r} is in the record {record.name}")
        if not present:
            connection.execute("DELETE FROM tags WHERE run = ? AND number = ? AND tag = ?", (run, number, tag))
            return
        (n,) = connection.execute("SELECT count(*) FROM tags WHERE run = ? AND number = ?", (run, number)).fetchone()
        if n >= MAX_TAGS:
            raise TagError(f"frame {number} has {n} tags already; take one off first")
        connection.execute(
            "INSERT OR IGNORE INTO tags (run, number, tag, time) VALUES (?, ?, ?, ?)", (run, number, tag, time.time())
        )


def clean_tag(tag: str) -> str:
    """Return a tag with single spaces. Raises TagError where it is empty, too long, or not printable."""
    words = " ".join(tag.split())
    if not words:
        raise TagError("a tag needs at least one character")
    if len(words) > MAX_LENGTH:
        raise TagError(f"a tag has at most {MAX_LENGTH} characters, found {len(words)}")
    if not words.isprintable():
        raise TagError("a tag has printable characters only")
    return words
