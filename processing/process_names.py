"""What processes write into the names of their files, so that others can tell whose they are."""

import os
import re
import secrets
import socket

import psutil

PROCESS = r"(?P<host>[A-Za-z0-9.-]{1,24})-(?P<pid>\d{1,10})-[0-9a-f]{4}"
"""Matches what `process_name` returns."""


def process_name() -> str:
    """Return HOST-PID-RANDOM: several machines may write to one folder, and a process id comes again."""
    return f"{_this_host()}-{os.getpid()}-{secrets.token_hex(2)}"


def is_gone(host: str, pid: int) -> bool:
    """Whether a process was one of this machine and does not run any more; of other machines nobody can tell."""
    return host == _this_host() and not psutil.pid_exists(pid)


def _this_host() -> str:
    return re.sub(r"[^A-Za-z0-9.-]+", "-", socket.gethostname()[:24]).lstrip(".") or "-"
