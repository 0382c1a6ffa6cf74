"""The table of hits: sorting, filtering, growing."""

import csv
import math
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hits_by_hand import columns_of, varied_rows

from braggwatch.gui.hit_columns import HitColumns
from braggwatch.gui.hit_filter import FilterError, read_filter
from braggwatch.gui.hit_table import COLUMNS, HitTable, line_of, write_csv
from braggwatch.gui.shot_key import ShotKey
from braggwatch.streamer.archive_messages import HitRow

Value = Callable[[HitRow], float | str | tuple[str, ...] | tuple[str, int] | None]


def of_best(get: Value) -> Value:
    return lambda row: get(row) if row.crystals else None


VALUES: dict[str, Value] = {
    "run": lambda row: row.run,
    "frame": lambda row: row.number,
    "time": lambda row: row.time,
    "state": lambda row: row.state == "indexed",
    "group": lambda row: row.group or None,
    "spots": lambda row: row.n_peaks,
    "res": lambda row: row.resolution,
    "lattices": lambda row: len(row.crystals),
    "indexed": of_best(lambda row: row.crystals[0].n_indexed),
    "rmsd": of_best(lambda row: row.crystals[0].rmsd_px),
    "a": of_best(lambda row: row.crystals[0].cell[0]),
    "b": of_best(lambda row: row.crystals[0].cell[1]),
    "c": of_best(lambda row: row.crystals[0].cell[2]),
    "al": of_best(lambda row: row.crystals[0].cell[3]),
    "be": of_best(lambda row: row.crystals[0].cell[4]),
    "ga": of_best(lambda row: row.crystals[0].cell[5]),
    "file": lambda row: (row.dumped[0].path, row.dumped[0].entry) if row.dumped else None,
    "tags": lambda row: row.tags or None,
}
GROUPS = ("dark", "pumped", "laser_1 7", "")
ROWS = [msgspec.structs.replace(row, group=GROUPS[i % 7 % 4]) for i, row in enumerate(varied_rows(600))]


def single(value: object) -> object:
    """As it is stored."""
    return float(np.float32(value)) if isinstance(value, float) and value < 1e6 else value


def table_of(rows: list[HitRow]) -> HitTable:
    table = HitTable(columns_of(rows))
    table.grow()
    return table


