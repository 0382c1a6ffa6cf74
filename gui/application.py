"""The program: Qt, the link to the processor, the monitor and the window, put together."""

import gc
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from PyQt5.QtCore import QStandardPaths, Qt
from PyQt5.QtWidgets import QApplication
from pyqtgraph.util.garbage_collector import GarbageCollector

from braggwatch.gui.composition import Composition
from braggwatch.gui.link import Link
from braggwatch.streamer.memory import give_back_freed_memory

log = logging.getLogger(__name__)

COLLECT_EVERY_S = 1.0


def run(address: str, memory: Path | None = None) -> int:
    """Show the window of the processor whose feed is at `address`, until it is closed; returns the exit code.

    Raises zmq.ZMQError when that is no address. `memory` is the file where the layout is remembered; one in
    the user's configuration if left out.
    """
    give_back_freed_memory()
    application = make_application()
    # Qt's objects must go in this thread: Python's own collector runs in whichever thread makes the next object.
    collector = GarbageCollector(interval=COLLECT_EVERY_S)
    with Link(address) as link:
        composition = Composition(link, memory or default_memory())
        composition.complaints.watch_slots()
        _close_on_signals(composition.close_at_once)
        composition.open()
        # What has been loaded stays until the end: to look through it again and again would stop the window for 0.2 s.
        gc.freeze()
        code = int(application.exec())
    collector.timer.stop()
    return code


def make_application() -> QApplication:
    """Return Qt's application, sharp on screens of many pixels."""
    if QApplication.instance() is None:
        # Nothing here draws with OpenGL, and a software one would take 60 MB.
        os.environ.setdefault("QT_XCB_GL_INTEGRATION", "none")
        QApplication.setAttribute(Qt.ApplicationAttribute.AA_EnableHighDpiScaling)
        QApplication.setAttribute(Qt.ApplicationAttribute.AA_UseHighDpiPixmaps)
        QApplication.setHighDpiScaleFactorRoundingPolicy(Qt.HighDpiScaleFactorRoundingPolicy.PassThrough)
    application = QApplication.instance() or QApplication(sys.argv[:1])
    assert isinstance(application, QApplication)
    application.setApplicationName("Braggwatch")
    application.setStyle("Fusion")  # the same on every desktop
    return application


def default_memory() -> Path:
    """Return the file in the user's configuration where the layout is remembered."""
    place = QStandardPaths.StandardLocation.GenericConfigLocation
    return Path(QStandardPaths.writableLocation(place)) / "braggwatch" / "window.json"


def _close_on_signals(close: Callable[[], object]) -> None:
    """Close the window in good order on Ctrl-C and SIGTERM; the pulse lets Python see them within 50 ms."""

    def stop(number: int, stack: FrameType | None) -> None:
        close()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
