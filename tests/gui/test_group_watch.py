"""Groups that come no more, and shots without the value that they are grouped by."""

import msgspec
import pytest
from groups_by_hand import TWO_STATES, of_frames
from messages_by_hand import NotingOutbox
from numbers_by_hand import T0, history, random_bins, rate, status

from braggwatch.gui.controllers.strip import StripController
from braggwatch.gui.group_watch import group_warnings
from braggwatch.gui.known_groups import known_groups
from braggwatch.gui.monitor import Monitor
from braggwatch.gui.panels.strip import StripPanel
from braggwatch.streamer.feed_messages import Finished, Group, GroupBins, History
from braggwatch.streamer.picture_messages import SettingsInForce
from braggwatch.streamer.wording import clock


def group(name: str, frames: int, recent: int) -> Group:
    return Group(name=name, frames=frames, hit=rate(0, recent))


def warned(
    told: History | None, *groups: Group, seconds: float = 0.0, settings: SettingsInForce | None = None
) -> list[str]:
    monitor = Monitor(NotingOutbox())
    if settings is not None:
        monitor.take([settings])
    if told is not None:
        monitor.take([told])
        seconds = len(told.recent.multi_lattice)
        groups = groups or tuple(group(g.name, sum(g.frames), sum(g.frames[-30:])) for g in told.recent.groups)
    monitor.take([status(groups=groups, time=T0 + seconds, window=30.0)])
    return [warning.text for warning in group_warnings(monitor, known_groups(monitor))]


def test_a_group_that_alternated_and_comes_no_more_is_missed_after_the_window() -> None:
    assert warned(of_frames(dark=[60] * 140, pumped=[60] * 100 + [0] * 40)) == ["no shot of group pumped for 40 s"]
    assert warned(of_frames(dark=[60] * 140, pumped=[2] * 100 + [0] * 40)) == ["no shot of group pumped for 40 s"]
    assert warned(of_frames(dark=[60] * 129, pumped=[60] * 100 + [0] * 29)) == []
    assert warned(of_frames(dark=[60] * 140, pumped=[60] * 140)) == []


def test_groups_that_came_one_after_the_other_are_not_missed() -> None:
    a, b, c = [60] * 100 + [0] * 200, [0] * 100 + [60] * 100 + [0] * 100, [0] * 200 + [60] * 100
    assert warned(of_frames(delay_1=a, delay_2=b, delay_3=c)) == []


def test_a_group_so_rare_that_chance_explains_its_absence_is_not_missed() -> None:
    rare = [1 if i % 25 == 0 else 0 for i in range(100)] + [0] * 40
    assert warned(of_frames(dark=[3] * 140, pumped=rare)) == []
    assert warned(of_frames(dark=[900] * 140, pumped=[1] * 100 + [0] * 40)) == ["no shot of group pumped for 40 s"]


def test_the_warning_stays_however_long_the_group_is_away() -> None:
    of_session = random_bins(500, width=8.0)
    columns = {"dark": [480] * 500, "pumped": [480] * 200 + [0] * 300}
    session = msgspec.structs.replace(of_session, groups=tuple(
        GroupBins(name=name, frames=column, hits=[0] * 500, indexed=[0] * 500) for name, column in columns.items()
    ))  # fmt: skip
    fine = of_frames(dark=[60] * 600, pumped=[0] * 600).recent
    told = History(recent=msgspec.structs.replace(fine, start=T0 + 3400), session=session)
    groups = group("dark", 240_000, 1800), group("pumped", 96_000, 0)
    assert warned_at(told, groups, 4000) == ["no shot of group pumped for 40 min"]


def warned_at(told: History, groups: tuple[Group, ...], seconds: float) -> list[str]:
    monitor = Monitor(NotingOutbox())
    monitor.take([told, status(groups=groups, time=T0 + seconds, window=30.0)])
    return [warning.text for warning in group_warnings(monitor, known_groups(monitor))]


