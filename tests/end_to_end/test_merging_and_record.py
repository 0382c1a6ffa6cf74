"""The panel about the merge, and the line of it in Now, against the tables of the record."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PyQt5.QtWidgets import QApplication
from record_window import Seen, window_on_record

from braggwatch.gui.panels.headline import HeadlinePanel
from braggwatch.gui.panels.merging import MergingPanel

OVERALL, WHOLE, OUTER = 0, -1, -2
"""Numbers of the shells that are not one of many, as docs/record.md has them."""


@pytest.fixture(scope="module")
def seen(qapp: QApplication, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """The window on its record, with everything told."""
    with window_on_record(tmp_path_factory) as seen:
        seen.until(lambda: seen.monitor.merging is not None)
        dock = seen.window.docks.by_name[MergingPanel.name]
        dock.setFloating(True)
        dock.resize(1200, 800)  # where all columns are shown
        yield seen


def last(seen: Seen, columns: str) -> tuple[Any, ...]:
    """Values of the last merge."""
    (row,) = seen.session.ask(f"SELECT {columns} FROM merges ORDER BY id DESC LIMIT 1")
    return row


def shells(seen: Seen, columns: str, which: str = "shell > 0") -> list[tuple[Any, ...]]:
    """Values of shells of the last merge, low resolution first."""
    return seen.session.ask(
        f"SELECT {columns} FROM merge_shells WHERE merge = (SELECT max(id) FROM merges) AND {which} ORDER BY shell"
    )


def cut(value: float | None, digits: int, suffix: str = "") -> str:
    """A number as the panel writes it: cut off, not rounded."""
    if value is None:
        return "–"
    return f"{math.floor(value * 10**digits + 1e-9) / 10**digits:.{digits}f}{suffix}".replace("-", "−")


def test_the_numbers_are_those_of_the_record(seen: Seen) -> None:
    panel = seen.at(MergingPanel)
    facts = {row.cells[0].text: [cell.text for cell in row.cells[1:]] for row in panel.facts.rows.rows}
    n, outliers, empty, rejected, group, a, b, c = last(
        seen, "n_crystals, n_outliers, n_empty, n_rejected, space_group, a, b, c"
    )
    assert n == seen.session.number("SELECT count(*) FROM crystals") - outliers - empty > 20
    assert facts["Crystals merged"][0].split(",")[0] == str(n)
    left_out = [f"{n} {what}" for n, what in ((outliers, "outliers"), (empty, "empty")) if n]
    assert facts["Left out"] == [" · ".join(left_out) or "none"]
    assert facts["Rejected"] == [f"{rejected} observation{'s' if rejected != 1 else ''}"]
    assert facts["Merged as"] == [f"{group} · {a:.2f} {b:.2f} {c:.2f} Å · 90 90 90°"]
    ((completeness, multiplicity, r_split),) = shells(seen, "completeness, multiplicity, r_split", f"shell = {WHOLE}")
    ((cc_half, d_min),) = shells(seen, "cc_half, d_min", f"shell = {OUTER}")
    target_d, target_cc, target_completeness = last(seen, "target_d_min, target_cc_half, target_completeness")
    assert d_min == target_d
    assert facts["Resolution"] == [f"{target_d:.2f} Å"]
    assert facts["CC½, outer shell"][0].split(" ")[0] == cut(cc_half, 3)
    assert facts["CC½, outer shell"][1] == f"≥ {target_cc:.2f}"
    assert facts["Completeness"] == [cut(100 * completeness, 1, " %"), f"≥ {100 * target_completeness:.1f} %"]
    assert facts["Multiplicity"] == [f"{multiplicity:.1f}"]
    assert facts["R_split"] == ["–" if r_split is None else cut(100 * r_split, 1, " %")]


def test_the_table_and_the_plot_have_every_shell_of_the_record(seen: Seen) -> None:
    panel = seen.at(MergingPanel)
    head, *rows = (tuple(cell.text for cell in row.cells) for row in panel.table.rows.rows)
    assert head == ("d (Å)", "unique", "% compl.", "mult.", "I/σ", "CC½", "CC*", "% R_split")
    columns = "d_max, d_min, n_unique, completeness, multiplicity, snr, cc_half, cc_star, r_split"
    found = [*shells(seen, columns), *shells(seen, columns, f"shell = {OVERALL}")]
    assert len(rows) == len(found) == 11
    for row, (d_max, d_min, unique, completeness, multiplicity, snr, cc_half, cc_star, r_split) in zip(
        rows, found, strict=True
    ):
        assert row == (
            f"{d_max:.2f}–{d_min:.2f}", f"{unique:,}".replace(",", "\u2009"), cut(100 * completeness, 1),
            "–" if multiplicity is None else f"{multiplicity:.1f}", "–" if snr is None else f"{snr:.1f}",
            cut(cc_half, 3), cut(cc_star, 3), "–" if r_split is None else cut(100 * r_split, 1),
        )  # fmt: skip
    panel.shells.choice.choose("completeness")
    np.testing.assert_allclose(panel.shells.curve.yData, [100 * row[3] for row in found[:-1]])
    np.testing.assert_allclose(panel.shells.curve.xData, [(row[0] ** -2 + row[1] ** -2) / 2 for row in found[:-1]])
    panel.shells.choice.choose("cc_half")


def test_the_progress_has_every_merge_of_the_record(seen: Seen) -> None:
    panel = seen.at(MergingPanel)
    found = seen.session.ask(
        "SELECT time, n_crystals, completeness FROM merges JOIN merge_shells ON merge = merges.id "
        f"WHERE shell = {WHOLE} ORDER BY merges.id"
    )
    panel.progress.choice.choose("time")
    np.testing.assert_allclose(panel.progress.completeness.xData, [time for time, _, _ in found])
    np.testing.assert_allclose(panel.progress.completeness.yData, [share for _, _, share in found])
    panel.progress.choice.choose("crystals")
    np.testing.assert_allclose(panel.progress.completeness.xData, [n for _, n, _ in found])
    panel.progress.choice.choose("time")


def test_a_click_on_the_line_of_all_opens_every_indexed_shot(seen: Seen) -> None:
    panel = seen.at(MergingPanel)
    panel.table.rows.clicked.emit("10")
    indexed = {number for number, verdict in seen.session.verdicts.items() if verdict != "hit"}
    assert set(seen.selected()) == indexed


def test_of_a_record_the_verdict_is_final_and_the_target_cannot_be_changed(seen: Seen) -> None:
    panel = seen.at(MergingPanel)
    (state,) = last(seen, "forecast")
    expected = "Target reached" if state == "reached" else "Target not reached"
    assert panel.verdict.text.startswith(expected)
    assert not panel.change.isEnabled()
    assert panel.change.toolTip().startswith("This is a record")


def test_now_has_the_same_in_a_line(seen: Seen) -> None:
    panel = seen.at(HeadlinePanel)
    ((completeness,),) = shells(seen, "completeness", f"shell = {WHOLE}")
    ((cc_half,),) = shells(seen, "cc_half", f"shell = {OUTER}")
    assert panel.data_set is not None
    assert panel.data_set.quality[0].startswith(f"CC½ {cut(cc_half, 2)} · {cut(100 * completeness, 1)} % complete")
