"""What the older modules become; what the older tools refused is refused, what they swallowed is said."""

from pathlib import Path
from typing import Any

import pytest
from pyana_by_hand import (
    ADDRESS,
    PERMISSIVE,
    PHIL,
    cfg,
    fault,
    hitfind,
    make_darks,
    notes,
    read,
    settings,
    stages,
)

INDEX = {**ADDRESS, "dispatch": "index", "xtal_target": "a.phil"}


@pytest.fixture(autouse=True)
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_darks(tmp_path)
    (tmp_path / "a.phil").write_text(PHIL)


@pytest.mark.parametrize(
    ("options", "made"),
    [
        ({"threshold": "450"}, {"method": "threshold", "threshold_adu": 450.0}),
        (
            {"threshold": "450", "roi": "10:20,30:40"},
            {"method": "threshold", "threshold_adu": 450.0, "roi": "10:20,30:40"},
        ),
        (
            {"threshold": "450", "roi": "(10:20, 30:40)"},
            {"method": "threshold", "threshold_adu": 450.0, "roi": "10:20,30:40"},
        ),
        (
            PERMISSIVE,
            {"method": "spots", "threshold_adu": 450.0, "min_peaks": 16, "rule": "permissive", "central_panels": 8},
        ),
        (
            {**PERMISSIVE, "distl_min_peaks": "12", "distl_flags": "restrictive"},
            {"method": "spots", "threshold_adu": 450.0, "min_peaks": 12, "rule": "restrictive", "central_panels": 8},
        ),
        (
            {"threshold": "450", "negate_hits": "TRUE"},
            {"method": "threshold", "threshold_adu": 450.0, "negate_hits": True},
        ),
        ({"threshold": "450", "negate_hits": "False", "roi": "None"}, {"method": "threshold", "threshold_adu": 450.0}),
    ],
)
def test_each_hit_test_of_the_older_tools_has_its_own(
    tmp_path: Path, options: dict[str, str], made: dict[str, Any]
) -> None:
    assert stages(tmp_path, cfg(mod_hitfind__hitfind={**ADDRESS, **options})) == {"hitfind:hitfind": made}


@pytest.mark.parametrize("address", ["XppEndstation-0|Rayonix-0", "XppGon-0|marccd-0"])
def test_of_detectors_of_one_panel_the_whole_is_searched(tmp_path: Path, address: str) -> None:
    text = hitfind(address=address)
    assert "central_panels" not in stages(tmp_path, text)["hitfind:hitfind"]
    assert "searched" not in notes(tmp_path, text)


def test_where_the_detector_is_not_known_it_is_said_that_all_of_it_is_searched(tmp_path: Path) -> None:
    text = hitfind(address="tcp://10.0.0.1:31001")
    assert "central_panels" not in stages(tmp_path, text)["hitfind:hitfind"]
    assert "distl_min_peaks: the whole detector is searched; the older tools searched the four inner" in notes(
        tmp_path, text
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"roi": "1:2,3:4"},
            "pyana.cfg:9: [my.mod_hitfind:hitfind] roi: expected roi or distl_min_peaks, found both (distl_min_peaks "
            "in line 7)",
        ),
        (
            {"distl_flags": "permissive restrictive"},
            "pyana.cfg:8: [my.mod_hitfind:hitfind] distl_flags: expected permissive or restrictive, one of them, found "
            "'permissive restrictive'",
        ),
        ({"distl_flags": "strict"}, "distl_flags: expected permissive or restrictive, one of them, found 'strict'"),
        (
            {"distl_flags": "None"},
            "distl_min_peaks: expected distl_flags = permissive or restrictive beside it, found none",
        ),
        ({"dark_path": "avg.npy"}, "pyana.cfg:9: [my.mod_hitfind:hitfind] dark_path: expected dark_stddev beside it"),
        (
            {"override_beam_x": "880"},
            "override_beam_x: expected override_beam_x and override_beam_y, found only override",
        ),
    ],
)
def test_what_the_older_tools_refused_is_refused(tmp_path: Path, options: dict[str, str], said: str) -> None:
    assert said in fault(tmp_path, hitfind(**options))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"threshold": "None"}, "distl_min_peaks: does nothing without threshold: every shot passes, as in the older"),
        ({"threshold": "None", "negate_hits": "True"}, "negate_hits: does nothing without threshold"),
        ({"distl_min_peaks": "None"}, "distl_flags: does nothing without distl_min_peaks; it did nothing in the older"),
        (
            {"distl_flags": "permissive loud"},
            "distl_flags: loud has no meaning, and was passed over by the older tools",
        ),
        ({"dark_stddev": "stddev.npy"}, "dark_stddev: does nothing without dark_path, and is left out"),
        ({"common_mode_correction": "mode"}, "common_mode_correction: does nothing without dark_path, and is left out"),
        ({"gain_map_level": "7"}, "gain_map_level: does nothing without gain_map_path, and is left out"),
        ({"laser_wait_time": "100"}, "laser_wait_time: does nothing without laser_1_status or laser_4_status"),
        ({"negate_hits": "yes"}, "negate_hits: reads as False, as the older tools read all but True; write True or"),
        (
            {"a_new_option": "1"},
            "a_new_option: has no meaning here: mod_hitfind has no such option, and the older tools",
        ),
    ],
)
def test_what_the_older_tools_swallowed_is_said_and_stays_without_effect(
    tmp_path: Path, options: dict[str, str], said: str
) -> None:
    text = cfg(
        "my.mod_hitfind:hitfind my.mod_dump:all",
        mod_hitfind__hitfind={**ADDRESS, **PERMISSIVE, **options},
        mod_dump__all={"out_dirname": "out", "out_basename": "all-"},
    )
    assert said in notes(tmp_path, text)
    found = settings(tmp_path, text)
    assert (found.detector.dark, found.detector.noise, found.detector.common_mode) == (None, None, "none")
    assert (found.detector.gain_map_level, found.stages.get("hitfind", {}).get("negate_hits")) == (None, None)


