"""Dumps: nothing lost, nothing overwritten, under the names that were asked for."""

import os
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import h5py
import hdf5plugin
import msgspec
import numpy as np
import pytest
from pydantic import ValidationError
from shots_to_dump import DETECTOR, SERIES, SHAPE, image, make, numbers, shot

from braggwatch.processing.chain import Verdict
from braggwatch.processing.crystal import Crystal
from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Encoding, Frame, Series
from braggwatch.processing.image_files import ImageSeries
from braggwatch.processing.nxmx import order_written, safe_file_name
from braggwatch.processing.shot import Shot
from braggwatch.processing.stages.dump import DumpSettings

assert hdf5plugin  # importing it registers the filters


def test_the_compressed_chunk_is_stored_as_it_came(tmp_path: Path, shared: Path) -> None:
    with h5py.File(shared / "frames" / "lysozyme_4m.h5") as source:
        data = source["entry/data/data"]
        payload, pixels = data.id.read_direct_chunk((3, 0, 0))[1], data[3]
    detector = Detector.single_panel(pixels.shape, pixel_size=75e-6, distance=0.15, beam_center=(1034.3, 1081.6))
    frame = Frame(
        series=SERIES.key,
        number=3,
        payload=memoryview(payload),
        shape=pixels.shape,
        dtype="uint16",
        encoding=Encoding("bslz4"),
    )
    dump = make(tmp_path)
    seen = Shot(SERIES, frame, pixels, detector)
    assert dump.event(seen) is Verdict.KEEP
    dump.end()
    with h5py.File(seen.dumped[0].path) as file:
        written = file["entry/data/data"]
        assert written.id.read_direct_chunk((0, 0, 0))[1] == payload
        np.testing.assert_array_equal(written[0], pixels)
        assert written.chunks == (1, *pixels.shape)


def test_changed_pixels_are_written_and_not_those_that_came(tmp_path: Path) -> None:
    dump = make(tmp_path)
    calibrated = image(0).astype(np.float32) * 1.5 - 0.25
    seen = shot(0)
    seen.image, seen.pixels_changed = calibrated, True
    dump.event(seen)
    dump.end()
    with h5py.File(seen.dumped[0].path) as file:
        assert file["entry/data/data"].dtype == np.float32
        np.testing.assert_array_equal(file["entry/data/data"][0], calibrated)


@pytest.mark.parametrize("dtype", ["uint8", ">u2", "int32", "uint32", "float64"])
def test_pixels_that_came_unpacked_are_compressed(tmp_path: Path, dtype: str) -> None:
    pixels = image(5).astype(dtype)
    frame = Frame(series="k", number=5, payload=pixels.tobytes(), shape=SHAPE, dtype=dtype, encoding=Encoding())
    dump = make(tmp_path)
    seen = Shot(SERIES, frame, pixels[:, ::-1][:, ::-1], DETECTOR)
    dump.event(seen)
    dump.end()
    with h5py.File(seen.dumped[0].path) as file:
        assert file["entry/data/data"].dtype == pixels.dtype
        np.testing.assert_array_equal(file["entry/data/data"][0], pixels)


def test_files_rotate_and_every_entry_leads_to_its_image(tmp_path: Path) -> None:
    dump = make(tmp_path, images_per_file=4)
    shots = [shot(n) for n in range(10)]
    for one in shots:
        dump.event(one)
    dump.end()
    paths = list(dict.fromkeys(one.dumped[0].path for one in shots))
    assert [len(numbers(path)) for path in paths] == [4, 4, 2]
    for one in shots:
        where = one.dumped[0]
        assert where.dump == "hit"
        with h5py.File(where.path) as file:
            np.testing.assert_array_equal(file["entry/data/data"][where.entry], one.image)
            assert file["entry/frames/number"][where.entry] == one.number
            assert file["entry/frames/timestamp"][where.entry] == 1.7e9 + one.number


def test_another_dtype_or_another_series_begins_another_file(tmp_path: Path) -> None:
    dump = make(tmp_path)
    later = Series(key="20261122-2", number=8)
    shots = [shot(0), shot(1, pixels=image(1).astype(np.int32)), shot(0, series=later)]
    for one in shots:
        dump.event(one)
    dump.end()
    files = [one.dumped[0].path for one in shots]
    assert len(set(files)) == 3
    with h5py.File(files[2]) as file:
        assert dict(file["entry/frames"].attrs)["series_key"] == "20261122-2"
        assert dict(file["entry/frames"].attrs)["series_number"] == 8


