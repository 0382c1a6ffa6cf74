"""Intensities by learned profiles: sums until these are known, then weak spots better and none of them wrong."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from braggwatch.processing.detector import Detector
from braggwatch.processing.integration import Integrator
from braggwatch.processing.panel import Panel
from braggwatch.processing.prediction import Predictions
from braggwatch.processing.reflections import Flag, Reflections

SHAPE = (420, 420)
SPACING = 16
BACKGROUND = 1.5
Shot = tuple[NDArray[np.uint16], Predictions, NDArray[np.float64]]


def flat_detector(mask: NDArray[np.bool_] | None = None, max_adu: float = float("inf")) -> Detector:
    return Detector.single_panel(
        SHAPE, pixel_size=75e-6, distance=0.1, beam_center=(210, 210), photon_energy=12_400.0, mask=mask,
        max_adu=max_adu,
    )  # fmt: skip


def places_at(fs: NDArray[np.float64], ss: NDArray[np.float64]) -> Predictions:
    n = len(fs)
    return Predictions(
        hkl=np.arange(3 * n, dtype=np.int32).reshape(n, 3), fs=fs.astype(np.float32), ss=ss.astype(np.float32),
        panel=np.zeros(n, np.int16), excitation_error=np.zeros(n, np.float32), partiality=np.ones(n, np.float32),
        inverse_d=np.full(n, 0.3, np.float32),
    )  # fmt: skip


def spot(x: NDArray[np.float64], y: NDArray[np.float64], shape: NDArray[np.float64]) -> NDArray[np.float64]:
    """A long-tailed spot: a normal distribution and a wider one."""
    value = np.zeros_like(x)
    for weight, factor in ((0.8, 1.0), (0.2, 2.2)):
        inverse = np.linalg.inv(factor * shape)
        exponent = inverse[0, 0] * x * x + 2 * inverse[0, 1] * x * y + inverse[1, 1] * y * y
        value += weight * np.sqrt(np.linalg.det(inverse)) / (2 * np.pi) * np.exp(-exponent / 2)
    return value


def shots(
    n: int, seed: int = 0, *, photons: float = 0.0, background: float = BACKGROUND, stray: float = 0.2
) -> Iterator[Shot]:
    """Images of spots on a grid, places of predictions that stray from them, and true photons: half of them weak.

    `photons`: of the weak half.
    """
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]] + 0.5
    shape = np.array([[0.8, 0.15], [0.15, 1.1]])
    centres = np.arange(SPACING, SHAPE[0] - SPACING // 2, SPACING)
    for _ in range(n):
        fs, ss = (axis.ravel() + rng.uniform(-1, 1, axis.size) for axis in np.meshgrid(centres, centres))
        true = np.where(rng.random(fs.size) < 0.5, photons, rng.uniform(300, 3000, fs.size))
        mean = np.full(SHAPE, background)
        for x, y, intensity in zip(fs, ss, true, strict=True):
            box = np.s_[int(y) - 7 : int(y) + 8, int(x) - 7 : int(x) + 8]
            mean[box] += intensity * spot(columns[box] - x, rows[box] - y, shape)
        moved = rng.normal(0, stray, (2, fs.size))
        yield rng.poisson(mean).astype(np.uint16), places_at(fs + moved[0], ss + moved[1]), true


def test_spots_are_summed_up_until_enough_strong_ones_were_seen() -> None:
    summing, fitting = (Integrator(flat_detector(), method=method) for method in ("summation", "profile"))
    counts = []
    for image, places, _ in shots(8):
        summed, found = summing(image, places), fitting(image, places)
        assert not summed.fitted.any()
        counts.append(found.fitted.mean())
        rest = ~found.fitted
        np.testing.assert_array_equal(found.intensity[rest], summed.intensity[rest])
        np.testing.assert_array_equal(found.sigma[rest], summed.sigma[rest])
    assert counts[0] == 0.0 and counts[-1] == 1.0


@cache
def lesson(background: float, stray: float) -> list[Shot]:
    return list(shots(14, 1, background=background, stray=stray))


def learned(detector: Detector | None = None, *, background: float = BACKGROUND, stray: float = 0.2) -> Integrator:
    fitting = Integrator(detector or flat_detector(), method="profile")
    for image, places, _ in lesson(background, stray):
        fitting(image, places)
    return fitting


@pytest.mark.parametrize("photons", [0.0, 12.0, 60.0])
def test_weak_spots_scatter_less_than_their_sums_and_about_the_truth(photons: float) -> None:
    fitting, summing = learned(), Integrator(flat_detector())
    of_fit, of_sum, pulls = [], [], []
    for image, places, true in shots(25, 2, photons=photons):
        fitted, summed = fitting(image, places), summing(image, places)
        weak = true == photons
        assert fitted.fitted.all()
        of_fit.append((fitted.intensity - true)[weak])
        of_sum.append((summed.intensity - true)[weak])
        pulls.append(((fitted.intensity - true) / fitted.sigma)[weak])
    errors, sums, pull = np.concatenate(of_fit), np.concatenate(of_sum), np.concatenate(pulls)
    assert errors.std() < (0.72 if photons < 60 else 0.85) * sums.std()
    assert abs(errors.mean()) < max(0.03 * photons, 3.0 * errors.std() / np.sqrt(len(errors)))
    assert abs(pull.mean()) < 0.1 and 0.85 < pull.std() < 1.1


def test_strong_spots_are_as_their_sums() -> None:
    fitting, summing = learned(), Integrator(flat_detector())
    for image, places, true in shots(5, 3):
        fitted, summed = fitting(image, places), summing(image, places)
        strong = true > 300
        np.testing.assert_allclose(fitted.intensity[strong], summed.intensity[strong], rtol=0.15)
        assert np.mean(fitted.intensity[strong] / summed.intensity[strong]) == pytest.approx(1.0, abs=0.015)


def test_gain_scales_fitted_intensities_and_sigmas_alike() -> None:
    plain, amplified = (Integrator(flat_detector(), method="profile", gain=gain) for gain in (1.0, 40.0))
    for image, places, _ in shots(14, 4):
        one, forty = plain(image, places), amplified(image.astype(np.float32) * np.float32(40.0), places)
    assert one.fitted.all() and forty.fitted.all()
    np.testing.assert_allclose(forty.intensity / 40.0, one.intensity, rtol=1e-3, atol=0.05)
    np.testing.assert_allclose(forty.sigma / 40.0, one.sigma, rtol=1e-3)


def test_profiles_follow_the_spots_when_these_change() -> None:
    """After a change of focus the old shape is soon forgotten."""
    fitting = learned(stray=0.0)
    for image, places, _ in shots(30, 5, stray=0.6):
        fitting(image, places)
    errors = []
    for image, places, true in shots(10, 6, photons=60.0, stray=0.6):
        weak = true == 60.0
        errors.append((fitting(image, places).intensity - true)[weak])
    assert abs(np.concatenate(errors).mean()) < 3.0


def test_flagged_spots_are_summed_up_and_nothing_is_learned_from_them() -> None:
    mask = np.zeros(SHAPE, bool)
    mask[:, 200:210] = True
    detector = flat_detector(mask=mask, max_adu=400.0)
    fitting, summing = learned(detector), Integrator(detector)
    kinds = 0
    for image, places, _ in shots(4, 7):
        image[100:104, 100:104] = 65_535
        found, summed = fitting(image, places), summing(image, places)
        flagged = found.flags != 0
        kinds |= int(np.bitwise_or.reduce(found.flags))
        assert not found.fitted[flagged].any() and found.fitted[~flagged].all()
        np.testing.assert_array_equal(found.intensity[flagged], summed.intensity[flagged])
        np.testing.assert_array_equal(found.flags, summed.flags)
    assert kinds & Flag.MASKED and kinds & Flag.SATURATED


def same(first: Reflections, second: Reflections) -> None:
    for name in ("intensity", "sigma", "flags", "fitted"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


def test_edges_strides_byte_order_and_no_predictions_at_all() -> None:
    image, places, _ = next(shots(1, 8))
    wide = np.zeros((SHAPE[0], 2 * SHAPE[1]), np.uint16)
    wide[:, ::2] = image
    same(learned()(wide[:, ::2], places), learned()(image, places))
    same(learned()(image.astype(">u2"), places), learned()(image, places))
    corners = places_at(np.array([0.0, 420.0, 0.0, 120.0]), np.array([0.0, 420.0, 420.0, 4.0]))
    found = learned()(image, corners)
    assert np.isfinite(found.intensity).all() and found.fitted.tolist() == [False, False, False, True]
    assert len(learned()(image, places[:0])) == 0
    broken = image.astype(np.float32)
    broken[:, :210] = np.nan
    found = learned()(broken, places)
    assert found.fitted.any() and np.isnan(found.intensity[places.fs < 200]).all()
    assert (found.fitted <= (found.flags == 0)).all()
    dark = learned(flat_detector(mask=np.ones(SHAPE, bool)))(image, places)
    assert not dark.fitted.any() and np.isnan(dark.intensity).all()


def test_without_any_background_a_spot_of_no_photon_still_has_a_sigma() -> None:
    empty = np.zeros(SHAPE, np.uint16)
    _, places, _ = next(shots(1, 9))
    for integrate in (learned(background=0.0), Integrator(flat_detector())):
        found = integrate(empty, places)
        np.testing.assert_allclose(found.intensity, 0.0, atol=1e-6)
        assert (found.sigma > 0.3).all() and (found.sigma < 2.0).all()


def test_panels_that_lie_the_other_way_round_have_profiles_of_their_own() -> None:
    def panel(name: str, ss: int, fs_axis: tuple[float, float, float], corner: tuple[float, float, float]) -> Panel:
        ss_axis = (-fs_axis[1], fs_axis[0], 0.0)
        return Panel(name, 0, 420, ss, ss + 210, corner, fs_axis, ss_axis)

    turned = replace(
        flat_detector(),
        panels=(
            panel("a", 0, (75e-6, 0.0, 0.0), (-0.016, -0.016, 0.1)),
            panel("b", 210, (-75e-6, 0.0, 0.0), (0.016, 0.016, 0.1)),
        ),
    )
    fitting = Integrator(turned, method="profile")
    for image, places, _ in shots(20, 10):
        there = (places.ss > 8) & (places.ss < 412) & (np.abs(places.ss - 210) > 8)
        lower = replace(places, panel=(places.ss >= 210).astype(np.int16))[there]
        found = fitting(image, lower)
    assert found.fitted.mean() > 0.9


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(ValueError, match="intensities come by 'summation' or by 'profile', found 'magic'"):
        Integrator(flat_detector(), method="magic")  # type: ignore[arg-type]
