"""Where on the detector spots lie off their predictions: what shows a panel or a distance that is wrong."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from braggwatch.gui.monitor import Monitor
from braggwatch.gui.residuals import on_panels, residuals
from braggwatch.gui.shot_key import ShotKey
from braggwatch.processing.detector import Detector
from braggwatch.streamer.messages import Result, unpack_peaks
from braggwatch.streamer.picture_messages import ShotImage
from braggwatch.streamer.wording import count

TILES = 8
"""A detector of one panel is cut into so many parts along each side."""
FEWEST = 5
"""Parts with fewer spots are not shown."""
KEPT_SHOTS = 100
"""So many shots of each part are opened by a click."""


@dataclass(frozen=True)
class ResidualsMap:
    """One row for each part of the detector that has spots enough."""

    names: tuple[str, ...]
    places: NDArray[np.float64]
    """``(n, 2)``: middle of the spots, x and y in the laboratory, mm."""
    shifts: NDArray[np.float64]
    """``(n, 2)``: mean of observed minus predicted along x and y, in pixels."""
    rmsd: NDArray[np.float64]
    """``(n,)``: root mean square distance, pixels."""
    n_spots: NDArray[np.int64]
    summary: str
    worst: str
    """The part whose spots are off most."""


class ResidualsView(Protocol):
    """What the controller asks of its panel."""

    part_clicked: Any
    """Index into the rows of the map (int)."""

    def show_map(self, drawn: ResidualsMap) -> None:
        """Draw it."""

    def show_empty(self, why: str) -> None:
        """Show a sentence instead."""


@dataclass
class _Part:
    """What is summed up of one part of the detector."""

    n: int = 0
    place: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))
    shift: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))
    squares: float = 0.0
    shots: deque[ShotKey] = field(default_factory=lambda: deque(maxlen=KEPT_SHOTS))


class ResidualsController:
    """Adds up the residuals of the indexed shots that came with their spots, of all runs with the present geometry."""

    def __init__(self, monitor: Monitor, view: ResidualsView) -> None:
        self._monitor, self._view = monitor, view
        self.stale = True
        self._waiting: deque[Result] = deque(maxlen=200)
        self._parts: dict[str, _Part] = {}
        self._shown: list[str] = []
        self._detector: Detector | None = None
        self._n_shots = self._n_others = 0
        monitor.remembered_changed.connect(self._note)
        monitor.geometry_changed.connect(self._mark)
        view.part_clicked.connect(self._open)

    def _mark(self) -> None:
        self.stale = True

    def _note(self, shot: ShotImage | None) -> None:
        """Remember what is new, so that none is missed while the panel is hidden for a while."""
        if shot is not None and shot.result.crystals:
            self._waiting.append(shot.result)  # without the pixels, which would fill the memory
            self.stale = True

    def refresh(self) -> None:
        """Take in what is new and draw."""
        self.stale = False
        detector = self._monitor.detector
        if detector is not self._detector:
            self._detector, self._n_shots, self._n_others = detector, 0, 0
            self._parts.clear()
        if detector is None or detector.beam is None:
            self._view.show_empty("No residuals yet: they need the geometry and the photon energy.")
            return
        while self._waiting:
            self._add(self._waiting.popleft(), detector)
        self._shown = [name for name, part in self._parts.items() if part.n >= FEWEST]
        if not self._shown:
            self._view.show_empty(
                _why_empty(self._n_shots) + self._others(" {} of other or unknown geometry left out.")
            )
            return
        self._view.show_map(self._map([self._parts[name] for name in self._shown]))

    def _add(self, result: Result, detector: Detector) -> None:
        if self._monitor.geometries.of(result.series) is not detector:
            self._n_others += 1
            return
        try:
            peaks = unpack_peaks(result.peaks)
            for k, crystal in enumerate(result.crystals, 1):
                own = peaks[peaks["lattice"] == k]
                self._add_lattice(np.reshape(crystal.A, (3, 3)), own["fs"], own["ss"], detector, result)
        except ValueError as error:
            self._monitor.said.emit(f"shot {result.number} has no residuals: {error}")
            return
        self._n_shots += 1

    def _add_lattice(
        self, A: NDArray[np.float64], fs: NDArray[Any], ss: NDArray[Any], detector: Detector, result: Result
    ) -> None:
        found = residuals(A, fs, ss, detector)
        fs, ss = fs[found.spots], ss[found.spots]
        parts = _parts_of(fs, ss, on_panels(fs, ss, detector), detector)
        shift = found.shift / _pixel_size(detector)
        key = ShotKey(result.series, result.number)
        for name in np.unique(parts):
            inside = parts == name
            part = self._parts.setdefault(str(name), _Part())
            part.n += int(inside.sum())
            part.place += 1e3 * found.place[inside].sum(axis=0)
            part.shift += shift[inside].sum(axis=0)
            part.squares += float((found.pixels[inside] ** 2).sum())
            part.shots.append(key)

    def _map(self, parts: list[_Part]) -> ResidualsMap:
        n = np.array([part.n for part in parts])
        shifts = np.array([part.shift for part in parts]) / n[:, None]
        squares = np.array([part.squares for part in parts])
        off = np.linalg.norm(shifts, axis=1)
        worst = int(np.argmax(off))
        return ResidualsMap(
            tuple(self._shown), np.array([part.place for part in parts]) / n[:, None], shifts, np.sqrt(squares / n), n,
            self._summary(), f"most off: {self._shown[worst]} by {off[worst]:.2f} px",
        )  # fmt: skip

    def _summary(self) -> str:
        """Say what holds for all spots, those of parts among them that have too few to be shown."""
        parts = self._parts.values()
        n = sum(part.n for part in parts)
        rmsd = np.sqrt(sum(part.squares for part in parts) / n)
        x, y = np.sum([part.shift for part in parts], axis=0) / n
        return (
            f"RMSD {rmsd:.2f} px · mean x {x:+.2f} y {y:+.2f} px · {count(n)} spots of {_shots(self._n_shots)}"
            + self._others(" · {} of other or unknown geometry left out")
        )

    def _others(self, text: str) -> str:
        return text.format(_shots(self._n_others)) if self._n_others else ""

    def _open(self, row: int) -> None:
        if 0 <= row < len(self._shown):
            self._monitor.select(list(dict.fromkeys(reversed(self._parts[self._shown[row]].shots))))


def _shots(n: int) -> str:
    return f"{count(n)} {'shot' if n == 1 else 'shots'}"


def _why_empty(n_shots: int) -> str:
    if not n_shots:
        return "No residuals yet: waiting for indexed shots."
    return f"No residuals yet: no part of the detector has {FEWEST} spots of {_shots(n_shots)}."


def _pixel_size(detector: Detector) -> float:
    return float(np.median([panel.pixel_size for panel in detector.panels]))


def _parts_of(fs: NDArray[Any], ss: NDArray[Any], panels: NDArray[np.int16], detector: Detector) -> NDArray[np.str_]:
    """Return the name of the part of the detector that each spot lies in: its panel, or of one panel its tile."""
    if len(detector.panels) > 1:
        return np.array([panel.name for panel in detector.panels])[panels]
    (panel,) = detector.panels
    rows, columns = panel.shape
    row = ((ss - panel.ss_start) * TILES / rows).astype(int)
    column = ((fs - panel.fs_start) * TILES / columns).astype(int)
    return np.array([f"tile fs {i + 1} ss {j + 1}" for i, j in zip(column, row, strict=True)], dtype=np.str_)
