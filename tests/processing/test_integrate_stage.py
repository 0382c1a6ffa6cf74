"""The stage that integrates, behind the stages that find and index."""

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.spatial import cKDTree

from braggwatch.processing.beam import Beam
from braggwatch.processing.chain import Chain, Verdict
from braggwatch.processing.crystal import Crystal
from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Encoding, Frame, Series
from braggwatch.processing.peaks import Peaks
from braggwatch.processing.reflections import Flag
from braggwatch.processing.shot import Shot
from braggwatch.processing.simulation.demo import LYSOZYME, demo_simulator
from braggwatch.processing.stages.hitfind import Hitfind, HitfindSettings
from braggwatch.processing.stages.index import Index, IndexSettings
from braggwatch.processing.stages.integrate import Integrate, IntegrateSettings

CELL = "79.2 79.2 38.0 90 90 90 P43212"
SERIES = Series(key="s", number=1, dtype="uint16")


def shot_of(image: np.ndarray, detector: Detector) -> Shot:
    frame = Frame(series="s", number=3, payload=b"", shape=image.shape, dtype="uint16", encoding=Encoding())
    return Shot(SERIES, frame, image, detector)


def chain(**options: object) -> Chain:
    return Chain([
        ("hitfind", Hitfind(HitfindSettings())),
        ("index", Index(IndexSettings(cell=CELL))),
        ("integrate", Integrate(IntegrateSettings.model_validate(options))),
    ])  # fmt: skip


def test_reflections_of_an_indexed_shot_agree_with_what_the_simulator_put_in() -> None:
    simulator = demo_simulator()
    stages = chain()
    stages.begin(SERIES, simulator.detector)
    correlations, shares, distances = [], [], []
    for seed in range(300, 308):
        image, truth = simulator.simulate(seed)
        shot = shot_of(image, simulator.detector)
        stages.event(shot)
        ((crystal,), (reflections,)) = (shot.crystals, shot.reflections)
        # the lattice may be laid on the true one in any of its equivalent settings
        change = np.rint(crystal.A @ np.linalg.inv(truth.A[0])).astype(int)
        assert abs(round(np.linalg.det(change))) == 1
        true = {tuple(change @ hkl): i for i, hkl in enumerate(truth.reflections.hkl)}
        pairs = [(i, true[tuple(hkl)]) for i, hkl in enumerate(reflections.hkl) if tuple(hkl) in true]
        ours, theirs = np.array(pairs).T
        strong = reflections.good[ours] & (reflections.intensity[ours] > 5 * reflections.sigma[ours])
        intensity, expected = reflections.intensity[ours][strong], truth.reflections.intensity[theirs][strong]
        correlations.append(np.corrcoef(intensity, expected)[0, 1])
        visible = truth.reflections.measured & (truth.reflections.intensity > 50)
        shares.append(np.isin(np.flatnonzero(visible), theirs).mean())
        distances.append(
            np.hypot(
                reflections.fs[ours] - truth.reflections.fs[theirs], reflections.ss[ours] - truth.reflections.ss[theirs]
            )[strong]
        )
    stages.end()
    assert np.median(correlations) > 0.99
    assert np.mean(shares) > 0.9
    assert np.sqrt(np.mean(np.concatenate(distances) ** 2)) < 0.5


def test_predictions_move_with_a_beam_that_has_strayed() -> None:
    simulator = demo_simulator()
    strayed = simulator.detector.moved((1.5 * 75e-6, -1.0 * 75e-6, 0.0))
    image, _ = simulator.simulate(300)
    found = []
    for detector, refine in ((simulator.detector, True), (strayed, True), (strayed, False)):
        stages = chain(refine=refine)
        stages.begin(SERIES, detector)
        shot = shot_of(image, detector)
        stages.event(shot)
        (reflections,) = shot.reflections
        found.append(np.stack([reflections.fs, reflections.ss], axis=1))
    true, refined, unrefined = found
    assert len(true) > 100
    # the lattice may come in another of its equivalent settings, so places are compared and not indices
    assert np.median(cKDTree(refined).query(true)[0]) < 0.2
    assert np.median(cKDTree(unrefined).query(true)[0]) > 1.0


def test_what_is_no_hit_or_not_indexed_has_no_reflections() -> None:
    detector = demo_simulator().detector
    stage = Integrate(IntegrateSettings())
    stage.begin(SERIES, detector)
    shot = shot_of(np.zeros(detector.shape, np.uint16), detector)
    assert stage.event(shot) is Verdict.KEEP and shot.reflections == []
    shot.peaks = Peaks.empty()
    assert stage.event(shot) is Verdict.KEEP and shot.reflections == []


