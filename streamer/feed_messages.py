"""What the processor says about itself to the window, the terminal and anybody else who listens."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from braggwatch.streamer.merge_messages import Merging
from braggwatch.streamer.messages import State
from braggwatch.streamer.picture_messages import Geometry, Peakogram, Powder, SettingsInForce, ShotImage

PROTOCOL = 1
"""Rises when an older viewer would misread a message; new fields and new kinds of message do not raise it."""

Word = Literal["LIVE", "PAUSED", "WAITING FOR DETECTOR", "FINISHED", "STOPPED", "RECORD"]
"""How things are, in one word; ``RECORD``: no processor, but a record of one; ``PROCESSOR GONE`` is the viewer's own
finding."""


class Rate(msgspec.Struct, frozen=True):
    """A proportion with its 95 % interval (Wilson's); None while there is nothing to divide by."""

    n: int = 0
    of: int = 0
    low: float | None = None
    high: float | None = None

    @property
    def value(self) -> float | None:
        """The proportion itself."""
        return self.n / self.of if self.of > 0 else None


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """The proportions that a team steers by."""

    hit: Rate = Rate()
    """Hits, indexed ones included, of the frames that were looked at."""
    indexed_of_hits: Rate = Rate()
    indexed: Rate = Rate()
    """Indexed shots of the frames that were looked at."""
    multi_lattice: Rate = Rate()
    """Shots with two or more lattices, of the indexed ones."""
    dropped: Rate = Rate()
    """Of all frames of the series."""
    missed: Rate = Rate()
    """Of all frames of the series."""


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """The shots of one group, such as those with the laser on."""

    name: str
    """As `processing.shot_groups` gives it."""
    frames: int = 0
    """That were looked at since shots are grouped as they are; so are the next two."""
    hits: int = 0
    """Indexed ones included."""
    indexed: int = 0
    hit: Rate = Rate()
    """Hits of the frames looked at, over the window; so are the next two."""
    indexed_of_hits: Rate = Rate()
    indexed_of_frames: Rate = Rate()


class Latency(msgspec.Struct, frozen=True):
    """From a frame's arrival to its result, s; None before the first result."""

    n: int = 0
    median: float | None = None
    p99: float | None = None
    max: float | None = None


class Throughput(msgspec.Struct, frozen=True):
    """What goes through, by the second; None before anything was measured."""

    frames: float | None = None
    bytes: float | None = None
    results: float | None = None


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """Where the frames of a run, or of the whole session, are: each in exactly one place."""

    counts: dict[State, int] = {}
    waiting: int = 0
    """Queued for a worker."""
    working: int = 0
    """Out at a worker."""
    total: int = 0
    """Frames of the series so far, counted on their own, so that the sum can be checked against it."""
    first: int | None = None
    last: int | None = None
    """Lowest and highest frame number."""

    @classmethod
    def of(cls, states: Mapping[str, int], total: int, first: int | None = None, last: int | None = None) -> "Ledger":
        """Make it from counts by name, `waiting` and `working` among them."""
        return cls(
            counts={state: states.get(state, 0) for state in State},
            waiting=states.get("waiting", 0),
            working=states.get("working", 0),
            total=total,
            first=first,
            last=last,
        )

    @property
    def sum(self) -> int:
        """What all places add up to."""
        return sum(self.counts.values()) + self.waiting + self.working

    @property
    def balanced(self) -> bool:
        """Whether no frame is unaccounted for."""
        return self.sum == self.total


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One series of the detector."""

    key: str
    number: int
    name: str = ""
    detector: str = ""
    shape: tuple[int, int] | None = None
    """``(ss, fs)``."""
    photon_energy: float | None = None
    """eV."""
    distance: float | None = None
    """m."""
    n_frames: int | None = None
    """How many were ordered."""
    started: float | None = None
    ended: float | None = None
    """s since 1970."""
    ledger: Ledger = Ledger()


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """One worker and what it does."""

    name: str
    pid: int | None = None
    host: str = ""
    state: str = ""
    """``starting``, ``ready`` or ``gone``."""
    frames_per_s: float | None = None
    busy: float | None = None
    """Which part of the time it computes, 0 to 1."""
    restarts: int = 0


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a person should know; said once a kind, and counted."""

    kind: str
    text: str
    count: int = 1
    last: float | None = None
    """When it happened last, s since 1970."""


class Dump(msgspec.Struct, frozen=True, kw_only=True):
    """One place where images are written."""

    name: str
    directory: str
    images: int = 0


class RecordState(msgspec.Struct, frozen=True, kw_only=True):
    """How the record on disk is doing."""

    path: str
    frames: int = 0
    """Frames whose end is in the file."""
    pending: int = 0
    """Entries still in memory."""
    unrecorded: int = 0
    """Frames that are counted in the file, but without a row of their own: the disk was too slow or full."""
    problem: str = ""
    """What keeps it from writing now; empty when all is well."""


class Queue(msgspec.Struct, frozen=True):
    """How full the hub's queue is."""

    frames: int = 0
    bytes: int = 0
    limit: int = 0
    """Bytes from which on frames are dropped, or the detector has to wait."""


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that fits on one screen; replaces the one before."""

    word: Word
    since: float
    """Since when it has been so, s since 1970."""
    time: float
    """When this was said, s since 1970."""
    experiment: str = ""
    source: str = ""
    """Where frames come from: the detector's address."""
    protocol: str = ""
    run: Run | None = None
    """The run in progress, or the last one."""
    totals: Ledger = Ledger()
    """All runs of this session."""
    runs: int = 0
    window: float = 0.0
    """s that the rates, the throughput and the latency look back."""
    rates: Rates = Rates()
    groups: tuple[Group, ...] = ()
    """In the order of their names; empty where shots are not grouped."""
    throughput: Throughput = Throughput()
    latency: Latency = Latency()
    frame_age: float | None = None
    """s since the last frame arrived."""
    queue: Queue = Queue()
    workers: tuple[Worker, ...] = ()
    notices: tuple[Notice, ...] = ()
    dumps: tuple[Dump, ...] = ()
    record: RecordState | None = None
    versions: dict[str, str] = {}
    """Of Braggwatch and of what it stands on."""
    settings_version: int = 0
    settings_digest: str = ""


class Mark(msgspec.Struct, frozen=True):
    """A moment to be marked in the plots: a run began or ended, settings changed."""

    time: float
    kind: Literal["run began", "run ended", "settings"]
    label: str


class GroupBins(msgspec.Struct, frozen=True, kw_only=True):
    """The part of `Bins` that one group has; columns of the same length."""

    name: str
    frames: list[int]
    """That were looked at."""
    hits: list[int]
    """Indexed ones included."""
    indexed: list[int]


class Bins(msgspec.Struct, frozen=True, kw_only=True):
    """Counts against time, in bins of one width; all columns have the same length."""

    start: float
    """Where the first bin begins, s since 1970."""
    width: float
    """s."""
    counts: dict[State, list[int]]
    """Frames that ended so in each bin."""
    multi_lattice: list[int]
    arrived: list[int]
    n_bytes: list[int]
    results: list[int]
    latency_sum: list[float]
    """s, over the results of the bin."""
    latency_max: list[float]
    """s."""
    groups: tuple[GroupBins, ...] = ()
    """In the order of their names; empty where shots are not grouped."""


class History(msgspec.Struct, frozen=True, kw_only=True):
    """How things went: the last minutes finely, the whole session coarsely; complete each time."""

    recent: Bins
    session: Bins
    marks: tuple[Mark, ...] = ()


class CrystalSeen(msgspec.Struct, frozen=True, kw_only=True):
    """One of the last lattices found."""

    time: float
    series: str
    number: int
    cell: tuple[float, float, float, float, float, float]
    """Angstrom, degrees."""
    n_indexed: int
    n_peaks: int
    rmsd_px: float
    resolution: float | None = None
    """Angstrom."""
    group: str = ""


class ShotSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One of the last shots that were not blank."""

    time: float
    series: str
    number: int
    state: State
    n_peaks: int = 0
    resolution: float | None = None
    """Angstrom."""
    n_lattices: int = 0
    error: str = ""
    group: str = ""


class LastShots(msgspec.Struct, frozen=True):
    """The last crystals and shots, oldest first; complete each time."""

    crystals: tuple[CrystalSeen, ...] = ()
    shots: tuple[ShotSummary, ...] = ()


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """The last word of a processor that ends as it should."""

    time: float
    reason: str = ""
    seconds: float | None = None
    """How long frames came: from the first arrival to the last result."""
    sent: int | None = None
    """Frames that the detector says it sent, where it is known."""
    totals: Ledger = Ledger()
    runs: int = 0
    crystals: int = 0
    rates: Rates = Rates()
    """Over the whole session."""
    groups: tuple[Group, ...] = ()
    """Their rates since shots are grouped as they are."""
    latency: Latency = Latency()
    """Over the whole session."""
    dumps: tuple[Dump, ...] = ()
    record: RecordState | None = None
    notices: tuple[Notice, ...] = ()
    merging: Merging | None = None
    """How the merge ended; None where nothing was merged."""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What goes ahead of every message."""

    protocol: int
    processor: str
    """Changes when the processor is started anew."""
    sequence: int
    snapshot: str
    """Where the state so far is to be had; a viewer takes the port from it and the host from its own address."""
    archive: str = ""
    """Where shots and tables of the past are to be had (`archive_messages`), likewise; empty: nowhere."""
    control: str = ""
    """Where settings can be changed (`control_messages`), from the processor's own machine only; empty: nowhere."""


Message = (
    Status | History | LastShots | Finished | Merging | SettingsInForce | Geometry | ShotImage | Peakogram | Powder
)

TOPICS: Mapping[bytes, type[Message]] = {
    b"status": Status,
    b"history": History,
    b"shots": LastShots,
    b"finished": Finished,
    b"merging": Merging,
    b"settings": SettingsInForce,
    b"geometry": Geometry,
    b"image.blank": ShotImage,
    b"image.hit": ShotImage,
    b"image.indexed": ShotImage,
    b"peakogram": Peakogram,
    b"powder.hits": Powder,
    b"powder.all": Powder,
    b"powder.spots": Powder,
}
"""By topic, so that a viewer subscribes only to what it draws. Each message replaces the one before of its topic."""
NUMBERS = (b"status", b"history", b"shots", b"finished", b"merging")
"""The topics without pictures."""

_TOPIC_OF: dict[type, bytes] = {kind: topic for topic, kind in TOPICS.items() if kind not in (ShotImage, Powder)}


def topic_of(message: Message) -> bytes:
    """Return the topic under which a message goes out."""
    if isinstance(message, ShotImage):
        return f"image.{message.kind}".encode()
    if isinstance(message, Powder):
        return f"powder.{message.kind}".encode()
    return _TOPIC_OF[type(message)]
