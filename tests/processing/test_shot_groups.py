"""Groups: each shot in exactly one, by whatever came with it."""

import math

import pytest
from pydantic import ValidationError

from braggwatch.processing.shot_groups import LONGEST_NAME, OTHERS, GroupSettings


def test_without_a_value_to_group_by_there_are_no_groups() -> None:
    assert GroupSettings().group_of({"laser_1": 1}) == ""


@pytest.mark.parametrize(
    ("value", "group"),
    [
        (1, "laser_1 1"),
        (1.0, "laser_1 1"),
        (True, "laser_1 1"),
        (0, "laser_1 0"),
        (-0.5, "laser_1 -0.5"),
        ("on", "laser_1 on"),
    ],
)
def test_each_value_is_a_group_of_its_own(value: float | str, group: str) -> None:
    assert GroupSettings(by="laser_1").group_of({"laser_1": value, "laser_4": 7}) == group


@pytest.mark.parametrize("values", [{}, {"laser_1": ""}, {"laser_1": math.nan}, {"Laser_1": 1}], ids=range(4))
def test_a_shot_without_the_value_says_so(values: dict[str, float | str]) -> None:
    assert GroupSettings(by="laser_1", names={"1": "pumped"}).group_of(values) == "no laser_1"


def test_states_have_the_names_that_they_were_given_and_all_else_is_others() -> None:
    groups = GroupSettings(by="laser_1", names={"0": "dark", "1": "pumped"})
    assert [groups.group_of({"laser_1": v}) for v in (0, 1, 1.0, False, 2, "1", 0.5)] == [
        "dark", "pumped", "pumped", "dark", OTHERS, "pumped", OTHERS,
    ]  # fmt: skip


def test_the_first_named_code_of_a_list_decides() -> None:
    groups = GroupSettings(by="codes", names={"183": "pumped", "184": "dark"})
    assert [groups.group_of({"codes": c}) for c in ("40 184", "184 40 183", "40 141", "1830", 183)] == [
        "dark", "pumped", OTHERS, OTHERS, "pumped",
    ]  # fmt: skip


def test_numbers_lie_between_edges_the_lower_one_included() -> None:
    groups = GroupSettings(by="delay_ps", edges=[0, 1.5])
    assert [groups.group_of({"delay_ps": v}) for v in (-1e-9, 0, 1.49, 1.5, math.inf, -math.inf)] == [
        "delay_ps < 0", "delay_ps 0 to 1.5", "delay_ps 0 to 1.5", "delay_ps ≥ 1.5", "delay_ps ≥ 1.5", "delay_ps < 0",
    ]  # fmt: skip
    assert groups.group_of({"delay_ps": "late"}) == OTHERS


def test_edges_of_many_digits_make_groups_of_their_own() -> None:
    groups = GroupSettings(by="pulse", edges=[20231204.5, 20231205.5, 20231206.5, 30000000])
    assert [groups.group_of({"pulse": v}) for v in (20231205, 20231206, 20231207)] == [
        "pulse 20231204.5 to 20231205.5", "pulse 20231205.5 to 20231206.5", "pulse 20231206.5 to 30000000",
    ]  # fmt: skip


@pytest.mark.parametrize("length", [30, 44, 48, 60, 256])
def test_values_make_groups_of_their_own_however_long_the_name_of_what_they_are(length: int) -> None:
    by = "LASER:DELAY-STAGE:READBACK"[:length].ljust(length, "x")
    plainly, by_edges = GroupSettings(by=by), GroupSettings(by=by, edges=[0, 1.5])
    names = [plainly.group_of(values) for values in ({by: 0}, {by: 1}, {by: 2.25}, {})]
    names += [by_edges.group_of({by: value}) for value in (-1, 1, 2)]
    assert len(set(names)) == 7 and all(len(name) <= LONGEST_NAME and "LASER:" in name for name in names)
    assert names[1].endswith(" 1") and names[5].endswith(" 0 to 1.5")


@pytest.mark.parametrize("value", ["x" * 256, 1e300, math.inf, -(2**62)], ids=range(4))
def test_no_value_makes_an_endless_name(value: float | str) -> None:
    assert len(GroupSettings(by="a" * 40).group_of({"a" * 40: value})) <= LONGEST_NAME


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"by": "x", "names": {"1": "a"}, "edges": [1]}, "names and edges cannot be used together"),
        ({"by": "x", "edges": [1, 1]}, "edges must be numbers that rise"),
        ({"by": "x", "edges": [math.nan]}, "edges must be numbers that rise"),
        ({"names": {"1": "a"}}, "by is missing"),
        ({"by": "x", "names": {"1": ""}}, "at least 1 character"),
        ({"by": "x", "names": {"1": "a\nb"}}, "pattern"),
    ],
    ids=["both", "equal", "nan", "no-by", "empty", "line-break"],
)
def test_groups_that_make_no_sense_are_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        GroupSettings.model_validate(settings)
