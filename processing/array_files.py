"""Masks, darks and other arrays of one image's size from files."""

from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401 - importing it makes its compression filters known to h5py
import numpy as np
from numpy.typing import NDArray

WHY_NO_PICKLES = "pickles are not read, because loading one can run any program"
NO_PICKLES = (
    f"{WHY_NO_PICKLES}. In the Python that wrote it, save the array: "
    "numpy.save('dark.npy', data), where data is pickle.load(open('dark.pickle', 'rb')) or its 'DATA', and "
    "data.as_numpy_array() if it is a flex array"
)


def load_array(source: str | Path, shape: tuple[int, int], usual: str | None = None) -> NDArray[np.generic]:
    """Read an array of one image's size from HDF5 or ``.npy``.

    `source` is ``name.npy``, ``name.h5`` or ``name.h5:/path/of/dataset``; without that path the dataset `usual` is read
    where there is one, otherwise the file must hold just one two- or three-dimensional dataset. `shape` is the image's,
    ``(ss, fs)``; a stack of modules ``(module, ss, fs)`` is returned as the slab in which they follow each other along
    ss. Raises ValueError for pickles, for several datasets, for another shape and for what is not an array of numbers.
    """
    name, colon, dataset = str(source).rpartition(":/")
    path = Path(name if colon else str(source))
    _refuse_pickle(path)
    if path.suffix.lower() == ".npy":
        return _load_npy(path, shape)
    if not h5py.is_hdf5(path):
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file")
        raise ValueError(f"{path}: expected an HDF5 or .npy file, found neither. If it is a pickle: {NO_PICKLES}")
    with h5py.File(path, "r") as file:
        wanted = "/" + dataset if colon else usual if usual is not None and usual in file else None
        found = _dataset(file, path, wanted)
        _check(f"{path}:{found.name}", found.shape, found.dtype, shape)
        return np.asarray(found[()]).reshape(shape)


def load_stages(source: str | Path, shape: tuple[int, int], usual: str | None = None) -> NDArray[np.generic]:
    """Read an array of one image's size for each of three gain stages, ``(3, ss, fs)``; `source`, `usual` as above.

    It may be ``(stage, ss, fs)`` or ``(stage, module, ss, fs)``; stages after the third are left out. Raises ValueError
    as `load_array` does.
    """
    name, colon, dataset = str(source).rpartition(":/")
    path = Path(name if colon else str(source))
    _refuse_pickle(path)
    if path.suffix.lower() == ".npy":
        try:
            found = np.lib.format.open_memmap(path, mode="r")
        except ValueError as error:
            raise ValueError(f"{path}: expected a .npy file with an array of numbers ({error})") from error
        return _first_three(str(path), found, shape)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    if not h5py.is_hdf5(path):
        raise ValueError(f"{path}: expected an HDF5 or .npy file, found neither. If it is a pickle: {NO_PICKLES}")
    with h5py.File(path, "r") as file:
        wanted = "/" + dataset if colon else usual if usual is not None and usual in file else None
        return _first_three(str(source), _dataset(file, path, wanted, (3, 4)), shape)


def _first_three(what: str, found: "h5py.Dataset | NDArray[np.generic]", shape: tuple[int, int]) -> NDArray[np.generic]:
    if found.dtype.kind not in "iufb":
        raise ValueError(f"{what}: expected an array of numbers, found {found.dtype}")
    size = shape[0] * shape[1]
    if found.ndim not in (3, 4) or found.shape[0] < 3 or found.shape[-1] != shape[1] or found[0].size != size:
        raise ValueError(f"{what}: expected three gain stages of the image's shape {shape}, found {found.shape}")
    return np.asarray(found[:3]).reshape(3, *shape)


def load_mask(
    source: str | Path, shape: tuple[int, int], *, good_bits: int = 0, bad_bits: int | None = None
) -> NDArray[np.bool_]:
    """Read a mask, ``(ss, fs)`` bool, True where a pixel must not be used; `source` and `shape` as for `load_array`.

    Nonzero means bad. Masks of other conventions need CrystFEL's two numbers: a pixel is bad unless all `good_bits` are
    set, and if any of `bad_bits` is set; so ``good_bits=1`` for a mask that is 1 where a pixel is good. Raises
    ValueError as `load_array` does, and where a mask of floats is to be read by its bits.
    """
    values = load_array(source, shape)
    if not good_bits and bad_bits is None:
        return np.asarray(values != 0)
    if values.dtype.kind not in "iub" or values.dtype.itemsize > 8:
        raise ValueError(f"{source}: expected a mask of whole numbers, to be read by its bits; found {values.dtype}")
    bits, good, bad = values.astype(np.uint64), np.uint64(good_bits), np.uint64(bad_bits or 0)
    return np.asarray(((bits & good) != good) | ((bits & bad) != 0))


def _refuse_pickle(path: Path) -> None:
    if path.suffix.lower() in (".pickle", ".pkl"):
        raise ValueError(f"{path}: {NO_PICKLES}")


def _load_npy(path: Path, shape: tuple[int, int]) -> NDArray[np.generic]:
    try:
        mapped = np.lib.format.open_memmap(path, mode="r")
    except ValueError as error:
        raise ValueError(
            f"{path}: expected a .npy file with an array of numbers ({error}). If there is a pickle in it: {NO_PICKLES}"
        ) from error
    _check(str(path), mapped.shape, mapped.dtype, shape)
    return np.array(mapped).reshape(shape)


def _dataset(file: h5py.File, path: Path, wanted: str | None, dimensions: tuple[int, int] = (2, 3)) -> h5py.Dataset:
    datasets: dict[str, h5py.Dataset] = {}

    def collect(name: str, item: h5py.Dataset | h5py.Group) -> None:
        if isinstance(item, h5py.Dataset) and item.ndim in dimensions:
            datasets["/" + name] = item

    if wanted is not None and isinstance(file.get(wanted), h5py.Dataset):
        return file[wanted]
    file.visititems(collect)
    numbers = " or ".join(("two", "three", "four")[n - 2] for n in dimensions)
    listed = ", ".join(f"{name} {item.shape}" for name, item in datasets.items()) or "none"
    if wanted is not None:
        raise ValueError(f"{path}: expected a dataset {wanted}, found of {numbers} dimensions: {listed}")
    if len(datasets) != 1:
        raise ValueError(
            f"{path}: expected one dataset of {numbers} dimensions, found: {listed}; say which one as {path}:/its/path"
        )
    return next(iter(datasets.values()))


def _check(what: str, found: tuple[int, ...], dtype: np.dtype[np.generic], shape: tuple[int, int]) -> None:
    if dtype.kind not in "iufb":
        raise ValueError(f"{what}: expected an array of numbers, found {dtype}")
    stack_fits = len(found) == 3 and found[2] == shape[1] and found[0] * found[1] == shape[0]
    if found != shape and not stack_fits:
        raise ValueError(f"{what}: expected the image's shape {shape}, or modules that stack up to it; found {found}")
