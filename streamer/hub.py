"""The hub: frames from the source to the workers, results back, every frame accounted for."""

import logging
from collections import Counter
from collections.abc import Callable
from time import monotonic

import msgspec
import zmq

from braggwatch import __version__
from braggwatch.processing.frame import Event, Frame, Refused, Series, SeriesEnd
from braggwatch.streamer import worker_protocol as protocol
from braggwatch.streamer.accounts import Accounts, Run
from braggwatch.streamer.audience import Audience
from braggwatch.streamer.frame_queue import FrameQueue
from braggwatch.streamer.hub_settings import HubSettings
from braggwatch.streamer.ledger import WAITING, WORKING
from braggwatch.streamer.messages import Result, State
from braggwatch.streamer.select_settings import SelectSettings
from braggwatch.streamer.selection import Selection, Settling
from braggwatch.streamer.sources.source import Source
from braggwatch.streamer.wording import plain
from braggwatch.streamer.workforce import Entry, Member, Workforce

log = logging.getLogger(__name__)

MESSAGES_A_TURN = 64
"""How many messages are taken from one socket before the others are looked at."""
BACKLOG = 100_000
"""How many messages of workers are heard before one of them is taken for dead: its own may be among them."""
ENTRY_BYTES = 1024
"""What a frame takes in memory besides its pixels, so that frames of a few bytes are bounded too."""
MAX_KINDS = 100
"""Kinds of warnings that are told apart; stages of a user's own may invent any number."""
CRASHES_TO_QUARANTINE = 2
END_GRACE_S = 0.5
"""An end message may overtake the last frames where images are spread over several sockets."""


