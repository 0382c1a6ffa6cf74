"""What was found in a simulated still against what was put in."""

import numpy as np
from numpy.typing import NDArray

from braggwatch.processing.crystal import Crystal
from braggwatch.processing.reflections import Reflections
from braggwatch.processing.simulation.still import StillTruth

_NEAR = 0.1
"""How far a found cell may be from a setting of the true one, in fractions of its axes."""


def true_intensities(crystal: Crystal, reflections: Reflections, truth: StillTruth) -> NDArray[np.float64]:
    """Return ``(n,)`` the photons that were expected in the spots of a found crystal's reflections.

    The found lattice may be laid on the true one in any of its equivalent settings. 0 for reflections that the
    simulator left out, 4 standard deviations and more off the Ewald sphere; NaN behind the beam stop or on a broken
    pixel, and everywhere where no lattice of the still is the found one.
    """
    for lattice, A in enumerate(truth.A):
        fraction = crystal.A @ np.linalg.inv(A)
        change = np.rint(fraction)
        if np.abs(fraction - change).max() < _NEAR and abs(round(np.linalg.det(change))) == 1:
            true = truth.reflections[truth.reflections.lattice == lattice]
            hkl = (true.hkl @ change.T.astype(int)).tolist()
            photons = np.where(true.measured, true.intensity, np.nan).tolist()
            known = dict(zip(map(tuple, hkl), photons, strict=True))
            return np.array([known.get(tuple(miller), 0.0) for miller in reflections.hkl.tolist()], float)
    return np.full(len(reflections), np.nan)
