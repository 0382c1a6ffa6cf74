"""Many shots in one picture, with their mean against resolution."""

from functools import partial

from PyQt5.QtCore import QSize, pyqtSignal
from PyQt5.QtGui import QResizeEvent
from PyQt5.QtWidgets import (
    QBoxLayout,
    QButtonGroup,
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from braggwatch.gui.controllers.powder import KINDS, PowderShown
from braggwatch.gui.panels.fitting_label import FittingLabel
from braggwatch.gui.panels.panel import Panel
from braggwatch.gui.panels.powder_picture import COLOURS, PowderPicture
from braggwatch.gui.panels.radial_profile import RadialProfile
from braggwatch.gui.theme import SPACE, Theme

_KIND_TEXTS = {"hits": "Hits", "all": "All", "spots": "Spots"}
_KIND_MEANINGS = {
    "hits": "Pixels of hits, added up",
    "all": "Pixels of all frames, blanks among them, added up",
    "spots": "Only the spots of every hit, each with its intensity above the background",
}


class PowderPanel(Panel):
    """The picture, its radial profile, and what to make them of."""

    name = "powder"
    title = "Virtual powder"
    kind_chosen = pyqtSignal(str)
    what_chosen = pyqtSignal(str)

    def __init__(self) -> None:
        super().__init__()
        self._has_profile = False
        self.summary = FittingLabel()
        self.summary.setToolTip("Of how many shots the picture is made. Sums are per pixel, in ADU.")
        self.summary.setContentsMargins(SPACE, 0, SPACE, 0)
        self.picture = PowderPicture()
        self.profile = RadialProfile()
        self._both = QWidget()
        self._beside = QBoxLayout(QBoxLayout.Direction.TopToBottom, self._both)
        self._beside.setContentsMargins(0, 0, 0, 0)
        self._beside.setSpacing(0)
        self._beside.addWidget(self.picture, 3)
        self._beside.addWidget(self.profile, 2)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, SPACE // 2, 0, 0)
        layout.setSpacing(SPACE // 2)
        layout.addWidget(self._made_controls())
        layout.addWidget(self.summary)
        layout.addWidget(self._both, 1)
        self.set_theme(self.theme)

    def _made_controls(self) -> QWidget:
        self.kinds, self.whats = QButtonGroup(self), QButtonGroup(self)
        controls = QWidget()
        line = QHBoxLayout(controls)
        line.setContentsMargins(SPACE // 2, 0, SPACE // 2, 0)
        line.setSpacing(SPACE // 4)
        self._buttons: dict[str, QToolButton] = {}
        for group, names, texts, tell in (
            (self.kinds, KINDS, _KIND_TEXTS, self.kind_chosen),
            (self.whats, ("sum", "maximum"), {"sum": "Sum", "maximum": "Max"}, self.what_chosen),
        ):
            for name in names:
                button = QToolButton()
                button.setText(texts[name])
                button.setCheckable(True)
                button.setChecked(name == names[0])
                button.setToolTip(_KIND_MEANINGS.get(name, f"Show each pixel's {name}"))
                button.clicked.connect(partial(tell.emit, name))
                group.addButton(button)
                self._buttons[name] = button
                line.addWidget(button)
            line.addStretch(1)
        self.rings, self.ice = QCheckBox("Rings"), QCheckBox("Ice")
        self.rings.setChecked(True)
        self.rings.setToolTip("Rings of equal resolution, labelled in Å")
        self.ice.setToolTip("Where hexagonal ice diffracts, Å, in the radial profile")
        self.rings.toggled.connect(self.picture.set_rings_visible)
        self.ice.toggled.connect(self.profile.set_ice_visible)
        self.colours = QComboBox()
        self.colours.addItems(COLOURS)
        self.colours.setToolTip("Colours of the picture; levels follow its percentiles")
        self.colours.currentTextChanged.connect(self.picture.set_colours)
        self._optional = (self.rings, self.ice, self.colours)
        for widget in self._optional:
            line.addWidget(widget)
        line.addStretch(6)
        return controls

    def show_powder(self, shown: PowderShown) -> None:
        """Draw it."""
        self.picture.set_empty("")
        self.picture.show_picture(shown.picture, shown.masked, shown.levels, shown.rings)
        self._buttons["maximum"].setEnabled(shown.has_maximum)
        self._has_profile = len(shown.q) > 0
        self.profile.show_profile(shown.q, shown.profile)
        self.summary.set_texts(shown.of[0].upper() + shown.of[1:])
        self._arrange()

    def show_empty(self, why: str) -> None:
        """Show a sentence instead."""
        self._has_profile = False
        self.summary.set_texts("")
        self.picture.set_empty(why)
        self._arrange()

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        super().set_theme(theme)
        for widget in (self.summary, self.picture, self.profile):
            widget.set_theme(theme)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Put the profile beside the picture or below it, or leave it out."""
        super().resizeEvent(event)
        self._arrange()

    def sizeHint(self) -> QSize:
        """Return a size that shows everything."""
        return QSize(420, 480)

    def _arrange(self) -> None:
        wide = self.width() > 1.3 * self.height()
        direction = QBoxLayout.Direction.LeftToRight if wide else QBoxLayout.Direction.TopToBottom
        if self._beside.direction() != direction:
            self._beside.setDirection(direction)
        room = self.width() > 400 and self.height() > 150 if wide else self.height() > 300
        self.profile.setVisible(self._has_profile and room)
        self.summary.setVisible(self.height() > 150 and bool(self.summary.text))
        for n, widget in enumerate(self._optional):
            widget.setVisible(self.width() > (330, 380, 470)[n])
