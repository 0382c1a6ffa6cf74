"""Block size, mosaicity and diffraction limit, against what simulated crystals were given."""

import itertools
from functools import cache

import numpy as np
import pytest

from braggwatch.processing.beam import Beam
from braggwatch.processing.detector import Detector
from braggwatch.processing.mosaicity import BeamSpread, Mosaicity, block_sigma, diffraction_limit, estimate_mosaicity
from braggwatch.processing.prediction import Predictor
from braggwatch.processing.reflections import Reflections
from braggwatch.processing.simulation.demo import LYSOZYME, demo_detector
from braggwatch.processing.simulation.still import random_rotations

BEAM = BeamSpread(1.0)


@cache
def detector(bandwidth: float = 0.0) -> Detector:
    return demo_detector().with_beam(Beam(12398.42, bandwidth))


def measured(
    truth: Mosaicity, rng: np.random.Generator, *, b_factor: float = 20.0, photons: float = 1000.0, d_min: float = 0.0,
    beam: BeamSpread = BEAM, reach: float = 2.5,
) -> Reflections:  # fmt: skip
    """Reflections of a crystal turned at random, with counting noise; none beyond `d_min`."""
    radius = reach * float(truth.sigma(np.array([0.35]))[0])
    predict = Predictor(detector(beam.bandwidth), LYSOZYME, profile_radius=radius, divergence=beam.divergence)
    predicted = predict(LYSOZYME.A @ random_rotations(rng, 1)[0].T)
    n, q = len(predicted), predicted.inverse_d.astype(float)
    own, total = truth.sigma(q), np.hypot(truth.sigma(q), beam.sigma(q))
    structure = rng.exponential(1.0, n) * np.exp(-b_factor * q**2 / 2.0) * (q < (1.0 / d_min if d_min else np.inf))
    blocks = block_sigma(truth.block_size) / own
    share = blocks * own / total * np.exp(-0.5 * (predicted.excitation_error / total) ** 2)
    inside, around = rng.poisson(photons * structure * share + 20.0), rng.poisson(20.0, n)
    return Reflections(
        hkl=predicted.hkl, fs=predicted.fs, ss=predicted.ss, panel=predicted.panel,
        intensity=(inside - around).astype(np.float32), sigma=np.sqrt(inside + around + 1.0).astype(np.float32),
        background=around.astype(np.float32), peak=inside.astype(np.float32), flags=np.zeros(n, np.uint8),
        excitation_error=predicted.excitation_error, partiality=predicted.partiality, inverse_d=predicted.inverse_d,
        fitted=np.zeros(n, bool),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("block_size", "spread"), [(3000.0, 0.02), (3000.0, 0.08), (1000.0, 0.0), (2000.0, 0.05), (600.0, 0.1)]
)
def test_block_size_and_spread_come_out_as_they_were_put_in(block_size: float, spread: float) -> None:
    rng, truth = np.random.default_rng(1), Mosaicity(block_size, spread)
    found = [estimate_mosaicity(measured(truth, rng), BEAM) for _ in range(30)]
    known = [m for m in found if m is not None]
    assert len(known) >= 29
    sizes, spreads = np.array([(m.block_size, m.spread) for m in known]).T
    assert np.median(sizes) == pytest.approx(block_size, rel=0.12)
    assert np.median(spreads) == pytest.approx(spread, rel=0.12, abs=0.012)
    for d in (5.0, 2.5):
        widths = np.array([m.sigma(np.array([1 / d]))[0] for m in known]) / truth.sigma(np.array([1 / d]))[0]
        assert np.median(widths) == pytest.approx(1.0, abs=0.08)
        assert np.quantile(widths, 0.1) > 0.75 and np.quantile(widths, 0.9) < 1.25


def test_weak_crystals_look_no_more_perfect_than_strong_ones() -> None:
    rng, truth = np.random.default_rng(2), Mosaicity(2000.0, 0.03)
    widths = []
    for photons in (100.0, 3000.0):
        found = [estimate_mosaicity(measured(truth, rng, photons=photons), BEAM) for _ in range(40)]
        widths.append(np.median([m.sigma(np.array([0.25]))[0] for m in found if m is not None]))
    assert widths[0] == pytest.approx(widths[1], rel=0.1)


@pytest.mark.parametrize(("bandwidth", "divergence"), [(0.012, 0.0), (0.0, 0.1)])
def test_what_the_beam_spreads_is_not_put_down_to_the_crystal(bandwidth: float, divergence: float) -> None:
    rng, truth, beam = np.random.default_rng(3), Mosaicity(1500.0, 0.03), BeamSpread(1.0, bandwidth, divergence)
    assert beam.sigma(np.array([0.4]))[0] > 0.5 * truth.sigma(np.array([0.4]))[0]
    shots = [measured(truth, rng, beam=beam) for _ in range(40)]

    def width(assumed: BeamSpread) -> float:
        found = [estimate_mosaicity(reflections, assumed) for reflections in shots]
        return float(np.median([m.sigma(np.array([0.4]))[0] for m in found if m is not None]))

    expected = truth.sigma(np.array([0.4]))[0]
    assert width(beam) == pytest.approx(expected, rel=0.12)
    assert width(BEAM) > 1.15 * expected


