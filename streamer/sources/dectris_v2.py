"""DECTRIS Stream V2 and PSI's Jungfraujoch: one CBOR map a message."""

from datetime import datetime
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from braggwatch.processing.beam import HC
from braggwatch.processing.decompression import decompress
from braggwatch.processing.frame import Series
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
from braggwatch.streamer.sources.cbor_arrays import PackedArray, packed_array
from braggwatch.streamer.sources.cbor_reader import CborError, Tagged, read_cbor
from braggwatch.streamer.sources.wire import End, Image, Message

DEFAULT_CHANNEL = "threshold_1"
_PULSE = ("xfel_pulse_id", "xfel_event_code")


class DectrisV2Decoder:
    """Knows which threshold channel is wanted, and counts the messages that are of no use here."""

    def __init__(self, channel: str | None = None, max_image_bytes: int = 2**28) -> None:
        """Decode images of one `channel` that unpack to `max_image_bytes` at most.

        Without a channel it is threshold_1, or the only one that there is.
        """
        self._channel = channel
        self._max_image_bytes = max_image_bytes

    def __call__(self, parts: list[Any]) -> Message | str:
        """Return what a message says, or the kind of one that says nothing of use. Raises BadMessageError."""
        return decode_dectris_v2(parts, self._channel, self._max_image_bytes)


def decode_dectris_v2(parts: list[Any], channel: str | None = None, max_image_bytes: int = 2**28) -> Message | str:
    """Return what the parts (buffers) of one message say, or the type of a message that is of no use here.

    Payloads stay packed and are memoryviews into the message. `channel` chooses the threshold; None takes
    threshold_1 or the only one. Raises BadMessageError, also for images that would unpack to more than
    `max_image_bytes`.
    """
    if len(parts) != 1:
        raise BadMessageError("parts", f"a Stream V2 message has one part, found {len(parts)}")
    try:
        message = read_cbor(parts[0])
    except CborError as error:
        raise BadMessageError("cbor", str(error), *_legible(error.partial)) from None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise BadMessageError("type", "a Stream V2 message is a map with a type; is this another protocol?")
    kind = message["type"]
    if kind == "image":
        return _image(message, channel, max_image_bytes)
    if kind == "start":
        return _start(message, channel, max_image_bytes)
    if kind == "end":
        return End(checked_number(message.get("series_id"), "series_id"), text(message.get("series_unique_id")))
    return text(kind) or "unprintable type"


def _legible(partial: dict[Any, Any]) -> tuple[int | None, int | None]:
    """Return series and frame number as far as a damaged message still shows them."""
    try:
        series = checked_number(partial.get("series_id"), "series_id")
        return series, checked_number(partial.get("image_id"), "image_id")
    except BadMessageError:
        return None, None


def _image(message: dict[Any, Any], channel: str | None, max_image_bytes: int) -> Image:
    series = checked_number(message.get("series_id"), "series_id")
    number = checked_number(message.get("image_id"), "image_id")
    try:
        array = packed_array(_chosen(message.get("data"), channel))
        nbytes = check_image_size(array.shape, array.dtype, max_image_bytes)
        _check_payload(array, nbytes)
    except BadMessageError as error:
        raise BadMessageError(error.kind, str(error), series, number) from None
    return Image(
        series=series,
        name=text(message.get("series_unique_id")),
        number=number,
        payload=array.payload,
        shape=array.shape,
        dtype=array.dtype,
        encoding=array.encoding,
        timestamp=_exposure_start(message),
        values=_values(message),
    )


def _values(message: dict[Any, Any]) -> dict[str, float | int | str]:
    """Return what the user sent with an image, as a map or in JSON, and what Jungfraujoch says of the pulse."""
    user_data = message.get("user_data")
    values = scalars(user_data) if user_data else {}
    for key in _PULSE:
        if key in message:
            values.update(scalars({key: message[key]}))
    return values


def _chosen(data: Any, channel: str | None) -> Any:
    if not isinstance(data, dict) or not data:
        raise BadMessageError("data", "an image must have data: a map from channels to arrays")
    wanted = channel or DEFAULT_CHANNEL
    if wanted in data:
        return data[wanted]
    if channel is None and len(data) == 1:
        return next(iter(data.values()))
    found = ", ".join(str(name)[:40] for name in list(data)[:10])
    raise BadMessageError("channel", f"no channel {wanted} in the image, found {found}; source.channel chooses another")


