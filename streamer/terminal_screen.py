"""What the terminal shows, drawn from what the feed last said: for 80 x 24 characters and more."""

from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from braggwatch.streamer.feed_client import FeedClient
from braggwatch.streamer.feed_messages import CrystalSeen, Finished, LastShots, Ledger, Queue, Rate, Status
from braggwatch.streamer.group_wording import hit_rates_in_words, table_of_hit_rates
from braggwatch.streamer.merge_messages import Merging
from braggwatch.streamer.merge_wording import (
    difference_in_words,
    forecast_briefly,
    forecast_in_words,
    quality_in_words,
    table_of_groups,
    table_of_shells,
)
from braggwatch.streamer.messages import State
from braggwatch.streamer.statistics import wilson
from braggwatch.streamer.terminal_digits import HEIGHT, large_percent
from braggwatch.streamer.wording import UNKNOWN, clock, count, data_rate, duration, margin, per_second, plain, said

HIT = "#E69F00"
INDEXED = "#009E73"
MULTI_LATTICE = "#56B4E9"
ALARM = "#D55E00"
QUIET = "dim"
"""Of whatever colour the terminal writes in, because its background is not ours to choose."""

STATE_STYLES: dict[State, str] = {
    State.INDEXED: INDEXED,
    State.HIT: HIT,
    State.BLANK: QUIET,
    State.SKIPPED: QUIET,
    State.FAILED: ALARM,
    State.MISSED: ALARM,
    State.DROPPED: ALARM,
    State.REFUSED: ALARM,
    State.QUARANTINED: ALARM,
}

STALE_S = 5.0
"""A value older than this turns quiet and shows its age."""

_FIXED_ROWS = 19
"""Rows that are there in any case; the others go to crystals, workers and warnings."""

_LEDGER_WIDTH = 38


@dataclass(frozen=True)
class View:
    """What there is to show."""

    address: str
    status: Status | None = None
    shots: LastShots | None = None
    finished: Finished | None = None
    age: float | None = None
    """s since the processor was heard."""
    gone: bool = False
    problems: tuple[tuple[str, int], ...] = ()
    """What was wrong with messages of the feed, and how often."""
    merging: Merging | None = None

    @classmethod
    def of(cls, client: FeedClient) -> "View":
        """Take what a client knows now."""
        return cls(
            client.address, client.status, client.shots, client.finished, client.age, client.gone,
            tuple(client.problems.most_common(5)), client.merging,
        )  # fmt: skip

    @property
    def word(self) -> str:
        """How things are."""
        if self.finished is not None:
            return "FINISHED"
        if self.status is None:
            return "WAITING FOR PROCESSOR"
        return f"PROCESSOR GONE {duration(self.age)}" if self.gone else self.status.word

    @property
    def stale(self) -> bool:
        """Whether the numbers are older than 5 s, because the processor or the detector is silent."""
        frame_age = self.status.frame_age if self.status is not None else None
        return self.silent or (frame_age or 0.0) > STALE_S

    @property
    def silent(self) -> bool:
        """Whether the processor has said nothing for 5 s."""
        return self.gone or (self.age or 0.0) > STALE_S


