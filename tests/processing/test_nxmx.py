"""NXmx files against other readers of the format."""

import os
import struct
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import nxmx
import pytest

from braggwatch.processing.beam import Beam
from braggwatch.processing.compression import bslz4_chunk
from braggwatch.processing.crystal import Crystal
from braggwatch.processing.detector import Detector, Panel
from braggwatch.processing.frame import Encoding, Frame, Series
from braggwatch.processing.nxmx import MAX_PEAKS, NXmxWriter
from braggwatch.processing.nxmx.reader import NXmxReader
from braggwatch.processing.nxmx.superblock import make_readable
from braggwatch.processing.peaks import Peaks
from braggwatch.processing.reflections import Reflections
from braggwatch.processing.shot import Shot
from braggwatch.processing.single_images.description import describe_image

assert hdf5plugin  # importing it registers the filters

SHAPE = (30, 44)
SERIES = Series(
    key="20261122-1",
    number=7,
    name="lyso",
    saturation_value=60000,
    frame_time=0.01,
    count_time=0.009,
    n_frames=500,
    sensor_material="Silicon",
    sensor_thickness=450e-6,
    detector="EIGER2 4M",
    serial_number="E-32-0100",
)


def single(mask: Any = None) -> Detector:
    return Detector.single_panel(
        SHAPE,
        pixel_size=(75e-6, 80e-6),
        distance=0.15,
        beam_center=(20.5, 11.25),
        photon_energy=9500.0,
        mask=mask,
    )


def tilted_panels() -> Detector:
    """Two panels stacked along ss, each turned and tilted, with a gap in the image array."""
    return Detector(
        (
            Panel("a", 0, 44, 0, 12, (-0.002, 0.001, 0.1), (7.4e-5, 1e-5, 2e-6), (-1e-5, 7.4e-5, 1e-6), 1000.0),
            Panel("b", 2, 40, 15, 30, (0.001, -0.003, 0.12), (0.0, -1e-4, 0.0), (1e-4, 0.0, 3e-5)),
        ),
        SHAPE,
        Beam(9500.0),
    )


def some_peaks(n: int, seed: int = 0) -> Peaks:
    random = np.random.default_rng(seed)

    def column() -> Any:
        return random.uniform(0.5, 29.5, n).astype(np.float32)

    pixels = random.integers(1, 30, n).astype(np.int32)
    return Peaks(column(), column(), np.zeros(n, np.int16), column(), column(), column(), pixels, column())


def make_shot(detector: Detector, number: int = 0, **fields: Any) -> Shot:
    pixels = np.random.default_rng(number).poisson(2, SHAPE).astype(np.uint16)
    frame = Frame(
        series=SERIES.key,
        number=number,
        payload=b"",
        shape=SHAPE,
        dtype="uint16",
        encoding=Encoding(),
        timestamp=12.5 + number,
        values={"pulse_energy": 1e-3 * number, "laser": "on"},
    )
    return Shot(SERIES, frame, pixels, detector, **fields)


def write(path: Path, detector: Detector, shots: list[Shot], dtype: str = "uint16", series: Series = SERIES) -> Path:
    writer = NXmxWriter(
        path,
        series=series,
        detector=detector,
        dtype=np.dtype(dtype),
        provenance={"version": "1.2.3", "settings": 'stages = ["hitfind"]\n'},
        values=shots[0].frame.values if shots else None,
    )
    for shot in shots:
        writer.append(shot, bslz4_chunk(shot.image.astype(dtype)))
    writer.close()
    return path


