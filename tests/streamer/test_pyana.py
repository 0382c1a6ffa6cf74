"""A pyana.cfg as a whole: the tutorial's file, shared sections, what is said of it, and the same as TOML."""

import shutil
import tomllib
from pathlib import Path

import pytest
from pyana_by_hand import (
    ADDRESS,
    GEOMETRY,
    PERMISSIVE,
    PHIL,
    SOURCE,
    cfg,
    fault,
    hitfind,
    make_darks,
    make_geometry,
    notes,
    stages,
)

from braggwatch.processing.chain_settings import SettingsError
from braggwatch.streamer.pyana.translation import translate
from braggwatch.streamer.settings import parse_settings

DATA = Path(__file__).resolve().parents[1] / "data" / "pyana"


@pytest.fixture(autouse=True)
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_darks(tmp_path)
    (tmp_path / "a.phil").write_text(PHIL)


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """The older tools' tutorial, beside it the darks as they were converted."""
    shutil.copytree(DATA, tmp_path, dirs_exist_ok=True)
    make_darks(tmp_path, "Ds1-r0066-avg Ds1-r0066-stddev")
    make_geometry(tmp_path)
    return tmp_path


def test_the_file_of_the_tutorial_becomes_its_chain(example: Path) -> None:
    found = translate(example / "pyana.cfg").settings([GEOMETRY], SOURCE)
    assert {s.name: s.settings.model_dump(exclude_unset=True) for s in found.pipeline().stage_specs()} == {  # type: ignore[union-attr]
        "hitfind:hitfind": {
            "method": "spots",
            "threshold_adu": 450.0,
            "min_peaks": 16,
            "rule": "permissive",
            "central_panels": 8,
            "d_min": 2.2,
            "d_max": 40.0,
            "minimum_signal_height": 5.0,
            "minimum_spot_height": 5.0,
            "minimum_spot_area": 2,
            "spot_area_maximum_factor": 20.0,
        },
        "dump:hit": {},
        "index:index": {"cell": "79 79 38 90 90 90 tP"},
        "integrate:index": {"gain": 7.5},
        "dump:indexed": {},
        "stream:index": {"directory": Path("integration")},
        "results:index": {"directory": Path("integration")},
    }
    assert (found.detector.dark, found.detector.noise) == ("Ds1-r0066-avg.npy", "Ds1-r0066-stddev.npy")
    assert found.detector.ignored_panels == [5, 63]
    assert found.detector.name == "CxiDs1-0|Cspad-0"


def test_of_the_tutorials_file_all_that_changed_is_said_once(example: Path) -> None:
    said = [str(note) for note in translate(example / "pyana.cfg").notes]
    for part in (
        "pyana.cfg:12: [my_ana_pkg.mod_hitfind:hitfind] detz_offset: has no meaning here: it is added to an encoder's",
        "pyana.cfg:9: [my_ana_pkg.mod_hitfind:hitfind] calib_dir: metrology is not read, and there is no CrystFEL",
        "dark_path: pickles are not read, because loading one can run any program; Ds1-r0066-avg.npy beside it is",
        "pyana.cfg:2: [pyana] modules: my_ana_pkg.mod_hitfind:index has no options: taken as dispatch = index",
        "pyana.cfg:2: [pyana] modules: my_ana_pkg.mod_dump:indexed has no out_dirname and out_basename: it dumps to",
        "hitfind-7.1.phil:9: mosaicity_limit: has no meaning here",
        "hitfind-7.1.phil:8: distl_minimum_number_spots_for_indexing: is not taken over: hitfind:hitfind passes on the",
        "metrology-7.1.phil:3: distl.tile_flags: leaves out the panels that stand at these places in the geometry file",
    ):
        assert sum(part in line for line in said) == 1, part


def test_an_address_of_psana_needs_to_be_told_where_the_frames_are(example: Path) -> None:
    translation = translate(example / "pyana.cfg")
    with pytest.raises(SettingsError) as caught:
        translation.settings([GEOMETRY])
    assert str(caught.value).startswith(
        f"{example}/pyana.cfg:8: [my_ana_pkg.mod_hitfind:hitfind] address: CxiDs1-0|Cspad-0 is an address in psana's "
        "data, which are not read here; say where the frames come from: --source tcp://HOST:PORT"
    )
    assert translation.settings([GEOMETRY, "source.address=tcp://h:1"]).source.address == "tcp://h:1"  # type: ignore[union-attr]
    files = translation.settings([GEOMETRY], {"type": "files", "paths": ["a.h5"]})
    assert (files.source.type, files.hub.drop) == ("files", "never")


