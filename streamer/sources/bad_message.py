"""What a decoder raises for a message that cannot be used, and the checks that several protocols share."""

import math
from contextlib import suppress
from typing import Any

import msgspec

from braggwatch.processing.frame import image_nbytes

LARGEST_NUMBER = 2**53
"""Series and frame numbers lie below this, so that every language that reads our results can hold them."""

LONGEST_JSON = 2**16
"""Characters of a text with JSON in it that are read."""
MOST_CODES = 64
"""How long a list of integers may be that comes with a frame."""


class BadMessageError(Exception):
    """A message that cannot be used: `kind` is a short stable name to count by, the text says the rest in one line."""

    def __init__(self, kind: str, reason: str, series: int | None = None, number: int | None = None) -> None:
        super().__init__(reason)
        self.kind = kind
        self.series = series
        self.number = number


def checked_number(value: Any, what: str) -> int:
    """Return `value` if it can count series or frames."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < LARGEST_NUMBER:
        return value
    raise BadMessageError("number", f"{what} must be an integer from 0 to 2^53, found {_short(value)}")


def checked_shape(value: Any, what: str) -> tuple[int, int]:
    """Return `value` as a pair of positive integers, in the order in which it came."""
    if isinstance(value, list) and len(value) == 2 and all(type(n) is int and 0 < n < 2**31 for n in value):
        return value[0], value[1]
    raise BadMessageError("shape", f"{what} must be two positive integers, found {_short(value)}")


def check_image_size(shape: tuple[int, int], dtype: str, limit: int) -> int:
    """Return how many bytes the image takes unpacked; raise BadMessageError above `limit` bytes."""
    nbytes = image_nbytes(shape, dtype)
    if nbytes > limit:
        raise BadMessageError(
            "size", f"an image of {shape} {dtype} takes {nbytes} bytes, source.max_image_bytes allows {limit}"
        )
    return nbytes


def positive(value: Any) -> float | None:
    """Return a finite positive number as float, None for anything else: detectors say 0 for what they do not know."""
    number = finite(value)
    return number if number is not None and number > 0 else None


def finite(value: Any) -> float | None:
    """Return a finite number as float, None for anything else."""
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**63:
        return float(value) if math.isfinite(value) else None
    return None


def text(value: Any) -> str:
    """Return a short printable string as it is, the empty string for anything else."""
    return value if isinstance(value, str) and len(value) <= 256 and value.isprintable() else ""


def pair(first: float | None, second: float | None) -> tuple[float, float] | None:
    """Return both numbers, or None where one is missing."""
    return None if first is None or second is None else (first, second)


def scalars(value: Any) -> dict[str, float | int | str]:
    """Return what shots can be told apart by in a mapping, or a JSON text of one, of at most 100 items.

    There are no values in anything else. Taken are numbers, short strings, True and False as 1 and 0, and short lists
    of integers, such as event codes, as their numbers with blanks between them.
    """
    if isinstance(value, str) and len(value) <= LONGEST_JSON:
        with suppress(msgspec.DecodeError, RecursionError):
            value = msgspec.json.decode(value)
    if not isinstance(value, dict) or len(value) > 100:
        return {}
    kept = ((key, _scalar(item)) for key, item in value.items() if text(key))
    return {key: item for key, item in kept if item is not None}


def _scalar(value: Any) -> float | int | str | None:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str):
        return value if text(value) == value else None
    if isinstance(value, list):
        whole = len(value) <= MOST_CODES and all(type(n) is int and abs(n) < 2**63 for n in value)
        return " ".join(map(str, value)) if whole else None
    return value if finite(value) is not None else None


def _short(value: Any) -> str:
    shown = repr(value) if isinstance(value, int | float | str | list | tuple) else type(value).__name__
    return shown if len(shown) <= 80 else shown[:77] + "..."
