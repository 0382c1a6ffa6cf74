"""What hub and workers say to each other, as ZeroMQ parts. Pure functions, no sockets."""

from typing import Any

import msgspec
import numpy as np

from braggwatch.processing.frame import Frame, Series
from braggwatch.streamer.messages import Result, State

HELLO = b"hello"
"""worker → hub: here I am; with `Hello`. The hub answers with `SETTINGS`."""
READY = b"ready"
"""worker → hub: kernels are compiled, frames may come."""
ALIVE = b"alive"
"""worker → hub, a few times a second from a socket of its own; with the worker's name."""
RESULT = b"result"
"""worker → hub: a frame is done; with `Result`; now and then the pixels as the worker changed them: float32, packed by
`processing.compression.bslz4_chunk`; and what was integrated, packed by `integrated.pack_integrated`. Either may be
empty, or left out."""
ENDED = b"ended"
"""worker → hub: everything of a series is flushed and closed; with its key."""
BYE = b"bye"
"""worker → hub: gone after `STOP`, nothing is out; with the worker's name."""
SETTINGS = b"settings"
"""hub → worker: the pipeline's settings, as JSON; said again when they change, in force from the next frame on."""
SERIES = b"series"
"""hub → worker, before the first frame of each series."""
FRAME = b"frame"
"""hub → worker: header and packed pixels."""
END = b"end"
"""hub → worker: no more frames of a series; with its key."""
STOP = b"stop"
"""hub → worker: finish what you hold and go."""

MAX_PART_BYTES = 2**26
"""What a worker says is small, and so are the images that it sends; a longer part is not even stored."""

_FOUND_BY_WORKERS = (State.REFUSED, State.BLANK, State.HIT, State.INDEXED, State.FAILED)


class Hello(msgspec.Struct, frozen=True):
    """How a worker introduces itself."""

    name: str
    host: str
    pid: int
    version: str


def _encode_array(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.dtype == bool:
        return {"shape": value.shape, "bits": np.packbits(value).tobytes()}
    raise TypeError(f"{type(value).__name__} does not travel to a worker; only masks of bool do")


def _decode_array(kind: type, value: Any) -> Any:
    ss, fs = value["shape"]
    bits = np.frombuffer(value["bits"], np.uint8)
    if min(ss, fs) < 0 or len(bits) != (ss * fs + 7) // 8:
        raise ValueError(f"a mask of {ss} × {fs} pixels takes {(ss * fs + 7) // 8} bytes, found {len(bits)}")
    return np.unpackbits(bits, count=ss * fs).reshape(ss, fs).astype(bool)


_encoder = msgspec.msgpack.Encoder(enc_hook=_encode_array)
_series_decoder = msgspec.msgpack.Decoder(Series, dec_hook=_decode_array)
_frame_decoder = msgspec.msgpack.Decoder(Frame)
_result_decoder = msgspec.msgpack.Decoder(Result)
_hello_decoder = msgspec.msgpack.Decoder(Hello)


def encode_series(series: Series) -> bytes:
    """Pack a series; its mask goes as one bit a pixel."""
    return _encoder.encode(series)


def decode_series(data: Any) -> Series:
    """Unpack a series."""
    return _series_decoder.decode(data)


def encode_frame(frame: Frame) -> tuple[bytes, Any]:
    """Split a frame into its packed header and its payload, which is not copied."""
    return _encoder.encode(msgspec.structs.replace(frame, payload=None)), frame.payload


def decode_frame(header: Any, payload: Any) -> Frame:
    """Join header and payload."""
    return msgspec.structs.replace(_frame_decoder.decode(header), payload=payload)


def encode_result(result: Result) -> bytes:
    """Pack a result."""
    return _encoder.encode(result)


def decode_result(data: Any) -> Result:
    """Unpack a result; raises msgspec.DecodeError where it is none, or has a state that a worker cannot find out."""
    result = _result_decoder.decode(data)
    if result.state not in _FOUND_BY_WORKERS:
        expected = ", ".join(_FOUND_BY_WORKERS)
        raise msgspec.ValidationError(f"the state of a worker's result is one of {expected}, found {result.state}")
    return result


def encode_hello(hello: Hello) -> bytes:
    """Pack an introduction."""
    return _encoder.encode(hello)


def decode_hello(data: Any) -> Hello:
    """Unpack an introduction."""
    return _hello_decoder.decode(data)
