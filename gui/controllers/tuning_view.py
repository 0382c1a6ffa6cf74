"""What the tuning controller and its panel say to each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from braggwatch.gui.controllers.tuning_wording import EffectRow
from braggwatch.gui.tuned_fields import TunedField, Value

Name = tuple[str, str]
"""Table and key of a setting."""


@dataclass(frozen=True)
class FieldState:
    """What one setting shows."""

    value: Value
    in_force: Value
    said_in_force: str

    @property
    def changed(self) -> bool:
        """Whether the trial value is another one than that in force."""
        return self.value != self.in_force


class TuningView(Protocol):
    """What the controller asks of its panel."""

    value_changed: Any
    """Table (str), key (str), value (object)."""
    reset_wanted: Any
    """Table (str), key (str); both empty: all of them."""
    again_wanted: Any
    n_shots_changed: Any
    """int."""
    threshold_wanted: Any
    """bool."""
    shot_clicked: Any
    """Place in the list of changed shots (int)."""
    apply_wanted: Any
    confirmed: Any
    cancelled: Any
    undo_wanted: Any
    save_wanted: Any
    """Path (str)."""

    def show_empty(self, why: str) -> None:
        """Show a sentence instead of everything."""

    def show_fields(self, fields: Sequence[TunedField]) -> None:
        """Lay out these settings; called again only when they are others."""

    def show_values(self, states: Mapping[Name, FieldState]) -> None:
        """Set all values and mark those that are changed."""

    def show_effect(self, rows: Sequence[EffectRow], progress: str, problem: str) -> None:
        """Show before and after, how far it has come, and what is wrong."""

    def show_changed_shots(self, shots: Sequence[str]) -> None:
        """List the shots that are judged otherwise."""

    def show_proposal(self, lines: Sequence[str]) -> None:
        """Show what is about to be changed and ask whether to go on; without lines: do not ask."""

    def show_line(self, line: str) -> None:
        """Say how the last request ended."""

    def set_possible(self, *, apply: bool, undo: str, reset: bool, save: bool) -> None:
        """Enable the buttons; `undo` says what would be undone, empty for nothing."""
