"""A change of settings is checked as the settings file is, and leaves alone what cannot change while frames come."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from braggwatch.processing.chain_settings import SettingsError
from braggwatch.processing.stages.hitfind import HitfindSettings
from braggwatch.streamer.settings import Settings, parse_settings
from braggwatch.streamer.settings_change import changed_settings, describe_change

STAGES = ["hitfind", "dump:hit", "own_stages.Deadly", "dump:all"]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    dumps: dict[str, Any] = {"directory": str(tmp_path), "images_per_file": 10}
    return parse_settings(
        {
            "experiment": {"name": "here"},
            "source": {"type": "dectris-v1", "address": "tcp://127.0.0.1:9"},
            "chain": {"stages": STAGES},
            "hitfind": {"min_snr": 5.5},
            "dump": dumps,
            "dump:all": {"images_per_file": 20},
        }
    )


def hitfind(settings: Settings) -> HitfindSettings:
    [spec] = [spec for spec in settings.pipeline().stage_specs() if spec.name == "hitfind"]
    assert isinstance(spec.settings, HitfindSettings)
    return spec.settings


def _nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def change(settings: Settings, **tables: dict[str, Any]) -> tuple[Settings, str]:
    after = changed_settings(settings, tables)
    return after, describe_change(settings, after, tables)


def test_keys_that_are_not_named_stay_as_they_are(settings: Settings) -> None:
    after, label = change(settings, hitfind={"min_peaks": 20})
    assert (hitfind(after).min_snr, hitfind(after).min_peaks) == (5.5, 20)
    assert label == f"hitfind.min_peaks {hitfind(settings).min_peaks} → 20"
    assert after.source == settings.source
    assert after.experiment == settings.experiment
    written = parse_settings(tomllib.loads(after.as_toml(comments=False)))
    assert written.pipeline().stage_specs() == after.pipeline().stage_specs()


def test_none_puts_a_key_back_to_its_default(settings: Settings) -> None:
    after, label = change(settings, hitfind={"min_snr": None}, detector={"distance": 0.2})
    assert hitfind(after).min_snr == HitfindSettings().min_snr
    assert label == f"hitfind.min_snr 5.5 → {HitfindSettings().min_snr:g}, detector.distance none → 0.2"
    back, label = change(after, detector={"distance": None})
    assert back.detector == settings.detector
    assert label == "detector.distance 0.2 → none"


def test_a_table_that_several_stages_share_is_said_once(settings: Settings) -> None:
    _, label = change(settings, dump={"images_per_file": 30})
    assert label == "dump.images_per_file 10 → 30"


def test_options_of_an_own_stage_without_a_model_can_be_changed(settings: Settings) -> None:
    after, label = change(settings, **{"own_stages.Deadly": {"always": [3]}})
    assert after.stages["own_stages.Deadly"] == {"always": [3]}
    assert label == "own_stages.Deadly.always none → [3]"


def test_what_is_in_force_already_is_no_change(settings: Settings) -> None:
    assert change(settings, hitfind={"min_snr": 5.5})[1] == ""
    assert change(settings)[1] == ""


def test_how_far_rates_look_back_can_be_changed(settings: Settings) -> None:
    after, label = change(settings, feed={"window": 60})
    assert after.feed.window == 60
    assert label == "feed.window 30 → 60"


def test_groups_and_the_selection_of_shots_can_be_changed(settings: Settings) -> None:
    after, label = change(settings, groups={"by": "laser_1"}, select={"keep": {"laser_4": 0}, "settle": 0.5})
    assert (after.groups.by, after.select.keep, after.select.settle) == ("laser_1", {"laser_4": 0}, 0.5)
    assert label == "groups.by  → laser_1, select.keep {} → {'laser_4': 0}, select.settle 0 → 0.5"
    assert after.pipeline().groups.by == "laser_1"


@pytest.mark.parametrize(
    ("tables", "why"),
    [
        ({"select": {"settle": 1.0}}, r"\[select\]: keep is missing: expected the values that settle is about"),
        ({"groups": {"edges": [1.0]}}, r"\[groups\]: by is missing"),
        ({"hitfind": {"min_snr": "much"}}, r"\[hitfind\] min_snr: should be a valid number"),
        ({"hitfind": {"min_snrr": 5}}, r"\[hitfind\] min_snrr: there is no such setting"),
        ({"detector": {"distance": -1.0}}, r"\[detector\] distance: should be greater than 0, found -1.0"),
        ({"detector": {"mask": "/nowhere/mask.npy"}}, r"\[detector\] mask: expected a file, found none at /nowhere"),
        ({"source": {"address": "tcp://10.0.0.1:1"}}, r"\[source\] cannot be changed while the processor runs"),
        ({"hub": {"credits": 9}}, r"\[hub\] cannot be changed"),
        ({"engine": {"workers": 9}}, r"\[engine\] cannot be changed"),
        ({"experiment": {"record": "/etc/passwd"}}, r"\[experiment\] cannot be changed"),
        ({"chain": {"stages": ["os.path"]}}, r"\[chain\] cannot be changed"),
        ({"feed": {"address": "tcp://*:1"}}, r"\[feed\] address cannot be changed while the processor runs"),
        ({"feed": {"window": 0}}, r"\[feed\] window: should be greater than or equal to 1"),
        ({"index": {"cell": ""}}, r"\[index\]: no stage of the chain has this table; it is hitfind, dump:hit"),
        ({"evil.module": {"a": 1}}, r"\[evil.module\]: no stage of the chain has this table"),
        ({"own_stages.Deadly": {"surprise": 1}}, r"\[own_stages.Deadly\]: .* unexpected keyword argument 'surprise'"),
        ({"own_stages.Deadly": {"always": b"bytes"}}, r"\[own_stages.Deadly\] always: expected finite numbers, texts"),
        ({"own_stages.Deadly": {"always": [None]}}, "no frame can be processed: .* is not TOML serializable"),
        ({"own_stages.Deadly": {"always": _nested(5000)}}, "no frame can be processed: maximum recursion depth"),
        ({"own_stages.Deadly": {"always": {1: 2}}}, r"always: expected finite numbers, texts or lists of them, found"),
        ({"hitfind": {"min_snr": float("nan")}}, r"\[hitfind\] min_snr: expected finite numbers, .*, found nan"),
        ({"hitfind": {"min_snr": float("inf")}}, r"\[hitfind\] min_snr: expected finite numbers, .*, found inf"),
    ],
)
def test_what_cannot_be_is_refused_with_table_and_key(
    settings: Settings, tables: dict[str, dict[str, Any]], why: str
) -> None:
    with pytest.raises(SettingsError, match=why):
        changed_settings(settings, tables)


def test_a_label_is_one_line_and_not_too_long(settings: Settings) -> None:
    text = "evil\n\x1b[2J" * 100
    _, label = change(settings, **{"own_stages.Deadly": {"traces": text, "once": [1] * 1000}})
    assert len(label) <= 200
    assert "\n" not in label
    assert "\x1b" not in label
