"""How fast stills are simulated: python benchmarks/simulation.py [--images N].

Times the demonstration's simulator (lysozyme on an EIGER2 4M) on one core: set-up, one image with 0, 1 and 2 lattices,
compression, and a whole pool; and says how much memory the process ever held.
"""

import argparse
import resource
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from braggwatch.processing.compression import bslz4_chunk
from braggwatch.processing.simulation import demo_simulator, prepare_pool


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=24, help="images in the pool, and repeats of each timing")
    n = parser.parse_args().images
    start = time.perf_counter()
    simulator = demo_simulator()
    simulator.simulate(0)
    print(f"set-up and first image (with compilation, if not cached)  {time.perf_counter() - start:7.2f} s")
    for lattices in (0, 1, 2):
        taken = [seconds(partial(simulator.simulate, seed, lattices)) for seed in range(n)]
        print(
            f"image with {lattices} lattices: "
            f"minimum {min(taken) * 1e3:6.1f} ms, median {np.median(taken) * 1e3:6.1f} ms"
        )
    image, _ = simulator.simulate(1)
    taken = [seconds(lambda: bslz4_chunk(image)) for _ in range(n)]
    print(f"compression to {len(bslz4_chunk(image)) / 1e6:.2f} MB: median {np.median(taken) * 1e3:6.1f} ms")
    print(f"pool of {n} images, half of them hits: {seconds(lambda: prepare_pool(simulator, n, 0.5)):6.2f} s")
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


if __name__ == "__main__":
    main()
