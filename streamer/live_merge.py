"""Merges the crystals while they arrive, in a thread of its own beside the hub's."""

import logging
import math
import threading
import time
from collections import deque
from dataclasses import dataclass

import msgspec

from braggwatch.processing.closing import Closing
from braggwatch.processing.shot_groups import GroupSettings
from braggwatch.processing.stages.index import IndexSettings, read_cell
from braggwatch.processing.stages.integrate import IntegrateSettings
from braggwatch.processing.unit_cell import UnitCell
from braggwatch.streamer.integrated import unpack_integrated
from braggwatch.streamer.merge_messages import Merging
from braggwatch.streamer.merge_settings import MergeSettings
from braggwatch.streamer.running_merge import RunningMerge, compile_kernels
from braggwatch.streamer.settings import Settings

log = logging.getLogger(__name__)

TURN_S = 0.2
"""How often the thread takes what has come."""
REFRESH_S = 3.0
"""s between two messages."""
SHOTS_WAITING = 5000
"""Shots that wait at most, some 30 MB."""
CLOSE_PATIENCE_S = 30.0


@dataclass(frozen=True)
class MergePlan:
    """What the settings say of the merge."""

    settings: MergeSettings
    cell: UnitCell | None
    """None where nothing can be merged."""
    d_min: float | None
    problem: str
    """Why, as a sentence."""
    groups: GroupSettings

    @classmethod
    def of(cls, settings: Settings) -> "MergePlan":
        """Read it from settings that have been checked: the cell is that of the first stage that indexes."""
        stages = [spec.settings for spec in settings.pipeline().stage_specs()]
        cells = [stage.cell for stage in stages if isinstance(stage, IndexSettings)]
        limits = [stage.d_min for stage in stages if isinstance(stage, IntegrateSettings)]
        problem = ""
        if not settings.merge.on:
            problem = "Merging is switched off: on = false in [merge]."
        elif not cells:
            problem = "Nothing is merged: the chain has no stage index."
        elif not limits:
            problem = "Nothing is merged: the chain has no stage integrate. Put it behind index."
        if problem:
            return cls(settings.merge, None, None, problem, settings.groups)
        return cls(settings.merge, read_cell(cells[0]), settings.merge.d_min or limits[0], "", settings.groups)

    def can_go_on_by(self, other: "MergePlan") -> bool:
        """Tell whether a merge by the one can go on by the other, with another target or other groups perhaps."""
        return self.same_in_any_case() == other.same_in_any_case()

    def same_in_any_case(self) -> tuple[object, ...]:
        """Return all that would make it another merge."""
        settings = self.settings
        return self.cell, self.d_min, settings.shells, settings.scaling, settings.weighting


class LiveMerge(Closing):
    """The merge of what the workers integrate; but for the thread inside, it belongs to the hub's thread.

    Crystals of all runs are merged together. The merge begins anew when the cell, the resolution or the way of merging
    changes in the settings; those of the groups of shots also where shots are grouped otherwise.
    """

    def __init__(self) -> None:
        """Start the thread; nothing is merged before settings are in force."""
        self._plans: deque[MergePlan] = deque()
        self._shots: deque[tuple[bytes, str, GroupSettings | None]] = deque(maxlen=SHOTS_WAITING)
        """Packed, with the group's name, and how shots were grouped then."""
        self._group_settings: GroupSettings | None = None
        """How shots are grouped that come now."""
        self._n_dropped = 0
        self._newest: deque[Merging] = deque(maxlen=1)
        self._problems: deque[str] = deque(maxlen=1)
        self._plan: MergePlan | None = None
        self._merge: RunningMerge | None = None
        self._dropped_before = 0
        """Shots that had been dropped when the merge began."""
        self._next = 0.0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="merge", daemon=True)
        self._thread.start()

    # -- what the hub's thread calls ----------------------------------------------------------------------------

    def settings_in_force(self, settings: Settings) -> None:
        """Merge by these settings from now on."""
        self._group_settings = settings.groups
        self._plans.append(MergePlan.of(settings))

    def add(self, packed: bytes, group: str = "") -> None:
        """Take the crystals of a shot of a group, as `pack_integrated` gives them; the oldest give way in the end."""
        if len(self._shots) == SHOTS_WAITING:
            self._n_dropped += 1
        self._shots.append((packed, group, self._group_settings))

    def take(self) -> tuple[Merging | None, str]:
        """Return the message that is to be published now, and what went wrong last, as a sentence or empty."""
        newest = self._newest.popleft() if self._newest else None
        return newest, self._problems.popleft() if self._problems else ""

    def close(self) -> None:
        """Merge what is here, for `take` to return a last time, and end the thread."""
        self._closing.set()
        self._thread.join(CLOSE_PATIENCE_S)

    # -- what the thread does -----------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._closing.wait(TURN_S):
            self._turn()
        self._turn(last=True)

    def _turn(self, *, last: bool = False) -> None:
        try:
            while self._plans:
                self._put_in_force(self._plans.popleft())
            self._merge_all()
            if last or time.monotonic() >= self._next:
                self._tell(last)
        except Exception as error:  # a merge that fails must not take the monitor with it
            log.exception("merging failed")
            self._problems.append(f"crystals cannot be merged: {type(error).__name__}: {error}")

    def _put_in_force(self, plan: MergePlan) -> None:
        before, self._plan = self._plan, plan
        if plan == before:
            return
        self._next = 0.0
        if plan.cell is None:
            self._merge = None
        elif self._merge is not None and before is not None and before.can_go_on_by(plan):
            if plan.settings != before.settings:
                self._merge.aim(plan.settings)
            if plan.groups != before.groups:
                self._merge.group_anew(plan.groups)
        else:
            compile_kernels()
            self._merge = RunningMerge(plan.cell, plan.settings, plan.d_min, time.time(), plan.groups)
            self._dropped_before = self._n_dropped

    def _merge_all(self) -> None:
        for _ in range(len(self._shots)):
            packed, group, grouped_by = self._shots.popleft()
            if self._merge is None or self._plan is None:
                continue
            try:
                # one that was waiting while groups were changed is in none of the new ones
                self._merge.add(unpack_integrated(packed), group if grouped_by == self._plan.groups else "")
            except (msgspec.DecodeError, ValueError) as error:
                self._problems.append(f"the reflections of a crystal make no sense: {error}")

    def _tell(self, last: bool) -> None:
        if self._plan is None:
            return
        self._next = time.monotonic() + REFRESH_S
        now = time.time()
        if self._merge is None:
            self._newest.append(Merging(time=now, since=now, problem=self._plan.problem))
            self._next = math.inf  # there is nothing more to say until the settings change
            return
        self._newest.append(self._merge.message(now, n_left_out=self._n_dropped - self._dropped_before, last=last))
