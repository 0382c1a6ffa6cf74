"""The kernels of the indexer against NumPy and SciPy."""

import numpy as np
import pytest
from indexing_truth import cell_of, still
from scipy.linalg import polar
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation
from scipy.stats import binom

from braggwatch.processing.indexing_kernels import (
    pick_directions,
    pick_turns,
    refine_row,
    score_directions,
    score_row,
    score_turns,
)
from braggwatch.processing.lattice_refinement import (
    false_alarms,
    invert,
    node_distances,
    refine_lattice,
    turned_cell,
)
from braggwatch.processing.symmetric_refinement import SymmetricRefiner

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("n_directions", [1, 511, 1300])
def test_directions_score_as_numpy_scores_them(n_directions: int) -> None:
    directions = RNG.normal(size=(3, n_directions)).astype(np.float32)
    q = RNG.normal(size=(3, 8)).astype(np.float32) * 3
    out = np.empty(n_directions, np.float32)
    score_directions(directions, q, out)
    t = directions.astype(float).T @ q.astype(float)
    assert out == pytest.approx(((0.5 - np.abs(t - np.round(t))) ** 2).sum(axis=1), abs=1e-4)


def test_turns_score_as_numpy_scores_them() -> None:
    phase = RNG.normal(size=(3, 6)).astype(np.float32)
    turn = np.linspace(0, 2 * np.pi, 100, endpoint=False)
    b1, b2, c1, c2, c3 = shape = np.array([3.0, 20.0, -4.0, 5.0, 30.0], np.float32)
    right, left = np.empty(100, np.float32), np.empty(100, np.float32)
    score_turns(phase, np.cos(turn).astype(np.float32), np.sin(turn).astype(np.float32), shape, right, left)
    u, v, w = phase.astype(float)
    along, aside = np.outer(np.cos(turn), v) + np.outer(np.sin(turn), w), np.outer(np.cos(turn), w)
    aside -= np.outer(np.sin(turn), v)
    for out, side in ((right, 1), (left, -1)):
        rows = np.stack([b1 * u + b2 * along, c1 * u + c2 * along + side * c3 * aside])
        assert out == pytest.approx(((0.5 - np.abs(rows - np.round(rows))) ** 2).sum(axis=(0, 2)), abs=1e-3)


def test_the_best_directions_are_picked_apart_from_each_other() -> None:
    directions = RNG.normal(size=(3, 3000)).astype(np.float32)
    directions /= np.linalg.norm(directions, axis=0)
    score = RNG.uniform(size=3000).astype(np.float32)
    picked = np.empty(10, np.int64)
    n = pick_directions(directions, score, 0.97, picked)
    chosen = directions[:, picked[:n]]
    assert n == 10
    assert picked[0] == np.argmax(score)
    assert (np.diff(score[picked]) <= 0).all()
    assert (np.abs(chosen.T @ chosen - np.eye(10)) <= 0.97 + 1e-6).all()


def test_opposite_directions_are_one() -> None:
    directions = np.array([[1, -1, 0], [0, 0, 1], [0, 0, 0]], np.float32)
    picked = np.empty(3, np.int64)
    assert pick_directions(directions, np.array([1, 2, 3], np.float32), 0.99, picked) == 2
    assert picked[:2].tolist() == [2, 1]


def test_the_best_turns_of_either_hand_are_picked_round_the_circle() -> None:
    right, left = np.zeros(50, np.float32), np.zeros(50, np.float32)
    right[[0, 49, 20]] = 5, 4, 3
    left[30] = 6
    hand, turn = np.empty(3, np.int64), np.empty(3, np.int64)
    assert pick_turns(right, left, 3, hand, turn) == 3
    assert list(zip(hand.tolist(), turn.tolist(), strict=True)) == [(1, 30), (0, 0), (0, 20)]


def test_a_row_moves_to_the_least_squares_solution() -> None:
    truth = np.array([10.0, -20.0, 30.0])
    q = RNG.normal(size=(3, 40)) * 0.1
    q += np.outer(truth, (np.round(truth @ q) - truth @ q) / (truth @ truth)) + RNG.normal(size=q.shape) * 1e-4
    row = truth + 0.02
    for _ in range(3):
        refine_row(q, 40, float(np.linalg.norm(truth)), row, 0.25, 0.0)
    assert row == pytest.approx(np.linalg.lstsq(q.T, np.round(truth @ q), rcond=None)[0], abs=1e-9)
    t = row @ q
    assert score_row(q, 40, row) == pytest.approx(((0.5 - np.abs(t - np.round(t))) ** 2).sum() - 40 / 12)


