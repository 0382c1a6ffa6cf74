"""Which panels there are: each view with its controller, the monitor they draw from, and the window around them."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from braggwatch.gui.complaints import Complaints
from braggwatch.gui.controllers.cells import CellsController
from braggwatch.gui.controllers.controller import Controller
from braggwatch.gui.controllers.crystal import CrystalController
from braggwatch.gui.controllers.film_strip import FilmStripController
from braggwatch.gui.controllers.headline import HeadlineController
from braggwatch.gui.controllers.health import HealthController
from braggwatch.gui.controllers.hits import HitsController
from braggwatch.gui.controllers.image import ImageController
from braggwatch.gui.controllers.ledger import LedgerController
from braggwatch.gui.controllers.mask_editor import MaskEditorController
from braggwatch.gui.controllers.merging import MergingController
from braggwatch.gui.controllers.orientations import OrientationsController
from braggwatch.gui.controllers.peakogram import PeakogramController
from braggwatch.gui.controllers.powder import PowderController
from braggwatch.gui.controllers.rates import RatesController
from braggwatch.gui.controllers.residuals import ResidualsController
from braggwatch.gui.controllers.resolution import ResolutionController
from braggwatch.gui.controllers.strip import StripController
from braggwatch.gui.controllers.tuning import TuningController
from braggwatch.gui.desktop import open_folder
from braggwatch.gui.earlier_shots import EarlierShots
from braggwatch.gui.image_actions import add_image_actions
from braggwatch.gui.link import Link
from braggwatch.gui.monitor import Monitor
from braggwatch.gui.panels.cells import CellsPanel
from braggwatch.gui.panels.crystal import CrystalPanel
from braggwatch.gui.panels.film_strip import FilmStripPanel
from braggwatch.gui.panels.headline import HeadlinePanel
from braggwatch.gui.panels.health import HealthPanel
from braggwatch.gui.panels.hits import HitsPanel
from braggwatch.gui.panels.image import ImagePanel
from braggwatch.gui.panels.ledger import LedgerPanel
from braggwatch.gui.panels.merging import MergingPanel
from braggwatch.gui.panels.orientations import OrientationsPanel
from braggwatch.gui.panels.panel import Panel
from braggwatch.gui.panels.peakogram import PeakogramPanel
from braggwatch.gui.panels.powder import PowderPanel
from braggwatch.gui.panels.rates import RatesPanel
from braggwatch.gui.panels.residuals import ResidualsPanel
from braggwatch.gui.panels.resolution import ResolutionPanel
from braggwatch.gui.panels.strip import StripPanel
from braggwatch.gui.panels.tuning import TuningPanel
from braggwatch.gui.pulse import Pulse
from braggwatch.gui.window import Window
from braggwatch.processing.uniform_bins import count_in_bins

log = logging.getLogger(__name__)

View = TypeVar("View", bound=Panel)


class Composition:
    """Everything that makes up the program, kept alive together."""

    def __init__(self, link: Link, memory: Path) -> None:
        """Put it together, unseen; `memory` is the file where the layout is remembered."""
        self.monitor = monitor = Monitor(link)
        self.complaints = Complaints(monitor)
        self._earlier = EarlierShots(monitor)
        strip, image, tuning, hits = StripPanel(), ImagePanel(), TuningPanel(), HitsPanel()
        headline, self._rates = HeadlinePanel(), RatesPanel()
        self._image, self._tuning = ImageController(monitor, image), TuningController(monitor, tuning)
        self._mask = MaskEditorController(monitor, image.mask_editor, self._image)
        self._tuning.trial_peaks.connect(self._image.set_trial_peaks)
        self._tuning.trial_cleared.connect(self._image.clear_trial_peaks)
        self._tuning.pixels_above.connect(self._image.set_pixels_above)
        docked: list[tuple[Panel, Controller]] = [
            (image, self._image),
            (tuning, self._tuning),
            _with(CellsPanel(), CellsController, monitor),
            _with(CrystalPanel(), CrystalController, monitor),
            _with(FilmStripPanel(), FilmStripController, monitor),
            _with(headline, HeadlineController, monitor),
            _with(HealthPanel(), HealthController, monitor),
            _with(hits, HitsController, monitor),
            _with(LedgerPanel(), LedgerController, monitor),
            _with(MergingPanel(), MergingController, monitor),
            _with(OrientationsPanel(), OrientationsController, monitor),
            _with(PeakogramPanel(), PeakogramController, monitor),
            _with(PowderPanel(), PowderController, monitor),
            _with(self._rates, RatesController, monitor),
            _with(ResidualsPanel(), ResidualsController, monitor),
            _with(ResolutionPanel(), ResolutionController, monitor),
        ]
        self.panels = [_with(strip, StripController, monitor), *docked]
        self.window = Window(monitor, strip, [panel for panel, _ in docked], memory)
        strip.theme_wanted.connect(self.window.menus.by_name["light"].toggle)
        strip.help_wanted.connect(self.window.overview.toggle)
        hits.folder_wanted.connect(self._open_folder)
        headline.data_set_clicked.connect(lambda: self.window.docks.show(MergingPanel.name))
        add_image_actions(self.window.menus, image)
        self.window.menus.add("View", "by group", "Rates by group, and back", "G", self._toggle_by_group)
        self.pulse = Pulse(monitor, link, self.complaints)
        self.pulse.use([*self.panels, (image, self._mask)])
        self.window.may_close = self._may_close
        self._mask.close_wanted.connect(self._close_window)
        self._edit_mask = image.toolbar.edit_mask
        self._rescue_folder = memory.parent
        self.window.docks.by_name[tuning.name].visibilityChanged.connect(self._leave_tuning)
        self.window.closed.connect(self._close)

    def open(self) -> None:
        """Show the window as it was left, and begin to draw."""
        # The one kernel that this thread calls is loaded now: later it would wait until other threads have theirs.
        count_in_bins([0.5], 1, 0.0, 1.0)
        self.window.restore()
        self.window.show()
        self.pulse.start()

    def close_at_once(self) -> None:
        """Close the window without asking; a mask that was not saved goes into the user's configuration."""
        for path in self._mask.rescue(self._rescue_folder):
            log.warning("the mask that was not saved is in %s", path)
        self.window.may_close = lambda: True
        self.window.close()

    def _may_close(self) -> bool:
        """Have the user asked about a mask that is not saved, where it can be seen."""
        if not self._mask.unsaved:
            return True
        self.window.docks.show(ImagePanel.name)
        self._edit_mask.setChecked(True)
        return self._mask.may_close()

    def _close_window(self) -> None:
        self.window.close()

    def _toggle_by_group(self) -> None:
        self.window.docks.show(RatesPanel.name)
        self._rates.toggle_by_group()

    def _open_folder(self, path: str) -> None:
        if problem := open_folder(path):
            self.monitor.said.emit(problem)

    def _leave_tuning(self, seen: bool) -> None:
        if not seen:
            self._tuning.leave()

    def _close(self) -> None:
        self.pulse.stop()
        self._tuning.close()


def _with(view: View, controller: Callable[[Monitor, View], Controller], monitor: Monitor) -> tuple[Panel, Controller]:
    return view, controller(monitor, view)
