"""The archive and the viewer's end of it, over real sockets, on a real record and real dumps."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np
import pytest
import zmq
from numpy.typing import NDArray
from recorded_experiment import BEGAN, SHAPE, A, Experiment, experiment, pixels, run, state

from braggwatch.processing.decompression import decompress
from braggwatch.streamer import archive_client
from braggwatch.streamer.archive import MAX_REQUEST_BYTES, Archive
from braggwatch.streamer.archive_client import ArchiveClient, archive_address
from braggwatch.streamer.archive_messages import (
    Answer,
    Hits,
    HitsWanted,
    Refusal,
    Request,
    Shot,
    ShotsFound,
    ShotWanted,
    SpotsWanted,
    Tagged,
    TagWanted,
)
from braggwatch.streamer.cli.free_ports import free_ports
from braggwatch.streamer.messages import Result, State, unpack_peaks
from braggwatch.streamer.picture_messages import ShotImage
from braggwatch.streamer.record import Record

T = TypeVar("T")
FEED = "tcp://127.0.0.1:31400"


class Viewer:
    """Asks and waits for the answer."""

    def __init__(self, client: ArchiveClient) -> None:
        self.client = client
        self._tokens = 0

    def ask(self, request: Request, kind: type[T]) -> T:
        self._tokens += 1
        self.client.ask(request, self._tokens)
        ((token, answer),) = self.answers(1)
        assert token == self._tokens
        assert isinstance(answer, kind), answer
        return answer

    def answers(self, n: int, seconds: float = 30.0) -> list[tuple[int, Answer]]:
        found: list[tuple[int, Answer]] = []
        end = time.monotonic() + seconds
        while len(found) < n:
            assert time.monotonic() < end, f"{len(found)} of {n} answers came: {found}"
            found += self.client.poll()
            time.sleep(0.002)
        return found


def viewer_of(archive: Archive) -> Viewer:
    client = ArchiveClient()
    client.connect(FEED, archive.address)
    return Viewer(client)


@pytest.fixture
def asking(tmp_path: Path) -> Iterator[Callable[[Path], Viewer]]:
    """Opens an archive on a record and returns a viewer of it."""
    opened: list[ArchiveClient | Archive] = []

    def ask(record: Path) -> Viewer:
        archive = Archive(record, FEED)
        viewer = viewer_of(archive)
        opened.extend([archive, viewer.client])
        return viewer

    yield ask
    for one in reversed(opened):
        one.close()


def unpacked(image: ShotImage | None) -> NDArray[np.generic]:
    assert image is not None
    out = np.empty(image.shape, image.dtype)
    decompress(image.payload, image.encoding, image.shape, image.dtype, out)
    return out


# -- hits ---------------------------------------------------------------------------------------------------------


def test_hits_come_page_by_page_with_all_that_was_found(tmp_path: Path, asking: Callable[[Path], Viewer]) -> None:
    written = experiment(tmp_path, runs=2)
    viewer = asking(written.path)
    page = viewer.ask(HitsWanted(after=0, limit=7), Hits)
    assert (len(page.rows), page.more) == (7, True)
    rest = viewer.ask(HitsWanted(after=page.last), Hits)
    assert (len(rest.rows), rest.more) == (11, False)
    rows = page.rows + rest.rows
    assert [row.id for row in rows] == sorted(row.id for row in rows)
    assert [(row.series, row.number) for row in rows] == [
        key for key, result in written.results.items() if result.state is not State.BLANK
    ]
    for row in rows:
        result = written.results[row.series, row.number]
        assert (row.state, row.n_peaks, row.resolution) == (result.state, result.n_peaks, result.resolution)
        assert (row.crystals, row.dumped) == (result.crystals, result.dumped)
        assert row.run == int(row.series.removeprefix("run-"))
        assert row.time == BEGAN + 100 * row.run + row.number
    assert viewer.ask(HitsWanted(after=rest.last), Hits) == Hits((), rest.last, False)


def test_hits_that_are_recorded_meanwhile_come_with_the_next_page(
    tmp_path: Path, asking: Callable[[Path], Viewer]
) -> None:
    written = Experiment(tmp_path)
    viewer = asking(written.path)
    assert viewer.ask(HitsWanted(), Hits).rows == ()
    written.process(1, range(4), ended=False)
    last, end = 0, time.monotonic() + 20
    numbers: list[int] = []
    while len(numbers) < 2:
        assert time.monotonic() < end
        page = viewer.ask(HitsWanted(after=last), Hits)
        last = page.last
        numbers += [row.number for row in page.rows]
    assert numbers == [1, 3]
    written.close()


# -- shots --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 3, 7, 17])
def test_a_shot_comes_with_its_spots_lattices_and_the_pixels_of_its_dump(
    tmp_path: Path, asking: Callable[[Path], Viewer], number: int
) -> None:
    written = experiment(tmp_path, runs=2, images_per_file=3)
    shot = asking(written.path).ask(ShotWanted("run-2", number), Shot)
    assert (shot.problem, shot.number, shot.series) == ("", number, "run-2")
    assert shot.image is not None
    np.testing.assert_array_equal(unpacked(shot.image), pixels(2, number))
    result = written.results["run-2", number]
    assert shot.image.kind == ("indexed" if state(number) is State.INDEXED else "hit")
    assert shot.image.time == BEGAN + 200 + number
    np.testing.assert_array_equal(unpack_peaks(shot.image.result.peaks), unpack_peaks(result.peaks))
    assert shot.image.result.crystals == result.crystals
    assert len(result.crystals) == (0 if state(number) is State.HIT else 2 if number == 7 else 1)
    if result.crystals:
        np.testing.assert_allclose(np.reshape(result.crystals[0].A, (3, 3)), A)


@pytest.mark.parametrize(
    ("series", "number", "has_image", "why"),
    [
        ("run-1", 2, True, "frame 2 was blank: only hits are dumped"),
        ("run-1", 18, False, "frame 18 never arrived from the detector"),
        ("run-1", 20, False, "frame 20 of run 1 is not in the record: so far it has frames 0 to 17"),
        ("run-1", -1, False, "frame -1 of run 1 is not in the record: so far it has frames 0 to 17"),
        ("run-9", 0, False, "no run 'run-9' is in the record experiment.sqlite"),
        ("'; DROP TABLE runs; --", 0, False, 'no run "\'; DROP TABLE runs; --" is in the record experiment.sqlite'),
    ],
)
def test_a_shot_without_pixels_comes_with_the_reason(
    tmp_path: Path, asking: Callable[[Path], Viewer], series: str, number: int, has_image: bool, why: str
) -> None:
    shot = asking(experiment(tmp_path).path).ask(ShotWanted(series, number), Shot)
    assert shot.problem == why
    assert (shot.image is not None) is has_image
    if shot.image is not None:
        assert (shot.image.kind, shot.image.payload, shot.image.shape) == ("blank", b"", SHAPE)


def test_frames_that_were_given_up_come_with_their_fate(tmp_path: Path, asking: Callable[[Path], Viewer]) -> None:
    with Record(tmp_path / "r.sqlite") as record:
        record.begin_run(run(1), BEGAN)
        record.lost("run-1", range(3, 6), State.DROPPED, BEGAN)
        record.lost("run-1", 6, State.QUARANTINED, BEGAN)
        failed = {"state": State.FAILED, "error": "IndexError: no such panel"}
        record.result(msgspec.convert({"series": "run-1", "number": 7, **failed}, Result), BEGAN)
        record.close()
    viewer = asking(tmp_path / "r.sqlite")
    said = [viewer.ask(ShotWanted("run-1", number), Shot).problem for number in (4, 6, 7)]
    assert said == [
        "frame 4 was dropped under overload",
        "frame 6 killed two workers and was set aside",
        "frame 7 failed: IndexError: no such panel",
    ]


def test_the_second_dump_is_taken_where_the_first_is_gone(tmp_path: Path, asking: Callable[[Path], Viewer]) -> None:
    written = experiment(tmp_path)
    viewer = asking(written.path)
    assert viewer.ask(ShotWanted("run-1", 3), Shot).problem == ""
    hits, indexed = (tmp_path / "dumps" / Path(place.path).name for place in written.results["run-1", 3].dumped)
    hits.unlink()
    shot = viewer.ask(ShotWanted("run-1", 3), Shot)
    np.testing.assert_array_equal(unpacked(shot.image), pixels(1, 3))
    indexed.write_bytes(b"no HDF5 file at all")
    viewer.ask(ShotWanted("run-1", 3), Shot)  # the file may be open still
    shot = viewer.ask(ShotWanted("run-1", 3), Shot)
    assert shot.image is not None
    assert (shot.image.payload, shot.image.result.n_peaks) == (b"", 4)
    assert f"dumps/{hits.name} is not there: it was moved, or lies on another machine" in shot.problem
    assert f"{indexed.name} cannot be opened" in shot.problem


def test_dumps_that_were_moved_with_their_record_are_found(tmp_path: Path, asking: Callable[[Path], Viewer]) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    written = experiment(before, told=str(before / "dumps"))
    viewer = asking(written.path)
    assert viewer.ask(ShotWanted("run-1", 1), Shot).problem == ""
    shutil.move(before, after)
    shot = asking(after / "experiment.sqlite").ask(ShotWanted("run-1", 1), Shot)
    np.testing.assert_array_equal(unpacked(shot.image), pixels(1, 1))


def test_a_file_put_in_the_place_of_another_is_read_anew_and_not_taken_for_it(
    tmp_path: Path, asking: Callable[[Path], Viewer]
) -> None:
    written = experiment(tmp_path, images_per_file=2)
    viewer = asking(written.path)
    first, other = (tmp_path / "dumps" / Path(written.results["run-1", n].dumped[0].path).name for n in (1, 5))
    assert first != other
    assert viewer.ask(ShotWanted("run-1", 1), Shot).problem == ""
    shutil.copy(other, tmp_path / "copy")
    (tmp_path / "copy").replace(first)
    assert "image 0 is frame 5, expected frame 1" in viewer.ask(ShotWanted("run-1", 1), Shot).problem


DUMPING = """
import sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from recorded_experiment import *
series = run(1)
stage = Dump(DumpSettings(directory=Path(sys.argv[2]), flush_seconds=float(sys.argv[3])), instance="hit", provenance={})
stage.begin(series, detector(series))
for line in sys.stdin:
    seen = shot(series, int(line))
    stage.event(seen)
    print(seen.dumped[0].path, seen.dumped[0].entry, flush=True)
