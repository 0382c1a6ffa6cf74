"""One exposure on its way through the chain."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from braggwatch.processing.crystal import Crystal
from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Frame, Series
from braggwatch.processing.peaks import Peaks
from braggwatch.processing.reflections import Reflections


@dataclass(frozen=True)
class DumpedImage:
    """Where an image was written."""

    dump: str
    """Name of the dump instance."""
    path: Path
    entry: int
    """Index of the image in its file."""


@dataclass(eq=False)
class Shot:
    """One exposure with everything that the chain has found out about it so far."""

    series: Series
    frame: Frame
    """The frame as it came, its pixels still packed."""
    image: NDArray[Any]
    """``(ss, fs)``. A stage that changes pixels puts a new array here and sets `pixels_changed`; valid until the chain
    has done with the shot."""
    detector: Detector
    """With its beam and mask."""
    group: str = ""
    """Name of its group (`shot_groups`); empty where shots are not grouped."""
    pixels_changed: bool = False
    """Whether `image` differs from what `frame` holds."""
    peaks: Peaks | None = None
    crystals: list[Crystal] = field(default_factory=list)
    reflections: list[Reflections] = field(default_factory=list)
    """One table for each of `crystals`, once they were integrated."""
    is_hit: bool = False
    dumped: list[DumpedImage] = field(default_factory=list)
    notices: dict[str, str] = field(default_factory=dict)
    """What a person should know, as a sentence, by kind: a disk that is full, say."""
    began: float = field(default_factory=time.time)
    """When its way through the chain began, s since 1970: what stands in file names where `frame` tells no time."""
    timings: dict[str, float] = field(default_factory=dict)
    """Seconds that each stage took, by instance name."""

    @property
    def number(self) -> int:
        """Frame number within the series."""
        return self.frame.number
