"""The tuning panel itself: what it shows, and what the user's hands make of it."""

from typing import Any

import pytest
from PyQt5.QtCore import QPoint, QPointF, Qt
from PyQt5.QtGui import QWheelEvent
from PyQt5.QtWidgets import QApplication, QFileDialog, QSlider
from pytestqt.qtbot import QtBot
from tuning_shots import TEXT

from braggwatch.gui.controllers.tuning_view import FieldState, Name
from braggwatch.gui.controllers.tuning_wording import EffectRow
from braggwatch.gui.panels.tuning import TuningPanel
from braggwatch.gui.theme import DARK, LIGHT
from braggwatch.gui.tuned_fields import Value, tuned_fields

SNR, PEAKS, D_MIN, CELL = ("hitfind", "min_snr"), ("hitfind", "min_peaks"), ("hitfind", "d_min"), ("index", "cell")


@pytest.fixture
def panel(qtbot: QtBot) -> TuningPanel:
    panel = TuningPanel()
    panel.setMinimumSize(140, 84)
    qtbot.addWidget(panel)
    panel.resize(540, 720)
    fields, _ = tuned_fields(TEXT)
    panel.show_fields(fields)
    show(panel, {})
    panel.show()
    return panel


def show(panel: TuningPanel, trial: dict[Name, Value]) -> None:
    fields, values = tuned_fields(TEXT)
    said = {field.name: field.said(values[field.name]) for field in fields}
    panel.show_values({name: FieldState(trial.get(name, v), v, said[name]) for name, v in values.items()})


def said(panel: TuningPanel) -> list[tuple[str, str, Any]]:
    noted: list[tuple[str, str, Any]] = []
    panel.value_changed.connect(lambda table, key, value: noted.append((table, key, value)))
    return noted


def test_values_are_shown_without_being_said_back(panel: TuningPanel) -> None:
    noted = said(panel)
    show(panel, {SNR: 7.5, D_MIN: 2.5, CELL: "80 80 38 90 90 90 P43212", ("hitfind", "method"): "spots"})
    assert noted == []
    assert panel.rows[SNR].editor.text() == "7.5 σ"
    assert panel.rows[D_MIN].editor.isVisible() and not panel.rows[D_MIN].off.isVisible()
    assert panel.rows["hitfind", "method"].editor.currentText() == "spots"
    assert panel.rows[CELL].editor.text() == "80 80 38 90 90 90 P43212"


def test_a_changed_value_is_marked_with_the_old_one_and_the_way_back(panel: TuningPanel, qtbot: QtBot) -> None:
    row = panel.rows[SNR]
    assert not row.back.isVisible()
    show(panel, {SNR: 7.5})
    assert row.back.isVisible() and row.back.text() == "↺ 5 σ"
    with qtbot.waitSignal(panel.reset_wanted) as reset:
        qtbot.mouseClick(row.back, Qt.MouseButton.LeftButton)
    assert reset.args == ["hitfind", "min_snr"]
    show(panel, {})
    assert not row.back.isVisible()


def test_sliders_boxes_and_ticks_say_what_the_user_chose(panel: TuningPanel, qtbot: QtBot) -> None:
    noted = said(panel)
    slider = panel.rows[SNR].slider
    assert slider is not None
    slider.setValue(slider.value() + 40)
    assert noted.pop() == ("hitfind", "min_snr", pytest.approx(6.8, abs=0.2))
    panel.rows[PEAKS].editor.setValue(25)
    assert noted.pop() == ("hitfind", "min_peaks", 25)
    panel.rows[D_MIN].label.setChecked(True)
    assert noted.pop() == ("hitfind", "d_min", 2)
    panel.rows[D_MIN].label.setChecked(False)
    assert noted.pop() == ("hitfind", "d_min", None)
    panel.rows["hitfind", "negate_hits"].editor.setChecked(True)
    assert noted.pop() == ("hitfind", "negate_hits", True)
    panel.rows["hitfind", "statistics"].editor.setCurrentIndex(1)
    assert noted.pop() == ("hitfind", "statistics", "exact")
    line = panel.rows[CELL].editor
    line.setText(" 80 80 38 90 90 90 ")
    line.editingFinished.emit()
    assert noted.pop() == ("index", "cell", "80 80 38 90 90 90")


@pytest.mark.parametrize("value", [None, True, "x", float("nan"), float("inf"), -1e300, 2**80])
@pytest.mark.parametrize("name", [SNR, PEAKS, D_MIN, CELL, ("hitfind", "method"), ("hitfind", "negate_hits")])
def test_odd_values_raise_nothing(panel: TuningPanel, name: Name, value: Any) -> None:
    show(panel, {name: value})


