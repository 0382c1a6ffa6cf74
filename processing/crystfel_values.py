"""How the values in CrystFEL geometry files are written, and which parameters there are.

Each reader takes the text of a value and raises ValueError with what it expected.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

N_MASKS = 8


@dataclass(frozen=True)
class InDataFile:
    """A number that the geometry file leaves to a data file's header."""

    path: str
    """Where in the data file, such as ``/LCLS/photon_energy_eV``."""
    unit: str
    """m, mm, A, eV, keV or MeV."""


def number(text: str) -> float:
    """Read a number; one that is not finite is refused."""
    if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text):
        raise ValueError("a number")
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number within the range of double precision")
    return value


def _positive(text: str) -> float:
    value = number(text)
    if not value > 0:
        raise ValueError("a number above 0")
    return value


def _index(text: str) -> int:
    value = number(text)
    if value < 0 or value != int(value) or value > 2**31:
        raise ValueError("a whole number from 0")
    return int(value)


def _bits(text: str) -> int:
    if not re.fullmatch(r"0[xX][0-9a-fA-F]{1,16}|\d{1,19}", text):
        raise ValueError("a bit mask such as 0x00ff or 255")
    return int(text, 16) if text[:2] in ("0x", "0X") else int(text)


def _truth(text: str) -> bool:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if not re.fullmatch(r"[+-]?\d+", text):
        raise ValueError("true, false or a whole number")
    return int(text) != 0


def _vector(text: str) -> tuple[float, float, float]:
    compact = re.sub(r"\s", "", text)
    term = r"([+-]?)((?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)?([xyz])"
    if not re.fullmatch(rf"{term}(?:(?=[+-]){term})*", compact):
        raise ValueError("a direction such as 'x' or '-0.001x +0.999y +0.02z'")
    total = {"x": 0.0, "y": 0.0, "z": 0.0}
    for sign, size, axis in re.findall(term, compact):
        total[axis] += float(sign + (size or "1"))
    return total["x"], total["y"], total["z"]


def _path(text: str) -> str:
    if not text.startswith("/"):
        raise ValueError("a path inside the data file, beginning with /")
    return text


def _text(text: str) -> str:
    return text


def _dimension(text: str) -> int | str:
    if text in ("ss", "fs", "%"):
        return text
    if not re.fullmatch(r"\d{1,9}", text):
        raise ValueError("ss, fs, % or a whole number")
    return int(text)


def _quantity(units: dict[str, float], literal: str, header: str) -> Callable[[str], float | InDataFile]:
    """Return a reader of ``NUMBER [UNIT]`` or ``PATH [UNIT]``, `units` giving each unit's size.

    `literal` and `header` are the units of a number and of a path without one; "" where a unit must be given.
    """
    expected = f"a number or a path in the data file, then one of {', '.join(units)}"

    def read(text: str) -> float | InDataFile:
        words = text.split()
        if len(words) not in (1, 2):
            raise ValueError(expected)
        is_path = words[0].startswith("/")
        unit = words[1] if len(words) == 2 else header if is_path else literal
        if unit not in units:
            raise ValueError(expected)
        return InDataFile(words[0], unit) if is_path else number(words[0]) * units[unit]

    return read


_length = _quantity({"m": 1.0, "mm": 1e-3}, "m", "mm")
_shift = _quantity({"m": 1.0, "mm": 1e-3}, "m", "m")
_energy = _quantity({"eV": 1.0, "keV": 1e3, "MeV": 1e6}, "eV", "eV")
_wavelength = _quantity({"A": 1.0, "m": 1e10}, "", "")

PANEL_SETTINGS: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(("min_fs", "max_fs", "min_ss", "max_ss", "mask_edge_pixels"), _index),
    **dict.fromkeys(("corner_x", "corner_y", "coffset", "max_adu"), number),
    **dict.fromkeys(("flag_equal", "flag_lessthan", "flag_morethan"), number),
    **dict.fromkeys(("res", "adu_per_photon", "adu_per_eV"), _positive),
    **dict.fromkeys(("fs", "ss"), _vector),
    **{f"dim{n}": _dimension for n in range(16)},
    **{f"mask{n}_data": _path for n in range(N_MASKS)},
    **{f"mask{n}_file": _text for n in range(N_MASKS)},
    **{f"mask{n}_{kind}": _bits for n in range(N_MASKS) for kind in ("goodbits", "badbits")},
    "clen": _length,
    "data": _path,
    "no_index": _truth,
}

SYNONYMS = {"mask": "mask0_data", "mask_file": "mask0_file", "mask_good": "mask0_goodbits", "mask_bad": "mask0_badbits"}

FILE_SETTINGS: dict[str, Callable[[str], Any]] = {
    "clen": _length,
    "photon_energy": _energy,
    "wavelength": _wavelength,
    "bandwidth": number,
    "detector_shift_x": _shift,
    "detector_shift_y": _shift,
}

NOT_USED = ("peak_list", "peak_list_type", "badrow_direction", "saturation_map", "saturation_map_file")

REQUIRED = ("min_fs", "max_fs", "min_ss", "max_ss", "corner_x", "corner_y", "fs", "ss", "res")
