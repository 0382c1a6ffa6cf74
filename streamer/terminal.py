"""The terminal view: live where the output is a terminal, plain lines where it is a file, and the final summary."""

import io
import time
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.terminal_theme import TerminalTheme

from braggwatch.streamer.feed import DEFAULT_ADDRESS
from braggwatch.streamer.feed_client import FeedClient
from braggwatch.streamer.feed_messages import Finished, Ledger, Rate, Status
from braggwatch.streamer.group_wording import table_of_hit_rates
from braggwatch.streamer.merge_wording import (
    difference_in_words,
    forecast_in_words,
    left_out_in_words,
    quality_in_words,
    reach_in_words,
    table_of_groups,
    table_of_shells,
    target_in_words,
)
from braggwatch.streamer.messages import State
from braggwatch.streamer.terminal_screen import View, screen
from braggwatch.streamer.wording import UNKNOWN, clock, count, duration, margin, per_second, percent, plain

REDRAW_S = 0.25
LINE_EVERY_S = 5.0
"""s between two lines where the output is no terminal; a change of state has a line at once."""
GIVE_UP_S = 15.0
"""s of silence after which a processor that should finish is taken for dead."""

_INK, _PAPER = (0xE6, 0xE8, 0xEB), (0x14, 0x17, 0x1A)
_THEME = TerminalTheme(_PAPER, _INK, [_PAPER] * 8)
_PICTURE = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font: 22px "DejaVu Sans Mono", Menlo, Consolas, monospace }}
.{unique_id}-title {{ font: bold 18px sans-serif }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect width="{terminal_width}" height="{terminal_height}" /></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
"""Letters as high as the rows, so that large digits have no gaps, in fonts that are there: nothing is downloaded."""


def watch_feed(
    address: str = DEFAULT_ADDRESS, *, until_finished: bool = False, console: Console | None = None
) -> Finished | None:
    """Show what a processor says, until Ctrl-C; returns its last word, if it was heard.

    With `until_finished` it ends with the processor: with its last word, or (None) when one that was heard before has
    been silent for 15 s.
    """
    console = console or Console()
    with FeedClient(address) as client:
        show = _show_screen if console.is_terminal else _show_lines
        return show(client, console, until_finished)


def _show_screen(client: FeedClient, console: Console, until_finished: bool) -> Finished | None:
    with Live(console=console, screen=True, auto_refresh=False, vertical_overflow="crop") as live:
        while not _over(client, until_finished):
            _gather(client, REDRAW_S)
            live.update(screen(View.of(client), console.height), refresh=True)
    return client.finished


def _show_lines(client: FeedClient, console: Console, until_finished: bool) -> Finished | None:
    last_word, last_line = "", float("-inf")
    while not _over(client, until_finished):
        _gather(client, REDRAW_S)
        view = View.of(client)
        word = "PROCESSOR GONE" if view.gone and client.status is not None else view.word
        if word != last_word or time.monotonic() - last_line > LINE_EVERY_S:
            console.print(line(view), markup=False, highlight=False, soft_wrap=True)
            last_word, last_line = word, time.monotonic()
    return client.finished


def _gather(client: FeedClient, seconds: float) -> None:
    """Take what comes for so long, so that a busy feed does not cause more drawing."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0 and client.finished is None:
        client.poll(left)
    if client.finished is not None:
        client.poll(seconds)


def _over(client: FeedClient, until_finished: bool) -> bool:
    return until_finished and (client.finished is not None or (client.age or 0.0) > GIVE_UP_S)


def line(view: View) -> str:
    """Return how things are in one line."""
    status = view.status
    if status is None:
        return f"{view.word} on {plain(view.address)}"
    run = f" run {status.run.number}" if status.run is not None else ""
    return f"{clock(status.time)} {view.word}{run} | {_numbers(status)}"


def _numbers(status: Status) -> str:
    rates, ledger = status.rates, status.totals
    lost = {state: ledger.counts.get(state, 0) for state in (State.DROPPED, State.MISSED, State.REFUSED)}
    return " | ".join(
        (
            f"{count(ledger.total)} frames, {per_second(status.throughput.frames)}",
            f"hits {_with_margin(rates.hit)}",
            f"indexed {_with_margin(rates.indexed_of_hits)} of hits",
            f"latency {duration(status.latency.median)}, 99 % {duration(status.latency.p99)}",
            ", ".join(f"{state.value} {count(n)}" for state, n in lost.items()),
        )
    )


def print_summary(finished: Finished, *, sent: int | None = None, console: Console | None = None) -> None:
    """Print what became of all frames, with the sums checked; `sent` is what the detector says, where it is known."""
    console = console or Console()
    for text in summary(finished, sent=sent):
        console.print(text, markup=False, highlight=False, soft_wrap=True)


def summary(finished: Finished, *, sent: int | None = None) -> list[str]:
    """Return the lines of the final summary."""
    sent = finished.sent if sent is None else sent
    rates, latency = finished.rates, finished.latency
    return [
        f"Finished: {plain(finished.reason) or 'the processor ended'}",
        *_frames(finished.totals, sent),
        "",
        f"  hit rate           {_with_margin(rates.hit)}   ({count(rates.hit.n)} of {count(rates.hit.of)})",
        f"  indexed of hits    {_with_margin(rates.indexed_of_hits)}   "
        f"({count(rates.indexed_of_hits.n)} of {count(rates.indexed_of_hits.of)})",
        f"  multi-lattice      {_with_margin(rates.multi_lattice)}   ({count(finished.crystals)} crystals in all)",
        f"  latency            median {duration(latency.median)}, 99 % within {duration(latency.p99)}, "
        f"longest {duration(latency.max)}",
        f"  throughput         {_throughput(finished)}",
        "",
        *_groups(finished),
        *_merged(finished),
        *_places(finished),
        *(f"  ! {plain(notice.text)} (× {count(notice.count)})" for notice in finished.notices),
    ]


def _frames(ledger: Ledger, sent: int | None) -> list[str]:
    received = ledger.total - ledger.counts.get(State.MISSED, 0)
    ends = ((state.value, ledger.counts.get(state, 0)) for state in State)
    rows = [("sent", sent), ("received", received), *((name, n) for name, n in ends if n or name != State.SKIPPED)]
    if ledger.waiting or ledger.working:
        rows += [("waiting", ledger.waiting), ("working", ledger.working)]
    said = {"sent": "sent by detector", "hit": "hit, not indexed"}
    rule = "  " + "─" * 27
    lines = [f"  {said.get(name, name):<17}{count(n):>10}" for name, n in rows if n is not None]
    lines.insert(len(lines) - len(rows) + 2, rule)
    lines.append(rule)
    lines.append(_sum_line(ledger))
    if sent is not None and sent != ledger.total:
        lines.append(f"  ! the detector sent {count(sent)} frames, the ledger knows of {count(ledger.total)}")
    return lines


def _sum_line(ledger: Ledger) -> str:
    text = f"  {'sum':<17}{count(ledger.sum):>10}"
    if ledger.balanced:
        return f"{text}  = {count(ledger.total)} frames of the series ✓"
    difference = count(abs(ledger.sum - ledger.total))
    return f"{text}  ≠ {count(ledger.total)} frames of the series: {difference} unaccounted for!"


def _throughput(finished: Finished) -> str:
    done = finished.latency.n
    if not finished.seconds or not done:
        return UNKNOWN
    return f"{per_second(done / finished.seconds)} over {duration(finished.seconds)}"


def _groups(finished: Finished) -> list[str]:
    if not finished.groups:
        return []
    return [*(f"  {line}" for line in table_of_hit_rates(finished.groups)), ""]


def _merged(finished: Finished) -> list[str]:
    merging = finished.merging
    if merging is None:
        return []
    left_out = left_out_in_words(merging)
    lines = [
        f"  merged             {quality_in_words(merging)}",
        f"  data reach         {reach_in_words(merging)}",
    ]
    if merging.target is not None:
        lines.append(f"  target             {target_in_words(merging.target)}: {forecast_in_words(merging.forecast)}")
    if left_out:
        lines.append(f"  not merged         {left_out}")
    difference = difference_in_words(merging.difference)
    if difference:
        lines.append(f"  difference         {difference}")
    tables = table_of_groups(merging), table_of_shells(merging)
    return [*lines, "", *(line for table in tables if table for line in (*(f"  {row}" for row in table), ""))]


def _places(finished: Finished) -> list[str]:
    lines = [
        f"  images of {plain(dump.name) + ':':<9}{plain(dump.directory, 500)} ({count(dump.images)})"
        for dump in finished.dumps
    ]
    record = finished.record
    if record is not None:
        lines.append(f"  record:            {plain(record.path, 500)} ({count(record.frames)} frames)")
        if record.problem:
            lines.append(f"  ! {plain(record.problem, 500)}")
    return lines


def _with_margin(rate: Rate) -> str:
    return f"{percent(rate)} {margin(rate)}".rstrip()


def save_picture(view: View, path: Path, *, width: int = 100, height: int = 30) -> None:
    """Write the display as it looks at this size to an SVG file."""
    console = Console(
        record=True, width=width, height=height, force_terminal=True, color_system="truecolor", file=io.StringIO()
    )
    console.print(screen(view, height))
    console.save_svg(str(path), title="braggwatch", theme=_THEME, code_format=_PICTURE, font_aspect_ratio=0.6625)
