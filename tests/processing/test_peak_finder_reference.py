"""Spots against peakfinder8 written out slowly with NumPy and SciPy, on noisy images with spots of all strengths."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from braggwatch.processing.beam import Beam
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

Spot = tuple[float, float, int, float, float, int]
"""fs, ss, panel, intensity, snr, number of pixels."""


def reference_spots(
    image: NDArray[Any],
    detector: Detector,
    *,
    threshold: float,
    min_snr: float,
    min_pixels: int,
    max_pixels: int,
    local_bg_radius: int,
    min_radius: float = -1.0,
    max_radius: float = np.inf,
) -> list[Spot]:
    values = image.astype(float)
    ss, fs = np.mgrid[: image.shape[0], : image.shape[1]] + 0.5
    positions = detector.position(fs.ravel(), ss.ravel()).reshape(*image.shape, 3)
    radius = np.hypot(positions[..., 0], positions[..., 1]) / detector.panels[0].pixel_size
    usable = ~detector.mask & np.isfinite(values) & (radius > min_radius) & (radius < max_radius)
    if image.dtype.kind in "iu":
        usable &= image != np.iinfo(image.dtype).max
    ring = np.rint(radius).astype(int)
    mean, cut = _ring_statistics(values, ring, usable, threshold, min_snr)
    bright = usable & (values > cut)
    spots = []
    for index, panel in enumerate(detector.panels):
        window = panel.slices
        labels, n = ndimage.label(bright[window], structure=np.ones((3, 3)))
        inner = np.zeros(labels.shape, bool)
        inner[1:-1, 1:-1] = True
        for label in range(1, n + 1):
            spot = labels == label
            if not min_pixels <= spot.sum() <= max_pixels or not (spot & inner).any():
                continue
            found = _measured(
                values[window], mean[window], (usable & (values < cut))[window], spot, min_snr, local_bg_radius
            )
            if found:
                fs_, ss_, intensity, snr = found
                spots.append((fs_ + panel.fs_start, ss_ + panel.ss_start, index, intensity, snr, int(spot.sum())))
    return spots


def _ring_statistics(
    values: NDArray[np.float64], ring: NDArray[np.int64], usable: NDArray[np.bool_], threshold: float, min_snr: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    mean, cut = np.zeros(values.shape), np.full(values.shape, np.inf)
    for r in np.unique(ring[usable]):
        pixels = values[usable & (ring == r)]
        low, high, middle = -np.inf, np.inf, 0.0
        for _ in range(5):
            inside = pixels[(pixels > low) & (pixels < high)]
            if not len(inside):
                break
            middle, sigma = inside.mean(), inside.std()
            low, high = middle - min_snr * sigma, max(middle + min_snr * sigma, threshold)
        mean[ring == r], cut[ring == r] = middle, high
    return mean, cut


def _measured(
    values: NDArray[np.float64],
    mean: NDArray[np.float64],
    quiet: NDArray[np.bool_],
    spot: NDArray[np.bool_],
    min_snr: float,
    local_bg_radius: int,
) -> tuple[float, float, float, float] | None:
    rows, columns = np.nonzero(spot)
    above = (values - mean)[spot]
    row, column = np.rint(np.average(rows, weights=above)), np.rint(np.average(columns, weights=above))
    ss, fs = np.indices(values.shape)
    width = 2 * local_bg_radius
    near = ((ss - row) ** 2 + (fs - column) ** 2 <= width**2) & (ss < row + width) & (fs < column + width)
    around = values[near & quiet]
    background, sigma = (around.mean(), around.std()) if len(around) else (mean[spot][0], 0.0)
    sigma = sigma if sigma > 1e-10 else 0.01
    intensity = (values[spot] - background).sum()
    if intensity < min_snr * sigma or (len(around) and values[spot].max() < around.max()):
        return None
    weights = values[spot]
    fs_, ss_ = np.average(columns, weights=weights), np.average(rows, weights=weights)
    return float(fs_) + 0.5, float(ss_) + 0.5, float(intensity), float(intensity / sigma)


def flat_detector(shape: tuple[int, int] = SHAPE, **more: Any) -> Detector:
    center = (shape[1] / 2 + 0.2, shape[0] / 2 - 0.3)
    return Detector.single_panel(
        shape, pixel_size=1e-4, distance=0.1, beam_center=center, photon_energy=12398.42, **more
    )


def sixty_four_panels() -> Detector:
    """Eight by eight panels of 30 x 40 pixels one after the other in the array, turned and shifted in the lab."""
    panels = []
    for index in range(64):
        row, column = divmod(index, 8)
        turn = np.radians(90.0 * (index % 4) + 0.3 * index)
        fs = (1e-4 * np.cos(turn), 1e-4 * np.sin(turn), 0.0)
        ss = (-1e-4 * np.sin(turn), 1e-4 * np.cos(turn), 0.0)
        corner = ((column - 4) * 5.1e-3 + 2e-4, (row - 4) * 5.1e-3 + 1e-4, 0.1)
        panels.append(Panel(f"p{index}", 0, 40, 30 * index, 30 * (index + 1), corner, fs, ss))
    return Detector(tuple(panels), (64 * 30, 40), Beam(9500.0))


def still(detector: Detector, seed: int, n_spots: int = 60) -> NDArray[np.uint16]:
    """A falling background with Poisson noise and Gaussian spots of all strengths, cut off at 250."""
    random = np.random.default_rng(seed)
    ss, fs = np.mgrid[: detector.shape[0], : detector.shape[1]] + 0.5
    expected = 2.0 + 20.0 * np.exp(-np.nan_to_num(detector.pixel_radius) / 60.0)
    for _ in range(n_spots):
        at_ss, at_fs = random.uniform(0, detector.shape[0]), random.uniform(0, detector.shape[1])
        width, height = random.uniform(0.5, 1.2), random.lognormal(3.5, 1.0)
        rows = slice(max(int(at_ss) - 6, 0), int(at_ss) + 7)
        columns = slice(max(int(at_fs) - 6, 0), int(at_fs) + 7)
        d2 = (ss[rows, columns] - at_ss) ** 2 + (fs[rows, columns] - at_fs) ** 2
        expected[rows, columns] += height * np.exp(-d2 / (2 * width**2))
    return np.asarray(np.minimum(random.poisson(expected), 250), np.uint16)


def as_table(peaks: Peaks) -> NDArray[np.float64]:
    columns = (peaks.fs, peaks.ss, peaks.panel, peaks.intensity, peaks.snr, peaks.n_pixels)
    table = np.stack(columns, axis=1).astype(float)
    return table[np.lexsort((table[:, 0], table[:, 1]))]


def assert_as_reference(image: NDArray[Any], detector: Detector, **options: Any) -> None:
    found = as_table(PeakFinder(detector, **{**OPTIONS, **options})(image))
    expected = np.array(
        reference_spots(image, detector, **{k: v for k, v in {**OPTIONS, **options}.items() if k != "statistics"})
    ).reshape(-1, 6)
    expected = expected[np.lexsort((expected[:, 0], expected[:, 1]))]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("seed", range(6))
def test_spots_of_one_panel_are_those_of_the_reference(seed: int) -> None:
    detector = flat_detector()
    image = still(detector, seed)
    assert len(PeakFinder(detector, **OPTIONS)(image)) > 15
    assert_as_reference(image, detector)


@pytest.mark.parametrize("seed", range(3))
def test_spots_of_64_turned_panels_are_those_of_the_reference(seed: int) -> None:
    detector = sixty_four_panels()
    image = still(detector, seed, n_spots=400)
    peaks = PeakFinder(detector, **OPTIONS)(image)
    assert len(set(peaks.panel.tolist())) > 40
    assert_as_reference(image, detector)


@pytest.mark.parametrize(
    "options",
    [
        {"threshold": 0.0},
        {"threshold": 60.0},
        {"min_snr": 3.0},
        {"min_snr": 12.0},
        {"min_pixels": 1},
        {"max_pixels": 4},
        {"local_bg_radius": 1},
        {"local_bg_radius": 8},
        {"min_radius": 20.0, "max_radius": 55.5},
    ],
    ids=str,
)
def test_each_option_means_what_it_means_in_the_reference(options: dict[str, float]) -> None:
    detector = flat_detector()
    assert_as_reference(still(detector, 7), detector, **options)


def test_masked_nan_and_negative_pixels_are_treated_as_in_the_reference() -> None:
    random = np.random.default_rng(5)
    detector = flat_detector(mask=random.random(SHAPE) < 0.05)
    image = still(detector, 8).astype(np.float32) - 9.5
    image[random.random(SHAPE) < 0.03] = np.nan
    image[random.random(SHAPE) < 0.01] = np.inf
    expected_input = np.where(np.isinf(image), np.nan, image)
    found = as_table(PeakFinder(detector, **OPTIONS)(image))
    assert len(found) > 15
    np.testing.assert_array_equal(found, as_table(PeakFinder(detector, **OPTIONS)(expected_input)))
    assert_as_reference(expected_input, detector)


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_a_pedestal_of_tens_of_thousands_costs_no_precision(dtype: str) -> None:
    detector = flat_detector()
    assert_as_reference((still(detector, 9) + 60_000).astype(dtype), detector)


def test_one_absurd_value_does_not_hide_the_other_spots_of_its_ring() -> None:
    detector = flat_detector()
    image = still(detector, 9).astype(np.float32)
    expected = as_table(PeakFinder(detector, **OPTIONS)(image))
    image[40:110:20, 20:140:15] = 1e30
    found = as_table(PeakFinder(detector, **OPTIONS)(image))
    kept = found[found[:, 3] < 1e9]
    assert len(kept) > len(expected) / 2
    assert len(expected) > 15


def test_the_same_counts_give_the_same_spots_in_every_type() -> None:
    detector = flat_detector()
    image = still(detector, 11)
    finders = {s: PeakFinder(detector, **{**OPTIONS, "statistics": s}) for s in ("exact", "sampled")}
    for finder in finders.values():
        expected = as_table(finder(image))
        for dtype in ("uint8", "uint32", "int16", "int32", "float32", "float64", ">u2", ">i4", ">f4"):
            np.testing.assert_array_equal(as_table(finder(image.astype(dtype))), expected, err_msg=dtype)


def test_sampled_statistics_find_what_exact_ones_find_where_rings_are_smaller_than_the_sample() -> None:
    detector = flat_detector((40, 44))
    image = still(detector, 2, n_spots=40)
    exact = PeakFinder(detector, **OPTIONS)(image)
    sampled = PeakFinder(detector, **{**OPTIONS, "statistics": "sampled"})(image)
    assert len(exact)
    np.testing.assert_array_equal(as_table(sampled), as_table(exact))


def test_strided_read_only_and_stacked_images_are_read_as_plain_ones() -> None:
    detector = flat_detector()
    image = still(detector, 12)
    finder = PeakFinder(detector, **OPTIONS)
    expected = as_table(finder(image))
    wide = np.zeros((SHAPE[0], 2 * SHAPE[1]), np.uint16)
    wide[:, ::2] = image
    read_only = image.copy()
    read_only.flags.writeable = False
    for same in (wide[:, ::2], np.asfortranarray(image), read_only, image.reshape(3, 40, 150)):
        np.testing.assert_array_equal(as_table(finder(same)), expected)


def test_an_image_after_255_others_is_searched_afresh() -> None:
    detector = flat_detector((40, 44))
    image = still(detector, 2, n_spots=12)
    finder = PeakFinder(detector, **OPTIONS)
    expected = as_table(finder(image))
    assert len(expected)
    for _ in range(300):
        np.testing.assert_array_equal(as_table(finder(image)), expected)


def test_a_window_in_angstrom_is_the_window_in_pixels_of_the_same_pixels() -> None:
    detector = flat_detector()
    image = still(detector, 3, n_spots=150)

    # wavelength 1 Angstrom, 0.1 m, 100 um pixels
    def radius(d: float) -> float:
        return float(1000 * np.tan(2 * np.arcsin(1.0 / (2 * d))))

    by_pixels = PeakFinder(detector, **OPTIONS, min_radius=radius(50.0), max_radius=radius(20.0))(image)
    by_resolution = PeakFinder(detector, **OPTIONS, d_min=20.0, d_max=50.0)(image)
    everywhere = PeakFinder(detector, **OPTIONS)(image)
    assert 3 < len(by_pixels) < len(everywhere)
    np.testing.assert_array_equal(as_table(by_resolution), as_table(by_pixels))


def test_panels_narrower_than_a_tile_or_than_three_pixels_are_no_trouble() -> None:
    for shape in ((1, 1), (2, 5), (5, 2), (3, 3), (9, 63), (200, 66), (20, 67)):
        detector = flat_detector(shape)
        image = np.ones(shape, np.uint16)
        image[::2] = 3
        assert len(PeakFinder(detector, **OPTIONS)(image)) == 0
    assert_as_reference(still(flat_detector((80, 67)), 4), flat_detector((80, 67)))
