"""Live merging against the truth, against gemmi, and against a merge that is done offline with plain NumPy."""

import math
from dataclasses import replace
from pathlib import Path

import gemmi
import numpy as np
import pytest
from numpy.typing import NDArray

from braggwatch.processing.asymmetric_unit import AsymmetricUnit
from braggwatch.processing.chain import Chain
from braggwatch.processing.frame import Encoding, Frame, Series
from braggwatch.processing.merging import Merger, half_of
from braggwatch.processing.reflections import Flag, Reflections
from braggwatch.processing.shot import Shot
from braggwatch.processing.simulation.demo import LYSOZYME, demo_detector, demo_simulator
from braggwatch.processing.simulation.partial_intensities import PartialIntensities
from braggwatch.processing.stages.hitfind import Hitfind, HitfindSettings
from braggwatch.processing.stages.index import Index, IndexSettings
from braggwatch.processing.stages.integrate import Integrate, IntegrateSettings
from braggwatch.processing.unit_cell import UnitCell

F64 = NDArray[np.float64]

D_MIN = 2.4


@pytest.fixture(scope="module")
def simulator() -> PartialIntensities:
    return PartialIntensities(demo_detector(), LYSOZYME, d_min=D_MIN)


@pytest.fixture(scope="module")
def crystals(simulator: PartialIntensities) -> list[Reflections]:
    """2000 of them, whose volumes differ by half."""
    rng = np.random.default_rng(5)
    return [simulator.measure(simulator.excite(rng), rng, float(rng.lognormal(-0.12, 0.5))) for _ in range(2000)]


def merge(crystals: list[Reflections], **options: object) -> Merger:
    merger = Merger(LYSOZYME, d_min=D_MIN, **options)  # type: ignore[arg-type]
    for number, reflections in enumerate(crystals):
        merger.add(reflections, "run", number)
    return merger


def offline(crystals: list[Reflections]) -> tuple[NDArray[np.int32], F64, F64]:
    """Unique hkl, merged intensities and those of the halves, by gemmi's asymmetric unit and plain NumPy.

    All crystals are scaled against the mean of all, ten times over, by the ratio of sums.
    """
    asu, operations = gemmi.ReciprocalAsu(LYSOZYME.group), LYSOZYME.group.operations()
    hkl = np.concatenate([one.hkl for one in crystals])
    mapped: dict[tuple[int, ...], tuple[int, ...]] = {}
    for index in map(tuple, hkl.tolist()):
        if index not in mapped:
            mapped[index] = tuple(asu.to_asu(list(index), operations)[0])
    unique, row = np.unique([mapped[index] for index in map(tuple, hkl.tolist())], axis=0, return_inverse=True)
    row = row.ravel()
    crystal = np.repeat(np.arange(len(crystals)), [len(one) for one in crystals])
    intensity = np.concatenate([one.intensity for one in crystals]).astype(float)
    k = np.ones(len(crystals))
    for _ in range(10):
        mean = np.bincount(row, intensity) / np.bincount(row, k[crystal])
        k = np.bincount(crystal, intensity) / np.bincount(crystal, mean[row])
        k = np.maximum(k / np.median(k), 0.02)
    half = np.array([half_of("run", number) for number in range(len(crystals))])[crystal]
    with np.errstate(invalid="ignore"):
        halves = np.stack(
            [
                np.bincount(row[half == side], intensity[half == side], len(unique))
                / np.bincount(row[half == side], k[crystal[half == side]], len(unique))
                for side in (0, 1)
            ]
        )
    return unique.astype(np.int32), np.bincount(row, intensity) / np.bincount(row, k[crystal]), halves


