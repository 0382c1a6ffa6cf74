"""Expected reflections against plain Ewald geometry, the simulator, Monte Carlo sampling and CrystFEL's peaks."""

import re
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401 - registers the frames' compression
import numpy as np
import pytest
from indexing_truth import CELLS, cell_of
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from braggwatch.processing.beam import Beam
from braggwatch.processing.crystal import Crystal
from braggwatch.processing.detector import Detector, Panel
from braggwatch.processing.indexer import Indexer
from braggwatch.processing.peak_finder import PeakFinder
from braggwatch.processing.prediction import Predictor, estimate_profile_radius
from braggwatch.processing.simulation.demo import LYSOZYME
from braggwatch.processing.simulation.prediction import Spread, predict
from braggwatch.processing.unit_cell import UnitCell

BEAM = Beam(9500.0)


def tilted_detector(beam: Beam | None = BEAM) -> Detector:
    """Four panels of 150 x 200 pixels, each turned its own way, and one behind the sample."""
    panels = []
    for number, (x, y) in enumerate([(-60.0, -40.0), (10.0, -45.0), (-50.0, 10.0), (10.0, 10.0)]):
        turn = Rotation.from_euler("zyx", [number * 25.0 - 30.0, 6.0, -4.0 + 3 * number], degrees=True)
        fs, ss = turn.apply([[2e-4, 0, 0], [0, 2e-4, 0]])
        corner = (x * 1e-3, y * 1e-3, 0.09 + 0.002 * number)
        panels.append(Panel(f"q{number}", 0, 200, 150 * number, 150 * number + 150, corner, tuple(fs), tuple(ss)))
    panels.append(Panel("back", 0, 200, 600, 750, (-0.02, -0.015, -0.09), (2e-4, 0, 0), (0, 2e-4, 0)))
    return Detector(tuple(panels), (750, 200), beam)


def flat_detector(beam: Beam | None = BEAM) -> Detector:
    detector = Detector.single_panel((500, 600), pixel_size=2e-4, distance=0.1, beam_center=(310.0, 240.0))
    return detector if beam is None else detector.with_beam(beam)


def turned(cell: UnitCell, seed: int) -> NDArray[np.float64]:
    return np.asarray(cell.A @ Rotation.random(random_state=seed).as_matrix().T)


def whole_sphere(A: NDArray[np.float64], d_min: float) -> NDArray[np.int32]:
    ranges = [np.arange(-n, n + 1) for n in (np.linalg.norm(A, axis=1) / d_min).astype(int) + 1]
    hkl = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, 3)
    length = np.linalg.norm(hkl @ np.linalg.inv(A).T, axis=1)
    return np.asarray(hkl[(length > 0) & (length <= 1 / d_min)], np.int32)


@pytest.mark.parametrize("lattice", CELLS)
def test_all_reflections_are_found_that_plain_ewald_geometry_puts_on_a_panel(lattice: str) -> None:
    cell, detector, d_min = cell_of(lattice), tilted_detector(), 3.0
    A = turned(cell, 1)
    found = Predictor(detector, cell, d_min=d_min)(A)
    hkl = whole_sphere(A, d_min)
    hkl = hkl[~cell.is_absent(hkl)]
    q = hkl @ np.linalg.inv(A).T
    error = np.linalg.norm(q + np.array([0, 0, 1 / BEAM.wavelength]), axis=1) - 1 / BEAM.wavelength
    near = np.abs(error) < 0.002
    fs, ss, panel = detector.project_q(q[near])
    expected = {
        tuple(miller): row for miller, *row in zip(hkl[near], fs, ss, panel, error[near], strict=True) if row[2] >= 0
    }
    assert len(expected) > 20
    assert {tuple(miller) for miller in found.hkl} == expected.keys()
    assert len(found) == len(expected)
    for row, miller in enumerate(found.hkl):
        fs1, ss1, panel1, error1 = expected[tuple(miller)]
        assert found.panel[row] == panel1
        assert (found.fs[row], found.ss[row]) == pytest.approx((fs1, ss1), abs=1e-3)
        assert found.excitation_error[row] == pytest.approx(error1, abs=1e-8)
        assert found.partiality[row] == pytest.approx(1 - (error1 / 0.002) ** 2, abs=1e-5)
    lengths = np.linalg.norm(found.hkl @ np.linalg.inv(A).T, axis=1)
    np.testing.assert_allclose(found.inverse_d, lengths, rtol=1e-6)


