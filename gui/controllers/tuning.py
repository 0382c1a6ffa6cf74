"""Tries other settings out, shows what they would change, and puts them in force."""

from collections.abc import Mapping
from itertools import islice
from pathlib import Path

from psygnal import Signal

from braggwatch.gui.controllers.settings_changes import SettingsChanges, as_tables
from braggwatch.gui.controllers.tuning_view import FieldState, Name, TuningView
from braggwatch.gui.controllers.tuning_wording import effect_rows, progress
from braggwatch.gui.monitor import Monitor
from braggwatch.gui.settings_text import with_values
from braggwatch.gui.shot_key import ShotKey
from braggwatch.gui.trial_effect import Effect, ShownEffect
from braggwatch.gui.tuned_fields import TunedField, Value, tuned_fields
from braggwatch.gui.tuner import Trial, Tuner

N_SHOTS = 100
"""How many remembered shots are tried at first."""


class TuningController:
    """Keeps the trial going that the panel's values ask for."""

    trial_peaks = Signal(object, object)
    """fs and ss ``(n,)`` in pixels: the spots of the shown shot by the trial settings."""
    trial_cleared = Signal()
    pixels_above = Signal(object)
    """``(ss, fs)`` float32, ADU: what a pixel of the shown shot must exceed, NaN where no spot can be; None: hide."""

    def __init__(self, monitor: Monitor, view: TuningView) -> None:
        self._monitor, self._view = monitor, view
        self.stale = True
        self._tuner = Tuner(self._mark)
        self._changes = SettingsChanges(monitor, view.show_line, self._mark, by="the tuning panel")
        self._fields: dict[Name, TunedField] = {}
        self._in_force: dict[Name, Value] = {}
        self._text: str | None = None
        self._trial: dict[Name, Value] = {}
        self._proposing = False
        self._n_shots, self._threshold, self._again = N_SHOTS, False, 0
        self._begun: tuple[object, ...] | None = None
        self._sent: ShownEffect | None = None
        self._changed_shots: list[ShotKey] = []
        for signal in (
            monitor.settings_changed,
            monitor.geometry_changed,
            monitor.status_changed,
            monitor.link_changed,
        ):
            signal.connect(self._mark)
        monitor.remembered_changed.connect(self._take_first_shots)
        monitor.shot_changed.connect(self._show_other_shot)
        view.value_changed.connect(self._change)
        view.reset_wanted.connect(self._reset)
        view.again_wanted.connect(self._repeat)
        view.n_shots_changed.connect(self._set_n_shots)
        view.threshold_wanted.connect(self._set_threshold)
        view.shot_clicked.connect(self._open)
        view.apply_wanted.connect(self._propose)
        view.confirmed.connect(self._apply)
        view.cancelled.connect(self._cancel)
        view.undo_wanted.connect(self._changes.undo)
        view.save_wanted.connect(self._save)

    def close(self) -> None:
        """End the thread that tries settings out."""
        self._tuner.close()

    # -- what has happened --------------------------------------------------------------------------------------

    def _mark(self) -> None:
        self.stale = True

    def _take_first_shots(self) -> None:
        if len(self._monitor.remembered) <= 1:  # later ones wait until somebody asks
            self._mark()

    def _show_other_shot(self) -> None:
        # at once, not with the next refresh: a hidden panel is not refreshed, and these spots belong to another shot
        if self._sent is not None and self._shown_key() != self._sent.effect.key:
            self._clear_peaks()
        self._mark()

    def _change(self, table: str, key: str, value: Value) -> None:
        if (table, key) in self._fields:
            self._trial[table, key] = value
            self._withdraw_proposal()

    def _reset(self, table: str, key: str) -> None:
        if key:
            self._trial.pop((table, key), None)
        else:
            self._trial.clear()
        self._withdraw_proposal()

    def _repeat(self) -> None:
        self._again += 1
        self._mark()

    def _set_n_shots(self, n: int) -> None:
        self._n_shots = n
        self._mark()

    def _set_threshold(self, wanted: bool) -> None:
        self._threshold = wanted
        if not wanted:
            self.pixels_above.emit(None)
        self._mark()

    def _open(self, place: int) -> None:
        if 0 <= place < len(self._changed_shots):
            self._monitor.select(self._changed_shots, place)

    # -- what is shown ------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Take new settings, begin another trial where one is due, and show how far it is."""
        self.stale = False
        if not self._take_settings():
            return
        self._begin()
        effect = self._tuner.effect
        self._send_peaks(effect)
        states = {
            name: FieldState(self._trial.get(name, value), value, self._fields[name].said(value))
            for name, value in self._in_force.items()
        }
        self._view.show_values(states)
        changes = bool(self._trial)
        waits_for = (
            "" if self._monitor.remembered else "No shots remembered yet: waiting for images from the processor."
        )
        shots = waits_for or progress(effect, changes)
        self._view.show_effect(effect_rows(effect, self._monitor), shots, effect.problem or effect.note)
        if self._proposing and changes:
            self._show_proposal()
        elif self._proposing:
            self._cancel()
        changed = effect.changed()
        self._changed_shots = [key for key, _ in changed]
        self._view.show_changed_shots([f"frame {key.number} {text}" for key, text in changed])
        self._view.set_possible(
            apply=changes and not effect.problem and not self._changes.pending and self._monitor.link != "gone",
            undo="" if self._changes.pending else self._said_undo(),
            reset=changes,
            save=not effect.problem,
        )

    def _take_settings(self) -> bool:
        settings = self._monitor.settings
        if settings is None:
            self._forget()
            self._view.show_empty("Waiting for the settings in force: the processor sends them when it is heard.")
            return False
        if settings.text != self._text:
            try:
                fields, values = tuned_fields(settings.text)
            except ValueError as error:
                self._forget()
                self._view.show_empty(f"Nothing can be tuned: {error}.")
                return False
            if list(self._fields.values()) != fields:
                self._view.show_fields(fields)
            self._text, self._in_force = settings.text, values
            self._fields = {field.name: field for field in fields}
        if not self._fields:
            self._view.show_empty("Nothing can be tuned: the processor's chain has neither hit finder nor indexer.")
            return False
        self._trial = {name: value for name, value in self._trial.items() if self._in_force.get(name, value) != value}
        return True

    def _forget(self) -> None:
        """Another processor, or none: nothing of before holds any more."""
        self._text, self._begun = None, None
        self._trial.clear()
        self._changes.forget()
        self._tuner.cancel()
        self._clear_peaks()

    def _begin(self) -> None:
        monitor = self._monitor
        assert self._text is not None
        if not (self._trial or self._threshold) or monitor.detector is None:
            if self._begun is not None:
                self._begun = None
                self._tuner.cancel()
            return
        changes = as_tables(self._trial)
        some = bool(monitor.remembered) and bool(self._trial)
        how = self._n_shots, self._threshold, self._again, some
        wanted = (self._text, changes, monitor.detector, self._shown_key(), how)
        if self._begun is not None and _same(self._begun, wanted):
            return
        newest = tuple(islice(reversed(monitor.remembered), self._n_shots)) if some else ()
        self._begun = wanted
        self._tuner.begin(Trial(monitor.detector, self._text, changes, monitor.shot, newest, self._threshold))

    def _send_peaks(self, effect: Effect) -> None:
        shown = effect.shown
        if shown is None or shown.effect.key != self._shown_key():
            if self._sent is not None:
                self._clear_peaks()
        elif shown is not self._sent:
            self._sent = shown
            if self._trial:
                self.trial_peaks.emit(shown.after[:, 0], shown.after[:, 1])
            else:
                self.trial_cleared.emit()
            if self._threshold:
                self.pixels_above.emit(shown.above)

    def leave(self) -> None:
        """Take what is tried out of the image: the panel is not seen any more, and `refresh` not called."""
        self._clear_peaks()
        self.stale = True

    def _clear_peaks(self) -> None:
        if self._sent is not None and self._sent.above is not None:
            self.pixels_above.emit(None)
        self._sent = None
        self.trial_cleared.emit()

    def _shown_key(self) -> ShotKey | None:
        shot = self._monitor.shot
        return None if shot is None else ShotKey.of(shot.result)

    # -- what is asked of the processor -------------------------------------------------------------------------

    def _propose(self) -> None:
        if self._trial:
            self._proposing = True
            self._show_proposal()

    def _show_proposal(self) -> None:
        effect = self._tuner.effect
        before, after = effect.before.hits, effect.after.hits
        expected = [f"Hits among {before.of} remembered shots: {before.n} → {after.n}"] if before.of else []
        self._view.show_proposal([*self._said(self._in_force, self._trial), *expected])

    def _cancel(self) -> None:
        self._proposing = False
        self._view.show_proposal([])

    def _withdraw_proposal(self) -> None:
        if self._proposing:
            self._cancel()
        self._mark()

    def _apply(self) -> None:
        if self._proposing:
            self._cancel()
            self._changes.apply(self._trial, self._in_force)

    def _said_undo(self) -> str:
        before = self._changes.undoable
        if before is None:
            return ""
        return "; ".join(self._said(self._in_force, before)) or "These values are in force already."

    def _said(self, old: Mapping[Name, Value], new: Mapping[Name, Value]) -> list[str]:
        lines = []
        for name, value in new.items():
            field = self._fields.get(name)
            if field is not None and old.get(name) != value:
                lines.append(f"{field.table}.{field.key}  {field.said(old.get(name))} → {field.said(value)}")
        return lines

    def _save(self, path: str) -> None:
        if self._text is None or not path:
            return
        try:
            text = with_values(self._text, as_tables(self._trial))
            with Path(path).open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            self._view.show_line(f"{path} exists already and was left as it is: choose another name.")
        except (OSError, ValueError) as error:
            self._view.show_line(f"The settings could not be saved: {error}")
        else:
            self._view.show_line(f"Saved as {path}.")


def _same(one: tuple[object, ...], other: tuple[object, ...]) -> bool:
    return all(a is b or a == b for a, b in zip(one, other, strict=True))