def screen(view: View, height: int) -> RenderableType:
    """Return the whole display."""
    status = view.status
    if status is None:
        return Group(
            _strip(view), Text(f" Waiting for a processor on {plain(view.address)}", QUIET), *_warnings(view, 3)
        )
    free = max(height - _FIXED_ROWS - bool(status.totals.counts.get(State.SKIPPED)), 2)
    warnings = _warnings(view, max(free // 3, 1))
    merge = _merge(view, free - len(warnings) - 8)
    groups = _groups(view, free - len(warnings) - len(merge) - 2)
    free -= len(warnings) + len(merge) + len(groups)
    workers = _workers(status, free - 8)
    crystals = _crystals(view, max(free - len(workers), 1))
    return Group(
        _strip(view),
        _run_line(status),
        _rule(),
        _rates(view),
        _rule(),
        _columns(_ledger(status, QUIET if view.silent else ""), _flow(view)),
        _rule(),
        *groups,
        *merge,
        *crystals,
        *workers,
        *warnings,
        _places(status),
    )


def _line(*parts: tuple[str, str] | str) -> Text:
    return Text.assemble(*parts, no_wrap=True, overflow="ellipsis")


def _rule() -> Rule:
    return Rule(style=QUIET)


def _columns(left: list[Text], right: list[Text]) -> Table:
    grid = Table.grid(expand=True)
    grid.add_column(width=_LEDGER_WIDTH, no_wrap=True)
    grid.add_column(ratio=1, no_wrap=True)
    for i in range(max(len(left), len(right))):
        grid.add_row(*(column[i] if i < len(column) else Text() for column in (left, right)))
    return grid


def _strip(view: View) -> Table:
    word = view.word
    style = INDEXED if word in ("LIVE", "FINISHED") else ALARM if view.gone or word == "STOPPED" else HIT
    left = _line((f" ● {word}", f"bold {style}"))
    right = _line()
    if view.status is not None:
        run = view.status.run
        if view.status.experiment:
            left.append(f"   {plain(view.status.experiment, 40)}")
        if run is not None:
            left.append(f"   run {run.number}", "bold")
            left.append(f"  {plain(run.name, 30)}", QUIET)
        right = _line((f"{clock(view.status.time)} ", QUIET))
    grid = Table.grid(expand=True)
    grid.add_column(no_wrap=True, ratio=1)
    grid.add_column(no_wrap=True, justify="right")
    grid.add_row(left, right)
    return grid


def _run_line(status: Status) -> Text:
    run = status.run
    if run is None or status.word == "WAITING FOR DETECTOR":
        where = plain(status.source) or "the detector"
        return _line((f" Waiting for frames on {where} since {clock(status.since)}", QUIET))
    said_by_detector = [
        plain(run.detector, 40),
        f"{run.shape[1]} × {run.shape[0]}" if run.shape else "",
        said(run.photon_energy / 1e3, "keV", 2) if run.photon_energy else "",
        said(run.distance * 1e3, "mm") if run.distance else "",
        f"{count(run.ledger.total)} of {count(run.n_frames)} frames" if run.n_frames else "",
    ]
    return _line((" " + " · ".join(part for part in said_by_detector if part), QUIET))


def _rates(view: View) -> Table:
    assert view.status is not None
    rates = view.status.rates
    lost = wilson(min(rates.dropped.n + rates.missed.n, rates.dropped.of), rates.dropped.of)
    columns = (
        ("HIT RATE", rates.hit, HIT),
        ("INDEXED OF HITS", rates.indexed_of_hits, INDEXED),
        ("MULTI-LATTICE", rates.multi_lattice, MULTI_LATTICE),
        ("DROPPED + MISSED", lost, ALARM if lost.n else QUIET),
    )
    grid = Table.grid(expand=True)
    for _ in columns:
        grid.add_column(ratio=1, no_wrap=True)
    grid.add_row(*(Text(f" {title}", f"bold {QUIET}") for title, _, _ in columns))
    styles = [QUIET if view.stale else f"bold {style}" for _, _, style in columns]
    for row in range(HEIGHT):
        grid.add_row(
            *(Text(f" {large_percent(rate, row)}", style) for (_, rate, _), style in zip(columns, styles, strict=True))
        )
    grid.add_row(*(Text(f" {_of(rate)}", QUIET) for _, rate, _ in columns))
    return grid


def _of(rate: Rate) -> str:
    return f"{margin(rate)}  {count(rate.n)}/{count(rate.of)}" if rate.of else "no frame yet"


_SAID = {State.HIT: "not indexed"}
"""Of the hits, the ledger's line has those without a lattice only; the hit rate above it counts all."""


def _ledger(status: Status, style: str) -> list[Text]:
    ledger = status.totals
    title = " LEDGER" if status.runs <= 1 else f" LEDGER of {status.runs} runs"
    pairs = (
        (State.INDEXED, State.MISSED),
        (State.HIT, State.REFUSED),
        (State.BLANK, State.DROPPED),
        (State.FAILED, State.QUARANTINED),
    )
    lines = [_line((title, f"bold {QUIET}"))]
    for pair in pairs:
        line = _line()
        for state in pair:
            n = ledger.counts.get(state, 0)
            line.append(f" {_SAID.get(state, state.value):<11}", style or (STATE_STYLES[state] if n else QUIET))
            line.append(f"{count(n):>7}", style)
        lines.append(line)
    if skipped := ledger.counts.get(State.SKIPPED, 0):
        lines.append(_line((f" {State.SKIPPED:<11}", style or QUIET), (f"{count(skipped):>7}", style)))
    lines.append(
        _line(
            (" waiting    ", QUIET),
            (f"{count(ledger.waiting):>7}", style),
            (" working    ", QUIET),
            (f"{count(ledger.working):>7}", style),
        )
    )
    lines.append(_line(" ", *_check(ledger)))
    return lines


def _check(ledger: Ledger) -> list[tuple[str, str] | str]:
    """Show whether every frame is in one place."""
    if ledger.balanced:
        return [f"adds up to {count(ledger.sum)} frames ", ("✓", INDEXED)]
    return [(f"adds up to {count(ledger.sum)}, not to {count(ledger.total)} frames!", f"bold {ALARM}")]


def _flow(view: View) -> list[Text]:
    status = view.status
    assert status is not None
    style = QUIET if view.stale else ""
    through, latency, queue = status.throughput, status.latency, status.queue
    ready = [worker for worker in status.workers if worker.state == "ready"]
    restarts = sum(worker.restarts for worker in status.workers)
    title = " FLOW" if not view.stale else f" FLOW, last frame {duration(_frame_age(view))} ago"
    rows = (
        ("frames in", f"{per_second(through.frames)}   {data_rate(through.bytes)}", style),
        ("results", per_second(through.results), style),
        ("latency", f"{duration(latency.median)}  99 % {duration(latency.p99)}  max {duration(latency.max)}", style),
        ("queue", f"{count(queue.frames)} frames  {_fill(queue)}", style),
        (
            "workers",
            f"{len(ready)} of {len(status.workers)} ready, restarts {restarts}" if status.workers else UNKNOWN,
            ALARM if len(ready) < len(status.workers) else style,
        ),
    )
    lines = [_line((title, f"bold {QUIET}"))]
    lines += [_line((f" {name:<10}", QUIET), (value, value_style)) for name, value, value_style in rows]
    return [*lines, _record_line(status)]


def _fill(queue: Queue) -> str:
    return f"{100 * queue.bytes / queue.limit:.0f} % full" if queue.limit else UNKNOWN


def _frame_age(view: View) -> float | None:
    frame_age = view.status.frame_age if view.status is not None else None
    return None if frame_age is None else frame_age + (view.age or 0.0)


def _record_line(status: Status) -> Text:
    record = status.record
    if record is None:
        return _line((" record    ", QUIET), "none")
    text = f"{count(record.frames)} frames"
    if record.pending:
        text += f", {count(record.pending)} to write"
    return _line((" record    ", QUIET), (text, ALARM if record.problem else ""))


def _crystals(view: View, rows: int) -> list[Text]:
    crystals = view.shots.crystals if view.shots is not None else ()
    header = f" {'CRYSTALS':<10}{'a':>7}{'b':>7}{'c':>7} Å{'α':>6}{'β':>6}{'γ':>6} °{'spots':>10}{'rmsd':>8}{'d':>8}"
    lines = [_line((header, f"bold {QUIET}"))]
    if not crystals:
        hits = view.status.totals.counts.get(State.HIT, 0) if view.status is not None else 0
        lines.append(_line((f" No indexed shot yet; hits without a lattice: {count(hits)}", QUIET)))
    newest = list(reversed(crystals[-max(rows - 1, 1) :]))
    lines += [_line((_crystal(crystal), QUIET if view.stale else "")) for crystal in newest]
    return (lines + [Text()] * rows)[: max(rows, 2)]


def _crystal(crystal: CrystalSeen) -> str:
    lengths = "".join(f"{length:>7.2f}" for length in crystal.cell[:3])
    angles = "".join(f"{angle:>6.1f}" for angle in crystal.cell[3:])
    spots = f"{crystal.n_indexed}/{crystal.n_peaks}"
    return (
        f" {count(crystal.number):<10}{lengths}  {angles}  {spots:>10}{said(crystal.rmsd_px, 'px', 2):>8}"
        f"{said(crystal.resolution, 'Å', 2):>8}"
    )


def _groups(view: View, rows: int) -> list[Text]:
    """Return the groups of shots as a table or, where there is no room for it, in a line."""
    groups = view.status.groups if view.status is not None else ()
    if not groups or rows < 1:
        return []
    style = QUIET if view.stale else ""
    title, *lines = table_of_hit_rates(groups)
    if rows <= len(lines):
        return [_line((" GROUPS    ", f"bold {QUIET}"), (f"hits {hit_rates_in_words(groups)}", style))]
    return [_line((f" {title.replace('groups', 'GROUPS')}", f"bold {QUIET}"))] + [
        _line((f" {text}", style)) for text in lines
    ]


def _merge(view: View, rows: int) -> list[Text]:
    """Return how good the merged data are: in two lines, and by group and by shell where there is room for it."""
    merging = view.merging
    if merging is None or not merging.n_crystals:
        return []
    style = QUIET if view.stale else ""
    forecast = forecast_in_words(merging.forecast, view.age or 0.0)
    lines = [
        _line((" MERGED    ", f"bold {QUIET}"), (quality_in_words(merging), style)),
        _line((f" {'':<10}", QUIET), (forecast or "nothing is aimed at in [merge]", style)),
    ]
    groups, shells = table_of_groups(merging, view.age or 0.0), table_of_shells(merging)
    if groups and (difference := difference_in_words(merging.difference)):
        groups.append(difference)
    if rows >= len(lines) + len(groups):
        lines += [_line((f" {text}", QUIET if number == 0 else style)) for number, text in enumerate(groups)]
    elif merging.slowest is not None:
        slowest = forecast_briefly(merging.slowest.forecast, view.age or 0.0)
        lines[1].append(f" · {plain(merging.slowest.name, 16)} {slowest}", style)
    if rows >= len(lines) + len(shells):
        lines += [_line((text, QUIET if number == 0 else style)) for number, text in enumerate(shells)]
    return lines


def _workers(status: Status, rows: int) -> list[Text]:
    """Return a table of the workers where there is room for it; their number is in the flow anyway."""
    if rows < 3 or not status.workers:
        return []
    lines = [
        _line((f" {'WORKERS':<24}{'pid':>8}{'state':>10}{'frames/s':>10}{'busy':>8}{'restarts':>10}", f"bold {QUIET}"))
    ]
    for worker in status.workers[: rows - 1]:
        busy = UNKNOWN if worker.busy is None else said(100 * worker.busy, "%", 0)
        pid = UNKNOWN if worker.pid is None else str(worker.pid)
        lines.append(
            _line(
                f" {plain(worker.name, 23):<24}{pid:>8}",
                (f"{plain(worker.state, 9):>10}", "" if worker.state == "ready" else ALARM),
                f"{said(worker.frames_per_s, ''):>10}{busy:>8}{worker.restarts:>10}",
            )
        )
    return lines


def _warnings(view: View, rows: int) -> list[Text]:
    """Return what a person should know, what was last first."""
    found: list[tuple[str, int]] = []
    if view.status is not None:
        record = view.status.record
        if record is not None and record.problem:
            found.append((record.problem, 1))
        found += [(n.text, n.count) for n in sorted(view.status.notices, key=lambda n: -(n.last or 0.0))]
    found += view.problems
    lines = [_line((f" ! {plain(text)}", ALARM), (f"  × {count(n)}" if n > 1 else "", QUIET)) for text, n in found]
    if len(lines) > rows:
        return [*lines[: rows - 1], _line((f" ! … and {len(lines) - rows + 1} more", ALARM))]
    return lines


def _places(status: Status) -> Text:
    places = [f"{plain(dump.name)}: {count(dump.images)} in {plain(dump.directory, 60)}" for dump in status.dumps]
    if status.record is not None:
        places.append(plain(status.record.path, 60))
    return _line((" " + " · ".join([*places, "Ctrl-C leaves"]), QUIET))
