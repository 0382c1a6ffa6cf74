"""Files of one image each: every pixel as it was, with what the older tools kept beside it."""

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fabio
import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray

from braggwatch.processing.chain import Verdict
from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Encoding, Frame, Series
from braggwatch.processing.image_files import open_image_files
from braggwatch.processing.panel import Panel
from braggwatch.processing.process_names import process_name
from braggwatch.processing.shot import Shot
from braggwatch.processing.single_images.description import time_of
from braggwatch.processing.stages.dump import Dump, DumpSettings
from braggwatch.processing.whole_files import remove_abandoned

SHAPE = (40, 56)
DETECTOR = Detector.single_panel(
    SHAPE, pixel_size=75e-6, distance=0.15, beam_center=(27.5, 20.25), photon_energy=12398.42, max_adu=60_000.0
)
SERIES = Series(
    key="20261122-1", number=7, name="lyso", detector="EIGER2", serial_number="E-01", sensor_material="Si",
    sensor_thickness=450e-6, count_time=0.0099, frame_time=0.01,
)  # fmt: skip
WHEN = datetime(2026, 11, 22, 15, 50, 12, 345_678, tzinfo=UTC).timestamp()
NAME = "hit-20261122155012345_00012"
FORMATS = ["tiff", "cbf", "npy"]


def pixels(dtype: str = "uint16") -> NDArray[Any]:
    """Return noise with the lowest and the highest values that the dtype has."""
    image = np.random.default_rng(1).poisson(30, SHAPE).astype(dtype)
    limits = np.iinfo(dtype) if image.dtype.kind in "iu" else np.finfo(dtype)
    image[0, :3] = limits.min, limits.max, limits.max - 1 if image.dtype.kind in "iu" else -0.25
    return image


def shot(
    image: NDArray[Any] | None = None, number: int = 12, detector: Detector = DETECTOR, when: float | None = WHEN,
    series: Series = SERIES,
) -> Shot:  # fmt: skip
    image = pixels() if image is None else image
    frame = Frame(
        series=series.key, number=number, payload=image.tobytes(), shape=image.shape, dtype=image.dtype.name,
        encoding=Encoding(), timestamp=when,
    )  # fmt: skip
    return Shot(series, frame, image, detector)


def make(directory: Path, format_: str, name: str | None = "hit-") -> Dump:
    settings = DumpSettings.model_validate({"directory": directory, "format": format_, "name": name})
    dump = Dump(settings, instance="hit", provenance={})
    dump.begin(SERIES, DETECTOR)
    return dump


def written(directory: Path, format_: str, seen: Shot) -> Path:
    dump = make(directory, format_)
    assert dump.event(seen) is Verdict.KEEP
    dump.end()
    (place,) = seen.dumped
    assert (place.dump, place.entry) == ("hit", 0)
    return place.path


def description(path: Path) -> Mapping[str, Any]:
    """Read what stands beside an image, in the place that its format has for it."""
    if path.suffix == ".tiff":
        with PIL.Image.open(path) as opened:
            text = opened.tag_v2[270]  # type: ignore[attr-defined]
    elif path.suffix == ".cbf":
        header = fabio.open(path).header["_array_data.header_contents"]
        start = "# Braggwatch "
        text = next(line.removeprefix(start) for line in header.splitlines() if line.startswith(start))
    else:
        text = path.with_suffix(".json").read_text()
    found: Mapping[str, Any] = json.loads(text)
    return found


@pytest.mark.parametrize("format_", FORMATS)
def test_a_file_is_named_as_the_older_tools_named_it(tmp_path: Path, format_: str) -> None:
    path = written(tmp_path / "a" / "b", format_, shot())
    assert path == tmp_path / "a" / "b" / f"{NAME}.{format_}"
    beside = [f"{NAME}.json"] if format_ == "npy" else []
    assert sorted(p.name for p in path.parent.iterdir()) == sorted([path.name, *beside])


