"""Where pixels lie, which rays meet them, and what a stream's header says of both."""

import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from braggwatch.processing.beam import Beam
from braggwatch.processing.detector import Detector, Panel
from braggwatch.processing.frame import Series

GAPPY = (
    Panel("left", 0, 20, 0, 30, corner=(-0.02, -0.011, 0.1), fs=(7e-4, 1e-5, 2e-5), ss=(-1e-5, 7e-4, -3e-5)),
    Panel("right", 24, 40, 5, 30, corner=(0.001, 0.012, 0.12), fs=(0.0, -7e-4, 0.0), ss=(8e-4, 0.0, 1e-4)),
)


@pytest.fixture
def gappy() -> Detector:
    """Two tilted panels, pixels of none between them, in an array larger than both."""
    return Detector(GAPPY, (32, 40), Beam(9000.0))


def centres(detector: Detector) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    rows, columns = np.nonzero(detector.panel_map >= 0)
    return rows, columns


def series(**changes: object) -> Series:
    known: dict[str, object] = {
        "key": "k",
        "number": 3,
        "shape": (20, 30),
        "dtype": "uint16",
        "photon_energy": 9000.0,
        "distance": 0.1,
        "beam_center": (14.5, 9.25),
        "pixel_size": (75e-6, 80e-6),
        "saturation_value": 5000.0,
    }
    return Series(**(known | changes))  # type: ignore[arg-type]


def test_a_pixel_centre_lies_half_a_pixel_in() -> None:
    detector = Detector.single_panel((4, 6), pixel_size=1e-4, distance=0.1, beam_center=(2.5, 1.5), photon_energy=9e3)
    np.testing.assert_allclose(detector.position(2.5, 1.5), [[0.0, 0.0, 0.1]], atol=1e-18)
    np.testing.assert_allclose(
        detector.position([0.0, 6.0], [0.0, 4.0], 0), [[-2.5e-4, -1.5e-4, 0.1], [3.5e-4, 2.5e-4, 0.1]]
    )
    assert detector.resolution(2.5, 1.5)[0] == np.inf


def test_q_has_the_length_that_bragg_says() -> None:
    detector = Detector.single_panel((4, 6), pixel_size=1e-4, distance=0.1, beam_center=(0, 0), photon_energy=9e3)
    wavelength = Beam(9e3).wavelength
    theta = np.arctan2(np.hypot(4e-4, 3e-4), 0.1) / 2
    assert detector.resolution(4, 3)[0] == pytest.approx(wavelength / (2 * np.sin(theta)), rel=1e-9)
    q = detector.q(4, 3)[0]
    assert np.linalg.norm(q + np.array([0, 0, 1 / wavelength])) == pytest.approx(1 / wavelength)
    assert q[2] < 0 < q[0]


def test_maps_agree_with_the_pixels_one_by_one(gappy: Detector) -> None:
    rows, columns = centres(gappy)
    q = np.linalg.norm(gappy.q(columns + 0.5, rows + 0.5), axis=1)
    xyz = gappy.position(columns + 0.5, rows + 0.5)
    size = np.array([panel.pixel_size for panel in gappy.panels])[gappy.panel_map[rows, columns]]
    np.testing.assert_allclose(gappy.q_map()[rows, columns], q, rtol=1e-6)
    np.testing.assert_allclose(gappy.resolution_map()[rows, columns], 1 / q, rtol=1e-6)
    np.testing.assert_allclose(gappy.pixel_radius[rows, columns], np.hypot(xyz[:, 0], xyz[:, 1]) / size, rtol=1e-6)
    for image in (gappy.q_map(), gappy.resolution_map(), gappy.pixel_radius):
        assert image.dtype == np.float32
        assert image.shape == (32, 40)
        np.testing.assert_array_equal(np.isnan(image), gappy.panel_map < 0)


def test_the_q_map_is_right_close_to_the_beam_and_behind_the_sample() -> None:
    ahead = Detector.single_panel((1, 2), pixel_size=1e-7, distance=10.0, beam_center=(0.5, 0.5), photon_energy=9e3)
    assert ahead.q_map()[0, 0] == 0.0
    assert ahead.resolution_map()[0, 0] == np.inf
    assert ahead.q_map()[0, 1] == pytest.approx(1e-8 / Beam(9e3).wavelength, rel=1e-6)
    behind = ahead.moved((0.0, 0.0, -20.0))
    assert behind.q_map()[0, 0] == pytest.approx(2 / Beam(9e3).wavelength, rel=1e-6)


def test_maps_follow_the_beam_and_cannot_be_written_to(gappy: Detector) -> None:
    other = gappy.q_map(Beam(18000.0))
    np.testing.assert_allclose(other, 2 * gappy.q_map(), rtol=1e-6)
    assert gappy.q_map() is gappy.q_map()
    with pytest.raises(ValueError, match="read-only"):
        gappy.q_map()[0, 0] = 1.0


