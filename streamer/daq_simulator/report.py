"""What the simulated detector truly did, to compare with what a processor says."""

from pathlib import Path

import msgspec


class SentSeries(msgspec.Struct):
    """One series; frame numbers count from 0."""

    number: int
    name: str
    n_frames: int
    """Frames ordered."""
    reached: int = 0
    """Frames whose turn came before the series ended or broke off."""
    skipped: list[int] = msgspec.field(default_factory=list)
    """Never sent."""
    not_taken: list[int] = msgspec.field(default_factory=list)
    """Nobody took them."""
    truncated: list[int] = msgspec.field(default_factory=list)
    """Sent without the end of their pixels."""
    duplicated: list[int] = msgspec.field(default_factory=list)
    """Sent twice."""
    garbage: int = 0
    """Messages of random bytes sent in between."""
    ended: bool = False
    """An end message was sent."""

    @property
    def whole(self) -> int:
        """How many frames were sent undamaged."""
        return self.reached - len(self.skipped) - len(self.not_taken) - len(self.truncated)


class SimulatorReport(msgspec.Struct):
    """Everything that was sent."""

    series: list[SentSeries] = msgspec.field(default_factory=list)

    def write(self, path: Path) -> None:
        """Write the report as JSON."""
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1))

    @classmethod
    def read(cls, path: Path) -> "SimulatorReport":
        """Read what `write` wrote."""
        return msgspec.json.decode(path.read_bytes(), type=cls)
