"""The tutorial's pyana.cfg as it stands, on a simulated CSPAD behind a socket, against plain rules in NumPy."""

import re
import shutil
import subprocess
import sys
import threading
from functools import cached_property
from pathlib import Path
from typing import Any

import fabio
import h5py
import numpy as np
from cspad_frames import ASIC, CspadPixels, raw_frame
from numpy.typing import NDArray
from programs import query
from slow_spots import Limits, slow_spots

from braggwatch.processing.compression import bslz4_chunk
from braggwatch.processing.crystal import misorientation
from braggwatch.processing.detector import Detector
from braggwatch.processing.frame import Encoding, Frame, Series
from braggwatch.processing.panel import Panel
from braggwatch.processing.simulation.background import Background
from braggwatch.processing.simulation.demo import LYSOZYME
from braggwatch.processing.simulation.prediction import Spread
from braggwatch.processing.simulation.still import StillSimulator
from braggwatch.streamer.daq_simulator.settings import SimulatorSettings
from braggwatch.streamer.daq_simulator.simulator import Simulator

ROOT = Path(__file__).resolve().parents[2]
CALIB_DIR = "CSPad/run4/CxiDs1.0:Cspad.0"
THRESHOLD, MIN_PEAKS = 450.0, 16
LIMITS = Limits(signal_height=5.0, spot_height=5.0, area=2, area_factor=20.0)
FINEST, COARSEST = 2.2, 40.0
IGNORED_TILES = (5, 63)
"""What pyana.cfg and the PHIL files that it names say, in ADU, standard deviations, pixels and Angstrom."""
WHERE_TO = """
[my_ana_pkg.mod_dump:hit]
out_dirname = hits
out_basename = hit-
out_format = tiff
"""
"""What the tutorial leaves to its readers; the other dump stays as it is."""
N_BROKEN = 4000


class OlderRules:
    """What mod_hitfind did with these settings, in plain NumPy; nothing of it is shared with the program."""

    def __init__(self, detector: Detector, pixels: CspadPixels) -> None:
        self._panels, self._pixels = detector.panels, pixels
        assert detector.beam is not None
        self._wavelength = 12398.4198 / detector.beam.photon_energy

    @cached_property
    def nearest(self) -> list[int]:
        """The eight ASICs nearest the beam."""
        middles = [_position(panel, np.array(panel.shape) / 2) for panel in self._panels]
        return [int(number) for number in np.argsort([np.hypot(x, y) for x, y, _ in middles])[:8]]

    @cached_property
    def usable(self) -> NDArray[np.bool_]:
        """Pixels that vary in the dark, on no tile that is left out, within the limits of resolution."""
        usable = self._pixels.noise > 0
        for number, panel in enumerate(self._panels):
            x, y, z = _position(panel, np.indices(panel.shape) + 0.5)
            d = self._wavelength / (2 * np.sin(np.arctan2(np.hypot(x, y), z) / 2))
            usable[panel.slices] &= (d >= FINEST) & (d <= COARSEST) & (number not in IGNORED_TILES)
        return usable

    def heights(self, frame: NDArray[np.uint16]) -> list[float]:
        """Return the highest pixel of each spot that counts, ADU, sorted."""
        image = np.where(self.usable, frame - self._pixels.dark, np.nan)
        inner = tuple(self._panels[number] for number in self.nearest)
        spots = slow_spots(image, inner, LIMITS, self._pixels.noise)
        return sorted(spot.max_value for spot in spots if spot.max_value > THRESHOLD)


def _position(panel: Panel, ss_fs: NDArray[Any]) -> tuple[NDArray[np.float64], ...]:
    ss, fs = ss_fs
    x, y, z = (panel.corner[axis] + fs * panel.fs[axis] + ss * panel.ss[axis] for axis in range(3))
    return x, y, z


