"""CBF with the text header of PILATUS and EIGER images ("mini-CBF")."""

import base64
import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray

from braggwatch.processing.nxmx.geometry import nominal_placement, saturation_value
from braggwatch.processing.shot import Shot

_LIMIT = 1 << 30
"""Integers of 32 bit stay below it: differences of larger ones do not fit 32 bit, and readers get them wrong."""
_UNMEASURED = -100_000
"""Of pixels that may be negative; the older tools gave masked pixels this value."""
_BINARY_FOLLOWS = b"\x0c\x1a\x04\xd5"


def write_cbf(file: IO[bytes], shot: Shot, time: datetime, description: str) -> None:
    """Write a shot's image, and an ASCII text in one line as the last of the header.

    Pixels become integers (see `as_integers`), packed by fabio as byte offsets. The layout is that of imgCIF (Bernstein
    and Hammersley, International Tables for Crystallography G, 2005).
    """
    pixels, unmeasured = as_integers(shot)
    packed: bytes = byte_offsets()(pixels)
    n_ss, n_fs = pixels.shape
    digest = base64.b64encode(hashlib.md5(packed, usedforsecurity=False).digest()).decode()
    lines = [
        "###CBF: VERSION 1.5, Braggwatch",
        "",
        f"data_image_{shot.number}",
        "",
        '_array_data.header_convention "PILATUS_1.2"',
        "_array_data.header_contents",
        ";",
        *(f"# {line}" for line in _header(shot, time)),
        f"# Not_measured {unmeasured}",
        f"# Braggwatch {description}",
        ";",
        "",
        "_array_data.data",
        ";",
        "--CIF-BINARY-FORMAT-SECTION--",
        "Content-Type: application/octet-stream;",
        '     conversions="x-CBF_BYTE_OFFSET"',
        "Content-Transfer-Encoding: BINARY",
        f"X-Binary-Size: {len(packed)}",
        "X-Binary-ID: 1",
        f'X-Binary-Element-Type: "signed {8 * pixels.itemsize}-bit integer"',
        "X-Binary-Element-Byte-Order: LITTLE_ENDIAN",
        f"Content-MD5: {digest}",
        f"X-Binary-Number-of-Elements: {pixels.size}",
        f"X-Binary-Size-Fastest-Dimension: {n_fs}",
        f"X-Binary-Size-Second-Dimension: {n_ss}",
        "X-Binary-Size-Padding: 1",
        "",
        "",
    ]
    file.write("\r\n".join(lines).encode("ascii") + _BINARY_FOLLOWS)
    file.write(packed)
    file.write(b"\0\r\n--CIF-BINARY-FORMAT-SECTION----\r\n;\r\n")


def byte_offsets() -> Callable[[NDArray[Any]], bytes]:
    """Return fabio's packer; imported where it is needed, because fabio takes a worker 0.2 s and 16 MB."""
    from fabio.compression import compByteOffset

    return cast("Callable[[NDArray[Any]], bytes]", compByteOffset)


def as_integers(shot: Shot) -> tuple[NDArray[Any], int]:
    """Return a shot's pixels ``(ss, fs)`` as integers, and the value of those that were not measured.

    That is -1, as in DECTRIS' files, for what a counting detector marks with its highest values, and -100000 for signed
    and corrected pixels, which may well be -1. Floats are rounded. Integers have 64 bit where a value has more than
    30, which few programs read, but nothing is clipped.
    """
    image = shot.image
    unmeasured = -1 if image.dtype.kind == "u" else _UNMEASURED
    bad = np.zeros(image.shape, bool)
    for value in shot.detector.flag_values:
        bad |= image == value
    if image.dtype.kind == "f":
        bad |= ~np.isfinite(image)
        image = np.rint(image)
    if bad.any():
        image = np.where(bad, image.dtype.type(0), image)
    fits = image.min().item() > -_LIMIT and image.max().item() < _LIMIT
    pixels = image.astype(np.int32 if fits else np.int64)
    pixels[bad] = unmeasured
    return pixels, unmeasured


def _header(shot: Shot, time: datetime) -> list[str]:
    series, detector = shot.series, shot.detector
    first = detector.panels[0]
    distance, (center_fs, center_ss) = nominal_placement(first)
    size_fs, size_ss = float(np.linalg.norm(first.fs)), float(np.linalg.norm(first.ss))
    saturated = saturation_value(series, detector, shot.image.dtype)
    serial = _ascii(series.serial_number)
    known = [
        f"Detector: {_ascii(series.detector) or 'unknown'}{f', S/N {serial}' if serial else ''}",
        f"{time:%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03d}",
        f"Pixel_size {size_fs:.6g} m x {size_ss:.6g} m",
        f"Detector_distance {distance:.6f} m",
        "Start_angle 0.0000 deg.",
        "Angle_increment 0.0000 deg.",  # a still
    ]
    if len(detector.panels) == 1:  # readers would take several for one that is as large as all
        known.append(f"Beam_xy ({center_fs:.3f}, {center_ss:.3f}) pixels")
    if series.sensor_material and series.sensor_thickness:
        known.append(f"{_sensor(series.sensor_material)} sensor, thickness {series.sensor_thickness:.6f} m")
    if series.count_time is not None:
        known.append(f"Exposure_time {series.count_time:.9g} s")
    if series.frame_time is not None:
        known.append(f"Exposure_period {series.frame_time:.9g} s")
    if saturated is not None:
        known.append(f"Count_cutoff {round(saturated)} counts")
    if detector.beam is not None:
        known.append(f"Wavelength {detector.beam.wavelength:.7g} A")
    return known


def _sensor(material: str) -> str:
    return "Silicon" if material.lower() in ("si", "silicon") else _ascii(material).replace(" ", "_")


def _ascii(text: str) -> str:
    return " ".join("".join(c if " " <= c <= "~" else " " for c in text).split())[:80]
