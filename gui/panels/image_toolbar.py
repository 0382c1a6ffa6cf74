"""What can be done with the image, as small buttons; those that do not fit go into a menu at the end."""

from collections.abc import Callable, Sequence

import qtawesome
from PyQt5.QtCore import QSize, Qt, pyqtSignal
from PyQt5.QtWidgets import QAction, QActionGroup, QLineEdit, QMenu, QToolBar, QToolButton

from braggwatch.gui.image_layers import Layer, LayerKind
from braggwatch.gui.image_levels import Scale
from braggwatch.gui.monitor import Follow
from braggwatch.gui.panels.image_colours import COLOUR_MAPS, ColourMap
from braggwatch.gui.theme import AXIS_PX, SPACE, Theme
from braggwatch.streamer.wording import count

_ICON_PX = 18
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


class ImageToolbar(QToolBar):
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
        self.setIconSize(QSize(_ICON_PX, _ICON_PX))
        self.setMovable(False)
        self._icons: list[tuple[QAction | QToolButton, str, Callable[[Theme], str]]] = []
        self._theme: Theme | None = None
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
        self.edit_mask = self._switch("mdi6.draw", "Draw a mask (E)", _plain)
        self.edit_mask.setChecked(False)
        self.addSeparator()
        self.spots = self._switch("mdi6.circle-outline", "Spots found (S)", lambda theme: theme.hit)
        self.predicted = self._switch("mdi6.square-outline", "Reflections predicted (P)", lambda theme: theme.predicted)
        self.rings = self._switch("mdi6.bullseye", "Resolution rings (R)", lambda theme: theme.multi_lattice)
        self.centre = self._switch("mdi6.plus", "Beam centre (B)", lambda theme: theme.alarm)
        self.mask = self._switch("mdi6.texture-box", "Masked pixels in a colour of their own (M)", _plain)
        self.addSeparator()
        maps = [(name, name.capitalize()) for name in COLOUR_MAPS]
        self._maps = self._menu_button("mdi6.palette-outline", "Colours", maps, self.colour_map_chosen.emit)
        self._scales = self._menu_button("mdi6.chart-bell-curve", "Scale (L)", _SCALES, self.scale_chosen.emit)
        self.auto = self._button("mdi6.brightness-auto", "Levels from the pixels shown (A)")
        self.histogram = self._switch("mdi6.chart-histogram", "Histogram: levels by hand", _plain)
        self.histogram.setChecked(False)
        self.fit = self._button("mdi6.fit-to-page-outline", "The whole picture (double click)")
        self.addSeparator()
        self.copy = self._button("mdi6.content-copy", "Copy the picture with its overlays")
        self.save = self._button("mdi6.content-save-outline", "Save the picture with its overlays as PNG …")

    def set_state(self, live: bool, follow: Follow, number: int | None) -> None:
        """Say whether the view is live, what it follows, and which frame is shown."""
        if live != self._live:
            self._live = live
            self._icons = [entry for entry in self._icons if entry[0] is not self.pause]
            self._icons.append((self.pause, "mdi6.pause" if live else "mdi6.play", _plain))
            if self._theme is not None:
                self.set_theme(self._theme)
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

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        self._theme = theme
        for button, icon, colour in self._icons:
            button.setIcon(qtawesome.icon(icon, color=colour(theme), color_disabled=theme.line))
        self.setStyleSheet(
            f"QToolBar {{ background: {theme.panel}; border: none; spacing: 0px; padding: 0px }}"
            f"QToolBar::separator {{ background: transparent; width: {SPACE}px }}"
            f"QToolButton {{ border: none; padding: 2px; border-radius: 3px; color: {theme.text} }}"
            f"QToolButton:checked {{ background: {theme.line} }}"
            f"QToolButton:hover {{ background: {theme.line} }}"
            "QToolButton::menu-indicator { image: none }"
            f"QLineEdit {{ background: {theme.window}; color: {theme.text}; border: 1px solid {theme.line};"
            f" border-radius: 3px; font-size: {AXIS_PX}px; padding: 1px 3px }}"
        )

    def _button(self, icon: str, tip: str) -> QAction:
        action = QAction(self)
        action.setToolTip(tip)
        action.setText(tip)
        self.addAction(action)
        self._icons.append((action, icon, _plain))
        return action

    def _switch(self, icon: str, tip: str, colour: Callable[[Theme], str]) -> QAction:
        action = self._button(icon, tip)
        self._icons[-1] = (action, icon, colour)
        action.setCheckable(True)
        action.setChecked(True)
        return action

    def _menu_button(
        self, icon: str, tip: str, choices: Sequence[tuple[str, str]], chosen: Callable[[str], None]
    ) -> QActionGroup:
        button = QToolButton()
        button.setToolTip(tip)
        button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        menu = QMenu(button)
        group = QActionGroup(self)
        for name, text in choices:
            action = menu.addAction(text)
            action.setCheckable(True)
            action.setData(name)
            group.addAction(action)
        group.actions()[0].setChecked(True)
        group.triggered.connect(lambda action: chosen(action.data()))
        button.setMenu(menu)
        self.addWidget(button)
        self._icons.append((button, icon, _plain))
        return group

    def _check(self, group: QActionGroup, name: str) -> None:
        for action in group.actions():
            if action.data() == name:
                action.setChecked(True)

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


def _plain(theme: Theme) -> str:
    return theme.text
