"""The stage that writes a CrystFEL stream while the run goes on."""

import logging
import resource
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dumps_by_hand import LYSOZYME, SERIES, shot_of, small_detector, some_peaks, some_shots
from pydantic import ValidationError
from strict_stream import read_stream

from braggwatch.processing.chain import Verdict
from braggwatch.processing.chain_settings import SettingsError
from braggwatch.processing.crystfel_detector import detector_from_crystfel
from braggwatch.processing.crystfel_geometry import CrystfelGeometry
from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Series
from braggwatch.processing.pipeline_settings import PipelineSettings
from braggwatch.processing.shot import DumpedImage, Shot
from braggwatch.processing.stages import pausing
from braggwatch.processing.stages.stream import Stream, StreamSettings
from braggwatch.processing.unit_cell import UnitCell


def make(directory: Path, detector: Detector | None = None, series: Series = SERIES, **settings: Any) -> Stream:
    stage = Stream(StreamSettings(directory=directory, **settings), instance="stream", cell=LYSOZYME)
    stage.begin(series, detector or small_detector())
    return stage


def indexed(shots: list[Shot]) -> list[Shot]:
    return [shot for shot in shots if shot.crystals]


def test_every_indexed_shot_can_be_read_at_once(tmp_path: Path) -> None:
    detector = small_detector()
    shots = some_shots(9, detector)
    stage = make(tmp_path / "streams")
    done = 0
    for shot in shots:
        assert stage.event(shot) is Verdict.KEEP
        done += bool(shot.crystals)
        chunks = read_stream(tmp_path / "streams" / "stream_s.stream").chunks
        assert len(chunks) == done
    stage.end()
    assert 3 < done < len(shots)
    for chunk, shot in zip(chunks, indexed(shots), strict=True):
        assert (chunk.filename, chunk.event, chunk.serial) == ("s", f"//{shot.number}", shot.number + 1)
        assert shot.peaks is not None
        np.testing.assert_allclose([peak[0] for peak in chunk.peaks], shot.peaks.fs, atol=0.0051)
        for found, crystal, table in zip(chunk.crystals, shot.crystals, shot.reflections, strict=True):
            np.testing.assert_allclose(found.axes, 10 * crystal.A_star, atol=0.51e-7)
            assert [row[:3] for row in found.reflections] == [tuple(hkl) for hkl in table.hkl.tolist()]


def test_hits_without_a_lattice_are_written_where_that_is_asked_for(tmp_path: Path) -> None:
    detector = small_detector()
    shots = some_shots(6, detector)
    shots.append(shot_of(200, detector, peaks=some_peaks(3)))
    for shot in shots[:-1]:
        shot.is_hit = True
    stage = make(tmp_path, shots="hits")
    for shot in shots:
        stage.event(shot)
    chunks = read_stream(stage.path).chunks
    assert [chunk.event for chunk in chunks] == [f"//{shot.number}" for shot in shots[:-1]]
    assert {chunk.indexed_by for chunk in chunks} == {"file", "none"}


def test_lattices_that_were_not_integrated_are_written_too(tmp_path: Path) -> None:
    (shot,) = some_shots(1, small_detector())
    shot.reflections.clear()
    stage = make(tmp_path)
    stage.event(shot)
    ((crystal,),) = (chunk.crystals for chunk in read_stream(stage.path).chunks)
    assert crystal.counts is None


def test_an_image_that_was_dumped_is_named_by_its_dump(tmp_path: Path) -> None:
    (shot,) = some_shots(1, small_detector())
    shot.dumped += [DumpedImage("hit", Path("hits.h5"), 4), DumpedImage("indexed", tmp_path / "indexed.h5", 7)]
    stage = make(tmp_path)
    stage.event(shot)
    (chunk,) = read_stream(stage.path).chunks
    assert (chunk.filename, chunk.event) == (str(tmp_path / "indexed.h5"), "//7")


