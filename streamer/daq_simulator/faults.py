"""Which frame is hit by which fault."""

import enum
import random

from braggwatch.streamer.daq_simulator.settings import FaultSettings


class Fault(enum.Enum):
    """What happens to one frame."""

    NONE = enum.auto()
    SKIP = enum.auto()
    TRUNCATE = enum.auto()
    DUPLICATE = enum.auto()


class FaultPlan:
    """The faults of one series, frame by frame; the same seed and series give the same faults."""

    def __init__(self, settings: FaultSettings, series: int) -> None:
        self._settings = settings
        self._chances = (
            (settings.skip, Fault.SKIP),
            (settings.truncate, Fault.TRUNCATE),
            (settings.duplicate, Fault.DUPLICATE),
        )
        self._random = random.Random(f"{settings.seed} {series}")

    def next(self) -> Fault:
        """Return what happens to the next frame."""
        for chance, fault in self._chances:
            if chance and self._random.random() < chance:
                return fault
        return Fault.NONE

    def garbage(self) -> bytes | None:
        """Return random bytes that follow this frame, or None."""
        if self._settings.garbage and self._random.random() < self._settings.garbage:
            return self._random.randbytes(self._random.randrange(1, 300))
        return None

    def cut(self, n_bytes: int) -> int:
        """Return how many bytes are left of the pixels' `n_bytes`."""
        return self._random.randrange(n_bytes)
