"""What the window costs: the same run with and without it, while it is dragged about and its image is panned.

    python -m benchmarks.window [--rate 100] [--seconds 40] [--steps 40] [--hits 0.5] [--alone]

A simulated detector sends 4 Mpx stills, half of them hits, to a processor with two workers that dumps the hits (1.4 MB
each); both are processes of their own. The window lives in this process, on the screen that DISPLAY names (Xvfb serves)
or on none. Prints frames/s and latency without and with it; repaints of the image a second while it is panned by
--steps a second and the window moved by 10; and this process's CPU and memory, the latter once a minute.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "xcb" if os.environ.get("DISPLAY") else "offscreen")

import psutil
from PyQt5.QtCore import QEvent, QObject, QTimer

from braggwatch.gui.application import make_application
from braggwatch.gui.composition import Composition
from braggwatch.gui.link import Link
from braggwatch.processing.simulation.demo import demo_simulator
from braggwatch.processing.simulation.pool import prepare_pool
from braggwatch.streamer.cli.demo import demo_settings
from braggwatch.streamer.cli.free_ports import free_ports
from braggwatch.streamer.feed_client import FeedClient
from braggwatch.streamer.feed_messages import Finished
from braggwatch.streamer.memory import give_back_freed_memory

POOL_IMAGES = 48
START_S = 180.0
MOVE_EVERY_MS = 100


class Repaints(QObject):
    """Counts what a widget paints."""

    def __init__(self) -> None:
        super().__init__()
        self.n = 0

    def eventFilter(self, _watched: QObject | None, event: QEvent | None) -> bool:
        """Count, and let every event through."""
        self.n += event is not None and event.type() == QEvent.Type.Paint
        return False


def run(folder: Path, pool: Path, rate: float, seconds: float, steps: float | None) -> Finished:
    detector, feed = (f"tcp://127.0.0.1:{port}" for port in free_ports(4)[:2])
    settings = demo_settings(folder, 2, detector=detector, feed=feed, dump_once=True)
    (folder / "run.toml").write_text(settings.as_toml(), encoding="utf-8")
    with ExitStack() as stack:
        programs = [
            ("process", str(folder / "run.toml"), "--series", "1", "--no-view"),
            ("simulate", "--address", detector, "--pool", str(pool), "--rate", str(rate),
             "--frames", str(round(rate * seconds))),
        ]  # fmt: skip
        processor = stack.enter_context(started(*programs[0]))
        client = stack.enter_context(FeedClient(feed))
        wait_for_workers(client)
        stack.enter_context(started(*programs[1]))
        if steps is not None:
            show_window(feed, seconds, folder, steps)
        while processor.poll() is None or client.finished is None:
            client.poll(0.2)
        return client.finished


def started(*arguments: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "braggwatch.streamer", *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)


def wait_for_workers(client: FeedClient) -> None:
    end = time.monotonic() + START_S
    while client.status is None or sum(w.state == "ready" for w in client.status.workers) < 2:
        if time.monotonic() > end:
            raise OSError(f"the workers were not ready after {START_S:.0f} s")
        client.poll(0.2)


def show_window(feed: str, seconds: float, folder: Path, steps: float) -> None:
    """Open the window, pan its image and move it until the frames are at their end; print what it took."""
    application = make_application()
    with Link(feed) as link:
        composition = Composition(link, folder / "window.json")
        composition.open()
        image = next(panel for panel, _ in composition.panels if panel.name == "image")
        canvas = image.canvas
        repaints = Repaints()
        canvas.viewport().installEventFilter(repaints)
        box = canvas.box
        numbers = iter(range(10**9))

        def pan() -> None:
            sign = 1 if next(numbers) // 60 % 2 else -1
            box.translateBy(x=sign * 3.0 * float(box.viewPixelSize()[0]))

        def move() -> None:
            n = next(numbers)
            composition.window.move(n % 40, n % 30)

        timers = [QTimer(), QTimer()]
        process = psutil.Process()

        def tell_memory() -> None:
            print(f"{len(composition.monitor.hits)} hits, {process.memory_info().rss / 2**20:.0f} MiB", flush=True)

        minutes = QTimer()
        minutes.timeout.connect(tell_memory)
        minutes.start(60_000)
        for timer, every, what in zip(timers, (round(1000 / steps), MOVE_EVERY_MS), (pan, move), strict=True):
            timer.timeout.connect(what)
            QTimer.singleShot(5000, lambda timer=timer, every=every: timer.start(every))
        marks: list[tuple[float, float, int]] = []

        def mark() -> None:
            cpu = process.cpu_times()
            marks.append((time.monotonic(), cpu.user + cpu.system, repaints.n))

        QTimer.singleShot(6000, mark)
        QTimer.singleShot(round(1000 * (seconds - 2)), mark)
        QTimer.singleShot(round(1000 * (seconds - 1)), application.quit)
        application.exec()
        composition.window.close()
    (t0, cpu0, n0), (t1, cpu1, n1) = marks
    print(
        f"window ({application.platformName()}): {(n1 - n0) / (t1 - t0):.0f} repaints/s of the image while panning, "
        f"{100 * (cpu1 - cpu0) / (t1 - t0):.0f} % of a core, {process.memory_info().rss / 2**20:.0f} MiB"
    )


def print_run(name: str, finished: Finished) -> None:
    done = sum(
        finished.totals.counts[state] for state in finished.totals.counts if state in ("blank", "hit", "indexed")
    )
    latency = finished.latency
    print(
        f"{name}: {done / (finished.seconds or float('nan')):.1f} frames/s, {finished.totals.total - done} lost, "
        f"latency median {1e3 * (latency.median or 0):.0f} ms, p99 {1e3 * (latency.p99 or 0):.0f} ms",
        flush=True,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=100.0, help="frames/s")
    parser.add_argument("--seconds", type=float, default=40.0, help="how long each run sends")
    parser.add_argument("--steps", type=float, default=40.0, help="by which the image is panned, a second")
    parser.add_argument("--hits", type=float, default=0.5, help="which part of the frames are hits")
    parser.add_argument("--alone", action="store_true", help="leave the run without the window out")
    given = parser.parse_args(arguments)
    give_back_freed_memory()
    with tempfile.TemporaryDirectory() as folder:
        pool = Path(folder, "pool.h5")
        prepare_pool(demo_simulator(), POOL_IMAGES, given.hits, seed=1).save(pool)
        for name, steps in (("without the window", None), ("with the window", given.steps))[given.alone :]:
            place = Path(folder, name.replace(" ", "-"))
            place.mkdir()
            print_run(name, run(place, pool, given.rate, given.seconds, steps))


if __name__ == "__main__":
    main()
