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
        outlier = self._can_tell(correlation, n_effective) and _fisher_z(correlation) < self._usual / 2.0
        self.count(correlation, n_effective)
        return outlier

    def is_alike(self, correlation: float, n_effective: float) -> bool:
        """Tell whether a crystal certainly is none: not where there is no telling. It does not count."""
        return self._can_tell(correlation, n_effective) and _fisher_z(correlation) >= self._usual / 2.0

    def count(self, correlation: float, n_effective: float) -> None:
        """Let a crystal count for the average."""
        if _says_something(correlation, n_effective):
            self._n += 1
            self._usual += (_fisher_z(correlation) - self._usual) / min(self._n, MEMORY)

    def _can_tell(self, correlation: float, n_effective: float) -> bool:
        if not _says_something(correlation, n_effective) or self._n < FEWEST_BEFORE:
            return False
        return self._usual / 2.0 * math.sqrt(n_effective - 3.0) > _STANDARD_ERRORS


def _says_something(correlation: float, n_effective: float) -> bool:
    return math.isfinite(correlation) and n_effective >= FEWEST_COMMON


def _fisher_z(correlation: float) -> float:
    return math.atanh(min(correlation, _LARGEST))
