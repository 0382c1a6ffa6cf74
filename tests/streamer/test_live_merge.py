"""Crystals on their way from the worker to the message about the merge."""

import dataclasses
import time
import tomllib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from crystals_by_hand import D_MIN, crystals, packed

from braggwatch.processing.chain_settings import SettingsError
from braggwatch.processing.merging import Merger
from braggwatch.processing.reflections import Flag
from braggwatch.processing.simulation.demo import LYSOZYME
from braggwatch.processing.unit_cell import UnitCell
from braggwatch.streamer.feed_messages import TOPICS
from braggwatch.streamer.integrated import REFLECTION, unpack_integrated
from braggwatch.streamer.live_merge import LiveMerge
from braggwatch.streamer.merge_messages import Merging
from braggwatch.streamer.merge_settings import MergeSettings
from braggwatch.streamer.record import Record
from braggwatch.streamer.record_reader import open_read_only
from braggwatch.streamer.recorded_merge import read_merge
from braggwatch.streamer.running_merge import FIRST, MOMENTS, RunningMerge
from braggwatch.streamer.settings import Settings, parse_settings
from braggwatch.streamer.settings_change import changed_settings

STAGES = ["hitfind", "index", "integrate"]
CELL = "79.2 79.2 38.0 90 90 90 P43212"


def settings(stages: list[str] = STAGES, **merge: Any) -> Settings:
    return parse_settings({"chain": {"stages": stages}, "index": {"cell": CELL}, "merge": merge})


@pytest.fixture
def live() -> Iterator[LiveMerge]:
    with LiveMerge() as merge:
        yield merge


def newest(live: LiveMerge) -> Merging:
    """Close the merge and return its last message."""
    live.close()
    merging, problem = live.take()
    assert problem == ""
    assert merging is not None
    return merging


# -- what a worker packs ------------------------------------------------------------------------------------------


def test_usable_reflections_come_through_and_others_stay_behind() -> None:
    one = crystals()[0]
    flags, intensity = one.flags.copy(), one.intensity.copy()
    flags[3], intensity[5] = Flag.SATURATED, np.nan
    (crystal,) = unpack_integrated(packed(7, dataclasses.replace(one, flags=flags, intensity=intensity))).crystals
    kept = np.delete(np.arange(len(one)), [3, 5])
    found = crystal.reflections()
    assert len(found) == len(kept)
    np.testing.assert_array_equal(found.hkl, one.hkl[kept])
    np.testing.assert_array_equal(found.intensity, one.intensity[kept])
    np.testing.assert_array_equal(found.sigma, one.sigma[kept])
    np.testing.assert_allclose(found.partiality, one.partiality[kept], rtol=1e-3)
    assert not found.flags.any()
    assert crystal.is_of(LYSOZYME)


def test_rows_that_are_not_whole_are_refused() -> None:
    (crystal,) = unpack_integrated(packed(7, crystals()[0])).crystals
    with pytest.raises(ValueError, match="come in rows of 16 bytes"):
        msgspec.structs.replace(crystal, rows=crystal.rows[:-1]).reflections()
    assert REFLECTION.itemsize == 16


# -- the merge ----------------------------------------------------------------------------------------------------


def test_what_is_said_is_what_the_merger_finds(live: LiveMerge) -> None:
    live.settings_in_force(settings(d_min=D_MIN, target_d_min=3.5, target_cc_half=0.9))
    merger = Merger(LYSOZYME, d_min=D_MIN)
    for number, one in enumerate(crystals()):
        live.add(packed(number, one))
        merger.add(one, "run", number)
    merger.finish()
    found, aimed = merger.statistics(), merger.statistics(3.5)
    said = newest(live)
    assert (said.n_crystals, said.n_outliers) == (found.n_crystals, found.n_outliers)
    assert said.cell == LYSOZYME.parameters
    assert said.space_group == "P 43 21 2"
    assert (said.shells, said.overall) == (found.shells, found.overall)
    assert (said.outer, said.whole) == (aimed.shells[-1], aimed.overall)
    assert said.resolution == found.resolution(0.9)
    assert said.target is not None
    assert (said.target.d_min, said.target.cc_half, said.target.completeness) == (3.5, 0.9, 0.99)
    assert said.target.multiplicity is None
    assert said.settings == ("h,k,l",)
    assert said.in_setting == (found.n_crystals,)
    assert said.moments[-1].n_crystals == found.n_crystals
    assert said.moments[-1].cc_half == found.overall.cc_half
    assert said.moments[-1].completeness == aimed.overall.completeness