def test_a_threshold_without_spots_looks_in_the_array_as_it_comes(tmp_path: Path) -> None:
    text = cfg(mod_hitfind__hitfind={**ADDRESS, "threshold": "450", "roi": "1:2,3:4"})
    assert (
        "roi: counts pixels of the array as it comes; in the older tools these were pixels of the image of 1765 x"
        in notes(tmp_path, text)
    )


def test_an_index_without_a_hit_test_looks_for_spots_itself(tmp_path: Path) -> None:
    text = cfg("my.mod_hitfind:index", mod_hitfind__index=INDEX)
    assert list(stages(tmp_path, text)) == [
        "hitfind:index", "index:index", "integrate:index", "stream:index", "results:index",
    ]  # fmt: skip
    assert "my.mod_hitfind:index: no module before finds spots, so hitfind:index does (peakfinder8)" in notes(
        tmp_path, text
    )


def test_one_module_may_find_hits_and_index_them(tmp_path: Path) -> None:
    found = stages(tmp_path, cfg("my.mod_hitfind", mod_hitfind={**INDEX, **PERMISSIVE}))
    assert list(found) == ["hitfind:hitfind", "index:hitfind", "integrate:hitfind", "stream:hitfind", "results:hitfind"]
    assert found["index:hitfind"] == {"cell": "79.2 79.2 38 90 90 90 tP"}


def test_an_index_without_a_cell_is_refused_unless_one_is_given(tmp_path: Path) -> None:
    (tmp_path / "a.phil").write_text("distl.res.outer = 2\n")
    text = cfg("my.mod_hitfind:index", mod_hitfind__index=INDEX)
    assert fault(tmp_path, text).startswith(
        "pyana.cfg:2: [pyana] modules: my.mod_hitfind:index indexes, and needs a cell: expected target_cell in a.phil;"
    )
    cell = "index.cell='79 79 38 90 90 90 P43212'"
    assert stages(tmp_path, text, cell)["index:index"]["cell"] == "79 79 38 90 90 90 P43212"


def test_a_target_of_another_module_is_taken_where_an_index_has_none_and_it_is_said(tmp_path: Path) -> None:
    text = cfg(
        "my.mod_hitfind:hitfind my.mod_hitfind:second",
        mod_hitfind__hitfind={**ADDRESS, **PERMISSIVE, "xtal_target": "a.phil"},
        mod_hitfind__second={**ADDRESS, "dispatch": "index"},
    )
    assert stages(tmp_path, text)["index:second"] == {"cell": "79.2 79.2 38 90 90 90 tP"}
    assert "xtal_target: is taken for my.mod_hitfind:second as well, which has none of its own" in notes(tmp_path, text)


def test_limits_of_a_second_search_that_there_is_not_are_said(tmp_path: Path) -> None:
    (tmp_path / "a.phil").write_text(PHIL + "distl.res.outer = 2\n")
    text = cfg(
        "my.mod_hitfind:hitfind my.mod_hitfind:index",
        mod_hitfind__hitfind={**ADDRESS, **PERMISSIVE},
        mod_hitfind__index=INDEX,
    )
    assert "a.phil:3: distl.res.outer: does nothing: hitfind:hitfind finds the spots, once for all stages" in notes(
        tmp_path, text
    )


def test_integrated_reflections_go_into_a_stream_and_files_behind_the_dumps(tmp_path: Path) -> None:
    text = cfg(
        "my.mod_hitfind:index my.mod_dump:indexed my.mod_hitfind:more",
        mod_hitfind__index={**INDEX, "integration_dirname": "out", "integration_basename": "int-"},
        mod_hitfind__more={**ADDRESS, "threshold": "1000"},
        mod_dump__indexed={**ADDRESS, "out_dirname": "out", "out_basename": "idx-"},
    )
    found = stages(tmp_path, text)
    assert list(found)[2:] == ["integrate:index", "dump:indexed", "stream:index", "results:index", "hitfind:more"]
    assert found["stream:index"] == found["results:index"] == {"directory": Path("out"), "name": "int-"}
    assert (
        "integration_dirname: my.mod_hitfind:index: orientations and integrated reflections go into an HDF5 file an "
        "image and a CrystFEL stream a run in the folder out, and into the dumps behind; no pickles"
    ) in notes(tmp_path, text)


