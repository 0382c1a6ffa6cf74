"""The viewer's end of the archive, over real sockets: whom it asks, how often, and what it believes."""

from pathlib import Path

import msgspec
import pytest
import zmq
from archive_viewer import FEED, Viewer, viewer_of
from recorded_experiment import SHAPE, experiment

from braggwatch.streamer import archive_client
from braggwatch.streamer.archive import Archive
from braggwatch.streamer.archive_client import ArchiveClient, archive_address
from braggwatch.streamer.archive_messages import Hits, HitsWanted, Refusal, Request, Shot, ShotWanted


def test_the_archive_is_asked_at_the_feeds_own_host() -> None:
    assert archive_address("tcp://beamline:31400", "tcp://127.0.0.1:5000") == "tcp://beamline:5000"
    assert archive_address("tcp://beamline:31400", "tcp://0.0.0.0:70000") is None
    assert archive_address("tcp://beamline:31400", "ipc:///somewhere/else") is None
    assert archive_address("ipc:///tmp/feed", "ipc:///tmp/feed.archive") == "ipc:///tmp/feed.archive"
    assert archive_address("ipc:///tmp/feed", "ipc:///etc/other.archive") is None
    assert archive_address("tcp://beamline:31400", "") is None


def test_a_question_waits_until_the_feed_has_told_where_the_archive_is(tmp_path: Path) -> None:
    path = experiment(tmp_path).path
    with Archive(path, FEED) as archive, ArchiveClient() as client:
        client.ask(HitsWanted(), 5)
        assert client.poll() == []
        client.connect(FEED, archive.address)
        ((token, answer),) = Viewer(client).answers(1)
    assert token == 5
    assert isinstance(answer, Hits)


def test_what_is_not_answered_is_asked_of_the_processor_that_takes_over(tmp_path: Path) -> None:
    path = experiment(tmp_path).path
    with zmq.Context() as context, context.socket(zmq.ROUTER) as mute, ArchiveClient() as client:
        port = mute.bind_to_random_port("tcp://127.0.0.1")
        client.connect(FEED, f"tcp://127.0.0.1:{port}")
        for token in range(20):
            client.ask(HitsWanted(limit=token + 1), token)
        assert mute.poll(20_000)
        with Archive(path, FEED) as archive:
            client.connect(FEED, archive.address)
            answers = Viewer(client).answers(20)
    assert {token: len(answer.rows) for token, answer in answers if isinstance(answer, Hits)} == {
        token: min(token + 1, 9) for token in range(20)
    }


def test_a_processor_without_an_archive_is_said(tmp_path: Path) -> None:
    with ArchiveClient() as client:
        client.ask(HitsWanted(), 1)
        client.connect(FEED, "")
        client.ask(HitsWanted(), 2)
        refusal = Refusal("this processor has no archive: it is of an older version")
        assert Viewer(client).answers(2) == [(1, refusal), (2, refusal)]


def test_an_archive_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_client, "GIVE_UP_S", 0.3)
    monkeypatch.setattr(archive_client, "ASK_AGAIN_S", 0.1)
    with zmq.Context() as context, context.socket(zmq.ROUTER) as mute, ArchiveClient() as client:
        mute.linger = 0
        client.connect(FEED, f"tcp://127.0.0.1:{mute.bind_to_random_port('tcp://127.0.0.1')}")
        client.ask(ShotWanted("run-1", 3), 8)
        assert Viewer(client).answers(1) == [(8, Refusal("the archive has not answered for 0 s"))]
        asked = 0
        while mute.poll(100):
            mute.recv_multipart()
            asked += 1
        assert asked >= 2, "it was not asked again"


def test_of_many_shots_the_last_is_asked_for_first_and_the_first_are_left_out(tmp_path: Path) -> None:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as slow, ArchiveClient() as client:
        slow.linger = 0
        client.connect(FEED, f"tcp://127.0.0.1:{slow.bind_to_random_port('tcp://127.0.0.1')}")
        for number in range(30):
            client.ask(ShotWanted("run-1", number), number)
        left_out = client.poll()
        assert [token for token, _ in left_out] == list(range(2, 14))
        assert {answer for _, answer in left_out} == {
            Refusal("so many shots were asked for since that this one was left out")
        }
        answered = []
        for _ in range(18):
            assert slow.poll(20_000)
            who, name, request = slow.recv_multipart()
            wanted = msgspec.msgpack.decode(request, type=Request)
            assert isinstance(wanted, ShotWanted)
            shot = Shot(wanted.series, wanted.number, None, "gone")
            slow.send_multipart([who, name, msgspec.msgpack.encode(shot), b""])
            answered += [token for token, _ in Viewer(client).answers(1)]
    assert answered == [0, 1, *range(29, 13, -1)]


@pytest.mark.parametrize(
    "answer",
    [
        [], [b""], [b"\xc1", b""], [b"{}", b""], [msgspec.msgpack.encode(Refusal("no")), b"", b""],
        "shape", "dtype", "payload", "peaks",
    ],
    ids=str,
)  # fmt: skip
def test_an_answer_that_makes_no_sense_is_a_refusal(tmp_path: Path, answer: list[bytes] | str) -> None:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as odd, ArchiveClient() as client:
        odd.linger = 0
        client.connect(FEED, f"tcp://127.0.0.1:{odd.bind_to_random_port('tcp://127.0.0.1')}")
        client.ask(ShotWanted("run-1", 3), 1)
        assert odd.poll(20_000)
        who, name, _ = odd.recv_multipart()
        odd.send_multipart([who, b"another name", b"\xc1", b""])
        odd.send_multipart([who, name, *(answer if isinstance(answer, list) else odd_shot(tmp_path, answer))])
        ((_, refusal),) = Viewer(client).answers(1)
    assert isinstance(refusal, Refusal)
    assert refusal.problem.startswith("the archive sent an answer")


def odd_shot(folder: Path, what: str) -> list[bytes]:
    path = experiment(folder).path
    with Archive(path, FEED) as archive:
        viewer = viewer_of(archive)
        shot = viewer.ask(ShotWanted("run-1", 3), Shot)
        viewer.client.close()
    assert shot.image is not None
    payload, image = shot.image.payload, msgspec.structs.replace(shot.image, payload=b"")
    match what:
        case "shape":
            image = msgspec.structs.replace(image, shape=(2**20, 2**20))
        case "dtype":
            image = msgspec.structs.replace(image, dtype="O")
        case "payload":
            payload = bytes(10 * SHAPE[0] * SHAPE[1])
        case "peaks":
            image = msgspec.structs.replace(image, result=msgspec.structs.replace(image.result, peaks=b"12345"))
    return [msgspec.msgpack.encode(msgspec.structs.replace(shot, image=image)), payload]
