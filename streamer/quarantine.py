"""Frames that killed workers, set aside in files so that somebody can find out why."""

from pathlib import Path
from uuid import uuid4

import msgspec

from braggwatch.processing.frame import Frame, Series
from braggwatch.streamer import worker_protocol as protocol


class Quarantined(msgspec.Struct, frozen=True):
    """What a quarantine file holds, as msgpack."""

    series: bytes
    header: bytes
    payload: bytes


def set_aside(folder: Path, series: Series, frame: Frame) -> str:
    """Write a frame with its series to a new file in `folder` and return the path.

    Raises OSError where it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"series{series.number}_frame{frame.number}_{uuid4().hex[:8]}.msgpack"
    header, payload = protocol.encode_frame(frame)
    packed = msgspec.msgpack.encode(Quarantined(protocol.encode_series(series), header, bytes(payload)))
    try:
        with path.open("xb") as file:
            file.write(packed)
    except OSError:
        path.unlink(missing_ok=True)  # half a frame is of no use, and the disk may be full
        raise
    return str(path)


def read_quarantined(path: Path) -> tuple[Series, Frame]:
    """Read a quarantine file; raises msgspec.DecodeError where it is none."""
    held = msgspec.msgpack.decode(path.read_bytes(), type=Quarantined)
    return protocol.decode_series(held.series), protocol.decode_frame(held.header, held.payload)
