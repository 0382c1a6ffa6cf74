"""The archive, over real sockets: pages of hits, spots, tags, and what is asked of it that makes no sense."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import zmq
from archive_viewer import FEED, Viewer, viewer_of
from recorded_experiment import BEGAN, Experiment, experiment

from braggwatch.streamer.archive import MAX_REQUEST_BYTES, Archive
from braggwatch.streamer.archive_messages import (
    Answer,
    Hits,
    HitsWanted,
    Refusal,
    ShotsFound,
    ShotWanted,
    SpotsWanted,
    Tagged,
    TaggedShot,
    TagWanted,
)
from braggwatch.streamer.cli.free_ports import free_ports
from braggwatch.streamer.messages import State, unpack_peaks

# -- hits ---------------------------------------------------------------------------------------------------------


def test_hits_come_page_by_page_with_all_that_was_found(tmp_path: Path, asking: Callable[[Path], Viewer]) -> None:
    written = experiment(tmp_path, runs=2, group=lambda n: "pumped" if n % 3 else "")
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
        assert (row.crystals, row.dumped, row.group) == (result.crystals, result.dumped, result.group)
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


def test_who_asks_for_hits_hears_what_others_have_tagged_since_once(
    tmp_path: Path, asking: Callable[[Path], Viewer]
) -> None:
    path = experiment(tmp_path).path
    one, other = asking(path), asking(path)
    page = one.ask(HitsWanted(), Hits)
    assert (page.tags, page.tagged) == ("", None)
    for number, tag in ((3, "good"), (5, "salt"), (3, "ice")):
        other.ask(TagWanted("run-1", number, tag), Tagged)
    news = one.ask(HitsWanted(after=page.last, tags=page.tags), Hits)
    assert news.rows == ()
    assert news.tagged == (TaggedShot("run-1", 3, ("good", "ice")), TaggedShot("run-1", 5, ("salt",)))
    assert one.ask(HitsWanted(after=page.last, tags=news.tags), Hits).tagged is None
    other.ask(TagWanted("run-1", 3, "ice", add=False), Tagged)
    other.ask(TagWanted("run-1", 7, "ice"), Tagged)
    later = one.ask(HitsWanted(after=page.last, tags=news.tags), Hits)
    assert later.tagged is not None
    assert {shot.number: shot.tags for shot in later.tagged} == {7: ("ice",), 5: ("salt",), 3: ("good",)}
    for number, tag in ((3, "good"), (5, "salt"), (7, "ice")):
        other.ask(TagWanted("run-1", number, tag, add=False), Tagged)
    last = one.ask(HitsWanted(after=page.last, tags=later.tags), Hits)
    assert (last.tags, last.tagged) == ("", ())


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


# -- files and ports ---------------------------------------------------------------------------------------------


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