@pytest.mark.parametrize("scaling", ["scale", "scale_and_b"])
def test_two_thousand_crystals_merged_live_agree_with_the_truth_and_with_an_offline_merge(
    simulator: PartialIntensities, crystals: list[Reflections], scaling: str
) -> None:
    merger = merge(crystals, scaling=scaling)
    merged, found = merger.merged(), merger.statistics()
    assert merger.n_crystals > 1980 and found.overall.completeness is not None
    assert found.overall.completeness > 0.99
    unique, intensity, halves = offline(crystals)
    place = {tuple(hkl): i for i, hkl in enumerate(unique.tolist())}
    row = np.array([place[tuple(hkl)] for hkl in merged.hkl.tolist()])
    intensity, halves = intensity[row], halves[:, row]
    true = simulator.intensity[simulator.unit.index(merged.hkl)]
    d = LYSOZYME.d_spacing(merged.hkl)
    for shell in found.shells:
        part = (d < shell.d_max) & (d >= shell.d_min)
        ours = np.corrcoef(merged.intensity[part], true[part])[0, 1]
        assert ours > 0.93
        assert abs(ours - np.corrcoef(intensity[part], true[part])[0, 1]) < 0.01
        both = part & np.isfinite(halves).all(axis=0)
        assert shell.cc_half == pytest.approx(np.corrcoef(*halves[:, both])[0, 1], abs=0.01)
    both = np.asarray(np.isfinite(halves).all(axis=0))
    assert found.overall.cc_half == pytest.approx(np.corrcoef(*halves[:, both])[0, 1], abs=0.01)
    r_split = math.sqrt(2) * np.abs(halves[0] - halves[1])[both].sum() / halves[:, both].sum()
    assert found.overall.r_split == pytest.approx(r_split, abs=0.01)


def test_partialities_make_a_better_merge_where_they_are_known(
    simulator: PartialIntensities, crystals: list[Reflections]
) -> None:
    def correlation(merger: Merger) -> float:
        merged = merger.merged()
        return float(np.corrcoef(merged.intensity, simulator.intensity[simulator.unit.index(merged.hkl)])[0, 1])

    some = crystals[:600]
    mean, weighted = merge(some), merge(some, weighting="partiality")
    assert correlation(weighted) > correlation(mean) > 0.95


def test_without_scaling_the_merge_is_the_plain_mean(crystals: list[Reflections]) -> None:
    some = crystals[:50]  # of so few none is taken for an outlier
    merged = merge(some, scaling="none").merged()
    unit = AsymmetricUnit(LYSOZYME, D_MIN)
    row = np.concatenate([unit.index(one.hkl) for one in some])
    intensity = np.concatenate([one.intensity for one in some]).astype(float)
    few = merged.n < 10  # beyond, observations may be
    ours = unit.index(merged.hkl)[few]
    np.testing.assert_array_equal(merged.n[few], np.bincount(row)[ours])
    mean = np.bincount(row, intensity)[ours] / np.bincount(row)[ours]
    np.testing.assert_allclose(merged.intensity[few], mean, rtol=1e-9)


def test_sigma_is_how_far_merges_of_other_crystals_lie(crystals: list[Reflections]) -> None:
    first, second = merge(crystals[:1000]).merged(), merge(crystals[1000:]).merged()
    place = {tuple(hkl): i for i, hkl in enumerate(second.hkl.tolist())}
    pairs = np.array([(i, place[tuple(hkl)]) for i, hkl in enumerate(first.hkl.tolist()) if tuple(hkl) in place])
    enough = (first.n[pairs[:, 0]] >= 12) & (second.n[pairs[:, 1]] >= 12)
    one, other = pairs[enough].T
    scale = np.sum(first.intensity[one]) / np.sum(second.intensity[other])
    off = first.intensity[one] - scale * second.intensity[other]
    pull = off / np.hypot(first.sigma[one], scale * second.sigma[other])
    assert len(pull) > 1000
    assert np.std(pull) == pytest.approx(1.0, abs=0.15)


def test_scales_of_crystals_are_found(simulator: PartialIntensities) -> None:
    rng = np.random.default_rng(8)
    merger = Merger(LYSOZYME, d_min=D_MIN)
    true, found = [], []
    for number in range(500):
        size = float(rng.lognormal(0.0, 0.6))
        crystal = merger.add(simulator.measure(simulator.excite(rng), rng, size), "run", number)
        if number >= 200 and crystal.scale is not None:
            true.append(np.log(size))
            found.append(np.log(crystal.scale))
    assert np.corrcoef(true, found)[0, 1] > 0.97
    assert np.polyfit(true, found, 1)[0] == pytest.approx(1.0, abs=0.1)


