"""The beam's polarisation, which weakens what is scattered towards its electric field."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Polarisation:
    """A beam along +z of which a share is linearly polarised in one plane, and the rest across it.

    Light whose field lies along the unit vector u is scattered towards the unit vector s in proportion to
    ``1 - (u . s)²``; the two shares add up (R. Kahn et al., J. Appl. Cryst. 15, 330, 1982). At a share of one half
    this is ``(1 + cos² 2 theta) / 2``.
    """

    fraction: float
    """Share of the intensity whose electric field lies in `plane`, 0 to 1; one half for an unpolarised beam."""
    plane: float = 0.0
    """Angle of that plane from lab x towards lab y, degrees: 0 is horizontal where x is."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.fraction <= 1.0:
            raise ValueError(f"the polarised fraction must lie between 0 and 1, found {self.fraction:g}")
        if not -360.0 <= self.plane <= 360.0:
            raise ValueError(f"the plane of polarisation must lie between -360 and 360 degrees, found {self.plane:g}")

    def factor(self, direction: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return ``(n,)``, 0 to 1, what is scattered along `direction` ``(n, 3)``, of any length, relative to forward.

        An intensity divided by it is what a beam polarised across the scattering plane would have given.
        """
        s = np.asarray(direction, float)
        angle = math.radians(self.plane)
        along = (s[:, 0] * math.cos(angle) + s[:, 1] * math.sin(angle)) ** 2
        across = (s[:, 1] * math.cos(angle) - s[:, 0] * math.sin(angle)) ** 2
        length2 = along + across + s[:, 2] ** 2
        return np.asarray(1.0 - (self.fraction * along + (1.0 - self.fraction) * across) / length2)
