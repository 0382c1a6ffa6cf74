"""Per-shot values in dumps of our own, so that shots can be grouped and chosen by them once more."""

from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

_FRAMES = "entry/frames"
_MOST = 100
"""Values of a shot that are read."""


def dumped_values(file: h5py.File, n_images: int) -> dict[str, NDArray[Any]]:
    """Return by name what came with each of the first `n_images` images, float64; nothing for a file that is no dump.

    ``group`` are the names of their groups (bytes), where they were grouped.
    """
    found: dict[str, NDArray[Any]] = {}
    values = file.get(f"{_FRAMES}/values")
    if isinstance(values, h5py.Group):
        for name in list(values)[:_MOST]:
            column = values.get(name)
            if isinstance(column, h5py.Dataset) and column.dtype.kind in "iuf" and _fits(column, n_images):
                found[name] = column[:n_images].astype(np.float64)
    groups = file.get(f"{_FRAMES}/group")
    if isinstance(groups, h5py.Dataset) and groups.dtype.kind == "S" and _fits(groups, n_images):
        found["group"] = groups[:n_images]
    return found


def values_of(columns: dict[str, NDArray[Any]], index: int) -> dict[str, float | int | str]:
    """Return the values of one image; those that it does not have are left out."""
    row: dict[str, float | int | str] = {}
    for name, column in columns.items():
        value = column[index]
        if isinstance(value, bytes):
            if value:
                row[name] = value.decode(errors="replace")
        elif not np.isnan(value):
            row[name] = float(value)
    return row


def _fits(column: h5py.Dataset, n_images: int) -> bool:
    return bool(column.ndim == 1 and len(column) >= n_images)
