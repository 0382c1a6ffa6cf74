"""The window beside a pump–probe run over real sockets, and on its record: the groups are the truth in both."""

from pathlib import Path

import pytest
from programs import Program, query, start_simulator, write_settings
from pytestqt.qtbot import QtBot
from watched_window import Watched, all_done, watching

from braggwatch.gui.panels.hits import HitsPanel
from braggwatch.gui.panels.rates import RatesPanel
from braggwatch.streamer.cli.free_ports import free_ports
from braggwatch.streamer.replay import RecordFeed

NAMES = {"0": "dark", "1": "pumped"}
N = 120


def panel(watched: Watched, name: str) -> RatesPanel | HitsPanel:
    found = next(panel for panel, _ in watched.composition.panels if panel.name == name)
    assert isinstance(found, RatesPanel | HitsPanel)
    watched.window.docks.show(name)
    return found


def rates_shown(watched: Watched, truth: dict[str, tuple[int, int]]) -> dict[str, tuple[str, str, str]]:
    """What the panel says of each group over the whole session, in digits, once it has all frames."""
    rates = panel(watched, "rates")
    assert isinstance(rates, RatesPanel)
    rates.choose({"kind": "hit", "window": "600", "span": "0"})
    expected = {f"{n} of {of}" for n, of in truth.values()}
    watched.until(lambda _: {group.below for group in rates.digits.groups} == expected)
    return {group.name: (group.digits, group.below, group.tone) for group in rates.digits.groups}


def hits_in_group(watched: Watched, name: str) -> set[int]:
    """Which frames the table shows where it is filtered by a group."""
    hits = panel(watched, "hits")
    assert isinstance(hits, HitsPanel)
    before = len(watched.monitor.hits)
    watched.until(lambda _: hits.rows.rowCount() == before)
    hits.filter_line.setText(f"group:{name}")
    watched.until(lambda _: 0 < hits.rows.rowCount() < before)
    numbers = {hits.rows.hit_at(i).number for i in range(hits.rows.rowCount())}
    hits.filter_line.clear()
    watched.until(lambda _: hits.rows.rowCount() == before)
    return numbers


def test_groups_in_the_window_are_the_truth_live_and_of_a_record(tmp_path: Path, qtbot: QtBot) -> None:
    simulator, detector = start_simulator(tmp_path, "--frames", str(N), "--rate", "40", "--laser", "3 on, 2 off")
    feed = f"tcp://127.0.0.1:{free_ports(3)[0]}"
    settings = write_settings(tmp_path, detector, feed={"address": feed}, groups={"by": "laser_1", "names": NAMES})
    record = tmp_path / "record.sqlite"
    with simulator, Program(tmp_path, "process", settings, "--no-view"), watching(qtbot, feed, tmp_path) as watched:
        watched.until(all_done(N))
        watched.until(lambda _: query(record, "SELECT sum(n) FROM totals") == [(N,)])
        hits = {n for (n,) in query(
            record, "SELECT number FROM frames JOIN states ON code = state WHERE name IN ('hit', 'indexed')"
        )}  # fmt: skip
        watched.until(lambda m: len(m.hits) == len(hits))
        of = {name: {n for n in range(N) if (n % 5 < 3) == (name == "pumped")} for name in NAMES.values()}
        truth = {name: (len(hits & numbers), len(numbers)) for name, numbers in of.items()}
        live = rates_shown(watched, truth)
        for name, tone in (("dark", "group_1"), ("pumped", "group_2")):
            n, n_frames = truth[name]
            assert live[name] == (f"{100 * n / n_frames:.1f}", f"{n} of {n_frames}", tone)
            assert hits_in_group(watched, name) == hits & of[name]
        watched.look_at_everything()
        assert [line for line in watched.said if "failed" in line] == []
    (tmp_path / "later").mkdir()
    with RecordFeed(record) as replayed, watching(qtbot, replayed.address, tmp_path / "later") as watched:
        watched.until(lambda m: len(m.hits) == len(hits))
        assert rates_shown(watched, truth) == live
        assert hits_in_group(watched, "pumped") == hits & of["pumped"]
        assert watched.said == []


@pytest.mark.parametrize("states", ["3 off", "60 on, 1 off"], ids=["never on", "hardly ever off"])
def test_a_laser_state_that_never_comes_is_said_in_now(tmp_path: Path, qtbot: QtBot, states: str) -> None:
    simulator, detector = start_simulator(tmp_path, "--frames", "400", "--rate", "80", "--laser", states)
    feed = f"tcp://127.0.0.1:{free_ports(3)[0]}"
    groups = {"by": "laser_1", "names": NAMES}
    settings = write_settings(tmp_path, detector, feed={"address": feed}, groups=groups, chain={"stages": ["hitfind"]})
    with simulator, Program(tmp_path, "process", settings, "--no-view"), watching(qtbot, feed, tmp_path) as watched:
        headline = next(panel for panel, _ in watched.composition.panels if panel.name == "headline")
        watched.window.docks.show("headline")
        watched.until(lambda m: m.status is not None and m.status.totals.total > 250)
        if states == "3 off":
            watched.until(lambda _: headline.warnings == ("no shot of group pumped so far",))
        else:
            watched.live(0.3)
            assert headline.warnings == ()
