"""Streams that we write, read by a strict parser that knows only the format's description."""

import resource
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dumps_by_hand import LYSOZYME, small_detector, some_crystal, some_peaks, some_reflections, some_shots
from strict_stream import StrictChunk, StrictCrystal, read_stream

import braggwatch
from braggwatch.processing.beam import HC, Beam
from braggwatch.processing.crystal import Crystal
from braggwatch.processing.crystfel_detector import detector_from_crystfel
from braggwatch.processing.crystfel_geometry import CrystfelGeometry
from braggwatch.processing.crystfel_geometry_text import geometry_text
from braggwatch.processing.crystfel_stream import StreamWriter
from braggwatch.processing.detector import Detector
from braggwatch.processing.peaks import Peaks
from braggwatch.processing.prediction import Predictor, estimate_profile_radius
from braggwatch.processing.reflections import Flag, Reflections
from braggwatch.processing.shot import Shot
from braggwatch.processing.unit_cell import UnitCell

WAVELENGTH = 1.033


def writer(path: Path, detector: Detector | None = None, cell: UnitCell | None = LYSOZYME) -> StreamWriter:
    detector = detector or small_detector()
    return StreamWriter(path, detector=detector, geometry=geometry_text(detector), cell=cell, command="braggwatch x")


def add(stream: StreamWriter, shot: Shot, wavelength: float = WAVELENGTH) -> None:
    stream.append(
        "/data/a.h5", shot.number, wavelength=wavelength, peaks=shot.peaks or Peaks.empty(), crystals=shot.crystals,
        reflections=shot.reflections,
    )  # fmt: skip


def assert_same(chunk: StrictChunk, shot: Shot, detector: Detector) -> None:
    peaks = shot.peaks or Peaks.empty()
    names = [panel.name for panel in detector.panels]
    assert (chunk.filename, chunk.event) == ("/data/a.h5", f"//{shot.number}")
    assert chunk.photon_energy == pytest.approx(HC / WAVELENGTH, abs=1e-6)
    assert [peak[4] for peak in chunk.peaks] == [names[panel] for panel in peaks.panel]
    written = np.array([peak[:4] for peak in chunk.peaks]).reshape(-1, 4)
    q = np.linalg.norm(detector.q(peaks.fs, peaks.ss, peaks.panel, Beam.from_wavelength(WAVELENGTH)), axis=1)
    np.testing.assert_allclose(written[:, 0], peaks.fs, atol=0.0051)
    np.testing.assert_allclose(written[:, 1], peaks.ss, atol=0.0051)
    np.testing.assert_allclose(written[:, 2], 10 * q, atol=0.0051)
    np.testing.assert_allclose(written[:, 3], peaks.intensity, atol=0.0051)
    assert len(chunk.crystals) == len(shot.crystals)
    for found, crystal, reflections in zip(chunk.crystals, shot.crystals, shot.reflections, strict=True):
        assert_same_crystal(found, crystal)
        assert_same_reflections(found, reflections, names)


def assert_same_crystal(found: StrictCrystal, crystal: Crystal) -> None:
    np.testing.assert_allclose(found.axes, 10 * crystal.A_star, atol=0.51e-7)
    np.testing.assert_allclose(found.cell[:3], np.array(crystal.cell[:3]) / 10, atol=0.51e-5)
    np.testing.assert_allclose(found.cell[3:], crystal.cell[3:], atol=0.51e-5)
    np.testing.assert_allclose(found.det_shift, -1e3 * np.array(crystal.beam_shift), atol=0.51e-3)
    assert found.lattice == ("tetragonal", "P", "c")


def assert_same_reflections(found: StrictCrystal, reflections: Reflections, names: list[str]) -> None:
    assert found.counts is not None and found.counts[0] == len(reflections)
    rows = np.array([row[:9] for row in found.reflections]).reshape(-1, 9)
    np.testing.assert_array_equal(rows[:, :3], reflections.hkl)
    for column, (name, half) in enumerate(
        [("intensity", 5), ("sigma", 5), ("peak", 5), ("background", 5), ("fs", 50), ("ss", 50)], 3
    ):
        np.testing.assert_allclose(rows[:, column], getattr(reflections, name), atol=half * 1.02e-3)
    assert [row[9] for row in found.reflections] == [names[panel] for panel in reflections.panel]


