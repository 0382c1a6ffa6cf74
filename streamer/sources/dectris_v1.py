"""DECTRIS Stream V1: several parts a message, JSON and blobs."""

import json
import re
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from braggwatch.processing.beam import HC
from braggwatch.processing.frame import Encoding, Series
from braggwatch.streamer.sources.bad_message import (
    BadMessageError,
    check_image_size,
    checked_number,
    checked_shape,
    finite,
    pair,
    positive,
    scalars,
    text,
)
from braggwatch.streamer.sources.wire import End, Image, Message

LARGEST_JSON = 2**20
"""Bytes of a JSON part that are read."""

ENCODING = re.compile(r"(?:bs(8|16|32))?-?(lz4)?([<>]?)")
"""``[bs<bits>][[-]lz4][<|>]``: bitshuffled, compressed, byte order; a bare ``<`` is neither."""

DTYPES = ("uint8", "uint16", "uint32", "int8", "int16", "int32", "float32")

NO_DETAIL = "none"


class DectrisV1Decoder:
    """Decodes messages, and waits for the second half of a header that comes in two messages."""

    def __init__(self, max_image_bytes: int = 2**28) -> None:
        """Decode images that unpack to `max_image_bytes` at most."""
        self._max_image_bytes = max_image_bytes
        self._announced: int | None = None

    def __call__(self, parts: list[Any]) -> Message | str:
        """Return what a message says, or the kind of one that says nothing of use. Raises BadMessageError."""
        head = _json(parts[0])
        kind = head.get("htype")
        if kind is None and self._announced is not None and len(parts) == 1:
            number, self._announced = self._announced, None
            return _series(number, head, [], self._max_image_bytes)
        if kind == "dheader-1.0" and len(parts) == 1 and head.get("header_detail") != NO_DETAIL:
            self._announced = checked_number(head.get("series"), "series")
            return "first half of a header"
        self._announced = None
        return _message(head, parts, self._max_image_bytes)


def decode_dectris_v1(parts: list[Any], max_image_bytes: int = 2**28) -> Message | str:
    """Return what the parts (buffers) of one message say, or the type of a message that is of no use here.

    Payloads stay packed. Raises BadMessageError, also for images that would unpack to more than `max_image_bytes`.
    """
    return _message(_json(parts[0]), parts, max_image_bytes)


def _message(head: dict[str, Any], parts: list[Any], max_image_bytes: int) -> Message | str:
    kind = head.get("htype")
    if kind == "dimage-1.0":
        return _image(head, parts, max_image_bytes)
    if kind == "dheader-1.0":
        config = _json(parts[1]) if len(parts) > 1 else {}
        return _series(checked_number(head.get("series"), "series"), config, parts[2:], max_image_bytes)
    if kind == "dseries_end-1.0":
        return End(checked_number(head.get("series"), "series"))
    if kind is None:
        raise BadMessageError("type", "the first part of a Stream V1 message has an htype; is this another protocol?")
    return text(kind) or "unprintable htype"


def _json(part: Any) -> dict[str, Any]:
    view = memoryview(part)
    if view.nbytes > LARGEST_JSON:
        raise BadMessageError("json", f"a part of {view.nbytes} bytes where JSON was expected")
    try:
        value = json.loads(bytes(view))
    except (ValueError, RecursionError) as error:
        raise BadMessageError("json", f"a part is no JSON: {str(error)[:120]}") from None
    if not isinstance(value, dict):
        raise BadMessageError("json", f"a JSON part must be an object, found {type(value).__name__}")
    return value


def _image(head: dict[str, Any], parts: list[Any], max_image_bytes: int) -> Image:
    series = checked_number(head.get("series"), "series")
    number = checked_number(head.get("frame"), "frame")
    try:
        if len(parts) < 3:
            raise BadMessageError("parts", f"an image has at least 3 parts, found {len(parts)}")
        about = _json(parts[1])
        fs, ss = checked_shape(about.get("shape"), "an image's shape")
        dtype = about.get("type")
        if dtype not in DTYPES:
            raise BadMessageError("dtype", f"an image's type must be one of {', '.join(DTYPES)}, found {dtype!r:.40}")
        payload = memoryview(parts[2])
        if about.get("size", payload.nbytes) != payload.nbytes:
            raise BadMessageError("size", f"{about['size']!r:.40} bytes announced, found {payload.nbytes}")
        nbytes = check_image_size((ss, fs), dtype, max_image_bytes)
        encoding, dtype = _encoding(about.get("encoding"), dtype, payload, nbytes)
    except BadMessageError as error:
        raise BadMessageError(error.kind, str(error), series, number) from None
    times = _optional_json(parts, 3)
    start = finite(times.get("start_time"))
    return Image(
        series=series,
        number=number,
        payload=payload,
        shape=(ss, fs),
        dtype=dtype,
        encoding=encoding,
        timestamp=None if start is None else start * 1e-9,
        values=scalars(_optional_json(parts, 4)),
    )