def test_the_wheel_scrolls_past_settings_that_nobody_has_chosen(panel: TuningPanel) -> None:
    noted = said(panel)
    slider = panel.rows[SNR].slider
    assert isinstance(slider, QSlider)
    wheel = QWheelEvent(
        QPointF(5, 5), QPointF(5, 5), QPoint(0, 0), QPoint(0, -120), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(slider, wheel)
    assert noted == []


def test_the_effect_is_shown_before_and_after(panel: TuningPanel) -> None:
    rows = [EffectRow("Hits", "66.7 %", "29.2 %", "Hits", "16 of 24 · 66.7 % ±17.7", "7 of 24 · 29.2 % ±17.1")]
    panel.show_effect(rows, "24 remembered shots tried.", "")
    name, before, after = panel.table._rows[0]
    assert [label.text() for label in (name, before, after)] == ["Hits", rows[0].full_before, rows[0].full_after]
    assert not panel.table.problem.isVisible()
    panel.resize(300, 600)
    assert [before.text(), after.text()] == ["66.7 %", "29.2 %"]
    assert "16 of 24" in before.toolTip()
    panel.show_effect(rows, "", "These settings cannot be tried out")
    assert panel.table.problem.isVisible()


def test_a_click_on_a_shot_says_which(panel: TuningPanel, qtbot: QtBot) -> None:
    panel.show_changed_shots(["frame 9 no hit any more", "frame 7 now a hit"])
    shots = panel.table.shots
    centre = shots.visualItemRect(shots.item(1)).center()
    with qtbot.waitSignal(panel.shot_clicked) as clicked:
        qtbot.mouseClick(shots.viewport(), Qt.MouseButton.LeftButton, pos=centre)
    assert clicked.args == [1]
    panel.show_changed_shots(["frame 9 no hit any more", "frame 7 now a hit"])
    assert shots.currentRow() == 1  # the same list: the choice stays
    panel.show_changed_shots([])
    assert not shots.isVisible()


def test_a_proposal_is_asked_in_the_panel_itself(panel: TuningPanel, qtbot: QtBot) -> None:
    assert not panel.question.isVisible()
    panel.show_proposal(["hitfind.min_snr  5 σ → 6 σ"])
    assert panel.question.isVisible() and "5 σ → 6 σ" in panel.question_text.text()
    with qtbot.waitSignal(panel.confirmed):
        qtbot.mouseClick(panel.yes, Qt.MouseButton.LeftButton)
    with qtbot.waitSignal(panel.cancelled):
        qtbot.mouseClick(panel.no, Qt.MouseButton.LeftButton)
    panel.show_proposal([])
    assert not panel.question.isVisible()


def test_buttons_are_there_for_what_is_possible(panel: TuningPanel, qtbot: QtBot) -> None:
    panel.set_possible(apply=True, undo="hitfind.min_snr  6 σ → 5 σ", reset=False, save=True)
    enabled = [button.isEnabled() for button in (panel.apply, panel.undo, panel.reset, panel.save)]
    assert enabled == [True, True, False, True]
    assert "6 σ → 5 σ" in panel.undo.toolTip()
    for button, signal in ((panel.apply, panel.apply_wanted), (panel.undo, panel.undo_wanted)):
        with qtbot.waitSignal(signal):
            qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    with qtbot.waitSignal(panel.again_wanted):
        qtbot.mouseClick(panel.again, Qt.MouseButton.LeftButton)
    with qtbot.waitSignal(panel.n_shots_changed) as n:
        panel.n_shots.setValue(40)
    assert n.args == [40]
    with qtbot.waitSignal(panel.threshold_wanted) as wanted:
        panel.threshold.setChecked(True)
    assert wanted.args == [True]


def test_the_file_is_asked_for_without_holding_up_the_window(panel: TuningPanel, qtbot: QtBot) -> None:
    qtbot.mouseClick(panel.save, Qt.MouseButton.LeftButton)
    (dialog,) = panel.findChildren(QFileDialog)
    assert dialog.isVisible() and not dialog.isModal()
    with qtbot.waitSignal(panel.save_wanted) as saved:
        dialog.fileSelected.emit("/somewhere/settings.toml")
    assert saved.args == ["/somewhere/settings.toml"]
    dialog.close()


@pytest.mark.parametrize("size", [(140, 84), (260, 180), (540, 720), (1300, 2000)])
def test_any_size_and_both_themes_are_drawn(panel: TuningPanel, size: tuple[int, int]) -> None:
    for theme in (LIGHT, DARK):
        panel.set_theme(theme)
        panel.resize(*size)
        panel.show_proposal(["hitfind.min_snr  5 σ → 6 σ"])
        panel.show_line("In force as settings version 2.")
        show(panel, {SNR: 6.0, D_MIN: 2.0})
        assert not panel.grab().isNull()
        assert (panel.width(), panel.height()) == size
        # without room there are no sliders, and nothing reaches beyond the edge
        slider = panel.rows[SNR].slider
        assert slider is not None and slider.isVisible() == (size[0] >= 380)
        if size[0] >= 260:
            assert panel.fields.minimumSizeHint().width() <= size[0]


def test_nothing_to_tune_is_a_sentence(panel: TuningPanel) -> None:
    panel.show_empty("Waiting for the settings in force.")
    assert panel.empty.isVisible() and not panel.apply.isVisible()
    show(panel, {})
    assert panel.apply.isVisible()


def test_other_fields_take_the_place_of_those_before(panel: TuningPanel) -> None:
    fields, values = tuned_fields('[chain]\nstages = ["hitfind:weak"]')
    panel.show_fields(fields)
    panel.show_values({name: FieldState(v, v, "") for name, v in values.items()})
    assert {table for table, _ in panel.rows} == {"hitfind:weak"}
