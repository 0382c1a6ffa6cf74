"""Which shot is meant."""

from typing import NamedTuple


class ShotKey(NamedTuple):
    """A shot of a run."""

    series: str
    """`processing.frame.Series.key`."""
    number: int
