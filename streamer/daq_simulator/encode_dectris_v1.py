"""What a detector says in DECTRIS Stream V1."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from braggwatch.processing.frame import Frame, Series

_BITS = {"uint8": 8, "uint16": 16, "uint32": 32}


def encode_header(series: Series) -> list[bytes]:
    """Return a header of detail ``basic``, or with the mask and detail ``all`` where the series has one."""
    width = series.shape[::-1] if series.shape else (None, None)
    center = series.beam_center or (None, None)
    pixel = series.pixel_size or (None, None)
    fields = {
        "beam_center_x": center[0],
        "beam_center_y": center[1],
        "bit_depth_image": _BITS.get(series.dtype or ""),
        "count_time": series.count_time,
        "countrate_correction_count_cutoff": series.saturation_value,
        "description": series.detector,
        "detector_distance": series.distance,
        "detector_number": series.serial_number,
        "frame_time": series.frame_time,
        "nimages": series.n_frames,
        "ntrigger": 1,
        "photon_energy": series.photon_energy,
        "sensor_material": series.sensor_material,
        "sensor_thickness": series.sensor_thickness,
        "x_pixel_size": pixel[0],
        "x_pixels_in_detector": width[0],
        "y_pixel_size": pixel[1],
        "y_pixels_in_detector": width[1],
    }
    config = {key: value for key, value in fields.items() if value is not None}
    detail = "basic" if series.mask is None else "all"
    parts = [_json(htype="dheader-1.0", series=series.number, header_detail=detail), _json(**config)]
    if series.mask is not None:
        parts.append(_json(htype="dpixelmask-1.0", shape=list(series.mask.shape[::-1]), type="uint32"))
        parts.append(series.mask.astype("<u4").tobytes())
    return parts


def encode_image(
    series: Series, frame: Frame, number: int, values: Mapping[str, float | int | str] | None = None
) -> list[Any]:
    """Return an image message that holds the frame's pixels, uncopied, under another number, and the shot's own values.

    Raises ValueError for a way of packing that Stream V1 has no name for.
    """
    period, exposure = (round((time or 0.0) * 1e9) for time in (series.frame_time, series.count_time))
    return [
        _json(htype="dimage-1.0", series=series.number, frame=number, hash=""),
        _json(
            htype="dimage_d-1.0",
            shape=list(frame.shape[::-1]),
            type=np.dtype(frame.dtype).name,
            encoding=encoding_name(frame),
            size=memoryview(frame.payload).nbytes,
        ),
        frame.payload,
        _json(
            htype="dconfig-1.0",
            start_time=number * period,
            stop_time=number * period + exposure,
            real_time=exposure,
        ),
        *([_json(**values)] if values else []),
    ]


def encoding_name(frame: Frame) -> str:
    """Return Stream V1's name for how a frame is packed."""
    dtype = np.dtype(frame.dtype)
    order = ">" if dtype.str[0] == ">" else "<"
    match frame.encoding.algorithm, frame.encoding.framing:
        case "none", _:
            return order
        case "bslz4", _:
            return f"bs{8 * dtype.itemsize}-lz4{order}"
        case "lz4", "bare":
            return f"lz4{order}"
        case algorithm, framing:
            raise ValueError(f"Stream V1 has no name for {algorithm} in {framing} framing")


def encode_end(series: Series) -> list[bytes]:
    """Return an end message."""
    return [_json(htype="dseries_end-1.0", series=series.number)]


def _json(**fields: Any) -> bytes:
    return json.dumps(fields).encode()
