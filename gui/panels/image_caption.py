"""The line above the picture: which shot it is, and what its marks mean."""

from html import escape

from PyQt5.QtCore import Qt
from PyQt5.QtGui import QFont, QFontMetrics, QResizeEvent
from PyQt5.QtWidgets import QHBoxLayout, QLabel, QWidget

from braggwatch.gui.image_layers import Layer
from braggwatch.gui.image_spots import Spots
from braggwatch.gui.mask_sources import SOURCES
from braggwatch.gui.theme import DARK, SPACE, TITLE_PX, Theme
from braggwatch.streamer.wording import count

_OF_SPOTS = "Spots found, those that lattices explain, and reflections predicted from these"
_OF_MASK = (
    "How many pixels are masked by: the geometry (or are on no panel), the detector itself (its header), "
    "ignored_panels, the file of [detector] mask, and the calibration (noise, dark or gain rule them out). A pixel "
    "that several mask has the colour of the first."
)


class Caption(QWidget):
    """Says as much as there is room for, the most important part first."""

    def __init__(self) -> None:
        super().__init__()
        self.theme = DARK
        self._parts: tuple[str, ...] = ()
        self._old = False
        self._marks: list[tuple[str, str, int, str]] = []
        self._layer: list[tuple[str, str, int, str]] | None = None
        """What the colours of a mask mean; None where spots are meant."""
        self._which, self._legend = QLabel(), QLabel()
        layout = QHBoxLayout(self)
        layout.setContentsMargins(SPACE, 2, SPACE, 2)
        layout.setSpacing(SPACE)
        font = QFont(self.font())
        font.setPixelSize(TITLE_PX)
        for label in (self._which, self._legend):
            label.setFont(font)
            label.setTextFormat(Qt.TextFormat.RichText)
            label.setMinimumWidth(1)
            layout.addWidget(label)
        layout.setStretch(0, 1)
        self._legend.setToolTip(_OF_SPOTS)
        self._legend.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        self.theme = theme
        self._write()

    def set_parts(self, parts: tuple[str, ...], old: bool) -> None:
        """Say which shot it is; `old`: in quiet colours."""
        self._parts, self._old = parts, old
        self._which.setToolTip(
            "The frame's number in its run · how it was judged · its group, where shots are grouped · "
            "d spacing within which 95 % of its spots lie · why it is shown · when its result came"
        )
        self._write()

    def set_spots(self, spots: Spots, predicted: bool) -> None:
        """Say how many spots of each kind are drawn."""
        self._marks = [
            ("○", "found", len(spots.found) + len(spots.indexed) + len(spots.further), "hit"),
            ("○", "indexed", len(spots.indexed), "indexed"),
        ]
        if len(spots.further):
            self._marks.append(("○", "of further lattices", len(spots.further), "multi_lattice"))
        if predicted and len(spots.predicted):
            self._marks.append(("□", "predicted", len(spots.predicted), "predicted"))
        self._write()

    def set_layer(self, layer: Layer) -> None:
        """Say what the colours of a mask mean, or of other maps nothing."""
        self._layer = None
        if layer.kind != "image":
            self._layer = [
                ("■", source.name, n, source.colour) for source, n in zip(SOURCES, layer.masked_by, strict=False) if n
            ]
        self._legend.setToolTip(_OF_MASK if layer.kind == "mask" else _OF_SPOTS)
        self._write()

    def _write(self) -> None:
        theme = self.theme
        metrics = QFontMetrics(self._which.font())
        room = self.width() - 3 * SPACE
        parts = self._parts
        legend = self._legend_in(room - metrics.horizontalAdvance(" · ".join(parts[:3])) - 4 * SPACE, metrics)
        room -= metrics.horizontalAdvance(_bare(legend)) + (2 * SPACE if legend else 0)
        while len(parts) > 1 and metrics.horizontalAdvance(" · ".join(parts)) * 1.06 > room:
            parts = parts[:-1]
        colour = theme.quiet if self._old else theme.text
        words = [f"<b>{escape(part)}</b>" if i == 0 else escape(part) for i, part in enumerate(parts)]
        self._which.setText(f"<span style='color: {colour}'>{' · '.join(words)}</span>")
        self._legend.setText(
            "&nbsp;&nbsp; ".join(
                f"<span style='color: {getattr(theme, name)}'>{escape(symbol)}</span>"
                f"<span style='color: {theme.quiet}'> {escape(text)}</span>"
                for symbol, text, name in legend
            )
        )

    def _legend_in(self, room: float, metrics: QFontMetrics) -> list[tuple[str, str, str]]:
        """Return the legend with words, with numbers alone, or not at all, as there is room."""
        if not self._parts:
            return []
        marks = self._marks if self._layer is None else self._layer
        for worded in (True, False):
            legend = [(symbol, f"{count(n)} {word}" if worded else count(n), name) for symbol, word, n, name in marks]
            if metrics.horizontalAdvance(_bare(legend)) < room:
                return legend
        return []

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Say more, or less."""
        super().resizeEvent(event)
        self._write()


def _bare(legend: list[tuple[str, str, str]]) -> str:
    return "   ".join(f"{symbol} {text}" for symbol, text, _ in legend)
