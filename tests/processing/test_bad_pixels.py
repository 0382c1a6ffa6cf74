"""Dead, hot and noisy pixels against truth."""

import numpy as np
import pytest
from cspad_frames import cspad

from braggwatch.processing.bad_pixels import bad_pixels


@pytest.mark.parametrize("by_panel", [False, True])
@pytest.mark.parametrize("n_frames", [20, 300])
def test_bad_pixels_are_found_and_no_others(n_frames: int, by_panel: bool) -> None:
    rng = np.random.default_rng(2)
    shape = cspad(3).shape
    pedestal = np.repeat(rng.uniform(500, 3000, 3), 185)[:, None] + rng.normal(0, 30, shape)
    noise = rng.normal(4, 0.2, shape)
    truth = {name: np.zeros(shape, bool) for name in ("dead", "hot", "noisy")}
    places = rng.permutation(shape[0] * shape[1])[:240].reshape(3, 80)
    for mask, where in zip(truth.values(), places, strict=True):
        mask.ravel()[where] = True
    noise[truth["dead"]] = 0.0
    noise[truth["noisy"]] = 40.0
    pedestal[truth["hot"]] += rng.choice([-3000.0, 3000.0, 9000.0], truth["hot"].sum())
    frames = rng.normal(pedestal, noise, (n_frames, *shape)).astype(np.float32)
    panels = cspad(3).panels if by_panel else None
    found = bad_pixels(frames.mean(axis=0), frames.std(axis=0, ddof=1), panels=panels)
    for name, mask in truth.items():
        assert (found[name] & mask).sum() >= 0.95 * mask.sum(), name
        assert (found[name] & ~mask & ~truth["dead"]).sum() <= 2e-4 * mask.size, name


def test_counting_detectors_have_darks_of_zeros_and_keep_them() -> None:
    frames = np.zeros((500, 128, 128), np.float32)
    frames[3, 40, 40] = 1.0  # a cosmic
    frames[::2, 7, 9] = 5.0
    found = bad_pixels(frames.mean(axis=0), frames.std(axis=0, ddof=1))
    assert not found["dead"].any()
    assert sorted(zip(*np.nonzero(found["hot"] | found["noisy"]), strict=True)) == [(7, 9)]


def test_pixels_without_a_value_are_dead() -> None:
    mean = np.zeros((5, 5))
    mean[1, 1] = np.nan
    found = bad_pixels(mean, np.ones((5, 5)))
    assert found["dead"].sum() == 1
    nothing = bad_pixels(np.full((5, 5), np.nan), np.full((5, 5), np.nan))
    assert nothing["dead"].all()
    assert not (nothing["hot"] | nothing["noisy"]).any()


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="of one shape"):
        bad_pixels(np.zeros((2, 3)), np.zeros((3, 2)))
    with pytest.raises(ValueError, match="n_sigma must be positive, found 0"):
        bad_pixels(np.zeros((2, 3)), np.zeros((2, 3)), n_sigma=0)
