"""CrystFEL geometry files, against a naive reading of them, DIALS' spots and the pixels of each panel."""

import json
import logging
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from braggwatch.processing.beam import HC
from braggwatch.processing.crystfel_geometry import CrystfelGeometry, CrystfelMask
from braggwatch.processing.crystfel_values import FILE_SETTINGS, NOT_USED, PANEL_SETTINGS, SYNONYMS, InDataFile
from braggwatch.processing.detector import Detector
from braggwatch.processing.detector_settings import DetectorSettings
from braggwatch.processing.frame import Series

PANELS = {
    "geometries/Eiger16M-binning2-nativefiles.geom": 1,
    "geometries/agipd_mar18_v11.geom": 128,
    "geometries/cspad-cxiformat.geom": 64,
    "geometries/jf-swissfel-16M.geom": 32,
    "geometries/lcls-cxi-jungfrau4M.geom": 64,
    "geometries/lcls-mfx-epix10k2M.geom": 64,
    "geometries/npc-Eiger4M.geom": 1,
    "geometries/pilatus.geom": 1,
    "frames/lysozyme_4m.geom": 1,
    "real/thermolysin_cspad.geom": 64,
}

HEAD = """
clen = 0.1 m
photon_energy = 9500 eV
adu_per_photon = 1
res = 10000
"""

PANEL = """
p0/min_fs = 0
p0/max_fs = 9
p0/min_ss = 0
p0/max_ss = 4
p0/corner_x = -5
p0/corner_y = -2
p0/fs = x
p0/ss = y
"""


PARAMETERS = [*PANEL_SETTINGS, *SYNONYMS, *NOT_USED, *FILE_SETTINGS, "min_x", "max_y", "panel", "group_a", "nonsense"]
KEYS = [owner + name for owner in ("", "p0/", "p1/", "bad_a/", "/") for name in PARAMETERS]
VALUES = [
    "0",
    "1",
    "-1.5",
    "1e400",
    "0x10",
    "x",
    "-x +.5y",
    "ss",
    "fs",
    "%",
    "/a/b",
    "/a mm",
    "1 m",
    "9 keV",
    "p0",
    "p0,p1",
    "=",
    "é",
]


def naive_panels(path: Path) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """Split the lines and nothing else: these files set their defaults before the first panel."""
    top: dict[str, str] = {}
    panels: dict[str, dict[str, str]] = defaultdict(dict)
    for line in path.read_text().splitlines():
        key, equals, value = line.split(";")[0].partition("=")
        owner, slash, name = key.strip().partition("/")
        if equals and slash and not owner.startswith("bad"):
            panels[owner][name] = value.strip()
        elif equals and not slash:
            top[owner] = value.strip()
    return top, panels


def naive_vector(text: str) -> Any:
    vector = np.zeros(3)
    for sign, size, axis in re.findall(r"([+-]?)\s*([\d.]*)\s*([xyz])", text):
        vector["xyz".index(axis)] += float(sign + (size or "1"))
    return vector


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "test.geom"
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", PANELS)
def test_real_files_give_every_panel_its_place(shared: Path, name: str) -> None:
    detector = Detector.from_crystfel(shared / name, distance=0.2)
    top, panels = naive_panels(shared / name)
    assert len(detector.panels) == PANELS[name]
    assert [panel.name for panel in detector.panels] == list(panels)
    for panel, said in zip(detector.panels, panels.values(), strict=True):
        first, last = ([int(float(said[f"{end}_{axis}"])) for axis in ("fs", "ss")] for end in ("min", "max"))
        fs, ss = np.array([0.0, last[0] - first[0] + 1]), np.array([0.0, last[1] - first[1] + 1])
        pitch = 1 / float(top["res"])
        corner = pitch * np.array([float(said["corner_x"]), float(said["corner_y"]), 0.0])
        corner[2] = 0.2 + float(said.get("coffset", top.get("coffset", "0")))
        expected = (
            corner + pitch * fs[:, None] * naive_vector(said["fs"]) + pitch * ss[:, None] * naive_vector(said["ss"])
        )
        index = [list(panels).index(panel.name)] * 2
        found = detector.position(fs + panel.fs_start, ss + panel.ss_start, index)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
        assert panel.shape == (last[1] - first[1] + 1, last[0] - first[0] + 1)


