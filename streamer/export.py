"""From dumps to the files that other programs take: CrystFEL streams and geometries, MTZ, DIALS, CXI."""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from braggwatch.processing.crystfel_geometry_text import DUMP, geometry_text
from braggwatch.processing.crystfel_stream import StreamWriter
from braggwatch.processing.cxi import CXI, CxiWriter
from braggwatch.processing.detector import Detector
from braggwatch.processing.dials_files import DialsWriter
from braggwatch.processing.dumped_shots import DumpedShot, DumpedShots
from braggwatch.processing.merge_statistics import MergeStatistics
from braggwatch.processing.merging import Merger
from braggwatch.processing.merging_sums import Scaling
from braggwatch.processing.mtz import MeanCell, UnmergedMtz
from braggwatch.processing.nxmx import is_dump_name, order_written
from braggwatch.processing.result_files import is_result_file
from braggwatch.processing.unit_cell import UnitCell

Format = Literal["stream", "mtz", "merged", "dials", "cxi", "geom"]
Weighting = Literal["mean", "partiality"]
Progress = Callable[[int], None]
"""Is told how many images are done."""


@dataclass(frozen=True)
class Dumps:
    """Dumps that go into one file, looked through once."""

    paths: tuple[Path, ...]
    n_images: int
    detector: Detector
    """Of the first; panels and distance of all others are the same."""
    gain: float
    cell: UnitCell | None
    """The first that any of them names."""
    has_reflections: bool

    def geometry(self) -> str:
        """Return the text of a CrystFEL geometry file for these dumps."""
        return geometry_text(self.detector, file=DUMP, adu_per_photon=self.gain)

    def d_min(self) -> float | None:
        """Return how far reflections were integrated, Angstrom; None where there are none."""
        limits = []
        for path in self.paths:
            with DumpedShots(path) as dump:
                limits.append(dump.d_min())
        return min((limit for limit in limits if limit is not None), default=None)

    def shots(self, progress: Progress) -> Iterator[tuple[DumpedShots, DumpedShot]]:
        """Give the images of one file after the other, each with its file."""
        n = 0
        for path in self.paths:
            with DumpedShots(path) as dump:
                for shot in dump.shots():
                    yield dump, shot
                    n += 1
                    progress(n)


@dataclass(frozen=True)
class MergeOptions:
    """How reflections are merged; what each means is told in `Merger`."""

    d_min: float | None = None
    """Angstrom; None: as far as reflections were integrated."""
    n_shells: int = 10
    scaling: Scaling = "scale"
    weighting: Weighting = "mean"


@dataclass(frozen=True)
class Exported:
    """What was written."""

    files: tuple[Path, ...]
    n_images: int
    n_crystals: int = 0
    n_reflections: int = 0
    """Reflections in the file."""
    statistics: MergeStatistics | None = None
    """Of merged reflections."""


def dump_files(given: Sequence[Path]) -> list[Path]:
    """Return the files that are meant: of a folder, all dumps in it, in the order in which they were begun.

    Those are all ``.h5`` but files of the stage `results`, and those ``.cxi`` that have the name of a dump. A file that
    is given twice counts once. Raises ValueError where there is none.
    """
    files: dict[Path, None] = {}
    for path in given:
        found = sorted(_dumps_in(path), key=order_written) if path.is_dir() else [path]
        if not found:
            raise ValueError(f"{path}: expected a folder with dumps, found no .h5 file in it, and no .cxi dump")
        files.update(dict.fromkeys(file.absolute() for file in found))
    if not files:
        raise ValueError("expected dumps: files that the stage dump has written, or folders of them; found none")
    return list(files)


def _dumps_in(folder: Path) -> Iterator[Path]:
    yield from (path for path in folder.glob("*.h5") if is_dump_name(path) or not is_result_file(path))
    yield from (path for path in folder.glob("*.cxi") if is_dump_name(path))


def look_through(paths: Sequence[Path]) -> Dumps:
    """Open each file once and return what they have in common.

    Raises ImageFileError for what is no dump, ValueError where they are of different geometries.
    """
    n_images, cell, has_reflections = 0, None, False
    first: tuple[Path, Detector, str, float] | None = None
    for path in paths:
        with DumpedShots(path) as dump:
            if not len(dump):
                continue  # just begun: it does not even know its beam
            n_images += len(dump)
            cell = cell or dump.cell
            has_reflections = has_reflections or dump.has_reflections
            text = geometry_text(dump.detector, file=DUMP, adu_per_photon=dump.gain)
            if first is None:
                first = path, dump.detector, text, dump.gain
            elif text != first[2]:
                raise ValueError(
                    f"{first[0]} and {path} are of different geometries (panels, distance or gain), and one file holds "
                    "one: export them one by one"
                )
    if first is None:
        raise ValueError(f"there are no images in {', '.join(map(str, paths[:3]))}{' …' if len(paths) > 3 else ''} yet")
    return Dumps(tuple(paths), n_images, first[1], first[3], cell, has_reflections)


