"""Groups of shots as a table of plain text, for the terminal and the summary."""

from collections.abc import Sequence

from braggwatch.streamer.feed_messages import Group, Rate
from braggwatch.streamer.wording import count, margin, percent, plain

_WIDEST = 28


def table_of_hit_rates(groups: Sequence[Group]) -> list[str]:
    """Return a title and a line for each group: frames looked at, hit rate, and how many hits were indexed."""
    names = [plain(group.name, _WIDEST) for group in groups]
    width = max(12, *(len(name) for name in names))
    title = f"{'groups':<{width}}{'frames':>10}{'hit rate':>16}{'indexed of hits':>18}"
    return [title] + [
        f"{name:<{width}}{count(group.frames):>10}{_with_margin(group.hit):>16}"
        f"{_with_margin(group.indexed_of_hits):>18}"
        for name, group in zip(names, groups, strict=True)
    ]


def hit_rates_in_words(groups: Sequence[Group]) -> str:
    """Return the hit rates of all groups in one line."""
    return " · ".join(f"{plain(group.name, _WIDEST)} {_with_margin(group.hit)}" for group in groups)


def _with_margin(rate: Rate) -> str:
    return f"{percent(rate)} {margin(rate)}".rstrip()
