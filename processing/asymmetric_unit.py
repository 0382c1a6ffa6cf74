"""The reflections of a crystal that symmetry leaves different, and which of them any Miller index stands for."""

import math

import gemmi
import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from braggwatch.processing.unit_cell import UnitCell

MAX_INDICES = 50_000_000
"""A table of more Miller indices than this is refused: it takes 4 bytes each."""


class AsymmetricUnit:
    """All reflections of a cell to a resolution limit, one for each set that the Laue group makes equal.

    Absent ones are left out. The representatives are those of CCP4's asymmetric units, as gemmi has them.
    """

    def __init__(self, cell: UnitCell, d_min: float) -> None:
        """List the reflections to `d_min`, Angstrom.

        Raises ValueError if `d_min` is not positive, or where the box around the reflections would hold more than 50
        million Miller indices.
        """
        if not 0 < d_min < math.inf:
            raise ValueError(f"d_min must be positive, found {d_min} Angstrom")
        self.cell = cell
        self.d_min = d_min
        self._limits = np.floor(np.linalg.norm(cell.A, axis=1) / d_min + 1e-6).astype(np.int64)
        shape = (2 * self._limits[0] + 1, 2 * self._limits[1] + 1, self._limits[2] + 1)
        if math.prod(map(int, shape)) > MAX_INDICES:
            raise ValueError(
                f"a cell of {cell.volume:.3g} cubic Angstrom has Miller indices to {self._limits.tolist()} at {d_min} "
                f"A, which makes a table of {math.prod(map(int, shape)):.3g} entries, at most {MAX_INDICES} are "
                "allowed: choose a larger d_min"
            )
        hkl = gemmi.make_miller_array(cell.gemmi_cell, cell.group, d_min)
        hkl = hkl[~cell.is_absent(hkl)]
        inverse_d = 1.0 / cell.d_spacing(hkl)
        order = np.argsort(inverse_d, kind="stable")
        self.hkl: NDArray[np.int32] = np.ascontiguousarray(hkl[order], np.int32)
        """``(n, 3)``: low resolution first."""
        self.inverse_d: NDArray[np.float64] = inverse_d[order]
        """``(n,)``: 1/d, 1/Angstrom."""
        self.mates: NDArray[np.int64]
        """``(n,)``: how many different reflections symmetry and Friedel's law make of each."""
        self.table, self.mates = self._expand(shape)
        """``(2 h_max + 1, 2 k_max + 1, l_max + 1)`` int32: row of `hkl` for h + h_max, k + k_max, l; -1 for none."""

    def __len__(self) -> int:
        return len(self.hkl)

    def index(self, hkl: ArrayLike) -> NDArray[np.int32]:
        """Return for Miller indices ``(n, 3)`` which rows of `self.hkl` they stand for, ``(n,)``.

        -1 for those beyond the resolution limit, absent ones, and 0 0 0. Raises ValueError for another shape.
        """
        indices = np.ascontiguousarray(hkl, np.int32)
        if indices.ndim != 2 or indices.shape[1] != 3:
            raise ValueError(f"expected Miller indices of shape (n, 3), found {indices.shape}")
        found = np.empty(len(indices), np.int32)
        look_up(indices, np.eye(3, dtype=np.int64), self.table, found)
        return found

    def _expand(self, shape: tuple[int, ...]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        table = np.full(shape, -1, np.int32)
        number = np.arange(len(self.hkl), dtype=np.int32)
        fixed = np.zeros(len(self.hkl), np.int64)
        for rotation in self.cell.laue_rotations:
            mate = self.hkl @ rotation.T
            for both in (mate, -mate):
                fixed += (both == self.hkl).all(axis=1)
                upper = both[:, 2] >= 0
                h, k, m = both[upper].T
                table[h + self._limits[0], k + self._limits[1], m] = number[upper]
        return table, 2 * len(self.cell.laue_rotations) // np.maximum(fixed, 1)


@njit(nogil=True, cache=True)
def look_up(hkl, rotation, table, out):  # type: ignore[no-untyped-def]
    """Write into `out` ``(n,)`` the rows that the reflections ``rotation @ hkl`` stand for, -1 for none.

    `table` is an `AsymmetricUnit`'s; Friedel's law brings l < 0 to l > 0.
    """
    h_max, k_max, l_max = table.shape[0] // 2, table.shape[1] // 2, table.shape[2] - 1
    for i in range(hkl.shape[0]):
        h = rotation[0, 0] * hkl[i, 0] + rotation[0, 1] * hkl[i, 1] + rotation[0, 2] * hkl[i, 2]
        k = rotation[1, 0] * hkl[i, 0] + rotation[1, 1] * hkl[i, 1] + rotation[1, 2] * hkl[i, 2]
        m = rotation[2, 0] * hkl[i, 0] + rotation[2, 1] * hkl[i, 1] + rotation[2, 2] * hkl[i, 2]
        if m < 0:
            h, k, m = -h, -k, -m
        if abs(h) > h_max or abs(k) > k_max or m > l_max:
            out[i] = -1
        else:
            out[i] = table[h + h_max, k + k_max, m]
