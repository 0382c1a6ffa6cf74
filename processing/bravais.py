"""The 14 Bravais lattices: their names, what they ask of a cell, their rotations and primitive cells."""

import itertools
from functools import cache

import gemmi
import numpy as np
from numpy.typing import NDArray

Parameters = tuple[float, float, float, float, float, float]
"""a, b, c in Angstrom; alpha, beta, gamma in degrees."""

LENGTH_TOLERANCE = 0.005
"""Axes whose lengths differ by a smaller fraction count as equal."""
ANGLE_TOLERANCE = 0.5
"""Degrees; angles that differ by less count as equal."""

LATTICES = ("aP", "mP", "mC", "oP", "oC", "oF", "oI", "tP", "tI", "hP", "hR", "cP", "cF", "cI")
"""Letters of system and centring; C stands for a centring of one face, whichever it is."""

SYSTEM_OF_LETTER = {
    "a": "triclinic", "m": "monoclinic", "o": "orthorhombic", "t": "tetragonal", "h": "hexagonal", "c": "cubic",
}  # fmt: skip

EXPECTED = {
    "triclinic": "any cell",
    "monoclinic": "two angles of 90",
    "orthorhombic": "alpha = beta = gamma = 90",
    "tetragonal": "a = b and alpha = beta = gamma = 90",
    "trigonal": "a = b, alpha = beta = 90 and gamma = 120 (a = b = c and alpha = beta = gamma on rhombohedral axes)",
    "hexagonal": "a = b, alpha = beta = 90 and gamma = 120",
    "cubic": "a = b = c and alpha = beta = gamma = 90",
}
"""What each crystal system asks of a cell, in words."""

PRIMITIVE = {
    "P": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "A": ((1, 0, 0), (0, 1 / 2, 1 / 2), (0, -1 / 2, 1 / 2)),
    "B": ((1 / 2, 0, -1 / 2), (0, 1, 0), (1 / 2, 0, 1 / 2)),
    "C": ((1 / 2, 1 / 2, 0), (-1 / 2, 1 / 2, 0), (0, 0, 1)),
    "I": ((-1 / 2, 1 / 2, 1 / 2), (1 / 2, -1 / 2, 1 / 2), (1 / 2, 1 / 2, -1 / 2)),
    "F": ((0, 1 / 2, 1 / 2), (1 / 2, 0, 1 / 2), (1 / 2, 1 / 2, 0)),
    "R": ((2 / 3, 1 / 3, 1 / 3), (-1 / 3, 1 / 3, 1 / 3), (-1 / 3, -2 / 3, 1 / 3)),
}
"""Rows: axes of a primitive cell in units of the conventional ones; R is obverse, on hexagonal axes."""


def system_of(parameters: Parameters) -> str:
    """Return the most symmetric crystal system that a conventional cell's shape allows, ``rhombohedral`` included."""
    a, b, c = parameters[:3]
    angles = parameters[3:]
    right = [_same_angle(angle, 90.0) for angle in angles]
    ab, bc, ca = _same_length(a, b), _same_length(b, c), _same_length(c, a)
    if all(right):
        return "cubic" if ab and bc and ca else "tetragonal" if ab or bc or ca else "orthorhombic"
    # the pair of axes around each angle
    for n, equal in enumerate((bc, ca, ab)):
        if equal and _same_angle(angles[n], 120.0) and right[n - 1] and right[n - 2]:
            return "hexagonal"
    if ab and bc and ca and _same_angle(angles[0], angles[1]) and _same_angle(angles[1], angles[2]):
        return "rhombohedral"
    return "monoclinic" if sum(right) == 2 else "triclinic"


def lattice_name(system: str, centring: str) -> str:
    """Return the Bravais lattice of a crystal system and the centring of its cell; lower symmetry where none fits."""
    if system in ("rhombohedral", "trigonal", "hexagonal"):
        return "hR" if system == "rhombohedral" or centring == "R" else "hP"
    if system == "triclinic":
        return "aP"
    if system == "monoclinic":
        return "mP" if centring == "P" else "mC"
    centring = "C" if centring in "ABC" else centring
    name = system[0] + centring
    return name if name in LATTICES else "o" + centring


