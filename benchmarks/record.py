"""What the record costs: on the hub's thread, in the writer, and on disk.

    python benchmarks/record.py [n_frames]

A tenth of the frames are hits with 60 spots, half of the hits are indexed and written to a dump.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

from braggwatch.processing.frame import Series
from braggwatch.streamer.messages import CrystalFound, Dumped, Result, State
from braggwatch.streamer.record import BATCH, Record
from braggwatch.streamer.record_schema import open_record
from braggwatch.streamer.record_writer import Done, Entry, RecordWriter, RunBegan

REPEATS = 5


def results(n: int) -> list[Result]:
    spots = os.urandom(60 * 12)
    crystal = CrystalFound(
        (79.2, 79.2, 38.0, 90.0, 90.0, 90.0), (79.2, 0.0, 0.0, 0.0, 79.2, 0.0, 0.0, 0.0, 38.0), 55, 0.4
    )
    made = []
    for number in range(n):
        if number % 10:
            made.append(Result(series="1", number=number, state=State.BLANK, worker="w1", seconds={"hitfind": 0.003}))
        elif number % 20:
            made.append(Result(series="1", number=number, state=State.HIT, n_peaks=60, resolution=2.1, peaks=spots))
        else:
            made.append(
                Result(
                    series="1", number=number, state=State.INDEXED, n_peaks=60, resolution=2.1, peaks=spots,
                    crystals=(crystal,), dumped=(Dumped("indexed", "dumps/run1_indexed_w1.h5", number // 20),),
                )
            )  # fmt: skip
    return made


def on_the_hub(folder: Path, made: list[Result]) -> float:
    """Return s a frame for noting results, while the writer runs beside it."""
    with Record(folder / "hub.sqlite", limit_bytes=2**40) as record:
        record.begin_run(Series(key="1", number=1), 0.0)
        begin = time.perf_counter()
        for result in made:
            record.result(result, 1.0)
        return (time.perf_counter() - begin) / len(made)


def in_the_writer(path: Path, made: list[Result]) -> float:
    """Return s a frame for writing batches, commits included."""
    connection = open_record(path, busy_s=1.0)
    writer = RecordWriter(connection)
    entries: list[Entry] = [RunBegan(Series(key="1", number=1), 0.0), *(Done(r, r.number / 5000) for r in made)]
    begin = time.perf_counter()
    for i in range(0, len(entries), BATCH):
        writer.write(entries[i : i + BATCH])
    seconds = time.perf_counter() - begin
    connection.close()
    return seconds / len(made)


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    made = results(n)
    hub, writer = [], []
    for _ in range(REPEATS):
        with tempfile.TemporaryDirectory() as folder:
            hub.append(on_the_hub(Path(folder), made))
            path = Path(folder) / "writer.sqlite"
            writer.append(in_the_writer(path, made))
            size = path.stat().st_size
    print(f"{n} frames, best of {REPEATS}, slowest in brackets")
    print(f"hub's thread: {min(hub) * 1e6:.2f} µs a frame ({max(hub) * 1e6:.2f})")
    print(f"writer: {1 / min(writer):,.0f} frames/s ({1 / max(writer):,.0f})")
    print(f"on disk: {size / n:.0f} bytes a frame")


if __name__ == "__main__":
    main()
