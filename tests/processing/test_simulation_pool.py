"""The pool of compressed stills, and whether the rest of the house sees in it what is there."""

from pathlib import Path

import gemmi
import h5py
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from braggwatch.processing.beam import Beam
from braggwatch.processing.compression import bslz4_chunk
from braggwatch.processing.detector import Detector
from braggwatch.processing.indexer import Indexer
from braggwatch.processing.peak_finder import PeakFinder
from braggwatch.processing.simulation import LYSOZYME, StillPool, StillSimulator, demo_simulator, prepare_pool


@pytest.fixture(scope="module")
def simulator() -> StillSimulator:
    mask = np.zeros((300, 310), bool)
    mask[140:150] = True
    detector = Detector.single_panel(
        (300, 310), pixel_size=3e-4, distance=0.1, beam_center=(154.0, 145.0), mask=mask, flag_values=(65534.0,)
    )
    return StillSimulator(detector.with_beam(Beam(12398.42, 0.002)), LYSOZYME)


@pytest.fixture(scope="module")
def pool(simulator: StillSimulator) -> StillPool:
    return prepare_pool(simulator, 10, 0.6, double_fraction=0.34, seed=4)


def test_a_pool_has_the_hits_and_double_hits_asked_for(pool: StillPool) -> None:
    assert sorted(len(truth.A) for truth in pool.truths) == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2]


def test_every_cycle_shows_each_image_once_in_an_order_of_its_own(pool: StillPool) -> None:
    cycles = [[pool.index(10 * cycle + place) for place in range(10)] for cycle in range(20)]
    assert all(sorted(cycle) == list(range(10)) for cycle in cycles)
    assert len({tuple(cycle) for cycle in cycles}) == 20
    assert [pool.index(n) for n in (57, 3, 57)] == [cycles[5][7], cycles[0][3], cycles[5][7]]


def test_what_a_frame_shows_is_what_its_truth_says(pool: StillPool, simulator: StillSimulator) -> None:
    for number in (0, 13, 10_000_000):
        image, truth = pool.image(number), pool.truth(number)
        again, same = simulator.simulate(np.random.default_rng([4, pool.index(number)]), len(truth.A))
        np.testing.assert_array_equal(image, again)
        np.testing.assert_array_equal(truth.A, same.A)


def test_the_kind_of_a_frame_has_no_rhythm(pool: StillPool) -> None:
    hits = np.array([pool.truth(n).is_hit for n in range(2000)], float)
    for lag in (5, 10, 20, 30):
        assert abs(np.corrcoef(hits[lag:], hits[:-lag])[0, 1]) < 0.12


def test_payloads_are_chunks_as_hdf5_stores_them(pool: StillPool, tmp_path: Path) -> None:
    payload = pool.payload(0)
    assert payload[:12] == (300 * 310 * 2).to_bytes(8, "big") + (8192).to_bytes(4, "big")
    path = tmp_path / "pool.h5"
    pool.save(path)
    with h5py.File(path) as file:
        data = file["entry/data/data"]
        assert data.shape == (10, 300, 310) and data.dtype == np.uint16
        for index in range(10):
            np.testing.assert_array_equal(data[index], pool.image([pool.index(n) for n in range(10)].index(index)))


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (64, 64), (100, 129)])
def test_images_of_any_size_can_be_compressed_and_read_back_by_hdf5(shape: tuple[int, int], tmp_path: Path) -> None:
    image = np.random.default_rng(0).poisson(3.0, shape).astype(np.uint16)
    with h5py.File(tmp_path / "one.h5", "w") as file:
        data = file.create_dataset("data", shape, np.uint16, chunks=shape, compression=32008, compression_opts=(0, 2))
        data.id.write_direct_chunk((0, 0), bslz4_chunk(image))
    with h5py.File(tmp_path / "one.h5") as file:
        np.testing.assert_array_equal(file["data"][()], image)


def test_a_pool_comes_back_from_its_file_as_it_was(pool: StillPool, tmp_path: Path) -> None:
    pool.save(tmp_path / "pool.h5")
    loaded = StillPool.load(tmp_path / "pool.h5")
    assert loaded.payloads == pool.payloads
    assert [loaded.index(n) for n in range(40)] == [pool.index(n) for n in range(40)]
    for one, other in zip(pool.truths, loaded.truths, strict=True):
        assert (one.is_hit, one.pulse_energy) == (other.is_hit, other.pulse_energy)
        np.testing.assert_array_equal(one.A, other.A)
        np.testing.assert_array_equal(one.crystal_size, other.crystal_size)
        for name in ("lattice", "hkl", "fs", "ss", "panel", "partiality", "intensity", "measured"):
            before, after = getattr(one.reflections, name), getattr(other.reflections, name)
            np.testing.assert_array_equal(before, after)
            assert before.dtype == after.dtype
    assert loaded.detector.panels == pool.detector.panels
    assert (loaded.detector.shape, loaded.detector.beam) == (pool.detector.shape, pool.detector.beam)
    assert loaded.detector.flag_values == (65534.0,)
    np.testing.assert_array_equal(loaded.detector.mask, pool.detector.mask)


