"""The commands that take a pyana.cfg, and the script that converts the older tools' pickles."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from braggwatch.processing.crystal import misorientation
from braggwatch.processing.unit_cell import UnitCell
from braggwatch.streamer.cli import make_app
from braggwatch.streamer.settings import load_settings

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests" / "data" / "pyana"
STREAM = "tcp://127.0.0.1:31001"


@pytest.fixture
def tutorial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared: Path) -> Path:
    shutil.copytree(DATA, tmp_path, dirs_exist_ok=True)
    for folder in (tmp_path, tmp_path / "CSPad" / "run4" / "CxiDs1.0:Cspad.0"):
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(shared / "real" / "thermolysin_cspad.geom", folder)
    for name in ("avg", "stddev"):
        np.save(tmp_path / f"Ds1-r0066-{name}.npy", np.ones((4, 4)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "braggwatch.streamer", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=170, cwd=folder)


def test_the_toml_that_is_printed_is_a_settings_file(tutorial: Path) -> None:
    printed = run("config", "from-pyana", "pyana.cfg", "--source", STREAM)
    assert printed.returncode == 0, printed.stderr
    assert "things are not as they were; they stand at the top as comments" in printed.stderr
    (tutorial / "beamline.toml").write_text(printed.stdout)
    found = load_settings(tutorial / "beamline.toml")
    assert found.chain.stages[:3] == ["hitfind:hitfind", "dump:hit", "index:index"]
    checked = run("config", "check", "beamline.toml")
    assert checked.stdout.startswith(
        "beamline.toml is right: hitfind:hitfind → dump:hit → index:index → integrate:index"
    )


def test_the_file_is_checked_and_shown_as_it_is(tutorial: Path) -> None:
    checked = CliRunner().invoke(make_app(), ["config", "check", "pyana.cfg", "--source", STREAM])
    assert checked.exit_code == 0, checked.output
    assert "pyana.cfg is right: hitfind:hitfind → dump:hit" in checked.output
    shown = run("config", "show", "index_all.cfg", "--source", STREAM, "-s", "detector.geometry=thermolysin_cspad.geom")
    assert tomllib.loads(shown.stdout)["hitfind:hitfind"]["roi"] == "200:300,1000:1185"


def test_without_a_source_it_is_refused_in_one_line_that_says_what_to_give(tutorial: Path) -> None:
    for arguments in (("process", "--config", "pyana.cfg"), ("config", "check", "pyana.cfg")):
        refused = run(*arguments)
        assert refused.returncode == 2
        (line,) = refused.stderr.splitlines()
        assert line.startswith(
            "braggwatch: pyana.cfg:8: [my_ana_pkg.mod_hitfind:hitfind] address: CxiDs1-0|Cspad-0 is an"
        )
        assert "--source tcp://HOST:PORT" in line


def test_just_one_settings_file_is_taken(tutorial: Path) -> None:
    for arguments in (("process",), ("process", "a.toml", "--config", "pyana.cfg")):
        refused = run(*arguments)
        assert refused.returncode == 2
        assert "expected one settings file" in refused.stderr
    (tutorial / "a.toml").write_text("")
    assert "--source goes with a pyana.cfg" in run("process", "a.toml", "--source", STREAM).stderr
    assert (
        "expected addresses or files, found both"
        in run("process", "pyana.cfg", "--source", STREAM, "--source", "a.h5").stderr
    )


def test_the_script_for_the_older_python_converts_images_and_masks(tmp_path: Path) -> None:
    (script,) = re.findall(
        r"^```python\n(.*?)^```", (ROOT / "docs" / "converting-pickles.md").read_text(), re.DOTALL | re.MULTILINE
    )
    (tmp_path / "convert_pickle.py").write_text(script)
    make = (
        "import pickle, numpy\n"
        "pickle.dump({'DATA': numpy.array([[1, -2], [-100000, 0]]), 'DISTANCE': 100.0}, open('mask.pickle', 'wb'), 2)\n"
        "pickle.dump(numpy.arange(4.0).reshape(2, 2), open('dark.avg.pickle', 'wb'), 2)\n"
        "pickle.dump((numpy.eye(3) > 0, numpy.ones((3, 3), bool)), open('pixels.mask', 'wb'), 4)\n"
    )
    subprocess.run([sys.executable, "-c", make], cwd=tmp_path, check=True)

    def convert(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "convert_pickle.py", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert convert("dark.avg.pickle").returncode == 0
    np.testing.assert_array_equal(np.load(tmp_path / "dark.avg.npy"), [[0, 1], [2, 3]])
    assert convert("--mask", "mask.pickle").stdout == "mask.npy: (2, 2) uint8, from 0 to 1\n"
    np.testing.assert_array_equal(np.load(tmp_path / "mask.npy"), [[0, 1], [1, 0]])
    assert convert("--mask", "pixels.mask").stdout == "pixels.npy: (2, 3, 3) uint8, from 0 to 1\n"
    np.testing.assert_array_equal(np.load(tmp_path / "pixels.npy"), [1 - np.eye(3), np.zeros((3, 3))])
    again = convert("dark.avg.pickle")
    assert (again.returncode, again.stderr) == (1, "dark.avg.npy is there already\n")


def test_both_stills_of_a_cspad_are_hits_and_indexed_with_the_tutorials_settings(tmp_path: Path, shared: Path) -> None:
    truth = json.loads((shared / "real" / "thermolysin_dials.json").read_text())["images"]
    text = (DATA / "pyana.cfg").read_text()
    for option in ("calib_dir", "dark_path", "dark_stddev"):
        text = re.sub(rf"^{option} .*\n", "", text, flags=re.MULTILINE)  # these stills have their dark subtracted
    text = text.replace("hitfind-7.1.phil", f"thermolysin\ncalib_dir = {shared / 'real' / 'thermolysin_cspad.geom'}")
    (tmp_path / "pyana.cfg").write_text(text)
    (tmp_path / "thermolysin.phil").write_text("target_cell = 92.9 92.9 130.4 90 90 120\nknown_symmetry = P6122\n")
    done = run(
        "process", "--config", "pyana.cfg", "--source", str(shared / "real" / "thermolysin_cspad.h5"), "--no-view",
        "-s", "engine.workers=1", "-s", "feed.address=tcp://127.0.0.1:*", folder=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "integration").exists()
    assert len(list(tmp_path.glob("dumps/hit_*.h5"))) == 1
    (indexed,) = tmp_path.glob("dumps/indexed_*.h5")
    cell = UnitCell.from_string("92.9 92.9 130.4 90 90 120 P6122")
    with h5py.File(indexed) as file:
        assert file["/entry/frames/number"][:].tolist() == [0, 1]
        for found, image in zip(file["/entry/crystals/A"][:], truth, strict=True):
            expected = np.linalg.inv(np.array(image["reciprocal_vectors"])).T
            assert misorientation(found, expected, cell) < 1.0
        np.testing.assert_allclose(
            file["/entry/crystals/cell"][:, :3], [image["cell"][:3] for image in truth], rtol=0.01
        )
