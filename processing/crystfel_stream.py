"""CrystFEL streams (``.stream``, format 2.3) that grow shot by shot.

The format is that of CrystFEL 0.10 to 0.12 (libcrystfel's stream.c): positions in pixels from a panel's outer corner
in the image array, reciprocal lengths in 1/nm, axes in the lab frame of the geometry that stands in the header.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import braggwatch
from braggwatch.processing.beam import HC
from braggwatch.processing.closing import Closing
from braggwatch.processing.crystal import Crystal
from braggwatch.processing.crystfel_cell import cell_text, lattice_words
from braggwatch.processing.crystfel_detector import FWHM_PER_SIGMA
from braggwatch.processing.detector import Detector
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

_INDEXER = "file"
"""CrystFEL has a closed list of indexers; this is its word for lattices that another program found."""
_LONGEST_HEADER = 1000
"""Bytes of a line that CrystFEL reads in one piece."""
_LEAST_BANDWIDTH = 1e-8
"""What CrystFEL itself writes for a monochromatic beam; its partiality models divide by it."""
_NM = 10.0
"""1/Angstrom in 1/nm."""


class StreamWriter(Closing):
    """Writes a stream whose every whole chunk can be read at once, by CrystFEL and by others.

    A chunk goes to the system in one piece; a reader of a growing stream leaves out a last one that lacks its end.
    After an OSError (disk full) the stream ends with the last whole chunk. Not thread-safe.
    """

    def __init__(
        self, path: Path, *, detector: Detector, geometry: str, cell: UnitCell | None = None, command: str = ""
    ) -> None:
        """Begin a stream at `path`, which must not exist (FileExistsError).

        `detector` with its beam says which panel and resolution a place has; `geometry` is the text of a geometry file
        of the same panels (`geometry_text`, or the file that the run took); `cell` is what was looked for; `command` is
        what made the stream, cut where CrystFEL would refuse it.
        """
        self.path = path
        self.n_chunks = 0
        self._detector = detector
        self._names = [panel.name for panel in detector.panels]
        self._camera_length = float(np.mean([panel.corner[2] for panel in detector.panels]))
        bandwidth = 0.0 if detector.beam is None else detector.beam.bandwidth
        self._bandwidth = max(bandwidth / FWHM_PER_SIGMA, _LEAST_BANDWIDTH)
        self._file = path.open("xb", buffering=0)
        self._length = 0
        try:
            self._write(_header(geometry, cell, command))
        except BaseException:
            path.unlink(missing_ok=True)
            self._file.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def append(
        self,
        filename: str,
        event: int,
        *,
        wavelength: float,
        peaks: Peaks,
        crystals: Sequence[Crystal] = (),
        reflections: Sequence[Reflections] = (),
    ) -> int:
        """Add an image, index `event` in the file `filename`, and return how many reflections were written with it.

        `wavelength` in Angstrom. `reflections` has one table for each of `crystals`, or nothing at all. Left out are
        reflections without an intensity, and those that `Flag` speaks against: the format has no place for it.
        Saturated ones stay, as CrystFEL has it, and are to be left out in merging by their peak.

        Raises ValueError for an unknown wavelength or a file name that the format cannot hold, OSError where the disk
        is full.
        """
        if not 0 < wavelength < float("inf"):
            raise ValueError(f"{filename}, image {event}: expected a wavelength above 0 Angstrom, found {wavelength}")
        if "\n" in filename or len(filename.encode()) > _LONGEST_HEADER:
            raise ValueError(f"a stream holds file names of one line and at most {_LONGEST_HEADER} bytes: {filename!r}")
        lines = ["----- Begin chunk -----"]
        lines += self._shot(filename, event, wavelength, peaks, bool(crystals))
        tables: Sequence[Reflections | None] = reflections or [None] * len(crystals)
        for crystal, table in zip(crystals, tables, strict=True):
            q = scattering_vectors(self._detector, peaks, wavelength, crystal.beam_shift)
            lines += self._crystal(crystal, table, indexed_nodes(crystal, q), wavelength)
        lines.append("----- End chunk -----\n")
        self._write("\n".join(lines))
        self.n_chunks += 1
        return sum(int(usable(table).sum()) for table in reflections)

    def _write(self, text: str) -> None:
        rest = memoryview(text.encode())
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError:
            self._file.truncate(self._length)
            self._file.seek(0, os.SEEK_END)
            raise
        self._length = self._file.tell()

    def _shot(self, filename: str, event: int, wavelength: float, peaks: Peaks, indexed: bool) -> list[str]:
        inverse_d = np.linalg.norm(scattering_vectors(self._detector, peaks, wavelength), axis=1)
        chance = len(peaks) // 50
        limit = outermost(inverse_d, chance if chance > 1 else 0)
        lines = [
            f"Image filename: {filename}",
            f"Event: //{event}",
            f"Image serial number: {self.n_chunks + 1}",
            f"hit = {int(len(peaks) > 0)}",
            f"indexed_by = {_INDEXER if indexed else 'none'}",
        ]
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
            "  fs/px   ss/px (1/d)/nm^-1   Intensity  Panel",
        ]
        columns = (peaks.fs, peaks.ss, _NM * inverse_d, peaks.intensity, peaks.panel)
        lines += [
            f"{fs:7.2f} {ss:7.2f} {q:10.2f}  {intensity:10.2f}   {self._names[panel]}"
            for fs, ss, q, intensity, panel in zip(*(column.tolist() for column in columns), strict=True)
        ]
        lines.append("End of peak list")
        return lines

    def _crystal(
        self, crystal: Crystal, reflections: Reflections | None, nodes: NDArray[np.float64], wavelength: float
    ) -> list[str]:
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
            f"predict_refine/det_shift x = {shift_x:.3f} y = {shift_y:.3f} mm",
        ]
        if reflections is None:
            lines.append("No integrated reflections.")
        else:
            lines += self._reflections(reflections, diffraction_limit(nodes))
        lines.append("--- End crystal")
        return lines

    def _reflections(self, reflections: Reflections, limit: float) -> list[str]:
        shown = reflections[usable(reflections)]
        saturated = int(((shown.flags & Flag.SATURATED) != 0).sum())
        implausible = int((shown.intensity < -5.0 * shown.sigma).sum())
        lines = [
            f"diffraction_resolution_limit = {_NM * limit:.2f} nm^-1 or {_inverse(limit):.2f} A",
            f"num_reflections = {len(shown)}",
            f"num_saturated_reflections = {saturated}",
            f"num_implausible_reflections = {implausible}",
            "Reflections measured after indexing",
            "   h    k    l          I   sigma(I)       peak background  fs/px  ss/px panel",
        ]
        columns = (shown.intensity, shown.sigma, shown.peak, shown.background, shown.fs, shown.ss, shown.panel)
        rows = zip(shown.hkl.tolist(), *(column.tolist() for column in columns), strict=True)
        lines += [
            f"{h:4d} {k:4d} {m:4d} {intensity:10.2f} {sigma:10.2f} {peak:10.2f} {background:10.2f} "
            f"{fs:6.1f} {ss:6.1f} {self._names[panel]}"
            for (h, k, m), intensity, sigma, peak, background, fs, ss, panel in rows
        ]
        lines.append("End of reflections")
        return lines


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
