"""What a person sees in the terminal, drawn for real and read back as text."""

import io
import math
import threading
import time
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from rich.cells import cell_len
from rich.console import Console

from braggwatch.processing.data_quality import Forecast, Shell, Target
from braggwatch.streamer.feed import Feed
from braggwatch.streamer.feed_messages import (
    CrystalSeen,
    Dump,
    Finished,
    Group,
    LastShots,
    Latency,
    Ledger,
    Notice,
    Queue,
    Rates,
    RecordState,
    Run,
    Status,
    Throughput,
    Worker,
)
from braggwatch.streamer.merge_messages import Merging
from braggwatch.streamer.merge_wording import forecast_in_words
from braggwatch.streamer.messages import State
from braggwatch.streamer.statistics import wilson
from braggwatch.streamer.terminal import line, print_summary, save_picture, summary, watch_feed
from braggwatch.streamer.terminal_screen import View, screen
from braggwatch.streamer.wording import count, data_rate, duration, per_second, percent, plain, said

COUNTS = {
    State.INDEXED: 352, State.HIT: 144, State.BLANK: 3494, State.FAILED: 2, State.MISSED: 12, State.REFUSED: 1,
    State.DROPPED: 5, State.QUARANTINED: 3,
}  # fmt: skip
LEDGER = Ledger(counts=COUNTS, waiting=12, working=8, total=4033, first=0, last=4032)
RATES = Rates(
    hit=wilson(496, 3990), indexed_of_hits=wilson(352, 496), multi_lattice=wilson(30, 352), indexed=wilson(352, 3990),
    dropped=wilson(5, 4013), missed=wilson(12, 4013),
)  # fmt: skip
STATUS = Status(
    word="LIVE", since=1.7e9, time=1.7e9, experiment="mx2345", source="tcp://127.0.0.1:31001",
    run=Run(
        key="k", number=42, name="lyso_04", detector="EIGER2 16M", shape=(4362, 4148), photon_energy=12400.0,
        distance=0.15, n_frames=5000, ledger=LEDGER,
    ),
    totals=LEDGER, runs=1, window=30, rates=RATES, throughput=Throughput(133.0, 1.21e9, 132.8),
    latency=Latency(3990, 0.018, 0.041, 0.0805), frame_age=0.01, queue=Queue(12, 30, 200),
    workers=tuple(Worker(name=f"worker-{i}", pid=4711 + i, state="ready", frames_per_s=66.4, busy=0.7) for i in (0, 1)),
    dumps=(Dump(name="indexed", directory="dumps/indexed", images=352),),
    record=RecordState(path="mx2345.sqlite", frames=4000, pending=13),
)  # fmt: skip
CRYSTALS = tuple(
    CrystalSeen(
        time=1.7e9, series="k", number=1000 + i, cell=(79.21, 79.2, 38.04, 90.0, 90.02, 89.97), n_indexed=112,
        n_peaks=130, rmsd_px=0.42, resolution=2.13,
    )
    for i in range(30)
)  # fmt: skip
VIEW = View("tcp://127.0.0.1:31400", STATUS, LastShots(CRYSTALS), None, 0.1)
SHELLS = tuple(
    Shell(d_max, d_min, 1000, 990, 20_000, 950, 0.99, 20.2, snr, cc, 0.01, cc_star, 0.2)
    for d_max, d_min, snr, cc, cc_star in (
        (math.inf, 3.0, 15.2, 0.99, 0.997), (3.0, 2.4, 5.1, 0.9, 0.973), (2.4, 2.1, 1.5, 0.43, 0.775),
    )
)  # fmt: skip
MERGING = Merging(
    time=1.7e9, since=1.7e9, cell=(79.2, 79.2, 38.0, 90.0, 90.0, 90.0), space_group="P 43 21 2", n_crystals=1204,
    n_outliers=12, n_foreign=3, shells=SHELLS, overall=replace(SHELLS[0], d_min=2.1, cc_half=0.91, completeness=0.971),
    resolution=2.31, target=Target(2.1), outer=SHELLS[-1],
    whole=replace(SHELLS[0], d_min=2.1, cc_half=0.91, completeness=0.971),
    forecast=Forecast("ahead", 720.0, 480.0, 1140.0, 2400.0, "cc_half", 0.999),
)  # fmt: skip
MERGED = replace(VIEW, merging=MERGING)
GROUPS = (
    Group(name="dark", frames=1990, hits=200, indexed=150, hit=wilson(200, 1990), indexed_of_hits=wilson(150, 200)),
    Group(name="pumped", frames=2000, hits=300, indexed=180, hit=wilson(300, 2000), indexed_of_hits=wilson(180, 300)),
)
GROUPED = replace(VIEW, status=msgspec.structs.replace(STATUS, groups=GROUPS))
WAITING = View(
    "tcp://127.0.0.1:31400", Status(word="WAITING FOR DETECTOR", since=1.7e9, time=1.7e9, source="tcp://det:31001")
)


