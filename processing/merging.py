"""Merging while the crystals arrive: one at a time, in memory that does not grow with their number."""

import math
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from braggwatch.processing import merging_kernels as kernels
from braggwatch.processing.ambiguity import MAX_COPIES, Clustering, Setting, cluster, settings_of
from braggwatch.processing.asymmetric_unit import AsymmetricUnit, look_up
from braggwatch.processing.merge_statistics import MergeStatistics, shell_edges, statistics
from braggwatch.processing.merged_reflections import MergedReflections
from braggwatch.processing.reflections import Reflections
from braggwatch.processing.unit_cell import UnitCell

F64 = NDArray[np.float64]

START_UP = 128
"""So many crystals are kept and scaled against each other, before all others are scaled against what they gave."""
LONGEST_START_UP = 1024
"""Where indexing is ambiguous they are kept until their settings are clear, but no more than so many."""
CLEAR = 0.95
"""Settings are clear when two halves of the crystals agree on so many of them."""
LEAST_PARTIALITY = 0.05
"""Where partialities count, reflections of less are left out: the model says too little of them."""
_REFERENCE_SHELLS = 20
_CYCLES = 3
_LEAST_START = 0.1
"""What a crystal's total alone says of its scale is not taken to be less than this, nor more than its inverse."""


@dataclass(frozen=True)
class MergedCrystal:
    """What became of one crystal."""

    fate: Literal["merged", "outlier", "empty"]
    """``outlier``: it does not correlate with the rest; ``empty``: no reflection could be used."""
    n_used: int = 0
    """Observations merged."""
    n_rejected: int = 0
    """Observations left out since they lie far from the others of their reflection."""
    scale: float | None = None
    """Relative to a typical crystal."""
    b_factor: float | None = None
    """Relative to the rest, Angstrom²; only where it is fitted."""
    correlation: float | None = None
    """With the reference, taken relative to each shell's mean."""
    setting: int = 0
    """Which of `Merger.settings` its indices were brought from."""


@dataclass(frozen=True, eq=False)
class _Observations:
    """What can be used of one crystal."""

    half: int
    index: NDArray[np.int32]
    """``(settings, n)``: rows of the asymmetric unit in each setting."""
    intensity: F64
    sigma: F64
    partiality: F64
    """1 where it does not count."""

    def __getitem__(self, which: NDArray[np.bool_]) -> "_Observations":
        return _Observations(
            self.half, self.index[:, which].copy(), self.intensity[which], self.sigma[which], self.partiality[which]
        )


class _Sums:
    """What is known of every reflection of the asymmetric unit, by half, and of every shell."""

    def __init__(self, n: int) -> None:
        self.count, self.weight, self.mean, self.spread, self.noise = kernels.empty_sums(n)
        self.shell_sum, self.shell_weight = np.zeros(_REFERENCE_SHELLS), np.zeros(_REFERENCE_SHELLS)

    @property
    def shells(self) -> tuple[F64, F64]:
        return self.shell_sum, self.shell_weight

    @property
    def reference(self) -> tuple[NDArray[np.int32], F64, F64]:
        return self.count, self.weight, self.mean