def test_the_nxmx_reader_of_diamond_finds_the_instrument(tmp_path: Path) -> None:
    mask = np.zeros(SHAPE, bool)
    mask[3, 5:9] = True
    path = write(tmp_path / "a.h5", single(mask), [make_shot(single(mask), n) for n in range(3)])
    with h5py.File(path) as file:
        (entry,) = nxmx.NXmx(file).entries  # type: ignore[no-untyped-call]
        (instrument,) = entry.instruments
        (detector,) = instrument.detectors
        (beam,) = instrument.beams
        assert entry.definition == "NXmx"
        assert entry.samples[0].name == "lyso"
        assert entry.samples[0].depends_on is None
        assert entry.source.name == "unknown"
        assert (entry.end_time_estimated - entry.start_time).total_seconds() == pytest.approx(5.0)
        assert entry["data"]["data"].shape == (3, *SHAPE)
        assert detector.description == "EIGER2 4M"
        assert detector.serial_number == "E-32-0100"
        assert detector.sensor_material == "Si"
        assert detector.sensor_thickness.to("um").magnitude == pytest.approx(450)
        assert detector.saturation_value == 59999  # the highest valid value; ours is the first saturated one
        assert detector.count_time is not None
        assert detector.count_time.to("ms").magnitude == pytest.approx(9)
        assert detector.frame_time is not None
        assert detector.frame_time.to("ms").magnitude == pytest.approx(10)
        assert detector.distance is not None
        assert detector.distance.to("mm").magnitude == pytest.approx(150)
        assert detector.beam_center_x is not None
        assert detector.beam_center_y is not None
        assert float(detector.beam_center_x.magnitude) == pytest.approx(20.5)
        assert float(detector.beam_center_y.magnitude) == pytest.approx(11.25)
        assert detector.pixel_mask is not None
        np.testing.assert_array_equal(detector.pixel_mask[()] != 0, mask)
        np.testing.assert_allclose(beam.incident_wavelength.to("angstrom").magnitude, [12398.419843 / 9500] * 3)


@pytest.mark.parametrize("detector", [single(), tilted_panels()], ids=["one panel", "tilted panels"])
def test_the_transformation_chain_leads_to_the_pixels_of_each_panel(tmp_path: Path, detector: Detector) -> None:
    path = write(tmp_path / "a.h5", detector, [make_shot(detector)])
    with h5py.File(path) as file:
        modules = nxmx.NXmx(file).entries[0].instruments[0].detectors[0].modules  # type: ignore[no-untyped-call]
        assert len(modules) == len(detector.panels)
        for module, panel in zip(modules, detector.panels, strict=True):
            np.testing.assert_array_equal(module.data_origin, [panel.ss_start, panel.fs_start])
            np.testing.assert_array_equal(module.data_size, panel.shape)
            fast, slow = module.fast_pixel_direction, module.slow_pixel_direction
            assert fast.depends_on is not None
            chain = nxmx.get_dependency_chain(fast.depends_on)
            origin = nxmx.get_cumulative_transformation(chain)[0] @ [0, 0, 0, 1]
            rows, columns = 4.25, 7.5
            position = (
                origin[:3]
                + columns * fast[()].to("mm").magnitude * fast.vector
                + rows * slow[()].to("mm").magnitude * slow.vector
            )
            expected = detector.position(panel.fs_start + columns, panel.ss_start + rows)[0]
            np.testing.assert_allclose(position, 1e3 * expected, atol=1e-9)