def test_two_instances_write_the_same_shot_to_two_files(tmp_path: Path) -> None:
    hits, indexed = make(tmp_path), make(tmp_path, instance="indexed", name="good-")
    seen = shot(0)
    hits.event(seen)
    seen.crystals.append(Crystal(np.diag([79.0, 79.0, 38.0])))
    indexed.event(seen)
    hits.end()
    indexed.end()
    assert [d.dump for d in seen.dumped] == ["hit", "indexed"]
    first, second = (d.path for d in seen.dumped)
    assert first.name.startswith("hit_lyso_0007_")
    assert second.name.startswith("good-20231114221320000_")
    with h5py.File(first) as a, h5py.File(second) as b:
        assert a["entry/frames/n_crystals"][0] == 0
        assert b["entry/frames/n_crystals"][0] == 1


def test_with_a_name_files_are_called_as_the_older_tools_called_theirs(tmp_path: Path) -> None:
    dump = make(tmp_path, name="hit-", images_per_file=2)
    shots = [shot(n) for n in range(3)] + [shot(9, series=Series(key="k", number=8, name="next"))]
    for one in shots:
        dump.event(one)
    dump.end()
    names = [path.name for path in sorted({one.dumped[0].path for one in shots}, key=order_written)]
    for name, second in zip(names, ("20", "22", "29"), strict=True):  # those of each file's first image
        pattern = rf"hit-202311142213{second}000_[A-Za-z0-9.-]+-{os.getpid()}-[0-9a-f]{{4}}_\d{{5}}\.h5"
        assert re.fullmatch(pattern, name)


def test_of_a_detector_without_a_clock_the_time_of_processing_counts(tmp_path: Path) -> None:
    before = datetime.now(UTC)
    seen = shot(3)
    seen.frame = msgspec.structs.replace(seen.frame, timestamp=0.03)
    hits, tiffs = make(tmp_path, name="hit-"), make(tmp_path, name="hit-", format="tiff")
    for dump in (hits, tiffs):
        dump.event(seen)
        dump.end()
    assert len({place.path.name.partition("_")[0] for place in seen.dumped}) == 1
    stamp = seen.dumped[0].path.name.removeprefix("hit-").partition("_")[0]
    when = datetime.strptime(stamp + "000", "%Y%m%d%H%M%S%f").replace(tzinfo=UTC)
    assert before - timedelta(milliseconds=1) <= when <= datetime.now(UTC)


def groups_of(path: Path) -> list[str]:
    with h5py.File(path, "r") as file:
        return [name.decode() for name in file["entry/frames/group"]]


def test_groups_have_files_of_their_own_where_that_is_wanted(tmp_path: Path) -> None:
    groups = ["pumped", "dark", "delay ≥ 0", "delay < 0", "", "../up"]
    dump = make(tmp_path, by_group=True, images_per_file=5)
    for number in range(60):
        dump.event(shot(number, group=groups[number % 6]))
    dump.end()
    found = {path: groups_of(path) for path in tmp_path.iterdir()}
    assert sorted(n for path in found for n in numbers(path)) == list(range(60))
    assert all(len(set(names)) == 1 and len(names) == 5 for names in found.values())
    parts = {names[0]: path.name.split("_lyso_0007")[0] for path, names in found.items()}
    assert parts == {
        "pumped": "hit_pumped", "dark": "hit_dark", "delay ≥ 0": "hit_delay_from_0", "delay < 0": "hit_delay_below_0",
        "": "hit", "../up": "hit__up",
    }  # fmt: skip


def test_without_that_wish_one_file_holds_all_groups(tmp_path: Path) -> None:
    dump = make(tmp_path)
    for number in range(6):
        dump.event(shot(number, group=["pumped", "dark"][number % 2]))
    dump.end()
    [path] = tmp_path.iterdir()
    assert groups_of(path) == ["pumped", "dark"] * 3