def test_thermolysin_spots_of_dials_fall_on_their_indices(shared: Path) -> None:
    detector = Detector.from_crystfel(shared / "real/thermolysin_cspad.geom")
    for image in json.loads((shared / "real/thermolysin_dials.json").read_text())["images"]:
        spots = image["indexed_spots"]
        panel = np.array(spots["panel"])
        row = np.array([detector.panels[p].ss_start for p in panel])
        q = detector.q(np.array(spots["fs"]), np.array(spots["ss"]) + row, panel)
        hkl = q @ np.linalg.inv(np.array(image["reciprocal_vectors"]))
        assert np.abs(hkl - spots["hkl"]).mean() < 0.1


def test_each_agipd_panel_gets_its_own_pixels_of_the_stack(shared: Path) -> None:
    path = shared / "geometries/agipd_mar18_v11.geom"
    detector = Detector.from_crystfel(path)
    _, panels = naive_panels(path)
    stack = np.arange(16 * 512 * 128).reshape(16, 512, 128)
    slab = detector.as_slab(stack)
    assert slab.shape == (8192, 128)
    for panel, said in zip(detector.panels, panels.values(), strict=True):
        rows = slice(int(said["min_ss"]), int(said["max_ss"]) + 1)
        np.testing.assert_array_equal(slab[panel.slices], stack[int(said["dim1"]), rows, 0:128])


def test_a_stack_whose_last_modules_are_not_described_needs_its_shape(tmp_path: Path) -> None:
    text = HEAD + "dim0 = %\ndim1 = 1\ndim2 = ss\ndim3 = fs\n" + PANEL
    path = written(tmp_path, text)
    assert Detector.from_crystfel(path).shape == (10, 10)
    detector = Detector.from_crystfel(path, shape=(4, 6, 12))
    assert detector.shape == (24, 12)
    assert detector.panels[0].slices == (slice(6, 11), slice(0, 10))
    assert not detector.mask[6:11, :10].any()
    assert detector.mask.sum() == 24 * 12 - 50
    with pytest.raises(ValueError, match=re.escape("expected a data array of at least (2, 5, 10), found (4, 4, 12)")):
        Detector.from_crystfel(path, shape=(4, 4, 12))


@pytest.mark.parametrize(
    ("line", "energy"),
    [
        ("photon_energy = 9500", 9500.0),
        ("photon_energy = 9500 eV", 9500.0),
        ("photon_energy = 9.5 keV", 9500.0),
        ("photon_energy = 0.0095 MeV", 9500.0),
        ("wavelength = 1.0 A", HC),
        ("wavelength = 1e-10 m", HC),
    ],
)
def test_energy_is_understood_in_all_its_units(line: str, energy: float) -> None:
    geometry = CrystfelGeometry.from_text(f"clen = 1\nres = 1e4\n{line}\n{PANEL}")
    assert geometry.photon_energy == pytest.approx(energy, rel=1e-12)


@pytest.mark.parametrize(("line", "clen"), [("clen = 0.1", 0.1), ("clen = 0.1 m", 0.1), ("clen = 95.3 mm", 0.0953)])
def test_clen_is_understood_in_its_units(line: str, clen: float) -> None:
    assert CrystfelGeometry.from_text(f"{line}\nres = 1e4\n{PANEL}").clen == pytest.approx(clen)


def test_paths_into_data_files_keep_their_units() -> None:
    geometry = CrystfelGeometry.from_text(f"clen = /LCLS/z\nphoton_energy = /E keV\nres = 1e4\n{PANEL}")
    assert geometry.clen == InDataFile("/LCLS/z", "mm")
    assert geometry.photon_energy == InDataFile("/E", "keV")
    assert not geometry.knows_clen
    assert not geometry.knows_photon_energy


