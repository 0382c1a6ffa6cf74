"""Thousands of damaged copies of messages of real detectors: each is refused, or a frame that is safe to unpack."""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import cbor2
import hdf5_bitshuffle
import numpy as np
import psutil
import pytest

from braggwatch.processing.decompression import decompress
from braggwatch.processing.frame import Frame, Refused, Series, SeriesEnd
from braggwatch.streamer.sources.pull import PullSource
from braggwatch.streamer.sources.settings import DectrisV1Settings, DectrisV2Settings
from braggwatch.streamer.sources.source import open_source

Message = list[bytes]
Recorded = Callable[[str], list[Message]]

CROPPED = np.random.default_rng(1).poisson(1, (60, 67)).astype(np.uint16)
PAYLOAD = CROPPED.nbytes.to_bytes(8, "big") + (8192).to_bytes(4, "big") + hdf5_bitshuffle.compress_lz4(CROPPED, 4096)


def cropped_v1(messages: list[Message]) -> list[Message]:
    """The recorded stream with a small image in place of the large one."""
    header, config = messages[0]
    config = json.dumps(json.loads(config) | {"x_pixels_in_detector": 67, "y_pixels_in_detector": 60}).encode()
    about = json.dumps(json.loads(messages[1][1]) | {"shape": [67, 60], "size": len(PAYLOAD)}).encode()
    images = [[parts[0], about, PAYLOAD, parts[3]] for parts in messages[1:5]]
    return [[header, config], *images, messages[5]]


def cropped_v2(messages: list[Message]) -> list[Message]:
    """The recorded stream with a small image in place of the large one."""
    packed = cbor2.CBORTag(69, cbor2.CBORTag(56500, ["bslz4", 2, PAYLOAD]))
    images = []
    for (message,) in messages[1:5]:
        fields = dict(cbor2.loads(message)) | {"data": {"threshold_1": cbor2.CBORTag(40, [[60, 67], packed])}}
        images.append([cbor2.dumps(cbor2.CBORTag(55799, fields))])
    start = dict(cbor2.loads(messages[0][0])) | {"image_size_x": 67, "image_size_y": 60}
    return [[cbor2.dumps(cbor2.CBORTag(55799, start))], *images, messages[5]]


def flipped(part: bytes, rng: np.random.Generator) -> bytes:
    """A part with one to eight bits flipped, half of the time near its beginning, where the fields are."""
    reach = min(len(part), 400) if rng.random() < 0.5 else len(part)
    damaged = bytearray(part)
    for _ in range(rng.integers(1, 9)):
        damaged[rng.integers(reach)] ^= 1 << rng.integers(8)
    return bytes(damaged)


def cut(part: bytes, rng: np.random.Generator) -> bytes:
    return part[: rng.integers(len(part))]


def with_junk(part: bytes, rng: np.random.Generator) -> bytes:
    at = rng.integers(len(part) + 1)
    return part[:at] + rng.bytes(int(rng.integers(1, 40))) + part[at:]


def with_wrong_number(part: bytes, rng: np.random.Generator) -> bytes:
    """A part in which some bytes, most likely a size, say something extreme."""
    at, n = rng.integers(min(len(part), 400)), rng.integers(1, 9)
    extreme = (b"\xff" * 8, b"\x7f" + b"\xff" * 7, bytes(8), b"99999999")[rng.integers(4)]
    return part[:at] + extreme[:n] + part[at + n :]


def damaged(message: Message, rng: np.random.Generator) -> Message:
    """A copy of a message with one kind of damage."""
    parts = list(message)
    which = int(rng.integers(len(parts)))
    kind = rng.integers(8)
    if kind < 4:
        parts[which] = (flipped, cut, with_junk, with_wrong_number)[kind](parts[which], rng)
    elif kind == 4:
        parts.insert(which, parts[which])
    elif kind == 5:
        parts[which] = rng.bytes(int(rng.integers(0, 300)))
    elif kind == 6:
        parts.insert(which, parts.pop(int(rng.integers(len(parts)))))
        parts[-1] = flipped(parts[-1] or b"\0", rng)
    elif len(parts) > 1:
        del parts[which]
    else:
        parts = [b""]
    return parts


