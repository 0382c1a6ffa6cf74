"""Makes the pictures of the docs anew, from a real run: `python tools/make-pictures.py terminal`, or `window`.

A simulated detector sends 4 Mpx lysozyme stills at 50 frames/s from a process of its own (the same stills each time),
and the processor works as it would at a beamline. Once so many frames have come, the terminal view is written to
docs/pictures/terminal.svg; or the window to docs/pictures/window-*.png, each layout in both themes, and each of its
panels to panel-*.png. Everything else that the run writes goes to a temporary folder.

Stills that are sent again and again would merge to data that look better than they are. So the run does not integrate;
for each shot that it indexes, the reflections of another simulated crystal, a weak one, are merged here, and the window
is told how that merge stands.
"""

import argparse
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from braggwatch.processing.crystal import Crystal
from braggwatch.processing.simulation.demo import LYSOZYME, demo_detector, demo_simulator
from braggwatch.processing.simulation.partial_intensities import PartialIntensities
from braggwatch.processing.simulation.pool import prepare_pool
from braggwatch.streamer.cli.free_ports import free_ports
from braggwatch.streamer.feed_client import FeedClient
from braggwatch.streamer.integrated import Integrated, IntegratedCrystal
from braggwatch.streamer.live_merge import REFRESH_S
from braggwatch.streamer.merge_messages import Merging
from braggwatch.streamer.merge_settings import MergeSettings
from braggwatch.streamer.messages import State
from braggwatch.streamer.running_merge import RunningMerge
from braggwatch.streamer.settings import Settings, parse_settings
from braggwatch.streamer.terminal import save_picture
from braggwatch.streamer.terminal_screen import View

if TYPE_CHECKING:
    from braggwatch.gui.panels.image import ImagePanel

PICTURES = Path(__file__).resolve().parents[1] / "docs" / "pictures"
POOL = Path("stills.h5")
N_STILLS = 96
N_WORKERS = 2
RATE = 50
WINDOW = 1920, 1080
PANEL = 480, 320
PANELS = {
    "strip": (1400, 44),
    "tuning": (620, 900),
    "cells": (640, 420),
    "image": (900, 800),
    "hits": (900, 360),
    "shots": (1200, 150),
    "rates": (1200, 260),
    "merging": (900, 640),
}
"""px of the panels that are not shown in the usual size."""
TRIAL_S = 12
"""For the trial of another value on the remembered shots."""
SETTLE_S = 2.5
"""For the panels to draw what is theirs after the layout has changed."""


def main() -> None:
    """Run processor and detector until the pictures are taken."""
    parser = argparse.ArgumentParser(description="Make the pictures of the docs from a real run.")
    parser.add_argument("what", choices=("terminal", "window"))
    parser.add_argument("--frames", type=int, default=2000, help="frames that have come when the pictures are taken")
    given = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    take = take_terminal if given.what == "terminal" else take_window
    # Paths in the pictures are relative to this folder.
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        prepare_pool(demo_simulator(), N_STILLS, 0.4, double_fraction=0.15, seed=1).save(POOL)
        with running(given.frames) as feed:
            take(feed, given.frames)


def settings(detector: str, feed: str) -> Settings:
    """Return the settings of an experiment with a detector at an address."""
    return parse_settings(
        {
            "experiment": {"name": "lysozyme", "record": "lysozyme.sqlite"},
            "source": {"address": detector},
            "chain": {"stages": ["hitfind", "dump:hit", "index", "dump:indexed"]},
            "engine": {"workers": N_WORKERS},
            "feed": {"address": feed},
            "dump:hit": {"directory": "dumps/hits"},
            "dump:indexed": {"directory": "dumps/indexed"},
            "index": {"cell": "79.2 79.2 38.0 90 90 90 P43212", "max_lattices": 2},
        }
    )


@contextmanager
def running(n_frames: int) -> Iterator[str]:
    """Run a processor and, once its workers are ready, a detector; yields the feed's address."""
    detector, feed = (f"tcp://127.0.0.1:{port}" for port in free_ports(3)[:2])
    Path("lysozyme.toml").write_text(settings(detector, feed).as_toml(), encoding="utf-8")
    program = [sys.executable, "-m", "braggwatch.streamer"]
    with subprocess.Popen([*program, "process", "lysozyme.toml", "--no-view"], stdout=subprocess.DEVNULL) as processor:
        try:
            with FeedClient(feed) as client:
                while (status := client.status) is None or sum(w.state == "ready" for w in status.workers) < N_WORKERS:
                    client.poll(0.2)
            detecting = [
                "simulate", "--address", detector, "--pool", str(POOL), "--rate", str(RATE),
                "--frames", str(n_frames + 400 * RATE),
            ]  # fmt: skip
            with subprocess.Popen([*program, *detecting]) as sending:
                try:
                    yield feed
                finally:
                    sending.terminate()
        finally:
            processor.terminate()


