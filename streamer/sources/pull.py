"""The sockets around a decoder."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import zmq

from braggwatch.processing.closing import Closing
from braggwatch.processing.frame import Event, Refused
from braggwatch.streamer.sources.bad_message import BadMessageError
from braggwatch.streamer.sources.connection import Connection
from braggwatch.streamer.sources.runs import Runs
from braggwatch.streamer.sources.settings import PullSettings
from braggwatch.streamer.sources.wire import Message

Decode = Callable[[list[Any]], Message | str]
"""From the parts of a message to what it says, or to the kind of one that is of no use; may raise BadMessageError."""


class PullSource(Closing):
    """Reads a detector that pushes: one PULL socket for each of its addresses.

    PULL, never SUB: the detector waits for us when our queues are full, and nothing is lost unseen. The other side of
    it is that frames go to whoever pulls, in turn: a viewer on the same address steals every second one.
    """

    def __init__(self, settings: PullSettings, make_decoder: Callable[[], Decode]) -> None:
        """Connect; ZeroMQ goes on trying, and connects again by itself when the detector comes back."""
        addresses = self._addresses = settings.addresses
        self._decoders = [make_decoder() for _ in addresses]  # one each: a header may come in two messages
        self._runs = Runs(len(addresses))
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._sockets: list[zmq.Socket[bytes]] = []
        self._connections: list[Connection] = []
        try:
            for address in addresses:
                self._sockets.append(self._connected(address, settings))
        except Exception:
            self.close()
            raise
        self._endpoints = {socket: index for index, socket in enumerate(self._sockets)}

    def _connected(self, address: str, settings: PullSettings) -> "zmq.Socket[bytes]":
        socket = self._context.socket(zmq.PULL)
        socket.linger = 0
        socket.rcvhwm = settings.high_water_mark  # beyond it the detector's own queue fills; nothing is dropped here
        socket.setsockopt(zmq.MAXMSGSIZE, settings.max_message_bytes)  # before a byte of a larger part is stored
        connection = Connection(socket)
        try:
            socket.connect(address)
        except zmq.ZMQError as error:
            connection.close()
            socket.close()
            raise ValueError(
                f"source.address must be a ZeroMQ address such as tcp://127.0.0.1:31001, found {address!r} ({error})"
            ) from None
        self._connections.append(connection)
        return socket

    @property
    def sockets(self) -> Sequence["zmq.Socket[bytes]"]:
        """What to poll."""
        return self._sockets

    @property
    def exhausted(self) -> bool:
        """Never: a detector may always send again."""
        return False

    @property
    def ignored(self) -> Counter[str]:
        """How many messages that told nothing of use have come, by kind."""
        return self._runs.ignored

    def silence(self) -> dict[str, str]:
        """Say for each address why nothing may be coming from there."""
        return {
            address: connection.state() for address, connection in zip(self._addresses, self._connections, strict=True)
        }

    def receive(self, socket: "zmq.Socket[bytes]") -> list[Event] | None:
        """Take one message from one of the sockets without waiting; None if there is none."""
        try:
            frames = socket.recv_multipart(zmq.NOBLOCK, copy=False)
        except zmq.Again:
            return None
        return self.take([frame.buffer for frame in frames], self._endpoints[socket])

    def take(self, parts: list[Any], endpoint: int = 0) -> list[Event]:
        """Return what the parts of a message mean that came from one of the addresses."""
        try:
            message = self._decoders[endpoint](parts)
        except BadMessageError as error:
            return [Refused(str(error), error.kind, self._runs.key_of(error.series), error.number)]
        if isinstance(message, str):
            self._runs.ignored[message if len(self._runs.ignored) < 100 else "others"] += 1
            return []
        return self._runs.take(message, endpoint)

    def close(self) -> None:
        """Close the sockets."""
        for connection in self._connections:
            connection.close()
        for socket in self._sockets:
            socket.close()
        self._context.term()
