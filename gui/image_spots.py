"""Where a shot's spots, and the reflections predicted from its lattices, lie in the picture."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from braggwatch.gui.image_assembly import Assembly
from braggwatch.gui.target_cell import TargetCell
from braggwatch.processing.crystal import Crystal
from braggwatch.processing.detector import Detector
from braggwatch.processing.prediction import PROFILE_RADIUS, Predictor, estimate_profile_radius
from braggwatch.processing.unit_cell import UnitCell
from braggwatch.streamer.messages import CrystalFound, Result, unpack_peaks
from braggwatch.streamer.picture_messages import SettingsInForce

_FEWEST_SPOTS = 5
_LEAST_RADIUS = 1e-4
"""What a crystal's own spots may say of its profile radius at least, 1/Angstrom."""

Points = NDArray[np.float64]
"""``(n, 2)``: picture coordinates, pixels."""


def _none() -> Points:
    return np.empty((0, 2))


@dataclass(frozen=True, eq=False)
class Spots:
    """What is drawn over a picture."""

    found: Points = field(default_factory=_none)
    """Spots that no lattice explains."""
    indexed: Points = field(default_factory=_none)
    """Spots of the first lattice."""
    further: Points = field(default_factory=_none)
    """Spots of the second and any other lattice."""
    predicted: Points = field(default_factory=_none)
    """Reflections expected of all lattices; those of the best one first."""


def placed(assembly: Assembly, fs: NDArray[np.floating], ss: NDArray[np.floating]) -> Points:
    """Return where image coordinates ``(n,)`` lie in the picture, those on no panel left out."""
    points = assembly.to_picture(fs, ss)
    return points[np.isfinite(points).all(axis=1)]


def spots_of(result: Result, assembly: Assembly) -> Spots:
    """Return a shot's spots without predictions; raises ValueError where the message holds no whole rows of spots."""
    peaks = unpack_peaks(result.peaks)
    fs, ss, lattice = peaks["fs"], peaks["ss"], peaks["lattice"]
    return Spots(
        found=placed(assembly, fs[lattice <= 0], ss[lattice <= 0]),
        indexed=placed(assembly, fs[lattice == 1], ss[lattice == 1]),
        further=placed(assembly, fs[lattice > 1], ss[lattice > 1]),
    )


def predicted_points(result: Result, assembly: Assembly, settings: SettingsInForce | None) -> Points:
    """Return where reflections of a shot's lattices are expected; none where the photon energy is not known.

    What is absent by the target cell's space group is left out. Raises ValueError for lattices that cannot be.
    """
    detector = assembly.detector
    if detector.beam is None or not result.crystals:
        return _none()
    target = TargetCell.of(settings).cell
    d_min = None if result.resolution is None else max(0.8 * result.resolution, 0.1)
    all_points = [_none()]
    peaks = unpack_peaks(result.peaks)
    for lattice, crystal in enumerate(result.crystals, 1):
        A = np.reshape(crystal.A, (3, 3))
        radius = _profile_radius(A, peaks[peaks["lattice"] == lattice], detector)
        predictor = Predictor(detector, target or _cell_of(crystal), d_min=d_min, profile_radius=radius)
        reflections = predictor(A)
        all_points.append(placed(assembly, reflections.fs, reflections.ss))
    return np.concatenate(all_points)


def _profile_radius(A: NDArray[np.float64], peaks: NDArray[np.void], detector: Detector) -> float:
    """Return how large the crystal's own spots say that its reciprocal-lattice points are, 1/Angstrom."""
    panel = detector.panel_at(peaks["fs"], peaks["ss"])
    on = peaks[panel >= 0]
    if detector.beam is None or len(on) < _FEWEST_SPOTS or not abs(np.linalg.det(A)) > 0:
        return PROFILE_RADIUS
    hkl = np.rint(detector.q(on["fs"], on["ss"], panel[panel >= 0]) @ A.T).astype(np.int32)
    radius = estimate_profile_radius(Crystal(A, hkl), detector.beam)
    return min(max(radius, _LEAST_RADIUS), PROFILE_RADIUS)


def _cell_of(crystal: CrystalFound) -> UnitCell:
    return UnitCell(*crystal.cell)
