"""A screen that nobody sees: Xvfb, and what is on it."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SIZE = 1280, 800


class Screen:
    """A running X server; its pixels are in a file."""

    def __init__(self, number: int, folder: Path) -> None:
        self.display = f":{number}"
        self._file = folder / "Xvfb_screen0"

    def pixels(self) -> NDArray[np.uint32]:
        """What is to be seen: ``(height, width)``, red, green and blue in the lower three bytes."""
        raw = self._file.read_bytes()
        header = int.from_bytes(raw[:4], "big")  # of the X window dump; a table of colours follows it
        n_colours = int.from_bytes(raw[76:80], "big")
        start = header + 12 * n_colours
        width, height = SIZE
        pixels = np.frombuffer(raw, np.dtype("<u4"), width * height, start).reshape(height, width)
        return np.bitwise_and(pixels, np.uint32(0xFFFFFF), dtype=np.uint32)


@contextmanager
def screen(folder: Path) -> Iterator[Screen]:
    """Start an X server with an empty screen of `SIZE`; its files go into `folder`."""
    program = shutil.which("Xvfb")
    assert program is not None, "Xvfb is missing: sudo apt-get install xvfb"
    read, write = os.pipe()
    width, height = SIZE
    with subprocess.Popen(
        [
            program, "-displayfd", str(write), "-screen", "0", f"{width}x{height}x24", "-fbdir", str(folder),
            "-nolisten", "tcp",
        ],
        pass_fds=[write], stderr=subprocess.DEVNULL,
    ) as server:  # fmt: skip
        try:
            os.close(write)
            with os.fdopen(read) as told:
                number = int(told.readline())
            yield Screen(number, folder)
        finally:
            server.terminate()
