"""How old what the processor said is."""

from collections.abc import Callable

from braggwatch.gui.monitor import Monitor
from braggwatch.gui.numbers import STALE_S

SHOWN_EVERY_S = 1.0
LONGEST_S = 1e8


class Ageing:
    """Stale with every status, and once a second without one, so that ages are seen to grow.

    A controller whose panel shows ages is one of these.
    """

    def __init__(self, monitor: Monitor, clock: Callable[[], float]) -> None:
        """Measure time with `clock`, in s."""
        self.monitor = monitor
        self._clock = clock
        self._heard: float | None = None
        self._shown = float("-inf")
        self._stale = True
        monitor.status_changed.connect(self._hear)
        monitor.link_changed.connect(self.set_stale)

    @property
    def stale(self) -> bool:
        """Whether something has changed since the last `refresh`, or became a second older."""
        ages = self.silence is not None and not self.over
        return self._stale or (ages and self._clock() - self._shown >= SHOWN_EVERY_S)

    @stale.setter
    def stale(self, stale: bool) -> None:
        self._stale = stale
        if not stale:
            self._shown = self._clock()

    @property
    def over(self) -> bool:
        """Whether nothing will change any more: the processor has ended as it should, or this is a record."""
        status = self.monitor.status
        finished = self.monitor.finished is not None or (status is not None and status.word == "FINISHED")
        return finished or self.monitor.link == "record"

    @property
    def silence(self) -> float | None:
        """s since the last status; None when there is none."""
        return None if self._heard is None or self.monitor.status is None else self._clock() - self._heard

    @property
    def frame_age(self) -> float | None:
        """s since the last frame arrived at the processor; None when there is none, or nothing will change any more."""
        status, silence = self.monitor.status, self.silence
        if status is None or status.frame_age is None or silence is None or self.over:
            return None
        return status.frame_age + silence

    @property
    def old(self) -> bool:
        """Whether the numbers say nothing of the present: no frame came for 5 s, or the processor is not heard."""
        if self.over:
            return False
        return max(self.frame_age or 0.0, self.silence or 0.0) > STALE_S or self.monitor.link == "gone"

    def since(self, moment: float) -> float:
        """Return how many s ago a moment was, in s since 1970 by the processor's clock; 0 where that is unknown."""
        status, silence = self.monitor.status, self.silence
        if status is None or silence is None:
            return 0.0
        passed = status.time + silence - moment
        return min(passed, LONGEST_S) if passed > 0 else 0.0

    def set_stale(self) -> None:
        """Note that something has changed."""
        self._stale = True

    def _hear(self) -> None:
        self._heard = self._clock()
        self._stale = True