def test_every_pixel_is_hit_by_the_ray_towards_it(gappy: Detector) -> None:
    rows, columns = centres(gappy)
    xyz = gappy.position(columns + 0.25, rows + 0.75)
    fs, ss, panel = gappy.project(xyz * np.linspace(0.1, 50, len(xyz))[:, None])
    np.testing.assert_allclose(fs, columns + 0.25, atol=1e-9)
    np.testing.assert_allclose(ss, rows + 0.75, atol=1e-9)
    np.testing.assert_array_equal(panel, gappy.panel_map[rows, columns])


def test_scattering_vectors_find_their_pixels_on_all_64_panels(shared: Path) -> None:
    detector = Detector.from_crystfel(shared / "real/thermolysin_cspad.geom")
    middle = np.array([((p.fs_start + p.fs_stop) / 2, (p.ss_start + p.ss_stop) / 2) for p in detector.panels])
    index = np.arange(64)
    fs, ss, panel = detector.project_q(detector.q(middle[:, 0], middle[:, 1], index))
    np.testing.assert_array_equal(panel, index)
    np.testing.assert_allclose(np.stack([fs, ss], axis=1), middle, atol=1e-7)


def test_rays_that_miss_and_rays_that_are_no_numbers_find_no_panel(gappy: Detector) -> None:
    outside = gappy.position([-0.01, 20.01, 23.99], [3.0, 3.0, 10.0], [0, 0, 1])
    rays = np.vstack([outside, np.array([[0, 0, -1.0], [0, 0, 0], [np.nan, 0, 1], [1, 0, 0]])])
    rays[3] = -gappy.position(10.5, 10.5)[0]
    fs, ss, panel = gappy.project(rays)
    assert (panel == -1).all()
    assert np.isnan(fs).all()
    assert np.isnan(ss).all()
    assert [len(found) for found in gappy.project(np.empty((0, 3)))] == [0, 0, 0]


def test_a_panels_first_edge_belongs_to_it_and_its_last_does_not() -> None:
    detector = Detector.single_panel((2, 2), pixel_size=0.5, distance=1.0, beam_center=(0, 0))
    fs, _, panel = detector.project(np.array([[0, 0, 1], [1, 0, 1], [0, 1, 1], [0.5, 0.5, 1]]))
    np.testing.assert_array_equal(panel, [0, -1, -1, 0])
    assert fs[3] == 1.0


def test_the_panel_in_front_takes_the_ray() -> None:
    behind = Panel("behind", 0, 4, 0, 4, corner=(-2e-3, -2e-3, 0.2), fs=(1e-3, 0, 0), ss=(0, 1e-3, 0))
    front = Panel("front", 4, 8, 0, 4, corner=(-1e-3, -1e-3, 0.1), fs=(5e-4, 0, 0), ss=(0, 5e-4, 0))
    for panels, expected in (((behind, front), 1), ((front, behind), 0)):
        _, _, panel = Detector(panels, (4, 8)).project([[0.0, 0.0, 1.0]])
        assert panel[0] == expected


def test_a_panel_seen_edge_on_is_never_hit() -> None:
    edge = Panel("edge", 0, 4, 0, 4, corner=(0.0, 0.0, 0.1), fs=(0, 0, 1e-3), ss=(0, 1e-3, 0))
    detector = Detector((edge,), (4, 4))
    assert detector.project([[0.0, 0.01, 1.0]])[2][0] == -1
    assert np.isnan(detector.beam_center).all()


def test_the_beam_centre_lies_where_the_beam_is_projected(gappy: Detector) -> None:
    single = Detector.single_panel((9, 9), pixel_size=(1e-4, 2e-4), distance=0.1, beam_center=(3.25, -7.5))
    np.testing.assert_allclose(single.beam_center, [[3.25, -7.5]])
    for index, (fs, ss) in enumerate(gappy.beam_center):
        np.testing.assert_allclose(gappy.position(fs, ss, index)[0, :2], 0.0, atol=1e-12)


def test_a_new_distance_moves_all_panels_along_the_beam(gappy: Detector) -> None:
    moved = gappy.with_distance(0.3)
    assert moved.distance == pytest.approx(0.3)
    rows, columns = centres(gappy)
    shift = moved.position(columns, rows) - gappy.position(columns, rows)
    np.testing.assert_allclose(shift, np.broadcast_to([0, 0, 0.3 - gappy.distance], shift.shape), atol=1e-15)
    z = gappy.position(columns + 0.5, rows + 0.5)[:, 2]
    assert gappy.distance == pytest.approx(z.mean())


@pytest.mark.parametrize("distance", [0.0, -0.1, float("nan"), float("inf")])
def test_an_impossible_distance_is_refused(gappy: Detector, distance: float) -> None:
    with pytest.raises(ValueError, match="the detector distance must be positive, found"):
        gappy.with_distance(distance)
    with pytest.raises(ValueError, match="the detector distance must be positive, found"):
        Detector.single_panel((4, 4), pixel_size=1e-4, distance=distance, beam_center=(0, 0))


def test_pixels_of_no_panel_are_masked_and_masks_add_up(gappy: Detector) -> None:
    assert gappy.mask.sum() == 32 * 40 - 20 * 30 - 16 * 25
    further = np.zeros((32, 40), np.uint8)
    further[0, 0] = 7
    assert gappy.with_mask(further).mask.sum() == gappy.mask.sum() + 1
    with pytest.raises(ValueError, match=re.escape("the mask's shape is (3, 3), expected the image's (32, 40)")):
        gappy.with_mask(np.zeros((3, 3), bool))