"""


@pytest.mark.parametrize("killed", [False, True])
def test_pixels_come_out_of_a_file_that_still_grows(
    tmp_path: Path, asking: Callable[[Path], Viewer], killed: bool
) -> None:
    written = Experiment(tmp_path)
    written.record.begin_run(run(1), BEGAN)
    viewer = asking(written.path)
    with subprocess.Popen(
        [sys.executable, "-c", DUMPING, str(Path(__file__).parent), str(tmp_path / "dumps"), "0"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as writer:  # fmt: skip
        assert writer.stdin is not None and writer.stdout is not None
        for number in (1, 5, 9):
            writer.stdin.write(f"{number}\n")
            writer.stdin.flush()
            path, entry = writer.stdout.readline().split()
            tell_hit(written.record, number, path, int(entry))
            image = until_there_is(viewer, number)
            np.testing.assert_array_equal(unpacked(image), pixels(1, number))
        if killed:
            os.kill(writer.pid, signal.SIGKILL)
            writer.wait()
            np.testing.assert_array_equal(unpacked(until_there_is(viewer, 5)), pixels(1, 5))
        writer.stdin.close()
    written.close()


def test_a_shot_that_is_not_flushed_yet_says_so(tmp_path: Path, asking: Callable[[Path], Viewer]) -> None:
    written = Experiment(tmp_path)
    written.record.begin_run(run(1), BEGAN)
    with subprocess.Popen(
        [sys.executable, "-c", DUMPING, str(Path(__file__).parent), str(tmp_path / "dumps"), "1000"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as writer:  # fmt: skip
        assert writer.stdin is not None and writer.stdout is not None
        writer.stdin.write("1\n")
        writer.stdin.flush()
        path, entry = writer.stdout.readline().split()
        tell_hit(written.record, 1, path, int(entry))
        written.close()
        shot = asking(written.path).ask(ShotWanted("run-1", 1), Shot)
        assert shot.problem == "frame 1 is on its way to the disk: its pixels can be read in a second or so"
        writer.stdin.close()


def tell_hit(record: Record, number: int, path: str, entry: int) -> None:
    told = {"series": "run-1", "number": number, "state": "hit", "n_peaks": 1}
    place = {"dump": "hit", "path": path, "entry": entry}
    record.result(msgspec.convert({**told, "dumped": [place]}, Result), BEGAN + number)


def until_there_is(viewer: Viewer, number: int) -> ShotImage:
    end = time.monotonic() + 20
    while True:
        shot = viewer.ask(ShotWanted("run-1", number), Shot)
        if shot.image is not None and shot.image.payload:
            return shot.image
        assert time.monotonic() < end, shot.problem
        time.sleep(0.05)


# -- spots and tags -----------------------------------------------------------------------------------------------


def test_the_shots_behind_a_bin_of_the_peakogram_are_found_newest_first(
    tmp_path: Path, asking: Callable[[Path], Viewer]
) -> None:
    written = experiment(tmp_path, runs=2)
    viewer = asking(written.path)
    everywhere = (0.0, 10.0)
    found = viewer.ask(SpotsWanted(everywhere, (5.0, 10.0)), ShotsFound)
    assert found.shots == tuple((f"run-{r}", n) for r in (2, 1) for n in (9, 7, 5))
    spots = unpack_peaks(written.results["run-1", 3].peaks)
    at = float(spots["inverse_d"].max())
    narrow = (at - 1e-6, at + 1e-6)
    assert viewer.ask(SpotsWanted(narrow, (3.0, 4.0)), ShotsFound).shots == (("run-2", 3), ("run-1", 3))
    assert viewer.ask(SpotsWanted(narrow, (3.0, 4.0), limit=1), ShotsFound).shots == (("run-2", 3),)
    assert viewer.ask(SpotsWanted((20.0, 30.0), everywhere), ShotsFound).shots == ()


def test_a_tag_is_put_on_a_shot_seen_by_all_and_taken_off(tmp_path: Path, asking: Callable[[Path], Viewer]) -> None:
    viewer = asking(experiment(tmp_path).path)
    assert viewer.ask(TagWanted("run-1", 3, "  ice \n rings "), Tagged).tags == ("ice rings",)
    assert viewer.ask(TagWanted("run-1", 3, "ice rings"), Tagged).tags == ("ice rings",)
    assert viewer.ask(TagWanted("run-1", 3, "salt"), Tagged).tags == ("ice rings", "salt")
    row = next(row for row in viewer.ask(HitsWanted(), Hits).rows if row.number == 3)
    assert row.tags == ("ice rings", "salt")
    assert viewer.ask(TagWanted("run-1", 3, "ice rings", add=False), Tagged) == Tagged("run-1", 3, ("salt",))


@pytest.mark.parametrize(
    ("tag", "number", "problem"),
    [
        (" ", 3, "a tag needs at least one character"),
        ("x" * 65, 3, "a tag has at most 64 characters, found 65"),
        ("a\x1b[2Jb", 3, "a tag has printable characters only"),
        ("fine", 400, "frame 400 of run 1 is not in the record: so far it has frames 0 to 17"),
    ],
)
def test_a_tag_that_is_none_is_refused(
    tmp_path: Path, asking: Callable[[Path], Viewer], tag: str, number: int, problem: str
) -> None:
    assert asking(experiment(tmp_path).path).ask(TagWanted("run-1", number, tag), Tagged).problem == problem


def test_a_shot_takes_no_more_than_twenty_tags(tmp_path: Path, asking: Callable[[Path], Viewer]) -> None:
    viewer = asking(experiment(tmp_path).path)
    for n in range(20):
        assert viewer.ask(TagWanted("run-1", 3, f"tag {n}"), Tagged).problem == ""
    answer = viewer.ask(TagWanted("run-1", 3, "one more"), Tagged)
    assert (len(answer.tags), answer.problem) == (20, "frame 3 has 20 tags already; take one off first")


def test_tags_are_given_while_the_record_is_written(tmp_path: Path, asking: Callable[[Path], Viewer]) -> None:
    written = Experiment(tmp_path)
    written.process(1, range(4), ended=False)
    viewer = asking(written.path)
    end = time.monotonic() + 20
    while viewer.ask(TagWanted("run-1", 3, "good"), Tagged).problem:
        assert time.monotonic() < end
    written.process(2)
    assert written.record.close().problem == ""
    assert [row.tags for row in viewer.ask(HitsWanted(), Hits).rows if row.number == 3] == [("good",), ()]


# -- trouble ------------------------------------------------------------------------------------------------------


def raw(archive: Archive, context: "zmq.Context[zmq.Socket[bytes]]") -> "zmq.Socket[bytes]":
    socket = context.socket(zmq.DEALER)
    socket.linger = 0
    socket.rcvtimeo = 20_000
    socket.connect(archive.address)
    return socket


@pytest.mark.parametrize(
    "parts",
    [
        [b"\xc1"], [b"token"], [b"token", b""], [b"token", b"\xc1\xff"], [b"token", b"{}", b"more"], [b"x" * 33, b"{}"],
        [b"token", msgspec.msgpack.encode({"type": "hits", "after": "x"})],
        [b"token", msgspec.msgpack.encode({"type": "explode"})],
        [b"token", msgspec.msgpack.encode(HitsWanted(after=2**64 - 1))],
        [b"token", msgspec.msgpack.encode(ShotWanted("run-1", -(2**63)))[:-1]],
        [b"token", b"\x91" * 5000],
    ],
    ids=str,
)  # fmt: skip
def test_nonsense_is_refused_and_the_next_question_answered(tmp_path: Path, parts: list[bytes]) -> None:
    path = experiment(tmp_path).path
    with Archive(path, FEED) as archive, zmq.Context() as context, raw(archive, context) as socket:
        socket.send_multipart(parts)
        token, answer, payload = socket.recv_multipart()
        assert (token in (b"", parts[0]), payload) == (True, b"")
        assert isinstance(msgspec.msgpack.decode(answer, type=Answer), Refusal)
        socket.send_multipart([b"next", msgspec.msgpack.encode(HitsWanted())])
        assert socket.recv_multipart()[0] == b"next"


@pytest.mark.parametrize("limit", [-5, 0, 2**62])
def test_a_page_has_between_one_and_two_thousand_hits(
    tmp_path: Path, asking: Callable[[Path], Viewer], limit: int
) -> None:
    viewer = asking(experiment(tmp_path).path)
    assert len(viewer.ask(HitsWanted(0, limit), Hits).rows) == (9 if limit > 0 else 1)


def test_a_request_that_is_too_large_is_not_even_received(tmp_path: Path) -> None:
    path = experiment(tmp_path).path
    with Archive(path, FEED) as archive, zmq.Context() as context, raw(archive, context) as socket:
        socket.send_multipart([b"large", bytes(MAX_REQUEST_BYTES + 1)])
        socket.rcvtimeo = 300
        with pytest.raises(zmq.Again):
            socket.recv_multipart()
        viewer = viewer_of(archive)
        assert len(viewer.ask(HitsWanted(), Hits).rows) == 9
        viewer.client.close()


def test_a_viewer_that_takes_no_answers_keeps_nobody_waiting(tmp_path: Path) -> None:
    path = experiment(tmp_path).path
    with Archive(path, FEED) as archive, zmq.Context() as context, raw(archive, context) as lazy:
        for _ in range(500):
            lazy.send_multipart([b"t", msgspec.msgpack.encode(HitsWanted())])
        viewer = viewer_of(archive)
        for _ in range(20):
            assert len(viewer.ask(HitsWanted(), Hits).rows) == 9
        viewer.client.close()


def test_a_record_that_is_not_there_or_none_is_said_and_looked_for_again(
    tmp_path: Path, asking: Callable[[Path], Viewer]
) -> None:
    viewer = asking(tmp_path / "experiment.sqlite")
    assert viewer.ask(HitsWanted(), Refusal).problem == (
        f"there is no record {tmp_path / 'experiment.sqlite'}; expected the SQLite file that a processor has written"
    )
    (tmp_path / "experiment.sqlite").write_bytes(b"certainly no SQLite file" * 100)
    assert "cannot be read: file is not a database" in viewer.ask(ShotWanted("k", 0), Refusal).problem
    (tmp_path / "experiment.sqlite").unlink()
    experiment(tmp_path)
    assert len(viewer.ask(HitsWanted(), Hits).rows) == 9


# -- the viewer's end ---------------------------------------------------------------------------------------------


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


def test_a_record_is_one_file_again_when_archive_and_processor_have_ended(tmp_path: Path) -> None:
    written = Experiment(tmp_path)
    with Archive(written.path, FEED) as archive:
        written.process(1)
        viewer = viewer_of(archive)
        viewer.ask(HitsWanted(), Hits)
        written.close()  # while the archive still has it open
        assert len(viewer.ask(HitsWanted(), Hits).rows) == 9
        viewer.client.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dumps", "experiment.sqlite"]


def test_a_record_in_a_folder_that_may_not_be_written_is_read() -> None:
    code = (
        "import os, sys; from pathlib import Path; from braggwatch.streamer.record_reader import RecordReader\n"
        "if os.geteuid() == 0: os.setuid(65534)\n"
        "print(len(RecordReader(Path(sys.argv[1])).hits(0, 100).rows))"
    )
    # Not below tmp_path, which nobody but its owner may enter.
    with tempfile.TemporaryDirectory() as folder:
        path = experiment(Path(folder)).path
        path.chmod(0o444)
        Path(folder).chmod(0o555)
        said = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
        Path(folder).chmod(0o755)
    assert (said.stdout, said.stderr) == ("9\n", "")


def test_an_archive_is_at_the_second_port_after_the_feed_or_at_any_where_that_is_taken(tmp_path: Path) -> None:
    port = free_ports(3)[0]
    feed = f"tcp://127.0.0.1:{port}"
    with Archive(tmp_path / "record.sqlite", feed) as first, Archive(tmp_path / "record.sqlite", feed) as second:
        assert first.address == f"tcp://127.0.0.1:{port + 2}"
        assert second.address.startswith("tcp://127.0.0.1:") and second.address != first.address
