"""Which pixels a shape on the picture holds, against the places of all pixels in the laboratory."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from braggwatch.gui.image_assembly import GAP, Assembly
from braggwatch.gui.mask_picture import MaskPicture
from braggwatch.gui.mask_shapes import Polygon, Ring, Shape, extent, pixels_in, rectangle
from braggwatch.processing.detector import Detector
from braggwatch.processing.panel import Panel

PIXEL = 1e-4


def turned_panels() -> Detector:
    """Three panels with gaps between, of which the second and third are turned by 37 and 90 degrees, and mirrored."""
    panels, ss = [], 0
    for number, (angle, corner, mirror) in enumerate(
        ((0.0, (-6e-3, -5e-3), 1), (37.0, (2e-3, -4e-3), 1), (90.0, (1e-3, 3e-3), -1))
    ):
        along = PIXEL * np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle)), 0.0])
        across = mirror * PIXEL * np.array([-np.sin(np.radians(angle)), np.cos(np.radians(angle)), 0.0])
        vectors = [tuple(float(x) for x in vector) for vector in (along, across)]
        panels.append(Panel(f"p{number}", 0, 60, ss, ss + 40, (*corner, 0.1), *vectors))  # type: ignore[arg-type]
        ss += 40
    return Detector(tuple(panels), (120, 64))  # the last four columns belong to no panel


def places(detector: Detector, assembly: Assembly) -> NDArray[np.float64]:
    """Return ``(ss, fs, 2)``: where each pixel's centre lies in the picture, by `Detector.position`; NaN in no panel.

    The picture is as one sees it from the sample: x to the left and y upwards, pixels of one size. Where it begins is
    taken from one pixel.
    """
    ss, fs = np.indices(detector.shape) + 0.5
    known = detector.panel_map >= 0
    found = np.full((*detector.shape, 2), np.nan)
    found[known] = -detector.position(fs[known], ss[known])[:, :2] / PIXEL
    (first,) = assembly.to_picture([0.5], [0.5])
    return np.asarray(found - found[0, 0] + first)


def brute_force(shape: Shape, at: NDArray[np.float64]) -> NDArray[np.bool_]:
    x, y = at[..., 0], at[..., 1]
    with np.errstate(invalid="ignore"):
        if isinstance(shape, Ring):
            distance = np.hypot(x - shape.x, y - shape.y)
            return np.asarray((distance >= shape.inner) & (distance <= shape.outer))
        inside = np.zeros(x.shape, bool)
        for (x0, y0), (x1, y1) in zip(shape.corners, np.roll(shape.corners, -1, axis=0), strict=True):
            crosses = (y0 <= y) != (y1 <= y)
            inside ^= crosses & (x < x0 + (y - y0) / (y1 - y0 if y1 != y0 else 1.0) * (x1 - x0))
        return inside & np.isfinite(x)


def random_shapes(n: int, shape: tuple[int, int]) -> list[Shape]:
    random = np.random.default_rng(4)
    found: list[Shape] = []
    for _ in range(n):
        x, y = random.uniform(0, shape[1]), random.uniform(0, shape[0])
        inner, outer = sorted(random.uniform(0, max(shape) / 2, 2))
        found += [Ring(x, y, 0.0, outer), Ring(x, y, inner, outer)]
        found.append(rectangle(x, y, *random.uniform(-10, max(shape), 2)))
        found.append(Polygon(random.uniform(-20, max(shape) + 20, (random.integers(3, 9), 2))))
    return found


def test_a_shape_holds_the_pixels_whose_centres_lie_in_it_on_turned_panels_too() -> None:
    detector = turned_panels()
    assembly = Assembly(detector)
    at = places(detector, assembly)
    assert assembly.lookup is not None
    n_held = 0
    for shape in random_shapes(40, assembly.shape):
        expected = brute_force(shape, at)
        assert np.array_equal(pixels_in(shape, assembly), expected), shape
        n_held += int(expected.sum())
    assert n_held > 50_000


def test_a_shape_on_a_single_panel_holds_the_pixels_under_it() -> None:
    detector = Detector.single_panel((50, 70), pixel_size=PIXEL, distance=0.1, beam_center=(35, 25))
    assembly = Assembly(detector)
    at = np.moveaxis(np.indices(detector.shape)[::-1], 0, -1).astype(np.float64) + 0.5
    for shape in random_shapes(30, detector.shape):
        assert np.array_equal(pixels_in(shape, assembly), brute_force(shape, at)), shape
    assert np.argwhere(pixels_in(rectangle(3.0, 4.0, 5.0, 5.0), assembly)).tolist() == [[4, 3], [4, 4]]


@pytest.mark.parametrize("name", ["agipd_mar18_v11", "cspad-cxiformat", "lcls-cxi-jungfrau4M", "lcls-mfx-epix10k2M"])
def test_a_circle_around_the_beam_masks_by_radius_in_real_geometries(shared: Path, name: str) -> None:
    detector = Detector.from_crystfel(shared / "geometries" / f"{name}.geom", distance=0.1, photon_energy=9000.0)
    assembly = Assembly(detector)
    ((x, y),) = assembly.rays_to_picture(np.array([[0.0, 0.0, 1.0]]))
    size = float(np.median([panel.pixel_size for panel in detector.panels]))
    for radius in (60.3, 250.7):
        ss, fs = np.indices(detector.shape) + 0.5
        known = detector.panel_map >= 0
        expected = np.zeros(detector.shape, bool)
        expected[known] = np.hypot(*detector.position(fs[known], ss[known])[:, :2].T) <= radius * size
        found = pixels_in(Ring(float(x), float(y), 0.0, radius), assembly)
        assert expected.sum() > 1000 and np.count_nonzero(found != expected) <= 2  # on the very edge, by rounding


def test_the_mask_over_the_picture_lies_where_the_shape_was_drawn_at_every_zoom() -> None:
    assembly = Assembly(turned_panels())
    picture = MaskPicture(assembly)
    mask = np.zeros((120, 64), bool)
    for shape in random_shapes(6, assembly.shape):
        mask |= pixels_in(shape, assembly)
        picture.update(mask, extent(shape))
    at_once = MaskPicture(assembly)
    at_once.update(mask)
    n_rows, n_columns = assembly.shape
    assert assembly.lookup is not None
    seen = np.where(assembly.lookup >= 0, mask.ravel()[assembly.lookup], False)
    for size in (0.5, 1.0, 2.0, 3.7, 8.0):
        drawn = [one.draw(0, 0, n_columns, n_rows, size) for one in (picture, at_once)]
        assert drawn[0] is not None and drawn[1] is not None
        assert np.array_equal(drawn[0].colours, drawn[1].colours)
        if size == 1.0:
            assert np.array_equal(drawn[0].colours.astype(bool), seen)
            assert not drawn[0].colours[assembly.states == GAP].any()


def test_one_masked_pixel_of_many_is_seen_from_afar() -> None:
    assembly = Assembly(Detector.single_panel((700, 900), pixel_size=PIXEL, distance=0.1, beam_center=(1, 1)))
    picture, mask = MaskPicture(assembly), np.zeros((700, 900), bool)
    mask[699, 899] = True
    picture.update(mask, (899.0, 699.0, 900.0, 700.0))
    drawing = picture.draw(0, 0, 900, 700, 30.0)
    assert drawing is not None and drawing.colours.sum() == 1 and drawing.colours[-1, -1] == 1
    assert picture.draw(2000, 0, 3000, 700, 1.0) is None


@pytest.mark.parametrize(
    "shape",
    [
        Polygon(np.zeros((2, 2))), Polygon(np.zeros((0, 2))), Polygon(np.full((3, 2), np.nan)),
        Ring(float("nan"), 0.0, 0.0, 1.0), Ring(0.0, 0.0, 0.0, float("inf")),
    ],
    ids=range(5),
)  # fmt: skip
def test_what_is_no_shape_is_refused(shape: Shape) -> None:
    with pytest.raises(ValueError, match=r"corner|number"):
        pixels_in(shape, Assembly(turned_panels()))


def test_a_shape_far_away_holds_nothing_and_one_around_everything_all() -> None:
    assembly = Assembly(turned_panels())
    assert not pixels_in(rectangle(1e200, 1e200, 2e200, 2e200), assembly).any()
    assert not pixels_in(Ring(-1e6, 0.0, 0.0, 5.0), assembly).any()
    everything = pixels_in(rectangle(-1e9, -1e9, 1e9, 1e9), assembly)
    assert np.array_equal(everything, turned_panels().panel_map >= 0)
