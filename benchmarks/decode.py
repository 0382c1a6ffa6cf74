"""How long unpacking a frame takes, against other libraries, on one core.

    python benchmarks/decode.py [folder with the reference data]

Every library unpacks the same payloads in turn, so that they share whatever else the machine does; the table shows the
best and the median of all rounds in milliseconds. dectris-compression and bitshuffle are
left out where they are not installed.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # ahead of bitshuffle, which otherwise takes every core

import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import h5py
import hdf5plugin
import lz4.block
import numpy as np
from numpy.typing import NDArray

from braggwatch.processing.decompression import decompress
from braggwatch.processing.frame import Encoding

ROUNDS = 40


def main(shared: Path) -> None:
    """Print the table."""
    print(f"{'frame':24}{'MB':>6}  " + "".join(f"{name:>22}" for name in ("ours", *PEERS)))
    for name, image in frames(shared).items():
        for algorithm in ("bslz4", "bszstd", "lz4"):
            candidates = {"ours": ours(image, algorithm)} | {
                peer: make(image, algorithm) for peer, make in PEERS.items()
            }
            times = timed({peer: run for peer, run in candidates.items() if run is not None}, image)
            cells = "".join(f"{times.get(peer, ''):>22}" for peer in candidates)
            print(f"{name + ' ' + algorithm:24}{image.nbytes / 1e6:6.1f}  {cells}")


def frames(shared: Path) -> dict[str, NDArray[Any]]:
    """Return the images that are packed and unpacked."""
    with h5py.File(shared / "frames" / "lysozyme_4m.h5") as file:
        still = file["/entry/data/data"][0]
    eiger2 = np.empty((4362, 4148), np.uint16)
    payload = (shared / "wire" / "eiger2_16m_frame_sample.bs16lz4").read_bytes()
    decompress(payload, Encoding("bslz4", "hdf5"), eiger2.shape, "uint16", eiger2)
    return {"4.5 Mpx uint16": still, "4.5 Mpx uint32": still.astype(np.uint32), "EIGER2 16M": eiger2}


def timed(candidates: dict[str, Callable[[], Any]], image: NDArray[Any]) -> dict[str, str]:
    """Return best and median of each, having checked what it unpacks."""
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for name, run in candidates.items():
        found = run()
        if not np.array_equal(np.frombuffer(found, image.dtype), image.reshape(-1)):
            raise SystemExit(f"{name} unpacks something else")
    for _ in range(ROUNDS):
        for name, run in candidates.items():
            start = perf_counter()
            run()
            seconds[name].append(perf_counter() - start)
    return {name: f"{1e3 * min(t):.2f} / {1e3 * float(np.median(t)):.2f}" for name, t in seconds.items()}


def packed(image: NDArray[Any], algorithm: str) -> bytes:
    """Pack an image as the HDF5 filters do."""
    if algorithm == "lz4":  # all in one block
        total = image.nbytes.to_bytes(8, "big")
        block = lz4.block.compress(image, store_size=False)
        return b"".join((total, total[4:], len(block).to_bytes(4, "big"), block))
    return bytes(in_memory(image, algorithm).id.read_direct_chunk((0, 0, 0))[1])


def in_memory(image: NDArray[Any], algorithm: str) -> Any:
    """Return a dataset of one image in a file that is never written."""
    filters = {
        "bslz4": hdf5plugin.Bitshuffle(cname="lz4"),
        "bszstd": hdf5plugin.Bitshuffle(cname="zstd"),
        "lz4": hdf5plugin.LZ4(),
    }
    file = h5py.File(f"{id(image)} {algorithm}", "w", driver="core", backing_store=False)
    return file.create_dataset("data", data=image[None], chunks=(1, *image.shape), compression=filters[algorithm])


def ours(image: NDArray[Any], algorithm: str) -> Callable[[], Any]:
    """Into a reused array."""
    payload, out = packed(image, algorithm), np.empty_like(image)
    encoding = Encoding(algorithm, "hdf5")

    def run() -> Any:
        decompress(payload, encoding, image.shape, image.dtype.name, out)
        return out

    return run


def with_dectris(image: NDArray[Any], algorithm: str) -> Callable[[], Any] | None:
    """Into new bytes."""
    try:
        from dectris.compression import decompress as unpack
    except ImportError:
        return None
    payload = packed(image, algorithm)
    name = "bslz4" if algorithm == "bslz4" else algorithm
    return lambda: unpack(payload, name, elem_size=image.itemsize)


def with_bitshuffle(image: NDArray[Any], algorithm: str) -> Callable[[], Any] | None:
    """Into a new array."""
    if algorithm == "lz4":
        return None
    try:
        import bitshuffle
    except ImportError:
        return None
    unpack = bitshuffle.decompress_lz4 if algorithm == "bslz4" else bitshuffle.decompress_zstd
    blocks = np.frombuffer(packed(image, algorithm), np.uint8)[12:]
    return lambda: unpack(blocks, image.shape, image.dtype, 8192 // image.itemsize)


def with_hdf5plugin(image: NDArray[Any], algorithm: str) -> Callable[[], Any]:
    """From a file in memory, into a reused array."""
    data, out = in_memory(image, algorithm), np.empty_like(image)

    def run() -> Any:
        data.read_direct(out, np.s_[0])
        return out

    return run


PEERS: dict[str, Callable[[NDArray[Any], str], Callable[[], Any] | None]] = {
    "dectris-compression": with_dectris,
    "bitshuffle": with_bitshuffle,
    "hdf5plugin": with_hdf5plugin,
}


if __name__ == "__main__":
    default = Path(__file__).resolve().parents[2] / "shared"
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else default)
