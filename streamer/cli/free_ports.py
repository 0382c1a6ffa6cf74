"""Ports that nobody uses."""

import random
import socket
from contextlib import ExitStack

# Above the ports of well-known services, below those that systems give to outgoing connections: one of the latter may
# be taken at any moment, and a connection to an address there may even meet itself.
_FIRST, _LAST = 20_000, 32_000


def free_ports(n: int) -> list[int]:
    """Return `n` free TCP ports of this computer, one after another. Raises OSError where there are none."""
    for first in random.sample(range(_FIRST, _LAST - n), 100):
        ports = list(range(first, first + n))
        with ExitStack() as stack:
            try:
                for port in ports:
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
            return ports
    raise OSError(f"no {n} free ports in a row were found between {_FIRST} and {_LAST} on this computer")
