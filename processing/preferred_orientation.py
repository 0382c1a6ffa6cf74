"""Do crystals lie in every orientation? Poles of their reciprocal axes, and a test of whether they are uniform."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

F64 = NDArray[np.float64]

FEWEST = 10
"""With fewer lattices nothing is said."""
_POWER_OF_ONE = 4 / 3
"""Sum of the squares of one direction's harmonics of degree 2."""


@dataclass(frozen=True)
class PoleTest:
    """How far the poles of many lattices are from uniform."""

    n: int
    """Lattices."""
    strength: float
    """0 for uniform, 1 where all lattices are oriented alike."""
    p_value: float
    """How often uniform orientations would look as uneven as this, or more so."""
    degree: int
    """Of the spherical harmonics that were tested: 2, or 4 for poles whose symmetry makes the second vanish."""
    eigenvalues: tuple[float, float, float]
    """Of the orientation tensor, largest first; a third each for uniform poles; they add up to 1."""
    axis: tuple[float, float, float]
    """The eigenvector whose eigenvalue is furthest from a third: lab frame, z not negative."""
    gathers: bool
    """Whether poles gather about `axis`, rather than avoid it."""


def equivalent_axes(axis: int, rotations: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the reciprocal vectors, as Miller indices ``(k, 3)``, that symmetry makes of a*, b* or c* (0, 1, 2).

    `rotations` ``(n, 3, 3)`` are such as `UnitCell.lattice_rotations`; a vector and its opposite count as one.
    """
    hkl = rotations[:, :, axis]
    first = np.argmax(hkl != 0, axis=1)
    hkl = hkl * np.sign(np.take_along_axis(hkl, first[:, None], 1))
    _, order = np.unique(hkl, axis=0, return_index=True)
    return np.asarray(hkl[np.sort(order)])


def poles(A: NDArray[np.floating], hkl: NDArray[np.int64]) -> F64:
    """Return the directions ``(n, k, 3)`` of reciprocal vectors `hkl` ``(k, 3)`` of lattices `A`, unit vectors.

    `A` is ``(n, 3, 3)``: a, b, c as rows, Angstrom, lab frame. A direction and its opposite are the same pole: that
    with z >= 0, on the detector's side, is returned; NaN for a flat cell.
    """
    a, b, c = (np.asarray(A[:, i], float) for i in range(3))
    reciprocal = np.stack([np.cross(b, c), np.cross(c, a), np.cross(a, b)], axis=1)
    reciprocal *= np.sign(np.einsum("ni,ni->n", a, reciprocal[:, 0]))[:, None, None]
    directions = np.einsum("kj,njx->nkx", hkl.astype(float), reciprocal)
    with np.errstate(invalid="ignore", divide="ignore"):
        directions /= np.linalg.norm(directions, axis=2, keepdims=True)
    directions *= np.where(directions[:, :, 2:] < 0, -1.0, 1.0)
    return np.asarray(directions)


def equal_area(directions: F64) -> F64:
    """Return Lambert's azimuthal equal-area projection ``(..., 2)`` of unit vectors with z >= 0.

    The beam, z, is at 0, 0 and the hemisphere's rim at radius 1, so that equal solid angles have equal areas.
    """
    return np.asarray(directions[..., :2] / np.sqrt(1.0 + directions[..., 2:]))


def from_equal_area(xy: F64) -> F64:
    """Return the unit vectors ``(..., 3)`` that `equal_area` projects to `xy` ``(..., 2)``, within the unit disc."""
    r2 = np.sum(xy**2, axis=-1, keepdims=True)
    return np.concatenate([xy * np.sqrt(np.maximum(2.0 - r2, 0.0)), 1.0 - r2], axis=-1)


class PoleSums:
    """What the test of uniformity needs of all lattices, summed up as they come."""

    def __init__(self) -> None:
        self.n = 0
        self._means = np.zeros(14)
        self._power = np.zeros(2)
        self._tensor = np.zeros((3, 3))

    def add(self, directions: F64) -> None:
        """Add lattices: `directions` ``(n, k, 3)`` from `poles`; those with NaN are left out."""
        directions = directions[np.isfinite(directions).all((1, 2))]
        if not len(directions):
            return
        harmonics = np.mean(_harmonics(directions), axis=1)
        self.n += len(directions)
        self._means += harmonics.sum(axis=0)
        self._power += (harmonics[:, :5] ** 2).sum(), (harmonics[:, 5:] ** 2).sum()
        self._tensor += np.einsum("nki,nkj->ij", directions, directions) / directions.shape[1]

    def test(self) -> PoleTest | None:
        """Test for uniformity; None for fewer than `FEWEST` lattices.

        For one pole a lattice and degree 2 this is Bingham's test (Mardia & Jupp, Directional Statistics, 2000, ch.
        10): 15 n / 2 (tr T² - 1/3) of the orientation tensor T is chi-squared with 5 degrees of freedom for uniform
        poles. In general the mean of each lattice's harmonics of degree l, which turn as one irreducible
        representation, gives (2 l + 1) n |mean|² / mean |.|², chi-squared with 2 l + 1 degrees of freedom (a Sobolev
        test: Giné, 1975). Equivalent poles of a cubic lattice cancel in degree 2, so degree 4 is tested there.
        """
        if self.n < FEWEST:
            return None
        of_degree = 0 if self._power[0] > 0.02 * self.n * _POWER_OF_ONE else 1
        part = slice(0, 5) if of_degree == 0 else slice(5, 14)
        order = float((self._means[part] ** 2).sum() / self.n / self._power[of_degree])
        freedom = 5 if of_degree == 0 else 9
        values, vectors = np.linalg.eigh(self._tensor / self.n)
        # in ascending order: either the first or the last is furthest from a third
        gathers = bool(values[2] - 1 / 3 >= 1 / 3 - values[0])
        axis = vectors[:, 2 if gathers else 0]
        axis = axis * (-1.0 if axis[2] < 0 else 1.0)
        return PoleTest(
            self.n, float(np.sqrt(order)), float(chdtrc(freedom, freedom * self.n * order)), 2 + 2 * of_degree,
            (float(values[2]), float(values[1]), float(values[0])), (float(axis[0]), float(axis[1]), float(axis[2])),
            gathers,
        )  # fmt: skip


def _harmonics(u: F64) -> F64:
    """Return the real spherical harmonics of degree 2 and 4, ``(..., 14)``, each degree up to one factor."""
    x, y, z = u[..., 0], u[..., 1], u[..., 2]
    x2, y2, z2 = x * x, y * y, z * z
    across = x2 - y2
    return np.stack(
        [
            2 * x * y, 2 * y * z, 2 * z * x, across, (3 * z2 - 1) / np.sqrt(3.0),
            4 * x * y * across * np.sqrt(35.0), 4 * y * z * (3 * x2 - y2) * np.sqrt(35.0 / 2),
            4 * x * y * (7 * z2 - 1) * np.sqrt(5.0), 4 * y * z * (7 * z2 - 3) * np.sqrt(5.0 / 2),
            35 * z2 * z2 - 30 * z2 + 3, 4 * x * z * (7 * z2 - 3) * np.sqrt(5.0 / 2),
            2 * across * (7 * z2 - 1) * np.sqrt(5.0), 4 * x * z * (x2 - 3 * y2) * np.sqrt(35.0 / 2),
            (x2 * (x2 - 3 * y2) - y2 * (3 * x2 - y2)) * np.sqrt(35.0),
        ],
        axis=-1,
    )  # fmt: skip