def take_terminal(address: str, n_frames: int) -> None:
    """Save the terminal view when `n_frames` have come."""
    with FeedClient(address) as feed:
        while feed.status is None or feed.status.totals.total < n_frames:
            feed.poll(0.2)
        save_picture(View.of(feed), PICTURES / "terminal.svg", width=88, height=29)
    print(PICTURES / "terminal.svg")


class SimulatedMerge:
    """Merges as many simulated crystals as it is told to; each is another one."""

    PHOTONS = 35.0
    """In a strong reflection: weak crystals, as small ones are."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng(1)
        self._crystals = PartialIntensities(demo_detector(), LYSOZYME, d_min=1.8, photons=self.PHOTONS)
        self._merge = RunningMerge(LYSOZYME, MergeSettings(d_min=1.8, target_d_min=2.0), 1.8, time.time())
        self._n = 0

    def message(self, n: int) -> Merging:
        """Return how the merge of `n` crystals stands now."""
        for number in range(self._n, n):
            size = float(self._rng.lognormal(-0.15, 0.55))
            measured = self._crystals.measure(self._crystals.excite(self._rng), self._rng, size)
            crystal = IntegratedCrystal.of(Crystal(LYSOZYME.A, known=LYSOZYME), measured)
            self._merge.add(Integrated("simulated", number, (crystal,)))
        self._n = max(n, self._n)
        return self._merge.message(time.time())


def take_window(address: str, n_frames: int) -> None:
    """Save the window's layouts and panels in both themes when `n_frames` have come."""
    os.environ |= {"QT_QPA_PLATFORM": "offscreen", "QT_FONT_DPI": "96"}
    from braggwatch.gui.application import make_application
    from braggwatch.gui.composition import Composition
    from braggwatch.gui.link import Link
    from braggwatch.gui.panels.image import ImagePanel
    from braggwatch.gui.panels.tuning import TuningPanel
    from braggwatch.gui.presets import PRESETS
    from braggwatch.gui.theme import THEMES

    application, merge = make_application(), SimulatedMerge()

    with Link(address) as link:
        composition = Composition(link, Path("window.json"))
        composition.open()
        window, monitor = composition.window, composition.monitor
        told = time.monotonic()

        def wait(seconds: float, until: Callable[[], bool] = lambda: False) -> None:
            nonlocal told
            end = time.monotonic() + seconds
            while time.monotonic() < end and not until():
                application.processEvents()
                time.sleep(0.01)
                if monitor.status is not None and time.monotonic() > told + REFRESH_S:
                    told = time.monotonic()
                    monitor.take([merge.message(monitor.status.totals.counts.get(State.INDEXED, 0))])

        tuning = next(panel for panel, _ in composition.panels if isinstance(panel, TuningPanel))
        window.resize(*WINDOW)
        wait(10 * n_frames / RATE, lambda: monitor.status is not None and monitor.status.totals.total >= n_frames)
        for theme in THEMES.values():
            window.set_theme(theme)
            for preset in PRESETS:
                window.arrange(preset)
                wait(SETTLE_S)
                if preset == "tuning":
                    tuning.value_changed.emit("hitfind", "min_snr", 9.0)
                    wait(TRIAL_S)
                save(window, f"window-{preset.replace(' ', '-')}-{theme.name}")
            for panel, _ in composition.panels:
                dock = window.docks.by_name.get(panel.name)
                if dock is None:
                    continue
                dock.setFloating(True)
                dock.show()
                dock.resize(*PANELS.get(panel.name, PANEL))
                wait(SETTLE_S)
                save(panel, f"panel-{panel.name.replace('_', '-')}-{theme.name}")
                if isinstance(panel, ImagePanel):
                    take_mask_editor(panel, theme.name, wait)
                dock.setFloating(False)
        window.close()


def take_mask_editor(panel: "ImagePanel", theme: str, wait: Callable[[float], None]) -> None:
    """Save the mask editor with a beam stop, its holder and a bad corner masked; the mask is thrown away."""
    from braggwatch.gui.mask_shapes import Polygon, Ring

    x, y = panel.mask_editor.pen.beam or (0.0, 0.0)
    holder = np.array([(x - 12, y), (x + 12, y), (x + 60, 3000), (x + 20, 3000)])
    panel.toolbar.edit_mask.setChecked(True)
    wait(SETTLE_S)
    for shape in (Ring(x, y, 0.0, 90.0), Polygon(holder), Ring(0.0, 0.0, 0.0, 400.0), Ring(x, y, 640.0, 680.0)):
        panel.mask_editor.shape_drawn.emit(shape, True)
    wait(SETTLE_S)
    save(panel, f"panel-mask-editor-{theme}")
    panel.mask_editor.discard_wanted.emit()
    panel.toolbar.edit_mask.setChecked(False)


def save(widget: object, name: str) -> None:
    """Write what a widget shows to a PNG file."""
    from PyQt5.QtWidgets import QWidget

    assert isinstance(widget, QWidget)
    path = PICTURES / f"{name}.png"
    widget.grab().save(str(path))
    print(path)


if __name__ == "__main__":
    main()