def drawn(view: View, width: int = 80, height: int = 24) -> str:
    console = Console(file=io.StringIO(), width=width, height=height, record=True, force_terminal=True)
    console.print(screen(view, height))
    return console.export_text()


def changed(**values: object) -> View:
    return replace(VIEW, status=msgspec.structs.replace(STATUS, **values))


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (200, 60)])
@pytest.mark.parametrize(
    "view", [VIEW, MERGED, GROUPED, replace(GROUPED, merging=MERGING), WAITING, View("tcp://127.0.0.1:31400")]
)
def test_it_fits_the_terminal(view: View, size: tuple[int, int]) -> None:
    lines = drawn(view, *size).splitlines()
    assert len(lines) <= size[1]
    assert max(cell_len(text) for text in lines) <= size[0]


def test_everything_is_there_at_80_x_24_and_nothing_is_cut_off() -> None:
    text = drawn(VIEW).replace("\u2009", "")
    assert "…" not in text
    for part in (
        "● LIVE", "run 42", "lyso_04", "EIGER2 16M · 4148 × 4362 · 12.40 keV · 150.0 mm · 4033 of 5000 frames",
        "±1.0  496/3990", "±4.0  352/496", "adds up to 4033 frames ✓", "133.0/s   1.21 GB/s",
        "18 ms  99 % 41 ms  max 80 ms", "12 frames  15 % full", "2 of 2 ready", "79.21  79.20  38.04", "112/130",
        "0.42 px", "2.13 Å", "352 in dumps/indexed", "mx2345.sqlite", "4000 frames, 13 to write",
    ):  # fmt: skip
        assert part in text, part
    for state, n in COUNTS.items():
        label = "not indexed" if state is State.HIT else state.value
        assert f"{label:<11}{count(n):>7}" in drawn(VIEW), state


def test_the_newest_crystal_is_on_top() -> None:
    text = drawn(VIEW).replace("\u2009", "")
    assert "1029" in text
    assert text.index("1029") < text.index("1028")
    assert "1000 " not in text


def test_merged_data_are_said_in_two_lines_and_by_shell_where_there_is_room() -> None:
    small = drawn(MERGED).replace("\u2009", "")
    for text in ("MERGED", "1204 crystals", "97.1 % complete to 2.10 Å", "CC1/2 0.91 (outer 0.43)"):
        assert text in small
    assert "target in 12 min (8 min to 19 min)" in small
    assert "R_split" not in small
    large = drawn(MERGED, 100, 50)
    assert "R_split" in large
    assert "∞ – 3.00" in large
    assert "0.775" in large


@pytest.mark.parametrize(
    ("forecast", "words"),
    [
        (Forecast("reached"), "target reached"),
        (Forecast("unknown"), "time to the target not known yet"),
        (Forecast("not at this rate", held_up_by="cc_half"), "target not reached at this rate: CC1/2 holds it up"),
        (Forecast("ahead", 700.0, 100.0, None), "target in 10 min (0 s or never)"),
        (None, ""),
    ],
)
def test_the_forecast_counts_from_now(forecast: Forecast | None, words: str) -> None:
    assert forecast_in_words(forecast, age=100.0) == words


def test_groups_have_a_table_where_there_is_room_and_otherwise_a_line() -> None:
    small = drawn(GROUPED).replace("\u2009", "")
    for text in ("GROUPS", "hit rate", "dark", "1990", "10.1 % ±1.3", "75.0 % ±6.0"):
        assert text in small
    line = drawn(changed(groups=GROUPS * 8), 200, 24)
    assert "GROUPS    hits dark 10.1 % ±1.3 · pumped 15.0 % ±1.6 ·" in line
    assert "GROUPS" not in drawn(VIEW)


def test_the_summary_has_the_groups() -> None:
    text = "\n".join(summary(msgspec.structs.replace(FINISHED, groups=GROUPS))).replace("\u2009", "")
    rows = [line.split("  ") for line in text.splitlines()]
    assert ["dark", "1990", "10.1 % ±1.3", "75.0 % ±6.0"] in [[t.strip() for t in row if t.strip()] for row in rows]
    assert "groups" not in "\n".join(summary(FINISHED))


def test_a_large_terminal_shows_the_workers() -> None:
    assert "worker-1" in drawn(VIEW, 110, 36)


