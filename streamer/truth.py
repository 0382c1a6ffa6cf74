"""What a processor recorded, held against what the simulator knows to be true."""

import sqlite3
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from braggwatch.processing.crystal import misorientation
from braggwatch.processing.simulation.pool import StillPool
from braggwatch.processing.unit_cell import UnitCell

RIGHT_WITHIN = 1.0
"""Degrees between a lattice and the nearest true one up to which it counts as right."""


@dataclass
class TruthReport:
    """How the results compare with the truth."""

    seen: int = 0
    """Frames that were looked at."""
    true_hits: int = 0
    found: int = 0
    """True hits that were taken for hits."""
    false_hits: int = 0
    """Blanks that were taken for hits."""
    lattices: int = 0
    """Lattices found."""
    right: int = 0
    """Lattices within `RIGHT_WITHIN` of a true one."""
    errors: list[float] = field(default_factory=list)
    """Degrees from each right lattice to the true one."""

    def in_words(self) -> str:
        """Say it in two lines."""
        error = f"{median(self.errors):.3f}°" if self.errors else "–"
        return (
            f"Against the truth: {self.found} of {self.true_hits} hits found, {self.false_hits} blanks taken for hits "
            f"(of {self.seen} frames seen).\n"
            f"{self.right} of {self.lattices} lattices within {RIGHT_WITHIN:.0f}° of a true one, median error {error}."
        )


def compare_with_truth(record: Path, pool: StillPool, cell: UnitCell) -> TruthReport:
    """Compare the frames of a record with the pool that they were sent from; `cell` has the lattice's symmetry."""
    report = TruthReport()
    with closing(sqlite3.connect(f"{record.absolute().as_uri()}?mode=ro", uri=True)) as db:
        seen = db.execute(
            "SELECT number, name != 'blank' FROM frames JOIN states ON states.code = frames.state "
            "WHERE name IN ('blank', 'hit', 'indexed')"
        )
        for number, taken_for_hit in seen:
            is_hit = pool.truth(number).is_hit
            report.seen += 1
            report.true_hits += is_hit
            report.found += is_hit and taken_for_hit
            report.false_hits += taken_for_hit and not is_hit
        for number, matrices in _lattices(db).items():
            _compare_lattices(report, matrices, pool.truth(number).A, cell)
    return report


def _lattices(db: sqlite3.Connection) -> dict[int, list[NDArray[np.float64]]]:
    found = defaultdict(list)
    for number, *A in db.execute("SELECT number, ax, ay, az, bx, by, bz, cx, cy, cz FROM crystals"):
        found[number].append(np.array(A).reshape(3, 3))
    return found


def _compare_lattices(
    report: TruthReport, found: list[NDArray[np.float64]], truth: NDArray[np.float64], cell: UnitCell
) -> None:
    report.lattices += len(found)
    for A in found:
        error = min((misorientation(A, true, cell) for true in truth), default=180.0)
        if error <= RIGHT_WITHIN:
            report.right += 1
            report.errors.append(error)
