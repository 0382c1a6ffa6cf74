"""How good merged data are, what they are to reach and when: numbers alone, for whoever shows or stores them.

Nothing is imported here that takes time: viewers need the numbers, and not what works them out.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

USUAL_CC_HALF = 0.5
"""Where CC1/2 falls below this, data are said to end if no target says anything else."""


@dataclass(frozen=True)
class Shell:
    """The statistics of one shell; None where a number is unknown."""

    d_max: float
    """Angstrom; low-resolution limit of the shell."""
    d_min: float
    n_possible: int
    """Reflections that symmetry leaves different, absent ones left out."""
    n_unique: int
    """How many of them were observed."""
    n_observations: int
    n_pairs: int
    """Reflections observed in both halves, which `cc_half` and `r_split` are of."""
    completeness: float | None
    """Share of the possible reflections that were observed."""
    multiplicity: float | None
    """Observations of an observed reflection."""
    snr: float | None
    """Mean of the merged I/sigma(I)."""
    cc_half: float | None
    """Correlation of the two halves' intensities."""
    cc_half_error: float | None
    """Standard error of `cc_half`, from the reflections' influence on it."""
    cc_star: float | None
    """sqrt(2 CC1/2 / (1 + CC1/2)); unknown where CC1/2 is not positive."""
    r_split: float | None
    """sqrt(2) sum |I1 - I2| / sum (I1 + I2)."""


@dataclass(frozen=True)
class Target:
    """What a data set is to reach at a resolution. Raises ValueError for what makes no sense."""

    d_min: float
    """Angstrom."""
    cc_half: float | None = 0.5
    """CC1/2 of the outermost shell; None if it does not matter."""
    completeness: float | None = 0.99
    """Of all reflections to `d_min`; None if it does not matter."""
    multiplicity: float | None = None
    """Mean over all reflections to `d_min`; None if it does not matter."""

    def __post_init__(self) -> None:
        if self.cc_half is not None and not 0 < self.cc_half < 1:
            raise ValueError(f"expected a target of CC1/2 between 0 and 1, found {self.cc_half}")
        if self.completeness is not None and not 0 < self.completeness <= 1:
            raise ValueError(f"expected a target of completeness above 0 and at most 1, found {self.completeness}")
        if self.multiplicity is not None and not 0 < self.multiplicity < math.inf:
            raise ValueError(f"expected a positive target of multiplicity, found {self.multiplicity}")
        if self.cc_half is None and self.completeness is None and self.multiplicity is None:
            raise ValueError("expected a target for CC1/2, completeness or multiplicity, found none")


@dataclass(frozen=True)
class Forecast:
    """When a target will be reached."""

    state: Literal["reached", "ahead", "not at this rate", "unknown"]
    seconds: float | None = None
    """From the last moment noted; the median. None unless `ahead`."""
    low: float | None = None
    """It takes less than this, in seconds, with a probability of 10 %; None where not even that is within reach."""
    high: float | None = None
    """It takes more than this with a probability of 10 %; None where it may well never be reached."""
    crystals: float | None = None
    """Merged crystals needed in all, the median."""
    held_up_by: Literal["cc_half", "completeness", "multiplicity"] | None = None
    """Which part of the target takes longest."""
    completeness_limit: float | None = None
    """What completeness approaches with ever more crystals."""

    def later(self, elapsed: float) -> "Forecast":
        """Return what it comes to `elapsed` s later, where nothing else is known by then."""
        seconds, low, high = (None if t is None else max(t - elapsed, 0.0) for t in (self.seconds, self.low, self.high))
        return replace(self, seconds=seconds, low=low, high=high)


@dataclass(frozen=True)
class Difference:
    """How far the intensities of two groups of crystals differ; None where a number is unknown."""

    n: int
    """Reflections observed in both halves of both."""
    cc_half: float | None = None
    """Correlation of the differences of the one half with those of the other: 0 without a signal."""
    cc_half_error: float | None = None
    """Standard error of `cc_half`."""
    r_iso: float | None = None
    """2 sum |I1 - I2| / sum (I1 + I2), noise included."""

    @property
    def beyond_chance(self) -> bool | None:
        """Whether it is more than noise: 3 standard errors; None where nothing can be said.

        The error is taken to be at least that of values with nothing in common, 1/sqrt(n): where a handful of them
        happen to agree, their own says that they agree well.
        """
        if self.cc_half is None or self.cc_half_error is None or self.n < 1:
            return None
        return self.cc_half > 3.0 * max(self.cc_half_error, 1.0 / math.sqrt(self.n))
