"""What can be done with the image, as small buttons; those that do not fit go into a menu at the end."""

from PyQt5.QtCore import Qt, pyqtSignal
from PyQt5.QtWidgets import QLineEdit

from braggwatch.gui.image_layers import Layer, LayerKind
from braggwatch.gui.image_levels import Scale
from braggwatch.gui.monitor import Follow
from braggwatch.gui.panels.icon_toolbar import IconToolbar
from braggwatch.gui.panels.image_colours import COLOUR_MAPS, ColourMap
from braggwatch.streamer.wording import count

_FOLLOW: tuple[tuple[Follow, str], ...] = (
    ("frame", "Latest frame"),
    ("hit", "Latest hit"),
    ("indexed", "Latest indexed"),
)
_SCALES: tuple[tuple[Scale, str], ...] = (
    ("linear", "Linear"),
    ("sqrt", "Square root"),
    ("log", "Logarithmic"),
)
_LAYERS: tuple[tuple[LayerKind, str], ...] = (
    ("image", "Image: the shot"),
    ("dark", "Dark, ADU"),
    ("noise", "Noise, ADU"),
    ("gain", "Gain, factor"),
    ("mask", "Mask: who masked a pixel"),
)
_STAGES = tuple((str(stage), f"Stage G{stage}") for stage in range(3))


class ImageToolbar(IconToolbar):
    """Buttons of the image panel."""

    follow_wanted = pyqtSignal(str)
    pause_wanted = pyqtSignal(bool)
    step_wanted = pyqtSignal(int)
    jump_wanted = pyqtSignal(int)
    colour_map_chosen = pyqtSignal(str)
    scale_chosen = pyqtSignal(str)
    layer_chosen = pyqtSignal(str)
    stage_chosen = pyqtSignal(int)

    def __init__(self) -> None:
        super().__init__()
        self._live = True
        self.pause = self._button("mdi6.pause", "Keep this shot, or go live (Space)")
        self.pause.triggered.connect(lambda: self.pause_wanted.emit(self._live))
        self._follow = self._menu_button(
            "mdi6.access-point", "What the live view follows (1, 2, 3)", _FOLLOW, self.follow_wanted.emit
        )
        self._button("mdi6.chevron-left", "The shot before (←)").triggered.connect(lambda: self.step_wanted.emit(-1))
        self._add_number()
        self._button("mdi6.chevron-right", "The next shot (→)").triggered.connect(lambda: self.step_wanted.emit(1))
        self.addSeparator()
        self.layers = self._menu_button(
            "mdi6.layers-outline", "Layer: the shot, or dark, noise, gain, mask (D)", _LAYERS, self.layer_chosen.emit
        )
        self._stages = self._menu_button(
            "mdi6.numeric", "Gain stage of the layer shown", _STAGES, lambda stage: self.stage_chosen.emit(int(stage))
        )
        self._stages_button = self.actions()[-1]
        self._stages_button.setVisible(False)
        self.edit_mask = self._switch("mdi6.draw", "Draw a mask (E)")
        self.edit_mask.setChecked(False)
        self.addSeparator()
        self.spots = self._switch("mdi6.circle-outline", "Spots found (S)", lambda theme: theme.hit)
        self.predicted = self._switch("mdi6.square-outline", "Reflections predicted (P)", lambda theme: theme.predicted)
        self.rings = self._switch("mdi6.bullseye", "Resolution rings (R)", lambda theme: theme.multi_lattice)
        self.centre = self._switch("mdi6.plus", "Beam centre (B)", lambda theme: theme.alarm)
        self.mask = self._switch("mdi6.texture-box", "Masked pixels in a colour of their own (M)")
        self.addSeparator()
        maps = [(name, name.capitalize()) for name in COLOUR_MAPS]
        self._maps = self._menu_button("mdi6.palette-outline", "Colours", maps, self.colour_map_chosen.emit)
        self._scales = self._menu_button("mdi6.chart-bell-curve", "Scale (L)", _SCALES, self.scale_chosen.emit)
        self.auto = self._button("mdi6.brightness-auto", "Levels from the pixels shown (A)")
        self.histogram = self._switch("mdi6.chart-histogram", "Histogram: levels by hand")
        self.histogram.setChecked(False)
        self.fit = self._button("mdi6.fit-to-page-outline", "The whole picture (double click)")
        self.addSeparator()
        self.copy = self._button("mdi6.content-copy", "Copy the picture with its overlays")
        self.save = self._button("mdi6.content-save-outline", "Save the picture with its overlays as PNG …")

    def set_state(self, live: bool, follow: Follow, number: int | None) -> None:
        """Say whether the view is live, what it follows, and which frame is shown."""
        if live != self._live:
            self._live = live
            self._set_icon(self.pause, "mdi6.pause" if live else "mdi6.play")
        self._check(self._follow, follow)
        if not self.number.hasFocus():
            self.number.setText("" if number is None else count(number))

    def set_layer(self, layer: Layer) -> None:
        """Say which layer is shown, of which gain stage where there are several."""
        self._check(self.layers, layer.kind)
        self._check(self._stages, str(layer.stage))
        self._stages_button.setVisible(layer.n_stages > 1)

    def set_colour_map(self, name: ColourMap) -> None:
        """Say which colours are in force."""
        self._check(self._maps, name)

    def set_scale(self, scale: Scale) -> None:
        """Say which scale is in force."""
        self._check(self._scales, scale)

    def _add_number(self) -> None:
        self.number = QLineEdit()
        self.number.setPlaceholderText("frame")
        self.number.setToolTip("Number of the frame shown; type another one to go there")
        self.number.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.number.setFixedWidth(76)
        self.number.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.number.returnPressed.connect(self._jump)
        self.addWidget(self.number)

    def _jump(self) -> None:
        digits = "".join(self.number.text().split())
        self.number.clearFocus()
        if digits.isdecimal() and len(digits) < 19:
            self.jump_wanted.emit(int(digits))
