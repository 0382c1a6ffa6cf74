"""The table of hits: what is seen of it, and what is done with its rows."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from braggwatch.gui.hit_columns import HitColumns
from braggwatch.gui.hit_filter import FilterError, read_filter
from braggwatch.gui.hit_table import HitTable, line_of, write_csv
from braggwatch.gui.hit_values import Rows
from braggwatch.gui.monitor import Monitor
from braggwatch.gui.shot_key import ShotKey
from braggwatch.gui.skipped import all_skipped
from braggwatch.streamer.archive_messages import Answer, Refusal, Tagged, TagWanted
from braggwatch.streamer.messages import State
from braggwatch.streamer.wording import count, plain

_AT_ONCE = 4000
"""New hits that are taken in by one refresh: some 10 ms of the window's thread."""


class HitsView(Protocol):
    """What the controller needs of `panels.hits.HitsPanel`; rows are those of `HitColumns`."""

    filter_changed: Any
    sort_wanted: Any
    row_chosen: Any
    lines_wanted: Any
    paths_wanted: Any
    tag_wanted: Any
    export_wanted: Any

    def set_hits(self, hits: HitColumns) -> None:
        """Show rows of these from now on."""

    def set_rows(self, rows: Rows) -> None:
        """Show these rows, from top to bottom."""

    def set_sorting(self, column: str | None, descending: bool) -> None:
        """Mark the column by which rows are sorted."""

    def set_shown(self, row: int | None, chosen: bool) -> None:
        """Mark the row of the shot that is shown; go to it where the user chose it."""

    def set_grouped(self, grouped: bool) -> None:
        """Show the column of the groups, or leave it out where shots are not grouped."""

    def set_counts(self, text: str) -> None:
        """Say how many hits are seen."""

    def set_problem(self, text: str) -> None:
        """Say what is wrong with the filter; empty when nothing is."""

    def set_empty(self, text: str) -> None:
        """Say why there is nothing to see."""

    def set_tags(self, tags: Sequence[str]) -> None:
        """Offer these tags."""

    def copy(self, text: str) -> None:
        """Put a text where it can be pasted from."""


