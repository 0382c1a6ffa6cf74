"""Deaths, doubles and late words, one at a time: the hub's accounts stay right and nobody is lost."""

import errno
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zmq
from by_hand import Bench, HandWorker, frames_of, named_series

from braggwatch.processing.frame import SeriesEnd
from braggwatch.streamer import hub as hub_module
from braggwatch.streamer import worker_protocol as protocol
from braggwatch.streamer.hub import Hub
from braggwatch.streamer.hub_settings import HubSettings
from braggwatch.streamer.messages import Result, State

MakeBench = Callable[..., Bench]


@pytest.fixture
def make_bench(tmp_path: Path) -> Iterator[MakeBench]:
    with ExitStack() as stack:
        yield lambda **options: Bench(stack, tmp_path, **options)


def finish(worker: HandWorker, bench: Bench, n: int) -> None:
    """Let a worker do so many frames, and say that it has closed the series."""
    for _ in range(n):
        [frame] = worker.take(1)
        worker.result(frame)
    [key] = worker.hear(protocol.END)
    worker.say(protocol.ENDED, key)
    bench.until(lambda: bench.witness.ended)


# -- credits ------------------------------------------------------------------------------------------------------


def test_a_worker_that_says_twice_that_it_is_ready_gets_its_credits_once(make_bench: MakeBench) -> None:
    bench = make_bench(credits=2)
    worker = bench.worker("worker-0")
    worker.say(protocol.READY)
    bench.source.say(named_series(), *frames_of("s", range(10)))
    heard = [parts[0] for parts in worker.heard()]
    assert heard.count(protocol.FRAME) == 2


def test_a_result_said_twice_counts_once_and_gives_one_credit(make_bench: MakeBench) -> None:
    bench = make_bench(credits=1)
    worker = bench.worker("worker-0")
    bench.source.say(named_series(), *frames_of("s", range(5)))
    [frame] = worker.take(1)
    worker.result(frame)
    worker.result(frame, State.HIT)
    heard = [parts[0] for parts in worker.heard(turns=6)]
    assert heard.count(protocol.FRAME) == 1
    assert bench.witness.states() == {State.BLANK: 1}


def test_a_result_of_a_worker_taken_for_dead_is_not_counted_twice(make_bench: MakeBench) -> None:
    bench = make_bench(credits=1, silence=1.0)
    slow = bench.worker("worker-0")
    bench.source.say(named_series(), *frames_of("s", [0]), SeriesEnd("s"))
    [frame] = slow.take(1)
    bench.until(lambda: bench.witness.deaths)
    other = bench.worker("worker-1")
    [again] = other.take(1)
    slow.result(frame, State.HIT)
    other.result(again)
    bench.until(lambda: bench.witness.results)
    slow.result(frame, State.HIT)
    finish(other, bench, 0)
    assert bench.witness.states() == {State.BLANK: 1}


def test_a_worker_that_joins_again_on_the_same_socket_under_another_name_loses_no_frame(make_bench: MakeBench) -> None:
    bench = make_bench(credits=2)
    worker = bench.worker("worker-0")
    bench.source.say(named_series(), *frames_of("s", [0, 1]), SeriesEnd("s"))
    worker.take(2)
    worker.name = "worker-1"
    worker.hello()
    worker.ready()
    finish(worker, bench, 2)
    assert bench.witness.states() == {State.BLANK: 2}


def test_a_worker_that_says_goodbye_with_frames_in_hand_gives_them_back(make_bench: MakeBench) -> None:
    bench = make_bench()
    first = bench.worker("worker-0")
    bench.source.say(named_series(), *frames_of("s", [0, 1]), SeriesEnd("s"))
    first.take(2)
    first.say(protocol.BYE, b"worker-0")
    finish(bench.worker("worker-1"), bench, 2)
    assert bench.witness.states() == {State.BLANK: 2}


# -- settings -----------------------------------------------------------------------------------------------------


def test_settings_that_change_reach_every_worker_behind_the_frames_that_it_holds(make_bench: MakeBench) -> None:
    bench = make_bench(credits=2)
    first = bench.worker("worker-0")
    bench.source.say(named_series(), *frames_of("s", range(3)))
    bench.until(lambda: sum(len(member.out) for member in bench.hub.workforce) == 2)
    bench.hub.change_settings(b'{"new": 1}')
    kinds = [(parts[0], parts[1]) for parts in first.heard() if parts[0] in (protocol.FRAME, protocol.SETTINGS)]
    assert [kind for kind, _ in kinds] == [protocol.FRAME, protocol.FRAME, protocol.SETTINGS]
    assert kinds[-1][1] == b'{"new": 1}'


