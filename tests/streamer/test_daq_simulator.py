"""The simulated detector: what it sends is what was stored, and its report is what a reader finds."""

import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cbor2
import hdf5_bitshuffle
import lz4.block
import msgspec
import numpy as np
import pytest
import zmq
from numpy.typing import NDArray

from braggwatch.processing.decompression import decompress
from braggwatch.processing.frame import Encoding, Event, Frame, Refused, Series, SeriesEnd
from braggwatch.streamer.daq_simulator import encode_dectris_v1, encode_dectris_v2
from braggwatch.streamer.daq_simulator.report import SimulatorReport
from braggwatch.streamer.daq_simulator.settings import FaultSettings, SimulatorSettings
from braggwatch.streamer.daq_simulator.simulator import Simulator, run_simulator
from braggwatch.streamer.sources.dectris_v1 import decode_dectris_v1
from braggwatch.streamer.sources.dectris_v2 import decode_dectris_v2
from braggwatch.streamer.sources.settings import DectrisV1Settings, DectrisV2Settings
from braggwatch.streamer.sources.source import open_source
from braggwatch.streamer.sources.wire import Image

SHAPE = (40, 53)
IMAGES = np.random.default_rng(0).poisson(1.5, (3, *SHAPE)).astype(np.uint16)
SERIES = Series(key="", number=4, shape=SHAPE, dtype="uint16", frame_time=0.01, photon_energy=12000.0)
READERS = {"dectris-v1": DectrisV1Settings, "dectris-v2": DectrisV2Settings}

both_protocols = pytest.mark.parametrize("protocol", ["dectris-v1", "dectris-v2"])


def packed(image: NDArray[Any], encoding: Encoding = Encoding("bslz4", "hdf5")) -> Frame:  # noqa: B008
    pixels, total = image.tobytes(), image.nbytes.to_bytes(8, "big")
    block = total + (8192).to_bytes(4, "big")
    match encoding.algorithm, encoding.framing:
        case "bslz4", framing:
            ahead = {"hdf5": block, "zero_header": bytes(12), "headerless": b""}[framing]
            payload = ahead + hdf5_bitshuffle.compress_lz4(image)
        case "bszstd", _:
            payload = block + hdf5_bitshuffle.compress_zstd(image)
        case "lz4", framing:
            payload = lz4.block.compress(pixels, store_size=False)
            if framing == "hdf5":  # in one block
                payload = total + total[4:] + len(payload).to_bytes(4, "big") + payload
        case _:
            payload = pixels
    return Frame(series="", number=0, payload=payload, shape=image.shape, dtype=image.dtype.str, encoding=encoding)


FRAMES = [packed(image) for image in IMAGES]


def unpacked(image: Frame | Image) -> NDArray[Any]:
    out = np.empty(image.shape, image.dtype)
    decompress(image.payload, image.encoding, image.shape, image.dtype, out)
    return out


def n_messages(report: SimulatorReport) -> int:
    """How many messages were sent, by the report."""
    return sum(
        1 + s.reached - len(s.skipped) - len(s.not_taken) + len(s.duplicated) + s.garbage + s.ended
        for s in report.series
    )


def exchanged(protocol: str, frames: list[Frame] = FRAMES, **settings: Any) -> tuple[list[Event], SimulatorReport]:
    """What a reader finds and what the simulator says it sent, over a real socket."""
    ordered = SimulatorSettings.model_validate({"protocol": protocol, "address": "tcp://127.0.0.1:*"} | settings)
    events: list[Event] = []
    with ExitStack() as stack:
        simulator = stack.enter_context(Simulator(ordered, frames, SERIES))
        source = stack.enter_context(open_source(READERS[protocol](address=simulator.address)))
        sender = threading.Thread(target=simulator.run)
        sender.start()
        (socket,) = source.sockets
        n_received = 0
        while sender.is_alive() or n_received < n_messages(simulator.report):
            if socket.poll(50) and (found := source.receive(socket)) is not None:
                n_received += 1
                events += found
        return events, simulator.report


