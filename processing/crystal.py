"""A crystal's lattice found in one image."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from braggwatch.processing.unit_cell import UnitCell


@dataclass(frozen=True, eq=False)
class Crystal:
    """The lattice of one crystal in one image, in the conventional setting of its cell."""

    A: NDArray[np.float64]
    """``(3, 3)``: real-space a, b, c as rows, Angstrom, lab frame."""
    hkl: NDArray[np.int32] = field(default_factory=lambda: np.empty((0, 3), np.int32))
    """``(n, 3)``: Miller indices of the spots that this lattice explains."""
    spots: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    """``(n,)``: which of the spots given to the indexer they are."""
    rmsd_q: float = float("nan")
    """Root mean square distance between observed and predicted spots in reciprocal space, 1/Angstrom."""
    rmsd_px: float = float("nan")
    """The same on the detector, pixels; NaN when the indexer knew no detector."""
    known: UnitCell | None = None
    """The cell that was looked for, with its space group."""
    beam_shift: tuple[float, float] = (0.0, 0.0)
    """How far along lab x and y the beam's place on the detector was off in this shot, m; predictions move with it."""
    block_size: float = float("nan")
    """Edge of a mosaic block, Angstrom; NaN, as the next two, unless it was integrated and strong enough to tell."""
    mosaicity: float = float("nan")
    """Standard deviation of the blocks' rotation about any axis, degrees."""
    diffraction_limit: float = float("nan")
    """Resolution to which its reflections have a mean I/sigma of 1, Angstrom: see `mosaicity.diffraction_limit`."""

    @property
    def n_indexed(self) -> int:
        """How many spots this lattice explains."""
        return len(self.spots)

    @property
    def A_star(self) -> NDArray[np.float64]:
        """``(3, 3)``: reciprocal a*, b*, c* as rows, 1/Angstrom, lab frame."""
        return np.asarray(np.linalg.inv(self.A).T)

    @property
    def cell(self) -> tuple[float, float, float, float, float, float]:
        """a, b, c in Angstrom and alpha, beta, gamma in degrees."""
        a, b, c = np.linalg.norm(self.A, axis=1)
        unit = self.A / np.array([a, b, c])[:, None]

        def angle(u: NDArray[np.float64], v: NDArray[np.float64]) -> float:
            return float(np.degrees(np.arctan2(np.linalg.norm(np.cross(u, v)), u @ v)))

        return (
            float(a), float(b), float(c),
            angle(unit[1], unit[2]), angle(unit[0], unit[2]), angle(unit[0], unit[1]),
        )  # fmt: skip


def misorientation(A1: NDArray[np.float64], A2: NDArray[np.float64], cell: UnitCell) -> float:
    """Return the least rotation between two orientations of a lattice, degrees, its own rotations considered.

    `A1` and `A2` are ``(3, 3)``, a, b, c as rows in Angstrom; `cell` says which lattice they belong to. The cells may
    differ a little: the nearest rotation counts (orthogonal Procrustes). Raises ValueError for a flat or infinite cell.
    """
    for A in (A1, A2):
        if A.shape != (3, 3) or not np.isfinite(A).all() or np.linalg.det(A) == 0:
            raise ValueError(f"expected three axes that span space as the rows of a (3, 3) matrix, found {A.tolist()}")
    # -A is the same lattice as A
    handed = np.sign(np.linalg.det(A1) * np.linalg.det(A2))
    equivalent = cell.lattice_rotations @ (handed * A2)
    u, _, vt = np.linalg.svd(np.linalg.inv(A1) @ equivalent)
    rotations = u @ vt
    axis = np.stack(
        [
            rotations[:, 1, 2] - rotations[:, 2, 1],
            rotations[:, 2, 0] - rotations[:, 0, 2],
            rotations[:, 0, 1] - rotations[:, 1, 0],
        ]
    )
    angles = np.arctan2(np.linalg.norm(axis, axis=0), np.trace(rotations, axis1=1, axis2=2) - 1.0)
    return float(np.degrees(angles.min()))
