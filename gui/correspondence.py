"""What the window asks of the processor, and who waits for the answer."""

import itertools
from collections import deque
from collections.abc import Callable
from functools import partial

from braggwatch.streamer.archive_client import ArchiveClient
from braggwatch.streamer.archive_messages import Answer, Refusal, Request
from braggwatch.streamer.control_client import ControlClient
from braggwatch.streamer.control_messages import Change, Changed
from braggwatch.streamer.feed_messages import Header


class Correspondence:
    """Questions to the archive and changes of settings: asked in the window's thread, sent and answered in the link's.

    Every question has exactly one answer; to call it is up to the window's thread.
    """

    def __init__(self, feed: str) -> None:
        self._feed = feed
        self._archive = ArchiveClient()
        self._questions: deque[tuple[Request, Callable[[Answer], None]]] = deque()
        self._changes: deque[tuple[Change, Callable[[Changed], None]]] = deque()
        self._asked: dict[int, Callable[[Answer], None]] = {}
        """By token: who waits for the archive."""
        self._tokens = itertools.count()
        self._control: ControlClient | None = None
        self._control_address = ""
        self._changing: Callable[[Changed], None] | None = None
        """Who waits for the change that is under way."""

    @property
    def change_problem(self) -> str:
        """Why settings cannot be changed, as a sentence; empty where they can, or before a processor was heard."""
        return "" if self._control is None else self._control.refusal

    def ask(self, request: Request, then: Callable[[Answer], None]) -> None:
        """Ask the archive; to be called by the window."""
        self._questions.append((request, then))

    def change(self, change: Change, then: Callable[[Changed], None]) -> None:
        """Ask for other settings; to be called by the window."""
        self._changes.append((change, then))

    def turn(self, header: Header | None) -> list[Callable[[], None]]:
        """Send what was asked and return the answers that have come; `header` is the newest of the feed."""
        answers: list[Callable[[], None]] = []
        if header is not None:
            self._archive.connect(self._feed, header.archive)
            answers += self._use_control(header.control)
        return [*answers, *self._ask_archive(), *self._change_settings()]

    def begin_anew(self) -> list[Callable[[], None]]:
        """Answer what another processor was asked: nothing of it can be believed of this one."""
        refusal = Refusal("another processor has taken its place since")
        answers: list[Callable[[], None]] = [partial(then, refusal) for then in self._asked.values()]
        self._asked.clear()
        return answers

    def close(self) -> None:
        """Close the sockets."""
        self._archive.close()
        if self._control is not None:
            self._control.close()

    def _ask_archive(self) -> list[Callable[[], None]]:
        while self._questions:
            request, then = self._questions.popleft()
            token = next(self._tokens)
            self._asked[token] = then
            self._archive.ask(request, token)
        answers = self._archive.poll()
        return [partial(self._asked.pop(token), answer) for token, answer in answers if token in self._asked]

    def _change_settings(self) -> list[Callable[[], None]]:
        answers: list[Callable[[], None]] = []
        if self._control is not None and self._changing is not None:
            changed = self._control.poll(0)
            if changed is not None:
                answers.append(partial(self._changing, changed))
                self._changing = None
        if self._changes and self._changing is None:
            change, then = self._changes.popleft()
            if self._control is None:
                answers.append(partial(then, Changed(0, "no processor has been heard yet whose settings could change")))
            else:
                self._control.ask(change)
                self._changing = then
        return answers

    def _use_control(self, address: str) -> list[Callable[[], None]]:
        if self._control is not None and address == self._control_address:
            return []
        answers: list[Callable[[], None]] = []
        if self._changing is not None:
            gone = Changed(0, "the processor was started anew; whether the settings changed is seen from its status")
            answers.append(partial(self._changing, gone))
            self._changing = None
        if self._control is not None:
            self._control.close()
        self._control, self._control_address = ControlClient(self._feed, address), address
        return answers