def test_a_panel_behind_the_sample_sees_reflections_beyond_ninety_degrees() -> None:
    cell = UnitCell(16.0, 17.0, 18.0)
    found = Predictor(tilted_detector(), cell, profile_radius=0.01)(turned(cell, 3))
    behind = found.panel == 4
    assert behind.sum() > 3
    assert (found.inverse_d[behind] > np.sqrt(2.0) / BEAM.wavelength).all()


@pytest.mark.parametrize(
    ("spread", "bandwidth", "divergence"),
    [(Spread(block_size=1000.0), 0.0, 0.0), (Spread(block_size=8000.0, divergence=0.05), 0.03, 0.17)],
    ids=["perfect beam", "wide beam"],
)
def test_spots_lie_where_the_simulator_puts_them(spread: Spread, bandwidth: float, divergence: float) -> None:
    # The simulator's beam is a normal distribution, of the same variance as the uniform one here.
    energy_sigma = bandwidth / 2 / np.sqrt(3)
    beam = Beam(9500.0, energy_sigma * np.sqrt(8 * np.log(2)))
    detector = tilted_detector(beam)
    predictor = Predictor(
        detector, LYSOZYME, d_min=2.5, profile_radius=np.sqrt(5) * spread.block_sigma, bandwidth=bandwidth,
        divergence=divergence,
    )  # fmt: skip
    A = turned(LYSOZYME, 2)
    found = predictor(A)
    hkl = whole_sphere(A, 2.5).astype(np.int16)
    spots = predict(np.asarray(np.linalg.inv(A).T, np.float64), hkl, detector, beam, spread, 0.0)
    where = {
        tuple(hkl[i]): (fs, ss)
        for i, fs, ss, inside in zip(spots.index, spots.fs, spots.ss, spots.inside, strict=True)
        if inside
    }
    both = [
        np.subtract(where[tuple(miller)], place)
        for miller, place in zip(found.hkl, np.stack([found.fs, found.ss], axis=1), strict=True)
        if tuple(miller) in where
    ]
    assert len(both) > 0.97 * len(found) > 50
    assert np.abs(both).max() < (1e-3 if bandwidth == 0 else 0.1)