def test_of_several_groups_that_are_away_all_are_named() -> None:
    told = of_frames(a=[60] * 140, b=[60] * 100 + [0] * 40, c=[60] * 100 + [0] * 40)
    assert warned(told) == ["no shot of 2 of 3 groups for 40 s: b, c"]


def test_a_state_that_the_settings_name_and_that_never_came_is_missed() -> None:
    dark = of_frames(dark=[60] * 40)
    assert warned(dark, settings=TWO_STATES) == ["no shot of group pumped so far"]
    assert warned(dark) == []
    assert warned(of_frames(dark=[1] * 40), settings=TWO_STATES) == []
    others = [group("others", 5000, 900)]
    assert warned(None, *others, settings=TWO_STATES) == [
        "all shots so far belong to none of the groups that have a name"
    ]
    three = TWO_STATES.text.replace("}", ', "2" = "both" }')
    assert warned(dark, settings=SettingsInForce(version=2, time=T0, text=three)) == ["only shots of group dark so far"]


@pytest.mark.parametrize(
    ("lacking", "said"),
    [
        (50, "5.0 % of the shots come without laser_1"), (1000, "no shot comes with laser_1"), (0, ""),
    ],
)  # fmt: skip
def test_shots_that_come_without_the_value_are_said(lacking: int, said: str) -> None:
    groups = group("dark", 9000, 1000 - lacking), group("no laser_1", 500, lacking), group("pumped", 9000, 0)
    assert warned(None, *groups, settings=TWO_STATES) == ([said] if said else [])
    assert warned(None, *groups) == ([said] if said else [])


def test_without_groups_or_with_nonsense_nothing_is_said_and_nothing_fails() -> None:
    assert warned(None) == []
    assert warned(history(random_bins(100))) == []
    odd = float("nan")
    made = of_frames(dark=[60] * 140, pumped=[60] * 100 + [0] * 40)
    wild = GroupBins(name="pumped", frames=[60, 2**70, -5], hits=[], indexed=[1])
    for width, start in ((0.0, T0), (odd, T0), (1.0, odd), (1e300, -1e300), (-1.0, T0)):
        strange = msgspec.structs.replace(made.recent, width=width, start=start, groups=(made.recent.groups[0], wild))
        assert warned(History(recent=strange, session=strange)) == []
    many = tuple(group(f"{i}\x1b{'x' * 10**4}", -5, 5) for i in range(1000))
    assert warned(None, *many) == []


def test_the_strip_says_once_since_when_a_group_is_missed_and_forgets_it_when_it_comes_again(qtbot: object) -> None:
    monitor, now = Monitor(NotingOutbox()), [T0 + 140.0]
    view = StripPanel()
    controller = StripController(monitor, view, lambda: 5.0, lambda: now[0])
    text = f"no shot of group pumped since {clock(T0 + 100)}"
    for seconds in (140, 150):
        now[0] = T0 + seconds
        told = of_frames(dark=[60] * seconds, pumped=[60] * 100 + [0] * (seconds - 100))
        groups = group("dark", 9000, 900), group("pumped", 6000, 0)
        monitor.take([told, status(groups=groups, time=T0 + seconds, window=30.0)])
        controller.refresh()
        assert [(line.text, line.time) for line in controller.lines()] == [(text, T0 + 140)]
    monitor.take([of_frames(dark=[60] * 150, pumped=[60] * 150)])
    controller.refresh()
    assert controller.lines() == []


def test_when_all_is_over_nothing_is_missed_any_more(qtbot: object) -> None:
    monitor, view = Monitor(NotingOutbox()), StripPanel()
    controller = StripController(monitor, view, lambda: 5.0, lambda: T0)
    told = of_frames(dark=[60] * 140, pumped=[60] * 100 + [0] * 40)
    groups = group("dark", 9000, 900), group("pumped", 6000, 0)
    monitor.take([told, status(groups=groups, time=T0 + 140), Finished(time=T0 + 140, groups=groups)])
    controller.refresh()
    assert controller.lines() == []