@pytest.mark.parametrize("dispatch", ["view", "spots"])
def test_to_view_opens_the_window(tmp_path: Path, dispatch: str) -> None:
    text = hitfind(dispatch=dispatch)
    assert read(tmp_path, text).wants_window
    assert not read(tmp_path, hitfind(dispatch="nop")).wants_window
    assert "dispatch: the window opens where there is a display (`braggwatch gui`); no shot waits for it" in notes(
        tmp_path, text
    )


def test_spots_without_a_hit_test_are_looked_for_to_be_shown(tmp_path: Path) -> None:
    text = cfg(mod_hitfind__hitfind={**ADDRESS, "dispatch": "spots"})
    assert list(stages(tmp_path, text)) == ["hitfind:hitfind"]


def test_write_dict_dumps(tmp_path: Path) -> None:
    text = hitfind(dispatch="write_dict", out_dirname="out", out_basename="hit-")
    assert stages(tmp_path, text)["dump:hitfind"] == {"directory": Path("out"), "name": "hit-"}
    nowhere = hitfind(dispatch="write_dict")
    assert list(stages(tmp_path, nowhere)) == ["hitfind:hitfind"]
    assert "dispatch: writes nothing without out_dirname and out_basename, as in the older tools" in notes(
        tmp_path, nowhere
    )


def test_an_index_that_is_not_one_by_its_name_needs_options(tmp_path: Path) -> None:
    assert fault(tmp_path, cfg("my.mod_hitfind:second")) == (
        "pyana.cfg:2: [pyana] modules: expected a section [my.mod_hitfind:second] with its options, found none"
    )


def test_a_dump_goes_where_it_says(tmp_path: Path) -> None:
    text = cfg(
        "my.mod_dump:all", mod_dump__all={**ADDRESS, "out_dirname": "d", "out_basename": "e1-", "out_format": "pickle"}
    )
    assert stages(tmp_path, text) == {"dump:all": {"directory": Path("d"), "name": "e1-"}}
    assert "out_format: images go into NXmx files (HDF5); no pickles are written" in notes(tmp_path, text)


def test_a_dump_of_tiffs_writes_them_under_their_old_names_and_clips_nothing(tmp_path: Path) -> None:
    options = {**ADDRESS, "out_dirname": "d", "out_basename": "e1-", "out_format": "tiff"}
    text = cfg("my.mod_dump:all", mod_dump__all=options)
    assert stages(tmp_path, text) == {"dump:all": {"directory": Path("d"), "name": "e1-", "format": "tiff"}}
    assert "out_format: pixels have 32 bit and keep their values; those below 0 or above 65535 became 0" in notes(
        tmp_path, text
    )


def test_an_average_goes_into_one_file(tmp_path: Path) -> None:
    options = {"avg_dirname": "d", "avg_basename": "avg-", "stddev_dirname": "d", "max_basename": "max-", "n": "100"}
    text = cfg("my.mod_average:dark", mod_average__dark={**ADDRESS, **options, "noise_threshold": "7"})
    assert stages(tmp_path, text) == {"average:dark": {"directory": Path("d"), "name": "avg-"}}
    said = notes(tmp_path, text)
    assert "max_basename: mean, standard deviation and maximum go into one file, named as the first" in said
    assert "n: has no meaning here: all images that pass are averaged" in said
    assert "noise_threshold: does nothing without flags" in said
    assert "flags: expected None, found 'nonoise': images are averaged as they are" in fault(
        tmp_path, cfg("my.mod_average:dark", mod_average__dark={**ADDRESS, "flags": "nonoise"})
    )


def test_mod_view_opens_the_window(tmp_path: Path) -> None:
    text = cfg(
        "my.mod_hitfind:hitfind my.mod_view:v", mod_hitfind__hitfind={**ADDRESS, **PERMISSIVE}, mod_view__v=ADDRESS
    )
    assert read(tmp_path, text).wants_window
    assert fault(tmp_path, cfg("my.mod_view:v", mod_view__v=ADDRESS)).startswith(
        "pyana.cfg:2: [pyana] modules: expected a module that does something"
    )


def test_instances_of_one_name_become_stages_of_two(tmp_path: Path) -> None:
    text = cfg("my.mod_hitfind:a other.mod_hitfind:a", mod_hitfind__a={**ADDRESS, **PERMISSIVE})
    text += "[other.mod_hitfind:a]\nthreshold = 1000\n"
    assert list(stages(tmp_path, text)) == ["hitfind:a", "hitfind:a-2"]


def test_without_the_index_no_cell_is_needed(tmp_path: Path) -> None:
    (tmp_path / "a.phil").write_text("")
    text = cfg("my.mod_hitfind", mod_hitfind={**INDEX, **PERMISSIVE})
    assert list(stages(tmp_path, text, 'chain.stages=["hitfind:hitfind"]')) == ["hitfind:hitfind"]
