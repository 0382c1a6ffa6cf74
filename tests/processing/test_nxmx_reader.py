"""The reader of our own dumps: images as they were packed, the geometry as it was."""

from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pytest

from braggwatch.processing.compression import bslz4_chunk
from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Encoding, Frame, Series
from braggwatch.processing.image_files.error import ImageFileError
from braggwatch.processing.nxmx import NXmxWriter
from braggwatch.processing.nxmx.reader import NXmxReader
from braggwatch.processing.shot import Shot

assert hdf5plugin  # importing it registers the filters


def write(path: Path, detector: Detector, dtype: str = "uint16", n_images: int = 2) -> list[bytes]:
    series = Series(key="20261122-1", number=7)
    writer = NXmxWriter(path, series=series, detector=detector, dtype=np.dtype(dtype), provenance={})
    chunks = []
    for n in range(n_images):
        image = np.random.default_rng(n).poisson(3, detector.shape).astype(dtype)
        chunks.append(bslz4_chunk(image))
        frame = Frame(
            series=series.key, number=10 + n, payload=chunks[-1], shape=detector.shape, dtype=dtype,
            encoding=Encoding("bslz4"),
        )  # fmt: skip
        writer.append(Shot(series, frame, image, detector), chunks[-1])
    writer.close()
    return chunks


def single(shape: tuple[int, int] = (30, 44), **more: Any) -> Detector:
    return Detector.single_panel(
        shape, pixel_size=(75e-6, 80e-6), distance=0.15, beam_center=(20.5, 11.25), photon_energy=9500.0, **more
    )


@pytest.mark.parametrize("dtype", ["uint16", "float32", "int32"])
def test_images_come_back_as_they_were_packed(tmp_path: Path, dtype: str) -> None:
    chunks = write(tmp_path / "a.h5", single(), dtype)
    reader = NXmxReader(tmp_path / "a.h5")
    assert (reader.shape, reader.dtype) == ((30, 44), dtype)
    assert [reader.chunk(n, 10 + n) for n in range(2)] == chunks
    assert reader.chunk(2, 12) is None
    assert reader.chunk(-1, 12) is None
    with pytest.raises(ImageFileError, match="image 1 is frame 11, expected frame 12"):
        reader.chunk(1, 12)
    reader.close()


@pytest.mark.parametrize(
    "geometry",
    ["agipd_mar18_v11.geom", "jf-swissfel-16M.geom", "lcls-mfx-epix10k2M.geom", "Eiger16M-binning2-nativefiles.geom"],
)
def test_the_geometry_of_a_real_detector_comes_back_panel_by_panel(tmp_path: Path, shared: Path, geometry: str) -> None:
    detector = Detector.from_crystfel(shared / "geometries" / geometry, distance=0.15, photon_energy=9500.0)
    write(tmp_path / "a.h5", detector, n_images=1)
    reader = NXmxReader(tmp_path / "a.h5")
    found = reader.detector()
    reader.close()
    np.testing.assert_array_equal(found.mask, detector.mask)
    assert found.beam is not None
    assert found.beam.photon_energy == pytest.approx(9500.0)
    assert [panel.name for panel in found.panels] == [panel.name for panel in detector.panels]
    for panel, expected in zip(found.panels, detector.panels, strict=True):
        assert panel.slices == expected.slices
        for vector in ("corner", "fs", "ss"):
            np.testing.assert_allclose(getattr(panel, vector), getattr(expected, vector), rtol=1e-9, atol=1e-12)


def test_the_value_from_which_pixels_are_saturated_comes_back(tmp_path: Path) -> None:
    write(tmp_path / "a.h5", single(max_adu=60_000.0))
    reader = NXmxReader(tmp_path / "a.h5")
    assert reader.detector().panels[0].max_adu == 60_000.0
    reader.close()


def test_a_file_that_was_cut_is_refused_and_not_read_as_zeros(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    write(path, single((300, 400)), n_images=3)
    reader = NXmxReader(path)
    reader.chunk(0, 10)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 8)
    with pytest.raises(ImageFileError, match=r"image 2 is damaged|image 2 cannot be read"):
        reader.chunk(2, 12)
    reader.close()


def test_files_of_others_are_refused_with_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(ImageFileError, match="cannot be opened"):
        NXmxReader(tmp_path / "none.h5")
    with h5py.File(tmp_path / "empty.h5", "w"):
        pass
    with pytest.raises(ImageFileError, match="is no dump of Braggwatch"):
        NXmxReader(tmp_path / "empty.h5")
    for name, options in (
        ("plain", {}),
        ("gzip", {"compression": "gzip"}),
        ("zstd", hdf5plugin.Bitshuffle(cname="zstd")),
    ):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file.create_dataset("entry/data/data", data=np.zeros((2, 30, 44), np.uint16), chunks=(1, 30, 44), **options)
            file["entry/frames/number"] = np.arange(2)
        with pytest.raises(ImageFileError, match="expected one bitshuffle-LZ4 chunk an image"):
            NXmxReader(tmp_path / f"{name}.h5")
