"""Makes the pictures for the viewers, in a thread of its own beside the hub's.

The hub's thread hands over each hit's spots, and a few frames a second; what waits is bounded, and the newest wins. It
takes finished messages back, because the feed belongs to it. Unpacking and adding up release the interpreter, so that
the hub's thread goes on meanwhile.
"""

import contextlib
import logging
import threading
from collections import deque
from time import monotonic
from typing import TypeVar

import msgspec
import numpy as np

from braggwatch.processing.closing import Closing
from braggwatch.processing.detector import Detector
from braggwatch.processing.detector_settings import DetectorSettings
from braggwatch.processing.frame import Encoding, Frame, Series
from braggwatch.streamer.album import Album
from braggwatch.streamer.calibration_maps import CalibrationMaps
from braggwatch.streamer.messages import PEAK, Result, State
from braggwatch.streamer.picture_messages import Geometry, Peakogram, Powder

log = logging.getLogger(__name__)

SAMPLE_EVERY_S = 0.5
"""s between two hits whose pixels are added up, and between two frames of any kind."""
TURN_S = 0.1
"""How often the thread looks for news."""
SPOTS_WAITING = 1000
"""Hits whose spots wait at most; of more than 10 000 a second, some are left out."""
FRAMES_WAITING = 2
SERIES_WAITING = 16
MESSAGES_WAITING = 64
CLOSE_PATIENCE_S = 5.0

_T = TypeVar("_T")

Picture = Geometry | Peakogram | Powder


class _Begun(msgspec.Struct, frozen=True):
    """A series has begun, or the detector is described in another way."""

    series: Series
    settings: DetectorSettings
    n_hits: int
    n_frames: int
    """So far, in all series."""


class _Sample(msgspec.Struct, frozen=True):
    """A shot whose pixels are to be added up."""

    frame: Frame
    to_hits: bool
    to_all: bool


