"""What the merging panel is told, and what it asks of the processor."""

import math
from typing import Any

import numpy as np
import pytest
from merging_by_hand import AMBIGUOUS, D_MIN, EVERY_S, T0, changed, merged
from messages_by_hand import NotingOutbox, hits
from numbers_by_hand import status
from psygnal import Signal
from quality_by_hand import rows_of_lattices, settings

from braggwatch.gui.controllers.merging import MergingController
from braggwatch.gui.controllers.merging_view import MergingShown, TargetShown
from braggwatch.gui.merge_target import MergeTarget
from braggwatch.gui.monitor import Monitor
from braggwatch.gui.settings_text import with_values
from braggwatch.processing.data_quality import Forecast, Target
from braggwatch.streamer.control_messages import Changed
from braggwatch.streamer.feed_messages import Finished
from braggwatch.streamer.merge_messages import Merging

AHEAD = Forecast("ahead", 720.0, 480.0, 1140.0, 5000.0, "cc_half", 1.0)


class RecordingPanel:
    """Keeps what it is told last."""

    shell_clicked = Signal(int)
    moment_clicked = Signal(int)
    group_clicked = Signal(str)
    target_wanted = Signal()
    target_edited = Signal(object)
    confirmed = Signal()
    cancelled = Signal()
    undo_wanted = Signal()

    def __init__(self) -> None:
        self.empty = self.line = self.why_not = ""
        self.target: TargetShown | None = None
        self._shown: MergingShown | None = None

    @property
    def shown(self) -> MergingShown:
        assert self._shown is not None, self.empty
        return self._shown

    def show_merging(self, shown: MergingShown) -> None:
        self._shown, self.empty = shown, ""

    def show_empty(self, why: str) -> None:
        self._shown, self.empty = None, why

    def show_target(self, shown: TargetShown | None) -> None:
        self.target = shown

    def set_can_change(self, why_not: str) -> None:
        self.why_not = why_not

    def show_line(self, line: str) -> None:
        self.line = line

    def fact(self, name: str) -> str:
        return next(fact.value for fact in self.shown.facts if fact.name == name)


class Rig:
    def __init__(self, link: str = "heard") -> None:
        self.outbox = NotingOutbox()
        self.monitor = Monitor(self.outbox)
        self.view = RecordingPanel()
        self.time = 100.0
        self.controller = MergingController(self.monitor, self.view, lambda: self.time)
        self.monitor.set_link(link)

    def tell(self, *messages: Any) -> RecordingPanel:
        self.monitor.take(messages)
        self.controller.refresh()
        return self.view

    def said(self, message: Merging) -> str:
        """The verdict, heard in the moment in which it was worked out."""
        return self.tell(status(time=message.time), message).shown.verdict.texts[0]


@pytest.fixture
def rig() -> Rig:
    return Rig()


# -- what is shown ------------------------------------------------------------------------------------------------


def test_what_is_shown_is_what_the_processor_found(rig: Rig) -> None:
    message = merged()
    view = rig.tell(message)
    assert message.outer is not None and message.whole is not None and message.overall is not None
    assert message.outer.cc_half is not None and message.whole.completeness is not None
    said = view.shown.quality[0]
    assert said.startswith(f"CC½ {math.floor(100 * message.outer.cc_half) / 100:.2f} at {D_MIN:.2f} Å · ")
    assert f"{math.floor(1000 * message.whole.completeness) / 10:.1f} % complete" in said
    assert view.shown.target[0] == "Target: CC½ 0.50, 99.0 % complete at 3.00 Å"
    assert view.fact("Crystals merged") == str(message.n_crystals)
    assert view.fact("Merged as") == "P 43 21 2 · 79.20 79.20 38.00 Å · 90 90 90°"
    assert len(view.shown.table) == len(message.shells) + 1
    assert view.shown.table[0].texts[1] == str(message.shells[0].n_unique)
    assert view.shown.table[-1].texts[3] == f"{message.overall.multiplicity:.1f}"


