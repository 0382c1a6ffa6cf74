"""What the spots of a shot say of a lattice whose own list of spots is not at hand."""

import numpy as np
from numpy.typing import NDArray

from braggwatch.processing.crystal import Crystal
from braggwatch.processing.detector import Detector
from braggwatch.processing.peaks import Peaks
from braggwatch.processing.prediction import PROFILE_RADIUS

_TOLERANCE = 0.25
"""A spot belongs to a lattice if each of its Miller indices lies that near to a whole number: CrystFEL's criterion."""


def scattering_vectors(
    detector: Detector, peaks: Peaks, wavelength: float, beam_shift: tuple[float, float] = (0.0, 0.0)
) -> NDArray[np.float64]:
    """Return q of each spot, ``(n, 3)`` in 1/Angstrom, for a wavelength in Angstrom.

    `beam_shift` is `Crystal.beam_shift`.
    """
    ray = detector.position(peaks.fs, peaks.ss, peaks.panel) - np.array([*beam_shift, 0.0])
    ray /= np.linalg.norm(ray, axis=1, keepdims=True)
    ray[:, 2] -= 1.0
    return np.asarray(ray / wavelength)


def explained_spots(crystal: Crystal, q: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return which scattering vectors a lattice explains ``(m,)``, and with which Miller indices ``(m, 3)``.

    `q` is what `scattering_vectors` gives for the crystal's own `beam_shift`.
    """
    fractional = q @ crystal.A.T
    hkl = np.rint(fractional)
    explained = (np.abs(fractional - hkl) < _TOLERANCE).all(axis=1) & hkl.any(axis=1)
    return np.flatnonzero(explained), hkl[explained].astype(np.int32)


def indexed_nodes(crystal: Crystal, q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the reciprocal-lattice nodes ``(m, 3)`` in 1/Angstrom of the spots that a lattice explains.

    `q` as for `explained_spots`.
    """
    return np.asarray(explained_spots(crystal, q)[1] @ crystal.A_star)


def profile_radius(nodes: NDArray[np.float64], wavelength: float) -> float:
    """Return the distance from the Ewald sphere within which 98 % of the nodes lie, 1/Angstrom.

    As `estimate_profile_radius` has it; where there is no node, the radius that predictions start from.
    """
    if not len(nodes):
        return PROFILE_RADIUS
    k1 = nodes + np.array([0.0, 0.0, 1.0 / wavelength])
    return float(np.quantile(np.abs(np.linalg.norm(k1, axis=1) - 1.0 / wavelength), 0.98))


def diffraction_limit(nodes: NDArray[np.float64]) -> float:
    """Return the largest 1/d of a crystal's spots but for the outermost, 1/Angstrom; 0 where they are too few.

    CrystFEL's estimate: two spots, or the outermost fiftieth, may be chance.
    """
    return outermost(np.linalg.norm(nodes, axis=1), max(2, len(nodes) // 50))


def outermost(inverse_d: NDArray[np.float64], left_out: int) -> float:
    """Return the largest of some 1/d when the largest `left_out` are left out; 0 where none is left."""
    return float(np.sort(inverse_d)[-1 - left_out]) if len(inverse_d) > left_out else 0.0
