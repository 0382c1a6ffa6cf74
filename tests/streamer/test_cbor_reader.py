"""Our reader of CBOR against cbor2's writer, and against what nobody should send."""

import math
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from braggwatch.streamer.sources.cbor_reader import DEEPEST, MOST_ITEMS, CborError, Tagged, read_cbor

SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**64), 2**64 - 1) | st.floats(allow_nan=False) | st.text() | st.binary()
)
KEYS = st.text() | st.integers(-(2**64), 2**64 - 1)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=30
)


def plain(value: Any) -> Any:
    """The value with bytes in place of memoryviews."""
    if isinstance(value, memoryview):
        return bytes(value)
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


@given(VALUES)
def test_what_cbor2_writes_is_read(value: Any) -> None:
    assert plain(read_cbor(cbor2.dumps(value))) == value


@given(st.floats(width=16, allow_nan=False))
def test_floats_in_their_shortest_form_are_read(value: float) -> None:
    assert read_cbor(cbor2.dumps(value, canonical=True)) == value


def test_a_float_that_is_no_number_is_read() -> None:
    assert math.isnan(read_cbor(cbor2.dumps(math.nan)))


@pytest.mark.parametrize(
    ("encoded", "value"),
    [
        ("5f42010243030405ff", b"\x01\x02\x03\x04\x05"),
        ("7f657374726561646d696e67ff", "streaming"),
        ("9f018202039f0405ffff", [1, [2, 3], [4, 5]]),
        ("bf61610161629f0203ffff", {"a": 1, "b": [2, 3]}),
        ("9fff", []),
        ("f7", None),
    ],
)
def test_the_standards_examples_of_indefinite_lengths_are_read(encoded: str, value: Any) -> None:
    assert plain(read_cbor(bytes.fromhex(encoded))) == value


def test_byte_strings_are_views_into_the_message() -> None:
    message = bytearray(cbor2.dumps({"data": bytes(1000)}))
    value = read_cbor(message)["data"]
    message[-1] = 7
    assert value[-1] == 7


def test_tags_stay_tags_and_self_description_goes() -> None:
    assert read_cbor(cbor2.dumps(cbor2.CBORTag(55799, [cbor2.CBORTag(40, 1)]))) == [Tagged(40, 1)]


def test_a_bignum_or_a_regular_expression_is_made_into_nothing() -> None:
    assert plain(read_cbor(cbor2.dumps(2**70)).value) == (2**70).to_bytes(9, "big")
    assert read_cbor(cbor2.dumps(cbor2.CBORTag(35, "(a+)+$"))) == Tagged(35, "(a+)+$")


@pytest.mark.parametrize(
    ("encoded", "text"),
    [
        (b"", "the message ends at byte 0, expected more"),
        (b"\x82\x01", "2 items announced at byte 1 of 2"),
        (b"\x5b\xff\xff\xff\xff\xff\xff\xff\xff", "18446744073709551615 bytes expected from byte 9, found 0"),
        (b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff", "18446744073709551615 items announced"),
        (b"\xbb\x00\x00\x00\x00\xff\xff\xff\xff", "4294967295 items announced"),
        (b"\x01\x01", "1 bytes follow the CBOR value, expected none"),
        (b"\x61\xff", "no valid CBOR near byte 2 of 2: 'utf-8' codec can't decode"),
        (b"\xa1\x80\x01", "a map's key must be text or an integer, found list"),
        (b"\x1c", "reserved head 0x1c"),
        (b"\xdf", "reserved head 0xdf"),
        (b"\xf8\x20", "unknown simple value 24"),
        (b"\xff", "unknown simple value 31"),
        (b"\x5f\x61a\xff", "a string of pieces holds something else"),
        (b"\x5f\x5f\xff\xff", "a string of pieces holds something else"),
        (b"\x81" * 100 + b"\x01", f"more than {DEEPEST} levels"),
        (b"\xc1" * 100 + b"\x01", f"more than {DEEPEST} levels"),
        (b"\x9f" + b"\x00" * (MOST_ITEMS + 1) + b"\xff", f"at most {MOST_ITEMS} may come"),
        (b"\x5f" + b"\x40" * (MOST_ITEMS + 1) + b"\xff", f"at most {MOST_ITEMS} may come"),
        (b"\x9f" + b"\x80" * (MOST_ITEMS // 2 + 1) + b"\xff", f"{MOST_ITEMS} items"),
    ],
)
def test_what_is_no_cbor_or_too_much_of_it_is_refused(encoded: bytes, text: str) -> None:
    with pytest.raises(CborError, match=text.replace("(", r"\(")):
        read_cbor(encoded)


@given(st.binary(max_size=60))
def test_random_bytes_are_read_or_refused(encoded: bytes) -> None:
    try:
        read_cbor(encoded)
    except CborError as error:
        assert str(error)


def test_a_cut_message_still_shows_what_came_ahead_of_the_cut() -> None:
    message = cbor2.dumps({"image_id": 7, "data": {"inner": 1}, "more": bytes(100)})
    with pytest.raises(CborError) as caught:
        read_cbor(message[:-10])
    assert caught.value.partial == {"image_id": 7, "data": {"inner": 1}}
