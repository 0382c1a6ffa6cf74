"""Where the pixels of the image array lie in the picture, and back."""

from pathlib import Path

import numpy as np
import pytest

from braggwatch.gui.image_assembly import GAP, MASKED, Assembly
from braggwatch.gui.image_rings import beam_centre, resolution_rings
from braggwatch.processing.beam import Beam
from braggwatch.processing.detector import Detector
from braggwatch.processing.panel import Panel

ALONG = (1e-4, 0.0, 0.0), (0.0, 1e-4, 0.0)
"""fs and ss of a panel that lies as the picture does, m."""
GEOMETRIES = ("agipd_mar18_v11", "jf-swissfel-16M", "cspad-cxiformat", "lcls-cxi-jungfrau4M", "lcls-mfx-epix10k2M")


def two_panels(second_turned: bool = False) -> Detector:
    """Two panels of 4 x 6 pixels (ss x fs) below each other in the array, beside each other in the laboratory."""
    fs, ss = ((0.0, 1e-4, 0.0), (-1e-4, 0.0, 0.0)) if second_turned else ((1e-4, 0.0, 0.0), (0.0, 1e-4, 0.0))
    corner = (12e-4, 0.0, 0.1) if second_turned else (8e-4, 0.0, 0.1)
    return Detector(
        (
            Panel("left", 0, 6, 0, 4, (0.0, 0.0, 0.1), (1e-4, 0.0, 0.0), (0.0, 1e-4, 0.0)),
            Panel("right", 0, 6, 4, 8, corner, fs, ss),
        ),
        (8, 6),
        Beam(12_000.0),
    )


def test_a_single_panel_is_shown_as_the_array_is() -> None:
    detector = Detector.single_panel((5, 7), pixel_size=1e-4, distance=0.1, beam_center=(3.0, 2.0))
    assembly = Assembly(detector)
    assert assembly.lookup is None and assembly.shape == (5, 7)
    place = assembly.locate(6.9, 4.2)
    assert place is not None and (place.fs, place.ss, place.panel) == (6.9, 4.2, 0)
    assert assembly.locate(7.0, 1.0) is None and assembly.locate(-0.1, 1.0) is None


def test_panels_are_placed_by_their_laboratory_position_with_gaps_between() -> None:
    assembly = Assembly(two_panels())
    image = np.arange(48).reshape(8, 6)
    assert assembly.shape == (4, 14) and assembly.lookup is not None
    picture = np.where(assembly.lookup < 0, -1, image.ravel()[assembly.lookup])
    assert np.array_equal(picture[:, :6], image[:4]) and np.array_equal(picture[:, 8:], image[4:])
    assert (picture[:, 6:8] == -1).all() and (assembly.states[:, 6:8] == GAP).all()


def test_panels_that_lie_differently_are_seen_from_the_sample_with_y_upwards_and_x_to_the_left() -> None:
    assembly = Assembly(two_panels(second_turned=True))
    # the first pixel of `left` lies at the lowest x and y, so at the lower right
    (first,) = assembly.to_picture([0.5], [0.5])
    (along_fs,) = assembly.to_picture([1.5], [0.5])
    (along_ss,) = assembly.to_picture([0.5], [1.5])
    assert np.allclose(along_fs - first, (-1, 0)) and np.allclose(along_ss - first, (0, -1))
    (turned,) = assembly.to_picture([0.5], [4.5])
    (turned_fs,) = assembly.to_picture([1.5], [4.5])
    assert np.allclose(turned_fs - turned, (0, -1))


def test_masked_pixels_are_masked_where_they_are_seen() -> None:
    detector = two_panels()
    mask = np.zeros((8, 6), bool)
    mask[5, 2] = True
    assembly = Assembly(detector.with_mask(mask))
    assert np.argwhere(assembly.states == MASKED).tolist() == [[1, 10]]


@pytest.mark.parametrize("name", GEOMETRIES)
def test_every_corner_of_every_panel_is_found_again_in_real_geometries(shared: Path, name: str) -> None:
    detector = Detector.from_crystfel(shared / "geometries" / f"{name}.geom", distance=0.1, photon_energy=9000.0)
    assembly = Assembly(detector)
    n_unseen = 0
    for index, p in enumerate(detector.panels):
        corners = [(fs, ss) for fs in (p.fs_start, p.fs_stop - 1) for ss in (p.ss_start, p.ss_stop - 1)]
        fs, ss = np.array(corners, float).T + 0.5
        for (x, y), true_fs, true_ss in zip(assembly.to_picture(fs, ss), fs, ss, strict=True):
            place = assembly.locate(float(x), float(y))
            if place is None:  # on a turned panel a pixel's centre may fall where the nearest pixel is none
                n_unseen += 1
                continue
            assert place.panel == index
            assert abs(place.fs - true_fs) < 1.0 and abs(place.ss - true_ss) < 1.0
    assert n_unseen <= 0.02 * 4 * len(detector.panels)


