"""Spots on images that a test can think through, and what is refused."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from braggwatch.processing.detector import Detector, Panel
from braggwatch.processing.peak_finder import PeakFinder
from braggwatch.processing.peaks import Peaks

SHAPE = (120, 150)
OPTIONS: dict[str, Any] = {
    "threshold": 10.0,
    "min_snr": 5.0,
    "min_pixels": 2,
    "max_pixels": 40,
    "local_bg_radius": 3,
    "statistics": "exact",
}


def as_table(peaks: Peaks) -> NDArray[np.float64]:
    columns = (peaks.fs, peaks.ss, peaks.panel, peaks.intensity, peaks.snr, peaks.n_pixels)
    table = np.stack(columns, axis=1).astype(float)
    return table[np.lexsort((table[:, 0], table[:, 1]))]


def far_detector(**more: Any) -> Detector:
    """Far off the beam, where rings run along whole rows: a few bright pixels do not change a ring."""
    return Detector.single_panel(SHAPE, pixel_size=1e-4, distance=0.1, beam_center=(75.0, -5000.0), **more)


def blank() -> NDArray[np.uint16]:
    """A background of 1 and 3 in turns: mean 2, standard deviation 1."""
    return np.where(np.indices(SHAPE).sum(axis=0) % 2, 3, 1).astype(np.uint16)


def test_an_image_of_one_value_has_no_spots() -> None:
    finder = PeakFinder(far_detector(), **OPTIONS)
    for value in (0, 7, 50_000, 65_535):
        assert len(finder(np.full(SHAPE, value, np.uint16))) == 0


def test_a_fully_masked_detector_has_no_spots() -> None:
    detector = far_detector(mask=np.ones(SHAPE, bool))
    image = blank()
    image[30:32, 40:42] = 100
    for statistics in ("exact", "sampled"):
        assert len(PeakFinder(detector, **{**OPTIONS, "statistics": statistics})(image)) == 0


def test_an_image_of_nothing_but_nan_has_no_spots() -> None:
    assert len(PeakFinder(far_detector(), **OPTIONS)(np.full(SHAPE, np.nan, np.float32))) == 0


def test_one_bright_pixel_on_zeros_is_a_spot_where_one_pixel_is_enough() -> None:
    image = np.zeros(SHAPE, np.uint16)
    image[30, 40] = 100
    peaks = PeakFinder(far_detector(), **{**OPTIONS, "min_pixels": 1})(image)
    assert (peaks.fs.tolist(), peaks.ss.tolist(), peaks.n_pixels.tolist()) == ([40.5], [30.5], [1])
    assert (peaks.intensity.tolist(), peaks.background.tolist(), peaks.max_value.tolist()) == ([100.0], [0.0], [100.0])
    assert len(PeakFinder(far_detector(), **OPTIONS)(image)) == 0


def test_a_spot_that_touches_the_outermost_row_or_column_is_found_if_it_reaches_further_in() -> None:
    finder = PeakFinder(far_detector(), **OPTIONS)
    last_row, last_column = SHAPE[0] - 1, SHAPE[1] - 1
    for rows, columns in (
        ([0, 1], [70, 70]),
        ([last_row, last_row - 1], [70, 70]),
        ([60, 60], [0, 1]),
        ([60, 60], [last_column, last_column - 1]),
        ([0, 1], [0, 1]),
        ([last_row, last_row - 1], [last_column, last_column - 1]),
    ):
        image = blank()
        image[rows, columns] = 100
        peaks = finder(image)
        assert peaks.fs.tolist() == [np.mean(columns) + 0.5]
        assert peaks.ss.tolist() == [np.mean(rows) + 0.5]


def test_a_spot_wholly_in_the_outermost_row_or_column_is_not_taken() -> None:
    image = blank()
    image[0, 20:23] = image[-1, 30:33] = 100
    image[20:23, 0] = image[30:33, -1] = 100
    assert len(PeakFinder(far_detector(), **OPTIONS)(image)) == 0


def test_a_spot_across_two_panels_becomes_one_on_each() -> None:
    whole = far_detector()
    left, right = (
        Panel("l", 0, 75, 0, 120, whole.panels[0].corner, whole.panels[0].fs, whole.panels[0].ss),
        Panel(
            "r",
            75,
            150,
            0,
            120,
            (whole.panels[0].corner[0] + 75e-4, *whole.panels[0].corner[1:]),
            whole.panels[0].fs,
            whole.panels[0].ss,
        ),
    )
    image = blank()
    image[50:52, 73:77] = 100
    peaks = PeakFinder(Detector((left, right), SHAPE), **OPTIONS)(image)
    assert peaks.panel.tolist() == [0, 1]
    assert peaks.fs.tolist() == [74.0, 76.0]
    assert peaks.n_pixels.tolist() == [4, 4]


def test_the_local_background_stays_on_the_panel_of_the_spot() -> None:
    whole = far_detector()
    base = whole.panels[0]
    panels = (
        Panel("l", 0, 75, 0, 120, base.corner, base.fs, base.ss),
        Panel("r", 75, 150, 0, 120, (1.0, 1.0, 0.1), base.fs, base.ss),
    )
    image = blank()
    image[:, 75:] = 5000
    image[50:52, 71:73] = 100
    peaks = PeakFinder(Detector(panels, SHAPE), **OPTIONS)(image)
    assert peaks.panel.tolist() == [0]
    assert 1 < peaks.background[0] < 3


def test_spots_that_touch_at_a_corner_are_one_and_apart_by_a_pixel_two() -> None:
    image = blank()
    image[40:42, 40:42] = image[42:44, 42:44] = 100
    image[80:82, 80:82] = image[80:82, 83:85] = 100
    peaks = PeakFinder(far_detector(), **OPTIONS)(image)
    assert sorted(peaks.n_pixels.tolist()) == [4, 4, 8]


def test_a_region_larger_than_max_pixels_is_not_a_spot_nor_are_its_parts() -> None:
    image = blank()
    image[20:40, 20:50] = 100
    assert len(PeakFinder(far_detector(), **OPTIONS)(image)) == 0


def test_values_that_mean_a_bad_pixel_neither_count_nor_shift_the_background() -> None:
    image = blank()
    image[60:62, 20:22] = 100
    expected = as_table(PeakFinder(far_detector(), **OPTIONS)(image))
    image[10:12, 30:32] = 65535
    image[60, 24] = 65535
    image[80:82, 30:32] = 60000
    image[90:92, 30:32] = 65534
    image[100:102, 30:32] = 50000
    detector = far_detector(flag_values=(60000, 1e9, 0.5))
    bounded = Detector(
        detector.panels, SHAPE, detector.beam, flag_values=detector.flag_values, flag_below=0.5, flag_above=49999.5
    )
    found = as_table(PeakFinder(bounded, **OPTIONS)(image))
    np.testing.assert_allclose(found[:, :4], expected[:, :4], rtol=0.01)
    in_float = as_table(PeakFinder(bounded, **OPTIONS)(image.astype(np.float32)))
    np.testing.assert_array_equal(in_float, found)
    assert len(PeakFinder(detector, **OPTIONS)(image)) == 3


def test_flags_at_the_ends_of_the_integer_range_are_bad_values() -> None:
    image = blank().astype(np.int16)
    image[60:62, 20:22] = 100
    expected = as_table(PeakFinder(far_detector(), **OPTIONS)(image))
    image[90:92, 30:32] = 32766
    image[70:72, 30:32] = 32765
    image[40:42, 30:32] = -32768
    image[58, 18] = -32767
    finder = PeakFinder(far_detector(flag_values=(-32768, -32767, 32765, 32766, 32767)), **OPTIONS)
    found = as_table(finder(image))
    np.testing.assert_allclose(found[:, :4], expected[:, :4], rtol=0.01)


def test_a_saturated_spot_is_found_up_to_one_below_the_largest_integer() -> None:
    image = blank()
    image[60:62, 20:22] = 65534
    peaks = PeakFinder(far_detector(), **OPTIONS)(image)
    assert peaks.max_value.tolist() == [65534.0]


def test_the_search_ends_at_max_peaks() -> None:
    image = blank()
    image[10:110:10, 20:140:30] = image[11:111:10, 20:140:30] = 100
    finder = PeakFinder(far_detector(), **OPTIONS)
    assert len(finder(image)) == 40
    some = PeakFinder(far_detector(), **OPTIONS, max_peaks=7)(image)
    assert some.fs.tolist() == [20.5, 50.5, 80.5, 110.5, 20.5, 50.5, 80.5]
    assert some.ss.tolist() == [11.0] * 4 + [21.0] * 3


def test_an_image_of_another_shape_is_refused() -> None:
    finder = PeakFinder(far_detector(), **OPTIONS)
    with pytest.raises(ValueError, match=r"image's shape is \(150, 120\), the detector's is \(120, 150\)"):
        finder(np.zeros((150, 120), np.uint16))


@pytest.mark.parametrize("dtype", ["int64", "uint64", "bool", "complex64"])
def test_an_image_of_a_type_that_no_detector_sends_is_refused(dtype: str) -> None:
    finder = PeakFinder(far_detector(), **OPTIONS)
    with pytest.raises(TypeError, match=f"image's type is {dtype}, expected one of uint8, .*: convert it"):
        finder(np.zeros(SHAPE, dtype))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": -1.0}, "threshold must be zero or more ADU, found -1.0"),
        ({"min_snr": 0.0}, "min_snr must be positive, found 0.0"),
        ({"min_pixels": 0}, "expected 1 <= min_pixels <= max_pixels, found 0 and 40"),
        ({"min_pixels": 41}, "expected 1 <= min_pixels <= max_pixels, found 41 and 40"),
        ({"local_bg_radius": 0}, "local_bg_radius must lie between 1 and 100 pixels, found 0"),
        ({"max_peaks": 0}, "max_peaks must lie between 1 and 1000000, found 0"),
        ({"statistics": "some"}, 'statistics must be "sampled" or "exact", found \'some\''),
        ({"min_radius": -2.0}, "min_radius must be zero or more pixels, found -2.0"),
        ({"d_min": 3.0, "d_max": 2.0}, "d_min must be smaller than d_max, found 3.0 and 2.0 Angstrom"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PeakFinder(far_detector(), **{**OPTIONS, **options})


def test_a_resolution_needs_the_photon_energy() -> None:
    detector = Detector.single_panel(SHAPE, pixel_size=1e-4, distance=0.1, beam_center=(75, 60))
    with pytest.raises(ValueError, match="d_min and d_max need the photon energy"):
        PeakFinder(detector, d_min=2.0)


def test_a_pixel_too_far_from_the_beam_is_refused() -> None:
    detector = Detector.single_panel(SHAPE, pixel_size=1e-4, distance=0.1, beam_center=(7e4, 60))
    with pytest.raises(ValueError, match=r"a pixel lies 70000 pixels from the beam, expected at most 65534"):
        PeakFinder(detector)
    assert len(PeakFinder(detector, max_radius=1000.0)(np.zeros(SHAPE, np.uint16))) == 0


@pytest.mark.parametrize("statistics", ["exact", "sampled"])
def test_a_pixel_that_is_noisy_in_the_dark_is_no_spot_until_it_stands_out_of_that(statistics: str) -> None:
    noise = np.full(SHAPE, 1.0, np.float32)
    noise[30:32, 40:42] = 30.0
    quiet, noisy = far_detector(), replace(far_detector(), noise=noise)
    image = blank()
    image[30:32, 40:42] = 100
    options = {**OPTIONS, "statistics": statistics}
    assert len(PeakFinder(quiet, **options)(image)) == 1
    assert len(PeakFinder(noisy, **options)(image)) == 0
    assert PeakFinder(noisy, **options).threshold_map(image)[30, 40] == pytest.approx(2 + 5 * 30, abs=1)
    image[30:32, 40:42] = 160
    assert len(PeakFinder(noisy, **options)(image)) == 1