def test_without_a_name_files_begin_with_that_of_the_instance(tmp_path: Path) -> None:
    seen = shot()
    make(tmp_path, "tiff", name=None).event(seen)
    assert seen.dumped[0].path.name == "hit_20261122155012345_00012.tiff"


@pytest.mark.parametrize("when", [None, 12.5, float("nan"), float("inf"), -1.0])
def test_where_the_detector_does_not_say_the_time_it_is_that_of_processing(when: float | None) -> None:
    began = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
    assert time_of(replace(shot(when=when), began=began.timestamp())) == began


@pytest.mark.parametrize("format_", FORMATS)
def test_no_file_ever_replaces_another(tmp_path: Path, format_: str) -> None:
    images = [pixels() + np.uint16(n) for n in range(3)]
    paths = [written(tmp_path, format_, shot(image)) for image in images]
    assert [path.stem for path in paths] == [NAME, f"{NAME}-2", f"{NAME}-3"]
    for path, image in zip(paths, images, strict=True):
        assert fabio.open(path).data[1, 1] == image[1, 1]
        assert description(path)["SEQUENCE_NUMBER"] == 12


@pytest.mark.parametrize(
    ("dtype", "stored"),
    [
        ("uint8", "uint32"), ("uint16", "uint32"), (">u2", "uint32"), ("uint32", "uint32"), ("int16", "int32"),
        ("int32", "int32"), ("float32", "float32"),
    ],
)  # fmt: skip
def test_a_tiff_has_32_bit_and_every_value_as_it_was(tmp_path: Path, dtype: str, stored: str) -> None:
    image = pixels(dtype)
    path = written(tmp_path, "tiff", shot(image))
    found = fabio.open(path).data
    assert found.dtype == stored
    np.testing.assert_array_equal(found, image)


def test_a_tiff_of_another_reader_has_them_too(tmp_path: Path) -> None:
    image = pixels("float32")
    with PIL.Image.open(written(tmp_path, "tiff", shot(image))) as opened:
        np.testing.assert_array_equal(np.asarray(opened), image)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", ">u2", "int32", "uint32", "float32", "float64"])
def test_an_npy_file_has_the_pixels_as_they_were(tmp_path: Path, dtype: str) -> None:
    image = pixels(dtype)[:, ::-1]
    found = np.load(written(tmp_path, "npy", shot(image)), allow_pickle=False)
    assert found.dtype == image.dtype
    np.testing.assert_array_equal(found, image)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16"])
def test_a_cbf_has_the_values_of_integers(tmp_path: Path, dtype: str) -> None:
    image = pixels(dtype)
    found = fabio.open(written(tmp_path, "cbf", shot(image))).data
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, image)


def test_a_cbf_marks_what_was_not_measured_as_dectris_does(tmp_path: Path) -> None:
    series = Series(
        key="k", number=1, shape=SHAPE, dtype="uint32", distance=0.1, beam_center=(1, 1), pixel_size=(75e-6, 75e-6)
    )
    image = pixels("uint32")
    found = fabio.open(written(tmp_path, "cbf", shot(image, detector=Detector.from_series(series)))).data
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found[0, :3], [0, -1, -1])
    np.testing.assert_array_equal(found[1:], image[1:])


@pytest.mark.parametrize("dtype", ["uint32", "int32"])
def test_a_cbf_of_values_that_32_bit_do_not_hold_has_64(tmp_path: Path, dtype: str) -> None:
    image = pixels(dtype)
    found = fabio.open(written(tmp_path, "cbf", shot(image))).data
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, image)


def test_a_cbf_of_corrected_pixels_is_rounded_and_bad_ones_are_marked_as_by_the_older_tools(tmp_path: Path) -> None:
    image = np.random.default_rng(2).normal(0, 20, SHAPE).astype(np.float32)
    image[3, 4], image[5, 6] = np.nan, -1.0
    path = written(tmp_path, "cbf", shot(image))
    found = fabio.open(path).data
    assert (found[3, 4], found[5, 6]) == (-100_000, -1)
    image[3, 4] = -100_000
    np.testing.assert_array_equal(found, np.rint(image))
    assert b"# Not_measured -100000\r\n" in path.read_bytes()


