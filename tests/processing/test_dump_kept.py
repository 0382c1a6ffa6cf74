"""Dumps that grow, whose writer is killed or leaves, or whose disk is full: what was written can be read."""

import logging
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest
from shots_to_dump import image, make, numbers, shot

from braggwatch.processing.chain import Verdict
from braggwatch.processing.nxmx.superblock import make_readable

assert hdf5plugin  # importing it registers the filters

FOLLOWER = """
import sys, time, h5py, hdf5plugin
deadline = time.monotonic() + 60
with h5py.File(sys.argv[1], "r", swmr=True) as file:
    numbers, data = file["entry/frames/number"], file["entry/data/data"]
    print("open", flush=True)
    while len(numbers) < 20 and time.monotonic() < deadline:
        numbers.refresh(); data.refresh(); time.sleep(0.005)
    print(len(numbers), [int(data[i].astype(int).sum()) for i in range(len(numbers))])
"""


def test_another_process_follows_a_file_that_grows(tmp_path: Path) -> None:
    dump = make(tmp_path, flush_seconds=0.0)
    seen = shot(0)
    dump.event(seen)
    path = seen.dumped[0].path
    with subprocess.Popen([sys.executable, "-c", FOLLOWER, str(path)], stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "open\n"
        for n in range(1, 20):
            dump.event(shot(n))
            time.sleep(0.002)
        assert reader.stdout.readline() == f"20 {[int(image(n).sum()) for n in range(20)]}\n"
    dump.end()


def test_another_process_opens_a_file_that_grows_without_knowing_of_it(tmp_path: Path) -> None:
    dump = make(tmp_path, flush_seconds=0.0)
    shots = [shot(n) for n in range(5)]
    for one in shots:
        dump.event(one)
    script = (
        "import h5py, hdf5plugin, sys; f = h5py.File(sys.argv[1]); print(f['entry/data/data'][4].astype(int).sum())"
    )
    path = str(shots[0].dumped[0].path)
    said = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True).stdout
    assert int(said) == shots[4].image.sum()
    dump.end()


WRITER = """
import itertools, sys
sys.path.insert(0, sys.argv[1])
from shots_to_dump import DETECTOR, SERIES, shot
from braggwatch.processing.compression import bslz4_chunk
from braggwatch.processing.nxmx import NXmxWriter
from pathlib import Path
path, n_flushed = Path(sys.argv[2]), int(sys.argv[3])
writer = NXmxWriter(path, series=SERIES, detector=DETECTOR, dtype="uint16", provenance={})
for n in itertools.count():
    one = shot(n)
    writer.append(one, bslz4_chunk(one.image))
    if n < n_flushed:
        writer.flush()
    print(n, flush=True)
"""


