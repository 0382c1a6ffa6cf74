"""Which panels of a CSPAD are the two ASICs of one sensor."""

import numpy as np

from braggwatch.processing.detector import Detector
from braggwatch.processing.panel import Panel

ASIC = (185, 194)
"""Pixels of an ASIC, ``(ss, fs)``."""
_APART = 197.0
"""Pixels from an ASIC's first corner to its neighbour's along fs: three between them are not read out as pixels."""
_TOLERANCE = 1.5
"""Pixels; geometries are refined ASIC by ASIC."""


def cspad_sensors(detector: Detector) -> tuple[tuple[int, ...], ...]:
    """Return the panels of each sensor by number, the one at lower fs first; a panel without a partner is alone.

    Panels are partners where both are ASICs of a CSPAD and the second lies in the first one's place, 197 pixels along.
    """
    asics = [number for number, panel in enumerate(detector.panels) if panel.shape == ASIC]
    corners = np.array([panel.corner for panel in detector.panels])
    partner: dict[int, int] = {}
    for number in asics:
        panel = detector.panels[number]
        pixel = float(np.linalg.norm(panel.fs))
        expected = np.array(panel.corner) + _APART * np.array(panel.fs)
        near = [
            other
            for other in asics
            if np.linalg.norm(corners[other] - expected) < _TOLERANCE * pixel
            and _parallel(panel, detector.panels[other])
        ]
        if near:
            partner[number] = near[0]
    second = set(partner.values())
    return tuple(
        (number, partner[number]) if number in partner else (number,)
        for number in range(len(detector.panels))
        if number not in second
    )


def _parallel(one: Panel, other: Panel) -> bool:
    return all(
        np.linalg.norm(np.subtract(a, b)) < 0.02 * np.linalg.norm(a)
        for a, b in ((one.fs, other.fs), (one.ss, other.ss))
    )
