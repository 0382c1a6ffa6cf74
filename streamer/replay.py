"""A record shown as if its processor still ran: what the processor would have said, on a feed of its own."""

import contextlib
import hashlib
import logging
import re
import sqlite3
import threading
import time
import tomllib
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from braggwatch.processing.closing import Closing
from braggwatch.streamer.archive import Archive
from braggwatch.streamer.feed import Feed
from braggwatch.streamer.feed_messages import Dump, Mark, Notice, RecordState, Status
from braggwatch.streamer.picture_messages import SettingsInForce, ShotImage
from braggwatch.streamer.record_reader import open_read_only
from braggwatch.streamer.record_schema import RecordError
from braggwatch.streamer.record_summary import RecordSummary, read_summary, span_of
from braggwatch.streamer.recorded_geometry import recorded_settings
from braggwatch.streamer.recorded_merge import read_merge
from braggwatch.streamer.replayed_pictures import ReplayedPictures
from braggwatch.streamer.replayed_shots import last_images, last_shots, newest_hits
from braggwatch.streamer.statistics import N_MARKS, groups_of, rates_of
from braggwatch.streamer.wording import count

log = logging.getLogger(__name__)

ADDRESS = "tcp://127.0.0.1:*"
TURN_S = 0.05
STATUS_EVERY_S = 0.5
LOG_EVERY_S = 2.0
LOOK_EVERY_S = 5.0
"""How often a record that may still grow is looked at."""
LOOK_COST = 20
"""Times as long as reading took, until a record that has grown is read again: one of 10⁶ frames takes seconds."""

_CHANGED = re.compile(r"# changed by [^\n]*?: ([^\n]*)")
"""How the text of settings begins that were changed while frames came."""