def test_a_distance_left_open_is_asked_for(tmp_path: Path, shared: Path) -> None:
    with pytest.raises(ValueError, match=r"test\.geom: it has no clen; give the distance"):
        Detector.from_crystfel(written(tmp_path, "res = 1e4\n" + PANEL))
    with pytest.raises(
        ValueError, match=r"leaves clen to data files \(/LCLS/detector_1/EncoderValue, mm\); give the dis"
    ):
        Detector.from_crystfel(shared / "geometries/cspad-cxiformat.geom")


def test_an_energy_left_open_is_asked_for_when_it_is_needed(shared: Path) -> None:
    detector = Detector.from_crystfel(shared / "geometries/lcls-cxi-jungfrau4M.geom", distance=-0.45)
    assert detector.beam is None
    with pytest.raises(ValueError, match="the photon energy is unknown: neither the geometry nor the stream says it"):
        detector.q_map()


def test_the_header_fills_in_what_the_file_leaves_open(shared: Path, tmp_path: Path) -> None:
    series = Series(key="k", number=1, distance=0.13, photon_energy=8000.0)
    detector = Detector.from_crystfel(shared / "geometries/cspad-cxiformat.geom", series=series)
    assert detector.distance == pytest.approx(0.13)
    assert detector.beam is not None
    assert detector.beam.photon_energy == 8000.0
    known = Detector.from_crystfel(written(tmp_path, HEAD + PANEL), series=series)
    assert known.distance == pytest.approx(0.1)
    assert known.beam is not None
    assert known.beam.photon_energy == 9500.0


def test_bandwidth_becomes_a_full_width(tmp_path: Path) -> None:
    beam = Detector.from_crystfel(written(tmp_path, HEAD + "bandwidth = 0.01\n" + PANEL)).beam
    assert beam is not None
    assert beam.bandwidth == pytest.approx(0.02354820045)


def test_panels_behind_the_sample_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        Detector.from_crystfel(written(tmp_path, HEAD + "coffset = -0.5\n" + PANEL))
    assert "lie at -0.4 m along the beam on average, behind the sample" in caplog.text


def test_defaults_hold_for_the_panels_after_them_only() -> None:
    text = HEAD + "max_adu = 100\n" + PANEL + "max_adu = 200\n" + PANEL.replace("p0/", "p1/") + "p0/res = 5000\n"
    first, second = CrystfelGeometry.from_text(text).panels
    assert (first.max_adu, second.max_adu) == (100.0, 200.0)
    assert (first.res, second.res) == (5000.0, 10000.0)


def test_a_panels_own_clen_goes_before_the_files(tmp_path: Path) -> None:
    text = HEAD + PANEL + "p0/clen = 250 mm\np0/coffset = 0.001\n"
    assert Detector.from_crystfel(written(tmp_path, text)).distance == pytest.approx(0.251)


def test_directions_may_be_tilted_and_spaced_out(tmp_path: Path) -> None:
    text = HEAD + PANEL.replace("p0/fs = x", "p0/fs = -0.5x + .25 y -z").replace("p0/ss = y", "p0/ss = 1e-1x+y")
    panel = Detector.from_crystfel(written(tmp_path, text)).panels[0]
    assert panel.fs == pytest.approx((-0.5e-4, 0.25e-4, -1e-4))
    assert panel.ss == pytest.approx((0.1e-4, 1e-4, 0.0))


def test_a_shift_moves_the_whole_detector(tmp_path: Path) -> None:
    text = HEAD + "detector_shift_x = 1 mm\ndetector_shift_y = -0.002\n" + PANEL
    assert Detector.from_crystfel(written(tmp_path, text)).panels[0].corner == pytest.approx((0.5e-3, -2.2e-3, 0.1))


def test_bad_rectangles_include_both_ends_and_stay_on_their_panel(tmp_path: Path) -> None:
    second = PANEL.replace("p0/", "p1/").replace("_ss = 0", "_ss = 5").replace("_ss = 4", "_ss = 9")
    bad = "bad_a/min_fs = 2\nbad_a/max_fs = 3\nbad_a/min_ss = 3\nbad_a/max_ss = 6\n"
    both = Detector.from_crystfel(written(tmp_path, HEAD + PANEL + second + bad))
    expected = np.zeros((10, 10), bool)
    expected[3:7, 2:4] = True
    np.testing.assert_array_equal(both.mask, expected)
    one = Detector.from_crystfel(written(tmp_path, HEAD + PANEL + second + bad + "bad_a/panel = p1\n"))
    expected[:5] = False
    np.testing.assert_array_equal(one.mask, expected)