def test_the_beams_spread_is_that_of_ewald_spheres_drawn_at_random() -> None:
    rng, n = np.random.default_rng(4), 200_000
    beam = BeamSpread(1.2, 0.01, 0.3)
    fwhm = np.sqrt(8 * np.log(2))
    k = (1 + rng.normal(0, beam.bandwidth / fwhm, n)) / beam.wavelength
    tilt = rng.normal(0, np.radians(beam.divergence) / fwhm, n)
    for two_theta in np.radians([10.0, 40.0]):
        q = (np.array([np.sin(two_theta), 0.0, np.cos(two_theta)]) - [0, 0, 1]) / beam.wavelength
        k0 = k[:, None] * np.stack([np.sin(tilt), np.zeros(n), np.cos(tilt)], axis=1)
        error = np.linalg.norm(q + k0, axis=1) - k
        assert beam.sigma(np.array([np.linalg.norm(q)]))[0] == pytest.approx(error.std(), rel=0.02)


def test_partiality_is_one_on_the_sphere_of_a_perfect_beam_and_falls_off_as_the_intensities_do() -> None:
    rng, truth = np.random.default_rng(5), Mosaicity(2000.0, 0.05)
    reflections = measured(truth, rng)
    partiality = truth.partiality(reflections, BEAM)
    off = np.abs(reflections.excitation_error) / truth.sigma(reflections.inverse_d)
    assert partiality.dtype == np.float32 and (partiality > 0).all() and (partiality <= 1).all()
    np.testing.assert_allclose(partiality, np.exp(-0.5 * off**2), rtol=1e-4)
    wide = truth.partiality(reflections, BeamSpread(1.0, 0.02))
    near = off < 0.1
    assert (wide[near] < 0.99 * partiality[near]).mean() > 0.9


@pytest.mark.parametrize("d_min", [2.0, 2.5, 3.0])
def test_the_diffraction_limit_is_where_reflections_end(d_min: float) -> None:
    rng, truth = np.random.default_rng(6), Mosaicity(1500.0, 0.03)
    limits = [diffraction_limit(measured(truth, rng, d_min=d_min), truth, BEAM) for _ in range(30)]
    assert np.median(limits) == pytest.approx(d_min, rel=0.04)
    assert np.quantile(np.abs(np.array(limits) / d_min - 1), 0.8) < 0.1


@pytest.mark.parametrize("b_factor", [25.0, 45.0, 80.0])
def test_the_diffraction_limit_is_where_many_crystals_together_fall_to_its_definition(b_factor: float) -> None:
    rng, truth = np.random.default_rng(7), Mosaicity(1500.0, 0.03)
    shots = [measured(truth, rng, b_factor=b_factor) for _ in range(60)]
    limits = np.array([diffraction_limit(reflections, truth, BEAM) for reflections in shots])
    # a plain mean in narrow shells over all of them
    rows = []
    for r in shots:
        half = np.abs(r.excitation_error) < np.sqrt(2 * np.log(2)) * truth.sigma(r.inverse_d)
        rows.append(np.stack([r.inverse_d, np.minimum(r.intensity / r.sigma, 10)], axis=1)[half])
    q, snr = np.concatenate(rows).T
    edges = np.linspace(0.1, 0.6, 51)
    mean = np.array([snr[(q >= a) & (q < b)].mean() for a, b in itertools.pairwise(edges)])
    below = np.flatnonzero(mean < 1.0)
    expected = 1.0 / edges[below[0]]
    assert np.median(limits) == pytest.approx(expected, rel=0.06)
    assert np.quantile(np.abs(limits / expected - 1), 0.8) < 0.15


def test_a_crystal_that_diffracts_to_the_corner_has_its_limit_there() -> None:
    truth = Mosaicity(800.0, 0.0)
    reflections = measured(truth, np.random.default_rng(8), b_factor=0.0)
    assert diffraction_limit(reflections, truth, BEAM) == pytest.approx(1 / reflections.inverse_d.max(), rel=0.02)


def test_noise_has_neither_mosaicity_nor_a_limit() -> None:
    truth = Mosaicity(2000.0, 0.02)
    reflections = measured(truth, np.random.default_rng(9), photons=0.0)
    assert estimate_mosaicity(reflections, BEAM) is None
    limit = diffraction_limit(reflections, truth, BEAM)
    assert np.isnan(limit) or limit > 4.0
    nothing = reflections[:0]
    assert estimate_mosaicity(nothing, BEAM) is None
    assert np.isnan(diffraction_limit(nothing, truth, BEAM))


def test_reflections_that_could_not_be_measured_do_not_count() -> None:
    rng, truth = np.random.default_rng(10), Mosaicity(2000.0, 0.02)
    reflections = measured(truth, rng)
    expected = estimate_mosaicity(reflections[5:], BEAM)
    reflections.intensity[:3], reflections.sigma[:3] = np.nan, np.nan
    reflections.flags[3:5], reflections.intensity[3:5] = 1, 1e6
    assert estimate_mosaicity(reflections, BEAM) == expected
    assert np.isfinite(diffraction_limit(reflections, truth, BEAM))
