"""Geometry, peakogram and powders of a record, made again from its spots and a sample of the dumped pixels."""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import msgspec

from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Frame
from braggwatch.streamer.album import Album
from braggwatch.streamer.archive_desk import ArchiveDesk
from braggwatch.streamer.archive_messages import Shot, ShotWanted
from braggwatch.streamer.messages import PEAK
from braggwatch.streamer.picture_messages import Geometry, Peakogram, Powder
from braggwatch.streamer.record_summary import RecordedRun
from braggwatch.streamer.recorded_geometry import recorded_detector

HITS_AT_ONCE = 500
N_ALIKE = 100
"""Earlier runs that are told to have the geometry of the last."""
PIXELS_OF = 100
"""Hits whose pixels are added up, spread over all: a second or two for 4 Mpx."""

_SPOTS = "SELECT id, run, number, peaks FROM hits WHERE id > ? ORDER BY id LIMIT ?"


class ReplayedPictures:
    """Keeps the pictures of a record that may still grow; used from one thread."""

    def __init__(self, connection: sqlite3.Connection, record: Path, desk: ArchiveDesk) -> None:
        self._connection = connection
        self._desk = desk
        self._beside = record.absolute().parent
        self._geometry: Geometry | None = None
        self._detector: Detector | None = None
        self._album: Album | None = None
        self._after = 0
        """The last hit that was looked at, by its id."""

    def begin(self, runs: list[RecordedRun], settings: dict[str, Any], since: float) -> Geometry:
        """Return the geometry of the last run; another one than before begins new pictures.

        `settings` is the table ``[detector]``, in force since `since` (s since 1970): earlier runs may have had another
        geometry. Raises ValueError where the geometry is not known.
        """
        run = runs[-1]
        detector = recorded_detector(self._connection, run, settings, self._desk, self._beside)
        geometry = Geometry.of(run.series.key, run.series.number, detector)
        anonymous = msgspec.structs.replace(geometry, series="", run=0)
        if anonymous != self._geometry:
            self._album, self._detector, self._after = None, detector, 0
            self._geometry = anonymous
        alike = [
            earlier.series.key for earlier in runs[:-1] if _place(earlier) == _place(run) and earlier.started >= since
        ]
        return msgspec.structs.replace(geometry, alike=tuple(alike[-N_ALIKE:]))

    def add_hits(self, runs: list[RecordedRun], progress: Callable[[int, int], None]) -> Iterator[Peakogram | Powder]:
        """Add the hits that are new, of all runs that were like the last; yield each picture when it is time for it.

        `progress` is told how many hits are done, and of how many. Raises sqlite3.Error.
        """
        if self._detector is None:
            return
        if self._album is None:
            self._album = Album(self._detector, None)  # dumps hold calibrated pixels
        alike = {run.id: run.series.key for run in runs if _place(run) == _place(runs[-1])}
        (n_new,) = self._connection.execute("SELECT count(*) FROM hits WHERE id > ?", (self._after,)).fetchone()
        stride, done = max(n_new // PIXELS_OF, 1), 0
        while rows := self._connection.execute(_SPOTS, (self._after, HITS_AT_ONCE)).fetchall():
            self._after = rows[-1][0]
            hits = [(alike[run], number, peaks) for _, run, number, peaks in rows if run in alike]
            self._add_spots(self._album, [peaks for _, _, peaks in hits])
            for series, number, _ in hits[-done % stride :: stride]:
                self._add_pixels(self._album, series, number)
                progress(done, n_new)
            done += len(hits)
            progress(done, n_new)
            yield from self._album.messages(monotonic())
        yield from self._album.messages(monotonic(), last=True)

    def _add_spots(self, album: Album, packed: list[bytes]) -> None:
        whole = [peaks for peaks in packed if len(peaks) % PEAK.itemsize == 0]
        album.n_hits += len(packed)
        album.add_spots(whole)

    def _add_pixels(self, album: Album, series: str, number: int) -> None:
        shot = self._desk.find(ShotWanted(series, number))
        if not isinstance(shot, Shot) or shot.image is None or not shot.image.payload:
            return
        image = shot.image
        frame = Frame(
            series=series, number=number, payload=image.payload, shape=image.shape, dtype=image.dtype,
            encoding=image.encoding,
        )  # fmt: skip
        with contextlib.suppress(ValueError):  # a dump that is damaged, or of another shape
            album.add_pixels(frame, to_hits=True, to_all=False)


def _place(run: RecordedRun) -> tuple[object, ...]:
    """Return what must be the same for two runs to be added up."""
    series = run.series
    return series.shape, series.pixel_size, series.distance, series.beam_center, series.photon_energy
