"""A worker survives whatever a user's stage does, and always has an answer for the hub."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import zmq
from by_hand import frames_of, named_series

from braggwatch.processing.pipeline_settings import PipelineSettings
from braggwatch.streamer import worker_protocol as protocol
from braggwatch.streamer.messages import Result, State
from braggwatch.streamer.worker import Worker


class HandHub:
    """The hub's socket; what it says is up to the test."""

    def __init__(self, stack: ExitStack, stages: list[str], tables: dict[str, dict[str, Any]]) -> None:
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
        settings = PipelineSettings.model_validate({"chain": {"stages": stages}, "stages": tables})
        self.say(protocol.SETTINGS, settings.model_dump_json().encode())
        self.hear(protocol.READY)
        stack.callback(self.say, protocol.STOP)

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
        [frame] = frames_of(key, [number])
        self.say(protocol.FRAME, *protocol.encode_frame(frame))
        return protocol.decode_result(self.hear(protocol.RESULT)[0])

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
