"""What the tuning panel is told, and what it asks of the processor."""

import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from messages_by_hand import NotingOutbox, geometry, shot_image
from psygnal import Signal
from tuning_shots import CELL, TEXT, in_force

from braggwatch.gui.controllers.tuning import TuningController
from braggwatch.gui.controllers.tuning_view import FieldState, Name
from braggwatch.gui.controllers.tuning_wording import EffectRow
from braggwatch.gui.monitor import Monitor
from braggwatch.gui.settings_text import with_values
from braggwatch.gui.shot_key import ShotKey
from braggwatch.streamer.control_messages import Changed
from braggwatch.streamer.feed_messages import Ledger, Status
from braggwatch.streamer.messages import State
from braggwatch.streamer.settings import parse_settings
from braggwatch.streamer.settings_change import changed_settings


class RecordingPanel:
    """Keeps what it is told last."""

    value_changed = Signal(str, str, object)
    reset_wanted = Signal(str, str)
    again_wanted = Signal()
    n_shots_changed = Signal(int)
    threshold_wanted = Signal(bool)
    shot_clicked = Signal(int)
    apply_wanted = Signal()
    confirmed = Signal()
    cancelled = Signal()
    undo_wanted = Signal()
    save_wanted = Signal(str)

    def __init__(self) -> None:
        self.empty = ""
        self.layouts = 0
        self.states: dict[Name, FieldState] = {}
        self.effect: dict[str, EffectRow] = {}
        self.progress = self.problem = self.line = ""
        self.shots: list[str] = []
        self.proposal: list[str] = []
        self.possible: dict[str, Any] = {}

    def show_empty(self, why: str) -> None:
        self.empty = why

    def show_fields(self, fields: Any) -> None:
        self.layouts += 1

    def show_values(self, states: Any) -> None:
        self.empty = ""
        self.states = dict(states)

    def show_effect(self, rows: Any, progress: str, problem: str) -> None:
        self.effect = {row.name: row for row in rows}
        self.progress, self.problem = progress, problem

    def show_changed_shots(self, shots: Any) -> None:
        self.shots = list(shots)

    def show_proposal(self, lines: Any) -> None:
        self.proposal = list(lines)

    def show_line(self, line: str) -> None:
        self.line = line

    def set_possible(self, **possible: Any) -> None:
        self.possible = possible


class Rig:
    def __init__(self) -> None:
        self.outbox = NotingOutbox()
        self.monitor = Monitor(self.outbox)
        self.monitor.follow = "frame"
        self.view = RecordingPanel()
        self.controller = TuningController(self.monitor, self.view)
        self.peaks: list[Any] = []
        self.controller.trial_peaks.connect(lambda fs, ss: self.peaks.append((fs, ss)))
        self.controller.trial_cleared.connect(lambda: self.peaks.append(None))
        self.thresholds: list[Any] = []
        self.controller.pixels_above.connect(self.thresholds.append)

    def until(self, done: Callable[[], bool]) -> None:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            if self.controller.stale:
                self.controller.refresh()
            if done():
                return
            time.sleep(0.005)
        pytest.fail("it never came so far")

    def tried(self) -> None:
        self.until(lambda: "tried" in self.view.progress or bool(self.view.problem))

    def settled(self) -> None:
        self.until(lambda: not self.controller.stale)

    def change(self, key: str, value: Any, table: str = "hitfind") -> None:
        self.view.value_changed.emit(table, key, value)

    def answer(self, changed: Changed) -> dict[str, dict[str, Any]]:
        """Answer the oldest change, with the settings first where it is accepted; return what was asked for."""
        change, then = self.outbox.changes.pop(0)
        if not changed.problem:
            assert self.monitor.settings is not None
            text = with_values(self.monitor.settings.text, change.settings)
            self.monitor.take([in_force(text, changed.version)])
        then(changed)
        self.settled()
        return change.settings


