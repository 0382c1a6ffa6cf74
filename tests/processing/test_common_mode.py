"""The common mode of ASICs against truth, and against plain NumPy and SciPy."""

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from cspad_frames import NOISE, PIXEL, cspad, frame
from numpy.typing import NDArray
from scipy.optimize import curve_fit

from braggwatch.processing.calibration import Calibration
from braggwatch.processing.common_mode import CommonMode, Method
from braggwatch.processing.cspad_sensors import cspad_sensors
from braggwatch.processing.detector import Detector
from braggwatch.processing.panel import Panel

METHODS: tuple[Method, ...] = get_args(Method)
DETECTOR = cspad(8)
NOISE_MAP = np.full(DETECTOR.shape, NOISE, np.float32)


def found(method: Method, image: NDArray[Any], noise: NDArray[Any] | None = NOISE_MAP) -> NDArray[np.float32]:
    common_mode = CommonMode(method, DETECTOR, noise)
    common_mode.find(image.astype(np.float32))
    return common_mode.levels


def plain_gaussian_centre(counts: NDArray[np.intp], edges: NDArray[np.float64], start: float) -> float:
    middle = (edges[:-1] + edges[1:]) / 2
    fit, _ = curve_fit(
        lambda x, a, b, c: a * np.exp(-((x - b) ** 2) / (2 * c**2)), middle, counts, (counts.max(), start, 4.0)
    )
    return float(fit[1])


def plain_level(method: Method, values: NDArray[np.float64]) -> float:
    """The older tools' rules, as plainly as can be."""
    if method == "mean":
        return float(values[values / NOISE < 2].mean())
    if method == "median":
        return float(np.median(values))
    counts, edges = np.histogram(values, 100, (-40, 40))
    mode = float(edges[np.argmax(counts)] + edges[np.argmax(counts) + 1]) / 2
    return mode if method == "mode" else plain_gaussian_centre(counts, edges, mode)


@pytest.mark.parametrize("method", ["mean", "median", "mode", "gaussian"])
def test_each_older_method_is_what_its_rule_says(method: Method) -> None:
    made = frame(DETECTOR, np.random.default_rng(1), water=0.3)
    image = made.image
    image[5, 5], image[6, 6], image[7, 7] = np.nan, 16383.0, -5000.0
    image[8, 8] = np.inf
    expected = []
    for panel in DETECTOR.panels:
        values = image[panel.slices].astype(np.float64).ravel()
        expected.append(plain_level(method, values[np.isfinite(values)]))
    np.testing.assert_allclose(found(method, image), expected, atol=2e-3)


def test_chebyshev_takes_away_what_varies_smoothly_and_leaves_the_rest() -> None:
    rng = np.random.default_rng(5)
    image = rng.normal(0, 0.5, DETECTOR.shape)
    ss, fs = np.linspace(-1, 1, 185)[:, None], np.linspace(-1, 1, 194)[None, :]
    ripple = 5 + 3 * ss - 2 * ss**3 + 2 * np.cos(2.5 * fs) + fs
    for number, panel in enumerate(DETECTOR.panels):
        image[panel.slices] += (number + 1) * ripple
    image[20, 30] += 4000.0
    calibration = Calibration(replace(DETECTOR, mask=_only(20, 30)), common_mode="chebyshev")
    result = calibration(image.astype(np.float32))
    assert abs(result[20, 30] - 4000) < 5
    result[20, 30] = 0
    assert np.abs(result[1:-1, 1:-1].reshape(-1, 192)[50:100].mean(axis=0)).max() < 0.6
    assert result.std() == pytest.approx(0.5, abs=0.05)


