"""What a detector says in DECTRIS Stream V2."""

from collections.abc import Mapping
from typing import Any

import cbor2
import numpy as np

from braggwatch.processing.decompression import as_hdf5_chunk
from braggwatch.processing.frame import Frame, Series
from braggwatch.streamer.sources.cbor_arrays import DTYPES, PACKED, ROW_MAJOR
from braggwatch.streamer.sources.cbor_reader import SELF_DESCRIBED

CHANNEL = "threshold_1"
CLOCK = 50_000_000
"""Ticks a second in which an image's times are counted."""
SERIES_DATE = "2026-01-01T00:00:00+00:00"

_SELF_DESCRIBED = cbor2.dumps(cbor2.CBORTag(SELF_DESCRIBED, 0))[:-1]
_TAGS = {np.dtype(dtype).str: tag for tag, dtype in DTYPES.items() if tag != 68}


def encode_start(series: Series) -> list[bytes]:
    """Return a start message that says what the series knows."""
    width = series.shape[::-1] if series.shape else (None, None)
    center = series.beam_center or (None, None)
    pixel = series.pixel_size or (None, None)
    fields = {
        "series_id": series.number,
        "series_unique_id": series.name or None,
        "arm_date": cbor2.CBORTag(0, SERIES_DATE),
        "beam_center_x": center[0],
        "beam_center_y": center[1],
        "channels": [CHANNEL],
        "count_time": series.count_time,
        "detector_description": series.detector,
        "detector_serial_number": series.serial_number,
        "detector_translation": None if series.distance is None else [0.0, 0.0, -series.distance],
        "error_value": series.error_value,
        "frame_time": series.frame_time,
        "image_dtype": series.dtype,
        "image_size_x": width[0],
        "image_size_y": width[1],
        "incident_energy": series.photon_energy,
        "number_of_images": series.n_frames,
        "pixel_size_x": pixel[0],
        "pixel_size_y": pixel[1],
        "saturation_value": None if series.saturation_value is None else int(series.saturation_value),
        "sensor_material": series.sensor_material,
        "sensor_thickness": series.sensor_thickness,
    }
    message: dict[str, Any] = {"type": "start"} | {key: value for key, value in fields.items() if value is not None}
    if series.mask is not None:
        mask = series.mask.astype("<u4")
        message["pixel_mask"] = {
            CHANNEL: cbor2.CBORTag(ROW_MAJOR, [list(mask.shape), cbor2.CBORTag(70, mask.tobytes())])
        }
    return [_SELF_DESCRIBED + cbor2.dumps(message)]


def encode_image(
    series: Series, number: int, data: tuple[bytes, bytes], values: Mapping[str, float | int | str] | None = None
) -> list[bytes]:
    """Return an image message that holds the pixels that `image_data` has made ready, and the shot's own values."""
    period = round((series.frame_time or 0.0) * CLOCK)
    exposure = round((series.count_time or 0.0) * CLOCK)
    message = {
        "type": "image",
        "series_id": series.number,
        "series_unique_id": series.name,
        "image_id": number,
        "real_time": [exposure, CLOCK],
        "series_date": cbor2.CBORTag(0, SERIES_DATE),
        "start_time": [number * period, CLOCK],
        "stop_time": [number * period + exposure, CLOCK],
        **({"user_data": dict(values)} if values else {}),
        "data": None,
    }
    head = cbor2.dumps(message)[:-1]  # less the None, in whose place the pixels go
    return [b"".join((_SELF_DESCRIBED, head, *data))]


def image_data(frame: Frame) -> tuple[bytes, bytes]:
    """Return a frame's pixels, behind all that says how they are packed.

    Raises ValueError for a way of packing that Stream V2 has no name for.
    """
    dtype = np.dtype(frame.dtype)
    payload: Any = frame.payload
    if frame.encoding.algorithm in ("bslz4", "bszstd"):
        payload = as_hdf5_chunk(frame.payload, frame.encoding, frame.shape, frame.dtype)
    elif frame.encoding.algorithm == "lz4" and frame.encoding.framing != "hdf5":
        raise ValueError("Stream V2 has no name for a bare LZ4 block; pack the frame as the HDF5 filter does")
    elements: Any = b""
    if frame.encoding.algorithm != "none":
        elements = cbor2.CBORTag(PACKED, [frame.encoding.algorithm, dtype.itemsize, b""])
    array = cbor2.CBORTag(ROW_MAJOR, [list(frame.shape), cbor2.CBORTag(_TAGS[dtype.str], elements)])
    packed = bytes(payload)
    return cbor2.dumps({CHANNEL: array})[:-1] + _byte_string_head(len(packed)), packed


def _byte_string_head(n: int) -> bytes:
    """Return how CBOR announces `n` bytes, in its longest form."""
    return b"\x5b" + n.to_bytes(8, "big")


def encode_end(series: Series) -> list[bytes]:
    """Return an end message."""
    message = {"type": "end", "series_id": series.number, "series_unique_id": series.name}
    return [_SELF_DESCRIBED + cbor2.dumps(message)]
