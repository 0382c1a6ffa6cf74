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
from braggwatch.processing.merge import Merge
from braggwatch.processing.merging_sums import LEAST_START, Observations, Scaling
from braggwatch.processing.shot_groups import MAX_GROUPS, OTHERS
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
MAX_GROUP_ROWS = 20_000_000
"""Reflections of all groups together, 104 bytes each: of cells with very many of them fewer groups are told apart."""
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


class Merger(Merge):
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

    Crystals may belong to groups, with the laser on and off, say, whose intensities are to be subtracted in the end.
    Setting and scale of a crystal are told against the merge of all, and with these it is put into its group's merge as
    well. So all groups are in one setting and, as a typical crystal of either gives the same total, on one scale. What
    is left out must not be what differs between the groups: a crystal unlike all others stays in its group where it is
    certainly like that, and observations are rejected by the spread within the group. The merge of all is the same as
    without groups.
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

        `n_shells`: of the statistics, 1 to 100. Takes about 140 bytes a unique reflection, 104 more for each group, and
        4 a Miller index. Raises ValueError for values that make no sense and where the reflections are too many (see
        `AsymmetricUnit`).
        """
        if not 1 <= n_shells <= 100:
            raise ValueError(f"expected 1 to 100 shells, found {n_shells}")
        if scaling not in ("none", "scale", "scale_and_b"):
            raise ValueError(f"expected scaling none, scale or scale_and_b, found {scaling!r}")
        if weighting not in ("mean", "partiality"):
            raise ValueError(f"expected weighting mean or partiality, found {weighting!r}")
        self.cell = cell
        unit = AsymmetricUnit(cell, d_min)
        if not len(unit):
            raise ValueError(f"the cell {cell.parameters} has no reflections to {d_min} A: choose a smaller d_min")
        super().__init__(unit, n_shells, scaling)
        self.settings: tuple[Setting, ...] = settings_of(cell)
        """Those that a crystal may come in; more than one where indexing is ambiguous."""
        self._scaling, self._weighting = scaling, weighting
        self._groups: dict[str, Merge] = {}
        self._most_groups = min(MAX_GROUPS, max(2, MAX_GROUP_ROWS // len(unit)))
        needs_start_up = scaling != "none" or len(self.settings) > 1
        self._kept: list[tuple[Observations, Merge | None]] | None = [] if needs_start_up else None
        self._next_start = START_UP
        self._usual_b = 0.0
        self.n_empty = 0
        """Crystals without a reflection that could be used."""
        self.in_setting = np.zeros(len(self.settings), np.int64)
        """How many of the merged crystals came in each setting."""
        self.agreement: float | None = None
        """Share of the first crystals on whose setting two halves of them agree; None while, or where, unknown."""

    @property
    def is_settled(self) -> bool:
        """Whether the first crystals were scaled, and sorted by setting, among each other."""
        return self._kept is None

    @property
    def groups(self) -> dict[str, Merge]:
        """The merges of the groups by name, in the order of their names: empty where no crystal was given one.

        The 16 that come first are told apart (fewer where the reflections are very many), and further ones are
        together `shot_groups.OTHERS`.
        """
        return dict(sorted(self._groups.items()))

    def forget_groups(self) -> None:
        """Begin the merges of the groups anew; that of all goes on."""
        self._groups = {}
        if self._kept is not None:
            self._kept = [(crystal, None) for crystal, _ in self._kept]

    def add(self, reflections: Measured, series: str, number: int, *, group: str = "") -> MergedCrystal:
        """Merge one crystal's reflections, flagged ones left out; `series` and frame `number` choose its half.

        `group`: name of the group that it belongs to, empty for none.
        """
        crystal = self._usable(reflections, half_of(series, number))
        if not len(crystal.intensity):
            self.n_empty += 1
            return MergedCrystal("empty")
        own = self._group(group)
        if self._kept is not None:
            self._kept.append((crystal, own))
        fate = self._merge(crystal, own)
        if self._kept is not None and len(self._kept) >= self._next_start:
            self._settle(last=2 * len(self._kept) > self._most_kept)
        return fate

    def finish(self) -> None:
        """Settle what is kept of the first crystals, though they may be few; more may be added afterwards."""
        if self._kept is not None and len(self._kept):
            self._settle(last=True)

    def _group(self, name: str) -> Merge | None:
        if not name:
            return None
        if name not in self._groups:
            if len(self._groups.keys() - {OTHERS}) >= self._most_groups:
                name = OTHERS
            self._groups.setdefault(name, Merge(self.unit, self.n_shells, self._scaling))
        return self._groups[name]

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

    def _merge(self, crystal: Observations, group: Merge | None) -> MergedCrystal:
        """Merge a crystal against all before it."""
        setting, correlation, n_effective = self._best_setting(crystal)
        scale, b = self.sums.fit_scale(crystal, setting)
        b -= self._usual_b
        is_outlier = self.is_settled and self.outliers.is_outlier(correlation, n_effective)
        if group is not None:
            self._put_into_group(group, crystal, setting, (scale, b), is_outlier=is_outlier)
        if is_outlier:
            self.n_outliers += 1
            return MergedCrystal("outlier", scale=scale, correlation=_known(correlation), setting=setting)
        self.in_setting[setting] += 1
        used, rejected = self.put(crystal, setting, scale, b)
        # only differences of B can be told: without this the reference's would drift
        self._usual_b += b / min(self.n_crystals, _B_MEMORY)
        with_b = self._scaling == "scale_and_b"
        return MergedCrystal("merged", used, rejected, scale, b if with_b else None, _known(correlation), setting)

    def _put_into_group(
        self, group: Merge, crystal: Observations, setting: int, scales: tuple[float, float], *, is_outlier: bool
    ) -> None:
        """Merge a crystal into its group, unless it is an outlier of all and not certainly like its group either."""
        if self.is_settled:
            correlation = group.sums.correlation(crystal, setting)
            if is_outlier and not group.outliers.is_alike(*correlation):
                group.n_outliers += 1
                return
            group.outliers.count(*correlation)
        group.put(crystal, setting, *scales)

    def begin_anew(self) -> None:
        """Forget what was merged, of the groups too."""
        super().begin_anew()
        self.in_setting[:] = 0
        for group in self._groups.values():
            group.begin_anew()

    def _best_setting(self, crystal: Observations) -> tuple[int, float, float]:
        """Return the setting that agrees best with the reference, its correlation, and of how many reflections."""
        best = 0, math.nan, 0.0
        for setting in range(len(self.settings)):
            correlation, n_effective = self.sums.correlation(crystal, setting)
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
        crystals = [crystal for crystal, _ in self._kept]
        groups = [group for _, group in self._kept]
        choice = [0] * len(crystals)
        if len(self.settings) > 1 and len(crystals) >= _FEWEST_CLUSTERED:
            found = self._clustered(crystals)
            choice, self.agreement = found.choice.tolist(), found.agreement
            last = last or found.agreement >= CLEAR
        for cycle in range(1 if self._scaling == "none" else _CYCLES):
            if cycle == 0:
                fits = [(k, 0.0) for k in self._total_scales(crystals, choice)]
            else:
                fits = [self.sums.fit_scale(*known) for known in zip(crystals, choice, strict=True)]
            self.begin_anew()
            middle, middle_b = np.median(fits, axis=0).tolist()
            for crystal, group, setting, (k, b) in zip(crystals, groups, choice, fits, strict=True):
                self.in_setting[setting] += 1
                for merge in (self, group):
                    if merge is not None:
                        merge.put(crystal, setting, k / middle, b - middle_b)
        self._usual_b = 0.0
        self._next_start = min(2 * len(crystals), self._most_kept)
        if last:
            self._kept = None

    def _total_scales(self, crystals: list[Observations], choice: list[int]) -> list[float]:
        """Return each crystal's scale by its total alone, for which its setting need not be known."""
        if self._scaling == "none":
            return [1.0] * len(crystals)
        found = np.array([self.sums.total_scale(*known) for known in zip(crystals, choice, strict=True)])
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
                self.sums.deviations(crystal, setting, k, values[start : start + len(crystal.intensity)])
            index = np.maximum(np.concatenate([crystal.index[setting] for crystal in crystals]), 0)
            copies.append(csr_array((values, index, starts), shape=(len(crystals), len(self.unit))))
        return cluster(copies)


def half_of(series: str, number: int) -> int:
    """Return which half, 0 or 1, a frame belongs to: a hash, so the same in every run and on every machine."""
    return blake2b(f"{series}\n{number}".encode(), digest_size=1).digest()[0] & 1


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
