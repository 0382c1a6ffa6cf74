"""A detector that says nothing: what a person is told, and when not."""

import socket
import time
from collections.abc import Iterator

import pytest
import zmq

from braggwatch.streamer.silence import SilenceWatch
from braggwatch.streamer.sources.connection import FOREIGN, LOST, NEVER, SILENT
from braggwatch.streamer.sources.settings import DectrisV2Settings
from braggwatch.streamer.sources.source import Source, open_source


@pytest.fixture
def port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


@pytest.fixture
def source(port: int) -> Iterator[Source]:
    with open_source(DectrisV2Settings(address=f"tcp://127.0.0.1:{port}")) as opened:
        yield opened


@pytest.fixture
def context() -> Iterator["zmq.Context[zmq.Socket[bytes]]"]:
    with zmq.Context() as opened:
        yield opened


def becomes(source: Source, reason: str) -> bool:
    """Whether the reason for the silence soon is this one."""
    deadline = time.monotonic() + 10
    while list(source.silence().values()) != [reason] and time.monotonic() < deadline:
        time.sleep(0.02)
    return list(source.silence().values()) == [reason]


def test_no_answer_a_silent_detector_and_a_lost_one_are_told_apart(
    source: Source, port: int, context: "zmq.Context[zmq.Socket[bytes]]"
) -> None:
    assert becomes(source, NEVER)
    with context.socket(zmq.PUSH) as detector:
        detector.bind(f"tcp://127.0.0.1:{port}")
        assert becomes(source, SILENT)
    assert becomes(source, LOST)


def test_a_socket_that_does_not_push_is_no_detector(
    source: Source, port: int, context: "zmq.Context[zmq.Socket[bytes]]"
) -> None:
    with context.socket(zmq.PUB) as publisher:
        publisher.bind(f"tcp://127.0.0.1:{port}")
        assert becomes(source, FOREIGN)


def look(watch: SilenceWatch, at: float, n: int = 0, *, listening: bool = True, in_series: bool = False) -> str:
    return watch.look(at, n, listening=listening, in_series=in_series)


def test_ten_seconds_after_the_first_worker_is_there_a_silence_is_told() -> None:
    watch = SilenceWatch(lambda: {"tcp://detector:31001": SILENT})
    assert [look(watch, at, listening=False) for at in (0, 30, 60)] == ["", "", ""]
    assert [look(watch, at) for at in (70, 79)] == ["", ""]
    assert look(watch, 81) == f"no message from tcp://detector:31001 for 10 s: {SILENT}"
    assert look(watch, 82, n=1) == ""


def test_between_two_series_only_a_lost_connection_is_told() -> None:
    reasons = {"tcp://detector:31001": SILENT}
    watch = SilenceWatch(lambda: reasons)
    assert [look(watch, at, n=5) for at in (0, 20, 3600)] == ["", "", ""]
    assert SILENT in look(watch, 3700, n=5, in_series=True)
    reasons["tcp://detector:31001"] = LOST
    assert LOST in look(watch, 3710, n=5)


def test_of_several_addresses_each_has_its_reason() -> None:
    watch = SilenceWatch(lambda: {"tcp://a:1": SILENT, "tcp://b:2": NEVER})
    look(watch, 0)
    said = look(watch, 10)
    assert said == f"no message from tcp://a:1 for 10 s: {SILENT}; no message from tcp://b:2 for 10 s: {NEVER}"


def test_the_log_has_each_silence_once(caplog: pytest.LogCaptureFixture) -> None:
    watch = SilenceWatch(lambda: {"tcp://detector:31001": SILENT})
    for at in range(1000):
        look(watch, at)
    assert len(caplog.records) == 1
    look(watch, 1000, n=1)
    for at in range(1001, 1100):
        look(watch, at, n=1, in_series=True)
    assert len(caplog.records) == 2