def test_every_column_has_a_value_to_sort_by() -> None:
    assert [column.name for column in COLUMNS] == [*list(VALUES)[:9], "a", "b", "c", "al", "be", "ga", "rmsd", "file",
                                                   "tags"]  # fmt: skip


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("name", VALUES)
def test_a_column_is_sorted_with_unknown_values_last_and_equal_ones_as_recorded(name: str, descending: bool) -> None:
    table = table_of(ROWS)
    table.sort(name, descending)
    values = [single(VALUES[name](row)) for row in ROWS]
    known = [row for row, value in enumerate(values) if value is not None]
    expected = sorted(known, key=lambda row: values[row], reverse=descending)  # type: ignore[arg-type,return-value]
    expected += [row for row, value in enumerate(values) if value is None]
    assert table.rows.tolist() == expected


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("name", [None, "frame", "res", "file", "tags", "state", "group"])
def test_a_table_that_grew_page_by_page_is_as_one_that_came_at_once(name: str | None, descending: bool) -> None:
    grown = HitTable(HitColumns())
    grown.sort(name, descending)
    grown.filter_by(read_filter("spots>25"))
    for begin in range(0, 600, 37):
        grown.hits.extend(ROWS[begin : begin + 37])
        grown.grow(20)
        grown.grow()
    once = table_of(ROWS)
    once.filter_by(read_filter("spots>25"))
    once.sort(name, descending)
    assert grown.rows.tolist() == once.rows.tolist()


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("", lambda row: True),
        ("indexed", lambda row: bool(row.crystals)),
        ("!indexed", lambda row: not row.crystals),
        ("hit", lambda row: not row.crystals),
        ("multi", lambda row: len(row.crystals) > 1),
        ("dumped", lambda row: bool(row.dumped)),
        ("res<2.5", lambda row: row.resolution is not None and row.resolution < 2.5),
        ("!res<2.5", lambda row: row.resolution is None or row.resolution >= 2.5),
        ("res != 2", lambda row: row.resolution is not None),
        ("spots > 50 lattices>=2", lambda row: row.n_peaks > 50 and len(row.crystals) >= 2),
        ("run=0 frame<=21", lambda row: row.number <= 21),
        ("indexed>40", lambda row: bool(row.crystals) and row.crystals[0].n_indexed > 40),
        ("a>79.3 γ<90", lambda row: bool(row.crystals) and row.crystals[0].cell[0] > 79.3
                                    and row.crystals[0].cell[5] < 90),
        ("BE>=90.2", lambda row: bool(row.crystals) and row.crystals[0].cell[4] >= 90.2),
        ("rmsd<0.5", lambda row: bool(row.crystals) and row.crystals[0].rmsd_px < 0.5),
        ("tag:good", lambda row: row.tags == ("good",)),
        ("Tag: GOOD", lambda row: row.tags == ("good",)),
        ("!!indexed", lambda row: bool(row.crystals)),
        ("tag:goo", lambda row: False),
        ("file:HIT_0008", lambda row: any("hit_0008" in place.path for place in row.dumped)),
        ("!file:hit", lambda row: not row.dumped),
        ("group:pumped", lambda row: row.group == "pumped"),
        ("Group: PUMPED indexed", lambda row: row.group == "pumped" and bool(row.crystals)),
        ('group:"laser_1 7"', lambda row: row.group == "laser_1 7"),
        ('!group:"laser_1 7"', lambda row: row.group != "laser_1 7"),
        ("group:pump", lambda row: False),
    ],
)  # fmt: skip
def test_a_filter_holds_for_what_it_says(text: str, holds: Callable[[HitRow], bool]) -> None:
    table = table_of(ROWS)
    table.filter_by(read_filter(text))
    assert table.rows.tolist() == [i for i, row in enumerate(ROWS) if holds(row)]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "reso<2",
            "there is no column “reso”: expected run, frame, spots, res, lattices, indexed, rmsd, a, b, c, α, β",
        ),
        ("good", "“good” is not understood: expected indexed, hit, multi, dumped, tag:…, file:…, group:… or such as"),
        ("res<", "“res<” is not complete: expected a number after <"),
        ("res<two", "“res<two” is not complete: expected a number after <"),
        ("res<2<3", "“res<2<3” is not complete: expected a number after <"),
        ("tag:", "“tag:” is not complete: expected a text after the colon"),
        ("group:", "“group:” is not complete: expected a text after the colon"),
        ("!", "“” is not understood"),
        ("dumped:yes", "“dumped:yes” is not understood"),
    ],
)
def test_a_line_that_is_not_understood_is_explained(text: str, problem: str) -> None:
    with pytest.raises(FilterError) as refusal:
        read_filter(f"indexed {text}")
    assert str(refusal.value).startswith(problem)


def test_a_filter_on_a_table_without_hits_shows_nothing() -> None:
    table = HitTable(HitColumns())
    for text in ("", "indexed res<2 tag:good file:a dumped", "multi"):
        table.filter_by(read_filter(text))
        table.sort("tags")
        table.grow()
        assert table.rows.tolist() == [] and table.keys() == ()
    assert table.position(ShotKey("run-0", 0)) is None


def test_a_single_hit_is_seen_and_found() -> None:
    table = table_of(ROWS[:1])
    for column in COLUMNS:
        table.sort(column.name, descending=True)
        assert table.rows.tolist() == [0]
    assert table.position(ShotKey("run-0", 0)) == 0
    table.filter_by(read_filter("run=1"))
    assert table.position(ShotKey("run-0", 0)) is None


