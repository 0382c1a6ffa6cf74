"""A CrystFEL stream to which several processes append."""

import contextlib
import enum
import errno
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from braggwatch.processing.closing import Closing
from braggwatch.processing.crystfel_stream_text import CHUNK_END

LOCK_SECONDS = 2.0
"""How long a process waits for the others: a chunk takes well below a millisecond, unless one of them was stopped."""
_MOST_FILES = 1000
_END = b"\n" + CHUNK_END
"""A file name may read like the end of a chunk, but no line before it ends there."""
_BLOCK = 1 << 16
_CLOSED = -1


class SharedStream(Closing):
    """A stream that any number of processes write together, on any machine that sees the file.

    A process that appends holds a lock on the file (flock) meanwhile. It writes the header where the file is empty,
    cuts back to the last whole chunk what a process left that was killed in the midst of writing, and then appends its
    chunk in one piece. So the file ends with a whole chunk at any moment, but for the one that is just being written.

    A file with another header is left as it is: the stream then goes on under the same name with -2, -3 and so on,
    which every process finds for itself. A file that was moved or deleted meanwhile is begun anew. Not thread-safe.
    """

    def __init__(self, path: Path, header: bytes) -> None:
        """Take the file's name, and what stands at its beginning; the first chunk makes the file."""
        self.path = path
        """Where chunks go: another name than was asked for, once a file with another header was found there."""
        self._asked = path
        self._number = 1
        self._header = header
        self._descriptor = _CLOSED
        self._length = 0
        """How long the file was when this process had last written to it."""

    def append(self, chunk: bytes) -> None:
        """Add a whole chunk.

        Raises OSError where the disk is full or the file cannot be written, and TimeoutError where another process
        keeps it locked. Nothing is left of the chunk then.
        """
        while True:
            self._open()
            with _locked(self._descriptor, self.path):
                found = self._look()
                if found is _Found.OURS:
                    self._write(chunk)
                    return
            self.close()
            if found is _Found.ANOTHER:
                self._take_next_name()

    def close(self) -> None:
        """Close the file; the next chunk opens it again."""
        if self._descriptor != _CLOSED:
            os.close(self._descriptor)
            self._descriptor, self._length = _CLOSED, 0

    def _open(self) -> None:
        if self._descriptor == _CLOSED:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)

    def _take_next_name(self) -> None:
        if self._number == _MOST_FILES:
            raise FileExistsError(
                errno.EEXIST, f"{_MOST_FILES} files of this name with other headers are there", str(self._asked)
            )
        self._number += 1
        self.path = self._asked.with_name(f"{self._asked.stem}-{self._number}{self._asked.suffix}")

    def _look(self) -> "_Found":
        """See to it that the file begins with our header and ends with a whole chunk, unless it is not our file."""
        here = os.fstat(self._descriptor)
        try:
            there = self.path.stat()
        except FileNotFoundError:
            return _Found.MOVED
        if (here.st_dev, here.st_ino) != (there.st_dev, there.st_ino):
            return _Found.MOVED
        size = here.st_size
        if self._length and size == self._length:
            return _Found.OURS  # nobody else has written since
        begin = os.pread(self._descriptor, len(self._header), 0)
        if begin != self._header:
            if size >= len(self._header) or not self._header.startswith(begin):
                return _Found.ANOTHER
            os.ftruncate(self._descriptor, 0)
            self._length = 0
            self._write(self._header)
        elif size > len(self._header):
            self._cut_back(size)
        return _Found.OURS

    def _cut_back(self, size: int) -> None:
        """Cut the file off behind its last whole chunk."""
        stop = size
        while stop > len(self._header):
            start = max(stop - (_BLOCK if stop < size else len(_END)), len(self._header) - 1)
            found = os.pread(self._descriptor, stop - start, start).rfind(_END)
            if found >= 0:
                stop = start + found + len(_END)
                break
            stop = start + len(_END) - 1 if start >= len(self._header) else len(self._header)
        if stop != size:
            os.ftruncate(self._descriptor, stop)
        self._length = stop

    def _write(self, text: bytes) -> None:
        length = os.fstat(self._descriptor).st_size
        rest = memoryview(text)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError:
            os.ftruncate(self._descriptor, length)
            raise
        self._length = length + len(text)


class _Found(enum.Enum):
    """What a name stands for."""

    OURS = enum.auto()
    ANOTHER = enum.auto()
    """A file with another header."""
    MOVED = enum.auto()
    """Not the file any more that is open."""


@contextlib.contextmanager
def _locked(descriptor: int, path: Path) -> Iterator[None]:
    give_up, pause = time.monotonic() + LOCK_SECONDS, 1e-4
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > give_up:
                raise TimeoutError(
                    errno.ETIMEDOUT, f"another process has kept the file locked for {LOCK_SECONDS:g} s", str(path)
                ) from None
            time.sleep(pause)
            pause = min(2 * pause, 1e-3)
    try:
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
