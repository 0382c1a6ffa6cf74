"""From dumps to the files that other programs take: CrystFEL streams and geometries, MTZ, DIALS, CXI."""

import contextlib
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from braggwatch.processing.crystfel_geometry_text import geometry_text
from braggwatch.processing.crystfel_stream import StreamWriter
from braggwatch.processing.cxi import CXI, CxiWriter
from braggwatch.processing.dials_files import DialsWriter
from braggwatch.processing.mtz import UnmergedMtz
from braggwatch.streamer.dumps import NOT_GROUPED, Dumps, Progress
from braggwatch.streamer.merge_messages import GroupDifference
from braggwatch.streamer.merged_export import MergedFile, MergeOptions, told_apart, write_merged

Format = Literal["stream", "mtz", "merged", "dials", "cxi", "geom"]
SPLIT = ".split"
"""Ending of the list by which partialator tells the groups of a stream apart."""


@dataclass(frozen=True)
class Exported:
    """What was written."""

    files: tuple[Path, ...]
    n_images: int
    n_crystals: int = 0
    n_reflections: int = 0
    """Reflections in the files."""
    merged: tuple[MergedFile, ...] = ()
    """Where reflections were merged: what is in each of `files`."""
    difference: GroupDifference | None = None
    """Of the two largest groups that were merged."""


def export(
    dumps: Dumps,
    output: Path,
    kind: Format,
    *,
    by_group: bool = False,
    force: bool = False,
    command: str = "",
    merging: MergeOptions | None = None,
    progress: Progress,
) -> Exported:
    """Write `output`; a CXI file gets its geometry beside it, as ``.geom``, and a DIALS ``.expt`` its ``.refl``.

    `by_group`: instead of one merged file one for each group of shots, with its name before the ending; a stream gets
    beside it, as ``.split``, the list by which CrystFEL tells the groups apart. What is there already is only replaced
    with `force`, and only once the new file is whole. Raises ValueError where it is there, where the dumps lack what
    the format needs, and OSError where it cannot be written.
    """
    _check(dumps, kind, by_group)
    files = _files(dumps, output, kind, by_group)
    if len(set(files)) < len(files):
        raise ValueError(f"{output}: {files[1].suffix} is the file beside it; give the first one another ending")
    _refuse_to_overwrite(files, dumps.paths, force)
    merged: list[MergedFile] = []
    difference = None
    with _in_place(files) as parts:
        if kind == "stream":
            done = _stream(dumps, parts[0], command, progress, parts[1] if by_group else None)
        elif kind == "mtz":
            done = _mtz(dumps, parts[0], progress)
        elif kind == "merged":
            names = told_apart(dumps.groups) if by_group else [dumps.group]
            everything = replace(dumps, group="")
            n_images, merged, difference = write_merged(
                everything, dict(zip(names, parts, strict=True)), merging or MergeOptions(), progress
            )
            n_crystals = sum(one.statistics.n_crystals for one in merged)
            done = n_images, n_crystals, sum(one.n_reflections for one in merged)
        elif kind == "dials":
            done = _dials(dumps, parts[0], parts[1], progress)
        elif kind == "cxi":
            done = _cxi(dumps, parts[0], progress)
            parts[1].write_text(geometry_text(dumps.detector, file=CXI, adu_per_photon=dumps.gain), encoding="utf-8")
        else:
            done = dumps.n_images, 0, 0
            parts[0].write_text(dumps.geometry(), encoding="utf-8")
    place = dict(zip(parts, files, strict=True))
    merged = [replace(one, path=place[one.path]) for one in merged]
    return Exported(tuple(one.path for one in merged) or tuple(files), *done, tuple(merged), difference)


def _check(dumps: Dumps, kind: Format, by_group: bool) -> None:
    if by_group and kind not in ("merged", "stream"):
        raise ValueError("--by-group is for merged files and streams; other formats take one group with --group NAME")
    if by_group and dumps.group:
        raise ValueError("--by-group writes all groups, and --group one of them: say one or the other")
    if by_group and not dumps.groups:
        raise ValueError(f"the dumps have no groups: {NOT_GROUPED}")
    if dumps.group and kind == "geom":
        raise ValueError("a geometry is the same for all groups: leave out --group")
    if kind in _MADE_OF_REFLECTIONS and not dumps.has_reflections:
        raise ValueError(
            f"the dumps hold no integrated reflections, which {_MADE_OF_REFLECTIONS[kind]} is made of: put the stage "
            'integrate behind index and before the dump, as in stages = ["hitfind", "index", "integrate", '
            '"dump:indexed"], and process the run again'
        )


