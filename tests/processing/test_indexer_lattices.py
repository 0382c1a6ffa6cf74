"""The indexer on simulated stills of all Bravais lattices, whose truth is known."""

import gemmi
import numpy as np
import pytest
from indexing_truth import CELLS, F64, cell_of, misorientation, spots_anywhere, still

from braggwatch.processing.indexer import Indexer, reduced_basis
from braggwatch.processing.unit_cell import UnitCell


def found(crystals: list[F64], truth: F64) -> bool:
    return min([misorientation(A, truth) for A in crystals], default=180.0) < 0.5


@pytest.mark.parametrize("lattice", CELLS)
def test_each_bravais_lattice_is_found_in_its_conventional_setting(lattice: str) -> None:
    cell, rng = cell_of(lattice), np.random.default_rng(1)
    indexer = Indexer(cell)
    for _ in range(4):
        A, q = still(cell, rng, 80)
        q = np.concatenate([q, spots_anywhere(rng, rng.uniform(0.05, 0.4, 20))])
        (crystal,) = indexer(q)
        assert misorientation(crystal.A, A) < 0.5
        assert np.linalg.det(crystal.A) > 0
        assert crystal.cell[:3] == pytest.approx(np.linalg.norm(A, axis=1), rel=0.01)
        assert crystal.n_indexed >= 72


@pytest.mark.parametrize("lattice", [name for name in CELLS if name[1] != "P"])
def test_reflections_that_the_centring_forbids_are_never_indexed(lattice: str) -> None:
    cell, rng = cell_of(lattice), np.random.default_rng(2)
    _, q = still(cell, rng, 100)
    (crystal,) = Indexer(cell)(np.concatenate([q, spots_anywhere(rng, rng.uniform(0.05, 0.4, 100))]))
    group = gemmi.SpaceGroup("R 3:H" if cell.centring == "R" else f"{cell.centring} 1")
    assert not np.any(group.operations().systematic_absences(crystal.hkl))
    assert (np.abs(crystal.hkl).sum(axis=1) > 0).all()


@pytest.mark.parametrize("lattice", CELLS)
def test_the_reduced_basis_is_the_cell_that_gemmi_reduces_to(lattice: str) -> None:
    cell = cell_of(lattice)
    A = reduced_basis(cell) @ cell.A
    gruber = gemmi.GruberVector(cell.gemmi_cell, cell.centring)
    gruber.niggli_reduce()
    lengths = np.linalg.norm(A, axis=1)
    assert lengths == pytest.approx(gruber.get_cell().parameters[:3])
    assert lengths[0] == pytest.approx(lengths.min())
    assert np.linalg.det(A) == pytest.approx(cell.volume / {"P": 1, "C": 2, "I": 2, "R": 3, "F": 4}[cell.centring])


@pytest.mark.parametrize(("outliers", "needed"), [(0.0, 1.0), (0.3, 1.0), (0.6, 0.95)])
def test_crystals_are_found_among_spots_of_no_lattice(outliers: float, needed: float) -> None:
    rng = np.random.default_rng(3)
    right = []
    for lattice in CELLS:
        cell = cell_of(lattice)
        for _ in range(3):
            A, q = still(cell, rng, 70)
            q = np.concatenate([q, spots_anywhere(rng, rng.uniform(0.05, 0.4, int(70 * outliers / (1 - outliers))))])
            right.append(found([crystal.A for crystal in Indexer(cell)(q)], A))
    assert np.mean(right) >= needed


def test_two_and_three_lattices_are_told_apart() -> None:
    rng = np.random.default_rng(4)
    right, false = [], 0
    for lattice in CELLS:
        for n in (2, 3):
            cell = cell_of(lattice)
            truths, spots = zip(*(still(cell, rng, 70) for _ in range(n)), strict=True)
            q = np.concatenate([*spots, spots_anywhere(rng, rng.uniform(0.05, 0.4, 30))])
            crystals = Indexer(cell, max_lattices=n)(q)
            right += [found([crystal.A for crystal in crystals], truth) for truth in truths]
            false += sum(not found(list(truths), crystal.A) for crystal in crystals)
            every = np.concatenate([crystal.spots for crystal in crystals])
            assert len(every) == len(set(every))
    assert np.mean(right) >= 0.97
    assert false == 0


def test_a_dozen_spots_are_enough_for_a_small_cell() -> None:
    cell, rng = cell_of("tP"), np.random.default_rng(5)
    right = []
    for _ in range(40):
        A, q = still(cell, rng, 12)
        right.append(found([crystal.A for crystal in Indexer(cell)(q)], A))
    assert np.mean(right) >= 0.9


def test_noisy_spots_of_a_cell_two_per_cent_off_are_indexed() -> None:
    rng = np.random.default_rng(6)
    right = []
    for lattice in CELLS:
        cell = cell_of(lattice)
        A, q = still(cell, rng, 90, noise=6e-4, strain=0.01)
        right.append(min([misorientation(crystal.A, A) for crystal in Indexer(cell)(q)], default=180.0) < 1.0)
    assert np.mean(right) >= 0.9


def test_a_cell_of_300_angstrom_is_indexed() -> None:
    cell, rng = UnitCell(210.0, 255.0, 300.0, 90, 90, 90, "P 21 21 21"), np.random.default_rng(7)
    right = []
    for _ in range(10):
        A, q = still(cell, rng, 150, d_min=3.5, noise=2e-4, strain=0.002)
        right.append(found([crystal.A for crystal in Indexer(cell)(q)], A))
    assert np.mean(right) >= 0.9


@pytest.mark.parametrize("lattice", ["aP", "mC", "hR", "cF"])
def test_random_spots_make_no_lattice_of_other_cells_either(lattice: str) -> None:
    rng = np.random.default_rng(8)
    indexer = Indexer(cell_of(lattice), max_lattices=2)
    assert not any(indexer(spots_anywhere(rng, rng.uniform(0.03, 0.4, n))) for n in rng.integers(20, 400, 20))


def test_a_lattice_outside_the_tolerances_is_refused() -> None:
    cell = UnitCell(60.0, 75.0, 90.0)
    _, q = still(cell, np.random.default_rng(9), 100, strain=0.0)
    assert len(Indexer(UnitCell(61.8, 75.0, 90.0), length_tolerance=0.05)(q)) == 1
    assert Indexer(UnitCell(61.8, 75.0, 90.0), length_tolerance=0.02)(q) == []
    assert len(Indexer(UnitCell(60.0, 75.0, 90.0, 90.0, 91.0, 90.0, "P 1 2 1"), angle_tolerance=2.0)(q)) == 1
    assert Indexer(UnitCell(60.0, 75.0, 90.0, 90.0, 91.0, 90.0, "P 1 2 1"), angle_tolerance=0.5)(q) == []
