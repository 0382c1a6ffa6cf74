"""What becomes of the frames, as the hub tells it: into the tables, into the record, onto the feed."""

import hashlib
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from braggwatch.processing.frame import Frame, Series
from braggwatch.processing.shot_groups import GroupSettings
from braggwatch.streamer import silence
from braggwatch.streamer.feed import Feed
from braggwatch.streamer.feed_messages import (
    Dump,
    Finished,
    Ledger,
    Mark,
    Notice,
    Queue,
    Run,
    Status,
    Word,
    Worker,
)
from braggwatch.streamer.group_counts import GroupNames
from braggwatch.streamer.ledger import LedgerCounts
from braggwatch.streamer.live_merge import LiveMerge
from braggwatch.streamer.merge_messages import Merging
from braggwatch.streamer.messages import Result, State
from braggwatch.streamer.picture_messages import SettingsInForce
from braggwatch.streamer.pictures import Pictures
from braggwatch.streamer.record import Record
from braggwatch.streamer.settings import Settings
from braggwatch.streamer.shot_images import ShotImages
from braggwatch.streamer.statistics import Statistics

STATUS_EVERY_S = 0.2
HISTORY_EVERY_S = 1.0
SILENT_AFTER_S = 3.0
"""Without a frame for so long, the processor is said to wait for the detector."""
_MAX_NOTICES = 20


