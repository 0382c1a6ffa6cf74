"""Poles of lattices, and whether their orientations are uniform."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from scipy.stats import kstest

from braggwatch.processing.preferred_orientation import (
    FEWEST,
    PoleSums,
    equal_area,
    equivalent_axes,
    from_equal_area,
    poles,
)
from braggwatch.processing.unit_cell import UnitCell

TETRAGONAL = UnitCell.from_string("79.2 79.2 38.0 90 90 90 P43212")
CUBIC = UnitCell.from_string("78 78 78 90 90 90 P23")
HEXAGONAL = UnitCell.from_string("78 78 38 90 90 120 P6")
C_STAR = np.array([[0, 0, 1]])


def summed(A: np.ndarray, hkl: np.ndarray) -> PoleSums:
    sums = PoleSums()
    sums.add(poles(A, hkl))
    return sums


@pytest.mark.parametrize(
    ("cell", "axis", "n", "degree"),
    [(TETRAGONAL, 2, 20, 2), (TETRAGONAL, 0, 50, 2), (HEXAGONAL, 0, 50, 2), (CUBIC, 2, 50, 4)],
)
def test_uniform_orientations_give_uniform_p_values(cell: UnitCell, axis: int, n: int, degree: int) -> None:
    random = np.random.default_rng(7)
    hkl = equivalent_axes(axis, cell.lattice_rotations)
    found = [summed(cell.A @ Rotation.random(n, rng=random).as_matrix(), hkl).test() for _ in range(400)]
    p_values = [test.p_value for test in found if test is not None]
    assert len(p_values) == 400 and found[0] is not None and found[0].degree == degree
    assert kstest(p_values, "uniform").pvalue > 0.01
    assert 0.02 < np.mean(np.array(p_values) < 0.05) < 0.09


@pytest.mark.parametrize(("cell", "axis"), [(TETRAGONAL, 2), (TETRAGONAL, 0), (CUBIC, 2)])
def test_crystals_that_lie_alike_are_noticed(cell: UnitCell, axis: int) -> None:
    tilt = Rotation.from_rotvec(np.random.default_rng(1).normal(0, 0.15, (200, 3))).as_matrix()
    test = summed(cell.A @ tilt, equivalent_axes(axis, cell.lattice_rotations)).test()
    assert test is not None and test.p_value < 1e-20 and 0.5 < test.strength < 1


def test_the_axis_is_where_poles_gather() -> None:
    tilt = Rotation.from_rotvec(np.random.default_rng(1).normal(0, 0.05, (200, 3)))
    turn = Rotation.from_euler("x", 60, degrees=True)
    test = summed(TETRAGONAL.A @ (turn * tilt).inv().as_matrix(), C_STAR).test()
    assert test is not None
    np.testing.assert_allclose(np.abs(test.axis), np.abs(turn.apply([0, 0, 1])), atol=0.03)
    assert test.eigenvalues[0] > 0.98 and sum(test.eigenvalues) == pytest.approx(1)
    assert test.axis[2] >= 0 and test.gathers


def test_an_axis_that_poles_avoid_is_told_from_one_where_they_gather() -> None:
    random = np.random.default_rng(1)
    about_y = Rotation.from_euler("y", random.uniform(0, 360, (200, 1)), degrees=True)
    tilt = Rotation.from_rotvec(random.normal(0, 0.05, (200, 3)))
    test = summed(TETRAGONAL.A @ (tilt * about_y).inv().as_matrix(), C_STAR).test()
    assert test is not None and not test.gathers
    np.testing.assert_allclose(np.abs(test.axis), [0, 1, 0], atol=0.05)


def test_lattices_that_come_in_parts_count_as_if_they_came_at_once() -> None:
    A = TETRAGONAL.A @ Rotation.random(100, rng=np.random.default_rng(2)).as_matrix()
    parts = PoleSums()
    for part in np.split(A, [0, 1, 40]):
        parts.add(poles(part, C_STAR))
    one, other = parts.test(), summed(A, C_STAR).test()
    assert one is not None and other is not None and one.p_value == pytest.approx(other.p_value)


def test_a_pole_is_the_reciprocal_axis_towards_the_detector() -> None:
    triclinic = UnitCell(30, 40, 50, 80, 95, 110)
    A = triclinic.A @ Rotation.random(50, rng=np.random.default_rng(3)).as_matrix()
    A[::2] *= -1.0
    found = poles(A, np.eye(3, dtype=np.int64))
    for axes, directions in zip(A, found, strict=True):
        expected = np.linalg.inv(axes).T
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
        np.testing.assert_allclose(directions, expected * np.sign(expected[:, 2:]), atol=1e-12)
    assert (found[:, :, 2] >= 0).all()


def test_symmetry_makes_as_many_poles_as_the_lattice_has() -> None:
    def n(cell: UnitCell, axis: int) -> int:
        return len(equivalent_axes(axis, cell.lattice_rotations))

    assert [n(TETRAGONAL, axis) for axis in range(3)] == [2, 2, 1]
    assert [n(HEXAGONAL, axis) for axis in range(3)] == [3, 3, 1]
    assert n(CUBIC, 2) == 3 and n(UnitCell(30, 40, 50, 80, 95, 110), 0) == 1


def test_equal_solid_angles_have_equal_areas() -> None:
    random = np.random.default_rng(4)
    u = random.normal(size=(200_000, 3))
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    u[:, 2] = np.abs(u[:, 2])
    xy = equal_area(u)
    # uniform in the disc: the square of the radius is uniform
    assert kstest((xy**2).sum(axis=1)[:5000], "uniform").pvalue > 0.01
    np.testing.assert_allclose(from_equal_area(xy), u, atol=1e-12)
    np.testing.assert_allclose(equal_area(np.array([[1.0, 0, 0], [0, 0, 1]])), [[1, 0], [0, 0]])


def test_too_few_lattices_and_flat_ones_say_nothing() -> None:
    A = TETRAGONAL.A @ Rotation.random(FEWEST, rng=np.random.default_rng(5)).as_matrix()
    assert summed(A[:-1], C_STAR).test() is None
    A[0] = 0.0
    A[1] = np.nan
    assert summed(A, C_STAR).n == FEWEST - 2
    assert summed(A[:0], C_STAR).n == 0
