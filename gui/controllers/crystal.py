"""The crystal of the shot that is shown, or why there is none."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from braggwatch.gui.monitor import Monitor
from braggwatch.gui.numbers import UNKNOWN, angstrom, count
from braggwatch.gui.residuals import Residuals, on_panels, residuals, spans_space
from braggwatch.gui.shot_key import ShotKey
from braggwatch.gui.target_cell import TargetCell
from braggwatch.gui.unindexed import Indexing, on_ice, reasons
from braggwatch.processing.detector import Detector
from braggwatch.streamer.messages import PEAK, CrystalFound, Result, State, unpack_peaks
from braggwatch.streamer.wording import said

F64 = NDArray[np.float64]
MM = 1e3


@dataclass(frozen=True)
class CellRow:
    """One parameter of the cell, as it is written."""

    symbol: str
    found: str
    deviation: str
    """From the target cell."""


@dataclass(frozen=True)
class AxisDirection:
    """Where an axis of the cell points."""

    symbol: str
    to_beam: float
    """Angle to the beam's direction, degrees, 0 to 180."""
    azimuth: float
    """Its direction across the beam, from x to y, degrees, -180 to 180."""


@dataclass(frozen=True, eq=False)
class SpotMap:
    """Where the spots are, x and y in the laboratory in mm, ``(n, 2)`` each."""

    unexplained: F64
    explained: F64
    """By the lattice that is shown."""
    elsewhere: F64
    """By other lattices."""
    ice: F64
    """By none, and on an ice ring; looked for where there is no lattice."""
    arrows: F64
    """``(2 k, 2)``: from where a spot of the lattice is predicted towards where it is seen, lengthened."""
    lengthened: int
    """How many times."""


@dataclass(frozen=True, eq=False)
class CrystalPicture:
    """One lattice of one shot, as it is shown."""

    title: str
    lattices: tuple[str, ...]
    """What the choices are called."""
    chosen: int
    cell: tuple[CellRow, ...]
    target: str
    """What the cell is compared with, as a sentence."""
    axes: F64
    """``(3, 3)``: a, b, c as rows, Angstrom, lab frame; NaN where they make no sense."""
    directions: tuple[AxisDirection, ...]
    facts: tuple[tuple[str, str, str], ...]
    """Name, value with unit, and meaning."""
    spots: SpotMap | None
    pixels: F64
    """``(k, 2)``: observed minus predicted along fs and ss, pixels."""
    rmsd: float
    """Pixels; as the indexer had it."""
    problem: str
    """Why there are no residuals; empty when there are."""


@dataclass(frozen=True, eq=False)
class UnindexedPicture:
    """A shot without a lattice."""

    title: str
    reasons: tuple[str, ...]
    spots: SpotMap | None


class CrystalView(Protocol):
    """What the controller needs of `panels.crystal.CrystalPanel`."""

    lattice_chosen: Any

    def show_crystal(self, picture: CrystalPicture) -> None:
        """Show a lattice."""

    def show_unindexed(self, picture: UnindexedPicture) -> None:
        """Show why there is none."""

    def show_empty(self, text: str) -> None:
        """Say what is waited for."""


class CrystalController:
    """Keeps the panel of the crystal up to date."""

    def __init__(self, monitor: Monitor, view: CrystalView) -> None:
        self.stale = True
        self._monitor, self._view = monitor, view
        self._chosen = 0
        self._of: ShotKey | None = None
        for signal in (monitor.shot_changed, monitor.settings_changed, monitor.geometry_changed,
                       monitor.selection_changed):  # fmt: skip
            signal.connect(self._note)
        view.lattice_chosen.connect(self._choose)

    def _note(self) -> None:
        self.stale = True

    def _choose(self, lattice: int) -> None:
        self._chosen = lattice
        self.stale = True

    def refresh(self) -> None:
        """Work out what is known of the shot's crystal."""
        self.stale = False
        shot = self._monitor.shot
        if shot is None:
            self._of = None
            self._view.show_empty(self._monitor.shot_problem or "No shot is shown yet: the crystal of the first "
                                  "indexed one appears here.")  # fmt: skip
            return
        result = shot.result
        key = ShotKey.of(result)
        if key != self._of:
            self._of, self._chosen = key, 0
        peaks = self._peaks(result)
        if result.crystals:
            chosen = min(max(self._chosen, 0), len(result.crystals) - 1)
            self._view.show_crystal(self._crystal(result, peaks, chosen))
        elif result.state in (State.HIT, State.INDEXED):
            known = reasons(peaks["inverse_d"], result.resolution, Indexing.of(self._monitor.settings))
            spots = None if self._detector() is None else _map(peaks, 0, None, self._detector())
            self._view.show_unindexed(UnindexedPicture(f"{_title(result)}: not indexed", known, spots))
        else:
            self._view.show_empty(f"{_title(result)} is no hit ({result.state}): "
                                  f"{count(result.n_peaks)} spots were found.")  # fmt: skip

    def _peaks(self, result: Result) -> NDArray[Any]:
        try:
            return unpack_peaks(result.peaks)
        except ValueError as error:
            self._monitor.said.emit(f"the spots of frame {result.number} cannot be read: {error}")
            return np.empty(0, PEAK)

    def _detector(self) -> Detector | None:
        """The geometry, where it can be that of the shot: its pixels are as many."""
        shot = self._monitor.shot
        detector = None if shot is None else self._monitor.geometries.of_shot(shot)
        return detector if shot is not None and detector is not None and detector.shape == tuple(shot.shape) else None

    def _borrowed(self) -> str:
        shot = self._monitor.shot
        return "" if shot is None else self._monitor.geometries.borrowed(shot)

    def _crystal(self, result: Result, peaks: NDArray[Any], chosen: int) -> CrystalPicture:
        crystal, detector = result.crystals[chosen], self._detector()
        A = np.reshape(np.array(crystal.A, float), (3, 3))
        if not spans_space(A):
            A = np.full((3, 3), np.nan)
        found, problem = None, "Predicted positions need the geometry of the run, which is not known."
        if detector is not None:
            own = np.flatnonzero(peaks["lattice"] == chosen + 1)
            try:
                found = residuals(A, peaks["fs"][own], peaks["ss"][own], detector)
                problem = "" if len(found.spots) else "No spot belongs to this lattice alone."
            except ValueError as error:
                problem = f"Nothing can be predicted from this lattice: {error}."
        rows, target = _cell_rows(crystal, TargetCell.of(self._monitor.settings))
        return CrystalPicture(
            title=" · ".join(filter(None, (_title(result), self._borrowed()))),
            lattices=tuple(f"Lattice {i} · {count(c.n_indexed)}" for i, c in enumerate(result.crystals, 1)),
            chosen=chosen,
            cell=rows,
            target=target,
            axes=A,
            directions=_directions(A),
            facts=_facts(result, crystal, found),
            spots=None if detector is None else _map(peaks, chosen + 1, found, detector),
            pixels=np.empty((0, 2)) if found is None else found.pixels,
            rmsd=crystal.rmsd_px,
            problem=problem,
        )


