"""The window beside a real processor: what is killed, starts anew, finds nothing; and on a real screen."""

import contextlib
import signal
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest
from programs import (
    Program,
    blank_pool,
    query,
    start_simulator,
    summary_counts,
    wait_until,
    write_settings,
)
from pytestqt.qtbot import QtBot
from screens import screen
from watched_window import all_done, shows, watching

from braggwatch.gui.monitor import Monitor
from braggwatch.streamer.cli.free_ports import free_ports
from braggwatch.streamer.replay import RecordFeed


@pytest.fixture
def feed() -> str:
    """An address for the feed, the same after a restart."""
    return f"tcp://127.0.0.1:{free_ports(3)[0]}"


def frames_seen(monitor: Monitor) -> int:
    return 0 if monitor.status is None else monitor.status.totals.total


def test_the_window_agrees_with_the_record_and_opens_every_hit(tmp_path: Path, qtbot: QtBot, feed: str) -> None:
    simulator, detector = start_simulator(tmp_path, "--frames", "60", "--rate", "40", "--series", "2")
    settings = write_settings(tmp_path, detector, feed={"address": feed})
    with simulator, Program(tmp_path, "process", settings, "--no-view"), watching(qtbot, feed, tmp_path) as watched:
        monitor = watched.monitor
        watched.until(all_done(120))
        assert monitor.status is not None
        assert monitor.status.run is not None and monitor.status.runs == 2
        record = tmp_path / "record.sqlite"
        watched.until(lambda m: query(record, "SELECT sum(n) FROM totals") == [(120,)])
        totals = dict(query(record, "SELECT state, sum(n) FROM totals GROUP BY state"))
        assert {state.value: n for state, n in monitor.status.totals.counts.items() if n} == totals
        n_hits = totals.get("hit", 0) + totals["indexed"]
        watched.until(lambda m: len(m.hits) == n_hits)
        numbers = query(
            record, "SELECT number FROM frames JOIN states ON code = state WHERE name IN ('hit', 'indexed')"
        )
        assert sorted(monitor.hits.hits["number"].tolist()) == sorted(number for (number,) in numbers)
        watched.look_at_everything()
        for row in (0, n_hits - 1):
            key = monitor.hits.key(row)
            monitor.select([key])
            watched.until(partial(shows, key))
        assert watched.said == []


def test_a_processor_that_is_killed_is_gone_what_it_said_stays_and_its_successor_is_found(
    tmp_path: Path, qtbot: QtBot, feed: str
) -> None:
    simulator, detector = start_simulator(tmp_path, "--frames", "40", "--rate", "40")
    settings = write_settings(tmp_path, detector, feed={"address": feed})
    with watching(qtbot, feed, tmp_path) as watched:
        monitor = watched.monitor
        with simulator, Program(tmp_path, "process", settings, "--no-view") as processor:
            watched.until(all_done(40))
            watched.until(lambda m: len(m.hits) == 20)
            for child in processor.children():
                child.kill()
            processor.process.send_signal(signal.SIGKILL)
        watched.until(lambda m: m.link == "gone")
        assert frames_seen(monitor) == 40
        assert len(monitor.hits) == 20
        watched.look_at_everything()

        again = tmp_path / "again"
        again.mkdir()
        simulator, detector = start_simulator(again, "--frames", "24", "--rate", "40")
        with (
            simulator,
            Program(again, "process", write_settings(again, detector, feed={"address": feed}), "--no-view"),
        ):
            watched.until(all_done(24))
            watched.until(lambda m: len(m.hits) == 12)
            assert monitor.link == "heard"
            watched.look_at_everything()
        assert not [line for line in watched.said if "failed" in line]