def test_saturation_comes_from_the_panels_where_they_say(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", tilted_panels(), [], dtype="float32")
    with h5py.File(path) as file:
        assert file["entry/instrument/detector/saturation_value"][()] == 1000.0


@pytest.mark.parametrize(("dtype", "lowest"), [("float32", -400.5), ("int32", -400)])
def test_the_lowest_valid_value_is_told_and_read_back(tmp_path: Path, dtype: str, lowest: float) -> None:
    detector = replace(single(), flag_below=-400.5)
    path = write(tmp_path / "a.h5", detector, [], dtype=dtype)
    with h5py.File(path) as file:
        (found,) = nxmx.NXmx(file).entries[0].instruments[0].detectors  # type: ignore[no-untyped-call]
        assert found.underload_value == int(lowest)
    reader = NXmxReader(path)
    assert reader.detector().flag_below == lowest
    reader.close()


def test_a_stack_holds_what_the_older_tools_kept_beside_an_image(tmp_path: Path) -> None:
    detector = replace(tilted_panels().with_beam(Beam(9500.0)), flag_below=-400.0)
    shot = make_shot(detector, 5)
    path = write(tmp_path / "a.h5", detector, [shot], dtype="int32")
    older = describe_image(replace(shot, image=shot.image.astype(np.int32)), datetime.now(UTC))
    with h5py.File(path) as file:
        group, frames = file["entry/instrument/detector"], file["entry/frames"]
        size = 1e3 * group["x_pixel_size"][()]
        modules = [group[name] for name in sorted(group) if name.startswith("module")]
        origins = [module["data_origin"][()] for module in modules]
        ends = [module["data_origin"][()] + module["data_size"][()] for module in modules]
        found = {
            "ACTIVE_AREAS": np.concatenate([np.concatenate(edges) for edges in zip(origins, ends, strict=True)]),
            "BEAM_CENTER_X": group["beam_center_x"][()] * size,
            "BEAM_CENTER_Y": group["beam_center_y"][()] * 1e3 * group["y_pixel_size"][()],
            "CCD_IMAGE_SATURATION": group["saturation_value"][()],
            "DETECTOR_ADDRESS": group["description"].asstr()[()],
            "DISTANCE": 1e3 * group["distance"][()],
            "PIXEL_SIZE": size,
            "SATURATED_VALUE": group["saturation_value"][()],
            "MIN_TRUSTED_VALUE": group["underload_value"][()],
            "SIZE1": file["entry/data/data"].shape[2],
            "SIZE2": file["entry/data/data"].shape[1],
            "SEQUENCE_NUMBER": frames["number"][0],
            "WAVELENGTH": file["entry/instrument/beam/incident_wavelength"][0],
            "SERIES": frames.attrs["series_key"],
        }
        assert frames["timestamp"][0] == shot.frame.timestamp
    assert found.keys() == older.keys() - {"TIMESTAMP", "BAD_VALUES", "PIXEL_SIZE_SS"}
    for key, value in found.items():
        if isinstance(value, str):
            assert value == older[key], key
        else:
            np.testing.assert_allclose(value, older[key], err_msg=key)


def test_nothing_is_said_of_what_the_detector_did_not_say(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", single(), [], series=Series(key="k", number=1))
    with h5py.File(path) as file:
        detector = file["entry/instrument/detector"]
        assert {"saturation_value", "count_time", "frame_time", "serial_number"}.isdisjoint(detector)
        assert detector["sensor_thickness"][()] == 1e-9
        assert file["entry/data/data"].shape == (0, *SHAPE)
        assert list(file["entry_1/result_1/nPeaks"]) == []


def test_a_panel_along_the_beam_has_a_finite_distance(tmp_path: Path) -> None:
    side = Detector((Panel("side", 0, 44, 0, 30, (0.05, -0.001, 0.1), (0.0, 1e-4, 0.0), (0.0, 0.0, 1e-4)),), SHAPE)
    path = write(tmp_path / "a.h5", side, [make_shot(side)])
    with h5py.File(path) as file:
        detector = file["entry/instrument/detector"]
        assert detector["distance"][()] == 0.1
        assert np.isfinite([detector["beam_center_x"][()], detector["beam_center_y"][()]]).all()
        assert np.isnan(file["entry/instrument/beam/incident_wavelength"][0])


def test_peaks_stand_in_cxi_layout_at_pixel_indices(tmp_path: Path) -> None:
    found = [some_peaks(17), None, Peaks.empty(), some_peaks(3, seed=1)]
    shots = [make_shot(single(), n, peaks=peaks) for n, peaks in enumerate(found)]
    path = write(tmp_path / "a.h5", single(), shots)
    with h5py.File(path) as file:
        result = file["entry_1/result_1"]
        np.testing.assert_array_equal(result["nPeaks"], [17, 0, 0, 3])
        for row, peaks in ((0, found[0]), (3, found[3])):
            assert peaks is not None
            n = len(peaks)
            # CrystFEL's --peaks=cxi adds the half pixel, and must then see where the spots are.
            np.testing.assert_array_equal(result["peakXPosRaw"][row, :n] + np.float32(0.5), peaks.fs)
            np.testing.assert_array_equal(result["peakYPosRaw"][row, :n] + np.float32(0.5), peaks.ss)
            np.testing.assert_array_equal(result["peakTotalIntensity"][row, :n], peaks.intensity)
            np.testing.assert_array_equal(result["peakMaximumValue"][row, :n], peaks.max_value)
            np.testing.assert_array_equal(result["peakBackground"][row, :n], peaks.background)
            np.testing.assert_array_equal(result["peakSNR"][row, :n], peaks.snr)
            np.testing.assert_array_equal(result["peakNPixels"][row, :n], peaks.n_pixels)
            for name in ("peakXPosRaw", "peakYPosRaw", "peakTotalIntensity", "peakNPixels"):
                assert not result[name][row, n:].any()
        assert "half pixel" in result["peakXPosRaw"].attrs["convention"]
        np.testing.assert_array_equal(file["entry_1/data_1/data"][0], shots[0].image)


def test_of_too_many_peaks_the_strongest_are_stored_and_the_count_is_not_lost(tmp_path: Path) -> None:
    peaks = some_peaks(MAX_PEAKS + 100)
    path = write(tmp_path / "a.h5", single(), [make_shot(single(), peaks=peaks)])
    with h5py.File(path) as file:
        assert file["entry_1/result_1/nPeaks"][0] == MAX_PEAKS
        assert file["entry/frames/n_peaks"][0] == MAX_PEAKS + 100
        stored = file["entry_1/result_1/peakTotalIntensity"][0]
        np.testing.assert_array_equal(np.sort(stored), np.sort(peaks.intensity)[100:])


def test_lattices_stand_in_one_table_with_the_index_of_their_image(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    matrices = [random.normal(0, 50, (3, 3)) for _ in range(3)]
    crystals = [
        Crystal(A, np.zeros((n, 3), np.int32), np.arange(n), rmsd_q=1e-4 * n, rmsd_px=0.1 * n)
        for n, A in enumerate(matrices, 5)
    ]
    found = [crystals[:1], [], crystals[1:]]
    shots = [make_shot(single(), n, crystals=lattices) for n, lattices in enumerate(found)]
    path = write(tmp_path / "a.h5", single(), shots)
    with h5py.File(path) as file:
        table = file["entry/crystals"]
        np.testing.assert_array_equal(file["entry/frames/n_crystals"], [1, 0, 2])
        np.testing.assert_array_equal(table["image"], [0, 2, 2])
        np.testing.assert_array_equal(table["A"], matrices)
        np.testing.assert_array_equal(table["cell"], [c.cell for c in crystals])
        np.testing.assert_array_equal(table["n_indexed"], [5, 6, 7])
        np.testing.assert_array_equal(table["rmsd_q"], [c.rmsd_q for c in crystals])
        np.testing.assert_array_equal(table["rmsd_px"], [c.rmsd_px for c in crystals])


def some_reflections(n: int, seed: int = 0) -> Reflections:
    random = np.random.default_rng(seed)

    def column() -> np.ndarray:
        return random.normal(0, 50, n).astype(np.float32)

    return Reflections(
        hkl=random.integers(-30, 30, (n, 3)).astype(np.int32), fs=column(), ss=column(), panel=np.zeros(n, np.int16),
        intensity=column(), sigma=column(), background=column(), peak=column(),
        flags=random.integers(0, 32, n).astype(np.uint8), excitation_error=column(), partiality=column(),
        inverse_d=column(), fitted=random.random(n) < 0.5,
    )  # fmt: skip


def test_reflections_stand_in_one_table_with_the_row_of_their_crystal(tmp_path: Path) -> None:
    crystals = [Crystal(np.eye(3) * 40, beam_shift=(1e-5 * n, -2e-5)) for n in range(3)]
    tables = [some_reflections(300, 1), some_reflections(0), some_reflections(9000, 2)]
    shots = [
        make_shot(single(), 0, crystals=crystals[:1]),
        make_shot(single(), 1),
        make_shot(single(), 2, crystals=crystals[1:]),
    ]
    shots[0].reflections, shots[2].reflections = tables[:1], tables[1:]
    path = write(tmp_path / "a.h5", single(), shots)
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["entry/crystals/beam_shift"], [c.beam_shift for c in crystals])
        table = file["entry/reflections"]
        np.testing.assert_array_equal(table["crystal"], np.repeat([0, 2], [300, 9000]))
        for name in (field.name for field in fields(Reflections)):
            expected = np.concatenate([getattr(reflections, name) for reflections in tables])
            np.testing.assert_array_equal(table[name], expected)


def test_shot_values_and_what_made_the_file_are_in_it(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", single(), [make_shot(single(), n) for n in (4, 9)])
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["entry/frames/number"], [4, 9])
        np.testing.assert_array_equal(file["entry/frames/timestamp"], [16.5, 21.5])
        np.testing.assert_array_equal(file["entry/frames/values/pulse_energy"], [1e-3 * 4, 1e-3 * 9])
        assert dict(file["entry/frames"].attrs)["series_name"] == "lyso"
        process = file["entry/process"]
        assert process["program"].asstr()[()] == "Braggwatch"
        assert process["version"].asstr()[()] == "1.2.3"
        assert process["settings"].asstr()[()] == 'stages = ["hitfind"]\n'


def test_a_beam_that_changes_from_shot_to_shot_is_kept_for_each(tmp_path: Path) -> None:
    energies = [9000.0, 9500.0]
    shots = [make_shot(single().with_beam(Beam(energy)), n) for n, energy in enumerate(energies)]
    path = write(tmp_path / "a.h5", single(), shots)
    with h5py.File(path) as file:
        wavelengths = file["entry/instrument/beam/incident_wavelength"]
        np.testing.assert_allclose(wavelengths, [Beam(energy).wavelength for energy in energies])
        assert wavelengths.attrs["units"] == "angstrom"


def test_an_existing_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    path.write_bytes(b"precious")
    with pytest.raises(FileExistsError):
        write(path, single(), [])
    assert path.read_bytes() == b"precious"


def test_the_flags_that_a_killed_writer_left_are_cleared(tmp_path: Path) -> None:
    left = tmp_path / "left.h5"
    with h5py.File(tmp_path / "open.h5", "w", libver=("v110", "v110")) as file:
        file["entry/number"] = 42
        file.flush()
        left.write_bytes((tmp_path / "open.h5").read_bytes())
    with pytest.raises(OSError, match="already open for write"):
        h5py.File(left)
    make_readable(left)
    with h5py.File(left) as file:
        assert file["entry/number"][()] == 42


def test_a_file_that_is_shorter_or_longer_than_it_says_can_be_opened_again(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", single(), [make_shot(single())])
    with path.open("ab") as file:
        file.write(b"x" * 1000)  # space that was taken before the superblock could say so
    make_readable(path)
    length = path.stat().st_size
    assert struct.unpack_from("<Q", path.read_bytes(), 28) == (length,)
    os.truncate(path, length - 900)  # space that the superblock tells of and nothing was written to
    make_readable(path)
    assert path.stat().st_size == length
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["entry/data/data"][0], make_shot(single()).image)


def test_a_file_with_a_damaged_superblock_is_left_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", single(), [])
    damaged = bytearray(path.read_bytes())
    damaged[30] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match="the checksum of its superblock is wrong"):
        make_readable(path)
    assert path.read_bytes() == damaged


@pytest.mark.parametrize(
    "content",
    [b"", b"\x89HDF\r\n\x1a\n", b"\x89HDF\r\n\x1a\n" + struct.pack("<4B36x", 2, 8, 8, 1), b"not hdf5" * 20],
    ids=["empty", "cut", "version 2", "something else"],
)
def test_a_file_without_that_superblock_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.h5"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a.h5: expected an HDF5 superblock of version 3 with 8-byte offsets"):
        make_readable(path)
    assert path.read_bytes() == content