def test_copies_keep_the_values_that_mean_bad() -> None:
    detector = Detector.single_panel(
        (4, 4), pixel_size=1e-4, distance=0.1, beam_center=(0, 0), flag_values=(7.0,), max_adu=9.0
    )
    for copy in (detector.with_distance(0.2), detector.with_beam(Beam(9e3)), detector.with_mask(np.eye(4, dtype=bool))):
        assert copy.flag_values == (7.0,)
        assert copy.panels[0].max_adu == 9.0
    assert detector.without_flags().flag_values == ()


def test_places_without_a_panel_are_refused(gappy: Detector) -> None:
    np.testing.assert_array_equal(
        gappy.panel_at([0, 22, 39.99, 40, -1, 5], [0, 10, 29.99, 10, 0, 31]), [0, -1, 1, -1, -1, -1]
    )
    with pytest.raises(ValueError, match=re.escape("no panel lies at fs 22.0, ss 10.0")):
        gappy.q([1.0, 22.0], [1.0, 10.0])


def test_stacks_become_slabs_without_a_copy() -> None:
    detector = Detector.single_panel((6, 4), pixel_size=1e-4, distance=0.1, beam_center=(0, 0))
    stack = np.arange(24).reshape(2, 3, 4)
    slab = detector.as_slab(stack)
    assert np.shares_memory(slab, stack)
    assert slab[4, 1] == stack[1, 1, 1]
    with pytest.raises(ValueError, match=re.escape("the image's shape is (3, 2, 3), the detector's is (6, 4)")):
        detector.as_slab(np.zeros((3, 2, 3)))


def test_a_series_header_makes_a_detector() -> None:
    mask = np.zeros((20, 30), bool)
    mask[3, 4] = True
    detector = Detector.from_series(series(mask=mask))
    assert detector.shape == (20, 30)
    assert detector.distance == 0.1
    assert detector.beam == Beam(9000.0)
    assert detector.panels[0].max_adu == 5000.0
    assert detector.panels[0].fs == (75e-6, 0.0, 0.0)
    assert detector.panels[0].ss == (0.0, 80e-6, 0.0)
    np.testing.assert_allclose(detector.beam_center, [[14.5, 9.25]])
    np.testing.assert_array_equal(detector.mask, mask)


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        ("uint16", (65535.0, 65534.0)),
        (">u4", (4294967295.0, 4294967294.0)),
        ("int16", (-32768.0,)),
        ("float32", ()),
        (None, ()),
    ],
)
def test_the_pixel_type_says_which_values_mean_bad(dtype: str | None, values: tuple[float, ...]) -> None:
    assert Detector.from_series(series(dtype=dtype)).flag_values == values


def test_what_a_header_lacks_is_named_with_the_way_out() -> None:
    with pytest.raises(ValueError, match="lacks: detector distance, beam centre; expected all of image shape, pixel"):
        Detector.from_series(series(distance=None, beam_center=None))
    with pytest.raises(ValueError, match=re.escape("A geometry file (.geom) can supply them instead")):
        Detector.from_series(Series(key="k", number=1))


def test_hits_can_be_found_without_an_energy() -> None:
    detector = Detector.from_series(series(photon_energy=None, saturation_value=None))
    assert detector.beam is None
    assert detector.pixel_radius[9, 14] == pytest.approx(np.hypot(0.0, 0.25 * 80 / 75), rel=1e-6)
    with pytest.raises(ValueError, match="the photon energy is unknown"):
        detector.q(1, 1)


@pytest.mark.parametrize(
    ("panels", "message"),
    [
        ((), "a detector needs at least one panel"),
        ((GAPPY[0], GAPPY[0]), "panel left overlaps another panel in the image array"),
        (
            (GAPPY[0], Panel("far", 30, 41, 0, 3, (0, 0, 1), (1, 0, 0), (0, 1, 0))),
            "panel far ends at ss 3, fs 41, outside",
        ),
    ],
)
def test_panels_that_do_not_fit_the_image_are_refused(panels: tuple[Panel, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Detector(panels, (32, 40))


def test_arguments_of_another_shape_are_refused(gappy: Detector) -> None:
    with pytest.raises(ValueError, match=re.escape("expected directions of shape (n, 3), found (3,)")):
        gappy.project([0.0, 0.0, 1.0])
    with pytest.raises(ValueError, match=re.escape("expected scattering vectors of shape (n, 3), found (2, 2)")):
        gappy.project_q(np.zeros((2, 2)))
    with pytest.raises(ValueError, match="the pixel size must be positive and below 1 m, found 75"):
        Detector.single_panel((4, 4), pixel_size=75, distance=0.1, beam_center=(0, 0))
    with pytest.raises(ValueError, match="panel p: expected 0 <= start < stop"):
        Panel("p", 3, 3, 0, 1, (0, 0, 1), (1, 0, 0), (0, 1, 0))
