"""Reads CBOR (RFC 8949) without copying byte strings.

Our own, where a library would do for anything else: a frame's pixels are a byte string of a megabyte or more, which
cbor2 copies, and what arrives here is not to be trusted, while a library turns bignums, decimals and regular
expressions into objects on its own account. Here a tag is a tag, and nothing is taken that the message does not hold.
"""

import struct
from typing import Any, NamedTuple

DEEPEST = 16
"""Levels of nesting that are followed."""

MOST_ITEMS = 2**18
"""Items that a message may hold, a byte string counting as one."""

SELF_DESCRIBED = 55799
"""The tag that says only: this is CBOR."""

_FLOATS = {25: struct.Struct(">e"), 26: struct.Struct(">f"), 27: struct.Struct(">d")}
_SIMPLE = {20: False, 21: True, 22: None, 23: None}
_INDEFINITE = -1


class Tagged(NamedTuple):
    """A value behind a tag."""

    tag: int
    value: Any


def read_cbor(buffer: Any) -> Any:
    """Return the one value that `buffer` holds; byte strings are memoryviews into it.

    Maps become dict (keys int or str), arrays list, null and undefined None, tags `Tagged`, but for 55799, which is
    dropped. Raises CborError.
    """
    view = memoryview(buffer).cast("B")
    reader = _Reader(view)
    try:
        value = reader.item(0)
    except IndexError:
        raise CborError(f"the message ends at byte {len(view)}, expected more", reader.outermost) from None
    except (UnicodeDecodeError, _DamageError) as error:
        raise CborError(f"no valid CBOR near byte {reader.at} of {len(view)}: {error}", reader.outermost) from None
    if reader.at != len(view):
        raise CborError(f"{len(view) - reader.at} bytes follow the CBOR value, expected none", reader.outermost)
    return value


class CborError(ValueError):
    """Not valid CBOR, or more of it than is taken."""

    def __init__(self, reason: str, partial: dict[int | str, Any] | None) -> None:
        super().__init__(reason)
        self.partial = partial or {}
        """What the outermost map held ahead of the damage."""


class _DamageError(Exception):
    """Found inside the reader; it does not know what the outermost map holds."""


class _Reader:
    __slots__ = ("at", "items", "outermost", "view")

    def __init__(self, view: memoryview) -> None:
        self.view = view
        self.at = 0
        self.items = 0
        self.outermost: dict[int | str, Any] | None = None

    def item(self, depth: int) -> Any:
        view, start = self.view, self.at
        head = view[start]
        self.at = start + 1
        major, info = head >> 5, head & 31
        if major == 7:
            return self.simple(info)
        n = info if info < 24 else self.argument(major, info)
        if major == 0:
            return n
        if major == 1:
            return -1 - n
        if major <= 3:
            return self.string(major, n)
        self.items += 1
        if depth == DEEPEST or self.items > MOST_ITEMS:
            raise _DamageError(
                f"more than {DEEPEST} levels or {MOST_ITEMS} items, found at byte {start} of {len(view)}"
            )
        if major == 4:
            return self.array(n, depth + 1)
        if major == 5:
            return self.map(n, depth + 1)
        value = self.item(depth + 1)
        return value if n == SELF_DESCRIBED else Tagged(n, value)

    def argument(self, major: int, info: int) -> int:
        if info <= 27:
            return int.from_bytes(self.take(1 << (info - 24)), "big")
        if info == 31 and 2 <= major <= 5:
            return _INDEFINITE
        raise _DamageError(f"reserved head {major << 5 | info:#x} at byte {self.at - 1}")

    def take(self, n: int) -> memoryview:
        start, end = self.at, self.at + n
        if end > len(self.view):
            raise _DamageError(f"{n} bytes expected from byte {start}, found {len(self.view) - start}")
        self.at = end
        return self.view[start:end]

    def string(self, major: int, n: int) -> Any:
        if n != _INDEFINITE:
            piece = self.take(n)
            return str(piece, "utf-8") if major == 3 else piece
        pieces = []
        while not self.at_break():
            if self.view[self.at] >> 5 != major or self.view[self.at] & 31 == 31:
                raise _DamageError(f"a string of pieces holds something else at byte {self.at}")
            self.check_count(1)
            pieces.append(self.item(DEEPEST))
        return "".join(pieces) if major == 3 else memoryview(b"".join(pieces))

    def array(self, n: int, depth: int) -> list[Any]:
        self.check_count(n)
        if n != _INDEFINITE:
            return [self.item(depth) for _ in range(n)]
        values = []
        while not self.at_break():
            self.check_count(1)
            values.append(self.item(depth))
        return values

    def map(self, n: int, depth: int) -> dict[int | str, Any]:
        self.check_count(n)
        values: dict[int | str, Any] = {}
        if self.outermost is None:
            self.outermost = values
        while n > 0 or (n == _INDEFINITE and not self.at_break()):
            key = self.item(depth)
            if type(key) is not str and type(key) is not int:
                raise _DamageError(f"a map's key must be text or an integer, found {type(key).__name__}")
            values[key] = self.item(depth)
            if n == _INDEFINITE:
                self.check_count(1)
            else:
                n -= 1
        return values

    def check_count(self, n: int) -> None:
        """Refuse more items than there are bytes left, or than any message may hold, before the first is read."""
        self.items += max(n, 0)
        if n > len(self.view) - self.at or self.items > MOST_ITEMS:
            raise _DamageError(
                f"{n} items announced at byte {self.at} of {len(self.view)}, at most {MOST_ITEMS} may come"
            )

    def at_break(self) -> bool:
        if self.view[self.at] != 0xFF:
            return False
        self.at += 1
        return True

    def simple(self, info: int) -> Any:
        if info in _FLOATS:
            return _FLOATS[info].unpack(self.take(1 << (info - 24)))[0]
        if info in _SIMPLE:
            return _SIMPLE[info]
        raise _DamageError(f"unknown simple value {info} at byte {self.at - 1}")
