"""Files of one image each, under the names that the older tools gave."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.lib.format import header_data_from_array_1_0, write_array_header_1_0
from numpy.typing import NDArray

from braggwatch.processing.shot import Shot
from braggwatch.processing.single_images.cbf import byte_offsets, write_cbf
from braggwatch.processing.single_images.description import as_json, describe_image, milliseconds, time_of
from braggwatch.processing.single_images.tiff import write_tiff
from braggwatch.processing.whole_files import free_path, write_whole

SUFFIXES = {"tiff": ".tiff", "cbf": ".cbf", "npy": ".npy"}
"""How the names of files end, by format."""


class SingleImageFiles:
    """Writes images into a folder, one a file: BASENAME, UTC time YYYYMMDDhhmmssmmm, ``_``, frame number, suffix.

    The time is that of the exposure or, where the detector says no more than how long its series runs, that at which
    the chain began with it. A name that is there already is not taken again: ``-2`` follows the number then. What is no
    whole image yet has another name, which begins with a dot.
    """

    def __init__(self, directory: Path, format_: Literal["tiff", "cbf", "npy"]) -> None:
        """Say where to write, and in which format."""
        self.directory = directory
        self._format = format_
        if format_ == "cbf":
            byte_offsets()  # so that the first image need not wait for it

    def write(self, shot: Shot, basename: str) -> Path:
        """Write a shot's image with what `describe_image` says of it, and return the file.

        TIFF has the description as JSON in its ``ImageDescription``, CBF in the last line of its header, an npy file in
        a file of the same name that ends in ``.json`` and is there before it.

        Raises OSError where the folder or the file cannot be written; nothing is left of the file then.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        time = time_of(shot)
        description = as_json(describe_image(shot, time))
        name = f"{basename}{milliseconds(time)}_{shot.number:05d}{SUFFIXES[self._format]}"
        path = free_path(self.directory / name)
        files: dict[Path, Callable[[IO[bytes]], object]] = {}
        if self._format == "npy":
            files[path.with_suffix(".json")] = lambda file: file.write(description.encode("ascii") + b"\n")
        files[path] = lambda file: self._write_image(file, shot, time, description)
        write_whole(files)
        return path

    def _write_image(self, file: IO[bytes], shot: Shot, time: datetime, description: str) -> None:
        if self._format == "tiff":
            write_tiff(file, shot.image, description)
        elif self._format == "cbf":
            write_cbf(file, shot, time, description)
        else:
            write_npy(file, shot.image)


def write_npy(file: IO[bytes], image: NDArray[Any]) -> None:
    """Write an image as ``numpy.save`` does, which does not say why it fails where the disk is full."""
    pixels = np.ascontiguousarray(image)
    write_array_header_1_0(file, header_data_from_array_1_0(pixels))
    file.write(pixels.data)
