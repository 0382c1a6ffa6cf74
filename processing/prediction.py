"""Where on the detector a crystal's reflections are to be expected in a still, and how much of each."""

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from braggwatch.processing.beam import Beam
from braggwatch.processing.columns import Columns
from braggwatch.processing.crystal import Crystal
from braggwatch.processing.detector import Detector
from braggwatch.processing.unit_cell import UnitCell

PROFILE_RADIUS = 0.002
"""1/Angstrom: the radius of a reciprocal-lattice point that CrystFEL starts from."""
MAX_REFLECTIONS = 1_000_000
"""More reflections than this in one still are refused."""
MAX_ROWS = 20_000_000
"""More rows of the reciprocal lattice than this are not searched."""


@dataclass(frozen=True, eq=False)
class Predictions(Columns):
    """Reflections of one crystal expected on a detector, as arrays of one length."""

    hkl: NDArray[np.int32]
    """``(n, 3)``: Miller indices."""
    fs: NDArray[np.float32]
    """Centre along fs in the image array, pixels; the centre of pixel 0 is 0.5."""
    ss: NDArray[np.float32]
    """Centre along ss, likewise."""
    panel: NDArray[np.int16]
    """Index of the panel."""
    excitation_error: NDArray[np.float32]
    """Distance of the reciprocal-lattice point from the Ewald sphere, 1/Angstrom, positive outside."""
    partiality: NDArray[np.float32]
    """Share of what the reflection would give exactly on the sphere of a perfect beam, in (0, 1]."""
    inverse_d: NDArray[np.float32]
    """1/d, 1/Angstrom."""