def least_symmetric_group(system: str, centring: str, unique_axis: str, parameters: Parameters) -> str | None:
    """Return the space group that says no more than crystal system, centring and unique axis; None where none does.

    ``R`` on hexagonal axes may be called H. The system may be ``rhombohedral`` too.
    """
    if system == "rhombohedral" or centring in ("R", "H"):
        if system not in ("rhombohedral", "trigonal", "hexagonal") or centring not in ("P", "R", "H"):
            return None
        on_rhombohedral_axes = centring != "H" and system_of(parameters) != "hexagonal"
        return "R 3:R" if on_rhombohedral_axes else "R 3:H"
    if system in ("tetragonal", "trigonal", "hexagonal") and unique_axis not in ("c", ""):
        return None
    axes = {"a": "2 1 1", "b": "1 2 1", "": "1 2 1", "c": "1 1 2"}
    rest = {
        "triclinic": "1",
        "monoclinic": axes[unique_axis],
        "orthorhombic": "2 2 2",
        "tetragonal": "4",
        "trigonal": "3",
        "hexagonal": "3",
        "cubic": "2 3",
    }[system]
    group = gemmi.find_spacegroup_by_name(f"{centring} {rest}")
    return None if group is None else str(group.xhm())


@cache
def _rotations_of_integers() -> NDArray[np.int64]:
    """Return all matrices of -1, 0, 1 with determinant 1, ``(n, 3, 3)``: enough for the rotations of usual cells."""
    every = np.array(list(itertools.product((-1, 0, 1), repeat=9)), np.int64).reshape(-1, 3, 3)
    return np.asarray(every[np.einsum("ni,ni->n", every[:, 0], np.cross(every[:, 1], every[:, 2])) == 1])


def lattice_rotations(A: NDArray[np.float64], centring: str) -> NDArray[np.int64]:
    """Return the rotations that turn a lattice into itself, ``(n, 3, 3)``; `A` holds the conventional axes as rows.

    ``M @ A`` are the axes turned; the first M is the identity.
    """
    to_primitive = np.array(PRIMITIVE[centring], float)
    every = _rotations_of_integers()
    found = every[same_shape(every @ A, A)]
    in_primitive = to_primitive @ found @ np.linalg.inv(to_primitive)
    found = found[(np.abs(in_primitive - np.rint(in_primitive)) < 1e-6).all((1, 2))]
    is_identity = (found == np.eye(3, dtype=np.int64)).all((1, 2))
    return np.asarray(np.concatenate([found[is_identity], found[~is_identity]]))


def same_shape(axes: NDArray[np.float64], A: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which of the cells `axes`, ``(n, 3, 3)``, have the lengths and angles of `A` within the tolerances."""
    lengths, angles = lengths_and_angles(axes)
    own_lengths, own_angles = lengths_and_angles(A[None])
    return np.asarray(
        (np.abs(lengths / own_lengths - 1) < LENGTH_TOLERANCE).all(1)
        & (np.abs(angles - own_angles) < ANGLE_TOLERANCE).all(1)
    )


def lengths_and_angles(A: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return lengths and angles in degrees of axes ``(n, 3, 3)``, both ``(n, 3)``."""
    lengths = np.linalg.norm(A, axis=2)
    unit = A / lengths[:, :, None]
    cosines = np.stack([np.einsum("ni,ni->n", unit[:, i], unit[:, j]) for i, j in ((1, 2), (0, 2), (0, 1))], axis=1)
    return lengths, np.degrees(np.arccos(np.clip(cosines, -1, 1)))


def _same_length(u: float, v: float) -> bool:
    return abs(u - v) < LENGTH_TOLERANCE * max(u, v)


def _same_angle(u: float, v: float) -> bool:
    return abs(u - v) < ANGLE_TOLERANCE
