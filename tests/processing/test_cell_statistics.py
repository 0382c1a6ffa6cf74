"""The cell that many lattices share."""

import numpy as np
import pytest
from scipy.optimize import minimize

from braggwatch.processing.cell_statistics import FEW, fit_peak, symmetrised
from braggwatch.processing.unit_cell import UnitCell


def lattices(n: int, outliers: float, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    wrong = int(n * outliers)
    values = np.r_[random.normal(79.2, 0.1, n - wrong), random.uniform(75.2, 83.2, wrong)]
    random.shuffle(values)
    return np.asarray(values)


@pytest.mark.parametrize(("n", "outliers"), [(10, 0.0), (59, 0.2), (60, 0.0), (100, 0.3), (1000, 0.6), (100_000, 0.3)])
def test_the_peak_is_found_among_outliers_within_its_error(n: int, outliers: float) -> None:
    fits = [fit_peak(lattices(n, outliers, seed)) for seed in range(100 if n < 10_000 else 20)]
    pulls = np.array([(fit.value - 79.2) / fit.error for fit in fits if fit is not None and fit.error])
    assert len(pulls) == len(fits)
    assert np.abs(np.median(pulls)) < 0.5
    assert np.mean(np.abs(pulls) < 1) > 0.5 and np.mean(np.abs(pulls) < 4) > 0.97
    assert np.mean([fit.width for fit in fits if fit is not None]) == pytest.approx(0.1, rel=0.25)
    found = np.mean([fit.n_outliers for fit in fits if fit is not None]) / n
    assert 0.8 * outliers < found < outliers + 0.02


def test_the_fit_is_the_maximum_of_the_likelihood_as_scipy_finds_it() -> None:
    values = lattices(2000, 0.4, 3)
    fit = fit_peak(values)
    assert fit is not None and fit.error is not None
    near = values[np.abs(values - fit.value) < 10 * fit.width]

    def minus_log_likelihood(p: np.ndarray) -> float:
        middle, width, share = p
        normal = np.exp(-0.5 * ((near - middle) / width) ** 2) / (width * np.sqrt(2 * np.pi))
        return -float(np.log(share * normal + (1 - share) / (20 * fit.width)).sum())

    best = minimize(minus_log_likelihood, (79.0, 0.2, 0.5), bounds=((75, 83), (0.01, 2), (0.01, 0.99))).x
    assert fit.value == pytest.approx(best[0], abs=0.2 * fit.error)
    assert fit.width == pytest.approx(best[1], rel=0.02)


def test_without_values_there_is_no_fit_and_what_is_not_finite_is_left_out() -> None:
    assert fit_peak([]) is None
    assert fit_peak([np.nan, np.inf]) is None
    fit = fit_peak([np.nan, 38.0, np.inf])
    assert fit is not None and (fit.n, fit.value, fit.error, fit.width, fit.n_outliers) == (1, 38.0, None, 0.0, 0)


def test_two_values_give_their_middle() -> None:
    fit = fit_peak([38.0, 38.2])
    assert fit is not None and fit.value == pytest.approx(38.1) and fit.n_outliers == 0
    assert fit.error == pytest.approx(0.13, abs=0.02)


@pytest.mark.parametrize("n", [2, FEW, 100_000])
def test_values_that_are_all_equal_have_no_width(n: int) -> None:
    fit = fit_peak(np.full(n, 90.0, np.float32))
    assert fit is not None and (fit.value, fit.error, fit.width, fit.n_outliers) == (90.0, 0.0, 0.0, 0)


def test_values_that_share_one_number_and_others_that_do_not_are_told_apart() -> None:
    fit = fit_peak(np.r_[np.full(60, 90.0), np.linspace(85, 89, 40)])
    assert fit is not None and fit.value == 90.0 and fit.n_outliers == 40


@pytest.mark.parametrize(
    ("found", "like", "expected"),
    [
        ((79.1, 79.3, 38.01, 90.1, 89.9, 90.02), "79 79 38 90 90 90 P43212", (79.2, 79.2, 38.01, 90, 90, 90)),
        ((79.1, 79.3, 38.0, 89.9, 89.9, 120.0), "79 79 38 90 90 120 P6", (79.2, 79.2, 38.0, 90, 90, 120)),
        ((78.0, 78.1, 78.2, 80.0, 80.1, 80.2), "78 78 78 80 80 80 R3:R", (78.1, 78.1, 78.1, 80.1, 80.1, 80.1)),
        ((10.1, 20.3, 30.0, 90.2, 100.3, 89.4), "10 20 30 90 100 90 C2", (10.1, 20.3, 30.0, 90, 100.3, 90)),
        ((10.1, 20.3, 30.0, 91.2, 100.3, 89.4), "10 20 30 91 100 89 P1", (10.1, 20.3, 30.0, 91.2, 100.3, 89.4)),
        # of an unknown group the shape says which symmetry to keep, as for the indexer
        ((79.1, 79.3, 38.01, 90.1, 89.9, 90.02), "79 79 38 90 90 90", (79.2, 79.2, 38.01, 90, 90, 90)),
    ],
)
def test_a_proposed_cell_has_the_targets_symmetry(
    found: tuple[float, float, float, float, float, float], like: str, expected: tuple[float, ...]
) -> None:
    target = UnitCell.from_string(like)
    proposed = symmetrised(found, target)
    assert proposed.parameters == pytest.approx(expected, abs=0.02)
    assert proposed.space_group == target.space_group
    A = proposed.A
    for rotation in target.laue_rotations:
        np.testing.assert_allclose((rotation @ A) @ (rotation @ A).T, A @ A.T, atol=1e-9 * (A @ A.T).max())


def test_what_is_no_cell_is_refused() -> None:
    with pytest.raises(ValueError, match="expected axes a, b, c above 0 Angstrom"):
        symmetrised((0.0, 79.0, 38.0, 90.0, 90.0, 90.0), UnitCell.from_string("79 79 38 90 90 90 P43212"))