def test_what_is_unknown_is_a_dash_and_not_zero() -> None:
    text = drawn(WAITING)
    assert "Waiting for frames on tcp://det:31001 since" in text
    assert "99 % –   max –".replace("   ", "  ") in text
    assert "0.0" not in text


def test_before_a_processor_is_heard_it_says_where_it_listens() -> None:
    text = drawn(View("tcp://127.0.0.1:31400"))
    assert "WAITING FOR PROCESSOR" in text
    assert "Waiting for a processor on tcp://127.0.0.1:31400" in text


def test_a_processor_that_is_silent_is_said_to_be_gone_with_the_time() -> None:
    assert "PROCESSOR GONE 12 s" in drawn(replace(VIEW, age=12.0, gone=True))


def test_values_that_are_old_show_their_age() -> None:
    assert "last frame" not in drawn(VIEW)
    assert "last frame 9.2 s ago" in drawn(changed(frame_age=9.1))


def test_a_ledger_that_does_not_add_up_says_so() -> None:
    wrong = msgspec.structs.replace(LEDGER, total=4040)
    text = drawn(changed(totals=wrong)).replace("\u2009", "")
    assert "adds up to 4033, not to 4040" in text


def test_what_comes_from_elsewhere_cannot_steer_the_terminal() -> None:
    evil = "\x1b[2J\x1b]0;owned\x07 [bold red]x[/bold red] \u202egnp.exe\n"
    run = Run(key="k", number=42, name=evil, detector=evil)
    view = changed(
        run=run, experiment=evil, notices=(Notice(kind="k", text=evil),), dumps=(Dump(name=evil, directory=evil),)
    )
    console = Console(file=io.StringIO(), width=200, height=30, force_terminal=True, color_system=None)
    console.print(screen(view, 30))
    assert isinstance(console.file, io.StringIO)
    out = console.file.getvalue()
    assert "\x1b[2J" not in out
    assert "\x1b]" not in out
    assert "\x07" not in out
    assert "\u202e" not in out
    assert "[bold red]x[/bold red]" in out


def test_more_warnings_than_rows_are_counted() -> None:
    notices = tuple(Notice(kind=str(i), text=f"warning {i}", last=float(i)) for i in range(9))
    text = drawn(changed(notices=notices), height=30)
    assert "warning 8" in text
    assert "more" in text
    assert len(text.splitlines()) <= 30


def test_a_record_that_cannot_be_written_is_said() -> None:
    record = RecordState(path="r", problem="the record r cannot be written: database or disk is full")
    assert "! the record r cannot be written: database or disk is full" in drawn(changed(record=record))


FINISHED = Finished(
    time=1.7e9, reason="the series ended", seconds=30.0, totals=msgspec.structs.replace(LEDGER, waiting=0, working=0,
    total=4013), runs=1, crystals=385, rates=RATES, latency=Latency(3992, 0.018, 0.041, 0.0805),
    dumps=STATUS.dumps, record=STATUS.record,
)  # fmt: skip


def test_the_summary_adds_up_before_the_eyes_of_the_reader() -> None:
    text = "\n".join(summary(FINISHED, sent=4013)).replace("\u2009", "'")
    assert text == (
        "Finished: the series ended\n"
        "  sent by detector      4'013\n"
        "  received              4'001\n"
        "  ───────────────────────────\n"
        "  missed                   12\n"
        "  refused                   1\n"
        "  dropped                   5\n"
        "  blank                 3'494\n"
        "  hit, not indexed        144\n"
        "  indexed                 352\n"
        "  failed                    2\n"
        "  quarantined               3\n"
        "  ───────────────────────────\n"
        "  sum                   4'013  = 4'013 frames of the series ✓\n"
        "\n"
        "  hit rate           12.4 % ±1.0   (496 of 3'990)\n"
        "  indexed of hits    71.0 % ±4.0   (352 of 496)\n"
        "  multi-lattice      8.5 % ±2.9   (385 crystals in all)\n"
        "  latency            median 18 ms, 99 % within 41 ms, longest 80 ms\n"
        "  throughput         133.1/s over 30 s\n"
        "\n"
        "  images of indexed: dumps/indexed (352)\n"
        "  record:            mx2345.sqlite (4'000 frames)"
    )


def test_frames_left_out_unseen_are_a_line_of_the_ledger_where_there_are_any() -> None:
    ledger = Ledger(counts={State.SKIPPED: 700, State.BLANK: 290, State.HIT: 10}, total=1000)
    text = "\n".join(summary(Finished(time=1.7e9, totals=ledger))).replace("\u2009", "")
    assert "  skipped                 700\n" in text and "1000  = 1000 frames of the series ✓" in text
    shown = drawn(changed(totals=ledger))
    assert " skipped        700" in shown and len(shown.splitlines()) <= 24
    assert "skipped" not in drawn(VIEW)


