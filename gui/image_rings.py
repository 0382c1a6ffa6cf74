"""Rings of equal resolution, and the beam centre, in the picture."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from braggwatch.gui.image_assembly import Assembly

_ROUND = (
    50.0, 40.0, 30.0, 20.0, 15.0, 12.0, 10.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.5, 3.0, 2.5, 2.2, 2.0, 1.8, 1.6, 1.5, 1.4, 1.3,
    1.2, 1.1, 1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3,
)  # fmt: skip
_AT = (0.25, 0.45, 0.65, 0.85)
"""About where rings are wanted: parts of the largest 1/d on the detector."""
_POINTS = 361


@dataclass(frozen=True, eq=False)
class Ring:
    """Where one d spacing is seen."""

    d: float
    """Angstrom."""
    points: NDArray[np.float64]
    """``(n, 2)``: picture coordinates, once round; NaN where the ring misses the detector's plane."""


def resolution_rings(assembly: Assembly) -> tuple[Ring, ...]:
    """Return a few rings at round d spacings; none where the wavelength is not known.

    Each is the cut of a cone of scattering angle 2 theta with the detector's plane: a circle on a detector that stands
    upright in the beam, an ellipse on one that is tilted.
    """
    detector = assembly.detector
    if detector.beam is None or assembly.problem:
        return ()
    ends = [(fs, ss) for p in detector.panels for fs in (p.fs_start, p.fs_stop) for ss in (p.ss_start, p.ss_stop)]
    panels = np.repeat(np.arange(len(detector.panels)), 4)
    fs, ss = np.array(ends, float).T
    largest = 1.0 / float(detector.resolution(fs, ss, panels).min())
    spacings = {min(_ROUND, key=lambda d, wanted=wanted: abs(1.0 / d - wanted * largest)) for wanted in _AT}  # type: ignore[misc]
    around = np.linspace(0.0, 2.0 * np.pi, _POINTS)
    rings = []
    for d in sorted(spacings, reverse=True):
        sine = detector.beam.wavelength / (2.0 * d)
        if sine < 1.0:
            angle = 2.0 * np.arcsin(sine)
            sideways = np.sin(angle)
            rays = np.stack([sideways * np.cos(around), sideways * np.sin(around), np.full(_POINTS, np.cos(angle))], 1)
            rings.append(Ring(d, assembly.rays_to_picture(rays)))
    return tuple(rings)


def beam_centre(assembly: Assembly) -> tuple[float, float] | None:
    """Return where the beam meets the detector's plane, in picture coordinates; None where it does not."""
    x, y = assembly.rays_to_picture(np.array([[0.0, 0.0, 1.0]]))[0]
    return (float(x), float(y)) if np.isfinite([x, y]).all() else None
