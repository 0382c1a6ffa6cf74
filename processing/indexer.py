"""Indexing: the lattices of known cell that explain the spots of one image."""

import math
from dataclasses import replace
from functools import lru_cache

import gemmi
import numpy as np
from numpy.typing import ArrayLike, NDArray

from braggwatch.processing.beam import Beam
from braggwatch.processing.crystal import Crystal
from braggwatch.processing.detector import Detector
from braggwatch.processing.lattice_refinement import REACH_STEP, false_alarms, node_distances
from braggwatch.processing.lattice_search import Target, Work, find_lattice
from braggwatch.processing.lattice_settings import Settings
from braggwatch.processing.peaks import Peaks
from braggwatch.processing.symmetric_refinement import SymmetricRefiner
from braggwatch.processing.unit_cell import UnitCell

F64 = NDArray[np.float64]

# The search steps a row of the lattice, or its turn, by at most this share of the distance between its planes.
_STEP = 0.2
_DIRECTIONS = tuple(int(2 ** (k / 2)) // 512 * 512 for k in range(22, 37))
_TURNS = tuple(int(2 ** (k / 2)) // 16 * 16 for k in range(16, 27))
# First a quick look with few spots and rows, then, where that found no lattice that explains the convincing share of
# all spots, a thorough one.
_CONVINCING = 0.3
_RIVALS = 2
_SPOTS_AND_ROWS = ((60, 16), (90, 64))
# Expected number of lattices that chance alone makes of a list of spots: an accepted lattice stays below it.
_FALSE_ALARMS = 1e-2


@lru_cache
def _hemisphere(n: int) -> NDArray[np.float32]:
    """Return `n` unit vectors ``(3, n)``, evenly spread over a hemisphere (Fibonacci lattice)."""
    i = np.arange(n) + 0.5
    z = i / n
    turn = math.pi * (1.0 + math.sqrt(5.0)) * i
    r = np.sqrt(1.0 - z * z)
    return np.ascontiguousarray([r * np.cos(turn), r * np.sin(turn), z], np.float32)


@lru_cache
def _circle(n: int) -> NDArray[np.float32]:
    """Return cosine and sine ``(2, n)`` of `n` even turns."""
    turn = 2.0 * math.pi * np.arange(n) / n
    return np.array([np.cos(turn), np.sin(turn)], np.float32)


def _at_least(steps: tuple[int, ...], wanted: float) -> int:
    return next((n for n in steps if n >= wanted), steps[-1])


def reduced_basis(cell: UnitCell) -> F64:
    """Return the Niggli-reduced primitive axes ``(3, 3)`` of a cell, rows in terms of its conventional axes.

    The first is the shortest; they are right-handed.
    """
    gruber = gemmi.GruberVector(cell.gemmi_cell, cell.centring, True)
    gruber.niggli_reduce()
    basis = np.array(gruber.change_of_basis.rot, float).T / gemmi.Op.DEN
    return basis if np.linalg.det(basis) > 0 else -basis


def _target(cell: UnitCell, strain: float) -> Target:
    # The reduced axes with a along x and b in the xy plane: what lies along a row and across it.
    upper = np.linalg.qr((reduced_basis(cell) @ cell.A).T)[1]
    upper *= np.sign(np.diag(upper))[:, None]
    A = np.ascontiguousarray(upper.T)
    return Target(
        A=A,
        inverse=np.linalg.inv(A),
        shape=np.array([A[1, 0], A[1, 1], A[2, 0], A[2, 1], A[2, 2]], np.float32),
        volume=float(np.linalg.det(A)),
        longest=float(np.linalg.norm(A, axis=1).max()),
        strain=strain,
    )


class Indexer:
    """Finds the lattices of a known cell among spots. One object serves one thread: it owns its work buffers.

    `length_tolerance` is relative, on a, b and c; `angle_tolerance` in degrees, on alpha, beta and gamma: a lattice
    whose refined cell lies outside is refused. A lattice must explain `min_spots` spots or more, and more than
    chance would (see `lattice_refinement.false_alarms`). Up to `max_lattices` are looked for, each among the spots
    that those before it left. Raises ValueError for settings that make no sense.
    """

    def __init__(
        self,
        cell: UnitCell,
        *,
        length_tolerance: float = 0.05,
        angle_tolerance: float = 3.0,
        min_spots: int = 8,
        max_lattices: int = 1,
    ) -> None:
        if not 0.0 < length_tolerance < 0.5:
            raise ValueError(f"length_tolerance is a fraction between 0 and 0.5, found {length_tolerance}")
        if not 0.0 < angle_tolerance < 30.0:
            raise ValueError(f"angle_tolerance must lie between 0 and 30 degrees, found {angle_tolerance}")
        if min_spots < 4:
            raise ValueError(f"min_spots must be 4 or more, found {min_spots}: three spots fit any lattice")
        if max_lattices < 1:
            raise ValueError(f"max_lattices must be 1 or more, found {max_lattices}")
        self.cell = cell
        self.length_tolerance = length_tolerance
        self.angle_tolerance = angle_tolerance
        self.min_spots = min_spots
        self.max_lattices = max_lattices
        self._target = _target(cell, length_tolerance)
        self._refine = SymmetricRefiner(cell)
        self._settings = Settings(cell, reduced_basis(cell), length_tolerance, angle_tolerance)
        n = max(spots for spots, _ in _SPOTS_AND_ROWS) + 4
        self._work = Work(
            score=np.empty(_DIRECTIONS[-1], np.float32),
            right=np.empty(_TURNS[-1], np.float32),
            left=np.empty(_TURNS[-1], np.float32),
            scaled=np.empty((3, n), np.float32),
            phase=np.empty((3, n), np.float32),
            distance=np.empty(1024),
        )

    def __call__(self, q: ArrayLike) -> list[Crystal]:
        """Return the lattices found among scattering vectors `q` ``(n, 3)``, 1/Angstrom, best first; [] when none.

        Spots that are not finite are left alone. Raises ValueError where `q` is not ``(n, 3)``.
        """
        q = np.asarray(q, np.float64)
        if q.ndim != 2 or q.shape[1] != 3:
            raise ValueError(f"spots must come as an array (n, 3) of q in 1/Angstrom, found shape {q.shape}")
        length = np.sqrt(np.einsum("ij,ij->i", q, q))
        left = np.argsort(length, kind="stable")
        left = left[: np.searchsorted(length[left], np.inf)]
        crystals: list[Crystal] = []
        wanted, tries = self.max_lattices, 2 * self.max_lattices - 1
        while tries > 0 and len(left) >= self.min_spots and len(crystals) < wanted:
            tries -= 1
            crystal = self._best(q, length, left)
            if crystal is None:
                break
            if not crystals and crystal.n_indexed < _CONVINCING * len(left):
                # One of many lattices: the search ends at any, but the caller wants the best of them.
                wanted, tries = wanted + _RIVALS, tries + _RIVALS
            # A lattice may turn up again in spots that lie a little off its nodes.
            if not any(_same_lattice(crystal.A, other.A) for other in crystals):
                crystals.append(crystal)
            free = np.ones(len(q), bool)
            free[crystal.spots] = False
            left = left[free[left]]
        crystals.sort(key=lambda crystal: -crystal.n_indexed)
        del crystals[self.max_lattices :]
        return crystals

    def index(self, peaks: Peaks, detector: Detector, beam: Beam | None = None) -> list[Crystal]:
        """Return the lattices found among `peaks`, as for `__call__`, with their distances on the detector too.

        `beam` replaces the detector's; ValueError is raised where neither knows the photon energy.
        """
        beam = beam or detector.beam
        q = detector.q(peaks.fs, peaks.ss, peaks.panel, beam)
        crystals = self(q)
        if not crystals or beam is None:
            return crystals
        wavelength = beam.wavelength
        return [replace(c, rmsd_px=_rmsd_px(c, peaks[c.spots], detector, wavelength)) for c in crystals]

    def _best(self, q: F64, length: F64, left: NDArray[np.int64]) -> Crystal | None:
        spots, norm = np.ascontiguousarray(q[left].T), length[left]
        n = len(left)
        if n > len(self._work.distance):
            self._work = self._work._replace(distance=np.empty(2 * n))
        q_high = float(norm[int(0.9 * (n - 1))])
        best: tuple[float, float, F64] | None = None
        accept = math.log10(_FALSE_ALARMS)
        for n_search, n_rows in _SPOTS_AND_ROWS:
            n_search = min(n_search, n)
            A = np.empty((3, 3))
            outermost = float(norm[n_search - 1])
            directions = 2.0 * math.pi * (outermost * self._target.A[0, 0] / _STEP) ** 2
            turns = 2.0 * math.pi * outermost * self._target.longest / _STEP
            false_alarms, reach, count = find_lattice(
                spots, norm, n_search, n_rows, _hemisphere(_at_least(_DIRECTIONS, directions)),
                _circle(_at_least(_TURNS, turns)), q_high, accept, self._target, self._work, A,
            )  # fmt: skip
            if false_alarms < accept and count >= self.min_spots:
                if best is None or false_alarms < best[0]:
                    best = false_alarms, reach, A
                if count >= _CONVINCING * n:
                    break
        return None if best is None else self._crystal(spots, left, best[2], best[1], q_high)

    def _crystal(self, spots: F64, left: NDArray[np.int64], A: F64, reach: float, q_high: float) -> Crystal | None:
        conventional = self._settings.closest(A)
        if conventional is None:
            return None
        target, distance, n = self._target, self._work.distance, len(left)
        # The free cell says which spots belong; the symmetric one fits them better, then takes another look.
        for _ in range(2):
            node_distances(spots, n, self._settings.reduced(conventional), distance)
            chosen = spots[:, distance[:n] < reach * reach]
            hkl = self._settings.nearest_node(conventional @ chosen)
            conventional = self._refine(chosen, hkl, conventional)
            node_distances(spots, n, self._settings.reduced(conventional), distance)
            _, reach, count = false_alarms(distance, n, target.volume, target.longest, q_high, target.strain)
            if count < self.min_spots:
                return None
            # The most telling reach leaves out the tail of the spots' errors.
            reach /= REACH_STEP
        indexed = distance[:n] < reach * reach
        hkl = self._settings.nearest_node(conventional @ spots[:, indexed])
        return Crystal(
            A=conventional,
            hkl=np.ascontiguousarray(hkl.T, np.int32),
            spots=left[indexed],
            rmsd_q=float(np.sqrt(np.mean(distance[:n][indexed]))),
            known=self.cell,
        )


def _same_lattice(A: F64, B: F64) -> bool:
    """Tell whether two lattices have nearly the same nodes: the one's axes are whole sums of the other's."""
    ratio = A @ np.linalg.inv(B)
    return bool(np.abs(ratio - np.round(ratio)).max() < 0.03)


def _rmsd_px(crystal: Crystal, peaks: Peaks, detector: Detector, wavelength: float) -> float:
    """Return the root mean square distance in pixels between peaks and the predicted rays' hits on their panels."""
    rays = crystal.hkl @ crystal.A_star
    rays[:, 2] += 1.0 / wavelength
    frames = np.array([(p.fs, p.ss, p.corner) for p in detector.panels])
    starts = np.array([(p.fs_start, p.ss_start) for p in detector.panels])
    fs, ss, corner = np.moveaxis(frames[peaks.panel], 1, 0)
    # corner + u fs + v ss = t ray, solved for (u, v, t).
    hit = np.linalg.solve(np.stack([fs, ss, -rays], axis=2), -corner[:, :, None])[:, :2, 0] + starts[peaks.panel]
    return float(np.sqrt(np.mean((hit[:, 0] - peaks.fs) ** 2 + (hit[:, 1] - peaks.ss) ** 2)))
