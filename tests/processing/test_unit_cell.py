"""Cells of all 14 lattices against gemmi and by property."""

import re
from pathlib import Path

import gemmi
import numpy as np
import pytest
from numpy.typing import NDArray

from braggwatch.processing.unit_cell import UnitCell

CELLS = {
    "aP": ("31 42 53 81 97 102 P1", 1),
    "mP": ("50 60 70 90 103 90 P21", 2),
    "mC": ("80 60 70 90 103 90 C2", 2),
    "oP": ("50 60 70 90 90 90 P212121", 4),
    "oC": ("50 60 70 90 90 90 C2221", 4),
    "oF": ("50 60 70 90 90 90 F222", 4),
    "oI": ("50 60 70 90 90 90 I222", 4),
    "tP": ("79.2 79.2 38.0 90 90 90 P43212", 8),
    "tI": ("67 67 102 90 90 90 I4", 8),
    "hP": ("93.4 93.4 131.1 90 90 120 P6122", 12),
    "hR": ("81 81 34 90 90 120 R32", 6),
    "cP": ("61 61 61 90 90 90 P213", 24),
    "cF": ("120 120 120 90 90 90 F432", 24),
    "cI": ("78 78 78 90 90 90 I23", 24),
}
"""A cell of each lattice, and how many rotations the lattice has."""

