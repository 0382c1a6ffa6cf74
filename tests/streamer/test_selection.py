"""Shots that are left out unseen: the older tools' rule, and every frame accounted for."""

import random
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest
from by_hand import Bench, frames_of, named_series
from pydantic import ValidationError
from rig import Rig, frame

from braggwatch.processing.frame import Encoding, Frame, Series
from braggwatch.streamer.messages import State
from braggwatch.streamer.select_settings import SelectSettings
from braggwatch.streamer.selection import Selection, Settling

SERIES = Series(key="s", number=1)


def shot(number: int, timestamp: float | None = None, **values: float | int | str) -> Frame:
    return Frame(
        series="s", number=number, payload=b"", shape=(1, 1), dtype="u1", encoding=Encoding(), timestamp=timestamp,
        values=values,
    )  # fmt: skip


def kept(frames: list[Frame], settle: float = 0.0, series: Series = SERIES, **keep: float | int | str) -> list[int]:
    """Numbers of the frames that are looked at, each arriving one second after the one before."""
    selection, settling = Selection(SelectSettings(keep=keep, settle=settle)), Settling()
    return [f.number for i, f in enumerate(frames) if selection.keeps(f, series, settling, float(i))]


class OlderLaser:
    """What cctbx.xfel's `laser_status` remembers of one laser; times as (s, ms), as an event had them."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.changed: tuple[int, int] | None = None

    def skips(self, status: int, now: tuple[int, int], wanted: int, wait_ms: int) -> bool:
        if self.status is not None and self.status != status:
            self.changed = now
        self.status = status
        since = None if self.changed is None else 1000 * (now[0] - self.changed[0]) + now[1] - self.changed[1]
        return status != wanted or (since is not None and since < wait_ms)


@pytest.mark.parametrize("seed", range(20))
def test_shots_are_chosen_as_the_older_tools_did(seed: int) -> None:
    rng = random.Random(seed)
    lasers, wait_ms = (OlderLaser(), OlderLaser()), rng.choice([0, 8, 25, 100, 250])
    wanted = rng.choice([0, 1]), rng.choice([0, 1])
    frames, expected = [], []
    states, ms = [rng.choice([0, 1]), rng.choice([0, 1])], 1_700_000_000_000
    for number in range(2000):
        for i in (0, 1):
            if rng.random() < 0.02:
                states[i] = 1 - states[i]
        ms += 8
        now = divmod(ms, 1000)
        skips = [laser.skips(states[i], now, wanted[i], wait_ms) for i, laser in enumerate(lasers)]
        if not any(skips):
            expected.append(number)
        frames.append(shot(number, ms / 1000, laser_1=states[0], laser_4=states[1]))
    assert 0 < len(expected) < 2000
    assert kept(frames, wait_ms / 1000, laser_1=wanted[0], laser_4=wanted[1]) == expected


def test_without_anything_to_keep_all_shots_are_looked_at() -> None:
    assert kept([shot(0), shot(1, laser_1=1)]) == [0, 1]


def test_values_are_the_same_however_they_are_written() -> None:
    values: list[float | str] = [1, 1.0, "1", 0, 2, "on", ""]
    frames = [shot(i, laser_1=value) for i, value in enumerate(values)]
    assert kept(frames, laser_1=1) == kept(frames, laser_1="1") == [0, 1, 2]
    assert kept(frames, laser_1="on") == [5]


def test_an_event_code_is_looked_for_in_the_list() -> None:
    frames = [shot(i, codes=codes) for i, codes in enumerate(["40 183", "183", "1830 40", "", "40"])]
    assert kept(frames, codes=183) == [0, 1]


def test_other_event_codes_of_the_list_are_no_change() -> None:
    codes = ["40 183", "41 183", "42 183", "43", "44 183", "45 183"]
    frames = [shot(i, float(i), codes=code) for i, code in enumerate(codes)]
    assert kept(frames, 1.0, codes=183) == [0, 1, 2, 5]


@pytest.mark.parametrize("clock", ["exposure", "frame time", "arrival"])
def test_the_time_is_that_of_the_exposure_or_what_comes_nearest(clock: str) -> None:
    stamps = {"exposure": 0.1, "frame time": None, "arrival": None}[clock]
    series = msgspec.structs.replace(SERIES, frame_time=0.1 if clock == "frame time" else None)
    frames = [shot(i, None if stamps is None else 1.7e9 + stamps * i, laser_1=int(i >= 5)) for i in range(40)]
    first = 5 + (10 if clock != "arrival" else 1)  # 1 s at 10 Hz; arrivals are a second apart
    assert kept(frames, 1.0, series, laser_1=1) == list(range(first, 40))


def test_a_shot_without_the_value_is_left_out_and_its_return_is_a_change() -> None:
    frames = [shot(i, float(i), **({} if i in (3, 4) else {"laser_1": 1})) for i in range(10)]
    assert kept(frames, 2.0, laser_1=1) == [0, 1, 2, 7, 8, 9]


@pytest.mark.parametrize("seed", range(20))
def test_frames_out_of_order_never_let_an_unsettled_one_through(seed: int) -> None:
    rng = random.Random(seed)
    states = [int(i // 20 % 2 == 0) for i in range(200)]
    arrivals = sorted(range(200), key=lambda i: i + rng.uniform(0, 4))
    found = kept([shot(i, i * 0.1, laser_1=states[i]) for i in arrivals], 0.5, laser_1=1)
    # what is before the first change is taken for settled; from there on 5 frames after each change are left out
    settled = [i for i in range(200) if states[i] and (i < 20 or i % 40 >= 5)]
    assert set(found) <= set(settled)
    assert all(i % 40 < 10 or i % 40 >= 16 for i in set(settled) - set(found))  # only such as are near a change


def test_what_is_missing_is_said_with_what_there_is_instead() -> None:
    selection = Selection(SelectSettings(keep={"laser_1": 1, "laser_4": 0}))
    assert selection.complaint({"laser_1": 0, "laser_4": 1}) == ""
    assert selection.complaint({"laser1": 0, "laser_4": 1, "energy": 2.0}) == (
        "frames come without laser_1, which [select] keep asks for, and are skipped; the stream sends laser1, laser_4, "
        "energy. Is laser1 meant?"
    )
    assert selection.complaint({"energy": 2.0}).endswith("the stream sends energy")
    assert selection.complaint({}).endswith("the stream sends no values with them")
    assert len(selection.complaint({"x" * 256 + str(i): 1 for i in range(100)})) <= 500


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"settle": 1.0}, "keep is missing"),
        ({"keep": {"laser_1": 1}, "settle": -1.0}, "greater than or equal to 0"),
        ({"keep": {"laser_1": float("nan")}}, "keep.laser_1 must be a finite number or a text, found nan"),
        ({"keep": {"laser_1": [1]}}, "valid string"),
        ({"keep": {"": 1}}, "at least 1 character"),
    ],
    ids=["no-keep", "negative", "nan", "list", "empty"],
)
def test_a_selection_that_makes_no_sense_is_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        SelectSettings.model_validate(settings)


# -- in the hub -----------------------------------------------------------------------------------------------------


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with ExitStack() as stack:
        yield Rig(stack, tmp_path)


@pytest.mark.parametrize("protocol", ["dectris-v2", "dectris-v1"])
def test_frames_of_the_other_laser_state_are_skipped_and_the_ledger_adds_up(rig: Rig, protocol: str) -> None:
    address = rig.detector(120, protocol=protocol, laser="10 on, 20 off")
    hub = rig.hub(address, protocol=protocol, select=SelectSettings(keep={"laser_1": 1}, settle=0.004))
    rig.start_workers(2)
    witness = rig.run(hub)
    seen = sorted(number for _, number in witness.results)
    # frame_time is 1 ms: of each later burst of ten, the first four are within 4 ms
    assert seen == [*range(10), *(n for start in (30, 60, 90) for n in range(start + 4, start + 10))]
    assert witness.states()[State.SKIPPED] == 120 - len(seen)
    [counts] = witness.ended
    assert counts.adds_up and counts.states[State.SKIPPED] == 120 - len(seen)
    assert set(witness.warnings) == set()


def test_a_stream_without_the_value_says_so_once_for_all_its_frames(rig: Rig) -> None:
    frames = [msgspec.structs.replace(frame(n, hit=False), values={"laser1": 1}) for n in range(20)]
    hub = rig.hub(rig.detector(20, frames=frames), select=SelectSettings(keep={"laser_1": 1}))
    rig.start_workers(1)
    witness = rig.run(hub)
    assert witness.states() == {State.SKIPPED: 20}
    assert re.search(r"frames come without laser_1.*Is laser1 meant\?", witness.texts["no-value-to-select-by"])


def test_a_change_of_the_selection_holds_from_the_next_frame_on(tmp_path: Path) -> None:
    with ExitStack() as stack:
        bench = Bench(stack, tmp_path)
        bench.worker("worker-0")
        frames = [msgspec.structs.replace(f, values={"laser_1": f.number % 2}) for f in frames_of("s", range(8))]
        bench.source.say(named_series(), *frames[:4])
        bench.until(lambda: bench.hub.n_messages == 5)
        bench.hub.change_selection(SelectSettings(keep={"laser_1": 1}))
        bench.source.say(*frames[4:])
        bench.until(lambda: bench.hub.n_messages == 9)
        assert [number for _, number in bench.witness.lost] == [4, 6]
        bench.hub.change_selection(SelectSettings())
        assert bench.witness.states() == {State.SKIPPED: 2}
