"""A viewer's end of the feed."""

import contextlib
import re
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import cast

import msgspec
import zmq
from zmq.utils.monitor import recv_monitor_message

from braggwatch.processing.closing import Closing
from braggwatch.streamer.feed import DEFAULT_ADDRESS
from braggwatch.streamer.feed_messages import (
    NUMBERS,
    PROTOCOL,
    TOPICS,
    Finished,
    Header,
    History,
    LastShots,
    Message,
    Status,
)
from braggwatch.streamer.merge_messages import Merging
from braggwatch.streamer.picture_messages import ShotImage

MAX_MESSAGE_BYTES = 128 * 2**20
"""What is larger is not even received: the connection is cut and made again."""
RECEIVE_LIMIT = 100
"""Messages kept while the viewer is busy; further ones are dropped, and the next ones make up for them."""
ASK_AGAIN_S = 2.0
GONE_S = 5.0
"""s without a word, after which the processor is taken for gone."""

# What decoding can raise on bytes that are not what they should be.
_UNDECODABLE = (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError, OverflowError)

_header_decoder = msgspec.msgpack.Decoder(Header)
_decoders: dict[bytes, msgspec.msgpack.Decoder[Message]] = {
    topic: msgspec.msgpack.Decoder(kind) for topic, kind in TOPICS.items()
}


