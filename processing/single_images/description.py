"""What is written beside the pixels of a single image: the dictionary of the older tools."""

import json
import math
from datetime import UTC, datetime
from typing import Any

import numpy as np

from braggwatch.processing.nxmx.geometry import nominal_placement, saturation_value
from braggwatch.processing.shot import Shot

_MM = 1e3
_YEAR_2000 = 946_684_800.0
"""s since 1970. A time before is one since the start of the series, which some detectors send."""
_LONGEST_NAME = 200
"""Characters of the detector's name; readers look for the end of a header within some thousand bytes."""


def time_of(shot: Shot) -> datetime:
    """Return when the exposure started, UTC; where the detector did not say it, when the chain began with it."""
    seconds = shot.frame.timestamp
    if seconds is None or not _YEAR_2000 <= seconds < 1e11:
        seconds = shot.began
    return datetime.fromtimestamp(seconds, UTC)


def milliseconds(time: datetime) -> str:
    """Return a time as file names have it, YYYYMMDDhhmmssmmm."""
    return f"{time:%Y%m%d%H%M%S}{time.microsecond // 1000:03d}"


def describe_image(shot: Shot, time: datetime) -> dict[str, Any]:
    """Return the older tools' dictionary of an image without its pixels; None where something is not known.

    Lengths are in mm, the wavelength in Angstrom. ``ACTIVE_AREAS`` has four numbers for each panel: its first row and
    column in the array, and those behind its last. The beam's place is in mm from the array's first corner along fs
    (``X``) and ss (``Y``), as far as one number can say it: on the plane of the first panel. ``SATURATED_VALUE`` is the
    highest valid value, ``MIN_TRUSTED_VALUE`` the lowest. ``SEQUENCE_NUMBER`` is the frame's number in its series.
    New are ``SERIES``, the key of the series; ``BAD_VALUES``, which the detector gives to bad pixels; and where pixels
    are not square, ``PIXEL_SIZE_SS``, their height.
    """
    series, detector = shot.series, shot.detector
    first = detector.panels[0]
    distance, (center_fs, center_ss) = nominal_placement(first)
    size_fs, size_ss = float(np.linalg.norm(first.fs)), float(np.linalg.norm(first.ss))
    saturated = saturation_value(series, detector, shot.image.dtype)
    description = {
        "ACTIVE_AREAS": [
            edge for panel in detector.panels for edge in (panel.ss_start, panel.fs_start, panel.ss_stop, panel.fs_stop)
        ],
        "BEAM_CENTER_X": _rounded(center_fs * size_fs * _MM),
        "BEAM_CENTER_Y": _rounded(center_ss * size_ss * _MM),
        "CCD_IMAGE_SATURATION": saturated,
        "DETECTOR_ADDRESS": series.detector[:_LONGEST_NAME],
        "DISTANCE": _rounded(distance * _MM),
        "PIXEL_SIZE": _rounded(size_fs * _MM),
        "SATURATED_VALUE": saturated,
        "MIN_TRUSTED_VALUE": detector.flag_below if math.isfinite(detector.flag_below) else None,
        "SIZE1": detector.shape[1],
        "SIZE2": detector.shape[0],
        "TIMESTAMP": f"{time:%Y-%m-%dT%H:%MZ%S}.{time.microsecond // 1000:03d}",
        "SEQUENCE_NUMBER": shot.number,
        "WAVELENGTH": None if detector.beam is None else detector.beam.wavelength,
        "SERIES": series.key,
        "BAD_VALUES": [float(value) for value in detector.flag_values if math.isfinite(value)],
    }
    if abs(size_fs - size_ss) > 1e-9 * size_fs:
        description["PIXEL_SIZE_SS"] = _rounded(size_ss * _MM)
    return description


def as_json(description: dict[str, Any]) -> str:
    """Return a description as one line of ASCII."""
    return json.dumps(description, allow_nan=False, separators=(",", ":"))


def _rounded(millimetres: float) -> float | None:
    """Return a length without the noise of its last bits."""
    return round(millimetres, 9) if math.isfinite(millimetres) else None
