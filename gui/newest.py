"""From rows of the hits to the shots that a click opens."""

import numpy as np
from numpy.typing import NDArray

from braggwatch.gui.hit_columns import HitColumns
from braggwatch.gui.shot_key import ShotKey

AT_MOST = 1000
"""So many shots are selected by one click."""


def newest_first(hits: HitColumns, rows: NDArray[np.int64]) -> list[ShotKey]:
    """Return the shots of rows of `HitColumns.hits`, each once, the newest first, `AT_MOST` of them."""
    return [hits.key(int(row)) for row in np.unique(rows)[::-1][:AT_MOST]]
