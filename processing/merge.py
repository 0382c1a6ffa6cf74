"""What is merged of some crystals, all of them or those of a group, while more of them come."""

import numpy as np
from numpy.typing import NDArray

from braggwatch.processing.asymmetric_unit import AsymmetricUnit
from braggwatch.processing.merge_statistics import MergeStatistics, shell_edges, statistics
from braggwatch.processing.merged_reflections import MergedReflections
from braggwatch.processing.merging_outliers import OutlierTest
from braggwatch.processing.merging_sums import MergingSums, Observations, Scaling


class Merge:
    """Crystals whose settings and scales are known, as sums; `merging.Merger` finds these and adds the crystals."""

    def __init__(self, unit: AsymmetricUnit, n_shells: int, scaling: Scaling) -> None:
        self.unit = unit
        self.n_shells = n_shells
        self.sums = MergingSums(unit, scaling)
        self.n_crystals = 0
        """Crystals merged."""
        self.n_outliers = 0
        """Crystals left out since they correlate neither with all others nor, of a group, with its own."""
        self.n_rejected = 0
        """Observations left out since they lie far from the others of their reflection, in this merge."""
        self.outliers = OutlierTest()
        """Holds a crystal's correlation with this merge against those of its crystals so far."""
        self._scales, self._scales2 = 0.0, 0.0

    def begin_anew(self) -> None:
        """Forget what was merged; the sums so far stay as they were for whoever holds them."""
        self.sums = self.sums.emptied()
        self.n_crystals = self.n_outliers = self.n_rejected = 0
        self._scales = self._scales2 = 0.0

    def put(self, crystal: Observations, setting: int, k: float, b: float) -> tuple[int, int]:
        """Add a crystal of scale `k` and B factor `b`; return how many observations were added, and rejected."""
        used, rejected = self.sums.add(crystal, setting, k, b)
        self.n_crystals += 1
        self._scales += k
        self._scales2 += k * k
        self.n_rejected += rejected
        return used, rejected

    @property
    def scale_variance(self) -> float:
        """Variance of the merged crystals' scales relative to their squared mean; 0 while there is none."""
        if self._scales <= 0.0:
            return 0.0
        return max(self.n_crystals * self._scales2 / self._scales**2 - 1.0, 0.0)

    @property
    def counts(self) -> NDArray[np.int32]:
        """``(2, n)``: how often each reflection of `unit` was observed in each half; a copy."""
        return self.sums.count.copy()

    def statistics(self, d_min: float | None = None) -> MergeStatistics:
        """Return the statistics to `d_min`, Angstrom, in shells of one volume; left out: to that of the merge.

        Raises ValueError where that is below the merge's, or leaves no reflection.
        """
        d_min = self.unit.d_min if d_min is None else d_min
        inverse_d = self.unit.inverse_d
        if not self.unit.d_min <= d_min < 1.0 / inverse_d[0]:
            raise ValueError(
                f"expected d_min from {self.unit.d_min:.2f} A, the merge's, to {1 / inverse_d[0]:.1f} A, found {d_min}"
            )
        intensity, sigma, _ = self.sums.joined()
        return statistics(
            inverse_d,
            shell_edges(inverse_d, self.n_shells, d_min),
            (self.sums.count, self.sums.mean),
            (intensity, sigma),
            (self.n_crystals, self.n_outliers),
        )

    def merged(self) -> MergedReflections:
        """Return the merged intensities of all reflections observed so far."""
        intensity, sigma, number = self.sums.joined()
        seen = number > 0
        half = np.where(self.sums.count > 0, self.sums.mean, np.nan)
        return MergedReflections(
            self.unit.cell, self.unit.hkl[seen], intensity[seen], sigma[seen], number[seen], half[:, seen],
            self.sums.count[:, seen],
        )  # fmt: skip
