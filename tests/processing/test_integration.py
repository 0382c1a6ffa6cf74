"""Intensities at predicted places, against plain NumPy and against what the simulator put in."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from braggwatch.processing.detector import Detector
from braggwatch.processing.integration import Integrator
from braggwatch.processing.panel import Panel
from braggwatch.processing.prediction import Predictions
from braggwatch.processing.reflections import Flag, Reflections
from braggwatch.processing.simulation.demo import demo_simulator

SHAPE = (100, 120)


def flat_detector(max_adu: float = float("inf"), mask: NDArray[np.bool_] | None = None) -> Detector:
    return Detector.single_panel(
        SHAPE, pixel_size=75e-6, distance=0.1, beam_center=(60, 50), photon_energy=12_400.0, max_adu=max_adu, mask=mask
    )


def at(*places: tuple[float, float], panel: Sequence[int] | int = 0) -> Predictions:
    n = len(places)
    fs, ss = np.array(places, np.float32).reshape(n, 2).T
    return Predictions(
        hkl=np.arange(3 * n, dtype=np.int32).reshape(n, 3), fs=fs, ss=ss,
        panel=np.broadcast_to(np.array(panel, np.int16), n).copy(), excitation_error=np.zeros(n, np.float32),
        partiality=np.ones(n, np.float32), inverse_d=np.full(n, 0.3, np.float32),
    )  # fmt: skip


def distances(fs: float, ss: float) -> NDArray[np.float64]:
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return np.asarray(np.hypot(rows + 0.5 - ss, columns + 0.5 - fs))


def noise(seed: int = 1, mean: float = 20.0) -> NDArray[np.uint16]:
    return np.random.default_rng(seed).poisson(mean, SHAPE).astype(np.uint16)


def test_a_lone_spot_is_the_sum_of_its_pixels_above_the_mean_of_the_ring() -> None:
    image = noise()
    image[40:43, 60:63] += 500
    reflections = Integrator(flat_detector())(image, at((61.3, 41.6)))
    distance = distances(61.3, 41.6)
    spot, ring = image[distance <= 4].astype(float), image[(distance > 5) & (distance <= 7)].astype(float)
    assert reflections.good.all()
    np.testing.assert_allclose(reflections.intensity, spot.sum() - len(spot) * ring.mean(), rtol=1e-5)
    np.testing.assert_allclose(reflections.background, ring.mean(), rtol=1e-5)
    variance = spot.sum() + len(spot) ** 2 * ring.mean() / len(ring)
    np.testing.assert_allclose(reflections.sigma, np.sqrt(variance), rtol=1e-5)
    assert reflections.peak[0] == spot.max()


def test_truth_lies_within_what_sigma_says_for_weak_and_for_strong_reflections() -> None:
    simulator = demo_simulator()
    integrate = Integrator(simulator.detector)
    pulls, truths, intensities, strong = [], [], [], []
    for seed in range(12):
        image, truth = simulator.simulate(seed)
        true = truth.reflections
        places = Predictions(
            hkl=true.hkl, fs=true.fs, ss=true.ss, panel=true.panel, excitation_error=true.excitation_error,
            partiality=true.partiality, inverse_d=np.zeros(len(true), np.float32),
        )  # fmt: skip
        found = integrate(image, places)
        good = found.good & true.measured
        pulls.append(((found.intensity - true.intensity) / found.sigma)[good])
        truths.append(true.intensity[good])
        intensities.append(found.intensity[good])
        strong.append((found.intensity / found.sigma)[good] > 5)
    pull, expected = np.concatenate(pulls), np.concatenate(truths)
    assert len(pull) > 3000
    assert abs(pull.mean()) < 0.1 and 0.9 < pull.std() < 1.2
    for low, high in ((0, 1), (1, 10), (10, 100), (100, 1000)):
        part = pull[(expected >= low) & (expected < high)]
        assert len(part) > 300
        assert abs(part.mean()) < 0.15 and 0.85 < part.std() < 1.2
    strong_ones = np.concatenate(strong)
    assert np.corrcoef(np.concatenate(intensities)[strong_ones], expected[strong_ones])[0, 1] > 0.99


def test_a_plane_takes_off_a_slope_that_a_mean_takes_for_signal_where_part_of_the_ring_is_missing() -> None:
    slope = (3.0 * np.arange(SHAPE[1])[None, :] + 2.0 * np.arange(SHAPE[0])[:, None]).astype(np.float32)
    mask = np.zeros(SHAPE, bool)
    mask[:, 66:69] = True
    detector = flat_detector(mask=mask)
    place = at((61.0, 50.0))
    plane = Integrator(detector, background="plane")(slope, place)
    mean = Integrator(detector)(slope, place)
    assert abs(plane.intensity[0]) < 0.05
    assert abs(mean.intensity[0]) > 50
    assert plane.sigma[0] > mean.sigma[0]


def test_gain_scales_intensity_and_sigma_alike_and_noise_adds_to_sigma() -> None:
    image = noise()
    place = at((61.3, 41.6))
    photons = Integrator(flat_detector())(image, place)
    adu = Integrator(flat_detector(), gain=37.5)(image.astype(np.float32) * np.float32(37.5), place)
    np.testing.assert_allclose(adu.intensity / 37.5, photons.intensity, rtol=1e-3, atol=0.05)
    np.testing.assert_allclose(adu.sigma / 37.5, photons.sigma, rtol=1e-4)
    noisy = Integrator(flat_detector(), noise=3.0)(image, place)
    n, m = (distances(61.3, 41.6) <= 4).sum(), ((distances(61.3, 41.6) > 5) & (distances(61.3, 41.6) <= 7)).sum()
    np.testing.assert_allclose(noisy.sigma**2 - photons.sigma**2, 9.0 * (n + n * n / m), rtol=1e-3)


def test_what_speaks_against_a_reflection_is_flagged() -> None:
    mask = np.zeros(SHAPE, bool)
    mask[30, 30] = True
    image = noise()
    image[70, 80] = 60_000
    image[50, 20] = 65_535  # what the detector writes for a pixel that knows nothing
    places = at((30.5, 30.5), (80.5, 70.5), (20.5, 50.5), (2.0, 90.0), (100.0, 20.0), (106.0, 20.0), (60.0, 60.0))
    flags = Integrator(flat_detector(max_adu=50_000.0, mask=mask))(image, places).flags
    assert [Flag(int(flag)) for flag in flags] == [
        Flag.MASKED, Flag.SATURATED, Flag.MASKED, Flag.EDGE, Flag.OVERLAPPED, Flag.OVERLAPPED, Flag(0),
    ]  # fmt: skip


def test_a_neighbours_spot_is_no_background() -> None:
    image = noise()
    alone = Integrator(flat_detector())(image, at((50.0, 50.0)))
    image[46:54, 58:62] += 300
    with_neighbour = Integrator(flat_detector())(image, at((50.0, 50.0), (60.0, 50.0)))
    assert with_neighbour.good[0]
    assert abs(with_neighbour.intensity[0] - alone.intensity[0]) < 0.5 * alone.sigma[0]


def test_a_spot_that_nobody_predicted_hardly_moves_the_background() -> None:
    image = noise()
    alone = Integrator(flat_detector())(image, at((50.0, 50.0)))
    image[48:50, 55:57] += 400
    disturbed = Integrator(flat_detector())(image, at((50.0, 50.0)))
    assert abs(disturbed.intensity[0] - alone.intensity[0]) < 0.5 * alone.sigma[0]


def test_first_and_last_pixel_and_spots_of_which_nothing_is_measured() -> None:
    image = noise()
    corners = Integrator(flat_detector())(image, at((0.0, 0.0), (120.0, 100.0)))
    assert (corners.flags & Flag.EDGE).all() and np.isfinite(corners.intensity).all()
    nowhere = Integrator(flat_detector(mask=np.ones(SHAPE, bool)))(image, at((60.0, 50.0)))
    assert np.isnan(nowhere.intensity[0]) and np.isnan(nowhere.sigma[0])
    assert nowhere.flags[0] == Flag.MASKED | Flag.NO_BACKGROUND


def test_no_number_counts_as_masked() -> None:
    image = noise().astype(np.float32)
    image[50, 60] = np.nan
    image[50, 66] = np.inf
    found = Integrator(flat_detector())(image, at((60.5, 50.5)))
    assert found.flags[0] == Flag.MASKED
    assert np.isfinite(found.intensity[0])


def test_a_spot_ends_where_its_panel_ends() -> None:
    def panel(name: str, fs: int) -> Panel:
        return Panel(
            name, fs, fs + 60, 0, 100, ((fs - 60) * 75e-6 + (1e-3 if fs else 0.0), -50 * 75e-6, 0.1),
            (75e-6, 0.0, 0.0), (0.0, 75e-6, 0.0),
        )  # fmt: skip

    detector = replace(flat_detector(), panels=(panel("left", 0), panel("right", 60)))
    image = np.full(SHAPE, 10, np.uint16)
    image[:, 60:] = 1000
    found = Integrator(detector)(image, at((58.0, 50.0), (62.0, 50.0), panel=[0, 1]))
    np.testing.assert_allclose(found.intensity, 0.0, atol=1e-3)
    assert found.background.tolist() == [10.0, 1000.0]
    assert ((found.flags & Flag.EDGE) > 0).all() and not ((found.flags & Flag.OVERLAPPED) > 0).any()


def same(first: Reflections, second: Reflections) -> None:
    np.testing.assert_array_equal(first.intensity, second.intensity)
    np.testing.assert_array_equal(first.sigma, second.sigma)
    np.testing.assert_array_equal(first.flags, second.flags)


def test_strides_byte_order_and_the_order_of_the_places_do_not_matter() -> None:
    image = noise()
    places = at((30.0, 30.0), (80.0, 70.0), (60.0, 20.0))
    integrate = Integrator(flat_detector())
    found = integrate(image, places)
    wide = np.zeros((SHAPE[0], 2 * SHAPE[1]), np.uint16)
    wide[:, ::2] = image
    same(integrate(wide[:, ::2], places), found)
    same(integrate(image.astype(">u2"), places), found)
    order = np.array([2, 0, 1])
    same(integrate(image, places[order]), found[order])


def test_without_predictions_there_are_no_reflections() -> None:
    assert len(Integrator(flat_detector())(noise(), at())) == 0


def test_what_makes_no_sense_is_refused() -> None:
    detector = flat_detector()
    with pytest.raises(ValueError, match=r"expected radii 0.5 <= inner <= middle < outer <= 50 pixels, found 4, 3, 7"):
        Integrator(detector, middle=3.0)
    with pytest.raises(ValueError, match="the background is taken as 'mean' or as 'plane', found 'median'"):
        Integrator(detector, background="median")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="gain must be positive and noise not negative, found 0 and 0 ADU"):
        Integrator(detector, gain=0.0)
    integrate = Integrator(detector)
    with pytest.raises(ValueError, match="expected panels from 0 to 0, found 0 to 3"):
        integrate(noise(), at((1.0, 1.0), (2.0, 2.0), panel=[0, 3]))
    with pytest.raises(ValueError, match="a predicted place is no number"):
        integrate(noise(), at((float("nan"), 1.0)))
    with pytest.raises(ValueError, match="the image's shape is"):
        integrate(np.zeros((10, 10), np.uint16), at((1.0, 1.0)))
    with pytest.raises(TypeError, match="the image's type is complex128"):
        integrate(np.zeros(SHAPE, complex), at((1.0, 1.0)))
