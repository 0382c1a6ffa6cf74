"""The record: one SQLite file an experiment, from which everything shown can be drawn again.

The hub's thread only appends to a queue in memory; a thread of the record's own writes what has gathered every half
second, in one transaction. Committed batches survive a `kill -9`, and other programs on the same computer may read the
file while it grows.

When the disk is slow or full, the queue takes up to 128 MiB. Beyond that a frame gets no row of its own, but is counted
by run and state, and the counts go into the table `unrecorded` as soon as the disk can be written again, so that the
totals still add up. The hub never waits, except in `close`.
"""

import contextlib
import sqlite3
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from pathlib import Path

from braggwatch.processing.closing import Closing
from braggwatch.processing.frame import Series
from braggwatch.streamer.feed_messages import RecordState
from braggwatch.streamer.merge_messages import Merging
from braggwatch.streamer.messages import Result, State
from braggwatch.streamer.record_schema import RecordError, open_record
from braggwatch.streamer.record_writer import (
    Done,
    Entry,
    Lost,
    Merged,
    RecordWriter,
    RunBegan,
    RunEnded,
    SettingsChanged,
    Unrecorded,
)

__all__ = ["Record", "RecordError"]

EVERY_S = 0.5
"""s between two transactions."""
BATCH = 2000
"""Entries in one transaction at most: short ones give other threads and other programs their turn."""
LIMIT_BYTES = 128 * 2**20
"""How much may wait in memory."""
RETRY_S = 1.0
MERGE_EVERY_S = 10.0
"""s between two entries on how the merge stands."""
BUSY_S = 1.0
"""s to wait for another program that writes to the file, before it counts as a problem."""

# What a result takes in memory besides its spots, roughly.
_RESULT_BYTES = 800
_CRYSTAL_BYTES = 800


