"""A crystal's orientation and cell, and the beam's place, refined against the spots of its shot."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from braggwatch.processing.crystal import Crystal
from braggwatch.processing.detector import Detector
from braggwatch.processing.peaks import Peaks
from braggwatch.processing.symmetric_refinement import SymmetricRefiner
from braggwatch.processing.unit_cell import UnitCell

F64 = NDArray[np.float64]

_ROUNDS = 4
_OUTLIER = 4.0
"""Spots that many standard deviations from their predicted place do not count."""
_WORTH_IT = 0.995
"""A round that leaves more of the RMSD than this is the last."""
_LEAST_PX = 0.1
"""Nobody measures the centre of a spot better than this, pixels."""
_LEAST_RADIAL = 2e-5
"""Nor the Ewald sphere's distance from a node better than this, 1/Angstrom."""
_BEAM_SIGMA_PX = 2.0
"""How far the beam is thought to stray from its place before any spot was looked at, pixels."""
_NORMAL = 1.4826
"""Standard deviation of a normal distribution in median absolute deviations."""


@dataclass(frozen=True, eq=False)
class Refined:
    """A crystal after refinement."""

    crystal: Crystal
    """With the refined axes, the spots that counted, their RMSD, and `Crystal.beam_shift`."""
    profile_radius: float
    """Standard deviation of the found spots' nodes from the Ewald sphere, 1/Angstrom; NaN without spots."""


