"""Which panels there are: each view with its controller, the monitor they draw from, and the window around them."""

from pathlib import Path

from braggwatch.gui.complaints import Complaints
from braggwatch.gui.controllers.controller import Controller
from braggwatch.gui.controllers.hits import HitsController
from braggwatch.gui.link import Link
from braggwatch.gui.monitor import Monitor
from braggwatch.gui.panels.hits import HitsPanel
from braggwatch.gui.panels.panel import Panel
from braggwatch.gui.pulse import Pulse
from braggwatch.gui.window import Window


class Composition:
    """Everything that makes up the program, kept alive together."""

    def __init__(self, link: Link, memory: Path) -> None:
        """Put it together, unseen; `memory` is the file where the layout is remembered."""
        self.monitor = monitor = Monitor(link)
        self.complaints = Complaints(monitor)
        hits = HitsPanel()
        self.panels: list[tuple[Panel, Controller]] = [(hits, HitsController(monitor, hits))]
        self.window = Window(monitor, self.panels[0][0], [panel for panel, _ in self.panels], memory)
        self.pulse = Pulse(monitor, link, self.panels, self.complaints)

    def open(self) -> None:
        """Show the window as it was left, and begin to draw."""
        self.window.restore()
        self.window.show()
        self.pulse.start()
