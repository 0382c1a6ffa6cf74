"""A viewer's end of the archive."""

import contextlib
import itertools
import time
from collections import deque
from dataclasses import dataclass

import msgspec
import numpy as np
import zmq

from braggwatch.processing.closing import Closing
from braggwatch.processing.frame import image_nbytes
from braggwatch.streamer.archive_messages import MAX_OUT, Answer, Refusal, Request, Shot, ShotWanted
from braggwatch.streamer.feed_client import notice_dead_connections, snapshot_address
from braggwatch.streamer.map_messages import Map
from braggwatch.streamer.messages import unpack_peaks
from braggwatch.streamer.picture_messages import MAX_PIXELS, ShotImage

MAX_ANSWER_BYTES = 128 * 2**20
"""What is larger is not even received: the connection is cut, and made again with the next question."""
MAX_SHOTS_OUT = 2
"""Shots among those asked at a time, so that the one wanted last never waits for more than two others."""
MAX_WAITING = 64
"""Further questions that may wait."""
MAX_SHOTS_WAITING = 16
"""Shots among them; of more, the one wanted first is given up."""
MAX_STAGES = 8
"""Gain stages that are believed of a detector."""
ASK_AGAIN_S = 8.0
GIVE_UP_S = 20.0

# What decoding can raise on bytes that are not what they should be.
_UNDECODABLE = (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError, OverflowError, TypeError)
_answers = msgspec.msgpack.Decoder(Answer)


@dataclass(eq=False)
class _Question:
    token: int
    request: Request
    asked: float
    sent: float = 0.0
    """When it was asked for here, and when the archive was, monotonic seconds."""

    @property
    def is_shot(self) -> bool:
        return isinstance(self.request, ShotWanted)


class ArchiveClient(Closing):
    """Asks the archive, and keeps what is asked until it is answered; used from one thread, which never waits.

    Every question has exactly one answer: what the archive said, or a `Refusal` where it said nothing in time, made no
    sense, or was not asked at all because too much was. Of several shots the one wanted last is asked for first.
    """

    def __init__(self, *, context: zmq.Context[zmq.Socket[bytes]] | None = None) -> None:
        self._own_context = context is None
        self._context = context or zmq.Context()
        self._told = ("", "")
        self._address: str | None = None
        self._socket: zmq.Socket[bytes] | None = None
        self._cannot = ""
        self._waiting: deque[_Question] = deque()
        self._out: dict[bytes, _Question] = {}
        self._given_up: list[tuple[int, Answer]] = []
        self._numbers = itertools.count()

    def connect(self, feed: str, told: str) -> None:
        """Ask from now on at the address `told` in the feed's newest header; `feed` is the feed's own, as known here.

        As for the feed's snapshots, only the port is taken from what was told. To be called whenever a header comes:
        when nothing has changed, nothing happens; otherwise what is not answered yet is asked there.
        """
        if (feed, told) == self._told:
            return
        self._told = feed, told
        self._address = archive_address(feed, told)
        self._cannot = "" if self._address else "this processor has no archive: it is of an older version"
        self._ask_again(time.monotonic())

    def ask(self, request: Request, token: int) -> None:
        """Ask; `poll` will give the answer behind `token`, which the caller chooses."""
        question = _Question(token, request, time.monotonic())
        if question.is_shot:
            shots = [other for other in self._waiting if other.is_shot]
            if len(shots) >= MAX_SHOTS_WAITING:
                self._waiting.remove(shots[0])
                self._give_up(shots[0], "so many shots were asked for since that this one was left out")
        elif len(self._waiting) >= MAX_WAITING:
            self._give_up(question, f"{len(self._waiting)} questions wait for the archive already")
            return
        self._waiting.append(question)
        self._send(question.asked)

    def poll(self) -> list[tuple[int, Answer]]:
        """Return the answers that have come, each behind its token."""
        now = time.monotonic()
        answers = list(self._received())
        self._look_after(now)
        self._send(now)
        given_up, self._given_up = self._given_up, []
        return answers + given_up

    def close(self) -> None:
        """Close the socket, and the context if it was made here; nothing more is answered."""
        self._disconnect()
        if self._own_context:
            self._context.term()

    def _received(self) -> list[tuple[int, Answer]]:
        answers: list[tuple[int, Answer]] = []
        while self._socket is not None:
            try:
                parts = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            question = self._out.pop(parts[0], None)
            if question is not None:  # otherwise it was asked twice, and has its answer
                answers.append((question.token, _decoded(parts[1:])))
        return answers

    def _look_after(self, now: float) -> None:
        for question in [*self._out.values(), *self._waiting]:
            if self._cannot:
                self._give_up(question, self._cannot)
            elif now - question.asked > GIVE_UP_S:
                self._give_up(question, f"the archive has not answered for {GIVE_UP_S:.0f} s")
        if any(now - question.sent > ASK_AGAIN_S for question in self._out.values()):
            self._ask_again(now)

    def _give_up(self, question: _Question, why: str) -> None:
        self._given_up.append((question.token, Refusal(why)))
        if question in self._waiting:
            self._waiting.remove(question)
        self._out = {name: other for name, other in self._out.items() if other is not question}

    def _send(self, now: float) -> None:
        while self._address and len(self._out) < MAX_OUT and (question := self._next()) is not None:
            self._waiting.remove(question)
            name = next(self._numbers).to_bytes(8, "big")
            self._out[name] = question
            self._send_one(name, question, now)

    def _next(self) -> _Question | None:
        """Return what to ask next: the shot wanted last, then everything else in its order."""
        room_for_a_shot = sum(question.is_shot for question in self._out.values()) < MAX_SHOTS_OUT
        shots = (question for question in reversed(self._waiting) if question.is_shot and room_for_a_shot)
        others = (question for question in self._waiting if not question.is_shot)
        return next(itertools.chain(shots, others), None)

    def _send_one(self, name: bytes, question: _Question, now: float) -> None:
        if self._socket is None:
            self._connect()
        assert self._socket is not None
        question.sent = now
        with contextlib.suppress(zmq.Again):  # where the archive is not there, it is asked again
            self._socket.send_multipart([name, msgspec.msgpack.encode(question.request)], zmq.NOBLOCK)

    def _ask_again(self, now: float) -> None:
        """Begin a new connection: ZeroMQ does not do so by itself where the other end sent what is too large."""
        self._disconnect()
        if self._address:
            for name, question in self._out.items():
                self._send_one(name, question, now)

    def _connect(self) -> None:
        assert self._address is not None
        socket = self._socket = self._context.socket(zmq.DEALER)
        socket.setsockopt(zmq.MAXMSGSIZE, MAX_ANSWER_BYTES)
        socket.setsockopt(zmq.RCVHWM, MAX_OUT)
        socket.setsockopt(zmq.SNDHWM, 2 * MAX_OUT)
        socket.setsockopt(zmq.RECONNECT_IVL, 100)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, 2000)
        notice_dead_connections(socket)
        socket.connect(self._address)

    def _disconnect(self) -> None:
        if self._socket is not None:
            self._socket.close(linger=0)
            self._socket = None