def numbers(events: list[Event]) -> list[int]:
    return [event.number for event in events if isinstance(event, Frame)]


# -- what is sent ---------------------------------------------------------------------------------------------------


@both_protocols
def test_a_reader_finds_every_frame_with_its_pixels(protocol: str) -> None:
    events, report = exchanged(protocol, n_frames=20, n_series=2)
    begins = [event for event in events if isinstance(event, Series)]
    ends = [event for event in events if isinstance(event, SeriesEnd)]
    assert [(series.number, series.n_frames, series.shape) for series in begins] == [(4, 20, SHAPE), (5, 20, SHAPE)]
    assert [end.series for end in ends] == [series.key for series in begins]
    assert numbers(events) == [*range(20)] * 2
    for event in events:
        if isinstance(event, Frame):
            assert np.array_equal(unpacked(event), IMAGES[event.number % 3])
    assert [series.whole for series in report.series] == [20, 20]
    assert all(series.ended for series in report.series)


@both_protocols
def test_what_the_simulator_says_of_a_series_is_what_the_source_understands(protocol: str) -> None:
    mask = np.zeros(SHAPE, bool)
    mask[3:5, 7] = True
    told = Series(
        key="",
        number=9,
        name="01ABC" if protocol == "dectris-v2" else "",
        n_frames=50,
        shape=SHAPE,
        dtype="uint16",
        photon_energy=9500.5,
        distance=0.125,
        beam_center=(26.5, 20.25),
        pixel_size=(75e-6, 76e-6),
        saturation_value=60000,
        error_value=-5 if protocol == "dectris-v2" else None,
        frame_time=0.02,
        count_time=0.019,
        sensor_material="CdTe",
        sensor_thickness=750e-6,
        detector="EIGER2 X",
        serial_number="E-32-0117",
        mask=mask,
    )
    if protocol == "dectris-v2":
        understood = decode_dectris_v2(encode_dectris_v2.encode_start(told))
    else:
        understood = decode_dectris_v1(encode_dectris_v1.encode_header(told))
    assert isinstance(understood, Series)
    expected, found = msgspec.structs.asdict(told), msgspec.structs.asdict(understood)
    assert np.array_equal(found.pop("mask"), expected.pop("mask"))
    assert found == expected


def test_a_series_of_which_nothing_is_known_can_be_told() -> None:
    nothing = Series(key="", number=1)
    for understood in (
        decode_dectris_v2(encode_dectris_v2.encode_start(nothing)),
        decode_dectris_v1(encode_dectris_v1.encode_header(nothing)),
    ):
        assert isinstance(understood, Series)
        assert msgspec.structs.asdict(understood) == msgspec.structs.asdict(nothing)


V1_PACKINGS = [
    Encoding(),
    Encoding("lz4", "bare"),
    *(Encoding("bslz4", f) for f in ("hdf5", "headerless", "zero_header")),
]
V2_PACKINGS = [Encoding(), Encoding("lz4", "hdf5"), Encoding("bszstd", "hdf5"), *V1_PACKINGS[2:]]


@pytest.mark.parametrize("dtype", ["uint8", "<u2", "<u4", ">u2", "int16", "int32"])
@pytest.mark.parametrize("encoding", V1_PACKINGS, ids=str)
def test_v1_images_of_every_packing_and_dtype_come_back(encoding: Encoding, dtype: str) -> None:
    image = IMAGES[0].astype(dtype)
    message = decode_dectris_v1(encode_dectris_v1.encode_image(SERIES, packed(image, encoding), 8))
    assert isinstance(message, Image)
    assert (message.series, message.number) == (4, 8)
    assert message.timestamp == pytest.approx(0.08)
    assert np.array_equal(unpacked(message), image)


