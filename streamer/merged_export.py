"""Merged reflections of dumps as MTZ files: of all crystals, or of groups of them on one scale and in one setting."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from braggwatch.processing.merge_statistics import MergeStatistics
from braggwatch.processing.merging import Merger
from braggwatch.processing.merging_sums import Scaling
from braggwatch.processing.mtz import MeanCell
from braggwatch.processing.shot_groups import MAX_GROUPS, OTHERS
from braggwatch.streamer.dumps import Dumps, Progress
from braggwatch.streamer.group_merges import largest_difference
from braggwatch.streamer.merge_messages import GroupDifference

Weighting = Literal["mean", "partiality"]


@dataclass(frozen=True)
class MergeOptions:
    """How reflections are merged; what each means is told in `Merger`."""

    d_min: float | None = None
    """Angstrom; None: as far as reflections were integrated."""
    n_shells: int = 10
    scaling: Scaling = "scale"
    weighting: Weighting = "mean"


@dataclass(frozen=True)
class MergedFile:
    """One file."""

    group: str
    """Of the crystals in it; empty: all."""
    path: Path
    n_reflections: int
    statistics: MergeStatistics


def told_apart(groups: Mapping[str, int]) -> list[str]:
    """Return the groups that have a file of their own, largest first; `OTHERS` where there are more of them."""
    names = sorted(groups, key=lambda name: (-groups[name], name))
    if len(names) <= MAX_GROUPS:
        return names
    return [*[name for name in names if name != OTHERS][:MAX_GROUPS], OTHERS]


def write_merged(
    dumps: Dumps, files: Mapping[str, Path], options: MergeOptions, progress: Progress
) -> tuple[int, list[MergedFile], GroupDifference | None]:
    """Merge the crystals of all images and write a file for each group of `files`; an empty name stands for all.

    Shots of other groups count for `OTHERS` where that is among them; they are merged in any case, as scale and setting
    are told by all. Returns how many images there were, the files, of which a group without a merged crystal has
    none, and how far the two largest groups differ. Raises ValueError where no group has any.
    """
    if dumps.cell is None:
        raise ValueError("merging needs a space group: the dumps do not say which cell was looked for")
    d_min = options.d_min or dumps.d_min()
    assert d_min is not None, "there are reflections"
    merger = Merger(
        dumps.cell, d_min=d_min, n_shells=options.n_shells, scaling=options.scaling, weighting=options.weighting
    )
    cells = {name: MeanCell(dumps.cell) for name in files}
    wavelengths: dict[str, list[float]] = {name: [] for name in files}
    n_images = 0
    for dump, shot in dumps.shots(progress):
        n_images += 1
        group = shot.group if shot.group in files else OTHERS if shot.group and OTHERS in files else ""
        for crystal, reflections in zip(shot.crystals, shot.reflections, strict=True):
            for cell in cells.values():
                cell.check(crystal)
            fate = merger.add(reflections, dump.series_key, shot.number, group=group).fate
            if fate == "merged" and group in files:
                cells[group].add(crystal)
                wavelengths[group].append(shot.wavelength)
    merger.finish()
    written = []
    for name, path in files.items():
        merge = merger.groups.get(name) if name else merger
        if merge is None or not wavelengths[name]:
            continue
        merged = merge.merged()
        wavelength = sum(wavelengths[name]) / len(wavelengths[name])
        replace(merged, cell=cells[name].cell()).write_mtz(path, wavelength=wavelength)
        written.append(MergedFile(name, path, len(merged), merge.statistics()))
    if not written:
        raise ValueError("there is nothing to merge: no crystal has a reflection that nothing speaks against")
    return n_images, written, largest_difference(merger)
