"""How strong the spots were at which resolution."""

import numpy as np
import pyqtgraph as pg
from PyQt5.QtCore import QPointF, QRectF, Qt, pyqtSignal
from PyQt5.QtGui import QResizeEvent
from PyQt5.QtWidgets import QHBoxLayout, QVBoxLayout

from braggwatch.gui import style
from braggwatch.gui.controllers.peakogram import PeakogramPicture
from braggwatch.gui.numbers import count
from braggwatch.gui.panels.colour_key import ColourKey, colours_of_counts
from braggwatch.gui.panels.fitting_label import FittingLabel
from braggwatch.gui.panels.panel import Panel
from braggwatch.gui.panels.plot import Plot, Quantity
from braggwatch.gui.panels.resolution_axis import ResolutionAxis
from braggwatch.gui.theme import AXIS_PX, SPACE, Theme

MEANING = (
    "Spots of all hits by resolution d (Å) and by their highest pixel (ADU, background included). The dashed line is "
    "where pixels saturate."
)
_LABELLED_FROM_PX = 220


class PeakogramPanel(Panel):
    """A map of counts with a logarithmic colour scale."""

    name = "peakogram"
    title = "Peakogram"
    bin_clicked = pyqtSignal(int, int)

    def __init__(self) -> None:
        super().__init__()
        self._picture: PeakogramPicture | None = None
        self.summary = FittingLabel()
        self.summary.setToolTip("Spots that were counted, of how many hits; and how many of them may be cut off.")
        self._key = ColourKey()
        d = Quantity("Resolution d", "Å")
        self.plot = Plot(d, Quantity("Highest pixel", "ADU"))
        left = pg.AxisItem("left")
        left.enableAutoSIPrefix(False)
        left.setLogMode(x=False, y=True)
        left.setLabel("Highest pixel (ADU)")
        self.plot.plotItem.setAxisItems({"bottom": ResolutionAxis("bottom", str(d)), "left": left})
        self._image = pg.ImageItem(axisOrder="col-major")
        self.plot.addItem(self._image)
        self._saturation = pg.InfiniteLine(
            angle=0, movable=False, label="saturation", labelOpts={"position": 0.02, "anchors": [(0, 1), (0, 1)]}
        )
        self._saturation.label.setFont(style.font(AXIS_PX))
        self.plot.addItem(self._saturation, ignoreBounds=True)
        self.plot.plotItem.vb.setMouseEnabled(x=False, y=False)
        self.plot.plotItem.vb.setToolTip(MEANING)
        self.plot.clicked.connect(self._tell_bin)
        self.plot.scene().sigMouseMoved.connect(self._hover)
        top = QHBoxLayout()
        top.setContentsMargins(SPACE, 0, SPACE, 0)
        top.addWidget(self.summary, 1)
        top.addWidget(self._key)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, SPACE // 2, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(top)
        layout.addWidget(self.plot, 1)
        self.set_theme(self.theme)

    def show_picture(self, picture: PeakogramPicture) -> None:
        """Draw it."""
        self._picture = picture
        self.plot.set_empty("")
        with np.errstate(divide="ignore"):
            logs = np.log10(np.where(picture.counts > 0, picture.counts, np.nan))
        most = float(np.nanmax(logs))
        self._image.setImage(logs, levels=(-0.3, max(most, 0.5)))
        (x0, x1), (y0, y1) = picture.inverse_d, picture.log10_max_value
        self._image.setRect(QRectF(x0, y0, x1 - x0, y1 - y0))
        used = np.flatnonzero(picture.counts.any(axis=0))
        step = (y1 - y0) / picture.counts.shape[1]
        bottom, top = y0 + used[0] * step, y0 + (used[-1] + 1) * step
        self._saturation.setVisible(picture.saturation is not None)
        if picture.saturation is not None:
            self._saturation.setValue(picture.saturation[0])
            if picture.saturation[0] < top + 1.5:
                top = max(top, picture.saturation[0] + 0.12 * (picture.saturation[0] - bottom))  # room for its label
        self.plot.plotItem.vb.setRange(xRange=(x0, x1), yRange=(bottom - 0.1, top + 0.1), padding=0)
        short = picture.detail.split(" (")[0]
        self.summary.set_texts(
            f"{picture.summary} · {picture.detail}", f"{picture.summary} · {short}", picture.detail, short
        )
        self._key.set_scale(colours_of_counts(self.theme), "1", count(int(picture.counts.max())), "spots")
        self._key.setVisible(self._wide())

    def show_empty(self, why: str) -> None:
        """Show a sentence instead."""
        self._picture = None
        self.summary.set_texts("")
        self._key.hide()
        self._saturation.hide()
        self.plot.set_empty(why)

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        super().set_theme(theme)
        self.plot.set_theme(theme)
        self.summary.set_theme(theme)
        self._key.set_theme(theme)
        colours = colours_of_counts(theme)
        self._image.setColorMap(colours)
        self._saturation.setPen(style.line_pen(theme.alarm, style=Qt.PenStyle.DashLine))
        self._saturation.label.setColor(theme.alarm)
        if self._picture is not None:
            self._key.set_scale(colours, "1", count(int(self._picture.counts.max())), "spots")

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Leave out the key where there is no room for it."""
        super().resizeEvent(event)
        self._key.setVisible(self._wide() and self._picture is not None)
        self._saturation.label.setVisible(self.height() > _LABELLED_FROM_PX)

    def _wide(self) -> bool:
        return self.width() > 480

    def _bin(self, x: float, y: float) -> tuple[int, int] | None:
        if self._picture is None:
            return None
        (x0, x1), (y0, y1) = self._picture.inverse_d, self._picture.log10_max_value
        n_d, n_values = self._picture.counts.shape
        i, j = int((x - x0) / (x1 - x0) * n_d // 1), int((y - y0) / (y1 - y0) * n_values // 1)
        return (i, j) if 0 <= i < n_d and 0 <= j < n_values else None

    def _tell_bin(self, x: float, y: float) -> None:
        at = self._bin(x, y)
        if at is not None:
            self.bin_clicked.emit(*at)

    def _hover(self, place: QPointF) -> None:
        view = self.plot.plotItem.vb
        point = view.mapSceneToView(place)
        at = self._bin(point.x(), point.y()) if view.sceneBoundingRect().contains(place) else None
        if at is None or self._picture is None:
            view.setToolTip(MEANING)
            return
        inverse_d = np.linspace(*self._picture.inverse_d, self._picture.counts.shape[0] + 1)[at[0] : at[0] + 2]
        value = 10 ** np.linspace(*self._picture.log10_max_value, self._picture.counts.shape[1] + 1)[at[1] : at[1] + 2]
        to = f"{1 / inverse_d[0]:.2f}" if inverse_d[0] > 0 else "∞"
        spots = count(int(self._picture.counts[at]))
        view.setToolTip(
            f"{1 / inverse_d[1]:.2f} to {to} Å, {value[0]:.0f} to {value[1]:.0f} ADU: {spots} spots\n"
            f"{MEANING}\nClick to see the shots behind this bin."
        )