def test_bad_lab_rectangles_leave_their_limits_out(tmp_path: Path) -> None:
    bad = "bad_b/min_x = -3\nbad_b/max_x = 1\nbad_b/min_y = -1\nbad_b/max_y = 99\n"
    mask = Detector.from_crystfel(written(tmp_path, HEAD + PANEL + bad)).mask
    rows, columns = np.nonzero(mask)
    assert set(columns - 5) == {-2, -1, 0}
    assert set(rows - 2) == {0, 1, 2}


def test_whole_panels_and_edges_can_be_bad(tmp_path: Path) -> None:
    edges = Detector.from_crystfel(written(tmp_path, HEAD + "mask_edge_pixels = 1\n" + PANEL))
    assert edges.mask.sum() == 50 - 8 * 3
    assert not edges.mask[1:4, 1:9].any()
    assert Detector.from_crystfel(written(tmp_path, HEAD + PANEL + "p0/no_index = true\n")).mask.all()
    assert not Detector.from_crystfel(written(tmp_path, HEAD + PANEL + "p0/no_index = 0\n")).mask.any()


def test_values_that_mean_bad_reach_the_detector(tmp_path: Path, shared: Path) -> None:
    assert Detector.from_crystfel(shared / "frames/lysozyme_4m.geom").flag_values == (65535.0,)
    flags = "flag_equal = 1\nflag_equal = 7\nflag_lessthan = -3\nflag_lessthan = -9\nflag_morethan = 500\n"
    detector = Detector.from_crystfel(written(tmp_path, HEAD + flags + PANEL))
    assert (detector.flag_values, detector.flag_below, detector.flag_above) == ((1.0, 7.0), -3.0, 500.0)
    with pytest.raises(
        ValueError, match="expected the same flag_equal, flag_lessthan and flag_morethan for all panels"
    ):
        Detector.from_crystfel(written(tmp_path, HEAD + PANEL + flags + PANEL.replace("p0/", "p1/")))


def test_the_streams_saturation_holds_where_the_file_is_silent_and_its_error_value_always(tmp_path: Path) -> None:
    series = Series(key="s", number=1, saturation_value=47_000.0, error_value=65_535)
    second = PANEL.replace("p0/", "p1/").replace("_ss = 0", "_ss = 5").replace("_ss = 4", "_ss = 9")
    text = HEAD + "flag_equal = 1\n" + PANEL + second + "p1/max_adu = 9000\n"
    detector = DetectorSettings(geometry=written(tmp_path, text)).detector(series)
    assert [panel.max_adu for panel in detector.panels] == [47_000.0, 9000.0]
    assert detector.flag_values == (1.0, 65_535.0)
    silent = Detector.from_crystfel(written(tmp_path, text), series=Series(key="s", number=1))
    assert [panel.max_adu for panel in silent.panels] == [np.inf, 9000.0]
    assert silent.flag_values == (1.0,)


def test_groups_are_kept(shared: Path) -> None:
    geometry = CrystfelGeometry.read(shared / "geometries/lcls-cxi-jungfrau4M.geom")
    assert geometry.rigid_groups["a0"] == ("q0a0", "q0a1")
    assert geometry.rigid_groups["collection_quadrants"] == ("q0", "q1", "q2", "q3")
    assert CrystfelGeometry.from_text(HEAD + "group_all = p0\n" + PANEL).groups == {"all": ("p0",)}


def test_mask_files_beside_the_geometry_are_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lines = "mask_file = mask.h5\nmask = /mask\nmask_good = 0x1\nmask_bad = 0x4\n"
    path = written(tmp_path, HEAD + lines + PANEL)
    assert CrystfelGeometry.read(path).panels[0].masks == (CrystfelMask("/mask", "mask.h5", 1, 4),)
    with caplog.at_level(logging.WARNING):
        assert not Detector.from_crystfel(path).mask.any()
    assert "its mask file mask.h5 does not exist; nothing is masked by it" in caplog.text
    values = np.ones((5, 10), np.uint8)
    values[0, 1], values[2, 3], values[4, 9] = 0, 5, 3
    with h5py.File(tmp_path / "mask.h5", "w") as file:
        file["mask"] = values
    mask = Detector.from_crystfel(path).mask
    assert list(zip(*np.nonzero(mask), strict=True)) == [(0, 1), (2, 3)]


