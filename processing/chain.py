"""The chain: stages that look at each shot in turn, any of which may end its way."""

import enum
from collections.abc import Sequence
from time import perf_counter
from typing import Protocol

from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Series
from braggwatch.processing.shot import Shot


class Verdict(enum.Enum):
    """What a stage says of a shot."""

    KEEP = "keep"
    """The next stage sees the shot."""
    SKIP = "skip"
    """No later stage sees it, but those that see blanks, if it is one."""


class Stage(Protocol):
    """A link of the chain. A user's own stage has these three methods and takes its options as one mapping.

    A stage whose attribute ``sees_blanks`` is True is also shown shots that ended before it because they are no hits.
    """

    def begin(self, series: Series, detector: Detector) -> None:
        """Get ready for a series: everything that stays the same is computed here, kernels are compiled."""

    def event(self, shot: Shot) -> Verdict:
        """Look at one shot; add to it what was found."""

    def end(self) -> None:
        """Finish a series: flush and close what is open."""


class Chain:
    """Stages in order, each under its instance name."""

    def __init__(self, stages: Sequence[tuple[str, Stage]]) -> None:
        self.stages = tuple(stages)

    def begin(self, series: Series, detector: Detector) -> None:
        """Get every stage ready for a series."""
        for _, stage in self.stages:
            stage.begin(series, detector)

    def event(self, shot: Shot) -> None:
        """Send a shot through the stages until one says SKIP; what was found stands in the shot."""
        ended = False
        for name, stage in self.stages:
            if ended and not getattr(stage, "sees_blanks", False):
                continue
            start = perf_counter()
            verdict = stage.event(shot)
            shot.timings[name] = perf_counter() - start
            if verdict is Verdict.SKIP and not ended:
                if shot.is_hit:
                    break
                ended = True

    def end(self) -> None:
        """Let every stage finish the series, also where one of them raises; then the first exception goes on."""
        first: Exception | None = None
        for _, stage in self.stages:
            try:
                stage.end()
            except Exception as error:
                first = first or error
        if first is not None:
            raise first
