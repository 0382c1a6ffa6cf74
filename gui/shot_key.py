"""Which shot is meant."""

from typing import NamedTuple, Self

from braggwatch.streamer.messages import Result


class ShotKey(NamedTuple):
    """A shot of a run."""

    series: str
    """`processing.frame.Series.key`."""
    number: int

    @classmethod
    def of(cls, result: Result) -> Self:
        """Return which shot a result is of."""
        return cls(result.series, result.number)