@pytest.fixture
def rig() -> Iterator[Rig]:
    """A processor with one blank, nine hits and settings by which all images of noise are hits of some spots."""
    rig = Rig()
    text = TEXT.replace("min_snr = 5.0", "min_snr = 3.0").replace("min_peaks = 10", "min_peaks = 1")
    rig.monitor.take([in_force(text.replace('"dump:hit", "index"', '"dump:hit"')), geometry()])
    rig.monitor.take([shot_image(n, State.HIT if n else State.BLANK) for n in range(10)])
    rig.settled()
    yield rig
    rig.controller.close()


def test_without_settings_it_waits_for_them() -> None:
    rig = Rig()
    rig.settled()
    assert rig.view.empty.startswith("Waiting for the settings in force")
    rig.monitor.take([in_force("[")])
    rig.settled()
    assert "are no TOML" in rig.view.empty
    rig.monitor.take([in_force('[chain]\nstages = ["dump:hit"]')])
    rig.settled()
    assert "neither hit finder nor indexer" in rig.view.empty
    rig.monitor.take([in_force()])
    rig.settled()
    assert rig.view.empty == "" and rig.view.states["index", "cell"].value == CELL
    assert rig.view.progress.startswith("No shots remembered yet")
    rig.controller.close()


def test_a_value_that_is_changed_shows_what_it_would_do(rig: Rig) -> None:
    assert rig.view.progress.startswith("Change a value")
    assert {row.before for row in rig.view.effect.values()} == {"–"}
    rig.change("min_peaks", 1000)
    rig.tried()
    state = rig.view.states["hitfind", "min_peaks"]
    assert (state.value, state.in_force, state.changed, state.said_in_force) == (1000, 1, True, "1")
    hits = rig.view.effect["Hits"]
    assert hits.before == "100.0 %" and hits.full_before.startswith("10 of 10 · 100.0 % ±")
    assert hits.after == "0.0 %" and hits.changed
    assert rig.view.effect["This shot is"].after == "blank"
    assert rig.view.effect["Indexed"].before == "–"  # this chain has no indexer
    assert rig.view.progress == "10 remembered shots tried, 10 of them judged otherwise."
    assert rig.view.possible == {"apply": True, "undo": "", "reset": True, "save": True}


def test_shots_that_are_judged_otherwise_are_listed_and_open_with_a_click(rig: Rig) -> None:
    rig.change("min_peaks", 1000)
    rig.tried()
    assert rig.view.shots[0] == "frame 9 no hit any more" and len(rig.view.shots) == 10
    rig.view.shot_clicked.emit(3)
    assert rig.monitor.selected == ShotKey("run-1", 6)
    assert len(rig.monitor.selection) == 10  # so that the arrow keys go through all of them
    rig.view.shot_clicked.emit(99)


def test_the_expected_hit_rate_is_that_of_the_run(rig: Rig) -> None:
    rig.monitor.take([Status(word="LIVE", since=0, time=0, totals=Ledger(counts={State.BLANK: 90, State.HIT: 10}))])
    rig.change("min_peaks", 1000)
    rig.tried()
    row = rig.view.effect["Expected hit rate"]
    assert (row.before, row.after) == ("100.0 %", "0.0 %")


def test_trial_spots_go_to_the_image_and_away_with_the_shot(rig: Rig) -> None:
    rig.change("min_snr", 3.5)
    rig.tried()
    fs, ss = rig.peaks[-1]
    assert len(fs) == len(ss) == int(rig.view.effect["Spots, this shot"].after)
    rig.monitor.take([shot_image(11, State.HIT)])
    assert rig.peaks[-1] is None  # before any refresh
    rig.until(lambda: rig.peaks[-1] is not None)
    rig.view.reset_wanted.emit("", "")
    rig.settled()
    assert rig.peaks[-1] is None


def test_the_pixels_above_the_threshold_come_when_it_is_wanted(rig: Rig) -> None:
    rig.view.threshold_wanted.emit(True)
    rig.until(lambda: bool(rig.thresholds))
    (places,) = rig.thresholds
    assert places.ndim == 2 and places.shape[1] == 2
    assert rig.peaks == [None]  # nothing is on trial
    rig.view.threshold_wanted.emit(False)
    assert rig.thresholds[-1] is None


