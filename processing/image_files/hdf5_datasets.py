"""Where the images lie in an HDF5 file."""

from pathlib import Path
from typing import Any

import h5py

from braggwatch.processing.image_files.error import ImageFileError
from braggwatch.processing.image_files.hdf5_header import find_class

Stack = tuple[h5py.Dataset, int, int]
"""A dataset of images, the first one to take and one past the last."""

_USUAL_PLACES = (
    "entry/data/data",
    "entry_1/data_1/data",
    "entry_1/instrument_1/detector_1/data",
    "entry_1/instrument_1/detector_1/detector_corrected/data",
    "data/data",
)
_LINKED_GROUPS = ("entry/data", "entry")


def image_datasets(file: h5py.File, name: str | None) -> list[Stack]:
    """Return the stacks of images of a file, in order.

    `name` is the dataset's path; without it, the places where DECTRIS, NXmx and CXI files have their images are tried,
    then the only stack of three or more dimensions in the file is taken. Raises ImageFileError.
    """
    if name is not None:
        return _resolve(file, _named(file, name))
    for place in _USUAL_PLACES:
        if isinstance(dataset := _get(file, place), h5py.Dataset):
            return _resolve(file, dataset)
    for place in _LINKED_GROUPS:
        if linked := _linked(file, place):
            return linked
    data = find_class(file, "NXdata")
    if data is not None and isinstance(dataset := _get(data, _signal(data)), h5py.Dataset) and dataset.ndim >= 2:
        return _resolve(file, dataset)
    return _resolve(file, _only_stack(file))


def shape_of_image(dataset: h5py.Dataset) -> tuple[int, int]:
    """Return ``(ss, fs)`` of one image: of a stack ``(n, modules, ss, fs)`` the modules follow each other along ss."""
    rows = 1
    for length in dataset.shape[0 if dataset.ndim == 2 else 1 : -1]:
        rows *= int(length)
    return rows, int(dataset.shape[-1])


def _named(file: h5py.File, name: str) -> h5py.Dataset:
    if "%" in name:
        raise ImageFileError(f"dataset {name!r}: a placeholder % cannot be filled, name one stack of images")
    dataset = _get(file, name)
    if not isinstance(dataset, h5py.Dataset) or dataset.ndim < 2:
        stacks = ", ".join(found.name for found in _all_stacks(file)) or "none"
        raise ImageFileError(f"{file.filename}: there are no images at {name!r}; stacks of images in it: {stacks}")
    return dataset


def _get(group: h5py.Group, name: str) -> Any:
    """Return what is at a path, None for nothing; a link to a file that is missing is an ImageFileError."""
    try:
        return group.get(name) if name else None
    except (KeyError, OSError):
        return None


def _signal(data: h5py.Group) -> str:
    signal = data.attrs.get("signal", "data")
    return signal.decode(errors="replace") if isinstance(signal, bytes) else str(signal)


def _linked(file: h5py.File, place: str) -> list[Stack]:
    """Return the data_000001, data_000002, ... that a DECTRIS master file links to."""
    group = _get(file, place)
    if not isinstance(group, h5py.Group):
        return []
    stacks: list[Stack] = []
    for name in sorted(member for member in group if member.startswith("data_") and member[5:].isdigit()):
        dataset = _get(group, name)
        if dataset is None:
            link = group.get(name, getlink=True)
            target = getattr(link, "filename", name)
            raise ImageFileError(
                f"{file.filename}: {group.name}/{name} leads to {target}, which is not there or not readable; "
                "keep the data files beside the master file"
            )
        if isinstance(dataset, h5py.Dataset) and dataset.ndim >= 3:
            stacks += _resolve(file, dataset)
    return stacks


def _only_stack(file: h5py.File) -> h5py.Dataset:
    stacks = _all_stacks(file)
    most = max((stack.ndim for stack in stacks), default=0)
    stacks = [stack for stack in stacks if stack.ndim == most]
    if len(stacks) != 1:
        found = ", ".join(f"{stack.name} {stack.shape}" for stack in stacks[:10]) or "none"
        raise ImageFileError(
            f"{file.filename}: expected one stack of images (n, ss, fs), found {found}; name it with dataset"
        )
    return stacks[0]


def _all_stacks(file: h5py.File) -> list[h5py.Dataset]:
    stacks: list[h5py.Dataset] = []

    def visit(_: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.ndim >= 2 and item.dtype.kind in "iuf" and min(item.shape[-2:]) > 1:
            stacks.append(item)

    file.visititems(visit)
    return stacks


def _resolve(file: h5py.File, dataset: h5py.Dataset) -> list[Stack]:
    """Return what a dataset really consists of: a virtual one of whole images leads to those of other files."""
    itself: list[Stack] = [(dataset, 0, 1 if dataset.ndim == 2 else int(dataset.shape[0]))]
    if not dataset.is_virtual or dataset.ndim < 3:
        return itself
    found = [_source(file, dataset, source) for source in dataset.virtual_sources()]
    sources = sorted((source for source in found if source is not None), key=lambda source: source[0])
    at = 0
    for first, (_, begin, end) in sources:
        if first != at:
            return itself
        at += end - begin
    return [stack for _, stack in sources] if len(sources) == len(found) and at == itself[0][2] else itself


def _source(file: h5py.File, dataset: h5py.Dataset, source: Any) -> tuple[int, Stack] | None:
    """Return where whole images of a virtual dataset lie, behind the index of the first; None for other mappings.

    A source that is missing is an error: HDF5 itself would read fill values.
    """
    path = Path(file.filename).parent / source.file_name
    if source.file_name != "." and not path.is_file():
        raise ImageFileError(
            f"{file.filename}: {dataset.name} takes images from {path}, which is not there; "
            "keep the data files beside the master file"
        )
    other = file if source.file_name == "." else h5py.File(path, "r")
    part = other.get(source.dset_name)
    if not isinstance(part, h5py.Dataset) or part.shape[1:] != dataset.shape[1:]:
        return None
    to, taken = _whole_images(source.vspace, dataset.shape), _whole_images(source.src_space, part.shape)
    if to is None or taken is None or to[1] - to[0] != taken[1] - taken[0]:
        return None
    return to[0], (part, *taken)


def _whole_images(selection: Any, shape: tuple[int, ...]) -> tuple[int, int] | None:
    """Return the first image and one past the last of a selection if it is of whole images in a row."""
    if selection.get_select_type() == h5py.h5s.SEL_ALL:
        return 0, int(shape[0])
    lowest, highest = selection.get_select_bounds()
    n_images = int(highest[0] - lowest[0] + 1)
    n_pixels = n_images
    for length in shape[1:]:
        n_pixels *= length
    # As many pixels as lie between the bounds of whole images: nothing is left out.
    return (int(lowest[0]), int(highest[0]) + 1) if selection.get_select_npoints() == n_pixels else None
