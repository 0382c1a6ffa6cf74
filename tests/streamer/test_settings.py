"""Settings files: complete, overridable, and wrong ones refused with a sentence that helps."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from braggwatch.processing.chain_settings import SettingsError
from braggwatch.streamer.settings import load_settings, parse_settings

INDEX = {"cell": "79.2 79.2 38.0 90 90 90 P43212"}


def fault(document: dict[str, Any]) -> str:
    """Return what is said of a settings document that is wrong."""
    with pytest.raises(SettingsError) as caught:
        parse_settings(document)
    return str(caught.value)


def test_the_settings_in_force_read_back_as_the_same_settings() -> None:
    document = {
        "chain": {"stages": ["hitfind:a", "dump:hit", "hitfind:b", "index", "dump:indexed"]},
        "hitfind": {"min_snr": 6.0},
        "hitfind:b": {"min_peaks": 30},
        "dump": {"directory": "here"},
        "dump:indexed": {"name": "lattices"},
        "index": INDEX,
        "source": {"type": "dectris-v1", "address": "tcp://10.0.0.1:9999"},
    }
    first = parse_settings(document)
    second = parse_settings(tomllib.loads(first.as_toml()))
    assert second.as_toml() == first.as_toml()
    assert second.pipeline().stage_specs() == first.pipeline().stage_specs()


def test_an_instance_shares_its_modules_options_and_overrides_them() -> None:
    settings = parse_settings(
        {
            "chain": {"stages": ["hitfind:first", "hitfind:second"]},
            "hitfind": {"min_snr": 6.0, "min_peaks": 10},
            "hitfind:second": {"min_peaks": 30},
        }
    )
    first, second = (spec.settings.model_dump() for spec in settings.pipeline().stage_specs())  # type: ignore[union-attr]
    assert (first["min_snr"], first["min_peaks"]) == (6.0, 10)
    assert (second["min_snr"], second["min_peaks"]) == (6.0, 30)


def test_every_setting_is_shown_with_a_sentence() -> None:
    text = parse_settings({"chain": {"stages": ["hitfind", "dump", "index"]}, "index": INDEX}).as_toml()
    lines = text.splitlines()
    assert "# Standard deviations of the background" in text
    for before, line in zip(["", *lines], lines, strict=False):
        if "=" in line.split("#")[0] or line.endswith(" ="):
            assert before.startswith("#"), f"{line!r} has no sentence above it"


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"hitfind": {"min_snrr": 5}}, "[hitfind] min_snrr: there is no such setting; `braggwatch config show` lists"),
        ({"hitfind": {"min_snr": "five"}}, "[hitfind] min_snr: should be a valid number"),
        ({"hitfind": {"min_snr": "five"}}, "found 'five'"),
        ({"hub": {"drop": "sometimes"}}, "[hub] drop: "),
        ({"hub": {"drop": "sometimes"}}, "found 'sometimes'"),
        ({"hitfnid": {}}, "[hitfnid]: there is no such table, and no stage of that name; did you mean [hitfind]?"),
        ({"source": {"type": "dectris-v3"}}, "[source]"),
        ({"chain": {"stages": ["hitfind", "dmup"]}}, "there is no stage 'dmup'; expected one of hitfind, dump, index"),
        ({"chain": {"stages": ["dump", "dump"]}}, "dump stands there twice; give each use an instance name"),
        ({"chain": {"stages": ["no.such.Thing"]}}, "no.such.Thing cannot be imported"),
        (
            {"chain": {"stages": ["pathlib.Path"]}},
            "pathlib.Path is no stage: it needs the methods begin, event and end",
        ),
        ({"chain": {"stages": ["hitfind", "index"]}}, "[index] cell: is missing and has no default"),
        (
            {"source": {"type": "files", "paths": ["x"], "address": "tcp://h:1"}},
            "[source] address (type = files): there is no such setting",
        ),
        ({"engine": 5}, "engine: expected a table of settings, found 5"),
    ],
)
def test_what_is_wrong_is_said_with_table_key_expected_and_found(document: dict[str, Any], said: str) -> None:
    assert said in fault(document)


@pytest.mark.parametrize(
    "cell", ["79.2 79.2 38.0 90 90 P43212", "79.2 79.2 38.0 90 90 95 P43212", "79 79 38 90 90 90 P99", "abc"]
)
def test_a_cell_that_cannot_be_is_refused_before_the_first_frame(cell: str) -> None:
    settings = {"chain": {"stages": ["hitfind", "index"]}, "index": {"cell": cell}}
    with pytest.raises(SettingsError, match=r"^\[index\]"):
        parse_settings(settings).pipeline().build_chain()


def test_a_file_that_is_not_there_or_not_toml_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"there is no settings file .*none\.toml; `braggwatch config show >"):
        load_settings(tmp_path / "none.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("[hitfind\n")
    with pytest.raises(SettingsError, match=r"broken\.toml is no valid TOML: .*line 1"):
        load_settings(broken)
    broken.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match=r"cannot be read"):
        load_settings(broken)


def test_each_line_of_a_files_faults_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "two.toml"
    path.write_text("[hitfind]\nmin_snr = 'a'\nmin_peaks = -1\n")
    with pytest.raises(SettingsError) as caught:
        load_settings(path)
    lines = str(caught.value).splitlines()
    assert len(lines) == 2
    assert all(line.startswith(f"{path}: [hitfind] min_") for line in lines)


def test_settings_are_overridden_from_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text("[hub]\ndrop = 'newest'\n")
    settings = load_settings(path, ["hub.drop=never", "hub.credits=3", "source.address='tcp://h:1'"])
    assert (settings.hub.drop, settings.hub.credits) == ("never", 3)
    assert 'address = "tcp://h:1"' in settings.as_toml()
    with pytest.raises(SettingsError, match=r"expected TABLE\.KEY=VALUE, such as hitfind\.min_snr=6, found 'x'"):
        load_settings(path, ["x"])


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"chain": 3}, "chain: expected a table of settings, found 3"),
        ({"chain": {"stages": 3}}, "[chain] stages: should be a valid list, found 3"),
        ({"chain": {"stages": [3]}}, "[chain] stages.0: should be a valid string, found 3"),
        ({"source": 3}, "source: expected a table of settings, found 3"),
    ],
)
def test_what_should_be_a_table_or_a_list_and_is_not_is_said(document: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError) as error:
        parse_settings(document)
    assert str(error.value) == said


def test_an_override_of_what_is_no_table_is_said(tmp_path: Path) -> None:
    file = tmp_path / "b.toml"
    file.write_text("hub = 3")
    with pytest.raises(SettingsError, match="hub: expected a table of settings, found 3"):
        load_settings(file, ["hub.credits=2"])


def test_names_of_groups_read_back_as_they_were() -> None:
    document = {"groups": {"by": "laser_1", "names": {"0": 'dark "one"', "1": "pumped"}}}
    settings = parse_settings(document)
    assert parse_settings(tomllib.loads(settings.as_toml())).groups == settings.groups
