"""How far the shots diffract: a histogram of their resolution."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from braggwatch.gui.monitor import Monitor
from braggwatch.gui.newest import newest_first
from braggwatch.processing.uniform_bins import count_in_bins
from braggwatch.streamer.wording import count

BINS = 48


@dataclass(frozen=True)
class ResolutionHistogram:
    """Counts in bins of one width in 1/d."""

    edges: NDArray[np.float64]
    """``(BINS + 1,)``, 1/Angstrom."""
    hits: NDArray[np.int64]
    """Hits, indexed ones included, ``(BINS,)``."""
    indexed: NDArray[np.int64]
    n_hits: int
    n_indexed: int
    median_hits: float
    """Angstrom."""
    median_indexed: float | None
    """Angstrom."""


class ResolutionView(Protocol):
    """What the controller asks of its panel."""

    bar_clicked: Any
    """From and to, 1/Angstrom (float)."""

    def show_histogram(self, histogram: ResolutionHistogram) -> None:
        """Draw it."""

    def show_empty(self, why: str) -> None:
        """Show a sentence instead."""


class ResolutionController:
    """Keeps the histogram up to date."""

    def __init__(self, monitor: Monitor, view: ResolutionView) -> None:
        self._monitor, self._view = monitor, view
        self.stale = True
        monitor.hits_changed.connect(self._mark)
        view.bar_clicked.connect(self._open)

    def _mark(self) -> None:
        self.stale = True

    def refresh(self) -> None:
        """Count and draw."""
        self.stale = False
        hits = self._monitor.hits.hits
        inverse_d = _inverse(hits["resolution"])
        known = np.isfinite(inverse_d)
        values, indexed = inverse_d[known], inverse_d[known & hits["indexed"]]
        if not len(values):
            self._view.show_empty(_why_empty(len(hits)))
            return
        low, high = float(values.min()), float(values.max())
        pad = max(0.02 * (high - low), 0.005)
        low, high = max(low - pad, 0.0), high + pad
        edges = np.linspace(low, high, BINS + 1)
        self._view.show_histogram(
            ResolutionHistogram(
                edges, count_in_bins(values, BINS, low, high), count_in_bins(indexed, BINS, low, high), len(values),
                len(indexed),
                1 / float(np.median(values)), 1 / float(np.median(indexed)) if len(indexed) else None,
            )
        )  # fmt: skip

    def _open(self, low: float, high: float) -> None:
        inverse_d = _inverse(self._monitor.hits.hits["resolution"])
        rows = np.flatnonzero((inverse_d >= low) & (inverse_d < high))
        self._monitor.select(newest_first(self._monitor.hits, rows))


def _inverse(d: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return 1/d, NaN where d is not a length."""
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = 1.0 / d.astype(np.float64)
    inverse[~((inverse > 1e-4) & (inverse < 10.0))] = np.nan
    return inverse


def _why_empty(n_hits: int) -> str:
    if not n_hits:
        return "No resolution yet: waiting for the first hit."
    return f"No resolution yet: of {count(n_hits)} hits none has one, which needs the geometry and the photon energy."