class Hub:
    """Hands frames to workers on request and keeps each until its result is back."""

    def __init__(
        self,
        source: Source,
        settings: HubSettings,
        worker_settings: bytes,
        audience: Audience,
        quarantine: Callable[[Series, Frame], str],
        restart_worker: Callable[[str], None] = lambda name: None,
        select: SelectSettings | None = None,
    ) -> None:
        """Make a hub between a source and workers.

        `worker_settings` is sent to each worker as it joins, and to all by `change_settings`. `quarantine` sets a frame
        aside and returns where; `restart_worker` is asked to restart a worker by name; `select` says which frames are
        looked at, all if left out.
        """
        self._source = source
        self._settings = settings
        self._worker_settings = worker_settings
        self._audience = audience
        self._quarantine = quarantine
        self._restart_worker = restart_worker
        self._selection = Selection(select or SelectSettings())
        self.workforce = Workforce(settings.credits)
        self.accounts = Accounts(audience)
        self.warnings: Counter[str] = Counter()
        self.n_messages = 0
        """How many messages have come from the source."""
        self.source_problem = ""
        """Why nothing more is taken from the source, as a sentence; empty while all is well."""
        self._queue = FrameQueue(settings.drop, settings.queue_bytes)
        self._buried: dict[str, float] = {}
        """Workers that were taken for dead or stuck and have not come back, by name, and since when."""
        self._dismissed = False
        self._router: zmq.Socket[bytes] | None = None
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._poller = zmq.Poller()
        self._watched: list[zmq.Socket[bytes]] = []

    # -- life ---------------------------------------------------------------------------------------------------

    def bind(self, address: str) -> str:
        """Open the workers' socket and return its address; `tcp://127.0.0.1:*` takes a free port.

        Raises OSError (zmq.ZMQError) with the address in its text where that is not possible.
        """
        router = self._router = self._context.socket(zmq.ROUTER)
        router.set_hwm(0)  # bounded by the credits, so nothing may be dropped at a mark
        router.router_mandatory = True
        router.linger = 1000
        router.setsockopt(zmq.MAXMSGSIZE, protocol.MAX_PART_BYTES)
        try:
            router.bind(address)
        except zmq.ZMQError as error:
            raise zmq.ZMQError(
                error.errno,
                f"hub.address: workers cannot be awaited at {address!r}: {error}; expected an address of this computer "
                "with a free port, such as tcp://127.0.0.1:*",
            ) from error
        self._poller.register(router, zmq.POLLIN)
        return router.get_string(zmq.LAST_ENDPOINT)

    def close(self) -> None:
        """Close what `bind` opened."""
        if self._router is not None:
            self._router.close()
        self._context.term()

    @property
    def queue_length(self) -> int:
        """How many frames wait for a worker."""
        return len(self._queue)

    @property
    def queue_bytes(self) -> int:
        """What these frames take in memory."""
        return self._queue.n_bytes

    @property
    def idle(self) -> bool:
        """Whether nothing is waiting, out, or still to be closed."""
        return not self._queue and not len(self.accounts)

    @property
    def listening(self) -> bool:
        """Whether a message from the source would be taken now."""
        return self._has_room()

    @property
    def in_series(self) -> bool:
        """Whether a series has begun whose end was not announced yet."""
        return any(run.ended is None for run in self.accounts)

    @property
    def source_exhausted(self) -> bool:
        """Whether nothing will ever come again."""
        return self._source.exhausted

    def change_settings(self, worker_settings: bytes) -> None:
        """Put other settings in force: for each worker with the next frame that it is handed."""
        self._worker_settings = worker_settings
        for member in self.workforce:
            self._send(member, [protocol.SETTINGS, worker_settings])

    def change_selection(self, select: SelectSettings) -> None:
        """Look at other frames, of those that come from now on."""
        self._selection = Selection(select)
        for run in self.accounts:
            run.settling = Settling()

    def turn(self, timeout: float, *, listen: bool = True) -> None:
        """Do what there is to do, waiting for it up to `timeout` seconds; `listen=False` leaves the source alone."""
        self._watch_source(listen and self._has_room())
        ready = dict(self._poller.poll(int(timeout * 1000)))
        if self._router in ready:
            self._hear_workers()
        for socket in self._watched:
            if socket in ready:
                self._hear_source(socket)
        self._dispatch()
        self._look_after_workers()
        self._close_ended_runs()

    def give_up(self, reason: str) -> None:
        """Drop every frame that is not done, and close all series."""
        left = [*(entry for member in self.workforce for entry in member.out), *self._queue.empty()]
        for member in self.workforce:
            member.out.clear()
        for entry in left:
            self.accounts.lose(entry.frame.series, entry.frame.number, State.DROPPED, reason)
        for run in self.accounts:
            self.accounts.close(run)

    def dismiss_workers(self, patience: float) -> None:
        """Tell the workers to go and wait until those that are at work have, `patience` seconds at most."""
        self._dismissed = True
        for member in list(self.workforce):
            if not self._send(member, [protocol.STOP]) or not member.ready:
                self.workforce.leave(member)
        deadline = monotonic() + patience
        while len(self.workforce) and monotonic() < deadline:
            if self._router in dict(self._poller.poll(100)):
                self._hear_workers()
            self._look_after_workers()

    # -- source -------------------------------------------------------------------------------------------------

    def _has_room(self) -> bool:
        if self.source_problem:
            return False
        if not any(member.ready for member in self.workforce) and not len(self.accounts):
            return False  # before the first worker is there, frames are better off in the detector's buffer
        return self._queue.has_room

    def _watch_source(self, watch: bool) -> None:
        wanted = list(self._source.sockets) if watch else []
        if wanted != self._watched:
            for socket in self._watched:
                self._poller.unregister(socket)
            for socket in wanted:
                self._poller.register(socket, zmq.POLLIN)
            self._watched = wanted

    def _hear_source(self, socket: zmq.Socket[bytes]) -> None:
        for _ in range(MESSAGES_A_TURN):
            try:
                events = self._source.receive(socket)
            except Exception as error:
                self._give_source_up(error)
                break
            if events is None:
                break
            self.n_messages += 1
            for event in events:
                self._take(event)
            if not self._has_room():
                break

    def _give_source_up(self, error: Exception) -> None:
        """What a source cannot read it refuses; one that raises is broken, and nothing it would say can be trusted."""
        log.error("the source failed", exc_info=error)
        self.source_problem = f"the source failed: {type(error).__name__}: {error}"
        self._warn("source-failed", self.source_problem)

    def _take(self, event: Event) -> None:
        if isinstance(event, Frame):
            self._take_frame(event)
        elif isinstance(event, Series):
            self._begin(event)
        elif isinstance(event, SeriesEnd):
            if (run := self.accounts.get(event.series)) is not None:
                run.ended = run.ended or monotonic()
        else:
            self._refuse(event)

    def _begin(self, series: Series) -> None:
        known = self.accounts.get(series.key) is not None
        run = self.accounts.begin(series)
        for member in self.workforce:
            if series.key in member.series if known else member.ready:
                self._introduce(run, member)

    def _take_frame(self, frame: Frame) -> None:
        run = self.accounts.get(frame.series)
        if run is None:
            self._warn("stray", f"frame {frame.number} of series {frame.series} came after the series was closed")
            return
        if (why := run.ledger.accepts(frame.number)) is not None:
            self._warn("unexpected-number", f"series {frame.series}: {why}; it is left out")
            return
        n_bytes = memoryview(frame.payload).nbytes
        now = monotonic()
        self._audience.frame_arrived(n_bytes)
        if not self._selection.keeps(frame, run.series, run.settling, now):
            self._skip(frame)
            return
        run.ledger.move(frame.number, WAITING)
        self._queue.append(Entry(frame, now, ENTRY_BYTES + n_bytes))
        for entry in self._queue.surplus():
            self.accounts.lose(entry.frame.series, entry.frame.number, State.DROPPED, "the queue was full")

    def _skip(self, frame: Frame) -> None:
        if complaint := self._selection.complaint(frame.values):
            self._warn("no-value-to-select-by", complaint)
        self.accounts.lose(frame.series, frame.number, State.SKIPPED, "[select] does not keep it")

    def _refuse(self, refused: Refused) -> None:
        self._warn(refused.kind, refused.reason)
        run = self.accounts.get(refused.series)
        if run is None or refused.number is None or run.ledger.accepts(refused.number) is not None:
            return
        self.accounts.lose(run.series.key, refused.number, State.REFUSED, refused.reason)

    def _warn(self, kind: str, text: str) -> None:
        if kind not in self.warnings and len(self.warnings) >= MAX_KINDS:
            kind = "others"
        if not self.warnings[kind]:
            log.warning("%s (%s; further ones of this kind are only counted)", text, kind)
        self.warnings[kind] += 1
        self._audience.warned(kind, text)

    # -- workers ------------------------------------------------------------------------------------------------

    def _hear_workers(self, limit: int = MESSAGES_A_TURN) -> None:
        assert self._router is not None
        for _ in range(limit):
            try:
                parts = self._router.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            try:
                self._hear(parts[0], parts[1], *(parts[i] if len(parts) > i else b"" for i in (2, 3, 4)))
            except (IndexError, UnicodeDecodeError, msgspec.DecodeError) as error:
                self._warn("worker-message", f"a message at the workers' socket made no sense: {error}")

    def _hear(self, identity: bytes, kind: bytes, body: bytes, image: bytes, integrated: bytes) -> None:
        if kind == protocol.ALIVE:
            self._note_alive(body.decode())
            return
        if kind == protocol.HELLO:
            self._welcome(identity, protocol.decode_hello(body))
            return
        member = self.workforce.get(identity)
        if member is None:
            return  # given up for dead; what it held has gone to another worker
        member.last_alive = monotonic()
        if kind == protocol.RESULT:
            self._hand_in(member, protocol.decode_result(body), image, integrated)
        elif kind == protocol.READY:
            self.workforce.ready(member)
        elif kind == protocol.ENDED:
            run = self.accounts.get(body.decode())
            if run is not None:
                run.closing.pop(member.name, None)
        elif kind == protocol.BYE:
            self._part_with(member)

    def _note_alive(self, name: str) -> None:
        now = monotonic()
        member = self.workforce.named(name)
        if member is not None:
            member.last_alive = now
        elif now - self._buried.get(name, now) > self._settings.silence:
            # It was given up too early, or its connection broke: nothing that it says is heard, so it starts anew.
            self._buried[name] = now
            self._restart_worker(name)

    def _welcome(self, identity: bytes, hello: protocol.Hello) -> None:
        for earlier in (self.workforce.named(hello.name), self.workforce.get(identity)):
            if earlier is not None:
                self._bury(earlier, "was restarted")
        self._buried.pop(hello.name, None)
        if hello.version != __version__:
            self._warn(
                "worker-version",
                f"worker {plain(hello.name, 80)} on {plain(hello.host, 80)} runs Braggwatch "
                f"{plain(hello.version, 40)}; expected {__version__}, the hub's, as other versions may find other "
                "results: install the same one on all machines",
            )
        member = self.workforce.join(identity, hello, monotonic())
        if self._dismissed:
            self._send(member, [protocol.STOP])
            self.workforce.leave(member)
            return
        self._send(member, [protocol.SETTINGS, self._worker_settings])

    def _hand_in(self, member: Member, result: Result, corrected: bytes, integrated: bytes) -> None:
        now = monotonic()
        entry = self.workforce.hand_in(member, result.series, result.number, now)
        if entry is None:
            return
        self.accounts[result.series].ledger.move(result.number, result.state)
        self._audience.frame_done(result, now - entry.arrived, entry.frame, corrected or None)
        if integrated:
            self._audience.integrated(integrated)
        for kind, text in result.notices.items():
            self._warn(kind, text)
        if result.error:
            self._warn(result.state.value, f"frame {result.number} of series {result.series}: {result.error}")

    def _dispatch(self) -> None:
        while self._queue and (member := self.workforce.next_due()) is not None:
            entry = self._queue.take()
            run = self.accounts[entry.frame.series]
            if entry.frame.series not in member.series:
                self._introduce(run, member)
            header, payload = protocol.encode_frame(entry.frame)
            if self._send(member, [protocol.FRAME, header, payload]):
                self.workforce.hand_out(member, entry, monotonic())
                run.ledger.move(entry.frame.number, WORKING)
            else:  # the frame did not reach it, and has no part in its death
                self._queue.put_back(entry)
                self._bury(member, "is gone")

    def _introduce(self, run: Run, member: Member) -> None:
        member.series.add(run.series.key)
        self._send(member, [protocol.SERIES, run.packed])

    def _send(self, member: Member, parts: list[bytes]) -> bool:
        """Send a message to a worker; False where its connection is gone."""
        assert self._router is not None
        try:
            self._router.send_multipart([member.identity, *parts], copy=False)
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            member.last_alive = float("-inf")  # the next look buries it
            return False
        return True

    def _look_after_workers(self) -> None:
        now = monotonic()
        if self.workforce.silent(now, self._settings.silence):
            self._hear_workers(BACKLOG)  # the hub itself may have been held up
        for member in self.workforce.silent(now, self._settings.silence):
            self._bury(member, f"has not been heard of for {self._settings.silence} s")
        for member in self.workforce.stuck(now, self._settings.frame_timeout):
            self._bury(member, f"was busy with one frame for more than {self._settings.frame_timeout} s")
            self._restart_worker(member.name)
        for run in self.accounts:
            for name, since in list(run.closing.items()):
                closer = self.workforce.named(name)
                if closer is not None and now - since > self._settings.frame_timeout:
                    self._bury(closer, f"took more than {self._settings.frame_timeout} s to close a series")
                    self._restart_worker(name)

    def _bury(self, member: Member, why: str) -> None:
        """Give a dead worker's frames to others; the one that it worked on may be what killed it."""
        self._buried[member.name] = monotonic()
        self._audience.worker_lost(member.name)
        self._warn("worker-lost", f"worker {member.name} {why}; its {len(member.out)} frames go to another")
        if member.out:
            member.out[0].crashes += 1
        self._part_with(member)

    def _part_with(self, member: Member) -> None:
        """Forget a worker; what it held goes back to the front of the queue."""
        self.workforce.leave(member)
        for run in self.accounts:
            run.closing.pop(member.name, None)
        for entry in reversed(member.out):
            if entry.crashes >= CRASHES_TO_QUARANTINE:
                self._set_aside(entry)
            else:
                self.accounts[entry.frame.series].ledger.move(entry.frame.number, WAITING)
                self._queue.put_back(entry)

    def _set_aside(self, entry: Entry) -> None:
        frame = entry.frame
        try:
            where = self._quarantine(self.accounts[frame.series].series, frame)
        except OSError as error:
            where = f"nowhere, writing it failed: {error}"
        reason = f"it killed {entry.crashes} workers and was set aside in {where}"
        self._warn("quarantined", f"frame {frame.number} of series {frame.series}: {reason}")
        self.accounts.lose(frame.series, frame.number, State.QUARANTINED, reason)

    # -- ends of series -----------------------------------------------------------------------------------------

    def _close_ended_runs(self) -> None:
        now = monotonic()
        for run in self.accounts:
            if run.ended is None or run.ledger.open:
                continue
            complete = run.ledger.total == run.series.n_frames and not run.ledger.counts().states[State.MISSED]
            if not complete and now - run.ended < END_GRACE_S:
                continue
            self._tell_end(run)
            if not run.closing:
                self.accounts.close(run)

    def _tell_end(self, run: Run) -> None:
        for member in self.workforce:
            if run.series.key in member.series:
                member.series.discard(run.series.key)
                run.closing[member.name] = monotonic()
                self._send(member, [protocol.END, run.series.key.encode()])