ALL_HKL = np.stack(np.meshgrid(*[np.arange(-6, 7)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)


@pytest.fixture(params=sorted(CELLS))
def lattice(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def cell(lattice: str) -> UnitCell:
    return UnitCell.from_string(CELLS[lattice][0])


def metric(A: NDArray[np.float64]) -> NDArray[np.float64]:
    return A @ np.swapaxes(A, -1, -2)


def test_each_cell_knows_its_lattice(cell: UnitCell, lattice: str) -> None:
    assert cell.lattice == lattice


def test_the_shape_alone_tells_the_lattice(lattice: str) -> None:
    words = CELLS[lattice][0].split()
    centring = words[6][0]
    assert UnitCell.from_string(" ".join([*words[:6], centring])).lattice == lattice


def test_a_lattices_own_name_is_a_symmetry_too(lattice: str) -> None:
    words = CELLS[lattice][0].split()
    assert UnitCell.from_string(" ".join([*words[:6], lattice])).lattice == lattice


def test_matrices_agree_with_gemmi(cell: UnitCell) -> None:
    reference = gemmi.UnitCell(*cell.parameters)
    np.testing.assert_allclose(cell.A @ cell.B, np.eye(3), atol=1e-12)
    assert cell.volume == pytest.approx(np.linalg.det(cell.A))
    star = reference.reciprocal()
    np.testing.assert_allclose(np.linalg.norm(cell.B, axis=0), [star.a, star.b, star.c], rtol=1e-12)
    hkl = ALL_HKL[np.any(ALL_HKL != 0, axis=1)]
    np.testing.assert_allclose(cell.d_spacing(hkl), reference.calculate_d_array(hkl.astype(np.int32)), rtol=1e-9)


def test_absences_agree_with_gemmi_one_by_one(cell: UnitCell) -> None:
    operations = cell.group.operations()
    expected = [operations.is_systematically_absent(hkl) for hkl in ALL_HKL.tolist()]
    np.testing.assert_array_equal(cell.is_absent(ALL_HKL), expected)


def test_screw_axes_forbid_reflections() -> None:
    cell = UnitCell.from_string(CELLS["tP"][0])
    hkl = [[0, 0, 1], [0, 0, 2], [0, 0, 4], [1, 0, 0], [2, 0, 0], [1, 1, 0], [3, 0, 1]]
    np.testing.assert_array_equal(cell.is_absent(hkl), [True, True, False, True, False, False, False])
    assert cell.is_absent(np.empty((0, 3))).shape == (0,)


def test_the_primitive_cell_has_just_the_reflections_that_centring_allows(cell: UnitCell) -> None:
    transform = cell.primitive()
    in_primitive = ALL_HKL @ transform.T
    integer = (np.abs(in_primitive - np.rint(in_primitive)) < 1e-9).all(axis=1)
    translations = gemmi.SpaceGroup(cell.space_group).operations().cen_ops
    lattice_only = gemmi.GroupOps([gemmi.Op("x,y,z").translated(t) for t in translations])
    forbidden = [lattice_only.is_systematically_absent(hkl) for hkl in ALL_HKL.tolist()]
    np.testing.assert_array_equal(integer, np.logical_not(forbidden))
    n_points = {"P": 1, "A": 2, "B": 2, "C": 2, "I": 2, "F": 4, "R": 3}[cell.centring]
    assert np.linalg.det(transform) == pytest.approx(1 / n_points)


@pytest.mark.parametrize("letter", ["A", "B"])
def test_other_face_centrings_have_primitive_cells_too(letter: str) -> None:
    cell = UnitCell.from_string(f"50 60 70 90 90 90 {letter}")
    assert cell.lattice == "oC"
    in_primitive = ALL_HKL @ cell.primitive().T
    integer = (np.abs(in_primitive - np.rint(in_primitive)) < 1e-9).all(axis=1)
    np.testing.assert_array_equal(integer, ~cell.is_absent(ALL_HKL))


def test_lattice_rotations_turn_the_lattice_into_itself(cell: UnitCell, lattice: str) -> None:
    rotations = cell.lattice_rotations
    assert len(rotations) == CELLS[lattice][1]
    np.testing.assert_array_equal(rotations[0], np.eye(3))
    assert len(np.unique(rotations, axis=0)) == len(rotations)
    np.testing.assert_allclose(
        metric(rotations @ cell.A), np.broadcast_to(metric(cell.A), (len(rotations), 3, 3)), atol=1e-6
    )
    np.testing.assert_allclose(np.linalg.det(rotations), 1.0)
    known = {tuple(rotation.ravel()) for rotation in rotations}
    products = (rotations[:, None] @ rotations[None]).reshape(-1, 9)
    assert {tuple(product) for product in products} == known


def test_laue_rotations_are_those_of_gemmis_group(cell: UnitCell) -> None:
    rotations = cell.laue_rotations
    np.testing.assert_array_equal(rotations[0], np.eye(3))
    assert len(rotations) == len(cell.group.operations().sym_ops)
    known = {tuple(rotation.ravel()) for rotation in cell.lattice_rotations}
    assert {tuple(rotation.ravel()) for rotation in rotations} <= known
    hkl = [3, 1, 2]
    expected = {tuple(op.apply_to_hkl(hkl)) for op in cell.group.operations().sym_ops}
    assert {tuple(rotation @ hkl) for rotation in rotations} == expected


def test_rotated_axes_and_rotated_indices_describe_the_same_spot(cell: UnitCell) -> None:
    q = np.array([0.011, -0.023, 0.031])
    for rotation in cell.lattice_rotations:
        np.testing.assert_allclose((rotation @ cell.A) @ q, rotation @ (cell.A @ q), atol=1e-12)
        hkl = np.array([2, -1, 3])
        assert cell.d_spacing(hkl @ rotation.T) == pytest.approx(float(cell.d_spacing(hkl)))


def test_mirrors_count_as_the_rotations_that_friedel_makes_of_them() -> None:
    cell = UnitCell.from_string("50 60 70 90 90 90 P n m a")
    np.testing.assert_array_equal(
        np.sort(cell.laue_rotations.reshape(-1, 9), axis=0),
        np.sort(UnitCell.from_string("50 60 70 90 90 90 P222").laue_rotations.reshape(-1, 9), axis=0),
    )


@pytest.mark.parametrize(
    ("text", "space_group", "lattice"),
    [
        ("79.2 79.2 38.0 90 90 90 P43212", "P 43 21 2", "tP"),
        ("79.2,79.2, 38.0 90 90 90 P 43 21 2", "P 43 21 2", "tP"),
        ("79.2 79.2 38.0 90 90 90", "P 1", "tP"),
        ("79.2 79.2 38.0 90 90 90 tetragonal", "P 4", "tP"),
        ("50 60 70 90 90 90 monoclinic", "P 1 2 1", "mP"),
        ("50 60 70 90 90 101 monoclinic", "P 1 1 2", "mP"),
        ("50 60 70 90 101 90 I", "I 1", "mC"),
        ("93 93 130 90 90 120 trigonal", "P 3", "hP"),
        ("93 93 130 90 90 120 R3", "R 3:H", "hR"),
        ("93 93 130 90 90 120 H", "R 3:H", "hR"),
        ("60 60 60 80 80 80 R", "R 3:R", "hR"),
        ("60 60 60 80 80 80 R32", "R 3 2:R", "hR"),
        ("60 60 60 80 80 80 rhombohedral", "R 3:R", "hR"),
        ("60 60 60 80 80 80", "P 1", "hR"),
        ("50 50 70 90 90 90 C", "C 1", "oC"),
        ("79.2 79.3 38.0 90 90 90.1 P4", "P 4", "tP"),
    ],
)
def test_cells_are_read_from_text(text: str, space_group: str, lattice: str) -> None:
    cell = UnitCell.from_string(text)
    assert (cell.space_group, cell.lattice) == (space_group, lattice)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("79.2 79.2 38.0", "expected six numbers a b c alpha beta gamma (Angstrom, degrees), then a space group or"),
        ("a b c d e f P1", "expected six numbers a b c alpha beta gamma"),
        ("79 79 38 90 90 90 Q9", "expected a space group such as P 43 21 2 or C2, found 'Q9'"),
        ("79 79 38 90 90 90 tC", "expected a space group such as P 43 21 2 or C2, found 'tC'"),
        ("0 79 38 90 90 90", "expected axes a, b, c above 0 Angstrom, found 0 79 38"),
        ("nan 79 38 90 90 90", "expected axes a, b, c above 0 Angstrom, found nan 79 38"),
        ("79 79 38 90 90 180", "expected angles between 0 and 180 degrees, each below the sum of the others"),
        ("79 79 38 30 30 90", "all below 360 together; found 30 30 90"),
        ("79 79 38 130 130 120", "all below 360 together; found 130 130 120"),
        (
            "79 70 38 90 90 90 P43212",
            "P 43 21 2 is tetragonal: expected a = b and alpha = beta = gamma = 90, found 79 70 38 90 90 90",
        ),
        ("50 60 70 90 100 90 P222", "is orthorhombic: expected alpha = beta = gamma = 90, found 50 60 70 90 100 90"),
        ("50 60 70 80 100 90 P2", "is monoclinic: expected two angles of 90, found 50 60 70 80 100 90"),
        ("50 50 70 90 90 90 P6", "is hexagonal: expected a = b, alpha = beta = 90 and gamma = 120, found"),
        ("50 50 70 90 90 90 F23", "is cubic: expected a = b = c and alpha = beta = gamma = 90, found"),
        ("50 60 70 90 90 90 R", "R 3:R is trigonal: expected a = b, alpha = beta = 90 and gamma = 120 (a = b = c and"),
    ],
)
def test_what_is_no_cell_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        UnitCell.from_string(text)


def test_the_bare_forms_of_the_design_page_work() -> None:
    assert UnitCell(79.2, 79.2, 38.0, 90, 90, 90).lattice == "tP"
    assert UnitCell(79.2, 79.2, 38.0, space_group="P43212") == UnitCell.from_string("79.2 79.2 38 90 90 90 P 43 21 2")
    assert UnitCell(10, 10, 10).d_spacing([[0, 0, 0], [2, 0, 0]]).tolist() == [np.inf, 5.0]


def test_indices_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=re.escape("expected Miller indices of shape (n, 3), found (2,)")):
        UnitCell(10, 10, 10).is_absent([1, 2])


