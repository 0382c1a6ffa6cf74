"""Spots of reference frames against the lists of CrystFEL and DIALS."""

import bz2
import json
from pathlib import Path
from typing import Any, Literal

import fabio
import h5py
import hdf5plugin  # noqa: F401 (registers the compression of the frames)
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from braggwatch.processing.detector import Detector
from braggwatch.processing.peak_finder import PeakFinder
from braggwatch.processing.peaks import Peaks

OPTIONS_OF_CRYSTFEL: dict[str, Any] = {
    "min_snr": 5,
    "threshold": 10,
    "min_pixels": 2,
    "max_pixels": 200,
    "local_bg_radius": 5,
    "min_radius": 40,
    "max_radius": 1500,
}


def distances(peaks: Peaks, fs: NDArray[Any], ss: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Distance in pixels to the nearest peak, and which it is."""
    found: tuple[NDArray[np.float64], NDArray[np.int64]] = cKDTree(np.stack([peaks.fs, peaks.ss], axis=1)).query(
        np.stack([fs, ss], axis=1)
    )
    return found


@pytest.mark.parametrize(("statistics", "expected"), [("exact", 0.99), ("sampled", 0.97)])
@pytest.mark.parametrize("name", ["lysozyme_4m", "lysozyme_4m_hard"])
def test_spots_of_simulated_frames_are_those_of_crystfel(
    shared: Path, name: str, statistics: Literal["exact", "sampled"], expected: float
) -> None:
    with h5py.File(shared / f"frames/{name}.h5") as file:
        detector = Detector.from_crystfel(shared / "frames/lysozyme_4m.geom").with_mask(file["mask"][:] != 0)
        finder = PeakFinder(detector, **OPTIONS_OF_CRYSTFEL, statistics=statistics)
        frame_of = file["crystfel_peakfinder8/frame"][:]
        lists = file["crystfel_peakfinder8/fs_ss_intensity"][:]
        n_found = n_same = 0
        shifts = []
        for number in range(len(file["entry/data/data"])):
            peaks = finder(file["entry/data/data"][number])
            fs, ss, _ = lists[frame_of == number].T
            n_found += len(peaks)
            if len(peaks) and len(fs):
                distance, which = distances(peaks, fs, ss)
                near = distance < 1
                n_same += len(set(which[near].tolist()))
                shifts.append(np.stack([peaks.fs[which] - fs, peaks.ss[which] - ss], axis=1)[near])
    assert 2 * n_same / (n_found + len(lists)) >= expected
    assert np.abs(np.median(np.concatenate(shifts), axis=0)).max() < 0.01


def test_intensities_of_simulated_frames_are_those_of_crystfel(shared: Path) -> None:
    with h5py.File(shared / "frames/lysozyme_4m.h5") as file:
        detector = Detector.from_crystfel(shared / "frames/lysozyme_4m.geom").with_mask(file["mask"][:] != 0)
        peaks = PeakFinder(detector, **OPTIONS_OF_CRYSTFEL, statistics="exact")(file["entry/data/data"][0])
        fs, ss, intensity = file["crystfel_peakfinder8/fs_ss_intensity"][:][
            file["crystfel_peakfinder8/frame"][:] == 0
        ].T
    distance, which = distances(peaks, fs, ss)
    ratio = peaks.intensity[which[distance < 1]] / intensity[distance < 1]
    assert np.median(np.abs(ratio - 1)) < 1e-3


def test_spots_that_dials_indexed_on_thaumatin_are_found_at_the_same_places(shared: Path, tmp_path: Path) -> None:
    truth = json.loads((shared / "real/thaumatin_dials.json").read_text())
    image = next(entry for entry in truth["images"] if "0004" in entry["file"])
    unpacked = tmp_path / "thaumatin.cbf"
    unpacked.write_bytes(bz2.decompress((shared / "real/thau_3_2_0004.cbf.bz2").read_bytes()))
    pixels = np.ascontiguousarray(fabio.open(str(unpacked)).data)
    detector = Detector.single_panel(
        pixels.shape, pixel_size=172e-6, distance=0.351, beam_center=(1261.61, 1306.96), mask=pixels < 0
    )
    spots = image["indexed_spots"]
    fs, ss = np.array(spots["fs"]), np.array(spots["ss"])
    peaks = PeakFinder(detector)(pixels)
    distance, which = distances(peaks, fs, ss)
    near = distance < 2
    assert near.mean() > 0.95
    assert abs(np.median(peaks.fs[which[near]] - fs[near])) < 0.05
    assert abs(np.median(peaks.ss[which[near]] - ss[near])) < 0.05


def test_spots_that_dials_indexed_on_a_64_panel_cspad_are_found_on_their_panels(shared: Path) -> None:
    truth = json.loads((shared / "real/thermolysin_dials.json").read_text())
    detector = Detector.from_crystfel(shared / "real/thermolysin_cspad.geom", shape=(11840, 194))
    finder = PeakFinder(detector)
    with h5py.File(shared / "real/thermolysin_cspad.h5") as file:
        for pixels, image in zip(file["entry/data/data"][:], truth["images"], strict=True):
            spots = image["indexed_spots"]
            panel = np.array(spots["panel"])
            fs = np.array(spots["fs"])
            ss = np.array(spots["ss"]) + [detector.panels[p].ss_start for p in panel]
            peaks = finder(pixels)
            distance, which = distances(peaks, fs, ss)
            near = distance < 2
            assert near.mean() > 0.95
            np.testing.assert_array_equal(peaks.panel[which[near]], panel[near])
