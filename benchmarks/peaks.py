"""Peak finding on one core, against the C++ peakfinder8 of OM (ondamonitor 23.8.3 on PyPI).

    python benchmarks/peaks.py --om-python VENV/bin/python      an environment that has ondamonitor
    python benchmarks/peaks.py --make-om-venv VENV              make one first (needs the network)
    python benchmarks/peaks.py                                  without the peer

Frames, geometry and CrystFEL's lists come from ../shared (`--shared`). Both programs take turns on the same frames, on
the same core. A frame's time is its best of all repeats, which keeps other load out; the table has the mean over the
frames, and the median of all single times. The peer gets its float32 images ready-made and only its compiled function
is timed; Braggwatch is given the detector's uint16, and everything from image to spots counts.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401 (registers the compression of the frames)
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from braggwatch.processing.decompression import decompress
from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Encoding
from braggwatch.processing.peak_finder import PeakFinder

OM = "ondamonitor==23.8.3"
OPTIONS: dict[str, Any] = {"threshold": 10, "min_snr": 5, "min_pixels": 2, "max_pixels": 200, "local_bg_radius": 5}
WINDOW = (40, 1500)
"""Pixels from the beam; with `OPTIONS` what CrystFEL's lists were made with."""
MAX_PEAKS = 2048

PEER = """
import json, sys, time
import numpy as np
np.float_ = np.float64  # OM 23.8.3 still uses this name, which NumPy 2 dropped
from om.algorithms.crystallography import Peakfinder8PeakDetection
from om.algorithms._crystallography import peakfinder_8
folder, repeats, o = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
images = np.load(folder + "/images.npy").astype(np.float32)
radius, good = np.load(folder + "/radius.npy"), np.load(folder + "/good.npy")
ss, fs = radius.shape
found = {}
for mode in ("exact", "sampled"):
    finder = Peakfinder8PeakDetection(
        radius_pixel_map=radius, layout_info=dict(asic_nx=fs, asic_ny=ss, nasics_x=1, nasics_y=1),
        crystallography_parameters=dict(
            max_num_peaks=o["max_peaks"], adc_threshold=float(o["threshold"]), minimum_snr=float(o["min_snr"]),
            min_pixel_count=o["min_pixels"], max_pixel_count=o["max_pixels"], local_bg_radius=o["local_bg_radius"],
            min_res=0, max_res=100000, fast_mode=mode == "sampled",
        ),
    )
    # what find_peaks() hands to the compiled function, after its conversion of the image to float32
    statics = (
        good, radius, finder._radial_stats_num_pixels, finder._radial_stats_pixel_index, finder._radial_stats_radius,
        int(mode == "sampled"), fs, ss, 1, 1, float(o["threshold"]), float(o["min_snr"]), o["min_pixels"],
        o["max_pixels"], o["local_bg_radius"],
    )
    seconds, lists = [], []
    for image in images:
        times = []
        for _ in range(repeats):
            begin = time.perf_counter()
            peaks = peakfinder_8(o["max_peaks"], image, *statics)
            times.append(time.perf_counter() - begin)
        seconds.append(times)
        lists.append([[x + 0.5 for x in peaks[0]], [y + 0.5 for y in peaks[1]]])
    found[mode] = dict(seconds=seconds, lists=lists)
print(json.dumps(found))
"""

Lists = list[NDArray[np.float64]]
"""For each frame ``(n, 2)``: fs and ss, pixels."""


@dataclass
class Runs:
    """All timings of one program in one mode, and what it found."""

    seconds: NDArray[np.float64]
    """``(n_frames, n_repeats)``."""
    lists: Lists

    @property
    def best_ms(self) -> float:
        """Mean over the frames of each frame's best time."""
        return float(self.seconds.min(axis=1).mean()) * 1e3

    @property
    def median_ms(self) -> float:
        """Median of all single times."""
        return float(np.median(self.seconds)) * 1e3

    def joined(self, other: "Runs | None") -> "Runs":
        """Return these timings with those of an earlier round."""
        return self if other is None else Runs(np.hstack([other.seconds, self.seconds]), self.lists)


def f1(found: Lists, expected: Lists) -> float:
    """Return the F1 score of peaks that agree within one pixel."""
    same = 0
    for a, b in zip(found, expected, strict=True):
        if len(a) and len(b):
            distance, which = cKDTree(a).query(b)
            same += len(set(which[distance < 1].tolist()))
    return 2 * same / max(sum(map(len, found)) + sum(map(len, expected)), 1)


def run_braggwatch(finder: PeakFinder, images: NDArray[Any], repeats: int) -> Runs:
    finder.warm_up(images.dtype)
    seconds, lists = np.empty((len(images), repeats)), []
    for frame, image in enumerate(images):
        for repeat in range(repeats):
            begin = time.perf_counter()
            peaks = finder(image)
            seconds[frame, repeat] = time.perf_counter() - begin
        lists.append(np.stack([peaks.fs, peaks.ss], axis=1).astype(float))
    return Runs(seconds, lists)


def run_om(python: Path, folder: Path, repeats: int) -> dict[str, Runs]:
    options = json.dumps({**OPTIONS, "max_peaks": MAX_PEAKS})
    command = [str(python), "-c", PEER, str(folder), str(repeats), options]
    answer = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return {
        mode: Runs(np.array(runs["seconds"]), [np.array(found).T.reshape(-1, 2) for found in runs["lists"]])
        for mode, runs in answer.items()
    }


