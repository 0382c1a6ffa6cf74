"""The merging panel beside a real processor: another target is aimed at without a restart, and can be taken back."""

from pathlib import Path

from programs import Program, query, start_simulator, write_settings
from PyQt5.QtCore import QPoint, Qt
from pytestqt.qtbot import QtBot
from watched_window import watching

from braggwatch.gui.monitor import Monitor
from braggwatch.gui.panels.headline import HeadlinePanel
from braggwatch.gui.panels.merging import MergingPanel
from braggwatch.gui.pulse import is_seen
from braggwatch.streamer.cli.free_ports import free_ports


def aim(monitor: Monitor) -> float | None:
    merging = monitor.merging
    return None if merging is None or merging.target is None else merging.target.d_min


def test_another_target_is_aimed_at_while_the_run_goes_on_and_taken_back(tmp_path: Path, qtbot: QtBot) -> None:
    feed = f"tcp://127.0.0.1:{free_ports(3)[0]}"
    simulator, detector = start_simulator(tmp_path, "--frames", "24", "--rate", "40")
    settings = write_settings(
        tmp_path, detector, feed={"address": feed}, chain={"stages": ["hitfind", "index", "integrate"]},
        merge={"d_min": 2.6},
    )  # fmt: skip
    with simulator, Program(tmp_path, "process", settings, "--no-view"), watching(qtbot, feed, tmp_path) as watched:
        watched.until(lambda m: m.merging is not None and m.merging.n_crystals == 12)
        panels = {type(panel): panel for panel, _ in watched.composition.panels}
        panel, now = panels[MergingPanel], panels[HeadlinePanel]
        assert isinstance(panel, MergingPanel) and isinstance(now, HeadlinePanel)
        watched.window.resize(1920, 1080)
        watched.window.arrange("control room")
        watched.until(lambda m: now.data_set is not None)
        assert not is_seen(panel)
        qtbot.mouseClick(now, Qt.MouseButton.LeftButton, pos=now.rect().bottomLeft() + QPoint(30, -20))
        watched.until(lambda m: is_seen(panel))
        watched.window.arrange("quality")
        watched.until(lambda m: panel.facts.rows.rows and panel.change.isEnabled())
        assert aim(watched.monitor) == 2.6
        before = watched.monitor.merging

        qtbot.mouseClick(panel.change, Qt.MouseButton.LeftButton)
        panel.editor.boxes[0].setChecked(True)
        panel.editor.numbers[0].setValue(3.2)
        assert panel.editor.change.text() == "resolution that of the merge → 3.20 Å"
        qtbot.mouseClick(panel.editor.yes, Qt.MouseButton.LeftButton)
        watched.until(lambda m: aim(m) == 3.2)
        watched.until(lambda m: panel.target.text == "Target: CC½ 0.50, 99.0 % complete at 3.20 Å")
        assert panel.line.text == "In force as settings version 2."
        after = watched.monitor.merging
        assert before is not None and after is not None
        assert (after.since, after.n_crystals) == (before.since, 12)

        qtbot.mouseClick(panel.change, Qt.MouseButton.LeftButton)
        qtbot.mouseClick(panel.editor.undo, Qt.MouseButton.LeftButton)
        watched.until(lambda m: aim(m) == 2.6)
        assert watched.said == []
        texts = query(tmp_path / "record.sqlite", "SELECT text FROM settings ORDER BY version")
        assert any("changed by the merging panel: merge.target_d_min none → 3.2" in text for (text,) in texts)
