"""A laser on and off: what is merged of each group live, what the record keeps of it, and what its dumps give."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import gemmi
import pytest
from programs import mixed_pool, processing, start_simulator, wait_until, write_settings
from typer.testing import CliRunner

from braggwatch.processing.dumped_shots import DumpedShots
from braggwatch.processing.merging import Merger
from braggwatch.processing.simulation.demo import LYSOZYME
from braggwatch.streamer.cli import make_app
from braggwatch.streamer.merge_messages import GroupMerge, Merging
from braggwatch.streamer.record_reader import open_read_only
from braggwatch.streamer.recorded_merge import read_merge

D_MIN = 2.6
STAGES = ["hitfind", "index", "integrate", "dump:indexed"]
NAMES = {"0": "dark", "1": "pumped"}


@dataclass
class Session:
    folder: Path
    merging: Merging
    output: str


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    folder = tmp_path_factory.mktemp("laser")
    mixed_pool().save(folder / "pool.h5")
    simulator, address = start_simulator(folder, "--frames", "40", "--rate", "30", "--laser", "1 on, 2 off")
    settings = write_settings(
        folder, address, chain={"stages": STAGES}, index={"max_lattices": 2}, merge={"d_min": D_MIN},
        groups={"by": "laser_1", "names": NAMES},
    )  # fmt: skip
    with simulator, processing(folder, settings, "--series", "1") as (processor, feed):
        wait_until(lambda: feed.finished is not None, feed=feed)
        assert processor.wait() == 0
    assert feed.finished is not None and feed.finished.merging is not None
    yield Session(folder, feed.finished.merging, processor.output)


def test_each_group_holds_the_crystals_of_its_laser_state(session: Session) -> None:
    merger = Merger(LYSOZYME, d_min=D_MIN)
    for path in sorted((session.folder / "dumps").glob("*.h5")):
        with DumpedShots(path) as shots:
            for shot in shots.shots():
                assert shot.group == ("pumped" if shot.number % 3 == 0 else "dark")
                for reflections in shot.reflections:
                    merger.add(reflections, shots.series_key, shot.number, group=shot.group)
    merger.finish()
    assert [group.name for group in session.merging.groups] == ["dark", "pumped"]
    for group in session.merging.groups:
        expected = merger.groups[group.name]
        assert group.n_crystals == expected.n_crystals > 5
        assert group.overall is not None
        assert group.overall.n_observations == expected.statistics().overall.n_observations
        assert group.overall.snr == pytest.approx(expected.statistics().overall.snr, rel=1e-3)
    assert sum(group.n_crystals for group in session.merging.groups) == session.merging.n_crystals


def test_the_record_and_the_summary_have_the_groups(session: Session) -> None:
    with closing(open_read_only(session.folder / "record.sqlite")) as connection:
        recorded = read_merge(connection)
    assert recorded is not None

    def as_recorded(group: GroupMerge) -> tuple[object, ...]:
        forecast = group.forecast and replace(group.forecast, held_up_by=None, completeness_limit=None)
        return group.name, group.n_crystals, group.shells, group.overall, group.outer, group.whole, forecast

    assert [as_recorded(group) for group in recorded.groups] == [as_recorded(group) for group in session.merging.groups]
    assert recorded.difference == session.merging.difference
    lines = [line.split() for line in session.output.splitlines()]
    for group in session.merging.groups:
        assert any(line[:2] == [group.name, str(group.n_crystals)] for line in lines)


def test_the_dumps_give_a_merged_file_of_each_group(session: Session) -> None:
    command = ["export", str(session.folder / "dumps"), "-f", "merged", "--by-group", "--d-min", str(D_MIN), "-o",
               str(session.folder / "run.mtz")]  # fmt: skip
    assert CliRunner().invoke(make_app(), command).exit_code == 0
    for group in session.merging.groups:
        assert group.overall is not None
        file = gemmi.read_mtz_file(str(session.folder / f"run-{group.name}.mtz"))
        assert file.nreflections == group.overall.n_unique
        assert file.column_with_label("N").array.sum() == group.overall.n_observations
