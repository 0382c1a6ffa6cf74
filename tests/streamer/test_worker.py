"""A worker survives whatever a user's stage does, and always has an answer for the hub."""

import logging
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq
from by_hand import SHAPE, frames_of, named_series

from braggwatch.processing.decompression import decompress
from braggwatch.processing.frame import Encoding
from braggwatch.processing.pipeline_settings import PipelineSettings
from braggwatch.streamer import worker_protocol as protocol
from braggwatch.streamer.messages import Result, State
from braggwatch.streamer.worker import Worker


class HandHub:
    """The hub's socket; what it says is up to the test."""

    def __init__(self, stack: ExitStack, stages: list[str], tables: dict[str, dict[str, Any]], **detector: Any) -> None:
        context = stack.enter_context(zmq.Context())
        self._socket = stack.enter_context(context.socket(zmq.ROUTER))
        self._socket.linger = 0
        self._socket.rcvtimeo = 20_000
        self._socket.bind("tcp://127.0.0.1:*")
        worker = Worker(self._socket.get_string(zmq.LAST_ENDPOINT), "worker-0")
        thread = threading.Thread(target=worker.run)
        thread.start()
        stack.callback(thread.join)
        self._worker = self._hear()[0]
        self.settings(stages, tables, **detector)
        self.hear(protocol.READY)
        stack.callback(self.say, protocol.STOP)

    def settings(self, stages: list[str], tables: dict[str, dict[str, Any]], **detector: Any) -> None:
        """Put settings in force."""
        settings = PipelineSettings.model_validate(
            {"chain": {"stages": stages}, "stages": tables, "detector": detector}
        )
        self.say(protocol.SETTINGS, settings.model_dump_json().encode())

    def say(self, *parts: Any) -> None:
        """Send a message to the worker."""
        self._socket.send_multipart([self._worker, *parts])

    def hear(self, kind: bytes) -> list[bytes]:
        """Return the worker's next message, which must be of a kind."""
        while (message := self._hear())[1] == protocol.ALIVE:
            pass
        assert message[1] == kind
        return message[2:]

    def result_of(self, number: int, key: str = "s") -> Result:
        """Hand out a frame and return its result."""
        return self.answer_to(number, key)[0]

    def answer_to(self, number: int, key: str = "s") -> tuple[Result, list[bytes]]:
        """Hand out a frame and return its result, and what comes with it."""
        [frame] = frames_of(key, [number])
        self.say(protocol.FRAME, *protocol.encode_frame(frame))
        result, *more = self.hear(protocol.RESULT)
        return protocol.decode_result(result), more

    def _hear(self) -> list[bytes]:
        return self._socket.recv_multipart()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def hub_of(stack: ExitStack, *stages: str, **tables: dict[str, Any]) -> HandHub:
    names = [f"own_stages.{stage}" for stage in stages]
    hub = HandHub(stack, names, {f"own_stages.{name}": table for name, table in tables.items()})
    hub.say(protocol.SERIES, protocol.encode_series(named_series()))
    return hub


def test_a_stage_that_cannot_end_a_series_keeps_neither_worker_nor_other_stages_from_it(
    stack: ExitStack, tmp_path: Path
) -> None:
    trace = tmp_path / "ended"
    hub = hub_of(stack, "EndsBadly", "Traced", Traced={"trace": str(trace)})
    assert hub.result_of(0).state is State.BLANK
    hub.say(protocol.END, b"s")
    assert hub.hear(protocol.ENDED) == [b"s"]
    assert trace.exists()
    hub.say(protocol.SERIES, protocol.encode_series(named_series("t")))
    assert hub.result_of(1, "t").state is State.BLANK


def test_a_stage_that_cannot_end_a_series_fails_no_frame_of_the_next(stack: ExitStack) -> None:
    hub = hub_of(stack, "EndsBadly")
    assert hub.result_of(0).state is State.BLANK
    hub.say(protocol.SERIES, protocol.encode_series(named_series("t")))
    assert hub.result_of(1, "t").error == ""


def test_a_shot_that_no_message_can_hold_fails_alone(stack: ExitStack) -> None:
    hub = hub_of(stack, "Unfit")
    result = hub.result_of(0)
    assert result.state is State.FAILED
    assert result.error.startswith("ValidationError: ")
    assert hub.result_of(1).number == 1


def test_what_an_exception_says_becomes_one_short_line(stack: ExitStack) -> None:
    result = hub_of(stack, "Shouts").result_of(0)
    assert result.state is State.FAILED
    assert result.error.startswith("ValueError: first line \ufffd[2Jsecond \ufffd line !!!")
    assert len(result.error) <= 500


def test_a_stage_that_wants_to_end_the_program_fails_its_frame(stack: ExitStack) -> None:
    hub = hub_of(stack, "Leaves")
    assert hub.result_of(0).error == "SystemExit: 3"
    assert hub.result_of(1).number == 1


