"""What becomes of the options that say where images come from and how they are corrected."""

import shutil
from pathlib import Path

import h5py
import numpy as np
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
)

from braggwatch.processing.chain_settings import SettingsError


@pytest.fixture(autouse=True)
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_darks(tmp_path)
    (tmp_path / "a.phil").write_text(PHIL)


def test_darks_common_mode_gain_and_mask_go_to_the_detector(tmp_path: Path) -> None:
    make_darks(tmp_path, "gain mask")
    with h5py.File(tmp_path / "dark.h5", "w") as file:
        file["mean"] = file["stddev"] = np.ones((4, 4))
    text = hitfind(
        dark_path="dark.h5:/mean", dark_stddev="stddev.npy", common_mode_correction="median", gain_map_path="gain.npy",
        gain_map_level="6.87", mask_path="mask.npy",
    )  # fmt: skip
    detector = settings(tmp_path, text).detector
    assert detector.model_dump(exclude_unset=True) == {
        "name": "CxiDs1-0|Cspad-0",
        "dark": "dark.h5:/mean",
        "noise": "stddev.npy",
        "common_mode": "median",
        "gain_map": "gain.npy",
        "gain_map_level": 6.87,
        "mask": "mask.npy",
    }
    assert "gain_map_level: multiplies the pixels that are 0 in the map, as the older code did" in notes(tmp_path, text)


@pytest.mark.parametrize("mode", ["mean", "median", "mode", "gaussian", "chebyshev"])
def test_every_common_mode_of_the_older_tools_is_there(tmp_path: Path, mode: str) -> None:
    text = hitfind(dark_path="avg.npy", dark_stddev="stddev.npy", common_mode_correction=mode)
    assert settings(tmp_path, text).detector.common_mode == mode


def test_a_region_limits_the_hit_test_and_not_the_chebyshev_correction(tmp_path: Path) -> None:
    options = {"dark_path": "avg.npy", "dark_stddev": "stddev.npy", "common_mode_correction": "chebyshev"}
    text = cfg(mod_hitfind__hitfind={**ADDRESS, **options, "threshold": "450", "roi": "1:2,3:4"})
    assert "roi: limits the hit test only, not the chebyshev correction" in notes(tmp_path, text)


def test_a_pickle_is_refused_with_the_command_that_converts_it_until_it_is(tmp_path: Path) -> None:
    text = hitfind(dark_path="old/dark.pickle", dark_stddev="stddev.npy")
    assert fault(tmp_path, text) == (
        "pyana.cfg:9: [my.mod_hitfind:hitfind] dark_path: expected an HDF5 or .npy file, found the pickle "
        "old/dark.pickle: pickles are not read, because loading one can run any program. In the Python of the older "
        "tools: python convert_pickle.py old/dark.pickle (the script is in docs/converting-pickles.md); dark.npy "
        "beside it is then taken"
    )
    assert "python convert_pickle.py --mask m.pkl" in fault(tmp_path, hitfind(mask_path="m.pkl"))
    (tmp_path / "old").mkdir()
    make_darks(tmp_path / "old", "dark")
    assert settings(tmp_path, text).detector.dark == "old/dark.npy"


def test_all_pickles_that_are_not_converted_are_named_in_one_go(tmp_path: Path) -> None:
    text = hitfind(
        dark_path="old/dark.pickle", dark_stddev="old/dev.pickle", gain_map_path="stddev.pickle",
        mask_path="m.pkl", gain_map_level="None",
    )  # fmt: skip
    assert fault(tmp_path, text) == (
        "pyana.cfg:9: [my.mod_hitfind:hitfind] dark_path: expected an HDF5 or .npy file, found the pickle "
        "old/dark.pickle; dark_stddev (line 10) the pickle old/dev.pickle; mask_path (line 12) the pickle m.pkl: "
        "pickles are not read, because loading one can run any program. In the Python of the older tools: python "
        "convert_pickle.py old/dark.pickle old/dev.pickle and python convert_pickle.py --mask m.pkl (the script is in "
        "docs/converting-pickles.md); dark.npy, dev.npy, m.npy beside them are then taken"
    )
    (tmp_path / "old").mkdir()
    make_darks(tmp_path / "old", "dark dev")
    assert "mask_path: expected an HDF5 or .npy file, found the pickle m.pkl: pickles" in fault(tmp_path, text)
    make_darks(tmp_path, "m")
    detector = settings(tmp_path, text).detector
    assert (detector.dark, detector.noise) == ("old/dark.npy", "old/dev.npy")
    assert (detector.gain_map, detector.mask) == ("stddev.npy", "m.npy")


def test_a_pickle_under_another_name_is_refused_as_well(tmp_path: Path) -> None:
    (tmp_path / "dark.dat").write_bytes(b"\x80\x02}q\x00U\x04DATA")
    assert (
        "dark_path: expected an HDF5 or .npy file; what it is instead is not known. If it is a pickle: docs/conv"
        in fault(tmp_path, hitfind(dark_path="dark.dat", dark_stddev="stddev.npy"))
    )