def test_values_go_back_one_by_one_or_all_together(rig: Rig) -> None:
    rig.change("min_peaks", 7)
    rig.change("min_snr", 8.0)
    rig.view.reset_wanted.emit("hitfind", "min_peaks")
    rig.settled()
    assert [name for name, state in rig.view.states.items() if state.changed] == [("hitfind", "min_snr")]
    rig.view.reset_wanted.emit("", "")
    rig.settled()
    assert not any(state.changed for state in rig.view.states.values())
    assert rig.view.possible["apply"] is False and rig.view.possible["reset"] is False


def test_a_value_that_is_in_force_is_no_change(rig: Rig) -> None:
    rig.change("min_snr", 3.0)
    rig.settled()
    assert not rig.view.possible["apply"]


@pytest.mark.parametrize(
    ("key", "value"), [("min_snr", -1), ("min_snr", "x"), ("min_peaks", 2**70), ("roi", "x"), ("d_min", float("nan"))]
)
def test_values_that_make_no_sense_are_said_and_cannot_be_applied(rig: Rig, key: str, value: Any) -> None:
    rig.change(key, value)
    rig.tried()
    assert rig.view.problem.startswith("These settings cannot be tried out: [hitfind]")
    assert not rig.view.possible["apply"] and not rig.view.possible["save"]
    rig.change("nothing", 3)
    rig.view.reset_wanted.emit("", "")
    rig.settled()
    assert rig.view.problem == ""


def test_applying_shows_what_will_change_and_asks_the_processor(rig: Rig) -> None:
    rig.change("min_peaks", 1000)
    rig.change("d_min", 2.5)
    rig.tried()
    rig.view.apply_wanted.emit()
    assert rig.view.proposal == [
        "hitfind.min_peaks  1 → 1000",
        "hitfind.d_min  none → 2.5 Å",
        "Hits among 10 remembered shots: 10 → 0",
    ]
    assert not rig.outbox.changes
    rig.view.confirmed.emit()
    assert rig.view.proposal == []
    rig.settled()
    assert rig.view.possible["apply"] is False  # until there is an answer
    assert rig.answer(Changed(2)) == {"hitfind": {"min_peaks": 1000, "d_min": 2.5}}
    assert rig.view.line == "In force as settings version 2."
    assert not any(state.changed for state in rig.view.states.values())
    assert rig.view.states["hitfind", "d_min"].value == 2.5


def test_the_processor_understands_what_is_asked_of_it(rig: Rig, tmp_path: Path) -> None:
    cell = "80 80 38.5 90 90 90 P43212"
    text = TEXT.replace('directory = "hits"', f'directory = "{tmp_path}"')
    rig.monitor.take([in_force(text, 2)])
    rig.settled()
    for key, value in (("min_snr", 6.5), ("max_peaks_in_hit", 900), ("method", "spots"), ("threshold_adu", 20.0)):
        rig.change(key, value)
    rig.change("cell", cell, "index")
    rig.settled()
    rig.view.apply_wanted.emit()
    rig.view.confirmed.emit()
    change, _ = rig.outbox.changes.pop()
    settings = parse_settings(tomllib.loads(text))
    changed = changed_settings(settings, change.settings)
    assert changed.stages["hitfind"]["max_peaks_in_hit"] == 900 and changed.stages["index"]["cell"] == cell
    back = {"hitfind": {"max_peaks_in_hit": None, "method": "peakfinder8", "threshold_adu": None}}
    assert "threshold_adu" not in changed_settings(changed, back).stages["hitfind"]


def test_a_change_can_be_undone(rig: Rig) -> None:
    for version, value in ((2, 50), (3, 60)):
        rig.change("min_peaks", value)
        rig.settled()
        rig.view.apply_wanted.emit()
        rig.view.confirmed.emit()
        rig.answer(Changed(version))
    assert rig.view.possible["undo"] == "hitfind.min_peaks  60 → 50"
    rig.view.undo_wanted.emit()
    assert rig.answer(Changed(4)) == {"hitfind": {"min_peaks": 50}}
    rig.view.undo_wanted.emit()
    assert rig.answer(Changed(5)) == {"hitfind": {"min_peaks": 1}}
    assert rig.view.possible["undo"] == ""
    rig.view.undo_wanted.emit()
    assert not rig.outbox.changes


