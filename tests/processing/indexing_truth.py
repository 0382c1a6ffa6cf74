"""Spots of known lattices, real and simulated, and how far a found lattice is from the true one."""

import json
from collections.abc import Iterator
from pathlib import Path

import gemmi
import h5py
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from braggwatch.processing.detector import Detector
from braggwatch.processing.unit_cell import UnitCell

F64 = NDArray[np.float64]

INCIDENT = np.array([0.0, 0.0, 1.0])
"""s0 of a beam of 1 Angstrom."""

CELLS = {
    "aP": (41.0, 57.0, 83.0, 78.0, 85.0, 71.0, "P 1"),
    "mP": (54.0, 66.0, 77.0, 90.0, 104.0, 90.0, "P 1 21 1"),
    "mC": (108.0, 51.0, 73.0, 90.0, 117.0, 90.0, "C 1 2 1"),
    "oP": (45.0, 67.0, 119.0, 90.0, 90.0, 90.0, "P 21 21 21"),
    "oC": (61.0, 98.0, 75.0, 90.0, 90.0, 90.0, "C 2 2 21"),
    "oF": (92.0, 118.0, 137.0, 90.0, 90.0, 90.0, "F 2 2 2"),
    "oI": (83.0, 95.0, 126.0, 90.0, 90.0, 90.0, "I 2 2 2"),
    "tP": (79.2, 79.2, 38.0, 90.0, 90.0, 90.0, "P 43 21 2"),
    "tI": (101.0, 101.0, 154.0, 90.0, 90.0, 90.0, "I 41 2 2"),
    "hP": (92.9, 92.9, 130.4, 90.0, 90.0, 120.0, "P 61 2 2"),
    "hR": (81.0, 81.0, 190.0, 90.0, 90.0, 120.0, "R 3:H"),
    "cP": (96.4, 96.4, 96.4, 90.0, 90.0, 90.0, "P 21 3"),
    "cF": (180.0, 180.0, 180.0, 90.0, 90.0, 90.0, "F 2 3"),
    "cI": (78.0, 78.0, 78.0, 90.0, 90.0, 90.0, "I 21 3"),
}
"""A protein-like cell of each of the 14 Bravais lattices."""


def cell_of(lattice: str) -> UnitCell:
    return UnitCell(*CELLS[lattice])


def misorientation(A: F64, truth: F64) -> float:
    """Degrees between two lattices given by conventional axes as rows, the symmetry of the lattice taken off.

    180 where no whole-numbered change of axes leads from the one to the other.
    """
    change = np.round(A @ np.linalg.inv(truth))
    if round(float(np.linalg.det(change))) != 1:
        return 180.0
    rotation, _ = Rotation.align_vectors(A, change @ truth)
    return float(np.degrees(rotation.magnitude()))


def ewald(direction: F64, wavelength: float) -> F64:
    """q of scattered rays of any length."""
    rays = direction / np.linalg.norm(direction, axis=1, keepdims=True)
    return np.asarray((rays - [0.0, 0.0, 1.0]) / wavelength)


def spots_anywhere(rng: np.random.Generator, lengths: F64, wavelength: float = 1.0) -> F64:
    """Spots of no lattice at given |q|: on the Ewald sphere, at any azimuth."""
    turn = rng.uniform(0.0, 2.0 * np.pi, len(lengths))
    z = -(lengths**2) * wavelength / 2.0
    across = np.sqrt(lengths**2 - z**2)
    return np.column_stack([across * np.cos(turn), across * np.sin(turn), z])


