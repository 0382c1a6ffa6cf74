"""Mask files that a CrystFEL geometry file names, read as CrystFEL reads them: panel by panel, by their bits."""

import logging
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401 - importing it makes its compression filters known to h5py
import numpy as np
from numpy.typing import NDArray

from braggwatch.processing.array_files import bad_by_bits
from braggwatch.processing.crystfel_geometry import CrystfelGeometry, CrystfelMask, CrystfelPanel

log = logging.getLogger(__name__)

LARGEST_MASK = 2**30
"""Values."""


class MaskFiles:
    """The masks of one geometry file. Each array is read once, when the first panel needs it.

    A mask's array has the dimensions of the data array, or those without the placeholders for frames, and may be larger
    than the panels. Files are looked for beside the geometry file, then in the working directory.
    """

    def __init__(self, geometry: CrystfelGeometry) -> None:
        self._geometry = geometry
        self._arrays: dict[tuple[Path, str], NDArray[np.generic]] = {}
        self._wanted = list(dict.fromkeys(mask for panel in geometry.panels for mask in panel.masks))

    @property
    def missing(self) -> list[str]:
        """The files that are named, and are nowhere."""
        return list(
            dict.fromkeys(mask.file for mask in self._wanted if mask.file is not None and self._file(mask) is None)
        )

    def warn(self) -> None:
        """Log what cannot be read: masks in data files, of which live frames have none, and files that are missing."""
        for mask in self._wanted:
            if mask.file is None:
                log.info("%s: the mask %s lies in data files and is not read", self._geometry.path, mask.data)
        for name in self.missing:
            log.warning("%s: its mask file %s does not exist; nothing is masked by it", self._geometry.path, name)

    def masked(self, panel: CrystfelPanel) -> NDArray[np.bool_]:
        """Return which pixels of a panel its masks leave out, ``(ss, fs)``; none by a file that is missing.

        Raises ValueError, naming file, array and panel, for what does not fit the panel or is no mask.
        """
        bad = np.zeros((panel.max_ss - panel.min_ss + 1, panel.max_fs - panel.min_fs + 1), np.bool_)
        for mask in panel.masks:
            file = self._file(mask)
            if file is None:
                continue
            where = f"{file}:{mask.data}, the mask of panel {panel.name} in {self._geometry.path}"
            if "%" in mask.data:
                raise ValueError(f"{where}: expected a path without placeholders: one mask for all frames")
            values = self._array(file, mask.data, where)
            bad |= bad_by_bits(where, values[_part(values.shape, panel, where)], mask.good_bits, mask.bad_bits)
        return bad

    def _file(self, mask: CrystfelMask) -> Path | None:
        if mask.file is None:
            return None
        candidates = [Path(self._geometry.path).parent / mask.file, Path(mask.file)]
        return next((candidate for candidate in candidates if candidate.is_file()), None)

    def _array(self, file: Path, path: str, where: str) -> NDArray[np.generic]:
        if (file, path) not in self._arrays:
            if not h5py.is_hdf5(file):
                raise ValueError(f"{where}: expected an HDF5 file")
            with h5py.File(file, "r") as opened:
                found = opened.get(path)
                if not isinstance(found, h5py.Dataset):
                    raise ValueError(f"{where}: the file has no such array; see mask_data in the geometry file")
                if found.size is None or found.size > LARGEST_MASK:
                    raise ValueError(f"{where}: expected at most {LARGEST_MASK} values, found {found.shape}")
                self._arrays[file, path] = _whole(found[()])
        return self._arrays[file, path]


def _whole(values: NDArray[Any]) -> NDArray[np.generic]:
    """Return whole numbers that are stored as floats as integers, as HDF5 converts them for CrystFEL."""
    if values.dtype.kind == "f" and (np.abs(values) < 2**53).all() and (values == np.rint(values)).all():
        return values.astype(np.int64)
    return values


def _part(shape: tuple[int, ...], panel: CrystfelPanel, where: str) -> tuple[slice | int, ...]:
    """Return which part of a mask's array is the panel's."""
    static = [dim for dim in panel.dims if dim != "%"]
    if len(shape) not in (len(static), len(panel.dims)):
        dims = " or ".join(dict.fromkeys(", ".join(map(str, axes)) for axes in (static, panel.dims)))
        raise ValueError(f"{where}: expected the dimensions of the data ({dims}), found {shape}")
    part: list[slice | int] = []
    for dim, length in zip(static if len(shape) == len(static) else panel.dims, shape, strict=True):
        if dim == "%" and length != 1:
            raise ValueError(f"{where}: expected one mask for all frames, found {length}, one a frame: {shape}")
        if dim == "ss":
            part.append(slice(panel.min_ss, panel.max_ss + 1))
        elif dim == "fs":
            part.append(slice(panel.min_fs, panel.max_fs + 1))
        else:
            part.append(dim if isinstance(dim, int) else 0)
        last = part[-1].stop - 1 if isinstance(part[-1], slice) else part[-1]
        if last >= length:
            raise ValueError(f"{where}: expected at least {last + 1} values along {dim}, found {shape}")
    return tuple(part)
