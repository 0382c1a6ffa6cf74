"""The thread between the sockets and the window: hears the feed, asks the archive, asks for changes."""

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from braggwatch.gui.correspondence import Correspondence
from braggwatch.streamer.archive_client import check_shot
from braggwatch.streamer.archive_messages import Answer, Request
from braggwatch.streamer.control_messages import Change, Changed
from braggwatch.streamer.feed_client import FeedClient
from braggwatch.streamer.feed_messages import TOPICS, Message, topic_of
from braggwatch.streamer.picture_messages import ShotImage
from braggwatch.streamer.wording import count, plain

log = logging.getLogger(__name__)

TURN_S = 0.03
"""How long the thread waits for news before it looks whether the window wants something."""
KEPT_IMAGES = 16
"""Shots that wait for the window, a second or two of the feed; the oldest give way while the window is stuck."""
SAY_AGAIN_S = 10.0
"""s between two lines about the same thing that is wrong with the feed."""


@dataclass
class News:
    """What has come since the window last asked, to be taken in this order."""

    anew: bool = False
    """Another processor answers than before: everything known is to be forgotten first."""
    link: str = "never heard"
    """``heard``, ``gone`` or ``never heard``."""
    messages: list[Message] = field(default_factory=list)
    """The newest of each kind, and then the last shots, oldest first."""
    answers: list[Callable[[], None]] = field(default_factory=list)
    """To be called in the window's thread, in the order in which was asked."""
    said: list[str] = field(default_factory=list)
    """What went wrong, in a line each."""


class Link:
    """Hears a processor's feed in a thread of its own, within its `with`, and never lets the window wait."""

    def __init__(self, address: str) -> None:
        """Connect to a feed's address. Raises zmq.ZMQError when that is no address."""
        self.address = address
        self._feed = FeedClient(address, topics=TOPICS)
        self._correspondence = Correspondence(address)
        self._thread = threading.Thread(target=self._listen, name="link", daemon=True)
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._news = News()
        self._newest: dict[bytes, Message] = {}
        self._images: deque[ShotImage] = deque(maxlen=KEPT_IMAGES)
        self._processor = ""
        self._told: dict[str, tuple[int, float]] = {}
        self._bad_images: Counter[str] = Counter()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()
        self._correspondence.close()
        self._feed.close()

    def take(self) -> News:
        """Return what has come since the last call, at once."""
        with self._lock:
            news, self._news = self._news, News(link=self._news.link)
            news.messages = [*self._newest.values(), *self._images]
            self._newest.clear()
            self._images.clear()
        return news

    def ask(self, request: Request, then: Callable[[Answer], None]) -> None:
        """Ask the archive; `then` is among the answers that `take` returns later, whatever happens."""
        self._correspondence.ask(request, then)

    @property
    def change_problem(self) -> str:
        """Why settings cannot be changed, as a sentence; empty where they can, or before a processor was heard."""
        return self._correspondence.change_problem

    def change(self, change: Change, then: Callable[[Changed], None]) -> None:
        """Ask for other settings; `then` is among the answers that `take` returns later, whatever happens."""
        self._correspondence.change(change, then)

    def _listen(self) -> None:
        while not self._stopped.is_set():
            try:
                self._turn()
            except Exception as error:
                # Nothing that arrives should come to this; but a window whose link has died silently shows old news.
                log.exception("the link to %s stumbled", self.address)
                self._say(Counter({f"the link stumbled: {type(error).__name__}: {error}": 1}))
                self._stopped.wait(1.0)

    def _turn(self) -> None:
        messages = self._feed.poll(TURN_S)
        header = self._feed.header
        with self._lock:
            if header is not None and header.processor != self._processor:
                self._begin_anew(header.processor)
                of_this_one = {id(message) for message in self._feed.newest.values()}
                messages = [message for message in messages if id(message) in of_this_one]
            for message in messages:
                if isinstance(message, ShotImage):
                    self._keep_image(message)
                else:
                    self._newest[topic_of(message)] = message
            if self._feed.age is not None:
                self._news.link = "gone" if self._feed.gone else "heard"
        self._say(self._feed.problems + self._bad_images)
        answers = self._correspondence.turn(header)
        with self._lock:
            self._news.answers += answers

    def _keep_image(self, image: ShotImage) -> None:
        try:
            check_shot(image)
        except (ValueError, TypeError) as error:
            # As many kinds as somebody likes to send must not fill the memory.
            what = f"a shot that makes no sense: {error}"
            self._bad_images[what if len(self._bad_images) < 50 else "further shots that make no sense"] += 1
        else:
            self._images.append(image)

    def _begin_anew(self, processor: str) -> None:
        """Drop what another processor said, and what it was asked."""
        self._news.anew = self._news.anew or bool(self._processor)
        if self._processor:
            self._news.answers += self._correspondence.begin_anew()
        self._processor = processor
        self._newest.clear()
        self._images.clear()

    def _say(self, problems: Counter[str]) -> None:
        """Pass on what is wrong: at once when it is new, and with its number now and then while it goes on."""
        now = time.monotonic()
        for problem, n in problems.items():
            told, when = self._told.get(problem, (0, 0.0))
            if n > told and (not told or now - when > SAY_AGAIN_S):
                self._told[problem] = (n, now)
                with self._lock:
                    self._news.said.append(plain(problem, 500) + (f" (× {count(n)})" if n > 1 else ""))
