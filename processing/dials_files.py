"""A run for DIALS: an experiment list and a reflection table."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from braggwatch.processing.closing import Closing
from braggwatch.processing.crystal import Crystal
from braggwatch.processing.crystfel_stream_text import usable
from braggwatch.processing.detector import Detector
from braggwatch.processing.dials_experiments import Experiments, to_dxtbx
from braggwatch.processing.dials_reflections import ReflectionTable
from braggwatch.processing.dumped_shots import DumpedShot
from braggwatch.processing.indexed_peaks import explained_spots, scattering_vectors
from braggwatch.processing.peaks import Peaks
from braggwatch.processing.reflections import Flag, Reflections

PREDICTED, OBSERVED, INDEXED, STRONG, INTEGRATED_SUM, OVERLOADED = (1 << bit for bit in (0, 1, 2, 5, 8, 10))
"""DIALS's flags of a reflection."""
_VARIANCE = 1.0 / 12.0
"""Of a place known to the pixel, pixels²."""
_FRAME = 0.5
"""Where a still is in its imageset of one image: the middle of the first."""


class DialsWriter(Closing):
    """Collects the lattices of dumps and writes them as ``.expt`` and ``.refl``.

    Written are the reflections that a CrystFEL stream would hold: integrated, and nothing speaks against them but that
    a pixel is saturated; these are flagged as overloaded, and do not count as integrated. Where a spot was found, it is
    the observed position, and the reflection is flagged as indexed, observed and strong; elsewhere the predicted
    position stands in.
    """

    def __init__(self, detector: Detector, folder: Path) -> None:
        """Take the detector of all images, and the folder for what is collected until it is written."""
        self.experiments = Experiments(detector)
        self._detector = detector
        self._table = ReflectionTable(folder)

    @property
    def n_reflections(self) -> int:
        """Reflections so far."""
        return self._table.n_rows

    def close(self) -> None:
        """Forget what was collected."""
        self._table.close()

    def add(self, shot: DumpedShot) -> None:
        """Add the lattices of a shot. Raises ValueError where its wavelength is unknown."""
        dump = shot.path.absolute()
        for lattice, (crystal, reflections) in enumerate(zip(shot.crystals, shot.reflections, strict=True)):
            number = self.experiments.add(
                crystal, dump=dump, entry=shot.entry, lattice=lattice, wavelength=shot.wavelength
            )
            shown = reflections[usable(reflections)]
            self._table.append(self._rows(number, crystal, shown, shot.peaks, shot.wavelength))

    def write(self, experiments: Path, reflections: Path) -> None:
        """Write both files, over whatever is there; raises OSError."""
        self.experiments.write(experiments)
        self._table.write(reflections, self.experiments.identifiers)

    def _rows(
        self, number: int, crystal: Crystal, table: Reflections, peaks: Peaks, wavelength: float
    ) -> dict[str, NDArray[Any]]:
        n = len(table)
        panels = self._detector.panels
        starts = np.array([[panel.fs_start, panel.ss_start] for panel in panels], float)
        sizes = 1e3 * np.array([[np.linalg.norm(panel.fs), np.linalg.norm(panel.ss)] for panel in panels])
        calculated = np.column_stack([table.fs, table.ss]).astype(float) - starts[table.panel]
        seen, spots = self._matched(crystal, table, peaks, wavelength)
        observed = calculated.copy()
        observed[seen] = np.column_stack([peaks.fs[spots], peaks.ss[spots]]) - starts[table.panel[seen]]
        size = sizes[table.panel]
        variance = np.full((n, 3), _VARIANCE)
        return {
            "id": np.full(n, number),
            "panel": table.panel,
            "miller_index": table.hkl,
            "flags": _flags(table, seen),
            "d": 1.0 / np.linalg.norm(table.hkl @ crystal.A_star, axis=1),
            "s1": self._s1(crystal, table, wavelength),
            "xyzcal.px": np.column_stack([calculated, np.zeros(n)]),
            "xyzcal.mm": np.column_stack([calculated * size, np.zeros(n)]),
            "xyzobs.px.value": np.column_stack([observed, np.full(n, _FRAME)]),
            "xyzobs.px.variance": variance,
            "xyzobs.mm.value": np.column_stack([observed * size, np.zeros(n)]),
            "xyzobs.mm.variance": variance * np.column_stack([size**2, np.zeros(n)]),
            "intensity.sum.value": table.intensity,
            "intensity.sum.variance": table.sigma.astype(float) ** 2,
            "background.mean": table.background,
        }

    def _s1(self, crystal: Crystal, table: Reflections, wavelength: float) -> NDArray[np.float64]:
        """Return the diffracted rays ``(n, 3)``, 1/Angstrom, through the predicted places on the crystal's detector."""
        ray = self.experiments.detector_of(crystal).position(table.fs, table.ss, table.panel)
        return to_dxtbx(ray / np.linalg.norm(ray, axis=1, keepdims=True) / wavelength)

    def _matched(
        self, crystal: Crystal, table: Reflections, peaks: Peaks, wavelength: float
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return rows of the table and the spots that are theirs; of several the one nearest to the prediction."""
        q = scattering_vectors(self._detector, peaks, wavelength, crystal.beam_shift)
        spots, hkl = explained_spots(crystal, q)
        row_of = {hkl: row for row, hkl in enumerate(map(tuple, table.hkl.tolist()))}
        nearest: dict[int, tuple[float, int]] = {}
        for spot, index in zip(spots.tolist(), map(tuple, hkl.tolist()), strict=True):
            row = row_of.get(index)
            if row is None or table.panel[row] != peaks.panel[spot]:
                continue
            away = float(np.hypot(peaks.fs[spot] - table.fs[row], peaks.ss[spot] - table.ss[row]))
            nearest[row] = min(nearest.get(row, (away, spot)), (away, spot))
        rows = np.array(sorted(nearest), np.int64)
        return rows, np.array([nearest[row][1] for row in rows.tolist()], np.int64)


def _flags(table: Reflections, seen: NDArray[np.int64]) -> NDArray[np.uint64]:
    saturated = (table.flags & np.uint8(Flag.SATURATED)) != 0
    flags = np.where(saturated, PREDICTED | OVERLOADED, PREDICTED | INTEGRATED_SUM).astype(np.uint64)
    flags[seen] |= np.uint64(OBSERVED | INDEXED | STRONG)
    return flags