HEADER = "CrystFEL unit cell file version 1.0\n\n"
NUMBERS = "a = 79.2 A\nb = 7.92 nm\nc = 38.0 A  ; a remark\nal = 90.0 deg\nbe = 1.5707963267948966 rad\nga = 90 deg\n"


def test_crystfels_cell_file_is_read(shared: Path, tmp_path: Path) -> None:
    cell = UnitCell.from_crystfel_cell(shared / "frames/lysozyme.cell")
    assert cell.parameters == (79.2, 79.2, 38.0, 90.0, 90.0, 90.0)
    assert cell.lattice == "tP"
    path = tmp_path / "x.cell"
    path.write_text(HEADER + "lattice_type = tetragonal\ncentering = I\nunique_axis = c\n" + NUMBERS)
    cell = UnitCell.from_crystfel_cell(path)
    assert cell.parameters == pytest.approx((79.2, 79.2, 38.0, 90.0, 90.0, 90.0))
    assert cell.lattice == "tI"


@pytest.mark.parametrize(
    ("symmetry", "numbers", "lattice"),
    [
        ("lattice_type = monoclinic\ncentering = C\nunique_axis = b\n", "80 60 70 90 103 90", "mC"),
        ("lattice_type = monoclinic\ncentering = P\nunique_axis = c\n", "80 60 70 90 90 103", "mP"),
        ("lattice_type = monoclinic\ncentering = P\nunique_axis = a\n", "80 60 70 103 90 90", "mP"),
        ("lattice_type = triclinic\ncentering = P\n", "80 60 70 83 93 103", "aP"),
        ("lattice_type = orthorhombic\ncentering = A\n", "80 60 70 90 90 90", "oC"),
        ("lattice_type = hexagonal\ncentering = P\nunique_axis = c\n", "80 80 70 90 90 120", "hP"),
        ("lattice_type = hexagonal\ncentering = H\nunique_axis = c\n", "80 80 70 90 90 120", "hR"),
        ("lattice_type = rhombohedral\ncentering = R\n", "80 80 80 85 85 85", "hR"),
        ("lattice_type = cubic\ncentering = F\nunique_axis = *\n", "80 80 80 90 90 90", "cF"),
    ],
)
def test_crystfels_lattices_are_all_known(tmp_path: Path, symmetry: str, numbers: str, lattice: str) -> None:
    values = zip(("a", "b", "c", "al", "be", "ga"), numbers.split(), ("A", "A", "A", "deg", "deg", "deg"), strict=True)
    path = tmp_path / "x.cell"
    path.write_text(HEADER + symmetry + "".join(f"{key} = {value} {unit}\n" for key, value, unit in values))
    assert UnitCell.from_crystfel_cell(path).lattice == lattice