class Refiner:
    """Refines crystals of one lattice on one detector by least squares.

    What a spot says of its node, it says with two precisions: across the diffracted ray to a fraction of a pixel, along
    it (the excitation error of a still) only to the size of the node. Both are estimated from the spots themselves,
    robustly, and again in each round; the refinement then moves three turns, the strains that the lattice's symmetry
    allows, and the beam (held to its place by 2 pixels), all at once, by Gauss-Newton. The idea of refining stills
    against positions and excitation errors together is CrystFEL's (White, Phil. Trans. R. Soc. B 369, 20130315, 2014)
    and DIALS's (Brewster et al., Acta Cryst. D 74, 877, 2018).
    """

    def __init__(self, detector: Detector, cell: UnitCell) -> None:
        """Get ready; raises ValueError where the photon energy is unknown."""
        if detector.beam is None:
            raise ValueError(
                "the photon energy is unknown, so nothing can be refined: neither the geometry nor the stream says it; "
                "give photon_energy in [detector]"
            )
        self.detector = detector
        self._k0 = 1.0 / detector.beam.wavelength
        self._symmetry = SymmetricRefiner(cell)
        self._pixel = np.array([panel.pixel_size for panel in detector.panels])

    def __call__(self, crystal: Crystal, peaks: Peaks) -> Refined:
        """Refine a crystal whose `spots` are rows of `peaks`.

        The result is never worse than what it started from: where no step makes the RMSD on the detector smaller, the
        crystal comes back as it was. So it does with fewer spots than parameters.
        """
        if not len(crystal.spots):
            return Refined(crystal, float("nan"))
        spots = peaks[crystal.spots]
        position = self.detector.position(spots.fs, spots.ss, spots.panel)
        pixel = self._pixel[spots.panel]
        hkl = crystal.hkl
        state = _State(crystal.A, np.zeros(2))
        misses = self._misses(state, hkl, position, pixel)
        kept = np.ones(len(position), bool)
        for _ in range(_ROUNDS):
            trusted = misses.across_px < _OUTLIER * misses.sigma_px
            step = self._step(state, misses, trusted, pixel)
            if step is None:
                break
            moved = self._misses(step, hkl, position, pixel)
            # judged on the same spots, so that leaving some out is no way of getting better
            before, after = _rms(misses.across_px[trusted]), _rms(moved.across_px[trusted])
            if not after < before:
                break
            state, misses, kept = step, moved, trusted
            if after > _WORTH_IT * before:
                break
        refined = replace(
            crystal,
            A=state.A,
            hkl=hkl[kept],
            spots=crystal.spots[kept],
            rmsd_q=_rms(np.linalg.norm(misses.vector[kept], axis=1)),
            rmsd_px=_rms(misses.across_px[kept]),
            beam_shift=(float(state.shift[0]), float(state.shift[1])),
        )
        return Refined(refined, _rms(misses.along[kept]))

    def _misses(self, state: "_State", hkl: NDArray[np.int32], position: F64, pixel: F64) -> "_Misses":
        seen = position - np.array([*state.shift, 0.0])
        length = np.sqrt(np.einsum("ni,ni->n", seen, seen))
        ray = seen / length[:, None]
        node = hkl @ np.linalg.inv(state.A).T
        vector = node - self._k0 * ray
        vector[:, 2] += self._k0
        along = np.einsum("ni,ni->n", vector, ray)
        across = vector - along[:, None] * ray
        scale = length / (self._k0 * pixel)
        across_px = np.sqrt(np.einsum("ni,ni->n", across, across)) * scale
        # the length of a vector with two normal components has its median at 1.1774 of their standard deviation
        sigma_px = max(float(np.median(across_px)) / 1.1774, _LEAST_PX)
        sigma_along = max(_NORMAL * float(np.median(np.abs(along))), _LEAST_RADIAL)
        return _Misses(vector, node, ray, length, along, across, across_px, scale, sigma_px, sigma_along)

    def _step(self, state: "_State", misses: "_Misses", kept: NDArray[np.bool_], pixel: F64) -> "_State | None":
        """Return the state after one Gauss-Newton step; None where the spots do not determine it."""
        generators = self._symmetry.generators(state.A)
        n_cell = len(generators)
        if 2 * kept.sum() < n_cell + 2:
            return None
        ray, node = misses.ray[kept], misses.node[kept]
        moved = np.empty((int(kept.sum()), n_cell + 2, 3))
        moved[:, :n_cell] = -(node @ generators.transpose(0, 2, 1)).transpose(1, 0, 2)
        # moving the beam by dx moves the ray by -(dx - ray (ray . dx)) / length, so the miss the other way
        for k in range(2):
            across_beam = -ray * ray[:, k : k + 1]
            across_beam[:, k] += 1.0
            moved[:, n_cell + k] = self._k0 * across_beam / misses.length[kept, None]
        along = (moved @ ray[:, :, None])[:, :, 0]
        across = (moved - along[:, :, None] * ray[:, None, :]) * misses.scale[kept, None, None] / misses.sigma_px
        along /= misses.sigma_along
        target_across = misses.across[kept] * misses.scale[kept, None] / misses.sigma_px
        target_along = misses.along[kept] / misses.sigma_along
        across = across.transpose(0, 2, 1).reshape(-1, n_cell + 2)
        normal = across.T @ across + along.T @ along
        gradient = across.T @ target_across.ravel() + along.T @ target_along
        hold = 1.0 / (_BEAM_SIGMA_PX * pixel.mean()) ** 2
        normal[n_cell:, n_cell:] += hold * np.eye(2)
        gradient[n_cell:] += hold * state.shift
        try:
            change = -np.linalg.solve(normal, gradient)
        except np.linalg.LinAlgError:
            return None
        if not np.isfinite(change).all():
            return None
        A = state.A @ (np.eye(3) + np.einsum("k,kij->ij", change[:n_cell], generators))
        return _State(self._symmetry.symmetric(A), state.shift + change[n_cell:])


@dataclass(frozen=True, eq=False)
class _State:
    A: F64
    shift: F64
    """``(2,)``: of the beam on the detector, m."""


@dataclass(frozen=True, eq=False)
class _Misses:
    """How far nodes are from what the spots say, ``(n,)`` or ``(n, 3)``, 1/Angstrom."""

    vector: F64
    node: F64
    ray: F64
    """Unit vectors from the sample to the spots."""
    length: F64
    """From the sample to the spots, m."""
    along: F64
    """Component along the ray: the excitation error."""
    across: F64
    across_px: F64
    """Length of `across` on the detector, pixels."""
    scale: F64
    """Pixels for 1/Angstrom across the ray."""
    sigma_px: float
    sigma_along: float


def _rms(values: F64) -> float:
    return float(np.sqrt(np.mean(values**2)))
