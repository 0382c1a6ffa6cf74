"""Which reflections of a crystal a still excites, how strongly, and where and how wide they fall on the detector.

The model: a reciprocal-lattice point q is smeared by the finite size of the mosaic blocks (the same in all directions)
and by their misorientation (perpendicular to q, growing with its length); the incident beam k0 is smeared along itself
by its bandwidth and across by its divergence. All four are taken as normal distributions. To first order the excitation
error is

    epsilon = |q + k0| - |k0| + e . dq + (e - z) . dk,      e = (q + k0) / |q + k0|

with dq and dk the deviations, so it is normal too, with variance ``e Sq e + (e - z) Sk (e - z)``. What diffracts is
the distribution *on condition that* epsilon is zero: its density there gives the partiality, and its conditional mean
and covariance, seen on the panel, give the place and the shape of the spot. This is the multivariate normal treatment
of stills that dials.ssx_integrate uses (J. M. Parkhurst's "potato" profile model) with the beam's spread added.
"""

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from braggwatch.processing.beam import Beam
from braggwatch.processing.detector import Detector
from braggwatch.processing.mosaicity import FWHM, block_sigma

N_SIGMA = 4.0
"""Reflections further off the Ewald sphere than this many standard deviations are left out; a spot ends there too."""


@dataclass(frozen=True)
class Spread:
    """How wide a reciprocal-lattice point and the beam are."""

    block_size: float
    """Edge of a cubic mosaic block, Angstrom: its shape transform has a full width at half maximum of 0.886 / edge."""
    mosaicity: float = 0.0
    """Standard deviation of the blocks' rotation about any axis, degrees."""
    divergence: float = 0.0
    """Standard deviation of the beam's direction in x and in y, degrees."""

    def __post_init__(self) -> None:
        if not self.block_size > 0:
            raise ValueError(f"the mosaic block size must be positive, found {self.block_size} Angstrom")
        if self.mosaicity < 0 or self.divergence < 0:
            raise ValueError(
                f"mosaicity and divergence must not be negative, found {self.mosaicity} and {self.divergence} degrees"
            )

    @property
    def block_sigma(self) -> float:
        """Standard deviation of the reciprocal-lattice point of one block, 1/Angstrom."""
        return block_sigma(self.block_size)


@dataclass(frozen=True, eq=False)
class Predicted:
    """Spots of one lattice on the detector, as arrays of one length; each stands once on every panel it touches."""

    index: NDArray[np.int64]
    """Row of the hkl that were given."""
    fs: NDArray[np.float64]
    """Centre along fs in the image array, pixels; the centre of pixel 0 is 0.5."""
    ss: NDArray[np.float64]
    panel: NDArray[np.int16]
    inside: NDArray[np.bool_]
    """Whether the centre lies on this panel; False where only the spot's flank does."""
    covariance: NDArray[np.float64]
    """``(n, 3)``: of the spot's profile, (fs fs, fs ss, ss ss), pixels²."""
    excitation_error: NDArray[np.float64]
    """Distance of the reciprocal-lattice point from the Ewald sphere, 1/Angstrom, positive outside."""
    partiality: NDArray[np.float64]
    """Share of what one perfect crystal of the same blocks would give exactly on the sphere, in (0, 1]."""
    polarisation: NDArray[np.float64]
    """Factor for a beam that is polarised along lab x."""


def predict(
    A_star: NDArray[np.float64],
    hkl: NDArray[np.int16],
    detector: Detector,
    beam: Beam,
    spread: Spread,
    point_spread: float,
) -> Predicted:
    """Predict the spots of a lattice.

    `A_star` ``(3, 3)``: a*, b*, c* as rows, 1/Angstrom; `hkl` ``(n, 3)``; `point_spread`: standard deviation of the
    detector's point-spread function, pixels. Good to first order: for bandwidths of a few per cent, mosaicities of a
    few tenths of a degree. Panels are taken not to shade each other.
    """
    k0 = 1.0 / beam.wavelength
    block, mosaic = spread.block_sigma, np.radians(spread.mosaicity)
    energy, divergence = k0 * beam.bandwidth / FWHM, k0 * np.radians(spread.divergence)
    found = np.empty(len(hkl), np.int64)
    # Variance of the excitation error on the sphere as a polynomial of q²: 1 - e.z = q² / (2 k0²), |e - z| = q / k0.
    n_found = _find_excited(
        hkl,
        A_star,
        k0,
        N_SIGMA**2 * block**2,
        N_SIGMA**2 * (mosaic**2 + (divergence / k0) ** 2),
        N_SIGMA**2 * energy**2 / (4.0 * k0**4),
        found,
    )
    index = found[:n_found].copy()
    q = hkl[index] @ A_star
    k1 = q + np.array([0.0, 0.0, k0])
    length = np.linalg.norm(k1, axis=1)
    e = k1 / length[:, None]
    q2 = np.einsum("ni,ni->n", q, q)
    error = (q2 + 2.0 * k0 * q[:, 2]) / (length + k0)  # |k1| - k0 without the loss of digits
    point = (block**2 + q2 * mosaic**2)[:, None, None] * np.eye(3) - mosaic**2 * np.einsum("ni,nj->nij", q, q)
    source = np.diag([divergence**2, divergence**2, energy**2])
    towards = e - np.array([0.0, 0.0, 1.0])
    correlated = np.einsum("nij,nj->ni", point, e) + towards @ source
    variance = np.einsum("nij,ni,nj->n", point, e, e) + np.einsum("ni,ij,nj->n", towards, source, towards)
    centre = k1 - (error / variance)[:, None] * correlated
    shape = point + source - np.einsum("ni,nj->nij", correlated, correlated) / variance[:, None, None]
    row, panel, place, inside, covariance = _project(centre, shape, detector, point_spread)
    partiality = block / np.sqrt(variance) * np.exp(-(error**2) / (2.0 * variance))
    return Predicted(
        index=index[row],
        fs=place[:, 0],
        ss=place[:, 1],
        panel=panel,
        inside=inside,
        covariance=covariance,
        excitation_error=error[row],
        partiality=partiality[row],
        polarisation=1.0 - e[row, 0] ** 2,
    )


