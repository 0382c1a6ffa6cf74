"""The instrument of an NXmx file: detector modules, mask, distance and what else is the same for every image."""

from functools import lru_cache
from typing import Any

import h5py
import numpy as np

from braggwatch.processing.compression import bslz4_chunk, bslz4_filter
from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Series
from braggwatch.processing.nxmx.groups import add_group, plain_text
from braggwatch.processing.panel import Panel, Vector

DETECTOR = "/entry/instrument/detector"
_MATERIALS = {"silicon": "Si", "si": "Si", "cdte": "CdTe", "cadmium telluride": "CdTe", "gaas": "GaAs"}
_MASKED = 1 << 8
"""The bit of ``pixel_mask`` that NeXus gives to a user-defined mask."""
_NO_THICKNESS = 1e-9
"""Of a sensor whose thickness is unknown, m: the parallax in it is nothing."""


def write_detector(file: h5py.File, series: Series, detector: Detector, dtype: np.dtype[Any]) -> None:
    """Write ``/entry/instrument/detector``.

    The file's axes are the lab frame of this program (z along the beam, as NeXus wants it, x along +fs and y along +ss
    of an untilted panel), so that geometry and crystal matrices agree. One NXdetector_module for each panel: its
    ``module_offset`` leads from the point on the beam at the detector's distance to the outer corner of the panel's
    first pixel.
    """
    group = add_group(file, DETECTOR, "NXdetector")
    group["depends_on"] = f"{DETECTOR}/transformations/translation"
    group["description"] = plain_text(series.detector) or "unknown"
    group["type"] = "PIXEL"
    material = plain_text(series.sensor_material or "Si")
    group["sensor_material"] = _MATERIALS.get(material.lower(), material)
    # Readers correct for parallax by this number, and dxtbx does not open a file where it is 0.
    add_length(group, "sensor_thickness", series.sensor_thickness or _NO_THICKNESS)
    for name, seconds in (("count_time", series.count_time), ("frame_time", series.frame_time)):
        if seconds is not None:
            group[name] = seconds
            group[name].attrs["units"] = "s"
    if series.serial_number:
        group["serial_number"] = plain_text(series.serial_number)
    group["bit_depth_readout"] = 8 * dtype.itemsize
    saturation = saturation_value(series, detector, dtype)
    if saturation is not None:
        group["saturation_value"] = saturation
    if np.isfinite(detector.flag_below):
        lowest = detector.flag_below
        group["underload_value"] = int(np.ceil(lowest)) if dtype.kind in "iu" else float(lowest)
    mask = group.create_dataset("pixel_mask", detector.shape, np.uint32, chunks=detector.shape, **bslz4_filter())
    mask.id.write_direct_chunk((0, 0), packed_mask(detector))
    group["pixel_mask_applied"] = False
    _write_placement(group, detector)


@lru_cache(maxsize=2)
def packed_mask(detector: Detector) -> bytes:
    """Return the chunk of ``pixel_mask``; kept, because packing it takes longer than the rest of a new file."""
    return bslz4_chunk(np.where(detector.mask, np.uint32(_MASKED), np.uint32(0)))


def saturation_value(series: Series, detector: Detector, dtype: np.dtype[Any]) -> float | int | None:
    """Return the highest valid pixel value, which is what NXmx calls the saturation value; None if unknown."""
    lowest = min(panel.max_adu for panel in detector.panels)
    first_saturated = lowest if np.isfinite(lowest) else series.saturation_value
    if first_saturated is None:
        return None
    # NXmx still counts the value itself as valid; here a pixel that has reached it is saturated.
    return int(np.ceil(first_saturated)) - 1 if dtype.kind in "iu" else float(first_saturated)


def add_length(group: h5py.Group, name: str, metres: float) -> None:
    """Write a length in m."""
    group[name] = metres
    group[name].attrs["units"] = "m"


def _write_placement(group: h5py.Group, detector: Detector) -> None:
    distance, center = nominal_placement(detector.panels[0])
    add_length(group, "distance", distance)
    for name, pixels in (("beam_center_x", center[0]), ("beam_center_y", center[1])):
        group[name] = pixels
        group[name].attrs["units"] = "pixel"
    first = detector.panels[0]
    add_length(group, "x_pixel_size", float(np.linalg.norm(first.fs)))
    add_length(group, "y_pixel_size", float(np.linalg.norm(first.ss)))
    transformations = add_group(group, "transformations", "NXtransformations")
    _write_axis(transformations, "translation", distance, (0.0, 0.0, 1.0), (0.0, 0.0, 0.0), ".")
    for index, panel in enumerate(detector.panels):
        _write_module(group, f"module_{index:03d}" if len(detector.panels) > 1 else "module", panel, distance)


def nominal_placement(panel: Panel) -> tuple[float, tuple[float, float]]:
    """Return the distance in m of a panel's plane along the beam, and where the beam meets it, in image pixels.

    A plane that the beam does not meet before or behind the sample within reach, such as one along the beam, gets the
    z of its corner and the point there nearest to the beam in x and y.
    """
    fs, ss, corner = np.array(panel.fs), np.array(panel.ss), np.array(panel.corner)
    system = np.stack([fs, ss, [0.0, 0.0, -1.0]], axis=1)
    if abs(np.linalg.det(system)) > 0.1 * float(np.linalg.norm(fs) * np.linalg.norm(ss)):
        along_fs, along_ss, distance = np.linalg.solve(system, -corner)
    else:
        along_fs, along_ss = np.linalg.lstsq(np.stack([fs, ss], axis=1)[:2], -corner[:2], rcond=None)[0]
        distance = corner[2]
    return float(distance), (float(along_fs) + panel.fs_start, float(along_ss) + panel.ss_start)


def _write_module(group: h5py.Group, name: str, panel: Panel, distance: float) -> None:
    module = add_group(group, name, "NXdetector_module")
    module["data_origin"] = np.array([panel.ss_start, panel.fs_start])
    module["data_size"] = np.array(panel.shape)
    module["data_stride"] = np.array([1, 1])
    module["name"] = panel.name
    x, y, z = panel.corner
    offset = (x, y, z - distance)
    module_path = f"{DETECTOR}/{name}"
    _write_axis(module, "module_offset", 0.0, (1.0, 0.0, 0.0), offset, f"{DETECTOR}/transformations/translation")
    for direction, vector in (("fast_pixel_direction", panel.fs), ("slow_pixel_direction", panel.ss)):
        size = float(np.linalg.norm(vector))
        unit = (vector[0] / size, vector[1] / size, vector[2] / size)
        _write_axis(module, direction, size, unit, (0.0, 0.0, 0.0), f"{module_path}/module_offset")


def _write_axis(group: h5py.Group, name: str, value: float, vector: Vector, offset: Vector, depends_on: str) -> None:
    group.create_dataset(name, data=np.array([value]))
    attributes = group[name].attrs
    attributes["transformation_type"] = "translation"
    attributes["units"] = "m"
    attributes["vector"] = np.array(vector)
    attributes["offset"] = np.array(offset)
    attributes["offset_units"] = "m"
    attributes["depends_on"] = depends_on
