"""A crystal's lattice found in one image."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


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