def test_a_matrix_is_inverted() -> None:
    matrix, inverse = RNG.normal(size=(3, 3)), np.empty((3, 3))
    assert invert(matrix, inverse) == pytest.approx(np.linalg.det(matrix))
    assert inverse == pytest.approx(np.linalg.inv(matrix))


def test_the_ideal_cell_is_turned_by_the_polar_factor() -> None:
    ideal = cell_of("aP").A
    A = ideal @ Rotation.random(random_state=1).as_matrix() * 1.01 + RNG.normal(scale=0.3, size=(3, 3))
    out = np.empty((3, 3))
    turned_cell(A, np.asarray(np.linalg.inv(ideal), np.float64), ideal, out)
    rotation, _ = polar(np.linalg.inv(ideal) @ A)
    assert out == pytest.approx(ideal @ rotation, abs=1e-6)


def test_a_lattice_moves_to_where_scipy_puts_it() -> None:
    A, q = still(cell_of("aP"), np.random.default_rng(2), 60, noise=1e-4)
    hkl = np.round(q @ A.T)
    start, ideal, stiffness = A * 1.0005, A * 1.002, 0.3
    near = np.linalg.norm(q - np.round(q @ start.T) @ np.linalg.inv(start).T, axis=1) < 0.002

    def residual(x: np.ndarray) -> np.ndarray:
        moved = x.reshape(3, 3)
        return np.concatenate([(q[near] @ moved.T - hkl[near]).ravel(), np.sqrt(stiffness) * (moved - ideal).ravel()])

    moved = start.copy()
    assert refine_lattice(np.ascontiguousarray(q.T), 60, moved, ideal, 0.002, stiffness) == near.sum()
    assert moved == pytest.approx(least_squares(residual, start.ravel()).x.reshape(3, 3), abs=1e-5)


def test_distances_to_the_nodes_are_those_in_reciprocal_space() -> None:
    A, q = still(cell_of("mP"), np.random.default_rng(3), 30)
    q = np.concatenate([[[1e-4, 0.0, 0.0]], q])
    out = np.empty(40)
    node_distances(np.array(q.T, np.float64, order="C"), 31, A, out)
    assert out[0] > 1e8
    assert np.sqrt(out[1:31]) == pytest.approx(
        np.linalg.norm(q[1:] - np.round(q[1:] @ A.T) @ np.linalg.inv(A).T, axis=1), abs=1e-9
    )


@pytest.mark.parametrize("n_near", [12, 25, 40])
def test_false_alarms_are_never_fewer_than_the_binomial_law_has(n_near: int) -> None:
    n, volume, longest = 50, 240e3, 79.0
    distance = np.full(n, 1e-4)
    distance[:n_near] = (0.1 / longest) ** 2
    value, reach, count = false_alarms(distance, n, volume, longest, 0.3, 0.05)
    assert count == n_near
    assert np.sqrt(distance[0]) < reach <= np.sqrt(distance[0]) / 0.75
    chance = binom.logsf(n_near - 1, n, 4 / 3 * np.pi * reach**3 * volume) / np.log(10)
    trials = np.log10(8 * np.pi**2 * 12) + 3 * np.log10(0.3 / reach) + 6 * np.log10(0.1 * 0.3 / reach)
    assert 0 <= value - trials - chance < 3


def test_a_symmetric_cell_moves_to_where_scipy_puts_it() -> None:
    A, q = still(cell_of("tP"), np.random.default_rng(4), 60)
    hkl = np.round(q @ A.T)
    turn = Rotation.align_vectors(A, cell_of("tP").A)[0]

    def axes(x: np.ndarray) -> np.ndarray:
        return np.asarray(np.diag([x[3], x[3], x[4]]) @ (Rotation.from_rotvec(x[:3]) * turn).as_matrix().T)

    def residual(x: np.ndarray) -> np.ndarray:
        return np.asarray(q - hkl @ np.linalg.inv(axes(x)).T).ravel() * 1e3

    expected = axes(least_squares(residual, [0, 0, 0, 79.0, 38.0], x_scale=[0.01, 0.01, 0.01, 1, 1]).x)
    refined = SymmetricRefiner(cell_of("tP"))(q.T, hkl.T, A * 1.002)
    assert np.allclose(refined, expected, atol=2e-3)
    assert np.linalg.norm(refined[0]) == pytest.approx(np.linalg.norm(refined[1]))
    assert abs(refined @ refined.T - np.diag(np.diag(refined @ refined.T))).max() < 1e-6
