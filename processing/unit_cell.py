"""Unit cells with their lattice and space group, on gemmi."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import gemmi
import numpy as np
from numpy.typing import ArrayLike, NDArray

from braggwatch.processing.bravais import (
    EXPECTED,
    LATTICES,
    PRIMITIVE,
    SYSTEM_OF_LETTER,
    Parameters,
    lattice_name,
    lattice_rotations,
    least_symmetric_group,
    same_shape,
    system_of,
)


@dataclass(frozen=True)
class UnitCell:
    """A crystal's conventional unit cell with its centring and, where known, its space group.

    Raises ValueError for what cannot be a cell, for an unknown space group and for one that the cell's shape
    contradicts.
    """

    a: float
    """Angstrom; so are b and c."""
    b: float
    c: float
    alpha: float = 90.0
    """Degrees; so are beta and gamma."""
    beta: float = 90.0
    gamma: float = 90.0
    space_group: str = "P 1"
    """Hermann-Mauguin symbol, kept as gemmi writes it: ``P 43 21 2``, ``C 1 2 1``, ``R 3:H``.

    ``P 1`` stands for an unknown group too, and ``A 1``, ``B 1``, ``C 1``, ``I 1`` and ``F 1`` for one of known
    centring.
    """

    def __post_init__(self) -> None:
        lengths, angles = self.parameters[:3], self.parameters[3:]
        if not all(0 < length < float("inf") for length in lengths):
            raise ValueError(f"expected axes a, b, c above 0 Angstrom, found {_listed(lengths)}")
        alpha, beta, gamma = angles
        possible = (
            all(0 < angle < 180 for angle in angles)
            and alpha + beta + gamma < 360
            and alpha < beta + gamma
            and beta < alpha + gamma
            and gamma < alpha + beta
        )
        if not possible:
            raise ValueError(
                f"expected angles between 0 and 180 degrees, each below the sum of the others, all below 360 together; "
                f"found {_listed(angles)}"
            )
        group = gemmi.find_spacegroup_by_name(self.space_group, alpha, gamma)
        if group is None:
            raise ValueError(f"expected a space group such as P 43 21 2 or C2, found {self.space_group!r}")
        object.__setattr__(self, "space_group", group.xhm())
        if not same_shape(self.laue_rotations @ self.A, self.A).all():
            system = group.crystal_system_str()
            raise ValueError(
                f"space group {self.space_group} is {system}: expected {EXPECTED[system]}, found "
                f"{_listed(self.parameters)}"
            )

    @classmethod
    def from_string(cls, text: str) -> "UnitCell":
        """Read a cell such as ``79.2 79.2 38.0 90 90 90 P43212``: Angstrom and degrees, blanks or commas between them.

        After the numbers may stand a space group with or without blanks, a Bravais lattice such as ``tP``, a crystal
        system such as ``tetragonal``, a letter of centring, or nothing. Raises ValueError for anything else.
        """
        words = text.replace(",", " ").split()
        try:
            a, b, c, alpha, beta, gamma = (float(word) for word in words[:6])
        except ValueError:
            raise ValueError(
                f"expected six numbers a b c alpha beta gamma (Angstrom, degrees), then a space group or lattice; "
                f"found {text!r}"
            ) from None
        parameters = (a, b, c, alpha, beta, gamma)
        # a cell that cannot be is refused before its symmetry is looked at
        plain = cls(*parameters)
        return cls(*parameters, _group_named(" ".join(words[6:]), plain.parameters))

    @classmethod
    def from_crystfel_cell(cls, path: str | Path) -> "UnitCell":
        """Read a CrystFEL unit cell file 1.0.

        Its lattice type, centring and unique axis become the least symmetric space group that has them. Raises
        ValueError with the file, what was expected and what was found.
        """
        given = _cell_file(Path(path))
        a, b, c, alpha, beta, gamma = (_quantity(Path(path), key, given) for key in ("a", "b", "c", "al", "be", "ga"))
        system, centring = given.get("lattice_type", ""), given.get("centering", "")
        axis = given.get("unique_axis", "").replace("*", "").replace("?", "")
        known = system in (*EXPECTED, "rhombohedral") and centring in (*PRIMITIVE, "H") and axis in ("", "a", "b", "c")
        group = least_symmetric_group(system, centring, axis, (a, b, c, alpha, beta, gamma)) if known else None
        if group is None:
            raise ValueError(
                f"{path}: expected lattice_type, centering and unique_axis of one of the 14 lattices (tetragonal and "
                f"hexagonal ones with unique axis c), found {system!r}, {centring!r} and {axis!r}"
            )
        try:
            return cls(a, b, c, alpha, beta, gamma, group)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None

    @property
    def parameters(self) -> Parameters:
        """a, b, c in Angstrom and alpha, beta, gamma in degrees."""
        return self.a, self.b, self.c, self.alpha, self.beta, self.gamma

    @property
    def gemmi_cell(self) -> gemmi.UnitCell:
        """This cell as gemmi's own."""
        return gemmi.UnitCell(*self.parameters)

    @property
    def group(self) -> gemmi.SpaceGroup:
        """The space group as gemmi's own."""
        return gemmi.SpaceGroup(self.space_group)

    @property
    def centring(self) -> str:
        """P, A, B, C, I, F, or R (hexagonal axes); rhombohedral axes are P."""
        return str(self.group.centring_type())

    @property
    def lattice(self) -> str:
        """One of the 14 Bravais lattices, such as ``tP``; of a triclinic space group, what the cell's shape allows."""
        system = str(self.group.crystal_system_str())
        if self.group.ext == "R":
            system = "rhombohedral"
        return lattice_name(system_of(self.parameters) if system == "triclinic" else system, self.centring)

    @property
    def volume(self) -> float:
        """Angstrom cubed."""
        return float(self.gemmi_cell.volume)

    @property
    def A(self) -> NDArray[np.float64]:
        """``(3, 3)``: a, b, c as rows, Angstrom, in gemmi's standard orientation (a along x, b in the xy plane)."""
        return np.array(self.gemmi_cell.orth.mat.tolist()).T

    @property
    def B(self) -> NDArray[np.float64]:
        """``(3, 3)``: a*, b*, c* as columns, 1/Angstrom, oriented as `A`; ``B @ hkl`` is a reciprocal vector."""
        return np.asarray(np.linalg.inv(self.A))

    def d_spacing(self, hkl: ArrayLike) -> NDArray[np.float64]:
        """Return d in Angstrom of Miller indices ``(..., 3)``; infinite for 0 0 0."""
        with np.errstate(divide="ignore"):
            return np.asarray(1.0 / np.linalg.norm(np.asarray(hkl, float) @ self.B.T, axis=-1))

    def is_absent(self, hkl: ArrayLike) -> NDArray[np.bool_]:
        """Tell which reflections ``(n, 3)`` the space group forbids (centring, screw axes, glide planes), ``(n,)``."""
        indices = np.ascontiguousarray(hkl, np.int32)
        if indices.ndim != 2 or indices.shape[1] != 3:
            raise ValueError(f"expected Miller indices of shape (n, 3), found {indices.shape}")
        return np.asarray(self.group.operations().systematic_absences(indices))

    def primitive(self) -> NDArray[np.float64]:
        """Return ``(3, 3)`` M that makes a primitive cell: ``A_primitive = M @ A``."""
        return np.array(PRIMITIVE[self.centring], float)

    @cached_property
    def lattice_rotations(self) -> NDArray[np.int64]:
        """``(n, 3, 3)``: rotations that turn the lattice into itself, by the cell's shape and centring; identity first.

        Such a matrix M acts on axes (``M @ A``) and on Miller indices (``hkl @ M.T``) alike.
        """
        rotations = lattice_rotations(self.A, self.centring)
        rotations.flags.writeable = False
        return rotations

    @cached_property
    def laue_rotations(self) -> NDArray[np.int64]:
        """``(n, 3, 3)``: the rotations of the Laue group, which leave intensities the same; as `lattice_rotations`."""
        rotations = np.array([np.array(op.rot).T // op.DEN for op in self.group.operations().sym_ops], np.int64)
        # Friedel's law adds the inversion, so an improper operation stands for its proper counterpart
        rotations *= np.rint(np.linalg.det(rotations)).astype(np.int64)[:, None, None]
        _, first = np.unique(rotations, axis=0, return_index=True)
        rotations = rotations[np.sort(first)]
        rotations.flags.writeable = False
        return rotations


def _listed(numbers: tuple[float, ...]) -> str:
    return " ".join(f"{number:g}" for number in numbers)


def _group_named(name: str, parameters: Parameters) -> str:
    """Return the space group that a word of symmetry stands for, as `least_symmetric_group` has it."""
    group: str | None = name
    if not name:
        return "P 1"
    if name in ("R", "H"):
        group = least_symmetric_group("hexagonal", name, "", parameters)
    elif name in PRIMITIVE:
        group = f"{name} 1"
    elif name in LATTICES or name in ("mA", "mB", "mI", "oA", "oB"):
        system = SYSTEM_OF_LETTER[name[0]]
        group = least_symmetric_group(system, name[1], _unique_axis(system, parameters), parameters)
    elif name.lower() in (*EXPECTED, "rhombohedral"):
        system = name.lower()
        group = least_symmetric_group(system, "P", _unique_axis(system, parameters), parameters)
    return name if group is None else group


def _unique_axis(system: str, parameters: Parameters) -> str:
    """Return the unique axis of a monoclinic cell, b where its shape does not say."""
    if system != "monoclinic":
        return ""
    oblique = [abs(angle - 90.0) for angle in parameters[3:]]
    return "b" if max(oblique) == oblique[1] else "abc"[int(np.argmax(oblique))]


def _cell_file(path: Path) -> dict[str, str]:
    """Return what the lines ``key = value`` of a CrystFEL unit cell file say."""
    if path.stat().st_size > 2**20:
        raise ValueError(f"{path}: expected a CrystFEL unit cell file of at most 1 MiB")
    lines = path.read_text("utf-8", errors="replace").splitlines()
    if not lines or lines[0].strip() != "CrystFEL unit cell file version 1.0":
        raise ValueError(
            f"{path}, line 1: expected 'CrystFEL unit cell file version 1.0', found {lines[0][:80] if lines else ''!r}"
        )
    given: dict[str, str] = {}
    for number, line in enumerate(lines[1:], 2):
        statement = line.split(";", 1)[0].strip()
        if not statement:
            continue
        match = re.fullmatch(r"(lattice_type|centering|unique_axis|a|b|c|al|be|ga)\s*=\s*(\S.*)", statement)
        if match is None:
            raise ValueError(
                f"{path}, line {number}: expected lattice_type, centering, unique_axis, a, b, c, al, be or ga, then = "
                f"and a value; found {statement!r}"
            )
        given[match[1]] = match[2]
    return given


def _quantity(path: Path, key: str, given: dict[str, str]) -> float:
    units = {"A": 1.0, "nm": 10.0} if len(key) == 1 else {"deg": 1.0, "rad": 180.0 / np.pi}
    words = given.get(key, "").split()
    try:
        number, unit = words
        return float(number) * units[unit]
    except (ValueError, KeyError):
        raise ValueError(
            f"{path}: expected '{key} = ' with a number and one of {', '.join(units)}, found {given.get(key)!r}"
        ) from None
