"""Simulated structure factors: symmetry against gemmi, statistics against SciPy."""

import gemmi
import numpy as np
import pytest
from scipy import stats

from braggwatch.processing.simulation.structure_factors import wilson_intensities
from braggwatch.processing.unit_cell import UnitCell

CELLS = [
    UnitCell(79.2, 79.2, 38.0, space_group="P 43 21 2"),
    UnitCell(60.0, 35.0, 48.0, beta=108.0, space_group="C 1 2 1"),
    UnitCell(58.0, 58.0, 150.0, gamma=120.0, space_group="R 3 :H"),
    UnitCell(30.0, 34.0, 41.0, 81.0, 97.0, 104.0, space_group="P 1"),
    UnitCell(103.0, 103.0, 103.0, space_group="F 4 3 2"),
]


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.space_group)
def test_all_reflections_that_the_space_group_allows_are_there_once(cell: UnitCell) -> None:
    factors = wilson_intensities(cell, 4.0, b_factor=20.0)
    expected = gemmi.make_miller_array(cell.gemmi_cell, cell.group, 4.0, unique=False)
    expected = expected[~np.asarray(cell.group.operations().systematic_absences(expected), bool)]
    found = {tuple(hkl) for hkl in factors.hkl.tolist()}
    assert len(found) == len(factors.hkl)
    assert found == {tuple(hkl) for both in (expected, -expected) for hkl in both.tolist()}


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.space_group)
def test_reflections_that_gemmi_maps_onto_each_other_have_one_intensity(cell: UnitCell) -> None:
    factors = wilson_intensities(cell, 5.0, b_factor=20.0, seed=3)
    asu, operations = gemmi.ReciprocalAsu(cell.group), cell.group.operations()
    intensities: dict[tuple[int, ...], set[float]] = {}
    for hkl, intensity in zip(factors.hkl.tolist(), factors.intensity.tolist(), strict=True):
        intensities.setdefault(tuple(asu.to_asu(hkl, operations)[0]), set()).add(intensity)
    assert all(len(values) == 1 for values in intensities.values())
    assert len({value for values in intensities.values() for value in values}) == len(intensities)


def test_intensities_follow_wilsons_distributions() -> None:
    cell = CELLS[0]
    factors = wilson_intensities(cell, 1.9, b_factor=15.0, seed=1)
    operations = cell.group.operations()
    hkl = factors.hkl.astype(np.int32)
    in_asu = gemmi.ReciprocalAsu(cell.group)
    unique = np.array([in_asu.is_in(one) for one in hkl.tolist()])
    hkl, intensity = hkl[unique], factors.intensity[unique].astype(float)
    intensity /= np.exp(-15.0 / 2.0 * np.asarray(cell.gemmi_cell.calculate_1_d2_array(hkl)))
    intensity /= np.asarray(operations.epsilon_factor_without_centering_array(hkl))
    centric = np.asarray(operations.centric_flag_array(hkl), bool)
    assert centric.sum() > 1000
    assert stats.kstest(intensity[~centric], stats.expon.cdf).pvalue > 1e-3
    assert stats.kstest(intensity[centric], stats.chi2(1).cdf).pvalue > 1e-3


def test_a_finer_resolution_limit_leaves_the_other_intensities_as_they_were() -> None:
    coarse, fine = (wilson_intensities(CELLS[1], d_min, b_factor=20.0, seed=5) for d_min in (5.0, 4.0))
    fine_by_hkl = dict(zip(map(tuple, fine.hkl.tolist()), fine.intensity.tolist(), strict=True))
    assert len(fine.hkl) > len(coarse.hkl)
    assert [fine_by_hkl[tuple(hkl)] for hkl in coarse.hkl.tolist()] == coarse.intensity.tolist()


def test_another_seed_is_another_crystal() -> None:
    one, other = (wilson_intensities(CELLS[1], 5.0, b_factor=20.0, seed=seed).intensity for seed in (0, 1))
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.1


def test_a_resolution_limit_that_is_not_positive_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the resolution limit d_min must be positive, found 0.0 Angstrom"):
        wilson_intensities(CELLS[0], 0.0, b_factor=20.0)


def test_more_reflections_than_memory_should_hold_are_refused() -> None:
    with pytest.raises(ValueError, match=r"at most 20000000 can be simulated: choose a larger d_min"):
        wilson_intensities(UnitCell(400.0, 500.0, 600.0), 2.0, b_factor=20.0)
