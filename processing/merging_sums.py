"""What is known of every reflection so far, and one crystal held against it."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from braggwatch.processing import merging_kernels as kernels
from braggwatch.processing.asymmetric_unit import AsymmetricUnit
from braggwatch.processing.merge_statistics import shell_edges

F64 = NDArray[np.float64]
Scaling = Literal["none", "scale", "scale_and_b"]

LEAST_START = 0.1
"""What a crystal's total alone says of its scale is not taken to be less than this, nor more than its inverse."""
_N_SHELLS = 20


@dataclass(frozen=True, eq=False)
class Observations:
    """What can be used of one crystal."""

    half: int
    index: NDArray[np.int32]
    """``(settings, n)``: rows of the asymmetric unit in each setting, -1 for none."""
    intensity: F64
    sigma: F64
    partiality: F64
    """1 where it does not count."""

    def within(self, setting: int) -> "Observations":
        """Return those that the asymmetric unit has in a setting."""
        which = self.index[setting] >= 0
        if which.all():
            return self
        return Observations(
            self.half, self.index[:, which].copy(), self.intensity[which], self.sigma[which], self.partiality[which]
        )


class MergingSums:
    """Sums over observations: of every reflection of an asymmetric unit by half, and of shells of resolution."""

    def __init__(self, unit: AsymmetricUnit, scaling: Scaling) -> None:
        n = len(unit)
        self.unit, self._scaling = unit, scaling
        self.count = np.zeros((2, n), np.int32)
        """Number of observations."""
        self.weight, self.mean, self.squares, self.products, self.weights2, self.noise = np.zeros((6, 2, n))
        self.shell_sum, self.shell_weight = np.zeros((2, _N_SHELLS))
        edges = shell_edges(unit.inverse_d, _N_SHELLS, unit.d_min)
        self._shell = np.clip(np.searchsorted(edges, unit.inverse_d, side="right") - 1, 0, _N_SHELLS - 1)

    def emptied(self) -> "MergingSums":
        """Return sums over nothing, of the same kind."""
        return MergingSums(self.unit, self._scaling)

    def add(self, crystal: Observations, setting: int, k: float, b: float) -> tuple[int, int]:
        """Add a crystal of scale `k` and B factor `b`; return how many observations were added, and rejected."""
        known = crystal.within(setting)
        rejected = kernels.add(
            known.index[setting], known.intensity, known.sigma, known.partiality, self.unit.inverse_d, k, b,
            known.half, self._shell, self.shell_sum, self.shell_weight, self.count, self.weight, self.mean,
            self.squares, self.products, self.weights2, self.noise,
        )  # fmt: skip
        return len(known.intensity) - rejected, rejected

    def total_scale(self, crystal: Observations, setting: int) -> float:
        """Return a crystal's k by its total, against the shells' means; not positive where that says nothing."""
        known = crystal.within(setting)
        return float(
            kernels.wilson_scale(
                known.index[setting], known.intensity, known.partiality, self._shell, self.shell_sum, self.shell_weight
            )
        )

    def fit_scale(self, crystal: Observations, setting: int) -> tuple[float, float]:
        """Return k and B of a crystal by its common reflections; 1 and 0 where there is nothing to scale against."""
        if self._scaling == "none" or not self.shell_weight.any():
            return 1.0, 0.0
        known = crystal.within(setting)
        start = min(max(self.total_scale(crystal, setting), LEAST_START), 1.0 / LEAST_START)
        k, b, _ = kernels.fit_scale(
            known.index[setting], known.intensity, known.sigma, known.partiality, self.unit.inverse_d, self._shell,
            self.shell_sum, self.shell_weight, self.count, self.weight, self.mean, start,
            self._scaling == "scale_and_b",
        )  # fmt: skip
        return k, b

    def correlation(self, crystal: Observations, setting: int) -> tuple[float, float]:
        """Return a crystal's correlation with what is here and of how many reflections in effect; NaN if unknown."""
        k = self.total_scale(crystal, setting)
        if not k > 0.0:
            return np.nan, 0.0
        cc, n_effective = kernels.correlate(
            crystal.index[setting], crystal.intensity, crystal.sigma, crystal.partiality, k, self._shell,
            self.shell_sum, self.shell_weight, self.count, self.weight, self.mean,
        )  # fmt: skip
        return cc, n_effective

    def deviations(self, crystal: Observations, setting: int, k: float, out: F64) -> None:
        """Write a crystal's deviations from the shells' means into `out` ``(n,)``, of unit length in all."""
        kernels.deviations(
            crystal.index[setting], crystal.intensity, crystal.sigma, crystal.partiality, k, self._shell,
            self.shell_sum, self.shell_weight, out,
        )  # fmt: skip

    def joined(self) -> tuple[F64, F64, NDArray[np.int32]]:
        """Return merged intensity, its sigma and the number of observations, ``(n,)``; NaN where there is none."""
        n = len(self.unit)
        intensity, sigma, number = np.empty(n), np.empty(n), np.empty(n, np.int32)
        kernels.join_halves(
            self.count, self.weight, self.mean, self.squares, self.products, self.weights2, self.noise,
            intensity, sigma, number,
        )  # fmt: skip
        return intensity, sigma, number
