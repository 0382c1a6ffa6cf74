"""Predicted spots against plain Ewald geometry, Monte Carlo sampling and CrystFEL's peaks."""

from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401 - registers the frames' compression
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from braggwatch.processing.beam import Beam
from braggwatch.processing.detector import Detector, Panel
from braggwatch.processing.simulation.demo import LYSOZYME, demo_detector
from braggwatch.processing.simulation.prediction import Spread, predict
from braggwatch.processing.simulation.structure_factors import wilson_intensities

BEAM = Beam(9500.0)


def tilted_detector() -> Detector:
    """Four panels of 150 x 200 pixels, each turned its own way, stacked along ss in the image array."""
    panels = []
    for number, (x, y) in enumerate([(-60.0, -40.0), (10.0, -45.0), (-50.0, 10.0), (10.0, 10.0)]):
        turn = Rotation.from_euler("zyx", [number * 25.0 - 30.0, 6.0, -4.0 + 3 * number], degrees=True)
        fs, ss = turn.apply([[2e-4, 0, 0], [0, 2e-4, 0]])
        corner = (x * 1e-3, y * 1e-3, 0.09 + 0.002 * number)
        panels.append(Panel(f"q{number}", 0, 200, 150 * number, 150 * number + 150, corner, tuple(fs), tuple(ss)))
    return Detector(tuple(panels), (600, 200), BEAM)


def turned_lattice(seed: int) -> NDArray[np.float64]:
    return np.linalg.inv(LYSOZYME.A @ Rotation.random(random_state=seed).as_matrix().T).T


def all_hkl(d_min: float) -> NDArray[np.int16]:
    return wilson_intensities(LYSOZYME, d_min, b_factor=20.0).hkl


def test_spots_lie_where_plain_ewald_geometry_puts_them() -> None:
    detector, A_star, hkl = tilted_detector(), turned_lattice(1), all_hkl(2.2)
    spread = Spread(block_size=1000.0)
    spots = predict(A_star, hkl, detector, BEAM, spread, 1.0)
    k0 = 1.0 / BEAM.wavelength
    expected = {}
    for row, miller in enumerate(hkl.astype(float)):
        k1 = miller @ A_star + [0.0, 0.0, k0]
        error = np.sqrt(k1 @ k1) - k0
        if abs(error) > 4.0 * spread.block_sigma:
            continue
        for number, panel in enumerate(detector.panels):
            # corner + u fs + v ss = t k1, three equations for u, v and t
            u, v, t = np.linalg.solve(np.array([panel.fs, panel.ss, -k1]).T, -np.array(panel.corner))
            if t > 0 and 0 <= u < 200 and 0 <= v < 150:
                expected[row, number] = (u, v + 150 * number, error)
    found = {
        (int(i), int(p)): (fs, ss, error)
        for i, p, fs, ss, error, inside in zip(
            spots.index, spots.panel, spots.fs, spots.ss, spots.excitation_error, spots.inside, strict=True
        )
        if inside
    }
    # The two cuts at four standard deviations differ by the curvature of the Ewald sphere alone.
    common = found.keys() & expected.keys()
    assert {panel for _, panel in common} == {0, 1, 2, 3}
    assert len(common) > 100 and len(found.keys() ^ expected.keys()) <= 2
    for key in common:
        np.testing.assert_allclose(found[key][:2], expected[key][:2], atol=1e-3)
        np.testing.assert_allclose(found[key][2], expected[key][2], rtol=1e-9)


def test_projection_agrees_with_the_detectors_own() -> None:
    detector, A_star, hkl = tilted_detector(), turned_lattice(2), all_hkl(2.2)
    spots = predict(A_star, hkl, detector, BEAM, Spread(block_size=1000.0), 1.0)
    fs, ss, panel = detector.project_q(hkl[spots.index[spots.inside]] @ A_star)
    np.testing.assert_array_equal(spots.panel[spots.inside], panel)
    np.testing.assert_allclose(spots.fs[spots.inside], fs, atol=1e-3)
    np.testing.assert_allclose(spots.ss[spots.inside], ss, atol=1e-3)


