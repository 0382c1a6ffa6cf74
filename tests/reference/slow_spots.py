"""The older tools' spots and hit rules, slowly and plainly: one plane, one label, one decision at a time."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from braggwatch.processing.panel import Panel


@dataclass(frozen=True)
class Limits:
    """The finder's settings under their older names."""

    window: int = 51
    signal_height: float = 2.5
    spot_height: float = 3.5
    area: int = 3
    area_factor: float = 20.0


@dataclass(frozen=True, order=True)
class SlowSpot:
    """One spot."""

    panel: int
    max_value: float
    intensity: float
    n_pixels: int


def slow_spots(
    image: NDArray[Any], panels: tuple[Panel, ...], limits: Limits = Limits(), noise: NDArray[Any] | None = None
) -> list[SlowSpot]:
    """Return the spots of an image in float64, in order of panel and highest pixel.

    Where the pixels' own `noise` ``(ss, fs)`` is known and larger than the background's, it counts.
    """
    found = []
    for number, panel in enumerate(panels):
        data = image[panel.slices].astype(np.float64)
        good = np.isfinite(data)
        plane, sigma = _background(data, good, limits)
        if noise is not None:
            sigma = np.maximum(sigma, noise[panel.slices])
        z = np.where(good, (data - plane) / sigma, -np.inf)
        z[[0, -1]], z[:, [0, -1]] = -np.inf, -np.inf
        labels, n = ndimage.label(z > limits.signal_height, np.ones((3, 3)))
        for which in range(1, n + 1):
            inside = labels == which
            area = int(inside.sum())
            if z[inside].max() > limits.spot_height and limits.area <= area <= limits.area * limits.area_factor:
                height, intensity = float(data[inside].max()), float((data - plane)[inside].sum())
                found.append(SlowSpot(number, height, intensity, area))
    return sorted(found)


def _background(
    data: NDArray[np.float64], good: NDArray[np.bool_], limits: Limits
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    plane, sigma = np.zeros_like(data), np.full(data.shape, np.inf)
    row_edges, column_edges = (np.linspace(0, n, max(round(n / limits.window), 1) + 1).astype(int) for n in data.shape)
    for r0, r1 in pairwise(row_edges):
        for c0, c1 in pairwise(column_edges):
            box = np.s_[r0:r1, c0:c1]
            ss, fs = np.mgrid[box].reshape(2, -1).astype(float)
            values, known = data[box].ravel(), good[box].ravel()
            design = np.stack([np.ones_like(ss), fs, ss], axis=1)
            if not known.any():
                continue
            used = known
            for _ in range(5):
                fit, *_ = np.linalg.lstsq(design[used], values[used], rcond=None)
                rest = values - design @ fit
                spread = max(np.sqrt(np.mean(rest[used] ** 2)), 0.01)
                plane[box], sigma[box] = (design @ fit).reshape(r1 - r0, c1 - c0), spread
                n_used = used.sum()
                used = known & (rest < limits.signal_height * spread)
                if used.sum() == n_used:
                    break
    return plane, sigma


def is_hit(
    image: NDArray[Any],
    panels: tuple[Panel, ...],
    nearest: list[int],
    *,
    threshold: float,
    min_peaks: int,
    rule: str,
    negate: bool = False,
) -> bool:
    """Decide as ``mod_hitfind`` did on the spots of the panels `nearest` the beam."""
    heights = [spot.max_value for spot in slow_spots(image, panels) if spot.panel in nearest]
    if rule == "restrictive":
        pixels = np.sort(np.concatenate([image[panels[number].slices].ravel() for number in nearest]))
        p90 = pixels[int(0.9 * len(pixels))]
        correction = 0.4 / p90 if p90 > 0 else 1.0
        out = [min(max(int(256 * (1 - height * correction)), 0), 255) for height in heights]
        heights = [height for height, value in zip(heights, out, strict=True) if value == 0]
    return (sum(height > threshold for height in heights) >= min_peaks) is not negate
