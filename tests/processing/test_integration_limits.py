"""From images to intensities: what a session relies on, on reference frames and on simulated stills with truth."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401 - registers the frames' compression
import numpy as np
import pytest
from numpy.typing import NDArray

from braggwatch.processing.crystal import Crystal
from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Encoding, Frame, Series
from braggwatch.processing.indexer import Indexer
from braggwatch.processing.peak_finder import PeakFinder
from braggwatch.processing.peaks import Peaks
from braggwatch.processing.reflections import Reflections
from braggwatch.processing.shot import Shot
from braggwatch.processing.simulation.comparison import true_intensities
from braggwatch.processing.simulation.demo import LYSOZYME, demo_detector
from braggwatch.processing.simulation.prediction import Spread
from braggwatch.processing.simulation.still import StillSimulator, StillTruth
from braggwatch.processing.stages.integrate import Integrate, IntegrateSettings

SERIES = Series(key="s", number=1, dtype="uint16")
BEAM_STOP = 0.0021


@dataclass(frozen=True, eq=False)
class Integrated:
    """One shot with what was found in it."""

    image: NDArray[np.uint16]
    peaks: Peaks
    indexed: Crystal
    crystal: Crystal
    reflections: Reflections


def integrate(detector: Detector, images: Iterable[NDArray[np.uint16]], **options: object) -> list[Integrated]:
    find, indexer = PeakFinder(detector), Indexer(LYSOZYME)
    stage = Integrate(IntegrateSettings.model_validate(options))
    stage.begin(SERIES, detector)
    found = []
    for image in images:
        peaks = find(image)
        crystals = indexer.index(peaks, detector)
        if not crystals:
            continue
        frame = Frame(series="s", number=0, payload=b"", shape=image.shape, dtype="uint16", encoding=Encoding())
        shot = Shot(SERIES, frame, image, detector, peaks=peaks, crystals=crystals[:1])
        stage.event(shot)
        found.append(Integrated(image, peaks, crystals[0], shot.crystals[0], shot.reflections[0]))
    return found


@cache
def stills() -> tuple[Detector, list[tuple[NDArray[np.uint16], StillTruth]]]:
    detector = demo_detector()
    shadow = detector.pixel_radius * detector.panels[0].pixel_size < BEAM_STOP
    detector = detector.with_mask(detector.mask | shadow)
    simulator = StillSimulator(detector, LYSOZYME, beam_stop=BEAM_STOP)
    return detector, [simulator.simulate(seed) for seed in range(1000, 1040)]


@cache
def from_stills(method: str) -> tuple[list[Integrated], list[StillTruth]]:
    detector, made = stills()
    found = integrate(detector, [image for image, _ in made], method=method)
    assert len(found) == len(made)
    return found, [truth for _, truth in made]


def check_places(found: list[Integrated], mask: NDArray[np.bool_]) -> None:
    distances, off, n = [], 0, 0
    for shot in found:
        r = shot.reflections
        rows = {tuple(hkl): i for i, hkl in enumerate(r.hkl.tolist())}
        for hkl, spot in zip(shot.indexed.hkl.tolist(), shot.indexed.spots, strict=True):
            i = rows.get(tuple(hkl))
            away = np.inf if i is None else np.hypot(r.fs[i] - shot.peaks.fs[spot], r.ss[i] - shot.peaks.ss[spot])
            distances.append(float(away))
        row, column = r.ss.astype(int), r.fs.astype(int)
        off += int((mask[row, column] | (shot.image[row, column] == 65_535)).sum())
        n += len(r)
    away = np.array(distances)
    assert len(away) > 800
    assert np.mean(away < 2.0) >= 0.95
    assert np.sqrt(np.mean(away[away < 2.0] ** 2)) <= 0.5
    assert np.median([shot.crystal.rmsd_px for shot in found]) <= 0.5
    assert off < 0.05 * n


def test_predictions_meet_the_spots_of_the_reference_frames(shared: Path) -> None:
    with h5py.File(shared / "frames" / "lysozyme_4m.h5") as file:
        detector = Detector.from_crystfel(shared / "frames" / "lysozyme_4m.geom").with_mask(file["mask"][()])
        numbers = np.unique(file["truth/lattice_frame"][()])
        found = integrate(detector, (file["entry/data/data"][number] for number in numbers))
    assert len(found) == len(numbers)
    check_places(found, detector.mask)


def test_predictions_meet_the_spots_of_simulated_stills() -> None:
    check_places(from_stills("summation")[0], stills()[0].mask)


@pytest.mark.parametrize("method", ["summation", "profile"])
def test_intensities_are_the_true_ones_within_their_sigmas_strong_and_weak_near_and_far(method: str) -> None:
    found, truths = from_stills(method)
    rows = []
    for shot, truth in zip(found, truths, strict=True):
        r, true = shot.reflections, true_intensities(shot.crystal, shot.reflections, truth)
        ok = r.good & np.isfinite(true)
        rows.append(np.stack([r.intensity, r.sigma, true, r.inverse_d], axis=1)[ok])
    intensity, sigma, true, inverse_d = np.concatenate(rows).T
    pull, strong = (intensity - true) / sigma, intensity > 5 * sigma
    assert len(pull) > 5000 and strong.sum() > 1500
    assert np.corrcoef(intensity[strong], true[strong])[0, 1] >= 0.99
    assert abs(pull.mean()) < 0.1 and 0.9 < pull.std() < 1.2
    for values, edges in ((true, (0, 10, 100, 1000)), (1 / inverse_d, (1.8, 2, 2.5, 3, 4, 50))):
        for low, high in pairwise(edges):
            part = pull[(values >= low) & (values < high)]
            assert len(part) > 300
            # what chance allows beyond the tenth, and what a sigma of few photons adds in a fit
            allowed = 0.1 + 3 / np.sqrt(len(part)) + (0.1 if method == "profile" else 0.0)
            assert abs(part.mean()) < allowed and 0.85 < part.std() < 1.2


def test_weak_intensities_scatter_less_when_profiles_are_fitted_and_more_reflections_are_significant() -> None:
    (summed, truths), (fitted, _) = from_stills("summation"), from_stills("profile")
    errors: tuple[list[float], list[float]] = ([], [])
    significant = [0, 0]
    for one, other, truth in zip(summed, fitted, truths, strict=True):
        known = true_intensities(one.crystal, one.reflections, truth)
        both = one.reflections.good & other.reflections.fitted & (known < 30)
        for k, shot in enumerate((one, other)):
            errors[k].extend((shot.reflections.intensity - known)[both].tolist())
            significant[k] += int((shot.reflections.intensity > 5 * shot.reflections.sigma)[both | (known >= 30)].sum())
    assert len(errors[0]) > 300
    assert np.std(errors[1]) < 0.75 * np.std(errors[0])
    assert significant[1] > 1.03 * significant[0]


@pytest.mark.parametrize(("block_size", "spread"), [(3000.0, 0.02), (1000.0, 0.0), (2500.0, 0.06)])
def test_crystals_come_with_the_mosaicity_that_they_were_simulated_with(block_size: float, spread: float) -> None:
    simulator = StillSimulator(
        demo_detector(), LYSOZYME, beam_stop=BEAM_STOP, spread=Spread(block_size, spread), crystal_spread=0.2
    )
    found = integrate(simulator.detector, (simulator.simulate(seed)[0] for seed in range(12)))
    assert len(found) >= 11
    values = np.array([(s.crystal.block_size, s.crystal.mosaicity, s.crystal.diffraction_limit) for s in found])
    sizes, spreads, limits = np.nanmedian(values, axis=0)
    assert sizes == pytest.approx(block_size, rel=0.2)
    assert spreads == pytest.approx(spread, rel=0.25, abs=0.015)
    assert 1.6 < limits < 2.3
    partiality = np.concatenate([shot.reflections.partiality for shot in found])
    assert (partiality > 0).all() and (partiality <= 1).all()


def test_the_diffraction_limit_follows_how_far_crystals_diffract() -> None:
    limits = []
    for d_min in (2.2, 3.0):
        simulator = StillSimulator(demo_detector(), LYSOZYME, beam_stop=BEAM_STOP, d_min=d_min)
        found = integrate(simulator.detector, (simulator.simulate(seed)[0] for seed in range(8)))
        limits.append(np.nanmedian([shot.crystal.diffraction_limit for shot in found]))
    assert limits == pytest.approx([2.2, 3.0], rel=0.05)
