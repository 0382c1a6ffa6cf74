"""DIALS reflection tables (``.refl``): msgpack, with each column as one block of bytes.

The layout is that of DIALS's reflection_table_msgpack_adapter.h. Version 1, which all of DIALS reads; 2, of the newer
ones, differs only in shoeboxes, of which there are none here::

    ["dials::af::reflection_table", 1,
     {"identifiers": {id: identifier}, "nrows": n, "data": {name: [type, [n, bytes]]}}]
"""

import shutil
import struct
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import msgpack
import numpy as np
from numpy.typing import NDArray

from braggwatch.processing.closing import Closing

_TYPES: Mapping[str, tuple[np.dtype[np.generic], int]] = {
    "int": (np.dtype("<i4"), 1),
    "std::size_t": (np.dtype("<u8"), 1),
    "double": (np.dtype("<f8"), 1),
    "vec3<double>": (np.dtype("<f8"), 3),
    "cctbx::miller::index<>": (np.dtype("<i4"), 3),
}
"""What DIALS calls a type: of which numbers, and how many of them, a row is made."""
COLUMNS: Mapping[str, str] = {
    "id": "int",
    "panel": "std::size_t",
    "miller_index": "cctbx::miller::index<>",
    "flags": "std::size_t",
    "d": "double",
    "s1": "vec3<double>",
    "xyzcal.px": "vec3<double>",
    "xyzcal.mm": "vec3<double>",
    "xyzobs.px.value": "vec3<double>",
    "xyzobs.px.variance": "vec3<double>",
    "xyzobs.mm.value": "vec3<double>",
    "xyzobs.mm.variance": "vec3<double>",
    "intensity.sum.value": "double",
    "intensity.sum.variance": "double",
    "background.mean": "double",
}
"""Name and type of the columns that are written."""
MAX_ROWS = (2**32 - 1) // 24
"""msgpack counts the bytes of a column with 32 bits."""


class ReflectionTable(Closing):
    """A table that grows on disk, column by column, and is put together at its end; memory does not grow with it."""

    def __init__(self, folder: Path) -> None:
        """Take the folder for the columns; they have no names there and vanish with the program. Raises OSError."""
        self.n_rows = 0
        self._stack = ExitStack()
        self._columns: dict[str, IO[bytes]] = {
            name: self._stack.enter_context(tempfile.TemporaryFile(dir=folder))  # noqa: SIM115
            for name in COLUMNS
        }

    def close(self) -> None:
        """Give back the disk."""
        self._stack.close()

    def append(self, columns: Mapping[str, NDArray[np.generic]]) -> None:
        """Add rows: for each of `COLUMNS` an array ``(n,)``, or ``(n, 3)`` for vectors and indices.

        Raises ValueError for other columns or shapes and where the table gets too long, OSError where the disk is full.
        """
        if columns.keys() != COLUMNS.keys():
            raise ValueError(f"expected the columns {', '.join(COLUMNS)}, found {', '.join(columns)}")
        n = len(columns["id"])
        if self.n_rows + n > MAX_ROWS:
            raise ValueError(f"one .refl file takes at most {MAX_ROWS} reflections: export fewer dumps at a time")
        for name, kind in COLUMNS.items():
            dtype, width = _TYPES[kind]
            expected = (n, width) if width > 1 else (n,)
            if columns[name].shape != expected:
                raise ValueError(f"{name}: expected the shape {expected}, found {columns[name].shape}")
            self._columns[name].write(np.ascontiguousarray(columns[name], dtype).tobytes())
        self.n_rows += n

    def write(self, path: Path, identifiers: Sequence[str]) -> None:
        """Write the table, over whatever is at `path`; `identifiers` of the experiments that the column id counts.

        Raises OSError.
        """
        packer = msgpack.Packer(use_bin_type=True)
        with path.open("wb") as file:
            file.write(packer.pack_array_header(3) + packer.pack("dials::af::reflection_table") + packer.pack(1))
            file.write(packer.pack_map_header(3) + packer.pack("identifiers"))
            file.write(packer.pack(dict(enumerate(identifiers))))
            file.write(packer.pack("nrows") + packer.pack(self.n_rows))
            file.write(packer.pack("data") + packer.pack_map_header(len(COLUMNS)))
            for name, kind in COLUMNS.items():
                column = self._columns[name]
                length = column.tell()
                file.write(packer.pack(name) + packer.pack_array_header(2) + packer.pack(kind))
                file.write(packer.pack_array_header(2) + packer.pack(self.n_rows))
                file.write(struct.pack(">BI", 0xC6, length))  # bin 32
                column.seek(0)
                shutil.copyfileobj(column, file, 1 << 20)
