"""What workers tell the hub, and the states in which a frame's way can end."""

import enum
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

PEAK = np.dtype(
    [
        ("fs", "<f4"), ("ss", "<f4"),  # centre of mass, pixels
        ("intensity", "<f4"),  # sum above the background, ADU
        ("max_value", "<f4"),  # the highest pixel, background included, ADU
        ("inverse_d", "<f4"),  # 1/Angstrom; NaN where the geometry is not known
        ("lattice", "<i4"),  # which lattice explains it: 1 for the best, 2 for the next, …; 0 for none
    ]
)  # fmt: skip
"""One row of `Result.peaks`."""


class State(enum.StrEnum):
    """Where a frame's way ended; every frame of a series ends in exactly one of these."""

    MISSED = "missed"
    """The detector never sent it to us."""
    REFUSED = "refused"
    """It arrived malformed."""
    DROPPED = "dropped"
    """Given up under overload, by the policy in the settings."""
    SKIPPED = "skipped"
    """Left out unseen: [select] in the settings keeps only shots of another laser state."""
    BLANK = "blank"
    HIT = "hit"
    """A hit without a lattice."""
    INDEXED = "indexed"
    """A hit with at least one lattice."""
    FAILED = "failed"
    """A stage raised an exception on it."""
    QUARANTINED = "quarantined"
    """It killed two workers and was set aside in a file."""


class CrystalFound(msgspec.Struct, frozen=True, gc=False):
    """One lattice in one shot."""

    cell: tuple[float, float, float, float, float, float]
    """a, b, c in Angstrom, alpha, beta, gamma in degrees."""
    A: tuple[float, float, float, float, float, float, float, float, float]
    """Real-space a, b, c in the lab frame, row by row, Angstrom."""
    n_indexed: int
    rmsd_px: float
    block_size: float | None = None
    """Of its mosaic blocks, Angstrom; None, as the next two, where it was not integrated or nothing could be told."""
    mosaicity: float | None = None
    """Spread of the blocks' orientations, degrees."""
    diffraction_limit: float | None = None
    """Resolution to which its reflections have a mean I/sigma of 1, Angstrom."""


class Dumped(msgspec.Struct, frozen=True, gc=False):
    """Where an image was written."""

    dump: str
    """Name of the dump instance."""
    path: str
    entry: int


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker found out about one frame. Small: no pixels."""

    series: str
    """`Series.key`."""
    number: int
    state: State
    group: str = ""
    """Group of the shot (`processing.shot_groups`); empty where shots are not grouped."""
    worker: str = ""
    pixels_changed: bool = False
    """Whether the pixels that were looked at are not those that the detector sent: a dark image was subtracted, say."""
    n_peaks: int = 0
    resolution: float | None = None
    """d spacing in Angstrom within which 95 % of the spots lie; None without spots or geometry."""
    peaks: bytes = b""
    """The spots, as rows of `PEAK`."""
    crystals: tuple[CrystalFound, ...] = ()
    dumped: tuple[Dumped, ...] = ()
    seconds: dict[str, float] = {}
    """What decoding and each stage took."""
    notices: dict[str, str] = {}
    """What a person should know, as a sentence, by kind."""
    error: str = ""
    """For FAILED: the exception in one line."""


def unpack_peaks(packed: bytes) -> NDArray[Any]:
    """Return the rows of `PEAK` in `Result.peaks`; raises ValueError where these are no whole rows."""
    if len(packed) % PEAK.itemsize:
        raise ValueError(f"spots come in rows of {PEAK.itemsize} bytes, found {len(packed)} bytes")
    return np.frombuffer(packed, PEAK)
