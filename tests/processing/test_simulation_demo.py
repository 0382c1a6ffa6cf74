"""The demonstration's experiment beside the reference frames that CrystFEL simulated."""

from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401 - registers the frames' compression
import numpy as np
from numpy.typing import NDArray

from braggwatch.processing.detector import Detector
from braggwatch.processing.peak_finder import PeakFinder
from braggwatch.processing.simulation import demo_detector, demo_simulator, prepare_pool


def test_the_demonstrations_detector_is_that_of_the_reference_frames(shared: Path) -> None:
    ours, reference = demo_detector(), Detector.from_crystfel(shared / "frames" / "lysozyme_4m.geom")
    with h5py.File(shared / "frames" / "lysozyme_4m.h5") as file:
        np.testing.assert_array_equal(ours.mask, file["mask"][()].astype(bool))
    assert ours.shape == reference.shape
    np.testing.assert_allclose(ours.panels[0].corner, reference.panels[0].corner, atol=1e-9)
    assert ours.beam is not None and reference.beam is not None
    assert abs(ours.beam.photon_energy - reference.beam.photon_energy) < 1e-6


def radial_profile(image: NDArray[np.uint16], radius: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean in rings of 50 pixels, those of the gaps left out."""
    good = image < 65535
    return np.asarray(np.bincount(radius[good], image[good])[:28] / np.bincount(radius[good])[:28])


def test_backgrounds_spots_and_sizes_are_like_those_of_the_reference_frames(shared: Path) -> None:
    detector = demo_detector()
    radius = (detector.pixel_radius[::4, ::4] / 50).astype(np.int64)
    find = PeakFinder(detector, threshold=10.0, min_snr=5.0, local_bg_radius=5, min_radius=40.0)
    pool = prepare_pool(demo_simulator(), 24, 2 / 3, seed=3)
    with h5py.File(shared / "frames" / "lysozyme_4m.h5") as file:
        data, hit = file["entry/data/data"], file["truth/hit"][()]
        real = [data[n] for n in range(24)]
        real_size = np.mean([data.id.get_chunk_info_by_coord((n, 0, 0)).size for n in range(24)])
    simulated = [pool.image(n) for n in range(24)]
    is_hit = np.array([pool.truth(n).is_hit for n in range(24)])
    profiles = [
        np.mean(
            [
                radial_profile(image[::4, ::4], radius)
                for image, crystal in zip(images, hits, strict=True)
                if not crystal
            ],
            0,
        )
        for images, hits in ((real, hit), (simulated, is_hit))
    ]
    shape = profiles[1][1:] / profiles[0][1:]
    assert 0.7 < shape.mean() < 1.4
    np.testing.assert_allclose(shape / shape.mean(), 1.0, atol=0.12)
    n_real, n_simulated = ([len(find(image)) for image in images] for images in (real, simulated))
    ratio = np.median(np.array(n_simulated)[is_hit]) / np.median(np.array(n_real)[hit])
    assert 0.5 < ratio < 2.0
    assert max(np.array(n_simulated)[~is_hit]) < 3
    assert np.mean([len(payload) for payload in pool.payloads]) / real_size < 1.2
    assert np.mean([len(payload) for payload in pool.payloads]) / real_size > 0.8