def test_a_worker_that_joins_later_gets_the_settings_of_then(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.worker("worker-0")
    bench.hub.change_settings(b'{"new": 1}')
    late = HandWorker(bench, "worker-1")
    late.say(protocol.HELLO, protocol.encode_hello(protocol.Hello("worker-1", "here", 1, "0")))
    assert late.hear(protocol.SETTINGS) == [b'{"new": 1}']
    late.die()


def test_a_worker_of_another_version_is_warned_of_and_works(
    make_bench: MakeBench, caplog: pytest.LogCaptureFixture
) -> None:
    bench = make_bench(credits=1)
    bench.worker("worker-0")
    assert not bench.witness.warnings
    other = HandWorker(bench, "worker-1")
    other.hello("0.0.1\x1b[2J")
    other.ready()
    assert bench.witness.warnings == {"worker-version": 1}
    assert "worker-1 on here runs Braggwatch 0.0.1\ufffd[2J; expected " in caplog.text
    other.die()


def test_settings_for_a_worker_that_is_gone_do_no_harm(make_bench: MakeBench) -> None:
    bench = make_bench(credits=1)
    bench.worker("worker-0").die()
    time.sleep(0.1)
    bench.hub.change_settings(b"{}")
    bench.until(lambda: not len(bench.hub.workforce))
    other = bench.worker("worker-1")
    bench.source.say(named_series(), *frames_of("s", [0]), SeriesEnd("s"))
    finish(other, bench, 1)
    assert bench.witness.states() == {State.BLANK: 1}


def test_an_image_that_comes_with_a_result_is_handed_on_with_it(make_bench: MakeBench) -> None:
    bench = make_bench(credits=1)
    worker = bench.worker("worker-0")
    bench.source.say(named_series(), *frames_of("s", [0, 1]), SeriesEnd("s"))
    [frame] = worker.take(1)
    result = Result(series="s", number=frame.number, state=State.BLANK, pixels_changed=True)
    worker.say(protocol.RESULT, protocol.encode_result(result), b"packed")
    finish(worker, bench, 1)
    assert bench.witness.corrected == {("s", 0): b"packed"}


# -- deaths -------------------------------------------------------------------------------------------------------


def test_a_frame_that_never_reached_its_workers_is_not_blamed_for_their_deaths(make_bench: MakeBench) -> None:
    bench = make_bench(credits=1)
    workers = [bench.worker(name) for name in ("worker-0", "worker-1")]
    bench.source.say(named_series())
    bench.until(lambda: bench.witness.began)
    for worker in workers:
        worker.die()
    bench.source.say(*frames_of("s", [0]), SeriesEnd("s"))
    time.sleep(0.1)
    bench.until(lambda: not len(bench.hub.workforce))
    finish(bench.worker("worker-0"), bench, 1)
    assert bench.witness.states() == {State.BLANK: 1}
    assert not bench.witness.warnings["quarantined"]


def test_a_worker_taken_for_dead_that_lives_is_restarted(make_bench: MakeBench) -> None:
    bench = make_bench(silence=0.2)
    worker = bench.worker("worker-0")
    bench.until(lambda: bench.witness.deaths)
    assert not bench.restarted

    def still_here() -> bool:
        worker.say(protocol.ALIVE, b"worker-0")
        return bool(bench.restarted)

    bench.until(still_here)
    assert bench.restarted == ["worker-0"]


def test_the_last_sign_of_life_of_a_dead_worker_restarts_nobody(make_bench: MakeBench) -> None:
    bench = make_bench(silence=1.0)
    worker = bench.worker("worker-0")
    bench.until(lambda: bench.witness.deaths)
    worker.say(protocol.ALIVE, b"worker-0")
    bench.hub.turn(0.1)
    assert not bench.restarted


def test_a_hub_that_was_held_up_hears_all_workers_before_it_takes_one_for_dead(
    make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "MESSAGES_A_TURN", 4)
    bench = make_bench(silence=0.3)
    workers = [bench.worker(f"worker-{index}") for index in range(10)]
    time.sleep(0.4)
    for worker in workers:
        worker.say(protocol.ALIVE, worker.name.encode())
    time.sleep(0.05)
    bench.hub.turn(0.0)
    assert not bench.witness.deaths


def test_a_worker_that_dies_while_it_closes_a_series_does_not_keep_it_open(make_bench: MakeBench) -> None:
    bench = make_bench(silence=0.3)
    worker = bench.worker("worker-0")
    bench.source.say(named_series(), *frames_of("s", [0]), SeriesEnd("s"))
    worker.result(worker.take(1)[0])
    worker.hear(protocol.END)
    worker.die()
    bench.until(lambda: bench.witness.ended)


def test_a_worker_that_never_gets_a_series_closed_is_restarted(make_bench: MakeBench) -> None:
    bench = make_bench(frame_timeout=0.3)
    worker = bench.worker("worker-0")
    bench.source.say(named_series(), *frames_of("s", [0]), SeriesEnd("s"))
    worker.result(worker.take(1)[0])
    worker.hear(protocol.END)

    def alive() -> bool:
        worker.say(protocol.ALIVE, b"worker-0")
        return bool(bench.witness.ended)

    bench.until(alive)
    assert bench.restarted == ["worker-0"]


# -- what results may say -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [State.MISSED, State.DROPPED, State.QUARANTINED])
def test_a_state_that_no_worker_can_find_out_is_not_believed(make_bench: MakeBench, state: State) -> None:
    bench = make_bench(credits=1, frame_timeout=0.3)
    worker = bench.worker("worker-0")
    bench.source.say(named_series(), *frames_of("s", [0]), SeriesEnd("s"))
    worker.result(worker.take(1)[0], state)
    finish(bench.worker("worker-1"), bench, 1)
    assert bench.witness.states() == {State.BLANK: 1}
    assert "state" in bench.witness.texts["worker-message"]


def test_kinds_of_notices_without_end_do_not_fill_the_memory(make_bench: MakeBench) -> None:
    bench = make_bench(credits=1)
    worker = bench.worker("worker-0")
    bench.source.say(named_series(), *frames_of("s", [0]), SeriesEnd("s"))
    worker.result(worker.take(1)[0], notices={f"kind {n}": "text" for n in range(1000)})
    bench.until(lambda: bench.witness.results)
    assert len(bench.hub.warnings) <= 101
    assert bench.hub.warnings.total() == 1000


# -- series -------------------------------------------------------------------------------------------------------


def test_a_worker_that_knew_a_series_before_its_header_came_is_told_of_its_end(make_bench: MakeBench) -> None:
    bench = make_bench(credits=1)
    worker = bench.worker("worker-0")
    bench.source.say(named_series(joined_late=True, photon_energy=None), *frames_of("s", [0]))
    worker.result(worker.take(1)[0])
    bench.until(lambda: bench.witness.results)
    bench.source.say(named_series(), SeriesEnd("s"))
    assert protocol.decode_series(worker.hear(protocol.SERIES)[0]).photon_energy == 12_000.0
    finish(worker, bench, 0)


def test_frames_that_another_socket_brought_before_the_header_and_the_first_frame_all_count(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(credits=8)
    worker = bench.worker("worker-0")
    bench.source.say(
        named_series(joined_late=True), *frames_of("s", [3, 1]), named_series(n_frames=6), *frames_of("s", [0, 2, 4]),
        SeriesEnd("s"),
    )  # fmt: skip
    finish(worker, bench, 5)
    [counts] = bench.witness.ended
    assert (counts.first, counts.total, counts.states[State.MISSED]) == (0, 6, 1)
    assert bench.witness.lost == {("s", 5): (State.MISSED, "never arrived")}


def test_a_frame_that_comes_while_workers_close_its_series_is_done_too(make_bench: MakeBench) -> None:
    bench = make_bench()
    worker = bench.worker("worker-0")
    bench.source.say(named_series(), *frames_of("s", [0]), SeriesEnd("s"))
    worker.result(worker.take(1)[0])
    worker.hear(protocol.END)
    bench.source.say(*frames_of("s", [1]))
    [late] = worker.take(1)
    worker.say(protocol.ENDED, b"s")
    worker.result(late)
    finish(worker, bench, 0)
    assert bench.witness.ended[0].total == 2


def test_a_frame_of_a_closed_series_is_only_warned_of(make_bench: MakeBench) -> None:
    bench = make_bench()
    worker = bench.worker("worker-0")
    bench.source.say(named_series(), *frames_of("s", [0]), SeriesEnd("s"))
    finish(worker, bench, 1)
    bench.source.say(*frames_of("s", [1]))
    worker.say(protocol.ENDED, b"s")
    worker.result(frames_of("s", [0])[0])
    bench.until(lambda: bench.witness.warnings["stray"])
    assert bench.hub.idle


# -- the queue ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("drop", ["oldest", "newest"])
def test_frames_given_back_to_a_full_queue_are_accounted_for(make_bench: MakeBench, drop: str) -> None:
    size = frames_of("s", [0])[0].payload.__len__()
    bench = make_bench(credits=2, drop=drop, queue_bytes=3 * size, silence=0.3)
    worker = bench.worker("worker-0")
    bench.source.say(named_series(), *frames_of("s", range(10)))
    worker.take(2)
    worker.die()
    bench.until(lambda: bench.witness.deaths)
    bench.source.say(*frames_of("s", [10]), SeriesEnd("s"))
    other = bench.worker("worker-1")
    bench.until(lambda: bench.hub.queue_bytes <= 3 * size)
    finish(other, bench, 11 - bench.witness.states()[State.DROPPED])
    assert bench.witness.states().total() == 11
    assert bench.hub.queue_bytes == 0


def test_frames_of_no_bytes_do_not_fill_the_memory(make_bench: MakeBench) -> None:
    bench = make_bench(credits=1, queue_bytes=2**16)
    bench.worker("worker-0")
    empty = [msgspec.structs.replace(frame, payload=b"\0") for frame in frames_of("s", range(2000))]
    bench.source.say(named_series(), *empty)
    bench.until(lambda: bench.hub.accounts.totals()["total"] == 2000)
    assert bench.hub.queue_length < 200


# -- stopping -----------------------------------------------------------------------------------------------------


def test_frames_that_nobody_can_do_any_more_are_dropped_at_a_stop(make_bench: MakeBench) -> None:
    bench = make_bench(credits=2)
    worker = bench.worker("worker-0")
    bench.source.say(named_series(n_frames=1000), *frames_of("s", range(5)))
    worker.take(2)
    bench.until(lambda: bench.hub.queue_length == 3)
    bench.hub.accounts.end_all()
    bench.hub.give_up("there was no more time")
    assert bench.hub.idle
    assert bench.witness.states() == {State.DROPPED: 5}
    assert bench.hub.queue_bytes == 0
    assert bench.witness.ended[0].adds_up


def test_after_a_stop_frames_not_yet_sent_do_not_count_as_missed(make_bench: MakeBench) -> None:
    bench = make_bench(credits=8)
    worker = bench.worker("worker-0")
    bench.source.say(named_series(n_frames=1000), *frames_of("s", [0, 2]))
    bench.until(lambda: bench.hub.accounts.totals()["total"] == 3)
    bench.hub.accounts.end_all()
    finish(worker, bench, 2)
    assert (bench.witness.ended[0].total, bench.witness.ended[0].states[State.MISSED]) == (3, 1)


def test_workers_that_are_not_ready_or_dead_do_not_hold_up_the_end(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.worker("worker-0", ready=False)
    bench.worker("worker-1").die()
    bench.hub.turn(0.1)
    start = time.monotonic()
    bench.hub.dismiss_workers(20.0)
    assert time.monotonic() - start < 10.0


# -- what can go wrong around the hub -----------------------------------------------------------------------------


def test_a_quarantine_that_cannot_be_written_costs_no_account(make_bench: MakeBench, tmp_path: Path) -> None:
    def full(*_: Any) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    bench = make_bench(credits=1)
    bench.hub._quarantine = full
    bench.source.say(named_series(), *frames_of("s", [0]), SeriesEnd("s"))
    for _ in range(2):
        worker = bench.worker("worker-0")
        worker.take(1)
    bench.worker("worker-0")
    bench.until(lambda: bench.witness.ended)
    assert bench.witness.states() == {State.QUARANTINED: 1}
    assert "No space left on device" in bench.witness.texts["quarantined"]


def test_a_workers_address_that_cannot_be_bound_is_said_and_closes(make_bench: MakeBench) -> None:
    bench = make_bench()

    other = Hub(bench.source, HubSettings(), b"{}", bench.witness, quarantine=lambda series, frame: "")
    with pytest.raises(zmq.ZMQError, match=r"hub\.address"):
        other.bind(bench.address)
    other.close()


# -- a source that fails ------------------------------------------------------------------------------------------


def test_a_source_that_raises_is_given_up_and_what_had_come_is_finished(make_bench: MakeBench) -> None:
    bench = make_bench(credits=2)
    worker = bench.worker("worker-0")
    bench.source.say(named_series(), *frames_of("s", [0, 1]), RuntimeError("no such thing"), *frames_of("s", [2]))
    bench.until(lambda: bench.hub.source_problem)
    assert bench.hub.source_problem == "the source failed: RuntimeError: no such thing"
    assert bench.witness.warnings["source-failed"] == 1
    bench.hub.accounts.end_all()
    finish(worker, bench, 2)
    assert bench.witness.states() == {State.BLANK: 2}