@pytest.mark.parametrize("format_", FORMATS)
def test_what_the_older_tools_kept_stands_beside_the_pixels(tmp_path: Path, format_: str) -> None:
    seen = shot()
    assert seen.detector.beam is not None
    assert description(written(tmp_path, format_, seen)) == {
        "ACTIVE_AREAS": [0, 0, 40, 56],
        "BEAM_CENTER_X": 2.0625,
        "BEAM_CENTER_Y": 1.51875,
        "CCD_IMAGE_SATURATION": 59_999,
        "DETECTOR_ADDRESS": "EIGER2",
        "DISTANCE": 150.0,
        "PIXEL_SIZE": 0.075,
        "SATURATED_VALUE": 59_999,
        "MIN_TRUSTED_VALUE": None,
        "SIZE1": 56,
        "SIZE2": 40,
        "TIMESTAMP": "2026-11-22T15:50Z12.345",
        "SEQUENCE_NUMBER": 12,
        "WAVELENGTH": seen.detector.beam.wavelength,
        "SERIES": "20261122-1",
        "BAD_VALUES": [],
    }


@pytest.mark.parametrize("format_", FORMATS)
def test_each_of_128_panels_has_its_active_area(tmp_path: Path, format_: str) -> None:
    panels = tuple(
        Panel(
            name=f"p{n}", fs_start=0, fs_stop=20, ss_start=10 * n, ss_stop=10 * n + 10, corner=(1e-3 * n, 0.0, 0.1),
            fs=(1e-4, 0.0, 0.0), ss=(0.0, 1e-4, 0.0),
        )
        for n in range(128)
    )  # fmt: skip
    detector = Detector(panels, (1280, 20))
    image = np.arange(1280 * 20, dtype=np.uint16).reshape(1280, 20)
    path = written(tmp_path, format_, shot(image, detector=detector))
    said = description(path)
    assert said["ACTIVE_AREAS"] == [edge for n in range(128) for edge in (10 * n, 0, 10 * n + 10, 20)]
    assert (said["WAVELENGTH"], said["SATURATED_VALUE"]) == (None, None)
    (images,) = open_image_files([path])
    assert images.series.beam_center is None  # or they would be taken for one large panel
    np.testing.assert_array_equal(fabio.open(path).data, image)


@pytest.mark.parametrize("name", ['a"b\\c', "Über läuft\n;\n_loop", "結晶", "x" * 10_000, "\0", "; data_"])
@pytest.mark.parametrize("format_", FORMATS)
def test_whatever_a_detector_calls_itself_the_file_stays_whole(tmp_path: Path, format_: str, name: str) -> None:
    series = Series(key="k", number=1, detector=name, serial_number=name)
    path = written(tmp_path, format_, shot(series=series))
    assert description(path)["DETECTOR_ADDRESS"] == name[:200]
    np.testing.assert_array_equal(fabio.open(path).data, pixels())


def test_a_cbf_tells_other_programs_the_geometry(tmp_path: Path) -> None:
    path = written(tmp_path, "cbf", shot())
    (images,) = open_image_files([path])
    series = images.series
    assert series.distance == 0.15
    assert series.beam_center == (27.5, 20.25)
    assert series.pixel_size == (75e-6, 75e-6)
    assert series.photon_energy == pytest.approx(12398.42, rel=1e-6)
    assert series.saturation_value == 59_999
    assert (series.detector, series.serial_number) == ("EIGER2", "E-01")
    assert (series.sensor_material, series.sensor_thickness) == ("Si", 450e-6)
    assert (series.count_time, series.frame_time) == (0.0099, 0.01)


