"""What the image panel says: which shot is shown, what is under the cursor, and why there is nothing to see."""

import numpy as np

from braggwatch.gui.image_assembly import Assembly, Place
from braggwatch.gui.image_layers import UNITS, LayerKind
from braggwatch.gui.image_picture import Picture
from braggwatch.gui.image_preparation import PreparedMap, PreparedShot
from braggwatch.gui.known_groups import label
from braggwatch.gui.mask_sources import SOURCES
from braggwatch.gui.monitor import Follow, Monitor
from braggwatch.gui.shot_key import ShotKey
from braggwatch.gui.skipped import all_skipped
from braggwatch.streamer.feed_messages import Status
from braggwatch.streamer.messages import State
from braggwatch.streamer.picture_messages import ShotImage
from braggwatch.streamer.wording import clock, count, duration, plain, said

_LATEST: dict[Follow, str] = {"frame": "latest frame", "hit": "latest hit", "indexed": "latest indexed"}
_OLD = 5.0
"""s from which on a live shot's age is worth saying."""


def caption(monitor: Monitor, shot: ShotImage) -> tuple[str, ...]:
    """Return which shot is shown, in parts, the most important first."""
    result = shot.result
    n_lattices = len(result.crystals)
    state = {State.HIT: "hit, no lattice"}.get(result.state, str(result.state))
    parts = [
        f"frame {count(result.number)}",
        f"{n_lattices} lattices" if n_lattices > 1 else state,
        label(result.group),
        said(result.resolution, "Å", 2) if result.resolution is not None else "",
        _which(monitor),
        _run(monitor, shot),
        monitor.geometries.borrowed(shot),
        _when(monitor, shot),
    ]
    return tuple(part for part in parts if part)


def _which(monitor: Monitor) -> str:
    if monitor.live:
        return _LATEST[monitor.follow]
    n = len(monitor.selection)
    return f"{count(monitor.position + 1)} of {count(n)} selected" if n > 1 else "paused"


def _run(monitor: Monitor, shot: ShotImage) -> str:
    series = shot.result.series
    if monitor.geometry is not None and monitor.geometry.series == series:
        return f"run {monitor.geometry.run}"
    if monitor.status is not None and monitor.status.run is not None and monitor.status.run.key == series:
        return f"run {monitor.status.run.number}"
    row = monitor.hits.find(ShotKey(series, shot.result.number))
    return "" if row is None else f"run {monitor.hits.row(row).run}"


def age(monitor: Monitor, shot: ShotImage) -> float | None:
    """Return how old a shot is, s, by the processor's clock; None where that is not known."""
    return None if monitor.status is None else max(monitor.status.time - shot.time, 0.0)


def is_old(monitor: Monitor, shot: ShotImage) -> bool:
    """Return whether the view is live, but its shot is not of these seconds."""
    seconds = age(monitor, shot)
    return monitor.live and seconds is not None and seconds > _OLD


def _when(monitor: Monitor, shot: ShotImage) -> str:
    if is_old(monitor, shot):
        return f"{duration(age(monitor, shot))} ago"
    return clock(shot.time)


def readout(picture: Picture, x: float, y: float, geometry_known: bool) -> str:
    """Return what is under a point of the picture: value, coordinates, panel, resolution; empty beside the pixels."""
    place = picture.assembly.locate(x, y)
    if place is None:
        return ""
    return " · ".join([_pixel(picture, x, y), *_where(picture.assembly, place, geometry_known)])


def layer_readout(layer: PreparedMap, shot: PreparedShot | None, x: float, y: float) -> str:
    """Return what is under a point of a map: its value, the shot's, and where it is; empty beside the pixels."""
    picture = layer.picture
    place = None if picture is None else layer.assembly.locate(x, y)
    if picture is None or place is None:
        return ""
    if layer.found.kind == "mask":
        number = picture.value_at(x, y)
        parts = [f"masked by {SOURCES[number - 1].name}" if 0 < number <= len(SOURCES) else "not masked"]
    else:
        unit = layer.found.unit or UNITS[layer.found.kind]
        parts = [f"{layer.found.kind} {fine_value_text(picture.value_at(x, y))} {plain(unit, 20)}"]
    if shot is not None and shot.picture is not None and shot.assembly is layer.assembly:
        parts.append(f"shot {_pixel(shot.picture, x, y)}")
    return " · ".join([*parts, *_where(layer.assembly, place, layer.geometry_known)])


