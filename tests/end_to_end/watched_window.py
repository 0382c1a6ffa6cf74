"""The real window on a feed, and all that it says; how long its event loop was held up."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from programs import PATIENCE_S
from PyQt5.QtCore import QTimer
from pytestqt.qtbot import QtBot

from braggwatch.gui.composition import Composition
from braggwatch.gui.link import Link
from braggwatch.gui.monitor import Monitor
from braggwatch.gui.presets import PRESETS
from braggwatch.gui.shot_key import ShotKey
from braggwatch.streamer.messages import State


class Watched:
    """The window on a feed, and all that it says."""

    def __init__(self, qtbot: QtBot, link: Link, memory: Path) -> None:
        self.composition = Composition(link, memory)
        self.window, self.monitor = self.composition.window, self.composition.monitor
        self.said: list[str] = []
        self.monitor.said.connect(self.said.append)
        self._qtbot = qtbot
        qtbot.addWidget(self.window)
        self.composition.open()

    def until(self, condition: Callable[[Monitor], object], seconds: float = PATIENCE_S) -> None:
        """Let the window live until something is so."""
        self._qtbot.waitUntil(lambda: bool(condition(self.monitor)), timeout=int(seconds * 1000))

    def live(self, seconds: float) -> None:
        """Let the window live for so long."""
        self._qtbot.wait(int(seconds * 1000))

    def look_at_everything(self) -> None:
        """Show every panel for a moment, as large and as small as the window goes."""
        for size in ((1920, 1080), (1, 1)):
            for name in PRESETS:
                self.window.arrange(name)
                self.window.resize(*size)
                self._qtbot.wait(150)
        for name in self.window.docks.by_name:
            self.window.docks.show(name)
            self._qtbot.wait(60)


@contextmanager
def watching(qtbot: QtBot, address: str, folder: Path) -> Iterator[Watched]:
    """Open the window on the feed at an address; it remembers its layout in a folder."""
    with Link(address) as link:
        watched = Watched(qtbot, link, folder / "window.json")
        yield watched
        watched.window.close()


def all_done(n: int) -> Callable[[Monitor], bool]:
    """Whether the window knows the end of so many frames."""

    def done(monitor: Monitor) -> bool:
        if monitor.status is None:
            return False
        counts = monitor.status.totals.counts
        return sum(counts.get(state, 0) for state in (State.BLANK, State.HIT, State.INDEXED)) == n

    return done


def shows(key: ShotKey, monitor: Monitor) -> bool:
    """Whether the pixels of a shot are shown."""
    shot = monitor.shot
    return shot is not None and (shot.result.series, shot.result.number) == key and bool(shot.payload)


class Gaps:
    """How long the event loop was held up at most: the longest time between two ticks of 10 ms."""

    def __init__(self) -> None:
        self._longest, self._last = 0.0, time.monotonic()
        self._timer = QTimer()
        self._timer.timeout.connect(self._tick)
        self._timer.start(10)

    def _tick(self) -> None:
        now = time.monotonic()
        self._longest, self._last = max(self._longest, now - self._last), now

    def longest_ms(self) -> int:
        """Return the longest gap since the last call, ms."""
        self._tick()
        longest, self._longest = self._longest, 0.0
        return round(longest * 1000)
