"""Why a hit was not indexed."""

import numpy as np
import pytest
from indexed_by_hand import SETTINGS

from braggwatch.gui.unindexed import ICE_RINGS, Indexing, on_ice, reasons
from braggwatch.streamer.picture_messages import SettingsInForce


def settings(text: str) -> SettingsInForce:
    return SettingsInForce(version=1, time=0.0, text=text)


def test_spots_on_each_ice_ring_are_seen_and_others_are_not() -> None:
    rings = 1.0 / np.array(ICE_RINGS)
    assert on_ice(rings).tolist() == list(range(8))
    assert on_ice(rings[:6] + 0.002).tolist() == list(range(6))
    assert on_ice(np.array([0.1, 0.3, np.nan, rings[0] + 0.003, np.inf])).tolist() == [-1] * 5
    assert on_ice(np.empty(0)).tolist() == []


def test_too_few_spots_are_compared_with_the_setting() -> None:
    said = reasons(np.full(5, 0.1), 8.5, Indexing.of(SETTINGS))
    assert said == (
        "Too few spots: 5 were found, and a lattice must explain 8 ([index] min_spots).",
        "None of them lies on an ice ring.",
        "95 % of the spots lie within 8.50 Å.",
    )


def test_ice_is_said_to_look_like_ice() -> None:
    inverse_d = np.concatenate([np.full(10, 1 / 3.9), np.full(4, 1 / 2.25), np.full(16, 0.1)])
    said = reasons(inverse_d, None, Indexing.of(SETTINGS))
    assert said == (
        "No lattice of the target cell explains 8 or more of the 30 spots.",
        "14 of 30 spots lie on ice rings (10 at 3.90 Å, 4 at 2.25 Å): this looks like ice.",
    )
    assert reasons(np.array([0.1] * 29 + [1 / 3.67]), None, Indexing())[1] == (
        "1 of 30 spots lies on ice rings (1 at 3.67 Å)."
    )


@pytest.mark.parametrize("text", ["", "no = [toml", "index = 3\nchain = []", "[" * 100_000])
def test_settings_that_say_nothing_are_not_guessed(text: str) -> None:
    assert reasons(np.full(20, 0.1), None, Indexing.of(settings(text)))[0] == (
        "No lattice of the target cell was found among the 20 spots."
    )
    assert Indexing.of(None) == Indexing()


def test_a_chain_that_does_not_index_is_the_reason() -> None:
    chain = settings('[chain]\nstages = ["hitfind", "dump:hit"]')
    assert reasons(np.full(20, 0.1), 2.0, Indexing.of(chain)) == ("The chain in force has no stage that indexes.",)
    own = settings('[chain]\nstages = ["hitfind", "index:fine"]')
    assert Indexing.of(own).wanted


def test_a_hit_without_known_spots_is_explained_too() -> None:
    assert len(reasons(np.empty(0), None, Indexing.of(SETTINGS))) == 1
