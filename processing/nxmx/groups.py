"""NeXus groups, and datasets that grow by rows."""

from collections.abc import Mapping, Sequence
from typing import Any

import h5py
import numpy as np
from numpy.typing import DTypeLike, NDArray

_ROWS_PER_CHUNK = 256
_ROWS_PER_BLOCK = 8192
# Not compressed: a chunk that fills up over several flushes would move to another place in the file with each.


def add_group(parent: h5py.Group, name: str, nx_class: str) -> h5py.Group:
    """Make a group of a NeXus class."""
    group = parent.create_group(name)
    group.attrs["NX_class"] = nx_class
    return group


def plain_text(text: str) -> str:
    """Return a text that HDF5 can store: without NUL and lone surrogates."""
    return text.replace("\0", "").encode(errors="replace").decode()


class Column:
    """A dataset to which rows are appended in memory first; `write` puts them into the file."""

    def __init__(self, group: h5py.Group, name: str, dtype: DTypeLike, row: tuple[int, ...] = (), **attributes: Any):
        self.dataset = group.create_dataset(
            name, (0, *row), dtype, maxshape=(None, *row), chunks=(_ROWS_PER_CHUNK, *row)
        )
        self.dataset.attrs.update(attributes)
        self._pending: list[Any] = []
        self._n_written = 0

    def append(self, row: Any) -> None:
        """Keep a row for the next `write`."""
        self._pending.append(row)

    def extend(self, rows: Sequence[Any]) -> None:
        """Keep rows for the next `write`."""
        self._pending.extend(rows)

    def write(self) -> None:
        """Append the kept rows to the dataset."""
        if not self._pending:
            return
        stop = self._n_written + len(self._pending)
        self.dataset.resize(stop, axis=0)
        self.dataset[self._n_written : stop] = np.array(self._pending, self.dataset.dtype)
        self._n_written = stop
        self._pending.clear()


class Table:
    """Columns of one length in a group, to which blocks of rows are appended in memory first."""

    def __init__(self, group: h5py.Group, columns: Mapping[str, tuple[DTypeLike, tuple[int, ...]]]) -> None:
        """`columns` says dtype and shape of one row, by name."""
        self._datasets = {
            name: group.create_dataset(name, (0, *row), dtype, maxshape=(None, *row), chunks=(_ROWS_PER_BLOCK, *row))
            for name, (dtype, row) in columns.items()
        }
        self._pending: list[Mapping[str, NDArray[Any]]] = []
        self._n_written = 0

    def append(self, block: Mapping[str, NDArray[Any]]) -> None:
        """Keep rows for the next `write`: an array for each column, all of one length."""
        self._pending.append(block)

    def write(self) -> None:
        """Append the kept rows to the datasets."""
        if not self._pending:
            return
        for name, dataset in self._datasets.items():
            rows = np.concatenate([block[name] for block in self._pending])
            stop = self._n_written + len(rows)
            dataset.resize(stop, axis=0)
            dataset[self._n_written : stop] = rows
        self._n_written = stop
        self._pending.clear()
