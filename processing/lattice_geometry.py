"""What a lattice found in an image is in the words of other programs: U and B, reindexing, shifts of its spots."""

import math
from dataclasses import dataclass, field
from functools import lru_cache

import gemmi
import numpy as np
from numpy.typing import NDArray

from braggwatch.processing.crystal import Crystal
from braggwatch.processing.detector import Detector
from braggwatch.processing.nxmx.geometry import nominal_placement
from braggwatch.processing.peaks import Peaks
from braggwatch.processing.unit_cell import UnitCell

F64 = NDArray[np.float64]


class Placement:
    """Where a detector stands, as far as one number can say it: on the plane of its first panel."""

    def __init__(self, detector: Detector) -> None:
        panel = detector.panels[0]
        self.detector = detector
        self.distance, center = nominal_placement(panel)
        """m along the beam."""
        self.pixel_size = np.array([np.linalg.norm(panel.fs), np.linalg.norm(panel.ss)])
        """``(2,)``: along fs and ss, m."""
        self._center = np.array(center)
        # lab vectors of a shift of the beam, in pixels of each panel
        self._per_metre = np.stack([np.linalg.pinv(np.array([p.fs, p.ss]).T[:2]) for p in detector.panels])

    def beam_center(self, shift: tuple[float, float] = (0.0, 0.0)) -> F64:
        """Return where the beam meets the plane, ``(2,)``: fs and ss in pixels; `shift` is `Crystal.beam_shift`."""
        return np.asarray(self._center + self._per_metre[0] @ np.array(shift))

    def shift_px(self, panel: NDArray[np.int16], shift: tuple[float, float]) -> F64:
        """Return a shift of the beam in m along lab x and y as ``(n, 2)`` pixels along fs and ss of n panels."""
        return np.asarray(self._per_metre[panel] @ np.array(shift))


def orientation(crystal: Crystal) -> tuple[F64, F64]:
    """Return U and B, ``(3, 3)``: ``U @ B @ hkl`` is the reciprocal vector in the lab frame, 1/Angstrom.

    B has a*, b*, c* as columns in the setting of the PDB, DIALS and cctbx (a along x, b in the xy plane); U turns it.
    """
    # the axes in that setting are lower triangular, as their metric's Cholesky factor is
    standard = np.linalg.cholesky(crystal.A @ crystal.A.T)
    return np.asarray(np.linalg.inv(crystal.A) @ standard), np.asarray(np.linalg.inv(standard))


@dataclass(frozen=True, eq=False)
class Symmetry:
    """What is known of a cell before any image, in the words of others; texts are empty if unknown, numbers NaN."""

    cell: tuple[float, ...] = (float("nan"),) * 6
    """Angstrom and degrees."""
    space_group: bytes = b""
    """Such as ``P 43 21 2``."""
    point_group: bytes = b""
    """Such as ``422``."""
    lattice: bytes = b""
    """Such as ``tP``."""
    to_primitive: bytes = b""
    """What makes the primitive cell's indices of those of this cell, as gemmi writes it: ``h/2+k/2,-h/2+k/2,l``."""
    to_primitive_hkl: F64 = field(default_factory=lambda: np.full((3, 3), np.nan))
    """The same as ``(3, 3)`` M: indices of the primitive cell are ``M @ hkl``, its axes ``M @ A``."""


@lru_cache(maxsize=64)
def symmetry_of(cell: UnitCell | None) -> Symmetry:
    """Return the symmetry of the cell that was looked for; the primitive cell is that with which the indexer works."""
    if cell is None:
        return Symmetry()
    matrix = cell.primitive()
    operation = gemmi.Op("x,y,z")
    operation.rot = np.rint(matrix.T * gemmi.Op.DEN).astype(int).tolist()
    return Symmetry(
        cell.parameters,
        cell.space_group.encode(),
        cell.group.point_group_hm().encode(),
        cell.lattice.encode(),
        operation.as_hkl().triplet().encode(),
        matrix,
    )


def half_width(sigma: float) -> float:
    """Return the half width at half maximum of a normal distribution."""
    return math.sqrt(2.0 * math.log(2.0)) * sigma


def correction_vectors(crystal: Crystal, spots: Peaks, placement: Placement) -> F64:
    """Return how far each indexed spot lies from where its lattice predicts it, ``(n, 2)``: fs and ss in pixels.

    `spots` are those of ``crystal.hkl``. NaN for one that is predicted on another panel, or on none.
    """
    nodes = crystal.hkl @ crystal.A_star
    fs, ss, panel = placement.detector.project_q(nodes)
    found = np.stack([spots.fs, spots.ss], axis=1).astype(float)
    correction = found - np.stack([fs, ss], axis=1) - placement.shift_px(spots.panel, crystal.beam_shift)
    correction[panel != spots.panel] = np.nan
    return np.asarray(correction)
