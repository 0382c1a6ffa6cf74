"""Dark subtraction, and masks and dark images from files."""

from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401 - importing it makes its compression filters known to h5py
import numpy as np
from numba import njit
from numpy.typing import NDArray

NO_PICKLES = (
    "pickles are not read, because loading one can run any program. In the Python that wrote it, save the array: "
    "numpy.save('dark.npy', data), where data is pickle.load(open('dark.pickle', 'rb')) or its 'DATA', and "
    "data.as_numpy_array() if it is a flex array"
)


def load_array(source: str | Path, shape: tuple[int, int]) -> NDArray[np.generic]:
    """Read an array of one image's size from HDF5 or ``.npy``.

    `source` is ``name.npy``, ``name.h5`` or ``name.h5:/path/of/dataset``; without that path the file must hold just one
    two- or three-dimensional dataset. `shape` is the image's, ``(ss, fs)``; a stack of modules ``(module, ss, fs)`` is
    returned as the slab in which they follow each other along ss. Raises ValueError for pickles, for several datasets,
    for another shape and for what is not an array of numbers.
    """
    name, colon, dataset = str(source).rpartition(":/")
    path = Path(name if colon else str(source))
    if path.suffix.lower() in (".pickle", ".pkl"):
        raise ValueError(f"{path}: {NO_PICKLES}")
    if path.suffix.lower() == ".npy":
        return _load_npy(path, shape)
    if not h5py.is_hdf5(path):
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file")
        raise ValueError(f"{path}: expected an HDF5 or .npy file, found neither. If it is a pickle: {NO_PICKLES}")
    with h5py.File(path, "r") as file:
        found = _dataset(file, path, "/" + dataset if colon else None)
        _check(f"{path}:{found.name}", found.shape, found.dtype, shape)
        return np.asarray(found[()]).reshape(shape)


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


def _load_npy(path: Path, shape: tuple[int, int]) -> NDArray[np.generic]:
    try:
        mapped = np.lib.format.open_memmap(path, mode="r")
    except ValueError as error:
        raise ValueError(
            f"{path}: expected a .npy file with an array of numbers ({error}). If there is a pickle in it: {NO_PICKLES}"
        ) from error
    _check(str(path), mapped.shape, mapped.dtype, shape)
    return np.array(mapped).reshape(shape)


def _dataset(file: h5py.File, path: Path, wanted: str | None) -> h5py.Dataset:
    datasets: dict[str, h5py.Dataset] = {}

    def collect(name: str, item: h5py.Dataset | h5py.Group) -> None:
        if isinstance(item, h5py.Dataset) and item.ndim in (2, 3):
            datasets["/" + name] = item

    if wanted is not None and isinstance(file.get(wanted), h5py.Dataset):
        return file[wanted]
    file.visititems(collect)
    listed = ", ".join(f"{name} {item.shape}" for name, item in datasets.items()) or "none"
    if wanted is not None:
        raise ValueError(f"{path}: expected a dataset {wanted}, found of two or three dimensions: {listed}")
    if len(datasets) != 1:
        raise ValueError(
            f"{path}: expected one dataset of two or three dimensions, found: {listed}; "
            f"say which one as {path}:/its/path"
        )
    return next(iter(datasets.values()))


def _check(what: str, found: tuple[int, ...], dtype: np.dtype[np.generic], shape: tuple[int, int]) -> None:
    if dtype.kind not in "iufb":
        raise ValueError(f"{what}: expected an array of numbers, found {dtype}")
    stack_fits = len(found) == 3 and found[2] == shape[1] and found[0] * found[1] == shape[0]
    if found != shape and not stack_fits:
        raise ValueError(f"{what}: expected the image's shape {shape}, or modules that stack up to it; found {found}")


