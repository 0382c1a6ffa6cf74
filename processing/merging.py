"""Merging while the crystals arrive: one at a time, in memory that does not grow with their number."""

import math
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from braggwatch.processing import merging_kernels as kernels
from braggwatch.processing.ambiguity import MAX_COPIES, Clustering, Setting, cluster, settings_of
from braggwatch.processing.asymmetric_unit import AsymmetricUnit, look_up
from braggwatch.processing.merge_statistics import MergeStatistics, shell_edges, statistics
from braggwatch.processing.merged_reflections import MergedReflections
from braggwatch.processing.merging_outliers import OutlierTest
from braggwatch.processing.merging_sums import LEAST_START, MergingSums, Observations, Scaling
from braggwatch.processing.unit_cell import UnitCell

F64 = NDArray[np.float64]

START_UP = 128
"""So many crystals are kept and scaled against each other, before all others are scaled against what they gave."""
LONGEST_START_UP = 1024
"""Where indexing is ambiguous they are kept until their settings are clear, but no more than so many."""
CLEAR = 0.95
"""Settings are clear when two halves of the crystals agree on so many of them."""
LEAST_PARTIALITY = 0.2
"""Where partialities count, reflections of less are left out: the model says too little of them."""
_CYCLES = 3
_FEWEST_CLUSTERED = 8
_B_MEMORY = 50
"""Of about so many crystals is the usual B factor taken."""


