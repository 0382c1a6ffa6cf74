"""The feed between a processor and its viewers, over real sockets."""

import subprocess
import sys
import time
from collections.abc import Callable

import msgspec
import pytest
import zmq

from braggwatch.streamer.feed import Feed
from braggwatch.streamer.feed_client import FeedClient, snapshot_address
from braggwatch.streamer.feed_messages import (
    PROTOCOL,
    Bins,
    Finished,
    Header,
    History,
    LastShots,
    Ledger,
    Notice,
    Rate,
    Run,
    Status,
)
from braggwatch.streamer.messages import State

ANY_PORT = "tcp://127.0.0.1:*"


def free_port() -> int:
    with zmq.Context() as context, context.socket(zmq.REP) as socket:
        return socket.bind_to_random_port("tcp://127.0.0.1")


def status(n: int = 0, **values: object) -> Status:
    return msgspec.structs.replace(
        Status(word="LIVE", since=1.0, time=2.0, totals=Ledger(counts={State.BLANK: n}, total=n)), **values
    )


def history(n: int = 3) -> History:
    bins = Bins(
        start=0.0, width=1.0, counts={state: [1] * n for state in State}, multi_lattice=[0] * n, arrived=[5] * n,
        n_bytes=[10] * n, results=[5] * n, latency_sum=[0.1] * n, latency_max=[0.05] * n,
    )  # fmt: skip
    return History(recent=bins, session=bins)


def until(condition: Callable[[], object], client: FeedClient, feed: Feed | None = None, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        if feed is not None:
            feed.serve()
        client.poll(0.02)


def connected(client: FeedClient, feed: Feed) -> None:
    """Publish until the client hears it and has its snapshot."""
    end = time.monotonic() + 10
    while client.status is None:
        assert time.monotonic() < end, "the client never heard the feed"
        feed.publish(status())
        client.poll(0.02)
    until(lambda: client._asker is None, client, feed)


def test_what_is_published_arrives_as_it_was() -> None:
    said = status(
        7,
        experiment="lysozyme",
        run=Run(key="k", number=42, shape=(4362, 4148), photon_energy=12400.0),
        totals=Ledger(counts={State.HIT: 3, State.MISSED: 4}, waiting=1, working=2, total=10, first=0, last=9),
    )
    with Feed(ANY_PORT) as feed, FeedClient(feed.address) as client:
        connected(client, feed)
        feed.publish(said)
        until(lambda: client.status == said, client, feed)
        feed.publish(history())
        feed.publish(LastShots())
        feed.publish(Finished(time=3.0, reason="the stream ended"))
        until(lambda: client.finished, client, feed)
        assert client.history == history()
        assert client.shots == LastShots()
        assert not client.problems


def test_a_late_viewer_gets_the_state_so_far() -> None:
    with Feed(ANY_PORT) as feed:
        feed.publish(history(500))
        feed.publish(LastShots())
        with FeedClient(feed.address) as client:
            connected(client, feed)
            assert client.history == history(500)
            assert client.shots == LastShots()


def test_a_viewer_is_sent_only_the_topics_that_it_asked_for() -> None:
    with Feed(ANY_PORT) as feed:
        feed.publish(history())
        with FeedClient(feed.address, topics=(b"status",)) as client:
            connected(client, feed)
            feed.publish(history())
            feed.publish(status(5))
            until(lambda: client.status and client.status.totals.total == 5, client, feed)
            assert client.history is None


def test_with_a_fixed_port_snapshots_are_at_the_next_one() -> None:
    port = free_port()
    with Feed(f"tcp://127.0.0.1:{port}") as feed:
        assert feed.address == f"tcp://127.0.0.1:{port}"
        assert feed.snapshot_address == f"tcp://127.0.0.1:{port + 1}"


def test_the_feed_works_over_a_named_socket(tmp_path: object) -> None:
    with Feed(f"ipc://{tmp_path}/feed") as feed:
        feed.publish(history())
        with FeedClient(feed.address) as client:
            connected(client, feed)
            assert client.history == history()


def test_a_viewer_that_does_not_read_loses_messages_and_does_not_hold_the_processor_up() -> None:
    with Feed(ANY_PORT) as feed, FeedClient(feed.address) as client:
        connected(client, feed)
        long = Notice(kind="long", text="x" * 500_000)
        for n in range(500):
            feed.publish(status(n, notices=(long,)))
        received = [client.poll(0.1) for _ in range(10)]
        assert 0 < sum(len(news) for news in received) < 500
        feed.publish(status(1000))
        until(lambda: client.status and client.status.totals.total == 1000, client)


def test_the_last_word_of_a_processor_that_ends_arrives() -> None:
    with FeedClient(ANY_PORT.replace("*", str(free_port()))) as client:
        with Feed(client.address) as feed:
            connected(client, feed)
            feed.publish(Finished(time=1.0, reason="done"))
        until(lambda: client.finished, client)
        assert client.finished is not None
        assert client.finished.reason == "done"


def test_a_request_for_a_snapshot_that_is_never_collected_does_not_hold_the_processor_up() -> None:
    with Feed(ANY_PORT) as feed, zmq.Context() as context, context.socket(zmq.DEALER) as viewer:
        viewer.setsockopt(zmq.RCVHWM, 1)
        viewer.setsockopt(zmq.LINGER, 0)
        viewer.connect(feed.snapshot_address)
        feed.publish(history(100_000))
        for _ in range(200):
            viewer.send_multipart([b"history", b"nonsense", b"history"])
            feed.serve()
        feed.publish(status())


def test_a_viewer_finds_a_processor_that_is_started_anew_and_forgets_the_old_one() -> None:
    with Feed(ANY_PORT) as feed, FeedClient(feed.address) as client:
        connected(client, feed)
        feed.publish(history())
        until(lambda: client.history, client, feed)
        address = feed.address
        feed.close()
        with Feed(address) as again:
            end = time.monotonic() + 10
            while client.status is None or client.status.totals.total != 99:
                assert time.monotonic() < end
                again.publish(status(99))
                client.poll(0.02)
            assert client.history is None
    assert client.problems["the connection was cut"] >= 1


def test_a_viewer_started_before_the_processor_waits_for_it() -> None:
    with Feed(ANY_PORT) as feed:
        address = feed.address
    with FeedClient(address) as client:
        assert client.poll(0.05) == []
        assert client.age is None
        assert not client.gone
        with Feed(address) as feed:
            connected(client, feed)
            assert client.age is not None
            assert client.age < 5


class Publisher:
    """Somebody who sends whatever they like."""

    def __init__(self) -> None:
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.PUB)
        self.port = self.socket.bind_to_random_port("tcp://127.0.0.1")
        self.sequence = 0

    def __enter__(self) -> "Publisher":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close(linger=0)
        self.context.term()

    def header(self, protocol: int = PROTOCOL, snapshot: str = "tcp://127.0.0.1:1") -> bytes:
        self.sequence += 1
        return msgspec.msgpack.encode(
            Header(protocol=protocol, processor="x", sequence=self.sequence, snapshot=snapshot)
        )

    def send_until(self, parts: Callable[[], list[bytes]], condition: Callable[[], object], client: FeedClient) -> None:
        end = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < end, dict(client.problems)
            self.socket.send_multipart(parts())
            client.poll(0.02)


