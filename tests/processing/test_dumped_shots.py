"""Dumps read back: spots, crystals and reflections as they were, of files that grow too."""

import multiprocessing
from dataclasses import fields
from multiprocessing.connection import Connection
from pathlib import Path

import h5py
import numpy as np
import pytest
from dumps_by_hand import LYSOZYME, open_dump, shot_of, small_detector, some_crystal, some_shots, write_dump

from braggwatch.processing import dumped_shots
from braggwatch.processing.beam import Beam
from braggwatch.processing.compression import bslz4_chunk
from braggwatch.processing.detector import Detector
from braggwatch.processing.dumped_shots import DumpedShot, DumpedShots
from braggwatch.processing.image_files.error import ImageFileError
from braggwatch.processing.peaks import Peaks
from braggwatch.processing.reflections import Reflections
from braggwatch.processing.shot import Shot


def assert_same(found: DumpedShot, shot: Shot) -> None:
    assert (found.number, found.timestamp, found.group) == (shot.number, shot.frame.timestamp, shot.group)
    assert shot.detector.beam is not None
    assert found.wavelength == shot.detector.beam.wavelength
    peaks = Peaks.empty() if shot.peaks is None else shot.peaks
    for field in fields(Peaks):
        np.testing.assert_array_equal(getattr(found.peaks, field.name), getattr(peaks, field.name))
    assert len(found.crystals) == len(shot.crystals)
    for crystal, expected in zip(found.crystals, shot.crystals, strict=True):
        np.testing.assert_array_equal(crystal.A, expected.A)
        assert (crystal.rmsd_q, crystal.rmsd_px) == (expected.rmsd_q, expected.rmsd_px)
        assert (crystal.beam_shift, crystal.known) == (expected.beam_shift, expected.known)
        for name in ("block_size", "mosaicity", "diffraction_limit"):
            assert getattr(crystal, name) == getattr(expected, name)
    for table, reflections in zip(found.reflections, shot.reflections, strict=True):
        for field in fields(Reflections):
            np.testing.assert_array_equal(getattr(table, field.name), getattr(reflections, field.name))


def test_every_shot_comes_back_as_it_was_dumped(tmp_path: Path) -> None:
    detector = small_detector()
    shots = some_shots(150, detector)
    path = write_dump(tmp_path / "a.h5", shots, detector, "[integrate]\ngain = 4.5\n")
    with DumpedShots(path) as dump:
        assert (len(dump), dump.gain, dump.cell, dump.has_reflections) == (150, 4.5, LYSOZYME, True)
        found = list(dump.shots())
        assert [shot.entry for shot in found] == list(range(150))
        for shot, expected in zip(found, shots, strict=True):
            assert_same(shot, expected)
        assert [shot.number for shot in dump.shots(148)] == [248, 249]


def test_blocks_that_hold_many_reflections_are_read_in_smaller_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = small_detector()
    shots = some_shots(20, detector)
    path = write_dump(tmp_path / "a.h5", shots, detector)
    monkeypatch.setattr(dumped_shots, "MAX_ROWS", 200)
    with DumpedShots(path) as dump:
        for shot, expected in zip(dump.shots(), shots, strict=True):
            assert_same(shot, expected)
    monkeypatch.setattr(dumped_shots, "MAX_ROWS", 20)
    with DumpedShots(path) as dump, pytest.raises(ImageFileError, match="image 3 has 37 reflections, at most 20 fit"):
        list(dump.shots())


def grow(path: Path, turns: Connection) -> None:
    """Write as many of the shots as each turn says, in a process of its own, as HDF5 wants it."""
    detector = small_detector()
    shots = some_shots(12, detector)
    writer = open_dump(path, detector)
    turns.send(0)
    while writer.n_images < len(shots):
        for shot in shots[writer.n_images : turns.recv()]:
            writer.append(shot, bslz4_chunk(shot.image))
        writer.flush()
        turns.send(writer.n_images)
    turns.recv()
    writer.close()


def test_shots_of_a_growing_file_come_as_soon_as_they_are_flushed(tmp_path: Path) -> None:
    processes = multiprocessing.get_context("spawn")
    ours, theirs = processes.Pipe()
    writer = processes.Process(target=grow, args=(tmp_path / "a.h5", theirs), daemon=True)
    writer.start()
    assert ours.poll(60) and ours.recv() == 0
    shots = some_shots(12, small_detector())
    with DumpedShots(tmp_path / "a.h5") as dump:
        assert (len(dump), list(dump.shots()), dump.cell, dump.has_reflections) == (0, [], None, False)
        n = 0
        for stop in (1, 5, 6, 12):
            ours.send(stop)
            assert ours.poll(60) and ours.recv() == stop
            found = list(dump.shots(n))
            assert len(found) == stop - n
            for shot, expected in zip(found, shots[n:stop], strict=True):
                assert_same(shot, expected)
            n = stop
    ours.send(None)
    writer.join(60)
    assert writer.exitcode == 0


