"""What may have kept a hit from being indexed, as far as its spots tell. Free of Qt."""

import tomllib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from braggwatch.gui.numbers import angstrom, count
from braggwatch.streamer.picture_messages import SettingsInForce

ICE_RINGS = (3.90, 3.67, 3.44, 2.67, 2.25, 2.07, 1.95, 1.92)
"""d spacings of hexagonal ice, Angstrom."""
ICE_WIDTH = 0.0025
"""A spot lies on a ring when its 1/d is this near, 1/Angstrom."""
_MUCH_ICE = 0.3


@dataclass(frozen=True)
class Indexing:
    """What the settings in force say of indexing."""

    known: bool = False
    """Whether the processor has said its settings."""
    wanted: bool = True
    """Whether the chain has a stage that indexes."""
    min_spots: int | None = None
    """A lattice explains at least this many spots."""

    @classmethod
    def of(cls, settings: SettingsInForce | None) -> "Indexing":
        """Read it; never raises."""
        try:
            document: dict[str, Any] = {} if settings is None else tomllib.loads(settings.text)
        except (tomllib.TOMLDecodeError, RecursionError):
            return cls()
        stages = _table(document, "chain").get("stages")
        min_spots = _table(document, "index").get("min_spots")
        return cls(
            known=bool(document),
            wanted=not isinstance(stages, list) or any(str(stage).partition(":")[0] == "index" for stage in stages),
            min_spots=min_spots if isinstance(min_spots, int) else None,
        )


def _table(document: dict[str, Any], name: str) -> dict[str, Any]:
    table = document.get(name)
    return table if isinstance(table, dict) else {}


def on_ice(inverse_d: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return which of `ICE_RINGS` each spot lies on, ``(n,)``, the nearest one; -1 for none.

    `inverse_d` is ``(n,)`` in 1/Angstrom; NaN lies on none.
    """
    distance = np.abs(np.asarray(inverse_d, np.float64)[:, None] - 1.0 / np.array(ICE_RINGS))
    distance[np.isnan(distance)] = np.inf
    nearest = distance.argmin(axis=1)
    return np.where(distance.min(axis=1, initial=np.inf) <= ICE_WIDTH, nearest, -1)


def reasons(inverse_d: NDArray[np.floating], resolution: float | None, indexing: Indexing) -> tuple[str, ...]:
    """Return what is known of why no lattice was found, as sentences, the most telling first.

    `inverse_d` is ``(n,)``, one a spot, 1/Angstrom; `resolution` in Angstrom.
    """
    n = len(inverse_d)
    if indexing.known and not indexing.wanted:
        return ("The chain in force has no stage that indexes.",)
    least = indexing.min_spots
    if least is not None and n < least:
        said = [f"Too few spots: {count(n)} were found, and a lattice must explain {count(least)} ([index] min_spots)."]
    elif least is not None:
        said = [f"No lattice of the target cell explains {count(least)} or more of the {count(n)} spots."]
    else:
        said = [f"No lattice of the target cell was found among the {count(n)} spots."]
    ice = _ice(inverse_d)
    if ice:
        said.append(ice)
    if resolution is not None:
        said.append(f"95 % of the spots lie within {angstrom(resolution)}.")
    return tuple(said)


def _ice(inverse_d: NDArray[np.floating]) -> str:
    ring = on_ice(inverse_d)
    n, n_ice = len(ring), int((ring >= 0).sum())
    if not n_ice:
        return "None of them lies on an ice ring." if n else ""
    number = np.bincount(ring[ring >= 0], minlength=len(ICE_RINGS))
    fullest = [f"{count(int(number[i]))} at {angstrom(ICE_RINGS[i])}" for i in np.argsort(-number, kind="stable")[:3]
               if number[i]]  # fmt: skip
    verdict = ": this looks like ice" if n_ice > _MUCH_ICE * n else ""
    lie = "lies" if n_ice == 1 else "lie"
    return f"{count(n_ice)} of {count(n)} spots {lie} on ice rings ({', '.join(fullest)}){verdict}."