def test_a_run_without_hits_leaves_every_panel_with_something_to_say(tmp_path: Path, qtbot: QtBot, feed: str) -> None:
    blank_pool().save(tmp_path / "pool.h5")
    simulator, detector = start_simulator(tmp_path, "--frames", "24", "--rate", "40")
    settings = write_settings(tmp_path, detector, feed={"address": feed})
    with simulator, Program(tmp_path, "process", settings, "--no-view"), watching(qtbot, feed, tmp_path) as watched:
        watched.until(all_done(24))
        watched.monitor.go_live("frame")
        watched.until(lambda m: m.shot is not None)
        watched.look_at_everything()
        assert watched.said == []


def test_a_finished_session_is_shown_out_of_its_record(tmp_path: Path, qtbot: QtBot) -> None:
    simulator, detector = start_simulator(tmp_path, "--frames", "40", "--rate", "40")
    with simulator, Program(tmp_path, "process", write_settings(tmp_path, detector), "--no-view", "--series", "1") as p:
        assert p.wait() == 0, p.messages
    with (
        RecordFeed(tmp_path / "record.sqlite") as record,
        watching(qtbot, record.address, tmp_path) as watched,
    ):
        watched.until(all_done(40))
        watched.until(lambda m: len(m.hits) == 20)
        assert watched.monitor.link == "record"
        watched.look_at_everything()
        for row in range(0, 20, 7):
            key = watched.monitor.hits.key(row)
            watched.monitor.select([key])
            watched.until(partial(shows, key))
        assert watched.said == []


def test_the_window_comes_up_on_a_screen_and_closes_in_good_order(
    tmp_path: Path, feed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator, detector = start_simulator(tmp_path, "--frames", "60", "--rate", "10")
    settings = write_settings(tmp_path, detector, feed={"address": feed})
    with screen(tmp_path) as display, simulator, Program(tmp_path, "process", settings, "--no-view"):
        monkeypatch.delenv("QT_QPA_PLATFORM", raising=False)
        monkeypatch.setenv("DISPLAY", display.display)
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
        assert len(np.unique(display.pixels())) == 1
        with Program(tmp_path, "gui", feed) as gui:
            # letters with smooth edges, curves, an image
            wait_until(lambda: len(np.unique(display.pixels())) > 100, of=gui, what=lambda: gui.messages)
            window_of(gui).terminate()
            assert gui.wait() == 0, gui.messages
            assert "Traceback" not in gui.messages
    assert (tmp_path / "config" / "braggwatch" / "window.json").is_file()


def test_without_a_display_the_window_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    with Program(tmp_path, "gui") as gui:
        assert gui.wait() == 2
    assert "there is no display here (neither DISPLAY nor WAYLAND_DISPLAY is set)" in gui.messages
    monkeypatch.setenv("DISPLAY", ":4711")
    with Program(tmp_path, "gui") as gui:
        assert gui.wait() == 2
    assert "the display :4711 cannot be reached" in gui.messages


def test_the_demo_with_the_window_ends_with_the_summary_when_the_window_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    with screen(tmp_path) as display:
        monkeypatch.delenv("QT_QPA_PLATFORM", raising=False)
        monkeypatch.setenv("DISPLAY", display.display)
        folder = tmp_path / "demo"
        with Program(tmp_path, "demo", "--frames", "40", "--rate", "40", "--directory", folder) as demo:
            window = window_of(demo)
            wait_until((folder / "sent.json").exists, of=demo)
            done = "SELECT count(*) FROM frames"
            wait_until(lambda: query(folder / "record.sqlite", done) == [(40,)], of=demo)
            window.terminate()
            assert demo.wait() == 0, demo.messages
    said = summary_counts(demo.output)
    assert said["sent"] == said["received"] == said["sum"] == 40
    assert f"Everything of this demo is in {folder}" in demo.output


def window_of(program: Program) -> psutil.Process:
    """The process of the window, among the program's children."""
    found: list[psutil.Process] = []

    def find() -> bool:
        with contextlib.suppress(psutil.Error):  # one may end while it is looked at
            found[:] = [child for child in program.children() if "braggwatch.gui" in child.cmdline()]
        return bool(found)

    wait_until(find, of=program, what=lambda: program.messages)
    return found[0]
