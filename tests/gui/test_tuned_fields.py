"""Settings as things to turn, and settings files with some values replaced."""

import tomllib
from typing import Any

import pytest
from tuning_shots import TEXT

from braggwatch.gui.settings_text import with_values
from braggwatch.gui.tuned_fields import SCALES, TunedField, tuned_fields
from braggwatch.processing.stages.hitfind import HitfindSettings
from braggwatch.processing.stages.index import IndexSettings
from braggwatch.streamer.settings import parse_settings


def field_of(key: str, text: str = TEXT) -> TunedField:
    fields, _ = tuned_fields(text)
    return next(field for field in fields if field.key == key)


def test_every_setting_of_hit_finder_and_indexer_can_be_tuned() -> None:
    fields, values = tuned_fields(TEXT)
    assert {field.key for field in fields if field.table == "hitfind"} == set(HitfindSettings.model_fields)
    assert {field.key for field in fields if field.table == "index"} == set(IndexSettings.model_fields)
    assert values["hitfind", "min_snr"] == 5.0
    assert values["hitfind", "max_pixels"] == 200  # the default
    assert values["hitfind", "d_min"] is None
    assert set(SCALES) <= {field.key for field in fields}


def test_a_field_says_what_the_settings_say_of_it() -> None:
    snr = field_of("min_snr")
    assert (snr.kind, snr.optional, snr.decimals, snr.said(6.5)) == ("number", False, 1, "6.5 σ")
    assert 0 < snr.low <= 0.1
    assert HitfindSettings.model_fields["min_snr"].description in snr.tooltip  # type: ignore[operator]
    assert "Default: 5.0." in snr.tooltip
    radius = field_of("local_bg_radius")
    assert (radius.kind, radius.low, radius.high, radius.said(3)) == ("whole", 1, 100, "3 px")
    d_min = field_of("d_min")
    assert (d_min.kind, d_min.optional, d_min.start(), d_min.said(None)) == ("number", True, 2, "none")
    assert field_of("method").choices == ("peakfinder8", "threshold", "spots")
    assert field_of("negate_hits").kind == "switch"
    assert field_of("cell").kind == "text"
    assert field_of("length_tolerance").high < 0.5


@pytest.mark.parametrize("key", SCALES)
def test_a_slider_reaches_both_ends_and_only_values_that_the_settings_allow(key: str) -> None:
    field = field_of(key)
    assert field.scale is not None
    values = [field.value_at(position) for position in range(field.slider_steps + 1)]
    assert values == sorted(values)
    assert (values[0], values[-1]) == pytest.approx((field.scale.low, field.scale.high))
    assert all(field.low <= value <= field.high for value in values)
    assert field.kind != "whole" or all(isinstance(value, int) for value in values)
    for value in values[::20]:
        assert field.value_at(field.position_of(value)) == pytest.approx(value, abs=field.scale.step)
    assert field.position_of(-1e30) == 0
    assert field.position_of(float("inf")) == field.slider_steps


def test_a_stage_of_its_own_name_has_the_shared_table_below_its_own() -> None:
    text = (
        '[chain]\nstages = ["hitfind:weak"]\n[hitfind]\nmin_snr = 4.0\nmin_peaks = 5\n["hitfind:weak"]\nmin_snr = 3.0\n'
    )
    fields, values = tuned_fields(text)
    assert {field.table for field in fields} == {"hitfind:weak"}
    assert values["hitfind:weak", "min_snr"] == 3.0 and values["hitfind:weak", "min_peaks"] == 5


@pytest.mark.parametrize("text", ["", "chain = 3", "[chain]\nstages = 4", "[chain]\nstages = [1, 2]", "hitfind = 4",
                                  '[hitfind]\nmin_snr = ["a"]\nd_min = nan\nmin_peaks = 99999999999999'])  # fmt: skip
def test_odd_settings_raise_nothing(text: str) -> None:
    fields, values = tuned_fields(text)
    assert len(fields) == len(values)
    for field in fields:
        assert field.said(values[field.name])


def test_what_is_no_toml_is_said() -> None:
    with pytest.raises(ValueError, match="are no TOML"):
        tuned_fields("[hitfind")


# -- settings files --------------------------------------------------------------------------------------------------

CHANGES: dict[str, dict[str, Any]] = {
    "hitfind": {"min_snr": 7.5, "max_peaks_in_hit": 900, "d_max": 30.0},
    "index": {"cell": "80 80 38 90 90 90 P43212"},
}


def test_new_values_take_the_place_of_the_old_ones_and_everything_else_stays() -> None:
    text = "# ours\n" + TEXT.replace("min_peaks = 10", "# at least\nmin_peaks = 10  # spots")
    new = with_values(text, CHANGES)
    kept = [line for line in text.splitlines() if not line.startswith(("min_snr", "# max_peaks_in_hit", "cell"))]
    assert [line for line in new.splitlines() if line in kept] == kept
    expected = tomllib.loads(text)
    for table, values in CHANGES.items():
        expected[table] |= values
    assert tomllib.loads(new) == expected
    assert len(new.splitlines()) == len(text.splitlines()) + 1  # d_max had no line
    assert parse_settings(tomllib.loads(new)).stages["hitfind"]["max_peaks_in_hit"] == 900


def test_a_value_that_is_switched_off_leaves_a_comment() -> None:
    new = with_values(with_values(TEXT, CHANGES), {"hitfind": {"max_peaks_in_hit": None}})
    assert "# max_peaks_in_hit =" in new.splitlines()
    assert "max_peaks_in_hit" not in tomllib.loads(new)["hitfind"]


@pytest.mark.parametrize(
    "text",
    ["", "[chain]\nstages = ['hitfind']\n", "hitfind.min_snr = 3.0\n", "hitfind = {min_snr = 4.0}\n",
     "[hitfind]\n# min_snr = 4 was too low\nmin_snr = 5\n", '["hitfind"]\nmin_snr = """\n[index]\n"""\n'],
)  # fmt: skip
def test_settings_in_any_form_come_out_with_the_new_values(text: str) -> None:
    expected = tomllib.loads(text)
    expected["hitfind"] = {**expected.get("hitfind", {}), "min_snr": 7.5}
    assert tomllib.loads(with_values(text, {"hitfind": {"min_snr": 7.5}})) == expected


def test_a_text_that_is_no_toml_is_refused() -> None:
    with pytest.raises(ValueError, match="the settings are no TOML"):
        with_values("[", CHANGES)
