"""From file names with wildcards to series of frames."""

import glob
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Protocol

from braggwatch.processing.closing import Closing
from braggwatch.processing.frame import Frame, Series
from braggwatch.processing.image_files.error import ImageFileError
from braggwatch.processing.image_files.hdf5_stack import Hdf5Stack
from braggwatch.processing.image_files.single_images import SingleImages

_HDF5_SUFFIXES = {".h5", ".hdf5", ".nxs", ".nx", ".cxi", ".hdf"}
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


class _Images(Protocol):
    """Files that are open as one stack of images."""

    @property
    def series(self) -> Series: ...
    def __len__(self) -> int: ...
    def frame(self, index: int) -> Frame: ...
    def close(self) -> None: ...


class ImageSeries(Closing):
    """The images of one HDF5 file, or of consecutive single-image files of one folder and kind; a context manager."""

    def __init__(self, paths: Sequence[Path], *, key: str, number: int, dataset: str | None = None) -> None:
        """Open the files of one series (see `files_of_series`). Raises ImageFileError."""
        self.paths = tuple(paths)
        """The files that were named."""
        self._images: _Images
        if _is_hdf5(paths[0]):
            self._images = Hdf5Stack(paths[0], key=key, number=number, dataset=dataset)
        else:
            self._images = SingleImages(paths, key=key, number=number)

    @property
    def series(self) -> Series:
        """What the headers say."""
        return self._images.series

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._images)

    def frame(self, index: int) -> Frame:
        """Read one image, still compressed where the file has it so. Raises ImageFileError."""
        if not 0 <= index < len(self):
            raise IndexError(f"image {index} of {len(self)}")
        return self._images.frame(index)

    def __iter__(self) -> Iterator[Frame]:
        """Yield the images in order."""
        return (self.frame(index) for index in range(len(self)))

    def close(self) -> None:
        """Close the files."""
        self._images.close()


def open_image_files(
    paths: Sequence[str | Path], *, dataset: str | None = None, session: str | None = None
) -> Iterator[ImageSeries]:
    """Open image files one series after the other, each closed before the next.

    `paths` may have wildcards. Read are HDF5 files (NXmx and NeXus, DECTRIS master files with linked or virtual data,
    CXI, dumps of this program, plain stacks with `dataset` or the one stack of images that is in them) and single
    images in any format that fabio knows, compressed with gzip or bzip2 or not. `session` begins the keys of the
    series and is the time now if left out.

    Raises ImageFileError for a name that matches no file, before the first series, and for a file that cannot be read.
    """
    groups = files_of_series(find_files(paths))
    session = session or datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
    return _open_each(groups, dataset, session)


def files_of_series(files: Sequence[Path]) -> list[list[Path]]:
    """Return which files make up each series: an HDF5 file one, other files all of a folder and kind in a row."""
    groups: list[list[Path]] = []
    for (_, _, hdf5), group in groupby(files, lambda path: (path.parent, path.suffixes[-2:], _is_hdf5(path))):
        members = list(group)
        groups += [[path] for path in members] if hdf5 else [members]
    return groups


def find_files(paths: Sequence[str | Path]) -> list[Path]:
    """Return the files that names with wildcards mean, those of one pattern sorted by name.

    A DECTRIS master file and its data files may both match: the data files are then left out. Raises ImageFileError
    for a name that matches nothing.
    """
    found: dict[Path, None] = {}
    for name in map(str, paths):
        # A file of exactly this name wins over a pattern: brackets are legal in names.
        matches = [name] if Path(name).is_file() else sorted(glob.glob(name, recursive=True))  # noqa: PTH207 (absolute too)
        files = [Path(match) for match in matches if Path(match).is_file()]
        if not files:
            hint = "it is a folder: add /* to take its files" if Path(name).is_dir() else "there is no such file"
            raise ImageFileError(f"no image files at {name!r}: {hint}")
        found.update(dict.fromkeys(files))
    masters = [str(path).removesuffix("_master.h5") for path in found if path.name.endswith("_master.h5")]
    data_files = tuple(f"{master}_data_" for master in masters)
    kept = [path for path in found if not (data_files and str(path).startswith(data_files))]
    if not kept:
        raise ImageFileError("no image files: the list of names is empty")
    return kept


def _open_each(groups: list[list[Path]], dataset: str | None, session: str) -> Iterator[ImageSeries]:
    for number, paths in enumerate(groups, 1):
        with ImageSeries(paths, key=f"{session}-{number}", number=number, dataset=dataset) as images:
            yield images


def _is_hdf5(path: Path) -> bool:
    if path.suffix.lower() in _HDF5_SUFFIXES:
        return True
    try:
        with path.open("rb") as file:
            return file.read(8) == _HDF5_SIGNATURE
    except OSError as error:
        raise ImageFileError(f"{path}: cannot be read: {error.strerror}") from None