def test_the_plots_hold_every_shell_and_moment_with_the_target(rig: Rig) -> None:
    message = merged()
    shown = rig.tell(message).shown
    np.testing.assert_allclose(shown.shells.values["cc_half"], [shell.cc_half or 0 for shell in message.shells])
    np.testing.assert_allclose(
        shown.shells.values["completeness"], [100 * (shell.completeness or 0) for shell in message.shells]
    )
    np.testing.assert_allclose(shown.shells.edges[:, 1] ** -0.5, [shell.d_min for shell in message.shells])
    assert (shown.shells.targets, shown.shells.target_d) == ({"cc_half": 0.5}, D_MIN)
    moments = shown.progress.moments
    np.testing.assert_array_equal(moments.n_crystals, [moment.n_crystals for moment in message.moments])
    np.testing.assert_allclose(np.diff(moments.time), EVERY_S)
    assert (shown.progress.target_cc_half, shown.progress.target_completeness) == (0.5, 0.99)


def test_few_crystals_are_said_to_be_so_far(rig: Rig) -> None:
    few = changed(merged(), n_crystals=37)
    assert rig.tell(few).shown.quality[0].endswith(" so far")
    assert rig.view.fact("Crystals merged") == "37, few so far"
    assert not rig.tell(merged()).shown.quality[0].endswith(" so far")


def test_what_is_unknown_is_a_dash(rig: Rig) -> None:
    message = merged(1, per_turn=1)
    view = rig.tell(message)
    assert view.fact("CC½, outer shell") == "–"
    assert "CC½ –" in view.shown.quality[0]
    assert view.fact("CC½ ≥ 0.50 to") == "–"
    assert view.shown.verdict.texts[0] == "When the target is reached is not known yet"
    assert {line.texts[5] for line in view.shown.table} == {"–"}


def test_100_percent_is_said_of_all_reflections_only(rig: Rig) -> None:
    message = merged()
    assert message.whole is not None
    nearly = changed(message, whole=message.whole.__class__(**{**vars(message.whole), "completeness": 0.9999}))
    assert rig.tell(nearly).fact("Completeness") == "99.9 %"


def test_ways_of_indexing_are_named_where_the_lattice_cannot_tell_them(rig: Rig) -> None:
    message = merged(60, AMBIGUOUS)
    assert len(message.settings) == 2
    names, numbers = message.settings, message.in_setting
    said = rig.tell(message).fact("Ambiguous")
    assert said.startswith(f"{names[0]} {numbers[0]} · {names[1]} {numbers[1]} · ")
    assert "Ambiguous" not in {fact.name for fact in rig.tell(merged()).shown.facts}


def test_crystals_that_are_left_out_are_counted_by_why(rig: Rig) -> None:
    view = rig.tell(changed(merged(), n_outliers=3, n_foreign=1200, n_empty=1))
    assert view.fact("Left out") == "3 outliers · 1\u2009200 of another cell · 1 empty"
    assert rig.tell(changed(merged(), n_empty=2)).fact("Left out") == "2 empty"
    assert rig.tell(merged()).fact("Left out") == "none"
    view = rig.tell(changed(merged(), n_left_out=5))
    late = next(fact for fact in view.shown.facts if fact.name == "No time for")
    assert (late.value, late.tone) == ("5 shots", "alarm")


# -- when it is done ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("forecast", "expected"),
    [
        (AHEAD, "Done in about 12 min (8–19 min)"),
        (Forecast("ahead", 720.0, 480.0, None), "Done in about 12 min (8 min or longer, even over a day)"),
        (Forecast("ahead", 50.0, 40.0, 200.0), "Done in about 50 s (40 s – 3 min)"),
        (Forecast("reached"), "Target reached"),
        (Forecast("unknown"), "When the target is reached is not known yet"),
        (Forecast("not at this rate", held_up_by="cc_half"), "Will not be reached at this rate: held up by CC½"),
        (
            Forecast("not at this rate", held_up_by="completeness", completeness_limit=0.973),
            "Will not be reached at this rate: held up by completeness, which approaches 97.3 %",
        ),
        (Forecast("not at this rate"), "Will not be reached at this rate"),
        (None, "No target is set"),
    ],
)
def test_the_forecast_is_a_sentence(rig: Rig, forecast: Forecast | None, expected: str) -> None:
    assert rig.said(changed(merged(), forecast=forecast)) == expected


def test_the_forecast_counts_from_now_by_the_processors_clock(rig: Rig) -> None:
    message = changed(merged(), forecast=AHEAD)
    rig.tell(status(time=message.time), message)
    rig.controller.stale = False
    rig.time += 120
    assert rig.controller.stale
    rig.tell(status(time=message.time + 120))
    said = rig.view.shown.verdict
    assert said.texts[0] == "Done in about 10 min (6–17 min), as of 2 min ago"
    assert said.tone == "quiet"
    rig.tell(status(time=message.time + 719))
    assert rig.view.shown.verdict.texts[1] == "Done any moment now (7 min at most)"


