"""A finished experiment on disk: a record as the processor writes it, and dumps by the stage that writes dumps."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from braggwatch.processing.compression import bslz4_chunk
from braggwatch.processing.crystal import Crystal
from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Encoding, Frame, Series
from braggwatch.processing.peaks import Peaks
from braggwatch.processing.shot import Shot
from braggwatch.processing.stages.dump import Dump, DumpSettings
from braggwatch.streamer.messages import Result, State
from braggwatch.streamer.record import Record
from braggwatch.streamer.worker import describe

SHAPE = (40, 56)
BEGAN = 1_700_000_000.0
A = np.diag([79.0, 79.1, 38.0])


def run(number: int) -> Series:
    """Return the header of a run."""
    return Series(
        key=f"run-{number}", number=number, name="lyso", n_frames=20, shape=SHAPE, dtype="uint16",
        photon_energy=12_400.0, distance=0.02, beam_center=(27.5, 20.25), pixel_size=(75e-6, 75e-6),
        saturation_value=60_000.0, detector="EIGER2",
    )  # fmt: skip


def detector(series: Series) -> Detector:
    """Return where its pixels are; the corner is masked."""
    mask = np.zeros(SHAPE, bool)
    mask[:4, :4] = True
    return Detector.from_series(series).with_mask(mask)


def pixels(run: int, number: int) -> NDArray[np.uint16]:
    """Return what the detector saw."""
    return np.random.default_rng((run, number)).poisson(3, SHAPE).astype(np.uint16)


def state(number: int) -> State:
    """Return what becomes of a frame: every second is a blank, every fourth is indexed."""
    return (State.BLANK, State.HIT, State.BLANK, State.INDEXED)[number % 4]


def spots(number: int) -> Peaks:
    """Return the spots of a frame: frame n has n + 1, all of n ADU."""
    n = number + 1
    random = np.random.default_rng(number)
    f = np.full(n, float(number), np.float32)
    return Peaks(
        random.uniform(5, SHAPE[1] - 1, n).astype(np.float32), random.uniform(5, SHAPE[0] - 1, n).astype(np.float32),
        np.zeros(n, np.int16), f, f, f, np.ones(n, np.int32), f,
    )  # fmt: skip


def shot(series: Series, number: int) -> Shot:
    """Return a frame as it is when hits and lattices have been found in it."""
    image = pixels(series.number, number)
    frame = Frame(
        series=series.key, number=number, payload=bslz4_chunk(image), shape=SHAPE, dtype="uint16",
        encoding=Encoding("bslz4", "hdf5"),
    )  # fmt: skip
    seen = Shot(series, frame, image, detector(series), peaks=spots(number), is_hit=state(number) is not State.BLANK)
    if state(number) is State.INDEXED:
        n_lattices = 2 if number % 8 == 7 else 1
        seen.crystals = [Crystal(A * (1 + 0.01 * i), spots=np.arange(number), rmsd_px=0.5) for i in range(n_lattices)]
    return seen


@dataclass
class Experiment:
    """Writes record and dumps, frame by frame, in a folder."""

    folder: Path
    dumps: Path = Path("dumps")
    """Below the folder, unless absolute; what the record is told is what is given here."""
    told: str = "dumps"
    images_per_file: int = 1000
    format: str = "nxmx"
    one_blank_in: int | None = None
    """Dump one of so many blanks, too."""
    group: Callable[[int], str] = lambda number: ""
    """Name of the group of a frame."""
    results: dict[tuple[str, int], Result] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.path = self.folder / "experiment.sqlite"
        self.record = Record(self.path)

    def settings(self, text: str, version: int, time: float) -> None:
        """Put settings in force."""
        self.record.settings(text, version, time)

    def process(self, number: int, numbers: range = range(20), *, ended: bool = True, began: float = BEGAN) -> None:
        """Process a run: frame n comes n s after its beginning; 18 and 19 are lost."""
        series = run(number)
        began += 100.0 * number
        self.record.begin_run(series, began)
        stage = self._dump("hit"), self._dump("indexed")
        blanks = None if self.one_blank_in is None else self._dump("blanks", one_blank_in=self.one_blank_in)
        for one in (*stage, *([] if blanks is None else [blanks])):
            one.begin(series, detector(series))
        for n in numbers:
            if n == 18:
                self.record.lost(series.key, range(18, 20), State.MISSED, began + 20)
                break
            seen = shot(series, n)
            seen.group = self.group(n)
            if seen.is_hit:
                stage[0].event(seen)
            if seen.crystals:
                stage[1].event(seen)
            if blanks is not None:
                blanks.event(seen)
            result = self._told(describe(seen, "worker-0"))
            self.results[series.key, n] = result
            self.record.result(result, began + n)
        for one in (*stage, *([] if blanks is None else [blanks])):
            one.end()
        if ended:
            counts: dict[str, int] = {State.BLANK: 9, State.HIT: 5, State.INDEXED: 4, State.MISSED: 2}
            self.record.end_run(series.key, counts, began + 21)

    def close(self) -> Path:
        """Close the record and return where it is."""
        assert self.record.close().problem == ""
        return self.path

    def _dump(self, instance: str, **options: Any) -> Dump:
        options |= {"images_per_file": self.images_per_file, "format": self.format}
        settings = DumpSettings(directory=self.folder / self.dumps, **options)
        return Dump(settings, instance=instance, provenance={"version": "1.2.3"})

    def _told(self, result: Result) -> Result:
        """Have the record told the folder of the dumps as the settings had it, often relative."""
        places: Any = tuple(
            msgspec.structs.replace(place, path=f"{self.told}/{Path(place.path).name}") for place in result.dumped
        )
        return msgspec.structs.replace(result, dumped=places)


def experiment(folder: Path, runs: int = 1, **options: Any) -> Experiment:
    """Write an experiment of some runs; its record is closed."""
    written = Experiment(folder, **options)
    written.settings('[experiment]\nname = "lysozyme"\n', 1, BEGAN)
    for number in range(1, runs + 1):
        written.process(number)
    written.close()
    return written
