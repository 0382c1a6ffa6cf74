"""The thread between a feed, an archive and the window, over real sockets."""

import time
from collections.abc import Callable

import msgspec
import pytest
import zmq
from messages_by_hand import geometry, shot_image

from braggwatch.gui import link as link_module
from braggwatch.gui.link import KEPT_IMAGES, Link, News
from braggwatch.streamer.archive_messages import Answer, Hits, HitsWanted, Refusal
from braggwatch.streamer.cli.free_ports import free_ports
from braggwatch.streamer.control_messages import Change, Changed
from braggwatch.streamer.feed import Feed
from braggwatch.streamer.feed_messages import PROTOCOL, Header, Ledger, Message, Status
from braggwatch.streamer.messages import State
from braggwatch.streamer.picture_messages import Geometry, ShotImage

ANY_PORT = "tcp://127.0.0.1:*"


def status(n: int = 0) -> Status:
    return Status(word="LIVE", since=1.0, time=2.0, totals=Ledger(counts={State.BLANK: n}, total=n))


def restartable() -> str:
    """An address where the port after it is free as well, for the snapshots."""
    return f"tcp://127.0.0.1:{free_ports(3)[0]}"


class Taken:
    """Everything that a link has given, put together as the window does."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.messages: list[Message] = []
        self.said: list[str] = []
        self.heard = "never heard"
        self.times_anew = 0

    def look(self) -> News:
        news = self.link.take()
        self.times_anew += news.anew
        self.messages += news.messages
        self.said += news.said
        self.heard = news.link
        for answer in news.answers:
            answer()
        return news

    def until(self, condition: Callable[[], object], meanwhile: Callable[[], object] = lambda: None) -> None:
        end = time.monotonic() + 15
        while not condition():
            assert time.monotonic() < end, (self.heard, self.said)
            meanwhile()
            self.look()
            time.sleep(0.01)

    def frames(self) -> int:
        return max((m.totals.total for m in self.messages if isinstance(m, Status)), default=-1)

    def images(self) -> list[int]:
        return [m.result.number for m in self.messages if isinstance(m, ShotImage)]

    def hear(self, feed: Feed) -> None:
        """Publish until it is heard; the state so far has come as well."""
        self.until(lambda: self.heard == "heard", lambda: feed.publish(status()))
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            feed.serve()
            self.look()
            time.sleep(0.01)


def test_of_everything_but_shots_only_the_newest_waits_for_the_window() -> None:
    with Feed(ANY_PORT) as feed, Link(feed.address) as link:
        taken = Taken(link)
        taken.hear(feed)
        for n in range(1, 50):
            feed.publish(status(n))
            time.sleep(0.005)  # the feed keeps few messages for a viewer that is slow
        feed.publish(geometry())
        time.sleep(0.5)
        messages = taken.look().messages
        assert [m.totals.total for m in messages if isinstance(m, Status)] == [49]
        assert len([m for m in messages if isinstance(m, Geometry)]) == 1
        assert taken.look().messages == []


def test_shots_come_in_their_order_and_the_oldest_give_way_where_nobody_takes_them() -> None:
    with Feed(ANY_PORT) as feed, Link(feed.address) as link:
        taken = Taken(link)
        taken.hear(feed)
        for n in range(3):
            feed.publish(shot_image(n))
        taken.until(lambda: taken.images() == [0, 1, 2])
        for n in range(100, 100 + 2 * KEPT_IMAGES):
            feed.publish(shot_image(n))
            time.sleep(0.005)  # the feed keeps few messages for a viewer that is slow
        time.sleep(0.5)
        waiting = [m.result.number for m in link.take().messages if isinstance(m, ShotImage)]
        assert waiting == list(range(100 + KEPT_IMAGES, 100 + 2 * KEPT_IMAGES))


def test_a_processor_that_is_started_anew_makes_the_window_forget_the_old_one() -> None:
    with Feed(restartable()) as feed, Link(feed.address) as link:
        taken = Taken(link)
        feed.publish(status(500))
        taken.hear(feed)
        address = feed.address
        feed.close()
        with Feed(address) as again:
            taken.until(lambda: taken.times_anew, lambda: again.publish(status(3)))
            taken.messages.clear()
            taken.until(lambda: taken.frames() == 7, lambda: again.publish(status(7)))
        assert taken.times_anew == 1


def test_a_processor_that_says_nothing_is_gone_and_is_heard_again_when_it_speaks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("braggwatch.streamer.feed_client.GONE_S", 0.5)
    with Feed(ANY_PORT) as feed, Link(feed.address) as link:
        taken = Taken(link)
        assert taken.look().link == "never heard"
        taken.hear(feed)
        taken.until(lambda: taken.heard == "gone")
        taken.until(lambda: taken.heard == "heard", lambda: feed.publish(status()))
        assert taken.times_anew == 0


def test_what_makes_no_sense_is_a_line_and_what_follows_is_taken() -> None:
    with zmq.Context() as context, context.socket(zmq.PUB) as publisher:
        port = publisher.bind_to_random_port("tcp://127.0.0.1")
        sequence = iter(range(10_000))

        def header(protocol: int = PROTOCOL) -> bytes:
            told = Header(protocol=protocol, processor="x", sequence=next(sequence), snapshot="tcp://127.0.0.1:1")
            return msgspec.msgpack.encode(told)

        lying = msgspec.structs.replace(shot_image(1), shape=(10**6, 10**6), payload=b"")
        with Link(f"tcp://127.0.0.1:{port}") as link:
            taken = Taken(link)

            def talk() -> None:
                publisher.send_multipart([b"status", header(), b"nonsense", b""])
                publisher.send_multipart([b"status", header(PROTOCOL + 1), b"", b""])
                publisher.send_multipart([b"image.hit", header(), msgspec.msgpack.encode(lying), b"pixels"])
                publisher.send_multipart([b"status", header(), msgspec.msgpack.encode(status(5)), b""])
                time.sleep(0.02)

            taken.until(lambda: taken.frames() == 5 and len(taken.said) >= 3, talk)
            assert taken.images() == []
        assert sorted(taken.said) == [
            "a shot that makes no sense: an image of 1000000 × 1000000 pixels uint16",
            "an unreadable message of kind 'status'",
            "the processor speaks version 2 of the feed, this viewer understands 1: update the viewer",
        ]


def test_a_fault_that_goes_on_is_said_again_with_its_number_but_not_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "SAY_AGAIN_S", 0.3)
    with zmq.Context() as context, context.socket(zmq.PUB) as publisher:
        port = publisher.bind_to_random_port("tcp://127.0.0.1")
        with Link(f"tcp://127.0.0.1:{port}") as link:
            taken = Taken(link)
            n_sent = 0

            def talk() -> None:
                nonlocal n_sent
                publisher.send_multipart([b"status"])
                n_sent += 1
                time.sleep(0.005)

            taken.until(lambda: len(taken.said) == 3, talk)
    line = "a message of 1 parts, expected topic, header and message"
    assert taken.said[0].startswith(line)
    assert all(said.startswith(f"{line} (× ") for said in taken.said[1:])
    assert n_sent > 10


class AnsweringArchive:
    """An archive that has no hits."""

    def __init__(self) -> None:
        self.context = zmq.Context[zmq.Socket[bytes]]()
        self.socket = self.context.socket(zmq.ROUTER)
        self.address = f"tcp://127.0.0.1:{self.socket.bind_to_random_port('tcp://127.0.0.1')}"

    def __enter__(self) -> "AnsweringArchive":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close(linger=0)
        self.context.term()

    def serve(self) -> None:
        while self.socket.poll(0):
            viewer, token, request = self.socket.recv_multipart()
            wanted = msgspec.msgpack.decode(request, type=HitsWanted)
            self.socket.send_multipart([viewer, token, msgspec.msgpack.encode(Hits((), wanted.after, more=False)), b""])


def test_questions_are_answered_when_the_window_takes_the_news() -> None:
    with AnsweringArchive() as archive, Feed(ANY_PORT) as feed, Link(feed.address) as link:
        feed.archive_address = archive.address
        taken, answers = Taken(link), list[Answer]()
        for after in (3, 4, 5):
            link.ask(HitsWanted(after), answers.append)
        taken.hear(feed)
        taken.until(lambda: len(answers) == 3, archive.serve)
        assert answers == [Hits((), n, more=False) for n in (3, 4, 5)]


def test_what_another_processor_was_asked_is_refused_when_the_next_one_answers() -> None:
    with AnsweringArchive() as archive, Feed(restartable()) as feed, Link(feed.address) as link:
        feed.archive_address = archive.address
        taken, answers = Taken(link), list[Answer]()
        taken.hear(feed)
        link.ask(HitsWanted(3), answers.append)
        address = feed.address
        feed.close()
        with Feed(address) as again:
            taken.until(lambda: answers, lambda: again.publish(status(3)))
        assert answers == [Refusal("another processor has taken its place since")]


def test_a_processor_without_archive_or_control_refuses_questions_and_changes() -> None:
    with Feed(ANY_PORT) as feed, Link(feed.address) as link:
        taken, answers, changed = Taken(link), list[Answer](), list[Changed]()
        link.change(Change({"hitfind": {"min_snr": 6.0}}), changed.append)
        taken.until(lambda: changed)
        assert changed == [Changed(0, "no processor has been heard yet whose settings could change")]
        assert link.change_problem == ""
        taken.hear(feed)
        link.ask(HitsWanted(0), answers.append)
        link.change(Change({"hitfind": {"min_snr": 6.0}}), changed.append)
        taken.until(lambda: answers and len(changed) == 2)
        assert answers == [Refusal("this processor has no archive: it is of an older version")]
        assert "takes no changes of settings" in changed[1].problem
        assert link.change_problem == changed[1].problem


def test_a_change_is_sent_to_the_processor_and_its_answer_comes_back() -> None:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as control:
        port = control.bind_to_random_port("tcp://127.0.0.1")
        with Feed(ANY_PORT) as feed, Link(feed.address) as link:
            feed.control_address = f"tcp://127.0.0.1:{port}"
            taken, changed = Taken(link), list[Changed]()
            taken.hear(feed)
            wanted = Change({"hitfind": {"min_snr": 6.0}}, by="a test")

            def serve() -> None:
                if control.poll(0):
                    viewer, request = control.recv_multipart()
                    assert msgspec.msgpack.decode(request, type=Change) == wanted
                    control.send_multipart([viewer, msgspec.msgpack.encode(Changed(2))])

            link.change(wanted, changed.append)
            taken.until(lambda: changed, serve)
            assert changed == [Changed(2)]
            assert link.change_problem == ""


def test_an_address_that_is_none_is_refused_with_a_sentence() -> None:
    with pytest.raises(zmq.ZMQError, match="no feed can be at 'nonsense'"):
        Link("nonsense")
