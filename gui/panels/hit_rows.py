"""The rows of the table of hits, as Qt wants them."""

from typing import Any, Literal

import numpy as np
from PyQt5.QtCore import QAbstractTableModel, QModelIndex, QObject, Qt
from PyQt5.QtGui import QBrush, QColor, QFont

from braggwatch.gui.hit_columns import HitColumns
from braggwatch.gui.hit_table import COLUMNS
from braggwatch.gui.hit_values import Rows
from braggwatch.gui.theme import DARK, Theme
from braggwatch.streamer.archive_messages import HitRow
from braggwatch.streamer.messages import State
from braggwatch.streamer.wording import plain

_LEFT = ("state", "group", "file", "tags")
_ALIGNMENT = [
    int(
        (Qt.AlignmentFlag.AlignLeft if c.name in _LEFT else Qt.AlignmentFlag.AlignRight) | Qt.AlignmentFlag.AlignVCenter
    )
    for c in COLUMNS
]
_PLACE = {column.name: place for place, column in enumerate(COLUMNS)}


class HitRows(QAbstractTableModel):
    """Shows the rows that it is given, whose cells it reads when they are seen."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._hits = HitColumns()
        self._rows: Rows = np.empty(0, np.int64)
        self._shown: int | None = None
        self._bold = QFont()
        self._bold.setBold(True)
        self.set_theme(DARK)

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        self._hit, self._indexed = QBrush(QColor(theme.hit)), QBrush(QColor(theme.indexed))
        self._multi, self._quiet = QBrush(QColor(theme.multi_lattice)), QBrush(QColor(theme.quiet))
        self._background = QBrush(QColor(theme.line))
        self._repaint()

    def set_hits(self, hits: HitColumns) -> None:
        """Show hits of another session, none at first."""
        self.beginResetModel()
        self._hits, self._rows, self._shown = hits, np.empty(0, np.int64), None
        self.endResetModel()

    def set_rows(self, rows: Rows) -> Literal["same", "appended", "merged", "others"]:
        """Show these rows of the hits, and say how they differ from those before.

        Selections outlive rows that come in between; they do not outlive rows that go.
        """
        old = self._rows
        if rows is old:
            return "same"
        if len(rows) >= len(old) and np.array_equal(rows[: len(old)], old):
            self._append(rows)
            return "appended"
        size = 1 + max(rows.max(initial=0), old.max(initial=0))
        position = np.full(size, -1)
        position[rows] = np.arange(len(rows))
        if (position[old] < 0).any():
            self.beginResetModel()
            self._rows = rows
            self.endResetModel()
            return "others"
        known = np.zeros(size, bool)
        known[old] = True
        self._append(np.concatenate([old, rows[~known[rows]]]))
        self._reorder(rows, position)
        return "merged"

    def _append(self, rows: Rows) -> None:
        if len(rows) > len(self._rows):
            self.beginInsertRows(QModelIndex(), len(self._rows), len(rows) - 1)
            self._rows = rows
            self.endInsertRows()
        else:
            self._rows = rows

    def _reorder(self, rows: Rows, position: Rows) -> None:
        self.layoutAboutToBeChanged.emit()
        before = self.persistentIndexList()
        after = [self.index(int(position[self._rows[index.row()]]), index.column()) for index in before]
        self._rows = rows
        self.changePersistentIndexList(before, after)
        self.layoutChanged.emit()

    def set_shown(self, row: int | None) -> None:
        """Mark the row of the shot that is shown."""
        if row != self._shown:
            self._shown = row
            self._repaint()

    def _repaint(self) -> None:
        if len(self._rows):
            self.dataChanged.emit(self.index(0, 0), self.index(len(self._rows) - 1, len(COLUMNS) - 1))

    def row_at(self, position: int) -> int:
        """Return which row of the hits stands there."""
        return int(self._rows[position])

    def position_of(self, row: int | None) -> int | None:
        """Return where a row of the hits stands; None where it is not seen."""
        found = np.flatnonzero(self._rows == (-1 if row is None else row))
        return int(found[0]) if len(found) else None

    def hit_at(self, position: int) -> HitRow:
        """Return all that is known of the hit that stands there."""
        return self._hits.row(int(self._rows[position]))

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Return how many rows are seen."""
        return 0 if parent is not None and parent.isValid() else len(self._rows)

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        """Return how many columns there are."""
        return 0 if parent is not None and parent.isValid() else len(COLUMNS)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return what Qt asks of a cell."""
        if role == Qt.ItemDataRole.DisplayRole:
            return COLUMNS[index.column()].text(self.hit_at(index.row()))
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _ALIGNMENT[index.column()]
        if role == Qt.ItemDataRole.ForegroundRole:
            return self._colour(self.hit_at(index.row()), index.column())
        if (
            role in (Qt.ItemDataRole.BackgroundRole, Qt.ItemDataRole.FontRole)
            and self._rows[index.row()] == self._shown
        ):
            return self._background if role == Qt.ItemDataRole.BackgroundRole else self._bold
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._tooltip(self.hit_at(index.row()), index.column())
        return None

    def _colour(self, hit: HitRow, column: int) -> QBrush | None:
        if column == _PLACE["state"]:
            return self._indexed if hit.state is State.INDEXED else self._hit
        if column == _PLACE["lattices"] and len(hit.crystals) > 1:
            return self._multi
        return None

    def _tooltip(self, hit: HitRow, column: int) -> str:
        if column == _PLACE["file"]:
            return "\n".join(f"{plain(d.path, 1000)}, image {d.entry} (dump {plain(d.dump)})" for d in hit.dumped)
        return COLUMNS[column].meaning

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return title, meaning and alignment of a column."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return COLUMNS[section].title
        if role == Qt.ItemDataRole.ToolTipRole:
            return f"{COLUMNS[section].meaning}. Click to sort."
        return _ALIGNMENT[section] if role == Qt.ItemDataRole.TextAlignmentRole else None
