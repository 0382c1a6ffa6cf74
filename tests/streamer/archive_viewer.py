"""A viewer that asks the archive and waits for the answer."""

import time
from typing import TypeVar

from braggwatch.streamer.archive import Archive
from braggwatch.streamer.archive_client import ArchiveClient
from braggwatch.streamer.archive_messages import Answer, Request

T = TypeVar("T")
FEED = "tcp://127.0.0.1:31400"
"""Beside which archives are."""


class Viewer:
    """Asks and waits for the answer."""

    def __init__(self, client: ArchiveClient) -> None:
        self.client = client
        self._tokens = 0

    def ask(self, request: Request, kind: type[T]) -> T:
        self._tokens += 1
        self.client.ask(request, self._tokens)
        ((token, answer),) = self.answers(1)
        assert token == self._tokens
        assert isinstance(answer, kind), answer
        return answer

    def answers(self, n: int, seconds: float = 30.0) -> list[tuple[int, Answer]]:
        found: list[tuple[int, Answer]] = []
        end = time.monotonic() + seconds
        while len(found) < n:
            assert time.monotonic() < end, f"{len(found)} of {n} answers came: {found}"
            found += self.client.poll()
            time.sleep(0.002)
        return found


def viewer_of(archive: Archive) -> Viewer:
    client = ArchiveClient()
    client.connect(FEED, archive.address)
    return Viewer(client)
