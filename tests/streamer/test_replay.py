"""A record shown as if its processor still ran: real records and dumps, heard by a real viewer."""

import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from recorded_experiment import BEGAN, SHAPE, Experiment, detector, experiment, pixels, run, spots

from braggwatch.processing.decompression import decompress
from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Encoding
from braggwatch.streamer import replay
from braggwatch.streamer.archive_client import ArchiveClient
from braggwatch.streamer.archive_messages import Answer, Hits, HitsWanted, Shot, ShotWanted
from braggwatch.streamer.feed_client import FeedClient
from braggwatch.streamer.feed_messages import TOPICS, Status
from braggwatch.streamer.messages import Result, State
from braggwatch.streamer.picture_messages import Geometry, Peakogram, Powder, SettingsInForce, ShotImage
from braggwatch.streamer.record import Record
from braggwatch.streamer.record_schema import RecordError
from braggwatch.streamer.replay import RecordFeed
from braggwatch.streamer.statistics import wilson


@contextmanager
def watching(path: Path) -> Iterator[FeedClient]:
    """Open a record and yield a viewer."""
    with RecordFeed(path) as feed, FeedClient(feed.address, topics=TOPICS) as client:
        yield client


def until(client: FeedClient, condition: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"it did not happen in time: {client.status}"
        client.poll(0.02)


def read(client: FeedClient) -> Status:
    """Wait until the record has been read and all its numbers are here, and return those of the status."""
    until(client, lambda: client.status is not None and client.status.record is not None and not client.status.notices)
    until(client, lambda: client.history is not None and client.shots is not None)
    assert client.status is not None
    assert not client.problems
    return client.status


def newest(client: FeedClient, topic: bytes, kind: type) -> object:
    until(client, lambda: topic in client.newest)
    message = client.newest[topic]
    assert isinstance(message, kind)
    return message


def geometry_of(client: FeedClient) -> Detector:
    message = newest(client, b"geometry", Geometry)
    assert isinstance(message, Geometry)
    return message.detector()


def image_of(client: FeedClient, kind: str) -> ShotImage:
    message = newest(client, f"image.{kind}".encode(), ShotImage)
    assert isinstance(message, ShotImage)
    return message


def unpacked(payload: bytes, shape: tuple[int, int], dtype: str) -> NDArray[Any]:
    out = np.empty(shape, dtype)
    decompress(payload, Encoding("bslz4", "hdf5"), shape, dtype, out)
    return out


def test_a_finished_run_has_the_numbers_that_its_processor_had(tmp_path: Path) -> None:
    written = experiment(tmp_path, runs=3)
    with watching(written.path) as client:
        status = read(client)
    assert (status.word, status.experiment, status.source, status.runs) == ("RECORD", "lysozyme", str(written.path), 3)
    expected = {State.BLANK: 27, State.HIT: 15, State.INDEXED: 12, State.MISSED: 6}
    assert status.totals.counts == {state: expected.get(state, 0) for state in State}
    assert (status.totals.total, status.totals.balanced) == (60, True)
    rates = status.rates
    assert (rates.hit.n, rates.hit.of, rates.indexed_of_hits.n, rates.indexed_of_hits.of) == (27, 54, 12, 27)
    assert (rates.multi_lattice.n, rates.multi_lattice.of, rates.missed.n, rates.missed.of) == (6, 12, 6, 60)
    assert rates.hit.low is not None and rates.hit.high is not None
    assert status.run is not None
    assert (status.run.key, status.run.number, status.run.shape, status.run.n_frames) == ("run-3", 3, SHAPE, 20)
    assert (status.run.started, status.run.ended) == (BEGAN + 300, BEGAN + 321)
    assert (status.run.ledger.first, status.run.ledger.last, status.run.ledger.total) == (0, 19, 20)
    assert {(dump.name, dump.directory, dump.images) for dump in status.dumps} == {
        ("hit", "dumps", 27), ("indexed", "dumps", 12),
    }  # fmt: skip
    assert status.record is not None
    assert (status.record.frames, status.record.unrecorded, status.record.problem) == (60, 0, "")
    assert (status.settings_version, status.workers) == (1, ())
    assert (status.latency.median, status.throughput.frames) == (None, None)


def test_the_history_has_every_frame_at_its_time_and_every_run_and_change_marked(tmp_path: Path) -> None:
    written = Experiment(tmp_path)
    written.settings('[experiment]\nname = "x"\n', 1, BEGAN)
    written.process(1)
    written.settings("# changed by me: hitfind.min_snr 5 → 6\n[hitfind]\n", 2, BEGAN + 150)
    written.process(40)
    written.close()
    with watching(written.path) as client:
        read(client)
        history = client.history
        settings = newest(client, b"settings", SettingsInForce)
    assert history is not None
    session, recent = history.session, history.recent
    assert (session.start, session.width) == (BEGAN + 100, 4.0)
    assert sum(session.counts[State.BLANK]) == 18
    assert sum(session.counts[State.MISSED]) == 4
    assert sum(session.multi_lattice) == 4
    assert sum(session.results) == sum(session.arrived) == 36
    second_run = session.counts[State.INDEXED][int(3900 / 4) :]
    assert sum(second_run) == 4
    assert (recent.start + len(recent.arrived), recent.width) == (BEGAN + 4022, 1.0)
    at = int(BEGAN + 4000 - recent.start)
    assert recent.counts[State.INDEXED][at : at + 8] == [0, 0, 0, 1, 0, 0, 0, 1]
    assert recent.multi_lattice[at : at + 8] == [0, 0, 0, 0, 0, 0, 0, 1]
    assert sum(recent.arrived) == 18
    assert [(mark.time - BEGAN, mark.kind, mark.label) for mark in history.marks] == [
        (100, "run began", "run 1"), (121, "run ended", "run 1"), (150, "settings", "hitfind.min_snr 5 → 6"),
        (4000, "run began", "run 40"), (4021, "run ended", "run 40"),
    ]  # fmt: skip
    assert settings == SettingsInForce(
        version=2, time=BEGAN + 150, text="# changed by me: hitfind.min_snr 5 → 6\n[hitfind]\n"
    )


def test_groups_have_the_numbers_that_they_had(tmp_path: Path) -> None:
    written = experiment(tmp_path, runs=2, group=lambda n: ("dark", "pumped", "")[n % 3])
    with watching(written.path) as client:
        status = read(client)
        history, shots = client.history, client.shots
    of_group = {name: [r.state for r in written.results.values() if r.group == name] for name in ("dark", "pumped")}
    assert history is not None and shots is not None
    for group, bins in zip(status.groups, history.session.groups, strict=True):
        states = of_group.pop(group.name)
        hits = len(states) - states.count(State.BLANK)
        assert (group.frames, group.hits, group.indexed) == (len(states), hits, states.count(State.INDEXED))
        assert (group.hit, group.indexed_of_hits) == (wilson(hits, len(states)), wilson(group.indexed, hits))
        assert bins.name == group.name
        assert (sum(bins.frames), sum(bins.hits), sum(bins.indexed)) == (group.frames, group.hits, group.indexed)
    assert not of_group
    assert all(shot.group == written.results[shot.series, shot.number].group for shot in shots.shots)
    assert all(seen.group == written.results[seen.series, seen.number].group for seen in shots.crystals)


def test_of_the_groups_of_many_sessions_the_largest_sixteen_are_told_apart(tmp_path: Path) -> None:
    written = experiment(tmp_path, runs=1, group=lambda n: f"delay {min(n, 16):02}")
    with watching(written.path) as client:
        status = read(client)
    largest = [f"delay {n:02}" for n in (*range(15), 16)]
    assert [group.name for group in status.groups] == [*largest, "others"]
    assert [group.frames for group in status.groups] == [1] * 15 + [2, 1]


def test_the_last_shots_come_with_their_pixels(tmp_path: Path) -> None:
    written = experiment(tmp_path, runs=2)
    with watching(written.path) as client:
        read(client)
        shots = client.shots
        hit, indexed = image_of(client, "hit"), image_of(client, "indexed")
    assert shots is not None
    assert [(shot.series, shot.number) for shot in shots.shots] == [
        (f"run-{r}", n) for r in (1, 2) for n in range(1, 18, 2)
    ]
    assert [shot.n_lattices for shot in shots.shots[:4]] == [0, 1, 0, 2]
    assert len(shots.crystals) == 12
    assert shots.crystals[-1].time == BEGAN + 200 + 15
    for image, number in ((hit, 17), (indexed, 15)):
        assert (image.result.series, image.result.number, image.time) == ("run-2", number, BEGAN + 200 + number)
        np.testing.assert_array_equal(unpacked(image.payload, image.shape, image.dtype), pixels(2, number))
        assert image.result.crystals == written.results["run-2", number].crystals


def test_shots_that_failed_are_among_the_last(tmp_path: Path) -> None:
    written = Experiment(tmp_path)
    written.process(1, range(4))
    failed = Result(series="run-1", number=4, state=State.FAILED, error="IndexError: no")
    written.record.result(failed, BEGAN + 104)
    written.close()
    with watching(written.path) as client:
        read(client)
        assert client.shots is not None
        last = client.shots.shots[-1]
    assert (last.number, last.state, last.error, last.time) == (4, State.FAILED, "IndexError: no", BEGAN + 104)


def test_the_geometry_is_that_of_the_dumps_with_its_mask(tmp_path: Path) -> None:
    written = experiment(tmp_path)
    truth = detector(run(1))
    with watching(written.path) as client:
        found = geometry_of(client)
    np.testing.assert_array_equal(found.mask, truth.mask)
    assert found.flag_values == truth.flag_values == (65535.0, 65534.0)
    assert found.beam is not None and truth.beam is not None
    assert found.beam.photon_energy == pytest.approx(truth.beam.photon_energy)
    (panel,), (expected,) = found.panels, truth.panels
    for vector in ("corner", "fs", "ss"):
        assert getattr(panel, vector) == pytest.approx(getattr(expected, vector), abs=1e-12)
    assert panel.max_adu == expected.max_adu == 60_000.0


def test_without_dumps_the_geometry_is_that_of_the_header_and_the_settings(tmp_path: Path) -> None:
    written = Experiment(tmp_path)
    mask = np.zeros(SHAPE, np.uint8)
    mask[:, 10] = 1
    np.save(tmp_path / "mask.npy", mask)
    written.settings('[detector]\ndistance = 0.03\nmask = "gone/mask.npy"\n', 1, BEGAN)
    written.process(1)
    written.close()
    shutil.rmtree(tmp_path / "dumps")
    with watching(written.path) as client:
        read(client)
        found = geometry_of(client)
        hit = image_of(client, "hit")
    assert found.distance == pytest.approx(0.03)
    np.testing.assert_array_equal(found.mask, mask)
    assert (hit.payload, hit.result.number, hit.result.n_peaks) == (b"", 17, 18)


def test_of_runs_with_the_same_headers_and_settings_it_is_said_that_they_have_one_geometry(tmp_path: Path) -> None:
    written = Experiment(tmp_path)
    for number, text in ((1, ""), (2, "[detector]\n"), (3, "[detector]\n"), (4, "[detector]\n")):
        written.settings(text, number, BEGAN + 100 * number - 1)
        written.process(number)
    with watching(written.close()) as client:
        geometry = newest(client, b"geometry", Geometry)
        assert isinstance(geometry, Geometry)
        assert (geometry.series, geometry.alike) == ("run-4", ("run-2", "run-3"))


def test_a_geometry_that_cannot_be_known_is_said(tmp_path: Path) -> None:
    with Record(tmp_path / "r.sqlite") as record:
        record.result(Result(series="k", number=3, state=State.BLANK), BEGAN)
        record.close()
    with watching(tmp_path / "r.sqlite") as client:
        until(client, lambda: client.status is not None and "not known" in str(client.status.notices))
        assert client.status is not None
        (notice,) = client.status.notices
        assert client.status.totals.counts[State.BLANK] == 1
    assert notice.text.startswith("it is not known where the pixels are: there is no dump of run 0 any more, and the ")
    assert "lacks: image shape, pixel size, detector distance, beam centre" in notice.text


def test_peakogram_and_powders_are_made_again(tmp_path: Path) -> None:
    written = experiment(tmp_path, runs=2)
    hits = [n for n in range(18) if n % 2]
    with watching(written.path) as client:
        read(client)
        peakogram = newest(client, b"peakogram", Peakogram)
        of_spots, of_hits = newest(client, b"powder.spots", Powder), newest(client, b"powder.hits", Powder)
    assert isinstance(peakogram, Peakogram) and isinstance(of_spots, Powder) and isinstance(of_hits, Powder)
    assert (peakogram.n_shots, peakogram.n_peaks) == (18, 2 * sum(n + 1 for n in hits))
    counts = np.frombuffer(peakogram.counts, np.uint32).reshape(peakogram.shape)
    assert counts.sum() == peakogram.n_peaks
    assert (of_spots.n_shots, of_spots.of, of_spots.binning, of_spots.shape) == (18, 18, 1, SHAPE)
    total = np.nansum(unpacked(of_spots.sum, SHAPE, "float32"))
    assert total == 2 * sum(float(spots(n).intensity.sum()) for n in hits)
    expected = np.sum([pixels(r, n) for r in (1, 2) for n in hits], axis=0).astype(np.float32)
    expected[:4, :4] = np.nan
    assert (of_hits.n_shots, of_hits.of) == (18, 18)
    np.testing.assert_allclose(unpacked(of_hits.sum, SHAPE, "float32"), expected, rtol=1e-5)


def test_the_archive_beside_the_feed_gives_hits_and_pixels(tmp_path: Path) -> None:
    written = experiment(tmp_path)
    with watching(written.path) as client, ArchiveClient() as archive:
        until(client, lambda: client.header is not None)
        assert client.header is not None
        archive.connect(client.address, client.header.archive)
        archive.ask(HitsWanted(), 1)
        archive.ask(ShotWanted("run-1", 9), 2)
        answers: dict[int, Answer] = {}
        until(client, lambda: answers.update(archive.poll()) or len(answers) == 2)
    hits, shot = answers[1], answers[2]
    assert isinstance(hits, Hits) and isinstance(shot, Shot) and shot.image is not None
    assert [row.number for row in hits.rows] == list(range(1, 18, 2))
    np.testing.assert_array_equal(unpacked(shot.image.payload, SHAPE, "uint16"), pixels(1, 9))


def test_record_and_dumps_are_left_as_they_were(tmp_path: Path) -> None:
    written = experiment(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with watching(written.path) as client:
        read(client)
        image_of(client, "indexed")
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_record_that_grows_is_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(replay, "LOOK_COST", 0)
    written = Experiment(tmp_path)
    written.process(1)
    with watching(written.path) as client:
        until(
            client, lambda: client.status is not None and client.status.runs == 1 and client.status.totals.total == 20
        )
        written.process(2, range(8), ended=False)
        until(client, lambda: client.status is not None and client.status.totals.total == 28)
        assert client.status is not None and client.status.run is not None
        assert (client.status.run.number, client.status.run.ended) == (2, None)
        until(client, lambda: image_of(client, "indexed").result.series == "run-2")
        until(client, lambda: client.newest[b"powder.spots"].n_shots == 13)  # type: ignore[union-attr]
        written.close()


def test_a_large_record_is_read_in_pieces_and_says_how_far_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("braggwatch.streamer.record_summary.FRAMES_AT_ONCE", 7)
    monkeypatch.setattr(replay, "LOG_EVERY_S", 0.0)
    written = experiment(tmp_path, runs=2)
    with caplog.at_level("INFO"), watching(written.path) as client:
        status = read(client)
    assert status.totals.counts[State.INDEXED] == 8
    assert status.rates.multi_lattice.n == 4
    said = [record.message for record in caplog.records if record.message.startswith("reading")]
    assert said[0].startswith("reading the record: 0 of 36 frames")
    assert [int(line.split()[3]) for line in said] == [0, 7, 14, 18, 25, 32, 36]


def test_frames_that_were_only_counted_are_in_the_totals(tmp_path: Path) -> None:
    written = experiment(tmp_path)
    with closing(sqlite3.connect(written.path)) as connection, connection:
        connection.execute("INSERT INTO unrecorded SELECT 1, code, 5 FROM states WHERE name = 'blank'")
        connection.execute("UPDATE ledger SET n = n + 5 WHERE state = 'blank'")
    with watching(written.path) as client:
        status = read(client)
    assert (status.totals.counts[State.BLANK], status.totals.total, status.rates.hit.of) == (14, 25, 23)
    assert status.record is not None
    assert (status.record.frames, status.record.unrecorded) == (20, 5)


def test_a_record_without_a_run_is_empty_and_no_error(tmp_path: Path) -> None:
    with Record(tmp_path / "empty.sqlite") as record:
        record.close()
    with watching(tmp_path / "empty.sqlite") as client:
        status = read(client)
        until(client, lambda: client.history is not None)
    assert (status.experiment, status.runs, status.totals.total, status.run) == ("empty", 0, 0, None)
    assert status.rates.hit.value is None


@pytest.mark.parametrize("content", [None, b"no SQLite at all" * 100, "sqlite"])
def test_what_is_no_record_is_refused(tmp_path: Path, content: bytes | str | None) -> None:
    path = tmp_path / "r.sqlite"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE t (x)")
    with pytest.raises(RecordError, match=r"there is no record|cannot be read|no record of Braggwatch"):
        RecordFeed(path)


def test_settings_of_anybody_are_read_as_text_and_no_stage_of_theirs_is_imported(tmp_path: Path) -> None:
    written = Experiment(tmp_path)
    (tmp_path / "evil.py").write_text("raise SystemExit('imported')")
    written.settings('[chain]\nstages = ["evil.Stage"]\n[experiment]\nname = 7\n[detector]\ngeometry = 5\n', 1, BEGAN)
    written.process(1)
    written.close()
    with watching(written.path) as client:
        assert read(client).experiment == "experiment"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE runs SET started = 'soon'",
        "UPDATE runs SET key = 5",
        "UPDATE runs SET started = -1e300",
        "UPDATE frames SET state = 77",
        "UPDATE frames SET t_ms = 'x'",
        "UPDATE hits SET peaks = 'three'",
        "UPDATE hits SET n_peaks = x'00'",
        "UPDATE crystals SET a = 'long'",
        "UPDATE files SET path = char(0)",
        "UPDATE settings SET text = '[experiment'",
        "DROP TABLE hits",
    ],
)
def test_a_record_that_somebody_has_spoilt_is_shown_as_far_as_it_makes_sense(tmp_path: Path, statement: str) -> None:
    written = experiment(tmp_path)
    with closing(sqlite3.connect(written.path)) as connection, connection:
        connection.execute(statement)
    with watching(written.path) as client:
        for _ in range(3):
            heard = client.status
            until(client, lambda: client.status is not heard)  # noqa: B023 (called before the next turn)
        assert client.status is not None
        assert client.status.word == "RECORD"
