"""Asks the processor for other settings, and can take it back."""

from collections.abc import Callable, Mapping
from typing import Any

from braggwatch.gui.monitor import Monitor
from braggwatch.gui.tuned_fields import Value
from braggwatch.streamer.control_messages import Change, Changed

Values = Mapping[tuple[str, str], Value]
"""By table and key."""


def as_tables(values: Values) -> dict[str, dict[str, Any]]:
    """Return values as they are asked for and saved: by table, then by key."""
    tables: dict[str, dict[str, Any]] = {}
    for (table, key), value in values.items():
        tables.setdefault(table, {})[key] = value
    return tables


class SettingsChanges:
    """One question at a time, and what was in force before each change that was granted."""

    def __init__(self, monitor: Monitor, say: Callable[[str], None], changed: Callable[[], None], *, by: str) -> None:
        """`say` takes a line about how it went; `changed` is called when `pending` or `undoable` is another.

        `by`: who asks, for the record.
        """
        self._monitor, self._say, self._changed, self._by = monitor, say, changed, by
        self.pending = False
        """Whether an answer is waited for."""
        self._before: list[Values] = []

    @property
    def undoable(self) -> Values | None:
        """What `undo` would put in force."""
        return self._before[-1] if self._before else None

    def apply(self, values: Values, in_force: Values) -> None:
        """Ask for these values; nothing happens while an answer is waited for."""
        old = {name: in_force[name] for name in values}
        self._ask(values, lambda before: before.append(old))

    def undo(self) -> None:
        """Ask for what was in force before the last change."""
        if self._before:
            self._ask(self._before[-1], lambda before: before.pop())

    def forget(self) -> None:
        """Another processor: nothing is pending there, and nothing can be taken back."""
        self.pending, self._before = False, []

    def _ask(self, values: Values, granted: Callable[[list[Values]], object]) -> None:
        if self.pending or not values:
            return
        self.pending = True
        self._say("Asking the processor …")
        asked = self._before

        def answered(changed: Changed) -> None:
            if asked is not self._before:
                return  # by a processor that is gone
            self.pending = False
            if changed.problem:
                line = f"Nothing was changed: {changed.problem}"
                self._monitor.said.emit(line)
            else:
                line = f"In force as settings version {changed.version}."
                granted(asked)
            self._say(line)
            self._changed()

        self._monitor.outbox.change(Change(as_tables(values), by=self._by), answered)
        self._changed()
