"""Structure-factor intensities of a crystal that does not exist, with the statistics and symmetry of one that might."""

from dataclasses import dataclass

import gemmi
import numpy as np
from numpy.typing import NDArray

from braggwatch.processing.unit_cell import UnitCell

MAX_REFLECTIONS = 20_000_000
"""More than this many reflections within the resolution limit are refused: 20 million take 0.5 GB."""


@dataclass(frozen=True, eq=False)
class StructureFactors:
    """Intensities of all reflections of a crystal within a resolution limit, absent ones left out."""

    cell: UnitCell
    d_min: float
    """Resolution limit, Angstrom."""
    hkl: NDArray[np.int16]
    """``(n, 3)``: Miller indices of the whole sphere."""
    intensity: NDArray[np.float32]
    """``(n,)``: |F|² on a scale where the mean of general reflections at low resolution is 1."""


def wilson_intensities(cell: UnitCell, d_min: float, *, b_factor: float, seed: int = 0) -> StructureFactors:
    """Draw |F|² of all reflections of `cell` to `d_min` (Angstrom) from Wilson's distributions.

    Acentric reflections follow the exponential distribution, centric ones chi squared of one degree of freedom, with
    the mean ``epsilon exp(-b_factor / (2 d²))``, `b_factor` in Angstrom² (A. J. C. Wilson, Acta Cryst. 2, 318, 1949).
    Symmetry, absences and epsilon come from gemmi; Friedel mates are equal. An intensity depends on `seed` and hkl
    alone, so that a change of `d_min` leaves the rest as it was. Raises ValueError if `d_min` is not
    positive or if there would be more than 20 million reflections.
    """
    if not d_min > 0:
        raise ValueError(f"the resolution limit d_min must be positive, found {d_min} Angstrom")
    expected = 4.0 / 3.0 * np.pi * cell.gemmi_cell.volume / d_min**3
    if expected > MAX_REFLECTIONS:
        raise ValueError(
            f"a cell of {cell.gemmi_cell.volume:.3g} cubic Angstrom has about {expected:.3g} reflections to {d_min} A, "
            f"at most {MAX_REFLECTIONS} can be simulated: choose a larger d_min"
        )
    operations = cell.group.operations()
    unique = gemmi.make_miller_array(cell.gemmi_cell, cell.group, d_min)
    unique = unique[~np.asarray(operations.systematic_absences(unique), bool)]
    mean = np.asarray(operations.epsilon_factor_without_centering_array(unique), float) * np.exp(
        -b_factor / 2.0 * np.asarray(cell.gemmi_cell.calculate_1_d2_array(unique))
    )
    centric = np.asarray(operations.centric_flag_array(unique), bool)
    u, v = _uniform(unique, seed, 1), _uniform(unique, seed, 2)
    # Box and Muller: -2 log(u) is chi squared of two degrees of freedom, and cos² picks one of the two.
    intensity = mean * np.where(centric, -2.0 * np.log(u) * np.cos(2.0 * np.pi * v) ** 2, -np.log(u))
    hkl, origin = _expand(unique, operations)
    return StructureFactors(cell, d_min, hkl, intensity[origin].astype(np.float32))


def _expand(unique: NDArray[np.int32], operations: gemmi.GroupOps) -> tuple[NDArray[np.int16], NDArray[np.int64]]:
    """Return all symmetry and Friedel mates, each once, and from which of `unique` each comes."""
    rotations = np.array([op.rot for op in operations.sym_ops]) // gemmi.Op.DEN
    mates = np.einsum("ni,oij->onj", unique, rotations).reshape(-1, 3)
    mates = np.concatenate([mates, -mates])
    size = 2 * int(np.abs(mates).max(initial=0)) + 1
    key = np.ravel_multi_index(tuple((mates + size // 2).T), (size, size, size))
    _, first = np.unique(key, return_index=True)
    return mates[first].astype(np.int16), first % max(len(unique), 1)


def _uniform(hkl: NDArray[np.int32], seed: int, stream: int) -> NDArray[np.float64]:
    """Return numbers in (0, 1) that hash seed, hkl and stream with SplitMix64's finaliser."""
    state = np.full(len(hkl), (seed * 4 + stream) & (2**64 - 1), np.uint64)
    for column in hkl.T:
        state += column.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state ^= state >> np.uint64(31)
    return ((state >> np.uint64(11)).astype(np.float64) + 0.5) / 2.0**53
