"""How good the merged data are, and when they will be good enough."""

from collections.abc import Mapping
from typing import get_args

from PyQt5.QtCore import QSize, Qt, pyqtSignal
from PyQt5.QtGui import QResizeEvent
from PyQt5.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QStackedLayout,
    QTabBar,
    QVBoxLayout,
    QWidget,
)

from braggwatch.gui import style
from braggwatch.gui.controllers.merging_view import MergingShown, ShellQuantity, TargetShown
from braggwatch.gui.panels.fitting_label import FittingLabel
from braggwatch.gui.panels.merging_progress import ProgressPlot
from braggwatch.gui.panels.merging_shells import ShellsPlot
from braggwatch.gui.panels.merging_tables import FactList, ShellTable
from braggwatch.gui.panels.panel import Panel
from braggwatch.gui.panels.scrolled import Scrolled
from braggwatch.gui.panels.target_editor import TargetEditor
from braggwatch.gui.theme import DARK, SPACE, Theme

_WIDE = 640
"""px from which on there are two columns."""
_TALL = 400
"""px below the lines of text from which on there are two rows."""
_VERDICT_PX = 15, 20, 32
_TABS = {
    (False, False): (("Numbers", (1, 0)), ("Progress", (0, 0)), ("Shells", (0, 1)), ("Table", (1, 1))),
    (False, True): (("Progress", (None, 0)), ("By resolution", (None, 1))),
    (True, False): (("Plots", (0, None)), ("Numbers", (1, None))),
    (True, True): (),
}  # fmt: skip
"""By whether it is wide and tall: what can be chosen, and which row and column of the parts that shows; None: both."""
_VERDICT_MEANING = (
    "When the target will be reached, from now: the median of 500 drawn futures, and in brackets what 80 % of them lie "
    "within"
)


