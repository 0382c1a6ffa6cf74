"""Unmerged MTZ files, read by gemmi."""

from dataclasses import replace
from pathlib import Path

import gemmi
import numpy as np
import pytest
from dumps_by_hand import LYSOZYME, some_crystal, some_reflections

from braggwatch.processing import mtz
from braggwatch.processing.crystal import Crystal
from braggwatch.processing.mtz import UnmergedMtz, mean_cell
from braggwatch.processing.reflections import Flag, Reflections
from braggwatch.processing.unit_cell import UnitCell

CELLS = [
    "79.2 79.2 38.0 90 90 90 P43212",
    "50 60 70 90 100 90 C2",
    "50 50 70 90 90 120 P63",
    "50 50 70 90 90 120 R32",
    "50 60 70 80 85 75 P1",
    "50 60 70 90 90 90 P212121",
    "80 80 80 90 90 90 I23",
]


def write(path: Path, found: list[tuple[Crystal, Reflections, float]]) -> gemmi.Mtz:
    collected = UnmergedMtz()
    for crystal, reflections, wavelength in found:
        collected.add(crystal, reflections, wavelength)
    collected.write(path)
    return gemmi.read_mtz_file(str(path))


@pytest.mark.parametrize("text", CELLS)
def test_gemmi_reads_every_observation_and_moves_it_back_to_where_it_was_measured(tmp_path: Path, text: str) -> None:
    cell = UnitCell.from_string(text)
    found = [
        (replace(some_crystal(n), A=cell.A, known=cell), some_reflections(300, n), 1.0 + 0.001 * n) for n in range(4)
    ]
    file = write(tmp_path / "a.mtz", found)
    assert file.spacegroup.xhm() == cell.space_group
    np.testing.assert_allclose(file.cell.parameters, cell.parameters, atol=1e-4)
    assert file.column_labels() == ["H", "K", "L", "M/ISYM", "BATCH", "I", "SIGI", "FRACTIONCALC", "XDET", "YDET"]
    assert "".join(column.type for column in file.columns) == "HHHYBJQRRR"
    assert (file.nreflections, len(file.batches)) == (1200, 4)
    assert file.datasets[1].wavelength == pytest.approx(1.0015)
    assert [batch.wavelength for batch in file.batches] == pytest.approx([1.0, 1.001, 1.002, 1.003])
    asu = gemmi.ReciprocalAsu(file.spacegroup)
    assert all(asu.is_in(hkl) for hkl in file.make_miller_array().tolist())
    assert np.all(np.lexsort(file.array[:, :3].T[::-1]) == np.arange(1200))
    assert file.switch_to_original_hkl()
    rows = file.array[np.lexsort(file.array[:, [9, 8, 4]].T)]
    expected = np.concatenate([
        np.column_stack([r.hkl, np.full(300, n), r.intensity, r.sigma, r.partiality, r.fs, r.ss])
        for n, (_, r, _) in enumerate(found, 1)
    ])  # fmt: skip
    expected = expected[np.lexsort(expected[:, [8, 7, 3]].T)]
    np.testing.assert_array_equal(rows[:, [0, 1, 2, 4, 5, 6, 7, 8, 9]], expected.astype(np.float32))


def test_equivalent_observations_meet_in_one_place(tmp_path: Path) -> None:
    """gemmi's own merging counts as many unique reflections as there are, by its own reckoning, in the list."""
    found = [(some_crystal(n), some_reflections(3000, n), 1.0) for n in range(5)]
    file = write(tmp_path / "a.mtz", found)
    hkl = np.concatenate([reflections.hkl for _, reflections, _ in found])
    asu, operations = gemmi.ReciprocalAsu(LYSOZYME.group), LYSOZYME.group.operations()
    unique = {tuple(asu.to_asu(row, operations)[0]) for row in hkl.tolist()}
    merged = gemmi.Intensities()
    merged.import_mtz(file, gemmi.DataType.Unmerged)
    merged.merge_in_place(gemmi.DataType.Mean)
    absent = operations.systematic_absences(np.array(sorted(unique), np.int32))
    # gemmi leaves absent ones and the origin out
    assert abs(len(merged) - (len(unique) - int(absent.sum()))) <= 1


def test_only_reflections_that_nothing_speaks_against_are_taken(tmp_path: Path) -> None:
    table = replace(some_reflections(6), flags=np.array([0, Flag.SATURATED, Flag.EDGE, 0, 0, 0], np.uint8))
    table.intensity[3], table.sigma[4] = np.nan, 0.0
    none = replace(some_reflections(3), flags=np.full(3, Flag.MASKED, np.uint8))
    file = write(tmp_path / "a.mtz", [(some_crystal(1), none, 1.0), (some_crystal(2), table, 1.0)])
    assert (file.nreflections, len(file.batches)) == (2, 1)
    assert sorted(file.column_with_label("I").array) == sorted(table.intensity[[0, 5]])


def test_the_cell_is_the_mean_of_all_crystals_in_the_symmetry_of_the_space_group(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    crystals = [Crystal(LYSOZYME.A + random.normal(0, 0.05, (3, 3)), known=LYSOZYME) for _ in range(200)]
    cell = write(tmp_path / "a.mtz", [(crystal, some_reflections(2), 1.0) for crystal in crystals]).cell
    lengths = np.mean([crystal.cell[:3] for crystal in crystals], axis=0)
    assert cell.a == cell.b == pytest.approx((lengths[0] + lengths[1]) / 2, abs=0.002)
    assert cell.c == pytest.approx(lengths[2], abs=0.002)
    assert (cell.alpha, cell.beta, cell.gamma) == (90, 90, 90)


@pytest.mark.parametrize("text", CELLS)
def test_a_cell_that_obeys_its_space_group_is_its_own_mean(text: str) -> None:
    cell = UnitCell.from_string(text)
    np.testing.assert_allclose(mean_cell(cell.A @ cell.A.T, cell).parameters, cell.parameters, atol=2e-6)


def test_what_does_not_fit_into_one_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    collected = UnmergedMtz()
    with pytest.raises(ValueError, match="there is nothing to write"):
        collected.write(tmp_path / "a.mtz")
    with pytest.raises(ValueError, match="an MTZ file needs a space group"):
        collected.add(some_crystal(known=None), some_reflections(3), 1.0)
    collected.add(some_crystal(), some_reflections(3), 1.0)
    other = replace(some_crystal(), known=replace(LYSOZYME, space_group="P 4"))
    with pytest.raises(ValueError, match="the dumps have P 43 21 2 and P 4: export them one by one"):
        collected.add(other, some_reflections(3), 1.0)
    monkeypatch.setattr(mtz, "MAX_REFLECTIONS", 5)
    with pytest.raises(ValueError, match="one MTZ file takes at most 5 reflections"):
        collected.add(some_crystal(), some_reflections(3), 1.0)
