"""Messages of DECTRIS Stream V2 and Jungfraujoch, written by cbor2 here and read by our decoder."""

from typing import Any

import cbor2
import hdf5_bitshuffle
import numpy as np
import pytest

from braggwatch.processing.frame import Encoding, Series
from braggwatch.streamer.sources.bad_message import BadMessageError
from braggwatch.streamer.sources.dectris_v2 import decode_dectris_v2
from braggwatch.streamer.sources.wire import End, Image

PIXELS = np.arange(6, dtype="<u2").reshape(2, 3)


def array(values: np.ndarray[Any, Any], tag: int = 69, order: int = 40) -> cbor2.CBORTag:
    return cbor2.CBORTag(order, [list(values.shape), cbor2.CBORTag(tag, values.tobytes())])


def packed(algorithm: str, item: int, payload: bytes, shape: tuple[int, int] = (2, 3), tag: int = 69) -> cbor2.CBORTag:
    inner = cbor2.CBORTag(56500, [algorithm, item, payload])
    return cbor2.CBORTag(40, [list(shape), cbor2.CBORTag(tag, inner)])


def image(**fields: Any) -> list[bytes]:
    message = {
        "type": "image",
        "series_id": 3,
        "series_unique_id": "01ABC",
        "image_id": 5,
        "data": {"threshold_1": array(PIXELS)},
    }
    return [cbor2.dumps(message | fields)]


def start(**fields: Any) -> list[bytes]:
    return [cbor2.dumps({"type": "start", "series_id": 3} | fields)]


def decoded_image(parts: list[bytes], **options: Any) -> Image:
    message = decode_dectris_v2(parts, **options)
    assert isinstance(message, Image)
    return message


def decoded_start(parts: list[bytes], **options: Any) -> Series:
    message = decode_dectris_v2(parts, **options)
    assert isinstance(message, Series)
    return message


def test_an_image_says_its_numbers_shape_and_pixels() -> None:
    found = decoded_image(image())
    assert (found.series, found.name, found.number) == (3, "01ABC", 5)
    assert (found.shape, found.dtype, found.encoding) == ((2, 3), "uint16", Encoding())
    assert bytes(found.payload) == PIXELS.tobytes()


def test_an_images_pixels_are_not_copied() -> None:
    message = bytearray(image()[0])
    found = decode_dectris_v2([message])
    assert isinstance(found, Image)
    assert memoryview(found.payload).obj is message


@pytest.mark.parametrize(
    ("tag", "dtype"),
    [(64, "u1"), (65, ">u2"), (66, ">u4"), (69, "<u2"), (70, "<u4"), (72, "i1"), (77, "<i2"), (78, "<i4"), (85, "<f4")],
)
def test_typed_arrays_are_called_as_numpy_calls_them(tag: int, dtype: str) -> None:
    found = decoded_image(image(data={"threshold_1": array(PIXELS.astype(dtype), tag)}))
    assert np.dtype(found.dtype) == np.dtype(dtype)


@pytest.mark.parametrize("algorithm", ["bslz4", "bszstd", "lz4"])
def test_packed_pixels_stay_packed(algorithm: str) -> None:
    payload = (12).to_bytes(8, "big") + b"rest"
    found = decoded_image(image(data={"threshold_1": packed(algorithm, 2, payload)}))
    assert bytes(found.payload) == payload
    assert found.encoding == Encoding(algorithm, "hdf5")


def test_the_exposures_start_is_the_series_date_and_the_time_since() -> None:
    date = cbor2.CBORTag(0, "2023-10-03T17:47:49.5+02:00")
    found = decoded_image(image(series_date=date, start_time=[25, 100]))
    assert found.timestamp == 1696348069.5 + 0.25


def test_without_a_date_the_time_counts_from_the_series_start() -> None:
    assert decoded_image(image(start_time=[25, 100])).timestamp == 0.25


@pytest.mark.parametrize("time", [None, [1, 0], [1], "now", [2**64 - 1, 1], [-1, "x"]])
def test_a_senseless_time_does_not_cost_the_frame(time: Any) -> None:
    date = cbor2.CBORTag(0, "the day after tomorrow")
    assert decoded_image(image(start_time=time, series_date=date)).timestamp is None


def test_values_of_the_user_go_with_the_frame() -> None:
    found = decoded_image(
        image(user_data={"pulse_energy": 1.5e-3, "laser": "on", "n": 3, "open": True, "list": [[1]], "long": "x" * 999})
    )
    assert found.values == {"pulse_energy": 1.5e-3, "laser": "on", "n": 3, "open": 1}


