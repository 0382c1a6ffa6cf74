"""The dictionary that dumps of this program have beside an image in a file of its own: read back for a replay."""

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from braggwatch.processing.beam import HC

Description = Mapping[str, Any]
_LONGEST = 1 << 20
"""Characters; 1000 panels take 30 000."""
_IN_CBF = "# Braggwatch "
_MM = 1e-3


def find_description(path: Path, header: Mapping[str, Any]) -> Description:
    """Return what stands beside the image in `path`, whose header fabio has read; empty where it is not of a dump."""
    text = str(header.get("imageDescription", ""))
    if path.suffix.lower() == ".npy":
        text = _text_of(path.with_suffix(".json"))
    elif "_array_data.header_contents" in header:
        lines = str(header["_array_data.header_contents"]).splitlines()
        text = next((line.removeprefix(_IN_CBF) for line in lines if line.startswith(_IN_CBF)), "")
    if not text.startswith("{") or len(text) > _LONGEST:
        return {}
    try:
        found = json.loads(text.rstrip("\0 \r\n"))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) and "ACTIVE_AREAS" in found else {}


def series_fields(description: Description, dtype: np.dtype[Any]) -> dict[str, Any]:
    """Return the fields of `Series` that a description tells, by name, in the units of `Series`.

    Of several panels it does not tell where the beam is, because they would be taken for one that is as large as all.
    """
    wavelength, distance = _positive(description, "WAVELENGTH"), _positive(description, "DISTANCE")
    size_fs = _positive(description, "PIXEL_SIZE")
    size_ss = _positive(description, "PIXEL_SIZE_SS") or size_fs
    saturated = _number(description, "SATURATED_VALUE")
    fields: dict[str, Any] = {
        "photon_energy": HC / wavelength if wavelength else None,
        "distance": _MM * distance if distance else None,
        "detector": str(description.get("DETECTOR_ADDRESS") or ""),
    }
    if saturated is not None:  # the highest valid value; here a pixel that has reached it is saturated
        fields["saturation_value"] = saturated + 1.0 if dtype.kind in "iu" else saturated
    if size_fs is None or size_ss is None:
        return fields
    fields["pixel_size"] = (_MM * size_fs, _MM * size_ss)
    x, y = _number(description, "BEAM_CENTER_X"), _number(description, "BEAM_CENTER_Y")
    areas = description["ACTIVE_AREAS"]
    if x is not None and y is not None and isinstance(areas, list) and len(areas) == 4:
        fields["beam_center"] = (x / size_fs, y / size_ss)
    return fields


def time_of_exposure(description: Description) -> float | None:
    """Return when the image was taken, s since 1970; None if the description does not say it."""
    try:
        time = datetime.strptime(str(description["TIMESTAMP"]), "%Y-%m-%dT%H:%MZ%S.%f")
    except (KeyError, ValueError):
        return None
    return time.replace(tzinfo=UTC).timestamp()


def bad_pixels(description: Description, image: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Return which pixels of an image the detector had marked as bad, ``(ss, fs)``; None where it marks none."""
    values = description.get("BAD_VALUES")
    if not isinstance(values, list) or not values or len(values) > 16:
        return None
    bad = np.zeros(image.shape, bool)
    for value in values:
        if isinstance(value, int | float):
            bad |= image == value
    return bad


def _number(description: Description, key: str) -> float | None:
    value = description.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e12:
        return None
    return float(value) if math.isfinite(value) else None


def _positive(description: Description, key: str) -> float | None:
    value = _number(description, key)
    return value if value is not None and value > 0 else None


def _text_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_LONGEST + 1).decode("utf-8", errors="replace")
    except OSError:
        return ""