def test_a_geometry_file_stands_for_the_metrology(tmp_path: Path, shared: Path) -> None:
    geometry = shared / "real" / "thermolysin_cspad.geom"
    (tmp_path / "calib").mkdir()
    assert "calib_dir: metrology is not read" in notes(tmp_path, hitfind(calib_dir="calib"))
    assert "address: a CSPAD without calib_dir: the detector is taken for one flat panel" in notes(tmp_path, hitfind())
    shutil.copy(geometry, tmp_path / "calib" / "cspad.geom")
    assert settings(tmp_path, hitfind(calib_dir="calib")).detector.geometry == Path("calib/cspad.geom")
    assert settings(tmp_path, hitfind(calib_dir=str(geometry))).detector.geometry == geometry
    shutil.copy(geometry, tmp_path / "calib" / "other.geom")
    assert "calib_dir: expected a folder with one geometry file, found cspad.geom, other.geom; name one" in fault(
        tmp_path, hitfind(calib_dir="calib")
    )


def test_a_geometry_file_that_is_none_is_refused_with_the_line(tmp_path: Path) -> None:
    (tmp_path / "bad.geom").write_text("p0/min_fs = 0\n")
    assert fault(tmp_path, hitfind(calib_dir="bad.geom")).startswith(
        "pyana.cfg:9: [my.mod_hitfind:hitfind] calib_dir: "
    )


def test_energy_and_beam_override_the_streams(tmp_path: Path) -> None:
    text = hitfind(override_energy="9500", override_beam_x="880.5", override_beam_y="890")
    detector = settings(tmp_path, text).detector
    assert (detector.photon_energy, detector.beam_center) == (9500.0, (880.5, 890.0))


@pytest.mark.parametrize(
    "option",
    [
        "detz_offset", "check_beam_status", "delta_k", "verbose", "photon_threshold", "two_photon_threshold",
        "bin_size", "crop_rayonix", "db_logging", "progress_logging", "sql_buffer_size", "db_host", "db_name",
        "db_table_name", "db_experiment_tag", "db_user", "db_password", "db_tags", "db_version", "trial", "trial_id",
        "rungroup_id",
    ],
)  # fmt: skip
def test_an_option_that_has_no_meaning_here_is_named_once_with_the_reason(tmp_path: Path, option: str) -> None:
    text = cfg(
        "my.mod_hitfind:hitfind my.mod_hitfind:again",
        mod_hitfind__hitfind={**ADDRESS, **PERMISSIVE, option: "True"},
        mod_hitfind__again={**ADDRESS, **PERMISSIVE, option: "True"},
    )
    lines = [line for line in notes(tmp_path, text).splitlines() if f" {option} (and in 1 more place): " in line]
    assert len(lines) == 1
    assert "has no meaning here: " in lines[0]
    assert option not in notes(tmp_path, hitfind(**{option: "None"}))


def test_a_later_modules_own_corrections_do_nothing_as_before_and_it_is_said(tmp_path: Path) -> None:
    text = cfg(
        "my.mod_hitfind:a my.mod_hitfind:b",
        mod_hitfind__a={**ADDRESS, **PERMISSIVE},
        mod_hitfind__b={**ADDRESS, **PERMISSIVE, "dark_path": "avg.npy", "dark_stddev": "stddev.npy"},
    )
    assert settings(tmp_path, text).detector.dark is None
    assert "[my.mod_hitfind:b] dark_path: does nothing, because my.mod_hitfind:a corrects the image before" in notes(
        tmp_path, text
    )
    uncached = text.replace("[my.mod_hitfind:a]", "[my.mod_hitfind:a]\ncache_image = False")
    assert (
        "[my.mod_hitfind:b] dark_path: expected what my.mod_hitfind:a has (nothing), found 'avg.npy': images are"
        in fault(tmp_path, uncached)
    )


def test_an_address_that_can_be_reached_is_the_source(tmp_path: Path) -> None:
    found = read(tmp_path, hitfind(address="tcp://10.0.0.1:31001")).settings()
    assert found.source.model_dump(exclude_unset=True) == {"type": "dectris-v2", "address": "tcp://10.0.0.1:31001"}


def test_files_of_the_job_are_the_source_unless_they_are_xtc(tmp_path: Path) -> None:
    text = hitfind().replace("[pyana]", "[pyana]\nfiles = a.h5 b.h5\njob-name = night\nnum-events = 10")
    found = read(tmp_path, text).settings()
    assert found.source.model_dump(exclude_unset=True) == {"type": "files", "paths": ["a.h5", "b.h5"]}
    assert (found.hub.drop, found.experiment.name) == ("never", "night")
    assert "num-events: has no meaning here" in notes(tmp_path, text)
    xtc = text.replace("a.h5 b.h5", "e1-r0066-s00-c00.xtc")
    assert "files: has no meaning here: XTC files are not read" in notes(tmp_path, xtc)
    with pytest.raises(SettingsError, match="say where the frames come from"):
        read(tmp_path, xtc).settings()
