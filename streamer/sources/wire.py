"""What a message says before it is known which run it belongs to; a start message is a `Series` without its key."""

from typing import Any

import msgspec

from braggwatch.processing.frame import Encoding, Series


class Image(msgspec.Struct, kw_only=True, eq=False):
    """One exposure as the detector names it: by its own number of the series."""

    series: int
    name: str = ""
    """Unique id of the series, if the detector sends one."""
    number: int
    payload: Any
    shape: tuple[int, int]
    """``(ss, fs)``."""
    dtype: str
    encoding: Encoding
    timestamp: float | None = None
    values: dict[str, float | int | str] = {}


class End(msgspec.Struct):
    """The detector has sent the last frame of a series."""

    series: int
    name: str = ""


Message = Series | Image | End
