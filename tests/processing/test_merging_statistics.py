"""Statistics of a merge against NumPy and SciPy."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from braggwatch.processing.data_quality import Shell
from braggwatch.processing.merge_statistics import MergeStatistics, shell_edges, statistics


def shell(d_max: float, d_min: float, cc_half: float | None) -> Shell:
    return Shell(d_max, d_min, 100, 100, 400, 100, 1.0, 4.0, 5.0, cc_half, 0.02, None, 0.1)


def halves(rng: np.random.Generator, n: int, noise: float) -> np.ndarray:
    true = rng.exponential(size=n)
    return true + noise * rng.normal(size=(2, n)) * np.sqrt(true + 0.1)


def test_statistics_of_a_shell_are_those_of_numpy_and_scipy() -> None:
    rng = np.random.default_rng(1)
    n = 900
    inverse_d = np.sort(rng.uniform(0.05, 0.5, n))
    mean, count = halves(rng, n, 0.6), rng.poisson(1.3, (2, n)).astype(np.int32)
    intensity, sigma = mean.mean(axis=0), rng.uniform(0.1, 1.0, n)
    intensity[count.sum(axis=0) == 0] = np.nan
    found = statistics(inverse_d, shell_edges(inverse_d, 4, 2.0), (count, mean), (intensity, sigma), (17, 3))
    assert (found.n_crystals, found.n_outliers, len(found.shells)) == (17, 3, 4)
    assert sum(one.n_possible for one in found.shells) == found.overall.n_possible == n
    volumes = [one.d_min**-3 - one.d_max**-3 for one in found.shells]
    assert volumes == pytest.approx([volumes[0]] * 4)
    for one in (*found.shells, found.overall):
        part = (inverse_d >= 1 / one.d_max - 1e-9) & (inverse_d < 1 / one.d_min + 1e-9)
        seen, both = part & (count.sum(axis=0) > 0), part & (count > 0).all(axis=0)
        assert one.n_possible == part.sum() and one.n_pairs == both.sum()
        assert one.completeness == pytest.approx(seen.sum() / part.sum())
        assert one.multiplicity == pytest.approx(count[:, seen].sum() / seen.sum())
        assert one.snr == pytest.approx((intensity / sigma)[seen].mean())
        cc = stats.pearsonr(*mean[:, both]).statistic
        assert one.cc_half == pytest.approx(cc)
        assert one.cc_star == pytest.approx(np.sqrt(2 * cc / (1 + cc)))
        r_split = np.sqrt(2) * np.abs(mean[0] - mean[1])[both].sum() / mean[:, both].sum()
        assert one.r_split == pytest.approx(r_split)


@pytest.mark.parametrize("noise", [0.3, 1.0, 3.0])
def test_the_error_of_cc_half_is_how_far_it_varies(noise: float) -> None:
    rng = np.random.default_rng(2)
    n, count = 400, np.ones((2, 400), np.int32)
    inverse_d = np.linspace(0.1, 0.5, n)
    found = []
    for _ in range(400):
        mean = halves(rng, n, noise)
        one = statistics(inverse_d, shell_edges(inverse_d, 1, 2.0), (count, mean), (mean[0], mean[1]), (1, 0)).overall
        found.append((one.cc_half, one.cc_half_error))
    cc, error = np.array(found, float).T
    assert np.sqrt(np.mean(error**2)) == pytest.approx(np.std(cc), rel=0.2)


def test_cc_star_of_a_negative_correlation_is_unknown() -> None:
    mean = np.stack([np.arange(50.0), -np.arange(50.0)])
    inverse_d = np.linspace(0.1, 0.5, 50)
    one = statistics(
        inverse_d, shell_edges(inverse_d, 1, 2.0), (np.ones((2, 50), np.int32), mean), (mean[0], mean[0]), (1, 0)
    ).overall
    assert one.cc_half == pytest.approx(-1.0) and one.cc_star is None


def test_the_resolution_is_where_the_curve_falls_below() -> None:
    edges = np.linspace(0.05**3, 0.5**3, 11) ** (1 / 3)
    s = (edges[1:] ** 2 + edges[:-1] ** 2) / 2
    cc = 0.5 * (1 - np.tanh((s - 0.16) / 0.06)) + np.random.default_rng(0).normal(scale=0.02, size=10)
    shells = tuple(shell(1 / low, 1 / high, value) for low, high, value in zip(edges[:-1], edges[1:], cc, strict=True))
    found = MergeStatistics(shells, shell(20.0, 2.0, 0.7), 10, 0)
    at_half, at_less = found.resolution(0.5), found.resolution(0.3)
    assert at_half == pytest.approx(0.16**-0.5, abs=0.05)
    assert at_less == pytest.approx((0.16 + 0.06 * np.arctanh(0.4)) ** -0.5, abs=0.05)
    good = tuple(shell(1 / low, 1 / high, 0.99) for low, high in pairwise(edges))
    assert MergeStatistics(good, good[0], 10, 0).resolution(0.5) == 2.0
    assert MergeStatistics((shell(20.0, 2.0, None),) * 5, good[0], 10, 0).resolution(0.5) is None
