"""The window on the record of a finished session, as somebody who looks at it and clicks into it."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from time import monotonic
from typing import TypeVar

import pytest
from programs import PATIENCE_S
from PyQt5.QtTest import QTest
from recorded_session import Session, run_session

from braggwatch.gui.composition import Composition
from braggwatch.gui.link import Link
from braggwatch.gui.panels.panel import Panel
from braggwatch.gui.panels.plot import Plot
from braggwatch.gui.shot_key import ShotKey
from braggwatch.streamer.replay import RecordFeed

P = TypeVar("P", bound=Panel)
Item = TypeVar("Item")
TAGS = ("good", "twinned")
"""Those of the first hit."""


class Seen:
    """The window on a record, as somebody who looks at it and clicks into it."""

    def __init__(self, link: Link, session: Session, memory: Path) -> None:
        self.session = session
        self.composition = Composition(link, memory)
        self.window, self.monitor = self.composition.window, self.composition.monitor
        self.said: list[str] = []
        self.monitor.said.connect(self.said.append)
        self.composition.open()
        self.window.resize(1920, 1080)

    def until(self, condition: Callable[[], object]) -> None:
        """Let the window live until something is so."""
        deadline = monotonic() + PATIENCE_S
        while not condition():
            assert monotonic() < deadline, f"waited too long; said was {self.said}"
            QTest.qWait(10)

    def at(self, kind: type[P]) -> P:
        """Bring a panel to the front, and wait until it has drawn what is known."""
        panel, controller = next((p, c) for p, c in self.composition.panels if isinstance(p, kind))
        self.window.docks.show(panel.name)
        QTest.qWait(20)
        self.until(lambda: not controller.stale)
        assert self.said == []
        return panel

    def select(self, number: int) -> None:
        """Choose a hit and wait for its pixels."""
        key = ShotKey(self.session.number("SELECT key FROM runs"), number)
        self.monitor.select([key])
        self.until(lambda: shot_of(self) == number and self.monitor.shot is not None and self.monitor.shot.payload)

    def selected(self) -> list[int]:
        """Which frames a click has opened."""
        return [key.number for key in self.monitor.selection]


@contextmanager
def window_on_record(folders: pytest.TempPathFactory) -> Iterator[Seen]:
    """Open the window on the record of one finished session, the same for all modules, with everything told."""
    session = marked_session(folders.getbasetemp() / "session")
    with RecordFeed(session.record) as record, Link(record.address) as link:
        seen = Seen(link, session, folders.mktemp("window") / "window.json")
        monitor = seen.monitor
        seen.until(lambda: len(monitor.hits) == session.n_hits)
        seen.until(lambda: monitor.peakogram is not None and set(monitor.powders) == {"hits", "spots"})
        seen.until(lambda: len(monitor.remembered) == len(session.last_hits()))
        yield seen
        seen.window.close()


@cache
def marked_session(folder: Path) -> Session:
    """Run one session, in whose record somebody has marked the first hit."""
    folder.mkdir()
    session = run_session(folder)
    with closing(sqlite3.connect(session.record)) as db:
        first = session.number("SELECT min(number) FROM hits")
        db.executemany("INSERT INTO tags (run, number, tag, time) VALUES (1, ?, ?, 0)", [(first, tag) for tag in TAGS])
        db.commit()
    assert set(session.counts) == {"blank", "hit", "indexed"}
    assert session.n_multi > 0
    return session


def shot_of(seen: Seen) -> int | None:
    return None if seen.monitor.shot is None else seen.monitor.shot.result.number


def grouped(n: int) -> str:
    """A number of things as the window writes it."""
    return f"{n:,}".replace(",", "\u2009")


def drawn(plot: Plot, kind: type[Item]) -> list[Item]:
    """What a plot has of one kind of item."""
    return [item for item in plot.plotItem.items if isinstance(item, kind)]