@pytest.mark.parametrize("name", GEOMETRIES)
def test_neighbours_in_the_picture_are_neighbours_in_the_laboratory(shared: Path, name: str) -> None:
    detector = Detector.from_crystfel(shared / "geometries" / f"{name}.geom", distance=0.1, photon_energy=9000.0)
    assembly = Assembly(detector)
    assert assembly.lookup is not None
    row, column = np.nonzero(assembly.lookup >= 0)
    some = np.random.default_rng(3).choice(len(row), 500, replace=False)
    ss, fs = np.divmod(assembly.lookup[row[some], column[some]], detector.shape[1])
    lab = detector.position(fs + 0.5, ss + 0.5)[:, :2] / np.median([p.pixel_size for p in detector.panels])
    picture = np.stack([column[some], row[some]], axis=1)
    laboratory = np.linalg.norm(lab[1:] - lab[:-1], axis=1)
    seen = np.linalg.norm(np.diff(picture, axis=0), axis=1)
    assert np.abs(laboratory - seen).max() < 2.0


def test_the_panel_nearest_to_the_sample_hides_the_others() -> None:
    near, far = ((0.0, 0.0, 0.1), (1e-4, 0.0, 0.2))
    detector = Detector((Panel("near", 0, 4, 0, 4, near, *ALONG), Panel("far", 0, 4, 4, 8, far, *ALONG)), (8, 4))
    place = Assembly(detector).locate(2.5, 0.5)
    assert place is not None and place.panel == 0
    beside = Assembly(detector).locate(4.5, 0.5)
    assert beside is not None and beside.panel == 1


def test_panels_spread_over_far_too_many_places_are_shown_as_the_array() -> None:
    detector = Detector(
        (Panel("a", 0, 4, 0, 4, (0.0, 0.0, 0.1), *ALONG), Panel("b", 0, 4, 4, 8, (1e5, 1e5, 0.1), *ALONG)),
        (8, 4), Beam(9000.0),
    )  # fmt: skip
    assembly = Assembly(detector)
    assert assembly.shape == (8, 4) and assembly.lookup is None
    assert assembly.problem.startswith("the panels are spread over")
    assert resolution_rings(assembly) == () and beam_centre(assembly) is None


def test_a_panel_seen_edge_on_is_left_out() -> None:
    detector = Detector(
        (
            Panel("flat", 0, 4, 0, 4, (0.0, 0.0, 0.1), (1e-4, 0.0, 0.0), (0.0, 1e-4, 0.0)),
            Panel("edge", 0, 4, 4, 8, (0.0, 0.0, 0.1), (0.0, 0.0, 1e-4), (0.0, 1e-4, 0.0)),
        ),
        (8, 4),
    )
    assert Assembly(detector).shape == (4, 4)


def test_places_that_are_no_numbers_or_on_no_panel_are_nowhere() -> None:
    assembly = Assembly(two_panels())
    assert np.isnan(assembly.to_picture([np.nan, np.inf, -1.0, 1e30], [1.0, 1.0, 1.0, 1.0])).all()
    assert assembly.locate(float("nan"), 1.0) is None


@pytest.mark.parametrize("tilt", [0.0, 0.3])
def test_a_ring_has_its_resolution_everywhere_also_on_a_tilted_panel(tilt: float) -> None:
    fs = (1e-4 * np.cos(tilt), 0.0, 1e-4 * np.sin(tilt))
    detector = Detector(
        (Panel("p", 0, 800, 0, 700, (-0.03, -0.045, 0.1), fs, (0.0, 1e-4, 0.0)),), (700, 800), Beam(12_400.0)
    )
    assembly = Assembly(detector)
    rings = resolution_rings(assembly)
    assert len(rings) >= 3
    for ring in rings:
        x, y = ring.points.T
        on = (x > 0) & (x < 800) & (y > 0) & (y < 700)
        assert np.allclose(detector.resolution(x[on], y[on]), ring.d, rtol=1e-6)
    centre = beam_centre(assembly)
    assert centre is not None and np.allclose(centre, detector.beam_center[0])


def test_rings_on_many_panels_have_their_resolution(shared: Path) -> None:
    detector = Detector.from_crystfel(shared / "real" / "thermolysin_cspad.geom")
    assembly = Assembly(detector)
    checked = 0
    for ring in resolution_rings(assembly):
        for x, y in ring.points:
            place = assembly.locate(float(x), float(y))
            if place is not None:
                assert detector.resolution(place.fs, place.ss, place.panel)[0] == pytest.approx(ring.d, rel=0.01)
                checked += 1
    assert checked > 300


def test_without_a_photon_energy_there_are_no_rings() -> None:
    detector = Detector.single_panel((5, 7), pixel_size=1e-4, distance=0.1, beam_center=(3.0, 2.0))
    assert resolution_rings(Assembly(detector)) == ()