def _check_payload(array: PackedArray, nbytes: int) -> None:
    """Check what can be told of a payload's size without looking further than its first bytes."""
    if array.encoding.algorithm == "none":
        if len(array.payload) != nbytes:
            raise BadMessageError(
                "size", f"{array.shape} {array.dtype} takes {nbytes} bytes, found {len(array.payload)}"
            )
    elif int.from_bytes(array.payload[:8], "big") != nbytes:
        total = int.from_bytes(array.payload[:8], "big")
        raise BadMessageError("size", f"{array.shape} {array.dtype} takes {nbytes} bytes, its packed form says {total}")


def _exposure_start(message: dict[Any, Any]) -> float | None:
    """Return when the exposure started, s since 1970, or since the series started where that has no date."""
    match message.get("start_time"):
        case [int() as count, int() as unit] if unit > 0 and count < 2**63:
            since = count / unit
        case _:
            return None
    date = message.get("series_date")
    if isinstance(date, Tagged) and isinstance(date.value, str) and (epoch := _epoch(date.value)) is not None:
        return epoch + since
    return since


@lru_cache(maxsize=8)
def _epoch(date: str) -> float | None:
    try:
        return datetime.fromisoformat(date).timestamp()
    except (ValueError, OverflowError):
        return None


def _start(message: dict[Any, Any], channel: str | None, max_image_bytes: int) -> Series:
    shape = None
    if "image_size_x" in message and "image_size_y" in message:
        shape = checked_shape([message["image_size_y"], message["image_size_x"]], "image_size_y, image_size_x")
        check_image_size(shape, "uint8", max_image_bytes)
    dtype = message.get("image_dtype")
    frames = finite(message.get("number_of_images"))
    error_value = message.get("error_value")
    return Series(
        key="",
        number=checked_number(message.get("series_id"), "series_id"),
        name=text(message.get("series_unique_id")),
        n_frames=int(frames) if frames is not None and frames > 0 else None,
        shape=shape,
        dtype=dtype if dtype in _IMAGE_DTYPES else None,
        photon_energy=_photon_energy(message),
        distance=_distance(message),
        beam_center=pair(finite(message.get("beam_center_x")), finite(message.get("beam_center_y"))),
        pixel_size=pair(positive(message.get("pixel_size_x")), positive(message.get("pixel_size_y"))),
        saturation_value=positive(message.get("saturation_value")),
        error_value=error_value if type(error_value) is int and abs(error_value) < 2**63 else None,
        frame_time=positive(message.get("frame_time")),
        count_time=positive(message.get("count_time")),
        sensor_material=text(message.get("sensor_material")) or None,
        sensor_thickness=positive(message.get("sensor_thickness")),
        detector=text(message.get("detector_description")),
        serial_number=text(message.get("detector_serial_number")),
        mask=_mask(message.get("pixel_mask"), channel, shape, max_image_bytes),
    )


_IMAGE_DTYPES = ("uint8", "uint16", "uint32", "int8", "int16", "int32")


def _photon_energy(message: dict[Any, Any]) -> float | None:
    energy, wavelength = positive(message.get("incident_energy")), positive(message.get("incident_wavelength"))
    if energy is None and wavelength is not None:
        return HC / wavelength
    return energy


def _distance(message: dict[Any, Any]) -> float | None:
    """Return Jungfraujoch's detector_distance, or how far the detector was moved along the beam."""
    match message.get("detector_translation"):
        case [_, _, z] if finite(z) is not None:
            return positive(message.get("detector_distance")) or positive(abs(z))
        case _:
            return positive(message.get("detector_distance"))


def _mask(
    masks: Any, channel: str | None, shape: tuple[int, int] | None, max_image_bytes: int
) -> NDArray[np.bool_] | None:
    """Return where the wanted channel's pixel mask is not 0."""
    if not isinstance(masks, dict) or not masks:
        return None
    array = packed_array(_chosen(masks, channel))
    if shape is not None and array.shape != shape:
        raise BadMessageError("mask", f"a pixel mask of {array.shape} for images of {shape} (ss, fs)")
    check_image_size(array.shape, array.dtype, max_image_bytes)
    values = np.empty(array.shape, np.dtype(array.dtype).newbyteorder("="))
    try:
        decompress(array.payload, array.encoding, array.shape, array.dtype, values)
    except ValueError as error:
        raise BadMessageError("mask", f"the pixel mask cannot be unpacked: {error}") from None
    mask: NDArray[np.bool_] = values != 0
    return mask