def _files(dumps: Dumps, output: Path, kind: Format, by_group: bool) -> list[Path]:
    if kind == "merged" and by_group:
        return [output.with_name(f"{output.stem}-{part}{output.suffix}")
                for part in _words(told_apart(dumps.groups))]  # fmt: skip
    beside = {"cxi": ".geom", "dials": ".refl", "stream": SPLIT if by_group else ""}.get(kind)
    return [output, output.with_suffix(beside)] if beside else [output]


def _words(names: Sequence[str]) -> list[str]:
    """Return the names as parts of file names, no two the same."""
    words: dict[str, str] = {}
    """By what a file system that does not mind case makes of them."""
    tried: Counter[str] = Counter()
    for name in names:
        word = first = re.sub(r"[^\w.+=-]+", "_", name).strip("._-") or "group"
        while word.lower() in words:
            tried[first.lower()] += 1
            word = f"{first}-{tried[first.lower()] + 1}"
        words[word.lower()] = word
    return list(words.values())


_MADE_OF_REFLECTIONS = {
    "stream": "a stream", "mtz": "an MTZ file", "merged": "a merged MTZ file", "dials": "a DIALS reflection table",
}  # fmt: skip


def _refuse_to_overwrite(files: Sequence[Path], dumps: Sequence[Path], force: bool) -> None:
    for file in files:
        if file.absolute() in dumps:
            raise ValueError(f"{file} is one of the dumps: choose another name for the output")
        if file.exists() and not force:
            raise ValueError(f"{file} is there already: choose another name, or say --force to replace it")


@contextlib.contextmanager
def _in_place(files: Sequence[Path]) -> Iterator[list[Path]]:
    """Give a name beside each file, to be written to; they take the files' places if nothing goes wrong."""
    parts = [file.with_name(f".{file.name}.{os.getpid()}.part") for file in files]
    try:
        yield parts
        for part, file in zip(parts, files, strict=True):
            if part.exists():  # a group without a crystal has no file
                part.replace(file)
    finally:
        for part in parts:
            part.unlink(missing_ok=True)


def _stream(dumps: Dumps, path: Path, command: str, progress: Progress, split: Path | None) -> tuple[int, int, int]:
    n_crystals = n_reflections = 0
    words = dict(zip(dumps.groups, _words(list(dumps.groups)), strict=True))
    with ExitStack() as stack:
        stream = stack.enter_context(
            StreamWriter(path, detector=dumps.detector, geometry=dumps.geometry(), cell=dumps.cell, command=command)
        )
        listed = None if split is None else stack.enter_context(split.open("x", encoding="utf-8"))
        for dump, shot in dumps.shots(progress):
            n_reflections += stream.append(
                str(dump.path), shot.entry, wavelength=shot.wavelength, peaks=shot.peaks, crystals=shot.crystals,
                reflections=shot.reflections,
            )  # fmt: skip
            n_crystals += len(shot.crystals)
            if listed is not None and shot.group in words:
                listed.write(f"{dump.path} //{shot.entry} {words[shot.group]}\n")
        return stream.n_chunks, n_crystals, n_reflections


def _mtz(dumps: Dumps, path: Path, progress: Progress) -> tuple[int, int, int]:
    mtz = UnmergedMtz()
    n_images = 0
    for _, shot in dumps.shots(progress):
        n_images += 1
        for crystal, reflections in zip(shot.crystals, shot.reflections, strict=True):
            mtz.add(crystal, reflections, shot.wavelength)
    mtz.write(path)
    return n_images, mtz.n_batches, mtz.n_reflections


def _dials(dumps: Dumps, experiments: Path, reflections: Path, progress: Progress) -> tuple[int, int, int]:
    n_images = 0
    with DialsWriter(dumps.detector, experiments.absolute().parent) as dials:
        for _, shot in dumps.shots(progress):
            n_images += 1
            dials.add(shot)
        dials.write(experiments, reflections)
        return n_images, len(dials.experiments), dials.n_reflections


def _cxi(dumps: Dumps, path: Path, progress: Progress) -> tuple[int, int, int]:
    n_crystals = 0
    with ExitStack() as stack:
        cxi: CxiWriter | None = None
        for dump, shot in dumps.shots(progress):
            if cxi is None:
                cxi = stack.enter_context(CxiWriter(path, dump))
            cxi.append(dump, shot)
            n_crystals += len(shot.crystals)
        return (cxi.n_images if cxi else 0), n_crystals, 0
