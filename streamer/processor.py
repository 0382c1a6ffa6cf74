"""The processor: source, hub, workers, record and feed put together, from start to last word."""

import logging
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from time import monotonic
from types import FrameType

import braggwatch
from braggwatch.processing.frame import Frame, Series
from braggwatch.streamer.archive import Archive
from braggwatch.streamer.control import Control
from braggwatch.streamer.engine import Engine
from braggwatch.streamer.feed import Feed
from braggwatch.streamer.feed_messages import Finished, Queue, Worker
from braggwatch.streamer.hub import Hub
from braggwatch.streamer.live_merge import LiveMerge
from braggwatch.streamer.live_settings import LiveSettings
from braggwatch.streamer.memory import keep_freed_memory
from braggwatch.streamer.pictures import Pictures
from braggwatch.streamer.quarantine import set_aside
from braggwatch.streamer.record import Record
from braggwatch.streamer.results import Results
from braggwatch.streamer.settings import Settings
from braggwatch.streamer.shot_images import ShotImages
from braggwatch.streamer.silence import SilenceWatch
from braggwatch.streamer.sources.source import open_source
from braggwatch.streamer.statistics import Statistics

log = logging.getLogger(__name__)

TURN_S = 0.05
DRAIN_S = 30.0
"""After a stop, how long frames already here may take to be done."""
DISMISS_S = 10.0


class Processor:
    """Runs until its source is exhausted, so many series have ended, or it is told to stop."""

    def __init__(self, settings: Settings, *, max_series: int | None = None) -> None:
        """Make a processor; `max_series` ends it after so many series."""
        self._settings = settings
        self._max_series = max_series
        self._reason = ""
        self._revive_workers: Callable[[], dict[str, str]] = dict

    def stop(self, reason: str = "stopped") -> None:
        """Take no more frames; what is here is finished, written and closed. May be called from a signal handler."""
        self._reason = self._reason or reason

    def run(self, on_ready: Callable[[str], None] = lambda feed_address: None) -> Finished:
        """Process until the end and return the summary; `on_ready` is told the feed's address once it is open."""
        settings = self._settings
        keep_freed_memory()
        with ExitStack() as stack:
            feed = stack.enter_context(Feed(settings.feed.address))
            record = stack.enter_context(Record(settings.experiment.record))
            pictures = stack.enter_context(Pictures(settings.detector))
            feed.archive_address = stack.enter_context(Archive(record.path, feed.address, pictures.maps)).address
            statistics = Statistics(time.time(), settings.feed.window)
            images = ShotImages(settings.feed.images_per_s)
            merge = stack.enter_context(LiveMerge())
            results = Results(statistics, record, feed, pictures, images, merge, about=_about(settings))
            source = stack.enter_context(open_source(settings.source))
            engine = stack.enter_context(Engine(settings.engine))
            hub = Hub(
                source, settings.hub, settings.pipeline().model_dump_json().encode(), results,
                quarantine=self._quarantine, restart_worker=engine.restart_worker, select=settings.select,
            )  # fmt: skip
            stack.callback(hub.close)
            self._revive_workers = engine.revive_workers
            engine.start_workers(hub.bind(settings.hub.address))
            control = stack.enter_context(Control(LiveSettings(settings, hub, results).change))
            feed.control_address = control.address
            on_ready(feed.address)
            self._work(hub, results, feed, control, SilenceWatch(source.silence))
            hub.dismiss_workers(DISMISS_S)
            return results.finished(hub.accounts.totals(), self._reason)

    def _work(self, hub: Hub, results: Results, feed: Feed, control: Control, silence: SilenceWatch) -> None:
        while not self._reason:
            hub.turn(TURN_S)
            results.silent(silence.look(monotonic(), hub.n_messages, listening=hub.listening, in_series=hub.in_series))
            control.serve()
            self._tell(hub, results, feed)
            if self._max_series is not None and hub.accounts.n_ended >= self._max_series:
                self._reason = f"{hub.accounts.n_ended} series processed"
            elif hub.source_exhausted and hub.idle:
                self._reason = "all files processed"
            elif hub.source_problem:
                self._reason = hub.source_problem
        hub.accounts.end_all()
        deadline = monotonic() + DRAIN_S
        while not hub.idle and monotonic() < deadline:
            hub.turn(TURN_S, listen=False)
            self._tell(hub, results, feed)
        hub.give_up(f"it was not done {DRAIN_S:.0f} s after the stop")

    def _tell(self, hub: Hub, results: Results, feed: Feed) -> None:
        for name, error in self._revive_workers().items():
            log.error("%s ended with %s; it is started again", name, error)
            results.warned("worker-failed", f"{name} ended with {error}; it is started again")
        feed.serve()
        queue = Queue(hub.queue_length, hub.queue_bytes, self._settings.hub.queue_bytes)
        results.publish(hub.accounts.totals(), hub.accounts.current(), queue, _workers(hub))

    def _quarantine(self, series: Series, frame: Frame) -> str:
        return set_aside(self._settings.experiment.quarantine, series, frame)


@contextmanager
def stopping_on_signals(processor: Processor) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM stop a processor in good order; a second Ctrl-C interrupts it at once.

    A second SIGTERM changes nothing: who sends it is another program, which may well send two.
    """

    def stop(number: int, stack: FrameType | None) -> None:
        processor.stop(f"stopped by {signal.Signals(number).name}")
        if number == signal.SIGINT:
            signal.signal(number, signal.default_int_handler)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _about(settings: Settings) -> dict[str, str]:
    return {
        "experiment": settings.experiment.name,
        "source": ", ".join(_places(settings)),
        "protocol": settings.source.type,
        "version": braggwatch.__version__,
    }


def _places(settings: Settings) -> list[str]:
    source = settings.source
    return source.paths if source.type == "files" else source.addresses


def _workers(hub: Hub) -> list[Worker]:
    return [
        Worker(
            name=member.name, pid=member.hello.pid, host=member.hello.host,
            state="ready" if member.ready else "starting",
        )
        for member in hub.workforce
    ]  # fmt: skip
