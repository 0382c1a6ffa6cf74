"""Pump lasers in files of the older tools: which shots were looked at, and for which modules."""

from pathlib import Path

import pytest
from pyana_by_hand import ADDRESS, GEOMETRY, PERMISSIVE, SOURCE, cfg, fault, hitfind, notes, read, settings

TWO = "my.mod_hitfind:hitfind my.mod_dump:hit"
DUMP = {"out_dirname": "out", "out_basename": "hit-"}


def test_laser_states_choose_shots_by_their_values(tmp_path: Path) -> None:
    text = hitfind(laser_1_status="1", laser_4_status="0", laser_wait_time="2500")
    select = settings(tmp_path, text).select
    assert (select.keep, select.settle) == ({"laser_1": 1, "laser_4": 0}, 2.5)
    said = notes(tmp_path, text)
    assert "laser_1_status (and in 1 more place): shots are chosen by laser_1 and laser_4 among the values" in said


@pytest.mark.parametrize(
    ("options", "keep"),
    [
        ({}, {}),
        ({"laser_1_status": "None", "laser_4_status": ""}, {}),
        ({"laser_1_status": "0"}, {"laser_1": 0}),
        ({"laser_4_status": "1", "laser_wait_time": "None"}, {"laser_4": 1}),
    ],
    ids=["nothing", "none", "first", "fourth"],
)
def test_only_lasers_with_a_state_are_looked_at(tmp_path: Path, options: dict[str, str], keep: dict[str, int]) -> None:
    select = settings(tmp_path, hitfind(**options)).select
    assert (select.keep, select.settle) == (keep, 0.0)


def test_a_selection_comes_back_from_toml(tmp_path: Path) -> None:
    translation = read(tmp_path, hitfind(laser_1_status="1", laser_wait_time="100"))
    text = translation.as_toml([GEOMETRY], SOURCE)
    assert "laser_1_status = 1\nkeep = { laser_1 = 1 }" in text
    assert "laser_wait_time = 100\nsettle = 0.1" in text


def test_what_all_modules_share_is_chosen_once(tmp_path: Path) -> None:
    text = cfg(
        TWO,
        mod_hitfind__hitfind={**ADDRESS, **PERMISSIVE, "laser_1_status": "1", "laser_wait_time": "10"},
        mod_dump__hit={**DUMP, "laser_1_status": "1", "laser_wait_time": "10"},
    )
    assert settings(tmp_path, text).select.keep == {"laser_1": 1}


def test_modules_behind_one_that_chooses_get_what_it_has_left(tmp_path: Path) -> None:
    text = cfg(TWO, mod_hitfind__hitfind={**ADDRESS, **PERMISSIVE, "laser_1_status": "1"}, mod_dump__hit=DUMP)
    assert settings(tmp_path, text).select.keep == {"laser_1": 1}


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ({}, {"laser_1_status": "1"}, "laser_1_status: expected what my.mod_hitfind:hitfind has (nothing), found '1'"),
        (
            {"laser_1_status": "0"},
            {"laser_1_status": "1"},
            "laser_1_status: expected what my.mod_hitfind:hitfind has (0)",
        ),
        (
            {"laser_1_status": "1"},
            {"laser_1_status": "1", "laser_wait_time": "5"},
            "laser_wait_time: expected what my.mod_hitfind:hitfind has (nothing), found '5': shots are chosen once",
        ),
    ],
    ids=["only-later", "other-state", "other-wait"],
)
def test_a_module_that_chooses_other_shots_than_the_first_is_refused(
    tmp_path: Path, first: dict[str, str], second: dict[str, str], said: str
) -> None:
    text = cfg(TWO, mod_hitfind__hitfind={**ADDRESS, **PERMISSIVE, **first}, mod_dump__hit={**DUMP, **second})
    assert said in fault(tmp_path, text)