class Results:
    """The hub's audience: keeps statistics, record and feed up to date."""

    def __init__(
        self,
        statistics: Statistics,
        record: Record,
        feed: Feed,
        pictures: Pictures,
        images: ShotImages,
        merge: LiveMerge,
        *,
        about: Mapping[str, str],
    ) -> None:
        """`about` says what does not change: experiment, source, protocol, version."""
        self._statistics = statistics
        self._record = record
        self._feed = feed
        self._pictures = pictures
        self._images = images
        self._merge = merge
        self._merging: Merging | None = None
        """What was published last."""
        self._about = about
        self._runs: dict[str, Run] = {}
        """Those that are open, and the one that ended last."""
        self._last_ended = ""
        self._n_runs = 0
        self._group_settings = GroupSettings()
        self._group_names = GroupNames(self._group_settings)
        self._group = ""
        """Of the shot that was done last."""
        self._notices: dict[str, Notice] = {}
        self._dumps: dict[tuple[str, str], int] = {}
        self._restarts: Counter[str] = Counter()
        self.settings_version = 0
        """Rises with every change of the settings."""
        self._settings_digest = ""
        self._word: tuple[Word, float] = ("WAITING FOR DETECTOR", time.time())
        self._next_status = self._next_history = 0.0

    def settings_in_force(self, settings: Settings, *, change: str = "", by: str = "") -> None:
        """Note which settings are in force from now on; `change` says in a line what is new, `by` whose wish it was."""
        now = time.time()
        text = settings.as_toml(comments=False)
        if change:
            text = f"# changed by {by}: {change}\n{text}"
        self.settings_version += 1
        self._settings_digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        self._record.settings(text, self.settings_version, now)
        if change:
            self._statistics.mark(Mark(now, "settings", change))
        self._statistics.look_back(settings.feed.window)
        if settings.groups != self._group_settings:
            self._group_settings, self._group_names = settings.groups, GroupNames(settings.groups)
            self._statistics.forget_groups()
        self._pictures.detector_changed(settings.detector)
        self._merge.settings_in_force(settings)
        self._feed.publish(SettingsInForce(version=self.settings_version, time=now, text=text))

    # -- what the hub tells -------------------------------------------------------------------------------------

    def series_began(self, series: Series) -> None:
        """A series has begun, or its header came late."""
        now = time.time()
        earlier = self._runs.get(series.key)
        if earlier is None:
            self._n_runs += 1
            self._statistics.mark(Mark(now, "run began", f"run {series.number}"))
        self._pictures.series_began(series)
        self._record.begin_run(series, now)
        self._runs[series.key] = Run(
            key=series.key, number=series.number, name=series.name, detector=series.detector, shape=series.shape,
            photon_energy=series.photon_energy, distance=series.distance, n_frames=series.n_frames,
            started=now if earlier is None else earlier.started,
        )  # fmt: skip

    def frame_arrived(self, n_bytes: int) -> None:
        """A frame has arrived."""
        self._statistics.arrived(n_bytes, time.time())

    def frame_done(self, result: Result, latency: float, frame: Frame, corrected: Any) -> None:
        """A result is there."""
        now = time.time()
        self._group = self._group_names(result.group, frame.values)
        if result.group != self._group:
            result = msgspec.structs.replace(result, group=self._group)
        self._statistics.done(result, latency, now)
        self._record.result(result, now)
        self._pictures.shot(result, frame)
        if (image := self._images.pick(result, frame, corrected, now)) is not None:
            self._feed.publish(image)
        for dumped in result.dumped:
            place = dumped.dump, str(Path(dumped.path).parent)
            self._dumps[place] = self._dumps.get(place, 0) + 1

    def integrated(self, packed: bytes) -> None:
        """Crystals are to be merged."""
        self._merge.add(packed, self._group)

    def frames_lost(self, series: str, numbers: range, state: State, reason: str) -> None:
        """Frames ended without a result."""
        now = time.time()
        self._statistics.lost(state, len(numbers), now)
        self._record.lost(series, numbers, state, now)

    def warned(self, kind: str, text: str) -> None:
        """Something happened that a person should know."""
        earlier = self._notices.get(kind)
        if earlier is None and len(self._notices) >= _MAX_NOTICES:
            kind, text = "others", "further kinds of warnings are in the log"
            earlier = self._notices.get(kind)
        count = 1 if earlier is None else earlier.count + 1
        self._notices[kind] = Notice(kind=kind, text=text, count=count, last=time.time())

    def silent(self, text: str) -> None:
        """The detector says nothing, for the reason in `text`; empty when it speaks."""
        if not text:
            self._notices.pop(silence.KIND, None)
        elif silence.KIND not in self._notices or self._notices[silence.KIND].text != text:
            self._notices[silence.KIND] = Notice(kind=silence.KIND, text=text, last=time.time())

    def worker_lost(self, name: str) -> None:
        """A worker died and will be restarted."""
        self._restarts[name] += 1

    def series_ended(self, counts: LedgerCounts) -> None:
        """A series is over."""
        now = time.time()
        run = self._runs[counts.series]
        self._runs.pop(self._last_ended, None)
        self._last_ended = counts.series
        self._statistics.mark(Mark(now, "run ended", f"run {run.number}"))
        self._record.end_run(counts.series, counts.states, now)

    # -- what the viewers see -----------------------------------------------------------------------------------

    def publish(
        self, totals: Mapping[str, int], current: LedgerCounts | None, queue: Queue, workers: Iterable[Worker]
    ) -> None:
        """Tell the viewers how things are, if it is time to.

        `totals` are the states of all series, with their `total`; `current` those of the newest.
        """
        now = time.time()
        if now < self._next_status:
            return
        self._next_status = now + STATUS_EVERY_S
        self._publish_pictures()
        self._publish_merge()
        self._feed.publish(self._status(totals, current, queue, workers, now))
        if now >= self._next_history:
            self._next_history = now + HISTORY_EVERY_S
            self._feed.publish(self._statistics.history(now))
            self._feed.publish(self._statistics.last_shots())

    def finished(self, totals: Mapping[str, int], reason: str) -> Finished:
        """Close the record, and tell the viewers the last word."""
        now = time.time()
        self._pictures.close()
        self._publish_pictures()
        self._merge.close()
        self._publish_merge(last=True)
        record = self._record.close()
        statistics = self._statistics
        first, last = statistics.first_arrival, statistics.last_result
        message = Finished(
            time=now,
            reason=reason,
            seconds=None if first is None or last is None else last - first,
            totals=Ledger.of(totals, totals["total"]),
            runs=self._n_runs,
            crystals=statistics.n_crystals,
            rates=statistics.session_rates(),
            groups=statistics.session_groups(),
            latency=statistics.session_latency(),
            dumps=self._dump_counts(),
            record=record,
            notices=tuple(self._notices.values()),
            merging=self._merging,
        )
        self._feed.publish(statistics.history(now))
        self._feed.publish(statistics.last_shots())
        self._feed.publish(message)
        return message

    def _publish_pictures(self) -> None:
        messages, problem = self._pictures.take()
        for message in messages:
            self._feed.publish(message)
        if problem:
            self.warned("pictures", problem)

    def _publish_merge(self, *, last: bool = False) -> None:
        merging, problem = self._merge.take()
        if merging is not None:
            self._feed.publish(merging)
        if merging is not None and merging.n_crystals:
            self._merging = merging
            self._record.merging(merging, last=last)
        if problem:
            self.warned("merge", problem)

    def _status(
        self,
        totals: Mapping[str, int],
        current: LedgerCounts | None,
        queue: Queue,
        workers: Iterable[Worker],
        now: float,
    ) -> Status:
        statistics = self._statistics
        word, since = self._word_now(now)
        frames_per_s, busy = statistics.results_per_s(now), statistics.busy(now)
        return Status(
            word=word,
            since=since,
            time=now,
            experiment=self._about["experiment"],
            source=self._about["source"],
            protocol=self._about["protocol"],
            run=self._run_now(current),
            totals=Ledger.of(totals, totals["total"]),
            runs=self._n_runs,
            window=statistics.window,
            rates=statistics.rates(now),
            groups=statistics.groups(now),
            throughput=statistics.throughput(now),
            latency=statistics.latency(now),
            frame_age=None if statistics.last_arrival is None else now - statistics.last_arrival,
            queue=queue,
            workers=tuple(
                Worker(
                    name=worker.name, pid=worker.pid, host=worker.host, state=worker.state, busy=busy.get(worker.name),
                    frames_per_s=frames_per_s.get(worker.name), restarts=self._restarts[worker.name],
                )
                for worker in workers
            ),
            notices=tuple(self._notices.values()),
            dumps=self._dump_counts(),
            record=self._record.state(),
            versions={"braggwatch": self._about["version"]},
            settings_version=self.settings_version,
            settings_digest=self._settings_digest,
        )  # fmt: skip

    def _word_now(self, now: float) -> tuple[Word, float]:
        last = self._statistics.last_arrival
        word: Word = "LIVE" if last is not None and now - last < SILENT_AFTER_S else "WAITING FOR DETECTOR"
        if word != self._word[0]:
            self._word = word, now
        return self._word

    def _run_now(self, counts: LedgerCounts | None) -> Run | None:
        if counts is None:
            return None
        last = counts.first + counts.total - 1
        span = (counts.first, last) if counts.total else (None, None)
        ledger = Ledger.of(counts.states, counts.total, *span)
        return msgspec.structs.replace(self._runs[counts.series], ledger=ledger)

    def _dump_counts(self) -> tuple[Dump, ...]:
        return tuple(Dump(name=name, directory=folder, images=n) for (name, folder), n in self._dumps.items())
