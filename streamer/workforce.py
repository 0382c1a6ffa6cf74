"""The hub's view of its workers: who is there, what each holds, who has gone silent."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from braggwatch.processing.frame import Frame
from braggwatch.streamer.worker_protocol import Hello


@dataclass(eq=False)
class Entry:
    """A frame in the hub, from its arrival until its result is there."""

    frame: Frame
    arrived: float
    """Monotonic seconds."""
    size: int
    """Bytes that it takes in memory, the packed pixels and all else."""
    crashes: int = 0
    """How many workers died over it."""


@dataclass(eq=False)
class Member:
    """One worker."""

    identity: bytes
    """Its address on the hub's socket."""
    hello: Hello
    last_alive: float
    ready: bool = False
    """Its kernels are compiled."""
    series: set[str] = field(default_factory=set)
    """Which series it has been told of."""
    out: deque[Entry] = field(default_factory=deque)
    """Frames that it holds, oldest first: it works on the first."""
    working_since: float = 0.0
    """When it began with the first of them, monotonic seconds."""

    @property
    def name(self) -> str:
        """The name that the engine gave it."""
        return self.hello.name


class Workforce:
    """All workers, and in which order they are due for a frame."""

    def __init__(self, credits: int) -> None:
        """`credits`: how many frames a worker holds at most, the one it works on included."""
        self._credits = credits
        self._members: dict[bytes, Member] = {}
        self._due: deque[Member] = deque()

    def __iter__(self) -> Iterator[Member]:
        return iter(self._members.values())

    def __len__(self) -> int:
        return len(self._members)

    def get(self, identity: bytes) -> Member | None:
        """Return the worker behind a socket address."""
        return self._members.get(identity)

    def named(self, name: str) -> Member | None:
        """Return the worker of a name."""
        return next((member for member in self if member.name == name), None)

    def join(self, identity: bytes, hello: Hello, now: float) -> Member:
        """Take in a worker; it gets no frames before it is ready."""
        member = self._members[identity] = Member(identity, hello, now)
        return member

    def ready(self, member: Member) -> None:
        """Give a worker its credits, once."""
        if not member.ready:
            member.ready = True
            self._due.extend([member] * self._credits)

    def leave(self, member: Member) -> None:
        """Forget a worker."""
        self._members.pop(member.identity, None)
        self._due = deque(other for other in self._due if other is not member)

    def next_due(self) -> Member | None:
        """Return the worker that has waited longest for a frame, if one has a credit left."""
        return self._due.popleft() if self._due else None

    def hand_out(self, member: Member, entry: Entry, now: float) -> None:
        """Note that a worker got a frame."""
        if not member.out:
            member.working_since = now
        member.out.append(entry)

    def hand_in(self, member: Member, series: str, number: int, now: float) -> Entry | None:
        """Note a worker's result and give it the credit back; None where it did not hold that frame."""
        for entry in member.out:
            if entry.frame.number == number and entry.frame.series == series:
                break
        else:
            return None
        member.out.remove(entry)
        member.working_since = now
        self._due.append(member)
        return entry

    def silent(self, now: float, longer_than: float) -> list[Member]:
        """Return the workers that have not been heard of for so many seconds.

        One that still compiles its kernels may be short of breath; if it dies over it, its successor takes its place.
        """
        return [member for member in self if member.ready and now - member.last_alive > longer_than]

    def stuck(self, now: float, longer_than: float) -> list[Member]:
        """Return the workers that have been busy with one frame for so many seconds."""
        return [member for member in self if member.out and now - member.working_since > longer_than]
