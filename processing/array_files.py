"""Masks, darks and other arrays of one image's size from files."""

import math
from collections.abc import Sequence
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401 - importing it makes its compression filters known to h5py
import numpy as np
from numpy.typing import NDArray

Slices = tuple[slice, slice]
"""Rows and columns of a panel in the image."""
WHY_NO_PICKLES = "pickles are not read, because loading one can run any program"
_ASSEMBLED = (1765, 1765)
USUAL_MASKS = ("/masks/bad", "/entry/instrument/detector/pixel_mask")
"""Where darks of `braggwatch dark` and NXmx files keep their masks."""


def load_array(
    source: str | Path, shape: tuple[int, int], usual: str | None = None, *, panels: Sequence[Slices] = ()
) -> NDArray[np.generic]:
    """Read an array of one image's size from HDF5 or ``.npy``.

    `source` is ``name.npy``, ``name.h5`` or ``name.h5:/path/of/dataset``; without that path the dataset `usual` is read
    where there is one, otherwise the file must hold just one two- or three-dimensional dataset. `shape` is the image's,
    ``(ss, fs)``; a stack of modules ``(module, ss, fs)`` is returned as the slab in which they follow each other along
    ss, and one of as many as there are `panels` (the rows and columns of each in the image) with each where it belongs.
    Raises ValueError for pickles, for several datasets, for another shape and for what is not an array of numbers.
    """
    return _load_image(source, shape, () if usual is None else (usual,), panels)


def load_stages(source: str | Path, shape: tuple[int, int], usual: str | None = None) -> NDArray[np.generic]:
    """Read an array of one image's size for each of three gain stages, ``(3, ss, fs)``; `source`, `usual` as above.

    It may be ``(stage, ss, fs)`` or ``(stage, module, ss, fs)``; stages after the third are left out. Raises ValueError
    as `load_array` does.
    """
    path, wanted = _split(source, () if usual is None else (usual,))
    if path.suffix.lower() == ".npy":
        try:
            found = np.lib.format.open_memmap(path, mode="r")
        except ValueError as error:
            raise ValueError(f"{path}: expected a .npy file with an array of numbers ({error})") from error
        return _first_three(str(path), found, shape)
    _expect_hdf5(path)
    with h5py.File(path, "r") as file:
        return _first_three(str(source), _dataset(file, path, wanted, (3, 4)), shape)


def _first_three(what: str, found: "h5py.Dataset | NDArray[np.generic]", shape: tuple[int, int]) -> NDArray[np.generic]:
    if found.dtype.kind not in "iufb":
        raise ValueError(f"{what}: expected an array of numbers, found {found.dtype}")
    of_stage = math.prod(found.shape[1:])  # told by the shape alone: it may be of any size
    fits = found.ndim in (3, 4) and found.shape[0] >= 3 and found.shape[-1] == shape[1]
    if not fits or of_stage != shape[0] * shape[1]:
        raise ValueError(f"{what}: expected three gain stages of the image's shape {shape}, found {found.shape}")
    return np.asarray(found[:3]).reshape(3, *shape)


def load_mask(
    source: str | Path,
    shape: tuple[int, int],
    *,
    good_bits: int = 0,
    bad_bits: int | None = None,
    panels: Sequence[Slices] = (),
) -> NDArray[np.bool_]:
    """Read a mask, ``(ss, fs)`` bool, True where a pixel must not be used; arguments as for `load_array`.

    Nonzero means bad. Masks of other conventions need CrystFEL's two numbers (`bad_by_bits`), so ``good_bits=1`` for a
    mask that is 1 where a pixel is good. Of an HDF5 file without a dataset's path the mask of `braggwatch dark` or of
    NXmx is taken. Raises ValueError as `load_array` does, and where a mask of floats is to be read by its bits.
    """
    values = _load_image(source, shape, USUAL_MASKS, panels, mask=True)
    if not good_bits and bad_bits is None:
        return np.asarray(values != 0)
    return bad_by_bits(str(source), values, good_bits, bad_bits or 0)


def bad_by_bits(what: str, values: NDArray[np.generic], good_bits: int, bad_bits: int) -> NDArray[np.bool_]:
    """Return where a mask's values mean bad, as CrystFEL reads them: not all `good_bits` set, or any of `bad_bits`.

    Raises ValueError, which names the mask as `what`, for values that are no whole numbers.
    """
    if values.dtype.kind not in "iub" or values.dtype.itemsize > 8:
        raise ValueError(f"{what}: expected a mask of whole numbers, to be read by its bits; found {values.dtype}")
    bits, good, bad = values.astype(np.uint64), np.uint64(good_bits), np.uint64(bad_bits)
    return np.asarray(((bits & good) != good) | ((bits & bad) != 0))


