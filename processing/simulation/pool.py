"""A stock of simulated images, compressed as a detector sends them, for a simulated detector to cycle through."""

from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from braggwatch.processing.beam import Beam
from braggwatch.processing.compression import bslz4_chunk, bslz4_filter
from braggwatch.processing.decompression import decompress
from braggwatch.processing.detector import Detector, Panel
from braggwatch.processing.frame import Encoding
from braggwatch.processing.simulation.still import StillSimulator, StillTruth, TrueReflections

_FORMAT = "braggwatch still pool 1"
MAX_POOL_BYTES = 8 << 30
"""A file with more compressed pixels than this is refused."""


@dataclass(frozen=True, eq=False)
class StillPool:
    """Images with their truth. Frame n of a run shows one of them; every cycle has its own order.

    So hits and blanks do not come in a rhythm, and yet what any frame showed can be told from its number.
    """

    detector: Detector
    payloads: tuple[bytes, ...]
    """Each image compressed as `ENCODING` says, uint16."""
    truths: tuple[StillTruth, ...]
    seed: int
    """Fixes the order in each cycle."""

    encoding = Encoding("bslz4", "hdf5")
    dtype = "uint16"

    def __post_init__(self) -> None:
        if not self.payloads or len(self.payloads) != len(self.truths):
            raise ValueError(
                f"a pool needs at least one image and a truth for each, "
                f"found {len(self.payloads)} images and {len(self.truths)} truths"
            )

    def __len__(self) -> int:
        return len(self.payloads)

    def index(self, frame_number: int) -> int:
        """Return which image of the pool frame `frame_number` shows; frames count from 0."""
        cycle, place = divmod(frame_number, len(self))
        return int(_order(self.seed, cycle, len(self))[place])

    def payload(self, frame_number: int) -> bytes:
        """Return the compressed pixels of a frame."""
        return self.payloads[self.index(frame_number)]

    def truth(self, frame_number: int) -> StillTruth:
        """Return the truth about a frame."""
        return self.truths[self.index(frame_number)]

    def image(self, frame_number: int) -> NDArray[np.uint16]:
        """Return the pixels of a frame, ``(ss, fs)``."""
        pixels = np.empty(self.detector.shape, np.uint16)
        decompress(self.payload(frame_number), self.encoding, self.detector.shape, self.dtype, pixels)
        return pixels

    def save(self, path: Path) -> None:
        """Write the pool to a new HDF5 file, its images at ``/entry/data/data`` where any HDF5 program finds them.

        Raises FileExistsError if the file exists.
        """
        with h5py.File(path, "x") as file:
            file.attrs["format"] = _FORMAT
            file.attrs["seed"] = self.seed
            data = file.create_dataset(
                "entry/data/data",
                (len(self), *self.detector.shape),
                self.dtype,
                chunks=(1, *self.detector.shape),
                **bslz4_filter(),
            )
            for number, payload in enumerate(self.payloads):
                data.id.write_direct_chunk((number, 0, 0), payload)
            _save_detector(file.create_group("detector"), self.detector)
            _save_truths(file.create_group("truth"), self.truths)

    @classmethod
    def load(cls, path: Path) -> "StillPool":
        """Read a pool that `save` wrote. Raises ValueError if the file is none."""
        if not h5py.is_hdf5(path):
            raise ValueError(f"{path} is no pool of stills: expected an HDF5 file that a simulator saved")
        with h5py.File(path, "r") as file:
            found = file.attrs.get("format")
            if found != _FORMAT:
                raise ValueError(f"{path} is no pool of stills: its format must be {_FORMAT!r}, found {found!r}")
            data = file["entry/data/data"]
            size = data.id.get_storage_size()
            if size > MAX_POOL_BYTES:
                raise ValueError(f"{path} holds {size} bytes of images, at most {MAX_POOL_BYTES} can be loaded")
            if data.dtype != cls.dtype or data.chunks != (1, *data.shape[1:]):
                raise ValueError(
                    f"{path}: expected images of {cls.dtype}, one a chunk, "
                    f"found {data.dtype} of shape {data.shape} in chunks of {data.chunks}"
                )
            payloads = tuple(data.id.read_direct_chunk((number, 0, 0))[1] for number in range(len(data)))
            detector = _load_detector(file["detector"])
            return cls(detector, payloads, _load_truths(file["truth"]), int(file.attrs["seed"]))


