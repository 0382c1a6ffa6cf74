"""CSPAD frames with their truth: ADU noise, common-mode jitter, a water ring, photons of a known height."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from braggwatch.processing.detector import Detector
from braggwatch.processing.panel import Panel

ADU_PER_PHOTON, NOISE, JITTER = 10.0, 2.2, 6.0
"""ADU: what the thermolysin stills of a CSPAD at LCLS show at 9.7 keV, and shots that rise and fall by some noises."""
ASIC = (185, 194)
PIXEL, DISTANCE = 110e-6, 0.13


@dataclass(frozen=True, eq=False)
class CspadFrame:
    """One frame, and what it is made of."""

    image: NDArray[np.float32]
    """``(ss, fs)``, ADU, less its dark."""
    levels: NDArray[np.float64]
    """``(n_panels,)``, ADU: the common mode of each ASIC."""
    photons: NDArray[np.float64]
    """``(ss, fs)``: photons in each pixel."""


def cspad(n_asics: int = 16) -> Detector:
    """ASICs in pairs around the beam, in one slab; 16 of them reach from the beam stop past a water ring."""
    rows, columns = ASIC
    panels = []
    for number in range(n_asics):
        turn, ring = 2 * np.pi * (number % 8) / 8, number // 8
        fs = np.array([np.cos(turn), np.sin(turn), 0.0]) * PIXEL
        ss = np.array([-np.sin(turn), np.cos(turn), 0.0]) * PIXEL
        corner = (40 + ring * 215) * fs - rows / 2 * ss + np.array([0, 0, DISTANCE])
        panels.append(
            Panel(
                f"a{number}", 0, columns, number * rows, (number + 1) * rows, tuple(corner), tuple(fs), tuple(ss),
                max_adu=16383.0,
            )
        )  # fmt: skip
    return Detector(tuple(panels), (n_asics * rows, columns))


def frame(detector: Detector, rng: np.random.Generator, *, water: float = 0.0, air: float = 0.15) -> CspadFrame:
    """Make a frame; `water` photons a pixel on the crest of a ring at 350 pixels, `air` far out and more inside."""
    radius = detector.pixel_radius.astype(np.float64)
    mean = air * (1 + 3 * np.exp(-radius / 80)) + water * np.exp(-0.5 * ((radius - 350) / 45) ** 2)
    photons = rng.poisson(np.nan_to_num(mean)).astype(np.float64)
    levels = rng.normal(0, JITTER, len(detector.panels))
    image = photons * ADU_PER_PHOTON + rng.normal(0, NOISE, detector.shape)
    for panel, level in zip(detector.panels, levels, strict=True):
        image[panel.slices] += level
    return CspadFrame(image.astype(np.float32), levels, photons)
