"""The archive: viewers ask for shots and tables of the past, and get them out of the record and the dumps.

A thread of its own answers, through connections of its own, so that nobody's curiosity delays the processing. On the
wire, a ROUTER socket takes two parts, a token of at most 32 bytes that the viewer chooses and a request
(`archive_messages`; msgpack), and answers with three: the token, the answer, and for a `Shot` or a `Map` the packed
pixels.
"""

import threading
from pathlib import Path

import msgspec
import zmq

from braggwatch.processing.closing import Closing
from braggwatch.streamer.archive_desk import ArchiveDesk
from braggwatch.streamer.archive_messages import MAX_OUT, Answer, Refusal, Shot
from braggwatch.streamer.calibration_maps import CalibrationMaps
from braggwatch.streamer.map_messages import Map

MAX_REQUEST_BYTES = 65536
MAX_TOKEN_BYTES = 32
REQUEST_LIMIT = 16
"""Requests kept of a viewer while others are served; what is more waits at that viewer."""
SEND_LIMIT = 2 * MAX_OUT
"""Answers kept for a viewer that is slow to take them, shots of some 20 MB among them; further ones are dropped.

Twice what `ArchiveClient` asks at a time, because ZeroMQ learns only by halves of this how much was taken.
"""
COPIED_BYTES = 65536
"""Smaller answers are copied, which costs less than keeping them."""
TURN_MS = 200


class Archive(Closing):
    """Answers viewers from a thread of its own until it is closed."""

    def __init__(self, record: Path, feed: str, maps: CalibrationMaps | None = None) -> None:
        """Bind beside the feed's address: where that is TCP to the second port after it, or, if it is taken, to any.

        The record need not exist before the first question; `maps` are those of the processor, without one the desk
        has its own. Raises OSError (zmq.ZMQError) where nothing can be bound.
        """
        self.desk = ArchiveDesk(record, maps or CalibrationMaps())
        """Where the owner of the archive may look things up too."""
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._router = self._context.socket(zmq.ROUTER)
        self._router.setsockopt(zmq.MAXMSGSIZE, MAX_REQUEST_BYTES)
        self._router.setsockopt(zmq.RCVHWM, REQUEST_LIMIT)
        self._router.setsockopt(zmq.SNDHWM, SEND_LIMIT)
        self._router.setsockopt(zmq.LINGER, 0)
        try:
            _bind_beside(self._router, feed)
        except zmq.ZMQError:
            self._router.close()
            self._context.term()
            raise
        self.address = str(self._router.getsockopt_string(zmq.LAST_ENDPOINT))
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="archive", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Answer what is being answered, and close."""
        self._closing.set()
        self._thread.join()
        self._router.close()
        self._context.term()

    def _serve(self) -> None:
        try:
            while not self._closing.is_set():
                if self._router.poll(TURN_MS):
                    self._answer(self._router.recv_multipart())
        finally:
            self.desk.close()

    def _answer(self, parts: list[bytes]) -> None:
        viewer, token, request = parts if len(parts) == 3 else (parts[0], b"", None)
        answer: Answer
        if request is None or len(token) > MAX_TOKEN_BYTES:
            token = b""
            answer = Refusal(f"a request has a token of at most {MAX_TOKEN_BYTES} bytes and a message, nothing else")
        else:
            answer = self.desk.answer(request)
        payload = b""
        if isinstance(answer, Shot) and answer.image is not None:
            payload = answer.image.payload
            answer = msgspec.structs.replace(answer, image=msgspec.structs.replace(answer.image, payload=b""))
        elif isinstance(answer, Map):
            payload, answer = answer.payload, msgspec.structs.replace(answer, payload=b"")
        # A ROUTER socket never waits: it drops what is for a viewer that has gone or does not take its answers.
        self._router.send_multipart(
            [viewer, token, msgspec.msgpack.encode(answer), payload], copy=len(payload) < COPIED_BYTES
        )


def _bind_beside(socket: zmq.Socket[bytes], feed: str) -> None:
    if not feed.startswith("tcp://"):
        socket.bind(f"{feed}.archive")
        return
    host, _, port = feed.rpartition(":")
    try:
        socket.bind(f"{host}:{int(port) + 2}")  # a firewall can be told of it beforehand
    except zmq.ZMQError:
        socket.bind(f"{host}:*")