def _pixel(picture: Picture, x: float, y: float) -> str:
    value = value_text(picture.value_at(x, y))
    return f"{value} ADU" if picture.counts_at(x, y) else f"masked ({value})"


def _where(assembly: Assembly, place: Place, geometry_known: bool) -> list[str]:
    parts = [f"fs {place.fs:.1f} ss {place.ss:.1f}"]
    if geometry_known:
        detector = assembly.detector
        parts.append(f"panel {plain(detector.panels[place.panel].name, 30)}")
        if detector.beam is not None:
            parts.append(said(float(detector.resolution(place.fs, place.ss, place.panel)[0]), "Å", 2))
    return parts


def layer_caption(kind: LayerKind, layer: PreparedMap | None) -> tuple[str, ...]:
    """Return which map is shown, in parts, the most important first."""
    parts = [f"{kind} map" if kind != "mask" else "mask", "not the shot"]
    if layer is not None and not layer.problem:
        found = layer.found
        unit = found.unit or UNITS[kind]
        parts = [parts[0] if found.n_stages == 1 else f"{kind} map of stage G{found.stage}", parts[1]]
        parts += [plain(unit, 20), _file_of(found.source)]
    return tuple(part for part in parts if part)


def _file_of(source: str) -> str:
    """Return ``dark.h5:/mean`` of ``/data/dark.h5:/mean``."""
    path, colon, dataset = plain(source, 300).rpartition(":/")
    return plain(f"{path.rpartition('/')[2]}{colon}{dataset}" if colon else dataset.rpartition("/")[2], 60)


def without_map(kind: LayerKind, layer: PreparedMap | None, *, known: bool) -> str:
    """Return why no map is shown, as a sentence; empty where one is."""
    if layer is not None:
        return _sentence(layer.problem or layer.assembly.problem) if layer.problem or layer.assembly.problem else ""
    return f"Waiting for the {kind} map of the processor." if known else "Nothing has been heard of a detector yet."


def value_text(value: float) -> str:
    """Return a pixel's value: whole numbers in groups of three digits, others with one decimal."""
    if isinstance(value, int):
        return count(value)
    if not np.isfinite(value):
        return "no number"
    return f"{value:.1f}" if abs(value) < 1e5 else f"{value:.2e}"


def fine_value_text(value: float) -> str:
    """Return a value of a map with four digits that count: gains and noise differ by little."""
    return f"{value:.4g}" if np.isfinite(value) else "no number"


def nothing_to_show(monitor: Monitor) -> str:
    """Return why no shot is shown, as a sentence."""
    if monitor.shot_problem:
        return _sentence(monitor.shot_problem)
    if not monitor.live:
        return "Waiting for the chosen shot."
    status = monitor.status
    if status is None:
        return "Nothing has been heard of a processor yet."
    counts = status.totals.counts
    n_indexed, n_hits = counts.get(State.INDEXED, 0), counts.get(State.INDEXED, 0) + counts.get(State.HIT, 0)
    n_seen = n_hits + counts.get(State.BLANK, 0)
    if not n_seen:
        return all_skipped(status) or _no_frames(status)
    if monitor.follow == "indexed" and not n_indexed:
        return f"No indexed shot yet: {_hits_so_far(monitor, n_hits, n_seen)}."
    if monitor.follow == "hit" and not n_hits:
        return f"No hit yet among {count(n_seen)} frames."
    return "Waiting for the next picture."


def _hits_so_far(monitor: Monitor, n_hits: int, n_seen: int) -> str:
    if not n_hits:
        return f"no hits among {count(n_seen)} frames"
    said_of_spots = ""
    if len(monitor.hits):
        said_of_spots = f", half of them with fewer than {np.median(monitor.hits.hits['n_peaks']) + 1:.0f} spots"
    return f"{count(n_hits)} {'hit' if n_hits == 1 else 'hits'} among {count(n_seen)} frames{said_of_spots}"


def _no_frames(status: Status) -> str:
    source = f" from {plain(status.source, 60)}" if status.source else ""
    if status.word in ("FINISHED", "STOPPED"):
        return f"No frames came{source}."
    return f"Waiting for frames{source} since {clock(status.since)}."


def _sentence(text: str) -> str:
    text = plain(text, 300).strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?", "…")) else ".")


def without_pixels(problem: str) -> str:
    """Return why a shot is shown without its pixels, or without its geometry, as a sentence."""
    return _sentence(problem or "the pixels of this shot are not to be had")
