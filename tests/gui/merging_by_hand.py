"""Messages about merges: of simulated crystals merged by the processor's own classes, and of numbers by hand."""

from functools import cache
from typing import Any

import msgspec
import numpy as np

from braggwatch.processing.crystal import Crystal
from braggwatch.processing.simulation.demo import LYSOZYME, demo_detector
from braggwatch.processing.simulation.partial_intensities import PartialIntensities
from braggwatch.processing.unit_cell import UnitCell
from braggwatch.streamer.integrated import Integrated, IntegratedCrystal
from braggwatch.streamer.merge_messages import Merging
from braggwatch.streamer.merge_settings import MergeSettings
from braggwatch.streamer.running_merge import RunningMerge

D_MIN = 3.0
T0 = 1.75e9
EVERY_S = 3.0
AMBIGUOUS = UnitCell(79.2, 79.2, 38.0, space_group="P 43")


@cache
def merged(
    n: int = 150,
    cell: UnitCell = LYSOZYME,
    d_min: float = D_MIN,
    per_turn: int = 25,
    groups: tuple[str, ...] = (),
    **settings: Any,
) -> Merging:
    """Return what is said of `n` crystals, of which 25 came every 3 s since `T0`, of each of `groups` in turn."""
    rng = np.random.default_rng(3)
    simulator = PartialIntensities(demo_detector(), cell, d_min=d_min)
    merge = RunningMerge(cell, MergeSettings(**settings), d_min, T0)
    now = T0
    message = merge.message(now)
    for number in range(n):
        reflections = simulator.measure(simulator.excite(rng), rng, float(rng.lognormal(-0.15, 0.55)))
        crystal = IntegratedCrystal.of(Crystal(cell.A, known=cell), reflections)
        merge.add(Integrated("run-1", number, (crystal,)), groups[number % len(groups)] if groups else "")
        if number % per_turn == per_turn - 1:
            now += EVERY_S
            message = merge.message(now, last=number == n - 1)
    return message


def changed(message: Merging, **fields: Any) -> Merging:
    """Return a message with some fields replaced."""
    return msgspec.structs.replace(message, **fields)
