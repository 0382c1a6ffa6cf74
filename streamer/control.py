"""The control socket: where a viewer on the processor's own machine puts other settings in force.

A ROUTER socket that is bound to the loopback interface whatever address the feed has, so that nobody elsewhere can
reach it. A request is one part (`control_messages.Change`, msgpack), and so is its answer.
"""

from collections.abc import Callable

import msgspec
import zmq

from braggwatch.processing.closing import Closing
from braggwatch.streamer.control_messages import Change, Changed

MAX_REQUEST_BYTES = 2**20
REQUEST_LIMIT = 4
"""Requests that are heard in one call of `serve`, so that a flood of them costs little."""
WAITING_LIMIT = 20
"""Requests and answers that ZeroMQ keeps; further ones are dropped."""
UNDECODABLE = (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError, OverflowError)
"""What decoding can raise on bytes that are not what they should be."""

_decoder = msgspec.msgpack.Decoder(Change)


class Control(Closing):
    """The processor's end; it belongs to one thread, and nothing in it waits."""

    def __init__(self, change: Callable[[Change], Changed]) -> None:
        """Open the socket at any free port. `change` puts a change in force, or says why not."""
        self._change = change
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.set_hwm(WAITING_LIMIT)
        self._socket.linger = 1000
        self._socket.setsockopt(zmq.MAXMSGSIZE, MAX_REQUEST_BYTES)
        self._socket.bind("tcp://127.0.0.1:*")
        self.address = self._socket.get_string(zmq.LAST_ENDPOINT)

    def serve(self) -> None:
        """Hear those who want something changed, and answer them."""
        for _ in range(REQUEST_LIMIT):
            try:
                viewer, *parts = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            self._socket.send_multipart([viewer, msgspec.msgpack.encode(self._answer(parts))])

    def close(self) -> None:
        """Close the socket; answers on their way get a second."""
        self._socket.close()
        self._context.term()

    def _answer(self, parts: list[bytes]) -> Changed:
        if len(parts) != 1:
            return Changed(0, f"a request has one part, found {len(parts)}; nothing was changed")
        try:
            change = _decoder.decode(parts[0])
        except UNDECODABLE as error:
            return Changed(0, f"the request made no sense ({error}); nothing was changed")
        return self._change(change)