def prepare_pool(
    simulator: StillSimulator, n_images: int, hit_fraction: float, *, double_fraction: float = 0.0, seed: int = 0
) -> StillPool:
    """Simulate and compress a pool of `n_images`.

    `hit_fraction` of the images are hits, and `double_fraction` of the hits have two lattices instead of one, both
    rounded to whole images. An image depends on `seed`, its number and what kind it is alone.
    Raises ValueError for fractions outside 0 to 1.
    """
    if not (0.0 <= hit_fraction <= 1.0 and 0.0 <= double_fraction <= 1.0):
        raise ValueError(
            f"hit and double fraction must lie between 0 and 1, found {hit_fraction} and {double_fraction}"
        )
    n_hits = round(n_images * hit_fraction)
    n_lattices = np.zeros(n_images, int)
    n_lattices[:n_hits] = 1
    n_lattices[: round(n_hits * double_fraction)] = 2
    np.random.default_rng(seed).shuffle(n_lattices)
    payloads, truths = [], []
    for number, lattices in enumerate(n_lattices):
        image, truth = simulator.simulate(np.random.default_rng([seed, number]), int(lattices))
        payloads.append(bslz4_chunk(image))
        truths.append(truth)
    return StillPool(simulator.detector, tuple(payloads), tuple(truths), seed)


@lru_cache(maxsize=4)
def _order(seed: int, cycle: int, n: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, cycle]).permutation(n)


_FLAGS = ("flag_values", "flag_below", "flag_above")


def _save_detector(group: h5py.Group, detector: Detector) -> None:
    if detector.beam is not None:
        group.attrs["photon_energy"] = detector.beam.photon_energy
        group.attrs["bandwidth"] = detector.beam.bandwidth
    for name in _FLAGS:
        group.attrs[name] = getattr(detector, name)
    group.create_dataset("mask", data=detector.mask, **bslz4_filter())
    for field in fields(Panel):
        group.create_dataset(f"panels/{field.name}", data=[getattr(panel, field.name) for panel in detector.panels])


def _load_detector(group: h5py.Group) -> Detector:
    # Names are stored as HDF5 strings, which h5py reads as bytes; the rest as numbers and rows of three.
    rows = zip(*(group[f"panels/{field.name}"][()].tolist() for field in fields(Panel)), strict=True)
    panels = tuple(
        Panel(name.decode(), f0, f1, s0, s1, tuple(corner), tuple(fs), tuple(ss), max_adu)
        for name, f0, f1, s0, s1, corner, fs, ss, max_adu in rows
    )
    mask = group["mask"][()]
    known = "photon_energy" in group.attrs
    beam = Beam(float(group.attrs["photon_energy"]), float(group.attrs["bandwidth"])) if known else None
    values, below, above = (group.attrs[name].tolist() for name in _FLAGS)
    return Detector(panels, mask.shape, beam, mask, tuple(values), below, above)


def _save_truths(group: h5py.Group, truths: tuple[StillTruth, ...]) -> None:
    group["hit"] = [truth.is_hit for truth in truths]
    group["pulse_energy"] = [truth.pulse_energy for truth in truths]
    group["lattice_frame"] = np.repeat(np.arange(len(truths)), [len(truth.A) for truth in truths])
    group["A"] = np.concatenate([truth.A for truth in truths])
    group["A"].attrs["rows"] = "a, b, c; lab frame: x = +fs, y = +ss, z = along the beam"
    group["A"].attrs["units"] = "Angstrom"
    group["crystal_size"] = np.concatenate([truth.crystal_size for truth in truths])
    group["reflections/frame"] = np.repeat(np.arange(len(truths)), [len(truth.reflections) for truth in truths])
    for field in fields(TrueReflections):
        values = [getattr(truth.reflections, field.name) for truth in truths]
        group[f"reflections/{field.name}"] = np.concatenate(values)


def _load_truths(group: h5py.Group) -> tuple[StillTruth, ...]:
    pulse_energy, lattice_frame = group["pulse_energy"][()], group["lattice_frame"][()]
    A, crystal_size = group["A"][()], group["crystal_size"][()]
    frame = group["reflections/frame"][()]
    reflections = TrueReflections(*(group[f"reflections/{field.name}"][()] for field in fields(TrueReflections)))
    return tuple(
        StillTruth(A[lattice_frame == n], crystal_size[lattice_frame == n], float(energy), reflections[frame == n])
        for n, energy in enumerate(pulse_energy)
    )
