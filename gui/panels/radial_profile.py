"""The mean of the pixels against resolution, with the positions of ice rings."""

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PyQt5.QtGui import QResizeEvent

from braggwatch.gui import style
from braggwatch.gui.controllers.powder import ICE_RINGS
from braggwatch.gui.panels.plot import Plot, Quantity
from braggwatch.gui.panels.resolution_axis import ResolutionAxis
from braggwatch.gui.theme import AXIS_PX, DARK, Theme

_LEVELS = 3
_LABEL_PX = 30
_LEAST_VALUES_PX = 45
"""Height below which the values along the left would lie on each other."""


class RadialProfile(Plot):
    """A curve over q = 1/d, with d on a second axis above."""

    def __init__(self) -> None:
        super().__init__(Quantity("q = 1/d", "1/Å"), Quantity("Mean pixel", "ADU"))
        self.plotItem.setAxisItems({"top": ResolutionAxis("top", "d (Å)")})
        self.plotItem.showAxis("top")
        self.plotItem.vb.setMouseEnabled(x=False, y=False)
        self.plotItem.vb.setToolTip(
            "Mean of the pixels at each q = 1/d (2 sin θ / λ), a shot, in ADU. The axis above is d in Å."
        )
        self._curve = self.add_curve("", "indexed")
        self._ice_visible = False
        self._ice = []
        for d in ICE_RINGS:
            line = pg.InfiniteLine(1 / d, angle=90, movable=False)
            label = pg.TextItem(f"{d:.2f}", anchor=(0.5, 0.0))
            label.setFont(style.font(AXIS_PX - 1))
            self._ice.append((line, label))
            label.setZValue(5)
            for item in (line, label):
                item.setVisible(False)
                self.addItem(item, ignoreBounds=True)
        self.plotItem.vb.sigRangeChanged.connect(self._place_ice)
        self.set_theme(DARK)

    def show_profile(self, q: NDArray[np.float32], profile: NDArray[np.float32]) -> None:
        """Draw ``(n,)`` of q in 1/Angstrom and the mean in ADU."""
        self._curve.setData(q, profile)
        if len(q):
            top = float(profile.max())
            bottom = min(float(profile.min()), 0.0)
            self.plotItem.vb.setRange(
                xRange=(0.0, float(q[-1])), yRange=(bottom, bottom + 1.25 * max(top - bottom, 1e-6)), padding=0
            )

    def set_ice_visible(self, visible: bool) -> None:
        """Show or hide the positions of ice rings."""
        self._ice_visible = visible
        self._place_ice()

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        super().set_theme(theme)
        if not hasattr(self, "_ice"):
            return
        for line, label in self._ice:
            line.setPen(style.line_pen(theme.multi_lattice, 1.0))
            label.setColor(theme.multi_lattice)
            label.fill = pg.mkBrush(theme.panel)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Show as many labels as there is room for."""
        super().resizeEvent(event)
        if hasattr(self, "_ice"):
            self.plotItem.getAxis("left").setStyle(showValues=self.plotItem.vb.height() >= _LEAST_VALUES_PX)
            self._place_ice()

    def _place_ice(self) -> None:
        """Put the labels of neighbours on different heights; leave out those that would still overlap."""
        (x0, x1), (y0, y1) = self.plotItem.vb.viewRange()
        px = (x1 - x0) / max(self.plotItem.vb.width(), 1.0)
        line_height = (y1 - y0) / max(self.plotItem.vb.height(), 1.0) * (AXIS_PX + 4)
        free = [-np.inf] * _LEVELS
        for (line, label), d in zip(self._ice, ICE_RINGS, strict=True):
            at = 1 / d
            inside = self._ice_visible and x0 < at < x1
            line.setVisible(inside)
            level = next((n for n in range(_LEVELS) if at - free[n] > _LABEL_PX * px), None)
            has_room = inside and level is not None and x0 + 15 * px < at < x1 - 15 * px
            label.setVisible(has_room)
            if has_room and level is not None:
                free[level] = at
                label.setPos(at, y1 - level * line_height)