def test_a_pool_of_blanks_alone_comes_back_too(simulator: StillSimulator, tmp_path: Path) -> None:
    prepare_pool(simulator, 2, 0.0).save(tmp_path / "blanks.h5")
    loaded = StillPool.load(tmp_path / "blanks.h5")
    assert [truth.is_hit for truth in loaded.truths] == [False, False]
    assert loaded.truth(0).A.shape == (0, 3, 3) and loaded.truth(0).reflections.hkl.shape == (0, 3)


def test_an_existing_file_is_never_overwritten(pool: StillPool, tmp_path: Path) -> None:
    path = tmp_path / "precious.h5"
    path.write_bytes(b"precious")
    with pytest.raises(FileExistsError):
        pool.save(path)
    assert path.read_bytes() == b"precious"


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["entry/data/data"] = np.zeros((2, 3, 4), np.uint16)
    with pytest.raises(
        ValueError, match=r"other.h5 is no pool of stills: its format must be 'braggwatch still pool 1'"
    ):
        StillPool.load(tmp_path / "other.h5")


def test_a_pool_whose_images_are_stored_another_way_is_refused(pool: StillPool, tmp_path: Path) -> None:
    path = tmp_path / "pool.h5"
    pool.save(path)
    with h5py.File(path, "a") as file:
        del file["entry/data/data"]
        file["entry/data/data"] = np.zeros((10, 300, 310), np.int32)
    with pytest.raises(ValueError, match=r"expected images of uint16, one a chunk, found int32 of shape"):
        StillPool.load(path)


def test_an_empty_pool_is_refused(simulator: StillSimulator) -> None:
    with pytest.raises(ValueError, match=r"at least one image and a truth for each, found 0 images and 0 truths"):
        prepare_pool(simulator, 0, 0.5)


@pytest.mark.parametrize(("hits", "doubles"), [(1.1, 0.0), (-0.1, 0.0), (0.5, 2.0)])
def test_fractions_that_are_none_are_refused(simulator: StillSimulator, hits: float, doubles: float) -> None:
    with pytest.raises(ValueError, match=r"must lie between 0 and 1, found"):
        prepare_pool(simulator, 4, hits, double_fraction=doubles)


def misorientation(A: NDArray[np.float64], B: NDArray[np.float64]) -> float:
    """Smallest angle between two lattices of lysozyme over the rotations of its point group, degrees."""
    angles = []
    for operation in LYSOZYME.group.operations().sym_ops:
        turned = (np.array(operation.rot) / gemmi.Op.DEN).T @ B
        u, _, v = np.linalg.svd(np.linalg.inv(turned) @ A)
        angles.append(np.degrees(np.arccos(np.clip((np.trace(u @ v) - 1.0) / 2.0, -1.0, 1.0))))
    return float(min(angles))


def test_hits_of_the_demonstration_are_found_and_indexed_as_the_truth_has_them() -> None:
    pool = prepare_pool(demo_simulator(), 24, 0.5, double_fraction=0.25, seed=1)
    find = PeakFinder(pool.detector, threshold=10.0, min_snr=5.0, local_bg_radius=5, min_radius=40.0)
    index = Indexer(LYSOZYME, max_lattices=2)
    angles = []
    for number in range(24):
        truth, peaks = pool.truth(number), find(pool.image(number))
        if not truth.is_hit:
            assert len(peaks) < 3
            continue
        assert len(peaks) >= 8
        places = np.stack([truth.reflections.fs, truth.reflections.ss], axis=1)
        distance, _ = cKDTree(places).query(np.stack([peaks.fs, peaks.ss], axis=1))
        assert np.mean(distance < 1.5) > 0.95 and np.median(distance) < 0.35
        crystals = index.index(peaks, pool.detector)
        angles += [min((misorientation(c.A, A) for c in crystals), default=180.0) for A in truth.A]
    assert len(angles) == 15
    assert np.mean(np.array(angles) < 1.0) > 0.9
    assert np.median(angles) < 0.05