def export(
    dumps: Dumps,
    output: Path,
    kind: Format,
    *,
    force: bool = False,
    command: str = "",
    merging: MergeOptions | None = None,
    progress: Progress,
) -> Exported:
    """Write `output`; a CXI file gets its geometry beside it, as ``.geom``, and a DIALS ``.expt`` its ``.refl``.

    What is there already is only replaced with `force`, and only once the new file is whole. Raises ValueError where
    it is there, where the dumps lack what the format needs, and OSError where it cannot be written.
    """
    beside = {"cxi": ".geom", "dials": ".refl"}
    files = [output, output.with_suffix(beside[kind])] if kind in beside else [output]
    if len(set(files)) < len(files):
        raise ValueError(f"{output}: {files[1].suffix} is the file beside it; give the first one another ending")
    _refuse_to_overwrite(files, dumps.paths, force)
    if kind in ("stream", "mtz", "merged", "dials") and not dumps.has_reflections:
        raise ValueError(
            f"the dumps hold no integrated reflections, which {_MADE_OF_REFLECTIONS[kind]} is made of: put the stage "
            'integrate behind index and before the dump, as in stages = ["hitfind", "index", "integrate", '
            '"dump:indexed"], and process the run again'
        )
    statistics = None
    with _in_place(files) as parts:
        if kind == "stream":
            done = _stream(dumps, parts[0], command, progress)
        elif kind == "mtz":
            done = _mtz(dumps, parts[0], progress)
        elif kind == "merged":
            statistics, done = _merged(dumps, parts[0], merging or MergeOptions(), progress)
        elif kind == "dials":
            done = _dials(dumps, parts[0], parts[1], progress)
        elif kind == "cxi":
            done = _cxi(dumps, parts[0], progress)
            parts[1].write_text(geometry_text(dumps.detector, file=CXI, adu_per_photon=dumps.gain), encoding="utf-8")
        else:
            done = dumps.n_images, 0, 0
            parts[0].write_text(dumps.geometry(), encoding="utf-8")
    return Exported(tuple(files), *done, statistics)


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
            part.replace(file)
    finally:
        for part in parts:
            part.unlink(missing_ok=True)


def _stream(dumps: Dumps, path: Path, command: str, progress: Progress) -> tuple[int, int, int]:
    n_crystals = n_reflections = 0
    with StreamWriter(
        path, detector=dumps.detector, geometry=dumps.geometry(), cell=dumps.cell, command=command
    ) as stream:
        for dump, shot in dumps.shots(progress):
            n_reflections += stream.append(
                str(dump.path), shot.entry, wavelength=shot.wavelength, peaks=shot.peaks, crystals=shot.crystals,
                reflections=shot.reflections,
            )  # fmt: skip
            n_crystals += len(shot.crystals)
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


def _merged(
    dumps: Dumps, path: Path, options: MergeOptions, progress: Progress
) -> tuple[MergeStatistics, tuple[int, int, int]]:
    if dumps.cell is None:
        raise ValueError("merging needs a space group: the dumps do not say which cell was looked for")
    d_min = options.d_min or dumps.d_min()
    assert d_min is not None, "there are reflections"
    merger = Merger(
        dumps.cell, d_min=d_min, n_shells=options.n_shells, scaling=options.scaling, weighting=options.weighting
    )
    mean_cell = MeanCell(dumps.cell)
    wavelengths: list[float] = []
    n_images = 0
    for dump, shot in dumps.shots(progress):
        n_images += 1
        for crystal, reflections in zip(shot.crystals, shot.reflections, strict=True):
            mean_cell.check(crystal)
            if merger.add(reflections, dump.series_key, shot.number).fate == "merged":
                mean_cell.add(crystal)
                wavelengths.append(shot.wavelength)
    merger.finish()
    if not merger.n_crystals:
        raise ValueError("there is nothing to merge: no crystal has a reflection that nothing speaks against")
    merged = merger.merged()
    replace(merged, cell=mean_cell.cell()).write_mtz(path, wavelength=sum(wavelengths) / len(wavelengths))
    return merger.statistics(), (n_images, merger.n_crystals, len(merged))


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
