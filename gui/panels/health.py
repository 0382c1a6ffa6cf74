"""How the processor is doing."""

from PyQt5.QtWidgets import QVBoxLayout

from braggwatch.gui.controllers.health import HealthShown, Line, WorkerRow
from braggwatch.gui.panels.panel import Panel
from braggwatch.gui.panels.row_list import Cell, Row, RowList
from braggwatch.gui.panels.scrolled import Scrolled
from braggwatch.gui.theme import DARK, Theme

_HEADS = Row(
    tuple(Cell(text, "quiet") for text in ("worker", "state", "frames/s", "busy", "restarts")),
    "Each worker: frames it did a second, which part of the time it computes, how often it was started anew",
)


class HealthPanel(Panel):
    """What flows, the workers, and what a person should know."""

    name = "health"
    title = "Health"

    def __init__(self) -> None:
        super().__init__()
        self.notices = RowList(stretched=1)
        self.lines = RowList(stretched=1)
        self.workers = RowList(stretched=0, right=(2, 3, 4))
        self.body = Scrolled(self.notices, self.lines, self.workers)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.body)
        self.set_theme(DARK)

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        super().set_theme(theme)
        for part in (self.notices, self.lines, self.workers, self.body):
            part.set_theme(theme)

    def show_health(self, shown: HealthShown) -> None:
        """Show it; what needs a person stands at the top."""
        self.body.set_empty("")
        self.notices.set_rows([_row(line, f"{line.text}\n{line.meaning}") for line in shown.notices])
        self.lines.set_rows([_row(line, f"{line.name}: {line.text}\n{line.meaning}") for line in shown.lines])
        self.workers.set_rows([_HEADS, *map(_worker, shown.workers)] if shown.workers else [])

    def show_empty(self, why: str) -> None:
        """Show a sentence instead."""
        self.body.set_empty(why)


def _row(line: Line, meaning: str) -> Row:
    return Row((Cell(line.name, "quiet"), Cell(line.text, line.tone, line.tone == "alarm", line.fill)), meaning)


def _worker(row: WorkerRow) -> Row:
    tone = "alarm" if row.alarm else "text"
    state = f"{row.state} !" if row.alarm else row.state
    texts = row.name, state, row.rate, row.busy, row.restarts
    return Row(tuple(Cell(text, tone) for text in texts), f"{row.meaning}: {row.state}")
