"""A detector that says nothing: when a person should be told, and what."""

import logging
from collections.abc import Callable, Mapping

from braggwatch.streamer.sources.connection import SILENT

log = logging.getLogger(__name__)

PATIENCE_S = 10.0
LOOK_EVERY_S = 1.0
KIND = "silent-detector"
"""The kind of notice that viewers get."""


class SilenceWatch:
    """Finds out that nothing comes although something should.

    That is so before the first message, in the midst of a series, and whenever the connection does not stand. Between
    two series a detector that is connected may be silent for as long as it likes.
    """

    def __init__(self, reasons: Callable[[], Mapping[str, str]]) -> None:
        """`reasons` says for each address why nothing may be coming: `Source.silence`."""
        self._reasons = reasons
        self._n_messages = 0
        self._since: float | None = None
        self._look_at = float("-inf")
        self._text = ""
        self._logged: set[str] = set()

    def look(self, now: float, n_messages: int, *, listening: bool, in_series: bool) -> str:
        """Return what a person should be told of the silence, in a sentence; empty while all is well.

        At the time `now` (monotonic s), `n_messages` have come; `listening`: somebody is there to take them;
        `in_series`: more are expected. Each silence is logged once.
        """
        if now >= self._look_at:
            self._look_at = now + LOOK_EVERY_S
            self._text = self._look(now, n_messages, listening, in_series)
        return self._text

    def _look(self, now: float, n_messages: int, listening: bool, in_series: bool) -> str:
        reasons = self._reasons()  # asked each time, so that what happens to the connections does not pile up
        if n_messages != self._n_messages:
            self._n_messages, self._since = n_messages, None
            self._logged.clear()
        if not listening:
            self._since = None
            return ""
        self._since = now if self._since is None else self._since
        if now - self._since < PATIENCE_S:
            return ""
        text = "; ".join(
            f"no message from {address} for {PATIENCE_S:.0f} s: {why}"
            for address, why in reasons.items()
            if in_series or not n_messages or why != SILENT
        )
        if text and text not in self._logged:
            log.warning("%s", text)
            self._logged.add(text)
        return text
