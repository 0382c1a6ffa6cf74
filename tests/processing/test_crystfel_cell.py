"""CrystFEL's words for lattices, and unit cell files that our own reader takes."""

from pathlib import Path

import pytest

from braggwatch.processing.crystfel_cell import cell_text, lattice_words
from braggwatch.processing.unit_cell import UnitCell

CELLS = {
    "79.2 79.2 38.0 90 90 90 P43212": ("tetragonal", "P", "c"),
    "50 60 70 90 100 90 C2": ("monoclinic", "C", "b"),
    "50 60 70 90 100 90 I2": ("monoclinic", "I", "b"),
    "50 60 70 90 90 100 P1121": ("monoclinic", "P", "c"),
    "50 50 70 90 90 120 P3121": ("hexagonal", "P", "c"),
    "50 50 70 90 90 120 P63": ("hexagonal", "P", "c"),
    "50 50 70 90 90 120 R32": ("hexagonal", "H", "c"),
    "50 50 50 80 80 80 R3:R": ("rhombohedral", "R", "*"),
    "50 60 70 80 85 75 P1": ("triclinic", "P", "*"),
    "50 60 70 90 90 90 C2221": ("orthorhombic", "C", "*"),
    "50 50 50 90 90 90 F432": ("cubic", "F", "*"),
}


@pytest.mark.parametrize("text", CELLS)
def test_a_space_group_becomes_lattice_type_centring_and_unique_axis(text: str) -> None:
    assert lattice_words(UnitCell.from_string(text)) == CELLS[text]


def test_nothing_is_claimed_of_an_unknown_cell() -> None:
    assert lattice_words(None) == ("triclinic", "P", "*")


@pytest.mark.parametrize("text", CELLS)
def test_a_cell_file_is_read_back_with_the_same_cell_and_lattice(tmp_path: Path, text: str) -> None:
    cell = UnitCell.from_string(text)
    (tmp_path / "a.cell").write_text(cell_text(cell))
    found = UnitCell.from_crystfel_cell(tmp_path / "a.cell")
    assert found.parameters == cell.parameters
    assert lattice_words(found) == lattice_words(cell)
    assert found.lattice == cell.lattice
