"""The X-ray beam."""

from dataclasses import dataclass

HC = 12398.419843320026
"""Planck constant times speed of light, eV Angstrom (exact since the SI of 2019)."""


@dataclass(frozen=True)
class Beam:
    """An X-ray beam along +z."""

    photon_energy: float
    """eV."""

    bandwidth: float = 0.0
    """Relative full width at half maximum of the energy spectrum; 0 for monochromatic."""

    def __post_init__(self) -> None:
        if not 100.0 <= self.photon_energy <= 1e6:
            raise ValueError(f"photon energy must lie between 100 eV and 1 MeV, found {self.photon_energy} eV")
        if not 0.0 <= self.bandwidth < 1.0:
            raise ValueError(f"bandwidth is a fraction between 0 and 1, found {self.bandwidth}")

    @classmethod
    def from_wavelength(cls, wavelength: float, bandwidth: float = 0.0) -> "Beam":
        """Make a beam of a given wavelength in Angstrom."""
        if not wavelength > 0:
            raise ValueError(f"wavelength must be positive, found {wavelength} Angstrom")
        return cls(HC / wavelength, bandwidth)

    @property
    def wavelength(self) -> float:
        """Wavelength, Angstrom."""
        return HC / self.photon_energy
