"""Where the archive's answers come from: the record and the dumps."""

import contextlib
import logging
import sqlite3
import threading
from pathlib import Path

import msgspec

from braggwatch.processing.detector import Detector
from braggwatch.streamer.archive_messages import (
    Answer,
    Hits,
    HitsWanted,
    Refusal,
    Request,
    Shot,
    ShotsFound,
    ShotWanted,
    SpotsWanted,
    Tagged,
    TagWanted,
)
from braggwatch.streamer.calibration_maps import CalibrationMaps
from braggwatch.streamer.dumped_pixels import ENCODING, DumpedPixels, Pixels
from braggwatch.streamer.map_messages import MapWanted
from braggwatch.streamer.messages import State
from braggwatch.streamer.picture_messages import ImageKind, ShotImage
from braggwatch.streamer.record_reader import RecordedShot, RecordReader
from braggwatch.streamer.record_schema import RecordError
from braggwatch.streamer.record_tags import TagError, set_tag
from braggwatch.streamer.wording import plain

log = logging.getLogger(__name__)

_requests = msgspec.msgpack.Decoder(Request)
_KINDS: dict[State, ImageKind] = {State.BLANK: "blank", State.HIT: "hit", State.INDEXED: "indexed"}


class ArchiveDesk:
    """Finds the answers, one at a time; may be used from any thread."""

    def __init__(self, record: Path, maps: CalibrationMaps) -> None:
        self.maps = maps
        self._record = record
        self._lock = threading.Lock()
        self._reader: RecordReader | None = None
        self._pixels = DumpedPixels(record)

    def close(self) -> None:
        """Close record and dumps."""
        with self._lock:
            self._pixels.close()
        self._close_record()

    def answer(self, request: bytes) -> Answer:
        """Return the answer to a request as it came; nothing that is asked raises an exception."""
        try:
            return self.find(_requests.decode(request))
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            return Refusal(plain(f"the archive does not understand this request: {error}"))
        except OverflowError:
            return Refusal("the request has a number beyond 64 bit")
        except RecordError as error:
            return Refusal(str(error))
        except sqlite3.Error as error:
            self._close_record()  # the next question opens it anew
            return Refusal(f"the record {self._record} cannot be read: {error}")
        except Exception as error:
            # One viewer's question shall not take the archive from all others.
            log.exception("the archive stumbled over a request")
            return Refusal(plain(f"the archive stumbled: {type(error).__name__}: {error}", 500))

    def find(self, request: Request) -> Answer:
        """Return the answer; raises RecordError, sqlite3.Error and OverflowError."""
        if isinstance(request, MapWanted):
            return self.maps.find(request)
        with self._lock:
            if self._reader is None:
                self._reader = RecordReader(self._record)
            match request:
                case HitsWanted(after, limit, tags):
                    return self._with_tags(self._reader, self._reader.hits(after, limit), tags)
                case ShotWanted(series, number):
                    return self._shot(self._reader, series, number)
                case SpotsWanted(inverse_d, max_value, limit):
                    return ShotsFound(tuple(self._reader.with_spots(inverse_d, max_value, limit)))
                case TagWanted():
                    return self._tag(self._reader, request)

    def detector_of(self, dump: str) -> tuple[Detector, str] | None:
        """Return where the pixels of a file of the dumps are, and their dtype; None where it is not to be found.

        Raises ImageFileError.
        """
        with self._lock:
            reader = self._pixels.file(dump)
            return None if reader is None else (reader.detector(), reader.dtype)

    def _shot(self, reader: RecordReader, series: str, number: int) -> Shot:
        found = reader.shot(series, number)
        if isinstance(found, str):
            return Shot(series, number, None, found)
        pixels, problem = self._pixels_of(found)
        image = ShotImage(
            kind=_KINDS[found.result.state], result=found.result, time=found.time, shape=pixels.shape,
            dtype=pixels.dtype, encoding=ENCODING, payload=pixels.payload,
        )  # fmt: skip
        return Shot(series, number, image, problem)

    def _pixels_of(self, shot: RecordedShot) -> tuple[Pixels, str]:
        """Return a shot's pixels, or none and a sentence that says why."""
        result = shot.result
        none = Pixels(b"", shot.shape or (0, 0), shot.dtype or "uint16")
        if result.state is State.BLANK and not result.dumped:
            return none, f"frame {result.number} was blank, and not dumped: dumps hold hits, and blanks where asked for"
        if not result.dumped:
            return none, f"frame {result.number} was not dumped: no dump stage saw it, or its disk could not be written"
        found = self._pixels.read(result.dumped, result.number)
        return (none, found) if isinstance(found, str) else (found, "")

    def _with_tags(self, reader: RecordReader, hits: Hits, known: str) -> Hits:
        state = reader.state_of_tags()
        tagged = None if state == known else tuple(reader.tagged_shots())
        return msgspec.structs.replace(hits, tags=state, tagged=tagged)

    def _tag(self, reader: RecordReader, wanted: TagWanted) -> Tagged:
        series, number, problem = wanted.series, wanted.number, ""
        try:
            if wanted.add and isinstance(found := reader.shot(series, number), str):
                raise TagError(found)
            set_tag(self._record, series, number, wanted.tag, present=wanted.add)
        except TagError as error:
            problem = str(error)
        except sqlite3.Error as error:
            problem = f"the tag cannot be written into the record {self._record}: {error}"
        return Tagged(series, number, reader.tags(series, number), problem)

    def _close_record(self) -> None:
        with self._lock, contextlib.suppress(sqlite3.Error):
            if self._reader is not None:
                self._reader.close()
            self._reader = None
