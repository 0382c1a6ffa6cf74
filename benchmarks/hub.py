"""What the hub costs: frames a second and CPU a frame, with its record, statistics and feed.

`python -m benchmarks.hub [--small 50000] [--large 2000]`

A detector process sends frames as fast as they are taken; a worker process answers each at once without looking at it.
All three share this machine's cores, so the rate is a lower bound; CPU a frame is the hub's own. Small frames come as
they are, then in two groups, then in two groups of which one is left out unseen.
"""

import argparse
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import zmq

from braggwatch import __version__
from braggwatch.processing.compression import bslz4_chunk
from braggwatch.processing.detector_settings import DetectorSettings
from braggwatch.processing.frame import Encoding, Frame, Series
from braggwatch.processing.shot_groups import GroupSettings
from braggwatch.streamer import worker_protocol as protocol
from braggwatch.streamer.daq_simulator.settings import SimulatorSettings
from braggwatch.streamer.daq_simulator.simulator import run_simulator
from braggwatch.streamer.feed import Feed
from braggwatch.streamer.feed_messages import Queue
from braggwatch.streamer.hub import Hub
from braggwatch.streamer.hub_settings import HubSettings
from braggwatch.streamer.live_merge import LiveMerge
from braggwatch.streamer.messages import Result, State
from braggwatch.streamer.pictures import Pictures
from braggwatch.streamer.record import Record
from braggwatch.streamer.results import Results
from braggwatch.streamer.select_settings import SelectSettings
from braggwatch.streamer.settings import parse_settings
from braggwatch.streamer.shot_images import ShotImages
from braggwatch.streamer.sources.settings import DectrisV2Settings
from braggwatch.streamer.sources.source import open_source
from braggwatch.streamer.statistics import Statistics

ADDRESS = "tcp://127.0.0.1:31902"
ABOUT = dict.fromkeys(("experiment", "source", "protocol", "version"), "benchmark")


LASER = "1 on, 1 off"
GROUPS = GroupSettings(by="laser_1")


def send(image: np.ndarray, n_frames: int, laser: str | None) -> None:
    payload = bslz4_chunk(image)
    frame = Frame(
        series="", number=0, payload=payload, shape=image.shape, dtype="uint16", encoding=Encoding("bslz4", "hdf5")
    )
    series = Series(key="", number=1, shape=image.shape, dtype="uint16")
    run_simulator(SimulatorSettings(address=ADDRESS, n_frames=n_frames, laser=laser), [frame], series)


def answer(hub_address: str) -> None:
    with zmq.Context() as context, context.socket(zmq.DEALER) as hub:
        hub.set_hwm(0)
        hub.connect(hub_address)
        hub.send_multipart([protocol.HELLO, protocol.encode_hello(protocol.Hello("echo", "here", 0, __version__))])
        while (parts := hub.recv_multipart(copy=False))[0].bytes != protocol.STOP:
            kind = parts[0].bytes
            if kind == protocol.SETTINGS:
                hub.send_multipart([protocol.READY])
            elif kind == protocol.END:
                hub.send_multipart([protocol.ENDED, parts[1].bytes])
            elif kind == protocol.FRAME:
                frame = protocol.decode_frame(parts[1].buffer, parts[2].buffer)
                group = GROUPS.group_of(frame.values) if frame.values else ""
                result = Result(series=frame.series, number=frame.number, state=State.BLANK, worker="echo", group=group)
                hub.send_multipart([protocol.RESULT, protocol.encode_result(result)])
        hub.send_multipart([protocol.BYE, b"echo"])


def measure(
    image: np.ndarray,
    n_frames: int,
    laser: str | None = None,
    select: SelectSettings | None = None,
) -> tuple[float, float]:
    """Return frames a second, and the hub's CPU seconds a frame."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Record(Path(folder, "record.sqlite")) as record,
        Feed("tcp://127.0.0.1:*") as feed,
        Pictures(DetectorSettings()) as pictures,
        LiveMerge() as merge,
        open_source(DectrisV2Settings(address=ADDRESS, high_water_mark=20)) as source,
    ):
        results = Results(Statistics(time.time()), record, feed, pictures, ShotImages(8.0), merge, about=ABOUT)
        results.settings_in_force(parse_settings({"groups": GROUPS.model_dump()} if laser else {}))
        settings = HubSettings(drop="never", queue_bytes=2**24, credits=8, silence=1e6)
        hub = Hub(source, settings, b"{}", results, quarantine=lambda series, frame: "", select=select)
        processes = multiprocessing.get_context("spawn")
        worker = processes.Process(target=answer, args=(hub.bind("tcp://127.0.0.1:*"),))
        sender = processes.Process(target=send, args=(image, n_frames, laser))
        worker.start()
        sender.start()
        while hub.accounts.totals()["total"] == 0:
            hub.turn(0.05)
        wall, cpu = time.perf_counter(), time.process_time()
        while hub.accounts.n_ended == 0:
            hub.turn(0.05)
            results.publish(hub.accounts.totals(), hub.accounts.current(), Queue(hub.queue_length), [])
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        hub.dismiss_workers(5.0)
        hub.close()
        for process in (worker, sender):
            process.join()
    return n_frames / wall, cpu / n_frames


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", type=int, default=50_000, help="frames of 64 x 64")
    parser.add_argument("--large", type=int, default=2000, help="frames of 4 Mpx")
    given = parser.parse_args(arguments)
    rng = np.random.default_rng(0)
    cases = (
        ("64 x 64", (64, 64), given.small, None, None),
        ("64 x 64 in two groups", (64, 64), given.small, LASER, None),
        ("64 x 64, half of them left out", (64, 64), given.small, LASER, SelectSettings(keep={"laser_1": 1})),
        ("4 Mpx", (2162, 2068), given.large, None, None),
    )
    for name, shape, n_frames, laser, select in cases:
        rate, cpu = measure(rng.poisson(0.8, shape).astype(np.uint16), n_frames, laser, select)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"hub, {n_frames} frames of {name}: {rate:8.0f} frames/s, {1e6 * cpu:6.0f} µs of CPU a frame, "
            f"memory at most {peak:.0f} MiB so far",
            flush=True,
        )


if __name__ == "__main__":
    main()
