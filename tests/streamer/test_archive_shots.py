"""Shots out of the archive, with pixels of real dumps that are whole, moved, damaged or still growing."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from archive_viewer import Viewer
from numpy.typing import NDArray
from recorded_experiment import BEGAN, SHAPE, A, Experiment, experiment, pixels, run, state

from braggwatch.processing.decompression import decompress
from braggwatch.streamer.archive_messages import Hits, HitsWanted, Shot, ShotWanted
from braggwatch.streamer.messages import Result, State, unpack_peaks
from braggwatch.streamer.picture_messages import ShotImage
from braggwatch.streamer.record import Record


def unpacked(image: ShotImage | None) -> NDArray[np.generic]:
    assert image is not None
    out = np.empty(image.shape, image.dtype)
    decompress(image.payload, image.encoding, image.shape, image.dtype, out)
    return out


@pytest.mark.parametrize("number", [1, 3, 7, 17])
def test_a_shot_comes_with_its_spots_lattices_and_the_pixels_of_its_dump(
    tmp_path: Path, asking: Callable[[Path], Viewer], number: int
) -> None:
    written = experiment(tmp_path, runs=2, images_per_file=3, group=lambda n: f"laser {n % 2}")
    shot = asking(written.path).ask(ShotWanted("run-2", number), Shot)
    assert (shot.problem, shot.number, shot.series) == ("", number, "run-2")
    assert shot.image is not None
    np.testing.assert_array_equal(unpacked(shot.image), pixels(2, number))
    result = written.results["run-2", number]
    assert shot.image.kind == ("indexed" if state(number) is State.INDEXED else "hit")
    assert shot.image.time == BEGAN + 200 + number
    np.testing.assert_array_equal(unpack_peaks(shot.image.result.peaks), unpack_peaks(result.peaks))
    assert shot.image.result.crystals == result.crystals
    assert shot.image.result.group == f"laser {number % 2}"
    assert len(result.crystals) == (0 if state(number) is State.HIT else 2 if number == 7 else 1)
    if result.crystals:
        np.testing.assert_allclose(np.reshape(result.crystals[0].A, (3, 3)), A)


@pytest.mark.parametrize(
    ("series", "number", "has_image", "why"),
    [
        ("run-1", 2, True, "frame 2 was blank, and not dumped: dumps hold hits, and blanks where asked for"),
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


@pytest.mark.parametrize("format_", ["tiff", "cbf", "npy"])
def test_pixels_come_out_of_single_files_too(tmp_path: Path, asking: Callable[[Path], Viewer], format_: str) -> None:
    written = experiment(tmp_path, format=format_)
    viewer = asking(written.path)
    for number in (1, 3, 17):
        shot = viewer.ask(ShotWanted("run-1", number), Shot)
        assert shot.problem == ""
        np.testing.assert_array_equal(unpacked(shot.image), pixels(1, number))
        assert {(Path(place.path).suffix, place.entry) for place in written.results["run-1", number].dumped} == {
            (f".{format_}", 0)
        }
    first, second = (tmp_path / "dumps" / Path(place.path).name for place in written.results["run-1", 3].dumped)
    first.write_bytes(first.read_bytes()[:100])
    assert viewer.ask(ShotWanted("run-1", 3), Shot).problem == ""
    second.unlink()
    problem = viewer.ask(ShotWanted("run-1", 3), Shot).problem
    assert f"frame 3 was dumped, but {first}: " in problem
    assert f"dumps/{second.name} is not there: it was moved, or lies on another machine" in problem


@pytest.mark.parametrize("format_", ["nxmx", "tiff"])
def test_a_blank_that_was_dumped_comes_with_its_pixels_and_is_no_hit(
    tmp_path: Path, asking: Callable[[Path], Viewer], format_: str
) -> None:
    written = experiment(tmp_path, format=format_, one_blank_in=1)
    viewer = asking(written.path)
    shot = viewer.ask(ShotWanted("run-1", 2), Shot)
    assert (shot.problem, shot.image and shot.image.kind) == ("", "blank")
    np.testing.assert_array_equal(unpacked(shot.image), pixels(1, 2))
    assert all(hit.state is not State.BLANK for hit in viewer.ask(HitsWanted(0, 100), Hits).rows)


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
