"""What indexing and integration made of an image, in a file of its own."""

import logging
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gemmi
import h5py
import numpy as np
import pytest
from dumps_by_hand import LYSOZYME, SERIES, shot_of, small_detector, some_crystal, some_peaks, some_reflections
from numpy.typing import NDArray

import braggwatch
from braggwatch.processing.chain import Verdict
from braggwatch.processing.chain_settings import SettingsError
from braggwatch.processing.crystal import Crystal
from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Series
from braggwatch.processing.panel import Panel
from braggwatch.processing.pipeline_settings import PipelineSettings
from braggwatch.processing.shot import DumpedImage, Shot
from braggwatch.processing.stages import pausing
from braggwatch.processing.stages.results import Results, ResultsSettings
from braggwatch.processing.unit_cell import UnitCell

TEXTS = {"settings": "[chain]\n", "version": braggwatch.__version__}


def make(directory: Path, detector: Detector | None = None, **settings: Any) -> Results:
    stage = Results(ResultsSettings(directory=directory, **settings), instance="index", provenance=TEXTS)
    stage.begin(SERIES, detector or small_detector())
    return stage


def indexed_spots(crystal: Crystal, n: int, seed: int = 1) -> Crystal:
    hkl = np.random.default_rng(seed).integers(-6, 7, (n, 3)).astype(np.int32)
    return replace(crystal, spots=np.arange(n)[::-1] + 2, hkl=hkl)


def shot(
    n_lattices: int = 1, number: int = 12, detector: Detector | None = None, crystals: Sequence[Crystal] = ()
) -> Shot:
    detector = detector or small_detector()
    n_panels = len(detector.panels)
    crystals = crystals or [indexed_spots(some_crystal(3 + n), 9, n) for n in range(n_lattices)]
    return shot_of(
        number, detector, peaks=some_peaks(20, detector=detector), crystals=crystals,
        reflections=[some_reflections(40 + n, n, n_panels) for n in range(len(crystals))],
    )  # fmt: skip


def written(directory: Path, seen: Shot, **settings: Any) -> h5py.File:
    stage = make(directory, seen.detector, **settings)
    assert stage.event(seen) is Verdict.KEEP
    stage.end()
    (path,) = directory.iterdir()
    return h5py.File(path)


def record(dataset: h5py.Dataset) -> dict[str, Any]:
    (row,) = dataset[:]
    return {name: row[name] for name in row.dtype.names}


def units(dataset: h5py.Dataset) -> dict[str, str]:
    return {name: unit.decode() for name, unit in zip(dataset.dtype.names, dataset.attrs["units"], strict=True)}


def rotated(axis: Sequence[float], degrees: float) -> NDArray[np.float64]:
    """Return the matrix of Rodrigues' formula."""
    x, y, z = np.array(axis) / np.linalg.norm(axis)
    K, angle = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]]), np.radians(degrees)
    return np.asarray(np.eye(3) + np.sin(angle) * K + (1 - np.cos(angle)) * K @ K)


def test_a_file_is_named_as_an_integration_pickle_was(tmp_path: Path) -> None:
    make(tmp_path / "a", name="int-").event(shot())
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["int-20231114221332000_00012.h5"]
    stage = make(tmp_path / "b")
    for _ in range(3):
        stage.event(shot())
    stem = "index_20231114221332000_00012"
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == [f"{stem}-2.h5", f"{stem}-3.h5", f"{stem}.h5"]


def test_a_shot_without_a_lattice_has_no_file(tmp_path: Path) -> None:
    stage = make(tmp_path / "out")
    assert stage.event(shot_of(1, small_detector(), peaks=some_peaks(4))) is Verdict.KEEP
    assert stage.event(shot_of(2, small_detector())) is Verdict.KEEP
    assert not (tmp_path / "out").exists()