class Merger:
    """Merges crystals of one kind as they come.

    Reflections that the Laue group makes equal are one. Each crystal is scaled against the running reference, which is
    the mean of all before it: k, and B as an option, by robust least squares on the reflections in common. The first
    128 are kept and scaled against each other, as no reference is there yet. Merged is ``sum I / sum g`` with
    ``g = k exp(-B / (2 d²))``: the Monte Carlo mean over partialities (Kirian et al., Opt. Express 18, 5713, 2010),
    crystals weighted by their scale; weighting by partiality puts it into g. Two halves, drawn by a hash of series and
    frame number, are kept apart.

    A crystal whose correlation with the reference is nearer to none than to the others' average is left out, where the
    two can be told apart; so is an observation beyond 6 standard deviations of its reflection's.

    Where the lattice has more symmetry than the intensities, the first crystals' settings are told by clustering (see
    `ambiguity.cluster`) and every later one's by its correlation with the reference.
    """

    def __init__(
        self,
        cell: UnitCell,
        *,
        d_min: float,
        n_shells: int = 10,
        scaling: Literal["none", "scale", "scale_and_b"] = "scale",
        weighting: Literal["mean", "partiality"] = "mean",
    ) -> None:
        """Get ready for crystals of a cell, whose space group counts, to `d_min` in Angstrom.

        `n_shells`: of the statistics, 1 to 100. Takes about 110 bytes a unique reflection and 4 a Miller index. Raises
        ValueError for values that make no sense and where the reflections are too many (see `AsymmetricUnit`).
        """
        if not 1 <= n_shells <= 100:
            raise ValueError(f"expected 1 to 100 shells, found {n_shells}")
        if scaling not in ("none", "scale", "scale_and_b"):
            raise ValueError(f"expected scaling none, scale or scale_and_b, found {scaling!r}")
        if weighting not in ("mean", "partiality"):
            raise ValueError(f"expected weighting mean or partiality, found {weighting!r}")
        self.cell = cell
        self.unit = AsymmetricUnit(cell, d_min)
        if not len(self.unit):
            raise ValueError(f"the cell {cell.parameters} has no reflections to {d_min} A: choose a smaller d_min")
        self.n_shells = n_shells
        self.settings: tuple[Setting, ...] = settings_of(cell)
        """Those that a crystal may come in; more than one where indexing is ambiguous."""
        self._scaling, self._weighting = scaling, weighting
        self._sums = _Sums(len(self.unit))
        edges = shell_edges(self.unit.inverse_d, _REFERENCE_SHELLS, d_min)
        self._shell = np.clip(np.searchsorted(edges, self.unit.inverse_d, side="right") - 1, 0, _REFERENCE_SHELLS - 1)
        self._kept: list[_Observations] | None = [] if self._needs_start_up else None
        self._next_start = START_UP
        self._typical, self._n_typical = 0.0, 0
        self._usual_b = 0.0
        self.n_crystals = 0
        """Crystals merged."""
        self.n_outliers = 0
        self.n_empty = 0
        """Crystals without a reflection that could be used."""
        self.n_rejected = 0
        """Observations left out as outliers."""
        self._scales, self._scales2 = 0.0, 0.0
        self.in_setting = np.zeros(len(self.settings), np.int64)
        """How many of the merged crystals came in each setting."""
        self.agreement: float | None = None
        """Share of the first crystals on whose setting two halves of them agree; None while, or where, unknown."""

    @property
    def _needs_start_up(self) -> bool:
        return self._scaling != "none" or len(self.settings) > 1

    @property
    def is_settled(self) -> bool:
        """Whether the first crystals were scaled, and sorted by setting, among each other."""
        return self._kept is None

    @property
    def scale_variance(self) -> float:
        """Variance of the merged crystals' scales relative to their squared mean; 0 while there is none."""
        if self._scales <= 0.0:
            return 0.0
        return max(self.n_crystals * self._scales2 / self._scales**2 - 1.0, 0.0)

    @property
    def counts(self) -> NDArray[np.int32]:
        """``(2, n)``: how often each reflection of `unit` was observed in each half; a copy."""
        return self._sums.count.copy()

    def add(self, reflections: Reflections, series: str, number: int) -> MergedCrystal:
        """Merge one crystal's reflections, flagged ones left out; `series` and frame `number` choose its half."""
        crystal = self._usable(reflections, half_of(series, number))
        if not len(crystal.intensity):
            self.n_empty += 1
            return MergedCrystal("empty")
        if self._kept is not None:
            self._kept.append(crystal)
        fate = self._merge(crystal)
        if self._kept is not None and len(self._kept) >= self._next_start:
            self._settle(last=2 * len(self._kept) > self._most_kept)
        return fate

    def finish(self) -> None:
        """Settle what is kept of the first crystals, though they may be few; more may be added afterwards."""
        if self._kept is not None and len(self._kept):
            self._settle(last=True)

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
        intensity, sigma, _ = self._joined()
        return statistics(
            inverse_d,
            shell_edges(inverse_d, self.n_shells, d_min),
            (self._sums.count, self._sums.mean),
            (intensity, sigma),
            (self.n_crystals, self.n_outliers),
        )

    def merged(self) -> MergedReflections:
        """Return the merged intensities of all reflections observed so far."""
        intensity, sigma, number = self._joined()
        seen = number > 0
        half = np.where(self._sums.count > 0, self._sums.mean, np.nan)
        return MergedReflections(
            self.cell, self.unit.hkl[seen], intensity[seen], sigma[seen], number[seen], half[:, seen],
            self._sums.count[:, seen],
        )  # fmt: skip

    def _joined(self) -> tuple[F64, F64, NDArray[np.int32]]:
        n = len(self.unit)
        intensity, sigma, number = np.empty(n), np.empty(n), np.empty(n, np.int32)
        s = self._sums
        kernels.join_halves(s.count, s.weight, s.mean, s.spread, s.noise, intensity, sigma, number)
        return intensity, sigma, number

    def _usable(self, reflections: Reflections, half: int) -> _Observations:
        n = len(reflections)
        index = np.empty((len(self.settings), n), np.int32)
        for row, setting in zip(index, self.settings, strict=True):
            look_up(reflections.hkl, setting.rotation, self.unit.table, row)
        chosen = np.empty(n, np.int64)
        partial = self._weighting == "partiality"
        n_chosen = kernels.select(
            reflections.flags, reflections.intensity, reflections.sigma, reflections.partiality, index[0],
            LEAST_PARTIALITY if partial else -np.inf, chosen,
        )  # fmt: skip
        chosen = chosen[:n_chosen]
        partiality = reflections.partiality[chosen].astype(float) if partial else np.ones(n_chosen)
        return _Observations(
            half, index[:, chosen].copy(), reflections.intensity[chosen].astype(float),
            reflections.sigma[chosen].astype(float), partiality,
        )  # fmt: skip

    def _merge(self, crystal: _Observations) -> MergedCrystal:
        """Merge a crystal against all before it."""
        setting, correlation, n_effective = self._best_setting(crystal)
        scale, b = self._scale_of(crystal, setting, self._sums)
        if self._is_outlier(correlation, n_effective):
            self.n_outliers += 1
            return MergedCrystal("outlier", scale=scale, correlation=_known(correlation), setting=setting)
        used, rejected = self._add(crystal, setting, scale, b, self._sums)
        self._count(setting, rejected, scale)
        # only differences of B can be told: without this the reference's would drift
        self._usual_b += b / min(self.n_crystals, 50)
        with_b = self._scaling == "scale_and_b"
        return MergedCrystal("merged", used, rejected, scale, b if with_b else None, _known(correlation), setting)

    def _count(self, setting: int, rejected: int, scale: float) -> None:
        self.n_crystals += 1
        self._scales += scale
        self._scales2 += scale * scale
        self.in_setting[setting] += 1
        self.n_rejected += rejected

    def _best_setting(self, crystal: _Observations) -> tuple[int, float, float]:
        """Return the setting that agrees best with the reference, its correlation, and of how many reflections."""
        s = self._sums
        best, correlation, n_effective = 0, math.nan, 0.0
        for setting, index in enumerate(crystal.index):
            known = index >= 0
            k = kernels.wilson_scale(
                index[known], crystal.intensity[known], crystal.partiality[known], self._shell, *s.shells
            )
            if k <= 0.0:
                continue
            cc, n = kernels.correlate(
                index, crystal.intensity, crystal.sigma, crystal.partiality, k, self._shell, *s.shells, *s.reference
            )
            if math.isfinite(cc) and not cc <= correlation:
                best, correlation, n_effective = setting, cc, n
        return best, correlation, n_effective

    def _scale_of(self, crystal: _Observations, setting: int, sums: _Sums) -> tuple[float, float]:
        """Return k and B."""
        if self._scaling == "none":
            return 1.0, 0.0
        known = crystal[crystal.index[setting] >= 0]
        index = known.index[setting]
        if not sums.shell_weight.any():
            return 1.0, 0.0
        start = kernels.wilson_scale(index, known.intensity, known.partiality, self._shell, *sums.shells)
        start = min(max(start, _LEAST_START), 1.0 / _LEAST_START)
        k, b, _ = kernels.fit_scale(
            index, known.intensity, known.sigma, known.partiality, self.unit.inverse_d, self._shell, *sums.shells,
            *sums.reference, start, self._scaling == "scale_and_b",
        )  # fmt: skip
        return k, b - self._usual_b

    def _is_outlier(self, correlation: float, n_effective: float) -> bool:
        """Tell whether a crystal belongs to those that share nothing with the rest, and keep the average up to date.

        Fisher's z of a correlation has the standard error 1 / sqrt(n - 3); halfway between none and the average, both
        must lie 3 standard errors away.
        """
        if not math.isfinite(correlation) or n_effective < 10 or self._kept is not None:
            return False
        z = math.atanh(min(correlation, 0.999))
        usual, known = self._typical, self._n_typical >= 50
        self._n_typical += 1
        self._typical += (z - self._typical) / min(self._n_typical, 500)
        return known and z < usual / 2.0 and usual * math.sqrt(n_effective - 3.0) > 6.0

    def _add(self, crystal: _Observations, setting: int, k: float, b: float, sums: _Sums) -> tuple[int, int]:
        known = crystal[crystal.index[setting] >= 0]
        rejected = kernels.add(
            known.index[setting], known.intensity, known.sigma, known.partiality, self.unit.inverse_d, k, b,
            known.half, self._shell, *sums.shells, sums.count, sums.weight, sums.mean, sums.spread, sums.noise,
        )  # fmt: skip
        return len(known.intensity) - rejected, rejected

    @property
    def _most_kept(self) -> int:
        if len(self.settings) == 1:
            return START_UP
        return min(LONGEST_START_UP, MAX_COPIES // len(self.settings))

    def _settle(self, *, last: bool) -> None:
        """Sort and scale the kept crystals among each other, and put the result in place of what was merged so far."""
        assert self._kept is not None
        crystals = self._kept
        choice = np.zeros(len(crystals), np.int64)
        if len(self.settings) > 1 and len(crystals) >= 8:
            found = self._clustered(crystals)
            choice, self.agreement = found.choice, found.agreement
            last = last or found.agreement >= CLEAR
        reference, self._usual_b = self._sums, 0.0
        cycles = 1 if self._scaling == "none" else _CYCLES
        for cycle in range(cycles):
            sums = _Sums(len(self.unit))
            self.n_crystals = self.n_outliers = self.n_rejected = 0
            self._scales = self._scales2 = 0.0
            self.in_setting[:] = 0
            if cycle == 0:
                fits = [(k, 0.0) for k in self._wilson_scales(crystals, choice, reference)]
            else:
                fits = [self._scale_of(crystal, setting, reference) for crystal, setting in zip(crystals, choice)]
            middle, middle_b = np.median(fits, axis=0)
            for crystal, setting, (k, b) in zip(crystals, choice, fits, strict=True):
                _, rejected = self._add(crystal, setting, k / middle, b - middle_b, sums)
                self._count(setting, rejected, k / middle)
            reference = sums
        self._sums = reference
        self._next_start = min(2 * len(crystals), self._most_kept)
        if last:
            self._kept = None

    def _wilson_scales(self, crystals: list[_Observations], choice: NDArray[np.int64], sums: _Sums) -> F64:
        """Return each k, relative to their median, from the shells' means alone: the settings need not be known."""
        if self._scaling == "none":
            return np.ones(len(crystals))
        found = np.empty(len(crystals))
        for i, (crystal, setting) in enumerate(zip(crystals, choice, strict=True)):
            known = crystal[crystal.index[setting] >= 0]
            found[i] = kernels.wilson_scale(
                known.index[setting], known.intensity, known.partiality, self._shell, *sums.shells
            )
        middle = float(np.median(found))
        return np.clip(found / middle, _LEAST_START, 1.0 / _LEAST_START) * middle if middle > 0 else np.ones(len(found))

    def _clustered(self, crystals: list[_Observations]) -> Clustering:
        starts = np.concatenate([[0], np.cumsum([len(crystal.intensity) for crystal in crystals])])
        copies = []
        scales = self._wilson_scales(crystals, np.zeros(len(crystals), np.int64), self._sums)
        for setting in range(len(self.settings)):
            values = np.empty(starts[-1])
            for crystal, start, scale in zip(crystals, starts[:-1], scales, strict=True):
                part = values[start : start + len(crystal.intensity)]
                kernels.deviations(
                    crystal.index[setting], crystal.intensity, crystal.sigma, crystal.partiality, scale,
                    self._shell, *self._sums.shells, part,
                )  # fmt: skip
            index = np.maximum(np.concatenate([crystal.index[setting] for crystal in crystals]), 0)
            copies.append(csr_array((values, index, starts), shape=(len(crystals), len(self.unit))))
        return cluster(copies)


def half_of(series: str, number: int) -> int:
    """Return which half, 0 or 1, a frame belongs to: a hash, so the same in every run and on every machine."""
    return blake2b(f"{series}\n{number}".encode(), digest_size=1).digest()[0] & 1


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