def test_event_codes_go_with_the_frame_as_text() -> None:
    data = {"codes": [40, -183], "none": [], "many": list(range(65)), "mixed": [1, "2"], "parts": [1.5], "big": [2**63]}
    assert decoded_image(image(user_data=data)).values == {"codes": "40 -183", "none": ""}
    assert decoded_image(image(user_data={"most": [0] * 64})).values == {"most": " ".join(["0"] * 64)}


def test_an_appendix_of_the_detectors_own_interface_is_json_in_a_text() -> None:
    assert decoded_image(image(user_data='{"laser_1": 1, "codes": [40, 183]}')).values == {
        "laser_1": 1,
        "codes": "40 183",
    }
    for nothing in ("laser_1 = 1", "[1]", "{" * 2**15, '{"a": 1}' + " " * 2**16):
        assert decoded_image(image(user_data=nothing)).values == {}


def test_jungfraujochs_words_of_the_pulse_go_with_the_frame() -> None:
    found = decoded_image(image(xfel_pulse_id=2**40, xfel_event_code=183, user_data={"laser_1": 0}))
    assert found.values == {"laser_1": 0, "xfel_pulse_id": 2**40, "xfel_event_code": 183}
    assert decoded_image(image(xfel_event_code=None)).values == {}


def test_the_first_threshold_is_taken_unless_another_is_wanted() -> None:
    both = {"threshold_2": array(PIXELS + 1), "threshold_1": array(PIXELS)}
    assert bytes(decoded_image(image(data=both)).payload) == PIXELS.tobytes()
    assert bytes(decoded_image(image(data=both), channel="threshold_2").payload) == (PIXELS + 1).tobytes()


def test_the_only_channel_is_taken_whatever_its_name() -> None:
    assert bytes(decoded_image(image(data={"default": array(PIXELS)})).payload) == PIXELS.tobytes()


@pytest.mark.parametrize(
    ("parts", "kind", "text"),
    [
        ([b"", b""], "parts", "a Stream V2 message has one part, found 2"),
        ([b"{}"], "cbor", "bytes"),
        ([cbor2.dumps([1])], "type", "a Stream V2 message is a map with a type"),
        ([cbor2.dumps({"htype": "x"})], "type", "is this another protocol"),
        (image(series_id="3"), "number", "series_id must be an integer from 0 to 2^53, found '3'"),
        (image(image_id=-1), "number", "image_id must be an integer from 0 to 2^53, found -1"),
        (image(image_id=True), "number", "image_id must be an integer"),
        (image(image_id=2**60), "number", "image_id must be an integer"),
        (image(data={}), "data", "an image must have data"),
        (image(data={"a": 1, "b": 2}), "channel", "no channel threshold_1 in the image, found a, b; source.channel"),
        (image(data={"threshold_1": b"abc"}), "array", "must be a row-major array (CBOR tag 40), found memoryview"),
        (image(data={"threshold_1": array(PIXELS, order=1040)}), "array", "found tag 1040"),
        (image(data={"threshold_1": cbor2.CBORTag(40, 5)}), "array", "an array must be [dimensions, elements]"),
        (image(data={"threshold_1": array(PIXELS[0])}), "shape", "dimensions must be two positive integers, found [3]"),
        (image(data={"threshold_1": array(PIXELS[:0])}), "shape", "two positive integers, found [0, 3]"),
        (image(data={"threshold_1": array(PIXELS, 99)}), "dtype", "a typed array (CBOR tags 64 to 86), found tag 99"),
        (image(data={"threshold_1": array(PIXELS, 70)}), "size", "(2, 3) uint32 takes 24 bytes, found 12"),
        (image(data={"threshold_1": packed("gzip", 2, b"")}), "encoding", "one of bslz4, bszstd, lz4, found 'gzip'"),
        (image(data={"threshold_1": packed("bslz4", 4, b"")}), "encoding", "bslz4 of 4-byte elements for 2-byte"),
        (image(data={"threshold_1": packed("bslz4", 2, bytes(20))}), "size", "takes 12 bytes, its packed form says 0"),
        (
            image(data={"threshold_1": packed("bslz4", 2, bytes(20), (40000, 40000))}),
            "size",
            "takes 3200000000 bytes, source.max_image_bytes allows 268435456",
        ),
    ],
)  # fmt: skip
def test_a_message_that_cannot_be_used_is_refused_with_the_reason(parts: list[bytes], kind: str, text: str) -> None:
    with pytest.raises(BadMessageError) as caught:
        decode_dectris_v2(parts)
    assert caught.value.kind == kind
    assert text in str(caught.value)


def test_a_refused_image_is_still_known_by_its_numbers() -> None:
    for parts in (image(data={}), [image(data={"threshold_1": array(PIXELS)})[0][:-2]]):
        with pytest.raises(BadMessageError) as caught:
            decode_dectris_v2(parts)
        assert (caught.value.series, caught.value.number) == (3, 5)


