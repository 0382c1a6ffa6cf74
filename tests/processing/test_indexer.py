"""The indexer on real spots with answers of other programs, and on frames with truth."""

from pathlib import Path

import numpy as np
import pytest
from indexing_truth import (
    F64,
    cell_of,
    crystfel_peaks,
    cspad_stills,
    ewald,
    misorientation,
    real_list,
    spots_anywhere,
    still,
    thaumatin,
    thermolysin,
)

from braggwatch.processing.detector import Detector
from braggwatch.processing.indexer import Indexer
from braggwatch.processing.peaks import Peaks
from braggwatch.processing.unit_cell import UnitCell

LYSOZYME = cell_of("tP")
LISTS = [f"image{i}_{finder}.txt" for i in range(5) for finder in ("local", "peakfinder8", "radial")]


def peaks_at(fs: F64, ss: F64, panel: F64) -> Peaks:
    one, size = np.ones(len(fs), np.float32), np.ones(len(fs), np.int32)
    return Peaks(fs.astype(np.float32), ss.astype(np.float32), panel.astype(np.int16), one, one, one, size, one)


@pytest.mark.parametrize("name", [*LISTS, "test0.txt", "test1.txt"])
def test_a_real_list_is_indexed_with_its_cell(shared: Path, name: str) -> None:
    cell, q = real_list(shared / "spots" / name)
    (crystal,) = Indexer(cell)(q)
    assert crystal.cell[:3] == pytest.approx(cell.parameters[:3], rel=0.03)
    assert crystal.cell[3:] == pytest.approx(cell.parameters[3:], abs=2.0)
    assert np.linalg.det(crystal.A) > 0
    assert crystal.n_indexed > 0.5 * len(q)


@pytest.mark.parametrize("finder", ["local", "peakfinder8", "radial"])
def test_image0_has_the_published_orientation(shared: Path, finder: str) -> None:
    cell, q = real_list(shared / "spots" / f"image0_{finder}.txt")
    (crystal,) = Indexer(cell)(q)
    published = np.array([[-29.096, 20.499, 9.895], [39.431, 25.274, 63.585], [28.514, 60.643, -41.787]])
    published *= np.sign(np.linalg.det(published))
    assert misorientation(crystal.A, published) < 1.0


def test_every_hit_of_the_simulated_frames_is_indexed_as_it_was_made(shared: Path) -> None:
    detector = Detector.from_crystfel(shared / "frames" / "lysozyme_4m.geom")
    indexer = Indexer(LYSOZYME)
    errors, pixels = [], []
    for _, peaks, (truth,) in crystfel_peaks(shared / "frames" / "lysozyme_4m.h5"):
        (crystal,) = indexer.index(peaks_at(peaks[:, 0], peaks[:, 1], np.zeros(len(peaks))), detector)
        errors.append(misorientation(crystal.A, truth))
        pixels.append(crystal.rmsd_px)
    assert len(errors) == 16
    assert max(errors) < 0.1
    assert np.median(errors) < 0.03
    assert max(pixels) < 3.0


def test_both_lattices_of_a_double_hit_are_found(shared: Path) -> None:
    detector = Detector.from_crystfel(shared / "frames" / "lysozyme_4m.geom")
    indexer = Indexer(LYSOZYME, max_lattices=2)
    double = 0
    for _, peaks, truths in crystfel_peaks(shared / "frames" / "lysozyme_4m_hard.h5"):
        if len(truths) == 2:
            crystals = indexer(detector.q(peaks[:, 0], peaks[:, 1]))
            assert [min(misorientation(c.A, truth) for c in crystals) < 0.2 for truth in truths] == [True, True]
            assert not set(crystals[0].spots) & set(crystals[1].spots)
            assert crystals[0].n_indexed >= crystals[1].n_indexed
            double += 1
    assert double == 4


def test_stills_of_a_free_electron_laser_are_indexed_as_dials_indexed_them(shared: Path) -> None:
    indexer = Indexer(LYSOZYME)
    errors = []
    for q, truth in cspad_stills(shared / "spots" / "lcls_cspad_lysozyme.npz"):
        found = indexer(q)
        errors.append(misorientation(found[0].A, truth) if found else 180.0)
    assert np.mean(np.array(errors) < 1.0) >= 0.99


def test_cubic_crystals_among_many_false_spots_get_their_cell(shared: Path) -> None:
    indexer = Indexer(cell_of("cP"), max_lattices=3)
    with np.load(shared / "spots" / "i24_cunir.npz") as data:
        for number in range(3):
            q = ewald(data["lab_mm"][data["frame"] == number].astype(float), float(data["wavelength"][number]))
            crystals = indexer(q)
            assert crystals[0].cell[:3] == pytest.approx((96.4, 96.4, 96.4), rel=0.01)
            assert min(misorientation(c.A, np.linalg.inv(data["recip"][number])) for c in crystals) < 0.2


def test_thermolysin_is_indexed_as_dials_indexed_it(shared: Path) -> None:
    indexer = Indexer(UnitCell(92.9, 92.9, 130.4, 90, 90, 120, "P 61 2 2"))
    for detector, dials in thermolysin(shared):
        (crystal,) = indexer.index(peaks_at(dials["fs"], dials["ss"], dials["panel"]), detector)
        assert crystal.cell[:3] == pytest.approx(dials["cell"][:3], rel=0.01)
        assert misorientation(crystal.A, dials["A"]) < 1.0
        assert crystal.n_indexed > 0.9 * len(dials["fs"])