def test_a_series_that_no_pipeline_can_be_made_for_says_so_with_each_frame_until_it_ends(stack: ExitStack) -> None:
    hub = hub_of(stack, "Faulty")
    hub.say(protocol.SERIES, protocol.encode_series(named_series(shape=None)))
    first, second = hub.result_of(1), hub.result_of(2)
    assert first.state is State.FAILED
    assert first.error == second.error
    hub.say(protocol.SERIES, protocol.encode_series(named_series()))
    assert hub.result_of(4).state is State.BLANK


def test_what_does_not_fit_is_said_in_one_line_without_a_traceback(
    stack: ExitStack, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    np.save(tmp_path / "dark.npy", np.zeros((7, 9)))
    with caplog.at_level(logging.INFO):
        hub = HandHub(stack, ["hitfind"], threshold(40.0), dark=str(tmp_path / "dark.npy"))
        hub.say(protocol.SERIES, protocol.encode_series(named_series()))
        errors = [hub.result_of(number).error for number in (0, 1)]
    expected = f"{tmp_path}/dark.npy: expected the image's shape {SHAPE}, or modules that stack up to it; found (7, 9)"
    assert errors == [expected, expected]
    assert not caplog.records


def test_a_stage_that_fails_when_a_series_begins_is_logged_once_with_its_traceback(
    stack: ExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        hub = hub_of(stack, "Unready")
        errors = [hub.result_of(number).error for number in (0, 1)]
    assert errors == ["KeyError: 'voltage'"] * 2
    (record,) = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[0] is KeyError


def threshold(adu: float) -> dict[str, dict[str, Any]]:
    return {"hitfind": {"method": "threshold", "threshold_adu": adu}}


def test_settings_that_change_are_in_force_from_the_next_frame_on(stack: ExitStack, tmp_path: Path) -> None:
    traces = [{"own_stages.Traced": {"trace": str(tmp_path / name)}} for name in ("first", "second")]
    stages = ["hitfind", "own_stages.Traced"]
    hub = HandHub(stack, stages, {**threshold(1000.0), **traces[0]})
    hub.say(protocol.SERIES, protocol.encode_series(named_series()))
    assert hub.result_of(50).state is State.BLANK
    assert not (tmp_path / "first").exists()
    hub.settings(stages, {**threshold(40.0), **traces[1]})
    assert hub.result_of(51).state is State.HIT
    assert (tmp_path / "first").exists(), "the stages of before have ended"
    assert not (tmp_path / "second").exists()
    assert hub.result_of(30).state is State.BLANK


def test_after_settings_that_no_pipeline_can_be_made_with_better_ones_help(stack: ExitStack) -> None:
    hub = HandHub(stack, ["hitfind"], threshold(40.0))
    hub.say(protocol.SERIES, protocol.encode_series(named_series()))
    assert hub.result_of(50).state is State.HIT
    hub.settings(["hitfind"], threshold(40.0), mask="/nowhere/mask.npy")
    for number in (51, 52):
        failed = hub.result_of(number)
        assert failed.state is State.FAILED
        assert "/nowhere/mask.npy" in failed.error
    hub.settings(["hitfind"], threshold(40.0))
    assert hub.result_of(53).state is State.HIT


def test_pixels_that_were_changed_go_along_now_and_then(stack: ExitStack, tmp_path: Path) -> None:
    np.save(tmp_path / "dark.npy", np.full(SHAPE, 10.0, np.float32))
    hub = HandHub(stack, ["hitfind"], threshold(40.0), dark=str(tmp_path / "dark.npy"))
    hub.say(protocol.SERIES, protocol.encode_series(named_series()))
    answers = [hub.answer_to(number) for number in (90, 91, 20, 21, 92)]
    assert all(result.pixels_changed for result, _ in answers)
    assert [result.state for result, _ in answers] == [State.HIT, State.HIT, State.BLANK, State.BLANK, State.HIT]
    assert [len(images) for _, images in answers] == [1, 0, 1, 0, 0]
    pixels = np.empty(SHAPE, np.float32)
    decompress(answers[0][1][0], Encoding("bslz4"), SHAPE, "float32", pixels)
    assert (pixels[0, 0], pixels[32, 32]) == (80.0, -10.0)


def test_pixels_as_the_detector_sent_them_are_not_sent_again(stack: ExitStack) -> None:
    hub = HandHub(stack, ["hitfind"], threshold(40.0))
    hub.say(protocol.SERIES, protocol.encode_series(named_series()))
    result, images = hub.answer_to(90)
    assert not result.pixels_changed
    assert images == []


def test_what_a_stage_put_in_the_place_of_the_pixels_fails_no_frame(stack: ExitStack) -> None:
    hub = hub_of(stack, "Replaces")
    for number in range(4):
        result, images = hub.answer_to(number)
        assert result.state is State.BLANK
        assert images == []
