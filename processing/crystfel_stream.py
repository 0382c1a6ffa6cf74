"""CrystFEL streams that one process writes, image by image."""

import os
from collections.abc import Sequence
from pathlib import Path

from braggwatch.processing.closing import Closing
from braggwatch.processing.crystal import Crystal
from braggwatch.processing.crystfel_stream_text import StreamText, usable
from braggwatch.processing.detector import Detector
from braggwatch.processing.peaks import Peaks
from braggwatch.processing.reflections import Reflections
from braggwatch.processing.unit_cell import UnitCell


class StreamWriter(Closing):
    """Writes a stream whose every whole chunk can be read at once, by CrystFEL and by others.

    A chunk goes to the system in one piece; a reader of a growing stream leaves out a last one that lacks its end.
    After an OSError (disk full) the stream ends with the last whole chunk. Not thread-safe.
    """

    def __init__(
        self, path: Path, *, detector: Detector, geometry: str, cell: UnitCell | None = None, command: str = ""
    ) -> None:
        """Begin a stream at `path`, which must not exist (FileExistsError); the rest is told in `StreamText`."""
        self.path = path
        self.n_chunks = 0
        self._text = StreamText(detector, geometry=geometry, cell=cell, command=command)
        self._file = path.open("xb", buffering=0)
        self._length = 0
        try:
            self._write(self._text.header)
        except BaseException:
            path.unlink(missing_ok=True)
            self._file.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def append(
        self,
        filename: str,
        event: int,
        *,
        wavelength: float,
        peaks: Peaks,
        crystals: Sequence[Crystal] = (),
        reflections: Sequence[Reflections] = (),
    ) -> int:
        """Add an image (see `StreamText.chunk`) and return how many reflections were written with it.

        Raises ValueError for what the format cannot hold, OSError where the disk is full.
        """
        chunk = self._text.chunk(
            filename, event, serial=self.n_chunks + 1, wavelength=wavelength, peaks=peaks, crystals=crystals,
            reflections=reflections,
        )  # fmt: skip
        self._write(chunk)
        self.n_chunks += 1
        return sum(int(usable(table).sum()) for table in reflections)

    def _write(self, text: bytes) -> None:
        rest = memoryview(text)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError:
            self._file.truncate(self._length)
            self._file.seek(0, os.SEEK_END)
            raise
        self._length = self._file.tell()
