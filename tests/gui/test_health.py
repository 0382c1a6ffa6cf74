"""The health of the processor, and what needs a person."""

import msgspec
from messages_by_hand import NotingOutbox
from numbers_by_hand import T0, status
from pytestqt.qtbot import QtBot

from braggwatch.gui.controllers.health import HealthController
from braggwatch.gui.monitor import Monitor
from braggwatch.gui.panels.health import HealthPanel
from braggwatch.gui.theme import LIGHT
from braggwatch.streamer.feed_messages import (
    Finished,
    Latency,
    Notice,
    Queue,
    RecordState,
    Status,
    Throughput,
    Worker,
)


class Health:
    def __init__(self, qtbot: QtBot, told: Status | None = None) -> None:
        self.view = HealthPanel()
        qtbot.addWidget(self.view)
        self.monitor = Monitor(NotingOutbox())
        self.time = 100.0
        self.controller = HealthController(self.monitor, self.view, lambda: self.time)
        if told is not None:
            self.monitor.take([told])
        self.controller.refresh()

    def lines(self) -> dict[str, tuple[str, str]]:
        return {row.cells[0].text: (row.cells[1].text, row.cells[1].tone) for row in self.view.lines.rows}

    def workers(self) -> list[list[str]]:
        return [[cell.text for cell in row.cells] for row in self.view.workers.rows]


def test_queue_latency_throughput_record_and_dumps_are_shown_with_their_units(qtbot: QtBot) -> None:
    assert Health(qtbot, status()).lines() == {
        "last frame": ("now", "text"),
        "frames in": ("133.0 Hz · 1.31 GB/s", "text"),
        "results": ("132.4 /s", "text"),
        "latency": ("p50 18 ms · p99 41 ms", "text"),
        "queue": ("31 % · 21 frames", "text"),
        "workers": ("2 of 2 ready · restarts 1", "text"),
        "record": ("39\u2009000 frames · 12 to write", "text"),
        "dump hit": ("4\u2009892 images", "text"),
    }


def test_every_worker_has_its_frames_a_second_and_restarts(qtbot: QtBot) -> None:
    assert Health(qtbot, status()).workers() == [
        ["worker", "state", "frames/s", "busy", "restarts"],
        ["tcp://127.0.0.1:40001", "ready", "67.1 Hz", "81 %", "0"],
        ["tcp://127.0.0.1:40002", "ready", "65.3 Hz", "79 %", "1"],
    ]


def test_a_full_queue_a_lost_worker_and_a_full_disk_are_alarms_in_words(qtbot: QtBot) -> None:
    worker = status().workers[0]
    health = Health(
        qtbot,
        status(
            queue=Queue(4000, 930, 1000),
            workers=(worker, msgspec.structs.replace(worker, state="gone")),
            record=RecordState(path="r", problem="the disk is full"),
        ),
    )
    lines = health.lines()
    assert lines["queue"] == ("93 % full! · 4\u2009000 frames", "alarm")
    assert lines["workers"] == ("1 of 2 ready · restarts 0 !", "alarm")
    assert lines["record"] == ("⚠ the disk is full", "alarm")
    assert health.workers()[2][1] == "gone !"
    assert health.view.lines.rows[4].cells[1].fill == 0.93


def test_frames_that_are_only_counted_in_the_record_are_an_alarm(qtbot: QtBot) -> None:
    record = RecordState(path="r", frames=10, unrecorded=3)
    assert Health(qtbot, status(record=record)).lines()["record"] == ("10 frames · ⚠ 3 only counted", "alarm")
    assert Health(qtbot, status(record=None)).lines()["record"] == ("none", "quiet")


def test_notices_stand_at_the_top_the_newest_first(qtbot: QtBot) -> None:
    notices = (
        Notice(kind="a", text="older", last=T0),
        Notice(kind="b", text="newer\x07", count=12, last=T0 + 5),
        Notice(kind="c", text="whenever"),
    )
    health = Health(qtbot, status(notices=notices))
    texts = [row.cells[1].text for row in health.view.notices.rows]
    assert texts == ["⚠ newer\ufffd  (× 12)", "⚠ older", "⚠ whenever"]


def test_what_is_unknown_is_a_dash(qtbot: QtBot) -> None:
    silent = status(
        frame_age=None, throughput=Throughput(), latency=Latency(), queue=Queue(), dumps=(),
        workers=(Worker(name="w", state="starting"),),
    )  # fmt: skip
    health = Health(qtbot, silent)
    lines = health.lines()
    assert lines["last frame"][0] == lines["results"][0] == "–"
    assert lines["frames in"][0] == "– · –" and lines["latency"][0] == "p50 – · p99 –"
    assert lines["queue"][0] == "– · 0 frames"
    assert health.workers()[1] == ["w", "starting", "–", "–", "0"]
    assert Health(qtbot).view.body.empty == "Waiting for a processor: nothing is known of its health yet."


def test_old_numbers_turn_quiet_and_alarms_do_not(qtbot: QtBot) -> None:
    health = Health(qtbot, status(queue=Queue(4000, 930, 1000)))
    health.time += 12
    assert health.controller.stale
    health.controller.refresh()
    lines = health.lines()
    assert lines["last frame"] == ("12 s ago", "quiet") and lines["latency"][1] == "quiet"
    assert lines["queue"][1] == "alarm"


def test_a_processor_that_has_finished_needs_nobody(qtbot: QtBot) -> None:
    health = Health(qtbot, status(queue=Queue(1, 930, 1000)))
    record = RecordState(path="r", frames=39_495)
    health.monitor.take([status(workers=(), word="FINISHED"), Finished(time=T0, record=record)])
    health.time += 100
    health.controller.refresh()
    assert {tone for _, tone in health.lines().values()} <= {"quiet", "text"}
    assert health.lines()["record"][0] == "39\u2009495 frames"


def test_hundreds_of_workers_are_drawn_at_every_size(qtbot: QtBot) -> None:
    workers = tuple(Worker(name=f"w{i}", state="ready", frames_per_s=1.0) for i in range(2000))
    health = Health(qtbot, status(workers=workers))
    assert len(health.workers()) == 513
    health.view.set_theme(LIGHT)
    health.view.show()
    for size in ((260, 180), (1, 1), (3840, 2160)):
        health.view.resize(*size)
        assert not health.view.grab().isNull()
