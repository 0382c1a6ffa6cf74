"""What the settings of a detector say of each pixel, for people to look at: dark, noise, gain, and who masked it."""

from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from braggwatch.processing.array_files import load_array, load_stages
from braggwatch.processing.average_files import MEAN, PEDESTALS, STDDEV
from braggwatch.processing.calibration import Calibration
from braggwatch.processing.detector import Detector
from braggwatch.processing.detector_settings import DetectorSettings
from braggwatch.processing.frame import Series

MapKind = Literal["dark", "noise", "gain", "mask"]
BY_GEOMETRY, BY_HEADER, BY_FILE, BY_PANEL, BY_CALIBRATION = 1, 2, 4, 8, 16
"""The bits of a mask: who masked a pixel. The geometry (or there is no panel), the detector's own mask in the stream's
header, the file of ``[detector] mask``, its panel is left out, or dark, noise or gain rule it out."""
N_STAGES = 3
"""JUNGFRAU's gain stages."""


@dataclass(frozen=True, eq=False)
class PixelMap:
    """One number for each pixel."""

    values: NDArray[Any]
    """``(ss, fs)``: float32, or uint8 for a mask, whose bits say who masked a pixel."""
    unit: str
    """``ADU``, ``ADU/keV``, or empty for factors and masks."""
    source: str
    """The file that the settings name; empty where there are several sources."""
    n_stages: int = 1
    """How many gain stages there is such a map of."""


def read_map(settings: DetectorSettings, series: Series, kind: MapKind, stage: int = 0) -> PixelMap:
    """Read what the settings say of the pixels of a series, from the files that they name.

    `stage` is one of JUNGFRAU's gain stages, where there is a map of each. Raises ValueError with a sentence where
    there is no such map, or a file has another shape; OSError where one cannot be read.
    """
    detector = settings.detector(series)
    panels = [panel.slices for panel in detector.panels]
    if kind == "mask":
        return PixelMap(_mask(settings, series, detector), "", "")
    if kind == "noise":
        source = _named(settings.noise, "noise")
        return PixelMap(_floats(load_array(source, detector.shape, STDDEV, panels=panels)), "ADU", source)
    if settings.stage_pedestals is not None and settings.stage_gains is not None:
        if not 0 <= stage < N_STAGES:
            raise ValueError(f"expected a gain stage from 0 to {N_STAGES - 1}, found {stage}")
        is_gain = kind == "gain"
        source = settings.stage_gains if is_gain else settings.stage_pedestals
        stages = load_stages(source, detector.shape, None if is_gain else PEDESTALS)
        return PixelMap(_floats(stages[stage]), "ADU/keV" if is_gain else "ADU", source, N_STAGES)
    if kind == "dark":
        source = _named(settings.dark, "dark")
        return PixelMap(_floats(load_array(source, detector.shape, MEAN, panels=panels)), "ADU", source)
    source = _named(settings.gain_map, "gain_map")
    factors = Calibration.load(detector, gain=source, gain_level=settings.gain_map_level).gain
    assert factors is not None
    return PixelMap(factors, "", source)


def _named(source: str | None, key: str) -> str:
    if source is None:
        raise ValueError(f"there is none: [detector] names no `{key}`")
    return source


def _floats(values: NDArray[np.generic]) -> NDArray[np.float32]:
    return np.ascontiguousarray(values, np.float32)


def _mask(settings: DetectorSettings, series: Series, detector: Detector) -> NDArray[np.uint8]:
    """Return who masked each pixel, as bits; `detector` has all masks but the calibration's."""
    without: dict[str, Any] = {"mask": None, "mask_good": 0, "mask_bad": None, "ignored_panels": []}
    bare = settings.model_copy(update=without).detector(msgspec.structs.replace(series, mask=None))
    bits = np.where(bare.mask, np.uint8(BY_GEOMETRY), np.uint8(0))
    if series.mask is not None:
        bits[np.asarray(series.mask, bool)] |= BY_HEADER
    if settings.mask is not None:
        bits[settings.mask_of_file(detector)] |= BY_FILE
    for number in settings.ignored_panels:
        bits[detector.panels[number].slices] |= BY_PANEL
    correction = settings.calibration(detector)
    if correction is not None:
        bits[correction.mask] |= BY_CALIBRATION
    return bits