def test_crystals_that_were_not_integrated_come_with_empty_tables(tmp_path: Path) -> None:
    detector = small_detector()
    shots = [shot_of(0, detector, crystals=[some_crystal(1, known=None), some_crystal(2)])]
    with DumpedShots(write_dump(tmp_path / "a.h5", shots, detector)) as dump:
        (shot,) = dump.shots()
        assert not dump.has_reflections
        assert [len(table) for table in shot.reflections] == [0, 0]
        assert [crystal.known for crystal in shot.crystals] == [None, LYSOZYME]
        assert dump.gain == 1.0


def test_groups_come_back_whatever_their_names_are(tmp_path: Path) -> None:
    detector = small_detector()
    names = ["pumped", "", "delay ≥ 1.5", "β" * 48, "😀" * 48, "dark"]
    shots = [shot_of(i, detector) for i in range(len(names))]
    for shot, name in zip(shots, names, strict=True):
        shot.group = name
    with DumpedShots(write_dump(tmp_path / "a.h5", shots, detector)) as dump:
        assert [shot.group for shot in dump.shots()] == names


def test_a_dump_of_before_there_were_groups_has_shots_without(tmp_path: Path) -> None:
    detector = small_detector()
    path = write_dump(tmp_path / "a.h5", some_shots(3, detector), detector)
    with h5py.File(path, "r+") as file:
        del file["entry/frames/group"]
    with DumpedShots(path) as dump:
        assert [shot.group for shot in dump.shots()] == ["", "", ""]


def test_spots_of_many_panels_know_theirs(tmp_path: Path, shared: Path) -> None:
    detector = Detector.from_crystfel(shared / "real" / "thermolysin_cspad.geom", distance=0.1, photon_energy=9000.0)
    shots = some_shots(3, detector)
    with DumpedShots(write_dump(tmp_path / "a.h5", shots, detector)) as dump:
        for found, expected in zip(dump.shots(), shots, strict=True):
            assert_same(found, expected)


def test_an_unknown_wavelength_is_nan(tmp_path: Path) -> None:
    detector = small_detector(photon_energy=None)
    with DumpedShots(write_dump(tmp_path / "a.h5", [shot_of(0, detector)], detector)) as dump:
        (shot,) = dump.shots()
        assert np.isnan(shot.wavelength) and dump.detector.beam is None


def test_the_width_of_the_spectrum_is_that_of_the_run(tmp_path: Path) -> None:
    detector = small_detector().with_beam(Beam(9000.0, bandwidth=0.02))
    with DumpedShots(write_dump(tmp_path / "a.h5", [shot_of(0, detector)], detector)) as dump:
        assert dump.detector.beam is not None
        assert dump.detector.beam.bandwidth == pytest.approx(0.02)


def test_what_is_no_dump_is_refused_with_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "text.h5").write_text("no HDF5")
    with pytest.raises(ImageFileError, match="cannot be opened"):
        DumpedShots(tmp_path / "text.h5")
    path = write_dump(tmp_path / "a.h5", [], small_detector())
    with h5py.File(path, "a") as file:
        del file["entry/reflections/partiality"], file["entry/crystals/known_cell"], file["entry/crystals/image"]
    with pytest.raises(ImageFileError, match="lacks what a dump of this version of Braggwatch has"):
        DumpedShots(path)


def test_tables_that_contradict_themselves_are_refused(tmp_path: Path) -> None:
    detector = small_detector()
    path = write_dump(tmp_path / "a.h5", some_shots(2, detector), detector)
    with h5py.File(path, "a") as file:
        file["entry_1/result_1/nPeaks"][1] = 5000
    with DumpedShots(path) as dump, pytest.raises(ImageFileError, match="image 1 has 5000 spots, expected 0 to 2048"):
        list(dump.shots())
    with h5py.File(path, "a") as file:
        file["entry/crystals/space_group"][0] = b"nonsense"
    with pytest.raises(ImageFileError, match="expected a space group"):
        DumpedShots(path)