class HitsController:
    """Keeps the table of hits up to date."""

    def __init__(self, monitor: Monitor, view: HitsView) -> None:
        self.stale = True
        self._monitor, self._view = monitor, view
        self.table = HitTable(monitor.hits)
        view.set_hits(monitor.hits)
        self._results: list[str] = []
        monitor.hits_changed.connect(self._note)
        monitor.tags_changed.connect(self._note_tags)
        monitor.shot_changed.connect(self._note)
        monitor.selection_changed.connect(self._note)
        monitor.status_changed.connect(self._note_while_empty)
        monitor.link_changed.connect(self._note)
        view.filter_changed.connect(self._filter)
        view.sort_wanted.connect(self._sort)
        view.row_chosen.connect(self._choose)
        view.lines_wanted.connect(self._copy_lines)
        view.paths_wanted.connect(self._copy_paths)
        view.tag_wanted.connect(self._tag)
        view.export_wanted.connect(self._export)

    def _note(self) -> None:
        self.stale = True

    def _note_tags(self, rows: Sequence[int]) -> None:
        if self._monitor.hits is self.table.hits:
            for row in rows:
                if row < len(self.table.values):
                    self.table.retagged(row)
            self.stale = True

    def _note_while_empty(self) -> None:
        if not len(self.table.rows):
            self.stale = True

    def refresh(self) -> None:
        """Show what is new."""
        self._follow_monitor()
        table = self.table
        self._view.set_rows(table.rows)
        self._view.set_grouped(bool(table.hits.groups))
        self._view.set_counts(f"{count(len(table.rows))} of {count(len(table.hits))} hits")
        self._view.set_empty("" if len(table.rows) else self._why_empty())
        self._view.set_tags(sorted({tag for tags in set(table.values.tags.values()) for tag in tags}))
        key = self._monitor.in_view
        self._view.set_shown(None if key is None else table.hits.find(key), not self._monitor.live)
        while self._results:
            self._monitor.said.emit(self._results.pop(0))

    def _follow_monitor(self) -> None:
        if self._monitor.hits is not self.table.hits:
            old, self.table = self.table, HitTable(self._monitor.hits)
            self.table.sort(old.column, old.descending)
            self.table.filter_by(old.filter)
            self._view.set_hits(self._monitor.hits)
        self.table.grow(_AT_ONCE)
        self.stale = len(self.table.values) < len(self.table.hits)

    def _why_empty(self) -> str:
        n = len(self.table.hits)
        if n:
            return f"None of {count(n)} hits is “{self.table.filter.text}”."
        status = self._monitor.status
        if status is None:
            return "No hits: nothing was heard from the processor yet."
        counts = status.totals.counts
        looked_at = sum(counts.get(state, 0) for state in (State.BLANK, State.HIT, State.INDEXED))
        if not looked_at and (skipped := all_skipped(status)):
            return skipped
        if not looked_at:
            return f"No hits yet: waiting for the first frame from {plain(status.source) or 'the detector'}."
        return f"No hits yet: {count(looked_at)} frames were looked at, all of them blank."

    # -- what the user does -------------------------------------------------------------------------------------

    def _filter(self, text: str) -> None:
        try:
            wanted = read_filter(text)
        except FilterError as error:
            self._view.set_problem(str(error))
            return
        self._view.set_problem("")
        self.table.filter_by(wanted)
        self.stale = True

    def _sort(self, column: str) -> None:
        """Sort upwards, then downwards, then as recorded."""
        table = self.table
        if column != table.column:
            table.sort(column)
        elif not table.descending:
            table.sort(column, descending=True)
        else:
            table.sort(None)
        self._view.set_sorting(table.column, table.descending)
        self.stale = True

    def _choose(self, row: int) -> None:
        key = self.table.hits.key(row)
        position, keys = self.table.position(key), self.table.keys()
        if position is None:
            self._monitor.select([key])
        elif key != self._monitor.selected or keys is not self._monitor.selection:  # a click may be told of twice
            self._monitor.select(keys, position)

    def _copy_lines(self, rows: Sequence[int]) -> None:
        self._view.copy("\n".join(line_of(self.table.hits.row(row)) for row in rows))

    def _copy_paths(self, rows: Sequence[int]) -> None:
        paths = (place.path for row in rows for place in self.table.hits.row(row).dumped)
        self._view.copy("\n".join(dict.fromkeys(paths)))

    def _tag(self, rows: Sequence[int], tag: str, add: bool) -> None:
        tag = tag.strip()
        if not tag:
            return
        hits = self.table.hits
        for row in rows:
            series, number = hits.key(row)
            self._monitor.outbox.ask(TagWanted(series, number, tag, add), self._taker_of_tags(hits))

    def _taker_of_tags(self, hits: HitColumns) -> Callable[[Answer], None]:
        def take(answer: Answer) -> None:
            if isinstance(answer, Refusal) or (isinstance(answer, Tagged) and answer.problem):
                self._monitor.said.emit(f"the tag was not kept: {plain(answer.problem)}")
            elif isinstance(answer, Tagged) and hits is self._monitor.hits:
                self._monitor.retag(ShotKey(answer.series, answer.number), answer.tags)

        return take

    def _export(self, path: str) -> None:
        """Write the rows that are seen in a thread of its own: a hundred thousand take a second."""
        hits, rows = self.table.hits, self.table.rows.tolist()
        threading.Thread(target=self._write, args=(Path(path), hits, rows), name="export", daemon=True).start()

    def _write(self, path: Path, hits: HitColumns, rows: list[int]) -> None:
        try:
            n = write_csv(path, (hits.row(row) for row in rows))
            self._results.append(f"{count(n)} hits were written to {path}")
        except OSError as error:
            self._results.append(f"the hits could not be written to {path}: {error.strerror}")
        self.stale = True
