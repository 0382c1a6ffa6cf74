"""What DIALS itself reads in our files; collected only where it is installed (`apt-get install dials`)."""

import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pytest
from dumps_by_hand import LYSOZYME, shot_of, some_crystal, some_peaks, some_reflections, write_dump

from braggwatch.processing.array_files import load_mask
from braggwatch.processing.beam import HC
from braggwatch.processing.detector import Detector
from braggwatch.processing.dials_files import DialsWriter
from braggwatch.processing.dumped_shots import DumpedShots
from braggwatch.processing.frame import Encoding, Frame, Series
from braggwatch.processing.prediction import Predictor
from braggwatch.processing.shot import Shot
from braggwatch.processing.single_images import SingleImageFiles

pytestmark = pytest.mark.dials

WAVELENGTH = 1.033
TURN = np.array([-1.0, 1.0, -1.0])
SHIFT = (1.1e-4, -0.55e-4)
"""m: a pixel and half a pixel of the CSPAD, so that nothing is lost in rounding."""

SAYS = """
import json, sys
import dxtbx
from dials.algorithms.spot_prediction import StillsReflectionPredictor
from dials.array_family import flex
from dxtbx.model.experiment_list import ExperimentListFactory

folder, dump = sys.argv[1:]
experiments = ExperimentListFactory.from_json_file(folder + "/a.expt", check_format=True)
table = flex.reflection_table.from_file(folder + "/a.refl")
table.assert_experiment_identifiers_are_consistent(experiments)
said = {"A": [], "cells": [], "groups": [], "ours": [], "theirs": [], "sums": []}
for number, experiment in enumerate(experiments):
    said["A"].append(experiment.crystal.get_A())
    said["cells"].append(experiment.crystal.get_unit_cell().parameters())
    said["groups"].append(str(experiment.crystal.get_space_group().info()))
    said["sums"].append([flex.sum(panel.as_double()) for panel in experiment.imageset.get_raw_data(0)])
    rows = table.select(table["id"] == number)
    said["ours"].append(list(rows["xyzcal.px"]))
    StillsReflectionPredictor(experiment, spherical_relp=True).for_reflection_table(rows, experiment.crystal.get_A())
    said["theirs"].append(list(rows["xyzcal.px"]))
image = dxtbx.load(dump)
said["wavelength"] = image.get_beam().get_wavelength()
said["panels"] = [
    [panel.get_origin(), panel.get_fast_axis(), panel.get_slow_axis(), panel.get_pixel_size(), panel.get_image_size()]
    for panel in image.get_detector()
]
said["n_images"] = image.get_num_images()
print("SAID" + json.dumps(said))
"""


@pytest.fixture(scope="module")
def detector(shared: Path) -> Detector:
    return Detector.from_crystfel(
        shared / "real" / "thermolysin_cspad.geom", distance=0.1, photon_energy=HC / WAVELENGTH
    )


@pytest.fixture(scope="module")
def shots(detector: Detector) -> list[Shot]:
    """Two images with two lattices and one, their reflections where they lie on a detector of 64 panels."""
    pixels = [np.linalg.pinv(np.array([p.fs, p.ss]).T) @ [*SHIFT, 0.0] for p in detector.panels]
    shots = []
    for number, seeds in enumerate([(1, 2), (3,)]):
        crystals = [replace(some_crystal(seed), beam_shift=SHIFT) for seed in seeds]
        tables = []
        for crystal in crystals:
            found = Predictor(detector, LYSOZYME, d_min=2.5, profile_radius=0.001)(crystal.A)
            fs, ss = np.array(pixels)[found.panel].T.astype(np.float32)
            table = some_reflections(len(found), number)
            tables.append(replace(table, hkl=found.hkl, panel=found.panel, fs=found.fs + fs, ss=found.ss + ss))
        peaks = some_peaks(20, number, detector)
        shots.append(shot_of(number, detector, peaks=peaks, crystals=crystals, reflections=tables))
    return shots


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, shots: list[Shot], detector: Detector) -> Path:
    folder = tmp_path_factory.mktemp("dials")
    write_dump(folder / "a.h5", shots, detector)
    with DumpedShots(folder / "a.h5") as dump, DialsWriter(dump.detector, folder) as dials:
        for shot in dump.shots():
            dials.add(shot)
        dials.write(folder / "a.expt", folder / "a.refl")
    return folder


def run(*command: str, folder: Path) -> str:
    result = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=folder,
        env={**os.environ, "HDF5_PLUGIN_PATH": hdf5plugin.PLUGIN_PATH},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return result.stdout


def python_of_dials() -> list[str]:
    show = Path(shutil.which("dials.show") or "")
    return show.read_text().splitlines()[0].removeprefix("#!").split()


@pytest.fixture(scope="module")
def said(folder: Path) -> dict[str, Any]:
    """Return what DIALS finds in the files, asked in its own Python."""
    said = run(*python_of_dials(), "-c", SAYS, str(folder), str(folder / "a.h5"), folder=folder)
    answer: dict[str, Any] = json.loads(said.partition("SAID")[2])
    return answer


def test_a_mask_that_dials_makes_of_a_dump_leaves_out_the_same_pixels_of_each_panel(
    folder: Path, detector: Detector
) -> None:
    page = Path(__file__).parents[2] / "docs" / "converting-pickles.md"
    (script,) = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    (folder / "convert_pickle.py").write_text(script)
    run(
        "dials.generate_mask", "a.expt", "border=1", "untrusted.panel=3", "untrusted.rectangle=10,20,5,9", folder=folder
    )
    first, *_ = sorted(folder.glob("pixels*.mask"))  # one for each imageset
    run(*python_of_dials(), "convert_pickle.py", "--mask", first.name, folder=folder)
    slices = [panel.slices for panel in detector.panels]
    mask = load_mask(first.with_suffix(".npy"), detector.shape, panels=slices)
    with h5py.File(folder / "a.h5") as dump:
        assert not dump["entry/instrument/detector/pixel_mask"][()].any()
    for number, here in enumerate(slices):
        expected = np.ones((185, 194), bool)
        expected[1:-1, 1:-1] = number == 3
        expected[5:9, 10:20] |= number == 0
        np.testing.assert_array_equal(mask[here], expected, f"panel {number}")