TETRAGONAL = "lattice_type = tetragonal\ncentering = P\nunique_axis = c\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "x.cell, line 1: expected 'CrystFEL unit cell file version 1.0', found ''"),
        ("CRYST1 79.2", "x.cell, line 1: expected 'CrystFEL unit cell file version 1.0', found 'CRYST1 79.2'"),
        (
            HEADER + "colour = red\n",
            "x.cell, line 3: expected lattice_type, centering, unique_axis, a, b, c, al, be or ga",
        ),
        (HEADER + TETRAGONAL, "x.cell: expected 'a = ' with a number and one of A, nm, found None"),
        (
            HEADER + TETRAGONAL + NUMBERS.replace("79.2 A", "79.2"),
            "expected 'a = ' with a number and one of A, nm, found '79",
        ),
        (
            HEADER + TETRAGONAL + NUMBERS.replace("90 deg", "x deg"),
            "expected 'ga = ' with a number and one of deg, rad",
        ),
        (HEADER + NUMBERS, "x.cell: expected lattice_type, centering and unique_axis of one of the 14 lattices"),
        (HEADER + TETRAGONAL.replace("= P", "= F") + NUMBERS, "found 'tetragonal', 'F' and 'c'"),
        (HEADER + TETRAGONAL.replace("= c", "= a") + NUMBERS, "found 'tetragonal', 'P' and 'a'"),
        (
            HEADER + TETRAGONAL + NUMBERS.replace("7.92", "7"),
            "x.cell: space group P 4 is tetragonal: expected a = b and",
        ),
    ],
)
def test_a_cell_file_that_is_wrong_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "x.cell"
    path.write_text(text)
    with pytest.raises(ValueError, match=re.escape(message)):
        UnitCell.from_crystfel_cell(path)
