"""Configuration files of the older tools, written as a test wants them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from braggwatch.processing.chain_settings import SettingsError
from braggwatch.streamer.pyana.translation import Translation, translate
from braggwatch.streamer.settings import Settings

ADDRESS = {"address": "CxiDs1-0|Cspad-0"}
PERMISSIVE = {"threshold": "450", "distl_min_peaks": "16", "distl_flags": "permissive"}
SOURCE = {"type": "dectris-v2", "address": "tcp://127.0.0.1:31001"}
GEOMETRY = "detector.geometry=cspad.geom"
PHIL = "target_cell = 79.2 79.2 38 90 90 90\nknown_setting = 9\n"

Options = Mapping[str, str]


def cfg(modules: str = "my.mod_hitfind:hitfind", **sections: Options) -> str:
    """Return a file with sections by name, in which ``__`` stands for the colon, and ``my.`` is left out."""
    lines = ["[pyana]", f"modules = {modules}"]
    for name, options in sections.items():
        lines += ["", f"[my.{name.replace('__', ':')}]", *(f"{key} = {value}" for key, value in options.items())]
    return "\n".join(lines) + "\n"


def hitfind(**options: str) -> str:
    """Return a file of one hit test, with other options added; None leaves one out."""
    return cfg(mod_hitfind__hitfind={**ADDRESS, **PERMISSIVE, **options})


def read(folder: Path, text: str) -> Translation:
    """Write a file and translate it."""
    path = folder / "pyana.cfg"
    path.write_text(text)
    return translate(path)


def settings(folder: Path, text: str, *overrides: str) -> Settings:
    """Write a file and return its settings, the frames from a stream."""
    return read(folder, text).settings(overrides, SOURCE)


def stages(folder: Path, text: str, *overrides: str) -> dict[str, dict[str, Any]]:
    """Return what is set for each stage of the chain, defaults left out, by its name and in order."""
    specs = settings(folder, text, *overrides).pipeline().stage_specs()
    return {
        s.name: s.settings if isinstance(s.settings, dict) else s.settings.model_dump(exclude_unset=True) for s in specs
    }


def notes(folder: Path, text: str) -> str:
    """Return what is said of a file, a line each."""
    return "\n".join(str(note) for note in read(folder, text).notes)


def fault(folder: Path, text: str, *overrides: str) -> str:
    """Return what is said of a file that cannot be used, without the folder."""
    with pytest.raises(SettingsError) as caught:
        settings(folder, text, *overrides)
    return str(caught.value).replace(f"{folder}/", "")


def make_geometry(folder: Path, n_panels: int = 64) -> None:
    """Write a geometry file of panels of 1 x 4 pixels, as `GEOMETRY` names it."""
    panels = [
        f"p{n}/min_fs = 0\np{n}/max_fs = 3\np{n}/min_ss = {n}\np{n}/max_ss = {n}\n"
        f"p{n}/corner_x = 0\np{n}/corner_y = {n}\n"
        for n in range(n_panels)
    ]
    start = "clen = 0.13\nres = 9090.9\nadu_per_photon = 10\ndata = /data\ndim0 = %\ndim1 = ss\ndim2 = fs\n"
    (folder / "cspad.geom").write_text(f"{start}fs = +1.0x\nss = +1.0y\n{''.join(panels)}")


def make_darks(folder: Path, names: str = "avg stddev", shape: tuple[int, int] = (4, 4)) -> None:
    """Write arrays as the script of docs/converting-pickles.md does."""
    for name in names.split():
        np.save(folder / f"{name}.npy", np.ones(shape))
