"""The window's heartbeat: takes what the link has, and redraws what is seen and has changed."""

import time
from collections.abc import Sequence
from itertools import chain

from PyQt5.QtCore import QObject, QPoint, QRect, QTimer

from braggwatch.gui.complaints import Complaints
from braggwatch.gui.controllers.controller import Controller
from braggwatch.gui.link import Link
from braggwatch.gui.monitor import Monitor
from braggwatch.gui.panels.panel import Panel

BEAT_MS = 50
"""20 times a second at most."""
DRAWING_S = 0.03
"""After so long the rest is drawn with the next beat, so that mouse and keys get their turn."""
HITS_EVERY_S = 1.0


class Pulse(QObject):
    """One timer for the whole window."""

    def __init__(self, monitor: Monitor, link: Link, complaints: Complaints) -> None:
        super().__init__()
        self._monitor, self._link, self._complaints = monitor, link, complaints
        self._panels: list[tuple[Panel, Controller]] = []
        self._next = 0
        self._asked_for_hits = 0.0
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.beat)

    def use(self, panels: Sequence[tuple[Panel, Controller]]) -> None:
        """Draw these panels from now on."""
        self._panels, self._next = list(panels), 0

    def start(self) -> None:
        """Begin to beat."""
        self._timer.start(BEAT_MS)

    def stop(self) -> None:
        """Beat no more."""
        self._timer.stop()

    def beat(self) -> None:
        """Take the news and redraw; never waits, and no fault of a panel reaches the others."""
        self._take_news()
        if self._monitor.link in ("heard", "record") and time.monotonic() - self._asked_for_hits > HITS_EVERY_S:
            self._asked_for_hits = time.monotonic()
            with self._complaints.told("asking for hits"):
                self._monitor.ask_for_hits()
        self._redraw()

    def _take_news(self) -> None:
        news, monitor, told = self._link.take(), self._monitor, self._complaints.told
        if news.anew:
            with told("beginning anew"):
                monitor.begin_anew()
        for message in news.messages:
            with told(f"taking {type(message).__name__}"):
                monitor.take([message])
        with told("noting whether the processor is heard"):
            of_record = monitor.status is not None and monitor.status.word == "RECORD"
            monitor.set_link("record" if of_record and news.link == "heard" else news.link)
        for answer in news.answers:
            with told("taking an answer"):
                answer()
        for line in news.said:
            monitor.said.emit(line)

    def _redraw(self) -> None:
        """Refresh what is seen and stale, taking turns, so that a slow panel does not starve the next."""
        end = time.monotonic() + DRAWING_S
        n = len(self._panels)
        for i in chain(range(self._next, n), range(self._next)):
            panel, controller = self._panels[i]
            with self._complaints.told(f"drawing {panel.name}"):
                if not (controller.stale and is_seen(panel)):
                    continue
                controller.stale = False
                controller.refresh()
            if time.monotonic() > end:
                self._next = (i + 1) % n
                return
        self._next = 0


def is_seen(panel: Panel) -> bool:
    """Return whether a panel is neither hidden nor behind another tab; Qt moves what is there out of the window."""
    window = panel.window()
    if window is None or not panel.isVisible() or window.isMinimized():
        return False
    return window.rect().intersects(QRect(panel.mapTo(window, QPoint(0, 0)), panel.size()))
