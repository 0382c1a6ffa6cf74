"""The image panel: one shot with what was found in it."""

from collections.abc import Mapping

from PyQt5.QtCore import Qt, pyqtSignal
from PyQt5.QtGui import QResizeEvent
from PyQt5.QtWidgets import QLabel, QVBoxLayout, QWidget

from braggwatch.gui.image_layers import LAYERS, Layer, LayerKind
from braggwatch.gui.image_levels import SCALES, Levels, LevelsFor, Scale
from braggwatch.gui.image_picture import Picture
from braggwatch.gui.image_rings import Ring
from braggwatch.gui.image_spots import Points, Spots
from braggwatch.gui.monitor import Follow
from braggwatch.gui.panels.image_canvas import ImageCanvas
from braggwatch.gui.panels.image_caption import Caption
from braggwatch.gui.panels.image_colours import COLOUR_MAPS, ColourMap
from braggwatch.gui.panels.image_export import PictureExport
from braggwatch.gui.panels.image_histogram import LevelsPlot
from braggwatch.gui.panels.image_sentence import Sentence
from braggwatch.gui.panels.image_toolbar import ImageToolbar
from braggwatch.gui.panels.mask_editor import MaskEditor
from braggwatch.gui.panels.panel import Panel
from braggwatch.gui.theme import AXIS_PX, SPACE, Theme

_TOOLBAR_FROM, _READOUT_FROM, _HISTOGRAM_FROM = 150, 120, 340
"""px of height that the panel must have for each of these."""
_EDITOR_FROM, _ANY_PX = 180, 16_777_215
"""The same for the mask editor, and Qt's word for a height without limit."""
_HISTOGRAM_PX = 104


