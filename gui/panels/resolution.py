"""How far the shots diffract."""

from PyQt5.QtCore import pyqtSignal
from PyQt5.QtWidgets import QVBoxLayout

from braggwatch.gui.controllers.resolution import ResolutionHistogram
from braggwatch.gui.numbers import angstrom, count
from braggwatch.gui.panels.fitting_label import FittingLabel
from braggwatch.gui.panels.histogram import Histogram
from braggwatch.gui.panels.panel import Panel
from braggwatch.gui.panels.plot import Quantity
from braggwatch.gui.panels.resolution_axis import ResolutionAxis
from braggwatch.gui.theme import SPACE, Theme

MEANING = "d spacing within which 95 % of a shot's spots lie, in bins of one width in 1/d."


class _OverInverseD(Histogram):
    def bar_text(self, low: float, high: float) -> str:
        return f"{1 / high:.2f} to {1 / low:.2f} Å" if low > 0 else f"beyond {1 / high:.2f} Å"


class ResolutionPanel(Panel):
    """A histogram of hits and of indexed shots over resolution."""

    name = "resolution"
    title = "Resolution"
    bar_clicked = pyqtSignal(float, float)

    def __init__(self) -> None:
        super().__init__()
        self._summary = FittingLabel()
        self._summary.setToolTip("Median resolution of all hits that have one, and of the indexed ones among them, Å.")
        d = Quantity("Resolution d", "Å")
        self.plot = _OverInverseD(d, Quantity("Shots"), MEANING)
        self.plot.plotItem.setAxisItems({"bottom": ResolutionAxis("bottom", str(d))})
        self.plot.add_legend()
        self.plot.add_series("hits", "hit")
        self.plot.add_series("indexed", "indexed")
        self._medians = [self.plot.add_line("hit"), self.plot.add_line("indexed")]
        self.plot.bar_clicked.connect(self.bar_clicked)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, SPACE // 2, 0, 0)
        layout.setSpacing(0)
        self._summary.setContentsMargins(SPACE, 0, SPACE, 0)
        layout.addWidget(self._summary)
        layout.addWidget(self.plot, 1)

    def show_histogram(self, histogram: ResolutionHistogram) -> None:
        """Draw it."""
        self.plot.set_empty("")
        self.plot.set_counts(histogram.edges, histogram.hits, histogram.indexed)
        for line, d in zip(self._medians, (histogram.median_hits, histogram.median_indexed), strict=True):
            line.setVisible(d is not None)
            if d is not None:
                line.setValue(1 / d)
        hits, indexed = angstrom(histogram.median_hits), angstrom(histogram.median_indexed)
        self._summary.set_texts(
            f"Median {hits} of {count(histogram.n_hits)} hits · {indexed} of {count(histogram.n_indexed)} indexed",
            f"Median {hits} hits · {indexed} indexed",
            f"{hits} · {indexed}",
        )

    def show_empty(self, why: str) -> None:
        """Show a sentence instead."""
        self._summary.set_texts("")
        self.plot.set_empty(why)

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        super().set_theme(theme)
        self._summary.set_theme(theme)
        self.plot.set_theme(theme)