def test_the_message_comes_through_the_wire_as_it_was(live: LiveMerge) -> None:
    live.settings_in_force(settings(d_min=D_MIN))
    for number, one in enumerate(crystals()[:150]):
        live.add(packed(number, one))
    said = newest(live)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(said), type=TOPICS[b"merging"]) == said


def test_a_forecast_that_lies_ahead_goes_through_the_wire_and_counts_down() -> None:
    merge = RunningMerge(LYSOZYME, MergeSettings(target_cc_half=0.999), D_MIN, 0.0)
    foretold = []
    for number, one in enumerate(crystals()):
        merge.add(unpack_integrated(packed(number, one)))
        if number % 10 == 9:
            said = merge.message(number / 5.0)
            assert msgspec.msgpack.decode(msgspec.msgpack.encode(said), type=Merging) == said
            assert said.forecast is not None
            if said.forecast.seconds is not None:
                assert said.forecast.low is not None
                assert said.forecast.low <= said.forecast.seconds
                foretold.append(said.forecast.state)
    assert set(foretold) == {"ahead"}
    assert len(foretold) > 10


def test_without_a_limit_the_first_crystals_say_how_far_is_merged(live: LiveMerge) -> None:
    live.settings_in_force(settings())
    for number, one in enumerate(crystals()[: FIRST + 5]):
        live.add(packed(number, one))
    said = newest(live)
    assert said.n_crystals == FIRST + 5
    assert said.overall is not None
    assert D_MIN - 0.02 <= said.overall.d_min <= D_MIN + 0.02


def test_few_crystals_are_merged_too(live: LiveMerge) -> None:
    live.settings_in_force(settings())
    live.add(packed(0, crystals()[0]))
    said = newest(live)
    assert said.n_crystals == 1
    assert said.forecast is not None
    assert said.forecast.state == "unknown"


def test_crystals_of_another_cell_are_counted_and_left_out(live: LiveMerge) -> None:
    live.settings_in_force(settings(d_min=D_MIN))
    one = crystals()[0]
    live.add(packed(0, one))
    live.add(packed(1, one, cell=UnitCell(79.2, 79.2, 38.0, space_group="P 41 21 2")))
    said = newest(live)
    assert (said.n_crystals, said.n_foreign) == (1, 1)


@pytest.mark.parametrize(
    ("stages", "merge", "why"),
    [
        (["hitfind", "index"], {}, "the chain has no stage integrate"),
        (["hitfind"], {}, "the chain has no stage index"),
        (STAGES, {"on": False}, "switched off"),
    ],
)
def test_where_nothing_is_merged_it_says_why(live: LiveMerge, stages: list[str], merge: Any, why: str) -> None:
    live.settings_in_force(settings(stages, **merge))
    live.add(packed(0, crystals()[0]))
    said = newest(live)
    assert why in said.problem
    assert said.n_crystals == 0


def test_a_resolution_with_too_many_reflections_is_said_and_not_tried_again(live: LiveMerge) -> None:
    live.settings_in_force(settings(d_min=0.05))
    for number in range(3):
        live.add(packed(number, crystals()[number]))
    assert "set d_min in [merge]" in newest(live).problem


def test_bytes_that_make_no_sense_are_told_and_the_next_crystal_is_merged(live: LiveMerge) -> None:
    live.settings_in_force(settings(d_min=D_MIN))
    live.add(b"nonsense")
    live.add(packed(0, crystals()[0]))
    live.close()
    merging, problem = live.take()
    assert "make no sense" in problem
    assert merging is not None
    assert merging.n_crystals == 1


