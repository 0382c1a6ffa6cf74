"""DIALS files that we write, read by a strict reader that knows only what DIALS and dxtbx want."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import gemmi
import numpy as np
import pytest
from dumps_by_hand import (
    LYSOZYME,
    shot_of,
    small_detector,
    some_crystal,
    some_peaks,
    some_reflections,
    some_shots,
    write_dump,
)
from numpy.typing import NDArray
from strict_dials import StrictExperiment, StrictTable, read_experiments, read_reflections

from braggwatch.processing.beam import HC
from braggwatch.processing.crystal import Crystal
from braggwatch.processing.detector import Detector
from braggwatch.processing.dials_experiments import Experiments
from braggwatch.processing.dials_files import (
    INDEXED,
    INTEGRATED_SUM,
    OBSERVED,
    OVERLOADED,
    PREDICTED,
    STRONG,
    DialsWriter,
)
from braggwatch.processing.dials_reflections import COLUMNS, ReflectionTable
from braggwatch.processing.dumped_shots import DumpedShots
from braggwatch.processing.peaks import Peaks
from braggwatch.processing.prediction import Predictor
from braggwatch.processing.reflections import Flag, Reflections
from braggwatch.processing.shot import Shot
from braggwatch.processing.unit_cell import UnitCell

WAVELENGTH = 1.033
TURN = np.array([-1.0, 1.0, -1.0])


def written(folder: Path, shots: Sequence[Shot], detector: Detector) -> tuple[list[StrictExperiment], StrictTable]:
    dump = write_dump(folder / "a.h5", shots, detector)
    with DumpedShots(dump) as dumped, DialsWriter(dumped.detector, folder) as dials:
        for shot in dumped.shots():
            dials.add(shot)
        dials.write(folder / "a.expt", folder / "a.refl")
    return read_experiments(folder / "a.expt"), read_reflections(folder / "a.refl")


def predicted(crystal: Crystal, detector: Detector) -> Reflections:
    """Return reflections where a crystal's lie, moved with the beam, as the stage integrate has them."""
    found = Predictor(detector, LYSOZYME, d_min=2.5, profile_radius=0.001)(crystal.A)
    pixels = [(np.linalg.pinv(np.array([p.fs, p.ss]).T) @ [*crystal.beam_shift, 0.0]) for p in detector.panels]
    fs, ss = np.array(pixels)[found.panel].T
    table = some_reflections(len(found), 1)
    return replace(
        table,
        hkl=found.hkl,
        panel=found.panel,
        fs=found.fs + fs.astype(np.float32),
        ss=found.ss + ss.astype(np.float32),
    )


def cspad(shared: Path) -> Detector:
    return Detector.from_crystfel(
        shared / "real" / "thermolysin_cspad.geom", distance=0.1, photon_energy=HC / WAVELENGTH
    )


def moved(crystal: Crystal, shift: tuple[float, float]) -> Crystal:
    return replace(crystal, beam_shift=shift)


