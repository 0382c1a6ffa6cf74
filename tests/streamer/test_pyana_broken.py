"""Two hundred broken files: each is refused with file, line, what was expected and what was found."""

import shutil
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyana_by_hand import GEOMETRY, SOURCE, make_geometry

from braggwatch.processing.chain_settings import SettingsError
from braggwatch.streamer.pyana.translation import translate

DATA = Path(__file__).resolve().parents[1] / "data" / "pyana"
MODULES = (
    "[pyana]\nmodules = my.mod_hitfind:hitfind \\\n          my.mod_dump:hit \\\n          my.mod_average:all \\\n"
    "          my.mod_hitfind:index\n"
)
HITFIND = """
[my.mod_hitfind:hitfind]
address = CxiDs1-0|Cspad-0
dark_path = avg.npy
dark_stddev = stddev.npy
common_mode_correction = median
gain_map_path = gain.npy
gain_map_level = 6.8
mask_path = mask.npy
override_energy = 9500
override_beam_x = 880
override_beam_y = 880
distl_flags = permissive
distl_min_peaks = 16
threshold = 450
xtal_target = hitfind-7.1.phil
"""
REST = """
[my.mod_dump:hit]
out_dirname = out
out_basename = hit-
out_format = pickle

[my.mod_average:all]
avg_dirname = out
avg_basename = avg-

[my.mod_hitfind:index]
dispatch = index
xtal_target = hitfind-7.1.phil
integration_dirname = out
integration_basename = int-
"""
WHOLE = MODULES + HITFIND + REST

NO_INTEGERS = ["many", "4.5", "16 17", "0x10", "1e2", "-", "450 # ADU", "'450'", "True"]
NO_NUMBERS = ["far", "nan", "inf", "1,5", "9.5 keV", "--1", "'1'", "1e", "None None"]
NO_PATHS = [
    "nowhere.npy",
    "nowhere/avg.h5",
    "old.pickle",
    "text.npy",
    '"avg.npy"',
    "'r%%d'%%(66)",
    "{run}.npy",
    "%(run)s.npy",
    "text.h5",
    ".",
]
NO_NAMES = ["../hit", "hit ä", "-hit", "hit/", "a b", "x" * 65]


