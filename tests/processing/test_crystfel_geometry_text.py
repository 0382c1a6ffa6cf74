"""Geometry files that we write, read back by our own strict reader."""

from pathlib import Path

import numpy as np
import pytest

from braggwatch.processing.beam import Beam
from braggwatch.processing.crystfel_detector import detector_from_crystfel
from braggwatch.processing.crystfel_geometry import CrystfelGeometry, CrystfelMask
from braggwatch.processing.crystfel_geometry_text import DUMP, geometry_text
from braggwatch.processing.crystfel_values import InDataFile
from braggwatch.processing.detector import Detector
from braggwatch.processing.panel import Panel

GEOMETRIES = [
    "geometries/Eiger16M-binning2-nativefiles.geom",
    "geometries/agipd_mar18_v11.geom",
    "geometries/cspad-cxiformat.geom",
    "geometries/jf-swissfel-16M.geom",
    "geometries/lcls-cxi-jungfrau4M.geom",
    "geometries/lcls-mfx-epix10k2M.geom",
    "geometries/npc-Eiger4M.geom",
    "geometries/pilatus.geom",
    "frames/lysozyme_4m.geom",
    "real/thermolysin_cspad.geom",
]


def read_back(text: str) -> Detector:
    return detector_from_crystfel(CrystfelGeometry.from_text(text))


def assert_same_panels(found: Detector, expected: Detector) -> None:
    assert [panel.name for panel in found.panels] == [panel.name for panel in expected.panels]
    for panel, other in zip(found.panels, expected.panels, strict=True):
        assert (panel.slices, panel.max_adu) == (other.slices, other.max_adu)
        for vector in ("corner", "fs", "ss"):
            np.testing.assert_allclose(getattr(panel, vector), getattr(other, vector), rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("name", GEOMETRIES)
def test_a_real_detector_comes_back_panel_by_panel(shared: Path, name: str) -> None:
    detector = Detector.from_crystfel(shared / name, distance=0.2, photon_energy=9500.0)
    found = read_back(geometry_text(detector))
    assert_same_panels(found, detector)
    assert found.beam == detector.beam
    flags = ("flag_values", "flag_below", "flag_above")
    assert [getattr(found, flag) for flag in flags] == [getattr(detector, flag) for flag in flags]


def test_panels_that_are_too_many_for_one_group_of_crystfel_are_grouped(shared: Path) -> None:
    detector = Detector.from_crystfel(shared / "geometries/agipd_mar18_v11.geom", distance=0.2)
    text = geometry_text(detector)
    groups = CrystfelGeometry.from_text(text).groups
    assert all(len(members) <= 64 for members in groups.values()) and max(map(len, text.splitlines())) < 1000
    panels = [panel for part in groups["all"] for panel in groups[part]]
    assert panels == [panel.name for panel in detector.panels]


def test_a_detector_of_a_header_has_x_along_fs_and_y_along_ss() -> None:
    detector = Detector.single_panel(
        (30, 44), pixel_size=(75e-6, 80e-6), distance=0.15, beam_center=(20.5, 11.25), photon_energy=9500.0,
        max_adu=60_000.0, flag_values=(65535.0, 65534.0),
    )  # fmt: skip
    text = geometry_text(detector, adu_per_photon=2.5)
    found = read_back(text)
    assert_same_panels(found, detector)
    assert found.flag_values == (65535.0, 65534.0)
    assert CrystfelGeometry.from_text(text).panels[0].adu_per_photon == 2.5
    assert "p0/fs = +1.000000000000x +0.000000000000y +0.000000000000z\n" in text
    assert "p0/corner_x = -20.5\n" in text and "clen = 0.15 m\n" in text and "coffset" not in text


def test_panels_that_are_tilted_and_at_different_distances_keep_both() -> None:
    panels = tuple(
        Panel(f"q{n}a0", 0, 20, 10 * n, 10 * n + 10, (1e-3 * n, -2e-3, 0.1 + 1e-4 * n), (9e-5, 1e-6 * n, 2e-6), fs_up)
        for n, fs_up in enumerate([(1e-6, 1e-4, 0.0), (0.0, -1e-4, 3e-6), (1e-4, 0.0, -1e-5)])
    )
    detector = Detector(panels, (30, 20), Beam(9000.0, bandwidth=0.02))
    text = geometry_text(detector)
    assert "q1a0/coffset" not in text and "q2a0/coffset = 0.0001" in text
    found = read_back(text)
    assert_same_panels(found, detector)
    assert found.beam is not None and found.beam.bandwidth == pytest.approx(0.02, rel=1e-12)


def test_a_geometry_for_files_says_where_everything_lies_in_them() -> None:
    detector = Detector.single_panel((30, 44), pixel_size=75e-6, distance=0.15, beam_center=(20, 11))
    geometry = CrystfelGeometry.from_text(geometry_text(detector, file=DUMP))
    (panel,) = geometry.panels
    assert (panel.data, panel.dims) == ("/entry/data/data", ("%", "ss", "fs"))
    assert panel.masks == (CrystfelMask("/entry/instrument/detector/pixel_mask", None, 0, 0xFFFFFFFF),)
    assert geometry.photon_energy == InDataFile("/entry/instrument/beam/incident_wavelength", "A")
    assert [line.partition(": ")[2] for line in geometry.not_used] == [
        "peak_list = /entry_1/result_1", "peak_list_type = cxi",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["bad1", "group_a", "rigid_group0", "panel 1", "a/b", "a;b", "", "a" * 64])
def test_a_panel_of_a_name_that_crystfel_refuses_is_refused(name: str) -> None:
    panel = Panel(name, 0, 20, 0, 10, (0, 0, 0.1), (1e-4, 0, 0), (0, 1e-4, 0))
    with pytest.raises(ValueError, match="expected panel names of 1 to 63 letters"):
        geometry_text(Detector((panel,), (10, 20)))