def test_when_no_more_crystals_come_it_says_what_was_lacking(rig: Rig) -> None:
    message = changed(merged(), forecast=AHEAD)
    rig.time += 5000
    view = rig.tell(status(time=message.time), message, Finished(time=message.time + 1))
    assert view.shown.verdict.texts[0] == "Target not reached: about 12 min more would have done"
    assert view.shown.progress.expected is None
    view = rig.tell(changed(message, forecast=Forecast("not at this rate", held_up_by="cc_half")))
    assert view.shown.verdict.texts[0] == "Target not reached, held up by CC½"


def test_a_target_that_few_crystals_reach_is_reached_so_far(rig: Rig) -> None:
    assert rig.said(changed(merged(), n_crystals=20, forecast=Forecast("reached"))) == (
        "Target reached, by 20 crystals so far"
    )


def test_the_plot_says_when_the_target_is_likely_reached(rig: Rig) -> None:
    message = changed(merged(), forecast=AHEAD)
    assert rig.tell(message).shown.progress.expected == (message.time + 480, message.time + 720, message.time + 1140)


# -- when there is nothing ----------------------------------------------------------------------------------------


def test_where_there_is_nothing_it_says_why(rig: Rig) -> None:
    rig.controller.refresh()
    assert rig.view.empty == "Waiting for a processor, which tells how the merge goes."
    assert rig.tell(status()).empty == "Nothing merged yet: waiting for the processor to tell of the merge."
    nothing = Merging(time=T0, since=T0)
    assert rig.tell(nothing).empty == "Nothing merged yet: waiting for the first integrated crystals."
    foreign = changed(nothing, n_foreign=12)
    assert "; 12 crystals of another cell or space group were left out." in rig.tell(foreign).empty
    problem = changed(nothing, problem="Nothing is merged: the chain has no stage integrate.\x1b[2J")
    assert rig.tell(problem).empty == "Nothing is merged: the chain has no stage integrate.\ufffd[2J"
    of_record = Rig("record")
    assert of_record.tell(status()).empty == "Nothing was merged in this session."
    rig.monitor.begin_anew()
    rig.controller.refresh()
    assert "Waiting for a processor" in rig.view.empty


# -- what a click opens -------------------------------------------------------------------------------------------


def test_a_shell_opens_the_indexed_shots_that_diffract_to_it(rig: Rig) -> None:
    rig.monitor.hits.extend(hits(rows_of_lattices(400)).rows)
    message = merged()
    shells = tuple(
        shell.__class__(**{**vars(shell), "d_max": high, "d_min": low})
        for shell, high, low in zip(message.shells, (9.0, 2.4, 2.1), (2.4, 2.1, 1.2), strict=False)
    )
    rig.tell(changed(message, shells=shells))
    rig.view.shell_clicked.emit(1)
    known = rig.monitor.hits
    chosen = [known.find(key) for key in rig.monitor.selection]
    wanted = known.hits["indexed"] & (known.hits["resolution"] < 2.4) & (known.hits["resolution"] >= 2.1)
    assert sorted(row for row in chosen if row is not None) == np.flatnonzero(wanted).tolist()
    assert len(chosen) > 20
    rig.view.shell_clicked.emit(3)
    assert len(rig.monitor.selection) == known.hits["indexed"].sum()