def test_a_limit_that_was_off_is_switched_off_again_by_undo(rig: Rig) -> None:
    rig.change("d_min", 2.5)
    rig.settled()
    rig.view.apply_wanted.emit()
    rig.view.confirmed.emit()
    rig.answer(Changed(2))
    rig.view.undo_wanted.emit()
    assert rig.answer(Changed(3)) == {"hitfind": {"d_min": None}}
    assert rig.view.states["hitfind", "d_min"].value is None


def test_a_refusal_is_said_and_leaves_the_trial_as_it_is(rig: Rig) -> None:
    said: list[str] = []
    rig.monitor.said.connect(said.append)
    rig.change("min_peaks", 50)
    rig.settled()
    rig.view.apply_wanted.emit()
    rig.view.confirmed.emit()
    rig.answer(Changed(1, "the disk is full"))
    assert rig.view.line == said[-1] == "Nothing was changed: the disk is full"
    assert rig.view.possible["apply"] is True and rig.view.possible["undo"] == ""


def test_a_proposal_goes_when_a_value_changes_or_somebody_cancels(rig: Rig) -> None:
    rig.change("min_peaks", 50)
    rig.settled()
    rig.view.apply_wanted.emit()
    rig.change("min_peaks", 60)
    assert rig.view.proposal == []
    rig.view.confirmed.emit()
    rig.view.apply_wanted.emit()
    rig.view.cancelled.emit()
    rig.view.confirmed.emit()
    assert rig.view.proposal == [] and not rig.outbox.changes


def test_settings_that_somebody_else_changes_are_taken(rig: Rig) -> None:
    rig.change("min_peaks", 50)
    rig.settled()
    rig.monitor.take([in_force(TEXT.replace("min_peaks = 10", "min_peaks = 50"), 2)])
    rig.settled()
    assert not rig.view.states["hitfind", "min_peaks"].changed
    assert rig.view.layouts == 2  # the chain has got an indexer


def test_another_processor_knows_nothing_of_the_trial(rig: Rig) -> None:
    rig.change("min_peaks", 50)
    rig.settled()
    rig.view.apply_wanted.emit()
    rig.view.confirmed.emit()
    rig.monitor.begin_anew()
    rig.settled()
    assert rig.view.empty and rig.peaks[-1] is None
    _, then = rig.outbox.changes.pop()
    then(Changed(2))  # the old one's answer
    rig.monitor.take([in_force(), geometry()])
    rig.settled()
    assert rig.view.possible == {"apply": False, "undo": "", "reset": False, "save": True}


def test_shots_that_come_later_are_tried_when_somebody_asks(rig: Rig) -> None:
    rig.monitor.pause()
    rig.change("min_peaks", 1000)
    rig.tried()
    rig.monitor.take([shot_image(20), shot_image(21)])
    rig.settled()
    assert rig.view.effect["Hits"].full_before.startswith("10 of 10")
    rig.view.again_wanted.emit()
    rig.until(lambda: rig.view.effect["Hits"].full_before.startswith("12 of 12"))
    rig.view.n_shots_changed.emit(3)
    rig.until(lambda: rig.view.effect["Hits"].full_before.startswith("3 of 3"))


def test_settings_are_saved_as_a_new_file_and_never_over_another(rig: Rig, tmp_path: Path) -> None:
    rig.change("min_peaks", 50)
    rig.settled()
    path = tmp_path / "tuned.toml"
    rig.view.save_wanted.emit(str(path))
    assert rig.view.line == f"Saved as {path}."
    assert tomllib.loads(path.read_text())["hitfind"]["min_peaks"] == 50
    written = path.read_bytes()
    rig.change("min_peaks", 60)
    rig.view.save_wanted.emit(str(path))
    assert rig.view.line == f"{path} exists already and was left as it is: choose another name."
    assert path.read_bytes() == written
    rig.view.save_wanted.emit(str(tmp_path / "nowhere" / "x.toml"))
    assert rig.view.line.startswith("The settings could not be saved")
    rig.view.save_wanted.emit("")
