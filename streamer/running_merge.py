"""One merge while it goes on: crystals in, a message for the viewers out. No thread, no socket."""

import math
from functools import cache

import numpy as np

from braggwatch.processing.data_quality import USUAL_CC_HALF
from braggwatch.processing.forecast import Forecaster
from braggwatch.processing.merging import Merger
from braggwatch.processing.shot_groups import GroupSettings
from braggwatch.processing.unit_cell import UnitCell
from braggwatch.streamer.group_merges import GroupMerges
from braggwatch.streamer.integrated import REFLECTION, Integrated, IntegratedCrystal
from braggwatch.streamer.merge_messages import MergeMoment, Merging
from braggwatch.streamer.merge_settings import MergeSettings

FIRST = 16
"""So many crystals say how far is integrated, where the settings do not."""
MOMENTS = 400
"""When so many are held, every second one is let go."""


class RunningMerge:
    """Merges the crystals of one cell, whatever run they are of."""

    def __init__(
        self,
        cell: UnitCell,
        settings: MergeSettings,
        d_min: float | None,
        now: float,
        group_settings: GroupSettings | None = None,
    ) -> None:
        """Begin at `now`, s since 1970; `d_min` in Angstrom, None: as far as the first crystals go."""
        self.cell = cell
        self._settings = settings
        self._d_min = d_min
        self._since = now
        self._first: list[tuple[Integrated, IntegratedCrystal, str]] = []
        self._merger: Merger | None = None
        self._forecaster: Forecaster | None = None
        self._groups: GroupMerges | None = None
        self._group_settings = group_settings
        self._moments: list[MergeMoment] = []
        self._moment_every, self._not_noted = 1, 0
        self._problem = ""
        self._n_foreign = 0

    def aim(self, settings: MergeSettings) -> None:
        """Aim at another target from now on."""
        self._settings = settings
        self._moments.clear()  # they are told relative to the target's resolution
        if self._merger is None or self._groups is None:
            return
        target = settings.target(self._merger.unit.d_min)
        self._groups.aim(target)
        if target is None:
            self._forecaster = None
        elif self._forecaster is None:
            self._forecaster = Forecaster(self._merger, target)
        else:
            self._forecaster = self._forecaster.aimed_at(target)

    def group_anew(self, group_settings: GroupSettings) -> None:
        """Begin the merges of the groups anew, as shots are grouped otherwise from now on; that of all goes on."""
        self._group_settings = group_settings
        self._first = [(shot, crystal, "") for shot, crystal, _ in self._first]
        if self._groups is not None:
            self._groups.forget(group_settings)

    def add(self, shot: Integrated, group: str = "") -> None:
        """Merge the crystals of a shot, which is of a group or, left out, of none.

        Raises ValueError where their rows make no sense.
        """
        for crystal in shot.crystals:
            if not crystal.is_of(self.cell):
                self._n_foreign += 1
            elif self._merger is not None:
                self._merger.add(crystal.reflections(), shot.series, shot.number, group=group)
            elif not self._problem:
                self._first.append((shot, crystal, group))
        if len(self._first) >= FIRST or (self._first and self._d_min is not None):
            self._begin()

    def message(self, now: float, *, n_left_out: int = 0, last: bool = False) -> Merging:
        """Return how the merge stands at `now`, s since 1970; `last`: settle what is kept of the first crystals."""
        if self._first:
            self._begin()
        merger, forecaster = self._merger, self._forecaster
        if merger is None:
            return Merging(time=now, since=self._since, problem=self._problem, n_foreign=self._n_foreign)
        if last:
            merger.finish()
        found = merger.statistics()
        target = None if forecaster is None else forecaster.target
        aimed = found if target is None or target.d_min == merger.unit.d_min else merger.statistics(target.d_min)
        outer, whole = aimed.shells[-1], aimed.overall
        self._note(MergeMoment(now, merger.n_crystals, found.overall.cc_half, outer.cc_half, whole.completeness))
        if forecaster is not None:
            forecaster.note(now)
        ambiguous = len(merger.settings) > 1
        return Merging(
            time=now,
            since=self._since,
            cell=self.cell.parameters,
            space_group=self.cell.space_group,
            n_crystals=merger.n_crystals,
            n_outliers=merger.n_outliers,
            n_empty=merger.n_empty,
            n_rejected=merger.n_rejected,
            n_foreign=self._n_foreign,
            n_left_out=n_left_out,
            settings=tuple(setting.name for setting in merger.settings),
            in_setting=tuple(merger.in_setting.tolist()),
            agreement=merger.agreement if ambiguous else None,
            shells=found.shells,
            overall=found.overall,
            resolution=found.resolution(self._settings.target_cc_half or USUAL_CC_HALF),
            target=target,
            outer=outer,
            whole=whole,
            forecast=None if forecaster is None else forecaster.forecast(),
            moments=tuple(self._moments),
            groups=() if self._groups is None else self._groups.messages(now, last=last),
            difference=None if self._groups is None else self._groups.difference(),
        )

    def _begin(self) -> None:
        first, self._first = self._first, []
        d_min = self._d_min
        if d_min is None:
            spacings = [self.cell.d_spacing(crystal.reflections().hkl) for _, crystal, _ in first]
            nearest = np.concatenate(spacings)
            if not len(nearest):
                return
            d_min = math.floor(100 * float(nearest.min())) / 100
        try:
            merger = Merger(
                self.cell, d_min=d_min, n_shells=self._settings.shells, scaling=self._settings.scaling,
                weighting=self._settings.weighting,
            )  # fmt: skip
            target = self._settings.target(merger.unit.d_min)
            self._forecaster = None if target is None else Forecaster(merger, target)
        except ValueError as error:
            self._problem = f"crystals cannot be merged: {error}; set d_min in [merge]"
            return
        self._merger, self._groups = merger, GroupMerges(merger, target, self._group_settings)
        for shot, crystal, group in first:
            merger.add(crystal.reflections(), shot.series, shot.number, group=group)

    def _note(self, moment: MergeMoment) -> None:
        self._not_noted += 1
        if self._moments and self._not_noted < self._moment_every:
            self._moments[-1] = moment  # the last one is always that of now
            return
        self._not_noted = 0
        self._moments.append(moment)
        if len(self._moments) > MOMENTS:
            del self._moments[1::2]
            self._moment_every *= 2


@cache
def compile_kernels() -> None:
    """Have the kernels ready before the first crystal is here."""
    cell = UnitCell(20.0, 20.0, 20.0, space_group="P 4 3 2")
    merge = RunningMerge(cell, MergeSettings(), 5.0, 0.0)
    rows = np.zeros(8, REFLECTION)
    rows["hkl"], rows["intensity"], rows["sigma"], rows["partiality"] = np.arange(24).reshape(8, 3) % 5, 9.0, 1.0, 0.5
    for number in range(20):
        merge.add(Integrated("", number, (IntegratedCrystal(cell.parameters, cell.space_group, rows.tobytes()),)))
    for time in range(10):
        merge.message(float(time), last=True)