@pytest.mark.parametrize("dtype", ["uint16", "int32", "float32"])
@pytest.mark.parametrize("format_", FORMATS)
def test_a_dumped_image_tells_geometry_and_time_when_it_is_read_again(tmp_path: Path, format_: str, dtype: str) -> None:
    detector = Detector.single_panel(
        SHAPE, pixel_size=(75e-6, 80e-6), distance=0.15, beam_center=(27.5, 20.25), photon_energy=12398.42,
        max_adu=60_000.0,
    )  # fmt: skip
    image = np.arange(SHAPE[0] * SHAPE[1]).reshape(SHAPE).astype(dtype)
    for number in range(2):
        path = written(tmp_path, format_, shot(image, number=number, detector=detector, when=WHEN + number))
    (images,) = open_image_files([f"{tmp_path}/*.{format_}"])
    assert images.series.detector == "EIGER2"
    # the highest valid value, in a CBF as other programs read it there; rounded in a float
    assert images.series.saturation_value in (59_999, 60_000)
    again = Detector.from_series(images.series)
    assert again.distance == pytest.approx(0.15, abs=1e-9)
    np.testing.assert_allclose(again.panels[0].corner, detector.panels[0].corner, rtol=1e-6)
    np.testing.assert_allclose(again.panels[0].ss, detector.panels[0].ss, rtol=1e-9)
    assert again.beam is not None and again.beam.photon_energy == pytest.approx(12398.42, rel=1e-6)
    for number, frame in enumerate(images):
        assert frame.timestamp == pytest.approx(WHEN + number, abs=1e-3)
    assert path.is_file() and not again.mask.any()


@pytest.mark.parametrize("format_", ["tiff", "npy"])
def test_pixels_that_the_detector_had_marked_are_masked_when_they_are_read_again(tmp_path: Path, format_: str) -> None:
    series = Series(
        key="k", number=1, shape=SHAPE, dtype="uint16", distance=0.1, beam_center=(1, 1), pixel_size=(75e-6, 75e-6)
    )
    image = pixels()
    written(tmp_path, format_, shot(image, detector=Detector.from_series(series)))
    (images,) = open_image_files([f"{tmp_path}/*.{format_}"])
    assert images.series.mask is not None
    assert np.argwhere(images.series.mask).tolist() == [[0, 1], [0, 2]]


@pytest.mark.parametrize("format_", ["tiff", "npy"])
def test_pixels_below_zero_are_not_masked_when_they_are_read_again(tmp_path: Path, format_: str) -> None:
    written(tmp_path, format_, shot(np.full(SHAPE, -3, np.int32)))
    (images,) = open_image_files([f"{tmp_path}/*.{format_}"])
    assert images.series.mask is None


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "null", "{}", '{"ACTIVE_AREAS":null}', "[" * 100_000,
        '{"ACTIVE_AREAS":[0,0,1,1],"DISTANCE":9' + " " * (1 << 20) + "}",
        '{"ACTIVE_AREAS":[],"DISTANCE":"near","WAVELENGTH":-1,"PIXEL_SIZE":NaN,"TIMESTAMP":7,"BAD_VALUES":[[]]}',
        '{"ACTIVE_AREAS":[0,0,40,56],"BEAM_CENTER_X":true,"BEAM_CENTER_Y":1e400,"PIXEL_SIZE":1,"DISTANCE":Infinity}',
    ],
    ids=range(10),
)  # fmt: skip
def test_what_is_no_description_tells_nothing(tmp_path: Path, text: str) -> None:
    np.save(tmp_path / "a.npy", pixels())
    (tmp_path / "a.json").write_text(text)
    (images,) = open_image_files([tmp_path / "a.npy"])
    series = images.series
    assert (series.distance, series.beam_center, series.photon_energy, series.mask) == (None, None, None, None)
    assert images.frame(0).timestamp is None


def test_of_corrected_pixels_in_a_cbf_those_below_zero_are_not_masked_when_it_is_read(tmp_path: Path) -> None:
    image = np.random.default_rng(2).normal(0, 20, SHAPE).astype(np.float32)
    image[3, 4] = np.nan
    (images,) = open_image_files([written(tmp_path, "cbf", shot(image))])
    assert images.series.mask is not None
    assert np.argwhere(images.series.mask).tolist() == [[3, 4]]