class FeedClient(Closing):
    """Keeps the newest message of every kind, and knows how long ago the processor was heard.

    It connects, and connects again, by itself, also to a processor that is started later or anew. What arrives
    malformed is counted in `problems` and left out; nothing that arrives raises an exception.
    """

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        topics: Iterable[bytes] = NUMBERS,
        context: zmq.Context[zmq.Socket[bytes]] | None = None,
    ) -> None:
        """Subscribe to `topics` at the feed's address. Raises OSError (zmq.ZMQError) when that is no address."""
        self.address = address
        self._topics = tuple(topics)
        self.newest: dict[bytes, Message] = {}
        """By topic."""
        self.header: Header | None = None
        """Of the newest message: where archive and control are."""
        self.problems: Counter[str] = Counter()
        """How often what was wrong with a message, by a sentence."""
        self._sequences: dict[bytes, int] = {}
        self._processor = ""
        self._heard: float | None = None
        self._began = time.monotonic()
        self._asked: float | None = None
        self._own_context = context is None
        self._context = context or zmq.Context()
        self._asker: zmq.Socket[bytes] | None = None
        self._subscriber = self._context.socket(zmq.SUB)
        self._monitor = self._subscriber.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        self._prepare(self._subscriber)
        for topic in self._topics:
            self._subscriber.subscribe(topic)
        try:
            self._subscriber.connect(address)
        except zmq.ZMQError as error:
            self.close()
            raise zmq.ZMQError(
                error.errno,
                f"no feed can be at {address!r}: {error}; expected an address such as {DEFAULT_ADDRESS}",
            ) from error

    @property
    def status(self) -> Status | None:
        """The newest status."""
        return cast("Status | None", self.newest.get(b"status"))

    @property
    def history(self) -> History | None:
        """The newest history."""
        return cast("History | None", self.newest.get(b"history"))

    @property
    def shots(self) -> LastShots | None:
        """The last shots."""
        return cast("LastShots | None", self.newest.get(b"shots"))

    @property
    def finished(self) -> Finished | None:
        """The last word, once it is said."""
        return cast("Finished | None", self.newest.get(b"finished"))

    @property
    def merging(self) -> Merging | None:
        """How the merge stands."""
        return cast("Merging | None", self.newest.get(b"merging"))

    @property
    def age(self) -> float | None:
        """s since the processor was heard; None when it never was."""
        return None if self._heard is None else time.monotonic() - self._heard

    @property
    def gone(self) -> bool:
        """Whether nothing was heard for 5 s."""
        return time.monotonic() - (self._heard if self._heard is not None else self._began) > GONE_S

    def poll(self, timeout: float) -> list[Message]:
        """Wait at most `timeout` s for news, take what there is, and return it in order."""
        poller = zmq.Poller()
        poller.register(self._subscriber, zmq.POLLIN)
        poller.register(self._monitor, zmq.POLLIN)
        if self._asker is not None:
            poller.register(self._asker, zmq.POLLIN)
        poller.poll(max(int(timeout * 1000), 0))
        cut = self._was_cut()
        news = []
        # A limit, because a feed that never pauses must not keep the viewer here.
        for _ in range(2 * RECEIVE_LIMIT):
            try:
                parts = self._subscriber.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            news += self._take(parts)
        news += self._take_snapshot()
        if cut:
            self._connect_again()
        return news

    def close(self) -> None:
        """Close the sockets, and the context if it was made here."""
        self._subscriber.disable_monitor()
        self._monitor.close()
        for socket in (self._subscriber, self._asker):
            if socket is not None:
                socket.close(linger=0)
        if self._own_context:
            self._context.term()

    def _prepare(self, socket: zmq.Socket[bytes]) -> None:
        socket.setsockopt(zmq.RCVHWM, RECEIVE_LIMIT)
        socket.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
        socket.setsockopt(zmq.RECONNECT_IVL, 100)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, 2000)
        notice_dead_connections(socket)

    def _take(self, parts: Sequence[bytes]) -> list[Message]:
        """Decode one message and keep it, if it is newer than what is known; returns it, or nothing."""
        if len(parts) < 3:
            return self._refuse(f"a message of {len(parts)} parts, expected topic, header and message")
        topic, header_bytes, body, payload = *parts[:3], parts[3] if len(parts) > 3 else b""
        try:
            header = _header_decoder.decode(header_bytes)
        except _UNDECODABLE:
            return self._refuse("a message with an unreadable header")
        self._heard = time.monotonic()
        if header.protocol > PROTOCOL:
            return self._refuse(
                f"the processor speaks version {header.protocol} of the feed, this viewer understands {PROTOCOL}: "
                "update the viewer"
            )
        if topic not in _decoders:
            return self._refuse(f"a message of a kind that this viewer does not know: {topic[:40]!r}")
        try:
            message = _decoders[topic].decode(body)
        except _UNDECODABLE:
            return self._refuse(f"an unreadable message of kind {topic.decode()!r}")
        if isinstance(message, ShotImage):
            message = msgspec.structs.replace(message, payload=payload)
        if header.processor != self._processor:
            self._begin(header)
        if header.sequence <= self._sequences.get(topic, -1):
            return []
        self._sequences[topic] = header.sequence
        self.newest[topic] = message
        self.header = header
        if self._asked is not None and time.monotonic() - self._asked > ASK_AGAIN_S:
            self._ask(header.snapshot)
        return [message]

    def _refuse(self, problem: str) -> list[Message]:
        # A feed that sends nonsense of ever new kinds must not fill the memory.
        known = problem in self.problems or len(self.problems) < 50
        self.problems[problem if known else "other problems"] += 1
        return []

    def _begin(self, header: Header) -> None:
        """Start afresh with a processor not heard before: what is known was said by another one."""
        self._processor = header.processor
        self._sequences.clear()
        self.newest.clear()
        self._ask(header.snapshot)

    def _ask(self, snapshot: str) -> None:
        """Ask for the state so far; the subscription is known to work by now, so that nothing falls in between."""
        if self._asker is not None:
            self._asker.close(linger=0)
            self._asker = None
        address = snapshot_address(self.address, snapshot)
        if address is None:
            self._asked = None
            self._refuse(f"no address for the state so far in {snapshot[:80]!r}")
            return
        self._asked = time.monotonic()
        self._asker = self._context.socket(zmq.DEALER)
        self._prepare(self._asker)
        self._asker.connect(address)
        self._asker.send_multipart(self._topics, zmq.NOBLOCK)

    def _take_snapshot(self) -> list[Message]:
        if self._asker is None:
            return []
        try:
            parts = self._asker.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return []
        self._asked = None
        self._asker.close(linger=0)
        self._asker = None
        return [message for i in range(0, len(parts), 4) for message in self._take(parts[i : i + 4])]

    def _was_cut(self) -> bool:
        cut = False
        while self._monitor.poll(0):
            recv_monitor_message(self._monitor, zmq.NOBLOCK)
            self._refuse("the connection was cut")
            cut = True
        return cut

    def _connect_again(self) -> None:
        # ZeroMQ does so by itself where the other end has gone, but not where it sent what is too large.
        with contextlib.suppress(zmq.ZMQError):
            self._subscriber.disconnect(self.address)
        self._subscriber.connect(self.address)


def notice_dead_connections(socket: zmq.Socket[bytes]) -> None:
    """Have a connection end, and be made again, whose other end went without a word, by TCP's own means.

    ZeroMQ's heartbeats would do so too, but abort the whole program when a viewer was too busy to read for some
    seconds: libzmq issues 3937 and 4767.
    """
    for option, value in (
        (zmq.TCP_KEEPALIVE, 1),
        (zmq.TCP_KEEPALIVE_IDLE, 2),
        (zmq.TCP_KEEPALIVE_INTVL, 1),
        (zmq.TCP_KEEPALIVE_CNT, 3),
    ):
        socket.setsockopt(option, value)


def snapshot_address(feed: str, told: str) -> str | None:
    """Return where to ask for the state so far: the feed's own host with the port told; None if that is nonsense.

    Only the port is taken over, because the processor does not know by which name or tunnel it is reached, and because
    nobody who answers at the feed's address shall direct a viewer to another host.
    """
    port = re.fullmatch(r"tcp://.*:(\d{1,5})", told)
    if feed.startswith("tcp://") and port and 0 < int(port[1]) < 65536:
        return f"{feed.rpartition(':')[0]}:{port[1]}"
    return told if told == f"{feed}.snapshot" else None
