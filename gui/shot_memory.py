"""The last shots that came with their pixels, as many as there is room for. Free of Qt."""

from collections import deque
from collections.abc import Iterator
from itertools import takewhile

from braggwatch.gui.shot_key import ShotKey
from braggwatch.streamer.picture_messages import ShotImage

MAX_BYTES = 128 * 2**20
"""Of packed pixels: some hundred shots, blanks among them."""
MAX_SHOTS = 5000
"""However small they are, or without pixels at all."""


class ShotMemory:
    """Oldest first."""

    def __init__(self) -> None:
        self._shots: deque[ShotImage] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._shots)

    def __iter__(self) -> Iterator[ShotImage]:
        return iter(self._shots)

    def __reversed__(self) -> Iterator[ShotImage]:
        return reversed(self._shots)

    def find(self, key: ShotKey) -> ShotImage | None:
        """Return a shot; None where it is not remembered."""
        return next((shot for shot in reversed(self._shots) if ShotKey.of(shot.result) == key), None)

    def add(self, shot: ShotImage) -> bool:
        """Remember the newest shot, and forget the oldest ones where there is no room; False where it is known."""
        if self.find(ShotKey.of(shot.result)) is not None:
            return False
        self._shots.append(shot)
        self._bytes += len(shot.payload)
        while len(self._shots) > 1 and not self._has_room():
            self._bytes -= len(self._shots.popleft().payload)
        return True

    def has_room_for(self, shot: ShotImage) -> bool:
        """Tell whether a shot can be remembered without another one being forgotten."""
        return self._has_room(1, len(shot.payload))

    def insert(self, shot: ShotImage) -> bool:
        """Remember a shot from before those of its time; False where it is known, or where there is no room."""
        if self.find(ShotKey.of(shot.result)) is not None or not self.has_room_for(shot):
            return False
        older = sum(1 for _ in takewhile(lambda other: other.time < shot.time, self._shots))
        self._shots.insert(older, shot)
        self._bytes += len(shot.payload)
        return True

    def _has_room(self, shots: int = 0, n_bytes: int = 0) -> bool:
        return len(self._shots) + shots <= MAX_SHOTS and self._bytes + n_bytes <= MAX_BYTES