class Scene:
    """Makes frames whose decision hangs on one rule each."""

    def __init__(self, detector: Detector) -> None:
        self.detector = detector
        self.rng = np.random.default_rng(7)
        self.pixels = CspadPixels.draw(detector, self.rng, N_BROKEN)
        self.rules = OlderRules(detector, self.pixels)
        self._simulator = StillSimulator(
            detector, LYSOZYME, d_min=FINEST, photons=4000.0, spread=Spread(1000, 0.05), spot_size=0.7,
            background=Background(0.4), beam_stop=0.003,
        )  # fmt: skip
        self._blank = self._simulator.simulate(0, 0)[0]
        self.lattices: dict[int, NDArray[np.float64]] = {}
        """By frame number, the crystal in it."""

    def frames(self) -> list[NDArray[np.uint16]]:
        """Return the frames as the detector sends them."""
        rules, rng = self.rules, self.rng
        inner = np.isin(self.detector.panel_map, rules.nearest)
        counted = rules.usable & (self.pixels.noise < 10)
        spot = np.array([[0, 1, 0], [1, 2, 1], [0, 1, 0]]) * 30
        photons: list[NDArray[Any]] = [
            self._blank,
            self._crystal(1, seed=1),
            self._with((15, counted & inner, spot), (60, counted & ~inner, spot)),
            self._with((16, counted & inner, spot)),
            self._with((15, counted & inner, spot), (10, counted & inner, np.full((7, 7), 60))),
            self._crystal(5, seed=2),
            rng.binomial(self._crystal(6, seed=3), 0.1),
            self._with((30, counted & inner, spot * 3 // 4)),
            self._with((200, counted & inner, np.full((1, 1), 200))),
        ]
        del self.lattices[6]
        return [raw_frame(self.detector, counts, self.pixels, rng) for counts in photons]

    def _crystal(self, number: int, seed: int) -> NDArray[np.uint16]:
        image, truth = self._simulator.simulate(seed)
        (self.lattices[number],) = truth.A
        return image

    def _with(self, *wanted: tuple[int, NDArray[np.bool_], NDArray[np.int64]]) -> NDArray[np.uint16]:
        """Return a blank with so many spots, at places all around which is true, of so many photons in each pixel."""
        image = self._blank.copy()
        for n, where, spot in wanted:
            half = len(spot) // 2
            for row, column in self._places(where, n):
                image[row - half : row + half + 1, column - half : column + half + 1] += spot.astype(np.uint16)
        return image

    def _places(self, where: NDArray[np.bool_], n: int) -> list[tuple[int, int]]:
        n_ss, n_fs = ASIC
        on_grid = [
            (panel.ss_start + ss, panel.fs_start + fs)
            for panel in self.detector.panels
            for ss in range(10, n_ss - 10, 12)
            for fs in range(10, n_fs - 10, 12)
        ]
        free = [(r, c) for r, c in on_grid if where[r - 4 : r + 5, c - 4 : c + 5].all()]
        return [free[i] for i in self.rng.permutation(len(free))[:n]]


def prepare_folder(folder: Path, shared: Path, pixels: CspadPixels) -> None:
    """Lay out what the user has: the file with all that it names, darks as pickles, converted as the docs say."""
    shutil.copytree(ROOT / "tests" / "data" / "pyana", folder, dirs_exist_ok=True)
    with (folder / "pyana.cfg").open("a") as file:
        file.write(WHERE_TO)
    (folder / CALIB_DIR).mkdir(parents=True)
    shutil.copy(shared / "real" / "thermolysin_cspad.geom", folder / CALIB_DIR)
    text = (ROOT / "docs" / "converting-pickles.md").read_text()
    (script,) = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    (folder / "convert_pickle.py").write_text(script)
    names = {"Ds1-r0066-avg.pickle": pixels.dark, "Ds1-r0066-stddev.pickle": pixels.noise}
    for name, image in names.items():
        np.save(folder / "image.npy", image)
        make = f"import numpy, pickle; pickle.dump({{'DATA': numpy.load('image.npy')}}, open('{name}', 'wb'), 2)"
        subprocess.run([sys.executable, "-c", make], cwd=folder, check=True)
    subprocess.run([sys.executable, "convert_pickle.py", *names], cwd=folder, check=True, capture_output=True)


def process_stream(folder: Path, detector: Detector, images: list[NDArray[np.uint16]]) -> None:
    """Run `braggwatch process` on the folder's pyana.cfg, with the images as a series from a socket."""
    frames = [
        Frame(
            series="", number=number, payload=bslz4_chunk(image), shape=image.shape, dtype="uint16",
            encoding=Encoding("bslz4", "hdf5"),
        )
        for number, image in enumerate(images)
    ]  # fmt: skip
    series = Series(key="", number=66, name="CXI", shape=detector.shape, dtype="uint16", frame_time=0.01)
    settings = SimulatorSettings(address="tcp://127.0.0.1:*", n_frames=len(frames))
    with Simulator(settings, frames, series) as simulator:
        sender = threading.Thread(target=simulator.run)
        sender.start()
        try:
            done = subprocess.run(
                [
                    sys.executable, "-m", "braggwatch.streamer", "process", "--config", "pyana.cfg",
                    "--source", simulator.address, "--series", "1", "--no-view",
                    "-s", "engine.workers=1", "-s", "hub.drop=never", "-s", "feed.address=tcp://127.0.0.1:*",
                ],
                cwd=folder, capture_output=True, text=True, check=False, timeout=170,
            )  # fmt: skip
        finally:
            simulator.stop()
            sender.join()
    assert done.returncode == 0, done.stderr


def dumped_frames(path: Path) -> list[int]:
    with h5py.File(path) as file:
        return [int(number) for number in file["/entry/frames/number"]]


def heights_in_record(record: Path, number: int, panels: list[int]) -> list[float]:
    """Return the highest pixel of the spots of a hit on some panels, as the record has them, sorted."""
    ((blob,),) = query(record, f"SELECT peaks FROM hits WHERE number = {number}")
    peaks = np.frombuffer(blob, np.dtype([("fs", "<f4"), ("ss", "<f4"), ("i", "<f4"), ("max", "<f4"), ("rest", "V8")]))
    on_panels = np.isin(peaks["ss"] // ASIC[0], panels)
    return sorted(float(value) for value in peaks["max"][on_panels])


def test_the_tutorials_file_decides_on_a_stream_of_cspad_frames_as_the_older_rules_do(
    tmp_path: Path, shared: Path
) -> None:
    scene = Scene(Detector.from_crystfel(shared / "real" / "thermolysin_cspad.geom"))
    images = scene.frames()
    heights = [scene.rules.heights(image) for image in images]
    hits = [number for number, found in enumerate(heights) if len(found) >= MIN_PEAKS]
    assert [len(heights[number]) for number in (0, 2, 3, 4, 8)] == [0, 15, 16, 15, 0]

    prepare_folder(tmp_path, shared, scene.pixels)
    process_stream(tmp_path, scene.detector, images)

    record = tmp_path / "braggwatch.sqlite"
    states = dict(query(record, "SELECT frames.number, states.name FROM frames JOIN states ON code = state"))
    assert {number: state in ("hit", "indexed") for number, state in states.items()} == {
        number: number in hits for number in range(len(images))
    }
    for number in hits:
        np.testing.assert_allclose(
            heights_in_record(record, number, scene.rules.nearest), heights[number], rtol=1e-6, err_msg=str(number)
        )
    names = [f"hit-20260101000000{10 * number:03d}_{number:05d}.tiff" for number in hits]
    assert sorted(path.name for path in (tmp_path / "hits").iterdir()) == names
    with fabio.open(tmp_path / "hits" / names[0]) as tiff:
        pixels = scene.pixels
        expected = (images[hits[0]] - pixels.dark)[pixels.noise > 0]
        np.testing.assert_allclose(tiff.data[pixels.noise > 0], expected, atol=1e-3)
        assert '"DETECTOR_ADDRESS":"CxiDs1-0|Cspad-0"' in tiff.header["imageDescription"]
    (indexed_file,) = tmp_path.glob("dumps/indexed_*.h5")
    assert dumped_frames(indexed_file) == sorted(scene.lattices)
    with h5py.File(indexed_file) as file:
        for found, expected in zip(file["/entry/crystals/A"][:], scene.lattices.values(), strict=True):
            assert misorientation(found, expected, LYSOZYME) < 1.0
    (stream,) = tmp_path.glob("integration/*.stream")
    assert stream.read_text().count("Begin crystal") == len(scene.lattices)
    for number, expected in scene.lattices.items():
        with h5py.File(tmp_path / "integration" / f"index_20260101000000{10 * number:03d}_{number:05d}.h5") as file:
            assert misorientation(file["lattice_0/crystal"]["A"][0], expected, LYSOZYME) < 1.0
            assert file.attrs["detector_address"] == "CxiDs1-0|Cspad-0"
    assert len(list(tmp_path.glob("integration/index_*.h5"))) == len(scene.lattices)
