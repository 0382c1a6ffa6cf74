"""Messages of DECTRIS Stream V1 in all the ways in which they have been seen."""

import json
from typing import Any

import numpy as np
import pytest

from braggwatch.processing.frame import Encoding, Series
from braggwatch.streamer.sources.bad_message import BadMessageError
from braggwatch.streamer.sources.dectris_v1 import DectrisV1Decoder, decode_dectris_v1
from braggwatch.streamer.sources.wire import End, Image

CONFIG = {
    "beam_center_x": 1.5,
    "beam_center_y": 2.5,
    "bit_depth_image": 16,
    "count_time": 0.009,
    "countrate_correction_count_cutoff": 60000,
    "description": "EIGER",
    "detector_distance": 0.2,
    "detector_number": "E-1",
    "frame_time": 0.01,
    "nimages": 10,
    "ntrigger": 3,
    "photon_energy": 12000.0,
    "sensor_material": "Si",
    "sensor_thickness": 450e-6,
    "x_pixel_size": 75e-6,
    "y_pixel_size": 76e-6,
    "x_pixels_in_detector": 3,
    "y_pixels_in_detector": 2,
}


def part(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def image(payload: bytes = bytes(12), *more: bytes, frame: Any = 5, **about: Any) -> list[bytes]:
    described = {"shape": [3, 2], "type": "uint16", "encoding": "<", "size": len(payload)} | about
    return [
        part(htype="dimage-1.0", series=7, frame=frame, hash="d41d8cd98f00b204e9800998ecf8427e"),
        part(htype="dimage_d-1.0", **described),
        payload,
        *(more or [part(htype="dconfig-1.0", start_time=1500000000, stop_time=2, real_time=1)]),
    ]


def header(*more: bytes, detail: str = "basic", **config: Any) -> list[bytes]:
    return [part(htype="dheader-1.0", series=7, header_detail=detail), part(**(CONFIG | config)), *more]


def decoded_image(parts: list[bytes]) -> Image:
    message = decode_dectris_v1(parts)
    assert isinstance(message, Image)
    return message


def decoded_header(parts: list[bytes]) -> Series:
    message = decode_dectris_v1(parts)
    assert isinstance(message, Series)
    return message


def framed(nbytes: int) -> bytes:
    return nbytes.to_bytes(8, "big") + (8192).to_bytes(4, "big") + b"blocks"


def test_an_image_says_its_numbers_shape_and_time() -> None:
    found = decoded_image(image())
    assert (found.series, found.number, found.shape, found.dtype) == (7, 5, (2, 3), "uint16")
    assert found.timestamp == 1.5


@pytest.mark.parametrize(
    ("name", "dtype", "payload", "encoding", "stored_as"),
    [
        ("<", "uint16", bytes(12), Encoding(), "uint16"),
        (">", "uint16", bytes(12), Encoding(), ">u2"),
        ("lz4<", "uint16", b"block", Encoding("lz4", "bare"), "uint16"),
        ("lz4>", "uint32", b"block", Encoding("lz4", "bare"), ">u4"),
        ("lz4", "uint8", b"block", Encoding("lz4", "bare"), "uint8"),
        ("bs8-lz4<", "uint8", framed(6), Encoding("bslz4", "hdf5"), "uint8"),
        ("bs16-lz4<", "uint16", framed(12), Encoding("bslz4", "hdf5"), "uint16"),
        ("bs16-lz4>", "uint16", framed(12), Encoding("bslz4", "hdf5"), ">u2"),
        ("bs32-lz4<", "uint32", framed(24), Encoding("bslz4", "hdf5"), "uint32"),
        ("bs16lz4<", "uint16", framed(12), Encoding("bslz4", "hdf5"), "uint16"),
        ("bs16-lz4<", "uint16", bytes(12) + b"blocks", Encoding("bslz4", "zero_header"), "uint16"),
        ("bs16-lz4<", "uint16", b"\0\0\4\x1cblocks", Encoding("bslz4", "headerless"), "uint16"),
    ],
)
def test_encodings_are_told_by_their_name_and_first_bytes(
    name: str, dtype: str, payload: bytes, encoding: Encoding, stored_as: str
) -> None:
    found = decoded_image(image(payload, encoding=name, type=dtype))
    assert found.encoding == encoding
    assert np.dtype(found.dtype) == np.dtype(stored_as)
    assert bytes(found.payload) == payload


def test_scalars_of_an_images_appendix_go_with_the_frame() -> None:
    times = part(htype="dconfig-1.0", start_time=0)
    assert decoded_image(image(bytes(12), times, part(laser="on", energy=0.5, codes=[40, 183], list=[[1]]))).values == {
        "laser": "on",
        "energy": 0.5,
        "codes": "40 183",
    }
    assert decoded_image(image(bytes(12), times, b"\xff any bytes")).values == {}


def test_damaged_times_do_not_cost_the_frame() -> None:
    assert decoded_image(image(bytes(12), b"\xff")).timestamp is None


def test_a_missing_last_part_does_not_cost_the_frame() -> None:
    assert decoded_image(image()[:3]).timestamp is None


@pytest.mark.parametrize(
    ("parts", "kind", "text"),
    [
        ([b"\xa1"], "json", "a part is no JSON: "),
        ([b"[" * 100000], "json", "a part is no JSON: "),
        ([b"[1]"], "json", "a JSON part must be an object, found list"),
        ([bytes(2**20 + 1)], "json", "a part of 1048577 bytes where JSON was expected"),
        ([b"{}"], "type", "the first part of a Stream V1 message has an htype; is this another protocol?"),
        (image(frame=-1), "number", "frame must be an integer from 0 to 2^53, found -1"),
        (image(frame=1.5), "number", "frame must be an integer from 0 to 2^53, found 1.5"),
        (image()[:2], "parts", "an image has at least 3 parts, found 2"),
        (image(shape=[3]), "shape", "an image's shape must be two positive integers, found [3]"),
        (image(shape=[3, 0]), "shape", "an image's shape must be two positive integers, found [3, 0]"),
        (image(type="complex64"), "dtype", "an image's type must be one of uint8, uint16"),
        (image(type=["uint16"]), "dtype", "found ['uint16']"),
        (image(size=13), "size", "13 bytes announced, found 12"),
        (image(type="uint32"), "size", "uncompressed pixels take 24 bytes, found 12"),
        (image(shape=[60000, 60000]), "size", "source.max_image_bytes allows 268435456"),
        (image(encoding="gzip"), "encoding", "an encoding looks like bs16-lz4<, lz4< or <, found 'gzip'"),
        (image(encoding=None), "encoding", "found None"),
        (image(encoding="bs32-lz4<"), "encoding", "encoding bs32-lz4< for pixels of 16 bits"),
        (image(encoding="bs16<"), "encoding", "bitshuffled pixels are expected to be compressed, found bs16<"),
    ],
)
def test_a_message_that_cannot_be_used_is_refused_with_the_reason(parts: list[bytes], kind: str, text: str) -> None:
    with pytest.raises(BadMessageError) as caught:
        decode_dectris_v1(parts)
    assert caught.value.kind == kind
    assert text in str(caught.value)


def test_a_refused_image_is_still_known_by_its_numbers() -> None:
    with pytest.raises(BadMessageError) as caught:
        decode_dectris_v1(image(encoding="gzip"))
    assert (caught.value.series, caught.value.number) == (7, 5)


def test_a_header_says_what_is_true_for_the_series() -> None:
    found = decoded_header(header())
    assert (found.number, found.n_frames, found.shape, found.dtype) == (7, 30, (2, 3), "uint16")
    assert (found.photon_energy, found.distance, found.beam_center) == (12000.0, 0.2, (1.5, 2.5))
    assert (found.pixel_size, found.saturation_value) == ((75e-6, 76e-6), 60000)
    assert (found.frame_time, found.count_time) == (0.01, 0.009)
    assert (found.sensor_material, found.sensor_thickness) == ("Si", 450e-6)
    assert (found.detector, found.serial_number) == ("EIGER", "E-1")


def test_an_energy_is_found_under_either_name_or_as_wavelength() -> None:
    assert decoded_header(header(photon_energy=0, incident_energy=9000.0)).photon_energy == 9000.0
    assert decoded_header(header(photon_energy=None, wavelength=1.0)).photon_energy == pytest.approx(12398.42, abs=0.01)


def test_a_header_of_detail_none_starts_a_series_of_which_nothing_is_known() -> None:
    found = DectrisV1Decoder()([part(htype="dheader-1.0", series=7, header_detail="none")])
    assert isinstance(found, Series)
    assert (found.number, found.shape, found.photon_energy) == (7, None, None)


def array(kind: str, values: np.ndarray[Any, Any]) -> list[bytes]:
    return [part(htype=kind, shape=list(values.shape[::-1]), type=values.dtype.name), values.tobytes()]


MASK = np.array([[0, 1, 0], [16, 0, 0]], np.uint32)
FLAT = np.ones((2, 3), np.float32)
TABLE = np.ones((2, 5), np.float32)


@pytest.mark.parametrize("prefix", ["d", ""])
@pytest.mark.parametrize("appendix", [[], [b"any \xff bytes"]])
def test_the_mask_is_found_in_a_header_of_detail_all(prefix: str, appendix: list[bytes]) -> None:
    arrays = [
        *array(f"{prefix}flatfield-1.0", FLAT),
        *array(f"{prefix}pixelmask-1.0", MASK),
        *array(f"{prefix}countrate_table-1.0", TABLE),
    ]
    found = decoded_header(header(*arrays, *appendix, detail="all"))
    assert found.mask is not None
    assert found.mask.tolist() == [[False, True, False], [True, False, False]]


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(BadMessageError, match=r"a mask of \(2, 3\) uint32 takes 24 bytes, found 20 of uint32"):
        decode_dectris_v1(header(array("dpixelmask-1.0", MASK)[0], bytes(20), detail="all"))
    with pytest.raises(BadMessageError, match=r"a pixel mask of \(2, 3\) for images of \(2, 9\)"):
        decode_dectris_v1(header(*array("dpixelmask-1.0", MASK), detail="all", x_pixels_in_detector=9))


def test_a_header_may_come_in_two_messages() -> None:
    decode = DectrisV1Decoder()
    first, second = header()
    assert decode([first]) == "first half of a header"
    found = decode([second])
    assert isinstance(found, Series)
    assert (found.number, found.shape) == (7, (2, 3))


def test_a_header_that_lost_its_second_half_does_not_swallow_what_follows() -> None:
    decode = DectrisV1Decoder()
    assert decode(header()[:1]) == "first half of a header"
    assert isinstance(decode(image()), Image)
    with pytest.raises(BadMessageError, match="has an htype"):
        decode(header()[1:])


def test_an_end_message_names_its_series() -> None:
    assert decode_dectris_v1([part(htype="dseries_end-1.0", series=7)]) == End(7)


def test_a_message_of_another_type_is_named_and_left_alone() -> None:
    assert decode_dectris_v1([part(htype="dnews-1.0")]) == "dnews-1.0"
