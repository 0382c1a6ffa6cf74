"""All hits that are known, as columns: what tables, histograms and maps are drawn from."""

import sys
from collections.abc import Iterable, Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from braggwatch.gui.shot_key import ShotKey
from braggwatch.streamer.archive_messages import HitRow
from braggwatch.streamer.messages import State

HIT = np.dtype(
    [
        ("id", "i8"), ("run", "i8"), ("number", "i8"), ("time", "f8"), ("indexed", "?"), ("n_peaks", "i4"),
        ("resolution", "f4"), ("n_lattices", "i2"), ("dumped", "?"), ("group", "i4"),
    ]
)  # fmt: skip
"""One hit; `resolution` in Angstrom, NaN where unknown; `time` in s since 1970; `group` as `HitColumns.code_of`."""
LATTICE = np.dtype([("hit", "i8"), ("cell", "f4", 6), ("A", "f4", (3, 3)), ("n_indexed", "i4"), ("rmsd_px", "f4")])
"""One lattice; `hit` is the row of its hit in `HitColumns.hits`; `cell` in Angstrom and degrees; `A` in Angstrom."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(HitRow)


class HitColumns:
    """Grows as the archive tells of more hits; rows stay where they are."""

    def __init__(self) -> None:
        self._hits = np.empty(1024, HIT)
        self._lattices = np.empty(1024, LATTICE)
        self._n_hits = self._n_lattices = 0
        # Packed, a row takes a fifth of the memory: there may be hundreds of thousands.
        self._rows: list[bytes] = []
        self._keys: list[ShotKey] = []
        self._row_of: dict[ShotKey, int] = {}
        self._tags: dict[int, tuple[str, ...]] = {}
        """Of the rows that have any."""
        self._groups: dict[str, int] = {"": 0}
        self.last = 0
        """What to ask the archive for next: what comes after this id."""

    def __len__(self) -> int:
        return self._n_hits

    @property
    def hits(self) -> NDArray[np.void]:
        """``(n,)`` of `HIT`, in the order in which they were recorded; a view that is not to be changed."""
        return self._hits[: self._n_hits]

    @property
    def lattices(self) -> NDArray[np.void]:
        """``(m,)`` of `LATTICE`, likewise; those of a shot follow each other, the best one first."""
        return self._lattices[: self._n_lattices]

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups that hits belong to, in the order in which they were first seen."""
        return tuple(self._groups)[1:]

    def code_of(self, group: str) -> int:
        """Return the number by which `hits` says a group: 0 where shots are not grouped, -1 for one without hits."""
        return self._groups.get(group, -1)

    def row(self, index: int) -> HitRow:
        """Return all that the archive said of a hit."""
        return _decoder.decode(self._rows[index])

    def key(self, index: int) -> ShotKey:
        """Return which shot a row is."""
        return self._keys[index]

    def find(self, key: ShotKey) -> int | None:
        """Return a shot's row; None where it is no hit that is known."""
        return self._row_of.get(key)

    def extend(self, rows: Iterable[HitRow]) -> None:
        """Add hits; one that is known already is left as it is. Raises OverflowError for numbers beyond 64 bit."""
        new: dict[ShotKey, HitRow] = {}
        for row in rows:
            self.last = max(self.last, row.id)
            key = ShotKey(sys.intern(row.series), row.number)
            if key not in self._row_of:
                new.setdefault(key, row)
        start, added = self._n_hits, list(new.values())
        for row in added:
            self._groups.setdefault(row.group, len(self._groups))
        # all at once: a fifth of the time of one by one
        hits, lattices = _hits_of(added, self._groups), _lattices_of(added, start)
        self._hits, self._n_hits = _joined(self._hits, start, hits)
        self._lattices, self._n_lattices = _joined(self._lattices, self._n_lattices, lattices)
        self._row_of.update(zip(new, range(start, self._n_hits), strict=True))
        self._keys += new
        self._rows += map(_encoder.encode, added)
        self._tags.update((i, row.tags) for i, row in enumerate(added, start) if row.tags)

    def retag(self, key: ShotKey, tags: tuple[str, ...]) -> int | None:
        """Note what tags a shot has now; return its row, None where it has them already or is no hit that is known."""
        row = self.find(key)
        if row is None or self._tags.get(row, ()) == tags:
            return None
        self._rows[row] = _encoder.encode(msgspec.structs.replace(self.row(row), tags=tags))
        if tags:
            self._tags[row] = tags
        else:
            del self._tags[row]
        return row

    def retag_all(self, tagged: Mapping[ShotKey, tuple[str, ...]], *, complete: bool) -> list[int]:
        """Note what tags shots have now; `complete`: no others have any. Return the rows whose tags have changed."""
        gone = [self._keys[row] for row in self._tags if complete and self._keys[row] not in tagged]
        rows = [self.retag(key, tags) for key, tags in (*tagged.items(), *((key, ()) for key in gone))]
        return [row for row in rows if row is not None]


def _hits_of(rows: list[HitRow], groups: Mapping[str, int]) -> NDArray[np.void]:
    values = [
        (
            row.id, row.run, row.number, row.time, row.state is State.INDEXED, row.n_peaks,
            np.nan if row.resolution is None else row.resolution, len(row.crystals), bool(row.dumped),
            groups[row.group],
        )
        for row in rows
    ]  # fmt: skip
    with np.errstate(over="ignore"):
        return np.array(values, HIT)


def _lattices_of(rows: list[HitRow], start: int) -> NDArray[np.void]:
    """Return the lattices of rows, the first of which is the row `start` of all hits."""
    crystals = [crystal for row in rows for crystal in row.crystals]
    lattices = np.empty(len(crystals), LATTICE)
    lattices["hit"] = np.repeat(np.arange(start, start + len(rows)), [len(row.crystals) for row in rows])
    with np.errstate(over="ignore"):
        lattices["cell"] = np.array([crystal.cell for crystal in crystals]).reshape(-1, 6)
        lattices["A"] = np.array([crystal.A for crystal in crystals]).reshape(-1, 3, 3)
        lattices["n_indexed"] = [crystal.n_indexed for crystal in crystals]
        lattices["rmsd_px"] = [crystal.rmsd_px for crystal in crystals]
    return lattices


def _joined(room: NDArray[np.void], n: int, new: NDArray[np.void]) -> tuple[NDArray[np.void], int]:
    """Put new rows behind the `n` that are there, in a larger array where there is no room; return it and how many."""
    end = n + len(new)
    if end > len(room):
        room = np.concatenate([room[:n], np.empty(max(len(room), end) * 2 - n, room.dtype)])
    room[n:end] = new
    return room, end
