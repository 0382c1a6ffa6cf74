"""The text header of mini-CBF images, as PILATUS and EIGER write it."""

import re
from collections.abc import Callable
from typing import Any

from braggwatch.processing.beam import HC

_FLOAT = r"([-+]?\d*\.?\d+(?:[eE][-+]?\d+)?)"


def _match(pattern: str, text: str) -> "re.Match[str] | None":
    return re.search(r"#\s*" + pattern.replace("FLOAT", _FLOAT), text)


def _number(pattern: str, *, least: float = 0.0) -> Callable[[str], float | None]:
    def read(text: str) -> float | None:
        found = _match(pattern, text)
        return float(found[1]) if found and float(found[1]) > least else None

    return read


def _pair(pattern: str, *, least: float = float("-inf")) -> Callable[[str], tuple[float, float] | None]:
    def read(text: str) -> tuple[float, float] | None:
        found = _match(pattern, text)
        if not found or not min(float(found[1]), float(found[2])) > least:
            return None
        return float(found[1]), float(found[2])

    return read


def _photon_energy(text: str) -> float | None:
    wavelength = _number(r"Wavelength[:\s]\s*FLOAT\s*A")(text)
    if wavelength is not None:
        return HC / wavelength
    return _number(r"(?:Photon_energy|Energy)[:\s]\s*FLOAT\s*eV")(text)


def _sensor_material(text: str) -> str | None:
    found = _match(r"(\S+)\s+sensor,\s*thickness", text)
    return {"Silicon": "Si"}.get(found[1], found[1]) if found else None


def _detector(text: str) -> str:
    found = _match(r"Detector:\s*([^\r\n]*)", text)
    return found[1].partition(", S/N")[0].strip() if found else ""


def _serial_number(text: str) -> str:
    found = _match(r"Detector:[^\r\n]*S/N\s*([^\s,]+)", text)
    return found[1] if found else ""


_FIELDS: dict[str, Callable[[str], Any]] = {
    "photon_energy": _photon_energy,
    "distance": _number(r"Detector_distance[:\s]\s*FLOAT\s*m"),
    "beam_center": _pair(r"Beam_xy[:\s]\s*\(\s*FLOAT\s*,\s*FLOAT\s*\)\s*pixels"),
    "pixel_size": _pair(r"Pixel_size[:\s]\s*FLOAT\s*m\s*x\s*FLOAT\s*m", least=0.0),
    "saturation_value": _number(r"Count_cutoff[:\s]\s*FLOAT\s*counts"),
    "frame_time": _number(r"Exposure_period[:\s]\s*FLOAT\s*s"),
    "count_time": _number(r"Exposure_time[:\s]\s*FLOAT\s*s"),
    "sensor_material": _sensor_material,
    "sensor_thickness": _number(r"\S+\s+sensor,\s*thickness\s*FLOAT\s*m"),
    "detector": _detector,
    "serial_number": _serial_number,
}


def read_mini_cbf(text: str) -> dict[str, Any]:
    """Return the fields of `Series` that a mini-CBF header tells, by name, in the units of `Series`.

    A field that is missing, zero where that makes no sense, or not understood, is None (an empty text for names).
    """
    return {name: read(text) for name, read in _FIELDS.items()}


def not_measured(text: str) -> int | None:
    """Return the value of pixels that were not measured, where a header of this program's dumps says it."""
    found = _match(r"Not_measured\s+(-?\d{1,10})\s", text)
    return int(found[1]) if found else None
