"""The boxes in which is chosen what the rates show."""

from collections.abc import Mapping

from PyQt5.QtWidgets import QComboBox, QHBoxLayout, QWidget

from braggwatch.gui.controllers.rates import SPANS, WINDOWS
from braggwatch.gui.controllers.rates_by_group import KINDS
from braggwatch.gui.theme import SPACE

_LEAST_PX, _LEAST_TIME_PX = 56, 78
"""Width in a narrow dock."""
_ALL = "all"


class RatesBoxes(QWidget):
    """Three boxes beside each other: what is drawn, of which time, and over how long."""

    def __init__(self) -> None:
        super().__init__()
        self.kind, self.span, self.window_box = QComboBox(), QComboBox(), QComboBox()
        self.kind.setToolTip("Curves of all shots together, or one for each group of shots (G)")
        for kind, text in KINDS.items():
            self.kind.addItem(text, kind)
        self.span.setToolTip("What is shown: the last minutes, or the whole session")
        for seconds in SPANS:
            self.span.addItem("", seconds)
        self.window_box.setToolTip("How far each point of the curves looks back, seconds or minutes")
        for seconds in WINDOWS:
            self.window_box.addItem("", seconds)
        self.word(short=False)
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(SPACE // 2)
        for box, least in ((self.kind, _LEAST_PX), (self.span, _LEAST_TIME_PX), (self.window_box, _LEAST_TIME_PX)):
            box.setMinimumWidth(least)
            line.addWidget(box)

    def word(self, *, short: bool) -> None:
        """Say what is chosen, in a word less where there is no room for it."""
        for box, word in ((self.span, "last "), (self.window_box, "over ")):
            for row in range(box.count()):
                text = _time(box.itemData(row))
                box.setItemText(row, text if short or text == _ALL else word + text)

    def chosen(self) -> dict[str, str]:
        """Return what is chosen, by the box's name."""
        return {name: str(box.currentData()) for name, box in self._by_name().items()}

    def choose(self, chosen: Mapping[str, str]) -> None:
        """Choose it again, as if somebody had; what is not known is left as it is."""
        for name, box in self._by_name().items():
            known = [str(box.itemData(row)) for row in range(box.count())]
            if chosen.get(name) in known:
                box.setCurrentIndex(known.index(chosen[name]))
                box.activated.emit(box.currentIndex())

    def _by_name(self) -> dict[str, QComboBox]:
        return {"kind": self.kind, "span": self.span, "window": self.window_box}


def _time(seconds: int) -> str:
    if not seconds:
        return _ALL
    return f"{seconds} s" if seconds < 60 else f"{seconds // 60} min"
