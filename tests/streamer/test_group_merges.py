"""What is said of a merge by group, while the crystals arrive."""

import dataclasses
import time
from contextlib import closing
from pathlib import Path

import msgspec
import numpy as np
import pytest
from crystals_by_hand import D_MIN, crystals, packed

from braggwatch.processing.data_quality import Forecast
from braggwatch.processing.forecast import Forecaster
from braggwatch.processing.intensity_differences import difference
from braggwatch.processing.merging import Merger
from braggwatch.processing.shot_groups import MAX_GROUPS, OTHERS, GroupSettings
from braggwatch.processing.simulation.demo import LYSOZYME
from braggwatch.streamer.group_merges import FORECASTS_AT_ONCE, GroupMerges
from braggwatch.streamer.integrated import unpack_integrated
from braggwatch.streamer.live_merge import LiveMerge
from braggwatch.streamer.merge_messages import GroupDifference, GroupMerge, Merging
from braggwatch.streamer.merge_settings import MergeSettings
from braggwatch.streamer.record import Record
from braggwatch.streamer.record_reader import open_read_only
from braggwatch.streamer.recorded_merge import read_merge
from braggwatch.streamer.running_merge import RunningMerge
from braggwatch.streamer.settings import Settings, parse_settings

EVERY = 25
"""Crystals between two messages, which are 3 s apart."""
FAR = MergeSettings(target_cc_half=0.999)


def name_of(number: int) -> str:
    return "pumped" if number % 4 == 0 else "dark"


def running(n: int = 300, settings: MergeSettings = FAR, names: tuple[str, ...] = ()) -> tuple[RunningMerge, Merging]:
    """Return a merge and what it says in the end."""
    merge = RunningMerge(LYSOZYME, settings, D_MIN, 0.0)
    message = merge.message(0.0)
    for number, one in enumerate(crystals()[:n]):
        group = names[number % len(names)] if names else name_of(number)
        merge.add(unpack_integrated(packed(number, one)), group)
        if number % EVERY == EVERY - 1:
            message = merge.message(3.0 * (number + 1) / EVERY)
    return merge, message


def by_name(message: Merging) -> dict[str, GroupMerge]:
    return {group.name: group for group in message.groups}


def test_of_each_group_is_said_what_the_merger_finds() -> None:
    said = running(settings=MergeSettings(target_d_min=3.5, target_cc_half=0.9))[1]
    merger = Merger(LYSOZYME, d_min=D_MIN)
    for number, one in enumerate(crystals()):
        merger.add(one, "run", number, group=name_of(number))
    assert [group.name for group in said.groups] == ["dark", "pumped"]
    for name, merge in merger.groups.items():
        group, found, aimed = by_name(said)[name], merge.statistics(), merge.statistics(3.5)
        assert (group.n_crystals, group.n_outliers) == (merge.n_crystals, merge.n_outliers)
        assert (group.shells, group.overall) == (found.shells, found.overall)
        assert (group.outer, group.whole) == (aimed.shells[-1], aimed.overall)
        assert group.resolution == found.resolution(0.9)
    assert sum(group.n_crystals for group in said.groups) == said.n_crystals
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(said), type=Merging) == said


def test_without_groups_nothing_is_said_of_any_and_the_rest_is_the_same() -> None:
    grouped, plain = running()[1], running(names=("",))[1]
    assert plain.groups == ()
    assert msgspec.structs.replace(grouped, groups=(), difference=None) == plain


def test_the_smaller_group_takes_longer() -> None:
    groups = by_name(running()[1])
    dark, pumped = groups["dark"].forecast, groups["pumped"].forecast
    assert dark is not None and pumped is not None
    assert dark.state == pumped.state == "ahead"
    assert dark.seconds is not None and pumped.seconds is not None
    assert pumped.seconds > 2 * dark.seconds


def test_the_forecast_of_a_group_is_that_of_its_own_merge() -> None:
    merger = Merger(LYSOZYME, d_min=D_MIN)
    target = FAR.target(D_MIN)
    assert target is not None
    forecaster = None
    for number, one in enumerate(crystals()):
        merger.add(one, "run", number, group=name_of(number))
        if number % EVERY == EVERY - 1:
            forecaster = forecaster or Forecaster(merger.groups["pumped"], target)
            forecaster.note(3.0 * (number + 1) / EVERY)
    assert forecaster is not None
    assert by_name(running()[1])["pumped"].forecast == forecaster.forecast()


def test_where_shots_are_grouped_otherwise_the_groups_begin_anew_and_the_merge_of_all_goes_on() -> None:
    merge, before = running(100)  # the first crystals are not settled yet
    merge.group_anew(GroupSettings(by="laser_4"))
    assert merge.message(1000.0).groups == ()
    for number in range(100, 200):
        merge.add(unpack_integrated(packed(number, crystals()[number])), "new")
    after = merge.message(1003.0)
    assert [(group.name, group.n_crystals) for group in after.groups] == [("new", 100)]
    assert (before.n_crystals, after.n_crystals) == (100, 200)