def test_the_facts_of_the_exposure_are_in_the_units_of_the_older_tools(tmp_path: Path) -> None:
    seen = shot()
    seen.group = "pumped"
    seen.series = Series(key="s", number=1, detector="CxiDs1-0|Cspad-0")
    seen.dumped += [DumpedImage("hit", Path("hits.h5"), 4), DumpedImage("indexed", tmp_path / "indexed.h5", 7)]
    with written(tmp_path / "out", seen) as file:
        image, unit = record(file["image"]), units(file["image"])
        assert image["frame_number"] == 12 and image["timestamp"] == 1.7e9 + 12
        assert image["wavelength"] == pytest.approx(12398.419843 / 12_000) and unit["wavelength"] == "angstrom"
        assert (image["photon_energy"], unit["photon_energy"]) == (12_000, "eV")
        assert (image["distance"], unit["distance"]) == (pytest.approx(100.0), "mm")
        np.testing.assert_allclose(image["beam_center_px"], (41.0, 29.0))
        np.testing.assert_allclose(image["beam_center_mm"], (82.0, 58.0))
        np.testing.assert_allclose(image["pixel_size"], (2.0, 2.0))
        assert image["shape"].tolist() == [60, 80]
        assert (image["saturated_value"], image["n_spots"], image["n_lattices"]) == (49_999, 20, 1)
        texts = dict(file.attrs)
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", texts.pop("written"))
    assert texts == {
        "format": "braggwatch-results-1", "program": "Braggwatch", **TEXTS, "series": "s", "group": "pumped",
        "detector_address": "CxiDs1-0|Cspad-0", "dump": str(tmp_path / "indexed.h5"), "dump_entry": "7",
    }  # fmt: skip


CELLS = [
    "79.2 79.2 38.0 90 90 90 P43212", "60 70 80 75 85 95 P1", "98.0 53.0 86.0 90 117 90 C2", "60 70 80 90 90 90 A222",
    "61 72 83 90 90 100 B2", "60 70 80 90 90 90 F222", "79 79 99 90 90 90 I4", "93 93 130 90 90 120 P6122",
    "80 80 200 90 90 120 H3", "81 81 81 100 100 100 R3:R",
]  # fmt: skip


@pytest.mark.parametrize("text", CELLS)
def test_orientation_and_cell_are_those_that_gemmi_has(tmp_path: Path, text: str) -> None:
    cell = UnitCell.from_string(text)
    turn = rotated((1, -2, 0.5), 77.0)
    strained = gemmi.UnitCell(1.001 * cell.a, 1.001 * cell.b, 1.001 * cell.c, *cell.parameters[3:])
    axes = np.array(strained.orth.mat.tolist())  # columns
    A = (turn @ axes).T
    seen = shot(crystals=[Crystal(A, known=cell)])
    with written(tmp_path, seen) as file:
        found = record(file["lattice_0/crystal"])
    fractional = np.array(strained.frac.mat.tolist())
    np.testing.assert_allclose(found["A"], A)
    np.testing.assert_allclose(found["U"], turn, atol=1e-12)
    np.testing.assert_allclose(found["B"], fractional.T, atol=1e-15)
    hkl = np.array([[1, 2, 3], [-4, 0, 7], [2, -2, 5]])
    q = hkl @ (found["U"] @ found["B"]).T
    np.testing.assert_allclose(q @ A.T, hkl, atol=1e-9)  # Laue's equations
    np.testing.assert_allclose(1 / np.linalg.norm(q, axis=1), [strained.calculate_d(list(h)) for h in hkl.tolist()])
    np.testing.assert_allclose(found["cell"], strained.parameters)
    np.testing.assert_allclose(found["known_cell"], cell.parameters)
    group = gemmi.SpaceGroup(cell.space_group)
    assert found["space_group"].decode() == group.xhm()
    assert found["point_group"].decode() == group.point_group_hm()


@pytest.mark.parametrize("text", CELLS)
def test_the_reindexing_operator_leads_to_a_primitive_cell(tmp_path: Path, text: str) -> None:
    cell = UnitCell.from_string(text)
    with written(tmp_path, shot(crystals=[Crystal(cell.A, known=cell)])) as file:
        found = record(file["lattice_0/crystal"])
    M = found["to_primitive_hkl"]
    n_points = {"P": 1, "R": 3, "F": 4}.get(cell.centring, 2)
    assert np.linalg.det(M @ found["A"]) == pytest.approx(cell.gemmi_cell.volume / n_points)
    hkl = np.stack(np.meshgrid(*[np.arange(-4, 5)] * 3), -1).reshape(-1, 3).astype(np.int32)
    lattice_only = gemmi.SpaceGroup(f"{cell.centring} 1" if cell.centring != "R" else "R 3:H").operations()
    absent = np.asarray(lattice_only.systematic_absences(hkl))
    primitive = hkl @ M.T
    whole = np.abs(primitive - np.rint(primitive)).max(axis=1) < 1e-9
    np.testing.assert_array_equal(whole, ~absent)  # just the reflections of the lattice have whole indices
    operator = gemmi.Op(found["to_primitive"].decode())
    for old, new in zip(hkl[whole][::17].tolist(), primitive[whole][::17], strict=True):
        assert operator.as_xyz().apply_to_hkl(old) == np.rint(new).astype(int).tolist()