def test_a_lattice_whose_symmetry_nobody_said_is_not_guessed_at() -> None:
    detector = demo_simulator().detector
    stage = Integrate(IntegrateSettings())
    stage.begin(SERIES, detector)
    shot = shot_of(np.zeros(detector.shape, np.uint16), detector)
    shot.peaks, shot.crystals = Peaks.empty(), [Crystal(LYSOZYME.A)]
    with pytest.raises(ValueError, match="a lattice of unknown symmetry cannot be integrated"):
        stage.event(shot)


def test_radii_that_make_no_sense_are_refused_before_the_first_frame() -> None:
    with pytest.raises(ValidationError, match="background"):
        IntegrateSettings.model_validate({"background": "median"})
    stage = Integrate(IntegrateSettings(inner=6.0))
    with pytest.raises(ValueError, match="expected radii"):
        stage.begin(SERIES, demo_simulator().detector)


def integrated(image: np.ndarray, detector: Detector, **options: object) -> Shot:
    stages = chain(**options)
    stages.begin(SERIES, detector)
    shot = shot_of(image, detector)
    stages.event(shot)
    return shot


def test_a_wider_beam_excites_more_reflections_and_is_not_taken_for_mosaicity() -> None:
    simulator = demo_simulator()
    image, _ = simulator.simulate(300)
    narrow, wide, divergent = (
        integrated(image, simulator.detector, **options)
        for options in ({"profile_radius": 3e-4}, {"profile_radius": 3e-4, "bandwidth": 0.01},
                        {"profile_radius": 3e-4, "divergence": 0.1})
    )  # fmt: skip
    for other in (wide, divergent):
        assert len(other.reflections[0]) > 1.3 * len(narrow.reflections[0])
        assert other.crystals[0].block_size >= narrow.crystals[0].block_size
    from_geometry = integrated(image, simulator.detector.with_beam(Beam(12398.42, 0.01)), profile_radius=3e-4)
    np.testing.assert_array_equal(from_geometry.reflections[0].hkl, wide.reflections[0].hkl)


def test_intensities_are_corrected_for_polarisation_only_where_asked_for() -> None:
    simulator = demo_simulator()
    image, _ = simulator.simulate(300)
    plain, corrected = (
        integrated(image, simulator.detector, **options).reflections[0] for options in ({}, {"polarisation": 1.0})
    )
    x, y, z = simulator.detector.position(plain.fs, plain.ss).T
    factor = 1.0 - x**2 / (x**2 + y**2 + z**2)
    assert factor.min() < 0.9
    np.testing.assert_allclose(corrected.intensity * factor, plain.intensity, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(corrected.sigma * factor, plain.sigma, rtol=1e-3)


def test_spots_of_two_lattices_that_share_pixels_are_flagged_in_both() -> None:
    simulator = demo_simulator()
    found = 0
    for seed in range(320, 326):
        image, _ = simulator.simulate(seed, n_lattices=2)
        stages = Chain([
            ("hitfind", Hitfind(HitfindSettings())),
            ("index", Index(IndexSettings(cell=CELL, max_lattices=2))),
            ("integrate", Integrate(IntegrateSettings())),
        ])  # fmt: skip
        stages.begin(SERIES, simulator.detector)
        shot = shot_of(image, simulator.detector)
        stages.event(shot)
        assert len(shot.reflections) == len(shot.crystals)
        if len(shot.crystals) < 2:
            continue
        first, second = shot.reflections
        for own, other in ((first, second), (second, first)):
            places, others = (np.stack([table.fs, table.ss], axis=1) for table in (own, other))
            near = cKDTree(others).query(places)[0] < 7.9  # twice the radius of a spot, less what rounding does
            assert ((own.flags[near] & Flag.OVERLAPPED) != 0).all()
            found += int(near.sum())
        for crystal, table in zip(shot.crystals, shot.reflections, strict=True):
            nodes = np.linalg.norm(table.hkl @ crystal.A_star, axis=1)
            np.testing.assert_allclose(table.inverse_d, nodes, rtol=1e-5)
    assert found > 4


def test_every_option_says_what_it_is() -> None:
    assert all(field.description for field in IntegrateSettings.model_fields.values())