class RecordFeed(Closing):
    """Reads a record and its dumps, and says on a feed what their processor said last; an archive is beside it.

    Everything is opened for reading only; the one thing that is ever written are tags that a viewer gives. A record
    that still grows is read again every now and then. But for opening and closing, all happens in a thread, so that a
    viewer is served at once, and sees how the reading of a large record goes.
    """

    def __init__(self, path: Path) -> None:
        """Open a record. Raises RecordError where that is none, and OSError where no port is free."""
        self._path = path
        with contextlib.ExitStack() as stack:
            self._connection = stack.enter_context(contextlib.closing(open_read_only(path)))
            self._feed = stack.enter_context(Feed(ADDRESS))
            archive = stack.enter_context(Archive(path, self._feed.address))
            self._opened = stack.pop_all()
        self._feed.archive_address = archive.address
        self._desk = archive.desk
        self._pictures = ReplayedPictures(self._connection, path, archive.desk)
        self._published: list[ShotImage] = []
        self._seen: int | None = None
        """The state of the file that was read."""
        now = time.time()
        self._status = Status(word="RECORD", since=now, time=now, experiment=path.stem, source=str(path))
        self._next_status = self._next_log = 0.0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="replay", daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """Where viewers find the feed."""
        return self._feed.address

    def close(self) -> None:
        """End the feed; reading that is under way is given up."""
        self._closing.set()
        self._thread.join()
        self._opened.close()

    # -- the thread ---------------------------------------------------------------------------------------------

    def _run(self) -> None:
        with contextlib.suppress(_Closed):
            while True:
                began = time.monotonic()
                self._seen = self._state_of_file()
                problem = self._read()
                if problem:
                    log.warning("%s", problem)
                self._say(Notice(kind="record", text=problem) if problem else None)
                self._rest(max(LOOK_EVERY_S, LOOK_COST * (time.monotonic() - began)))
                while self._state_of_file() == self._seen:
                    self._rest(LOOK_EVERY_S)

    def _read(self) -> str:
        """Read everything and publish it; returns what went wrong, as a sentence or empty."""
        try:
            self._read_numbers()
            return self._read_pictures()
        except (sqlite3.Error, RecordError) as error:
            self._seen = None  # to be tried again
            return f"the record {self._path} cannot be read: {error}"
        except (TypeError, ValueError, LookupError, OverflowError) as error:
            # SQLite lets anybody put anything into any column.
            log.debug("the record makes no sense", exc_info=error)
            return f"the record {self._path} makes no sense: {type(error).__name__}: {error}"

    def _read_numbers(self) -> None:
        (n_frames,) = self._connection.execute("SELECT count(*) FROM frames").fetchone()
        counted = 0

        def progress(n: int) -> None:
            nonlocal counted
            counted += n
            self._tell_progress(f"reading the record: {count(counted)} of {count(n_frames)} frames")

        progress(0)
        self._summary = read_summary(self._connection, progress)
        settings = self._connection.execute("SELECT version, time, text, program FROM settings ORDER BY id").fetchall()
        self._settings = _tables(settings[-1][2]) if settings else {}
        self._detector_since = _detector_since([(since, _tables(text)) for _, since, text, _ in settings])
        self._status = self._status_of(self._summary, settings)
        self._say(self._status.notices[0] if self._status.notices else None)
        self._feed.publish(self._summary.timeline.history(_marks(self._summary, settings)))
        if settings:
            version, since, text, _ = settings[-1]
            self._feed.publish(SettingsInForce(version=version, time=since, text=text))
        merging = read_merge(self._connection)
        if merging is not None:
            self._feed.publish(merging)
        self._tell_maps()
        self._hits = newest_hits(self._connection, self._desk)
        self._feed.publish(last_shots(self._connection, self._hits))

    def _tell_maps(self) -> None:
        """Let dark, noise, gain and mask be read from the files that the settings name, where these are still there."""
        maps = self._desk.maps
        try:
            maps.describe(recorded_settings(self._detector_table(), self._path.absolute().parent))
        except ValueError as error:
            maps.describe(None, f"the record does not say: {error}")
        for run in self._summary.runs:
            maps.know(run.series)

    def _detector_table(self) -> dict[str, Any]:
        table = self._settings.get("detector")
        return table if isinstance(table, dict) else {}

    def _read_pictures(self) -> str:
        problem = ""
        if self._summary.runs:
            try:
                geometry = self._pictures.begin(self._summary.runs, self._detector_table(), self._detector_since)
                self._feed.publish(geometry)
            except ValueError as error:
                problem = f"it is not known where the pixels are: {error}"
        images = last_images(self._desk, self._hits)
        for image in images:
            if image not in self._published:
                self._feed.publish(image)
        self._published = images
        self._turn()

        def progress(done: int, n: int) -> None:
            self._tell_progress(f"adding up the spots of {count(n)} hits: {count(done)} done")

        for picture in self._pictures.add_hits(self._summary.runs, progress):
            self._feed.publish(picture)
        return problem

    def _state_of_file(self) -> int:
        """Return a number that changes when something is written into the record."""
        try:
            version: int = self._connection.execute("PRAGMA data_version").fetchone()[0]
        except sqlite3.Error:
            return -1
        return version

    # -- what viewers hear --------------------------------------------------------------------------------------

    def _tell_progress(self, text: str) -> None:
        now = time.monotonic()
        if now >= self._next_log:
            self._next_log = now + LOG_EVERY_S
            log.info("%s", text)
        self._status = msgspec.structs.replace(self._status, notices=(Notice(kind="record", text=text),))
        self._turn()

    def _say(self, notice: Notice | None) -> None:
        """Publish the numbers at once."""
        self._status = msgspec.structs.replace(self._status, notices=() if notice is None else (notice,))
        self._next_status = 0.0
        self._turn()

    def _rest(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._turn()
            self._closing.wait(TURN_S)

    def _turn(self) -> None:
        """Serve viewers; raises _Closed when it is time to end."""
        if self._closing.is_set():
            raise _Closed
        self._feed.serve()
        now = time.monotonic()
        if now >= self._next_status:
            self._next_status = now + STATUS_EVERY_S
            self._feed.publish(msgspec.structs.replace(self._status, time=time.time()))

    def _status_of(self, summary: RecordSummary, settings: Sequence[tuple[int, float, str, str]]) -> Status:
        version, _, text, program = settings[-1] if settings else (0, 0.0, "", "")
        experiment = self._settings.get("experiment")
        name = experiment.get("name") if isinstance(experiment, dict) else None
        last = summary.runs[-1] if summary.runs else None
        total = summary.total()
        return Status(
            word="RECORD",
            since=summary.ended,
            time=time.time(),
            experiment=name if isinstance(name, str) else self._path.stem,
            source=str(self._path),
            run=None if last is None else summary.run(last, span_of(self._connection, last)),
            totals=summary.ledger(),
            runs=len(summary.runs),
            window=summary.ended - summary.began,
            rates=rates_of(total),
            groups=groups_of(total.groups, total.groups),
            notices=self._status.notices,
            dumps=self._dumps(),
            record=RecordState(
                path=str(self._path), frames=summary.n_frames - summary.unrecorded, unrecorded=summary.unrecorded
            ),
            versions={"braggwatch": program} if program else {},
            settings_version=version,
            settings_digest=hashlib.sha256(text.encode()).hexdigest()[:12] if text else "",
        )

    def _dumps(self) -> tuple[Dump, ...]:
        images: Counter[tuple[str, str]] = Counter()
        for dump, path, n in self._connection.execute(
            "SELECT dump, path, count(*) FROM images JOIN files ON files.id = images.file GROUP BY files.id"
        ):
            images[dump, str(Path(path).parent)] += n
        return tuple(Dump(name=dump, directory=folder, images=n) for (dump, folder), n in images.items())


class _Closed(Exception):  # noqa: N818 (no error)
    """It is time to end."""


def _tables(text: str) -> dict[str, Any]:
    """Return settings as they stand in a record; nothing where they cannot be read.

    Only as a document: checking them would import the stages that they name, and the record may be anybody's.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return {}


def _detector_since(settings: Sequence[tuple[float, dict[str, Any]]]) -> float:
    """Return since when the table ``[detector]`` has been what it was at last, s since 1970."""
    began = 0.0
    for (_, before), (since, after) in pairwise(settings):
        if before.get("detector") != after.get("detector"):
            began = since
    return began


def _marks(summary: RecordSummary, settings: Sequence[tuple[int, float, str, str]]) -> list[Mark]:
    marks = [Mark(run.started, "run began", f"run {run.series.number}") for run in summary.runs]
    marks += [Mark(run.ended, "run ended", f"run {run.series.number}") for run in summary.runs if run.ended is not None]
    marks += [
        Mark(since, "settings", changed[1])
        for _, since, text, _ in settings
        if (changed := _CHANGED.match(text)) is not None
    ]
    return sorted(marks, key=lambda mark: mark.time)[-N_MARKS:]
