"""A map of how the crystals lie: poles of a reciprocal axis on the hemisphere towards the detector."""

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from braggwatch.gui.monitor import Monitor
from braggwatch.gui.newest import newest_first
from braggwatch.gui.target_cell import TargetCell
from braggwatch.processing.preferred_orientation import (
    FEWEST,
    PoleSums,
    PoleTest,
    equal_area,
    equivalent_axes,
    from_equal_area,
    poles,
)
from braggwatch.processing.unit_cell import UnitCell
from braggwatch.streamer.wording import count

Axis = Literal["a*", "b*", "c*"]
AXES: tuple[Axis, ...] = ("a*", "b*", "c*")
AS_POINTS = 2000
"""From so many poles on their density is shown instead."""
GRID = 96
"""Cells of the density map along each side; even, so that the beam lies between four of them."""
REACH = 0.06
"""How far from a click a shot's pole may be, in radii of the map."""
SURE = 0.01
"""Below this p-value orientations are called uneven."""


@dataclass(frozen=True)
class OrientationMap:
    """What to draw, in equal-area coordinates: the beam at 0, 0, the rim at radius 1, x to the right and y upwards."""

    axis: Axis
    points: NDArray[np.float64] | None
    """``(n, 2)``, or None where there are too many."""
    density: NDArray[np.float64] | None
    """``(GRID, GRID)``, [x, y] from -1 to 1: times as dense as uniform; NaN outside the disc. None for few poles."""
    n_lattices: int
    n_poles: int
    statement: str
    """Whether orientations are uniform, in words."""
    figures: str
    """The test behind it."""
    axis_at: tuple[float, float] | None
    """Where poles gather, or what they avoid; None where neither is sure."""


class OrientationsView(Protocol):
    """What the controller asks of its panel."""

    place_clicked: Any
    """x and y (float)."""
    axis_chosen: Any
    """One of `AXES` (str)."""
    fold_chosen: Any
    """Whether equivalent poles are shown too (bool)."""

    def show_map(self, drawn: OrientationMap) -> None:
        """Draw it."""

    def show_empty(self, why: str) -> None:
        """Show a sentence instead."""