def test_tiles_that_are_left_out_need_a_geometry_file_that_says_where_they_are(example: Path) -> None:
    translation = translate(example / "pyana.cfg")
    with pytest.raises(SettingsError) as caught:
        translation.settings(source=SOURCE)
    assert str(caught.value) == (
        "metrology-7.1.phil:3: distl.tile_flags: counts the panels of a CrystFEL geometry file: expected one in the "
        "folder calib_dir, or -s detector.geometry=FILE.geom; or leave tile_flags out"
    )
    folder = example / "CSPad" / "run4" / "CxiDs1.0:Cspad.0"
    folder.mkdir(parents=True)
    (example / "cspad.geom").rename(folder / "cspad.geom")
    assert translate(example / "pyana.cfg").settings(source=SOURCE).detector.ignored_panels == [5, 63]
    make_geometry(example, n_panels=32)
    with pytest.raises(SettingsError, match=r"phil:3: distl.tile_flags: expected numbers from 0 to 31, found 63"):
        translation.settings([GEOMETRY], SOURCE)


@pytest.mark.parametrize("name", ["pyana.cfg", "index_all.cfg"])
def test_what_is_written_as_toml_reads_back_as_equal_settings(example: Path, name: str) -> None:
    translation = translate(example / name)
    text = translation.as_toml([GEOMETRY], SOURCE)
    assert parse_settings(tomllib.loads(text)) == translation.settings([GEOMETRY], SOURCE)
    assert "STILL NEEDED" not in text
    assert "STILL NEEDED" in translation.as_toml()
    assert "secret" not in text


def test_toml_says_beside_each_value_where_it_came_from(example: Path) -> None:
    lines = translate(example / "pyana.cfg").as_toml().splitlines()
    for value, origin in (
        ("min_peaks = 16", "pyana.cfg:15: [my_ana_pkg.mod_hitfind:hitfind] distl_min_peaks = 16"),
        ('cell = "79 79 38 90 90 90 tP"', "hitfind-7.1.phil:4: target_cell = 38 79 79 90 90 90"),
    ):
        assert lines[lines.index(value) - 1].endswith(origin)


def test_shared_options_hold_for_all_instances_which_override_them(example: Path) -> None:
    found = translate(example / "index_all.cfg").settings([GEOMETRY], SOURCE)
    assert {s.name: s.settings.model_dump(exclude_unset=True) for s in found.pipeline().stage_specs()} == {  # type: ignore[union-attr]
        "average:all": {"directory": Path("out"), "name": "avg-"},
        "hitfind:hitfind": {
            "method": "threshold",
            "threshold_adu": 1000.0,
            "roi": "200:300,1000:1185",
            "d_min": 2.2,
            "d_max": 40.0,
            "min_pixels": 2,
            "max_pixels": 40,
        },
        "index:index": {"cell": "79 79 38 90 90 90 tP", "min_peaks": 20},
        "integrate:index": {"gain": 7.5},
        "dump:indexed": {"directory": Path("out"), "name": "idx-"},
        "stream:index": {"directory": Path("out"), "name": "int-"},
        "results:index": {"directory": Path("out"), "name": "int-"},
    }
    assert found.engine.workers == 4


def test_the_command_line_overrides_the_file_whatever_the_instances_name(tmp_path: Path) -> None:
    found = stages(tmp_path, hitfind(), "hitfind.min_peaks=20", "hitfind.threshold_adu=500")
    assert (found["hitfind:hitfind"]["min_peaks"], found["hitfind:hitfind"]["threshold_adu"]) == (20, 500.0)


def test_a_value_of_the_command_line_that_is_wrong_is_not_laid_on_the_file(tmp_path: Path) -> None:
    assert fault(tmp_path, hitfind(), "hitfind.min_peaks=0") == (
        "pyana.cfg: [hitfind:hitfind] min_peaks: should be greater than or equal to 1, found 0"
    )


def test_sections_of_no_module_of_the_chain_are_said(tmp_path: Path) -> None:
    text = cfg(mod_hitfind__restrictive={**ADDRESS}, mod_hitfind__hitfind={**ADDRESS, **PERMISSIVE})
    assert (
        "pyana.cfg:4: [my.mod_hitfind:restrictive]: no module of the chain has this section, it is passed over"
        in notes(tmp_path, text)
    )


def test_options_may_stand_under_default_or_psana(tmp_path: Path) -> None:
    text = (
        "[DEFAULT]\naddress = CxiDs1-0|Cspad-0\nthreshold = 3\n[psana]\nmodules = x.y.mod_hitfind:a\n"
        "[x.y.mod_hitfind]\nthreshold = 4\n"
    )
    assert stages(tmp_path, text) == {"hitfind:a": {"method": "threshold", "threshold_adu": 4.0}}


def test_an_option_that_stands_there_twice_is_said(tmp_path: Path) -> None:
    assert "threshold: stands there twice; this one counts, not that of line 6" in notes(
        tmp_path, hitfind() + "Threshold = 500\n"
    )