def outcomes(source: PullSource, messages: list[Message], n: int, seed: int) -> Counter[str]:
    """What becomes of `n` damaged messages, each between two whole ones; checks that every event can be worked with."""
    rng = np.random.default_rng(seed)
    found: Counter[str] = Counter()
    for _ in range(n):
        message = messages[rng.integers(len(messages))]
        for parts in (damaged(message, rng), message):
            for event in source.take([memoryview(part) for part in parts]):
                found[outcome(event)] += 1
    return found


def outcome(event: Any) -> str:
    if isinstance(event, Refused):
        assert event.kind
        assert event.reason
        assert len(event.reason) < 1000
        return "refused"
    if isinstance(event, Frame):
        image = np.empty(event.shape, event.dtype)
        assert image.nbytes <= 2**26
        try:
            decompress(event.payload, event.encoding, event.shape, event.dtype, image)
        except ValueError:
            return "damaged pixels"
        return "frame"
    assert isinstance(event, Series | SeriesEnd)
    return type(event).__name__


@pytest.fixture
def v1() -> DectrisV1Settings:
    return DectrisV1Settings(max_image_bytes=2**26)


@pytest.fixture
def v2() -> DectrisV2Settings:
    return DectrisV2Settings(max_image_bytes=2**26)


def test_damaged_copies_of_v1_messages_are_refused_or_safe(recorded: Recorded, v1: DectrisV1Settings) -> None:
    messages = cropped_v1(recorded("tickit_eiger_stream1_basic"))
    with open_source(v1) as source:
        assert isinstance(source, PullSource)
        found = outcomes(source, messages, 6000, seed=1)
    assert found["refused"] > 1000
    assert found["damaged pixels"] > 10
    assert found["frame"] > 3000


def test_damaged_copies_of_v2_messages_are_refused_or_safe(recorded: Recorded, v2: DectrisV2Settings) -> None:
    messages = cropped_v2(recorded("tickit_eiger_stream2_basic"))
    with open_source(v2) as source:
        assert isinstance(source, PullSource)
        found = outcomes(source, messages, 6000, seed=2)
    assert found["refused"] > 1000
    assert found["damaged pixels"] > 10
    assert found["frame"] > 3000


def test_damaged_copies_of_messages_of_full_size_are_refused_or_safe(
    recorded: Recorded, v1: DectrisV1Settings, v2: DectrisV2Settings
) -> None:
    for settings, name in (
        (v1, "tickit_eiger_stream1_basic"),
        (v1, "eigersim_stream1_bslz4_basic"),
        (v2, "tickit_eiger_stream2_basic"),
    ):
        with open_source(settings) as source:
            assert isinstance(source, PullSource)
            assert outcomes(source, recorded(name), 60, seed=3)["refused"] > 10


def test_damaged_messages_leave_nothing_behind_in_memory(recorded: Recorded, v2: DectrisV2Settings) -> None:
    messages = cropped_v2(recorded("tickit_eiger_stream2_basic"))
    process = psutil.Process()
    with open_source(v2) as source:
        assert isinstance(source, PullSource)
        outcomes(source, messages, 500, seed=4)
        before = process.memory_info().rss
        outcomes(source, messages, 3000, seed=5)
        after = process.memory_info().rss
        assert len(source.ignored) <= 101
    assert after - before < 20 * 2**20


def test_random_bytes_are_refused_in_both_protocols(v1: DectrisV1Settings, v2: DectrisV2Settings) -> None:
    rng = np.random.default_rng(6)
    for settings in (v1, v2):
        with open_source(settings) as source:
            assert isinstance(source, PullSource)
            for _ in range(500):
                parts = [rng.bytes(int(rng.integers(0, 200))) for _ in range(rng.integers(1, 6))]
                (event,) = source.take(parts)
                assert isinstance(event, Refused)
