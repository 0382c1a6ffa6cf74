"""What the window remembers between two starts."""

from pathlib import Path

import msgspec
import pytest

from braggwatch.gui.remembered import MAX_BYTES, Remembered, recall, remember

LEFT = Remembered(theme="light", preset="quality", docks=("image", "rates"), checked={"spots": False}).with_layout(
    b"geometry", b"state"
)


def test_what_is_remembered_is_recalled(tmp_path: Path) -> None:
    path = tmp_path / "braggwatch" / "window.json"
    remember(path, LEFT)
    assert recall(path) == LEFT
    assert recall(path).unpacked() == (b"geometry", b"state")
    assert [file.name for file in path.parent.iterdir()] == ["window.json"]


def test_nothing_is_remembered_where_the_user_may_not_write(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    remember(tmp_path / "file" / "window.json", LEFT)
    assert recall(tmp_path / "file" / "window.json") == Remembered()


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe", b"[1, 2]", b'{"theme": 3}', b"[" * 100_000, b" " * (MAX_BYTES + 1)]
)
def test_a_file_that_is_damaged_or_somebody_elses_counts_as_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "window.json"
    path.write_bytes(content)
    assert recall(path) == Remembered()


@pytest.mark.parametrize(
    "damaged",
    [
        msgspec.structs.replace(LEFT, state="bm9uc2Vuc2U="),
        msgspec.structs.replace(LEFT, state="no base64 !"),
        msgspec.structs.replace(LEFT, geometry=LEFT.geometry + "AAAA"),
        Remembered(),
    ],
)
def test_a_layout_that_is_damaged_is_not_given_to_qt(damaged: Remembered) -> None:
    assert damaged.unpacked() is None
