"""Diffraction stills of crystals in a jet, together with the truth about them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

from braggwatch.processing.columns import Columns
from braggwatch.processing.detector import Detector
from braggwatch.processing.simulation.background import Background, background_image
from braggwatch.processing.simulation.photons import PoissonField, add_photons, spread_spots
from braggwatch.processing.simulation.prediction import N_SIGMA, Predicted, Spread, predict
from braggwatch.processing.simulation.structure_factors import wilson_intensities
from braggwatch.processing.unit_cell import UnitCell

MASK_VALUE = 65535
"""What pixels of gaps read, as DECTRIS detectors send it: the largest value of uint16."""


@dataclass(frozen=True, eq=False)
class TrueReflections(Columns):
    """Reflections whose centres lie on a panel, as arrays of one length."""

    lattice: NDArray[np.int16]
    """Which of the image's lattices each belongs to."""
    hkl: NDArray[np.int32]
    """``(n, 3)``: Miller indices."""
    fs: NDArray[np.float32]
    """Centre along fs in the image array, pixels; the centre of pixel 0 is 0.5."""
    ss: NDArray[np.float32]
    panel: NDArray[np.int16]
    excitation_error: NDArray[np.float32]
    """Distance from the Ewald sphere, 1/Angstrom, positive outside."""
    partiality: NDArray[np.float32]
    """In (0, 1], see `Predicted.partiality`."""
    intensity: NDArray[np.float32]
    """Photons expected in the whole spot."""
    measured: NDArray[np.bool_]
    """Whether the pixel at the centre is neither masked, nor dead or hot, nor behind the beam stop."""


@dataclass(frozen=True, eq=False)
class StillTruth:
    """What was put into an image."""

    A: NDArray[np.float64]
    """``(n_lattices, 3, 3)``: real-space a, b, c of each lattice as rows, Angstrom, lab frame."""
    crystal_size: NDArray[np.float64]
    """``(n_lattices,)``: diffracting volume of each crystal relative to the mean one."""
    pulse_energy: float
    """Relative to the mean pulse."""
    reflections: TrueReflections

    @property
    def is_hit(self) -> bool:
        """Whether there was a crystal in the beam."""
        return len(self.A) > 0


