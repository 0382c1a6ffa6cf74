"""Makes series out of start, image and end messages, whatever is missing, doubled or from before."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec
import numpy as np

from braggwatch.processing.frame import Event, Frame, Refused, Series, SeriesEnd
from braggwatch.streamer.sources.wire import End, Image, Message


class _Run:
    """A series that is not over."""

    def __init__(self, series: Series, endpoints: Iterable[int]) -> None:
        self.series = series
        self.waiting = set(endpoints)
        """Endpoints that have not said that it is over."""
        self.started: set[int] = set()
        """Endpoints that have sent its start message."""
        self.fed: set[int] = set()
        """Endpoints that have sent an image of it."""

    def is_called(self, number: int, name: str) -> bool:
        return number == self.series.number and (not name or not self.series.name or name == self.series.name)

    def is_begun_by(self, start: Series, endpoint: int) -> bool:
        """Whether a start message of the right number is this run's own, and not that of a detector started anew."""
        if endpoint in self.fed or endpoint not in self.waiting:
            return False
        return endpoint not in self.started or _same(start, self.series)


class Runs:
    """The series that are open, at one or several endpoints over which a detector spreads its images.

    A start message opens a run, also where the number was there before: a restarted detector counts from 1 again. A run
    is over when every endpoint has said so, or has started another. An image of no open run opens one that is marked
    `joined_late`; while another run is open, it waits for a second one of its kind, so that a single damaged number
    does not end a series.
    """

    def __init__(self, endpoints: int = 1, session: str | None = None) -> None:
        """Begin without any run; `session` goes into the keys and is the time now if left out."""
        self.ignored: Counter[str] = Counter()
        """How many well-formed messages told nothing new, by kind."""
        self._endpoints = range(endpoints)
        self._session = session or datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")[:-3]
        self._ordinal = 0
        self._open: list[_Run] = []
        self._strays: dict[int, Image] = {}

    def take(self, message: Message, endpoint: int = 0) -> list[Event]:
        """Return what a message from one of the endpoints means."""
        if isinstance(message, Image):
            return self._image(message, endpoint)
        if isinstance(message, Series):
            return self._start(message, endpoint)
        return self._end(message, endpoint)

    def key_of(self, number: int | None) -> str | None:
        """Return the key of the open run with the detector's number, None if there is none."""
        for run in reversed(self._open):
            if run.series.number == number:
                return run.series.key
        return None

    def _find(self, number: int, name: str) -> _Run | None:
        for run in reversed(self._open):
            if run.is_called(number, name):
                return run
        return None

    def _start(self, start: Series, endpoint: int) -> list[Event]:
        events = self._refuse_stray(endpoint)
        run = self._find(start.number, start.name)
        if run is not None and run.is_begun_by(start, endpoint):
            repeated = bool(run.started)
            run.started.add(endpoint)
            if repeated:
                self.ignored["repeated start"] += 1
                return events
            run.series = msgspec.structs.replace(start, key=run.series.key)  # until now known from images only
            return [*events, run.series]
        events += self._leave_all(endpoint)
        return [*events, self._begin(start, endpoint).series]

    def _begin(self, start: Series, endpoint: int) -> _Run:
        self._ordinal += 1
        key = f"{self._session}-{self._ordinal}-{start.number}"
        run = _Run(msgspec.structs.replace(start, key=key), self._endpoints)
        if not start.joined_late:
            run.started.add(endpoint)
        self._open.append(run)
        return run

    def _leave_all(self, endpoint: int) -> list[Event]:
        """An endpoint begins a new run: it has done with those before, and so has whoever never took part in them."""
        events: list[Event] = []
        for run in list(self._open):
            events += self._leave(run, [endpoint, *(run.waiting - run.started - run.fed)])
        return events

    def _leave(self, run: _Run, endpoints: Iterable[int]) -> list[Event]:
        run.waiting.difference_update(endpoints)
        if run.waiting:
            return []
        self._open.remove(run)
        return [SeriesEnd(run.series.key)]

    def _end(self, end: End, endpoint: int) -> list[Event]:
        events: list[Event] = []
        stray = self._strays.get(endpoint)
        if stray is not None and stray.series == end.series:
            del self._strays[endpoint]
            events += self._join_late(stray, endpoint)
        else:
            events += self._refuse_stray(endpoint)
        run = self._find(end.series, end.name)
        if run is None or endpoint not in run.waiting:
            self.ignored["end of an unknown series"] += 1
            return events
        return [*events, *self._leave(run, [endpoint])]

    def _image(self, image: Image, endpoint: int) -> list[Event]:
        run = self._find(image.series, image.name)
        if run is not None:
            run.fed.add(endpoint)
            events = self._refuse_stray(endpoint) if self._strays else []
            events.append(_frame(image, run.series))
            return events
        stray = self._strays.pop(endpoint, None)
        if stray is not None and stray.series == image.series and stray.name == image.name:
            events = self._join_late(stray, endpoint)
            return [*events, *self._image(image, endpoint)]
        if self._open:
            events = [] if stray is None else [self._unknown(stray)]
            self._strays[endpoint] = image
            return events
        return self._join_late(image, endpoint)

    def _join_late(self, image: Image, endpoint: int) -> list[Event]:
        start = Series(
            key="", number=image.series, name=image.name, shape=image.shape, dtype=image.dtype, joined_late=True
        )
        events = self._leave_all(endpoint)
        run = self._begin(start, endpoint)
        run.fed.add(endpoint)
        return [*events, run.series, _frame(image, run.series)]

    def _refuse_stray(self, endpoint: int) -> list[Event]:
        stray = self._strays.pop(endpoint, None)
        return [] if stray is None else [self._unknown(stray)]

    def _unknown(self, image: Image) -> Refused:
        called = " ".join([str(image.series), image.name]).strip()
        open_runs = ", ".join(f"{run.series.number} {run.series.name}".strip() for run in self._open)
        return Refused(
            f"a single image of series {called}; open is {open_runs or 'none'}",
            "series",
        )


def _same(start: Series, series: Series) -> bool:
    """Whether two start messages say the same."""
    first, second = (
        {name: value for name, value in msgspec.structs.asdict(each).items() if name not in ("key", "mask")}
        for each in (start, series)
    )
    return first == second and np.array_equal(start.mask, series.mask)  # type: ignore[arg-type]


def _frame(image: Image, series: Series) -> Frame | Refused:
    """Give an image its series' key if it is like the rest of the series."""
    shape = image.shape
    if series.shape is not None and shape != series.shape:
        if shape != series.shape[::-1]:
            return Refused(
                f"an image of {shape} (ss, fs) pixels in a series of {series.shape}", "shape", series.key, image.number
            )
        shape = series.shape  # some emitters write rows first where the protocol says columns first
    if series.dtype is not None and image.dtype != series.dtype:
        return Refused(f"an image of {image.dtype} in a series of {series.dtype}", "dtype", series.key, image.number)
    return Frame(
        series=series.key,
        number=image.number,
        payload=image.payload,
        shape=shape,
        dtype=image.dtype,
        encoding=image.encoding,
        timestamp=image.timestamp,
        values=image.values,
    )
