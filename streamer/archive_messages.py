"""What viewers ask of the archive, and what it answers: shots and tables out of the record and the dumps."""

import msgspec

from braggwatch.streamer.map_messages import Map, MapWanted
from braggwatch.streamer.messages import CrystalFound, Dumped, State
from braggwatch.streamer.picture_messages import ShotImage

MAX_ROWS = 2000
"""In one answer."""
MAX_TAGGED = 2000
"""Shots whose tags are told in one answer."""
MAX_OUT = 4
"""Questions that a viewer may have asked without having an answer; more of them may never be answered."""


class HitsWanted(msgspec.Struct, frozen=True, tag="hits"):
    """Give me the hits that are new."""

    after: int = 0
    """`Hits.last` of the answer before."""
    limit: int = MAX_ROWS
    tags: str = ""
    """`Hits.tags` of the answer before."""


class HitRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One hit of any run in the record."""

    id: int
    series: str
    """`Series.key`."""
    run: int
    """The detector's number of the series."""
    number: int
    time: float
    """When its result came, s since 1970."""
    state: State
    n_peaks: int
    resolution: float | None
    """Angstrom."""
    crystals: tuple[CrystalFound, ...]
    dumped: tuple[Dumped, ...]
    tags: tuple[str, ...]
    group: str = ""
    """`Result.group`."""


class TaggedShot(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What tags a shot has."""

    series: str
    number: int
    tags: tuple[str, ...]


class Hits(msgspec.Struct, frozen=True, tag="hits"):
    """Hits in the order in which they were recorded."""

    rows: tuple[HitRow, ...]
    last: int
    """Ask for what comes after this."""
    more: bool
    """Whether there is more already."""
    tags: str = ""
    """In which state the tags of all shots are, whoever gave them; empty where there are none."""
    tagged: tuple[TaggedShot, ...] | None = None
    """Which shots have tags where the state is another than that of the question, those tagged last if there are more
    than `MAX_TAGGED`; None where it is the same."""


class ShotWanted(msgspec.Struct, frozen=True, tag="shot"):
    """Give me a shot with its pixels."""

    series: str
    number: int


class Shot(msgspec.Struct, frozen=True, tag="shot"):
    """A shot, or why there is none."""

    series: str
    number: int
    image: ShotImage | None
    """Its payload is the answer's second part. Without pixels (empty payload) for a blank or where no dump has it."""
    problem: str = ""
    """Why pixels or shot are not to be had, as a sentence."""


class SpotsWanted(msgspec.Struct, frozen=True, tag="spots"):
    """Which shots have a spot in this part of the peakogram?"""

    inverse_d: tuple[float, float]
    """From and to, 1/Angstrom."""
    max_value: tuple[float, float]
    """From and to, ADU."""
    limit: int = 100


class ShotsFound(msgspec.Struct, frozen=True, tag="spots"):
    """The newest shots first, as series and number."""

    shots: tuple[tuple[str, int], ...]


class TagWanted(msgspec.Struct, frozen=True, tag="tag"):
    """Put a tag on a shot, or take it off."""

    series: str
    number: int
    tag: str
    add: bool = True


class Tagged(msgspec.Struct, frozen=True, tag="tag"):
    """What tags a shot has now; or what was wrong."""

    series: str
    number: int
    tags: tuple[str, ...]
    problem: str = ""


class Refusal(msgspec.Struct, frozen=True, tag="refusal"):
    """The request made no sense, or could not be served."""

    problem: str


Request = HitsWanted | ShotWanted | SpotsWanted | TagWanted | MapWanted
Answer = Hits | Shot | ShotsFound | Tagged | Map | Refusal
