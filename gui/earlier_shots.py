"""The last hits from before the window came, fetched so that strip, residuals and tuning need not begin with nothing.

A late viewer, and one of a record, has heard of only two shots with their pixels: the feed keeps the newest of each
kind. The others are asked of the archive in the background. Free of Qt.
"""

from functools import partial

from braggwatch.gui.hit_columns import HitColumns
from braggwatch.gui.monitor import Monitor
from braggwatch.gui.shot_key import ShotKey
from braggwatch.streamer.archive_messages import Answer, Shot, ShotWanted
from braggwatch.streamer.messages import State

AT_MOST = 40
"""Hits that are fetched."""


class EarlierShots:
    """Fetches the last hits once for each processor or record, the newest first, one at a time.

    It ends when the memory for shots is full, or when a new run begins.
    """

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor
        self._session: HitColumns | None = None
        """Whose shots have been asked for: other hits belong to another processor."""
        self._series: str | None = None
        self._wanted: list[ShotKey] = []
        """Oldest first."""
        monitor.last_shots_changed.connect(self._begin)
        monitor.geometry_changed.connect(self._note_run)

    def _begin(self) -> None:
        monitor = self._monitor
        if self._session is monitor.hits or monitor.last_shots is None:
            return
        self._session = monitor.hits
        self._series = None if monitor.geometry is None else monitor.geometry.series
        hits = [shot for shot in monitor.last_shots.shots if shot.state in (State.HIT, State.INDEXED)]
        self._wanted = [ShotKey(shot.series, shot.number) for shot in hits[-AT_MOST:]]
        self._ask_next()

    def _note_run(self) -> None:
        geometry = self._monitor.geometry
        if geometry is not None and geometry.series != self._series:
            if self._series is not None:
                self._wanted.clear()
            self._series = geometry.series

    def _ask_next(self) -> None:
        while self._wanted:
            key, session = self._wanted.pop(), self._session
            if self._monitor.remembered.find(key) is None:
                self._monitor.outbox.ask(ShotWanted(*key), partial(self._take, session))
                return

    def _take(self, session: HitColumns | None, answer: Answer) -> None:
        if session is not self._monitor.hits:
            return
        if isinstance(answer, Shot) and answer.image is not None:
            if not self._monitor.remembered.has_room_for(answer.image):
                self._wanted.clear()
            self._monitor.remember_earlier(answer.image)
        self._ask_next()
