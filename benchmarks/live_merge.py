"""What the merge beside the hub costs: python -m benchmarks.live_merge [--rate 200] [--seconds 60] [--groups 3].

Lysozyme crystals to 1.8 A, packed as workers pack them, are handed to the merge at a steady rate, with a target that is
far away, so that there is always something to foretell. Prints which part of a core the merge takes, how much memory
it holds more than at the start, and what it says of the data.
"""

import argparse
import itertools
import time

import numpy as np
import psutil

from braggwatch.processing.crystal import Crystal
from braggwatch.processing.simulation.demo import LYSOZYME, demo_detector
from braggwatch.processing.simulation.partial_intensities import PartialIntensities
from braggwatch.streamer.integrated import pack_crystals
from braggwatch.streamer.live_merge import LiveMerge
from braggwatch.streamer.merge_wording import forecast_in_words, quality_in_words
from braggwatch.streamer.settings import parse_settings

D_MIN = 1.8
DIFFERENT = 3000
"""Crystals; when they are used up they come again, with other numbers."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=200.0, help="crystals a second")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--groups", type=int, default=0, help="that the shots belong to in turn; 0: none")
    given = parser.parse_args()
    rng = np.random.default_rng(1)
    simulator = PartialIntensities(demo_detector(), LYSOZYME, d_min=D_MIN)
    crystal = Crystal(LYSOZYME.A, known=LYSOZYME)
    measured = [simulator.measure(simulator.excite(rng), rng) for _ in range(DIFFERENT)]
    names = [f"delay {number}" for number in range(given.groups)] or [""]
    packed = [
        (pack_crystals("run", number, [crystal], [one]), names[number % len(names)])
        for number, one in enumerate(measured)
    ]
    stages = ["hitfind", "index", "integrate"]
    cell = " ".join(map(str, LYSOZYME.parameters))
    settings = parse_settings(
        {
            "chain": {"stages": stages}, "index": {"cell": f"{cell} {LYSOZYME.space_group}"},
            "merge": {"d_min": D_MIN, "target_cc_half": 0.999},
        }
    )  # fmt: skip
    process = psutil.Process()
    with LiveMerge() as merge:
        merge.settings_in_force(settings)
        merge.add(*packed[0])
        while merge.take()[0] is None:
            time.sleep(0.1)  # kernels are compiled
        before, memory, start = time.process_time(), process.memory_info().rss, time.monotonic()
        own = time.thread_time()
        n = 0
        for one in itertools.islice(itertools.cycle(packed), round(given.rate * given.seconds)):
            merge.add(*one)
            n += 1
            time.sleep(max(0.0, start + n / given.rate - time.monotonic()))
        took = time.monotonic() - start
        cpu = time.process_time() - before - (time.thread_time() - own)
        more = process.memory_info().rss - memory
        merge.close()
        merging, problem = merge.take()
    assert merging is not None, problem
    print(
        f"{n / took:.0f} crystals/s, {np.mean([len(one) for one in measured]):.0f} reflections a crystal: "
        f"{100 * cpu / took:.1f} % of a core, {more / 2**20:+.0f} MiB"
    )
    print(f"{quality_in_words(merging)}; {forecast_in_words(merging.forecast)}")
    for group in merging.groups:
        print(f"{group.name}: {group.n_crystals} crystals; {forecast_in_words(group.forecast)}")


if __name__ == "__main__":
    main()
