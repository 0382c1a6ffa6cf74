"""Stages as a user would write them, for the tests of hub and worker."""

import os
import time
from pathlib import Path

import numpy as np
from pydantic import BaseModel

from braggwatch.processing.chain import Verdict
from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Series
from braggwatch.processing.shot import Shot


class Stage:
    """Does nothing."""

    def begin(self, series: Series, detector: Detector) -> None:
        pass

    def event(self, shot: Shot) -> Verdict:
        return Verdict.KEEP

    def end(self) -> None:
        pass


class Slow(Stage):
    """Takes its time."""

    class Settings(BaseModel):
        seconds: float = 0.05

    def __init__(self, settings: Settings) -> None:
        self._seconds = settings.seconds

    def event(self, shot: Shot) -> Verdict:
        time.sleep(self._seconds)
        return Verdict.KEEP


class Deadly(Stage):
    """Ends the process, at once and without a word, on frames of some numbers; some only the first time."""

    def __init__(self, always: tuple[int, ...] = (), once: tuple[int, ...] = (), traces: str = "") -> None:
        self._always, self._once, self._traces = always, once, traces

    def event(self, shot: Shot) -> Verdict:
        trace = Path(self._traces, str(shot.number))
        if shot.number in self._always or (shot.number in self._once and not trace.exists()):
            trace.touch()
            os._exit(9)
        return Verdict.KEEP


class Faulty(Stage):
    """Raises on every third frame."""

    def event(self, shot: Shot) -> Verdict:
        if shot.number % 3 == 0:
            raise RuntimeError(f"no luck with {shot.number}")
        return Verdict.KEEP


class Unready(Stage):
    """Raises when a series begins."""

    def begin(self, series: Series, detector: Detector) -> None:
        raise KeyError("voltage")


class Stuck(Stage):
    """Never comes back from frame 2, the first time."""

    def __init__(self, traces: str) -> None:
        self._trace = Path(traces, "stuck")

    def event(self, shot: Shot) -> Verdict:
        if shot.number == 2 and not self._trace.exists():
            self._trace.touch()
            time.sleep(3600)
        return Verdict.KEEP


class EndsBadly(Stage):
    """Raises when a series is over."""

    def end(self) -> None:
        raise OSError("cannot say goodbye")


class Traced(Stage):
    """Leaves a trace when a series is over."""

    def __init__(self, trace: str) -> None:
        self._trace = Path(trace)

    def end(self) -> None:
        self._trace.touch()


class Unfit(Stage):
    """Says of a shot what no message can hold."""

    def event(self, shot: Shot) -> Verdict:
        shot.notices[7] = "seven"  # type: ignore[index]
        return Verdict.KEEP


class Shouts(Stage):
    """Raises with a text that is long, of several lines, and no Unicode."""

    def event(self, shot: Shot) -> Verdict:
        raise ValueError("first line\n\x1b[2Jsecond \udcff line " + "!" * 10_000)


class Leaves(Stage):
    """Wants to end the program."""

    def event(self, shot: Shot) -> Verdict:
        raise SystemExit(3)


class Replaces(Stage):
    """Puts into the image's place what nobody can draw."""

    def event(self, shot: Shot) -> Verdict:
        nonsense = (None, "pixels", np.zeros((2, 3)), np.zeros(shot.image.shape, complex))
        shot.image = nonsense[shot.number % 4]  # type: ignore[assignment]
        shot.pixels_changed = True
        return Verdict.KEEP
