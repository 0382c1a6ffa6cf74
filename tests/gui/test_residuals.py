"""How far spots lie from where a lattice predicts them."""

from pathlib import Path

import numpy as np
import pytest
from indexed_by_hand import indexed_shot, peak_lists
from messages_by_hand import detector as small_detector
from numpy.typing import NDArray

from braggwatch.gui.residuals import residuals
from braggwatch.processing.beam import Beam
from braggwatch.processing.detector import Detector
from braggwatch.processing.panel import Panel
from braggwatch.streamer.messages import unpack_peaks

A = np.diag([79.2, 79.2, 38.0])


def test_the_rmsd_is_that_of_the_indexer_on_every_simulated_hit(shared: Path) -> None:
    detector = Detector.from_crystfel(shared / "frames" / "lysozyme_4m.geom")
    compared = 0
    for number, peaks in enumerate(peak_lists(shared / "frames" / "lysozyme_4m.h5")):
        shot, crystals = indexed_shot(number, peaks, detector)
        found = unpack_peaks(shot.result.peaks)
        for crystal in crystals:
            got = residuals(crystal.A, found["fs"][crystal.spots], found["ss"][crystal.spots], detector)
            assert got.rmsd == pytest.approx(crystal.rmsd_px, rel=1e-6)
            assert len(got.spots) == crystal.n_indexed
            compared += 1
    assert compared == 16


def several_panels() -> Detector:
    """Four panels, turned and tilted differently, one of them upside down."""
    panels = []
    for i, (x, y, turn) in enumerate(
        [(0.002, 0.002, 3.0), (-0.012, 0.001, -2.0), (0.001, -0.011, 91.0), (-0.002, -0.002, 180.0)]
    ):
        c, s = np.cos(np.radians(turn)) * 1e-4, np.sin(np.radians(turn)) * 1e-4
        panels.append(
            Panel(
                f"p{i}", 0, 100, 100 * i, 100 * i + 100, (x, y, 0.1 + 0.001 * i), (c, s, 2e-6), (-s, c, -1e-6), np.inf
            )
        )
    return Detector(tuple(panels), (400, 100), Beam(9500.0))


def test_spots_that_lie_on_the_nodes_have_no_residual_and_moved_ones_what_they_were_moved_by() -> None:
    detector = several_panels()
    random = np.random.default_rng(4)
    # any turned cell: its nodes near the sphere are seen somewhere on the panels
    turned = 300.0 * np.linalg.qr(random.normal(size=(3, 3)))[0]
    hkl = np.stack(np.meshgrid(*[np.arange(-30, 31)] * 3), axis=-1).reshape(-1, 3)
    q = hkl @ np.linalg.inv(turned).T
    k = 1.0 / Beam(9500.0).wavelength
    near = np.abs(np.linalg.norm(q + np.array([0, 0, k]), axis=1) - k) < 2e-4
    fs, ss, panel = detector.project_q(q[near])
    seen = (panel >= 0) & (np.abs(fs - 50) < 45) & (np.abs(ss % 100 - 50) < 45)
    assert seen.sum() > 50 and len(set(panel[seen].tolist())) == 4
    fs, ss = fs[seen], ss[seen]
    assert residuals(turned, fs, ss, detector).pixels == pytest.approx(np.zeros((len(fs), 2)), abs=1e-6)
    moved = residuals(turned, fs + 0.7, ss - 0.4, detector)
    assert moved.pixels == pytest.approx(np.tile([0.7, -0.4], (len(fs), 1)), abs=1e-6)
    assert moved.mean == pytest.approx((0.7, -0.4))
    axes = np.array([(p.fs[:2], p.ss[:2]) for p in detector.panels])[panel[seen]]
    assert moved.shift == pytest.approx(moved.pixels[:, :1] * axes[:, 0] + moved.pixels[:, 1:] * axes[:, 1])


def test_spots_on_no_panel_and_without_numbers_are_left_out() -> None:
    fs = np.array([50.0, np.nan, 1e30, -3.0, 70.5], np.float32)
    got = residuals(A, fs, np.full(5, 60.0, np.float32), small_detector())
    assert got.spots.tolist() == [0, 4]
    none = residuals(A, fs[:0], fs[:0], small_detector())
    assert len(none.spots) == 0 and np.isnan(none.rmsd) and np.isnan(none.mean).all()


@pytest.mark.parametrize(
    "axes", [np.zeros((3, 3)), np.full((3, 3), np.nan), np.ones((3, 3)), np.diag([1e300, 1, 1]), np.eye(3) * 1e-9]
)
def test_axes_that_span_no_space_are_refused(axes: NDArray[np.float64]) -> None:
    with pytest.raises(ValueError, match="its axes do not span space"):
        residuals(axes, np.array([50.0]), np.array([60.0]), small_detector())


def test_an_unknown_photon_energy_is_said() -> None:
    detector = Detector.single_panel((10, 10), pixel_size=1e-4, distance=0.1, beam_center=(5, 5))
    with pytest.raises(ValueError, match="the photon energy is unknown"):
        residuals(A, np.array([5.0]), np.array([6.0]), detector)
