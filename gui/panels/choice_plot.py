"""A plot under a row of buttons that choose what it shows."""

from functools import partial

import pyqtgraph as pg
from PyQt5.QtCore import pyqtSignal
from PyQt5.QtGui import QResizeEvent
from PyQt5.QtWidgets import QButtonGroup, QHBoxLayout, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from braggwatch.gui.panels.plot import Plot
from braggwatch.gui.theme import SPACE

_LEAST_UPRIGHT_PX, _LEAST_LABELLED_PX, _LEAST_BUTTONS_PX = 210, 160, 120


class Choice(QWidget):
    """A few small buttons of which one is pressed."""

    chosen = pyqtSignal(str)

    def __init__(self, entries: tuple[tuple[str, str, str], ...]) -> None:
        """Each entry has a name, a text and a tooltip."""
        super().__init__()
        self.name = entries[0][0]
        self.group = QButtonGroup(self)
        self.buttons: dict[str, QToolButton] = {}
        line = QHBoxLayout(self)
        line.setContentsMargins(SPACE // 2, 0, SPACE // 2, 0)
        line.setSpacing(SPACE // 4)
        for name, text, tip in entries:
            button = QToolButton()
            button.setText(text)
            button.setToolTip(tip)
            button.setCheckable(True)
            button.setChecked(name == self.name)
            button.setMinimumWidth(10)
            button.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
            button.clicked.connect(partial(self.choose, name))
            self.group.addButton(button)
            self.buttons[name] = button
            line.addWidget(button)
        line.addStretch(1)

    def choose(self, name: str) -> None:
        """Press a button; a name that there is none of is ignored."""
        if name in self.buttons:
            self.name = name
            self.buttons[name].setChecked(True)
            self.chosen.emit(name)


class ChoicePlot(QWidget):
    """The buttons above the plot; names of axes and then the buttons go where there is little room."""

    def __init__(self, plot: Plot, choice: Choice) -> None:
        super().__init__()
        self.plot, self.choice = plot, choice
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(choice)
        column.addWidget(plot, 1)
        plot.setMinimumHeight(10)

    def put_axes(self, axes: dict[str, pg.AxisItem]) -> None:
        """Put other axes in the place of the plot's, under the same names."""
        item = self.plot.plotItem
        names = {side: item.getAxis(side).labelText for side in axes}
        item.setAxisItems(axes)
        for side, axis in axes.items():
            axis.enableAutoSIPrefix(False)
            axis.setLabel(names[side])
        item.updateGrid()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Leave out what there is no room for."""
        super().resizeEvent(event)
        self.plot.plotItem.getAxis("bottom").showLabel(self.height() >= _LEAST_LABELLED_PX)
        self.plot.plotItem.getAxis("left").showLabel(self.height() >= _LEAST_UPRIGHT_PX)
        self.choice.setVisible(self.height() >= _LEAST_BUTTONS_PX)
