"""Which crystals share nothing with the rest, told by their correlations with what the rest has given."""

import math

FEWEST_COMMON = 10
"""A correlation of fewer reflections, in effect, says nothing."""
FEWEST_BEFORE = 50
"""After so many correlations the average is known well enough to hold one against it."""
MEMORY = 500
"""Of about so many correlations is the average taken: it rises while the reference becomes better."""
_STANDARD_ERRORS = 3.0
_LARGEST = 0.999
"""Fisher's z has no end."""


class OutlierTest:
    """Holds the correlation of each crystal against the average of those before.

    Fisher's z of a correlation has the standard error ``1 / sqrt(n - 3)``. An outlier is a crystal whose z is nearer to
    none than to the average, where halfway between the two both lie 3 standard errors away.
    """

    def __init__(self) -> None:
        self._usual, self._n = 0.0, 0

    def is_outlier(self, correlation: float, n_effective: float) -> bool:
        """Judge one crystal, and let it count for the average; `n_effective` reflections have told the correlation."""
        if not math.isfinite(correlation) or n_effective < FEWEST_COMMON:
            return False
        z = math.atanh(min(correlation, _LARGEST))
        usual, is_known = self._usual, self._n >= FEWEST_BEFORE
        self._n += 1
        self._usual += (z - usual) / min(self._n, MEMORY)
        halfway = usual / 2.0
        return is_known and z < halfway and halfway * math.sqrt(n_effective - 3.0) > _STANDARD_ERRORS