def archive_address(feed: str, told: str) -> str | None:
    """Return where to ask: the feed's own host with the port told, or the name beside the feed's; None if neither."""
    if not told:
        return None
    return told if told == f"{feed}.archive" else snapshot_address(feed, told)


def _decoded(parts: list[bytes]) -> Answer:
    if len(parts) != 2:
        return Refusal(f"the archive sent an answer of {len(parts)} parts, expected 2")
    try:
        answer: Answer = _answers.decode(parts[0])
        if isinstance(answer, Shot) and answer.image is not None:
            image = msgspec.structs.replace(answer.image, payload=parts[1])
            check_shot(image)
            answer = msgspec.structs.replace(answer, image=image)
        elif isinstance(answer, Map):
            answer = msgspec.structs.replace(answer, payload=parts[1])
            check_map(answer)
    except _UNDECODABLE as error:
        return Refusal(f"the archive sent an answer that makes no sense: {str(error)[:200]}")
    return answer


def check_shot(image: ShotImage) -> None:
    """Raise ValueError or TypeError where a shot, of the archive or of the feed, cannot be what it says it is."""
    unpack_peaks(image.result.peaks)
    if image.payload:
        _check_pixels(image.shape, image.dtype, len(image.payload))


def check_map(found: Map) -> None:
    """Raise ValueError or TypeError where a map cannot be what it says it is."""
    if not found.payload:
        if not found.problem:
            raise ValueError("a map without pixels, and without a reason")
        return
    expected = "uint8" if found.kind == "mask" else "float32"
    if found.dtype != expected:
        raise ValueError(f"a {found.kind} of {found.dtype}, expected {expected}")
    if not 0 <= found.stage < max(found.n_stages, 1) <= MAX_STAGES:
        raise ValueError(f"gain stage {found.stage} of {found.n_stages}")
    _check_pixels(found.shape, found.dtype, len(found.payload))


def _check_pixels(shape: tuple[int, int], kind: str, n_packed: int) -> None:
    (height, width), dtype = shape, np.dtype(kind)
    if min(height, width) < 1 or height * width > MAX_PIXELS or dtype.kind not in "iuf":
        raise ValueError(f"an image of {height} × {width} pixels {kind}")
    n_bytes = image_nbytes(shape, kind)
    if n_packed > n_bytes + n_bytes // 2 + 4096:
        raise ValueError(f"{n_packed} bytes of packed pixels for an image of {n_bytes}")
