"""Numbers in, numbers out: geometry, hit finding, indexing, the chain that links them, and file formats.

Conventions, once and everywhere: the lab frame has x along +fs and y along +ss of an untilted panel, z along the beam,
right-handed; ``q = (s1 - s0) / wavelength`` in 1/Angstrom without 2 pi; arrays are ``(ss, fs)``; a pixel's centre lies
at +0.5 of its index in both directions; energies in eV, lengths in m at the detector and in Angstrom in the crystal;
angles in degrees at the surface.
"""

from braggwatch.processing.beam import Beam
from braggwatch.processing.crystal import Crystal
from braggwatch.processing.detector import Detector, Panel
from braggwatch.processing.indexer import Indexer
from braggwatch.processing.peak_finder import PeakFinder
from braggwatch.processing.peaks import Peaks
from braggwatch.processing.unit_cell import UnitCell

__all__ = ["Beam", "Crystal", "Detector", "Indexer", "Panel", "PeakFinder", "Peaks", "UnitCell"]
