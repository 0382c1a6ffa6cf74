"""Dumps in CXI layout: what Cheetah's readers and CrystFEL look for, in a file that grows."""

from dataclasses import replace
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest
from dumps_by_hand import SERIES, shot_of, small_detector, some_crystal, some_peaks, some_reflections, some_shots

from braggwatch.processing.crystfel_geometry import CrystfelGeometry
from braggwatch.processing.crystfel_geometry_text import geometry_text
from braggwatch.processing.cxi import CXI
from braggwatch.processing.detector import Detector
from braggwatch.processing.dumped_shots import DumpedShots
from braggwatch.processing.image_files import open_image_files
from braggwatch.processing.shot import Shot
from braggwatch.processing.stages.dump import Dump, DumpSettings

assert hdf5plugin  # importing it registers the filters

J_PER_EV = 1.602176634e-19


def make(directory: Path, detector: Detector, **settings: object) -> Dump:
    options = {"directory": directory, "format": "cxi", "name": "hit-", **settings}
    dump = Dump(DumpSettings.model_validate(options), instance="hit", provenance={"version": "1"})
    dump.begin(SERIES, detector)
    return dump


def written(directory: Path, shots: list[Shot]) -> Path:
    dump = make(directory, shots[0].detector)
    for shot in shots:
        dump.event(shot)
    dump.end()
    (path,) = directory.iterdir()
    assert path.name.startswith("hit-20231114221500000_") and path.suffix == ".cxi"
    assert {(place.path, place.entry) for shot in shots for place in shot.dumped} == {
        (path, n) for n in range(len(shots))
    }
    return path


def test_everything_stands_under_the_names_that_cheetah_gives_it(tmp_path: Path) -> None:
    detector = small_detector().with_mask(np.eye(60, 80))
    shots = some_shots(5, detector)
    with h5py.File(written(tmp_path, shots)) as file:
        assert file["cxi_version"][()] == 160
        for place in ("entry_1/data_1/data", "entry_1/instrument_1/detector_1/data"):
            np.testing.assert_array_equal(file[place], [shot.image for shot in shots])
        for place in ("entry_1/data_1/mask", "entry_1/instrument_1/detector_1/mask"):
            np.testing.assert_array_equal(file[place], np.where(detector.mask, 1, 0))
        instrument = file["entry_1/instrument_1"]
        assert instrument["detector_1/distance"][()] == pytest.approx(0.1)
        assert instrument["detector_1/x_pixel_size"][()] == instrument["detector_1/y_pixel_size"][()] == 2e-3
        np.testing.assert_allclose(instrument["source_1/energy"], [12_000 * J_PER_EV] * 5)
        np.testing.assert_allclose(file["LCLS/photon_energy_eV"], [12_000] * 5)
        np.testing.assert_allclose(file[CXI.wavelength], [12398.419843 / 12_000] * 5)
        np.testing.assert_array_equal(file["entry_1/frame_number"], [shot.number for shot in shots])
        result = file["entry_1/result_1"]
        for n, shot in enumerate(shots):
            assert shot.peaks is not None
            count = result["nPeaks"][n]
            assert count == len(shot.peaks)
            np.testing.assert_array_equal(result["peakXPosRaw"][n, :count] + 0.5, shot.peaks.fs)
            np.testing.assert_array_equal(result["peakYPosRaw"][n, :count] + 0.5, shot.peaks.ss)
            np.testing.assert_array_equal(result["peakTotalIntensity"][n, :count], shot.peaks.intensity)


def test_a_geometry_file_for_cxi_finds_its_places(tmp_path: Path) -> None:
    shots = some_shots(2, small_detector())
    text = geometry_text(shots[0].detector, file=CXI)
    assert CrystfelGeometry.from_text(text).panels
    said = dict(line.split(" = ", 1) for line in text.splitlines() if " = " in line)
    with h5py.File(written(tmp_path, shots)) as file:
        assert file[said["data"]].shape == (2, 60, 80)
        assert file[said["mask0_data"]].shape == (60, 80)
        assert file[said["peak_list"]]["nPeaks"].shape == (2,)
        assert file[said["wavelength"].removesuffix(" A")].shape == (2,)


def test_all_that_nxmx_dumps_hold_is_there_too(tmp_path: Path) -> None:
    detector = small_detector()
    shots = [
        shot_of(100, detector, peaks=some_peaks(7), crystals=[some_crystal(1)], reflections=[some_reflections(9)]),
        shot_of(101, detector, peaks=some_peaks(3)),
    ]
    path = written(tmp_path, shots)
    with DumpedShots(path) as dump:
        first, second = dump.shots()
    np.testing.assert_allclose(first.crystals[0].A, shots[0].crystals[0].A)
    np.testing.assert_array_equal(first.reflections[0].intensity, shots[0].reflections[0].intensity)
    assert (second.number, second.crystals) == (101, [])
    (images,) = open_image_files([path])
    assert images.series.distance == pytest.approx(0.1)


def test_a_cxi_dump_can_be_read_while_it_grows(tmp_path: Path) -> None:
    detector = small_detector()
    dump = make(tmp_path, detector, flush_seconds=0.0)
    for n, shot in enumerate(some_shots(4, detector), 1):
        dump.event(shot)
        with h5py.File(shot.dumped[0].path, swmr=True) as file:
            assert len(file["entry_1/frame_number"]) == n
            assert len(file["LCLS/photon_energy_eV"]) >= n
            assert len(file["entry_1/instrument_1/source_1/energy"]) >= n
            np.testing.assert_array_equal(file["entry_1/data_1/data"][n - 1], shot.image)
    dump.end()


def test_without_a_photon_energy_there_is_none(tmp_path: Path) -> None:
    shot = shot_of(100, replace(small_detector(), beam=None), peaks=some_peaks(3))
    with h5py.File(written(tmp_path, [shot])) as file:
        assert np.isnan(file["LCLS/photon_energy_eV"][0])
        assert np.isnan(file["entry_1/instrument_1/source_1/energy"][0])
