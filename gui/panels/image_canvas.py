"""The picture itself, drawn for the zoom at which it is seen."""

import math

import numpy as np
import pyqtgraph as pg
from PyQt5.QtCore import QEvent, QPointF, pyqtSignal
from PyQt5.QtGui import QColor, QResizeEvent

from braggwatch.gui.image_layers import LayerKind
from braggwatch.gui.image_levels import Histogram, Levels, LevelsFor, Scale
from braggwatch.gui.image_picture import Drawing, Picture
from braggwatch.gui.mask_picture import MaskPicture
from braggwatch.gui.mask_sources import SOURCES
from braggwatch.gui.panels.image_box import ImageBox
from braggwatch.gui.panels.image_colours import EDITED_ALPHA, ColourMap, colour_table, edited_colour, mask_table
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
        self.layer: LayerKind = "image"
        self.manuals: dict[LayerKind, Levels] = {}
        """Levels chosen by hand, by layer; else they are chosen from the histogram."""
        self.earlier: dict[LayerKind, LevelsFor] = {}
        """Chosen by hand at the last start; taken for the first picture of a layer, if that has the same shape."""
        self._mask_picture: MaskPicture | None = None
        self._said: tuple[object, object] = (None, None)
        self._drawn: tuple[object, ...] = ()
        self.ci.layout.setContentsMargins(0, 0, 0, 0)
        self.box = ImageBox()
        self.addItem(self.box)
        self._item = pg.ImageItem(axisOrder="row-major")
        self.box.addItem(self._item, ignoreBounds=True)
        self._mask_item = pg.ImageItem(axisOrder="row-major")
        self.box.addItem(self._mask_item, ignoreBounds=True)
        self._numbers = PixelNumbers()
        self.box.addItem(self._numbers, ignoreBounds=True)
        self.overlays = Overlays(self.box)
        self.box.sigRangeChanged.connect(self.redraw)
        self.box.sigRangeChanged.connect(self.overlays.fit_to_view)
        self.scene().sigMouseMoved.connect(self._point)

    @property
    def levels(self) -> Levels:
        """The levels in force at this zoom."""
        if self.layer == "mask":
            return Levels(0.0, float(len(SOURCES)))
        if self.manual is not None:
            return self.manual
        if self.picture is None:
            return Levels(0.0, 1.0)
        index = self.picture.level_for(self._size())
        return Levels.chosen(self.picture.levels[index].histogram, self.scale_name, index)

    @property
    def manual(self) -> Levels | None:
        """Those that were chosen by hand for the layer shown; None: chosen from the histogram."""
        return self.manuals.get(self.layer)

    @manual.setter
    def manual(self, levels: Levels | None) -> None:
        if levels is None:
            self.manuals.pop(self.layer, None)
        else:
            self.manuals[self.layer] = levels

    @property
    def levels_by_hand(self) -> dict[LayerKind, LevelsFor]:
        """The levels chosen by hand, now or at the last start, by layer, and for which images."""
        if self.picture is None:
            return self.earlier
        shape = self.picture.assembly.detector.shape
        return self.earlier | {layer: LevelsFor(levels, shape) for layer, levels in self.manuals.items()}

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        self.theme = theme
        self.setBackground(theme.panel)
        self.overlays.set_theme(theme)
        self.redraw()

    def set_picture(self, picture: Picture | None, shape: tuple[int, int]) -> None:
        """Show a picture, or nothing where one of a shape would be; the zoom stays where the shape does."""
        self.picture = picture
        earlier = None if picture is None else self.earlier.pop(self.layer, None)
        if picture is not None and earlier is not None and self.manual is None:
            self.manual = earlier.levels if earlier.shape == picture.assembly.detector.shape else None
        if min(shape) > 0:
            self.box.set_extent(*shape)
        self.redraw()

    def set_mask_picture(self, mask: MaskPicture | None) -> None:
        """Draw a mask over the picture, or none; to be called again whenever it has changed."""
        self._mask_picture = mask
        self._draw_mask()

    def redraw(self) -> None:
        """Draw what is seen."""
        view, size = self.box.viewRect(), self._size()
        is_mask = self.layer == "mask"
        table = mask_table(self.theme) if is_mask else colour_table(self.colour_map, self.theme.masked)
        scale: Scale = "linear" if is_mask else self.scale_name
        wanted = (
            self.picture, view.getCoords(), size, self.levels, scale, self.colour_map, self.mask_shown, self.theme,
            self.layer,
        )  # fmt: skip
        if wanted == self._drawn:
            return
        self._drawn = wanted
        self.drawing = None
        if self.picture is not None:
            left, top, right, bottom = view.getCoords()
            self.drawing = self.picture.draw(
                left, top, right, bottom, size, self.levels, scale, self.mask_shown and not is_mask
            )
        if self.drawing is None:
            self._item.clear()
        else:
            self._item.setImage(self.drawing.colours, autoLevels=False, levels=None, lut=table)
            self._item.setRect(*self.drawing.rectangle)
        self._numbers.set_drawing(self.picture, self.drawing, table, size)
        self._draw_mask()
        self._tell()

    def _draw_mask(self) -> None:
        """Draw the mask that is being edited, as far as it belongs to what is shown."""
        mask, drawing = self._mask_picture, None
        if mask is not None and self.picture is not None and mask.assembly is self.picture.assembly:
            left, top, right, bottom = self.box.viewRect().getCoords()
            drawing = mask.draw(left, top, right, bottom, self._size())
        if drawing is None:
            self._mask_item.clear()
            return
        table = np.zeros((256, 4), np.uint8)
        table[1] = (*QColor(edited_colour(self.colour_map)).getRgb()[:3], EDITED_ALPHA)
        self._mask_item.setImage(drawing.colours, autoLevels=False, levels=None, lut=table)
        self._mask_item.setRect(*drawing.rectangle)

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