def test_the_shots_are_those_that_are_seen_in_their_order() -> None:
    table = table_of(ROWS)
    table.filter_by(read_filter("multi"))
    table.sort("res", descending=True)
    assert table.keys() == tuple(ShotKey(ROWS[i].series, ROWS[i].number) for i in table.rows.tolist())
    assert table.position(table.keys()[5]) == 5


def test_a_hundred_thousand_hits_are_sorted_and_filtered_as_plain_python_does() -> None:
    rows = ROWS * 167
    columns = HitColumns()
    columns.extend(
        HitRow(i + 1, "s", row.run, i, row.time, row.state, row.n_peaks, row.resolution, row.crystals, row.dumped, ())
        for i, row in enumerate(rows)
    )
    table = HitTable(columns)
    table.sort("res")
    table.grow()
    table.filter_by(read_filter("res<3 spots>=40"))
    expected = [i for i, row in enumerate(rows) if row.n_peaks >= 40 and (row.resolution or 9) < 3]
    expected.sort(key=lambda i: rows[i].resolution or math.nan)
    assert len(columns) == 100_200
    assert table.rows.tolist() == expected


def test_tags_that_are_put_on_and_taken_off_are_filtered_by() -> None:
    table = table_of(ROWS)
    table.filter_by(read_filter("tag:ice"))
    assert len(table.rows) == 0
    row = table.hits.retag(ShotKey("run-0", 21), ("good", "ice"))
    assert row == 3
    table.retagged(row)
    table.grow()
    assert table.rows.tolist() == [3]
    table.hits.retag(ShotKey("run-0", 21), ())
    table.retagged(row)
    table.grow()
    assert table.rows.tolist() == []
    assert table.hits.retag(ShotKey("run-9", 0), ("ice",)) is None


def test_cells_say_what_is_known_and_a_dash_for_what_is_not() -> None:
    indexed = next(row for row in ROWS if row.crystals and row.dumped and row.resolution)
    texts = {column.name: column.text(indexed) for column in COLUMNS}
    best = indexed.crystals[0]
    assert texts["a"] == f"{best.cell[0]:.2f}" and texts["ga"] == f"{best.cell[5]:.1f}"
    assert texts["indexed"] == str(best.n_indexed) and texts["rmsd"] == f"{best.rmsd_px:.2f}"
    assert texts["file"] == f"{indexed.dumped[0].path.removeprefix('dumps/')} · {indexed.dumped[0].entry}"
    unknown = next(row for row in ROWS if not row.crystals and not row.dumped and row.resolution is None)
    texts = {column.name: column.text(unknown) for column in COLUMNS}
    assert {texts[name] for name in ("res", "indexed", "a", "al", "rmsd", "file")} == {"–"}
    assert texts["lattices"] == "0" and texts["state"] == "hit"


def test_a_hit_as_a_line_names_cell_and_file() -> None:
    row = next(row for row in ROWS if len(row.crystals) == 2 and row.dumped)
    line = line_of(row)
    group = f"group {row.group}, " if row.group else ""
    assert line.startswith(f"run {row.run}, frame {row.number}, indexed, {group}{row.n_peaks} spots")
    assert f"lattice 2: {row.crystals[1].cell[0]:.2f} " in line
    assert f"{row.dumped[0].path} image {row.dumped[0].entry}" in line


def test_the_rows_that_are_seen_are_written_as_csv(tmp_path: Path) -> None:
    assert write_csv(tmp_path / "hits.csv", ROWS) == 600
    with (tmp_path / "hits.csv").open(newline="", encoding="utf-8") as file:
        read = list(csv.DictReader(file))
    assert list(read[0]) == [column.title for column in COLUMNS]
    assert [int(row["frame"]) for row in read] == [row.number for row in ROWS]
    assert [row["res. (Å)"] for row in read] == ["" if r.resolution is None else str(r.resolution) for r in ROWS]
    assert [row["a (Å)"] for row in read] == [str(r.crystals[0].cell[0]) if r.crystals else "" for r in ROWS]