class Calibration:
    """Subtracts the dark image, and says which pixels its noise rules out."""

    def __init__(
        self,
        dark: NDArray[np.generic],
        noise: NDArray[np.generic] | None = None,
        *,
        max_noise: float | None = None,
        flag_values: tuple[float, ...] = (),
        flag_below: float = float("-inf"),
        flag_above: float = float("inf"),
    ) -> None:
        """`dark` and `noise` are ``(ss, fs)``, mean and standard deviation of dark images in ADU.

        Pixels whose noise is 0, above `max_noise` or not finite are masked; so are those of no finite dark.
        `flag_values`, `flag_below` and `flag_above` tell bad pixels of an image before the dark is subtracted, as the
        Detector's do; the largest value of an integer dtype is always one, and the smallest of a signed one. Raises
        ValueError where the shapes differ or `max_noise` is not positive.
        """
        if dark.ndim != 2:
            raise ValueError(f"the dark image's shape is {dark.shape}, expected (ss, fs)")
        if noise is not None and noise.shape != dark.shape:
            raise ValueError(f"the noise's shape is {noise.shape}, expected the dark image's {dark.shape}")
        if max_noise is not None and not max_noise > 0:
            raise ValueError(f"max_noise must be positive, found {max_noise}")
        self.dark = np.ascontiguousarray(dark, np.float32)
        """``(ss, fs)`` float32, ADU."""
        self.mask = ~np.isfinite(self.dark)
        """``(ss, fs)`` bool, True where a pixel must not be used."""
        if noise is not None:
            deviation = noise.astype(np.float64)
            self.mask |= ~((deviation > 0) & (deviation <= (max_noise or np.inf)) & np.isfinite(deviation))
        self.flag_values = flag_values
        self.flag_range = (flag_below, flag_above)
        self._output = np.empty(self.dark.shape, np.float32)

    @classmethod
    def load(
        cls,
        dark: str | Path | None,
        noise: str | Path | None = None,
        *,
        shape: tuple[int, int],
        max_noise: float | None = None,
        flag_values: tuple[float, ...] = (),
        flag_below: float = float("-inf"),
        flag_above: float = float("inf"),
    ) -> "Calibration":
        """Read `dark` and `noise` as `load_array` does; `shape` is the image's, ``(ss, fs)``.

        Without `dark` nothing is subtracted. Raises ValueError where `max_noise` is given without `noise`.
        """
        if max_noise is not None and noise is None:
            raise ValueError("max_noise needs the noise: expected a file with the standard deviation of dark images")
        dark_array = np.zeros(shape, np.float32) if dark is None else load_array(dark, shape)
        noise_array = None if noise is None else load_array(noise, shape)
        return cls(
            dark_array,
            noise_array,
            max_noise=max_noise,
            flag_values=flag_values,
            flag_below=flag_below,
            flag_above=flag_above,
        )

    def __call__(self, image: NDArray[np.generic]) -> NDArray[np.float32]:
        """Return `image` less the dark image, ``(ss, fs)`` float32, ADU; NaN where the value of `image` means bad.

        The array returned is the same each time: the next call overwrites it. Raises ValueError for another shape and
        for what is not an image of numbers.
        """
        if image.shape != self.dark.shape:
            raise ValueError(f"the image's shape is {image.shape}, the dark image's is {self.dark.shape}")
        if image.dtype.kind not in "iuf":
            raise ValueError(f"expected an image of integers or floats, found {image.dtype}")
        native = np.ascontiguousarray(image, image.dtype.newbyteorder("="))
        _subtract(native, self.dark, self._bad_values(native.dtype), *self.flag_range, self._output)
        return self._output

    def _bad_values(self, dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
        """Return the values that mean bad as an array of the image's dtype, those that it cannot hold left out."""
        if dtype.kind == "f":
            return np.array(self.flag_values, dtype)
        limits = np.iinfo(dtype.name)
        values = {limits.max, *([limits.min] if limits.min else [])}
        values |= {
            int(value) for value in self.flag_values if value == int(value) and limits.min <= value <= limits.max
        }
        return np.array(sorted(values), dtype)


@njit(nogil=True, cache=True)
def _subtract(image, dark, bad_values, low, high, out):  # type: ignore[no-untyped-def]
    """Write ``image - dark``, or NaN for `bad_values` and outside of `low` to `high`; images are ``(ss, fs)``."""
    limited = low > -np.inf or high < np.inf
    for row in range(image.shape[0]):
        source, subtrahend, target = image[row], dark[row], out[row]
        for i in range(len(source)):
            target[i] = np.float32(source[i]) - subtrahend[i]
        # one sweep a value, over a row still in cache: this vectorises, a test of all values pixel by pixel does not
        for value in bad_values:
            for i in range(len(source)):
                target[i] = np.nan if source[i] == value else target[i]
        if limited:
            for i in range(len(source)):
                target[i] = target[i] if low <= source[i] <= high else np.nan
