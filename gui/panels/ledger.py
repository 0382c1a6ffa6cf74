"""Where all frames are."""

from PyQt5.QtCore import pyqtSignal
from PyQt5.QtWidgets import QVBoxLayout

from braggwatch.gui.controllers.ledger import Check
from braggwatch.gui.controllers.ledger import Row as StateRow
from braggwatch.gui.panels.panel import Panel
from braggwatch.gui.panels.row_list import Cell, Row, RowList
from braggwatch.gui.panels.scrolled import Scrolled
from braggwatch.gui.theme import DARK, SPACE, Theme
from braggwatch.streamer.messages import State


class LedgerPanel(Panel):
    """Every state with its count; below them, always seen, whether they add up."""

    name = "ledger"
    title = "Ledger"

    state_clicked = pyqtSignal(str)

    def __init__(self) -> None:
        super().__init__()
        self.rows = RowList(stretched=0, right=(1, 2))
        self.rows.clicked.connect(self.state_clicked)
        self.body = Scrolled(self.rows)
        self.check = RowList(stretched=0, right=(1, 2))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, SPACE // 2)
        column.setSpacing(0)
        column.addWidget(self.body, 1)
        column.addWidget(self.check)
        self.set_theme(DARK)

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        super().set_theme(theme)
        for part in (self.rows, self.body, self.check):
            part.set_theme(theme)

    def show_rows(self, titles: tuple[str, str], rows: list[StateRow], check: Check) -> None:
        """Show all states and their sum."""
        heads = Row((Cell("frames", "quiet"), *(Cell(title, "quiet") for title in titles)), "Frames of the detector")
        self.body.set_empty("")
        self.rows.set_rows([heads, *map(_row, rows)])
        tone = "alarm" if check.alarm else "indexed"
        meaning = "Every frame of the detector must be in exactly one of these places"
        sums = Row((Cell("sum", "quiet"), Cell(check.run, bold=True), Cell(check.total, bold=True)), meaning)
        said = Row((Cell(check.text, tone, bold=check.alarm),), f"{check.text}\n{meaning}")
        self.check.set_rows([sums, said])
        self.check.show()

    def show_empty(self, why: str) -> None:
        """Show a sentence instead."""
        self.body.set_empty(why)
        self.check.hide()


def _row(row: StateRow) -> Row:
    number = row.tone if row.tone == "alarm" else "text"
    cells = Cell(row.word, "alarm" if row.tone == "alarm" else "text"), Cell(row.run, number), Cell(row.total, number)
    return Row(cells, row.meaning, row.tone, row.state if row.state in (State.HIT, State.INDEXED) else "")