class Measured(Protocol):
    """What is needed of a crystal's reflections, as arrays of one length; `reflections.Reflections` has it."""

    @property
    def hkl(self) -> NDArray[np.int32]:
        """``(n, 3)``: Miller indices."""

    @property
    def intensity(self) -> NDArray[np.float32]:
        """In any unit, as is `sigma`."""

    @property
    def sigma(self) -> NDArray[np.float32]:
        """Standard deviation of the intensity."""

    @property
    def partiality(self) -> NDArray[np.float32]:
        """As predicted, in (0, 1]."""

    @property
    def flags(self) -> NDArray[np.uint8]:
        """0 for those that nothing speaks against."""

    def __len__(self) -> int: ...


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
        scaling: Scaling = "scale",
        weighting: Literal["mean", "partiality"] = "mean",
    ) -> None:
        """Get ready for crystals of a cell, whose space group counts, to `d_min` in Angstrom.

        `n_shells`: of the statistics, 1 to 100. Takes about 140 bytes a unique reflection and 4 a Miller index. Raises
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
        self._sums = MergingSums(self.unit, scaling)
        needs_start_up = scaling != "none" or len(self.settings) > 1
        self._kept: list[Observations] | None = [] if needs_start_up else None
        self._next_start = START_UP
        self._outliers = OutlierTest()
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

    def add(self, reflections: Measured, series: str, number: int) -> MergedCrystal:
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
        intensity, sigma, _ = self._sums.joined()
        return statistics(
            inverse_d,
            shell_edges(inverse_d, self.n_shells, d_min),
            (self._sums.count, self._sums.mean),
            (intensity, sigma),
            (self.n_crystals, self.n_outliers),
        )

    def merged(self) -> MergedReflections:
        """Return the merged intensities of all reflections observed so far."""
        intensity, sigma, number = self._sums.joined()
        seen = number > 0
        half = np.where(self._sums.count > 0, self._sums.mean, np.nan)
        return MergedReflections(
            self.cell, self.unit.hkl[seen], intensity[seen], sigma[seen], number[seen], half[:, seen],
            self._sums.count[:, seen],
        )  # fmt: skip

    def _usable(self, reflections: Measured, half: int) -> Observations:
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
        return Observations(
            half, index[:, chosen].copy(), reflections.intensity[chosen].astype(float),
            reflections.sigma[chosen].astype(float), partiality,
        )  # fmt: skip

    def _merge(self, crystal: Observations) -> MergedCrystal:
        """Merge a crystal against all before it."""
        setting, correlation, n_effective = self._best_setting(crystal)
        scale, b = self._sums.fit_scale(crystal, setting)
        b -= self._usual_b
        if self.is_settled and self._outliers.is_outlier(correlation, n_effective):
            self.n_outliers += 1
            return MergedCrystal("outlier", scale=scale, correlation=_known(correlation), setting=setting)
        used, rejected = self._sums.add(crystal, setting, scale, b)
        self._count(setting, rejected, scale)
        # only differences of B can be told: without this the reference's would drift
        self._usual_b += b / min(self.n_crystals, _B_MEMORY)
        with_b = self._scaling == "scale_and_b"
        return MergedCrystal("merged", used, rejected, scale, b if with_b else None, _known(correlation), setting)

    def _count(self, setting: int, rejected: int, scale: float) -> None:
        self.n_crystals += 1
        self._scales += scale
        self._scales2 += scale * scale
        self.in_setting[setting] += 1
        self.n_rejected += rejected

    def _forget_counts(self) -> None:
        self.n_crystals = self.n_outliers = self.n_rejected = 0
        self._scales = self._scales2 = 0.0
        self.in_setting[:] = 0

    def _best_setting(self, crystal: Observations) -> tuple[int, float, float]:
        """Return the setting that agrees best with the reference, its correlation, and of how many reflections."""
        best = 0, math.nan, 0.0
        for setting in range(len(self.settings)):
            correlation, n_effective = self._sums.correlation(crystal, setting)
            if math.isfinite(correlation) and not correlation <= best[1]:
                best = setting, correlation, n_effective
        return best

    @property
    def _most_kept(self) -> int:
        if len(self.settings) == 1:
            return START_UP
        return min(LONGEST_START_UP, MAX_COPIES // len(self.settings))

    def _settle(self, *, last: bool) -> None:
        """Sort and scale the kept crystals among each other, and put the result in place of what was merged so far."""
        assert self._kept is not None
        crystals = self._kept
        choice = [0] * len(crystals)
        if len(self.settings) > 1 and len(crystals) >= _FEWEST_CLUSTERED:
            found = self._clustered(crystals)
            choice, self.agreement = found.choice.tolist(), found.agreement
            last = last or found.agreement >= CLEAR
        sums = self._sums
        for cycle in range(1 if self._scaling == "none" else _CYCLES):
            if cycle == 0:
                fits = [(k, 0.0) for k in self._total_scales(crystals, choice)]
            else:
                fits = [sums.fit_scale(*known) for known in zip(crystals, choice, strict=True)]
            sums = sums.emptied()
            self._forget_counts()
            middle, middle_b = np.median(fits, axis=0).tolist()
            for crystal, setting, (k, b) in zip(crystals, choice, fits, strict=True):
                _, rejected = sums.add(crystal, setting, k / middle, b - middle_b)
                self._count(setting, rejected, k / middle)
        self._sums, self._usual_b = sums, 0.0
        self._next_start = min(2 * len(crystals), self._most_kept)
        if last:
            self._kept = None

    def _total_scales(self, crystals: list[Observations], choice: list[int]) -> list[float]:
        """Return each crystal's scale by its total alone, for which its setting need not be known."""
        if self._scaling == "none":
            return [1.0] * len(crystals)
        found = np.array([self._sums.total_scale(*known) for known in zip(crystals, choice, strict=True)])
        middle = float(np.median(found))
        if not middle > 0.0:
            return [1.0] * len(crystals)
        return [float(k) for k in np.clip(found / middle, LEAST_START, 1.0 / LEAST_START) * middle]

    def _clustered(self, crystals: list[Observations]) -> Clustering:
        starts = np.concatenate([[0], np.cumsum([len(crystal.intensity) for crystal in crystals])])
        scales = self._total_scales(crystals, [0] * len(crystals))
        copies = []
        for setting in range(len(self.settings)):
            values = np.empty(starts[-1])
            for crystal, start, k in zip(crystals, starts[:-1], scales, strict=True):
                self._sums.deviations(crystal, setting, k, values[start : start + len(crystal.intensity)])
            index = np.maximum(np.concatenate([crystal.index[setting] for crystal in crystals]), 0)
            copies.append(csr_array((values, index, starts), shape=(len(crystals), len(self.unit))))
        return cluster(copies)


def half_of(series: str, number: int) -> int:
    """Return which half, 0 or 1, a frame belongs to: a hash, so the same in every run and on every machine."""
    return blake2b(f"{series}\n{number}".encode(), digest_size=1).digest()[0] & 1


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
