"""Photon counting against SciPy's distributions."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from braggwatch.processing.simulation.photons import PoissonField, add_photons, spread_spots


def drawn(mean: NDArray[np.float32], scale: float = 1.0, seed: int = 0) -> NDArray[np.uint16]:
    out = np.empty(mean.shape, np.uint16)
    PoissonField(mean, np.zeros(mean.shape, bool), 65535).draw(scale, seed, out)
    return out


@pytest.mark.parametrize("mean", [0.02, 0.7, 3.3, 41.0, 900.0, 20000.0])
def test_counts_follow_poissons_distribution(mean: float) -> None:
    counts = drawn(np.full((500, 400), mean, np.float32)).reshape(-1)
    values, observed = np.unique(counts, return_counts=True)
    expected = stats.poisson(np.float32(mean)).pmf(values) * counts.size
    common = expected > 10
    rest = counts.size - expected[common].sum(), counts.size - observed[common].sum()
    statistic = ((observed[common] - expected[common]) ** 2 / expected[common]).sum()
    if rest[0] > 10:
        statistic += (rest[1] - rest[0]) ** 2 / rest[0]
    assert stats.chi2(common.sum()).sf(statistic) > 1e-4


def test_a_brighter_pulse_scales_all_means() -> None:
    mean = np.linspace(0.1, 30.0, 300_000, dtype=np.float32).reshape(500, 600)
    counts = drawn(mean, scale=1.7).astype(float)
    pulls = (counts.mean(axis=1) - 1.7 * mean.mean(axis=1)) / np.sqrt(1.7 * mean.mean(axis=1) / 600)
    assert stats.kstest(pulls, stats.norm.cdf).pvalue > 1e-4


def test_rounding_to_levels_moves_no_mean_by_more_than_its_share() -> None:
    mean = np.geomspace(0.01, 100.0, 2_000_000, dtype=np.float32).reshape(100, -1)
    counts = sum(drawn(mean, seed=seed).sum(axis=1).astype(float) for seed in range(10))
    expected = 10 * mean.sum(axis=1, dtype=float)
    assert np.all(np.abs(counts - expected) < 0.0023 * expected + 4.0 * np.sqrt(expected))


def test_neighbours_and_images_are_independent() -> None:
    flat = np.full((700, 700), 2.0, np.float32)
    one, other = drawn(flat, seed=1).astype(float), drawn(flat, seed=2).astype(float)
    pairs = [(one[:, 1:], one[:, :-1]), (one[1:], one[:-1]), (one[:, 2:], one[:, :-2]), (one, other)]
    for a, b in pairs:
        assert abs(np.corrcoef(a.reshape(-1), b.reshape(-1))[0, 1]) < 4.0 / 700.0


def test_masked_shadowed_and_empty_pixels_read_what_they_must() -> None:
    mean = np.array([[5.0, 0.0, -1.0, 5.0, -1.0]], np.float32).repeat(200, axis=0)
    masked = np.zeros(mean.shape, bool)
    masked[:, 3:] = True
    out = np.empty(mean.shape, np.uint16)
    field = PoissonField(mean, masked, 65535)
    field.draw(2.0, 7, out)
    assert out[:, 0].mean() == pytest.approx(10.0, rel=0.1)
    assert not out[:, 1:3].any()
    assert (out[:, 3:] == 65535).all()
    reached = field.reached(np.zeros(5, np.int64), np.arange(5))
    np.testing.assert_array_equal(reached, [True, True, False, False, False])


@pytest.mark.parametrize("shape", [(1, 1), (3, 1)])
def test_the_smallest_images_can_be_drawn(shape: tuple[int, int]) -> None:
    counts = [drawn(np.full(shape, 4.0, np.float32), seed=seed).mean() for seed in range(1000)]
    assert np.mean(counts) == pytest.approx(4.0, abs=4.0 * 2.0 / np.sqrt(1000 * shape[0] * shape[1]))


def test_an_image_without_any_light_stays_dark() -> None:
    assert not drawn(np.zeros((20, 30), np.float32)).any()


@pytest.mark.parametrize("bad", [np.nan, np.inf, 60000.0])
def test_means_that_cannot_be_counted_are_refused(bad: float) -> None:
    mean = np.ones((3, 3), np.float32)
    mean[1, 1] = bad
    with pytest.raises(ValueError, match=r"finite and at most 50000 photons a pixel.*lower the background's level"):
        PoissonField(mean, np.zeros((3, 3), bool), 65535)


def test_a_mask_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the mask's shape is \(2, 3\), expected the mean image's \(3, 3\)"):
        PoissonField(np.ones((3, 3), np.float32), np.zeros((2, 3), bool), 65535)


@pytest.mark.parametrize(
    "out", [np.empty((3, 3), np.int32), np.empty((3, 4), np.uint16), np.empty((3, 6), np.uint16)[:, ::2]]
)
def test_an_image_that_cannot_be_written_to_is_refused(out: NDArray[np.uint16]) -> None:
    with pytest.raises(ValueError, match=r"expected a C-ordered uint16 array of shape \(3, 3\), found"):
        PoissonField(np.ones((3, 3), np.float32), np.zeros((3, 3), bool), 65535).draw(1.0, 0, out)


def spread_one(
    fs: float, ss: float, covariance: tuple[float, float, float], bounds: tuple[int, int, int, int], n_sigma: float
) -> NDArray[np.float64]:
    """Return the mean image, 60 x 50 pixels, of one spot of 1000 photons."""
    row, column, mean = spread_spots(
        np.array([fs]), np.array([ss]), np.array([covariance]), np.array([1000.0]), np.array([bounds]), n_sigma
    )
    image = np.zeros((60, 50))
    np.add.at(image, (row, column), mean)
    return image


WHOLE = (0, 60, 0, 50)


@pytest.mark.parametrize(
    "covariance", [(0.0625, 0.0, 0.0625), (1.2, 0.0, 1.2), (3.0, 2.0, 2.0), (0.5, -0.8, 4.0)], ids=str
)
def test_a_spots_pixels_are_integrals_of_its_profile(covariance: tuple[float, float, float]) -> None:
    image = spread_one(24.3, 31.8, covariance, WHOLE, 8.0)
    assert image.sum() == pytest.approx(1000.0, rel=1e-9)
    xx, xy, yy = covariance
    profile = stats.multivariate_normal([24.3, 31.8], [[xx, xy], [xy, yy]])
    for row, column in [(31, 24), (32, 25), (30, 23), (33, 24), (31, 22)]:
        corners = [[c, r] for r in (row, row + 1) for c in (column, column + 1)]
        lower_left, lower_right, upper_left, upper_right = profile.cdf(corners)
        expected = 1000.0 * (upper_right - upper_left - lower_right + lower_left)
        assert image[row, column] == pytest.approx(expected, rel=1e-6, abs=0.2 if xy else 0.0)


def test_a_spot_that_ends_at_four_sigma_keeps_all_but_a_ten_thousandth() -> None:
    assert spread_one(24.3, 31.8, (1.2, 0.3, 1.5), WHOLE, 4.0).sum() == pytest.approx(1000.0, rel=2e-4)


@pytest.mark.parametrize(
    ("fs", "ss", "share"),
    [(10.0, 30.0, 0.5), (40.0, 30.0, 0.5), (25.0, 20.0, 0.5), (10.0, 20.0, 0.25), (40.0, 45.0, 0.25), (5.0, 20.0, 0.0)],
)
def test_what_falls_beyond_a_panels_edge_is_lost(fs: float, ss: float, share: float) -> None:
    image = spread_one(fs, ss, (1.0, 0.0, 1.0), (20, 45, 10, 40), 6.0)
    assert image.sum() == pytest.approx(1000.0 * share, abs=0.01)
    image[20:45, 10:40] = 0.0
    assert not image.any()


def test_photons_are_added_only_where_light_arrives_and_up_to_the_ceiling() -> None:
    image = np.array([[65535, 0, 3, 65000]], np.uint16)
    levels = np.array([[0, 1, 2, 700]], np.uint16)
    row, column = np.array([0, 0, 0, 0, 0]), np.array([0, 1, 2, 2, 3])
    add_photons(row, column, np.array([9, 9, 4, 5, 1000]), levels, 65534, image)
    np.testing.assert_array_equal(image, [[65535, 0, 12, 65534]])
