"""An axis for 1/d, or 1/d², that is labelled with d in Angstrom."""

import numpy as np
import pyqtgraph as pg

_ROUND = (
    (10.0, 5.0, 3.0, 2.0, 1.5, 1.0, 0.7, 0.5), (20.0, 4.0, 2.5, 1.2, 0.8, 0.6), (7.0, 3.5, 1.8, 1.7, 1.3, 1.1, 0.9),
    (50.0, 15.0, 6.0, 4.5, 2.8, 2.2, 1.9, 1.6, 1.4, 0.75, 0.65, 0.55),
    (2.4, 2.3, 2.1, 1.95, 1.85, 1.75, 1.65, 1.55, 1.45, 1.35, 1.25, 1.15, 1.05, 0.95, 0.85),
)  # fmt: skip
"""d spacings in Angstrom, those that are wanted most first."""
_PX = 30
"""Room for a label."""


class ResolutionAxis(pg.AxisItem):
    """Its values are 1/d in 1/Angstrom, or a power of that; its ticks stand at round d."""

    def __init__(self, side: str, label: str, power: int = 1) -> None:
        super().__init__(side)
        self._power = power
        self.enableAutoSIPrefix(False)
        self.setLabel(label)

    def tickValues(self, minVal: float, maxVal: float, size: float) -> list[tuple[float, list[float]]]:
        """Return where the ticks are, as many as there is room for."""
        if not np.isfinite([minVal, maxVal]).all() or maxVal <= minVal:
            return []
        apart = _PX * (maxVal - minVal) / max(size, 1.0)
        chosen: list[float] = []
        for level in _ROUND:
            for d in level:
                at = d**-self._power
                if minVal <= at <= maxVal and all(abs(at - other) >= apart for other in chosen):
                    chosen.append(at)
        return [(apart, sorted(chosen))]

    def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:
        """Return the ticks' texts, Angstrom."""
        return [f"{value ** (-1.0 / self._power):.3g}" if value > 0 else "" for value in values]
