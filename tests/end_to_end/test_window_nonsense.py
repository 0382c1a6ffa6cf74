"""The window on something that speaks like a processor and makes no sense: a line each, and the next good message."""

import itertools
import logging
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import zmq
from nonsense import KINDS, bins, geometry, merging, peakogram, powder, shot, status
from pytestqt.qtbot import QtBot
from watched_window import Watched, watching

from braggwatch.gui.controllers.strip import StripController
from braggwatch.gui.image_layers import LAYERS
from braggwatch.gui.mask_shapes import Ring
from braggwatch.gui.panels.image import ImagePanel
from braggwatch.gui.panels.strip import StripPanel
from braggwatch.streamer.feed_client import MAX_MESSAGE_BYTES
from braggwatch.streamer.feed_messages import (
    PROTOCOL,
    Header,
    History,
    Message,
    topic_of,
)
from braggwatch.streamer.picture_messages import SettingsInForce, ShotImage


class Talker:
    """Sends whatever it is told to, as a processor would."""

    def __init__(self) -> None:
        self._context = zmq.Context[zmq.Socket[bytes]]()
        self._socket = self._context.socket(zmq.PUB)
        self._socket.setsockopt(zmq.SNDHWM, 10_000)
        self.address = f"tcp://127.0.0.1:{self._socket.bind_to_random_port('tcp://127.0.0.1')}"
        self._numbers = itertools.count(1)

    def header(self, protocol: int = PROTOCOL) -> bytes:
        told = Header(protocol=protocol, processor="x", sequence=next(self._numbers), snapshot="tcp://nowhere:1")
        return msgspec.msgpack.encode(told)

    def raw(self, *parts: bytes) -> None:
        self._socket.send_multipart(parts)

    def say(self, message: Message) -> None:
        payload = message.payload if isinstance(message, ShotImage) else b""
        if isinstance(message, ShotImage):
            message = msgspec.structs.replace(message, payload=b"")
        self.raw(topic_of(message), self.header(), msgspec.msgpack.encode(message), payload)

    def close(self) -> None:
        self._socket.close(linger=0)
        self._context.term()


@pytest.fixture
def talker() -> Iterator[Talker]:
    made = Talker()
    yield made
    made.close()


def said_in_strip(watched: Watched) -> str:
    """What the strip's line says."""
    strip = watched.composition.panels[0][0]
    assert isinstance(strip, StripPanel)
    return str(strip.message.text)


def all_lines(watched: Watched) -> list[str]:
    """What the strip lists under its details."""
    controller = watched.composition.panels[0][1]
    assert isinstance(controller, StripController)
    return [line.text for line in controller.lines()]


def until_good(watched: Watched, talker: Talker, n: int) -> None:
    """Say something good until the window shows it."""

    def told(_: object) -> bool:
        talker.say(status(n))
        watched.live(0.02)
        return watched.monitor.status is not None and watched.monitor.status.totals.total == n

    watched.until(told, 20)


def no_complaints(watched: Watched) -> None:
    """Nothing inside the window went wrong; what it said is about what came."""
    faults = [line for line in watched.said if "failed:" in line or "stumbled" in line]
    assert faults == []