def options() -> Iterator[tuple[str, str]]:
    """Yield an option and a value that it cannot have."""
    for name in ("threshold", "distl_min_peaks"):
        yield from ((name, value) for value in NO_INTEGERS)
    for name in ("gain_map_level", "override_energy", "override_beam_x", "override_beam_y"):
        yield from ((name, value) for value in NO_NUMBERS)
    for name in ("dark_path", "dark_stddev", "gain_map_path", "mask_path"):
        yield from ((name, value) for value in NO_PATHS)
    for name in ("out_basename", "avg_basename", "integration_basename"):
        yield from ((name, value) for value in NO_NAMES)
    for value in ("permissive restrictive", "None", "loud", "permisive", "restrictive permissive", ""):
        yield "distl_flags", value
    for value in ("idnex", "INDEX", "view spots", "True", "indexing"):
        yield "dispatch", value
    for value in ("jpeg", "cbf", "TIFF", "tif"):
        yield "out_format", value
    for value in ("linear", "None none", "average", "Median", "chebyshef"):
        yield "common_mode_correction", value
    for value in ("nowhere.phil", "'hitfind-7.1.phil'", "text.npy", "out/none", "broken"):
        yield "xtal_target", value
    for value in ("-5", "0"):
        yield "distl_min_peaks", value
        yield "override_energy", value
        yield "gain_map_level", value


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(DATA, tmp_path, dirs_exist_ok=True)
    for name in ("avg", "stddev", "gain", "mask"):
        np.save(tmp_path / f"{name}.npy", np.ones((4, 4)))
    make_geometry(tmp_path)
    (tmp_path / "text.npy").write_text("no array")
    (tmp_path / "text.h5").write_text("no array")
    (tmp_path / "broken.phil").write_text("distl {\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def said_of(folder: Path, text: str) -> str:
    path = folder / "pyana.cfg"
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        translate(path).settings([GEOMETRY], SOURCE)
    return str(caught.value).replace(f"{folder}/", "")


def line_of(text: str, start: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if line.startswith(start))


def test_the_file_that_is_broken_below_is_right_itself(folder: Path) -> None:
    (folder / "pyana.cfg").write_text(WHOLE)
    translate(folder / "pyana.cfg").settings([GEOMETRY], SOURCE)


@pytest.mark.parametrize(("name", "value"), list(options()), ids=lambda text: text)
def test_a_value_that_cannot_be_is_refused_with_file_line_and_option(folder: Path, name: str, value: str) -> None:
    line = next(line for line in WHOLE.splitlines() if line.startswith(f"{name} ="))
    text = WHOLE.replace(line, f"{name} = {value}", 1)
    said = said_of(folder, text)
    if value == "broken":
        assert said == "broken.phil:1: expected a closing brace for the scope distl, found the file's end"
        return
    if value == "text.npy" and name == "xtal_target":
        assert said.startswith("text.npy:1: expected no = VALUE or no {, found 'array' behind no")
        return
    if name == "distl_flags" and value in ("None", ""):
        assert said == (
            f"pyana.cfg:{line_of(text, 'distl_min_peaks')}: [my.mod_hitfind:hitfind] distl_min_peaks: expected "
            "distl_flags = permissive or restrictive beside it, found none"
        )
        return
    assert said.startswith(f"pyana.cfg:{line_of(text, name)}: [my.mod_")
    assert f"] {name}: " in said.splitlines()[0]
    assert "expected" in said or "should" in said
    assert "found" in said


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("[pyana]", "[pyama]", 0, "pyana.cfg: expected a section [pyana] with the option modules, found [pyama], [m"),
        ("[pyana]\n", "", 1, "expected a section such as [pyana] before the first option, found 'modules"),
        ("modules =", "moduls =", 1, "[pyana] modules: expected names of modules, found no option"),
        ("mod_hitfind:hitfind \\", "mod_hitfnd:hitfind \\", 2, "[pyana] modules: expected one of mod_average, mod_d"),
        ("mod_dump:hit \\", "mod_mar:hit \\", 2, "[pyana] modules: expected one of mod_average, mod_dump, mod_hitfi"),
        ("my.mod_dump:hit \\", "my.mod_dump: \\", 2, "[pyana] modules: expected a name such as my_ana_pkg.mod_hitfi"),
        ("my.mod_dump:hit \\", "my/mod_dump:hit \\", 2, "[pyana] modules: expected a name such as my_ana_pkg.mod_hi"),
        ("my.mod_dump:hit \\", "my.mod_hitfind:hitfind \\", 2, "[pyana] modules: my.mod_hitfind:hitfind stands ther"),
        ("[my.mod_hitfind:hitfind]", "[my.mod_hitfind:hitfnd]", 7, "[my.mod_hitfind:hitfnd]: no module of the chain"),
        ("[my.mod_hitfind:hitfind]", "[my.mod_hitfnd:hitfind]", 7, "[my.mod_hitfnd:hitfind]: no module of the chain"),
        ("[my.mod_hitfind:hitfind]", "[my.mod_hitfind:hitfind", 7, "expected a section such as [pyana], found '[my."),
        ("[my.mod_dump:hit]", "[options]", 23, "[options]: expected [pyana] or a module of the chain ([my.mod_hitfi"),
        ("threshold = 450", "treshold = 450", 20, "[my.mod_hitfind:hitfind] treshold: there is no such option; did"),
        ("threshold = 450", "threshold 450", 20, "expected NAME = VALUE or [SECTION], found 'threshold 450'"),
        ("threshold = 450", "  threshold = 450", 20, "expected more of [my.mod_hitfind:hitfind] distl_min_peaks, of"),
        ("threshold = 450", "threshold = 450 \\\n[x]", 21, "expected the rest of a value, because the line before e"),
        ("threshold = 450", "threshold = 450\nroi = 1:2,3:4", 21, "[my.mod_hitfind:hitfind] roi: expected roi or di"),
        ("threshold = 450", "threshold = 450\nlaser_1_status = 2", 21, "[my.mod_hitfind:hitfind] laser_1_status: ex"),
        ("threshold = 450", "threshold = 450\nlaser_1_status = on", 21, "[my.mod_hitfind:hitfind] laser_1_status: e"),
        ("threshold = 450", "threshold = 450\nlaser_wait_time = -1", 21, "[my.mod_hitfind:hitfind] laser_wait_time:"),
        ("dispatch = index", "dispatch = index\nlaser_4_status = 1", 34, "[my.mod_hitfind:index] laser_4_status: e"),
        ("threshold = 450", "threshold = 450\nlaser_wait_time = long", 21, "[my.mod_hitfind:hitfind] laser_wait_tim"),
        ("dark_stddev = stddev.npy\n", "", 9, "[my.mod_hitfind:hitfind] dark_path: expected dark_stddev beside it,"),
        ("override_beam_y = 880\n", "", 16, "[my.mod_hitfind:hitfind] override_beam_x: expected override_beam_x and"),
        ("dispatch = index", "dispatch = index\naddress = CxiDs2-0|Cspad-0", 34, "[my.mod_hitfind:index] address: e"),
        ("dispatch = index", "dispatch = index\noverride_energy = 9000", 34, "[my.mod_hitfind:index] override_energ"),
        ("avg_dirname = out", "avg_dirname = out\nflags = nohot", 30, "[my.mod_average:all] flags: expected None, f"),
    ],
)  # fmt: skip
def test_a_wrong_section_module_or_contradiction_is_refused_with_its_line(
    folder: Path, old: str, new: str, line: int, said: str
) -> None:
    assert old in WHOLE
    found = said_of(folder, WHOLE.replace(old, new, 1))
    assert found.startswith(f"pyana.cfg:{line}: {said}" if line else said)


