"""`braggwatch simulate`: a detector that is none."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from braggwatch.processing.simulation.demo import demo_simulator
from braggwatch.processing.simulation.pool import StillPool, prepare_pool
from braggwatch.streamer.cli.console import messages, say
from braggwatch.streamer.daq_simulator.laser import laser_pattern
from braggwatch.streamer.daq_simulator.report import SimulatorReport
from braggwatch.streamer.daq_simulator.settings import FaultSettings, SimulatorSettings
from braggwatch.streamer.daq_simulator.simulator import Simulator
from braggwatch.streamer.daq_simulator.stored_frames import StoredFrames, from_files, from_pool
from braggwatch.streamer.memory import keep_freed_memory

POOL_IMAGES = 24
_FAULTS = "Misbehaviour"


def _checked_laser(pattern: str | None) -> str | None:
    try:
        if pattern is not None:
            laser_pattern(pattern)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    return pattern


def simulate(
    files: Annotated[
        list[str],
        typer.Argument(help="Image files to send (HDF5, CXI, CBF …; globs); simulated lysozyme stills if left out."),
    ] = [],  # noqa: B006 (typer's way; it is never changed)
    address: Annotated[
        str, typer.Option(help="ZeroMQ address to send from: what `process` gets as its source address.")
    ] = "tcp://127.0.0.1:31001",
    protocol: Annotated[
        Literal["dectris-v2", "dectris-v1"], typer.Option(help="What to speak: Stream V2 (CBOR) or V1 (JSON).")
    ] = "dectris-v2",
    frames: Annotated[
        int | None, typer.Option(min=1, help="Frames a series; 1000, or as many as the files hold.")
    ] = None,
    series: Annotated[int, typer.Option(min=1, help="Number of series.")] = 1,
    rate: Annotated[
        float | None, typer.Option(min=0.001, help="Frames a second; as fast as they are taken if left out.")
    ] = None,
    pool: Annotated[
        Path | None, typer.Option(help="File of simulated stills with their truth; made if it does not exist.")
    ] = None,
    hits: Annotated[
        float, typer.Option(min=0, max=1, help="Fraction of stills that are hits, where a pool is made.")
    ] = 0.5,
    laser: Annotated[
        str | None,
        typer.Option(
            help="Send the per-shot value laser_1 along, 1 or 0 in a pattern such as '1 on, 1 off'.",
            callback=_checked_laser,
            show_default=False,
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Where to write, as JSON, what was truly sent.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed simulates, and misbehaves, in the same way.")] = 0,
    skip: Annotated[
        float, typer.Option(min=0, max=1, help="Fraction of frames never sent.", rich_help_panel=_FAULTS)
    ] = 0,
    truncate: Annotated[
        float, typer.Option(min=0, max=1, help="Fraction of frames cut off in their pixels.", rich_help_panel=_FAULTS)
    ] = 0,
    duplicate: Annotated[
        float, typer.Option(min=0, max=1, help="Fraction of frames sent twice.", rich_help_panel=_FAULTS)
    ] = 0,
    garbage: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="Fraction of frames followed by a message of random bytes.", rich_help_panel=_FAULTS
        ),
    ] = 0,
    die_after: Annotated[
        int | None,
        typer.Option(help="Each series breaks off after so many frames, without an end.", rich_help_panel=_FAULTS),
    ] = None,
    restart_after: Annotated[
        int | None,
        typer.Option(help="The first series breaks off and begins again, same number.", rich_help_panel=_FAULTS),
    ] = None,
) -> None:
    """Send simulated stills, or stored images, as a DECTRIS detector does, and misbehave on request."""
    stored = from_files(files) if files else from_pool(open_pool(pool, hits, seed))
    settings = SimulatorSettings(
        protocol=protocol,
        address=address,
        n_frames=frames or (len(stored) if files else 1000),
        n_series=series,
        rate=rate,
        laser=laser,
        faults=FaultSettings(
            seed=seed, skip=skip, truncate=truncate, duplicate=duplicate, garbage=garbage, die_after=die_after,
            restart_after=restart_after,
        ),
    )  # fmt: skip
    send(settings, stored, report)


def send(settings: SimulatorSettings, stored: StoredFrames, report: Path | None) -> None:
    """Send everything and say what was sent, also after Ctrl-C."""
    keep_freed_memory()
    with Simulator(settings, stored.frames, stored.series, order=stored.order) as simulator:
        say(f"Sending {settings.n_series} × {settings.n_frames} frames from {simulator.address} ({settings.protocol})")
        try:
            simulator.run()
        except KeyboardInterrupt:
            simulator.stop()
        finally:
            if report is not None:
                simulator.report.write(report)
        say(_summary(simulator.report))


def open_pool(path: Path | None, hit_fraction: float, seed: int, n_images: int = POOL_IMAGES) -> StillPool:
    """Load a pool of simulated stills, or make it, and save it where a path is given."""
    if path is not None and path.exists():
        return StillPool.load(path)
    with messages.status(f"Simulating {n_images} stills of 4 Mpx …"):
        pool = prepare_pool(demo_simulator(), n_images, hit_fraction, seed=seed)
    if path is not None:
        pool.save(path)
    return pool


def _summary(report: SimulatorReport) -> str:
    reached = sum(series.reached for series in report.series)
    whole = sum(series.whole for series in report.series)
    return f"Sent {whole} whole frames of {reached} in {len(report.series)} series."