class Record(Closing):
    """Writes what becomes of every frame; the methods are called by one thread, the hub's."""

    def __init__(self, path: str | Path, *, limit_bytes: int = LIMIT_BYTES) -> None:
        """Open the record, or begin it; what is in it stays. Raises RecordError when the file is of no use."""
        self.path = Path(path)
        self._connection = open_record(self.path, busy_s=BUSY_S)
        self._writer = RecordWriter(self._connection)
        self._limit_bytes = limit_bytes
        self._entries: deque[Entry] = deque()
        # Two counters with one writer each need no lock: the hub adds to the one, the thread to the other.
        self._bytes_in = 0
        self._bytes_out = 0
        self._overflow: Counter[tuple[str, State]] = Counter()
        self._overflow_lock = threading.Lock()
        self._unrecorded = 0
        self._next_merge = float("-inf")
        self._in_flight = 0
        self._problem = ""
        self._closing = threading.Event()
        self._give_up_at = float("inf")
        self._thread = threading.Thread(target=self._write_until_closed, name="record", daemon=True)
        self._thread.start()

    def begin_run(self, series: Series, time: float) -> None:
        """Note that a series began at `time` (s since 1970); the same key again brings its header up to date."""
        self._entries.append(RunBegan(series, time))

    def end_run(self, key: str, counts: Mapping[str, int], time: float) -> None:
        """Note that a series ended, and the ledger's counts by state."""
        self._entries.append(RunEnded(key, dict(counts), time))

    def settings(self, text: str, version: int, time: float) -> None:
        """Note which settings are in force from `time` on."""
        self._entries.append(SettingsChanged(text, version, time))

    def merging(self, merging: Merging, *, last: bool = False) -> None:
        """Note how the merge stands; what comes within 10 s of the one before is passed over, unless it is the last."""
        if last or merging.time >= self._next_merge:
            self._next_merge = merging.time + MERGE_EVERY_S
            self._entries.append(Merged(merging))

    def result(self, result: Result, time: float) -> None:
        """Note what was found in a frame."""
        n_bytes = _result_bytes(result)
        if self._bytes_in - self._bytes_out + n_bytes > self._limit_bytes:
            self._only_count(result.series, result.state, 1)
            return
        self._entries.append(Done(result, time))
        self._bytes_in += n_bytes

    def lost(self, series: str, numbers: int | range, state: State, time: float) -> None:
        """Note frames that ended without a result; a range (step 1) takes no more room than a single frame.

        A frame that was worked on and has an error to tell goes to `result`, whatever its state.
        """
        first, n = (numbers, 1) if isinstance(numbers, int) else (numbers.start, len(numbers))
        if n == 0:
            return
        if self._bytes_in - self._bytes_out + _RESULT_BYTES > self._limit_bytes:
            self._only_count(series, state, n)
            return
        self._entries.append(Lost(series, first, first + n - 1, state, time))
        self._bytes_in += _RESULT_BYTES

    def state(self) -> RecordState:
        """Return how the record is doing, with what keeps it from being written in one sentence."""
        return RecordState(
            path=str(self.path),
            frames=self._writer.frames,
            pending=len(self._entries) + self._in_flight,
            unrecorded=self._unrecorded,
            problem=self._problem or self._shortcomings(),
        )

    def close(self, timeout: float = 10.0) -> RecordState:
        """Write what is left, for at most `timeout` s, and close the file; returns how the record ended."""
        if not self._closing.is_set():
            self._give_up_at = time.monotonic() + timeout
            self._closing.set()
        self._thread.join(timeout + BUSY_S)
        if self._thread.is_alive():
            n = len(self._entries) + self._in_flight
            self._problem = f"the record {self.path} may lack the last {n} entries: the disk takes too long"
        return self.state()

    def _only_count(self, series: str, state: State, n: int) -> None:
        with self._overflow_lock:
            self._overflow[series, state] += n
        self._unrecorded += n

    def _shortcomings(self) -> str:
        said = []
        if self._unrecorded:
            said.append(f"{self._unrecorded} frames are counted, but have no row: the disk did not keep up")
        if self._writer.refused:
            said.append(f"{self._writer.refused} entries cannot be recorded, the last one: {self._writer.refusal}")
        return "; ".join(said)

    def _write_until_closed(self) -> None:
        try:
            while not self._closing.wait(EVERY_S):
                if not self._write_all():
                    return
            self._write_all()
        except Exception as error:
            self._problem = f"the record {self.path} is not written any more: {type(error).__name__}: {error}"
            raise
        finally:
            # With the last connection closed, the write-ahead log is merged into the file and goes away.
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()

    def _write_all(self) -> bool:
        """Write what waits now; False when closing took too long to write it."""
        for _ in range(len(self._entries) // BATCH + 1):
            batch = [self._entries.popleft() for _ in range(min(BATCH, len(self._entries)))]
            if not self._write(batch):
                return False
            self._bytes_out += sum(_entry_bytes(entry) for entry in batch)
        overflow: list[Entry] = list(self._take_overflow())
        return self._write(overflow)

    def _write(self, batch: list[Entry]) -> bool:
        """Write a batch, again and again while the disk is full or locked; False when it is time to give up."""
        self._in_flight = len(batch)
        while batch:
            try:
                self._writer.write(batch)
                break
            except sqlite3.Error as error:
                n = len(self._entries) + len(batch)
                self._problem = (
                    f"the record {self.path} cannot be written: {error}; {n} entries wait in memory. "
                    f"Free the disk, or the file: it is tried again every {RETRY_S:.0f} s"
                )
                if self._closing.is_set() and time.monotonic() > self._give_up_at:
                    self._problem = f"the record {self.path} lacks the last {n} entries: {error}"
                    return False
            if self._closing.wait(RETRY_S):
                time.sleep(0.1)
        self._in_flight = 0
        self._problem = ""
        return True

    def _take_overflow(self) -> list[Unrecorded]:
        with self._overflow_lock:
            taken, self._overflow = self._overflow, Counter()
        return [Unrecorded(series, state, n, time.time()) for (series, state), n in taken.items()]


def _result_bytes(result: Result) -> int:
    return _RESULT_BYTES + len(result.peaks) + _CRYSTAL_BYTES * len(result.crystals)


def _entry_bytes(entry: Entry) -> int:
    match entry:
        case Done(result, _):
            return _result_bytes(result)
        case Lost():
            return _RESULT_BYTES
        case _:
            return 0
