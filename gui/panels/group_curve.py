"""The rate of one group against time."""

from typing import Any

from PyQt5.QtCore import Qt

from braggwatch.gui.controllers.rates_by_group import GroupRate
from braggwatch.gui.panels.plot import Plot

_DASHES = {False: Qt.PenStyle.SolidLine, True: Qt.PenStyle.DashLine}

_FAINT = 0.4
"""Of many bands on each other, each is drawn so much fainter."""


class GroupCurve:
    """Curve and band of one group; which group that is may change."""

    def __init__(self, plot: Plot) -> None:
        self._plot = plot
        self._look: tuple[str, bool] = ("quiet", False)
        self.band = plot.add_band("quiet")
        self.curve = plot.add_curve("", "quiet")

    def show(self, group: GroupRate | None, times: Any, many: bool) -> None:
        """Draw a group's rates at some times, `many`: with a fainter band; None: nothing."""
        self.curve.setVisible(group is not None)
        self.band.setVisible(group is not None)
        if group is None:
            return
        if (group.tone, group.dashed) != self._look:
            self._look = group.tone, group.dashed
            self._plot.restyle(self.band, group.tone)
            self._plot.restyle(self.curve, group.tone, _DASHES[group.dashed])
        self.band.setOpacity(_FAINT if many else 1.0)
        self.curve.setData(times, group.curve.value)
        self.band.set_data(times, group.curve.low, group.curve.high)
