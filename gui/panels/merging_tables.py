"""The merge in numbers: facts with their targets, and the shells."""

from PyQt5.QtCore import pyqtSignal
from PyQt5.QtGui import QResizeEvent
from PyQt5.QtWidgets import QVBoxLayout, QWidget

from braggwatch.gui.controllers.merging_view import GROUP_HEADS, SHELL_HEADS, Fact, GroupLine, ShellLine
from braggwatch.gui.panels.row_list import Cell, Row, RowList
from braggwatch.gui.panels.scrolled import Scrolled
from braggwatch.gui.theme import SPACE, Theme

_COLUMNS = ((430, (0, 1, 2, 3, 4, 5, 6, 7)), (350, (0, 2, 3, 4, 5, 7)), (270, (0, 2, 3, 5, 7)), (0, (0, 2, 5)))
"""From which width on, px, which columns are shown."""
_GROUP_COLUMNS = ((430, (0, 1, 2, 3, 4, 5)), (340, (0, 1, 3, 4, 5)), (250, (0, 3, 5)), (0, (0, 5)))
_NARROW, _WIDEST = 330, 760
_HEAD_MEANING = (
    "Each shell: its limits, Å; different reflections observed; completeness, %; multiplicity; mean I/σ(I); CC½, the "
    "correlation of two random halves; CC*, the correlation with the truth that this means; R_split, %"
)


_GROUPS_MEANING = (
    "Each group of shots: crystals merged; completeness, %; CC½ of the outermost shell to the target's resolution; "
    "where CC½ falls below the target's, Å; when it reaches the target. All are on one scale and in one setting"
)


class FactList(Scrolled):
    """A row for each group, where shots are grouped, and below them name, value and target of each fact."""

    group_clicked = pyqtSignal(str)

    def __init__(self) -> None:
        self.groups = RowList(stretched=0, right=range(1, len(GROUP_HEADS) - 1))
        self.rows = RowList(stretched=1)
        self._facts: tuple[Fact, ...] = ()
        self._groups: tuple[GroupLine, ...] = ()
        super().__init__(self.groups, self.rows)
        self.groups.clicked.connect(lambda key: self.group_clicked.emit(self._groups[int(key)].name))
        self.groups.hide()

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        super().set_theme(theme)
        self.groups.set_theme(theme)
        self.rows.set_theme(theme)

    def show_facts(self, facts: tuple[Fact, ...], groups: tuple[GroupLine, ...] = ()) -> None:
        """Show them."""
        self._facts, self._groups = facts, groups
        self.groups.setVisible(bool(groups))
        self._fill()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Say less where there is little room."""
        super().resizeEvent(event)
        self._fill()

    def _fill(self) -> None:
        _keep_together(self.rows, self.width())
        self.rows.set_rows([_fact_row(fact, narrow=self.width() < _NARROW) for fact in self._facts])
        self.groups.set_rows(_group_rows(self._groups, self.width()))


def _group_rows(lines: tuple[GroupLine, ...], width: int) -> list[Row]:
    if not lines:
        return []
    chosen = next(columns for least, columns in _GROUP_COLUMNS if width >= least)
    rows = [Row(tuple(Cell(GROUP_HEADS[i], "quiet") for i in chosen), _GROUPS_MEANING)]
    last = len(GROUP_HEADS) - 1
    for place, line in enumerate(lines):
        tones = {last: line.forecast_tone}
        cells = tuple(Cell(line.texts[i], tones.get(i, "text"), bold=line.chosen) for i in chosen)
        hint = "\nClick to see its numbers below and its indexed shots." if line.can_be_chosen else ""
        rows.append(Row(cells, line.meaning + hint, line.tone, str(place) if line.can_be_chosen else ""))
    return rows


def _keep_together(rows: RowList, width: int) -> None:
    """Leave the room at the right free on a large screen, where eyes would lose the row."""
    place = rows.parentWidget()
    layout = None if place is None else place.layout()
    if layout is not None:
        layout.setContentsMargins(0, SPACE // 2, max(width - _WIDEST, 0), SPACE // 2)


def _fact_row(fact: Fact, *, narrow: bool) -> Row:
    meaning = f"{fact.name}: {fact.value}\n{fact.meaning}"
    name, value = Cell(fact.name, "quiet"), Cell((narrow and fact.short) or fact.value, fact.tone)
    if fact.target:
        return Row((name, value, Cell(fact.target, "quiet")), f"{meaning}\nTarget: {fact.target}")
    return Row((name, value), meaning)


class ShellTable(QWidget):
    """A row a shell, and one for all."""

    shell_clicked = pyqtSignal(int)

    def __init__(self) -> None:
        super().__init__()
        self.rows = RowList(stretched=0, right=range(1, len(SHELL_HEADS)))
        self.rows.clicked.connect(lambda key: self.shell_clicked.emit(int(key)))
        self._lines: tuple[ShellLine, ...] = ()
        self._body = Scrolled(self.rows)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._body)

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        self.rows.set_theme(theme)
        self._body.set_theme(theme)

    def show_table(self, lines: tuple[ShellLine, ...]) -> None:
        """Show the shells; the last line is that of all."""
        self._lines = lines
        self._fill()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Show as many columns as there is room for."""
        super().resizeEvent(event)
        self._fill()

    def _fill(self) -> None:
        _keep_together(self.rows, self.width())
        chosen = next(columns for width, columns in _COLUMNS if self.width() >= width)
        rows = [Row(tuple(Cell(SHELL_HEADS[i], "quiet") for i in chosen), _HEAD_MEANING)]
        last = len(self._lines) - 1
        for place, line in enumerate(self._lines):
            cells = tuple(Cell(line.texts[i], bold=place == last) for i in chosen)
            which = "of all" if place == last else "that diffract to this shell"
            rows.append(Row(cells, f"{line.meaning}\nClick to see the indexed shots {which}.", key=str(place)))
        self.rows.set_rows(rows)
