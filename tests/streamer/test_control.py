"""Settings are changed over a socket of this machine only, and whoever asks gets an answer, sensible or not."""

import socket
import time
from collections.abc import Iterator

import msgspec
import psutil
import pytest
import zmq

from braggwatch.streamer.control import Control
from braggwatch.streamer.control_client import ControlClient
from braggwatch.streamer.control_messages import Change, Changed

FEED = "tcp://127.0.0.1:31400"


class Desk:
    """Notes what is asked for, and refuses what is asked for by nobody."""

    def __init__(self) -> None:
        self.asked: list[Change] = []

    def change(self, change: Change) -> Changed:
        self.asked.append(change)
        return Changed(len(self.asked) + 1) if change.by else Changed(1, "say who you are")


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def control(desk: Desk) -> Iterator[Control]:
    with Control(desk.change) as control:
        yield control


def answer_of(client: ControlClient, control: Control) -> Changed:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        control.serve()
        if (answer := client.poll(0.01)) is not None:
            return answer
    raise AssertionError("no answer")


def test_a_change_arrives_and_its_answer_comes_back(control: Control, desk: Desk) -> None:
    wanted = Change({"hitfind": {"min_snr": 6.0, "bands": [1, None]}}, by="me")
    with ControlClient(FEED, control.address) as client:
        client.ask(wanted)
        assert client.waiting
        assert answer_of(client, control) == Changed(2)
        assert not client.waiting
        client.ask(Change({}))
        assert answer_of(client, control) == Changed(1, "say who you are")
    assert desk.asked == [wanted, Change({})]


def test_an_answer_to_an_earlier_question_is_not_taken_for_that_to_the_next(control: Control, desk: Desk) -> None:
    with ControlClient(FEED, control.address) as client:
        client.ask(Change({}, by="first"))
        while not desk.asked:
            control.serve()
        client.ask(Change({}, by="second"))
        assert answer_of(client, control) == Changed(3)
        assert client.poll(0.05) is None


def test_a_processor_that_does_not_answer_is_said_after_a_while() -> None:
    with ControlClient(FEED, "tcp://127.0.0.1:9", patience=0.1) as client:
        client.ask(Change({}))
        assert client.poll(0.01) is None
        time.sleep(0.15)
        answer = client.poll(0.01)
        assert answer is not None
        assert answer.problem.startswith("the processor has not answered for 0 s")


@pytest.mark.parametrize(
    "parts", [[b""], [b"\xc1"], [b"", b""], [b"\x91" * 5000], [msgspec.msgpack.encode({"type": "change"})], [b"x"] * 3]
)
def test_nonsense_is_answered_and_changes_nothing(control: Control, desk: Desk, parts: list[bytes]) -> None:
    with zmq.Context() as context, context.socket(zmq.DEALER) as stranger:
        stranger.linger = 0
        stranger.connect(control.address)
        stranger.send_multipart(parts)
        while not stranger.poll(10):
            control.serve()
        answer = msgspec.msgpack.decode(stranger.recv(), type=Changed)
    assert answer.problem.endswith("nothing was changed")
    assert not desk.asked


def test_an_answer_that_makes_no_sense_is_a_problem_and_no_exception() -> None:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as liar:
        liar.linger = 0
        liar.bind("tcp://127.0.0.1:*")
        with ControlClient(FEED, liar.get_string(zmq.LAST_ENDPOINT)) as client:
            client.ask(Change({}))
            liar.send_multipart([liar.recv_multipart()[0], b"\xc1\xff"])
            answer = client.poll(5)
    assert answer is not None
    assert answer.problem.startswith("the processor's answer made no sense")


def test_the_control_socket_cannot_be_reached_from_elsewhere(control: Control) -> None:
    port = int(control.address.rpartition(":")[2])
    [listening] = [
        connection
        for connection in psutil.Process().net_connections(kind="tcp")
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
    ]
    assert listening.laddr.ip == "127.0.0.1"
    others = {
        address.address
        for addresses in psutil.net_if_addrs().values()
        for address in addresses
        if address.family == socket.AF_INET and not address.address.startswith("127.")
    }
    for host in others:
        with pytest.raises(OSError), socket.create_connection((host, port), timeout=1):
            pass


@pytest.mark.parametrize(
    ("feed", "control", "why"),
    [
        ("tcp://10.99.0.1:31400", "tcp://127.0.0.1:5", "open a viewer there, on 10.99.0.1"),
        ("tcp://beamline.example:31400", "tcp://127.0.0.1:5", "open a viewer there, on beamline.example"),
        ("tcp://127.evil.example:31400", "tcp://127.0.0.1:5", "open a viewer there"),
        (FEED, "tcp://10.99.0.1:5", "on the processor's own machine, found 'tcp://10.99.0.1:5'"),
        (FEED, "ipc:///tmp/else", "on the processor's own machine, found"),
        (FEED, "", "takes no changes of settings"),
    ],
)
def test_a_viewer_elsewhere_is_refused_before_anything_is_sent(feed: str, control: str, why: str) -> None:
    with ControlClient(feed, control) as client:
        client.ask(Change({}))
        answer = client.poll(0)
        assert answer is not None
        assert why in answer.problem
        assert client.poll(0) is None


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.1.1", "localhost", "[::1]", socket.gethostname()])
def test_a_viewer_on_this_machine_may_ask_by_any_of_its_names(control: Control, host: str) -> None:
    with ControlClient(f"tcp://{host}:31400", control.address) as client:
        client.ask(Change({}, by="me"))
        assert answer_of(client, control) == Changed(2)