def test_other_groups_in_the_settings_are_other_merges() -> None:
    def document(**groups: object) -> Settings:
        chain = {"stages": ["hitfind", "index", "integrate"]}
        return parse_settings({
            "chain": chain, "index": {"cell": "79.2 79.2 38.0 90 90 90 P43212"}, "groups": groups,
            "merge": {"d_min": D_MIN},
        })  # fmt: skip

    def said(n: int) -> Merging:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            message, problem = live.take()
            assert problem == ""
            if message is not None and message.n_crystals == n:
                return message
            time.sleep(0.02)
        raise AssertionError("waited too long")

    with LiveMerge() as live:
        live.settings_in_force(document(by="laser_1"))
        for number in range(20):
            live.add(packed(number, crystals()[number]), "laser_1 0")
        first = said(20)
        live.add(packed(20, crystals()[20]), "laser_1 0")  # waits when groups are changed
        live.settings_in_force(document(by="laser_1", names={"0": "dark"}))
        live.add(packed(21, crystals()[21]), "dark")
        second = said(22)
    assert [group.name for group in first.groups] == ["laser_1 0"]
    assert [(group.name, group.n_crystals) for group in second.groups] == [("dark", 1)]
    assert (first.since, first.moments) == (second.since, second.moments[: len(first.moments)])


def test_the_two_largest_groups_are_compared_to_the_targets_resolution() -> None:
    settings = MergeSettings(target_d_min=4.0)
    said = running(settings=settings)[1].difference
    merger = Merger(LYSOZYME, d_min=D_MIN)
    for number, one in enumerate(crystals()):
        merger.add(one, "run", number, group=name_of(number))
    dark, pumped = merger.groups.values()
    assert said == GroupDifference("dark", "pumped", difference(dark, pumped, 4.0))
    assert said.found.n > 50
    assert not said.found.beyond_chance


def test_one_group_or_a_stray_beside_it_is_compared_with_nothing() -> None:
    assert running(names=("dark",))[1].difference is None
    assert running(names=("dark",) * 99 + ("stray",))[1].difference is None


def test_shots_that_belong_to_no_group_are_neither_waited_for_nor_compared() -> None:
    settings = GroupSettings(by="laser_1", names={"1": "no pump"})
    merge = RunningMerge(LYSOZYME, FAR, D_MIN, 0.0, settings)
    names = "no pump", "no laser_1", OTHERS
    for number, one in enumerate(crystals()):
        merge.add(unpack_integrated(packed(number, one)), names[number % 3])
        if number % EVERY == EVERY - 1:
            said = merge.message(3.0 * (number + 1) / EVERY)
    assert {group.name: group.is_leftover for group in said.groups} == {
        "no pump": False, "no laser_1": True, OTHERS: True,
    }  # fmt: skip
    assert said.slowest is not None and said.slowest.name == "no pump"
    assert said.difference is None


def test_of_many_groups_the_forecasts_take_turns_and_count_down_meanwhile() -> None:
    names = tuple("abcde")
    merge, before = running(names=names)
    after = merge.message(before.time + 3.0)
    same = 0
    for old, new in zip(before.groups, after.groups, strict=True):
        assert old.forecast is not None
        same += new.forecast == old.forecast.later(3.0)
    assert same == len(names) - FORECASTS_AT_ONCE
    assert merge.message(before.time + 3.0, last=True).groups[0].n_crystals == 60


def test_a_forecast_that_counts_down_does_not_go_below_now() -> None:
    forecast = Forecast("ahead", 60.0, 30.0, None, 5000.0, "cc_half")
    assert forecast.later(40.0) == Forecast("ahead", 20.0, 0.0, None, 5000.0, "cc_half")
    assert Forecast("unknown").later(40.0) == Forecast("unknown")


@pytest.mark.parametrize("first", [MergeSettings(), MergeSettings(target_cc_half=0, target_completeness=0)],
                         ids=["target", "none"])  # fmt: skip
def test_another_target_is_that_of_each_group(first: MergeSettings) -> None:
    merge, before = running(settings=first)
    assert all((group.forecast is None) == (before.target is None) for group in before.groups)
    merge.aim(MergeSettings(target_d_min=4.0, target_completeness=0.1, target_cc_half=0))
    after = merge.message(1000.0)
    for group in after.groups:
        assert group.whole is not None and group.whole.d_min == 4.0
        assert group.forecast is not None and group.forecast.state == "reached"
    merge.aim(MergeSettings(target_cc_half=0, target_completeness=0))
    assert [group.forecast for group in merge.message(1003.0).groups] == [None, None]


def test_a_group_of_whose_crystals_none_is_merged_has_no_numbers() -> None:
    merger = Merger(LYSOZYME, d_min=D_MIN)
    for number, one in enumerate(crystals()):
        merger.add(one, "run", number)
    rng = np.random.default_rng(0)
    names = (f"burnt {n}" for n in range(MAX_GROUPS))
    for name, one in zip(names, crystals(), strict=False):
        wrong = dataclasses.replace(one, hkl=np.ascontiguousarray(one.hkl[rng.permutation(len(one))]))
        if merger.add(wrong, "burnt", 1, group=name).fate == "outlier":
            break
    said = GroupMerges(merger, FAR.target(D_MIN)).messages(0.0)
    assert said[-1] == GroupMerge(name=name, n_outliers=1)


def test_the_record_gives_back_what_was_said_of_each_group(tmp_path: Path) -> None:
    merge, _ = running()
    said = merge.message(1000.0, last=True)
    none_merged = GroupMerge(name="none merged", n_outliers=3, is_leftover=True)
    others = msgspec.structs.replace(said, groups=(none_merged,), time=1010.0, difference=None)
    for message in (said, others):
        with Record(tmp_path / f"{message.time}.sqlite") as record:
            record.merging(running(50)[1])
            record.merging(message, last=True)
        with closing(open_read_only(tmp_path / f"{message.time}.sqlite")) as connection:
            read = read_merge(connection)
        assert read is not None
        expected = [
            group if group.forecast is None else msgspec.structs.replace(
                group, forecast=dataclasses.replace(group.forecast, held_up_by=None, completeness_limit=None)
            )
            for group in message.groups
        ]  # fmt: skip
        assert list(read.groups) == expected
        assert read.difference == message.difference
