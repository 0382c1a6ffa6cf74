"""`braggwatch watch`: the terminal view of a running processor."""

import contextlib
from typing import Annotated

import typer

from braggwatch.streamer.feed import DEFAULT_ADDRESS
from braggwatch.streamer.terminal import print_summary, watch_feed


def watch(
    address: Annotated[str, typer.Argument(help="The processor's feed, as it says when it starts.")] = DEFAULT_ADDRESS,
    until_finished: Annotated[
        bool, typer.Option(help="End with the processor instead of waiting for it to come back.")
    ] = False,
) -> None:
    """Watch a running processor: rates, ledger, latency, the last crystals.

    Any number may watch; none slows it down.
    """
    finished = None
    with contextlib.suppress(KeyboardInterrupt):
        finished = watch_feed(address, until_finished=until_finished)
    if finished is not None:
        print_summary(finished)
