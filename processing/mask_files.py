"""Masks on disk, in the form that ``[detector] mask`` reads."""

import contextlib
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
from numpy.typing import NDArray

MASK = "/mask"
"""Where the mask lies in its file."""


def save_mask(path: Path, mask: NDArray[np.bool_], provenance: str) -> str:
    """Write a mask ``(ss, fs)``, True where a pixel must not be used, as uint8 that is 1 there.

    A file of that name is replaced, at once and as a whole. Returns what ``[detector] mask`` must say to read it.
    Raises OSError where it cannot be written.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    filters: dict[str, Any] = dict(hdf5plugin.Bitshuffle())
    try:
        with h5py.File(unfinished, "w") as file:
            dataset = file.create_dataset(MASK, data=mask.astype(np.uint8), **filters)
            dataset.attrs["meaning"] = "1 where a pixel must not be used, 0 elsewhere"
            dataset.attrs["n_masked"] = int(np.count_nonzero(mask))
            file.attrs["written"] = datetime.now(UTC).isoformat(timespec="seconds")
            file.attrs["provenance"] = provenance
        unfinished.replace(path)
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)
    return f"{path}:{MASK}"
