"""The last shots of a record, as its processor would have told of them."""

import sqlite3

from braggwatch.streamer.archive_desk import ArchiveDesk
from braggwatch.streamer.archive_messages import HitRow, Hits, HitsWanted, Shot, ShotWanted
from braggwatch.streamer.feed_messages import CrystalSeen, LastShots, ShotSummary
from braggwatch.streamer.messages import State
from braggwatch.streamer.picture_messages import ShotImage
from braggwatch.streamer.record_reader import STATES
from braggwatch.streamer.statistics import N_LAST

LOOKED_AT = 1000
"""Hits among which the last crystals are sought."""
TRIED = 10
"""Hits whose pixels are sought until one has some."""

_FAILED = """
SELECT runs.key, frames.number, state, runs.started + t_ms / 1000.0, error
FROM failures JOIN frames USING (run, number) JOIN runs ON runs.id = run
ORDER BY run DESC, frames.number DESC LIMIT ?
"""


def newest_hits(connection: sqlite3.Connection, desk: ArchiveDesk) -> tuple[HitRow, ...]:
    """Return the last thousand hits, oldest first. Raises as `ArchiveDesk.find`."""
    (newest,) = connection.execute("SELECT max(id) FROM hits").fetchone()
    page = desk.find(HitsWanted(after=max((newest or 0) - LOOKED_AT, 0), limit=LOOKED_AT))
    return page.rows if isinstance(page, Hits) else ()


def last_shots(connection: sqlite3.Connection, hits: tuple[HitRow, ...]) -> LastShots:
    """Return the last crystals and shots that were not blank; `hits`: the newest ones, oldest first."""
    crystals = [
        CrystalSeen(
            time=hit.time, series=hit.series, number=hit.number, cell=crystal.cell, n_indexed=crystal.n_indexed,
            n_peaks=hit.n_peaks, rmsd_px=crystal.rmsd_px, resolution=hit.resolution,
            group=hit.group,
        )
        for hit in hits for crystal in hit.crystals
    ]  # fmt: skip
    shots = [
        ShotSummary(
            time=hit.time, series=hit.series, number=hit.number, state=hit.state, n_peaks=hit.n_peaks,
            resolution=hit.resolution, n_lattices=len(hit.crystals), group=hit.group,
        )
        for hit in hits[-N_LAST:]
    ]  # fmt: skip
    shots += [
        ShotSummary(time=time, series=series, number=number, state=STATES[code], error=error)
        for series, number, code, time, error in connection.execute(_FAILED, (N_LAST,))
    ]
    shots.sort(key=lambda shot: shot.time)
    return LastShots(tuple(crystals[-N_LAST:]), tuple(shots[-N_LAST:]))


def last_images(desk: ArchiveDesk, hits: tuple[HitRow, ...]) -> list[ShotImage]:
    """Return the last hit without and the last with a lattice, the newer one last.

    With pixels where any of the last few of its kind has them. Raises as `ArchiveDesk.find`.
    """
    found = (_last_image(desk, [hit for hit in hits if hit.state is state]) for state in (State.HIT, State.INDEXED))
    return sorted((image for image in found if image is not None), key=lambda image: image.time)


def _last_image(desk: ArchiveDesk, hits: list[HitRow]) -> ShotImage | None:
    without_pixels = None
    for hit in hits[: -TRIED - 1 : -1]:
        shot = desk.find(ShotWanted(hit.series, hit.number))
        image = shot.image if isinstance(shot, Shot) else None
        if image is not None and image.payload:
            return image
        without_pixels = without_pixels or image
    return without_pixels
