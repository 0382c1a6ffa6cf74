"""Pixels as a worker corrected them, a few a second, for those who look at shots."""

import numpy as np

from braggwatch.processing.compression import bslz4_chunk
from braggwatch.processing.shot import Shot
from braggwatch.streamer.messages import State
from braggwatch.streamer.worker_protocol import MAX_PART_BYTES

EVERY_S = 1.5
"""s between two images of one state; there are three states with pixels, so that it comes to two images a second."""


class CorrectedImages:
    """Picks the shots whose pixels are worth sending: packing them costs as much time as finding their spots."""

    def __init__(self) -> None:
        self._next: dict[State, float] = {}

    def pack(self, shot: Shot, state: State, now: float) -> bytes | None:
        """Return a shot's pixels as a chunk of float32, or None.

        None where they are as the detector sent them, where an image of the same state went out a moment ago, where a
        stage put something else in their place, and where they take more than a message may. `now` is in monotonic
        seconds.
        """
        if not shot.pixels_changed or now < self._next.get(state, 0.0):
            return None
        image = np.asarray(shot.image)
        if image.shape != shot.frame.shape or image.dtype.kind not in "iuf":
            return None
        self._next[state] = now + EVERY_S
        packed = bslz4_chunk(image.astype(np.float32, copy=False))
        return packed if len(packed) <= MAX_PART_BYTES else None