def _title(result: Result) -> str:
    return f"Frame {count(result.number)}"


def _cell_rows(crystal: CrystalFound, target: TargetCell) -> tuple[tuple[CellRow, ...], str]:
    rows = []
    for i, (symbol, value) in enumerate(zip("abcαβγ", crystal.cell, strict=True)):
        unit, digits = ("Å", 2) if i < 3 else ("°", 2)
        wanted = None if target.cell is None else target.cell.parameters[i]
        deviation = UNKNOWN if wanted is None or not np.isfinite(value) else f"{_signed(value - wanted, digits)} {unit}"
        rows.append(CellRow(symbol, said(value, unit, digits), deviation))
    return tuple(rows), target.problem or f"Target: {target.text}"


def _signed(value: float, digits: int) -> str:
    text = f"{value:+.{digits}f}".replace("-", "−")
    return text if text.strip("+−0.") else text[1:]


def _directions(A: F64) -> tuple[AxisDirection, ...]:
    across = np.hypot(A[:, 0], A[:, 1])
    to_beam, azimuth = np.degrees(np.arctan2(across, A[:, 2])), np.degrees(np.arctan2(A[:, 1], A[:, 0]))
    return tuple(AxisDirection(s, float(t), float(z)) for s, t, z in zip("abc", to_beam, azimuth, strict=True))


def _facts(result: Result, crystal: CrystalFound, found: Residuals | None) -> tuple[tuple[str, str, str], ...]:
    share = f" ({100 * crystal.n_indexed / result.n_peaks:.0f} %)" if result.n_peaks else ""
    along_fs, along_ss = (np.nan, np.nan) if found is None else found.mean
    mosaic = UNKNOWN
    if crystal.mosaicity is not None or crystal.block_size is not None:
        mosaic = f"{said(crystal.mosaicity, '°', 3)} · {said(crystal.block_size, 'Å', 0)}"
    mean = UNKNOWN if np.isnan(along_fs) else f"{_signed(along_fs, 2)}, {_signed(along_ss, 2)} px"
    return (
        ("Indexed", f"{count(crystal.n_indexed)} of {count(result.n_peaks)}{share}",
         "Spots that this lattice explains, of all spots found"),
        ("RMSD", said(crystal.rmsd_px, "px", 2),
         "Root mean square distance between observed and predicted spots on the detector, pixels"),
        ("Mean shift", mean,
         "Mean of observed minus predicted along fs and ss, pixels; far from 0 where the beam centre is wrong"),
        ("Resolution", angstrom(result.resolution), "d spacing within which 95 % of the spots lie, Å"),
        ("Diffracts to", angstrom(crystal.diffraction_limit),
         "Where the mean I/σ of its integrated reflections falls to 1, Å; needs the stage integrate"),
        ("Mosaicity", mosaic,
         "Spread of its blocks' orientations, degrees, and their size, Å, from the width of its reflections; needs the "
         "stage integrate"),
    )  # fmt: skip


def _map(peaks: NDArray[Any], lattice: int, found: Residuals | None, detector: Detector | None) -> SpotMap | None:
    if detector is None:
        return None
    panel = on_panels(peaks["fs"], peaks["ss"], detector)
    peaks, panel = peaks[panel >= 0], panel[panel >= 0]
    place = np.empty((0, 2)) if not len(peaks) else MM * detector.position(peaks["fs"], peaks["ss"], panel)[:, :2]
    own, none = (peaks["lattice"] == lattice) & (lattice > 0), peaks["lattice"] <= 0
    ice = none & (on_ice(peaks["inverse_d"]) >= 0) & (lattice == 0)
    arrows, lengthened = np.empty((0, 2)), 1
    if found is not None and len(found.spots):
        lengthened = _lengthening(found, place)
        end = MM * found.place
        arrows = np.stack([end - MM * found.shift * lengthened, end], axis=1).reshape(-1, 2)
    return SpotMap(place[none & ~ice], place[own], place[~own & ~none], place[ice], arrows, lengthened)


def _lengthening(found: Residuals, place: F64) -> int:
    """Return by how much residuals must be lengthened to be seen: their median is to be 3 % of the map."""
    size = float(np.ptp(place, axis=0).max())
    median = MM * float(np.median(np.linalg.norm(found.shift, axis=1)))
    wanted = 0.03 * size / median if median > 0 else 1.0
    steps = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
    return max((step for step in steps if step <= wanted), default=1)
