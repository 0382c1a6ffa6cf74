"""The maps of the pixels that viewers ask for, read from the files of the settings in force."""

import threading
from collections import OrderedDict

import msgspec

from braggwatch.processing.compression import bslz4_chunk
from braggwatch.processing.detector_settings import DetectorSettings
from braggwatch.processing.frame import Series
from braggwatch.processing.pixel_maps import read_map
from braggwatch.streamer.map_messages import Map, MapWanted
from braggwatch.streamer.picture_messages import MAX_PIXELS
from braggwatch.streamer.wording import plain

MAX_PACKED_BYTES = 120 * 2**20
"""Maps that take more are not sent: a viewer would not receive them."""
KEPT_BYTES = 128 * 2**20
"""Of maps that are packed already, so that further viewers cost no reading."""
KEPT_RUNS = 1000
KEPT_MASK_BYTES = 64 * 2**20
"""Of runs that are known, those whose headers' masks take more are forgotten, the oldest first."""


class CalibrationMaps:
    """Answers what dark, noise, gain and mask are.

    The hub's thread says which settings are in force and which runs there are; whoever answers viewers, in another
    thread, has the files read.
    """

    def __init__(self, settings: DetectorSettings | None = None) -> None:
        """`settings` are in force at first."""
        self._lock = threading.Lock()
        self._settings = settings
        self._why_none = "which settings are in force is not known yet"
        self._runs: OrderedDict[str, Series] = OrderedDict()
        self._packed: OrderedDict[MapWanted, Map] = OrderedDict()

    def describe(self, settings: DetectorSettings | None, why_none: str = "") -> None:
        """Put other settings in force; `why_none` says why there are none."""
        with self._lock:
            if settings != self._settings:
                self._packed.clear()
            self._settings, self._why_none = settings, why_none

    def know(self, series: Series) -> None:
        """Note a run whose maps may be asked for; also when its header has come late."""
        with self._lock:
            for wanted in [wanted for wanted in self._packed if wanted.series == series.key]:
                del self._packed[wanted]
            self._runs.pop(series.key, None)
            self._runs[series.key] = series
            while len(self._runs) > 1 and (len(self._runs) > KEPT_RUNS or self._mask_bytes() > KEPT_MASK_BYTES):
                self._runs.popitem(last=False)

    def find(self, wanted: MapWanted) -> Map:
        """Return a map, or a message with the reason why there is none."""
        with self._lock:
            settings, series, kept = self._settings, self._runs.get(wanted.series), self._packed.get(wanted)
            why_none = self._why_none
        if kept is not None:
            return kept
        none = Map(series=wanted.series, kind=wanted.kind, stage=wanted.stage)
        if settings is None:
            return msgspec.structs.replace(none, problem=why_none)
        if series is None:
            problem = "this run is not known any more: there are maps of the last runs only"
            return msgspec.structs.replace(none, problem=problem)
        try:
            found = _read(settings, series, wanted)
        except (ValueError, OSError) as error:
            return msgspec.structs.replace(none, problem=plain(_said(error), 500))
        self._keep(wanted, found, settings, series)
        return found

    def _keep(self, wanted: MapWanted, found: Map, settings: DetectorSettings, series: Series) -> None:
        with self._lock:
            if settings != self._settings or self._runs.get(wanted.series) is not series:
                return  # other ones have come into force meanwhile
            self._packed[wanted] = found
            while len(self._packed) > 1 and sum(len(known.payload) for known in self._packed.values()) > KEPT_BYTES:
                self._packed.popitem(last=False)

    def _mask_bytes(self) -> int:
        return sum(0 if series.mask is None else series.mask.nbytes for series in self._runs.values())


def _said(error: ValueError | OSError) -> str:
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename} cannot be read: {error.strerror}"
    return str(error)


def _read(settings: DetectorSettings, series: Series, wanted: MapWanted) -> Map:
    if series.shape is not None and series.shape[0] * series.shape[1] > MAX_PIXELS:
        raise ValueError(f"a detector of {series.shape[0]} × {series.shape[1]} pixels is not believed")
    found = read_map(settings, series, wanted.kind, wanted.stage)
    payload = bslz4_chunk(found.values)
    if len(payload) > MAX_PACKED_BYTES:
        raise ValueError(f"the map takes {len(payload) >> 20} MiB, more than viewers take ({MAX_PACKED_BYTES >> 20})")
    return Map(
        series=wanted.series, kind=wanted.kind, stage=wanted.stage if found.n_stages > 1 else 0,
        n_stages=found.n_stages,
        shape=(found.values.shape[0], found.values.shape[1]), dtype=found.values.dtype.name, unit=found.unit,
        source=plain(found.source), payload=payload,
    )  # fmt: skip
