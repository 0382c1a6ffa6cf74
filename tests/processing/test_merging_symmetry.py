"""Which reflections are one, and in which setting a crystal was indexed: against gemmi and simulated truth."""

from dataclasses import replace

import gemmi
import numpy as np
import pytest
from indexing_truth import CELLS, cell_of
from scipy.sparse import csr_array

from braggwatch.processing.ambiguity import cluster, describe, settings_of
from braggwatch.processing.asymmetric_unit import AsymmetricUnit
from braggwatch.processing.merging import Merger
from braggwatch.processing.simulation.demo import demo_detector
from braggwatch.processing.simulation.partial_intensities import PartialIntensities
from braggwatch.processing.unit_cell import UnitCell

TETRAGONAL = UnitCell(79.2, 79.2, 38.0, space_group="P 43")
HEXAGONAL = UnitCell(92.9, 92.9, 60.4, gamma=120.0, space_group="P 63")
TRIGONAL = UnitCell(92.9, 92.9, 60.4, gamma=120.0, space_group="P 3")


@pytest.mark.parametrize("lattice", CELLS)
def test_every_index_is_mapped_as_gemmi_maps_it(lattice: str) -> None:
    cell = cell_of(lattice)
    unit = AsymmetricUnit(cell, 6.0)
    asu, operations = gemmi.ReciprocalAsu(cell.group), cell.group.operations()
    rng = np.random.default_rng(0)
    hkl = rng.integers(-34, 35, (3000, 3)).astype(np.int32)
    hkl = np.concatenate([hkl, unit.hkl[rng.integers(len(unit), size=300)], [[0, 0, 0]]]).astype(np.int32)
    known = {tuple(one): row for row, one in enumerate(unit.hkl.tolist())}
    expected = [known.get(tuple(asu.to_asu(one, operations)[0]), -1) for one in hkl.tolist()]
    assert sum(row >= 0 for row in expected) > 300
    np.testing.assert_array_equal(unit.index(hkl), expected)


@pytest.mark.parametrize("lattice", CELLS)
def test_the_mates_of_all_reflections_make_up_the_sphere(lattice: str) -> None:
    cell = cell_of(lattice)
    unit = AsymmetricUnit(cell, 6.0)
    whole = gemmi.make_miller_array(cell.gemmi_cell, gemmi.SpaceGroup("P 1"), 6.0, unique=False)
    whole = np.unique(np.concatenate([whole, -whole]), axis=0)
    assert unit.mates.sum() == (~cell.is_absent(whole)).sum()


def test_indices_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected Miller indices of shape \(n, 3\), found \(3,\)"):
        AsymmetricUnit(TETRAGONAL, 6.0).index([1, 2, 3])


def test_ambiguous_space_groups_are_named_with_their_settings() -> None:
    assert describe(HEXAGONAL) == (
        "P 63 can be indexed in 2 ways that the spots' places cannot tell apart: h,k,l; k,h,-l"
    )
    names = {
        "P 43": ["h,k,l", "k,h,-l"], "P 43 21 2": ["h,k,l"], "P 3": ["h,k,l", "k,h,-l", "-h,-k,l", "-k,-h,-l"],
        "P 3 2 1": ["h,k,l", "-h,-k,l"], "P 61 2 2": ["h,k,l"], "P 21 3": ["h,k,l", "k,h,-l"], "P 4 3 2": ["h,k,l"],
    }  # fmt: skip
    for group, expected in names.items():
        system = gemmi.SpaceGroup(group).crystal_system_str()
        lengths = (90.0, 90.0, 90.0) if system == "cubic" else (90.0, 90.0, 60.0)
        gamma = 120.0 if system in ("trigonal", "hexagonal") else 90.0
        cell = UnitCell(*lengths, 90.0, 90.0, gamma, group)
        assert [setting.name for setting in settings_of(cell)] == expected
        assert (describe(cell) is None) == (len(expected) == 1)


def test_settings_agree_with_gemmis_twin_laws() -> None:
    for cell in (TETRAGONAL, HEXAGONAL, TRIGONAL, UnitCell(54.0, 66.0, 77.0, 90.0, 90.2, 90.0, "P 1 21 1")):
        laws = gemmi.find_twin_laws(cell.gemmi_cell, cell.group, 1.0, False)
        assert len(settings_of(cell)) == len(laws) + 1


@pytest.mark.parametrize(
    ("cell", "photons"), [(TETRAGONAL, 1000.0), (TETRAGONAL, 100.0), (HEXAGONAL, 100.0), (TRIGONAL, 300.0)]
)
def test_crystals_of_an_ambiguous_group_are_put_right(cell: UnitCell, photons: float) -> None:
    rng = np.random.default_rng(4)
    simulator = PartialIntensities(demo_detector(), cell, d_min=2.5, photons=photons)
    merger = Merger(cell, d_min=2.5)
    table = np.zeros((len(merger.settings),) * 2, int)
    for number in range(900):
        true = int(rng.integers(len(merger.settings)))
        measured = simulator.measure(simulator.excite(rng), rng, float(rng.lognormal(-0.12, 0.5)))
        back = np.rint(np.linalg.inv(merger.settings[true].rotation)).astype(np.int32)
        crystal = merger.add(replace(measured, hkl=np.ascontiguousarray(measured.hkl @ back.T)), "run", number)
        if merger.agreement is not None and merger.is_settled and number > 520:
            table[true, crystal.setting] += 1
    assert merger.agreement is not None and merger.agreement >= 0.95
    assert len(set(table.argmax(axis=1))) == len(merger.settings)  # which of them is called the first, none can tell
    assert table.max(axis=1).sum() >= 0.98 * table.sum()
    # in whichever setting, the merged intensities, those of the first crystals among them, are the true ones
    merged = merger.merged()
    correlations = [
        np.corrcoef(merged.intensity, simulator.intensity[simulator.unit.index(merged.hkl @ setting.rotation)])[0, 1]
        for setting in merger.settings
    ]
    assert max(correlations) > 0.9


def test_halves_that_share_nothing_do_not_agree() -> None:
    rng = np.random.default_rng(0)
    copies = []
    for _ in range(2):
        noise = rng.normal(size=(200, 500)) * (rng.random((200, 500)) < 0.1)
        copies.append(csr_array(noise / np.linalg.norm(noise, axis=1, keepdims=True)))
    assert cluster(copies).agreement < 0.75
    with pytest.raises(ValueError, match="expected between 8 crystals and 8192 in 2 settings each, found 5"):
        cluster([copy[:5] for copy in copies])


def test_crystals_without_a_reflection_in_common_tell_no_settings_apart() -> None:
    found = cluster([csr_array(np.eye(10, 20)), csr_array(np.eye(10, 20, 10))])
    assert found.choice.tolist() == [0] * 10
    assert found.agreement == 0.0
