"""The table of hits, and of the files that they are in."""

from collections.abc import Sequence
from pathlib import PurePath

from PyQt5.QtCore import QItemSelectionModel, QModelIndex, QPoint, Qt, pyqtSignal
from PyQt5.QtGui import QFontMetrics, QResizeEvent
from PyQt5.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QBoxLayout,
    QFileDialog,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QMenu,
    QStackedLayout,
    QTableView,
    QToolButton,
    QVBoxLayout,
    QWidget,
    QWidgetAction,
)

from braggwatch.gui.hit_columns import HitColumns
from braggwatch.gui.hit_filter import HELP
from braggwatch.gui.hit_table import COLUMNS
from braggwatch.gui.hit_values import Rows
from braggwatch.gui.known_groups import label
from braggwatch.gui.panels.hit_rows import HitRows
from braggwatch.gui.panels.panel import Panel
from braggwatch.gui.style import TEXT_PX, font
from braggwatch.gui.theme import DARK, SPACE, Theme

_SAMPLES = {
    "run": "1234", "frame": "1 234 567", "time": "23:59:59", "state": "indexed", "spots": "1 234", "indexed": "1 234",
    "group": "delay_ps 0 to 1.5", "file": "run0042_indexed_0001.h5 · 1 234", "tags": "good twinned",
}  # fmt: skip
"""What a column must have room for; the others have room enough with their title."""
_GROUP = next(place for place, column in enumerate(COLUMNS) if column.name == "group")
_NARROW = 400
"""px."""
_MAX_TAGGED = 500
"""More rows are not tagged in one go: each is a question to the processor."""


