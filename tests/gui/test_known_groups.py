"""Which groups there are, in which order, and which colour is whose."""

import pytest
from messages_by_hand import NotingOutbox, hit_row
from msgspec.structs import replace
from numbers_by_hand import T0, status

from braggwatch.gui.known_groups import KnownGroups, known_groups, label
from braggwatch.gui.monitor import Monitor
from braggwatch.streamer.feed_messages import Finished, Group
from braggwatch.streamer.picture_messages import SettingsInForce

TWO_STATES = '[groups]\nby = "laser_1"\nnames = { "1" = "pumped", "0" = "dark" }\n'


def known(settings: str = "", told: tuple[str, ...] = (), of_hits: tuple[str, ...] = ()) -> KnownGroups:
    monitor = Monitor(NotingOutbox())
    if settings:
        monitor.take([SettingsInForce(version=1, time=T0, text=settings)])
    monitor.take([status(groups=tuple(Group(name=name) for name in told))])
    monitor.hits.extend(replace(hit_row(i + 1, i), group=group) for i, group in enumerate(of_hits))
    return known_groups(monitor)


def test_where_shots_are_not_grouped_there_are_none() -> None:
    assert known(of_hits=("", "")).names == ()
    assert known("[hitfind]\nmin_snr = 5\n").names == ()


def test_the_order_is_that_of_the_settings_and_shots_that_belong_to_none_stand_last_in_grey() -> None:
    groups = known(TWO_STATES, told=("dark", "no laser_1", "others", "pumped"))
    assert groups.names == ("pumped", "dark", "no laser_1", "others")
    assert groups.proper == groups.states == ("pumped", "dark")
    assert [groups.tone(name) for name in groups.names] == ["group_1", "group_2", "quiet", "quiet"]
    assert groups.without_value == "no laser_1"


def test_a_colour_does_not_change_when_shots_of_other_groups_come() -> None:
    before, after = known(TWO_STATES, told=("dark",)), known(TWO_STATES, told=("dark", "a", "no laser_1", "others"))
    assert before.tone("dark") == after.tone("dark") and before.tone("pumped") == after.tone("pumped")


def test_delays_stand_in_the_order_of_their_edges_and_values_in_the_order_of_numbers() -> None:
    settings = '[groups]\nby = "ps"\nedges = [-1.5, 2, 10]\n'
    groups = known(settings, told=("ps 2 to 10", "ps ≥ 10"))
    assert groups.names == ("ps < -1.5", "ps -1.5 to 2", "ps 2 to 10", "ps ≥ 10")
    assert groups.states == ()
    told = ("delay 10", "delay 2", "delay -3", "delay -3.5")
    assert known('[groups]\nby = "delay"\n', told).names == ("delay -3.5", "delay -3", "delay 2", "delay 10")


def test_groups_are_known_by_the_hits_and_the_last_word_of_a_record_too() -> None:
    assert known(of_hits=("dark", "", "pumped", "dark")).names == ("dark", "pumped")
    monitor = Monitor(NotingOutbox())
    monitor.take([Finished(time=T0, groups=(Group(name="pumped"),))])
    assert known_groups(monitor).names == ("pumped",)


def test_without_settings_shots_without_a_value_are_known_by_their_name() -> None:
    groups = known(told=("dark", "no laser_1", "pumped"))
    assert groups.without_value == "no laser_1" and groups.proper == ("dark", "pumped")
    assert "no pump" in known(TWO_STATES.replace("dark", "no pump"), told=("no pump",)).proper


def test_the_ninth_line_is_dashed_because_its_colour_is_taken() -> None:
    groups = known(told=tuple(f"delay {i}" for i in range(17)))
    assert groups.tone("delay 8") == groups.tone("delay 0") and groups.tone("delay 16") == groups.tone("delay 0")
    assert [groups.dashed(name) for name in groups.names] == [False] * 8 + [True] * 9


@pytest.mark.parametrize(
    "settings",
    ["[groups", "groups = 3", "[groups]\nby = 5", '[groups]\nby = "x"\nedges = [nan]', "[" * 3000, "groups = []",
     '[groups]\nby = "x"\nedges = [1e308, inf]'],
    ids=range(7),
)  # fmt: skip
def test_settings_that_make_no_sense_name_no_group(settings: str) -> None:
    assert known(settings, told=("b", "a")).names == ("a", "b")


def test_a_thousand_groups_with_endless_names_do_no_harm() -> None:
    names = (*(f"{i}{'x' * 10_000}\x1b" for i in range(1000)), "\0" * 100_000, "9" * 100_000)
    groups = known(told=names, of_hits=names)
    assert len(groups.names) <= 64
    assert all(len(label(name)) <= 48 and "\x1b" not in label(name) for name in groups.names)
    assert groups.tone(names[-1] + "?") == "quiet" and not groups.dashed("unheard of")
