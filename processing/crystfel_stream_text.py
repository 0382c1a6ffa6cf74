"""CrystFEL streams (``.stream``, format 2.3) as text: the header, and a chunk for each image.

The format is that of CrystFEL 0.10 to 0.12 (libcrystfel's stream.c): positions in pixels from a panel's outer corner
in the image array, reciprocal lengths in 1/nm, axes in the lab frame of the geometry that stands in the header.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

import braggwatch
from braggwatch.processing.beam import HC
from braggwatch.processing.crystal import Crystal
from braggwatch.processing.crystfel_cell import cell_text, lattice_words
from braggwatch.processing.crystfel_detector import FWHM_PER_SIGMA
from braggwatch.processing.detector import Detector
from braggwatch.processing.fixed_width_text import FixedWidthRows
from braggwatch.processing.indexed_peaks import (
    diffraction_limit,
    indexed_nodes,
    outermost,
    profile_radius,
    scattering_vectors,
)
from braggwatch.processing.peaks import Peaks
from braggwatch.processing.reflections import Flag, Reflections
from braggwatch.processing.unit_cell import UnitCell

CHUNK_BEGIN = b"----- Begin chunk -----\n"
CHUNK_END = b"----- End chunk -----\n"

_INDEXER = "file"
"""CrystFEL has a closed list of indexers; this is its word for lattices that another program found."""
_LONGEST_HEADER = 1000
"""Bytes of a line that CrystFEL reads in one piece."""
_LEAST_BANDWIDTH = 1e-8
"""What CrystFEL itself writes for a monochromatic beam; its partiality models divide by it."""
_NM = 10.0
"""1/Angstrom in 1/nm."""


class StreamText:
    """The text of a stream of one detector: what its header is, and the chunk of any image."""

    def __init__(self, detector: Detector, *, geometry: str, cell: UnitCell | None = None, command: str = "") -> None:
        """Get ready for images of a detector.

        `detector` with its beam says which panel and resolution a place has; `geometry` is the text of a geometry file
        of the same panels (`geometry_text`, or the file that the run took); `cell` is what was looked for; `command` is
        what made the stream, cut where CrystFEL would refuse it.
        """
        self.header = _header(geometry, cell, command).encode()
        """Stands at the beginning of the stream."""
        self._detector = detector
        self._camera_length = float(np.mean([panel.corner[2] for panel in detector.panels]))
        bandwidth = 0.0 if detector.beam is None else detector.beam.bandwidth
        self._bandwidth = max(bandwidth / FWHM_PER_SIGMA, _LEAST_BANDWIDTH)
        names = [panel.name for panel in detector.panels]
        self._peak_rows = FixedWidthRows("{:7.2f} {:7.2f} {:10.2f}  {:10.2f}   ", names)
        self._reflection_rows = FixedWidthRows(
            "{:4.0f} {:4.0f} {:4.0f} {:10.2f} {:10.2f} {:10.2f} {:10.2f} {:6.1f} {:6.1f} ", names
        )

    def chunk(
        self,
        filename: str,
        event: int,
        *,
        serial: int,
        wavelength: float,
        peaks: Peaks,
        crystals: Sequence[Crystal] = (),
        reflections: Sequence[Reflections] = (),
    ) -> bytes:
        """Return the chunk of an image, index `event` in the file `filename`, the `serial`-th of the stream (from 1).

        `wavelength` in Angstrom. `reflections` has one table for each of `crystals`, or nothing at all. Left out are
        reflections without an intensity, and those that `Flag` speaks against: the format has no place for it.
        Saturated ones stay, as CrystFEL has it, and are to be left out in merging by their peak.

        Raises ValueError for an unknown wavelength or a file name that the format cannot hold.
        """
        if not 0 < wavelength < float("inf"):
            raise ValueError(f"{filename}, image {event}: expected a wavelength above 0 Angstrom, found {wavelength}")
        if "\n" in filename or len(filename.encode()) > _LONGEST_HEADER:
            raise ValueError(f"a stream holds file names of one line and at most {_LONGEST_HEADER} bytes: {filename!r}")
        tables: Sequence[Reflections | None] = reflections or [None] * len(crystals)
        image = f"Image filename: {filename}\nEvent: //{event}\nImage serial number: {serial}\n".encode()
        parts = [CHUNK_BEGIN, image, self._shot(wavelength, peaks, bool(crystals))]
        for crystal, table in zip(crystals, tables, strict=True):
            q = scattering_vectors(self._detector, peaks, wavelength, crystal.beam_shift)
            parts.append(self._crystal(crystal, table, indexed_nodes(crystal, q), wavelength))
        return b"".join([*parts, CHUNK_END])

    def _shot(self, wavelength: float, peaks: Peaks, indexed: bool) -> bytes:
        inverse_d = np.linalg.norm(scattering_vectors(self._detector, peaks, wavelength), axis=1)
        chance = len(peaks) // 50
        limit = outermost(inverse_d, chance if chance > 1 else 0)
        lines = [f"hit = {int(len(peaks) > 0)}", f"indexed_by = {_INDEXER if indexed else 'none'}"]
        if indexed:
            lines.append("n_indexing_tries = 1")
        lines += [
            f"photon_energy_eV = {HC / wavelength:.6f}",
            "beam_divergence = 0.00e+00 rad",
            f"beam_bandwidth = {self._bandwidth:.2e} (fraction)",
            f"average_camera_length = {self._camera_length:.6f} m",
            f"num_peaks = {len(peaks)}",
            f"peak_resolution = {_NM * limit:.6f} nm^-1 or {_inverse(limit):.6f} A",
            "Peaks from peak search",
            "  fs/px   ss/px (1/d)/nm^-1   Intensity  Panel\n",
        ]
        rows = self._peak_rows((peaks.fs, peaks.ss, np.float32(_NM * inverse_d), peaks.intensity), peaks.panel)
        return "\n".join(lines).encode() + rows + b"End of peak list\n"

    def _crystal(
        self, crystal: Crystal, reflections: Reflections | None, nodes: NDArray[np.float64], wavelength: float
    ) -> bytes:
        a, b, c, alpha, beta, gamma = crystal.cell
        system, centring, axis = lattice_words(crystal.known)
        # where the beam has strayed by +x, the detector lies at -x of it
        shift_x, shift_y = (0.0 - 1e3 * shift for shift in crystal.beam_shift)
        lines = [
            "--- Begin crystal",
            f"Cell parameters {a / _NM:7.5f} {b / _NM:7.5f} {c / _NM:7.5f} nm, "
            f"{alpha:7.5f} {beta:7.5f} {gamma:7.5f} deg",
        ]
        for name, row in zip("abc", _NM * crystal.A_star, strict=True):
            lines.append("{}star = {:+9.7f} {:+9.7f} {:+9.7f} nm^-1".format(name, *row.tolist()))
        lines += [
            f"lattice_type = {system}",
            f"centering = {centring}",
            f"unique_axis = {axis}",
            f"profile_radius = {_NM * profile_radius(nodes, wavelength):.5f} nm^-1",
            f"predict_refine/det_shift x = {shift_x:.3f} y = {shift_y:.3f} mm\n",
        ]
        if reflections is None:
            table = b"No integrated reflections.\n"
        else:
            table = self._reflections(reflections, diffraction_limit(nodes))
        return "\n".join(lines).encode() + table + b"--- End crystal\n"

    def _reflections(self, reflections: Reflections, limit: float) -> bytes:
        shown = reflections[usable(reflections)]
        saturated = np.count_nonzero(shown.flags & np.uint8(Flag.SATURATED))
        implausible = np.count_nonzero(shown.intensity < -5.0 * shown.sigma)
        lines = [
            f"diffraction_resolution_limit = {_NM * limit:.2f} nm^-1 or {_inverse(limit):.2f} A",
            f"num_reflections = {len(shown)}",
            f"num_saturated_reflections = {saturated}",
            f"num_implausible_reflections = {implausible}",
            "Reflections measured after indexing",
            "   h    k    l          I   sigma(I)       peak background  fs/px  ss/px panel\n",
        ]
        columns = (*shown.hkl.T, shown.intensity, shown.sigma, shown.peak, shown.background, shown.fs, shown.ss)
        return "\n".join(lines).encode() + self._reflection_rows(columns, shown.panel) + b"End of reflections\n"


def usable(reflections: Reflections) -> NDArray[np.bool_]:
    """Tell ``(n,)`` which reflections a stream holds: measured, and nothing speaks against them but saturation."""
    unflagged = (reflections.flags & ~np.uint8(Flag.SATURATED)) == 0
    return np.asarray(unflagged & np.isfinite(reflections.intensity) & np.isfinite(reflections.sigma))


def _header(geometry: str, cell: UnitCell | None, command: str) -> str:
    lines = ["CrystFEL stream format 2.3", f"Generated by Braggwatch {braggwatch.__version__}"]
    if command:
        lines.append(" ".join(command.split()).encode()[:_LONGEST_HEADER].decode(errors="ignore"))
    lines += ["----- Begin geometry file -----", geometry.rstrip("\n"), "----- End geometry file -----"]
    if cell is not None:
        lines += [
            "----- Begin unit cell -----",
            cell_text(cell).rstrip("\n"),
            "; This is the unit cell that was looked for.",
            "----- End unit cell -----",
        ]
    return "\n".join(lines) + "\n"


def _inverse(inverse_d: float) -> float:
    return 1.0 / inverse_d if inverse_d > 0 else float("inf")