def test_b_factors_of_crystals_are_found(simulator: PartialIntensities) -> None:
    rng = np.random.default_rng(9)
    merger = Merger(LYSOZYME, d_min=D_MIN, scaling="scale_and_b", weighting="partiality")
    true, found = [], []
    for number in range(700):
        b = float(rng.normal(0.0, 8.0))
        measured = simulator.measure(simulator.excite(rng), rng)
        decay = np.exp(-b * measured.inverse_d**2 / 2).astype(np.float32)
        faded = replace(measured, intensity=measured.intensity * decay, sigma=measured.sigma * decay)
        crystal = merger.add(faded, "run", number)
        if number >= 300 and crystal.b_factor is not None:
            true.append(b)
            found.append(crystal.b_factor)
    assert np.corrcoef(true, found)[0, 1] > 0.9


def test_crystals_that_share_nothing_with_the_rest_are_left_out(
    simulator: PartialIntensities, crystals: list[Reflections]
) -> None:
    rng = np.random.default_rng(3)
    merger = merge(crystals[:400])
    before = merger.n_outliers
    fates = []
    for number, good in enumerate(crystals[400:600]):
        wrong = replace(good, hkl=np.ascontiguousarray(good.hkl[rng.permutation(len(good))]))
        fates.append(merger.add(wrong, "wrong", number).fate)
        merger.add(good, "right", number)
    assert fates.count("outlier") > 120
    assert merger.n_outliers - fates.count("outlier") - before <= 4


def test_an_observation_far_from_the_others_is_rejected(crystals: list[Reflections]) -> None:
    merger = merge(crystals[:1500])
    often = merger.unit.hkl[np.argsort(-merger.counts.sum(axis=0))[:40]]
    good = crystals[1500]
    n = len(often)
    zinger = replace(
        good[np.zeros(n, int)], hkl=often, intensity=np.full(n, 1e6, np.float32), sigma=np.full(n, 10.0, np.float32)
    )
    before = merger.merged().intensity.max()
    merger.add(zinger, "zinger", 1)
    assert merger.merged().intensity.max() < 1.1 * before


def test_flagged_and_unmeasured_reflections_are_left_out(crystals: list[Reflections]) -> None:
    crystal = crystals[0]
    flags = crystal.flags.copy()
    flags[::2] = Flag.SATURATED
    intensity = crystal.intensity.copy()
    intensity[1::4] = np.nan
    merger = Merger(LYSOZYME, d_min=D_MIN)
    left = int(((flags == 0) & np.isfinite(intensity)).sum())
    assert merger.add(replace(crystal, flags=flags, intensity=intensity), "run", 0).n_used == left
    assert merger.counts.sum() == left
    nothing = replace(crystal, flags=np.full(len(crystal), Flag.MASKED, np.uint8))
    assert merger.add(nothing, "run", 1).fate == "empty"
    assert merger.n_empty == 1


def test_halves_follow_series_and_number_alone_and_are_of_one_size() -> None:
    halves = [half_of("a run", number) for number in range(4000)]
    assert halves == [half_of("a run", number) for number in range(4000)]
    assert sum(halves) == pytest.approx(2000, abs=130)
    assert halves != [half_of("another", number) for number in range(4000)]


def test_what_is_unknown_is_none_and_not_zero(crystals: list[Reflections]) -> None:
    found = Merger(LYSOZYME, d_min=D_MIN).statistics()
    assert found.overall.completeness == 0.0 and found.overall.n_possible > 1000
    assert (found.overall.multiplicity, found.overall.snr, found.overall.cc_half, found.overall.cc_star) == (None,) * 4
    assert found.overall.r_split is None and found.resolution(0.5) is None
    merger = merge(crystals[:1])
    assert merger.statistics().shells[-1].cc_half is None
    assert merger.statistics().overall.multiplicity is not None


