"""CXI files: pixels and spots of several dumps in one file."""

from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest
from dumps_by_hand import shot_of, small_detector, some_shots, write_dump

from braggwatch.processing.beam import HC
from braggwatch.processing.cxi import CXI, CxiWriter
from braggwatch.processing.dumped_shots import DumpedShots
from braggwatch.processing.image_files.error import ImageFileError

assert hdf5plugin  # importing it registers the filters


def test_images_and_spots_of_all_dumps_follow_each_other(tmp_path: Path) -> None:
    detector = small_detector().with_mask(np.eye(60, 80))
    shots = some_shots(9, detector)
    paths = [write_dump(tmp_path / f"{n}.h5", shots[4 * n : 4 * n + 4], detector) for n in range(3)]
    with DumpedShots(paths[0]) as first:
        cxi = CxiWriter(tmp_path / "a.cxi", first)
    with cxi:
        for path in paths:
            with DumpedShots(path) as dump:
                for found in dump.shots():
                    cxi.append(dump, found)
    with h5py.File(tmp_path / "a.cxi") as file:
        assert file["cxi_version"][()] == 160
        np.testing.assert_array_equal(file["entry_1/data_1/data"], [shot.image for shot in shots])
        np.testing.assert_array_equal(file["entry_1/data_1/mask"][()] != 0, detector.mask)
        np.testing.assert_allclose(file[CXI.wavelength], HC / 12_000, rtol=1e-12)
        np.testing.assert_allclose(file["entry_1/instrument_1/source_1/energy"], 12_000 * 1.602176634e-19, rtol=1e-12)
        assert file["entry_1/instrument_1/detector_1/distance"][()] == pytest.approx(0.1)
        np.testing.assert_array_equal(file["entry_1/frame_number"], [shot.number for shot in shots])
        identifiers = file["entry_1/experiment_identifier"].asstr()[:]
        assert list(identifiers) == [f"{n // 4}.h5//{n % 4}" for n in range(9)]
        result = file["entry_1/result_1"]
        for n, shot in enumerate(shots):
            peaks = shot.peaks
            assert peaks is not None and result["nPeaks"][n] == len(peaks)
            # CrystFEL adds the half pixel
            np.testing.assert_array_equal(result["peakXPosRaw"][n, : len(peaks)] + 0.5, peaks.fs)
            np.testing.assert_array_equal(result["peakYPosRaw"][n, : len(peaks)] + 0.5, peaks.ss)
            np.testing.assert_array_equal(result["peakTotalIntensity"][n, : len(peaks)], peaks.intensity)
            assert not result["peakXPosRaw"][n, len(peaks) :].any()


def test_images_of_another_kind_are_refused(tmp_path: Path) -> None:
    detector = small_detector()
    one = write_dump(tmp_path / "one.h5", [shot_of(0, detector)], detector)
    other = write_dump(tmp_path / "other.h5", [shot_of(0, detector, dtype="int32")], detector)
    with DumpedShots(one) as first, DumpedShots(other) as second, CxiWriter(tmp_path / "a.cxi", first) as cxi:
        (shot,) = second.shots()
        with pytest.raises(ImageFileError, match=r"its images are \(60, 80\) int32, those of .*one.h5 .* uint16"):
            cxi.append(second, shot)
    with DumpedShots(one) as first, pytest.raises(FileExistsError):
        CxiWriter(tmp_path / "a.cxi", first)
