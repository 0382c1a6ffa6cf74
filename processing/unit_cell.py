"""Unit cells with their lattice and space group, on gemmi."""

from dataclasses import dataclass

import gemmi
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class UnitCell:
    """A crystal's conventional unit cell with its centring and, where known, its space group."""

    a: float
    """Angstrom; so are b and c."""
    b: float
    c: float
    alpha: float = 90.0
    """Degrees; so are beta and gamma."""
    beta: float = 90.0
    gamma: float = 90.0
    space_group: str = "P1"
    """Hermann-Mauguin symbol as gemmi knows it, for example ``P 43 21 2``, ``C2``, ``R3:H``."""

    @property
    def gemmi_cell(self) -> gemmi.UnitCell:
        """This cell as gemmi's own."""
        return gemmi.UnitCell(self.a, self.b, self.c, self.alpha, self.beta, self.gamma)

    @property
    def group(self) -> gemmi.SpaceGroup:
        """The space group as gemmi's own."""
        return gemmi.SpaceGroup(self.space_group)

    @property
    def centring(self) -> str:
        """P, A, B, C, I, F, R (hexagonal axes) or H."""
        return str(self.group.centring_type())

    @property
    def A(self) -> NDArray[np.float64]:
        """``(3, 3)``: a, b, c as rows, Angstrom, in gemmi's standard orientation (a along x, b in the xy plane)."""
        return np.array(self.gemmi_cell.orth.mat.tolist()).T