def cspad_of_sensors(n: int) -> Detector:
    """Sensors of two ASICs, three pixels apart, one above the other, each turned a little; ASICs stacked along ss."""
    panels = []
    for number in range(2 * n):
        turn = 0.01 * (number // 2)
        fs = np.array([np.cos(turn), np.sin(turn), 0.0]) * PIXEL
        ss = np.array([-np.sin(turn), np.cos(turn), 0.0]) * PIXEL
        corner = (197.2 * (number % 2)) * fs + 230 * (number // 2) * np.array([0, PIXEL, 0]) + np.array([0, 0, 0.1])
        rows = 185 * number
        panels.append(Panel(f"a{number}", 0, 194, rows, rows + 185, tuple(corner), tuple(fs), tuple(ss)))
    return Detector(tuple(panels), (2 * n * 185, 194))


def plain_chebyshev(asics: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the older tools took from a detector of two sensors, ``(4, 185, 194)``; the mean ASIC by ASIC."""

    def fitted(values: NDArray[np.float64], terms: int) -> NDArray[np.float64]:
        x = np.linspace(-1, 1, values.size)
        vander = np.polynomial.chebyshev.chebvander(x, terms - 1)
        return np.asarray(vander @ np.linalg.lstsq(vander[1:-1], values[1:-1], rcond=None)[0])

    taken: NDArray[np.float64] = np.zeros_like(asics) + asics.mean(axis=(1, 2))[:, None, None]
    taken += fitted((asics - taken).mean(axis=(0, 2)), 5)[:, None]
    for sensor in ([0, 1], [2, 3]):
        taken[sensor] += fitted((asics - taken)[sensor].mean(axis=(0, 1)), 10)
    return taken


def test_chebyshev_lets_the_asics_of_a_sensor_and_two_sensors_vary_alike_as_the_older_tools_did() -> None:
    detector = cspad_of_sensors(2)
    rng = np.random.default_rng(6)
    image = rng.normal(0, 2.0, detector.shape) + 5 * np.sin(np.arange(740) / 40)[:, None]
    image[300:320, 50:90] += 300.0
    result = Calibration(detector, common_mode="chebyshev")(image.astype(np.float32))
    asics = image.reshape(4, 185, 194)
    np.testing.assert_allclose(asics - result.reshape(4, 185, 194), plain_chebyshev(asics), atol=2e-3)


def test_of_more_sensors_only_the_asics_of_one_vary_alike() -> None:
    detector = cspad_of_sensors(3)
    image = np.random.default_rng(7).normal(0, 1.0, detector.shape).astype(np.float32)
    common_mode = CommonMode("chebyshev", detector)
    common_mode.find(image)
    shapes = common_mode.along_ss - common_mode.along_ss.mean(axis=1, keepdims=True)
    for first, second in ((0, 1), (2, 3), (4, 5)):
        np.testing.assert_allclose(shapes[first], shapes[second], atol=1e-6)
        np.testing.assert_array_equal(common_mode.along_fs[first], common_mode.along_fs[second])
    assert np.abs(shapes[0] - shapes[2]).max() > 0.01


@pytest.mark.parametrize(
    ("name", "n_pairs"),
    [
        ("geometries/cspad-cxiformat.geom", 32),
        ("real/thermolysin_cspad.geom", 32),
        ("geometries/lcls-mfx-epix10k2M.geom", 0),
    ],
)
def test_the_two_asics_of_a_cspads_sensors_are_known_from_its_geometry(shared: Path, name: str, n_pairs: int) -> None:
    detector = Detector.from_crystfel(shared / name, distance=0.1, photon_energy=9500.0)
    sensors = cspad_sensors(detector)
    assert sorted(number for sensor in sensors for number in sensor) == list(range(64))
    # the files name the ASICs of a sensor one after the other
    assert [sensor for sensor in sensors if len(sensor) == 2] == [(2 * n, 2 * n + 1) for n in range(n_pairs)]


def _only(row: int, column: int) -> NDArray[np.bool_]:
    mask = np.zeros(DETECTOR.shape, bool)
    mask[row, column] = True
    return mask


@pytest.mark.parametrize("water", [0.0, 0.5, 2.0, 3.5])
def test_robust_finds_the_truth_also_under_a_water_ring(water: float) -> None:
    detector = cspad(16)
    common_mode = CommonMode("robust", detector, np.full(detector.shape, NOISE))
    worst = 0.0
    for seed in range(3):
        made = frame(detector, np.random.default_rng(seed), water=water)
        common_mode.find(made.image)
        worst = max(worst, float(np.abs(common_mode.levels - made.levels).max()))
    assert worst < 0.5


def test_robust_bears_a_noise_map_that_holds_the_jitter_too() -> None:
    made = frame(DETECTOR, np.random.default_rng(2), water=2.0)
    levels = found("robust", made.image, np.full(DETECTOR.shape, np.hypot(NOISE, 6.0)))
    np.testing.assert_allclose(levels, made.levels, atol=0.6)


def test_a_water_ring_lifts_the_other_methods() -> None:
    detector = cspad(16)
    errors = {}
    for water in (0.0, 3.0):
        made = frame(detector, np.random.default_rng(0), water=water)
        for method in ("median", "chebyshev"):
            common_mode = CommonMode(method, detector)
            common_mode.find(made.image)
            errors[method, water] = np.abs(common_mode.levels - made.levels).max()
    assert errors["median", 3.0] > errors["median", 0.0] + 5
    assert errors["chebyshev", 3.0] > errors["chebyshev", 0.0] + 5


@pytest.mark.parametrize("method", METHODS)
def test_panels_without_pixels_are_left_alone(method: Method) -> None:
    image = frame(DETECTOR, np.random.default_rng(0)).image
    image[DETECTOR.panels[2].slices] = np.nan
    mask = np.zeros(DETECTOR.shape, bool)
    mask[DETECTOR.panels[3].slices] = True
    noise = NOISE_MAP.copy()
    noise[DETECTOR.panels[4].slices] = 0
    common_mode = CommonMode(method, DETECTOR.with_mask(mask), noise)
    common_mode.find(image)
    assert (common_mode.levels[2:5] == 0).all()
    assert (common_mode.levels[[0, 1, 5, 6, 7]] != 0).all()


@pytest.mark.parametrize("method", METHODS)
def test_one_pixel_a_panel_breaks_nothing(method: Method) -> None:
    tiny = replace(
        DETECTOR,
        panels=tuple(
            replace(p, fs_start=0, fs_stop=1, ss_start=i, ss_stop=i + 1) for i, p in enumerate(DETECTOR.panels)
        ),
        shape=(8, 1),
        mask=np.zeros((0, 0), bool),
    )
    common_mode = CommonMode(method, tiny, np.ones((8, 1)))
    common_mode.find(np.arange(8, dtype=np.float32).reshape(8, 1))
    assert np.isfinite(common_mode.levels).all()


@pytest.mark.parametrize("method", METHODS)
def test_flat_and_far_images_break_nothing(method: Method) -> None:
    for value in (0.0, 3.0, -1000.0, 1e6):
        levels = found(method, np.full(DETECTOR.shape, value))
        assert np.isfinite(levels).all()
        if method in ("mode", "gaussian", "robust") and abs(value) > 40:
            assert (levels == 0).all()


def test_the_calibration_takes_it_between_dark_and_gain() -> None:
    made = frame(DETECTOR, np.random.default_rng(3))
    rng = np.random.default_rng(4)
    dark, gain = rng.uniform(900, 1100, DETECTOR.shape), rng.uniform(0.8, 1.2, DETECTOR.shape)
    raw = made.image + dark
    calibration = Calibration(DETECTOR, dark, NOISE_MAP, gain=gain, common_mode="median")
    expected = (raw - dark).astype(np.float64)
    for panel in DETECTOR.panels:
        expected[panel.slices] -= np.median(expected[panel.slices])
    np.testing.assert_allclose(calibration(raw.astype(np.float32)), expected * gain, atol=2e-3)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="common_mode must be mean, median, mode, gaussian, chebyshev or robust"):
        CommonMode("maximum", DETECTOR)  # type: ignore[arg-type]
    for method in ("mean", "robust"):
        with pytest.raises(ValueError, match=f'common_mode = "{method}" needs noise'):
            CommonMode(method, DETECTOR)
    with pytest.raises(ValueError, match="the noise's shape is"):
        CommonMode("mean", DETECTOR, np.ones((2, 2)))
