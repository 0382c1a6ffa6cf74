"""Unmerged reflections as an MTZ file, through gemmi: what POINTLESS, AIMLESS, cctbx and gemmi merge."""

import math
from pathlib import Path

import gemmi
import numpy as np
from numpy.typing import NDArray

import braggwatch
from braggwatch.processing.crystal import Crystal
from braggwatch.processing.reflections import Reflections
from braggwatch.processing.unit_cell import UnitCell

MAX_REFLECTIONS = 40_000_000
"""gemmi writes a file from memory, which takes some 130 bytes a reflection: 5 GB."""
_AT_ONCE = 1 << 20
"""Reflections that are moved into the asymmetric unit at once."""
COLUMNS = (
    ("M/ISYM", "Y"), ("BATCH", "B"), ("I", "J"), ("SIGI", "Q"), ("FRACTIONCALC", "R"), ("XDET", "R"), ("YDET", "R"),
)  # fmt: skip
"""Label and type of what stands behind h, k, l."""


class UnmergedMtz:
    """Collects the integrated reflections of many crystals and writes them as one unmerged MTZ file.

    Each crystal is a batch, numbered from 1 in the order in which they came. The file's cell is the mean of all of
    them, as the space group's symmetry wants it; each batch has its own. Miller indices are moved into the asymmetric
    unit, which M/ISYM undoes; each observation is a full one to merging programs, and FRACTIONCALC says which part of
    the reflection was predicted to be excited.
    """

    def __init__(self) -> None:
        self.n_reflections = 0
        self._mean: MeanCell | None = None
        self._batches: list[tuple[tuple[float, ...], float]] = []
        self._rows: list[NDArray[np.float32]] = []

    @property
    def n_batches(self) -> int:
        """How many crystals have brought reflections."""
        return len(self._batches)

    def add(self, crystal: Crystal, reflections: Reflections, wavelength: float) -> None:
        """Add the reflections of a crystal that nothing speaks against; `wavelength` in Angstrom.

        Raises ValueError where the crystal's symmetry is unknown or another one than before, and where there are more
        reflections than fit into memory.
        """
        if crystal.known is None:
            raise ValueError("an MTZ file needs a space group: the dumps do not say which cell was looked for")
        if self._mean is not None:
            self._mean.check(crystal)
        good = reflections[reflections.good & np.isfinite(reflections.intensity) & (reflections.sigma > 0)]
        if not len(good):
            return
        if self.n_reflections + len(good) > MAX_REFLECTIONS:
            raise ValueError(f"one MTZ file takes at most {MAX_REFLECTIONS} reflections: export fewer dumps at a time")
        self._mean = self._mean or MeanCell(crystal.known)
        self._mean.add(crystal)
        self._batches.append((crystal.cell, wavelength))
        rows = np.zeros((len(good), 3 + len(COLUMNS)), np.float32)
        rows[:, :3] = good.hkl
        rows[:, 4] = len(self._batches)
        values = (good.intensity, good.sigma, good.partiality, good.fs, good.ss)
        for column, value in enumerate(values, 5):
            rows[:, column] = value
        self._rows.append(rows)
        self.n_reflections += len(good)

    def write(self, path: Path) -> None:
        """Write the file, over whatever is at `path`, and forget the reflections on the way, for want of memory.

        Raises ValueError where nothing was added, and OSError.
        """
        if self._mean is None or not self._rows:
            raise ValueError("there is nothing to write: no crystal has a reflection that nothing speaks against")
        cell = self._mean.cell()
        wavelength = float(np.mean([wavelength for _, wavelength in self._batches]))
        mtz = gemmi.Mtz(with_base=True)
        mtz.title = "unmerged stills"
        mtz.history = [f"Braggwatch {braggwatch.__version__}: unmerged reflections of {len(self._batches)} stills"]
        mtz.spacegroup = cell.group
        dataset = mtz.add_dataset("stills")
        dataset.project_name = dataset.crystal_name = "braggwatch"
        dataset.wavelength = wavelength
        mtz.set_cell_for_all(cell.gemmi_cell)
        for label, kind in COLUMNS:
            mtz.add_column(label, kind)
        for number, (parameters, of_batch) in enumerate(self._batches, 1):
            batch = gemmi.Mtz.Batch()
            batch.number = number
            batch.title = f"still {number}"
            batch.dataset_id = dataset.id
            batch.cell = gemmi.UnitCell(*parameters)
            batch.wavelength = of_batch
            mtz.batches.append(batch)
        rows = np.concatenate(self._rows)
        self._rows.clear()
        for start in range(0, len(rows), _AT_ONCE):
            _move_into_asymmetric_unit(rows[start : start + _AT_ONCE], cell.group)
        mtz.set_data(rows)
        del rows
        mtz.sort(5)
        mtz.update_reso()
        mtz.write_to_file(str(path))


class MeanCell:
    """The mean cell of many crystals of one space group."""

    def __init__(self, like: UnitCell) -> None:
        """Take the cell that was looked for, with the space group."""
        self._like = like
        self._metric = np.zeros((3, 3))
        self._n = 0

    def check(self, crystal: Crystal) -> None:
        """Raise ValueError for a crystal of another space group, or none."""
        found = "none" if crystal.known is None else crystal.known.space_group
        if found != self._like.space_group:
            raise ValueError(
                f"an MTZ file has one space group, the dumps have {self._like.space_group} and {found}: export them "
                "one by one"
            )

    def add(self, crystal: Crystal) -> None:
        """Count a crystal in."""
        self._metric += crystal.A @ crystal.A.T
        self._n += 1

    def cell(self) -> UnitCell:
        """Return the mean of the crystals' metric tensors as a cell that the space group allows."""
        return mean_cell(self._metric / self._n, self._like)


def mean_cell(metric: NDArray[np.float64], like: UnitCell) -> UnitCell:
    """Return the cell of a metric tensor ``(3, 3)``, Angstrom squared, made to obey the space group of `like`."""
    rotations = like.laue_rotations.astype(float)
    metric = np.mean(rotations @ metric @ rotations.transpose(0, 2, 1), axis=0)
    a, b, c = np.sqrt(np.diag(metric))
    cosines = metric[1, 2] / (b * c), metric[0, 2] / (a * c), metric[0, 1] / (a * b)
    alpha, beta, gamma = (round(math.degrees(math.acos(cosine)), 6) for cosine in cosines)
    return UnitCell(round(a, 6), round(b, 6), round(c, 6), alpha, beta, gamma, like.space_group)


def _move_into_asymmetric_unit(rows: NDArray[np.float32], group: gemmi.SpaceGroup) -> None:
    """Replace h, k, l by their equivalents in CCP4's asymmetric unit, and write what was done into M/ISYM."""
    asu, operations = gemmi.ReciprocalAsu(group), group.operations()
    found, which = np.unique(rows[:, :3].astype(np.int32), axis=0, return_inverse=True)
    moved = np.empty((len(found), 4), np.float32)
    for row, hkl in zip(moved, found.tolist(), strict=True):
        row[:3], row[3] = asu.to_asu(hkl, operations)
    rows[:, :4] = moved[which.reshape(-1)]
