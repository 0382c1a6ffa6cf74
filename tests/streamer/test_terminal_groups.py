"""What the terminal and the final summary say of the merge of each group."""

from dataclasses import replace

import msgspec
import pytest
from test_terminal import LEDGER, MERGED, MERGING, SHELLS, drawn

from braggwatch.processing.data_quality import Difference, Forecast
from braggwatch.streamer.feed_messages import Finished
from braggwatch.streamer.merge_messages import GroupDifference, GroupMerge, Merging
from braggwatch.streamer.merge_wording import difference_in_words, forecast_briefly
from braggwatch.streamer.terminal import summary

AHEAD = Forecast("ahead", 720.0, 480.0, 1140.0, 2400.0, "cc_half", 0.999)
LATER = replace(AHEAD, seconds=2400.0, high=None)


def group(name: str, n: int, forecast: Forecast | None) -> GroupMerge:
    whole = replace(SHELLS[0], d_min=2.1, cc_half=0.91, completeness=0.97)
    return GroupMerge(
        name=name, n_crystals=n, overall=whole, whole=whole, outer=SHELLS[-1], shells=SHELLS, resolution=2.314,
        forecast=forecast,
    )  # fmt: skip


def merging(*groups: GroupMerge) -> Merging:
    return msgspec.structs.replace(MERGING, groups=groups)


BOTH = merging(group("dark", 903, AHEAD), group("pumped, 10 ps after the pulse", 301, LATER))


def test_each_group_has_a_line_where_there_is_room() -> None:
    lines = drawn(replace(MERGED, merging=BOTH, age=0.0), 80, 40).replace("\u2009", "").splitlines()
    place = next(i for i, line in enumerate(lines) if line.startswith(" group"))
    assert lines[place].split() == ["group", "crystals", "compl.", "%", "CC1/2", "outer", "reach", "/", "Å", "target"]
    assert lines[place + 1].split() == ["dark", "903", "97.0", "0.91", "0.43", "2.31", "in", "12", "min"]
    assert lines[place + 2].startswith(" pumped, 10 ps after…")
    assert lines[place + 2].rstrip().endswith("in 40 min")


def test_in_a_small_terminal_the_slowest_group_is_named() -> None:
    text = drawn(replace(MERGED, merging=BOTH, age=0.0))
    assert len(text.splitlines()) <= 24
    assert "target in 12 min (8 min to 19 min) · pumped, 10 ps a… in 40 min" in text


def test_the_summary_has_a_line_for_each_group_and_none_where_shots_are_not_grouped() -> None:
    text = "\n".join(summary(Finished(time=1.7e9, totals=LEDGER, merging=BOTH))).replace("\u2009", "")
    rows = [line.split() for line in text.splitlines()]
    assert ["dark", "903", "97.0", "0.91", "0.43", "2.31", "in", "12", "min"] in rows
    assert any("R_split" in row for row in rows)
    plain = "\n".join(summary(Finished(time=1.7e9, totals=LEDGER, merging=MERGING)))
    assert "group" not in plain


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Difference(900, 0.32, 0.03, 0.257),
         "pumped differs from dark beyond chance (CC1/2 of the differences 0.32 ± 0.03, R_iso 25.7 %)"),
        (Difference(900, 0.02, 0.03, 0.257),
         "pumped does not differ from dark beyond chance so far (CC1/2 of the differences 0.02 ± 0.03, R_iso 25.7 %)"),
        (Difference(3), ""),
    ],
    ids=["signal", "chance", "unknown"],
)  # fmt: skip
def test_it_says_whether_two_groups_differ(found: Difference, words: str) -> None:
    message = msgspec.structs.replace(BOTH, difference=GroupDifference("dark", "pumped", found))
    assert difference_in_words(message.difference) == words
    lines = "\n".join(summary(Finished(time=1.7e9, totals=LEDGER, merging=message)))
    assert (f"difference         {words}" in lines) == bool(words)
    shown = drawn(replace(MERGED, merging=message, age=0.0), 140, 40)
    assert ("beyond chance" in shown) == bool(words)
    assert difference_in_words(None) == ""


def test_unknown_numbers_of_a_group_are_said_to_be_so() -> None:
    text = drawn(replace(MERGED, merging=merging(GroupMerge(name="none", n_outliers=4))), 80, 40)
    row = next(line for line in text.splitlines() if line.startswith(" none "))
    assert row.split() == ["none", "0", "–", "–", "–", "–"]


@pytest.mark.parametrize(
    ("forecast", "words"),
    [
        (Forecast("reached"), "reached"),
        (Forecast("unknown"), "not known yet"),
        (Forecast("not at this rate", held_up_by="cc_half"), "not at this rate"),
        (AHEAD, "in 12 min"),
        (None, ""),
    ],
    ids=["reached", "unknown", "not", "ahead", "none"],
)
def test_a_forecast_fits_into_a_column(forecast: Forecast | None, words: str) -> None:
    assert forecast_briefly(forecast) == words
    assert len(words) <= 20


@pytest.mark.parametrize(
    ("groups", "slowest"),
    [
        ([], None),
        ([group("a", 10, None), group("b", 20, None)], None),
        ([group("a", 10, AHEAD), group("b", 20, LATER), group("c", 30, Forecast("reached"))], "b"),
        ([group("a", 10, Forecast("unknown")), group("b", 20, LATER)], "a"),
        ([group("a", 10, Forecast("unknown")), group("b", 9, Forecast("not at this rate"))], "b"),
        ([group("no laser_1", 10, Forecast("unknown")), group("dark", 500, AHEAD)], "dark"),
        ([msgspec.structs.replace(group("others", 900, LATER), is_leftover=True), group("dark", 5, AHEAD)], "dark"),
    ],
    ids=["none", "no-target", "ahead", "unknown", "never", "stray", "leftover"],
)
def test_the_slowest_group_is_the_one_that_is_waited_for(groups: list[GroupMerge], slowest: str | None) -> None:
    found = merging(*groups).slowest
    assert (None if found is None else found.name) == slowest
