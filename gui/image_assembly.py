"""Where the pixels of the image array lie in the picture that is shown."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from braggwatch.processing.detector import Detector
from braggwatch.processing.panel import Panel

DATA, MASKED, GAP = 0, 1, 2
"""What a place in the picture can be: a pixel, a pixel that must not be used, between the panels."""

_LARGEST_PICTURE = 2**27
"""Places in the picture; a detector of 16 Mpx takes about 2**24."""
_EDGE_ON = 0.01
"""A panel whose pixels are seen smaller than this part of their size is left out."""


@dataclass(frozen=True)
class Place:
    """A pixel under a point of the picture."""

    fs: float
    """Image coordinate, pixels; the centre of pixel 0 is 0.5."""
    ss: float
    panel: int
    """Index into `Detector.panels`."""


class Assembly:
    """Turns a detector's image array into a picture and back; pixels of the picture are as large as the detector's.

    Picture coordinates x and y are in pixels, to the right and downwards, from the outer corner of the picture's first
    pixel. A single panel that fills the array is shown as the array is. Several panels are placed by their laboratory
    position, seen along the beam: turned as the array is where all of them lie the same way round, else as one sees
    them from the sample, y upwards and x to the left. Where panels shade each other, the one nearest to the sample is
    shown. Panels that would be spread over far more places than they have pixels are shown as the array, and
    `problem` says so.
    """

    def __init__(self, detector: Detector) -> None:
        self.detector = detector
        self.problem = ""
        self.shape: tuple[int, int] = detector.shape
        """Rows and columns of the picture."""
        self.lookup: NDArray[np.int32] | None = None
        """``(rows, columns)``: which pixel of the raveled image array is seen, -1 for none; None: the array itself."""
        self._frames = np.array([_frame(panel) for panel in detector.panels])
        whole = np.array([[0, detector.shape[1], 0, detector.shape[0]]], np.int64)
        self.placements: tuple[NDArray[np.int64], NDArray[np.float64]] = whole, np.eye(3)[None, :, :2].copy()
        """The parts of the image array that are laid out, ``(n, 4)``: first and last + 1 column, then row; and where:
        ``(n, 3, 2)``, rows fs, ss and origin, so that fs * first + ss * second + third are picture coordinates."""
        panel = detector.panels[0]
        if len(detector.panels) > 1 or panel.shape != detector.shape:
            self._place_panels()

    def _place_panels(self) -> None:
        detector = self.detector
        self._turn = _turn(self._frames) / float(np.median([panel.pixel_size for panel in detector.panels]))
        forward = self._frames[:, :, :2] @ self._turn.T
        seen = np.abs(np.linalg.det(forward[:, :2])) > _EDGE_ON
        forward[~seen, :2] = np.eye(2)  # never drawn, but must have an inverse
        corners = self._corners(forward)[seen].reshape(-1, 2)
        if not seen.any():
            self.problem = "all panels are seen edge-on: shown as the image array"
            return
        # the first panel's pixels are to coincide with the picture's
        origin = corners.min(axis=0) - np.mod(corners.min(axis=0) - corners[0] + 1e-6, 1.0)
        n_columns, n_rows = (int(n) for n in np.minimum(np.ceil(corners.max(axis=0) - origin - 1e-3), 1e9))
        if n_rows * n_columns > min(4 * detector.mask.size + 2**22, _LARGEST_PICTURE):
            self.problem = f"the panels are spread over {n_columns} × {n_rows} pixels: shown as the image array"
            return
        forward[:, 2] -= origin
        self._origin, self._forward, self._inverse = origin, forward, np.linalg.inv(forward[:, :2])
        self.shape = (n_rows, n_columns)
        self.lookup = np.full(self.shape, -1, np.int32)
        bounds = np.array([(p.fs_start, p.fs_stop, p.ss_start, p.ss_stop) for p in detector.panels], np.int64)
        distances = self._corners(self._frames)[:, :, 2].mean(axis=1)
        self.placements = bounds[seen], forward[seen]
        far_to_near = np.flatnonzero(seen)[np.argsort(-distances[seen], kind="stable")]
        _fill_lookup(far_to_near, forward, self._inverse, bounds, detector.shape[1], self.lookup)

    @cached_property
    def states(self) -> NDArray[np.uint8]:
        """``(rows, columns)``: `DATA`, `MASKED` or `GAP`."""
        if self.lookup is None:
            return self.detector.mask.astype(np.uint8)
        states = self.detector.mask.ravel()[self.lookup].astype(np.uint8)
        states[self.lookup < 0] = GAP
        return states

    def to_picture(self, fs: ArrayLike, ss: ArrayLike) -> NDArray[np.float64]:
        """Return picture coordinates ``(n, 2)``, x and y, of image coordinates ``(n,)`` in pixels.

        NaN where there is no panel, or no number.
        """
        fs_, ss_ = np.atleast_1d(np.asarray(fs, float)), np.atleast_1d(np.asarray(ss, float))
        place = np.full((len(fs_), 2), np.nan)
        known = np.flatnonzero((np.abs(fs_) < 1e9) & (np.abs(ss_) < 1e9))  # without NaN
        panel = self.detector.panel_at(fs_[known], ss_[known])
        known, panel = known[panel >= 0], panel[panel >= 0]
        if self.lookup is None:
            place[known] = np.stack([fs_[known], ss_[known]], axis=-1)
        else:
            frame = self._forward[panel]
            place[known] = fs_[known, None] * frame[:, 0] + ss_[known, None] * frame[:, 1] + frame[:, 2]
        return place

    def locate(self, x: float, y: float) -> Place | None:
        """Return the pixel that is seen at a place in the picture; None between and beside the panels."""
        n_rows, n_columns = self.shape
        if not (0 <= x < n_columns and 0 <= y < n_rows):
            return None
        if self.lookup is None:
            panel = int(self.detector.panel_map[int(y), int(x)])
            return Place(x, y, panel) if panel >= 0 else None
        index = int(self.lookup[int(y), int(x)])
        if index < 0:
            return None
        row, column = divmod(index, self.detector.shape[1])
        panel = int(self.detector.panel_map[row, column])
        fs, ss = (np.array([x, y]) - self._forward[panel, 2]) @ self._inverse[panel]
        # kept within the pixel that is drawn there: on a turned panel its edges are those of the picture's pixel
        return Place(_within(fs, column), _within(ss, row), panel)

    def rays_to_picture(self, rays: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where rays from the sample, ``(n, 3)`` in the laboratory, meet the plane of the detector, ``(n, 2)``.

        The plane is that of the one panel, or the one that fits all panels best; it has no edges. NaN for rays that do
        not meet it, and for all of them where there is a `problem`.
        """
        rays = np.asarray(rays, float)
        if self.problem:
            return np.full((len(rays), 2), np.nan)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            if self.lookup is None:
                u, v, w = np.linalg.solve(self._frames[0].T, rays.T)
                return np.where(w > 0, np.stack([u, v]) / w, np.nan).T
            slope_x, slope_y, distance = self._plane
            towards = rays[:, 2] - slope_x * rays[:, 0] - slope_y * rays[:, 1]
            along = np.where(towards > 0, distance / towards, np.nan)
            return np.asarray((rays[:, :2] * along[:, None]) @ self._turn.T - self._origin)

    @cached_property
    def _plane(self) -> NDArray[np.float64]:
        """The a, b, c by which all corners lie best on z = a x + b y + c, m."""
        x, y, z = self._corners(self._frames).reshape(-1, 3).T
        plane, *_ = np.linalg.lstsq(np.stack([x, y, np.ones_like(x)], axis=1), z, rcond=None)
        return np.asarray(plane)

    def _corners(self, frames: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ``(n, 4, m)``: each panel's corners where `frames` ``(n, 3, m)`` put them."""
        at = np.array(
            [[(fs, ss, 1.0) for fs in (p.fs_start, p.fs_stop) for ss in (p.ss_start, p.ss_stop)]
             for p in self.detector.panels]
        )  # fmt: skip
        return np.asarray(at @ frames)


def _frame(panel: Panel) -> NDArray[np.float64]:
    """Return ``(3, 3)``: the rows fs, ss, and where image coordinates 0, 0 would lie in the panel's plane, m."""
    fs, ss = np.array(panel.fs), np.array(panel.ss)
    return np.array([fs, ss, np.array(panel.corner) - panel.fs_start * fs - panel.ss_start * ss])


def _turn(frames: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the laboratory's directions, ``(2, 2)``, that run to the right and downwards in the picture."""
    fs, ss = frames[:, 0, :2].copy(), frames[:, 1, :2].copy()
    for vectors in (fs, ss):
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-30)
    if (fs @ fs[0]).min() < 0.7 or (ss @ ss[0]).min() < 0.7:
        return np.array([[-1.0, 0.0], [0.0, -1.0]])
    turn = np.zeros((2, 2))
    right = int(np.argmax(np.abs(fs[0])))
    turn[0, right] = np.sign(fs[0, right])
    turn[1, 1 - right] = np.sign(ss[0, 1 - right]) or 1.0
    return turn


def _within(value: float, pixel: int) -> float:
    return min(max(float(value), float(pixel)), float(np.nextafter(pixel + 1.0, 0.0)))


@njit(nogil=True, cache=True)
def _fill_lookup(order, forward, inverse, bounds, row_length, lookup):  # type: ignore[no-untyped-def]
    """Write the index of the pixel that covers each place's centre; panels later in `order` (m,) hide earlier ones.

    `forward` is ``(n, 3, 2)``: rows fs, ss and origin of each panel in the picture; `inverse` ``(n, 2, 2)`` turns back
    what its first two rows do; `bounds` ``(n, 4)``: first and last + 1 column, then row, in the image array, whose
    rows are `row_length` long; `lookup` ``(rows, columns)`` int32.
    """
    n_rows, n_columns = lookup.shape
    for p in order:
        x_low, x_high, y_low, y_high = np.inf, -np.inf, np.inf, -np.inf
        for fs in bounds[p, :2]:
            for ss in bounds[p, 2:]:
                x = fs * forward[p, 0, 0] + ss * forward[p, 1, 0] + forward[p, 2, 0]
                y = fs * forward[p, 0, 1] + ss * forward[p, 1, 1] + forward[p, 2, 1]
                x_low, x_high = min(x_low, x), max(x_high, x)
                y_low, y_high = min(y_low, y), max(y_high, y)
        for row in range(max(0, int(y_low)), min(n_rows, int(y_high) + 1)):
            for column in range(max(0, int(x_low)), min(n_columns, int(x_high) + 1)):
                x = column + 0.5 - forward[p, 2, 0]
                y = row + 0.5 - forward[p, 2, 1]
                fs = int(np.floor(x * inverse[p, 0, 0] + y * inverse[p, 1, 0]))
                ss = int(np.floor(x * inverse[p, 0, 1] + y * inverse[p, 1, 1]))
                if bounds[p, 0] <= fs < bounds[p, 1] and bounds[p, 2] <= ss < bounds[p, 3]:
                    lookup[row, column] = ss * row_length + fs
