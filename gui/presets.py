"""Which panels are seen and where: three layouts for three kinds of work."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """Parts beside each other, each with its share of the width."""

    parts: tuple[tuple["Layout", float], ...]


@dataclass(frozen=True)
class Column:
    """Parts above each other, each with its share of the height."""

    parts: tuple[tuple["Layout", float], ...]


@dataclass(frozen=True)
class Tabs:
    """Panels in one place, the first one in front."""

    names: tuple[str, ...]


Layout = Row | Column | Tabs

ROOMY_PX = 1000
"""Height of a window from which on three panels above each other can be read."""


def _tabs(*names: str) -> Tabs:
    return Tabs(names)


def _row(*parts: tuple[Layout, float]) -> Row:
    return Row(parts)


def _column(*parts: tuple[Layout, float]) -> Column:
    return Column(parts)


_NUMBERS = _column((_tabs("headline"), 60), (_tabs("ledger", "health"), 40))
_CONTROL_ROOM = _column(
    (
        _row(
            (_NUMBERS, 17),
            (_tabs("image"), 53),
            (
                _column(
                    (_tabs("cells", "orientations"), 36),
                    (_tabs("resolution", "peakogram", "merging"), 28),
                    (_tabs("powder", "crystal", "residuals"), 36),
                ),
                30,
            ),
        ),
        66,
    ),
    (_tabs("rates", "hits"), 19),
    (_tabs("shots"), 15),
)
_SMALL_CONTROL_ROOM = _column(
    (
        _row(
            (_NUMBERS, 20),
            (_tabs("image"), 48),
            (
                _column(
                    (_tabs("cells", "orientations", "crystal"), 50),
                    (_tabs("resolution", "peakogram", "powder", "merging"), 50),
                ),
                32,
            ),
        ),
        74,
    ),
    (_tabs("rates", "shots", "hits", "residuals"), 26),
)
_TUNING = _row(
    (_column((_tabs("image"), 80), (_tabs("shots", "rates"), 20)), 66),
    (_column((_tabs("tuning"), 75), (_tabs("headline", "ledger", "health"), 25)), 34),
)
_QUALITY = _row(
    (_column((_tabs("cells"), 55), (_tabs("resolution", "peakogram"), 45)), 29),
    (_column((_tabs("merging"), 62), (_row((_tabs("orientations"), 50), (_tabs("residuals"), 50)), 38)), 39),
    (_column((_tabs("powder", "image"), 50), (_tabs("crystal", "hits", "headline"), 50)), 32),
)

PRESETS = ("control room", "tuning", "quality")
"""As in the menu; the first one is what a new user sees."""


def preset(name: str, height: int) -> Layout:
    """Return a layout by its name, for a window of a height in px; raises KeyError where there is none."""
    control_room = _CONTROL_ROOM if height >= ROOMY_PX else _SMALL_CONTROL_ROOM
    layouts: dict[str, Layout] = {"control room": control_room, "tuning": _TUNING, "quality": _QUALITY}
    return layouts[name]


def names(layout: Layout) -> Iterator[str]:
    """Yield the panels of a layout, the first one of each place first."""
    if isinstance(layout, Tabs):
        yield from layout.names
        return
    for part, _ in layout.parts:
        yield from names(part)
