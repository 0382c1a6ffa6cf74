"""How the picture is moved with the mouse."""

from typing import Any, Protocol

import pyqtgraph as pg
from PyQt5.QtCore import QRectF, Qt

_MARGIN = 0.01
"""Left free around a picture that fits, as a part of its size."""
_CLOSEST = 4.0
"""Picture pixels across the box at the closest zoom."""


class Pen(Protocol):
    """What may take clicks and drags with the left button, instead of the picture being moved."""

    def click(self, event: Any) -> bool:
        """Take a click; False where it means nothing here."""

    def drag(self, event: Any) -> bool:
        """Take a drag; False where it means nothing here."""


class ImageBox(pg.ViewBox):
    """Square pixels, rows downwards. Wheel zooms at the cursor, drag pans, double click fits the picture.

    A picture that fits goes on to do so when the box changes its size, until it is moved.
    """

    def __init__(self) -> None:
        super().__init__(lockAspect=True, invertY=True, enableMenu=False, defaultPadding=0.0)
        self._extent = QRectF(0.0, 0.0, 1.0, 1.0)
        self._fits = True
        self.pen: Pen | None = None
        self.sigRangeChangedManually.connect(self._note_moved)
        self.sigResized.connect(self._keep_fitting)

    def set_extent(self, n_rows: int, n_columns: int) -> None:
        """Take the size of the picture; another size is fitted."""
        extent = QRectF(0.0, 0.0, float(n_columns), float(n_rows))
        if extent != self._extent and not extent.isEmpty():
            self._extent = extent
            farthest = 4.0 * max(n_rows, n_columns, 16)
            self.setLimits(
                minXRange=_CLOSEST, minYRange=_CLOSEST, maxXRange=farthest, maxYRange=farthest,
                xMin=-farthest, xMax=farthest, yMin=-farthest, yMax=farthest,
            )  # fmt: skip
            self.fit()

    def fit(self) -> None:
        """Show the whole picture."""
        self._fits = True
        self.setRange(self._extent, padding=_MARGIN)

    def _note_moved(self) -> None:
        self._fits = False

    def _keep_fitting(self) -> None:
        if self._fits:
            self.fit()

    def mouseClickEvent(self, event: Any) -> None:
        """Fit at the second click of two, unless a pen is at work."""
        if self.pen is not None and self.pen.click(event):
            event.accept()
        elif event.double() and event.button() == Qt.MouseButton.LeftButton:
            self.fit()
            event.accept()

    def mouseDragEvent(self, event: Any, axis: Any = None) -> None:
        """Pan with the left or the middle button, unless a pen takes it; there is no other drag."""
        if self.pen is not None and self.pen.drag(event):
            event.accept()
        elif event.button() in (Qt.MouseButton.LeftButton, Qt.MouseButton.MiddleButton):
            super().mouseDragEvent(event, axis)
        else:
            event.ignore()