def test_another_target_keeps_the_merge_and_another_cell_begins_it_anew(live: LiveMerge) -> None:
    def said_by(wanted: int) -> Merging:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            merging, _ = live.take()
            if merging is not None and merging.n_crystals == wanted and merging.target is not None:
                return merging
            time.sleep(0.02)
        raise AssertionError("waited too long")

    live.settings_in_force(settings(d_min=D_MIN))
    for number, one in enumerate(crystals()[:20]):
        live.add(packed(number, one))
    first = said_by(20)
    live.settings_in_force(settings(d_min=D_MIN, target_d_min=4.0))
    second = said_by(20)
    assert second.since == first.since
    assert second.target is not None
    assert second.target.d_min == 4.0
    live.settings_in_force(
        parse_settings({"chain": {"stages": STAGES}, "index": {"cell": CELL.replace("38.0", "38.1")}})
    )
    live.add(packed(0, crystals()[0], cell=UnitCell(79.2, 79.2, 38.1, space_group="P 43 21 2")))
    assert said_by(1).since > first.since


def test_the_history_stays_bounded_and_ends_with_now() -> None:
    merge = RunningMerge(LYSOZYME, MergeSettings(target_cc_half=0, target_completeness=0), D_MIN, 0.0)
    for second in range(3 * MOMENTS):
        if second < 100:
            merge.add(unpack_integrated(packed(second, crystals()[second])))
        said = merge.message(float(second))
        assert len(said.moments) <= MOMENTS
    assert said.moments[-1].time == 3 * MOMENTS - 1
    times = np.array([moment.time for moment in said.moments])
    assert (np.diff(times) > 0).all()
    assert times[0] < 10
    assert said.forecast is None
    assert said.target is None


def test_the_record_gives_back_what_was_said(live: LiveMerge, tmp_path: Path) -> None:
    live.settings_in_force(settings(d_min=D_MIN, target_d_min=3.5))
    for number, one in enumerate(crystals()[:150]):
        live.add(packed(number, one))
    said = newest(live)
    early = msgspec.structs.replace(said, time=said.time - 30.0, n_crystals=7)
    between = msgspec.structs.replace(said, time=said.time - 25.0, n_crystals=8)
    with Record(tmp_path / "record.sqlite") as record:
        for merging in (early, between):
            record.merging(merging)
        record.merging(said, last=True)
    with closing(open_read_only(tmp_path / "record.sqlite")) as connection:
        read = read_merge(connection)
    assert read is not None
    assert [moment.n_crystals for moment in read.moments] == [7, 150], "at most one every 10 s"
    assert read.moments[-1] == said.moments[-1]
    assert said.forecast is not None
    not_recorded = {
        "settings": (), "in_setting": (), "forecast": dataclasses.replace(
            said.forecast, held_up_by=None, completeness_limit=None
        ),
    }  # fmt: skip
    assert msgspec.structs.replace(read, moments=()) == msgspec.structs.replace(said, moments=(), **not_recorded)


def test_a_record_without_a_merge_has_none(tmp_path: Path) -> None:
    Record(tmp_path / "record.sqlite").close()
    with closing(open_read_only(tmp_path / "record.sqlite")) as connection:
        assert read_merge(connection) is None


# -- its settings -------------------------------------------------------------------------------------------------


def test_a_target_beyond_the_merge_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"target_d_min = 2\.0 lies beyond d_min = 3\.0"):
        settings(d_min=3.0, target_d_min=2.0)


def test_the_target_can_be_changed_while_the_processor_runs() -> None:
    changed = changed_settings(settings(), {"merge": {"target_d_min": 2.2}})
    assert changed.merge.target_d_min == 2.2
    assert changed.merge.target(2.0) == MergeSettings(target_d_min=2.2).target(2.0)


def test_settings_of_the_merge_are_written_and_read_back() -> None:
    wanted = settings(d_min=2.5, target_completeness=0.95)
    assert parse_settings(tomllib.loads(wanted.as_toml())).merge == wanted.merge