def test_the_summary_has_the_merge_by_shell() -> None:
    text = "\n".join(summary(Finished(time=1.7e9, totals=LEDGER, merging=MERGING))).replace("\u2009", "")
    assert "merged             1204 crystals · 97.1 % complete to 2.10 Å · CC1/2 0.91 (outer 0.43)" in text
    assert "data reach         2.31 Å (CC1/2 above 0.5)" in text
    assert "target             CC1/2 0.5 in the outermost shell, 99 % complete to 2.10 Å: target in 12 min" in text
    assert "not merged         12 unlike the rest, 3 of another cell" in text
    rows = [line.split() for line in text.splitlines()]
    assert ["2.40", "–", "2.10", "990", "99.0", "20.2", "1.5", "0.430", "0.775", "0.200"] in rows
    assert ["all", "to", "2.10", "990", "97.1", "20.2", "15.2", "0.910", "0.997", "0.200"] in rows


def test_the_summary_says_when_frames_are_unaccounted_for_or_never_came() -> None:
    wrong = msgspec.structs.replace(FINISHED, totals=msgspec.structs.replace(FINISHED.totals, total=4010))
    text = "\n".join(summary(wrong, sent=4020)).replace("\u2009", "")
    assert "≠ 4010 frames of the series: 3 unaccounted for!" in text
    assert "! the detector sent 4020 frames, the ledger knows of 4010" in text


def test_the_summary_of_nothing_has_dashes() -> None:
    text = "\n".join(summary(Finished(time=1.0)))
    assert "sent by detector" not in text
    assert "median –, 99 % within –, longest –" in text
    assert "hit rate           –" in text


@pytest.mark.parametrize("terminal", [True, False])
def test_it_watches_a_feed_to_its_end(terminal: bool) -> None:
    out = io.StringIO()
    console = Console(file=out, width=80, height=24, force_terminal=terminal, color_system=None)
    heard: list[Finished | None] = []
    with Feed("tcp://127.0.0.1:*") as feed:

        def watch() -> None:
            heard.append(watch_feed(feed.address, until_finished=True, console=console))

        viewer = threading.Thread(target=watch)
        viewer.start()
        end = time.monotonic() + 20
        while "LIVE" not in out.getvalue():
            assert time.monotonic() < end
            feed.publish(STATUS)
            feed.serve()
            time.sleep(0.05)
        feed.publish(FINISHED)
        viewer.join(20)
    assert heard == [FINISHED]
    if not terminal:
        assert "\x1b" not in out.getvalue()
        assert "hits 12.4 % ±1.0 | indexed 71.0 % ±4.0 of hits" in out.getvalue()
    print_summary(FINISHED, console=console)
    assert "frames of the series ✓" in out.getvalue()


def test_a_line_says_how_things_are() -> None:
    text = line(VIEW).replace("\u2009", "")
    assert text[9:] == (
        "LIVE run 42 | 4033 frames, 133.0/s | hits 12.4 % ±1.0 | indexed 71.0 % ±4.0 of hits | "
        "latency 18 ms, 99 % 41 ms | dropped 5, missed 12, refused 1"
    )
    assert line(View("tcp://127.0.0.1:1")) == "WAITING FOR PROCESSOR on tcp://127.0.0.1:1"


def test_the_picture_is_a_drawing_with_the_figures_in_it(tmp_path: Path) -> None:
    save_picture(VIEW, tmp_path / "view.svg")
    text = (tmp_path / "view.svg").read_text()
    assert text.startswith("<svg")
    assert "indexed" in text


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (None, "–"), (float("nan"), "–"), (0.0003, "0.3 ms"), (0.041, "41 ms"), (0.9996, "1.0 s"), (3.14, "3.1 s"),
        (12.0, "12 s"), (119.0, "119 s"), (600.0, "10 min"), (7200.0, "2.0 h"), (259_200.0, "3.0 d"),
    ],
)  # fmt: skip
def test_spans_of_time_have_the_unit_that_suits_them(seconds: float | None, expected: str) -> None:
    assert duration(seconds) == expected


def test_numbers_are_said_with_units_and_thin_spaces() -> None:
    assert count(181204) == "181\u2009204"
    assert count(None) == "–"
    assert said(2.134, "Å", 2) == "2.13 Å"
    assert said(float("inf"), "Å") == "–"
    assert data_rate(1.21e9) == "1.21 GB/s"
    assert data_rate(None) == "–"
    assert per_second(None) == "–"
    assert percent(wilson(0, 0)) == "–"
    assert plain("x" * 300, 10) == "x" * 9 + "…"
