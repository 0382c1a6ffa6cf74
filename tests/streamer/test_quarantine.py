"""Frames set aside can be read again, and nothing half-written is left."""

import errno
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np
import pytest
from by_hand import frames_of, named_series

from braggwatch.streamer.quarantine import Quarantined, read_quarantined, set_aside


@contextmanager
def largest_file(n_bytes: int) -> Iterator[None]:
    """Let this process write files of so many bytes at most, as on a disk that fills up."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_frame_set_aside_comes_back_as_it_was(tmp_path: Path) -> None:
    mask = np.zeros((64, 64), bool)
    mask[3, 5] = True
    [frame] = frames_of("../../evil", [4])
    where = set_aside(tmp_path / "new", named_series("../../evil", name="../x", mask=mask), frame)
    assert Path(where).parent == tmp_path / "new"
    series, again = read_quarantined(Path(where))
    assert series.mask is not None
    assert np.array_equal(series.mask, mask)
    assert bytes(again.payload) == frame.payload


def test_a_frame_that_does_not_fit_on_the_disk_leaves_no_half_of_itself(tmp_path: Path) -> None:
    [frame] = frames_of("s", [4])
    with largest_file(1000), pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
        set_aside(tmp_path, named_series(), frame)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shape", [[2**20, 2**20], [-1, -8], [1], "64"])
def test_a_mask_that_claims_more_pixels_than_it_holds_is_refused(tmp_path: Path, shape: object) -> None:
    packed = msgspec.msgpack.encode({"key": "s", "number": 1, "mask": {"shape": shape, "bits": b"\xff"}})
    path = tmp_path / "evil.msgpack"
    path.write_bytes(msgspec.msgpack.encode(Quarantined(packed, b"", b"")))
    with pytest.raises(msgspec.ValidationError):
        read_quarantined(path)
