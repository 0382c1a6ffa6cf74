"""Which lattices does the shot hold?"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator

from braggwatch.processing.chain import Verdict
from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Series
from braggwatch.processing.indexer import Indexer
from braggwatch.processing.shot import Shot
from braggwatch.processing.unit_cell import UnitCell


def read_cell(text: str) -> UnitCell:
    """Return the cell that a settings value stands for: six numbers and a space group, or a CrystFEL .cell file.

    Raises ValueError with what was expected and what was found.
    """
    if not is_cell_file(text):
        return UnitCell.from_string(text)
    path = Path(text.strip()).expanduser()
    try:
        return UnitCell.from_crystfel_cell(path)
    except OSError as error:
        raise ValueError(f"the cell file {path} cannot be read: {error.strerror}") from None


def is_cell_file(text: str) -> bool:
    """Tell whether a settings value names a file instead of giving the cell itself."""
    return text.strip().lower().endswith(".cell")


def cell_value(cell: UnitCell) -> str:
    """Return a cell as a settings value: six numbers and a space group."""
    return f"{' '.join(f'{value:.10g}' for value in cell.parameters)} {cell.space_group.replace(' ', '')}"


class IndexSettings(BaseModel):
    """Which cell is looked for, and when a lattice is believed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cell: str = Field(
        description="The unit cell that is looked for: a b c in Angstrom, alpha beta gamma in degrees and the space "
        "group or lattice, such as '79.2 79.2 38.0 90 90 90 P43212'; or the path of a CrystFEL .cell file, of which "
        "record and viewers get the cell itself.",
    )
    length_tolerance: float = Field(
        default=0.05,
        gt=0,
        lt=0.5,
        description="Fraction by which a, b and c of a lattice may differ from the cell's.",
    )
    angle_tolerance: float = Field(
        default=3.0,
        gt=0,
        lt=30,
        description="Degrees by which alpha, beta and gamma of a lattice may differ from the cell's.",
    )
    min_peaks: int = Field(default=1, ge=1, description="A shot with fewer spots than this is not indexed.")
    min_spots: int = Field(default=8, ge=4, description="A lattice explains at least this many spots.")
    max_lattices: int = Field(default=1, ge=1, le=20, description="Look for at most this many lattices in a shot.")

    @field_validator("cell")
    @classmethod
    def _readable(cls, text: str) -> str:
        cell = read_cell(text)
        return cell_value(cell) if is_cell_file(text) else text


class Index:
    """Finds lattices of a known cell among a shot's peaks; a shot without any is skipped."""

    def __init__(self, settings: IndexSettings) -> None:
        self._cell = read_cell(settings.cell)
        self._min_peaks = settings.min_peaks
        self._indexer = Indexer(
            self._cell,
            length_tolerance=settings.length_tolerance,
            angle_tolerance=settings.angle_tolerance,
            min_spots=settings.min_spots,
            max_lattices=settings.max_lattices,
        )

    def begin(self, series: Series, detector: Detector) -> None:
        """Compile the kernels: a list of spots that is indexed runs through all of them."""
        self._indexer(lowest_nodes(self._cell, max(60, 2 * self._indexer.min_spots)))

    def event(self, shot: Shot) -> Verdict:
        """Put the lattices of the shot's peaks into it."""
        if shot.peaks is None or len(shot.peaks) < self._min_peaks:
            return Verdict.SKIP
        shot.crystals = self._indexer.index(shot.peaks, shot.detector)
        return Verdict.KEEP if shot.crystals else Verdict.SKIP

    def end(self) -> None:
        """Nothing is left open."""


def lowest_nodes(cell: UnitCell, n: int) -> NDArray[np.float64]:
    """Return the `n` reciprocal lattice nodes ``(n, 3)`` nearest to the origin that are not absent, 1/Angstrom."""
    steps = np.arange(-8, 9)
    hkl = np.array(np.meshgrid(steps, steps, steps, indexing="ij"), np.int32).reshape(3, -1).T
    hkl = hkl[hkl.any(axis=1)]
    q = hkl[~cell.is_absent(hkl)] @ cell.B.T
    return np.asarray(q[np.argsort(np.linalg.norm(q, axis=1), kind="stable")[:n]])