class ImagePanel(Panel):
    """Shows a shot's pixels, marks, geometry and which shot it is."""

    name = "image"
    title = "Image"
    follow_wanted = pyqtSignal(str)
    """With ``frame``, ``hit`` or ``indexed``."""
    pause_wanted = pyqtSignal(bool)
    """True to pause, False to go live."""
    step_wanted = pyqtSignal(int)
    """By how many shots."""
    jump_wanted = pyqtSignal(int)
    """A frame number."""
    pointed = pyqtSignal(float, float)
    """Picture coordinates under the cursor."""
    predicted_shown = pyqtSignal(bool)
    """Whether predicted reflections are to be seen."""
    layer_chosen = pyqtSignal(str)
    """The name of a layer."""
    stage_chosen = pyqtSignal(int)
    """The number of a gain stage."""
    trouble = pyqtSignal(str)
    """A sentence on what did not work."""

    def __init__(self) -> None:
        super().__init__()
        self._spots = Spots()
        self._frame: int | None = None
        self._readout_text = ""
        self.canvas, self.caption, self.toolbar, self.plot = ImageCanvas(), Caption(), ImageToolbar(), LevelsPlot()
        self.readout = QLabel()
        self.readout.setToolTip(
            "Under the cursor: value of the layer and of the shot · image coordinates fs and ss in pixels, the centre "
            "of the first pixel at 0.5 · panel · resolution in Å"
        )
        self.readout.setMinimumWidth(1)
        self.sentence = Sentence(self.canvas)
        self.mask_editor = MaskEditor(self.canvas)
        self._sheet = QWidget()
        for part in (self, self.caption, self._sheet):
            part.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        sheet = QVBoxLayout(self._sheet)
        layout = QVBoxLayout(self)
        for box in (sheet, layout):
            box.setContentsMargins(0, 0, 0, 0)
            box.setSpacing(0)
        sheet.addWidget(self.caption)
        sheet.addWidget(self.canvas, 1)
        layout.addWidget(self.toolbar)
        layout.addWidget(self.mask_editor)
        layout.addWidget(self._sheet, 1)
        layout.addWidget(self.plot)
        layout.addWidget(self.readout)
        self.plot.setFixedHeight(_HISTOGRAM_PX)
        self.export = PictureExport(self._sheet)
        self.export.trouble.connect(self.trouble)
        self._connect()
        self.set_theme(self.theme)
        self._make_room()

    def _connect(self) -> None:
        bar, canvas = self.toolbar, self.canvas
        for signal, ours in (
            (bar.follow_wanted, self.follow_wanted), (bar.pause_wanted, self.pause_wanted),
            (bar.step_wanted, self.step_wanted), (bar.jump_wanted, self.jump_wanted), (canvas.pointed, self.pointed),
            (bar.layer_chosen, self.layer_chosen), (bar.stage_chosen, self.stage_chosen),
        ):  # fmt: skip
            signal.connect(ours)
        for switch in (bar.spots, bar.predicted, bar.rings, bar.centre, bar.mask):
            switch.toggled.connect(self._show_overlays)
        bar.predicted.toggled.connect(self.predicted_shown)
        bar.histogram.toggled.connect(self._make_room)
        bar.edit_mask.toggled.connect(self._open_mask_editor)
        self.mask_editor.asking_changed.connect(self._make_room)
        bar.colour_map_chosen.connect(self._set_colour_map)
        bar.scale_chosen.connect(self.set_scale)
        bar.auto.triggered.connect(self.auto_levels)
        bar.fit.triggered.connect(self.fit)
        bar.copy.triggered.connect(self.export.copy)
        bar.save.triggered.connect(lambda: self.export.ask_where(self._frame))
        canvas.levels_changed.connect(self.plot.set_levels)
        canvas.histogram_changed.connect(self.plot.set_histogram)
        self.plot.levels_dragged.connect(self._set_levels)

    # -- what the controller says -------------------------------------------------------------------------------

    def set_picture(self, picture: Picture | None, shape: tuple[int, int]) -> None:
        """Show a picture, or an empty place of a picture's size."""
        self.canvas.set_picture(picture, shape)
        if self.canvas.layer != "image":
            self._show_overlays()
        self._make_room()
        self._place_sentence()

    def set_layer(self, layer: Layer) -> None:
        """Say what the next picture shows."""
        self.canvas.layer = layer.kind
        self.toolbar.set_layer(layer)
        self.caption.set_layer(layer)
        self._show_overlays()
        self.plot.set_unit(layer.unit)
        self.mask_editor.set_layer(layer)

    def set_spots(self, spots: Spots) -> None:
        """Show what was found."""
        self._spots = spots
        self.canvas.overlays.set_spots(spots)
        self.caption.set_spots(spots, self.toolbar.predicted.isChecked())

    def set_pixels_above(self, points: Points) -> None:
        """Mark pixels that are high enough to be part of a spot."""
        self.canvas.overlays.set_pixels_above(points)

    def set_trial_spots(self, points: Points) -> None:
        """Show what would be found with the settings that are tried."""
        self.canvas.overlays.set_trial_spots(points)

    def set_geometry(self, rings: tuple[Ring, ...], centre: tuple[float, float] | None) -> None:
        """Show rings of equal resolution and the beam centre."""
        self.canvas.overlays.set_geometry(rings, centre)
        self.mask_editor.set_beam(centre)

    def set_caption(self, parts: tuple[str, ...], *, old: bool) -> None:
        """Say which shot it is, the most important part first."""
        self.caption.set_parts(parts, old)

    def set_sentence(self, text: str) -> None:
        """Say why there is nothing to see; empty for nothing to say."""
        if text != self.sentence.text():
            self.sentence.setText(text)
            self._place_sentence()

    def set_state(self, live: bool, follow: Follow, number: int | None) -> None:
        """Say whether the view is live, what it follows, and the number of the frame shown."""
        self._frame = number
        self.toolbar.set_state(live, follow, number)

    def set_readout(self, text: str) -> None:
        """Say what is under the cursor."""
        self._readout_text = text
        room = self.readout.width() - 2 * SPACE
        self.readout.setText(self.readout.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, room))

    # -- what the window's shortcuts do -------------------------------------------------------------------------

    def toggle_log(self) -> None:
        """Take the logarithmic scale, or go back to the linear one."""
        self.set_scale("linear" if self.canvas.scale_name == "log" else "log")

    def next_layer(self) -> None:
        """Show the layer after the one that is shown, or after the last the image again."""
        self.layer_chosen.emit(LAYERS[(LAYERS.index(self.canvas.layer) + 1) % len(LAYERS)])

    def auto_levels(self) -> None:
        """Choose levels from the pixels, now and for every shot to come."""
        self.canvas.manual = None
        self.canvas.redraw()

    def fit(self) -> None:
        """Show the whole picture."""
        self.canvas.box.fit()

    def set_scale(self, scale: Scale) -> None:
        """Spread the shades evenly over the levels, or more of them over the weak pixels."""
        self.canvas.scale_name = scale
        self.toolbar.set_scale(scale)
        self.canvas.redraw()

    # -- the rest -----------------------------------------------------------------------------------------------

    def chosen(self) -> dict[str, str]:
        """Return colours and scale, and levels that were chosen by hand with the shape of the images they are for."""
        chosen: dict[str, str] = {"colours": self.canvas.colour_map, "scale": self.canvas.scale_name}
        by_hand = self.canvas.levels_by_hand
        return chosen | {_levels_of(layer): levels.as_text() for layer, levels in by_hand.items()}

    def choose(self, chosen: Mapping[str, str]) -> None:
        """Take colours and scale; levels wait for the first image, and are forgotten where that has another shape."""
        earlier = {layer: LevelsFor.from_text(chosen.get(_levels_of(layer), "")) for layer in LAYERS}
        self.canvas.earlier = {layer: levels for layer, levels in earlier.items() if levels is not None}
        for name in COLOUR_MAPS:
            if name == chosen.get("colours"):
                self.toolbar.set_colour_map(name)
                self._set_colour_map(name)
        for scale in SCALES:
            if scale == chosen.get("scale"):
                self.set_scale(scale)

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        super().set_theme(theme)
        for part in (self.canvas, self.caption, self.toolbar, self.plot, self.mask_editor, self.sentence):
            part.set_theme(theme)
        self.setStyleSheet(f"#{self.name} {{ background: {theme.panel} }}")
        self._sheet.setStyleSheet(f".QWidget, Caption {{ background: {theme.panel} }}")
        self.readout.setStyleSheet(
            f"color: {theme.quiet}; font-size: {AXIS_PX}px; padding: 2px {SPACE}px; background: {theme.panel}"
        )

    def _set_colour_map(self, name: ColourMap) -> None:
        self.canvas.colour_map = name
        self.canvas.redraw()
        self.mask_editor.set_colour()

    def _set_levels(self, low: float, high: float) -> None:
        self.canvas.manual = Levels.between(low, high)
        self.canvas.redraw()

    def _open_mask_editor(self, wanted: bool) -> None:
        self.mask_editor.open(wanted)
        self._make_room()

    def _show_overlays(self) -> None:
        bar, canvas = self.toolbar, self.canvas
        of_shot = canvas.layer == "image"  # what was found in a shot says nothing of a map
        has_place = of_shot or canvas.picture is not None
        canvas.overlays.show(
            spots=bar.spots.isChecked() and of_shot, predicted=bar.predicted.isChecked() and of_shot, trial=of_shot,
            centre=bar.centre.isChecked() and has_place, rings=bar.rings.isChecked() and has_place,
        )  # fmt: skip
        canvas.mask_shown = bar.mask.isChecked()
        canvas.redraw()
        self.caption.set_spots(self._spots, bar.predicted.isChecked())

    def _make_room(self) -> None:
        height = self.height()
        self.toolbar.setVisible(height >= _TOOLBAR_FROM)
        self.readout.setVisible(height >= _READOUT_FROM)
        editor_has_room = height >= _EDITOR_FROM or self.mask_editor.is_asking
        self.mask_editor.setMaximumHeight(_ANY_PX if editor_has_room else 0)
        canvas = self.canvas
        wanted = self.toolbar.histogram.isChecked() and canvas.picture is not None and canvas.layer != "mask"
        self.plot.setVisible(wanted and height >= _HISTOGRAM_FROM)

    def _place_sentence(self) -> None:
        self.sentence.place(below=self.canvas.picture is not None)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Leave out what there is no room for."""
        super().resizeEvent(event)
        self._make_room()
        layout = self.layout()
        if layout is not None:
            layout.activate()
        self.set_readout(self._readout_text)
        self._place_sentence()


def _levels_of(layer: LayerKind) -> str:
    """Return the name under which a layer's levels are remembered."""
    return "levels" if layer == "image" else f"levels of {layer}"
