"""Refinement of a crystal against its spots: nearer to the truth, never worse, and the beam found where it is."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from braggwatch.processing.beam import Beam
from braggwatch.processing.crystal import Crystal, misorientation
from braggwatch.processing.detector import Detector
from braggwatch.processing.indexer import Indexer
from braggwatch.processing.peak_finder import PeakFinder
from braggwatch.processing.peaks import Peaks
from braggwatch.processing.refinement import Refiner
from braggwatch.processing.simulation.demo import LYSOZYME, demo_simulator
from braggwatch.processing.simulation.still import StillTruth

PIXEL = 75e-6


@cache
def stills() -> tuple[Detector, list[tuple[Peaks, StillTruth]]]:
    """Spots of simulated stills, and the truth about them."""
    simulator = demo_simulator()
    find = PeakFinder(simulator.detector)
    made = []
    for seed in range(100, 112):
        image, truth = simulator.simulate(seed)
        made.append((find(image), truth))
    return simulator.detector, made


def indexed(detector: Detector) -> list[tuple[Peaks, Crystal, StillTruth]]:
    indexer = Indexer(LYSOZYME)
    return [(peaks, crystals[0], truth) for peaks, truth in stills()[1] if (crystals := indexer.index(peaks, detector))]


def test_crystals_come_nearer_to_the_truth_and_the_spots_to_their_predictions() -> None:
    detector, _ = stills()
    refine = Refiner(detector, LYSOZYME)
    before, after = [], []
    for peaks, crystal, truth in indexed(detector):
        refined = refine(crystal, peaks)
        before.append(misorientation(crystal.A, truth.A[0], LYSOZYME))
        after.append(misorientation(refined.crystal.A, truth.A[0], LYSOZYME))
        assert refined.crystal.rmsd_px <= crystal.rmsd_px
        assert refined.crystal.rmsd_px < 0.5
        assert abs(refined.crystal.beam_shift[0]) < 0.2 * PIXEL and abs(refined.crystal.beam_shift[1]) < 0.2 * PIXEL
    assert len(after) >= 11
    assert np.median(after) <= np.median(before) and np.median(after) < 0.012


def test_a_beam_that_has_strayed_is_found_and_does_not_turn_the_crystal() -> None:
    true_detector, _ = stills()
    detector = true_detector.moved((1.5 * PIXEL, -1.0 * PIXEL, 0.0))
    refine = Refiner(detector, LYSOZYME)
    angles = []
    for peaks, crystal, truth in indexed(detector):
        refined = refine(crystal, peaks)
        np.testing.assert_allclose(np.array(refined.crystal.beam_shift) / PIXEL, (1.5, -1.0), atol=0.15)
        angles.append(misorientation(refined.crystal.A, truth.A[0], LYSOZYME))
        assert refined.crystal.rmsd_px < 0.5 < crystal.rmsd_px
    assert np.median(angles) < 0.012


def test_the_cell_keeps_the_symmetry_of_its_lattice() -> None:
    detector, _ = stills()
    peaks, crystal, _ = indexed(detector)[0]
    a, b, c, alpha, beta, gamma = Refiner(detector, LYSOZYME)(crystal, peaks).crystal.cell
    assert a == pytest.approx(b, rel=1e-9)
    assert (alpha, beta, gamma) == pytest.approx((90.0, 90.0, 90.0), abs=1e-9)
    assert (a, c) == pytest.approx((79.2, 38.0), rel=2e-3)


def test_spots_far_from_their_prediction_do_not_count() -> None:
    detector, _ = stills()
    peaks, crystal, truth = indexed(detector)[0]
    moved = np.zeros(len(peaks), np.float32)
    wrong = crystal.spots[::10]
    moved[wrong] = 6.0
    refined = Refiner(detector, LYSOZYME)(crystal, replace(peaks, fs=peaks.fs + moved)).crystal
    assert not set(wrong) & set(refined.spots)
    assert len(refined.spots) == len(refined.hkl) >= 0.8 * len(crystal.spots)
    assert misorientation(refined.A, truth.A[0], LYSOZYME) < 0.03


def test_a_crystal_of_too_few_spots_comes_back_as_it_was() -> None:
    detector, _ = stills()
    peaks, crystal, _ = indexed(detector)[0]
    few = replace(crystal, hkl=crystal.hkl[:3], spots=crystal.spots[:3])
    refined = Refiner(detector, LYSOZYME)(few, peaks)
    np.testing.assert_array_equal(refined.crystal.A, crystal.A)
    assert refined.crystal.beam_shift == (0.0, 0.0)


def test_spots_of_no_lattice_do_not_make_it_worse() -> None:
    detector, _ = stills()
    peaks, crystal, _ = indexed(detector)[0]
    random = np.random.default_rng(3)
    n = len(peaks)
    nonsense = replace(
        peaks, fs=random.uniform(1, 2000, n).astype(np.float32), ss=random.uniform(1, 2000, n).astype(np.float32)
    )
    before = Refiner(detector, LYSOZYME)(replace(crystal, hkl=crystal.hkl[:0], spots=crystal.spots[:0]), nonsense)
    np.testing.assert_array_equal(before.crystal.A, crystal.A)
    refined = Refiner(detector, LYSOZYME)(crystal, nonsense).crystal
    assert np.isfinite(refined.A).all() and np.isfinite(refined.rmsd_px)


def test_without_a_photon_energy_nothing_is_refined() -> None:
    detector = Detector.single_panel((10, 10), pixel_size=PIXEL, distance=0.1, beam_center=(5, 5))
    with pytest.raises(ValueError, match="the photon energy is unknown, so nothing can be refined"):
        Refiner(detector, LYSOZYME)
    Refiner(detector.with_beam(Beam(12_400.0)), LYSOZYME)
