"""Changes what the data set is to reach, after asking."""

from collections.abc import Callable

from braggwatch.gui.controllers.merging_view import MergingView, TargetShown
from braggwatch.gui.controllers.settings_changes import SettingsChanges
from braggwatch.gui.merge_target import (
    MergeTarget,
    difference,
    problem_with,
    said_difference,
    settings_of_merge,
)
from braggwatch.gui.monitor import Monitor
from braggwatch.streamer.merge_settings import MergeSettings

LIMITS = 0.5, 20.0
"""Angstrom: what can be aimed at while nothing is merged yet."""


class TargetController:
    """Belongs to `MergingController`, which calls `refresh`."""

    def __init__(self, monitor: Monitor, view: MergingView, mark: Callable[[], None]) -> None:
        """`mark` is called when another refresh is due."""
        self._monitor, self._view, self._mark = monitor, view, mark
        self._changes = SettingsChanges(monitor, view.show_line, mark, by="the merging panel")
        self._in_force: MergeSettings | None = None
        self._edited: MergeTarget | None = None
        self._limits = LIMITS
        view.target_wanted.connect(self._begin)
        view.target_edited.connect(self._edit)
        view.confirmed.connect(self._confirm)
        view.cancelled.connect(self._end)
        view.undo_wanted.connect(self._changes.undo)

    def refresh(self, finest: float | None, coarsest: float | None) -> None:
        """Show whether the target can be changed, and the one that is edited.

        `finest` and `coarsest`: Angstrom, between which resolutions lie that the merge can be asked for.
        """
        problem = ""
        try:
            self._in_force = settings_of_merge(self._monitor.settings)
        except ValueError as error:
            self._in_force, problem = None, str(error)
        self._limits = (finest or LIMITS[0], max(coarsest or LIMITS[1], finest or LIMITS[0]))
        if self._monitor.settings is None:
            self._changes.forget()
        why_not = self._why_not() or problem
        self._view.set_can_change(why_not)
        if why_not:
            self._end()
        else:
            self._show()

    def _why_not(self) -> str:
        if self._monitor.link == "record":
            return "This is a record: what it was to reach cannot be changed any more."
        if self._monitor.link == "gone":
            return "The processor is not heard."
        if self._monitor.finished is not None:
            return "The processor has ended."
        return self._monitor.outbox.change_problem

    def _begin(self) -> None:
        if self._edited is not None:
            self._end()
        elif self._in_force is not None:
            self._edited = MergeTarget.of(self._in_force)
            self._view.show_line("")
            self._show()

    def _edit(self, target: MergeTarget) -> None:
        if self._edited is not None:
            self._edited = target
            self._show()

    def _end(self) -> None:
        self._edited = None
        self._view.show_target(None)

    def _confirm(self) -> None:
        if self._edited is None or self._in_force is None or problem_with(self._in_force, self._edited):
            return
        old = MergeTarget.of(self._in_force)
        self._changes.apply(difference(old, self._edited), old.as_values())
        self._end()
        self._mark()

    def _show(self) -> None:
        if self._edited is None or self._in_force is None:
            self._view.show_target(None)
            return
        old = MergeTarget.of(self._in_force)
        self._view.show_target(
            TargetShown(
                self._edited, self._limits, said_difference(old, self._edited),
                problem_with(self._in_force, self._edited), self._said_undo(old), self._changes.pending,
            )
        )  # fmt: skip

    def _said_undo(self, now: MergeTarget) -> str:
        before = self._changes.undoable
        if before is None:
            return ""
        return said_difference(now, now.with_values(before))