def test_all_that_was_found_comes_back_within_the_digits_of_the_format(tmp_path: Path) -> None:
    detector = small_detector()
    shots = some_shots(25, detector)
    with writer(tmp_path / "a.stream") as stream:
        for shot in shots:
            add(stream, shot)
    found = read_stream(tmp_path / "a.stream")
    assert found.generator == f"Braggwatch {braggwatch.__version__}"
    assert found.command == "braggwatch x"
    assert [chunk.serial for chunk in found.chunks] == list(range(1, 26))
    for chunk, shot in zip(found.chunks, shots, strict=True):
        assert_same(chunk, shot, detector)


def test_a_detector_of_many_panels_comes_back_with_its_geometry(tmp_path: Path, shared: Path) -> None:
    detector = Detector.from_crystfel(shared / "real" / "thermolysin_cspad.geom", distance=0.1, photon_energy=9000.0)
    shots = some_shots(6, detector)
    with writer(tmp_path / "a.stream", detector) as stream:
        for shot in shots:
            add(stream, shot)
    found = read_stream(tmp_path / "a.stream")
    for chunk, shot in zip(found.chunks, shots, strict=True):
        assert_same(chunk, shot, detector)
        assert chunk.camera_length == pytest.approx(np.mean([p.corner[2] for p in detector.panels]), abs=1e-6)
    again = detector_from_crystfel(CrystfelGeometry.from_text(found.geometry))
    assert [panel.slices for panel in again.panels] == [panel.slices for panel in detector.panels]


def test_the_cell_in_the_header_is_a_cell_file(tmp_path: Path) -> None:
    writer(tmp_path / "a.stream").close()
    (tmp_path / "a.cell").write_text(read_stream(tmp_path / "a.stream").cell)
    found = UnitCell.from_crystfel_cell(tmp_path / "a.cell")
    assert (found.parameters, found.lattice) == (LYSOZYME.parameters, "tP")
    writer(tmp_path / "b.stream", cell=None).close()
    assert read_stream(tmp_path / "b.stream").cell == ""


def test_the_stream_is_whole_after_every_shot_and_survives_a_cut_anywhere(tmp_path: Path) -> None:
    detector = small_detector()
    path = tmp_path / "a.stream"
    with writer(path) as stream:
        assert read_stream(path).chunks == []
        for n, shot in enumerate(some_shots(5, detector), 1):
            add(stream, shot)
            assert len(read_stream(path).chunks) == n
            assert path.read_bytes().endswith(b"----- End chunk -----\n")
    text, whole = path.read_bytes(), read_stream(path).chunks
    end = b"----- End chunk -----\n"
    for cut in range(text.index(b"----- Begin chunk"), len(text), 501):
        (tmp_path / "b.stream").write_bytes(text[:cut])
        assert read_stream(tmp_path / "b.stream").chunks == whole[: text[:cut].count(end)]


def test_a_disk_that_is_full_leaves_a_stream_of_whole_chunks(tmp_path: Path) -> None:
    path = tmp_path / "a.stream"
    shots = some_shots(8, small_detector())
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with writer(path) as stream:
        add(stream, shots[0])
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 500, limits[1]))
        try:
            with pytest.raises(OSError, match="File too large"):
                add(stream, shots[7])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert len(read_stream(path).chunks) == stream.n_chunks == 1
        add(stream, shots[3])
    assert [chunk.event for chunk in read_stream(path).chunks] == ["//100", "//103"]


