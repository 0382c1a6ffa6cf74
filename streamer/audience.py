"""Who listens to the hub."""

from typing import Any, Protocol

from braggwatch.processing.frame import Frame, Series
from braggwatch.streamer.ledger import LedgerCounts
from braggwatch.streamer.messages import Result, State


class Audience(Protocol):
    """Who is told what happens in the hub: record, statistics, feed. Nothing here may block."""

    def series_began(self, series: Series) -> None:
        """A series has begun."""

    def frame_arrived(self, n_bytes: int) -> None:
        """A frame has arrived."""

    def frame_done(self, result: Result, latency: float, frame: Frame, corrected: Any) -> None:
        """A result is there, so many seconds after its frame arrived.

        `corrected` are the pixels that were looked at, as `bslz4_chunk` packs float32, where the worker changed them
        and sent them along; None otherwise. They and the frame's payload may be kept: nobody changes them any more.
        """

    def integrated(self, packed: bytes) -> None:
        """What was integrated in the shot that was done last, as `integrated.pack_integrated` packs it."""

    def frames_lost(self, series: str, numbers: range, state: State, reason: str) -> None:
        """The way of some frames ended without a result."""

    def warned(self, kind: str, text: str) -> None:
        """Something happened that a person should know; once a kind is enough."""

    def worker_lost(self, name: str) -> None:
        """A worker died; the engine starts it again."""

    def series_ended(self, counts: LedgerCounts) -> None:
        """A series is over and everything of it is written."""