def test_a_start_message_says_what_is_true_for_the_series() -> None:
    mask = np.array([[0, 1, 0], [16, 0, 0]], "<u4")
    found = decoded_start(
        start(
            series_unique_id="01ABC",
            number_of_images=1000,
            image_size_x=3,
            image_size_y=2,
            image_dtype="uint16",
            incident_energy=12000.0,
            detector_translation=[0.1, 0.2, -0.3],
            beam_center_x=1.5,
            beam_center_y=0,
            pixel_size_x=75e-6,
            pixel_size_y=76e-6,
            saturation_value=60000,
            frame_time=0.01,
            count_time=0.009,
            sensor_material="Si",
            sensor_thickness=450e-6,
            detector_description="EIGER2",
            detector_serial_number="E-1",
            pixel_mask={"threshold_1": array(mask, 70)},
        )
    )
    assert (found.number, found.name, found.n_frames, found.shape, found.dtype) == (3, "01ABC", 1000, (2, 3), "uint16")
    assert (found.photon_energy, found.distance, found.beam_center) == (12000.0, 0.3, (1.5, 0.0))
    assert (found.pixel_size, found.saturation_value) == ((75e-6, 76e-6), 60000)
    assert (found.frame_time, found.count_time) == (0.01, 0.009)
    assert (found.sensor_material, found.sensor_thickness) == ("Si", 450e-6)
    assert (found.detector, found.serial_number) == ("EIGER2", "E-1")
    assert found.mask is not None
    assert found.mask.tolist() == [[False, True, False], [True, False, False]]


def test_only_the_series_id_is_needed_to_start() -> None:
    found = decoded_start(start())
    assert (found.number, found.shape, found.photon_energy, found.distance, found.mask) == (3, None, None, None, None)


def test_jungfraujochs_own_fields_are_understood() -> None:
    found = decoded_start(
        start(magic_number=0x52320001, detector_distance=0.15, detector_translation=[0, 0, 0.2], error_value=-32768)
    )
    assert (found.distance, found.error_value) == (0.15, -32768)


def test_a_wavelength_does_where_the_energy_is_missing() -> None:
    assert decoded_start(start(incident_wavelength=1.0)).photon_energy == pytest.approx(12398.42, abs=0.01)


def test_what_a_detector_does_not_know_stays_unknown() -> None:
    found = decoded_start(start(incident_energy=0, pixel_size_x=0.0, pixel_size_y=0.0, detector_translation=[0, 0, 0]))
    assert (found.photon_energy, found.pixel_size, found.distance) == (None, None, None)


def test_a_packed_mask_is_unpacked() -> None:
    mask = np.zeros((64, 65), np.uint32)
    mask[10:20, 5] = 1
    payload = mask.nbytes.to_bytes(8, "big") + (8192).to_bytes(4, "big") + hdf5_bitshuffle.compress_lz4(mask, 2048)
    found = decoded_start(start(pixel_mask={"threshold_1": packed("bslz4", 4, payload, mask.shape, 70)}))
    assert found.mask is not None
    assert np.array_equal(found.mask, mask != 0)


@pytest.mark.parametrize(
    ("parts", "kind", "text"),
    [
        (start(series_id=None), "number", "series_id must be an integer"),
        (start(image_size_x=-3, image_size_y=2), "shape", "image_size_y, image_size_x must be two positive integers"),
        (start(image_size_x=2**20, image_size_y=2**20), "size", "source.max_image_bytes allows"),
        (
            start(image_size_x=9, image_size_y=9, pixel_mask={"threshold_1": array(PIXELS)}),
            "mask",
            "a pixel mask of (2, 3) for images of (9, 9) (ss, fs)",
        ),
        (
            start(pixel_mask={"threshold_1": packed("bslz4", 2, bytes(12))}),
            "mask",
            "the pixel mask cannot be unpacked: the pixels take 12 bytes, the header says 0",
        ),
    ],
)
def test_a_start_that_cannot_be_used_is_refused_with_the_reason(parts: list[bytes], kind: str, text: str) -> None:
    with pytest.raises(BadMessageError) as caught:
        decode_dectris_v2(parts)
    assert caught.value.kind == kind
    assert text in str(caught.value)


def test_an_end_message_names_its_series() -> None:
    parts = [cbor2.dumps(cbor2.CBORTag(55799, {"type": "end", "series_id": 3, "series_unique_id": "01ABC"}))]
    assert decode_dectris_v2(parts) == End(3, "01ABC")


@pytest.mark.parametrize("kind", ["calibration", "metadata"])
def test_further_messages_of_jungfraujoch_are_named_and_left_alone(kind: str) -> None:
    assert decode_dectris_v2([cbor2.dumps({"type": kind, "images": [{"indexing_result": 1}]})]) == kind