@pytest.mark.parametrize("kind", KINDS)
def test_what_can_be_read_but_makes_no_sense_does_no_harm(
    tmp_path: Path, qtbot: QtBot, talker: Talker, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    caplog.set_level(logging.WARNING)
    with watching(qtbot, talker.address, tmp_path) as watched:
        until_good(watched, talker, 1)
        good: list[Message] = [
            geometry(), SettingsInForce(version=1, time=1.0, text=""), powder(), peakogram(), shot(1), merging(),
            History(recent=bins(), session=bins()),
        ]  # fmt: skip

        for message in good:
            talker.say(message)
        watched.live(0.3)
        watched.monitor.go_live("indexed")
        watched.window.resize(1920, 1080)
        rates = next(panel for panel, _ in watched.composition.panels if panel.name == "rates")
        rates.choose({"kind": "hit"})
        messages, sights = KINDS[kind]
        for preset, panels in sights:
            watched.window.arrange(preset)
            for name in panels:
                watched.window.docks.show(name)
            watched.live(0.2)
            for message in messages:
                talker.say(message)
                watched.live(0.06)  # each is drawn
        for message in good:
            talker.say(message)
        until_good(watched, talker, 5)
        talker.say(shot(4711))
        watched.until(lambda m: m.shot is not None and m.shot.result.number == 4711, 20)
        watched.live(0.2)
        no_complaints(watched)
        assert [record.getMessage() for record in caplog.records] == []
        assert not any(ord(c) < 32 for line in all_lines(watched) for c in line)


def test_what_cannot_be_read_is_too_large_or_too_new_is_a_line_in_the_strip(
    tmp_path: Path, qtbot: QtBot, talker: Talker
) -> None:
    other = msgspec.msgpack.encode(status(3))
    wrong: list[tuple[list[bytes], str]] = [
        ([b"status"], "a message of 1 parts"),
        ([b"status", b"nonsense", b"", b""], "a message with an unreadable header"),
        ([b"status", talker.header(), b"\xc1", b""], "an unreadable message of kind 'status'"),
        ([b"history", talker.header(), other, b""], "an unreadable message of kind 'history'"),
        ([b"geometry", talker.header(), msgspec.msgpack.encode({"shape": "wide"}), b""], "kind 'geometry'"),
        ([b"status.of.tomorrow", talker.header(), b"", b""], "of a kind that this viewer does not know"),
        ([b"status", talker.header(PROTOCOL + 1), b"", b""], f"speaks version {PROTOCOL + 1} of the feed"),
    ]  # fmt: skip
    with watching(qtbot, talker.address, tmp_path) as watched:
        until_good(watched, talker, 1)
        for n, (parts, expected) in enumerate(wrong, 2):
            talker.raw(*parts)
            watched.until(lambda _, expected=expected: expected in said_in_strip(watched), 10)  # type: ignore[misc]
            until_good(watched, talker, n)
        talker.raw(b"status", talker.header(), bytes(MAX_MESSAGE_BYTES + 1), b"")
        watched.until(lambda _: "the connection was cut" in said_in_strip(watched), 20)
        until_good(watched, talker, 100)
        no_complaints(watched)


@pytest.mark.parametrize("kind", ["geometries", "shots"])
def test_what_makes_no_sense_does_no_harm_while_a_mask_is_drawn_and_keeps_it(
    tmp_path: Path, qtbot: QtBot, talker: Talker, kind: str
) -> None:
    with watching(qtbot, talker.address, tmp_path) as watched:
        until_good(watched, talker, 1)
        for message in (geometry(), shot(1)):
            talker.say(message)
        watched.until(lambda m: m.shot is not None, 20)
        (panel,) = (panel for panel, _ in watched.composition.panels if isinstance(panel, ImagePanel))
        panel.toolbar.edit_mask.setChecked(True)
        editor = panel.mask_editor
        watched.until(lambda _: editor.toolbar.masked_now.isEnabled(), 20)
        editor.shape_drawn.emit(Ring(40.0, 32.0, 0.0, 10.0), True)
        drawn = editor.counts.text()
        for number, message in enumerate(KINDS[kind][0]):
            panel.layer_chosen.emit(LAYERS[number % len(LAYERS)])
            talker.say(message)
            watched.live(0.05)
            editor.threshold_wanted.emit(5.0, False, True)
            editor.undo_wanted.emit()
            editor.redo_wanted.emit()
        panel.layer_chosen.emit("image")
        for message in (geometry(), shot(4711)):
            talker.say(message)
        watched.until(lambda m: m.shot is not None and m.shot.result.number == 4711, 20)
        watched.live(0.3)
        editor.clear_wanted.emit()
        editor.shape_drawn.emit(Ring(40.0, 32.0, 0.0, 10.0), True)
        assert editor.counts.text() == drawn
        no_complaints(watched)
        watched.composition.close_at_once()
