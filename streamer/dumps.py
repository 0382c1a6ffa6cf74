"""The dumps that go into one export, looked through once."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from braggwatch.processing.crystfel_geometry_text import DUMP, geometry_text
from braggwatch.processing.detector import Detector
from braggwatch.processing.dumped_shots import DumpedShot, DumpedShots
from braggwatch.processing.nxmx import is_dump_name, order_written
from braggwatch.processing.result_files import is_result_file
from braggwatch.processing.shot_groups import MAX_GROUPS
from braggwatch.processing.unit_cell import UnitCell
from braggwatch.streamer.wording import plain

Progress = Callable[[int], None]
"""Is told how many images are done."""
NOT_GROUPED = "their shots are not grouped; by what they are must be said in [groups] when they are taken"


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
    groups: Mapping[str, int]
    """Images of each group of shots by its name; empty where shots are not grouped."""
    group: str = ""
    """The only group whose images `shots` gives; empty: all."""

    def of(self, group: str) -> "Dumps":
        """Return these dumps with the images of one group alone. Raises ValueError where there are none."""
        if group not in self.groups:
            largest = sorted(self.groups.items(), key=lambda item: (-item[1], item[0]))[:MAX_GROUPS]
            there = ", ".join(f"{plain(name)} ({n})" for name, n in sorted(largest))
            there += " and further ones" if len(self.groups) > MAX_GROUPS else ""
            raise ValueError(
                f"the dumps have no image of the group {group!r}: {f'found {there}' if there else NOT_GROUPED}"
            )
        return replace(self, group=group)

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
        """Give the images of one file after the other, each with its file; `progress` counts those left out too."""
        n = 0
        for path in self.paths:
            with DumpedShots(path) as dump:
                for shot in dump.shots():
                    if not self.group or shot.group == self.group:
                        yield dump, shot
                    n += 1
                    progress(n)


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
    groups: Counter[str] = Counter()
    first: tuple[Path, Detector, str, float] | None = None
    for path in paths:
        with DumpedShots(path) as dump:
            if not len(dump):
                continue  # just begun: it does not even know its beam
            n_images += len(dump)
            groups += dump.groups()
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
    return Dumps(tuple(paths), n_images, first[1], first[3], cell, has_reflections, dict(groups))
