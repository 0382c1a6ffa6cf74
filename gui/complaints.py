"""What goes wrong inside the window: logged, said in a line, and the window goes on."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from psygnal import EmitLoopError

from braggwatch.gui.monitor import Monitor
from braggwatch.streamer.wording import plain

log = logging.getLogger(__name__)

SAY_AGAIN_S = 10.0
"""A fault that comes back with every repaint is logged and said this often at most, s."""


class Complaints:
    """Catches exceptions, tells of them and lets the window live."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor
        self._told: dict[str, float] = {}

    @contextmanager
    def told(self, doing: str) -> Iterator[None]:
        """Do something that must not end the window; `doing` names it, such as ``drawing rates``."""
        try:
            yield
        except Exception as error:
            self._tell(doing, error)

    def watch_slots(self) -> None:
        """Tell of exceptions in slots from now on; PyQt ends the program on them otherwise."""
        sys.excepthook = self._hook

    def _hook(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if isinstance(error, Exception):
            self._tell("what was asked for", error)
        else:
            sys.__excepthook__(kind, error, trace)

    def _tell(self, doing: str, error: Exception) -> None:
        cause = error.__cause__ if isinstance(error, EmitLoopError) and error.__cause__ is not None else error
        text = f"{doing} failed: {type(cause).__name__}: {plain(str(cause))}"
        now = time.monotonic()
        if now - self._told.get(text, -SAY_AGAIN_S) < SAY_AGAIN_S:
            return
        if len(self._told) > 100:
            self._told.clear()
        self._told[text] = now
        log.error("%s", text, exc_info=cause)
        self._monitor.said.emit(text)