def test_dials_reads_cell_orientation_and_space_group(said: dict[str, Any], shots: list[Shot]) -> None:
    crystals = [crystal for shot in shots for crystal in shot.crystals]
    # DIALS has a*, b*, c* as columns
    np.testing.assert_allclose(
        np.reshape(said["A"], (-1, 3, 3)), [(crystal.A_star * TURN).T for crystal in crystals], atol=1e-10
    )
    np.testing.assert_allclose(said["cells"], [crystal.cell for crystal in crystals], rtol=1e-9)
    assert said["groups"] == ["P 43 21 2"] * 3


def test_dials_predicts_reflections_where_they_were_integrated(said: dict[str, Any]) -> None:
    for ours, theirs in zip(said["ours"], said["theirs"], strict=True):
        assert len(ours) > 100
        np.testing.assert_allclose(np.array(theirs)[:, :2], np.array(ours)[:, :2], atol=0.01)


def test_dxtbx_reads_the_dump_with_its_panels_and_pixels(
    said: dict[str, Any], shots: list[Shot], detector: Detector
) -> None:
    assert said["n_images"] == 2 and said["wavelength"] == pytest.approx(WAVELENGTH, abs=1e-9)
    assert len(said["panels"]) == len(detector.panels) == 64
    for (origin, fast, slow, size, shape), panel in zip(said["panels"], detector.panels, strict=True):
        np.testing.assert_allclose(origin, 1e3 * np.array(panel.corner) * TURN, atol=1e-6)
        np.testing.assert_allclose(np.array(fast) * size[0], 1e3 * np.array(panel.fs) * TURN, atol=1e-9)
        np.testing.assert_allclose(np.array(slow) * size[1], 1e3 * np.array(panel.ss) * TURN, atol=1e-9)
        assert tuple(shape) == panel.shape[::-1]
    expected = [[shot.image[panel.slices].sum() for panel in detector.panels] for shot in shots]
    np.testing.assert_array_equal(said["sums"], [expected[0], expected[0], expected[1]])


def test_dials_show_prints_our_cells_and_matrices(folder: Path, shots: list[Shot]) -> None:
    result = subprocess.run(
        ["dials.show", folder / "a.expt", folder / "a.refl"], capture_output=True, text=True, check=True
    )
    crystals = [crystal for shot in shots for crystal in shot.crystals]
    cells = re.findall(r"Unit cell: (.*)", result.stdout)
    np.testing.assert_allclose(
        [[float(x) for x in cell.split(",")] for cell in cells], [crystal.cell for crystal in crystals], atol=6e-4
    )
    matrices = re.findall(r"A = UB: +\{\{(.*)\},\s+\{(.*)\},\s+\{(.*)\}\}", result.stdout)
    numbers = [[[float(x) for x in row.split(",")] for row in matrix] for matrix in matrices]
    np.testing.assert_allclose(numbers, [(crystal.A_star * TURN).T for crystal in crystals], atol=6e-5)
    n = sum(len(table) for shot in shots for table in shot.reflections)
    assert f"Reflection list contains {n} reflections" in result.stdout


READS_CBF = """
import json, sys
import dxtbx
image = dxtbx.load(sys.argv[1])
beam, (panel,) = image.get_beam(), image.get_detector()
row = image.get_raw_data().as_numpy_array()[1]
print("SAID" + json.dumps([
    beam.get_wavelength(), panel.get_distance(), panel.get_pixel_size(), panel.get_beam_centre_px(beam.get_s0()),
    panel.get_trusted_range()[1], row.tolist(),
]))
"""


@pytest.mark.parametrize("name", ["Dectris EIGER2 Si 500K", "PILATUS 300K"])
def test_dxtbx_reads_single_images_in_cbf(tmp_path: Path, name: str) -> None:
    shape = (512, 1028) if "EIGER" in name else (619, 487)
    series = Series(
        key="s", number=1, shape=shape, dtype="uint32", photon_energy=12_000.0, distance=0.15, detector=name,
        beam_center=(300.5, 200.25), pixel_size=(75e-6, 75e-6), saturation_value=60_000.0, count_time=0.0099,
        frame_time=0.01, sensor_material="Si", sensor_thickness=450e-6,
    )  # fmt: skip
    image = np.random.default_rng(0).poisson(5, shape).astype(np.uint32)
    image[1, 2] = 2**32 - 1
    frame = Frame(series="s", number=5, payload=b"", shape=shape, dtype="uint32", encoding=Encoding())
    shot = Shot(series, frame, image, Detector.from_series(series))
    path = SingleImageFiles(tmp_path, "cbf").write(shot, "hit-")
    python = Path(shutil.which("dials.show") or "").read_text().splitlines()[0].removeprefix("#!").split()
    result = subprocess.run([*python, "-c", READS_CBF, str(path)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    wavelength, distance, size, center, highest, row = json.loads(result.stdout.partition("SAID")[2])
    assert wavelength == pytest.approx(HC / 12_000, rel=1e-6)
    assert (distance, highest) == (150.0, 59_999)
    np.testing.assert_allclose(size, 0.075)
    np.testing.assert_allclose(center, (300.5, 200.25), atol=0.001)
    np.testing.assert_array_equal(row, image[1].astype(np.int32))
