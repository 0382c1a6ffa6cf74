"""`braggwatch gui`: the window, a process of its own."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from braggwatch.streamer.feed import DEFAULT_ADDRESS
from braggwatch.streamer.replay import RecordFeed

QT_PACKAGES = (
    "libgl1 libglib2.0-0 libegl1 libdbus-1-3 libfontconfig1 fonts-dejavu-core libx11-xcb1 libxkbcommon-x11-0 "
    "libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 libxcb-shape0 libxcb-xinerama0 "
    "libxcb-xkb1"
)
"""What Qt wants of Debian and Ubuntu; tools/prepare.sh installs the same."""
_PROBE = "from PyQt5.QtWidgets import QApplication; QApplication(['braggwatch'])"


def gui(
    address: Annotated[str, typer.Argument(help="The processor's feed, as it says when it starts.")] = DEFAULT_ADDRESS,
    record: Annotated[
        Path | None,
        typer.Option(help="Show a finished session instead, out of its record and its dumps.", show_default=False),
    ] = None,
) -> None:
    """Open the window on a running processor: rates, images, cells, tuning.

    Any number may look, from any machine; none slows the processor down. Needs a display; `braggwatch watch` does not.
    """
    problem = window_problem()
    if problem:
        raise OSError(f"{problem}; `braggwatch watch` shows the numbers in a terminal")
    if record is None:
        raise typer.Exit(open_window(address).wait())
    with RecordFeed(record) as feed:
        raise typer.Exit(open_window(feed.address).wait())


def open_window(address: str) -> "subprocess.Popen[bytes]":
    """Start the window on the feed at an address."""
    return subprocess.Popen([sys.executable, "-m", "braggwatch.gui", address])


def has_display() -> bool:
    """Return whether this session has a screen."""
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def window_problem() -> str:
    """Return why no window can be opened here, in a sentence without its stop; empty where one can."""
    if not has_display() and not os.environ.get("QT_QPA_PLATFORM"):
        return "there is no display here (neither DISPLAY nor WAYLAND_DISPLAY is set)"
    # In a process of its own, because Qt ends the process where it lacks something.
    probe = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, text=True, timeout=60, check=False)
    if probe.returncode == 0:
        return ""
    if "could not connect to display" in probe.stderr:
        return f"the display {os.environ.get('DISPLAY') or os.environ.get('WAYLAND_DISPLAY')} cannot be reached"
    said = [line for line in probe.stderr.splitlines() if line.startswith(("ImportError", "qt."))]
    return (
        f"Qt cannot open a window here ({said[0] if said else f'exit code {probe.returncode}'}); most often libraries "
        f"of the system are missing: sudo apt-get install {QT_PACKAGES}"
    )
