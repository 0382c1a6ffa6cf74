"""Whether a detector's end of a connection is there."""

import zmq
from zmq.utils.monitor import recv_monitor_message

NEVER = "nothing answers at that address: is the detector's stream switched on, and the address right?"
LOST = "the connection to it was lost, and nothing answers there any more"
FOREIGN = "what answers there is no detector's stream (no ZeroMQ socket that pushes)"
SILENT = "connected, but nothing comes: is the detector armed, its stream enabled, and nobody else reading from it?"


class Connection:
    """Follows what becomes of a socket's one connection; to be made before the socket connects."""

    def __init__(self, socket: "zmq.Socket[bytes]") -> None:
        self._socket = socket
        self._monitor = socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED)
        self._state = NEVER

    def state(self) -> str:
        """Say how the connection stands, as the reason why nothing comes over it."""
        while self._monitor.poll(0):
            if recv_monitor_message(self._monitor)["event"] == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self._state = SILENT
            else:  # cut off before the two had agreed on how to talk, it was never a detector's
                self._state = LOST if self._state == SILENT else FOREIGN
        return self._state

    def close(self) -> None:
        """Stop following; the socket stays open."""
        self._socket.disable_monitor()
        self._monitor.close()
