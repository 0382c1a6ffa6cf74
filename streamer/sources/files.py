"""Image files as a source: recorded data goes the way of live data."""

import queue
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Literal

import zmq
from pydantic import BaseModel, ConfigDict, Field

from braggwatch.processing.closing import Closing
from braggwatch.processing.frame import Event, Refused, SeriesEnd
from braggwatch.processing.image_files import ImageFileError, ImageSeries, files_of_series, find_files

_READ_AHEAD = 16
"""Frames that are read before anybody asks for them."""


class FilesSettings(BaseModel):
    """Frames from files."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["files"] = Field(
        default="files", description="Image files: HDF5 (NeXus, DECTRIS, CXI, dumps), CBF, EDF, TIFF, ..."
    )
    paths: list[str] = Field(min_length=1, description="The files; *, ? and ** may stand in the names.")
    dataset: str | None = Field(
        default=None, description="Path of the stack of images in HDF5 files; the usual places if left out."
    )
    rate: float | None = Field(default=None, gt=0, description="Frames per s; as fast as they are taken if left out.")


class FilesSource(Closing):
    """Reads files in a thread and says what a detector would have said; reading waits for whoever takes the frames.

    A file or image that cannot be read is a `Refused` event, and the next one follows. Raises ImageFileError at once
    for names that match no file.
    """

    def __init__(self, settings: FilesSettings) -> None:
        self._settings = settings
        self._groups = files_of_series(find_files(settings.paths))
        self._session = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
        # Frames wait in a bounded queue; the socket only says that there is one more, so that it can be polled.
        self._events: queue.Queue[Event | None] = queue.Queue(_READ_AHEAD)
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._exhausted = False
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._taker = self._context.socket(zmq.PULL)
        self._taker.bind("inproc://files")
        self._thread = threading.Thread(target=self._run, name="files source", daemon=True)
        self._thread.start()

    @property
    def sockets(self) -> Sequence["zmq.Socket[bytes]"]:
        """What to poll."""
        return [self._taker]

    @property
    def exhausted(self) -> bool:
        """Whether all files are read and all their frames taken."""
        return self._exhausted

    def receive(self, socket: "zmq.Socket[bytes]") -> list[Event] | None:
        """Take one event without waiting; None if there is none. Raises what ended the reading thread."""
        try:
            socket.recv(zmq.NOBLOCK)
        except zmq.Again:
            return None
        event = self._events.get_nowait()
        if event is not None:
            return [event]
        self._exhausted = True
        if self._error is not None:
            raise self._error
        return []

    def silence(self) -> dict[str, str]:
        """Nothing: files that are slow to come are being read."""
        return {}

    def close(self) -> None:
        """End the reading and close the sockets."""
        self._stop.set()
        self._thread.join()
        self._taker.close(linger=0)
        self._context.term()

    def _run(self) -> None:
        self._bell = self._context.socket(zmq.PUSH)
        self._bell.connect("inproc://files")
        self._due = monotonic()
        try:
            for number, paths in enumerate(self._groups, 1):
                self._read_series(number, paths)
        except BaseException as error:
            self._error = error
        finally:
            self._say(None)
            self._bell.close(linger=0 if self._stop.is_set() else -1)

    def _read_series(self, number: int, paths: list[Path]) -> None:
        key = f"{self._session}-{number}"
        try:
            images = ImageSeries(paths, key=key, number=number, dataset=self._settings.dataset)
        except ImageFileError as error:
            self._say(Refused(str(error), "unreadable file"))
            return
        with images:
            self._say(images.series)
            for index in range(len(images)):
                if self._stop.is_set():
                    return
                self._wait_until_due()
                try:
                    self._say(images.frame(index))
                except ImageFileError as error:
                    self._say(Refused(str(error), "unreadable image", key, index))
            self._say(SeriesEnd(key))

    def _wait_until_due(self) -> None:
        if self._settings.rate is None:
            return
        self._stop.wait(self._due - monotonic())
        # Late frames are caught up with, but at most a second of them in one burst.
        self._due = max(self._due + 1.0 / self._settings.rate, monotonic() - 1.0)

    def _say(self, event: Event | None) -> None:
        while not self._stop.is_set():
            try:
                self._events.put(event, timeout=0.1)
            except queue.Full:
                continue
            self._bell.send(b"")
            return