def still(
    cell: UnitCell, rng: np.random.Generator, n: int, *, d_min: float = 2.5, noise: float = 3e-4, strain: float = 0.005
) -> tuple[F64, F64]:
    """Axes of a randomly turned crystal, and `n` of its spots as a detector sees them.

    Nodes that the centring forbids (by gemmi) are left out, as are those farther than 0.001/A from the Ewald sphere;
    `noise` (1/A) moves the spots, `strain` scales each crystal's cell.
    """
    scale = 1.0 + float(np.clip(rng.normal(scale=strain), -2.0 * strain, 2.0 * strain))
    A = scale * cell.A @ Rotation.random(random_state=rng).as_matrix()
    centring = gemmi.SpaceGroup(f"{cell.centring} 1" if cell.centring != "R" else "R 3:H").operations()
    nodes: dict[tuple[int, ...], F64] = {}
    for _ in range(400):
        q = spots_anywhere(rng, rng.uniform(0.03, 1.0 / d_min, 4000) ** 0.8 * (1.0 / d_min) ** 0.2)
        hkl = np.unique(np.round(q @ A.T).astype(int), axis=0)
        hkl = hkl[hkl.any(axis=1) & ~np.asarray(centring.systematic_absences(hkl.astype(np.int32)))]
        node = hkl @ np.linalg.inv(A).T
        excited = np.abs(np.linalg.norm(node + INCIDENT, axis=1) - 1.0) < 1e-3
        nodes.update(zip(map(tuple, hkl[excited]), node[excited], strict=True))
        if len(nodes) >= n:
            break
    chosen = np.array(list(nodes.values()))
    chosen = chosen[rng.permutation(len(chosen))[:n]]
    return A, ewald(chosen + INCIDENT + rng.normal(scale=noise, size=chosen.shape), 1.0)


def real_list(path: Path) -> tuple[UnitCell, F64]:
    """A list of ../shared/spots/*.txt with its known cell."""
    numbers = [float(word) for word in path.read_text().splitlines()[0].split()[:9]]
    a, b, c = np.array(numbers).reshape(3, 3)
    lengths = np.linalg.norm([a, b, c], axis=1)
    pairs = ((b, c), (a, c), (a, b))
    angles = [np.degrees(np.arccos(u @ v / (np.linalg.norm(u) * np.linalg.norm(v)))) for u, v in pairs]
    cell = " ".join(f"{number:.4f}" for number in (*lengths, *angles))
    return UnitCell.from_string(cell), np.loadtxt(path, skiprows=1)


def crystfel_peaks(path: Path) -> Iterator[tuple[int, F64, F64]]:
    """Frame number, CrystFEL's peaks (fs, ss) and the true axes (n, 3, 3) of every hit of ../shared/frames."""
    with h5py.File(path) as file:
        frame, peaks = file["crystfel_peakfinder8/frame"][:], file["crystfel_peakfinder8/fs_ss_intensity"][:]
        lattice_frame, reciprocal = file["truth/lattice_frame"][:], file["truth/reciprocal_vectors"][:]
    for number in np.unique(lattice_frame):
        axes = np.linalg.inv(reciprocal[lattice_frame == number]).transpose(0, 2, 1)
        yield int(number), peaks[frame == number, :2].astype(float), axes


def cspad_stills(path: Path) -> Iterator[tuple[F64, F64]]:
    """Spots and true axes of the 150 stills of lcls_cspad_lysozyme.npz."""
    with np.load(path) as data:
        for number, (wavelength, reciprocal) in enumerate(zip(data["wavelength"], data["recip"], strict=True)):
            spots = data["lab_mm"][data["frame"] == number].astype(float)
            yield ewald(spots, float(wavelength)), np.linalg.inv(reciprocal)


def thermolysin(shared: Path) -> Iterator[tuple[Detector, dict[str, F64]]]:
    """The detector and DIALS's spots, axes and cell of the two thermolysin stills."""
    detector = Detector.from_crystfel(shared / "real" / "thermolysin_cspad.geom")
    for image in json.loads((shared / "real" / "thermolysin_dials.json").read_text())["images"]:
        found = {key: np.array(value) for key, value in image["indexed_spots"].items()}
        found["ss"] = found["ss"] + np.array([panel.ss_start for panel in detector.panels])[found["panel"]]
        yield detector, found | _dials(image)


def thaumatin(shared: Path) -> Iterator[tuple[Detector, dict[str, F64]]]:
    """The same of five thaumatin stills; the geometry is that of the images' headers."""
    detector = Detector.single_panel(
        (2527, 2463),
        pixel_size=172e-6,
        distance=0.351,
        beam_center=(1261.61, 1306.96),
        photon_energy=12398.419843320026 / 0.96859,
    )
    for image in json.loads((shared / "real" / "thaumatin_dials.json").read_text())["images"]:
        yield detector, {key: np.array(value) for key, value in image["indexed_spots"].items()} | _dials(image)


def _dials(image: dict[str, list[float]]) -> dict[str, F64]:
    return {"cell": np.array(image["cell"]), "A": np.linalg.inv(np.array(image["reciprocal_vectors"])).T}