class StillSimulator:
    """Simulates stills of one kind of crystal on a detector."""

    def __init__(
        self,
        detector: Detector,
        cell: UnitCell,
        *,
        d_min: float | None = None,
        b_factor: float = 20.0,
        photons: float = 1000.0,
        spread: Spread | None = None,
        spot_size: float = 0.95,
        background: Background | None = None,
        beam_stop: float = 0.0,
        pulse_spread: float = 0.2,
        crystal_spread: float = 0.5,
        hot_pixels: int = 0,
        dead_pixels: int = 0,
        seed: int = 0,
    ) -> None:
        """Prepare all that stays the same from image to image.

        `detector` with its beam, whose bandwidth counts; its masked pixels and those of no panel read 65535. `d_min`:
        resolution limit in Angstrom; left out, that of the detector's corners. `b_factor`: Wilson's B, Angstrom².
        `photons`: in a general reflection of low resolution exactly on the Ewald sphere, from a mean crystal in a mean
        pulse. `spot_size`: standard deviation of the point spread, pixels, at least 0.25. `beam_stop`: radius of its
        shadow, m. `pulse_spread` and `crystal_spread`: relative standard deviations of pulse energy and of the
        crystals' volumes, which follow log-normal distributions. `hot_pixels` and `dead_pixels`: how many pixels always
        read one random value between 100 and 10000 and how many always read 0; they are not masked. `seed` fixes
        structure factors and hot and dead pixels. Raises ValueError for values out of range.
        """
        if detector.beam is None:
            raise ValueError("the photon energy is unknown: give the detector a beam")
        if spot_size < 0.25:
            raise ValueError(f"the spot size must be at least 0.25 pixels, found {spot_size}")
        if min(photons, beam_stop, pulse_spread, crystal_spread) < 0:
            raise ValueError(
                "photons, beam_stop, pulse_spread and crystal_spread must not be negative, "
                f"found {photons}, {beam_stop}, {pulse_spread} and {crystal_spread}"
            )
        self.detector = detector
        self.beam = detector.beam
        self.spread = spread or Spread(block_size=3000.0, mosaicity=0.02)
        self.spot_size = spot_size
        self.photons = photons
        self.pulse_spread, self.crystal_spread = pulse_spread, crystal_spread
        self.structure_factors = wilson_intensities(
            cell, 1.0 / float(np.nanmax(detector.q_map())) if d_min is None else d_min, b_factor=b_factor, seed=seed
        )
        self._field = PoissonField(
            background_image(background or Background(), detector, beam_stop), detector.mask, MASK_VALUE
        )
        self._bounds = np.array([(p.ss_start, p.ss_stop, p.fs_start, p.fs_stop) for p in detector.panels], np.int64)
        live = np.nonzero(~detector.mask.reshape(-1))[0]
        rng = np.random.default_rng(seed)
        broken = rng.choice(live, hot_pixels + dead_pixels, replace=False)
        self.hot_pixels = np.stack(np.unravel_index(broken[:hot_pixels], detector.shape), axis=1)
        """``(n, 2)``: row and column of each."""
        self.dead_pixels = np.stack(np.unravel_index(broken[hot_pixels:], detector.shape), axis=1)
        self._hot_values = np.exp(rng.uniform(np.log(100.0), np.log(10000.0), hot_pixels)).astype(np.uint16)

    def simulate(
        self, rng: np.random.Generator | int, n_lattices: int = 1, orientations: ArrayLike | None = None
    ) -> tuple[NDArray[np.uint16], StillTruth]:
        """Simulate one image; return it, ``(ss, fs)`` uint16 photons, with its truth.

        The same `rng` or seed always gives the same image. There are `n_lattices` turned at random, or as many as there
        are `orientations` ``(n, 3, 3)``: rotation matrices R that turn column vectors, applied to `UnitCell.A`. Raises
        ValueError where these are not rotations.
        """
        rng = np.random.default_rng(rng)
        rotations = random_rotations(rng, n_lattices) if orientations is None else _checked_rotations(orientations)
        A = self.structure_factors.cell.A @ rotations.transpose(0, 2, 1)
        crystal_size = _log_normal(rng, self.crystal_spread, len(A))
        pulse_energy = float(_log_normal(rng, self.pulse_spread, 1)[0])
        image = np.empty(self.detector.shape, np.uint16)
        self._field.draw(pulse_energy, int(rng.integers(2**63)), image)
        parts = [
            self._add_lattice(rng, number, np.linalg.inv(a).T, pulse_energy * size, image)
            for number, (a, size) in enumerate(zip(A, crystal_size, strict=True))
        ]
        image[tuple(self.hot_pixels.T)] = self._hot_values
        image[tuple(self.dead_pixels.T)] = 0
        return image, StillTruth(A, crystal_size, pulse_energy, _joined(parts))

    def _add_lattice(
        self,
        rng: np.random.Generator,
        number: int,
        A_star: NDArray[np.float64],
        strength: float,
        image: NDArray[np.uint16],
    ) -> TrueReflections:
        factors = self.structure_factors
        spots = predict(A_star, factors.hkl, self.detector, self.beam, self.spread, self.spot_size)
        photons = self.photons * strength * factors.intensity[spots.index] * spots.partiality * spots.polarisation
        row, column, mean = spread_spots(
            spots.fs, spots.ss, spots.covariance, photons, self._bounds[spots.panel], N_SIGMA
        )
        add_photons(row, column, rng.poisson(mean), self._field.levels, MASK_VALUE - 1, image)
        return self._reflections(number, spots, photons)

    def _reflections(self, number: int, spots: Predicted, photons: NDArray[np.float64]) -> TrueReflections:
        on = spots.inside
        row, column = spots.ss[on].astype(np.int64), spots.fs[on].astype(np.int64)
        measured = self._field.reached(row, column)
        for broken in (self.hot_pixels, self.dead_pixels):
            measured &= ~((row[:, None] == broken[:, 0]) & (column[:, None] == broken[:, 1])).any(axis=1)
        return TrueReflections(
            lattice=np.full(int(on.sum()), number, np.int16),
            hkl=self.structure_factors.hkl[spots.index[on]].astype(np.int32),
            fs=spots.fs[on].astype(np.float32),
            ss=spots.ss[on].astype(np.float32),
            panel=spots.panel[on],
            excitation_error=spots.excitation_error[on].astype(np.float32),
            partiality=spots.partiality[on].astype(np.float32),
            intensity=photons[on].astype(np.float32),
            measured=measured,
        )


def random_rotations(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """Return `n` rotation matrices ``(n, 3, 3)`` uniform over all orientations: unit quaternions of normal deviates."""
    quaternions = rng.normal(size=(n, 4))
    quaternions /= np.linalg.norm(quaternions, axis=1, keepdims=True)
    w, x, y, z = quaternions.T
    matrices = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    return np.moveaxis(matrices, -1, 0)


def _checked_rotations(orientations: ArrayLike) -> NDArray[np.float64]:
    rotations = np.asarray(orientations, float)
    if rotations.ndim != 3 or rotations.shape[1:] != (3, 3):
        raise ValueError(f"orientations must have the shape (n_lattices, 3, 3), found {rotations.shape}")
    product = rotations @ rotations.transpose(0, 2, 1)
    if not (np.allclose(product, np.eye(3), atol=1e-6) and (np.linalg.det(rotations) > 0).all()):
        raise ValueError(f"orientations must be rotation matrices, found {rotations.tolist()}")
    return rotations


def _log_normal(rng: np.random.Generator, spread: float, n: int) -> NDArray[np.float64]:
    """Return numbers of mean 1 and standard deviation `spread`."""
    variance = np.log1p(spread**2)
    return rng.lognormal(-variance / 2.0, np.sqrt(variance), n)


def _joined(parts: Sequence[TrueReflections]) -> TrueReflections:
    parts = [_NO_REFLECTIONS, *parts]
    return TrueReflections(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(TrueReflections)))


_NO_REFLECTIONS = TrueReflections(
    lattice=np.empty(0, np.int16), hkl=np.empty((0, 3), np.int32), fs=np.empty(0, np.float32),
    ss=np.empty(0, np.float32), panel=np.empty(0, np.int16), excitation_error=np.empty(0, np.float32),
    partiality=np.empty(0, np.float32), intensity=np.empty(0, np.float32), measured=np.empty(0, bool),
)  # fmt: skip
