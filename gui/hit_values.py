"""What is known of every hit as numbers, column by column: what tables are sorted and filtered by."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from braggwatch.gui.hit_columns import HitColumns
from braggwatch.gui.shot_key import ShotKey

F64 = NDArray[np.float64]
Rows = NDArray[np.int64]

_OF_HIT = {
    "run": "run", "frame": "number", "time": "time", "state": "indexed", "spots": "n_peaks", "res": "resolution",
    "lattices": "n_lattices",
}  # fmt: skip
_OF_LATTICE = {"indexed": "n_indexed", "rmsd": "rmsd_px"}
CELL = ("a", "b", "c", "al", "be", "ga")
NAMES = (*_OF_HIT, *_OF_LATTICE, *CELL, "group", "file", "tags")
"""Of the columns; ``indexed`` is the number of spots that the best lattice explains, ``state`` 1 where indexed."""
_ENTRIES = float(2**32)


class HitValues:
    """The columns of `HitColumns`, those of its best lattices and its files and tags among them.

    Rows that are new in `hits` are seen after `grow`.
    """

    def __init__(self, hits: HitColumns) -> None:
        self.hits = hits
        self.keys: list[ShotKey] = []
        """Which shots the rows are."""
        self.tags: dict[int, tuple[str, ...]] = {}
        """By row; rows without tags are not in it."""
        self._best = np.empty(0, np.int64)
        self._n_lattices = 0
        self._paths: dict[str, int] = {}
        self._path = np.empty(0, np.int64)
        self._entry = np.empty(0, np.float64)

    def __len__(self) -> int:
        return len(self.keys)

    def grow(self, limit: int | None = None) -> Rows:
        """Take in what is new in `hits`, at most `limit` rows of it; return the new rows."""
        old, new = len(self), len(self.hits)
        new = new if limit is None else min(new, old + limit)
        if new == old:
            return np.empty(0, np.int64)
        path, entry = np.full(new - old, -1, np.int64), np.full(new - old, np.nan)
        for row in range(old, new):
            said = self.hits.row(row)
            self.keys.append(self.hits.key(row))
            if said.dumped:
                path[row - old] = self._paths.setdefault(said.dumped[0].path, len(self._paths))
                entry[row - old] = said.dumped[0].entry
            if said.tags:
                self.tags[row] = said.tags
        self._path, self._entry = np.concatenate([self._path, path]), np.concatenate([self._entry, entry])
        self._grow_best(old, new)
        return np.arange(old, new)

    def _grow_best(self, old: int, new: int) -> None:
        of_lattice = self.hits.lattices["hit"]
        end = int(np.searchsorted(of_lattice, new))
        of_hit, first = np.unique(of_lattice[self._n_lattices : end], return_index=True)
        best = np.full(new - old, -1, np.int64)
        best[of_hit - old] = first + self._n_lattices
        self._best, self._n_lattices = np.concatenate([self._best, best]), end

    def retag(self, row: int) -> None:
        """Look again at the tags of a row."""
        tags = self.hits.row(row).tags
        if tags:
            self.tags[row] = tags
        else:
            self.tags.pop(row, None)

    def of(self, name: str, rows: Rows) -> F64:
        """Return a column of `NAMES` for some rows, ``(n,)``; NaN where it is not known.

        Groups, files and tags come as numbers in alphabetical order, and files by entry.
        """
        if name in _OF_HIT:
            return self.hits.hits[_OF_HIT[name]][rows].astype(np.float64)
        if name == "group":
            return self._group_ranks(rows)
        if name == "file":
            return self._files(rows)
        if name == "tags":
            return self._tag_ranks(rows)
        best = self._best[rows]
        known = best >= 0
        values = np.full(len(rows), np.nan)
        lattices = self.hits.lattices[best[known]]
        values[known] = lattices["cell"][:, CELL.index(name)] if name in CELL else lattices[_OF_LATTICE[name]]
        return values

    def _group_ranks(self, rows: Rows) -> F64:
        rank = np.full(1 + len(self.hits.groups), np.nan)
        for i, group in enumerate(sorted(self.hits.groups)):
            rank[self.hits.code_of(group)] = i
        ranks: F64 = rank[self.hits.hits["group"][rows]]
        return ranks

    def _files(self, rows: Rows) -> F64:
        rank = np.empty(len(self._paths) + 1)
        rank[-1] = np.nan
        rank[[self._paths[path] for path in sorted(self._paths)]] = np.arange(len(self._paths))
        return rank[self._path[rows]] * _ENTRIES + self._entry[rows]

    def _tag_ranks(self, rows: Rows) -> F64:
        rank = {tags: i for i, tags in enumerate(sorted(set(self.tags.values())))}
        ranks = np.full(len(self), np.nan)
        for row, tags in self.tags.items():
            ranks[row] = rank[tags]
        return ranks[rows]

    def with_tag(self, tag: str, rows: Rows) -> NDArray[np.bool_]:
        """Tell which rows have a tag, whatever its case."""
        tag = tag.casefold()
        return self._among((row for row, tags in self.tags.items() if tag in map(str.casefold, tags)), rows)

    def in_file(self, part: str, rows: Rows) -> NDArray[np.bool_]:
        """Tell which rows are in a file in whose path a text occurs, whatever its case."""
        fits = np.zeros(len(self._paths) + 1, bool)
        fits[[code for path, code in self._paths.items() if part.casefold() in path.casefold()]] = True
        return fits[self._path[rows]]

    def in_group(self, group: str, rows: Rows) -> NDArray[np.bool_]:
        """Tell which rows belong to a group, whatever its case."""
        group = group.casefold()
        codes = [self.hits.code_of(name) for name in self.hits.groups if name.casefold() == group]
        return np.isin(self.hits.hits["group"][rows], codes)

    def is_dumped(self, rows: Rows) -> NDArray[np.bool_]:
        """Tell which rows are in a file."""
        return self._path[rows] >= 0

    def _among(self, chosen: Iterable[int], rows: Rows) -> NDArray[np.bool_]:
        among = np.zeros(len(self), bool)
        among[list(chosen)] = True
        return among[rows]
