"""CSPAD frames with their truth: ADU noise, common-mode jitter, a water ring, photons of a known height."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from braggwatch.processing.detector import Detector
from braggwatch.processing.panel import Panel

ADU_PER_PHOTON, NOISE, JITTER = 10.0, 2.2, 6.0
"""ADU: what the thermolysin stills of a CSPAD at LCLS show at 9.7 keV, and shots that rise and fall by some noises."""
HIGHEST = 16383
"""ADU: what a pixel reads at most, of 14 bits."""
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


@dataclass(frozen=True, eq=False)
class CspadPixels:
    """What each pixel reads in the dark, and how much that varies; with dead, hot and noisy ones among them."""

    dark: NDArray[np.float64]
    """``(ss, fs)``, ADU: 0 of a dead pixel, the highest number of a hot one."""
    noise: NDArray[np.float64]
    """``(ss, fs)``, ADU: 0 of dead and hot pixels, many times the usual of noisy ones."""

    @classmethod
    def draw(cls, detector: Detector, rng: np.random.Generator, n_broken: int) -> "CspadPixels":
        """Draw pixels, `n_broken` of each kind; noisy ones come in pairs, side by side."""
        dark, noise = rng.normal(1100, 60, detector.shape), rng.normal(NOISE, 0.2, detector.shape)
        row, column = (rng.integers(0, n - 1, 3 * n_broken).reshape(3, -1) for n in detector.shape)
        half = n_broken // 2
        for side in (0, 1):
            dark[row[2, :half], column[2, :half] + side] = 1500
            noise[row[2, :half], column[2, :half] + side] = 300
        for kind, value in enumerate((0.0, float(HIGHEST))):
            dark[row[kind], column[kind]], noise[row[kind], column[kind]] = value, 0.0
        return cls(dark.astype(np.float32).astype(np.float64), noise.astype(np.float32).astype(np.float64))


def raw_frame(
    detector: Detector, photons: NDArray[np.integer], pixels: CspadPixels, rng: np.random.Generator
) -> NDArray[np.uint16]:
    """Return what the detector sends for these photons: dark, noise and common mode on them, in its 14 bits."""
    image = photons * ADU_PER_PHOTON + rng.normal(0, 1, detector.shape) * pixels.noise
    for panel, level in zip(detector.panels, rng.normal(0, JITTER, len(detector.panels)), strict=True):
        image[panel.slices] += level
    image[pixels.noise == 0] = 0  # dead and hot pixels see neither
    return np.asarray(np.clip(np.rint(image + pixels.dark), 0, HIGHEST), np.uint16)