def test_a_moment_opens_the_indexed_shots_since_the_one_before(rig: Rig) -> None:
    rig.monitor.hits.extend(hits(rows_of_lattices(40)).rows)
    message = merged()
    moments = tuple(
        moment.__class__(1000.0 + 10 * i, moment.n_crystals, None, None, None)
        for i, moment in enumerate(message.moments[:3])
    )
    rig.tell(changed(message, moments=moments))
    rig.view.moment_clicked.emit(2)
    assert [key.number // 3 for key in rig.monitor.selection] == [20, 18, 17, 16, 15, 13, 12, 11]
    rig.view.moment_clicked.emit(99)
    assert len(rig.monitor.selection) == 8


# -- the target ---------------------------------------------------------------------------------------------------


def edit(rig: Rig, **fields: Any) -> None:
    assert rig.view.target is not None
    rig.view.target_edited.emit(MergeTarget(**{**vars(rig.view.target.target), **fields}))


def put_in_force(rig: Rig, version: int) -> dict[str, dict[str, Any]]:
    """Answer the change that was asked for, as the processor would."""
    change, then = rig.outbox.changes.pop(0)
    assert rig.monitor.settings is not None
    rig.tell(settings(with_values(rig.monitor.settings.text, change.settings)))
    then(Changed(version))
    rig.controller.refresh()
    return change.settings


def test_a_target_is_shown_before_it_is_asked_for_and_can_be_undone(rig: Rig) -> None:
    rig.tell(settings("[merge]\ntarget_cc_half = 0.4\n"), merged())
    assert rig.view.why_not == ""
    rig.view.target_wanted.emit()
    assert rig.view.target is not None
    assert rig.view.target.target == MergeTarget(None, 0.4, 0.99, None)
    assert rig.view.target.said == ""
    edit(rig, cc_half=0.6, d_min=3.5, completeness=None)
    assert rig.view.target.said == (
        "resolution that of the merge → 3.50 Å · CC½ 0.4 → 0.6 · completeness 99 % → does not matter"
    )
    assert not rig.outbox.changes
    rig.view.confirmed.emit()
    assert rig.view.target is None
    asked = put_in_force(rig, 2)
    assert asked == {"merge": {"target_d_min": 3.5, "target_cc_half": 0.6, "target_completeness": 0.0}}
    assert rig.view.line == "In force as settings version 2."
    rig.view.target_wanted.emit()
    assert rig.view.target is not None
    assert rig.view.target.target == MergeTarget(3.5, 0.6, None, None)
    assert "CC½ 0.6 → 0.4" in rig.view.target.undo
    rig.view.undo_wanted.emit()
    assert put_in_force(rig, 3) == {"merge": {"target_d_min": None, "target_cc_half": 0.4, "target_completeness": 0.99}}


def test_a_target_that_makes_no_sense_is_refused_before_it_is_asked_for(rig: Rig) -> None:
    rig.tell(settings("[merge]\nd_min = 3.0\n"), merged())
    rig.view.target_wanted.emit()
    edit(rig, d_min=2.0)
    assert rig.view.target is not None
    assert "target_d_min = 2.0 lies beyond d_min = 3.0" in rig.view.target.problem
    rig.view.confirmed.emit()
    assert not rig.outbox.changes


def test_a_target_can_be_asked_for_between_the_limits_of_the_merge_only(rig: Rig) -> None:
    message = merged()
    rig.tell(settings(""), message)
    rig.view.target_wanted.emit()
    assert rig.view.target is not None
    assert rig.view.target.limits == (message.shells[-1].d_min, message.shells[0].d_min)


def test_a_refusal_is_a_line_and_leaves_the_target(rig: Rig) -> None:
    said: list[str] = []
    rig.monitor.said.connect(said.append)
    rig.tell(settings(""), merged())
    rig.view.target_wanted.emit()
    edit(rig, multiplicity=20.0)
    rig.view.confirmed.emit()
    _, then = rig.outbox.changes.pop(0)
    then(Changed(1, "no"))
    assert rig.view.line == "Nothing was changed: no"
    assert said == ["Nothing was changed: no"]


@pytest.mark.parametrize(
    ("link", "problem", "text", "expected"),
    [
        ("record", "", "", "This is a record"),
        ("gone", "", "", "not heard"),
        ("heard", "settings can only be changed on the processor's own machine", "", "own machine"),
        ("heard", "", "[merge", "no TOML"),
        ("heard", "", "[merge]\nshells = 'many'\n", "make no sense"),
        ("heard", "", "merge = 5\n", "make no sense"),
    ],
)
def test_where_it_cannot_be_changed_the_button_says_why(link: str, problem: str, text: str, expected: str) -> None:
    rig = Rig(link)
    rig.outbox.change_problem = problem
    rig.tell(settings(text), merged())
    assert expected in rig.view.why_not
    rig.view.target_wanted.emit()
    rig.controller.refresh()
    assert rig.view.target is None


def test_editing_ends_when_the_user_goes_back(rig: Rig) -> None:
    rig.tell(settings(""), merged())
    rig.view.target_wanted.emit()
    rig.view.target_wanted.emit()
    assert rig.view.target is None
    rig.view.target_wanted.emit()
    rig.view.cancelled.emit()
    assert rig.view.target is None
    assert rig.tell(changed(merged(), target=Target(3.0, 0.7))).target is None