class HitsPanel(Panel):
    """A line to filter by, how many hits there are, and the table."""

    name = "hits"
    title = "Dumped hits"

    filter_changed = pyqtSignal(str)
    sort_wanted = pyqtSignal(str)
    """With the column's name."""
    row_chosen = pyqtSignal(int)
    """With the row of `HitColumns`; so are the rows of the signals below."""
    lines_wanted = pyqtSignal(object)
    paths_wanted = pyqtSignal(object)
    tag_wanted = pyqtSignal(object, str, bool)
    """With rows, tag, and whether to put it on."""
    export_wanted = pyqtSignal(str)
    """With the file's path."""
    folder_wanted = pyqtSignal(str)
    """With the path of the folder to open."""

    def __init__(self) -> None:
        super().__init__()
        self._tags: Sequence[str] = ()
        self._chosen_row: int | None = None
        self.filter_line = QLineEdit()
        self.filter_line.setPlaceholderText("filter, such as  indexed res<2.5 spots>50")
        self.filter_line.setToolTip(HELP)
        self.filter_line.setClearButtonEnabled(True)
        self.filter_line.textChanged.connect(self.filter_changed)
        self.counts = QLabel()
        self.counts.setToolTip("How many hits the filter lets through, of all hits in the record")
        self.problem = QLabel()
        self.problem.setWordWrap(True)
        self.problem.hide()
        self.empty = QLabel()
        self.empty.setWordWrap(True)
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.rows = HitRows(self)
        self.table = self._make_table()
        self._lay_out()
        self.set_grouped(False)
        self.set_theme(DARK)

    def _make_table(self) -> QTableView:
        table = QTableView()
        table.setModel(self.rows)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        table.setShowGrid(False)
        table.setWordWrap(False)
        table.setTabKeyNavigation(False)
        table.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        table.customContextMenuRequested.connect(self._show_menu)
        table.selectionModel().currentRowChanged.connect(lambda current, _: self._choose(current.row()))
        table.clicked.connect(lambda index: self._choose(index.row()))
        height = QFontMetrics(font(TEXT_PX)).height() + SPACE
        table.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        table.verticalHeader().setMinimumSectionSize(height)
        table.verticalHeader().setDefaultSectionSize(height)
        table.verticalHeader().hide()
        header = table.horizontalHeader()
        header.setSectionsClickable(True)
        header.setHighlightSections(False)
        header.setSortIndicatorShown(True)
        header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        header.sectionClicked.connect(lambda section: self.sort_wanted.emit(COLUMNS[section].name))
        metrics = QFontMetrics(font(TEXT_PX, bold=True))  # the row of the shot that is shown
        for place, column in enumerate(COLUMNS):
            widest = max(
                metrics.horizontalAdvance(text) for text in (column.title, _SAMPLES.get(column.name, "100.00"))
            )
            table.setColumnWidth(place, widest + 3 * SPACE)
        return table

    def _lay_out(self) -> None:
        more = QToolButton()
        more.setText("⋯")
        more.setToolTip("What can be done with the rows")
        more.setAutoRaise(True)
        more.clicked.connect(lambda: self.menu().popup(more.mapToGlobal(QPoint(0, more.height()))))
        line = QHBoxLayout()
        line.setSpacing(SPACE)
        line.addWidget(self.filter_line, 1)
        line.addWidget(more)
        self._head = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._head.setContentsMargins(SPACE, SPACE, SPACE, 0)
        self._head.setSpacing(SPACE)
        self._head.addLayout(line, 1)
        self._head.addWidget(self.counts)
        self.problem.setContentsMargins(SPACE, 0, SPACE, 0)
        body = QWidget()
        self._body = QStackedLayout(body)
        self._body.addWidget(self.table)
        self._body.addWidget(self.empty)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(SPACE // 2)
        column.addLayout(self._head)
        column.addWidget(self.problem)
        column.addWidget(body, 1)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Put the counts under the filter where there is no room beside it."""
        narrow = event.size().width() < _NARROW
        self._head.setDirection(QBoxLayout.Direction.TopToBottom if narrow else QBoxLayout.Direction.LeftToRight)
        super().resizeEvent(event)

    # -- setters ------------------------------------------------------------------------------------------------

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        super().set_theme(theme)
        self.rows.set_theme(theme)
        self.table.setStyleSheet("QTableView::item { padding: 0 3px; border: none; }")
        self.problem.setStyleSheet(f"color: {theme.alarm}")
        self.counts.setStyleSheet(f"color: {theme.quiet}")
        self.empty.setStyleSheet(f"color: {theme.quiet}; padding: {2 * SPACE}px")

    def set_hits(self, hits: HitColumns) -> None:
        """Show rows of these from now on."""
        self.rows.set_hits(hits)

    def set_rows(self, rows: Rows) -> None:
        """Show these rows; what was in sight stays there, and whoever was at the end stays at the end."""
        bar = self.table.verticalScrollBar()
        at_top, at_end = bar.value() == 0, bar.value() == bar.maximum()
        first = self.table.rowAt(0)
        top = self.rows.row_at(first) if first >= 0 else None
        blocked = self.blockSignals(True)
        change = self.rows.set_rows(rows)
        self.blockSignals(blocked)
        if change == "others":
            self._chosen_row = None
        elif change == "appended" and at_end:
            self.table.scrollToBottom()
        elif change == "merged" and not at_top:
            self._scroll_to(top, QAbstractItemView.ScrollHint.PositionAtTop)

    def set_sorting(self, column: str | None, descending: bool) -> None:
        """Mark the column by which rows are sorted."""
        place = next((place for place, known in enumerate(COLUMNS) if known.name == column), -1)
        order = Qt.SortOrder.DescendingOrder if descending else Qt.SortOrder.AscendingOrder
        self.table.horizontalHeader().setSortIndicator(place, order)

    def set_shown(self, row: int | None, chosen: bool) -> None:
        """Mark the row of the shot that is shown; where the user chose it, select it and bring it into sight."""
        self.rows.set_shown(row)
        before, self._chosen_row = self._chosen_row, row if chosen else None
        position = self.rows.position_of(self._chosen_row)
        selection = self.table.selectionModel()
        if position is None or before == row or selection.isRowSelected(position, QModelIndex()):
            return
        blocked = self.blockSignals(True)
        selection.setCurrentIndex(
            self.rows.index(position, 0),
            QItemSelectionModel.SelectionFlag.ClearAndSelect | QItemSelectionModel.SelectionFlag.Rows,
        )
        self.blockSignals(blocked)
        self._scroll_to(row, QAbstractItemView.ScrollHint.EnsureVisible)

    def set_grouped(self, grouped: bool) -> None:
        """Show the column of the groups, or leave it out where shots are not grouped."""
        self.table.setColumnHidden(_GROUP, not grouped)

    def set_counts(self, text: str) -> None:
        """Say how many hits are seen."""
        self.counts.setText(text)

    def set_problem(self, text: str) -> None:
        """Say what is wrong with the filter; empty when nothing is."""
        self.problem.setText(text)
        self.problem.setVisible(bool(text))

    def set_empty(self, text: str) -> None:
        """Say why there is nothing to see."""
        self.empty.setText(text)
        self._body.setCurrentWidget(self.empty if text else self.table)

    def set_tags(self, tags: Sequence[str]) -> None:
        """Offer these tags."""
        self._tags = tags

    def copy(self, text: str) -> None:
        """Put a text where it can be pasted from."""
        QApplication.clipboard().setText(text)

    def _scroll_to(self, row: int | None, where: QAbstractItemView.ScrollHint) -> None:
        position = self.rows.position_of(row)
        if position is not None:
            sideways = self.table.horizontalScrollBar().value()
            self.table.scrollTo(self.rows.index(position, 0), where)
            self.table.horizontalScrollBar().setValue(sideways)

    # -- what the user does -------------------------------------------------------------------------------------

    def _choose(self, position: int) -> None:
        if position >= 0:
            self.row_chosen.emit(self.rows.row_at(position))

    def selected_rows(self) -> list[int]:
        """Return the selected rows of `HitColumns`, from top to bottom."""
        positions = sorted(index.row() for index in self.table.selectionModel().selectedRows())
        return [self.rows.row_at(position) for position in positions]

    def _show_menu(self, at: QPoint) -> None:
        self.menu().popup(self.table.viewport().mapToGlobal(at))

    def menu(self) -> QMenu:
        """Return what can be done with the selected rows."""
        rows, menu = self.selected_rows(), QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.setToolTipsVisible(True)
        hits = [self.rows.hit_at(index.row()) for index in self.table.selectionModel().selectedRows()]
        folder = next((str(PurePath(hit.dumped[0].path).parent) for hit in hits if hit.dumped), "")
        menu.addAction("Open folder", lambda: self.folder_wanted.emit(folder)).setEnabled(bool(folder))
        menu.addAction("Copy path", lambda: self.paths_wanted.emit(rows)).setEnabled(bool(folder))
        menu.addAction("Copy as text", lambda: self.lines_wanted.emit(rows)).setEnabled(bool(rows))
        menu.addSeparator()
        self._add_group(menu, {hit.group for hit in hits})
        tags = self._tag_menu(menu, rows, [hit.tags for hit in hits])
        tags.setEnabled(0 < len(rows) <= _MAX_TAGGED)
        menu.addSeparator()
        menu.addAction("Save table as CSV…", self._ask_for_csv).setEnabled(self.rows.rowCount() > 0)
        return menu

    def _add_group(self, menu: QMenu, groups: set[str]) -> None:
        """Offer to show only the group of the selected rows, where they are of one."""
        if len(groups) == 1 and (group := groups.pop()):
            wanted = f'group:"{group}"' if " " in group else f"group:{group}"
            menu.addAction(f"Only group {label(group)}".replace("&", "&&"), lambda: self.filter_line.setText(wanted))
            menu.addSeparator()

    def _tag_menu(self, menu: QMenu, rows: list[int], tagged: list[tuple[str, ...]]) -> QMenu:
        tags = menu.addMenu("Tags")
        for tag in self._tags:
            action = tags.addAction(tag.replace("&", "&&"))
            action.setCheckable(True)
            action.setChecked(bool(tagged) and all(tag in of_shot for of_shot in tagged))
            action.triggered.connect(lambda add, tag=tag: self.tag_wanted.emit(rows, tag, add))
        line, entry = QLineEdit(), QWidgetAction(tags)
        line.setPlaceholderText("new tag, then Enter")
        line.returnPressed.connect(lambda: self.tag_wanted.emit(rows, line.text(), True))
        line.returnPressed.connect(menu.close)
        entry.setDefaultWidget(line)
        tags.addAction(entry)
        return tags

    def _ask_for_csv(self) -> None:
        # not exec: data flow on while the user looks for a folder
        dialog = QFileDialog(self, "Save table as CSV", "hits.csv", "CSV (*.csv)")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("csv")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self.export_wanted)
        dialog.open()
