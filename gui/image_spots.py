"""Where a shot's spots, and the reflections predicted from its lattices, lie in the picture."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from braggwatch.gui.image_assembly import Assembly
from braggwatch.gui.target_cell import TargetCell
from braggwatch.processing.prediction import Predictor
from braggwatch.processing.unit_cell import UnitCell
from braggwatch.streamer.messages import CrystalFound, Result, unpack_peaks
from braggwatch.streamer.picture_messages import SettingsInForce

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
    for crystal in result.crystals:
        predictor = Predictor(detector, target or _cell_of(crystal), d_min=d_min)
        reflections = predictor(np.reshape(crystal.A, (3, 3)))
        all_points.append(placed(assembly, reflections.fs, reflections.ss))
    return np.concatenate(all_points)


def _cell_of(crystal: CrystalFound) -> UnitCell:
    return UnitCell(*crystal.cell)
