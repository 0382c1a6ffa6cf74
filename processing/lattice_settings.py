"""From the axes that a search found to the conventional setting that is most like the known cell."""

import itertools

import numpy as np
from numpy.typing import NDArray

from braggwatch.processing.unit_cell import UnitCell

F64 = NDArray[np.float64]


class Settings:
    """The conventional settings of one lattice whose cell may pass for a known one.

    A reduced cell that is nearly more symmetric than it is (a rhombohedral one near cubic, say) can be laid on its own
    lattice in several ways, and only one has the right conventional cell. `basis` ``(3, 3)`` are the reduced axes in
    terms of the conventional ones; `length_tolerance` is relative, `angle_tolerance` in degrees.
    """

    def __init__(self, cell: UnitCell, basis: F64, length_tolerance: float, angle_tolerance: float) -> None:
        self._cell = np.array(cell.parameters)
        self._tolerance = np.array([length_tolerance] * 3 + [angle_tolerance] * 3)
        self._tolerance[:3] *= self._cell[:3]
        self._basis = basis
        self._from_reduced = np.round(np.linalg.inv(basis))
        changes = np.array(list(itertools.product((0.0, 1.0, -1.0), repeat=9))).reshape(-1, 3, 3)
        changes = changes[np.abs(np.linalg.det(changes) - 1.0) < 0.5]
        changes = np.concatenate([np.eye(3)[None], changes])
        # The lattice itself may be off by the tolerance, so here a setting may be off by some more.
        near = self._misfit(self._from_reduced @ changes @ (basis @ cell.A)) < 3.0
        self._choices = self._from_reduced @ changes[near]

    def closest(self, A: F64) -> F64 | None:
        """Return the conventional axes ``(3, 3)``, rows in Angstrom, that fit the cell best; None outside tolerance.

        `A` ``(3, 3)``: reduced axes as rows.
        """
        conventional = self._choices @ A
        misfit = self._misfit(conventional)
        best = int(np.argmin(misfit))
        return np.asarray(conventional[best]) if misfit[best] <= 1.0 else None

    def reduced(self, conventional: F64) -> F64:
        """Return the reduced axes ``(3, 3)`` of conventional ones."""
        return np.asarray(self._basis @ conventional)

    def nearest_node(self, h: F64) -> F64:
        """Return the Miller indices ``(3, n)`` nearest to fractional ones that the centring allows."""
        return np.asarray(self._from_reduced @ np.round(self._basis @ h))

    def _misfit(self, conventional: F64) -> F64:
        """Return the largest difference of cell parameters ``(n,)`` in units of their tolerances."""
        metric = conventional @ conventional.transpose(0, 2, 1)
        length = np.sqrt(np.einsum("nii->ni", metric))
        cos = metric / (length[:, :, None] * length[:, None, :])
        angle = np.degrees(np.arccos(np.clip(cos[:, [1, 0, 0], [2, 2, 1]], -1.0, 1.0)))
        return np.asarray(np.abs((np.hstack([length, angle]) - self._cell) / self._tolerance).max(axis=1))
