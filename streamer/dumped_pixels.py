"""Pixels out of the dumps, while they are written and afterwards."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from braggwatch.processing.compression import bslz4_chunk
from braggwatch.processing.frame import Encoding
from braggwatch.processing.image_files.error import ImageFileError
from braggwatch.processing.image_files.single_images import read_image
from braggwatch.processing.nxmx.reader import NXmxReader
from braggwatch.processing.single_images import SUFFIXES
from braggwatch.streamer.messages import Dumped
from braggwatch.streamer.wording import plain

KEPT_OPEN = 4
"""Files. People look at shots of the same few files, and an open file costs a deleted one its disk space."""
ENCODING = Encoding("bslz4", "hdf5")
"""How `Pixels` are packed, as every NXmx dump has them."""


@dataclass(frozen=True)
class Pixels:
    """One image out of a dump."""

    payload: bytes
    """Packed as `ENCODING` says."""
    shape: tuple[int, int]
    """``(ss, fs)``."""
    dtype: str


class DumpedPixels:
    """Reads images from the files of the dumps; used from one thread.

    A file that is not where the record says is looked for beside the record, under as much of its path as is found
    there, since records and dumps are moved together.
    """

    def __init__(self, record: Path) -> None:
        self._beside = record.absolute().parent
        self._open: OrderedDict[Path, tuple[tuple[int, int], NXmxReader]] = OrderedDict()

    def read(self, places: Sequence[Dumped], number: int) -> Pixels | str:
        """Return frame `number` from the first of `places` that has it, or a sentence that says why none does."""
        problems, not_yet = [], False
        for place in places:
            try:
                pixels = self._pixels(place, number)
            except ImageFileError as error:
                self._forget(place.path)
                problems.append(str(error))
                continue
            if pixels is not None:
                return pixels
            not_yet = True
        if not_yet:
            return f"frame {number} is on its way to the disk: its pixels can be read in a second or so"
        return plain(f"frame {number} was dumped, but {'; '.join(problems)}", 500)

    def file(self, path: str) -> NXmxReader | None:
        """Return a file of the dumps, opened; None where it is not to be found. Raises ImageFileError."""
        for candidate in self._candidates(path):
            try:
                status = candidate.stat()
            except (OSError, ValueError):
                self._close(candidate)
                continue
            if not candidate.is_file():
                continue
            identity = status.st_dev, status.st_ino
            if candidate in self._open and self._open[candidate][0] != identity:
                self._close(candidate)
            if candidate not in self._open:
                self._open[candidate] = identity, NXmxReader(candidate)
            self._open.move_to_end(candidate)
            while len(self._open) > KEPT_OPEN:
                self._close(next(iter(self._open)))
            return self._open[candidate][1]
        return None

    def close(self) -> None:
        """Close all files."""
        for path in list(self._open):
            self._close(path)

    def _pixels(self, place: Dumped, number: int) -> Pixels | None:
        """Return an image, or None where its file does not have it yet. Raises ImageFileError."""
        if PurePath(place.path).suffix in SUFFIXES.values():
            found = next((candidate for candidate in self._candidates(place.path) if _is_file(candidate)), None)
            if found is not None:
                image, _ = read_image(found)
                return Pixels(bslz4_chunk(image), (image.shape[0], image.shape[1]), image.dtype.name)
        elif (reader := self.file(place.path)) is not None:
            chunk = reader.chunk(place.entry, number)
            return None if chunk is None else Pixels(chunk, reader.shape, reader.dtype)
        raise ImageFileError(f"{place.path} is not there: it was moved, or lies on another machine")

    def _candidates(self, path: str) -> Iterator[Path]:
        yield Path(path)
        parts = [part for part in Path(path).parts if part not in (Path(path).anchor, "..")]
        for first in range(len(parts)):
            yield self._beside.joinpath(*parts[first:])

    def _forget(self, path: str) -> None:
        for candidate in self._candidates(path):
            self._close(candidate)

    def _close(self, path: Path) -> None:
        if path in self._open:
            self._open.pop(path)[1].close()


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
