"""Pixels that are dead, hot or noisy, told from what many dark images have in common."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from braggwatch.processing.panel import Panel

_TILE = 64
"""How much neighbours differ is taken from squares of this side."""
_DEAD = 0.2
"""A pixel with less than this part of its neighbours' noise does not answer."""


def bad_pixels(
    mean: NDArray[np.floating],
    stddev: NDArray[np.floating],
    *,
    n_sigma: float = 8.0,
    panels: Sequence[Panel] | None = None,
) -> dict[str, NDArray[np.bool_]]:
    """Return masks ``dead``, ``hot`` and ``noisy``, ``(ss, fs)`` bool, from mean and deviation of dark images, ADU.

    - dead: without a value, or with a fifth of the median noise around it or less;
    - hot: the mean lies further from that of the 5 x 5 pixels around it (the median along ss of medians along fs, which
      keeps to its own side of a border between ASICs) than `n_sigma` times what is usual;
    - noisy: the same of the noise, above only.

    What is usual is taken from the median absolute deviation, so that the bad ones do not enter it. With `panels` no
    pixel is compared with one of another panel; pixels of no panel are not judged. Raises ValueError where the shapes
    differ or `n_sigma` is not positive.
    """
    if mean.shape != stddev.shape or mean.ndim != 2:
        raise ValueError(f"expected mean and stddev of one shape (ss, fs), found {mean.shape} and {stddev.shape}")
    if not n_sigma > 0:
        raise ValueError(f"n_sigma must be positive, found {n_sigma}")
    masks = {name: np.zeros(mean.shape, np.bool_) for name in ("dead", "hot", "noisy")}
    for slices in [np.s_[:, :]] if panels is None else [panel.slices for panel in panels]:
        for name, mask in _bad_in_panel(mean[slices], stddev[slices], n_sigma).items():
            masks[name][slices] = mask
    return masks


def _bad_in_panel(
    mean: NDArray[np.floating], noise: NDArray[np.floating], n_sigma: float
) -> dict[str, NDArray[np.bool_]]:
    known = np.isfinite(mean) & np.isfinite(noise)
    masks = {"dead": ~known, "hot": np.zeros_like(known), "noisy": np.zeros_like(known)}
    if not known.any():
        return masks
    off, off_noise = _off(mean, known), _off(noise, known)
    for top in range(0, mean.shape[0], _TILE):
        for left in range(0, mean.shape[1], _TILE):
            tile = np.s_[top : top + _TILE, left : left + _TILE]
            here = known[tile]
            if not here.any():
                continue
            usual = float(np.median(noise[tile][here]))
            # Counting detectors have darks of zeros: their pixels differ by nothing, and a cosmic makes none hot.
            spread = max(_spread(off[tile][here]), 0.25 * usual, 0.01)
            noise_spread = max(_spread(off_noise[tile][here]), 0.1 * usual, 0.02)
            masks["dead"][tile] |= noise[tile] < _DEAD * usual
            masks["hot"][tile] = here & (np.abs(off[tile]) > n_sigma * spread)
            masks["noisy"][tile] = here & (off_noise[tile] > n_sigma * noise_spread)
    return masks


def _off(values: NDArray[np.floating], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return how far each value is from the median around it; unknown ones count as the median of all."""
    filled = np.where(known, values, np.median(values[known])).astype(np.float32)
    return np.subtract(filled, _median_of_five(_median_of_five(filled).T).T)


def _median_of_five(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the median of each value and two on either side of it along a row; the row's ends count on beyond it."""
    padded = np.pad(values, ((0, 0), (2, 2)), mode="edge")
    a, b, c, d, e = (padded[:, i : i + values.shape[1]] for i in range(5))
    # of four, the lowest and the highest are no median of five
    f = np.maximum(np.minimum(a, b), np.minimum(c, d))
    g = np.minimum(np.maximum(a, b), np.maximum(c, d))
    return np.maximum(np.minimum(f, g), np.minimum(np.maximum(f, g), e))


def _spread(values: NDArray[np.floating]) -> float:
    """Return the standard deviation of a normal distribution about 0 with the same median absolute value."""
    return 1.4826 * float(np.median(np.abs(values)))