def test_what_is_told_of_a_crystal_is_in_the_file(tmp_path: Path) -> None:
    seen = shot()
    (crystal,) = seen.crystals
    with written(tmp_path, seen) as file:
        found, unit = record(file["lattice_0/crystal"]), units(file["lattice_0/crystal"])
    assert (found["lattice"], found["n_indexed"]) == (b"tP", 9)
    assert (found["rmsd_px"], found["rmsd_mm"], unit["rmsd_mm"]) == (0.25, pytest.approx(0.5), "mm")
    assert (found["rmsd_q"], unit["rmsd_q"]) == (1e-4, "1/angstrom")
    assert (found["domain_size"], unit["domain_size"]) == (1003.0, "angstrom")
    assert (found["mosaicity"], unit["mosaicity"]) == (0.03, "degree")
    # where exp(-x^2 / 2 sigma^2) has fallen to half
    assert np.exp(-((found["half_mosaicity"] / 0.03) ** 2) / 2) == pytest.approx(0.5)
    assert found["diffraction_limit"] == 2.0
    shift = np.array(crystal.beam_shift)
    np.testing.assert_allclose(found["beam_shift"], 1e3 * shift)
    np.testing.assert_allclose(found["beam_center_mm"], (82.0, 58.0) + 1e3 * shift)
    np.testing.assert_allclose(found["beam_center_px"], (41.0, 29.0) + shift / 2e-3)


@pytest.mark.parametrize("n", [1, 2])
def test_observations_and_predictions_of_each_lattice_are_in_the_file(tmp_path: Path, n: int) -> None:
    seen = shot(n)
    seen.reflections[-1].intensity[3] = np.nan
    seen.reflections[-1].partiality[:] = np.nan
    with written(tmp_path, seen) as file:
        assert sorted(file) == ["image", *(f"lattice_{k}" for k in range(n))]
        for k, table in enumerate(seen.reflections):
            found = file[f"lattice_{k}/reflections"][:]
            assert len(found) == len(table)
            for name in set(found.dtype.names) - {"d"}:
                np.testing.assert_array_equal(found[name], getattr(table, name), err_msg=name)
            np.testing.assert_allclose(found["d"], 1 / table.inverse_d)
            unit = units(file[f"lattice_{k}/reflections"])
            assert (unit["fs"], unit["intensity"], unit["d"]) == ("pixel", "ADU", "angstrom")


