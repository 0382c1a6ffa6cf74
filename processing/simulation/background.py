"""What a still shows where no reflection is: scattering of the jet, and the shadow of the beam stop."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from braggwatch.processing.detector import Detector


@dataclass(frozen=True)
class Background:
    """Scattering around the beam, a solvent ring and a diffuse part, photons a pixel in a pulse of mean energy.

    The defaults give about 1.2 photons a pixel on an EIGER2 4M at 0.15 m in a beam of 1 Å.
    """

    level: float = 1.0
    """Multiplies all of it."""
    central: float = 6.6
    """At the beam centre."""
    central_width: float = 0.084
    """Standard deviation in 1/d, 1/Angstrom."""
    ring: float = 2.2
    """At the top of the solvent ring."""
    ring_resolution: float = 3.25
    """d of the ring, Angstrom; water's lies at 3.2."""
    ring_width: float = 0.05
    """Standard deviation in 1/d, 1/Angstrom."""
    diffuse: float = 1.1
    """Falls off exponentially with 1/d from this value …"""
    diffuse_width: float = 0.34
    """… to 1/e of it here, 1/Angstrom."""

    def photons(self, inverse_d: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return mean photons a pixel at `inverse_d` in 1/Angstrom."""
        s = inverse_d
        photons = self.level * (
            self.central * np.exp(-0.5 * (s / self.central_width) ** 2)
            + self.ring * np.exp(-0.5 * ((s - 1.0 / self.ring_resolution) / self.ring_width) ** 2)
            + self.diffuse * np.exp(-s / self.diffuse_width)
        )
        return np.asarray(photons, np.float32)


def background_image(background: Background, detector: Detector, beam_stop: float) -> NDArray[np.float32]:
    """Return the mean image ``(ss, fs)`` float32, photons a pixel, in a pulse of mean energy.

    Behind a disc of `beam_stop` m radius about the beam, as it is seen in the detector's plane, it is -1: no photon
    ever arrives there. It is 0 where there is no panel. Raises ValueError if the photon energy is unknown.
    """
    mean = np.zeros(detector.shape, np.float32)
    inverse_d = detector.q_map()
    for panel in detector.panels:
        part = mean[panel.slices]
        part[:] = background.photons(inverse_d[panel.slices])
        part[detector.pixel_radius[panel.slices] * panel.pixel_size < beam_stop] = -1.0
    return mean
