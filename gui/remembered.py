"""What the window remembers between two starts, in a small file of the user's."""

import base64
import binascii
import contextlib
import zlib
from pathlib import Path

import msgspec

MAX_BYTES = 2**20


class Remembered(msgspec.Struct, frozen=True, kw_only=True):
    """How the user left the window."""

    theme: str = "dark"
    preset: str = "control room"
    by_hand: bool = True
    """Whether the user has moved docks; otherwise the preset is laid out anew where the window has another size."""
    height: int = 0
    """The window's, px, for which the preset was laid out."""
    docks: tuple[str, ...] = ()
    """All docks that there were; with others, `state` means nothing."""
    geometry: str = ""
    """Where the window was, in Qt's form, base64."""
    state: str = ""
    """Where the docks were, likewise."""
    checked: dict[str, bool] = {}
    """What is switched on and off, by the action's name."""
    chosen: dict[str, dict[str, str]] = {}
    """What was chosen in each panel, `Panel.chosen` by the panel's name."""
    checksum: int = 0
    """Of `geometry` and `state`: what is damaged is not given to Qt, which believes its own form."""

    def unpacked(self) -> tuple[bytes, bytes] | None:
        """Return `geometry` and `state`; None where they are damaged or not there."""
        try:
            geometry, state = (base64.b64decode(text, validate=True) for text in (self.geometry, self.state))
        except (binascii.Error, ValueError):
            return None
        return (geometry, state) if state and zlib.crc32(geometry + state) == self.checksum else None

    def with_layout(self, geometry: bytes, state: bytes) -> "Remembered":
        """Return the same with another layout."""
        packed = [base64.b64encode(part).decode() for part in (geometry, state)]
        return msgspec.structs.replace(self, geometry=packed[0], state=packed[1], checksum=zlib.crc32(geometry + state))


def recall(path: Path) -> Remembered:
    """Read what was remembered; what is missing, damaged or somebody else's counts as nothing."""
    try:
        if path.stat().st_size > MAX_BYTES:
            return Remembered()
        return msgspec.json.decode(path.read_bytes(), type=Remembered)
    except (OSError, msgspec.MsgspecError, UnicodeError, RecursionError, ValueError):
        return Remembered()


def remember(path: Path, remembered: Remembered) -> None:
    """Write it; a disk that is full or not writable costs the memory, nothing else."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        new.write_bytes(msgspec.json.format(msgspec.json.encode(remembered)))
        new.replace(path)