@pytest.mark.parametrize(
    ("spread", "bandwidth"),
    [
        (Spread(block_size=800.0), 0.0),
        (Spread(block_size=2000.0, mosaicity=0.15), 0.0),
        (Spread(block_size=2000.0), 0.01),
        (Spread(block_size=1500.0, mosaicity=0.1, divergence=0.1), 0.004),
    ],
    ids=["blocks", "mosaic", "bandwidth", "all"],
)
def test_place_shape_and_partiality_are_those_of_a_monte_carlo_sample(spread: Spread, bandwidth: float) -> None:
    detector, beam = tilted_detector(), Beam(9500.0, bandwidth)
    A_star, hkl = turned_lattice(3), all_hkl(2.5)
    spots = predict(A_star, hkl, detector, beam, spread, 0.0)
    rng = np.random.default_rng(0)
    n, k0 = 400_000, 1.0 / beam.wavelength
    candidates = np.nonzero(spots.inside & (spots.partiality > 0.3 * spots.partiality.max()))[0]
    for spot in candidates[:: max(len(candidates) // 4, 1)]:
        # Blocks of finite size, turned a little, in a beam of some directions and energies
        turned = Rotation.from_rotvec(rng.normal(size=(n, 3)) * np.radians(spread.mosaicity)).apply(
            hkl[spots.index[spot]] @ A_star
        )
        turned += rng.normal(size=(n, 3)) * spread.block_sigma
        source = np.zeros((n, 3))
        source[:, :2] = rng.normal(size=(n, 2)) * np.radians(spread.divergence) * k0
        source[:, 2] = k0 * (1.0 + rng.normal(size=n) * bandwidth / np.sqrt(8 * np.log(2)))
        k1 = turned + source
        error = np.linalg.norm(k1, axis=1) - np.linalg.norm(source, axis=1)
        width = 0.1 * error.std()
        near = np.abs(error) < width
        partiality = near.sum() / n / (2.0 * width) * np.sqrt(2.0 * np.pi) * spread.block_sigma
        assert spots.partiality[spot] == pytest.approx(partiality, rel=4.0 / np.sqrt(near.sum()) + 0.01)
        fs, ss, panel = detector.project(k1[near])
        on = panel == spots.panel[spot]
        if on.mean() < 1.0:  # cut by an edge, so its moments are other ones
            continue
        covariance = np.cov(fs, ss)
        sigma = np.sqrt([covariance[0, 0], covariance[1, 1]])
        slack = 5.0 * sigma / np.sqrt(near.sum()) + 0.03 * sigma
        assert abs(spots.fs[spot] - fs.mean()) < slack[0]
        assert abs(spots.ss[spot] - ss.mean()) < slack[1]
        np.testing.assert_allclose(
            spots.covariance[spot], [covariance[0, 0], covariance[0, 1], covariance[1, 1]], atol=0.06 * sigma.max() ** 2
        )


def test_mosaic_blocks_diffract_at_the_bragg_angle_whatever_the_excitation_error() -> None:
    detector, A_star, hkl = tilted_detector(), turned_lattice(4), all_hkl(2.5)
    spots = predict(A_star, hkl, detector, BEAM, Spread(block_size=1e5, mosaicity=0.3), 1.0)
    on = spots.inside
    d = detector.resolution(spots.fs[on], spots.ss[on], spots.panel[on])
    # The tilt of a block by four standard deviations, 0.02 rad, leaves a term of second order: half its square.
    np.testing.assert_allclose(1.0 / d, np.linalg.norm(hkl[spots.index[on]] @ A_star, axis=1), rtol=3e-4)
    assert np.abs(spots.excitation_error[on]).max() > 1e-3


def test_a_wide_spectrum_draws_spots_out_along_the_radius() -> None:
    detector = Detector.single_panel((1000, 1000), pixel_size=1e-4, distance=0.1, beam_center=(500.0, 500.0))
    A_star, hkl = turned_lattice(5), all_hkl(2.5)
    spots = predict(A_star, hkl, detector, Beam(9500.0, 0.02), Spread(block_size=3000.0), 0.5)
    radius = np.stack([spots.fs - 500.0, spots.ss - 500.0], axis=1)
    radius /= np.linalg.norm(radius, axis=1, keepdims=True)
    xx, xy, yy = spots.covariance.T
    along = xx * radius[:, 0] ** 2 + 2 * xy * radius[:, 0] * radius[:, 1] + yy * radius[:, 1] ** 2
    assert np.median(along / (xx + yy - along)) > 3.0


def test_a_spot_on_the_seam_of_two_panels_stands_on_both_and_is_inside_one() -> None:
    half = (100, 400)
    whole = Detector.single_panel((200, 400), pixel_size=2e-4, distance=0.08, beam_center=(200.0, 100.0))
    (panel,) = whole.panels
    upper = Panel("upper", 0, 400, 0, 100, panel.corner, panel.fs, panel.ss)
    lower = Panel(
        "lower", 0, 400, 100, 200, (panel.corner[0], panel.corner[1] + half[0] * 2e-4, 0.08), panel.fs, panel.ss
    )
    split = Detector((upper, lower), (200, 400))
    A_star, hkl = turned_lattice(6), all_hkl(2.5)
    spread = Spread(block_size=500.0)
    one, two = (predict(A_star, hkl, detector, BEAM, spread, 2.0) for detector in (whole, split))
    seam = one.index[np.abs(one.ss - 100.0) < 7.0]
    assert len(seam) > 3
    for index in seam:
        assert sorted(two.panel[two.index == index]) == [0, 1]
        assert two.inside[two.index == index].sum() == 1
        place = one.fs[one.index == index], one.ss[one.index == index]
        np.testing.assert_allclose(two.fs[two.index == index], place[0][0], atol=1e-9)
        np.testing.assert_allclose(two.ss[two.index == index], place[1][0], atol=1e-9)


def test_no_reflections_give_no_spots() -> None:
    spots = predict(turned_lattice(1), np.empty((0, 3), np.int16), tilted_detector(), BEAM, Spread(1000.0), 1.0)
    assert len(spots.index) == len(spots.fs) == len(spots.partiality) == 0


def test_spots_coincide_with_the_peaks_that_crystfel_finds(shared: Path) -> None:
    hkl = all_hkl(1.58)
    spread = Spread(block_size=2000.0)
    distances = []
    with h5py.File(shared / "frames" / "lysozyme_4m.h5") as file:
        frames = file["crystfel_peakfinder8/frame"][()]
        peaks = file["crystfel_peakfinder8/fs_ss_intensity"][()]
        vectors = zip(file["truth/lattice_frame"][()], file["truth/reciprocal_vectors"][()], strict=True)
        for frame, A_star in vectors:
            spots = predict(A_star, hkl, demo_detector(), Beam(12398.42), spread, 1.0)
            tree = cKDTree(np.stack([spots.fs, spots.ss], axis=1))
            distances.append(tree.query(peaks[frames == frame, :2])[0])
    distance = np.concatenate(distances)
    assert len(distance) == 754
    assert np.mean(distance < 1.0) > 0.97
    assert np.median(distance) < 0.3


@pytest.mark.parametrize("block_size", [0.0, -3.0])
def test_a_block_size_that_is_not_positive_is_refused(block_size: float) -> None:
    with pytest.raises(ValueError, match=r"the mosaic block size must be positive, found .* Angstrom"):
        Spread(block_size)


def test_a_negative_mosaicity_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must not be negative, found -0.1 and 0.0 degrees"):
        Spread(1000.0, mosaicity=-0.1)