@pytest.mark.parametrize("dtype", ["uint8", "<u2", "<u4", ">u2", "int16", "int32"])
@pytest.mark.parametrize("encoding", V2_PACKINGS, ids=str)
def test_v2_images_of_every_packing_and_dtype_come_back(encoding: Encoding, dtype: str) -> None:
    image = IMAGES[0].astype(dtype)
    data = encode_dectris_v2.image_data(packed(image, encoding))
    message = decode_dectris_v2(encode_dectris_v2.encode_image(SERIES, 8, data))
    assert isinstance(message, Image)
    assert (message.series, message.number) == (4, 8)
    assert np.array_equal(unpacked(message), image)


def test_v2_images_are_cbor_to_cbor2_too() -> None:
    (message,) = encode_dectris_v2.encode_image(SERIES, 8, encode_dectris_v2.image_data(FRAMES[0]))
    fields = cbor2.loads(message)
    assert (fields["type"], fields["series_id"], fields["image_id"]) == ("image", 4, 8)
    assert list(fields["start_time"]) == [4_000_000, 50_000_000]
    array = fields["data"]["threshold_1"]
    assert (array.tag, list(array.value[0]), array.value[1].tag) == (40, list(SHAPE), 69)
    assert (array.value[1].value.tag, array.value[1].value.value[:2]) == (56500, ("bslz4", 2))
    assert array.value[1].value.value[2] == FRAMES[0].payload


@pytest.mark.parametrize(
    ("protocol", "encoding", "text"),
    [
        ("dectris-v2", Encoding("lz4", "bare"), "Stream V2 has no name for a bare LZ4 block"),
        ("dectris-v1", Encoding("lz4", "hdf5"), "Stream V1 has no name for lz4 in hdf5 framing"),
        ("dectris-v1", Encoding("bszstd", "hdf5"), "Stream V1 has no name for bszstd in hdf5 framing"),
    ],
)
def test_frames_that_a_protocol_has_no_name_for_are_refused_at_once(
    protocol: str, encoding: Encoding, text: str
) -> None:
    settings = SimulatorSettings.model_validate({"protocol": protocol, "address": "tcp://127.0.0.1:*"})
    with pytest.raises(ValueError, match=text):
        Simulator(settings, [packed(IMAGES[0], encoding)], SERIES)


# -- faults ---------------------------------------------------------------------------------------------------------


@both_protocols
def test_skipped_frames_are_missing_and_reported(protocol: str) -> None:
    events, report = exchanged(protocol, n_frames=60, faults=FaultSettings(skip=0.3, seed=1))
    (series,) = report.series
    assert 5 < len(series.skipped) < 40
    assert numbers(events) == [n for n in range(60) if n not in series.skipped]


@both_protocols
def test_truncated_frames_are_refused_by_number_and_reported(protocol: str) -> None:
    events, report = exchanged(protocol, n_frames=60, faults=FaultSettings(truncate=0.3, seed=1))
    (series,) = report.series
    refused = [event for event in events if isinstance(event, Refused)]
    assert 5 < len(refused) < 40
    assert [event.number for event in refused] == series.truncated
    assert numbers(events) == [n for n in range(60) if n not in series.truncated]
    assert series.whole == len(numbers(events))


@both_protocols
def test_duplicated_frames_come_twice_and_are_reported(protocol: str) -> None:
    events, report = exchanged(protocol, n_frames=60, faults=FaultSettings(duplicate=0.3, seed=1))
    (series,) = report.series
    assert 5 < len(series.duplicated) < 40
    assert numbers(events) == sorted([*range(60), *series.duplicated])


@both_protocols
def test_garbage_is_refused_and_costs_no_frame(protocol: str) -> None:
    events, report = exchanged(protocol, n_frames=60, faults=FaultSettings(garbage=0.3, seed=1))
    assert numbers(events) == [*range(60)]
    assert report.series[0].garbage == sum(isinstance(event, Refused) for event in events) > 5


@both_protocols
def test_a_detector_that_dies_sends_no_end(protocol: str) -> None:
    events, report = exchanged(protocol, n_frames=20, n_series=2, faults=FaultSettings(die_after=7))
    assert numbers(events) == [*range(7)] * 2
    assert [(series.reached, series.ended) for series in report.series] == [(7, False), (7, False)]
    assert [type(event) for event in events if not isinstance(event, Frame)] == [Series, SeriesEnd, Series]


