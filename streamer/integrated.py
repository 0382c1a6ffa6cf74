"""The integrated reflections of a shot, packed for the way from a worker to the hub, which merges them."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from braggwatch.processing.crystal import Crystal
from braggwatch.processing.reflections import Reflections
from braggwatch.processing.shot import Shot
from braggwatch.processing.unit_cell import UnitCell

REFLECTION = np.dtype([("hkl", "<i2", 3), ("partiality", "<f2"), ("intensity", "<f4"), ("sigma", "<f4")])
"""What merging needs of a reflection; flagged ones, and those that could not be measured, are left out."""


@dataclass(frozen=True, eq=False)
class UsableReflections:
    """Reflections as `processing.merging.Merger` takes them, as arrays of one length."""

    hkl: NDArray[np.int32]
    """``(n, 3)``: Miller indices."""
    intensity: NDArray[np.float32]
    """ADU, as is `sigma`."""
    sigma: NDArray[np.float32]
    partiality: NDArray[np.float32]
    """As predicted, to three digits."""
    flags: NDArray[np.uint8]
    """0: nothing speaks against them."""

    def __len__(self) -> int:
        return len(self.hkl)


class IntegratedCrystal(msgspec.Struct, frozen=True):
    """One crystal's reflections."""

    parameters: tuple[float, float, float, float, float, float]
    """Of the cell that was looked for: Angstrom, degrees."""
    space_group: str
    rows: bytes
    """Rows of `REFLECTION`."""

    @classmethod
    def of(cls, crystal: Crystal, reflections: Reflections) -> "IntegratedCrystal":
        """Pack a crystal of a known cell."""
        assert crystal.known is not None
        usable = reflections[reflections.good & np.isfinite(reflections.intensity)]
        rows = np.empty(len(usable), REFLECTION)
        for name in REFLECTION.names or ():
            rows[name] = getattr(usable, name)
        return cls(crystal.known.parameters, crystal.known.space_group, rows.tobytes())

    def is_of(self, cell: UnitCell) -> bool:
        """Tell whether this cell, with its space group, was looked for."""
        return self.parameters == cell.parameters and self.space_group == cell.space_group

    def reflections(self) -> UsableReflections:
        """Return the reflections; raises ValueError where `rows` are no whole rows."""
        if len(self.rows) % REFLECTION.itemsize:
            raise ValueError(f"reflections come in rows of {REFLECTION.itemsize} bytes, found {len(self.rows)} bytes")
        rows = np.frombuffer(self.rows, REFLECTION)
        return UsableReflections(
            rows["hkl"].astype(np.int32), rows["intensity"].copy(), rows["sigma"].copy(),
            rows["partiality"].astype(np.float32), np.zeros(len(rows), np.uint8),
        )  # fmt: skip


class Integrated(msgspec.Struct, frozen=True):
    """The crystals of one shot."""

    series: str
    number: int
    crystals: tuple[IntegratedCrystal, ...]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Integrated)


def pack_integrated(shot: Shot) -> bytes:
    """Pack what was integrated in a shot; empty where nothing was."""
    if not shot.reflections:
        return b""
    return pack_crystals(shot.series.key, shot.number, shot.crystals, shot.reflections)


def pack_crystals(series: str, number: int, crystals: Sequence[Crystal], tables: Sequence[Reflections]) -> bytes:
    """Pack the crystals of a frame of a series with their reflections; those of an unknown cell are left out."""
    known = tuple(
        IntegratedCrystal.of(crystal, reflections)
        for crystal, reflections in zip(crystals, tables, strict=True)
        if crystal.known is not None
    )
    return _encoder.encode(Integrated(series, number, known))


def unpack_integrated(packed: bytes) -> Integrated:
    """Unpack it; raises msgspec.DecodeError where it is none."""
    return _decoder.decode(packed)