GOOD = msgspec.msgpack.encode(status(5))


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        ([b"status"], "a message of 1 parts, expected topic, header and message"),
        ([b"status", b"\xc1", b"x"], "a message with an unreadable header"),
        ([b"status", b"HEADER", b""], "an unreadable message of kind 'status'"),
        ([b"status", b"HEADER", b"\x81\xa4word\xa2\xff\xfe"], "an unreadable message of kind 'status'"),
        ([b"status", b"HEADER", b"\x81\xa1z" + b"\x91" * 100_000], "an unreadable message of kind 'status'"),
        ([b"status", b"HEADER", b"\xdf\xff\xff\xff\xff"], "an unreadable message of kind 'status'"),
        ([b"status", b"HEADER", b"\x81\xa7workers\xdd\xff\xff\xff\xff"], "an unreadable message of kind 'status'"),
        ([b"status", b"HEADER", GOOD[: len(GOOD) // 2]], "an unreadable message of kind 'status'"),
        ([b"history", b"HEADER", GOOD], "an unreadable message of kind 'history'"),
        ([b"statusx", b"HEADER", GOOD], "a message of a kind that this viewer does not know: b'statusx'"),
    ],
)
def test_what_is_malformed_is_counted_and_the_next_message_taken(parts: list[bytes], problem: str) -> None:
    with Publisher() as publisher, FeedClient(f"tcp://127.0.0.1:{publisher.port}") as client:

        def bad() -> list[bytes]:
            return [publisher.header() if part == b"HEADER" else part for part in parts]

        publisher.send_until(bad, lambda: client.problems[problem], client)
        assert client.status is None
        publisher.send_until(lambda: [b"status", publisher.header(), GOOD], lambda: client.status, client)


def test_a_newer_protocol_is_reported_and_not_guessed_at() -> None:
    with Publisher() as publisher, FeedClient(f"tcp://127.0.0.1:{publisher.port}") as client:
        problem = "the processor speaks version 2 of the feed, this viewer understands 1: update the viewer"
        publisher.send_until(
            lambda: [b"status", publisher.header(protocol=2), GOOD], lambda: client.problems[problem], client
        )
        assert client.status is None
        assert client.age is not None


def test_fields_that_a_newer_processor_adds_are_ignored() -> None:
    newer = msgspec.msgpack.encode({**msgspec.to_builtins(status(5)), "mood": "fine"})
    with Publisher() as publisher, FeedClient(f"tcp://127.0.0.1:{publisher.port}") as client:
        publisher.send_until(lambda: [b"status", publisher.header(), newer], lambda: client.status, client)
        assert client.status == status(5)


def test_a_huge_message_is_not_received_and_the_viewer_goes_on() -> None:
    with Publisher() as publisher, FeedClient(f"tcp://127.0.0.1:{publisher.port}") as client:
        publisher.send_until(lambda: [b"status", publisher.header(), GOOD], lambda: client.status, client)
        publisher.socket.send_multipart([b"status", publisher.header(), bytes(130 * 2**20)])
        until(lambda: client.problems["the connection was cut"], client)
        later = msgspec.msgpack.encode(status(6))
        publisher.send_until(
            lambda: [b"status", publisher.header(), later],
            lambda: client.status is not None and client.status.totals.total == 6,
            client,
        )


def test_problems_of_ever_new_kinds_do_not_fill_the_memory() -> None:
    with FeedClient(ANY_PORT.replace("*", "1")) as client:
        for i in range(1000):
            client._take([f"topic{i}".encode(), Publisher.header(_Counting()), b""])
        assert len(client.problems) == 51
        assert client.problems["other problems"] == 950


class _Counting(Publisher):
    def __init__(self) -> None:
        self.sequence = 0


def test_an_older_message_does_not_replace_a_newer_one() -> None:
    with FeedClient(ANY_PORT.replace("*", "1")) as client:
        for sequence, n in ((5, 50), (4, 40), (6, 60), (6, 61)):
            header = Header(protocol=PROTOCOL, processor="p", sequence=sequence, snapshot="tcp://127.0.0.1:2")
            client._take([b"status", msgspec.msgpack.encode(header), msgspec.msgpack.encode(status(n))])
        assert client.status is not None
        assert client.status.totals.total == 60


@pytest.mark.parametrize(
    ("feed", "told", "expected"),
    [
        ("tcp://beamline:31400", "tcp://127.0.0.1:31401", "tcp://beamline:31401"),
        ("tcp://10.0.0.1:5", "tcp://evil.example:6", "tcp://10.0.0.1:6"),
        ("tcp://10.0.0.1:5", "tcp://0.0.0.0:99999", None),
        ("tcp://10.0.0.1:5", "ipc:///etc/anything", None),
        ("ipc:///run/feed", "ipc:///run/feed.snapshot", "ipc:///run/feed.snapshot"),
        ("ipc:///run/feed", "ipc:///run/other", None),
        ("tcp://10.0.0.1:5", "", None),
    ],
)
def test_a_viewer_takes_only_the_port_from_what_it_is_told(feed: str, told: str, expected: str | None) -> None:
    assert snapshot_address(feed, told) == expected


def test_an_address_in_use_is_named_with_what_was_expected() -> None:
    with Feed(ANY_PORT) as feed, pytest.raises(zmq.ZMQError) as caught:
        Feed(feed.address)
    assert feed.address in str(caught.value)
    assert "expected an address of this computer with a free port" in str(caught.value)


def test_an_address_that_is_none_is_refused_by_the_viewer() -> None:
    with pytest.raises(zmq.ZMQError) as caught:
        FeedClient("beamline")
    assert "no feed can be at 'beamline'" in str(caught.value)


def test_a_rate_of_nothing_is_unknown_and_not_zero() -> None:
    assert Rate().value is None
    assert Rate(0, 5).value == 0.0


def test_a_ledger_knows_whether_it_adds_up() -> None:
    states = {"hit": 3, "missed": 4, "waiting": 1, "working": 2}
    assert Ledger.of(states, total=10).balanced
    assert not Ledger.of(states, total=11).balanced
    assert Ledger.of(states, total=10).counts[State.INDEXED] == 0


SLOW_VIEWER = """
import sys
import subprocess
import sys
import time
from braggwatch.streamer.feed_client import FeedClient

with FeedClient(sys.argv[1]) as client:
    while client.status is None:
        client.poll(0.1)
    print("heard", flush=True)
    time.sleep(9)
    heard = client.status.totals.total
    end = time.monotonic() + 20
    while client.status is None or client.status.totals.total <= heard + 1000:
        client.poll(0.1)
        assert time.monotonic() < end, client.problems
    print("caught up", flush=True)
"""


def test_a_viewer_that_was_held_up_for_long_catches_up() -> None:
    with Feed(ANY_PORT) as feed:
        command = [sys.executable, "-c", SLOW_VIEWER, feed.address]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as viewer:
            for n in range(1_000_000):
                feed.publish(status(n, source="x" * 20_000))
                feed.serve()
                time.sleep(0.005)
                if viewer.poll() is not None:
                    break
            assert viewer.stdout is not None
            assert (viewer.returncode, viewer.stdout.read()) == (0, "heard\ncaught up\n")