def test_reflections_that_something_speaks_against_are_left_out_but_saturated_ones(tmp_path: Path) -> None:
    flags = [0, Flag.SATURATED, Flag.MASKED, Flag.OVERLAPPED, Flag.EDGE, Flag.NO_BACKGROUND, 0, 0]
    table = replace(some_reflections(8), flags=np.array(flags, np.uint8))
    table.intensity[6], table.sigma[6] = np.nan, np.nan
    table.intensity[7], table.sigma[7] = -60.0, 11.0
    with writer(tmp_path / "a.stream") as stream:
        n = stream.append(
            "a.h5", 0, wavelength=1.0, peaks=some_peaks(5), crystals=[some_crystal()], reflections=[table]
        )
    ((found,),) = (chunk.crystals for chunk in read_stream(tmp_path / "a.stream").chunks)
    assert (n, found.counts) == (3, (3, 1, 1))
    assert [row[:3] for row in found.reflections] == [tuple(hkl) for hkl in table.hkl[[0, 1, 7]].tolist()]


def test_images_without_spots_and_crystals_without_reflections_have_their_place(tmp_path: Path) -> None:
    with writer(tmp_path / "a.stream") as stream:
        stream.append("a.h5", 0, wavelength=1.0, peaks=Peaks.empty())
        stream.append("a.h5", 1, wavelength=1.0, peaks=some_peaks(20), crystals=[some_crystal(known=None)])
    empty, indexed = read_stream(tmp_path / "a.stream").chunks
    assert (empty.hit, empty.indexed_by, empty.peak_resolution) == (0, "none", 0.0)
    (crystal,) = indexed.crystals
    assert (crystal.counts, crystal.lattice) == (None, ("triclinic", "P", "*"))


def test_profile_radius_and_diffraction_limit_come_from_the_spots_that_a_lattice_explains(tmp_path: Path) -> None:
    detector = Detector.single_panel(
        (1000, 1000), pixel_size=2e-4, distance=0.1, beam_center=(498.0, 503.0), photon_energy=HC / WAVELENGTH
    )
    crystal = replace(some_crystal(3), beam_shift=(4e-4, -6e-4))
    spots = Predictor(detector, LYSOZYME, d_min=2.5, profile_radius=0.001)(crystal.A)
    crystal = replace(crystal, hkl=spots.hkl)
    found = some_peaks(len(spots))
    # the beam has strayed by 2 and -3 pixels, and the spots with it
    peaks = replace(found, fs=spots.fs + 2, ss=spots.ss - 3, panel=np.zeros(len(spots), np.int16))
    with writer(tmp_path / "a.stream", detector) as stream:
        stream.append(
            "a.h5", 0, wavelength=WAVELENGTH, peaks=peaks, crystals=[crystal], reflections=[some_reflections(3)]
        )
    ((written,),) = (chunk.crystals for chunk in read_stream(tmp_path / "a.stream").chunks)
    assert detector.beam is not None and len(spots) > 200
    assert written.profile_radius == pytest.approx(10 * estimate_profile_radius(crystal, detector.beam), abs=1e-3)
    outermost = np.sort(10 / LYSOZYME.d_spacing(spots.hkl) / (1 + 1e-3 * 3))[-1 - len(spots) // 50]
    assert written.resolution_limit == pytest.approx(outermost, abs=0.01)
    assert written.det_shift == (-0.4, 0.6)


def test_what_a_stream_cannot_hold_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    path = tmp_path / "a.stream"
    with writer(path) as stream:
        size = path.stat().st_size
        with pytest.raises(ValueError, match=r"a\.h5, image 4: expected a wavelength above 0 Angstrom, found nan"):
            stream.append("a.h5", 4, wavelength=float("nan"), peaks=Peaks.empty())
        for name in ("a\nb.h5", "a" * 1001):
            with pytest.raises(ValueError, match="file names of one line and at most 1000 bytes"):
                stream.append(name, 4, wavelength=1.0, peaks=Peaks.empty())
        assert path.stat().st_size == size
    with pytest.raises(FileExistsError):
        writer(path)


def test_a_long_command_is_cut_to_what_crystfel_reads(tmp_path: Path) -> None:
    detector = small_detector()
    command = "braggwatch export " + "dumps/å\n" * 2000
    StreamWriter(tmp_path / "a", detector=detector, geometry=geometry_text(detector), command=command).close()
    assert read_stream(tmp_path / "a").command.startswith("braggwatch export dumps/å dumps/å")
