"""The picture itself, drawn for the zoom at which it is seen."""

import math

import pyqtgraph as pg
from PyQt5.QtCore import QEvent, QPointF, pyqtSignal
from PyQt5.QtGui import QResizeEvent

from braggwatch.gui.image_levels import Histogram, Levels, LevelsFor, Scale
from braggwatch.gui.image_picture import Drawing, Picture
from braggwatch.gui.panels.image_box import ImageBox
from braggwatch.gui.panels.image_colours import ColourMap, colour_table
from braggwatch.gui.panels.image_numbers import PixelNumbers
from braggwatch.gui.panels.image_overlays import Overlays
from braggwatch.gui.theme import DARK, Theme


class ImageCanvas(pg.GraphicsLayoutWidget):
    """Draws what is seen of a picture: entries of a table of 256 colours, as many as the screen has pixels."""

    pointed = pyqtSignal(float, float)
    """Picture coordinates under the cursor."""
    levels_changed = pyqtSignal(Levels)
    """The levels by which the picture is drawn now."""
    histogram_changed = pyqtSignal(Histogram)
    """That of the pixels as they are drawn now: binned where the picture is seen from afar."""

    def __init__(self) -> None:
        super().__init__()
        self.theme = DARK
        self.picture: Picture | None = None
        self.drawing: Drawing | None = None
        self.scale_name: Scale = "linear"
        self.colour_map: ColourMap = "inverted grey"
        self.mask_shown = True
        self.manual: Levels | None = None
        """None: chosen from the histogram."""
        self.earlier: LevelsFor | None = None
        """Chosen by hand at the last start; taken for the first image, if that has the same shape."""
        self._said: tuple[object, object] = (None, None)
        self._drawn: tuple[object, ...] = ()
        self.ci.layout.setContentsMargins(0, 0, 0, 0)
        self.box = ImageBox()
        self.addItem(self.box)
        self._item = pg.ImageItem(axisOrder="row-major")
        self.box.addItem(self._item, ignoreBounds=True)
        self._numbers = PixelNumbers()
        self.box.addItem(self._numbers, ignoreBounds=True)
        self.overlays = Overlays(self.box)
        self.box.sigRangeChanged.connect(self.redraw)
        self.box.sigRangeChanged.connect(self.overlays.fit_to_view)
        self.scene().sigMouseMoved.connect(self._point)

    @property
    def levels(self) -> Levels:
        """The levels in force at this zoom."""
        if self.manual is not None:
            return self.manual
        if self.picture is None:
            return Levels(0.0, 1.0)
        index = self.picture.level_for(self._size())
        return Levels.chosen(self.picture.levels[index].histogram, self.scale_name, index)

    @property
    def levels_by_hand(self) -> LevelsFor | None:
        """The levels chosen by hand, now or at the last start, and for which images."""
        if self.manual is None or self.picture is None:
            return self.earlier
        return LevelsFor(self.manual, self.picture.assembly.detector.shape)

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        self.theme = theme
        self.setBackground(theme.panel)
        self.overlays.set_theme(theme)
        self.redraw()

    def set_picture(self, picture: Picture | None, shape: tuple[int, int]) -> None:
        """Show a picture, or nothing where one of a shape would be; the zoom stays where the shape does."""
        self.picture = picture
        if picture is not None and self.earlier is not None:
            if self.manual is None and self.earlier.shape == picture.assembly.detector.shape:
                self.manual = self.earlier.levels
            self.earlier = None
        if min(shape) > 0:
            self.box.set_extent(*shape)
        self.redraw()

    def redraw(self) -> None:
        """Draw what is seen."""
        view, size = self.box.viewRect(), self._size()
        table = colour_table(self.colour_map, self.theme.masked)
        wanted = (
            self.picture, view.getCoords(), size, self.levels, self.scale_name, self.colour_map, self.mask_shown,
            self.theme,
        )  # fmt: skip
        if wanted == self._drawn:
            return
        self._drawn = wanted
        self.drawing = None
        if self.picture is not None:
            left, top, right, bottom = view.getCoords()
            self.drawing = self.picture.draw(
                left, top, right, bottom, size, self.levels, self.scale_name, self.mask_shown
            )
        if self.drawing is None:
            self._item.clear()
        else:
            self._item.setImage(self.drawing.colours, autoLevels=False, levels=None, lut=table)
            self._item.setRect(*self.drawing.rectangle)
        self._numbers.set_drawing(self.picture, self.drawing, table, size)
        self._tell()

    def _size(self) -> float:
        """Return how many of the picture's pixels one of the screen covers."""
        return float(self.box.viewPixelSize()[0]) / self.devicePixelRatioF()

    def _tell(self) -> None:
        if self.picture is None:
            return
        histogram = self.picture.levels[self.picture.level_for(self._size())].histogram
        levels = self.levels
        if self._said[0] is not histogram:
            self.histogram_changed.emit(histogram)
        if self._said[1] != levels:
            self.levels_changed.emit(levels)
        self._said = histogram, levels

    def _point(self, position: QPointF) -> None:
        place = self.box.mapSceneToView(position)
        self.pointed.emit(place.x(), place.y())

    def leaveEvent(self, event: QEvent | None) -> None:
        """Point nowhere."""
        super().leaveEvent(event)
        self.pointed.emit(math.nan, math.nan)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Draw for the new size."""
        super().resizeEvent(event)
        if hasattr(self, "overlays"):  # the first one comes while the widget is being made
            self.redraw()
