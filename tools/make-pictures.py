"""Makes the picture of the terminal view anew, from a real run: `python tools/make-pictures.py [--frames 2000]`.

A simulated detector sends 4 Mpx lysozyme stills at 50 frames/s from a process of its own, the processor works as it
would at a beamline, and docs/pictures/terminal.svg is written once so many frames have come. Everything else that the
run writes goes to a temporary folder.
"""

import argparse
import subprocess
import sys
import tempfile
import threading
from contextlib import chdir
from pathlib import Path

from braggwatch.processing.simulation.demo import demo_simulator
from braggwatch.processing.simulation.pool import prepare_pool
from braggwatch.streamer.feed_client import FeedClient
from braggwatch.streamer.processor import Processor
from braggwatch.streamer.settings import Settings, parse_settings
from braggwatch.streamer.terminal import save_picture
from braggwatch.streamer.terminal_screen import View

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "pictures" / "terminal.svg"
POOL = Path("stills.h5")
N_WORKERS = 2
RATE = 50


def main() -> None:
    """Run processor and detector until the picture is taken."""
    parser = argparse.ArgumentParser(description="Make docs/pictures/terminal.svg from a real run.")
    parser.add_argument("--frames", type=int, default=2000, help="frames that have come when the picture is taken")
    n_frames: int = parser.parse_args().frames
    # Paths in the picture are relative to this folder.
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        prepare_pool(demo_simulator(), 24, 0.5, seed=1).save(POOL)
        detector = f"ipc://{folder}/detector"
        processor = Processor(settings(detector))

        def on_ready(feed: str) -> None:
            threading.Thread(target=take_picture, args=(feed, detector, processor, n_frames)).start()

        processor.run(on_ready)
    print(PICTURE)


def settings(detector: str) -> Settings:
    """Return the settings of an experiment with a detector at an address."""
    return parse_settings(
        {
            "experiment": {"name": "lysozyme", "record": "lysozyme.sqlite"},
            "source": {"address": detector},
            "chain": {"stages": ["hitfind", "dump:hit", "index", "dump:indexed"]},
            "engine": {"workers": N_WORKERS},
            "feed": {"address": "tcp://127.0.0.1:*"},
            "dump:hit": {"directory": "dumps/hits"},
            "dump:indexed": {"directory": "dumps/indexed"},
            "index": {"cell": "79.2 79.2 38.0 90 90 90 P43212"},
        }
    )


def take_picture(address: str, detector: str, processor: Processor, n_frames: int) -> None:
    """Start the detector once the workers are ready, save the view when `n_frames` have come, and stop both."""
    try:
        with FeedClient(address) as feed:
            while feed.status is None or sum(worker.state == "ready" for worker in feed.status.workers) < N_WORKERS:
                feed.poll(0.2)
            with subprocess.Popen(
                [
                    sys.executable, "-m", "braggwatch.streamer", "simulate", "--address", detector,
                    "--pool", str(POOL), "--rate", str(RATE), "--frames", str(2 * n_frames),
                ]
            ) as sending:  # fmt: skip
                while feed.status.totals.total < n_frames:
                    feed.poll(0.2)
                save_picture(View.of(feed), PICTURE, width=88, height=29)
                sending.terminate()
    finally:
        processor.stop("the picture is taken")


if __name__ == "__main__":
    main()