def test_correction_vectors_lead_from_where_a_spot_is_predicted_to_where_it_was_found(tmp_path: Path) -> None:
    detector = tilted_detector()
    beam = detector.beam
    assert beam is not None
    shift = (3e-4, -2e-4)
    A = UnitCell(30, 40, 50).A @ rotated((1, 2, 3), 40.0).T
    hkl = np.stack(np.meshgrid(*[np.arange(-9, 10)] * 3), -1).reshape(-1, 3)
    ray = hkl @ np.linalg.inv(A).T + [0, 0, 1 / beam.wavelength]
    hkl, ray = hkl[(ray[:, 2] > 0) & hkl.any(axis=1)], ray[(ray[:, 2] > 0) & hkl.any(axis=1)]
    panel = detector.project(ray)[2]
    seen_at = np.flatnonzero((panel >= 0) & (np.abs(np.linalg.norm(ray, axis=1) - 1 / beam.wavelength) < 2e-3))
    assert set(panel[seen_at]) == {0, 1}
    # by hand: the ray meets the plane of its panel, then everything moves with the beam
    predicted = []
    for k in seen_at:
        p = detector.panels[panel[k]]
        solved = np.linalg.solve(np.stack([p.fs, p.ss, -ray[k]], axis=1), -np.array(p.corner))
        moved = np.linalg.solve(np.array([p.fs, p.ss])[:, :2].T, shift)
        predicted.append(solved[:2] + moved + (p.fs_start, p.ss_start))
    offset = np.random.default_rng(5).uniform(-0.4, 0.4, (len(seen_at), 2))
    peaks = some_peaks(len(seen_at), detector=detector)
    place = (np.array(predicted) + offset).astype(np.float32)
    peaks = replace(peaks, fs=place[:, 0], ss=place[:, 1], panel=panel[seen_at])
    order = np.random.default_rng(6).permutation(len(seen_at))
    crystal = Crystal(A, hkl=hkl[seen_at][order].astype(np.int32), spots=order, beam_shift=shift)
    with written(tmp_path, shot_of(1, detector, peaks=peaks, crystals=[crystal])) as file:
        assert "reflections" not in file["lattice_0"]  # it was not integrated
        found = file["lattice_0/indexed_spots"][:]
    np.testing.assert_array_equal(found["hkl"], crystal.hkl)
    np.testing.assert_array_equal(found["fs"], peaks.fs[order])
    np.testing.assert_array_equal(found["ss"], peaks.ss[order])
    np.testing.assert_array_equal(found["panel"], peaks.panel[order])
    np.testing.assert_allclose(found["correction_fs"], offset[order, 0], atol=2e-5)
    np.testing.assert_allclose(found["correction_ss"], offset[order, 1], atol=2e-5)


def tilted_detector() -> Detector:
    panels = tuple(
        Panel(
            name=f"p{n}", fs_start=0, fs_stop=200, ss_start=100 * n, ss_stop=100 * n + 100, corner=corner,
            fs=(2e-4, 1e-5, 3e-5), ss=(-1e-5, 2e-4, 0.0),
        )
        for n, corner in enumerate([(-0.02, -0.025, 0.05), (-0.02, 0.003, 0.05)])
    )  # fmt: skip
    return replace(Detector(panels, (200, 200)), beam=small_detector().beam)


def test_a_spot_that_is_predicted_elsewhere_has_no_correction(tmp_path: Path) -> None:
    detector = tilted_detector()
    peaks = some_peaks(2, detector=detector)
    peaks = replace(peaks, panel=np.array([0, 1], np.int16), ss=np.array([99.5, 100.5], np.float32))
    crystal = Crystal(np.eye(3) * 50.0, hkl=np.array([[0, -12, 0], [0, -12, 0]], np.int32), spots=np.arange(2))
    with written(tmp_path, shot_of(1, detector, peaks=peaks, crystals=[crystal])) as file:
        found = file["lattice_0/indexed_spots"][:]
    assert np.isfinite(found["correction_fs"]).tolist() == np.isfinite(found["correction_ss"]).tolist() == [True, False]


def test_what_is_not_known_is_nan_or_empty(tmp_path: Path) -> None:
    detector = small_detector(photon_energy=None)
    seen = shot(crystals=[Crystal(LYSOZYME.A)], detector=replace(detector, beam=None))
    seen.crystals[0] = replace(seen.crystals[0], hkl=np.empty((0, 3), np.int32))
    seen.peaks = None
    frame = seen.frame
    seen.frame = type(frame)(
        series="s", number=12, payload=b"", shape=frame.shape, dtype=frame.dtype, encoding=frame.encoding
    )
    with written(tmp_path, seen) as file:
        image, crystal = record(file["image"]), record(file["lattice_0/crystal"])
        assert list(file["lattice_0"]) == ["crystal", "reflections"]
        assert (file.attrs["dump"], file.attrs["dump_entry"], file.attrs["detector_address"]) == ("", "", "")
    for name in ("timestamp", "wavelength", "photon_energy"):
        assert np.isnan(image[name]), name
    for name in ("known_cell", "to_primitive_hkl", "half_mosaicity", "domain_size", "rmsd_px", "rmsd_mm"):
        assert np.isnan(crystal[name]).all(), name
    assert crystal["space_group"] == crystal["point_group"] == crystal["lattice"] == crystal["to_primitive"] == b""


