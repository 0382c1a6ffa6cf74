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

SIDE = Tabs(("headline",)), Tabs(("ledger", "health"))

PRESETS: dict[str, Layout] = {
    "control room": Column(
        (
            (
                Row(
                    (
                        (Column(((SIDE[0], 6), (SIDE[1], 4))), 17),
                        (Tabs(("image",)), 53),
                        (
                            Column(
                                (
                                    (Tabs(("cells", "orientations")), 4),
                                    (Tabs(("resolution", "peakogram")), 3),
                                    (Tabs(("powder", "crystal")), 4),
                                )
                            ),
                            30,
                        ),
                    )
                ),
                66,
            ),
            (Tabs(("rates", "hits")), 19),
            (Tabs(("film_strip",)), 15),
        )
    ),
    "tuning": Row(
        (
            (Column(((Tabs(("image",)), 80), (Tabs(("film_strip", "rates")), 20))), 66),
            (Column(((Tabs(("tuning",)), 75), (Tabs(("headline", "ledger", "health")), 25))), 34),
        )
    ),
    "quality": Row(
        (
            (Column(((Tabs(("cells",)), 55), (Tabs(("resolution",)), 45))), 36),
            (Column(((Tabs(("orientations",)), 55), (Tabs(("peakogram",)), 45))), 30),
            (Column(((Tabs(("powder", "image")), 50), (Tabs(("crystal", "headline")), 25), (Tabs(("hits",)), 25))), 34),
        )
    ),
}
"""By name, as in the menu; the first one is what a new user sees."""


def names(layout: Layout) -> Iterator[str]:
    """Yield the panels of a layout, the first one of each place first."""
    if isinstance(layout, Tabs):
        yield from layout.names
        return
    for part, _ in layout.parts:
        yield from names(part)