@pytest.mark.parametrize("region", ["1:2", "1:2,3", "a:b,c:d", "5:1,1:5", "1:2;3:4", "-1:2,3:4", ":,:", "1:2,3:3"])
def test_a_region_that_is_none_is_refused(folder: Path, region: str) -> None:
    text = WHOLE.replace("distl_min_peaks = 16\n", "").replace("threshold = 450", f"threshold = 450\nroi = {region}")
    said = said_of(folder, text)
    assert said.startswith(f"pyana.cfg:{line_of(text, 'roi')}: [my.mod_hitfind:hitfind] roi: ")
    assert "found" in said


@pytest.mark.parametrize(
    ("phil", "line"),
    [
        ("distl {\n", 1),
        ("}\n", 1),
        ("distl {{\n}\n", 1),
        ("\ndistl\n", 2),
        ("distl.res.outer\n", 1),
        ("distl.res.outer =\n", 1),
        ("distl.res.outer = two\n", 1),
        ("distl.res.outer = 2 3\n", 1),
        ("distl.res.outer = -2\n", 1),
        ("distl.res { outer = 40\n inner = 2 }\ntarget_cell = 79 79 38 90 90 90\n", 1),
        ("\n\ndistl.minimum_spot_area = 0\n", 3),
        ("distl.minimum_spot_area = 1.5\n", 1),
        ("distl.spot_area_maximum_factor = 0.5\ntarget_cell = 79 79 38 90 90 90\n", 1),
        ("distl.scanbox_windows = 5 5 5\n", 1),
        ("distl.scanbox_windows = 5000 5000 5000\ntarget_cell = 79 79 38 90 90 90\n", 1),
        ("distl.tile_flags = yes\n", 1),
        ("target_cell = 79 79\n", 1),
        ("target_cell = 79 79 38 90 90 x\n", 1),
        ("target_cell = 79 79 38 90 90 190\n", 1),
        ("#\ntarget_cell = 60 79 38 90 90 90\nknown_setting = 9\n", 2),
        ("target_cell_centring_type = Q\n", 1),
        ("known_setting = tetragonal\n", 1),
        ("distl_minimum_number_spots_for_indexing = 0\n", 1),
        ("distl_minimum_number_spots_for_indexing = few\n", 1),
        ("integration { detector_gain = 0 }\n", 1),
        ("include file none.phil\n", 1),
        ("include scope labelit.phil\n", 1),
        ("include file hitfind-7.1.phil\n", 1),
        ("integration = {\n", 1),
        ("a = 'open\n", 1),
        ('a = "open\n', 1),
        ("a = 1 = 2\n", 1),
        ("1a = 2\n", 1),
        ("a.1 = 2\n", 1),
        ("a..b = 2\n", 1),
        ("{ a = 1 }\n", 1),
    ],
)
def test_a_target_that_is_malformed_or_wrong_is_refused_with_its_own_line(folder: Path, phil: str, line: int) -> None:
    (folder / "hitfind-7.1.phil").write_text(phil)
    said = said_of(folder, WHOLE)
    assert said.startswith(f"hitfind-7.1.phil:{line}: ")
    assert "expected" in said or "should" in said or "must" in said


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_done_to_the_bytes_of_a_file_it_is_refused_or_read_and_nothing_else(
    folder: Path, data: st.DataObject
) -> None:
    phil = (DATA / "hitfind-7.1.phil").read_text()
    name, text = data.draw(st.sampled_from([("pyana.cfg", WHOLE), ("hitfind-7.1.phil", phil)]))
    (folder / "pyana.cfg").write_text(WHOLE)
    (folder / "hitfind-7.1.phil").write_text(phil)
    start = data.draw(st.integers(0, len(text)))
    stop = data.draw(st.integers(start, min(len(text), start + 20)))
    inserted = data.draw(st.text(alphabet="[]{}=:;#!\\\"'%()*.,| \n\t\0aé0-", max_size=12))
    (folder / name).write_text(text[:start] + inserted + text[stop:])
    with suppress(SettingsError):
        tomllib.loads(translate(folder / "pyana.cfg").as_toml())
