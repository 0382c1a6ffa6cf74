"""Refining a crystal's orientation and cell under the symmetry of its lattice."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from braggwatch.processing.lattice_refinement import invert
from braggwatch.processing.unit_cell import UnitCell

F64 = NDArray[np.float64]


class SymmetricRefiner:
    """Moves axes to spots so that the cell keeps its lattice's symmetry, such as a = b and 90 degrees.

    A still says little about some of the nine numbers of a free cell; those that symmetry fixes need not be found, and
    the orientation comes out about three times better. The symmetry is the space group's, or for a triclinic one (an
    unknown one) what the cell's shape allows.
    """

    def __init__(self, cell: UnitCell) -> None:
        triclinic = cell.group.crystal_system_str() == "triclinic"
        rotations = np.asarray(cell.lattice_rotations if triclinic else cell.laue_rotations, float)
        # The shape may obey the symmetry only nearly; its average over the rotations does so exactly.
        metric = np.mean(rotations @ (cell.A @ cell.A.T) @ rotations.transpose(0, 2, 1), axis=0)
        self._ideal = np.linalg.cholesky(metric)
        self._strains = _invariant_strains(self._ideal, rotations)

    def __call__(self, q: F64, hkl: F64, A: F64) -> F64:
        """Return the refined axes ``(3, 3)``, rows in Angstrom.

        `q` ``(3, n)``: spots, 1/Angstrom; `hkl` ``(3, n)``: their Miller indices; `A`: axes to start from.
        """
        refined = np.array(A)
        _refine(np.ascontiguousarray(q), np.ascontiguousarray(hkl), self._ideal, self._strains, refined)
        return refined

    def generators(self, A: F64) -> F64:
        """Return ``(k, 3, 3)`` X for small changes ``A (1 + X)`` of axes: three turns about x, y, z, then strains.

        The strains are those that keep the symmetry of axes ``(3, 3)`` as `symmetric` returns them.
        """
        turn = np.empty((3, 3))
        _symmetric_part(np.array(A), self._ideal, self._strains, turn)
        turns = np.zeros((3, 3, 3))
        for k in range(3):
            turns[k, (k + 1) % 3, (k + 2) % 3] = -1.0
            turns[k, (k + 2) % 3, (k + 1) % 3] = 1.0
        return np.concatenate([turns, turn.T @ self._strains @ turn])

    def symmetric(self, A: F64) -> F64:
        """Return the axes ``(3, 3)`` next to `A` that have the lattice's symmetry."""
        nearest = np.array(A)
        _symmetric_part(nearest, self._ideal, self._strains, np.empty((3, 3)))
        return nearest


def _invariant_strains(ideal: F64, rotations: F64) -> F64:
    """Return an orthonormal basis ``(k, 3, 3)`` of the symmetric matrices that the rotations leave as they are."""
    turns = np.linalg.inv(ideal) @ rotations @ ideal
    strains = []
    for i, j in ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)):
        strain = np.zeros((3, 3))
        strain[i, j] = strain[j, i] = 1.0
        strains.append(np.mean(turns.transpose(0, 2, 1) @ strain @ turns, axis=0).ravel())
    _, size, basis = np.linalg.svd(np.array(strains))
    return np.ascontiguousarray(basis[: int((size > 1e-6).sum())].reshape(-1, 3, 3))


@njit(nogil=True, cache=True, error_model="numpy")
def _symmetric_part(A: F64, ideal: F64, strains: F64, turn: F64) -> None:
    """Split A into ``ideal (1 + strain) turn`` (polar decomposition), keep of the strain what is allowed."""
    inverse = np.empty((3, 3))
    invert(ideal, inverse)
    change = inverse @ A
    turn[:] = change
    for _ in range(6):
        invert(turn, inverse)
        turn[:] = 0.5 * (turn + inverse.T)
    strain = change @ turn.T
    kept = np.eye(3)
    for k in range(strains.shape[0]):
        kept += ((strain - np.eye(3)) * strains[k]).sum() * strains[k]
    A[:] = ideal @ kept @ turn


@njit(nogil=True, cache=True, error_model="numpy")
def _refine(q: F64, hkl: F64, ideal: F64, strains: F64, A: F64) -> None:
    """Gauss-Newton steps in three turns and the allowed strains.

    With ``A (1 + X)`` for A, X a sum of generators ``p_k X_k``, the spots' misses e turn into ``e - X q``; the normal
    equations then need of the spots only the sums of ``q q^T`` and of ``e q^T``.
    """
    n_strains = strains.shape[0]
    n = 3 + n_strains
    turn = np.empty((3, 3))
    inverse = np.empty((3, 3))
    generators = np.zeros((n, 3, 3))
    for k in range(3):
        generators[k, (k + 1) % 3, (k + 2) % 3] = -1.0
        generators[k, (k + 2) % 3, (k + 1) % 3] = 1.0
    normal = np.empty((n, n))
    gradient = np.empty(n)
    squares = q @ q.T
    _symmetric_part(A, ideal, strains, turn)
    for _ in range(3):
        for k in range(n_strains):
            generators[3 + k] = turn.T @ strains[k] @ turn
        invert(A, inverse)
        misses = inverse @ hkl - q
        cross = misses @ q.T
        for k in range(n):
            moved = generators[k] @ squares
            gradient[k] = (generators[k] * cross).sum()
            for j in range(n):
                normal[k, j] = (moved * generators[j]).sum()
        step = np.linalg.solve(normal, gradient)
        change = np.eye(3)
        for k in range(n):
            change += step[k] * generators[k]
        A[:] = A @ change
        _symmetric_part(A, ideal, strains, turn)
