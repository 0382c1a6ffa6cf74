"""Frames in, merged data out: what a processor merged live is what its own dumps give afterwards."""

from pathlib import Path

import pytest
from programs import mixed_pool, processing, query, start_simulator, wait_until, write_settings

from braggwatch.processing.dumped_shots import DumpedShots
from braggwatch.processing.merging import Merger
from braggwatch.processing.simulation.demo import LYSOZYME

D_MIN = 2.6
STAGES = ["hitfind", "index", "integrate", "dump:indexed"]


def test_what_is_merged_live_is_what_the_dumps_give(tmp_path: Path) -> None:
    mixed_pool().save(tmp_path / "pool.h5")
    simulator, address = start_simulator(tmp_path, "--frames", "24", "--rate", "30")
    settings = write_settings(
        tmp_path, address, chain={"stages": STAGES}, index={"max_lattices": 2}, merge={"d_min": D_MIN}
    )
    with simulator, processing(tmp_path, settings, "--series", "1") as (processor, feed):
        wait_until(lambda: feed.finished is not None, feed=feed)
        assert processor.wait() == 0
    assert feed.finished is not None
    merging = feed.finished.merging
    assert merging is not None

    record = tmp_path / "record.sqlite"
    ((series, n_in_record),) = query(record, "SELECT key, count(*) FROM crystals JOIN runs ON runs.id = run")
    merger = Merger(LYSOZYME, d_min=D_MIN)
    for path in sorted((tmp_path / "dumps").glob("*.h5")):
        with DumpedShots(path) as shots:
            for shot in shots.shots():
                for reflections in shot.reflections:
                    merger.add(reflections, series, shot.number)
    merger.finish()
    expected = merger.statistics()
    assert merging.n_crystals == expected.n_crystals == n_in_record
    assert merging.n_crystals > 12
    assert merging.overall is not None
    assert merging.overall.n_unique == expected.overall.n_unique
    assert merging.overall.n_observations == expected.overall.n_observations
    assert merging.overall.n_observations > 500
    for live, offline in zip(merging.shells, expected.shells, strict=True):
        assert live.snr == pytest.approx(offline.snr, rel=1e-3)

    ((recorded, n_crystals, cell),) = query(
        record, "SELECT id, n_crystals, printf('%.1f %.1f %.1f', a, b, c) FROM merges ORDER BY id DESC LIMIT 1"
    )
    assert (n_crystals, cell) == (expected.n_crystals, "79.2 79.2 38.0")
    rows = query(record, f"SELECT shell, n_observations FROM merge_shells WHERE merge = {recorded} AND shell > 0")
    assert rows == [(number, shell.n_observations) for number, shell in enumerate(merging.shells, 1)]
    assert "  merged             " in processor.output
    assert f"all to {D_MIN:.2f}" in processor.output