class MergingPanel(Panel):
    """A verdict in words, two plots, and two tables: as many at once as there is room for."""

    name = "merging"
    title = "Merging"
    shell_clicked = pyqtSignal(int)
    moment_clicked = pyqtSignal(int)
    group_clicked = pyqtSignal(str)
    target_wanted = pyqtSignal()
    target_edited = pyqtSignal(object)
    confirmed = pyqtSignal()
    cancelled = pyqtSignal()
    undo_wanted = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.verdict = FittingLabel(px=_VERDICT_PX[1], bold=True)
        self.verdict.setToolTip(_VERDICT_MEANING)
        self.quality = FittingLabel(px=style.TEXT_PX)
        self.quality.setToolTip(
            "CC½ of the outermost shell to the target's resolution, completeness and multiplicity of all reflections "
            "to it"
        )
        self.target = FittingLabel(quiet=True)
        self.target.setToolTip("What the data are to reach, at which resolution in Å")
        self.progress, self.shells = ProgressPlot(), ShellsPlot()
        self.facts, self.table = FactList(), ShellTable()
        self._parts: dict[tuple[int, int], QWidget] = {
            (0, 0): self.progress,
            (0, 1): self.shells,
            (1, 0): self.facts,
            (1, 1): self.table,
        }
        self.progress.moment_clicked.connect(self.moment_clicked)
        self.facts.group_clicked.connect(self.group_clicked)
        for part in (self.shells, self.table):
            part.shell_clicked.connect(self.shell_clicked)
        self._make_target()
        self._empty = QLabel()
        self._empty.setWordWrap(True)
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._empty.setMargin(2 * SPACE)
        self._shape: tuple[bool, bool] | None = None
        self._lay_out()
        self.set_theme(DARK)
        self.show_line("")
        self.show_empty("")

    def _make_target(self) -> None:
        self.change = QPushButton("Target…")
        self.change.clicked.connect(self.target_wanted)
        self.change.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.editor = TargetEditor()
        self.editor.edited.connect(self.target_edited)
        self.editor.confirmed.connect(self.confirmed)
        self.editor.cancelled.connect(self.cancelled)
        self.editor.undo_wanted.connect(self.undo_wanted)
        self.line = FittingLabel(quiet=True)

    def _lay_out(self) -> None:
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(0, SPACE // 2, 0, 0)
        column.setSpacing(0)
        for label in (self.verdict, self.quality, self.target, self.line):
            label.setContentsMargins(SPACE, 0, SPACE, 0)
        column.addWidget(self.verdict)
        column.addWidget(self.quality)
        self._target_line = QHBoxLayout()
        self._target_line.addWidget(self.target, 1)
        self._target_line.addWidget(self.change)
        self._target_line.setContentsMargins(0, 0, SPACE, 0)
        column.addLayout(self._target_line)
        column.addWidget(self.line)
        self.tabs = QTabBar()
        self.tabs.setDrawBase(False)
        self.tabs.setExpanding(False)
        self.tabs.setUsesScrollButtons(False)
        self.tabs.setStyleSheet(f"QTabBar::tab {{ padding: 3px {SPACE - 1}px }}")
        self.tabs.setElideMode(Qt.TextElideMode.ElideRight)
        self.tabs.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.tabs.currentChanged.connect(self._show_parts)
        self.tabs.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        column.addWidget(self.tabs)
        self._grid_of_parts = QWidget()
        grid = QGridLayout(self._grid_of_parts)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(SPACE // 2)
        for (row, at), part in self._parts.items():
            part.setMinimumSize(20, 20)
            part.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Ignored)
            grid.addWidget(part, row, at)
        for i in (0, 1):
            grid.setColumnStretch(i, 1)
            grid.setRowStretch(i, 1)
        self._grid = grid
        body = QWidget()
        self._body = QStackedLayout(body)
        self._body.addWidget(self._grid_of_parts)
        self._scrolled_editor = Scrolled(self.editor)
        self._body.addWidget(self._scrolled_editor)
        column.addWidget(body, 1)
        self._pages = QStackedLayout(self)
        self._pages.addWidget(self._empty)
        self._pages.addWidget(content)

    # -- setters ------------------------------------------------------------------------------------------------

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        super().set_theme(theme)
        for part in (self.verdict, self.quality, self.target, self.line, self.progress, self.shells, self.facts,
                     self.table, self.editor, self._scrolled_editor):  # fmt: skip
            part.set_theme(theme)
        self._empty.setStyleSheet(f"color: {theme.quiet}")

    def show_merging(self, shown: MergingShown) -> None:
        """Show it."""
        self._pages.setCurrentIndex(1)
        self.verdict.set_tone(shown.verdict.tone)
        self.verdict.set_texts(*shown.verdict.texts)
        self.quality.set_texts(*shown.quality)
        self.target.set_texts(*shown.target)
        self.progress.show_progress(shown.progress)
        self.shells.show_shells(shown.shells)
        self.facts.show_facts(shown.facts, shown.groups)
        self.table.show_table(shown.table)

    def show_empty(self, why: str) -> None:
        """Show a sentence instead."""
        self._empty.setText(why)
        self._pages.setCurrentIndex(0)

    @property
    def empty(self) -> str:
        """The sentence that is shown instead of everything; empty while there is something to see."""
        return self._empty.text() if self._pages.currentIndex() == 0 else ""

    def show_target(self, shown: TargetShown | None) -> None:
        """Let the user edit a target; None: not any more."""
        self.change.setText("Target…" if shown is None else "Back")
        self._body.setCurrentIndex(0 if shown is None else 1)
        self.tabs.setVisible(shown is None and self.tabs.count() > 0)
        if shown is not None:
            self.editor.show_target(shown)

    def set_can_change(self, why_not: str) -> None:
        """Enable the button that begins to edit, where there is no reason against it."""
        self.change.setEnabled(not why_not)
        self.change.setToolTip(why_not or "Change what the data are to reach; you see what would change first")

    def show_line(self, line: str) -> None:
        """Say how a change ended."""
        self.line.set_texts(line)
        self.line.setToolTip(line)
        self.line.setVisible(bool(line))

    # -- what is shown where ------------------------------------------------------------------------------------

    def chosen(self) -> dict[str, str]:
        """Return which statistic is drawn, and against what."""
        return {"shells": self.shells.quantity, "progress": self.progress.choice.name}

    def choose(self, chosen: Mapping[str, str]) -> None:
        """Draw what was drawn at the last start."""
        if chosen.get("shells") in get_args(ShellQuantity):
            self.shells.choice.choose(chosen["shells"])
        self.progress.choice.choose(chosen.get("progress", ""))

    def sizeHint(self) -> QSize:
        """Return a size at which everything is seen."""
        return QSize(760, 560)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Show as many parts at once as there is room for."""
        super().resizeEvent(event)
        small = self.width() < 420 or self.height() < 240
        large = self.width() >= 1600 and self.height() >= 900
        self.verdict.setFont(style.font(_VERDICT_PX[0 if small else 2 if large else 1], bold=True))
        self.verdict.updateGeometry()
        for widget in (self.target, self.change):
            widget.setVisible(self.height() >= 200)
        self.quality.setVisible(self.height() >= 110)
        shape = self.width() >= _WIDE, self.height() - 90 >= _TALL
        if shape != self._shape:
            self._shape = shape
            self._make_tabs()
        self._show_parts()

    def _make_tabs(self) -> None:
        assert self._shape is not None
        blocked = self.tabs.blockSignals(True)
        while self.tabs.count():
            self.tabs.removeTab(0)
        for text, _ in _TABS[self._shape]:
            self.tabs.addTab(text)
        self.tabs.blockSignals(blocked)
        self.tabs.setVisible(self.tabs.count() > 0 and self._body.currentIndex() == 0)

    def _show_parts(self) -> None:
        if self._shape is None:
            return
        choice = _TABS[self._shape]
        row, column = choice[max(self.tabs.currentIndex(), 0)][1] if choice else (None, None)
        for (i, j), part in self._parts.items():
            part.setVisible(row in (None, i) and column in (None, j))
        for i in (0, 1):  # the plots have more to say than the tables
            self._grid.setRowStretch(i, (3, 2)[i] if row in (None, i) else 0)
            self._grid.setColumnStretch(i, 1 if column in (None, i) else 0)
