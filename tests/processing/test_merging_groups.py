"""Groups of crystals in one merge: against their own truth, against plain sums, and against each other."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from braggwatch.processing.data_quality import Difference
from braggwatch.processing.intensity_differences import difference
from braggwatch.processing.merge import Merge
from braggwatch.processing.merge_statistics import correlation_of_halves
from braggwatch.processing.merging import START_UP, Merger, half_of
from braggwatch.processing.reflections import Reflections
from braggwatch.processing.shot_groups import MAX_GROUPS, OTHERS
from braggwatch.processing.simulation.demo import LYSOZYME, demo_detector
from braggwatch.processing.simulation.partial_intensities import PartialIntensities
from braggwatch.processing.unit_cell import UnitCell

F64 = NDArray[np.float64]

D_MIN = 3.0
AMBIGUOUS = (
    UnitCell(79.2, 79.2, 38.0, space_group="P 43"), UnitCell(92.9, 92.9, 60.4, gamma=120.0, space_group="P 63"),
)  # fmt: skip


def pair_of(cell: UnitCell, factor: F64 | None = None) -> tuple[PartialIntensities, PartialIntensities]:
    """Return dark and pumped; every fifth reflection of the latter is changed, or all by `factor`."""
    dark, pumped = (PartialIntensities(demo_detector(), cell, d_min=D_MIN) for _ in range(2))
    if factor is None:
        rng = np.random.default_rng(1)
        factor = np.where(rng.random(len(dark.unit)) < 0.2, rng.choice([0.4, 2.0], len(dark.unit)), 1.0)
    pumped.intensity *= factor
    return dark, pumped


def shots(simulator: PartialIntensities, n: int, seed: int) -> list[Reflections]:
    rng = np.random.default_rng(seed)
    return [simulator.measure(simulator.excite(rng), rng, float(rng.lognormal(-0.12, 0.5))) for _ in range(n)]


@pytest.fixture(scope="module")
def simulators() -> tuple[PartialIntensities, PartialIntensities]:
    return pair_of(LYSOZYME)


@pytest.fixture(scope="module")
def dark(simulators: tuple[PartialIntensities, PartialIntensities]) -> list[Reflections]:
    return shots(simulators[0], 900, 5)


@pytest.fixture(scope="module")
def pumped(simulators: tuple[PartialIntensities, PartialIntensities]) -> list[Reflections]:
    return shots(simulators[1], 900, 6)


def in_turn(*groups: tuple[str, list[Reflections]]) -> list[tuple[str, Reflections]]:
    return [(name, one) for together in zip(*(crystals for _, crystals in groups), strict=True)
            for (name, _), one in zip(groups, together, strict=True)]  # fmt: skip


def merge(crystals: list[tuple[str, Reflections]], cell: UnitCell = LYSOZYME) -> Merger:
    merger = Merger(cell, d_min=D_MIN)
    for number, (group, reflections) in enumerate(crystals):
        merger.add(reflections, "run", number, group=group)
    merger.finish()
    return merger


def correlation(x: F64, y: F64) -> float:
    return float(np.corrcoef(x, y)[0, 1])


def rows_of(merger: Merger, merged: Merge) -> NDArray[np.int32]:
    return merger.unit.index(merged.merged().hkl)


def intensities(merger: Merger, group: str) -> F64:
    """``(n,)`` of the whole asymmetric unit; NaN where not observed."""
    found = np.full(len(merger.unit), np.nan)
    one = merger.groups[group]
    found[rows_of(merger, one)] = one.merged().intensity
    return found


def test_each_group_shows_its_own_truth_and_their_difference_the_true_one(
    simulators: tuple[PartialIntensities, PartialIntensities], dark: list[Reflections], pumped: list[Reflections]
) -> None:
    merger = merge(in_turn(("dark", dark), ("pumped", pumped)))
    assert list(merger.groups) == ["dark", "pumped"]
    found = [intensities(merger, name) for name in ("dark", "pumped")]
    known = np.isfinite(found).all(axis=0)
    assert known.mean() > 0.97
    dark_found, pumped_found = (values[known] for values in found)
    true_dark, true_pumped = (simulator.intensity[known] for simulator in simulators)
    assert correlation(dark_found, true_dark) > correlation(dark_found, true_pumped) + 0.01
    assert correlation(pumped_found, true_pumped) > correlation(pumped_found, true_dark) + 0.01
    assert correlation(pumped_found - dark_found, true_pumped - true_dark) > 0.7
    slope = np.polyfit(true_pumped - true_dark, pumped_found - dark_found, 1)[0] * true_dark.sum() / dark_found.sum()
    assert slope == pytest.approx(1.0, abs=0.12)  # scaled against all, a difference shrinks a little
    same = true_dark == true_pumped
    assert same.sum() > 1000
    ratio = true_dark.sum() / true_pumped.sum()  # scales are such that typical crystals give the same total
    assert pumped_found[same].sum() / dark_found[same].sum() == pytest.approx(ratio, abs=0.03)


def test_groups_that_come_one_after_the_other_are_on_one_scale_too(
    dark: list[Reflections], pumped: list[Reflections]
) -> None:
    turns = merge(in_turn(("dark", dark), ("pumped", pumped)))
    blocks = merge([*(("dark", one) for one in dark), *(("pumped", one) for one in pumped)])
    ratios = []
    for merger in (turns, blocks):
        first, second = (intensities(merger, name) for name in ("dark", "pumped"))
        known = np.isfinite(first) & np.isfinite(second)
        ratios.append(second[known].sum() / first[known].sum())
    assert ratios[1] == pytest.approx(ratios[0], rel=0.03)


def test_a_group_is_the_plain_mean_of_its_crystals_with_the_scales_that_all_have_given(
    dark: list[Reflections], pumped: list[Reflections]
) -> None:
    merger = Merger(LYSOZYME, d_min=D_MIN)
    for number, one in enumerate(dark[:START_UP]):
        merger.add(one, "start", number)  # of no group: their scales are found again in the end
    assert merger.is_settled and not merger.groups
    total, weight = {}, {}
    for name in ("dark", "pumped"):
        total[name], weight[name] = np.zeros(len(merger.unit)), np.zeros(len(merger.unit))
    for number, (name, one) in enumerate(in_turn(("dark", dark[START_UP:400]), ("pumped", pumped[START_UP:400]))):
        fate = merger.add(one, "run", number, group=name)
        if fate.fate == "merged":
            assert fate.scale is not None
            row = merger.unit.index(one.hkl)
            np.add.at(total[name], row, one.intensity.astype(float))
            np.add.at(weight[name], row, fate.scale)
    for name, group in merger.groups.items():
        merged, row = group.merged(), rows_of(merger, group)
        few = merged.n < 10  # beyond, observations may be rejected
        assert few.sum() > 300
        np.testing.assert_allclose(
            merged.intensity[few], total[name][row][few] / weight[name][row][few], rtol=1e-9, atol=1e-9
        )


def test_the_merge_of_all_is_the_same_to_the_last_bit_whether_crystals_have_groups_or_not(
    dark: list[Reflections], pumped: list[Reflections]
) -> None:
    crystals = in_turn(("dark", dark[:300]), ("pumped", pumped[:300]))
    grouped, plain = merge(crystals), merge([("", one) for _, one in crystals])
    assert plain.groups == {}
    assert grouped.statistics() == plain.statistics()
    assert grouped.statistics(4.0) == plain.statistics(4.0)
    assert grouped.scale_variance == plain.scale_variance
    np.testing.assert_array_equal(grouped.merged().intensity, plain.merged().intensity)
    np.testing.assert_array_equal(grouped.merged().sigma, plain.merged().sigma)


def test_one_group_of_all_crystals_is_the_merge_of_all(dark: list[Reflections]) -> None:
    merger = merge([("dark", one) for one in dark])
    (group,) = merger.groups.values()
    assert group.statistics() == merger.statistics()
    assert (group.n_crystals, group.n_rejected) == (merger.n_crystals, merger.n_rejected)
    assert group.scale_variance == merger.scale_variance


def test_groups_that_differ_by_chance_alone_agree_within_their_errors(dark: list[Reflections]) -> None:
    rng = np.random.default_rng(0)
    merger = merge([(str(rng.choice(["a", "b"])), one) for one in dark])
    first, second = (group.statistics() for group in merger.groups.values())
    for one, other in zip(first.shells, second.shells, strict=True):
        assert one.cc_half is not None and one.cc_half_error is not None
        assert other.cc_half is not None and other.cc_half_error is not None
        assert abs(one.cc_half - other.cc_half) < 4 * np.hypot(one.cc_half_error, other.cc_half_error)
    a, b = (group.merged() for group in merger.groups.values())
    rows = [rows_of(merger, group) for group in merger.groups.values()]
    _, i, j = np.intersect1d(rows[0], rows[1], return_indices=True)
    enough = (a.n[i] >= 10) & (b.n[j] >= 10)
    i, j = i[enough], j[enough]
    assert a.intensity[i].sum() / b.intensity[j].sum() == pytest.approx(1.0, abs=0.03)
    pull = (a.intensity[i] - b.intensity[j]) / np.hypot(a.sigma[i], b.sigma[j])
    assert len(pull) > 250
    assert np.std(pull) == pytest.approx(1.0, abs=0.15)
    assert abs(np.mean(pull)) < 0.2


@pytest.mark.parametrize("cell", AMBIGUOUS, ids=["P43", "P63"])
def test_groups_are_in_one_setting_though_each_came_in_another(cell: UnitCell) -> None:
    darks, pumps = pair_of(cell)
    crystals = []
    other = None
    for name, one in in_turn(("dark", shots(darks, 450, 1)), ("pumped", shots(pumps, 450, 2))):
        if name == "pumped":
            other = Merger(cell, d_min=8.0).settings[1].rotation if other is None else other
            one = replace(one, hkl=np.ascontiguousarray(one.hkl @ other.T, np.int32))
        crystals.append((name, one))
    merger = merge(crystals, cell)
    assert merger.agreement is not None and merger.agreement > 0.95
    assert merger.in_setting.min() > 0.45 * merger.n_crystals
    assert other is not None
    first, second = (intensities(merger, name) for name in ("dark", "pumped"))
    turned = merger.unit.index(merger.unit.hkl @ other.T.astype(np.int32))
    known = np.isfinite(first) & np.isfinite(second) & (turned >= 0) & np.isfinite(second[turned])
    together, apart = correlation(first[known], second[known]), correlation(first[known], second[turned][known])
    assert together > 0.75
    assert apart < 0.5


def mixed(dark: list[Reflections], pumped: list[Reflections]) -> list[tuple[str, Reflections]]:
    together = [*(("dark", one) for one in dark), *(("pumped", one) for one in pumped)]
    return [together[i] for i in np.random.default_rng(1).permutation(len(together))]


def changed(share_of_weak: float, factor: float) -> tuple[PartialIntensities, PartialIntensities, NDArray[np.bool_]]:
    """Return dark, pumped, and which reflections are `factor` times as strong: of the weaker half so many."""
    true = pair_of(LYSOZYME)[0].intensity
    which = (true < np.median(true)) & (np.random.default_rng(4).random(len(true)) < share_of_weak)
    return *pair_of(LYSOZYME, np.where(which, factor, 1.0)), which


def test_what_is_much_stronger_in_a_small_group_is_not_rejected_there() -> None:
    darks, pumps, stronger = changed(0.06, 60.0)
    merger = merge(mixed(shots(darks, 2400, 7), shots(pumps, 600, 8)))
    group = merger.groups["pumped"]
    found = intensities(merger, "pumped")
    known = np.isfinite(found) & stronger
    rest = np.isfinite(found) & ~stronger
    scale = found[rest].sum() / pumps.intensity[rest].sum()
    assert found[known].sum() / (scale * pumps.intensity[known].sum()) > 0.75
    assert merger.n_rejected > 30 > 3 * group.n_rejected


def test_crystals_that_only_differ_as_their_group_does_stay_in_it() -> None:
    darks, pumps, _ = changed(0.4, 10.0)
    merger = merge(mixed(shots(darks, 1800, 7), shots(pumps, 450, 8)))
    assert merger.n_outliers > 40
    assert merger.groups["pumped"].n_outliers < merger.n_outliers / 2


def test_crystals_that_share_nothing_with_the_rest_are_left_out_of_their_group(dark: list[Reflections]) -> None:
    rng = np.random.default_rng(3)
    good = [("good", one) for one in dark[:400]]
    wrong = [("wrong", replace(one, hkl=np.ascontiguousarray(one.hkl[rng.permutation(len(one))])))
             for one in dark[400:500]]  # fmt: skip
    merger = merge(good + wrong)
    groups = merger.groups
    assert groups["wrong"].n_outliers > 40
    assert groups["wrong"].n_crystals + groups["wrong"].n_outliers == 100
    assert groups["wrong"].n_outliers > 0.9 * (merger.n_outliers - groups["good"].n_outliers)


def test_both_halves_of_a_group_of_every_second_frame_are_of_one_size() -> None:
    halves = Counter((number % 2, half_of("run", number)) for number in range(4000))
    assert min(halves.values()) > 900


def test_groups_beyond_those_that_are_told_apart_are_together(dark: list[Reflections]) -> None:
    names = [f"delay {number:02}" for number in range(MAX_GROUPS + 4)]
    merger = merge([(names[number % len(names)], one) for number, one in enumerate(dark[:300])])
    groups = merger.groups
    assert list(groups) == [*names[:MAX_GROUPS], OTHERS]
    assert groups[OTHERS].n_crystals == 4 * 15
    assert sum(group.n_crystals for group in groups.values()) == merger.n_crystals == 300


def test_a_group_called_others_leaves_room_for_all_that_are_told_apart(dark: list[Reflections]) -> None:
    names = [OTHERS, *(f"delay {number:02}" for number in range(MAX_GROUPS + 1))]
    groups = merge([(name, one) for name, one in zip(names, dark, strict=False)]).groups
    assert len(groups) == MAX_GROUPS + 1
    assert groups[OTHERS].n_crystals == 2


# -- whether they differ ------------------------------------------------------------------------------------------


def apart(crystals: list[tuple[str, Reflections]], d_min: float | None = None) -> Difference:
    first, second = merge(crystals).groups.values()
    return difference(first, second, d_min)


def in_errors(found: Difference) -> float:
    assert found.cc_half is not None and found.cc_half_error is not None
    return found.cc_half / found.cc_half_error


def test_a_true_difference_is_told_from_chance(dark: list[Reflections], pumped: list[Reflections]) -> None:
    found = apart(in_turn(("dark", dark[:300]), ("pumped", pumped[:300])))
    assert in_errors(found) > 6
    assert found.beyond_chance
    better = apart(in_turn(("dark", dark), ("pumped", pumped)))
    assert in_errors(better) > 2 * in_errors(found)
    assert found.r_iso is not None and better.r_iso is not None and better.r_iso < found.r_iso
    coarse = apart(in_turn(("dark", dark), ("pumped", pumped)), 4.0)
    assert 0 < coarse.n < better.n / 2


def test_groups_of_one_kind_differ_by_chance_alone_however_unequal(
    simulators: tuple[PartialIntensities, PartialIntensities],
) -> None:
    errors = []
    for seed in range(10):
        first, second = shots(simulators[0], 300, 100 + seed), shots(simulators[0], (300, 90)[seed % 2], 200 + seed)
        errors.append(in_errors(apart(mixed(first, second))))
    assert abs(np.mean(errors)) < 1.2
    assert np.std(errors) < 2.0
    assert max(errors) < 3.5


def test_neither_scale_nor_fall_off_count_for_a_difference(dark: list[Reflections]) -> None:
    fainter = [
        replace(one, intensity=one.intensity * fading, sigma=one.sigma * fading)
        for one in dark[450:]
        for fading in (1.4 * np.exp(-8.0 * one.inverse_d**2 / 2).astype(np.float32),)
    ]
    assert abs(in_errors(apart(mixed(dark[:450], fainter)))) < 3.0


@pytest.mark.parametrize("n", [5, 8, 15, 30])
def test_noise_alone_is_hardly_ever_called_a_difference_also_where_few_reflections_are_common(n: int) -> None:
    rng = np.random.default_rng(n)
    everywhere = np.ones(n, bool)
    verdicts = [
        Difference(n, *correlation_of_halves(everywhere, rng.normal(size=(2, n)))).beyond_chance for _ in range(2000)
    ]
    assert sum(verdict is True for verdict in verdicts) <= 8  # 3 standard errors: 2.7


def test_of_a_few_crystals_no_difference_is_known(dark: list[Reflections]) -> None:
    found = apart(in_turn(("dark", dark[:2]), ("pumped", dark[2:4])))
    assert (found.cc_half, found.cc_half_error, found.r_iso, found.beyond_chance) == (None,) * 4
