"""The ledger: every state's count, and whether they add up."""

from messages_by_hand import NotingOutbox, hit_row, hits
from numbers_by_hand import COUNTS, T0, TOTAL, status
from PyQt5.QtCore import QPoint, Qt
from pytestqt.qtbot import QtBot

from braggwatch.gui.controllers.ledger import LedgerController
from braggwatch.gui.monitor import Monitor
from braggwatch.gui.panels.ledger import LedgerPanel
from braggwatch.streamer.feed_messages import Finished, Ledger
from braggwatch.streamer.messages import State


def panel(qtbot: QtBot) -> tuple[LedgerPanel, LedgerController, Monitor]:
    view = LedgerPanel()
    qtbot.addWidget(view)
    monitor = Monitor(NotingOutbox())
    return view, LedgerController(monitor, view), monitor


def texts(view: LedgerPanel) -> dict[str, tuple[str, ...]]:
    return {row.cells[0].text: tuple(cell.text for cell in row.cells[1:]) for row in view.rows.rows}


def test_every_state_has_its_count_of_the_run_and_of_all_runs(qtbot: QtBot) -> None:
    view, controller, monitor = panel(qtbot)
    monitor.take([status()])
    controller.refresh()
    shown = texts(view)
    assert shown["frames"] == ("run 42", "3 runs")
    assert shown["indexed"] == ("30", "3\u2009480")
    assert shown["hit, not indexed"] == ("70", "1\u2009412")
    assert shown["dropped"] == ("0", "12")
    numbers = [int(total.replace("\u2009", "")) for _, total in list(shown.values())[1:]]
    assert sum(numbers) == TOTAL
    assert [cell.text for cell in view.check.rows[0].cells] == ["sum", "1\u2009000", "39\u2009495"]
    assert view.check.rows[1].cells[0].text == "✓ adds up to all 39\u2009495 frames"


def test_losses_are_an_alarm_and_their_absence_is_not(qtbot: QtBot) -> None:
    view, controller, monitor = panel(qtbot)
    monitor.take([status()])
    controller.refresh()
    tones = {row.cells[0].text: (row.square, row.cells[2].tone) for row in view.rows.rows[1:]}
    assert tones["dropped"] == ("alarm", "alarm") and tones["failed"] == ("alarm", "alarm")
    assert tones["refused"] == ("quiet", "text") and tones["quarantined"] == ("quiet", "text")
    assert tones["indexed"] == ("indexed", "text") and tones["hit, not indexed"] == ("hit", "text")


def test_frames_that_are_not_accounted_for_are_said(qtbot: QtBot) -> None:
    view, controller, monitor = panel(qtbot)
    for total, text in (
        (TOTAL + 1, "⚠ 1 frame unaccounted for"),
        (TOTAL - 1200, "⚠ 1\u2009200 frames unaccounted for"),
    ):
        monitor.take([status(totals=Ledger.of(COUNTS, total))])
        controller.refresh()
        (cell,) = view.check.rows[1].cells
        assert (cell.text, cell.tone) == (text, "alarm")


def test_the_last_word_counts_when_the_processor_has_finished(qtbot: QtBot) -> None:
    view, controller, monitor = panel(qtbot)
    monitor.take([status(), Finished(time=T0, totals=Ledger.of({"blank": 5}, 5), runs=1)])
    controller.refresh()
    assert texts(view)["blank"] == ("900", "5") and texts(view)["frames"] == ("run 42", "all")


def test_before_anything_is_known_a_sentence_says_so_and_no_zero_is_shown(qtbot: QtBot) -> None:
    view, controller, monitor = panel(qtbot)
    controller.refresh()
    assert view.body.empty == "Waiting for a processor: no frame is counted yet." and not view.check.isVisibleTo(view)
    monitor.take([status(run=None)])
    controller.refresh()
    assert view.body.empty == "" and texts(view)["blank"] == ("–", "34\u2009562")


def test_a_click_on_hits_or_indexed_shots_opens_the_newest(qtbot: QtBot) -> None:
    view, controller, monitor = panel(qtbot)
    monitor.take([status()])
    monitor.ask_for_hits()
    assert isinstance(monitor.outbox, NotingOutbox)
    monitor.outbox.answer(hits([hit_row(1, 10), hit_row(2, 11, State.HIT), hit_row(3, 12)]))
    controller.refresh()
    view.resize(300, 400)
    chosen = []
    for row in (3, 1, 2, 4):
        place = QPoint(50, int((row + 0.5) * view.rows.row_height))
        qtbot.mouseClick(view.rows, Qt.MouseButton.LeftButton, pos=place)
        chosen.append([key.number for key in monitor.selection])
    assert chosen == [[], [12, 10], [11], [11]]


def test_frames_that_were_left_out_unseen_have_a_row_once_there_are_some_and_are_no_fault(qtbot: QtBot) -> None:
    view, controller, monitor = panel(qtbot)
    monitor.take([status()])
    controller.refresh()
    assert "skipped" not in texts(view)
    monitor.take([status(totals=Ledger.of({**COUNTS, "skipped": 1234}, TOTAL + 1234))])
    controller.refresh()
    assert texts(view)["skipped"] == ("0", "1\u2009234")
    row = next(row for row in view.rows.rows if row.cells[0].text == "skipped")
    assert row.square == "quiet" and {cell.tone for cell in row.cells} == {"text"} and not row.key
    assert row.meaning.startswith("Frames left out unseen: [select] in the settings keeps only shots of another laser")
    assert view.check.rows[1].cells[0].text.startswith("✓ adds up to all")