@both_protocols
def test_a_restarted_detector_sends_another_series_under_the_same_number(protocol: str) -> None:
    events, report = exchanged(protocol, n_frames=20, faults=FaultSettings(restart_after=5))
    first, second = (event for event in events if isinstance(event, Series))
    assert first.number == second.number == 4
    assert first.key != second.key
    assert [event.number for event in events if isinstance(event, Frame) and event.series == first.key] == [*range(5)]
    assert [event.number for event in events if isinstance(event, Frame) and event.series == second.key] == [*range(20)]
    assert [(series.reached, series.ended) for series in report.series] == [(5, False), (20, True)]


@both_protocols
def test_the_same_seed_misbehaves_the_same(protocol: str) -> None:
    def report(seed: int) -> SimulatorReport:
        faults = FaultSettings(skip=0.2, truncate=0.2, duplicate=0.2, garbage=0.2, seed=seed)
        return exchanged(protocol, n_frames=40, n_series=2, faults=faults)[1]

    assert report(3) == report(3)
    assert report(3).series[0].skipped != report(4).series[0].skipped
    assert report(3).series[0].skipped != report(3).series[1].skipped


# -- pace and end ---------------------------------------------------------------------------------------------------


def test_frames_do_not_come_faster_than_ordered() -> None:
    began = time.monotonic()
    exchanged("dectris-v1", n_frames=21, rate=100.0)
    assert time.monotonic() - began >= 0.2


def test_without_a_peer_frames_are_lost_where_nobody_waits_for_one() -> None:
    settings = SimulatorSettings(address="tcp://127.0.0.1:*", n_frames=5, wait_for_peer=False)
    (series,) = run_simulator(settings, FRAMES, SERIES).series
    assert series.not_taken == [0, 1, 2, 3, 4]
    assert (series.whole, series.ended) == (0, False)


def test_a_simulator_that_waits_for_a_peer_can_be_stopped() -> None:
    with Simulator(SimulatorSettings(address="tcp://127.0.0.1:*"), FRAMES, SERIES) as simulator:
        sender = threading.Thread(target=simulator.run)
        sender.start()
        simulator.stop()
        sender.join(10)
        assert not sender.is_alive()
    assert simulator.report.series[0].reached == 0


def test_no_frames_or_an_address_in_use_are_refused_with_the_reason() -> None:
    with pytest.raises(ValueError, match="the simulator needs at least one frame, found none"):
        Simulator(SimulatorSettings(), [], SERIES)
    with zmq.Context() as context, context.socket(zmq.PUSH) as push:
        push.bind("tcp://127.0.0.1:*")
        address = push.get_string(zmq.LAST_ENDPOINT)
        with pytest.raises(ValueError, match=f"the simulator cannot send from '{address}': Address already in use"):
            Simulator(SimulatorSettings(address=address), FRAMES, SERIES)


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    _, report = exchanged("dectris-v2", n_frames=9, faults=FaultSettings(skip=0.5))
    report.write(tmp_path / "report.json")
    assert SimulatorReport.read(tmp_path / "report.json") == report


@both_protocols
def test_per_shot_values_arrive_with_their_frames(protocol: str) -> None:
    frames = [msgspec.structs.replace(FRAMES[0], values={"energy": 0.5, "codes": "40 183", "n": n}) for n in (7, 8)]
    events, _ = exchanged(protocol, frames, n_frames=4, laser="2 on, 1 off")
    values = [event.values for event in events if isinstance(event, Frame)]
    assert values == [
        {"energy": 0.5, "codes": "40 183", "n": n, "laser_1": laser}
        for n, laser in ((7, 1), (8, 1), (7, 0), (8, 1))
    ]  # fmt: skip


@pytest.mark.parametrize("pattern", ["", "on", "1 on; 1 off", "-1 on", "0 on", "1 on, 999999 off", "1 on,"])
def test_a_laser_pattern_that_is_none_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="a laser's pattern"):
        SimulatorSettings(laser=pattern)
