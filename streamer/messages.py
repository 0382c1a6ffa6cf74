"""What workers tell the hub, and the states in which a frame's way can end."""

import enum

import msgspec


class State(enum.StrEnum):
    """Where a frame's way ended; every frame of a series ends in exactly one of these."""

    MISSED = "missed"
    """The detector never sent it to us."""
    REFUSED = "refused"
    """It arrived malformed."""
    DROPPED = "dropped"
    """Given up under overload, by the policy in the settings."""
    BLANK = "blank"
    HIT = "hit"
    """A hit without a lattice."""
    INDEXED = "indexed"
    """A hit with at least one lattice."""
    FAILED = "failed"
    """A stage raised an exception on it."""
    QUARANTINED = "quarantined"
    """It killed two workers and was set aside in a file."""


class CrystalFound(msgspec.Struct, frozen=True):
    """One lattice in one shot."""

    cell: tuple[float, float, float, float, float, float]
    """a, b, c in Angstrom, alpha, beta, gamma in degrees."""
    A: tuple[float, float, float, float, float, float, float, float, float]
    """Real-space a, b, c in the lab frame, row by row, Angstrom."""
    n_indexed: int
    rmsd_px: float


class Dumped(msgspec.Struct, frozen=True):
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
    worker: str = ""
    n_peaks: int = 0
    resolution: float | None = None
    """d spacing in Angstrom within which 95 % of the spots lie; None without spots or geometry."""
    peaks: bytes = b""
    """The spots: little-endian float32 triples fs, ss, intensity."""
    crystals: tuple[CrystalFound, ...] = ()
    dumped: tuple[Dumped, ...] = ()
    seconds: dict[str, float] = {}
    """What decoding and each stage took."""
    notices: dict[str, str] = {}
    """What a person should know, as a sentence, by kind."""
    error: str = ""
    """For FAILED: the exception in one line."""
