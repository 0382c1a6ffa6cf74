"""CrystFEL's words for a lattice, and its unit cell files (``.cell``)."""

from braggwatch.processing.unit_cell import UnitCell


def lattice_words(cell: UnitCell | None) -> tuple[str, str, str]:
    """Return lattice type, centring and unique axis, as CrystFEL says them; of an unknown cell, the least that holds.

    Trigonal lattices are hexagonal there, and R on hexagonal axes is called H. The unique axis is ``*`` where the
    system has none.
    """
    if cell is None:
        return "triclinic", "P", "*"
    if cell.group.ext == "R":
        return "rhombohedral", "R", "*"
    system = str(cell.group.crystal_system_str())
    if system == "trigonal":
        system = "hexagonal"
    axis = "*"
    if system == "monoclinic":
        axis = str(cell.group.monoclinic_unique_axis())
    elif system in ("tetragonal", "hexagonal"):
        axis = "c"
    return system, "H" if cell.centring == "R" else cell.centring, axis


def cell_text(cell: UnitCell) -> str:
    """Return the text of a unit cell file 1.0; the space group becomes lattice type, centring and unique axis."""
    system, centring, axis = lattice_words(cell)
    lines = ["CrystFEL unit cell file version 1.0", "", f"lattice_type = {system}"]
    if axis != "*":
        lines.append(f"unique_axis = {axis}")
    lines.append(f"centering = {centring}")
    units = ("A", "A", "A", "deg", "deg", "deg")
    for key, value, unit in zip(("a", "b", "c", "al", "be", "ga"), cell.parameters, units, strict=True):
        lines.append(f"{key} = {value:.12g} {unit}")
    return "\n".join(lines) + "\n"
