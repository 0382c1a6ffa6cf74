"""Which shots go onto the feed with their pixels, and as what."""

from collections.abc import Mapping
from typing import Any

from braggwatch.processing.frame import Encoding, Frame
from braggwatch.streamer.messages import Result, State
from braggwatch.streamer.picture_messages import ImageKind, ShotImage

MAX_PACKED_BYTES = 64 * 2**20
"""Shots whose packed pixels take more are not sent."""

_KINDS: Mapping[State, ImageKind] = {State.BLANK: "blank", State.HIT: "hit", State.INDEXED: "indexed"}
_SHARES: Mapping[ImageKind, float] = {"blank": 0.25, "hit": 0.375, "indexed": 0.375}
"""Each kind has its own part of the images a second, so that blanks never take the place of hits."""
_CORRECTED = Encoding("bslz4", "hdf5")


class ShotImages:
    """Picks shots to be sent with the detector's own packed pixels, so many a second; nothing is unpacked or copied."""

    def __init__(self, per_s: float) -> None:
        """`per_s`: images a second in all; 0 for none."""
        self._every = {kind: 1 / (share * per_s) for kind, share in _SHARES.items() if per_s > 0}
        self._last = dict.fromkeys(self._every, float("-inf"))

    def pick(self, result: Result, frame: Frame, corrected: Any, now: float) -> ShotImage | None:
        """Return the shot as a message, if it is time for one of its kind.

        `corrected` are the pixels as the worker changed and packed them, or None; a shot whose pixels were changed is
        sent with these or not at all. `now` is in s since 1970, and stands in the message.
        """
        kind = _KINDS.get(result.state)
        # A clock that was set back must not keep images away.
        if kind is None or kind not in self._every or 0 <= now - self._last[kind] < self._every[kind]:
            return None
        if result.pixels_changed and corrected is None:
            return None
        pixels = memoryview(frame.payload if corrected is None else corrected)
        if pixels.nbytes > MAX_PACKED_BYTES:
            return None
        self._last[kind] = now
        return ShotImage(
            kind=kind, result=result, time=now, shape=frame.shape,
            dtype=frame.dtype if corrected is None else "float32",
            encoding=frame.encoding if corrected is None else _CORRECTED,
            payload=pixels.cast("B") if pixels.nbytes else b"",  # type: ignore[arg-type]
        )  # fmt: skip