@numba.njit(nogil=True, cache=True)
def _find_excited(hkl, A_star, k0, limit_q0, limit_q2, limit_q4, out):  # type: ignore[no-untyped-def]
    """Write the rows of `hkl` near the Ewald sphere into `out` and return their number."""
    n = 0
    for i in range(hkl.shape[0]):
        h, k, m = hkl[i, 0], hkl[i, 1], hkl[i, 2]
        x = h * A_star[0, 0] + k * A_star[1, 0] + m * A_star[2, 0]
        y = h * A_star[0, 1] + k * A_star[1, 1] + m * A_star[2, 1]
        z = h * A_star[0, 2] + k * A_star[1, 2] + m * A_star[2, 2]
        q2 = x * x + y * y + z * z
        error = (q2 + 2.0 * k0 * z) / (2.0 * k0)
        if error * error < limit_q0 + q2 * (limit_q2 + q2 * limit_q4):
            out[n] = i
            n += 1
    return n


def _project(
    k1: NDArray[np.float64], shape: NDArray[np.float64], detector: Detector, point_spread: float
) -> tuple[NDArray[np.int64], NDArray[np.int16], NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]:
    """Project rays `k1` ``(n, 3)`` with covariances `shape` ``(n, 3, 3)`` onto all panels.

    Returns rows of `k1`, panel, place ``(m, 2)`` (fs, ss), whether the ray hits the panel itself, and the
    covariance ``(m, 3)`` in pixels².
    """
    rows, panels, places, hits, covariances = [], [], [], [], []
    for number, panel in enumerate(detector.panels):
        # k1 is a multiple of corner + u fs + v ss; in that basis the ratio to the corner's share is (u, v).
        basis = np.linalg.inv(np.array([panel.fs, panel.ss, panel.corner]).T)
        share = k1 @ basis.T
        n_ss, n_fs = panel.shape
        with np.errstate(divide="ignore", invalid="ignore"):
            u, v = share[:, 0] / share[:, 2], share[:, 1] / share[:, 2]
            ahead = (share[:, 2] > 0) & (u > -_FAR) & (u < n_fs + _FAR) & (v > -_FAR) & (v < n_ss + _FAR)
        row = np.nonzero(ahead)[0]
        u, v = u[row], v[row]
        place = np.stack([u, v], axis=1)
        slope = (basis[None, :2, :] - place[:, :, None] * basis[None, 2:, :]) / share[row, 2, None, None]
        covariance = slope @ shape[row] @ slope.transpose(0, 2, 1) + point_spread**2 * np.eye(2)
        reach_u, reach_v = N_SIGMA * np.sqrt(covariance[:, 0, 0]), N_SIGMA * np.sqrt(covariance[:, 1, 1])
        touches = (u > -reach_u) & (u < n_fs + reach_u) & (v > -reach_v) & (v < n_ss + reach_v)
        hit = (u >= 0) & (u < n_fs) & (v >= 0) & (v < n_ss)
        rows.append(row[touches])
        panels.append(np.full(touches.sum(), number, np.int16))
        places.append(place[touches] + (panel.fs_start, panel.ss_start))
        hits.append(hit[touches])
        covariances.append(covariance[touches].reshape(-1, 4)[:, [0, 1, 3]])
    return (
        np.concatenate(rows),
        np.concatenate(panels),
        np.concatenate(places),
        np.concatenate(hits),
        np.concatenate(covariances),
    )


_FAR = 100.0
"""Pixels beyond a panel's edge at which no spot reaches it any more; the exact test follows."""