def test_few_crystals_are_settled_when_the_run_ends(crystals: list[Reflections]) -> None:
    merger = merge(crystals[:60])
    assert not merger.is_settled
    observed = merger.counts.sum()
    merger.finish()
    assert merger.is_settled and merger.counts.sum() == pytest.approx(observed, rel=0.02)
    assert merger.n_crystals == 60


def test_a_merged_mtz_is_read_by_gemmi_and_never_overwritten(crystals: list[Reflections], tmp_path: Path) -> None:
    merged = merge(crystals[:300]).merged()
    path = tmp_path / "merged.mtz"
    merged.write_mtz(path, wavelength=1.3)
    mtz = gemmi.read_mtz_file(str(path))
    assert mtz.spacegroup.xhm() == LYSOZYME.space_group
    assert mtz.cell.parameters == pytest.approx(LYSOZYME.parameters)
    assert [column.label for column in mtz.columns] == ["H", "K", "L", "IMEAN", "SIGIMEAN", "N", "I1", "N1", "I2", "N2"]
    assert mtz.dataset(1).wavelength == pytest.approx(1.3)
    np.testing.assert_array_equal(mtz.make_miller_array(), merged.hkl)
    np.testing.assert_allclose(mtz.column_with_label("IMEAN").array, merged.intensity, rtol=1e-5)
    np.testing.assert_allclose(mtz.column_with_label("I2").array, merged.half[1], rtol=1e-5)
    asu = gemmi.ReciprocalAsu(LYSOZYME.group)
    assert all(asu.is_in(hkl) for hkl in merged.hkl.tolist())
    content = path.read_bytes()
    with pytest.raises(FileExistsError):
        merged.write_mtz(path)
    assert path.read_bytes() == content


def test_stills_through_the_whole_chain_merge_to_their_true_intensities() -> None:
    simulator = demo_simulator()
    series = Series(key="s", number=1, dtype="uint16")
    chain = Chain([
        ("hitfind", Hitfind(HitfindSettings())),
        ("index", Index(IndexSettings(cell="79.2 79.2 38.0 90 90 90 P43212"))),
        ("integrate", Integrate(IntegrateSettings(d_min=3.5))),
    ])  # fmt: skip
    chain.begin(series, simulator.detector)
    merger = Merger(LYSOZYME, d_min=3.5, n_shells=3)
    for number in range(100):
        image, _ = simulator.simulate(number)
        frame = Frame(series="s", number=number, payload=b"", shape=image.shape, dtype="uint16", encoding=Encoding())
        shot = Shot(series, frame, image, simulator.detector)
        chain.event(shot)
        for reflections in shot.reflections:
            merger.add(reflections, "s", number)
    chain.end()
    merger.finish()
    assert merger.n_crystals > 80
    merged, unit = merger.merged(), AsymmetricUnit(LYSOZYME, 3.5)
    true = np.zeros(len(unit))
    row = unit.index(simulator.structure_factors.hkl)
    true[row[row >= 0]] = simulator.structure_factors.intensity[row >= 0]
    often = merged.n >= 4
    assert np.corrcoef(merged.intensity[often], true[unit.index(merged.hkl)][often])[0, 1] > 0.8
    overall = merger.statistics().overall
    assert overall.cc_half is not None and overall.cc_half > 0.5


def test_options_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="d_min must be positive, found -1"):
        Merger(LYSOZYME, d_min=-1.0)
    with pytest.raises(ValueError, match="expected 1 to 100 shells, found 0"):
        Merger(LYSOZYME, d_min=D_MIN, n_shells=0)
    with pytest.raises(ValueError, match="expected scaling none, scale or scale_and_b, found 'b'"):
        Merger(LYSOZYME, d_min=D_MIN, scaling="b")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected weighting mean or partiality, found 'w'"):
        Merger(LYSOZYME, d_min=D_MIN, weighting="w")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"at most 50000000 are allowed: choose a larger d_min"):
        Merger(UnitCell(900.0, 900.0, 900.0), d_min=1.0)
    with pytest.raises(ValueError, match=r"expected d_min from 2\.40 A, the merge's"):
        Merger(LYSOZYME, d_min=D_MIN).statistics(2.0)
