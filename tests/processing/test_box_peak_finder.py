"""The older tools' finder in spirit, against a slow and plain NumPy one."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from cspad_frames import cspad, frame
from numpy.typing import NDArray
from slow_spots import slow_spots

from braggwatch.processing.average_files import blank_detector
from braggwatch.processing.box_peak_finder import BoxPeakFinder, central_panels

DETECTOR = cspad(8)


def with_spots(image: NDArray[Any], n: int, seed: int = 0, height: float = 600.0) -> NDArray[np.float32]:
    """Add round spots of a few pixels, well inside the panels, no two of which touch."""
    rng = np.random.default_rng(seed)
    result = image.astype(np.float64)
    ss, fs = np.indices((9, 9)) - 4
    shape = np.exp(-0.5 * (ss**2 + fs**2) / 0.9**2)
    cells = rng.permutation(DETECTOR.shape[0] // 12 * (DETECTOR.shape[1] // 12))[:n]
    for cell in cells:
        row, column = divmod(int(cell), DETECTOR.shape[1] // 12)
        top, left = row * 12, column * 12
        result[top : top + 9, left : left + 9] += height * rng.uniform(0.5, 1.5) * shape
    return result.astype(np.float32)


@pytest.mark.parametrize("water", [0.0, 1.5])
def test_it_finds_what_plain_numpy_finds(water: float) -> None:
    image = with_spots(frame(DETECTOR, np.random.default_rng(1), water=water).image, 60)
    image[3, 5], image[200, 7] = np.nan, np.inf
    slow = slow_spots(image, DETECTOR.panels)
    peaks = BoxPeakFinder(DETECTOR)(image)
    order = np.lexsort((peaks.intensity, peaks.max_value, peaks.panel))
    assert len(peaks) == len(slow) >= 60
    np.testing.assert_array_equal(peaks.panel[order], [spot.panel for spot in slow])
    np.testing.assert_allclose(peaks.max_value[order], [spot.max_value for spot in slow], rtol=1e-6)
    np.testing.assert_allclose(peaks.intensity[order], [spot.intensity for spot in slow], rtol=1e-3, atol=0.2)
    np.testing.assert_array_equal(peaks.n_pixels[order], [spot.n_pixels for spot in slow])


def test_spots_lie_where_they_are_on_a_slope_of_background() -> None:
    flat = blank_detector((100, 120))
    ss, fs = np.indices(flat.shape)
    image = 1000 + 3.0 * fs + 5.0 * ss + np.random.default_rng(0).normal(0, 3, flat.shape)
    image += 2000 * np.exp(-0.5 * (((ss - 40.3) / 1.2) ** 2 + ((fs - 70.6) / 1.2) ** 2))
    peaks = BoxPeakFinder(flat)(image.astype(np.float32))
    assert len(peaks) == 1
    assert peaks.fs[0] == pytest.approx(70.6 + 0.5, abs=0.05)
    assert peaks.ss[0] == pytest.approx(40.3 + 0.5, abs=0.05)
    assert peaks.intensity[0] == pytest.approx(2000 * 2 * np.pi * 1.2**2, rel=0.02)
    assert peaks.background[0] == pytest.approx(1000 + 3 * 70.6 + 5 * 40.3, abs=10)
    assert peaks.max_value[0] == image.astype(np.float32).max()


def one_spot(n: int, height: float = 100.0) -> NDArray[np.float32]:
    image = np.random.default_rng(3).normal(0, 2, (60, 60)).astype(np.float32)
    image[30, 20 : 20 + n] = height
    return image


def test_area_and_height_limits_hold_to_the_pixel() -> None:
    flat = blank_detector((60, 60))
    assert len(BoxPeakFinder(flat, minimum_spot_area=4)(one_spot(3))) == 0
    assert len(BoxPeakFinder(flat, minimum_spot_area=4)(one_spot(4))) == 1
    assert len(BoxPeakFinder(flat, minimum_spot_area=4, spot_area_maximum_factor=2)(one_spot(9))) == 0
    assert len(BoxPeakFinder(flat, minimum_spot_area=3)(one_spot(5, height=6.5))) == 0
    assert len(BoxPeakFinder(flat, minimum_spot_area=3, minimum_spot_height=2.6)(one_spot(5, height=6.5))) == 1


def test_nothing_is_looked_for_at_the_edge_outside_the_window_and_on_other_panels() -> None:
    flat = blank_detector((60, 60))
    assert len(BoxPeakFinder(flat, peripheral_margin=20)(one_spot(5))) == 1
    assert len(BoxPeakFinder(flat, peripheral_margin=30)(one_spot(5))) == 0
    assert len(BoxPeakFinder(flat, max_radius=30.0)(one_spot(5))) == 0
    image = with_spots(frame(DETECTOR, np.random.default_rng(2)).image, 80)
    assert set(BoxPeakFinder(DETECTOR, panels=(2, 5))(image).panel) == {2, 5}
    assert len(BoxPeakFinder(DETECTOR, max_peaks=7)(image)) == 7


def test_a_noisy_pixel_is_no_spot_where_its_noise_is_known() -> None:
    flat = blank_detector((60, 60))
    noise = np.full((60, 60), 2.0, np.float32)
    noise[30, 19:26] = 40.0
    assert len(BoxPeakFinder(flat)(one_spot(5))) == 1
    assert len(BoxPeakFinder(replace(flat, noise=noise))(one_spot(5))) == 0
    assert len(BoxPeakFinder(replace(flat, noise=noise))(one_spot(5, height=300.0))) == 1
    mapped = BoxPeakFinder(replace(flat, noise=noise)).threshold_map(one_spot(5))
    assert mapped[30, 22] == pytest.approx(100, abs=1)
    assert mapped[10, 22] == pytest.approx(5, abs=1)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "int16", "int32", "float32", ">u2"])
def test_every_type_gives_the_same_spots(dtype: str) -> None:
    image = np.random.default_rng(5).poisson(5.0, (60, 60)).astype(dtype)
    image[30, 20:24] = 200
    peaks = BoxPeakFinder(blank_detector((60, 60)))(image)
    assert peaks.max_value.tolist() == [200.0]


def test_flat_empty_and_tiny_images_break_nothing() -> None:
    flat = blank_detector((60, 60))
    for value in (0.0, 7.0, np.nan, 1e30):
        assert len(BoxPeakFinder(flat)(np.full((60, 60), value, np.float32))) == 0
    everything = replace(flat, mask=np.ones((60, 60), bool))
    assert len(BoxPeakFinder(everything)(one_spot(5))) == 0
    assert np.isnan(BoxPeakFinder(everything).threshold_map(one_spot(5))).all()
    assert len(BoxPeakFinder(blank_detector((1, 1)))(np.ones((1, 1), np.uint16))) == 0
    assert len(BoxPeakFinder(blank_detector((1, 40)))(np.ones((1, 40), np.uint16))) == 0


def test_the_central_panels_are_those_nearest_the_beam() -> None:
    assert set(central_panels(cspad(16), 8)) == set(range(8))
    assert len(central_panels(cspad(16), 0)) == 16
    assert len(central_panels(DETECTOR, 99)) == 8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"minimum_signal_height": 0}, "must be positive, found 0 and 3.5"),
        ({"minimum_spot_area": 0}, "must be one or more, found 0 and 20.0"),
        ({"scanbox_window": 5}, "found 5, 1 and 2048"),
        ({"panels": (8,)}, "there are panels 0 to 7, found [8]"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        BoxPeakFinder(DETECTOR, **options)