class OrientationsController:
    """Keeps the map up to date; works out each lattice's poles once, as they come."""

    def __init__(self, monitor: Monitor, view: OrientationsView) -> None:
        self._monitor, self._view = monitor, view
        self.stale = True
        self.axis: Axis = "c*"
        self.fold = True
        self._cell: UnitCell | None = None
        self._begin()
        for signal in (monitor.hits_changed, monitor.settings_changed):
            signal.connect(self._mark)
        view.place_clicked.connect(self._open)
        view.axis_chosen.connect(self._choose_axis)
        view.fold_chosen.connect(self._choose_fold)

    def _mark(self) -> None:
        self.stale = True

    def _begin(self) -> None:
        self._hits = self._monitor.hits
        self._places: list[NDArray[np.float64]] = []
        self._counts = np.zeros((GRID, GRID))
        self._sums = PoleSums()
        self._done = 0
        which = AXES.index(self.axis)
        rotations = self._cell.lattice_rotations if self.fold and self._cell else np.eye(3, dtype=np.int64)[None]
        self._axes = equivalent_axes(which, rotations)

    def refresh(self) -> None:
        """Take in what is new and draw."""
        self.stale = False
        cell = TargetCell.of(self._monitor.settings).cell
        if self._hits is not self._monitor.hits or cell != self._cell:
            self._cell = cell
            self._begin()
        self._take_in()
        if not self._sums.n:
            self._view.show_empty(_why_empty(len(self._hits)))
            return
        test = self._sums.test()
        few = self._done * len(self._axes) < AS_POINTS
        places = self._all_places().reshape(-1, 2) if few else np.empty((0, 2))
        self._view.show_map(
            OrientationMap(
                self.axis, places[np.isfinite(places[:, 0])] if few else None, None if few else self._density(),
                self._sums.n, self._sums.n * len(self._axes), _statement(test, self._sums.n, self.axis), _figures(test),
                _axis_at(test),
            )
        )  # fmt: skip

    def _take_in(self) -> None:
        lattices = self._hits.lattices[self._done :]
        if not len(lattices):
            return
        self._done += len(lattices)
        directions = poles(lattices["A"], self._axes)
        self._sums.add(directions)
        places = equal_area(directions)
        self._places.append(places)
        known = places[np.isfinite(places).all(axis=2)]
        column, row = np.clip(((known + 1) * (GRID / 2)).astype(np.int64), 0, GRID - 1).T
        self._counts += np.bincount(column * GRID + row, minlength=GRID * GRID).reshape(GRID, GRID)

    def _all_places(self) -> NDArray[np.float64]:
        """Return where all poles are, ``(n, k, 2)``."""
        self._places = [np.concatenate(self._places)]
        return self._places[0]

    def _density(self) -> NDArray[np.float64]:
        """Smooth so much that a place averages some hundred poles, and compare with a uniform disc of as many."""
        n = self._counts.sum()
        sigma = float(np.clip(GRID / 2 * (25.0 / n) ** 0.5, 1.0, 6.0))
        uniform = gaussian_filter(_DISC, sigma)
        smooth = gaussian_filter(self._counts, sigma) / np.maximum(uniform, 1e-9)
        return np.where(_DISC > 0, smooth * _DISC.sum() / n, np.nan)

    def _open(self, x: float, y: float) -> None:
        if self._done == 0 or self._hits is not self._monitor.hits or x * x + y * y > (1 + REACH) ** 2:
            return
        # a pole near the rim is near its opposite too
        place = np.array([x, y]) / max(1.0, float(np.hypot(x, y)))
        direction = from_equal_area(place)
        nearness = np.abs(from_equal_area(self._all_places()) @ direction).max(axis=1)
        nearness[~np.isfinite(nearness)] = -1.0
        if self._done * len(self._axes) < AS_POINTS:
            best = int(np.argmax(nearness))
            chosen = np.array([best] if nearness[best] > 1 - REACH**2 else [], np.int64)
        else:
            chosen = np.flatnonzero(nearness > 1 - REACH**2 / 2)
        self._monitor.select(newest_first(self._hits, self._hits.lattices["hit"][chosen]))

    def _choose_axis(self, axis: str) -> None:
        if axis in AXES and axis != self.axis:
            self.axis = axis
            self._begin()
            self.stale = True

    def _choose_fold(self, fold: bool) -> None:
        if fold != self.fold:
            self.fold = fold
            self._begin()
            self.stale = True


def _disc() -> NDArray[np.float64]:
    """Return which part of each cell of the map lies within the unit disc."""
    fine = 8
    at = (np.arange(GRID * fine) + 0.5) / (GRID * fine / 2) - 1.0
    inside = (at[:, None] ** 2 + at**2 <= 1.0).astype(float)
    return np.asarray(inside.reshape(GRID, fine, GRID, fine).mean(axis=(1, 3)))


_DISC = _disc()


def _statement(test: PoleTest | None, n: int, axis: Axis) -> str:
    if test is None:
        return f"Too few to tell: {n} of {FEWEST} lattices"
    if test.p_value >= SURE:
        return "No preferred orientation seen"
    degree = "Slight" if test.strength < 0.1 else "Clear" if test.strength < 0.4 else "Strong"
    if test.degree != 2:
        return f"{degree} preferred orientation"
    tilt = np.degrees(np.arccos(np.clip(test.axis[2], -1, 1)))
    does = "gathers" if test.gathers else "avoids a direction"
    return f"{degree} preferred orientation: {axis} {does} {tilt:.0f}° from the beam"


def _figures(test: PoleTest | None) -> str:
    if test is None:
        return ""
    p = f"p = {test.p_value:.2f}" if test.p_value >= 0.01 else f"p = {test.p_value:.0e}"
    if test.p_value < 1e-99:
        p = "p < 1e-99"
    eigenvalues = " ".join(f"{value:.2f}" for value in test.eigenvalues)
    return f"strength {test.strength:.2f} of 1 · {p} · eigenvalues {eigenvalues} · {count(test.n)} lattices"


def _axis_at(test: PoleTest | None) -> tuple[float, float] | None:
    if test is None or test.p_value >= SURE or test.degree != 2:
        return None
    x, y = equal_area(np.array(test.axis))
    return float(x), float(y)


def _why_empty(n_hits: int) -> str:
    if not n_hits:
        return "No orientations yet: waiting for the first indexed shot."
    return f"No orientations yet: {count(n_hits)} hits, none of them indexed so far."
