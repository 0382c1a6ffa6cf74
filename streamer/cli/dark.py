"""`braggwatch dark`: mean, noise and masks from dark frames."""

import shlex
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from pydantic import TypeAdapter
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import braggwatch
from braggwatch.processing.average_files import write_average
from braggwatch.processing.bad_pixels import bad_pixels
from braggwatch.processing.detector import Detector, Panel
from braggwatch.streamer.cli.console import messages, output, say
from braggwatch.streamer.cli.settings_file import source_table
from braggwatch.streamer.dark import TakenDark, merged_averages, take_dark
from braggwatch.streamer.dark_report import dark_report
from braggwatch.streamer.sources.source import SourceSettings, open_source


def dark(
    source: Annotated[
        list[str],
        typer.Argument(
            help="Where dark frames come from: the address of a stream (tcp://…), image files, or averages that the "
            "stage average wrote, which are merged."
        ),
    ],
    to: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")] = Path("dark.h5"),
    frames: Annotated[
        int | None,
        typer.Option("--frames", "-n", min=2, help="End after so many frames; at the end of the series if left out."),
    ] = None,
    n_sigma: Annotated[
        float,
        typer.Option(
            min=1, help="Pixels whose mean or noise is this many spreads from that of their neighbours are bad."
        ),
    ] = 8.0,
    geometry: Annotated[
        Path | None,
        typer.Option(help="CrystFEL geometry file: pixels are then compared with those of their own panel only."),
    ] = None,
    gain_stages: Annotated[
        bool,
        typer.Option(
            "--gain-stages",
            help="The frames are a JUNGFRAU's raw ones, taken in all three gain stages: their pedestals are written "
            "beside the mean and noise of the first stage.",
        ),
    ] = False,
    kind: Annotated[
        str, typer.Option("--type", help="What the stream speaks: dectris-v2 or dectris-v1.")
    ] = "dectris-v2",
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there already.")] = False,
) -> None:
    """Average dark frames: their mean, their noise, and masks of dead, hot and noisy pixels.

    The file serves as `dark` and as `noise` under [detector], its dataset /masks/bad as `mask`. Beside it, a page with
    pictures (.html) shows what was found. Ctrl-C ends it early, and what is there is written.
    """
    if to.exists() and not force:
        raise ValueError(f"{to} is there already; --force replaces it")
    averages = merged_averages([Path(name) for name in source if "://" not in name])
    if averages is not None and gain_stages:
        raise ValueError("--gain-stages needs frames: averages of raw pixels have lost their stages")
    taken = averages or _take(source, kind, frames, gain_stages)
    mean, noise = taken.moments.mean, taken.moments.stddev
    if taken.moments.n_images < 2:
        raise ValueError("one frame has no noise: expected two frames or more")
    panels = None if geometry is None else _panels(geometry, mean.shape)
    masks = bad_pixels(mean, noise, n_sigma=n_sigma, panels=panels)
    bad = np.logical_or.reduce(list(masks.values()))
    command = shlex.join(["braggwatch", *sys.argv[1:]])
    provenance = {"version": braggwatch.__version__, "command": command, "series": taken.series}
    write_average(to, taken.moments, provenance, {**masks, "bad": bad}, taken.pedestals)
    facts = _facts(taken, noise, masks)
    page = to.with_suffix(".html")
    page.write_text(dark_report(to.name, facts, mean, noise, masks), encoding="utf-8")
    for name, text in facts.items():
        output.print(f"{name:<16} {text}", markup=False)
    first = "stage_pedestals" if gain_stages else "dark"
    say(f'Wrote {to} and {page}. Under [detector]: {first} = "{to}", noise = "{to}", mask = "{to}:/masks/bad".')


def _take(source: list[str], kind: str, frames: int | None, gain_stages: bool) -> TakenDark:
    table = source_table(source)
    is_stream = table is not None and table["type"] != "files"
    if table is not None and is_stream:
        table["type"] = kind
    settings = TypeAdapter(SourceSettings).validate_python(table)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with (
        open_source(settings) as opened,
        Progress(*columns, console=messages, transient=True, disable=not messages.is_terminal) as bar,
        _stopped_by_signals() as stopped,
    ):
        task = bar.add_task("dark frames", total=frames)
        return take_dark(
            opened,
            n_frames=frames,
            one_series=is_stream,
            gain_stages=gain_stages,
            progress=lambda n: bar.update(task, completed=n),
            stopped=stopped.is_set,
        )


@contextmanager
def _stopped_by_signals() -> Iterator[threading.Event]:
    """Let Ctrl-C and SIGTERM set an event; a second Ctrl-C interrupts at once."""
    stopped = threading.Event()

    def stop(number: int, stack: FrameType | None) -> None:
        stopped.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _panels(geometry: Path, shape: tuple[int, ...]) -> tuple[Panel, ...]:
    detector = Detector.from_crystfel(geometry, distance=1.0, photon_energy=1e4, shape=shape)
    if detector.shape != shape:
        raise ValueError(f"{geometry}: its panels make an image of {detector.shape}, the frames are of {shape}")
    return detector.panels


def _facts(taken: TakenDark, noise: NDArray[np.float32], masks: Mapping[str, NDArray[np.bool_]]) -> dict[str, str]:
    known = noise[np.isfinite(noise)]
    facts = {
        "frames": str(taken.moments.n_images),
        "image": f"{noise.shape[1]} x {noise.shape[0]} pixels (fs x ss)",
        "mean": f"{np.nanmedian(taken.moments.mean):.2f} ADU (median)",
        "noise": f"{np.median(known):.2f} ADU (median)" if known.size else "–",
    }
    for name, mask in masks.items():
        facts[f"{name} pixels"] = f"{int(mask.sum())} ({100 * mask.mean():.2g} %)"
    if taken.n_refused:
        facts["left out"] = f"{taken.n_refused} frames; the last: {taken.last_refusal}"
    return facts