def test_long_settings_and_strange_names_are_kept(tmp_path: Path) -> None:
    seen = shot()
    seen.series = Series(key="Über\0läuft 結晶", number=1, detector="\ud800")
    settings = "x" * 200_000
    stage = Results(ResultsSettings(directory=tmp_path), instance="a b/c", provenance={"settings": settings})
    stage.begin(SERIES, seen.detector)
    stage.event(seen)
    (path,) = tmp_path.iterdir()
    assert path.name.startswith("a_b_c_2023")
    with h5py.File(path) as file:
        assert (file.attrs["settings"], file.attrs["series"]) == (settings, "Überläuft 結晶")


def test_the_chain_makes_the_stage_with_its_settings(tmp_path: Path) -> None:
    settings = PipelineSettings.model_validate({
        "chain": {"stages": ["hitfind", "index", "integrate", "results:index"]},
        "stages": {"index": {"cell": "79.2 79.2 38.0 90 90 90 P43212"}, "results": {"directory": str(tmp_path)}},
        "provenance": TEXTS,
    })  # fmt: skip
    settings.check()
    (_, stage) = settings.build_chain().stages[-1]
    assert isinstance(stage, Results)
    stage.begin(SERIES, small_detector())
    stage.event(shot())
    (path,) = tmp_path.iterdir()
    with h5py.File(path) as file:
        assert file.attrs["version"] == braggwatch.__version__
    (tmp_path / "file").touch()
    blocked = settings.model_copy(update={"stages": {**settings.stages, "results": {"directory": str(path / "x")}}})
    with pytest.raises(SettingsError, match=r"\[results:index\] directory: expected a folder, found a file at"):
        blocked.check()
    assert all(field.description for field in ResultsSettings.model_fields.values())


FULL_DISK = """
import logging, resource, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from braggwatch.processing.stages import pausing
from test_results_stage import make, shot
folder = Path(sys.argv[2])
stage = make(folder)
stage.event(shot(number=0))
whole = {path.name: path.read_bytes() for path in folder.iterdir()}
# No file may grow beyond this: writing fails in the midst of it, as on a full disk.
resource.setrlimit(resource.RLIMIT_FSIZE, (600, resource.RLIM_INFINITY))
later = [shot(number=n) for n in range(1, 5)]
for one in later:
    stage.event(one)
assert {path.name: path.read_bytes() for path in folder.iterdir()} == whole, "something is left"
assert stage.pause.not_written == 4
said = {text for one in later for text in one.notices.items()}
assert said == {("index-results-not-written", stage.pause.because)}, said
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
pausing.monotonic = lambda: 1e12
last = shot(number=9)
stage.event(last)
assert stage.pause.because is None and not last.notices and len(list(folder.iterdir())) == 2
"""


def test_a_full_disk_costs_no_shot_and_leaves_no_half_file(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(Path(__file__).parent), str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == (
        f"results index: cannot write to {tmp_path}: File too large; shots go on being counted, the next try is in "
        "10 s\n"
    )


def test_a_folder_that_cannot_be_made_pauses_the_stage(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").write_text("a file where the folder should be")
    stage, seen = make(tmp_path / "out"), [shot(number=n) for n in range(3)]
    with caplog.at_level(logging.ERROR):
        for one in seen:
            stage.event(one)
    assert (stage.pause.not_written, len(caplog.records)) == (3, 1)
    (tmp_path / "out").unlink()
    monkeypatch.setattr(pausing, "monotonic", lambda: 1e12)
    stage.event(shot())
    assert stage.pause.because is None and len(list((tmp_path / "out").iterdir())) == 1


KILLED = """
import os, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from test_results_stage import make, shot
stage = make(Path(sys.argv[2]))
from braggwatch.processing.stages import results
whole = results.write_whole
def killed_in_the_midst(files):
    def write(file):
        file.write(b"half")
        file.flush()
        os.kill(os.getpid(), 9)
    whole({path: write for path in files})
results.write_whole = killed_in_the_midst
stage.event(shot())
"""


def test_half_a_file_never_has_a_name_and_the_next_run_removes_it(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(Path(__file__).parent), str(tmp_path)], check=False)
    assert done.returncode == -9
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".index_") and left.suffix == ".part"
    make(tmp_path)
    assert list(tmp_path.iterdir()) == []
