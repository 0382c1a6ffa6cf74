"""`braggwatch process` with the stage `stream`: one CrystFEL stream that all workers write while the run goes on."""

import os
import signal
from pathlib import Path
from typing import Any

from programs import hits_among, processing, query, start_simulator, wait_until, write_settings
from strict_stream import read_stream

STAGES = ["hitfind", "index", "integrate", "dump:indexed", "stream"]


def numbers_in(path: Path) -> list[int]:
    return [chunk.serial - 1 for chunk in read_stream(path).chunks]


def test_every_indexed_frame_is_in_one_stream_that_can_be_read_at_any_moment(tmp_path: Path) -> None:
    streams = tmp_path / "streams"
    simulator, address = start_simulator(tmp_path, "--frames", "300", "--rate", "40")
    tables: dict[str, dict[str, Any]] = {"chain": {"stages": STAGES}, "stream": {"directory": str(streams)}}
    settings = write_settings(tmp_path, address, **tables)
    with simulator, processing(tmp_path, settings, "--series", "1") as (processor, feed):
        wait_until(lambda: any(streams.glob("*.stream")), feed=feed, of=processor)
        (path,) = streams.iterdir()
        seen = [len(numbers_in(path))]
        assert feed.status is not None
        victim = next(worker.pid for worker in feed.status.workers if worker.pid)
        os.kill(victim, signal.SIGKILL)
        while processor.process.poll() is None:
            feed.poll(0.5)
            seen.append(len(numbers_in(path)))
        assert processor.wait() == 0
    found = numbers_in(path)
    assert seen == sorted(seen) and len(set(seen)) > 2 and seen[-1] <= len(found)
    states = "SELECT number FROM frames JOIN states ON code = state WHERE name = 'indexed'"
    indexed = {number for (number,) in query(tmp_path / "record.sqlite", states)}
    assert set(found) == indexed == hits_among(300)
    # a worker that is killed before it has said so has its last shots done once more by another
    assert len(found) - len(indexed) <= 8
    for chunk in read_stream(path).chunks:
        assert Path(chunk.filename).is_relative_to(tmp_path / "dumps") and len(chunk.crystals) == 1
        counts = chunk.crystals[0].counts
        assert counts is not None and counts[0] > 20
    assert [path.name for path in streams.iterdir()] == [path.name]
