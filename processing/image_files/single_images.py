"""Files of one image each: CBF, EDF, TIFF and whatever else fabio reads."""

import bz2
import gzip
import io
import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import fabio
import numpy as np
from fabio.fabioutils import BytesIO
from numpy.typing import NDArray

from braggwatch.processing.frame import Encoding, Frame, Series
from braggwatch.processing.image_files.cbf_header import not_measured, read_mini_cbf
from braggwatch.processing.image_files.description import (
    bad_pixels,
    find_description,
    series_fields,
    time_of_exposure,
)
from braggwatch.processing.image_files.error import MAX_IMAGE_BYTES, ImageFileError

_CBF_TEXT = "_array_data.header_contents"
_OPENERS = {".bz2": bz2.BZ2File, ".gz": gzip.GzipFile}


class SingleImages:
    """Files of one folder, taken as the images of one series."""

    def __init__(self, paths: Sequence[Path], *, key: str, number: int) -> None:
        """Read the first file for what it says about all of them. Raises ImageFileError."""
        self._paths = paths
        self._key = key
        self._first, header = read_image(paths[0])
        text, self._description = str(header.get(_CBF_TEXT, "")), find_description(paths[0], header)
        fields = series_fields(self._description, self._first.dtype) if self._description else {}
        fields |= {name: value for name, value in read_mini_cbf(text).items() if value not in (None, "")}
        # Pixels between modules and dead ones are negative in the integer images of counting detectors.
        unmeasured = not_measured(text)
        bad = self._first < 0 if unmeasured is None else self._first == unmeasured
        mask = bad if self._first.dtype.kind == "i" and (text or not self._description) else None
        if mask is None:
            mask = bad_pixels(self._description, self._first)
        self._series = Series(
            key=key,
            number=number,
            name=_without_suffixes(paths[0]),
            n_frames=len(paths),
            shape=self._first.shape,
            dtype=self._first.dtype.name,
            mask=mask if mask is not None and mask.any() else None,
            **fields,
        )

    @property
    def series(self) -> Series:
        """What the header of the first image says."""
        return self._series

    def __len__(self) -> int:
        return len(self._paths)

    def frame(self, index: int) -> Frame:
        """Read one image."""
        path = self._paths[index]
        image, description = self._first, self._description
        if index:
            image, header = read_image(path)
            description = find_description(path, header)
        if image.shape != self._series.shape or image.dtype.name != self._series.dtype:
            raise ImageFileError(
                f"{path}: the image is {image.shape} {image.dtype}, "
                f"expected {self._series.shape} {self._series.dtype} as in {self._paths[0].name}"
            )
        return Frame(
            series=self._key,
            number=index,
            payload=image.tobytes(),
            shape=image.shape,
            dtype=image.dtype.name,
            encoding=Encoding("none"),
            timestamp=time_of_exposure(description),
            values={"file": path.name},
        )

    def close(self) -> None:
        """Nothing stays open."""


def read_image(path: Path) -> tuple[NDArray[Any], Mapping[str, Any]]:
    """Return the image ``(ss, fs)`` of a file, in the machine's byte order, and its header as fabio has it.

    Raises ImageFileError for a file that is missing, too large, damaged, or in no known format.
    """
    content = _content(path)
    _check_claimed_size(path, content)
    stream = BytesIO(content, fname=_name_without_compression(path))
    try:
        opened = fabio.open(stream)
        n_images, image = opened.nframes, np.ascontiguousarray(opened.data)
    except Exception as error:  # fabio raises whatever the parser of the format raises
        raise ImageFileError(
            f"{path}: no image in a known format (HDF5, CBF, EDF, TIFF and others of fabio): "
            f"{' '.join(str(error).split()) or type(error).__name__}"
        ) from None
    if n_images != 1:
        raise ImageFileError(f"{path}: expected one image, found {n_images}; convert the file to HDF5")
    if image.ndim != 2 or image.dtype.kind not in "iuf":
        raise ImageFileError(f"{path}: expected one image of integers or floats, found {image.shape} {image.dtype}")
    if not image.dtype.isnative:
        image = image.astype(image.dtype.newbyteorder("="))
    return image, opened.header


def _content(path: Path) -> bytes:
    opener: Any = _OPENERS.get(path.suffix.lower(), io.open)
    try:
        with opener(path, "rb") as file:
            content = bytes(file.read(MAX_IMAGE_BYTES + 1))
    except (OSError, EOFError, zlib.error) as error:
        raise ImageFileError(f"{path}: cannot be read: {error}") from None
    if len(content) > MAX_IMAGE_BYTES:
        raise ImageFileError(f"{path}: expected at most {MAX_IMAGE_BYTES} bytes of image, found more")
    return content


def _check_claimed_size(path: Path, content: bytes) -> None:
    """Refuse a CBF whose header claims an image that no detector has, before fabio takes the memory for it."""
    claimed = 8
    for direction in (b"Fastest", b"Second"):
        found = re.search(rb"X-Binary-Size-%b-Dimension:\s*(\d{1,18})" % direction, content[:65536])
        claimed *= int(found[1]) if found else 1
    if claimed > 8 * MAX_IMAGE_BYTES:
        raise ImageFileError(f"{path}: its header claims {claimed // 8} pixels, expected at most {MAX_IMAGE_BYTES}")


def _name_without_compression(path: Path) -> str:
    return path.name.removesuffix(path.suffix) if path.suffix.lower() in _OPENERS else path.name


def _without_suffixes(path: Path) -> str:
    name = _name_without_compression(path)
    return name.removesuffix(Path(name).suffix)
