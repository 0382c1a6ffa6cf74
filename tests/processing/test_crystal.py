"""A lattice in one image, and how far apart two orientations of it are."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from braggwatch.processing.crystal import Crystal, misorientation
from braggwatch.processing.unit_cell import UnitCell

CELLS = [
    "31 42 53 81 97 102 P1",
    "80 60 70 90 103 90 C2",
    "50 60 70 90 90 90 P212121",
    "79.2 79.2 38.0 90 90 90 P43212",
    "93.4 93.4 131.1 90 90 120 P6122",
    "81 81 34 90 90 120 R32",
    "78 78 78 90 90 90 I23",
]


def test_a_turned_crystal_keeps_its_cell() -> None:
    cell = UnitCell.from_string(CELLS[0])
    crystal = Crystal(cell.A @ Rotation.from_euler("xyz", [0.3, 1.0, 2.0]).as_matrix())
    assert crystal.cell == pytest.approx(cell.parameters)
    np.testing.assert_allclose(crystal.A_star @ crystal.A.T, np.eye(3), atol=1e-12)
    assert crystal.n_indexed == 0


@pytest.mark.parametrize("text", CELLS)
@pytest.mark.parametrize("angle", [0.0, 0.01, 3.0, 12.0])
def test_misorientation_is_the_turn_whichever_equivalent_axes_are_chosen(text: str, angle: float) -> None:
    cell = UnitCell.from_string(text)
    start = Rotation.from_euler("xyz", [0.3, 1.0, 2.0]).as_matrix()
    turn = Rotation.from_rotvec(np.radians(angle) * np.array([0.6, 0.0, 0.8])).as_matrix()
    first = cell.A @ start
    for equivalent in cell.lattice_rotations:
        second = equivalent @ cell.A @ start @ turn.T
        assert misorientation(first, second, cell) == pytest.approx(angle, abs=1e-6)
        assert misorientation(second, first, cell) == pytest.approx(angle, abs=1e-6)
        assert misorientation(first, -second, cell) == pytest.approx(angle, abs=1e-6)


def test_a_quarter_turn_of_a_tetragonal_lattice_is_none() -> None:
    turn = Rotation.from_rotvec([0, 0, np.pi / 2]).as_matrix()
    tetragonal, orthorhombic = UnitCell(79.2, 79.2, 38.0), UnitCell(50, 60, 70)
    assert misorientation(tetragonal.A, tetragonal.A @ turn, tetragonal) == pytest.approx(0.0, abs=1e-6)
    assert misorientation(orthorhombic.A, orthorhombic.A @ turn, orthorhombic) == pytest.approx(90.0, abs=5.0)


def test_no_two_orientations_of_a_cubic_lattice_are_further_apart_than_geometry_allows() -> None:
    cell = UnitCell.from_string(CELLS[-1])
    turns = Rotation.random(500, rng=np.random.default_rng(1)).as_matrix()
    angles = [misorientation(cell.A, cell.A @ turn, cell) for turn in turns]
    assert max(angles) <= 62.8
    assert np.mean(angles) == pytest.approx(40.7, abs=1.5)  # Mackenzie (1958)


def test_cells_that_differ_a_little_can_be_compared() -> None:
    cell = UnitCell.from_string(CELLS[3])
    turn = Rotation.from_rotvec(np.radians([0, 2.0, 0])).as_matrix()
    assert misorientation(cell.A, cell.A @ np.diag([1.004, 0.997, 1.002]) @ turn, cell) == pytest.approx(2.0, abs=0.05)


@pytest.mark.parametrize("bad", [np.zeros((3, 3)), np.full((3, 3), np.nan), np.eye(2)])
def test_axes_that_span_no_space_are_refused(bad: NDArray[np.float64]) -> None:
    cell = UnitCell(10, 10, 10)
    with pytest.raises(ValueError, match="expected three axes that span space as the rows"):
        misorientation(cell.A, bad, cell)