@pytest.mark.parametrize(("bandwidth", "divergence"), [(0.02, 0.0), (0.0, 0.2), (1e-5, 0.0)])
def test_partiality_is_the_mean_over_the_beam_of_the_circles_cut_out_of_the_nodes(
    bandwidth: float, divergence: float
) -> None:
    A, radius = turned(LYSOZYME, 4), 0.0012
    found = Predictor(
        flat_detector(), LYSOZYME, d_min=3.0, profile_radius=radius, bandwidth=bandwidth, divergence=divergence
    )(A)
    rng, n, k0 = np.random.default_rng(0), 100_000, 1 / BEAM.wavelength
    for row in range(0, len(found), len(found) // 20):
        q = found.hkl[row] @ np.linalg.inv(A).T
        tilt = rng.uniform(-1, 1, n) * np.radians(divergence) / 2
        k = k0 * (1 + rng.uniform(-1, 1, n) * bandwidth / 2)
        x, y = q[:2] / np.linalg.norm(q[:2])
        beam = k[:, None] * np.stack([np.sin(tilt) * x, np.sin(tilt) * y, np.cos(tilt)], axis=1)
        error = np.linalg.norm(q + beam, axis=1) - k
        assert found.partiality[row] == pytest.approx(np.maximum(0, 1 - (error / radius) ** 2).mean(), abs=0.01)


def test_absent_and_masked_reflections_are_left_out() -> None:
    A = turned(LYSOZYME, 5)
    detector = flat_detector()
    everything = Predictor(detector, LYSOZYME, d_min=2.5)(A)
    assert not LYSOZYME.is_absent(everything.hkl).any()
    primitive = Predictor(detector, UnitCell(*LYSOZYME.parameters), d_min=2.5)(A)
    assert LYSOZYME.is_absent(primitive.hkl).sum() == len(primitive) - len(everything)
    mask = np.zeros(detector.shape, bool)
    mask[:200] = True
    rest = Predictor(detector.with_mask(mask), LYSOZYME, d_min=2.5)(A)
    assert 0 < len(rest) == (everything.ss >= 200).sum() < len(everything)


def test_spots_that_were_found_and_indexed_are_predicted(shared: Path) -> None:
    found_by_us, distances = 0, []
    with h5py.File(shared / "frames" / "lysozyme_4m.h5") as file:
        detector = Detector.from_crystfel(shared / "frames" / "lysozyme_4m.geom").with_mask(file["mask"][()])
        images = file["entry/data/data"]
        finder, indexer, predictor = PeakFinder(detector), Indexer(LYSOZYME), Predictor(detector, LYSOZYME)
        for number in np.unique(file["truth/lattice_frame"][()]):
            image = images[number]
            peaks = finder(image)
            (crystal,) = indexer.index(peaks, detector)
            expected = predictor(crystal.A)
            assert (image[expected.ss.astype(int), expected.fs.astype(int)] != 65535).mean() > 0.95
            tree = cKDTree(np.stack([expected.fs, expected.ss], axis=1))
            distances.append(tree.query(np.stack([peaks.fs, peaks.ss], axis=1)[crystal.spots])[0])
            found_by_us += len(crystal.spots)
    assert found_by_us > 500
    assert np.mean(np.concatenate(distances) < 2.0) > 0.95


def test_peaks_of_crystfel_are_predicted_from_the_true_lattices(shared: Path) -> None:
    predictor = Predictor(Detector.from_crystfel(shared / "frames" / "lysozyme_4m.geom"), LYSOZYME)
    distances = []
    with h5py.File(shared / "frames" / "lysozyme_4m.h5") as file:
        frames, peaks = (file[f"crystfel_peakfinder8/{name}"][()] for name in ("frame", "fs_ss_intensity"))
        vectors = zip(file["truth/lattice_frame"][()], file["truth/reciprocal_vectors"][()], strict=True)
        for frame, A_star in vectors:
            expected = predictor(np.linalg.inv(A_star).T)
            tree = cKDTree(np.stack([expected.fs, expected.ss], axis=1))
            distances.append(tree.query(peaks[frames == frame, :2])[0])
    assert np.mean(np.concatenate(distances) < 2.0) > 0.98


@pytest.mark.parametrize(
    ("geometry", "panels"),
    [("jf-swissfel-16M.geom", 32), ("lcls-cxi-jungfrau4M.geom", 64), ("agipd_mar18_v11.geom", 128)],
)
def test_reflections_are_predicted_on_the_panels_of_real_detectors(shared: Path, geometry: str, panels: int) -> None:
    detector = Detector.from_crystfel(shared / "geometries" / geometry, distance=0.1, photon_energy=9500.0)
    detector = detector.with_distance(0.12)
    found = Predictor(detector, LYSOZYME)(turned(LYSOZYME, 7))
    assert len(detector.panels) == panels
    assert len(set(found.panel)) > 0.8 * panels
    np.testing.assert_array_equal(detector.panel_at(found.fs, found.ss), found.panel)
    q = detector.q(found.fs, found.ss, found.panel)
    nodes = found.hkl @ np.linalg.inv(turned(LYSOZYME, 7)).T
    assert np.linalg.norm(q - nodes, axis=1).max() < 0.0021


def test_the_search_ends_at_the_detectors_corner_or_at_d_min() -> None:
    detector = flat_detector()
    corner = float(detector.resolution([0.0], [500.0], [0])[0])
    A = turned(LYSOZYME, 8)
    to_corner, beyond, coarse = (Predictor(detector, LYSOZYME, d_min=d)(A) for d in (None, 0.1, 4.0))
    np.testing.assert_array_equal(to_corner.hkl, beyond.hkl)
    assert 1 / to_corner.inverse_d.max() == pytest.approx(corner, rel=0.1)
    assert coarse.inverse_d.max() <= 0.25
    assert {tuple(h) for h in coarse.hkl} == {tuple(h) for h in to_corner.hkl[to_corner.inverse_d <= 0.25]}


def test_the_profile_radius_is_that_of_the_spots_that_were_found() -> None:
    detector, A = flat_detector(), turned(LYSOZYME, 9)
    spots = Predictor(detector, LYSOZYME, d_min=2.5, profile_radius=0.0017)(A)
    crystal = Crystal(A=A, hkl=spots.hkl, spots=np.arange(len(spots)))
    assert estimate_profile_radius(crystal, BEAM) == pytest.approx(0.0017, rel=0.03)
    with pytest.raises(ValueError, match="needs indexed spots"):
        estimate_profile_radius(Crystal(A=A), BEAM)


def test_what_the_beams_spread_excites_does_not_widen_the_profile_radius() -> None:
    detector, A = flat_detector(), turned(LYSOZYME, 9)
    for bandwidth, divergence in ((0.01, 0.0), (0.0, 0.1)):
        predict = Predictor(
            detector, LYSOZYME, d_min=2.5, profile_radius=0.001, bandwidth=bandwidth, divergence=divergence
        )
        spots = predict(A)
        crystal, beam = Crystal(A=A, hkl=spots.hkl, spots=np.arange(len(spots))), Beam(9500.0, bandwidth)
        assert estimate_profile_radius(crystal, beam, divergence=divergence) == pytest.approx(0.001, rel=0.05)
        assert estimate_profile_radius(crystal, BEAM) > 0.00115


def test_a_detector_without_a_beam_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the photon energy is unknown.*give photon_energy in \[detector\]"):
        Predictor(flat_detector(None), LYSOZYME)


def test_a_cell_with_too_many_reflections_is_refused_before_they_are_searched() -> None:
    with pytest.raises(ValueError, match=r"at most 1000000 can be predicted: choose a larger d_min"):
        Predictor(flat_detector(), UnitCell(900.0, 1000.0, 1100.0))
    predictor = Predictor(flat_detector(), LYSOZYME)
    with pytest.raises(ValueError, match="can be predicted"):
        predictor(100.0 * LYSOZYME.A)
    with pytest.raises(ValueError, match="can be predicted"):
        predictor([[1e5, 0, 0], [0, 1e5, 0], [1e5, 1e5, 1e-5]])


@pytest.mark.parametrize("A", [np.zeros((3, 3)), np.full((3, 3), np.nan), np.eye(2), np.ones((3, 3))])
def test_axes_that_span_nothing_are_refused(A: NDArray[np.float64]) -> None:
    with pytest.raises(ValueError, match="expected three axes that span space"):
        Predictor(flat_detector(), LYSOZYME)(A)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"d_min": 0.0}, "d_min must be positive, found 0.0 Angstrom"),
        ({"profile_radius": 0.0}, "the profile radius must lie above 0 and at most at 0.1/A, found 0.0/A"),
        ({"bandwidth": 1.0}, "bandwidth is a fraction between 0 and 1, found 1.0"),
        ({"divergence": -1.0}, "the divergence must lie between 0 and 10 degrees, found -1.0"),
    ],
)
def test_values_that_make_no_sense_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Predictor(flat_detector(), LYSOZYME, **options)


def test_a_crystal_whose_reflections_all_miss_the_detector_gives_none() -> None:
    found = Predictor(flat_detector(), UnitCell(3.0, 3.0, 3.0), profile_radius=1e-4)(3.0 * np.eye(3))
    assert len(found) == 0
    assert found.hkl.shape == (0, 3)