def _optional_json(parts: list[Any], index: int) -> dict[str, Any]:
    """Return a part that matters to nobody's pixels; nothing where it is missing or not JSON."""
    try:
        return _json(parts[index]) if len(parts) > index else {}
    except BadMessageError:
        return {}


def _encoding(name: Any, dtype: str, payload: memoryview, nbytes: int) -> tuple[Encoding, str]:
    """Return how the payload is packed, and the dtype with its byte order."""
    match = ENCODING.fullmatch(name) if isinstance(name, str) and len(name) < 32 else None
    if match is None:
        raise BadMessageError("encoding", f"an encoding looks like bs16-lz4<, lz4< or <, found {name!r:.40}")
    bits, lz4, order = match.groups()
    itemsize = np.dtype(dtype).itemsize
    if order == ">" and itemsize > 1:
        dtype = np.dtype(dtype).newbyteorder(">").str
    if not lz4:
        if bits is not None:
            raise BadMessageError("encoding", f"bitshuffled pixels are expected to be compressed, found {name}")
        if len(payload) != nbytes:
            raise BadMessageError("size", f"uncompressed pixels take {nbytes} bytes, found {len(payload)}")
        return Encoding(), dtype
    if bits is None:
        return Encoding("lz4", "bare"), dtype
    if int(bits) != 8 * itemsize:
        raise BadMessageError("encoding", f"encoding {name} for pixels of {8 * itemsize} bits")
    return Encoding("bslz4", _framing(payload, nbytes)), dtype


def _framing(payload: memoryview, nbytes: int) -> str:
    """Tell from the first bytes which of three ways an emitter frames bitshuffled blocks."""
    if int.from_bytes(payload[:8], "big") == nbytes:
        return "hdf5"
    return "zero_header" if bytes(payload[:12]) == bytes(12) else "headerless"


def _series(number: int, config: dict[str, Any], arrays: list[Any], max_image_bytes: int) -> Series:
    """Make a series from a header's configuration and what follows it: pairs of JSON and blob, perhaps an appendix."""
    shape = None
    if "x_pixels_in_detector" in config and "y_pixels_in_detector" in config:
        shape = checked_shape(
            [config["y_pixels_in_detector"], config["x_pixels_in_detector"]],
            "y_pixels_in_detector, x_pixels_in_detector",
        )
        check_image_size(shape, "uint8", max_image_bytes)
    images, triggers = finite(config.get("nimages")), finite(config.get("ntrigger"))
    frames = None if images is None else int(images) * int(1 if triggers is None else triggers)
    return Series(
        key="",
        number=number,
        n_frames=frames if frames is not None and 0 < frames < 2**53 else None,
        shape=shape,
        dtype={8: "uint8", 16: "uint16", 32: "uint32"}.get(_whole(config.get("bit_depth_image"))),
        photon_energy=_photon_energy(config),
        distance=positive(config.get("detector_distance")),
        beam_center=pair(finite(config.get("beam_center_x")), finite(config.get("beam_center_y"))),
        pixel_size=pair(positive(config.get("x_pixel_size")), positive(config.get("y_pixel_size"))),
        saturation_value=positive(config.get("countrate_correction_count_cutoff")),
        frame_time=positive(config.get("frame_time")),
        count_time=positive(config.get("count_time")),
        sensor_material=text(config.get("sensor_material")) or None,
        sensor_thickness=positive(config.get("sensor_thickness")),
        detector=text(config.get("description")),
        serial_number=text(config.get("detector_number")),
        mask=_mask(arrays, shape),
    )


def _whole(value: Any) -> int:
    return value if type(value) is int else 0


def _photon_energy(config: dict[str, Any]) -> float | None:
    energy = positive(config.get("photon_energy")) or positive(config.get("incident_energy"))
    wavelength = positive(config.get("wavelength"))
    return HC / wavelength if energy is None and wavelength is not None else energy


class _ArrayHead(msgspec.Struct):
    htype: str
    shape: tuple[int, int]
    type: str


def _mask(parts: list[Any], shape: tuple[int, int] | None) -> NDArray[np.bool_] | None:
    """Return where the pixel mask among a header's arrays is not 0; None if there is none."""
    for head, blob in zip(parts[::2], parts[1::2], strict=False):
        try:
            array = msgspec.json.decode(memoryview(head), type=_ArrayHead)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue  # an appendix may hold anything
        if array.htype.removeprefix("d") != "pixelmask-1.0":
            continue
        fs, ss = checked_shape(list(array.shape), "the pixel mask's shape")
        size = memoryview(blob).nbytes
        if array.type != "uint32" or size != 4 * ss * fs:
            raise BadMessageError(
                "mask", f"a mask of {ss, fs} uint32 takes {4 * ss * fs} bytes, found {size} of {array.type:.40}"
            )
        if shape is not None and shape not in ((ss, fs), (fs, ss)):
            raise BadMessageError("mask", f"a pixel mask of {ss, fs} for images of {shape} (ss, fs)")
        mask: NDArray[np.bool_] = np.frombuffer(blob, "<u4").reshape(shape or (ss, fs)) != 0
        return mask
    return None