def test_thaumatin_with_its_long_axis_is_indexed_as_dials_indexed_it(shared: Path) -> None:
    indexer = Indexer(UnitCell(58.4, 58.4, 152.3, 90, 90, 90, "P 41 21 2"))
    seen = 0
    for detector, dials in thaumatin(shared):
        (crystal,) = indexer.index(peaks_at(dials["fs"], dials["ss"], dials["panel"]), detector)
        assert crystal.cell[:3] == pytest.approx(dials["cell"][:3], rel=0.01)
        assert misorientation(crystal.A, dials["A"]) < 1.0
        seen += 1
    assert seen == 5


def test_miller_indices_and_distances_describe_the_spots_they_are_given_for() -> None:
    rng = np.random.default_rng(3)
    _, q = still(LYSOZYME, rng, 60)
    q = np.concatenate([spots_anywhere(rng, rng.uniform(0.05, 0.4, 30)), q])
    (crystal,) = Indexer(LYSOZYME)(q)
    assert crystal.hkl.dtype == np.int32
    miss = np.linalg.norm(crystal.hkl @ crystal.A_star - q[crystal.spots], axis=1)
    assert np.array_equal(crystal.hkl, np.round(q[crystal.spots] @ crystal.A.T))
    assert crystal.rmsd_q == pytest.approx(np.sqrt(np.mean(miss**2)))
    assert np.mean(crystal.spots >= 30) > 0.95


def test_distances_in_pixels_are_those_of_the_predicted_rays(shared: Path) -> None:
    detector = Detector.from_crystfel(shared / "frames" / "lysozyme_4m.geom")
    _, peaks, _ = next(crystfel_peaks(shared / "frames" / "lysozyme_4m.h5"))
    (crystal,) = Indexer(LYSOZYME).index(peaks_at(peaks[:, 0], peaks[:, 1], np.zeros(len(peaks))), detector)
    ray = crystal.hkl @ crystal.A_star + [0.0, 0.0, 12398.42 / 12398.419843320026]
    fs = 0.15 * ray[:, 0] / ray[:, 2] / 75e-6 + 1034.3
    ss = 0.15 * ray[:, 1] / ray[:, 2] / 75e-6 + 1081.6
    miss = np.column_stack([fs, ss]) - peaks[crystal.spots]
    assert crystal.rmsd_px == pytest.approx(float(np.sqrt(np.mean((miss**2).sum(axis=1)))), rel=1e-3)


def test_random_spots_are_refused(shared: Path) -> None:
    rng = np.random.default_rng(11)
    _, real = real_list(shared / "spots" / "image0_peakfinder8.txt")
    lengths = np.linalg.norm(real, axis=1)
    indexer = Indexer(LYSOZYME)
    accepted = 0
    for n in np.geomspace(20, 860, 100).astype(int):
        accepted += bool(indexer(spots_anywhere(rng, rng.choice(lengths, n))))
    assert accepted <= 1


def test_another_cell_is_not_forced_upon_a_crystal() -> None:
    _, q = still(cell_of("oP"), np.random.default_rng(5), 80)
    assert Indexer(UnitCell(49.0, 61.0, 131.0))(q) == []


@pytest.mark.parametrize("n", [0, 1, 7])
def test_too_few_spots_give_no_lattice(n: int) -> None:
    assert Indexer(LYSOZYME)(np.full((n, 3), 0.1)) == []


def test_spots_that_are_not_finite_or_at_the_origin_are_left_alone() -> None:
    _, q = still(LYSOZYME, np.random.default_rng(7), 50)
    q = np.concatenate([[[np.nan, 0.1, 0.1], [0.0, 0.0, 0.0], [np.inf, 0.0, 0.0]], q])
    (crystal,) = Indexer(LYSOZYME)(q)
    assert crystal.spots.min() >= 3
    assert Indexer(LYSOZYME)(np.zeros((40, 3))) == []
    assert Indexer(LYSOZYME)(np.full((40, 3), np.nan)) == []


def test_float32_and_strided_spots_give_the_same_lattice() -> None:
    _, q = still(LYSOZYME, np.random.default_rng(8), 50)
    (expected,) = Indexer(LYSOZYME)(q)
    (single,) = Indexer(LYSOZYME)(q.astype(np.float32))
    wide = np.zeros((100, 6))
    wide[::2, ::2] = q
    (strided,) = Indexer(LYSOZYME)(wide[::2, ::2])
    assert np.allclose(single.A, expected.A, atol=1e-3)
    assert np.array_equal(strided.A, expected.A)


def test_spots_of_the_wrong_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"array \(n, 3\) of q in 1/Angstrom, found shape \(3, 4\)"):
        Indexer(LYSOZYME)(np.zeros((3, 4)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"length_tolerance": 0.0}, "length_tolerance is a fraction between 0 and 0.5, found 0.0"),
        ({"angle_tolerance": 40.0}, "angle_tolerance must lie between 0 and 30 degrees, found 40.0"),
        ({"min_spots": 3}, "min_spots must be 4 or more, found 3: three spots fit any lattice"),
        ({"max_lattices": 0}, "max_lattices must be 1 or more, found 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Indexer(LYSOZYME, **settings)


def test_peaks_need_a_photon_energy() -> None:
    detector = Detector.single_panel((10, 10), pixel_size=1e-4, distance=0.1, beam_center=(5.0, 5.0))
    with pytest.raises(ValueError, match="photon energy is unknown"):
        Indexer(LYSOZYME).index(peaks_at(np.ones(20), np.ones(20), np.zeros(20)), detector)