def test_lines_of_no_use_here_are_named() -> None:
    geometry = CrystfelGeometry.from_text("peak_list = /peaks\nres = 1\n" + PANEL)
    assert geometry.not_used == ("line 1: peak_list = /peaks",)


def test_comments_line_ends_and_blanks_do_not_matter() -> None:
    text = (HEAD + PANEL).replace("\n", "   ; remark = 3\r\n")
    assert CrystfelGeometry.from_text(text).panels == CrystfelGeometry.from_text(HEAD + PANEL).panels


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense\n", "g, line 1: expected 'parameter = value' or 'panel/parameter = value', found 'nonsense'"),
        ("res =\n", "g, line 1: expected 'parameter = value'"),
        ("\nfoo = 1\n", "g, line 2: expected a parameter of CrystFEL's geometry files, found 'foo'"),
        ("p0/foo = 1\n", "g, line 1: expected a parameter of CrystFEL's geometry files, found 'foo'"),
        ("res = abc\n", "g, line 1: res: expected a number, found 'abc'"),
        ("res = -1\n", "g, line 1: res: expected a number above 0, found '-1'"),
        ("res = nan\n", "g, line 1: res: expected a number, found 'nan'"),
        ("res = 1e999\n", "g, line 1: res: expected a number within the range of double precision, found '1e999'"),
        ("p0/min_fs = 1.5\n", "g, line 1: min_fs: expected a whole number from 0, found '1.5'"),
        ("p0/fs = 1.0w\n", "g, line 1: fs: expected a direction such as 'x' or '-0.001x +0.999y +0.02z', found '1.0w'"),
        ("p0/fs = x y\n", "g, line 1: fs: expected a direction"),
        ("clen = 0.1 cm\n", "g, line 1: clen: expected a number or a path in the data file, then one of m, mm, found"),
        (
            "photon_energy = 9 J\n",
            "g, line 1: photon_energy: expected a number or a path in the data file, then one of",
        ),
        ("wavelength = 1\n", "g, line 1: wavelength: expected a number or a path in the data file, then one of A, m,"),
        ("clen = 1\nclen = 2\n", "g, line 2: clen is given again; expected one value, found another in line 1"),
        ("dim0 = xs\n", "g, line 1: dim0: expected ss, fs, % or a whole number, found 'xs'"),
        ("mask_bad = q\n", "g, line 1: mask0_badbits: expected a bit mask such as 0x00ff or 255, found 'q'"),
        ("no_index = maybe\n", "g, line 1: no_index: expected true, false or a whole number, found 'maybe'"),
        ("data = data\n", "g, line 1: data: expected a path inside the data file, beginning with /, found 'data'"),
        ("bad_a/colour = 1\n", "g, line 1: expected min_ or max_ with fs, ss, x or y, or panel, for a bad region"),
        ("group_a = p,,q\n", "g, line 1: expected a list of different names with commas between them, found 'p,,q'"),
        ("group_x/fs = x\n", "g, line 1: expected a panel's name that does not begin with group or rigid_group"),
        ("res = 1\n", "g: expected at least one panel, found none"),
        ("p0/min_fs = 0\n", "g: panel p0: expected max_fs, found no line 'p0/max_fs = …'"),
        (HEAD + PANEL + "max_adu = 3\n", "g, line 15: this applies to no panel"),
        (
            HEAD + PANEL + "p0/max_fs = 9\np0/min_fs = 10\n",
            "g: panel p0: expected min_fs <= max_fs and min_ss <= max_ss",
        ),
        (
            HEAD + "dim0 = %\n" + PANEL,
            "g: panel p0: expected one dim with ss and, after it, one with fs; found dim0 = %",
        ),
        (
            HEAD + "dim3 = %\n" + PANEL,
            "g: panel p0: expected dim0, dim1 … without a gap, found dim0 = ss, dim1 = fs, dim3",
        ),
        (
            HEAD + "mask_bad = 1\n" + PANEL,
            "g: panel p0: expected mask0_data, which says where the mask lies, beside mask0_b",
        ),
        (HEAD + "wavelength = 1 A\n" + PANEL, "g, line 6: expected photon_energy or wavelength, found both (line 3)"),
        (HEAD + "detector_shift_x = /s\n" + PANEL, "g, line 6: detector_shift_x: expected a number, found '/s'"),
        (HEAD + "group_a = p9\n" + PANEL, "g: group_a: expected panels, or groups defined before it; found p9"),
        (
            HEAD + PANEL + "bad_a/min_x = 1\n",
            "g, line 15: bad region bad_a: expected min and max of fs and ss, or of x and",
        ),
        (
            HEAD + PANEL + "bad_a/min_fs = 1\nbad_a/max_fs = 0\nbad_a/min_ss = 1\nbad_a/max_ss = 2\n",
            "g, line 15: bad region bad_a: expected min <= max, found (1.0, 1.0) and (0.0, 2.0)",
        ),
        (
            HEAD + PANEL + "".join(f"bad_a/{e}_{x} = 1\n" for e in ("min", "max") for x in "xy") + "bad_a/panel = q\n",
            "g, line 15: bad region bad_a: expected the name of a panel, found 'q'",
        ),
    ],
)
def test_what_is_not_understood_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        CrystfelGeometry.from_text(text, "g")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + PANEL + PANEL.replace("p0/", "p1/"), "panel p1 overlaps another panel in the image array"),
        (
            HEAD + PANEL + "data = /other\n" + PANEL.replace("p0/", "p1/"),
            "expected all panels in one array, found /data/data (panel p0) and /other (panel p1)",
        ),
        (
            HEAD + "dim0 = 0\ndim1 = ss\ndim2 = fs\n" + PANEL + PANEL.replace("p0/", "p1/") + "p1/dim0 = %\n",
            "expected the same kind of dim in all panels",
        ),
        (HEAD + "dim2 = 1\n" + PANEL, "expected ss and fs as the last two dims, found ('ss', 'fs', 1)"),
        (
            HEAD + PANEL + "bad_a/min_fs = 10\nbad_a/max_fs = 12\nbad_a/min_ss = 1\nbad_a/max_ss = 2\n",
            "bad region bad_a: expected limits within the panels, found fs 10..12, ss 1..2",
        ),
        (
            HEAD
            + "dim0 = 0\ndim1 = ss\ndim2 = fs\n"
            + PANEL
            + "bad_a/min_fs = 1\nbad_a/max_fs = 2\nbad_a/min_ss = 1\nbad_a/max_ss = 2\n",
            "bad region bad_a: expected a line 'bad_a/panel = …', because rows and columns alone do not tell",
        ),
        (HEAD + PANEL + "p0/max_fs = 2000000000\n", "expected an image of at most 1073741824 pixels"),
        (HEAD + PANEL + "p0/res = 1e-320\n", "panel p0: expected finite positions, found corner (-inf, -inf, 0.1)"),
        (HEAD + PANEL + "p0/ss = x\n", "panel p0: its fs and ss vectors do not span a plane"),
    ],
)
def test_panels_that_form_no_image_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Detector.from_crystfel(written(tmp_path, text))


def test_a_data_file_given_as_geometry_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "big.geom"
    with path.open("wb") as file:
        file.truncate(2**24 + 1)
    with pytest.raises(ValueError, match="expected a geometry file of at most 16777216 bytes; is this a data file"):
        Detector.from_crystfel(path)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from(VALUES)), max_size=30))
def test_any_lines_give_a_geometry_or_a_refusal(lines: list[tuple[str, str]]) -> None:
    text = HEAD + PANEL + "".join(f"{key} = {value}\n" for key, value in lines)
    try:
        geometry = CrystfelGeometry.from_text(text, "g")
    except ValueError as refusal:
        assert str(refusal).startswith("g")
    else:
        assert geometry.panels[0].name == "p0"