def compare(shared: Path, name: str, om_python: Path | None, rounds: int, repeats: int) -> None:
    with h5py.File(shared / f"frames/{name}.h5") as file:
        images, mask = file["entry/data/data"][:], file["mask"][:] != 0
        frame_of, lists = file["crystfel_peakfinder8/frame"][:], file["crystfel_peakfinder8/fs_ss_intensity"][:]
    crystfel = [lists[frame_of == frame, :2].astype(float) for frame in range(len(images))]
    detector = Detector.from_crystfel(shared / "frames/lysozyme_4m.geom").with_mask(mask)
    radius = np.ascontiguousarray(detector.pixel_radius)
    finders = {
        mode: PeakFinder(
            detector, **OPTIONS, min_radius=WINDOW[0], max_radius=WINDOW[1], max_peaks=MAX_PEAKS, statistics=mode
        )
        for mode in ("exact", "sampled")
    }
    all_runs: dict[str, Runs] = {}
    with tempfile.TemporaryDirectory() as folder:
        good = ~detector.mask & (radius > WINDOW[0]) & (radius < WINDOW[1]) & (images != 65535).all(axis=0)
        for what, array in {"images": images, "radius": radius, "good": good.astype(np.int8)}.items():
            np.save(Path(folder) / f"{what}.npy", array)
        for _ in range(rounds):
            runs = {f"Braggwatch {mode}": run_braggwatch(finder, images, repeats) for mode, finder in finders.items()}
            if om_python is not None:
                runs |= {f"OM {mode}": r for mode, r in run_om(om_python, Path(folder), repeats).items()}
            all_runs = {key: r.joined(all_runs.get(key)) for key, r in runs.items()}
    print(f"\n{name}: {len(images)} frames of {images.shape[1]} x {images.shape[2]} {images.dtype}")
    print(
        f"{'':20}{'best ms':>9}{'median ms':>11}{'OM exact /':>12}{'OM sampled /':>14}{'F1 CrystFEL':>13}{'F1 OM':>8}"
    )
    exact, sampled = all_runs.get("OM exact"), all_runs.get("OM sampled")
    for key, run in all_runs.items():
        ratios = [f"{peer.best_ms / run.best_ms:.1f}" if peer else "" for peer in (exact, sampled)]
        against_om = f"{f1(run.lists, exact.lists):.4f}" if exact else ""
        print(
            f"{key:20}{run.best_ms:9.2f}{run.median_ms:11.2f}{ratios[0]:>12}{ratios[1]:>14}"
            f"{f1(run.lists, crystfel):13.4f}{against_om:>8}"
        )


def large_frame(shared: Path, repeats: int) -> None:
    """One blank frame of an EIGER2 16M, as packed by the detector."""
    shape, dtype = (4362, 4148), "uint16"
    packed = (shared / "wire/eiger2_16m_frame_sample.bs16lz4").read_bytes()
    image = np.empty(shape, dtype)
    encoding = Encoding(algorithm="bslz4")
    decompress(packed, encoding, shape, dtype, image)
    detector = Detector.single_panel(
        shape, pixel_size=75e-6, distance=0.2, beam_center=(2074, 2181), photon_energy=12398.42, mask=image == 65535
    )
    PeakFinder(detector).warm_up(dtype)
    fresh = Detector(detector.panels, shape, detector.beam, detector.mask)
    begin = time.perf_counter()
    finder = PeakFinder(fresh)
    setup = time.perf_counter() - begin
    decoding, finding = [], []
    for _ in range(repeats):
        begin = time.perf_counter()
        decompress(packed, encoding, shape, dtype, image)
        decoded = time.perf_counter()
        finder(image)
        decoding.append(decoded - begin)
        finding.append(time.perf_counter() - decoded)
    total = np.add(decoding, finding)
    print(f"\nEIGER2 16M, blank, {shape[0]} x {shape[1]} {dtype}: set-up {setup:.2f} s (compiled before)")
    for what, seconds in (("decode", decoding), ("find", finding), ("both", total)):
        print(f"  {what:7} best {min(seconds) * 1e3:6.2f} ms, median {np.median(seconds) * 1e3:6.2f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, default=Path(__file__).resolve().parents[2] / "shared")
    parser.add_argument("--om-python", type=Path, help="python of an environment that has ondamonitor")
    parser.add_argument("--make-om-venv", type=Path, help=f"make an environment here and install {OM}")
    parser.add_argument("--rounds", type=int, default=3, help="how often both programs take turns")
    parser.add_argument("--repeats", type=int, default=3, help="how often a frame is searched in a round")
    options = parser.parse_args()
    om_python: Path | None = options.om_python
    if options.make_om_venv is not None:
        venv.create(options.make_om_venv, with_pip=True)
        om_python = options.make_om_venv / "bin/python"
        subprocess.run([om_python, "-m", "pip", "install", "--quiet", OM], check=True)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    for name in ("lysozyme_4m", "lysozyme_4m_hard"):
        compare(options.shared, name, om_python, options.rounds, options.repeats)
    large_frame(options.shared, 10 * options.repeats)


if __name__ == "__main__":
    main()