class Predictor:
    """Predicts the reflections of crystals of one kind on one detector.

    A reciprocal-lattice point is a ball of one radius. Each part of the beam's energy spectrum and divergence has its
    own Ewald sphere; those that pass through a point lie within ``w = q²λ/4 bandwidth + sin(2θ)/(2λ) divergence`` of
    the mean one, to first order. A reflection is expected where one of them cuts the ball, and its partiality is the
    mean over all of them of the circle they cut, taken relative to the ball's largest: for a perfect beam
    ``1 - (excitation error / radius)²`` (Uervirojnangkoorn et al., eLife 4, e05421, 2015), for a wide one proportional
    to the share of the ball's volume between the outermost spheres (White et al., Acta Cryst. D 69, 1231, 2013).
    """

    def __init__(
        self,
        detector: Detector,
        cell: UnitCell,
        *,
        d_min: float | None = None,
        profile_radius: float = PROFILE_RADIUS,
        bandwidth: float | None = None,
        divergence: float = 0.0,
    ) -> None:
        """Get ready for a detector, whose beam counts, and a cell, whose space group says what is absent.

        `d_min` in Angstrom; left out, or beyond the detector's corners, the search ends at these. `profile_radius`:
        the ball's, 1/Angstrom. `bandwidth`: full width of the energy spectrum relative to the energy; left out, the
        beam's. `divergence`: full angle of the beam's cone, degrees. Raises ValueError for values that make no sense,
        for a detector without a beam, and where such a crystal has more than a million reflections in one still.
        """
        if detector.beam is None:
            raise ValueError(
                "the photon energy is unknown, so nothing can be predicted: neither the geometry nor the stream says "
                "it; give photon_energy in [detector]"
            )
        width = detector.beam.bandwidth if bandwidth is None else bandwidth
        _check(d_min, profile_radius, width, divergence)
        self.detector = detector
        self.cell = cell
        self._k0 = 1.0 / detector.beam.wavelength
        self._radius = float(profile_radius)
        self._energy = self._k0 * width / 2.0
        self._divergence = self._k0 * math.radians(divergence) / 2.0
        corner = _largest_q(detector)
        self.inverse_d_max = corner if d_min is None else min(1.0 / d_min, corner)
        """Where the search ends, 1/Angstrom."""
        versine = min((self.inverse_d_max / self._k0) ** 2 / 2.0, 2.0)  # 1 - cos(2 theta)
        self._reach = self._radius + self._energy * versine + self._divergence
        self._refuse_too_many(cell.A)

    def __call__(self, A: ArrayLike) -> Predictions:
        """Return the reflections of a crystal whose centres lie on pixels that are not masked, absent ones left out.

        `A` ``(3, 3)``: real-space a, b, c as rows, Angstrom, lab frame. Raises ValueError where these do not span
        space, or are so long that there would be more than a million reflections.
        """
        axes = np.array(A, float)
        if axes.shape != (3, 3) or not np.isfinite(axes).all() or not abs(np.linalg.det(axes)) > 0:
            raise ValueError(
                f"expected three axes that span space as the rows of a (3, 3) matrix, found {axes.tolist()}"
            )
        self._refuse_too_many(axes)
        # Rows of the lattice along its longest axis in real space are the densest, so that there are few of them.
        order = np.argsort(np.linalg.norm(axes, axis=1), kind="stable")
        found = self._search(axes[order])
        hkl = np.empty((len(found), 3), np.int32)
        hkl[:, order] = found[:, :3]
        fs, ss, panel = self.detector.project(found[:, 3:6])
        seen = np.flatnonzero(panel >= 0)
        n_ss, n_fs = self.detector.shape
        # a centre on a panel's very edge may be rounded to the next pixel
        row, column = np.minimum(ss[seen].astype(int), n_ss - 1), np.minimum(fs[seen].astype(int), n_fs - 1)
        seen = seen[~self.detector.mask[row, column]]
        seen = seen[~self.cell.is_absent(hkl[seen])]
        return Predictions(
            hkl=hkl[seen],
            fs=fs[seen].astype(np.float32),
            ss=ss[seen].astype(np.float32),
            panel=panel[seen],
            excitation_error=found[seen, 6].astype(np.float32),
            partiality=found[seen, 7].astype(np.float32),
            inverse_d=found[seen, 8].astype(np.float32),
        )

    def _search(self, axes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the excited nodes of ordered axes as rows of what `_find_excited` writes."""
        expected = _expected_number(axes, self.inverse_d_max, self._reach)
        found = np.empty((int(1.5 * expected) + 256, 9))
        limits = np.floor(self.inverse_d_max * np.linalg.norm(axes, axis=1)).astype(np.int64)
        options = (
            np.linalg.inv(axes).T.copy(), limits, self._k0, self.inverse_d_max, self._reach, self._radius, self._energy,
            self._divergence,
        )  # fmt: skip
        n = _find_excited(*options, found)
        if n > len(found):  # a lattice row that lies along the sphere, say
            found = np.empty((n, 9))
            n = _find_excited(*options, found)
        return found[:n]

    def _refuse_too_many(self, axes: NDArray[np.float64]) -> None:
        n = _expected_number(axes, self.inverse_d_max, self._reach)
        lengths = np.sort(np.linalg.norm(axes, axis=1))
        rows = np.prod(2.0 * self.inverse_d_max * lengths[:2] + 1.0)
        if not (n <= MAX_REFLECTIONS and rows <= MAX_ROWS):
            raise ValueError(
                f"a cell of {abs(np.linalg.det(axes)):.3g} cubic Angstrom has about {n:.2g} reflections within "
                f"{self._reach:.2g}/A of the Ewald sphere to {1 / self.inverse_d_max:.2f} A, at most {MAX_REFLECTIONS} "
                "can be predicted: choose a larger d_min or a smaller profile_radius"
            )


def estimate_profile_radius(crystal: Crystal, beam: Beam, *, divergence: float = 0.0) -> float:
    """Return the radius of the reciprocal-lattice points of an indexed crystal, 1/Angstrom.

    It is the distance from the nearest of the beam's Ewald spheres within which 98 % of the reflections lie that were
    found as spots, as CrystFEL takes it for a beam of one energy. `divergence`: full angle of the beam's cone, degrees.
    Raises ValueError for a crystal without indexed spots.
    """
    if not len(crystal.hkl):
        raise ValueError("a profile radius needs indexed spots: the crystal has none")
    k0 = 1.0 / beam.wavelength
    k1 = crystal.hkl @ crystal.A_star
    q2 = np.einsum("ni,ni->n", k1, k1)
    k1[:, 2] += k0
    error = np.abs(np.linalg.norm(k1, axis=1) - k0)
    versine = np.minimum(q2 / (2.0 * k0 * k0), 2.0)  # as in `_half_width`
    across = math.radians(divergence) * np.sqrt(versine * (2.0 - versine))
    width = k0 / 2.0 * (beam.bandwidth * versine + across)
    return float(np.quantile(np.maximum(error - width, 0.0), 0.98))


def _check(d_min: float | None, profile_radius: float, bandwidth: float, divergence: float) -> None:
    if d_min is not None and not 0 < d_min < math.inf:
        raise ValueError(f"d_min must be positive, found {d_min} Angstrom")
    if not 0 < profile_radius <= 0.1:
        raise ValueError(f"the profile radius must lie above 0 and at most at 0.1/A, found {profile_radius}/A")
    if not 0 <= bandwidth < 1:
        raise ValueError(f"bandwidth is a fraction between 0 and 1, found {bandwidth}")
    if not 0 <= divergence < 10:
        raise ValueError(f"the divergence must lie between 0 and 10 degrees, found {divergence}")


def _largest_q(detector: Detector) -> float:
    """Return the largest |q| of any point on the detector, 1/Angstrom, or a little more."""
    assert detector.beam is not None
    place = np.array(
        [
            (fs, ss, index)
            for index, p in enumerate(detector.panels)
            for fs in (p.fs_start, p.fs_stop)
            for ss in (p.ss_start, p.ss_stop)
        ],
        float,
    )
    corners = place[:, 0], place[:, 1], place[:, 2].astype(np.int64)
    if (detector.position(*corners)[:, 2] < 0).any():
        # On a panel that reaches behind the sample the highest angle may lie anywhere, not only at a corner.
        return 2.0 / detector.beam.wavelength
    return float(np.linalg.norm(detector.q(*corners), axis=1).max())


def _expected_number(axes: NDArray[np.float64], inverse_d_max: float, reach: float) -> float:
    """Return how many nodes lie within `reach` of that part of the Ewald sphere, a cap of area pi q²."""
    return math.pi * inverse_d_max**2 * 2.0 * reach * abs(float(np.linalg.det(axes)))


@njit(nogil=True, cache=True)
def _half_width(q, k0, energy, divergence):  # type: ignore[no-untyped-def]
    """Return how far the Ewald spheres of a beam lie to either side of the mean one.

    `energy` and `divergence` are half widths of the beam in 1/Angstrom, along itself and across.
    """
    versine = min(q * q / (2.0 * k0 * k0), 2.0)  # 1 - cos(2 theta)
    return energy * versine + divergence * math.sqrt(versine * (2.0 - versine))


@njit(nogil=True, cache=True)
def _partiality(error, radius, width):  # type: ignore[no-untyped-def]
    """Return the mean of ``1 - (x / radius)²`` over x within `width` of `error`, nothing outside the radius."""
    if width < 1e-6 * radius:
        return 1.0 - (error / radius) ** 2
    low, high = max(error - width, -radius), min(error + width, radius)
    return (high - low - (high**3 - low**3) / (3.0 * radius * radius)) / (2.0 * width)


@njit(nogil=True, cache=True)
def _find_excited(A_star, limits, k0, q_max, reach, radius, energy, divergence, out):  # type: ignore[no-untyped-def]
    """Find the nodes near the Ewald sphere and return how many there are, also where `out` holds fewer.

    Along each row of the lattice, the sphere's surroundings to `reach` are left in one or two stretches: only their
    nodes are looked at. `limits` ``(3,)``: the largest index along each axis. A row of `out` becomes h, k, l, the ray
    (three numbers, 1/Angstrom), excitation error, partiality and 1/d.
    """
    n = 0
    step = A_star[2]
    step2 = step[0] ** 2 + step[1] ** 2 + step[2] ** 2
    for h in range(-limits[0], limits[0] + 1):
        for k in range(-limits[1], limits[1] + 1):
            x = h * A_star[0, 0] + k * A_star[1, 0]
            y = h * A_star[0, 1] + k * A_star[1, 1]
            z = h * A_star[0, 2] + k * A_star[1, 2]
            # where the row leaves the resolution range, and the balls of radius k0 - reach and k0 + reach
            q_middle = -(x * step[0] + y * step[1] + z * step[2]) / step2
            q_half = _half_chord(x, y, z, step, q_middle, q_max)
            middle = q_middle - k0 * step[2] / step2
            outer = _half_chord(x, y, z + k0, step, middle, k0 + reach)
            if q_half < 0.0 or outer < 0.0:
                continue
            inner = _half_chord(x, y, z + k0, step, middle, k0 - reach)
            first = max(math.ceil(max(middle - outer, q_middle - q_half)), -limits[2])
            last = min(math.floor(min(middle + outer, q_middle + q_half)), limits[2])
            m = first - 1
            while m < last:
                m += 1
                if inner > 0.0 and middle - inner < m < middle + inner:
                    m = max(m, math.ceil(middle + inner) - 1)
                    continue
                if h == 0 and k == 0 and m == 0:
                    continue
                qx, qy, qz = x + m * step[0], y + m * step[1], z + m * step[2]
                q2 = qx * qx + qy * qy + qz * qz
                q, length = math.sqrt(q2), math.sqrt(qx * qx + qy * qy + (qz + k0) ** 2)
                error = (q2 + 2.0 * k0 * qz) / (length + k0)  # length - k0 without the loss of digits
                width = _half_width(q, k0, energy, divergence)
                if not abs(error) < radius + width or q > q_max:
                    continue
                if n < len(out):
                    _write(h, k, m, q, qx, qy, qz + k0, length, error, radius, width, energy, divergence, out[n])
                n += 1
    return n


@njit(nogil=True, cache=True)
def _half_chord(x, y, z, step, middle, radius):  # type: ignore[no-untyped-def]
    """Return half the length, in steps, of what a ball about the origin cuts out of a row; -1 where they do not meet.

    The row goes through x, y, z; `middle` is where it comes closest to the origin, in steps from there.
    """
    if radius <= 0.0:
        return -1.0
    dx, dy, dz = x + middle * step[0], y + middle * step[1], z + middle * step[2]
    left = radius * radius - (dx * dx + dy * dy + dz * dz)
    return math.sqrt(left / (step[0] ** 2 + step[1] ** 2 + step[2] ** 2)) if left >= 0.0 else -1.0


@njit(nogil=True, cache=True)
def _write(h, k, m, q, kx, ky, kz, length, error, radius, width, energy, divergence, row):  # type: ignore[no-untyped-def]
    """Write a reflection whose ray by the mean beam would be (kx, ky, kz).

    That part of the excitation error which the beam's spread makes up for, rather than the node's size, moves the ray:
    by the ratio of their variances (a uniform distribution of half width w has w²/3, the ball's circles r²/5).
    """
    row[0], row[1], row[2] = h, k, m
    along, across = energy * (1.0 - kz / length), divergence * math.sqrt(max(0.0, 1.0 - (kz / length) ** 2))
    share = error / (0.6 * radius * radius + along * along + across * across)
    row[3] = kx - share * divergence * divergence * kx / length
    row[4] = ky - share * divergence * divergence * ky / length
    row[5] = kz + share * energy * energy * (1.0 - kz / length)
    row[6] = error
    row[7] = _partiality(error, radius, width)
    row[8] = q
