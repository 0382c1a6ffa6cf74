"""Recorded streams of other programs' detectors, sent again over real sockets and read to the pixel."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cbor2
import hdf5_bitshuffle
import numpy as np
import pytest
import zmq
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from braggwatch.processing.decompression import decompress
from braggwatch.processing.frame import Event, Frame, Refused, Series, SeriesEnd
from braggwatch.streamer.sources.pull import PullSource
from braggwatch.streamer.sources.settings import DectrisV1Settings, DectrisV2Settings
from braggwatch.streamer.sources.source import Source, SourceSettings, open_source

Recorded = Callable[[str], list[list[bytes]]]


def received(source: Source, n_events: int) -> list[Event]:
    """The next events, however the messages that hold them arrive."""
    poller = zmq.Poller()
    for socket in source.sockets:
        poller.register(socket, zmq.POLLIN)
    events: list[Event] = []
    while len(events) < n_events:
        ready = poller.poll(10_000)
        assert ready, f"after 10 s only {len(events)} of {n_events} events: {events}"
        for socket, _ in ready:
            events += source.receive(socket) or []
    return events


def replayed(
    messages: list[list[bytes]], settings: type[DectrisV1Settings] | type[DectrisV2Settings], n_events: int
) -> list[Event]:
    """What a source says of messages that a PUSH socket sends it."""
    with zmq.Context() as context, context.socket(zmq.PUSH) as push:
        push.bind("tcp://127.0.0.1:*")
        sender = threading.Thread(target=lambda: [push.send_multipart(parts) for parts in messages])
        sender.start()
        with open_source(settings(address=push.get_string(zmq.LAST_ENDPOINT))) as source:
            events = received(source, n_events)
        sender.join()
    return events


def bind_again(socket: "zmq.Socket[bytes]", address: str) -> None:
    """Bind where another socket was closed just now: ZeroMQ frees the port a moment after ``close`` returns."""
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.bind(address)
            return
        except zmq.ZMQError as error:
            if error.errno != zmq.EADDRINUSE or time.monotonic() > deadline:
                raise
        time.sleep(0.01)


def pixels(frame: Event) -> NDArray[Any]:
    assert isinstance(frame, Frame)
    image = np.empty(frame.shape, frame.dtype)
    decompress(frame.payload, frame.encoding, frame.shape, frame.dtype, image)
    return image


@pytest.fixture(scope="module")
def eiger2_frame(shared: Path) -> NDArray[Any]:
    payload = np.fromfile(shared / "wire" / "eiger2_16m_frame_sample.bs16lz4", np.uint8)
    image: NDArray[Any] = hdf5_bitshuffle.decompress_lz4(payload[12:], (4362, 4148), np.dtype("u2"), 4096)
    return image


def test_a_recorded_v2_stream_is_read_to_the_pixel(recorded: Recorded) -> None:
    messages = recorded("tickit_eiger_stream2_basic")
    events = replayed(messages, DectrisV2Settings, 6)
    start, *frames, end = events
    assert isinstance(start, Series)
    assert (start.number, start.name, start.n_frames) == (1, "01HBV3JPF9T4ZDPADX6EMK6XMZ", 4)
    assert (start.shape, start.detector) == ((4362, 4148), "Dectris EIGER2 Si 16M")
    assert start.distance == pytest.approx(0.237159199)
    assert start.photon_energy == pytest.approx(13500.2998)
    assert [frame.number for frame in frames if isinstance(frame, Frame)] == [0, 1, 2, 3]
    for frame, (message,) in zip(frames, messages[1:5], strict=True):
        array = cbor2.loads(message)["data"]["threshold_1"].value[1].value.value
        blocks = np.frombuffer(array[2], np.uint8)[12:]
        assert np.array_equal(pixels(frame), hdf5_bitshuffle.decompress_lz4(blocks, (4362, 4148), np.dtype("u2"), 4096))
    assert end == SeriesEnd(start.key)


def test_a_recorded_v1_stream_is_read_to_the_pixel(recorded: Recorded, eiger2_frame: NDArray[Any]) -> None:
    events = replayed(recorded("tickit_eiger_stream1_basic"), DectrisV1Settings, 6)
    start, *frames, end = events
    assert isinstance(start, Series)
    assert (start.number, start.n_frames, start.shape, start.dtype) == (1, 4, (4362, 4148), "uint16")
    assert [frame.number for frame in frames if isinstance(frame, Frame)] == [0, 1, 2, 3]
    assert all(np.array_equal(pixels(frame), eiger2_frame) for frame in frames)
    assert end == SeriesEnd(start.key)


def test_a_recorded_v1_stream_without_block_headers_is_read_to_the_pixel(shared: Path, recorded: Recorded) -> None:
    truth = np.load(shared / "wire" / "eigersim_truth.npz")["frames"]
    events = replayed(recorded("eigersim_stream1_bslz4_basic"), DectrisV1Settings, 4)
    start, *frames, end = events
    assert isinstance(start, Series)
    assert (start.n_frames, start.shape, start.distance) == (2, (3269, 3110), 0.12696)
    assert np.array_equal(np.stack([pixels(frame) for frame in frames]), truth)
    assert end == SeriesEnd(start.key)


def test_the_wrong_protocol_is_refused_message_by_message(recorded: Recorded) -> None:
    messages = recorded("tickit_eiger_stream1_basic")[:2]
    events = replayed(messages, DectrisV2Settings, 2)
    assert [event.kind for event in events if isinstance(event, Refused)] == ["parts", "parts"]


def test_a_detector_that_comes_back_is_heard_again(recorded: Recorded) -> None:
    messages = recorded("eigersim_stream1_bslz4_basic")
    with zmq.Context() as context:
        with context.socket(zmq.PUSH) as push:
            push.bind("tcp://127.0.0.1:*")
            address = push.get_string(zmq.LAST_ENDPOINT)
            source = open_source(DectrisV1Settings(address=address))
            for message in messages[:2]:
                push.send_multipart(message)
            events = received(source, 2)
        with source, context.socket(zmq.PUSH) as push:
            bind_again(push, address)
            for message in messages[:2]:
                push.send_multipart(message)
            events += received(source, 3)
    assert [type(event) for event in events] == [Series, Frame, SeriesEnd, Series, Frame]


def test_several_addresses_are_read_as_one_detector(recorded: Recorded) -> None:
    messages = recorded("tickit_eiger_stream2_basic")
    with zmq.Context() as context, context.socket(zmq.PUSH) as even, context.socket(zmq.PUSH) as odd:
        for push in (even, odd):
            push.bind("tcp://127.0.0.1:*")
        addresses = [push.get_string(zmq.LAST_ENDPOINT) for push in (even, odd)]
        with open_source(DectrisV2Settings(address=addresses)) as source:
            for push in (even, odd):
                push.send_multipart(messages[0])
            events = received(source, 1)
            for push, message in ((even, messages[1]), (odd, messages[2]), (even, messages[3]), (odd, messages[4])):
                push.send_multipart(message)
                events += received(source, 1)
            for push in (even, odd):
                push.send_multipart(messages[5])
            events += received(source, 1)
    assert [type(event) for event in events] == [Series, Frame, Frame, Frame, Frame, SeriesEnd]
    assert [event.number for event in events if isinstance(event, Frame)] == [0, 1, 2, 3]


def test_a_part_larger_than_allowed_never_arrives() -> None:
    with zmq.Context() as context, context.socket(zmq.PUSH) as push:
        push.bind("tcp://127.0.0.1:*")
        settings = DectrisV2Settings(address=push.get_string(zmq.LAST_ENDPOINT), max_message_bytes=1024)
        with open_source(settings) as source:
            push.send(b"small")
            (event,) = received(source, 1)
            assert isinstance(event, Refused)
            push.send(bytes(2000))
            (socket,) = source.sockets
            assert not socket.poll(300)
            assert source.receive(socket) is None


def test_messages_of_no_use_are_counted_by_kind() -> None:
    with zmq.Context() as context, context.socket(zmq.PUSH) as push:
        push.bind("tcp://127.0.0.1:*")
        with open_source(DectrisV1Settings(address=push.get_string(zmq.LAST_ENDPOINT))) as source:
            assert isinstance(source, PullSource)
            push.send(b'{"htype": "dnews-1.0"}')
            assert source.sockets[0].poll(10_000)
            assert source.receive(source.sockets[0]) == []
            assert source.receive(source.sockets[0]) is None
            assert source.ignored == {"dnews-1.0": 1}


def test_an_address_that_is_none_is_refused_with_an_example() -> None:
    text = r"source.address must be a ZeroMQ address such as tcp://127.0.0.1:31001, found 'beamline:31001'"
    with pytest.raises(ValueError, match=text):
        open_source(DectrisV2Settings(address="beamline:31001"))


def test_one_line_of_the_settings_chooses_the_protocol() -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(SourceSettings)
    assert isinstance(adapter.validate_python({"type": "dectris-v1"}), DectrisV1Settings)
    v2 = adapter.validate_python(
        {"type": "dectris-v2", "address": ["tcp://a:1", "tcp://b:1"], "channel": "threshold_2"}
    )
    assert isinstance(v2, DectrisV2Settings)
    assert v2.addresses == ["tcp://a:1", "tcp://b:1"]
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        adapter.validate_python({"type": "dectris-v1", "channel": "threshold_2"})
