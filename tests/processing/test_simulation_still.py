"""Simulated stills: what is in the image is what the truth says."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from scipy.spatial.transform import Rotation

from braggwatch.processing.beam import Beam
from braggwatch.processing.detector import Detector, Panel
from braggwatch.processing.simulation import LYSOZYME, Background, Spread, StillSimulator
from braggwatch.processing.simulation.still import random_rotations

BEAM = Beam(12398.42)
DARK = Background(level=0.0)


def small_detector(mask: NDArray[np.bool_] | None = None) -> Detector:
    return Detector.single_panel(
        (400, 420), pixel_size=3e-4, distance=0.12, beam_center=(208.3, 195.7), mask=mask
    ).with_beam(BEAM)


@pytest.fixture(scope="module")
def simulator() -> StillSimulator:
    return StillSimulator(small_detector(), LYSOZYME, beam_stop=3e-3)


def test_the_same_seed_gives_the_same_image_and_truth(simulator: StillSimulator) -> None:
    image, truth = simulator.simulate(11, 2)
    again, same = StillSimulator(small_detector(), LYSOZYME, beam_stop=3e-3).simulate(np.random.default_rng(11), 2)
    np.testing.assert_array_equal(image, again)
    np.testing.assert_array_equal(truth.A, same.A)
    np.testing.assert_array_equal(truth.reflections.intensity, same.reflections.intensity)
    assert not np.array_equal(image, simulator.simulate(12, 2)[0])


@pytest.mark.parametrize("n_lattices", [0, 1, 2, 3])
def test_the_truth_lists_every_lattice(simulator: StillSimulator, n_lattices: int) -> None:
    image, truth = simulator.simulate(5, n_lattices)
    assert image.shape == (400, 420) and image.dtype == np.uint16
    assert truth.is_hit == (n_lattices > 0)
    assert truth.A.shape == (n_lattices, 3, 3) and truth.crystal_size.shape == (n_lattices,)
    assert set(truth.reflections.lattice.tolist()) == set(range(n_lattices))
    for A in truth.A:
        np.testing.assert_allclose(A @ A.T, np.diag([79.2**2, 79.2**2, 38.0**2]), atol=1e-8)
        assert np.linalg.det(A) > 0


def test_every_reflection_lies_where_its_lattice_puts_it(simulator: StillSimulator) -> None:
    _, truth = simulator.simulate(6, 2)
    reflections = truth.reflections
    A_star = np.linalg.inv(truth.A).transpose(0, 2, 1)[reflections.lattice]
    expected = np.einsum("ni,nij->nj", reflections.hkl.astype(float), A_star)
    found = simulator.detector.q(reflections.fs, reflections.ss, reflections.panel)
    assert len(reflections) > 300
    assert np.linalg.norm(found - expected, axis=1).max() < 1e-3
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), np.linalg.norm(expected, axis=1), atol=7e-4)


def test_given_orientations_turn_the_cell_in_its_standard_setting(simulator: StillSimulator) -> None:
    turns = Rotation.random(2, random_state=1)
    _, truth = simulator.simulate(0, orientations=turns.as_matrix())
    for turn, A in zip(turns, truth.A, strict=True):
        np.testing.assert_allclose(A, turn.apply(LYSOZYME.A), atol=1e-9)


def test_all_photons_of_the_reflections_and_no_others_are_in_the_image() -> None:
    simulator = StillSimulator(small_detector(), LYSOZYME, background=DARK)
    assert not simulator.simulate(1, 0)[0].any()
    total = expected = 0.0
    for seed in range(5):
        image, truth = simulator.simulate(seed, 1)
        # Away from the edges, where a flank is cut or comes from a spot outside
        inner = (slice(20, -20), slice(20, -20))
        fs, ss = truth.reflections.fs, truth.reflections.ss
        within = (fs > 20) & (fs < 400) & (ss > 20) & (ss < 380)
        total += float(image[inner].sum())
        expected += float(truth.reflections.intensity[within].sum())
    assert expected > 10_000
    assert abs(total - expected) < 5.0 * np.sqrt(expected) + 2e-4 * expected


def test_the_photons_of_a_spot_are_poisson_about_its_intensity() -> None:
    simulator = StillSimulator(small_detector(), LYSOZYME, background=DARK, pulse_spread=0.0, crystal_spread=0.0)
    orientation = Rotation.random(random_state=4).as_matrix()[None]
    _, truth = simulator.simulate(0, orientations=orientation)
    reflections = truth.reflections
    place = np.stack([reflections.fs, reflections.ss], axis=1)
    gap = np.linalg.norm(place[:, None] - place[None], axis=2) + 1e3 * np.eye(len(place))
    alone = (gap.min(axis=1) > 20) & (np.abs(place - 200).max(axis=1) < 180) & (reflections.intensity > 5)
    chosen = np.nonzero(alone)[0][:10]
    assert len(chosen) > 4
    images = [simulator.simulate(seed, orientations=orientation)[0].astype(float) for seed in range(200)]
    for spot in chosen:
        row, column = int(reflections.ss[spot]), int(reflections.fs[spot])
        sums = np.array([image[row - 8 : row + 9, column - 8 : column + 9].sum() for image in images])
        expected = float(reflections.intensity[spot])
        assert sums.mean() == pytest.approx(expected, abs=4.0 * np.sqrt(expected / 200))
        dispersion = ((sums - expected) ** 2).sum() / expected
        assert 1e-4 < stats.chi2(200).cdf(dispersion) < 1 - 1e-4


def test_mosaicity_and_bandwidth_spread_the_intensity_and_do_not_add_to_it() -> None:
    def total(spread: Spread, bandwidth: float) -> float:
        detector = small_detector().with_beam(Beam(12398.42, bandwidth))
        simulator = StillSimulator(
            detector, LYSOZYME, background=DARK, spread=spread, d_min=2.5, pulse_spread=0.0, crystal_spread=0.0
        )
        return sum(float(simulator.simulate(seed)[1].reflections.intensity.sum()) for seed in range(40))

    sharp = total(Spread(1000.0), 0.0)
    assert total(Spread(1000.0, mosaicity=0.1), 0.0) == pytest.approx(sharp, rel=0.1)
    assert total(Spread(1000.0), 0.01) == pytest.approx(sharp, rel=0.1)


def test_gaps_the_beam_stop_and_broken_pixels_are_as_they_should_be() -> None:
    mask = np.zeros((400, 420), bool)
    mask[100:120] = True
    simulator = StillSimulator(small_detector(mask), LYSOZYME, beam_stop=3e-3, hot_pixels=20, dead_pixels=30)
    image, truth = simulator.simulate(3, 2)
    assert ((image == 65535) == mask).all()
    row, column = np.indices(image.shape)
    radius = np.hypot(column + 0.5 - 208.3, row + 0.5 - 195.7)
    assert not image[radius < 9.9].any()
    assert image[(radius > 11) & (radius < 30)].mean() > 3.0
    assert len(simulator.hot_pixels) == 20 and len(simulator.dead_pixels) == 30
    hot, dead = tuple(simulator.hot_pixels.T), tuple(simulator.dead_pixels.T)
    assert (image[hot] >= 100).all() and (image[hot] <= 10000).all()
    assert not image[dead].any() and not mask[dead].any() and not mask[hot].any()
    np.testing.assert_array_equal(image[hot], simulator.simulate(4, 0)[0][hot])
    reflections = truth.reflections
    blocked = mask | (radius < 10.0)
    blocked[hot], blocked[dead] = True, True
    at = reflections.ss.astype(int), reflections.fs.astype(int)
    np.testing.assert_array_equal(reflections.measured, ~blocked[at])
    assert not reflections.measured.all()


def test_the_strongest_spots_saturate_below_the_value_of_gaps() -> None:
    image, _ = StillSimulator(small_detector(), LYSOZYME, photons=1e8).simulate(2)
    assert image.max() == 65534


def test_pulse_energy_scales_background_and_reflections_together() -> None:
    simulator = StillSimulator(small_detector(), LYSOZYME, pulse_spread=0.4, crystal_spread=0.0)
    orientation = Rotation.random(random_state=2).as_matrix()[None]
    shots = [simulator.simulate(seed, orientations=orientation) for seed in range(6)]
    energy = np.array([truth.pulse_energy for _, truth in shots])
    assert energy.max() > 1.2 * energy.min()
    light = np.array([image.mean() for image, _ in shots]) / energy
    bragg = np.array([truth.reflections.intensity.sum() for _, truth in shots]) / energy
    np.testing.assert_allclose(light, light.mean(), rtol=0.02)
    np.testing.assert_allclose(bragg, bragg.mean(), rtol=1e-5)


def test_pulses_and_crystals_vary_about_a_mean_of_one_by_what_is_asked() -> None:
    simulator = StillSimulator(small_detector(), LYSOZYME, d_min=20.0, pulse_spread=0.3, crystal_spread=0.6)
    truths = [simulator.simulate(seed, 3)[1] for seed in range(400)]
    energy = np.array([truth.pulse_energy for truth in truths])
    size = np.concatenate([truth.crystal_size for truth in truths])
    assert energy.mean() == pytest.approx(1.0, abs=0.06) and energy.std() == pytest.approx(0.3, abs=0.06)
    assert size.mean() == pytest.approx(1.0, abs=0.08) and size.std() == pytest.approx(0.6, abs=0.1)


def test_panels_each_get_their_own_background_and_spots() -> None:
    panels = tuple(
        Panel(f"m{n}", 0, 300, 150 * n, 150 * n + 150, (x, y, 0.1), (2e-4, 0.0, 0.0), (0.0, 2e-4, 1e-5))
        for n, (x, y) in enumerate([(-0.062, -0.05), (0.002, -0.05), (-0.062, 0.01), (0.002, 0.01)])
    )
    detector = Detector(panels, (620, 300), BEAM)
    image, truth = StillSimulator(detector, LYSOZYME, photons=1e5, background=Background(level=3.0)).simulate(1)
    assert (image[600:] == 65535).all() and (image[:600] < 65535).all()
    assert set(truth.reflections.panel.tolist()) == {0, 1, 2, 3}
    strong = truth.reflections[truth.reflections.intensity > 2000]
    assert len(strong) > 20
    at = strong.ss.astype(int), strong.fs.astype(int)
    assert (image[at] > 100).all()
    np.testing.assert_array_equal(strong.panel, at[0] // 150)


def test_random_orientations_are_uniform() -> None:
    turns = random_rotations(np.random.default_rng(0), 20_000)
    np.testing.assert_allclose(turns @ turns.transpose(0, 2, 1), np.broadcast_to(np.eye(3), turns.shape), atol=1e-12)
    assert (np.linalg.det(turns) > 0).all()
    for axis in range(3):
        for component in range(3):
            assert stats.kstest(turns[:, axis, component], stats.uniform(-1, 2).cdf).pvalue > 1e-4
    # Haar measure: the angle of a random rotation has the density (1 - cos(angle)) / pi.
    angle = Rotation.from_matrix(turns).magnitude()
    assert stats.kstest(angle, lambda a: (a - np.sin(a)) / np.pi).pvalue > 1e-4


def test_a_detector_without_a_beam_is_refused() -> None:
    detector = Detector.single_panel((10, 10), pixel_size=1e-4, distance=0.1, beam_center=(5, 5))
    with pytest.raises(ValueError, match=r"the photon energy is unknown: give the detector a beam"):
        StillSimulator(detector, LYSOZYME)


def test_a_spot_narrower_than_can_be_integrated_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the spot size must be at least 0.25 pixels, found 0.1"):
        StillSimulator(small_detector(), LYSOZYME, spot_size=0.1)


def test_a_negative_number_of_photons_is_refused() -> None:
    with pytest.raises(ValueError, match=r"photons, beam_stop, .* must not be negative, found -1.0, 0.0, 0.2 and 0.5"):
        StillSimulator(small_detector(), LYSOZYME, photons=-1.0)


@pytest.mark.parametrize(
    ("orientations", "message"),
    [
        (np.eye(3), r"must have the shape \(n_lattices, 3, 3\), found \(3, 3\)"),
        (np.eye(3)[None] * 1.1, "must be rotation matrices, found"),
        (-np.eye(3)[None], "must be rotation matrices, found"),
        (np.full((1, 3, 3), np.nan), "must be rotation matrices, found"),
    ],
)
def test_what_is_no_rotation_is_refused(
    simulator: StillSimulator, orientations: NDArray[np.float64], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        simulator.simulate(0, orientations=orientations)