def test_dumps_that_are_read_as_images_have_their_values_and_groups(tmp_path: Path) -> None:
    dump = make(tmp_path)
    sent: list[dict[str, float | int | str]] = [{"laser_1": 1, "energy": 0.5, "codes": "40"}, {"laser_1": 0}, {}]
    for number, values in enumerate(sent):
        dumped = shot(number, group=["pumped", "dark", ""][number])
        dumped.frame = msgspec.structs.replace(dumped.frame, values=values)
        dump.event(dumped)
    dump.end()
    [path] = tmp_path.iterdir()
    with ImageSeries([path], key="k", number=1) as images:
        found = [frame.values for frame in images]
    assert [{name: value for name, value in values.items() if name != "photon_energy"} for values in found] == [
        {"laser_1": 1.0, "energy": 0.5, "group": "pumped"}, {"laser_1": 0.0, "group": "dark"}, {},
    ]  # fmt: skip


def test_no_more_files_are_open_than_there_may_be_groups(tmp_path: Path) -> None:
    dump = make(tmp_path, by_group=True, name="hit-")
    for number in range(100):
        dump.event(shot(number, group=f"delay {number % 50}"))
    dump.end()
    files = sorted(path.name for path in tmp_path.iterdir())
    assert len(files) == 17
    assert re.fullmatch(r"hit-delay_0_\d{17}_.*_00000\.h5", files[0])
    [others] = tmp_path.glob("hit-others_*")
    assert set(groups_of(others)) == {f"delay {n}" for n in range(16, 50)}


def test_single_images_have_the_group_in_their_name_too(tmp_path: Path) -> None:
    dump = make(tmp_path, by_group=True, format="npy")
    dump.event(shot(1, group="pumped"))
    dump.event(shot(2))
    assert sorted(re.sub(r"\d{17}", "T", path.name) for path in tmp_path.glob("*.npy")) == [
        "hit_T_00002.npy", "hit_pumped_T_00001.npy",
    ]  # fmt: skip


def test_files_of_all_groups_are_flushed_in_time(tmp_path: Path) -> None:
    dump = make(tmp_path, by_group=True, flush_seconds=0.05)
    dump.event(shot(1, group="pumped"))
    dump.event(shot(2, group="dark"))
    deadline = time.monotonic() + 10
    while sorted(n for path in tmp_path.iterdir() for n in numbers(path)) != [1, 2]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    dump.end()


def test_no_file_is_made_for_a_series_without_hits(tmp_path: Path) -> None:
    dump = make(tmp_path / "dumps")
    dump.end()
    assert not (tmp_path / "dumps").exists()


def test_the_next_run_never_takes_a_name_that_is_there(tmp_path: Path) -> None:
    seen = []
    for _ in range(30):
        dump = make(tmp_path)
        seen.append(shot(0))
        dump.event(seen[-1])
        dump.end()
    assert len({one.dumped[0].path for one in seen}) == 30
    assert len(list(tmp_path.iterdir())) == 30


@pytest.mark.parametrize(
    "name", ["../../etc/x", "/abs", "a\0b", "Über läuft", "結晶", ".hidden", "x" * 10_000, "a\nb", "..", "a b;rm -rf *"]
)
def test_a_run_name_from_the_wire_stays_inside_the_directory(tmp_path: Path, name: str) -> None:
    series = Series(key="k\0k", number=7, name=name)
    dump = make(tmp_path / "dumps")
    seen = shot(0, series=series)
    dump.event(seen)
    dump.end()
    path = seen.dumped[0].path
    assert path.resolve().parent == (tmp_path / "dumps").resolve()
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", path.name)
    assert len(path.name) < 200
    assert numbers(path) == [0]
    assert [p.name for p in tmp_path.iterdir()] == ["dumps"]


def test_an_empty_name_still_makes_a_file_name() -> None:
    assert safe_file_name("") == "_"
    assert safe_file_name("...") == "_"


def test_a_name_in_the_settings_may_not_be_a_path() -> None:
    with pytest.raises(ValidationError, match="String should match pattern"):
        DumpSettings(name="../hits")


def test_an_image_can_be_read_soon_after_it_was_written_while_the_file_is_open(tmp_path: Path) -> None:
    dump = make(tmp_path, flush_seconds=0.05)
    for n in range(3):
        seen = shot(n)
        dump.event(seen)
    deadline = time.monotonic() + 20
    while len(numbers(seen.dumped[0].path)) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    dump.event(shot(3))
    dump.end()
    assert numbers(seen.dumped[0].path) == [0, 1, 2, 3]
