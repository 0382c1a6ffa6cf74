"""The feed: what the processor says about itself, to any number of viewers, none of which can slow it down.

On the wire: a PUB socket sends topic, header and message (`feed_messages`; msgpack), and the packed pixels as a fourth
part, empty for messages without any. Every message is complete in itself and replaces the one before of its topic, so
that a viewer who misses some lacks nothing after the next. A further kind of message is a further topic; viewers that
do not subscribe to it do not even receive it.

A ROUTER socket is asked with a list of topics and answers with the newest message of each, four parts each: that is
how a late viewer gets the state so far. Its port is told in every header, so that a viewer needs one address only.
"""

import secrets
from typing import Any

import msgspec
import zmq

from braggwatch.processing.closing import Closing
from braggwatch.streamer.feed_messages import PROTOCOL, Header, Message, topic_of
from braggwatch.streamer.picture_messages import ShotImage

DEFAULT_ADDRESS = "tcp://127.0.0.1:31400"
SEND_LIMIT = 20
"""Messages kept for a viewer that is slow to take them; further ones are dropped, for that viewer."""
REQUEST_LIMIT = 16
"""Snapshots given in one call of `serve`, so that a flood of requests costs little."""
MAX_REQUEST_BYTES = 1024
COPIED_BYTES = 65536
"""Smaller messages are copied, which costs less than keeping them."""
LINGER_MS = 1000
"""How long the last messages may take to leave when the feed is closed."""


class Feed(Closing):
    """The processor's end; all methods are called by one thread, and none of them waits."""

    def __init__(self, address: str = DEFAULT_ADDRESS, *, context: zmq.Context[zmq.Socket[bytes]] | None = None):
        """Bind to `address`; snapshots are to be had at the next port (TCP; with port 0, at any free one).

        Raises OSError (zmq.ZMQError) with the address in its text where that is not possible.
        """
        self._own_context = context is None
        self._context = context or zmq.Context()
        self._publisher = self._context.socket(zmq.PUB)
        self._publisher.setsockopt(zmq.SNDHWM, SEND_LIMIT)
        self._publisher.setsockopt(zmq.LINGER, LINGER_MS)
        self._snapshots = self._context.socket(zmq.ROUTER)
        self._snapshots.setsockopt(zmq.SNDHWM, SEND_LIMIT)
        self._snapshots.setsockopt(zmq.RCVHWM, SEND_LIMIT)
        self._snapshots.setsockopt(zmq.MAXMSGSIZE, MAX_REQUEST_BYTES)
        self._snapshots.setsockopt(zmq.LINGER, 0)
        try:
            self.address = _bind(self._publisher, address)
            self.snapshot_address = _bind(self._snapshots, _snapshot_address(address))
        except zmq.ZMQError:
            self.close()
            raise
        self._processor = secrets.token_hex(8)
        self._sequence = 0
        self._newest: dict[bytes, tuple[bytes, bytes, bytes, Any]] = {}
        self.archive_address = ""
        self.control_address = ""
        """Told to the viewers in every header, where there is an archive, and where settings can be changed."""

    def publish(self, message: Message) -> None:
        """Send a message to all viewers; for those that are slow it is dropped."""
        payload: Any = b""
        if isinstance(message, ShotImage):
            message, payload = msgspec.structs.replace(message, payload=b""), message.payload
        topic = topic_of(message)
        self._sequence += 1
        header = Header(
            protocol=PROTOCOL, processor=self._processor, sequence=self._sequence, snapshot=self.snapshot_address,
            archive=self.archive_address, control=self.control_address,
        )  # fmt: skip
        parts = (topic, msgspec.msgpack.encode(header), msgspec.msgpack.encode(message), payload)
        self._newest[topic] = parts
        # A PUB socket never blocks. Pixels and pictures are not copied: whoever publishes them leaves them as they are.
        self._publisher.send_multipart(parts, copy=len(payload) + len(parts[2]) < COPIED_BYTES)

    def serve(self) -> None:
        """Give the state so far to those that have asked for it."""
        for _ in range(REQUEST_LIMIT):
            try:
                viewer, *topics = self._snapshots.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            # A ROUTER socket drops what is for a viewer that has gone or does not take its answers.
            known = [self._newest[topic] for topic in dict.fromkeys(topics) if topic in self._newest]
            self._snapshots.send_multipart([viewer, *(part for parts in known for part in parts)], copy=False)

    def close(self) -> None:
        """Let the last messages out, for a second at most, and close."""
        self._publisher.close()
        self._snapshots.close()
        if self._own_context:
            self._context.term()


def _bind(socket: zmq.Socket[bytes], address: str) -> str:
    try:
        socket.bind(address)
    except zmq.ZMQError as error:
        raise zmq.ZMQError(
            error.errno,
            f"the feed cannot be bound to {address!r}: {error}; expected an address of this computer with a free port, "
            f"such as {DEFAULT_ADDRESS}",
        ) from error
    return str(socket.getsockopt_string(zmq.LAST_ENDPOINT))


def _snapshot_address(address: str) -> str:
    """Return where snapshots are given: the next port, any where any was asked for, or a name beside the feed's."""
    if not address.startswith("tcp://"):
        return f"{address}.snapshot"
    host, _, port = address.rpartition(":")
    return f"{host}:{int(port) + 1}" if port.isdigit() and int(port) > 0 else address