@pytest.mark.parametrize("format_", FORMATS)
def test_a_folder_that_cannot_be_made_pauses_the_dump_and_loses_no_hit(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, format_: str
) -> None:
    (tmp_path / "dumps").write_text("a file where the folder should be")
    dump = make(tmp_path / "dumps", format_)
    shots = [shot(number=n) for n in range(3)]
    with caplog.at_level(logging.ERROR):
        assert [dump.event(one) for one in shots] == [Verdict.KEEP] * 3
    assert [one.dumped for one in shots] == [[], [], []]
    because = f"dump hit: cannot write to {tmp_path / 'dumps'}: File exists"
    assert [one.notices for one in shots] == [{"hit-not-dumped": because}] * 3
    assert len(caplog.records) == 1
    (tmp_path / "dumps").unlink()
    monkeypatch.setattr("braggwatch.processing.stages.pausing.monotonic", lambda: time.monotonic() + 11)
    last = shot(number=3)
    dump.event(last)
    assert (dump.pause.because, dump.pause.not_written, last.notices) == (None, 3, {})
    assert last.dumped[0].path.is_file()


FULL_DISK = """
import resource, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from test_single_images import make, shot
folder, kind = Path(sys.argv[2]), sys.argv[3]
dump = make(folder, kind)
first = shot(number=0)
dump.event(first)
whole = {path.name: path.read_bytes() for path in folder.iterdir()}
# No file may grow beyond this: writing fails in the midst of the image, as on a full disk.
resource.setrlimit(resource.RLIMIT_FSIZE, (600, resource.RLIM_INFINITY))
later = [shot(number=n) for n in range(1, 9)]
for one in later:
    dump.event(one)
assert {path.name: path.read_bytes() for path in folder.iterdir()} == whole, "something is left"
assert dump.pause.not_written == 8
assert all(one.notices for one in later)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
dump.pause._retry_at = 0
last = shot(number=9)
dump.event(last)
assert last.dumped and dump.pause.because is None
dump.end()
"""


@pytest.mark.parametrize("format_", FORMATS)
def test_a_full_disk_pauses_the_dump_and_leaves_no_half_image(tmp_path: Path, format_: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(Path(__file__).parent), str(tmp_path), format_],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == (
        f"dump hit: cannot write to {tmp_path}: File too large; shots go on being counted, the next try is in 10 s\n"
    )


KILLED = """
import os, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
import braggwatch.processing.single_images.files as files
from test_single_images import make, shot
def killed_in_the_midst(file, *rest):
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), 9)
setattr(files, f"write_{sys.argv[3]}", killed_in_the_midst)
make(Path(sys.argv[2]), sys.argv[3]).event(shot())
"""


@pytest.mark.parametrize("format_", FORMATS)
def test_half_an_image_never_has_the_name_of_one(tmp_path: Path, format_: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(Path(__file__).parent), str(tmp_path), format_], check=False
    )
    assert done.returncode == -9
    left = [path.name for path in tmp_path.iterdir()]
    assert left and all(name.startswith(f".{NAME}.") and name.endswith(".part") for name in left)
    seen = shot()
    dump = make(tmp_path, format_)
    assert [path.name for path in tmp_path.iterdir()] == []
    dump.event(seen)
    assert seen.dumped[0].path.stem == NAME


def test_only_what_dead_processes_of_this_machine_left_is_removed(tmp_path: Path) -> None:
    host, pid, _ = process_name().rsplit("-", 2)
    assert int(pid) == os.getpid()
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        pass
    unfinished = f".{NAME}.tiff_"
    gone = f"{unfinished}{host}-{dead.pid}-01af.part"
    others = [
        f"{unfinished}{host}-{pid}-01af.part",
        f"{unfinished}x{host}-{dead.pid}-01af.part",
        f"{NAME}.tiff_{host}-{dead.pid}-01af.part",
        f"{unfinished}{host}-{dead.pid}-01af.parts",
        ".download.part",
    ]
    for name in (gone, *others):
        (tmp_path / name).touch()
    assert remove_abandoned(tmp_path) == [tmp_path / gone]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(others)
    assert remove_abandoned(tmp_path / "nowhere") == []