class Pictures(Closing):
    """Pictures made of many shots; but for the thread inside, it belongs to the hub's thread."""

    def __init__(self, settings: DetectorSettings) -> None:
        """Start the thread; `settings` say where the pixels are, together with each series' header."""
        self._settings = settings
        self.maps = CalibrationMaps(settings)
        """Of what images are corrected by, for whoever answers viewers."""
        self._series: Series | None = None
        self._n_hits = self._n_frames = 0
        self._next_hit = self._next_frame = 0.0
        self._begun: deque[_Begun] = deque(maxlen=SERIES_WAITING)
        self._spots: deque[tuple[str, bytes]] = deque(maxlen=SPOTS_WAITING)
        self._samples: deque[_Sample] = deque(maxlen=FRAMES_WAITING)
        self._messages: deque[Picture] = deque(maxlen=MESSAGES_WAITING)
        self._problems: deque[str] = deque(maxlen=1)
        self._album: Album | None = None
        self._geometry: Geometry | None = None
        self._keys: deque[str] = deque(maxlen=SERIES_WAITING)
        """The last series of the album's geometry."""
        self._base = (0, 0)
        """How many hits and frames there were before them."""
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pictures", daemon=True)
        self._thread.start()

    # -- what the hub's thread calls ----------------------------------------------------------------------------

    def series_began(self, series: Series) -> None:
        """Look at a series, which has begun or whose header came late; one of another geometry begins new pictures."""
        self._series = series
        self.maps.know(series)
        self._begun.append(_Begun(series, self._settings, self._n_hits, self._n_frames))

    def detector_changed(self, settings: DetectorSettings) -> None:
        """Put other settings of the detector in force."""
        if settings == self._settings:
            return
        self._settings = settings
        self.maps.describe(settings)
        if self._series is not None:
            self.series_began(self._series)

    def shot(self, result: Result, frame: Frame) -> None:
        """Take notice of a shot that a worker has looked at; its frame's payload must stay as it is."""
        if result.state is State.BLANK:
            is_hit = False
        elif result.state is State.HIT or result.state is State.INDEXED:
            is_hit = True
            self._n_hits += 1
            self._spots.append((result.series, result.peaks))
        else:
            return
        self._n_frames += 1
        now = monotonic()
        to_hits = is_hit and now >= self._next_hit
        to_all = now >= self._next_frame
        if to_hits:
            self._next_hit = now + SAMPLE_EVERY_S
        if to_all:
            self._next_frame = now + SAMPLE_EVERY_S
        if to_hits or to_all:
            self._samples.append(_Sample(frame, to_hits, to_all))

    def take(self) -> tuple[list[Picture], str]:
        """Return what is to be published now, and what went wrong last, as a sentence or empty."""
        return _take_all(self._messages), "".join(_take_all(self._problems))

    def close(self) -> None:
        """Finish the pictures, for `take` to return a last time, and end the thread."""
        self._closing.set()
        self._thread.join(CLOSE_PATIENCE_S)

    # -- what the thread does -----------------------------------------------------------------------------------

    def _run(self) -> None:
        with contextlib.suppress(Exception):
            _compile_kernels()
        while not self._closing.wait(TURN_S):
            self._turn()
        self._turn(last=True)

    def _turn(self, *, last: bool = False) -> None:
        # Shots are taken before the series are looked at, so that the series of each is known.
        spots, samples = _take_all(self._spots), _take_all(self._samples)
        try:
            self._begin_all()
            if self._album is not None:
                self._add_to(self._album, spots, samples)
                self._messages.extend(self._album.messages(monotonic(), last=last))
        except Exception as error:  # a picture that cannot be made must not end the others
            self._complain("pictures of many shots cannot be made", error)

    def _begin_all(self) -> None:
        for begun in _take_all(self._begun):
            try:
                self._begin(begun)
            except (ValueError, OSError) as error:
                self._complain(f"there are no pictures of run {begun.series.number}", error)

    def _begin(self, begun: _Begun) -> None:
        series = begun.series
        detector = begun.settings.detector(series)
        calibration = begun.settings.calibration(detector)
        if calibration is not None:
            detector = calibration.corrected
        geometry = Geometry.of(series.key, series.number, detector)
        anonymous = msgspec.structs.replace(geometry, series="", run=0)
        if self._album is None or anonymous != self._geometry:
            self._album = None  # its memory goes before the next one takes its own
            self._album = Album(detector, calibration)
            self._geometry = anonymous
            self._keys.clear()
            self._base = begun.n_hits, begun.n_frames
        self._messages.append(msgspec.structs.replace(geometry, alike=tuple(self._keys)))
        self._keys.append(series.key)

    def _add_to(self, album: Album, spots: list[tuple[str, bytes]], samples: list[_Sample]) -> None:
        album.n_hits, album.n_frames = self._n_hits - self._base[0], self._n_frames - self._base[1]
        shots = [peaks for key, peaks in spots if key in self._keys]
        if shots:
            album.add_spots(shots)
        for sample in samples:
            if sample.frame.series in self._keys:
                album.add_pixels(sample.frame, to_hits=sample.to_hits, to_all=sample.to_all)

    def _complain(self, what: str, error: Exception) -> None:
        if not self._problems:
            log.debug("%s", what, exc_info=error)
        self._problems.append(f"{what}: {error}")


def _take_all(waiting: deque[_T]) -> list[_T]:
    """Empty a queue to which the other thread may add meanwhile."""
    return [waiting.popleft() for _ in range(len(waiting))]


def _compile_kernels() -> None:
    """Have the kernels ready for what detectors send most, before the first frame is here."""
    detector = Detector.single_panel(
        (16, 16), pixel_size=1e-4, distance=0.1, beam_center=(8.0, 8.0), photon_energy=12_400.0
    )
    for dtype in ("uint16", "uint32"):
        pixels = np.zeros((16, 16), dtype)
        frame = Frame(
            series="", number=0, payload=pixels.tobytes(), shape=(16, 16), dtype=dtype, encoding=Encoding()
        )  # fmt: skip
        album = Album(detector, None)
        album.add_pixels(frame, to_hits=True, to_all=True)
        album.add_spots([np.zeros(1, PEAK).tobytes()])
        album.messages(0.0)
