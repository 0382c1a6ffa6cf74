"""The frames that wait in the hub for a worker, in bounded memory."""

from collections import deque
from collections.abc import Iterator

from braggwatch.streamer.hub_settings import Drop
from braggwatch.streamer.workforce import Entry


class FrameQueue:
    """Frames in the order in which they came, and the bytes that they take."""

    def __init__(self, drop: Drop, most_bytes: int) -> None:
        """`drop` says which frames are given up where they take more than `most_bytes`."""
        self.n_bytes = 0
        self._drop = drop
        self._most_bytes = most_bytes
        self._entries: deque[Entry] = deque()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def has_room(self) -> bool:
        """Whether a frame more may come; where surplus ones are dropped it always may."""
        return self._drop != "never" or self.n_bytes < self._most_bytes

    def append(self, entry: Entry) -> None:
        """Add a frame that has come."""
        self._entries.append(entry)
        self.n_bytes += entry.size

    def put_back(self, entry: Entry) -> None:
        """Add one that was taken out: it is the next again."""
        self._entries.appendleft(entry)
        self.n_bytes += entry.size

    def take(self) -> Entry:
        """Take the oldest one out. Raises IndexError where there is none."""
        return self._taken(self._entries.popleft())

    def surplus(self) -> Iterator[Entry]:
        """Take out what is to be dropped; one frame stays, however large."""
        while self._drop != "never" and self.n_bytes > self._most_bytes and len(self._entries) > 1:
            yield self._taken(self._entries.popleft() if self._drop == "oldest" else self._entries.pop())

    def empty(self) -> list[Entry]:
        """Take all out, oldest first."""
        entries = list(self._entries)
        self._entries.clear()
        self.n_bytes = 0
        return entries

    def _taken(self, entry: Entry) -> Entry:
        self.n_bytes -= entry.size
        return entry
