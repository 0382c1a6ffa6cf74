"""Stills through the real chain into dumps, and out of these into the files that other programs take."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import gemmi
import h5py
import hdf5plugin
import numpy as np
import pytest
from strict_dials import read_experiments, read_reflections
from strict_stream import read_stream
from typer.testing import CliRunner, Result

from braggwatch.processing.beam import Beam
from braggwatch.processing.chain import Chain
from braggwatch.processing.crystfel_detector import detector_from_crystfel
from braggwatch.processing.crystfel_geometry import CrystfelGeometry
from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Encoding, Frame, Series
from braggwatch.processing.merging import Merger
from braggwatch.processing.nxmx import NXmxWriter, unique_name
from braggwatch.processing.shot import Shot
from braggwatch.processing.simulation.demo import demo_simulator
from braggwatch.processing.stages.dump import Dump, DumpSettings
from braggwatch.processing.stages.hitfind import Hitfind, HitfindSettings
from braggwatch.processing.stages.index import Index, IndexSettings
from braggwatch.processing.stages.integrate import Integrate, IntegrateSettings
from braggwatch.processing.stages.results import Results, ResultsSettings
from braggwatch.processing.unit_cell import UnitCell
from braggwatch.streamer.cli import main, make_app
from braggwatch.streamer.dumps import dump_files, look_through

assert hdf5plugin  # importing it registers the filters

CELL = "79.2 79.2 38.0 90 90 90 P43212"
N_STILLS = 20
PROVENANCE = {"settings": "[integrate]\ngain = 1.0\n"}


@dataclass
class Run:
    folder: Path
    shots: list[Shot]
    """In the order in which they were dumped."""
    detector: Detector


def process(
    folder: Path,
    numbers: Sequence[int],
    detector: Detector | None = None,
    *,
    integrate: bool = True,
    groups: Sequence[str] = ("",),
) -> Run:
    """Run stills of lysozyme, of each group in turn, through a chain that ends in dumps of 8 images each."""
    simulator = demo_simulator()
    detector = detector or simulator.detector
    series = Series(key="s", number=1, dtype="uint16")
    dump = Dump(DumpSettings(directory=folder, images_per_file=8), instance="indexed", provenance=PROVENANCE)
    chain = Chain([
        ("hitfind", Hitfind(HitfindSettings())),
        ("index", Index(IndexSettings(cell=CELL))),
        *([("integrate", Integrate(IntegrateSettings()))] if integrate else []),
        ("dump:indexed", dump),
    ])  # fmt: skip
    chain.begin(series, detector)
    shots = []
    for number in numbers:
        image, _ = simulator.simulate(300 + number)
        frame = Frame(series="s", number=number, payload=b"", shape=image.shape, dtype="uint16", encoding=Encoding())
        shot = Shot(series, frame, image, detector, group=groups[number % len(groups)])
        chain.event(shot)
        if shot.dumped:
            shots.append(shot)
    chain.end()
    return Run(folder, shots, detector)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = process(tmp_path_factory.mktemp("run") / "dumps", range(N_STILLS))
    assert len(run.shots) >= 18 and len(dump_files([run.folder])) == 3
    return run


def export(*arguments: str | Path) -> Result:
    return CliRunner().invoke(make_app(), ["export", *map(str, arguments)])


def refused(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> str:
    """Return what a user is told by a command that does not work, in one line."""
    monkeypatch.setattr("sys.argv", ["braggwatch", "export", *map(str, arguments)])
    capsys.readouterr()
    with pytest.raises(SystemExit) as exit_:
        main()
    assert exit_.value.code == 2
    return " ".join(capsys.readouterr().err.split())


def test_a_stream_holds_the_numbers_of_the_chain(run: Run, tmp_path: Path) -> None:
    result = export(run.folder, "--format", "stream", "-o", tmp_path / "run.stream")
    n_good = sum(int(table.good.sum()) for shot in run.shots for table in shot.reflections)
    assert result.exit_code == 0, result.output
    n = len(run.shots)
    assert f"run.stream: {n} images, {n} crystals, {n_good} reflections." in " ".join(result.stderr.split())
    stream = read_stream(tmp_path / "run.stream")
    assert len(stream.chunks) == n and n_good > 1000
    for chunk, shot in zip(stream.chunks, run.shots, strict=True):
        (dumped,) = shot.dumped
        assert (chunk.filename, chunk.event) == (str(dumped.path), f"//{dumped.entry}")
        assert shot.peaks is not None
        written = np.array([peak[:4] for peak in chunk.peaks])
        np.testing.assert_allclose(written[:, :2].T, [shot.peaks.fs, shot.peaks.ss], atol=0.0051)
        np.testing.assert_allclose(written[:, 3], shot.peaks.intensity, atol=0.0051)
        ((found,), (crystal,), (table,)) = (chunk.crystals, shot.crystals, shot.reflections)
        np.testing.assert_allclose(found.axes, 10 * crystal.A_star, atol=0.51e-7)
        rows = np.array([row[:9] for row in found.reflections])
        good = table[table.good]
        np.testing.assert_array_equal(rows[:, :3], good.hkl)
        np.testing.assert_allclose(rows[:, 3:5].T, [good.intensity, good.sigma], atol=0.0051)
        np.testing.assert_allclose(rows[:, 7:9].T, [good.fs, good.ss], atol=0.051)
        # what the header says of the geometry puts the reflections where they were integrated
        geometry = CrystfelGeometry.from_text(stream.geometry)
        detector = detector_from_crystfel(geometry, photon_energy=chunk.photon_energy)
        x, y = 1e-3 * np.array(found.det_shift)
        fs, ss, _ = detector.moved((x, y, 0.0)).project_q(rows[:, :3] @ np.array(found.axes) / 10)
        np.testing.assert_allclose(np.median(np.hypot(fs - rows[:, 7], ss - rows[:, 8])), 0, atol=0.05)


def test_an_mtz_file_holds_the_intensities_of_the_chain(run: Run, tmp_path: Path) -> None:
    assert export(run.folder, "-f", "mtz", "-o", tmp_path / "run.mtz").exit_code == 0
    file = gemmi.read_mtz_file(str(tmp_path / "run.mtz"))
    assert file.switch_to_original_hkl()
    tables = [table[table.good & (table.sigma > 0)] for shot in run.shots for table in shot.reflections]
    expected = {
        (batch, *hkl): (intensity, sigma)
        for batch, table in enumerate(tables, 1)
        for hkl, intensity, sigma in zip(table.hkl.tolist(), table.intensity, table.sigma, strict=True)
    }
    assert file.nreflections == len(expected) > 1000
    columns = [file.column_labels().index(label) for label in ("BATCH", "H", "K", "L", "I", "SIGI")]
    for *key, intensity, sigma in file.array[:, columns].tolist():
        assert expected[tuple(map(int, key))] == (intensity, sigma)
    np.testing.assert_allclose(file.cell.parameters, (79.2, 79.2, 38.0, 90, 90, 90), rtol=1e-3)


def test_a_merged_mtz_file_and_its_statistics_are_those_of_the_merger(run: Run, tmp_path: Path) -> None:
    merger = Merger(UnitCell.from_string(CELL), d_min=3.0, n_shells=4)
    for shot in run.shots:
        for table in shot.reflections:
            merger.add(table, shot.series.key, shot.number)
    merger.finish()
    expected, statistics = merger.merged(), merger.statistics()
    path = tmp_path / "merged.mtz"
    result = export(run.folder, "-f", "merged", "--d-min", "3", "--shells", "4", "-o", path)
    assert result.exit_code == 0, result.output
    n = len(run.shots)
    assert f"merged.mtz: {n} images, {n} crystals, {len(expected)} reflections." in " ".join(result.stderr.split())
    rows = [line.split() for line in result.stdout.splitlines()]
    assert rows[0][:3] == ["d", "/", "Å"] and len(rows) == 6
    for row, shell in zip(rows[1:], [*statistics.shells, statistics.overall], strict=True):
        assert f"{shell.cc_half:.3f}".replace("-", "−") in row and f"{100 * (shell.completeness or 0):.1f}" in row
    file = gemmi.read_mtz_file(str(path))
    assert file.column_labels() == ["H", "K", "L", "IMEAN", "SIGIMEAN", "N", "I1", "N1", "I2", "N2"]
    found = {tuple(map(int, row[:3])): row[3:] for row in file.array.tolist()}
    assert len(found) == len(expected) > 500
    half, half_n = expected.half.astype(np.float32), expected.half_n
    for i, hkl in enumerate(map(tuple, expected.hkl.tolist())):
        wanted = (
            expected.intensity[i],
            expected.sigma[i],
            expected.n[i],
            half[0, i],
            half_n[0, i],
            half[1, i],
            half_n[1, i],
        )
        np.testing.assert_allclose(found[hkl], wanted, rtol=1e-6)
    assert file.spacegroup.xhm() == "P 43 21 2"
    np.testing.assert_allclose(file.cell.parameters, (79.2, 79.2, 38.0, 90, 90, 90), rtol=1e-3)
    assert file.datasets[1].wavelength == pytest.approx(run.detector.beam.wavelength if run.detector.beam else 0)


def test_without_scales_merged_intensities_are_the_means_of_the_unmerged_file(run: Run, tmp_path: Path) -> None:
    assert export(run.folder, "-f", "mtz", "-o", tmp_path / "all.mtz").exit_code == 0
    merge = ("-f", "merged", "--scaling", "none", "-o", tmp_path / "merged.mtz")
    assert export(run.folder, *merge).exit_code == 0
    observed: dict[tuple[int, ...], list[float]] = {}
    unmerged = gemmi.read_mtz_file(str(tmp_path / "all.mtz"))
    intensity = unmerged.column_labels().index("I")
    for row in unmerged.array.tolist():
        observed.setdefault(tuple(map(int, row[:3])), []).append(row[intensity])
    merged = gemmi.read_mtz_file(str(tmp_path / "merged.mtz")).array.tolist()
    # the outermost may lie beyond the limit by the cell that was looked for, which merging goes by
    assert len(observed) - 2 <= len(merged) <= len(observed) and len(merged) > 1000
    for h, k, m, mean, _, n, *_ in merged:
        values = observed[int(h), int(k), int(m)]
        assert (n, mean) == (len(values), pytest.approx(np.mean(values), rel=1e-4, abs=1e-3))


def test_merging_goes_as_far_as_was_integrated_unless_told_otherwise(run: Run, tmp_path: Path) -> None:
    far = max(float(table.inverse_d.max()) for shot in run.shots for table in shot.reflections)
    assert look_through(dump_files([run.folder])).d_min() == pytest.approx(1 / far)
    result = export(run.folder, "-f", "merged", "--weighting", "partiality", "-o", tmp_path / "a.mtz")
    assert result.exit_code == 0 and f"– {1 / far:.2f}" in result.stdout.splitlines()[-2]
    resolution = gemmi.read_mtz_file(str(tmp_path / "a.mtz")).resolution_high()
    assert 1 / far * 0.999 < resolution < 1.1 / far


def test_options_of_merging_belong_to_merging(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "a.mtz"
    said = refused(capsys, monkeypatch, run.folder, "-f", "mtz", "--d-min", "2", "-o", output)
    assert "--d-min, --shells, --scaling and --weighting are options of --format merged" in said
    said = refused(capsys, monkeypatch, run.folder, "-f", "merged", "--d-min", "500", "-o", output)
    assert "has no reflections to 500.0 A: choose a smaller d_min" in said
    said = refused(capsys, monkeypatch, run.folder, "-f", "merged", "--shells", "0", "-o", output)
    assert "expected 1 to 100 shells, found 0" in said
    assert not output.exists()


def test_dials_files_hold_every_lattice_and_reflection_of_the_chain(run: Run, tmp_path: Path) -> None:
    result = export(run.folder, "-f", "dials", "-o", tmp_path / "run.expt")
    assert result.exit_code == 0, result.output
    n_good = sum(int(table.good.sum()) for shot in run.shots for table in shot.reflections)
    n = len(run.shots)
    assert f"run.refl: {n} images, {n} crystals, {n_good} reflections." in " ".join(result.stderr.split())
    experiments, table = read_experiments(tmp_path / "run.expt"), read_reflections(tmp_path / "run.refl")
    assert [experiment.identifier for experiment in experiments] == list(table.identifiers.values())
    for number, (experiment, shot) in enumerate(zip(experiments, run.shots, strict=True)):
        (dumped,), (crystal,) = shot.dumped, shot.crystals
        assert (experiment.image, experiment.index) == (str(dumped.path), dumped.entry)
        np.testing.assert_allclose(experiment.axes, crystal.A * [-1, 1, -1], atol=1e-9)
        good = shot.reflections[0][shot.reflections[0].good]
        rows = table.columns["id"] == number
        np.testing.assert_array_equal(table.columns["miller_index"][rows], good.hkl)
        np.testing.assert_array_equal(table.columns["intensity.sum.value"][rows], good.intensity)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.expt", "run.refl"]


def test_a_cxi_file_holds_pixels_and_spots_with_its_geometry_beside_it(run: Run, tmp_path: Path) -> None:
    assert export(run.folder, "-f", "cxi", "-o", tmp_path / "run.cxi").exit_code == 0
    geometry = CrystfelGeometry.read(tmp_path / "run.geom")
    (panel,) = geometry.panels
    with h5py.File(tmp_path / "run.cxi") as file:
        pixels, result = file[panel.data], file["entry_1/result_1"]
        for n, shot in enumerate(run.shots):
            np.testing.assert_array_equal(pixels[n], shot.image)
            assert shot.peaks is not None
            np.testing.assert_array_equal(result["peakXPosRaw"][n, : len(shot.peaks)] + np.float32(0.5), shot.peaks.fs)
        assert file[panel.masks[0].data].shape == pixels.shape[1:]


def test_a_geometry_fits_the_dumps_as_they_are(run: Run, tmp_path: Path) -> None:
    assert export(run.folder, "-f", "geom", "-o", tmp_path / "run.geom").exit_code == 0
    (panel,) = CrystfelGeometry.read(tmp_path / "run.geom").panels
    with h5py.File(dump_files([run.folder])[0]) as file:
        assert file[panel.data].shape[1:] == (panel.max_ss + 1, panel.max_fs + 1)
        assert file[panel.masks[0].data].shape == file[panel.data].shape[1:]


def test_nothing_is_replaced_unless_asked_for(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "run.stream"
    output.write_text("precious")
    said = refused(capsys, monkeypatch, run.folder, "-f", "stream", "-o", output)
    assert f"{output} is there already: choose another name, or say --force to replace it" in said
    (tmp_path / "a.geom").write_text("precious too")
    said = refused(capsys, monkeypatch, run.folder, "-f", "cxi", "-o", tmp_path / "a.cxi")
    assert "a.geom is there already" in said
    (tmp_path / "a.refl").write_text("and this")
    said = refused(capsys, monkeypatch, run.folder, "-f", "dials", "-o", tmp_path / "a.expt")
    assert "a.refl is there already" in said
    said = refused(capsys, monkeypatch, run.folder, "-f", "dials", "-o", tmp_path / "b.refl")
    assert ".refl is the file beside it; give the first one another ending" in said
    assert output.read_text() == "precious"
    assert export(run.folder, "-f", "stream", "-o", output, "--force").exit_code == 0
    assert len(read_stream(output).chunks) == len(run.shots)
    dump = dump_files([run.folder])[0]
    said = refused(capsys, monkeypatch, run.folder, "-f", "stream", "-o", dump, "--force")
    assert "is one of the dumps: choose another name for the output" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.geom", "a.refl", "run.stream"]


def test_dumps_without_reflections_say_which_stage_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = process(tmp_path / "dumps", [0], integrate=False)
    for kind in ("stream", "mtz", "merged", "dials"):
        said = refused(capsys, monkeypatch, run.folder, "-f", kind, "-o", tmp_path / "out")
        assert "the dumps hold no integrated reflections" in said
        assert "put the stage integrate behind index and before the dump" in said
    assert export(run.folder, "-f", "cxi", "-o", tmp_path / "run.cxi").exit_code == 0


def test_of_a_folder_dumps_of_both_kinds_are_taken_and_other_files_are_not(run: Run, tmp_path: Path) -> None:
    series, detector = run.shots[0].series, run.shots[0].detector
    shots = [replace(shot, dumped=[]) for shot in run.shots[:3]]
    for format_ in ("nxmx", "cxi"):
        settings = DumpSettings.model_validate({"directory": tmp_path, "format": format_, "name": "hit-"})
        dump = Dump(settings, instance="hit", provenance={})
        dump.begin(series, detector)
        for shot in shots:
            dump.event(shot)
        dump.end()
    dumps = sorted(tmp_path.iterdir())
    results = Results(ResultsSettings(directory=tmp_path, name="hit-"), instance="hit", provenance={})
    results.begin(series, detector)
    for shot in shots:
        results.event(shot)
    (tmp_path / "exported.cxi").touch()
    assert len(list(tmp_path.iterdir())) == 6
    assert sorted(dump_files([tmp_path])) == dumps
    assert look_through(dumps).n_images == 6


def test_corrections_in_a_file_of_results_are_those_that_refinement_left(run: Run, tmp_path: Path) -> None:
    results = Results(ResultsSettings(directory=tmp_path), instance="index", provenance=PROVENANCE)
    results.begin(run.shots[0].series, run.shots[0].detector)
    for shot in run.shots:
        results.event(shot)
    paths = sorted(tmp_path.iterdir(), key=lambda path: path.name.rpartition("_")[2])
    assert len(paths) == len(run.shots)
    for path, shot in zip(paths, run.shots, strict=True):
        with h5py.File(path) as file:
            assert file["image"]["frame_number"][0] == shot.number
            crystal, spots = file["lattice_0/crystal"][0], file["lattice_0/indexed_spots"][:]
            reflections = file["lattice_0/reflections"][:]
        corrections = np.stack([spots["correction_fs"], spots["correction_ss"]], axis=1)
        assert np.sqrt(np.mean(corrections**2) * 2) == pytest.approx(crystal["rmsd_px"], rel=0.05)
        places = {tuple(r["hkl"].tolist()): (r["fs"], r["ss"]) for r in reflections}
        predicted = {tuple(hkl): np.array(place) for hkl, place in zip(
            spots["hkl"].tolist(), np.stack([spots["fs"], spots["ss"]], axis=1) - corrections, strict=True
        )}  # fmt: skip
        both = places.keys() & predicted.keys()
        assert len(both) > 0.9 * len(spots)
        assert all(np.abs(predicted[hkl] - places[hkl]).max() < 1e-3 for hkl in both)


def test_what_is_no_dump_is_refused_by_name(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notes.h5").write_text("no HDF5 at all")
    with h5py.File(tmp_path / "others.h5", "w") as file:
        file["data"] = 1
    output = tmp_path / "out.stream"
    (tmp_path / "empty").mkdir()
    for path, problem in (
        (tmp_path / "notes.h5", "notes.h5 cannot be opened"),
        (tmp_path / "others.h5", "others.h5 is no dump of Braggwatch"),
        (tmp_path / "none.h5", "none.h5 cannot be opened"),
        (tmp_path / "empty", "empty: expected a folder with dumps, found no .h5 file in it"),
    ):
        assert problem in refused(capsys, monkeypatch, run.folder, path, "-f", "stream", "-o", output)
        assert not output.exists()


def test_a_file_that_was_just_begun_does_no_harm_and_is_nothing_alone(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = tmp_path / "begun.h5"
    detector = run.detector.with_beam(Beam(12_398.42, bandwidth=0.01))
    series = Series(key="s", number=1)
    NXmxWriter(begun, series=series, detector=detector, dtype=np.dtype("uint16"), provenance=PROVENANCE).close()
    said = refused(capsys, monkeypatch, begun, "-f", "geom", "-o", tmp_path / "run.geom")
    assert f"there are no images in {begun} yet" in said
    assert export(begun, run.folder, "-f", "stream", "-o", tmp_path / "run.stream").exit_code == 0
    assert len(read_stream(tmp_path / "run.stream").chunks) == len(run.shots)


def test_dumps_of_two_geometries_do_not_go_into_one_file(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = process(tmp_path / "other", [0], run.detector.with_distance(0.1502))
    said = refused(capsys, monkeypatch, run.folder, other.folder, "-f", "mtz", "-o", tmp_path / "out.mtz")
    assert "are of different geometries (panels, distance or gain)" in said
    assert "export them one by one" in said


def test_an_export_that_fails_half_way_leaves_nothing_behind(run: Run, tmp_path: Path) -> None:
    files = dump_files([run.folder])
    damaged = tmp_path / "damaged.h5"
    damaged.write_bytes(files[-1].read_bytes())
    with h5py.File(damaged, "a") as file:
        file["entry_1/result_1/nPeaks"][0] = -1
    result = export(*files, damaged, "-f", "stream", "-o", tmp_path / "run.stream")
    assert result.exit_code != 0 and "has -1 spots" in str(result.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["damaged.h5"]


def test_a_file_that_is_given_twice_counts_once(run: Run) -> None:
    files = dump_files([run.folder])
    assert dump_files([run.folder, files[1], run.folder]) == files


def test_the_files_of_a_folder_come_in_the_order_in_which_they_were_begun(tmp_path: Path) -> None:
    names = [
        unique_name(("hit", "0001", time), n) for time in ("20261122T093711", "20261122T094000") for n in range(12)
    ]
    for name in sorted(names, key=lambda name: name[-12:]):
        (tmp_path / name).touch()
    assert [path.name for path in dump_files([tmp_path])] == names