def _load_image(
    source: str | Path, shape: tuple[int, int], usual: tuple[str, ...], panels: Sequence[Slices], *, mask: bool = False
) -> NDArray[np.generic]:
    path, wanted = _split(source, usual, mask=mask)
    if path.suffix.lower() == ".npy":
        return _load_npy(path, shape, panels)
    _expect_hdf5(path)
    with h5py.File(path, "r") as file:
        found = _dataset(file, path, wanted)
        return _image(f"{path}:{found.name}", found, shape, panels)


def _split(source: str | Path, usual: tuple[str, ...], *, mask: bool = False) -> tuple[Path, tuple[str, ...] | str]:
    """Return the file, and the one dataset that was asked for or those that are usual; refuse a pickle."""
    name, colon, dataset = str(source).rpartition(":/")
    path = Path(name if colon else str(source))
    if _is_pickle(path):
        raise ValueError(f"{path}: {_no_pickles(path, mask=mask)}")
    return path, "/" + dataset if colon else usual


def _is_pickle(path: Path) -> bool:
    if path.suffix.lower() in (".pickle", ".pkl"):
        return True
    if not path.is_file():
        return False
    with path.open("rb") as file:
        start = file.read(2)
    return len(start) == 2 and start[0] == 0x80 and 2 <= start[1] <= 5  # what pickles of all but the oldest begin with


def _no_pickles(path: Path, *, mask: bool = False) -> str:
    return (
        f"{WHY_NO_PICKLES}. In the Python that wrote it: libtbx.python convert_pickle.py{' --mask' if mask else ''} "
        f"{path.name} (the script is in docs/converting-pickles.md) makes {path.with_suffix('.npy').name} of it"
    )


def _expect_hdf5(path: Path) -> None:
    if h5py.is_hdf5(path):
        return
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    raise ValueError(f"{path}: expected an HDF5 or .npy file, found neither. If it is a pickle: {_no_pickles(path)}")


def _load_npy(path: Path, shape: tuple[int, int], panels: Sequence[Slices]) -> NDArray[np.generic]:
    try:
        mapped = np.lib.format.open_memmap(path, mode="r")
    except ValueError as error:
        raise ValueError(
            f"{path}: expected a .npy file with an array of numbers ({error}). If there is a pickle in it: "
            f"{WHY_NO_PICKLES}; save it again as an array of numbers"
        ) from error
    return _image(str(path), mapped, shape, panels)


def _dataset(
    file: h5py.File, path: Path, wanted: tuple[str, ...] | str, dimensions: tuple[int, int] = (2, 3)
) -> h5py.Dataset:
    """Return the dataset of one name, or the first of some names that is there, or the only one that there is."""
    datasets: dict[str, h5py.Dataset] = {}

    def collect(name: str, item: h5py.Dataset | h5py.Group) -> None:
        if isinstance(item, h5py.Dataset) and item.ndim in dimensions:
            datasets["/" + name] = item

    for name in (wanted,) if isinstance(wanted, str) else wanted:
        if isinstance(file.get(name), h5py.Dataset):
            return file[name]
    file.visititems(collect)
    numbers = " or ".join(("two", "three", "four")[n - 2] for n in dimensions)
    listed = ", ".join(f"{name} {item.shape}" for name, item in datasets.items()) or "none"
    if isinstance(wanted, str):
        raise ValueError(f"{path}: expected a dataset {wanted}, found of {numbers} dimensions: {listed}")
    if len(datasets) != 1:
        raise ValueError(
            f"{path}: expected one dataset of {numbers} dimensions, found: {listed}; say which one as {path}:/its/path"
        )
    return next(iter(datasets.values()))


def _image(
    what: str, found: "h5py.Dataset | NDArray[np.generic]", shape: tuple[int, int], panels: Sequence[Slices]
) -> NDArray[np.generic]:
    """Return what was found in the shape of the image; checked before it is read."""
    if found.dtype.kind not in "iufb":
        raise ValueError(f"{what}: expected an array of numbers, found {found.dtype}")
    stack_fits = len(found.shape) == 3 and found.shape[2] == shape[1] and found.shape[0] * found.shape[1] == shape[0]
    if found.shape == shape or stack_fits:
        return np.array(found[()]).reshape(shape)
    if len(found.shape) == 3 and [(len(found), *size) for size in map(_size, panels)] == [found.shape] * len(found):
        image = np.zeros(shape, found.dtype)
        for slices, panel in zip(panels, found[()], strict=True):
            image[slices] = panel
        return image
    hint = ""
    if found.shape == _ASSEMBLED:
        hint = (
            ". It is a CSPAD as the older tools put its panels together, and fits only images put together likewise; "
            "for others take a new one: braggwatch dark"
        )
    raise ValueError(
        f"{what}: expected the image's shape {shape}, or modules that stack up to it; found {found.shape}{hint}"
    )


def _size(panel: Slices) -> tuple[int, int]:
    return panel[0].stop - panel[0].start, panel[1].stop - panel[1].start
