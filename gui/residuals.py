"""How far spots lie from where a lattice predicts them. Free of Qt."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from braggwatch.processing.detector import Detector

F64 = NDArray[np.float64]

_SHORTEST, _LONGEST = 0.1, 1e5
"""Axes beyond these, Angstrom, are not believed."""


@dataclass(frozen=True, eq=False)
class Residuals:
    """Spots of one lattice against the nearest node of its reciprocal lattice, as arrays of one length."""

    spots: NDArray[np.int64]
    """``(n,)``: which of the spots they are; those on no panel are left out."""
    pixels: F64
    """``(n, 2)``: observed minus predicted along fs and ss of the spot's panel, pixels."""
    place: F64
    """``(n, 2)``: observed x and y in the laboratory, m."""
    shift: F64
    """``(n, 2)``: observed minus predicted x and y in the laboratory, m."""

    @property
    def rmsd(self) -> float:
        """Root mean square distance, pixels; NaN without spots."""
        return float(np.sqrt(np.mean((self.pixels**2).sum(axis=1)))) if len(self.pixels) else float("nan")

    @property
    def mean(self) -> tuple[float, float]:
        """Mean of the residuals along fs and ss, pixels; NaN without spots."""
        along_fs, along_ss = self.pixels.mean(axis=0) if len(self.pixels) else (np.nan, np.nan)
        return float(along_fs), float(along_ss)


def spans_space(A: F64) -> bool:
    """Tell whether the rows of ``(3, 3)`` can be the axes of a crystal, Angstrom."""
    if not (np.abs(A) < _LONGEST).all():  # neither for NaN
        return False
    lengths = np.linalg.norm(A, axis=1)
    return bool(lengths.min() > _SHORTEST and abs(np.linalg.det(A)) > 1e-6 * lengths.prod())


def on_panels(fs: NDArray[np.floating], ss: NDArray[np.floating], detector: Detector) -> NDArray[np.int16]:
    """Return the panel of image coordinates ``(n,)`` in pixels; -1 where there is none, or no number."""
    known = (np.abs(fs) < 1e9) & (np.abs(ss) < 1e9)  # False for NaN too
    panel = np.full(len(fs), -1, np.int16)
    panel[known] = detector.panel_at(fs[known], ss[known])
    return panel


def residuals(A: F64, fs: NDArray[np.floating], ss: NDArray[np.floating], detector: Detector) -> Residuals:
    """Compare spots at image coordinates ``(n,)`` in pixels with the nodes nearest to them.

    `A` is ``(3, 3)``, real-space a, b, c as rows in Angstrom, lab frame. A node is seen where the ray s0/wavelength + q
    meets the plane of the spot's panel, as the indexer has it. Raises ValueError where the axes do not span space or
    the photon energy is not known.
    """
    if not spans_space(A):
        raise ValueError("its axes do not span space")
    panel = on_panels(fs, ss, detector)
    spots = np.flatnonzero(panel >= 0)
    if not len(spots):
        return Residuals(spots, np.empty((0, 2)), np.empty((0, 2)), np.empty((0, 2)))
    panel = panel[spots]
    observed = np.stack([fs[spots], ss[spots]], axis=1).astype(np.float64)
    q = detector.q(observed[:, 0], observed[:, 1], panel)
    nodes = np.rint(q @ A.T) @ np.linalg.inv(A).T
    pixels = observed - _seen(nodes, panel, detector)
    axes = np.array([(p.fs, p.ss) for p in detector.panels])[panel]
    place = detector.position(observed[:, 0], observed[:, 1], panel)[:, :2]
    return Residuals(spots, pixels, place, np.einsum("nk,nkj->nj", pixels, axes)[:, :2])


def _seen(nodes: F64, panel: NDArray[np.int16], detector: Detector) -> F64:
    """Return the image coordinates ``(n, 2)`` where nodes ``(n, 3)`` are seen on the planes of panels ``(n,)``."""
    assert detector.beam is not None  # detector.q has asked for it
    rays = nodes.copy()
    rays[:, 2] += 1.0 / detector.beam.wavelength
    frames = np.array([(p.fs, p.ss, p.corner) for p in detector.panels])[panel]
    starts = np.array([(p.fs_start, p.ss_start) for p in detector.panels])[panel]
    columns = np.stack([frames[:, 0], frames[:, 1], -rays], axis=2)
    return np.asarray(np.linalg.solve(columns, -frames[:, 2, :, None])[:, :2, 0] + starts)