def killed_writer(path: Path, n_flushed: int) -> int:
    """Write images, the first of them each with a flush, until a SIGKILL; return how many were appended at least."""
    command = [sys.executable, "-c", WRITER, str(Path(__file__).parent), str(path), str(n_flushed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for _ in range(min(n_flushed, 60) + 5):
            line = writer.stdout.readline()
        os.kill(writer.pid, signal.SIGKILL)
        return int([line, *(text for text in writer.stdout if text.endswith("\n"))][-1]) + 1


def assert_first_images_are_whole(file: h5py.File, at_least: int) -> None:
    n_images = len(file["entry/frames/number"])
    assert n_images >= at_least
    assert list(file["entry/frames/number"]) == list(range(n_images))
    for n in (0, n_images - 1):
        np.testing.assert_array_equal(file["entry/data/data"][n], image(n))


@pytest.mark.parametrize("n_flushed", [1, 60])
def test_after_kill_9_everything_flushed_reads_back_without_repair(tmp_path: Path, n_flushed: int) -> None:
    killed_writer(tmp_path / "dump.h5", n_flushed)
    with h5py.File(tmp_path / "dump.h5", "r") as file:
        assert_first_images_are_whole(file, n_flushed)


def test_after_kill_9_at_any_moment_everything_flushed_reads_back_as_a_growing_file(tmp_path: Path) -> None:
    path = tmp_path / "dump.h5"
    n_appended = killed_writer(path, n_flushed=1_000_000)
    with h5py.File(path, "r", swmr=True) as file:
        assert_first_images_are_whole(file, n_appended)
    make_readable(path)
    with h5py.File(path, "r") as file:
        assert_first_images_are_whole(file, n_appended)


LEAVER = """
import sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from shots_to_dump import make, shot
dump = make(Path(sys.argv[2]), flush_seconds=0.002)
for n in range(30):
    dump.event(shot(n))
    time.sleep(0.001)
"""


def test_a_process_that_ends_without_ending_its_dump_closes_the_file(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LEAVER, str(Path(__file__).parent), str(tmp_path)]
    subprocess.run(command, check=True, timeout=60)
    [path] = tmp_path.glob("*.h5")
    assert numbers(path) == list(range(30))


@pytest.mark.parametrize(
    ("name", "format_", "suffix"), [(None, "nxmx", "h5"), ("hit-", "nxmx", "h5"), ("a", "cxi", "cxi")]
)
def test_the_next_process_repairs_what_a_kill_in_the_midst_of_a_flush_left(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str | None, format_: str, suffix: str
) -> None:
    dump = make(tmp_path, name=name, format=format_)
    seen = shot(0)
    dump.event(seen)
    dump.end()
    whole = seen.dumped[0].path.read_bytes()
    with h5py.File(tmp_path / "open.h5", "w", libver=("v110", "v110")) as file:
        file["entry/frames/number"] = [4]
        file.flush()
        in_midst = (tmp_path / "open.h5").read_bytes()
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    written = seen.dumped[0].path.name
    left = tmp_path / written.replace(f"-{os.getpid()}-", f"-{int(dead.stdout)}-")
    living = tmp_path / written.replace(f"_00000.{suffix}", f"_00001.{suffix}")
    elsewhere = tmp_path / re.sub(r"_[A-Za-z0-9.-]+-\d+-(\w{4}_\d+\.\w+)$", r"_elsewhere-1-\1", written)
    assert len({written, left.name, living.name, elsewhere.name}) == 4
    for path in (left, living, elsewhere):
        path.write_bytes(in_midst)
    with caplog.at_level(logging.WARNING):
        make(tmp_path).end()
    assert [r.message for r in caplog.records] == [f"{left}: left open by a process that was killed, now readable"]
    assert numbers(left) == [4]
    assert living.read_bytes() == elsewhere.read_bytes() == in_midst
    assert seen.dumped[0].path.read_bytes() == whole


def test_a_directory_that_cannot_be_made_pauses_the_dump_and_loses_no_hit(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dumps").write_text("a file where the directory should be")
    dump = make(tmp_path / "dumps")
    shots = [shot(n) for n in range(3)]
    with caplog.at_level(logging.ERROR):
        assert [dump.event(one) for one in shots] == [Verdict.KEEP] * 3
    assert [one.dumped for one in shots] == [[], [], []]
    assert dump.pause.not_written == 3
    assert dump.pause.because == f"dump hit: cannot write to {tmp_path / 'dumps'}: File exists"
    assert [r.message for r in caplog.records] == [
        f"{dump.pause.because}; shots go on being counted, the next try is in 10 s"
    ]
    (tmp_path / "dumps").unlink()
    monkeypatch.setattr("braggwatch.processing.stages.pausing.monotonic", lambda: time.monotonic() + 11)
    last = shot(3)
    dump.event(last)
    dump.end()
    assert dump.pause.because is None
    assert numbers(last.dumped[0].path) == [3]


FULL_DISK = """
import resource, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
import numpy as np
from shots_to_dump import SHAPE, make, numbers, shot
dump = make(Path(sys.argv[2]), flush_seconds=0.0)
first = [shot(n) for n in range(3)]
for one in first:
    dump.event(one)
# No file may grow beyond this: writing fails in the midst of an image, as on a full disk.
resource.setrlimit(resource.RLIMIT_FSIZE, (first[0].dumped[0].path.stat().st_size + 6000, resource.RLIM_INFINITY))
later = [shot(n) for n in range(3, 30)]
for one in later:
    dump.event(one)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
last = shot(30)
if sys.argv[3] == "a later shot":
    dump.pause._retry_at = 0
    dump.event(last)
dump.end()
written = sum(bool(one.dumped) for one in later)
path = first[0].dumped[0].path
# Where the room ended behind an image's pixels, the rest of it was written later, though it counts as not written.
assert numbers(path) in (list(range(3 + written)), list(range(4 + written))), numbers(path)
assert written + dump.pause.not_written == len(later)
assert dump.pause.not_written > 0
if last.dumped:
    assert last.dumped[0].path != path
    assert numbers(last.dumped[0].path) == [30]
assert not [link for link in Path("/proc/self/fd").iterdir() if str(link.resolve()).endswith(".h5")]
"""


@pytest.mark.parametrize("what_follows", ["a later shot", "the end"])
def test_a_full_disk_pauses_the_dump_and_keeps_what_was_written(tmp_path: Path, what_follows: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(Path(__file__).parent), str(tmp_path), what_follows],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == (
        f"dump hit: cannot write to {tmp_path}: File too large; shots go on being counted, the next try is in 10 s\n"
    )