def test_workers_of_one_series_share_a_file_and_another_geometry_gets_its_own(tmp_path: Path) -> None:
    detector = small_detector()
    first, second, third = indexed(some_shots(6, detector))[:3]
    stages = [make(tmp_path), make(tmp_path), make(tmp_path, detector.with_distance(0.101))]
    for stage, shot in zip(stages, (first, second, third), strict=True):
        stage.event(shot)
    assert [stage.path.name for stage in stages] == ["stream_s.stream", "stream_s.stream", "stream_s-2.stream"]
    assert len(read_stream(stages[0].path).chunks) == 2
    again = detector_from_crystfel(CrystfelGeometry.from_text(read_stream(stages[2].path).geometry), photon_energy=1e4)
    assert again.distance == pytest.approx(0.101)


def test_each_series_has_a_file_of_its_own_inside_the_directory(tmp_path: Path) -> None:
    (shot,) = some_shots(1, small_detector())
    stage = make(tmp_path / "in", name="lyso")
    stage.event(shot)
    stage.end()
    stage.begin(replace_key("../../etc/pass wd"), small_detector())
    stage.event(shot)
    assert sorted(path.name for path in tmp_path.rglob("*.stream")) == ["lyso__.._etc_pass_wd.stream", "lyso_s.stream"]
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def replace_key(key: str) -> Series:
    return Series(key=key, number=2, dtype="uint16")


def test_the_chain_tells_the_header_cell_and_gain(tmp_path: Path) -> None:
    settings = PipelineSettings.model_validate({
        "chain": {"stages": ["hitfind", "index", "integrate", "stream:all"]},
        "stages": {
            "index": {"cell": "79.2 79.2 38.0 90 90 90 P43212"},
            "integrate": {"gain": 7.5},
            "stream": {"directory": str(tmp_path)},
            "stream:all": {"shots": "hits"},
        },
    })  # fmt: skip
    settings.check()
    (_, stage) = settings.build_chain().stages[-1]
    assert isinstance(stage, Stream) and stage.settings.shots == "hits"
    stage.begin(SERIES, small_detector())
    shot = some_shots(3, small_detector())[2]
    shot.is_hit = True
    stage.event(shot)
    assert stage.path == tmp_path / "all_s.stream"
    found = read_stream(stage.path)
    assert "adu_per_photon = 7.5\n" in found.geometry
    (tmp_path / "a.cell").write_text(found.cell)
    assert UnitCell.from_crystfel_cell(tmp_path / "a.cell").parameters == LYSOZYME.parameters


def test_a_full_disk_costs_no_shot_and_says_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shots = indexed(some_shots(9, small_detector()))
    stage = make(tmp_path)
    stage.event(shots[0])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (stage.path.stat().st_size + 200, limits[1]))
    try:
        with caplog.at_level(logging.ERROR):
            for shot in shots[1:4]:
                assert stage.event(shot) is Verdict.KEEP
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    because = f"stream stream: cannot write to {stage.path}: File too large"
    assert [shot.notices for shot in shots[1:4]] == [{"stream-not-streamed": because}] * 3
    assert [record.getMessage() for record in caplog.records] == [
        f"{because}; shots go on being counted, the next try is in 10 s"
    ]
    assert (stage.pause.because, stage.pause.not_written) == (because, 3)
    monkeypatch.setattr(pausing, "monotonic", lambda: 1e12)
    stage.event(shots[4])
    assert stage.pause.because is None and not shots[4].notices
    assert [chunk.event for chunk in read_stream(stage.path).chunks] == [f"//{shots[n].number}" for n in (0, 4)]


def test_a_directory_that_cannot_be_written_is_refused_before_the_first_frame(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    settings = PipelineSettings.model_validate(
        {"chain": {"stages": ["stream"]}, "stages": {"stream": {"directory": str(tmp_path / "file" / "streams")}}}
    )
    with pytest.raises(SettingsError, match=r"\[stream\] directory: expected a folder, found a file at"):
        settings.check()


def test_what_a_stream_needs_and_lacks_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs the photon energy, and the series does not say it: give photon_energy"):
        make(tmp_path, replace(small_detector(), beam=None))
    with pytest.raises(ValidationError, match="'indexed' or 'hits'"):
        StreamSettings.model_validate({"shots": "blanks"})
    assert all(field.description for field in StreamSettings.model_fields.values())
