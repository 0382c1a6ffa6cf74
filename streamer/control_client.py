"""A viewer's end of the control socket."""

import re
import socket
import time

import msgspec
import psutil
import zmq

from braggwatch.processing.closing import Closing
from braggwatch.streamer.control_messages import Change, Changed

PATIENCE_S = 10.0
"""s for an answer; the processor looks for files and makes the stages before it gives one."""
MAX_ANSWER_BYTES = 2**20

_decoder = msgspec.msgpack.Decoder(Changed)
_UNDECODABLE = (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError, OverflowError)


class ControlClient(Closing):
    """Asks for one change at a time; it belongs to one thread, and nothing in it waits longer than it is told to.

    Settings are changed on the processor's own machine only: a viewer elsewhere is refused here already, because at the
    port it was told there may be anything on its own machine.
    """

    def __init__(self, feed: str, control: str, *, patience: float = PATIENCE_S) -> None:
        """`feed` is the address at which the feed is heard, `control` what its header says; nothing is opened yet."""
        self._address = control
        self._patience = patience
        self.refusal = _why_not(feed, control)
        """Why nothing can be changed from here, as a sentence; empty where it can."""
        self._refused: Changed | None = None
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        self._socket: zmq.Socket[bytes] | None = None
        self._asked = 0.0

    @property
    def waiting(self) -> bool:
        """Whether an answer is due."""
        return self._socket is not None or self._refused is not None

    def ask(self, change: Change) -> None:
        """Ask for a change; the answer to one asked for before, if it is still due, is not waited for any more."""
        self._forget()
        if self.refusal:
            self._refused = Changed(0, self.refusal)
            return
        self._context = self._context or zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.linger = 0
        self._socket.setsockopt(zmq.MAXMSGSIZE, MAX_ANSWER_BYTES)
        self._socket.connect(self._address)
        self._socket.send(msgspec.msgpack.encode(change))
        self._asked = time.monotonic()

    def poll(self, timeout: float) -> Changed | None:
        """Wait at most `timeout` s for the answer; None as long as there is none. What goes wrong is its problem."""
        refused, self._refused = self._refused, None
        if refused is not None or self._socket is None:
            return refused
        if self._socket.poll(max(int(timeout * 1000), 0)):
            answer = _decoded(self._socket.recv_multipart())
        elif time.monotonic() - self._asked > self._patience:
            answer = Changed(
                0, f"the processor has not answered for {self._patience:.0f} s; whether the settings changed will be "
                "seen from its status",
            )  # fmt: skip
        else:
            return None
        self._forget()
        return answer

    def close(self) -> None:
        """Close what was opened."""
        self._forget()
        if self._context is not None:
            self._context.term()
            self._context = None

    def _forget(self) -> None:
        self._refused = None
        if self._socket is not None:
            self._socket.close(linger=0)
            self._socket = None


def _decoded(parts: list[bytes]) -> Changed:
    try:
        return _decoder.decode(parts[0])
    except _UNDECODABLE as error:
        return Changed(0, f"the processor's answer made no sense: {error}")


def _why_not(feed: str, control: str) -> str:
    if not control:
        return "this processor takes no changes of settings; it may be of an earlier version, or a record is shown"
    if not re.fullmatch(r"tcp://127\.0\.0\.1:\d{1,5}", control):
        return f"settings are changed on the processor's own machine, found {control[:80]!r} as the address for it"
    if not _is_here(feed):
        host = re.sub(r"^tcp://(.*):.*$", r"\1", feed)
        return f"settings can only be changed on the processor's own machine; open a viewer there, on {host[:80]}"
    return ""


def _is_here(address: str) -> bool:
    """Whether an address belongs to this machine; names are not looked up, because that may take long."""
    if address.startswith(("ipc://", "inproc://")):
        return True
    found = re.fullmatch(r"tcp://\[?([^\]]+?)\]?:\d+", address)
    if found is None:
        return False
    host, name = found[1].lower(), socket.gethostname().lower()
    own = {name, name.partition(".")[0], "localhost"}
    own |= {entry.address.partition("%")[0].lower() for entries in psutil.net_if_addrs().values() for entry in entries}
    return host in own or re.fullmatch(r"127(\.\d{1,3}){3}", host) is not None