def places(experiment: StrictExperiment, table: StrictTable, rows: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return where reflections lie on the experiment's own detector, mm in dxtbx's frame."""
    x, y, _ = table.columns["xyzcal.px"][rows].T
    panel = table.columns["panel"][rows]
    found = np.empty((len(x), 3))
    for p in np.unique(panel):
        found[panel == p] = experiment.panels[int(p)].place(x[panel == p], y[panel == p])
    return found


@pytest.mark.parametrize("shift", [(0.0, 0.0), (1.3e-4, -2.4e-4)])
def test_crystal_detector_and_beam_predict_each_reflection_where_it_was_integrated(
    tmp_path: Path, shared: Path, shift: tuple[float, float]
) -> None:
    detector = cspad(shared)
    crystals = [moved(some_crystal(seed), shift) for seed in (1, 2)]
    tables = [predicted(crystal, detector) for crystal in crystals]
    shots = [shot_of(5, detector, peaks=some_peaks(20, 0, detector), crystals=crystals, reflections=tables)]
    experiments, table = written(tmp_path, shots, detector)
    assert [experiment.identifier for experiment in experiments] == [f"{tmp_path}/a.h5//0/0", f"{tmp_path}/a.h5//0/1"]
    assert table.identifiers == {0: experiments[0].identifier, 1: experiments[1].identifier}
    assert experiments[0].imageset == experiments[1].imageset == experiments[0].index == 0
    pixel = 1e3 * detector.panels[0].pixel_size
    for number, (experiment, crystal, expected) in enumerate(zip(experiments, crystals, tables, strict=True)):
        assert experiment.wavelength == pytest.approx(WAVELENGTH, abs=1e-12)
        np.testing.assert_allclose(experiment.axes, crystal.A * TURN, atol=1e-12)
        assert experiment.hall == gemmi.SpaceGroup("P 43 21 2").hall
        rows = table.columns["id"] == number
        np.testing.assert_array_equal(table.columns["miller_index"][rows], expected.hkl)
        ray = places(experiment, table, rows)
        s1 = table.columns["s1"][rows]
        np.testing.assert_allclose(s1, ray / np.linalg.norm(ray, axis=1)[:, None] / WAVELENGTH, atol=1e-7)
        # where dxtbx's models put the lattice's nodes: the beam goes to -z
        k1 = expected.hkl @ np.linalg.inv(experiment.axes).T - [0, 0, 1 / WAVELENGTH]
        k1 *= (np.linalg.norm(ray, axis=1) / np.linalg.norm(k1, axis=1))[:, None]
        assert len(k1) > 100 and np.abs(k1 - ray).max() < 0.12 * pixel
        np.testing.assert_allclose(1 / table.columns["d"][rows], np.linalg.norm(expected.hkl @ crystal.A_star, axis=1))


def test_panels_are_those_of_the_detector(tmp_path: Path, shared: Path) -> None:
    detector = cspad(shared)
    (experiment, *_), _ = written(tmp_path, some_shots(2, detector), detector)
    for panel, expected in zip(experiment.panels, detector.panels, strict=True):
        assert (panel.name, panel.offset) == (expected.name, (expected.fs_start, expected.ss_start))
        assert panel.image_size == expected.shape[::-1]
        np.testing.assert_allclose(panel.fast * panel.pixel_size[0], 1e3 * np.array(expected.fs) * TURN, atol=1e-12)
        np.testing.assert_allclose(panel.slow * panel.pixel_size[1], 1e3 * np.array(expected.ss) * TURN, atol=1e-12)
        step = 0.1 * 1e3 * detector.panels[0].pixel_size
        assert np.abs(panel.origin - 1e3 * np.array(expected.corner) * TURN)[:2].max() < 5 * step + 1


def test_crystals_share_detectors_whose_shifts_are_the_same_to_a_tenth_of_a_pixel(tmp_path: Path) -> None:
    detector = small_detector()  # pixels of 2 mm
    shifts = [(0.0, 0.0), (9e-5, -9e-5), (1.9e-4, 0.0), (2.1e-4, 1e-5)]
    crystals = [moved(some_crystal(n), shift) for n, shift in enumerate(shifts)]
    shots = [
        shot_of(n, detector, peaks=some_peaks(5), crystals=[crystal], reflections=[some_reflections(4)])
        for n, crystal in enumerate(crystals)
    ]
    experiments, _ = written(tmp_path, shots, detector)
    assert [experiment.detector for experiment in experiments] == [0, 0, 1, 1]
    first, second = experiments[0].panels[0].origin, experiments[2].panels[0].origin
    np.testing.assert_allclose(second - first, [0.2, 0, 0], atol=1e-9)  # detector to -x here, +x there
    assert [experiment.index for experiment in experiments] == [0, 1, 2, 3]


def test_the_columns_have_the_types_that_dials_expects_of_them(tmp_path: Path) -> None:
    _, table = written(tmp_path, some_shots(5, small_detector()), small_detector())
    assert table.types == COLUMNS
    assert table.types["id"] == "int" and table.types["flags"] == table.types["panel"] == "std::size_t"
    assert table.types["miller_index"] == "cctbx::miller::index<>"
    assert table.types["intensity.sum.value"] == table.types["intensity.sum.variance"] == table.types["d"] == "double"
    assert all(table.types[name].startswith("vec3") for name in ("s1", "xyzcal.px", "xyzobs.px.value"))


def test_flags_say_what_was_integrated_and_what_was_found(tmp_path: Path) -> None:
    detector = Detector.single_panel(
        (1000, 1000), pixel_size=2e-4, distance=0.1, beam_center=(498.0, 503.0), photon_energy=HC / WAVELENGTH,
        max_adu=60_000.0,
    )  # fmt: skip
    crystal = moved(some_crystal(3), (4e-4, -6e-4))
    table = predicted(crystal, detector)
    n = len(table)
    table.flags[:5] = [Flag.SATURATED, Flag.MASKED, Flag.OVERLAPPED, Flag.EDGE, Flag.NO_BACKGROUND]
    table.intensity[5] = table.sigma[5] = np.nan
    template = some_peaks(30)
    # two spots for the last reflection, of which the second is nearer; none for the others but every third
    which = np.array([*range(8, 89, 3), n - 1, n - 1])[: len(template)]
    away = np.zeros(len(which), np.float32)
    away[-2:] = 0.6, 0.2
    spots = replace(
        template[: len(which)], fs=table.fs[which] + away, ss=table.ss[which], panel=np.zeros(len(which), np.int16)
    )
    shots = [shot_of(1, detector, peaks=spots, crystals=[crystal], reflections=[table])]
    _, found = written(tmp_path, shots, detector)
    left = np.r_[0, 6:n]
    np.testing.assert_array_equal(found.columns["miller_index"], table.hkl[left])
    np.testing.assert_allclose(found.columns["intensity.sum.variance"], table.sigma[left].astype(float) ** 2)
    seen = np.isin(left, which)
    flags = found.columns["flags"]
    assert flags[0] == PREDICTED | OVERLOADED == 1 | 1 << 10
    np.testing.assert_array_equal((flags & (OBSERVED | INDEXED | STRONG)) != 0, seen)
    np.testing.assert_array_equal((flags[1:] & INTEGRATED_SUM) != 0, True)
    observed, calculated = found.columns["xyzobs.px.value"], found.columns["xyzcal.px"]
    np.testing.assert_allclose(observed[:-1, :2], calculated[:-1, :2], atol=1e-3)
    np.testing.assert_allclose(observed[-1, :2] - calculated[-1, :2], [0.2, 0.0], atol=1e-3)
    np.testing.assert_allclose(found.columns["xyzobs.mm.value"][:, :2], 0.2 * observed[:, :2])


@pytest.mark.parametrize(
    "text",
    [
        "50 60 70 80 85 75 P1", "50 60 70 90 100 90 C2", "50 60 70 90 100 90 I2", "50 60 70 90 90 90 P212121",
        "50 50 70 90 90 120 R32", "50 50 70 90 90 120 P63", "80 80 80 90 90 90 F432",
    ],
)  # fmt: skip
def test_the_space_group_goes_by_its_hall_symbol(tmp_path: Path, text: str) -> None:
    cell = UnitCell.from_string(text)
    experiments = Experiments(small_detector())
    experiments.add(replace(some_crystal(), known=cell), dump=Path("/a.h5"), entry=0, lattice=0, wavelength=1.0)
    experiments.write(tmp_path / "a.expt")
    (found,) = read_experiments(tmp_path / "a.expt")
    assert gemmi.symops_from_hall(found.hall) == cell.group.operations()


def test_a_lattice_of_unknown_symmetry_is_triclinic_and_one_without_reflections_stays(tmp_path: Path) -> None:
    detector = small_detector()
    unknown = some_crystal(known=None)
    shots = [
        shot_of(0, detector, peaks=Peaks.empty(), crystals=[unknown], reflections=[some_reflections(0)]),
        shot_of(1, detector, peaks=some_peaks(3), crystals=[some_crystal(1)], reflections=[some_reflections(7)]),
    ]
    experiments, table = written(tmp_path, shots, detector)
    assert [experiment.hall for experiment in experiments] == ["P 1", LYSOZYME.group.hall]
    assert table.columns["id"].tolist() == [1] * 7 and len(table.identifiers) == 2


def test_what_dials_could_not_read_is_refused(tmp_path: Path) -> None:
    experiments = Experiments(small_detector())
    with pytest.raises(ValueError, match=r"a\.h5, image 3: expected a wavelength above 0 Angstrom, found nan"):
        experiments.add(some_crystal(), dump=Path("/a.h5"), entry=3, lattice=0, wavelength=float("nan"))
    with ReflectionTable(tmp_path) as table:
        with pytest.raises(ValueError, match="expected the columns id, panel"):
            table.append({"id": np.zeros(3)})
        columns = {
            name: np.zeros((2, 3) if "vec3" in kind or "miller" in kind else 2) for name, kind in COLUMNS.items()
        }
        with pytest.raises(ValueError, match=r"s1: expected the shape \(2, 3\), found \(2,\)"):
            table.append({**columns, "s1": np.zeros(2)})
    assert list(tmp_path.iterdir()) == []
