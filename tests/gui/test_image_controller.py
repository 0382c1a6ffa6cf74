"""What the image panel is told, without a screen."""

import time
from typing import Any

import msgspec
import numpy as np
from messages_by_hand import NotingOutbox, geometry, hit_row, hits, shot_image
from psygnal import Signal

from braggwatch.gui.controllers.image import ImageController
from braggwatch.gui.monitor import Monitor
from braggwatch.gui.shot_key import ShotKey
from braggwatch.streamer.archive_messages import Refusal, Shot
from braggwatch.streamer.feed_messages import Ledger, Run, Status
from braggwatch.streamer.messages import CrystalFound, State
from braggwatch.streamer.picture_messages import Geometry


class RecordingView:
    """Keeps what it was told last."""

    follow_wanted = Signal(str)
    pause_wanted = Signal(bool)
    step_wanted = Signal(int)
    jump_wanted = Signal(int)
    pointed = Signal(float, float)
    predicted_shown = Signal(bool)
    layer_chosen = Signal(str)
    stage_chosen = Signal(int)
    trouble = Signal(str)

    def __init__(self) -> None:
        self.told: dict[str, tuple[Any, ...]] = {}
        self.controller: ImageController | None = None

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("set_"):
            raise AttributeError(name)

        def keep(*values: Any, **named: Any) -> None:
            self.told[name.removeprefix("set_")] = (*values, *named.values())

        return keep


def status(old: bool = False, **counts: int) -> Status:
    ledger = Ledger.of(counts, sum(counts.values()))
    return Status(
        word="LIVE", since=0.0, time=1100.0 if old else 1001.5, source="tcp://10.0.0.1:9999",
        run=Run(key="run-1", number=7), totals=ledger,
    )  # fmt: skip


def watched(*messages: Any) -> tuple[Monitor, RecordingView, ImageController, NotingOutbox]:
    outbox, view = NotingOutbox(), RecordingView()
    monitor = Monitor(outbox)
    controller = ImageController(monitor, view)
    view.controller = controller  # signals hold it weakly
    monitor.take(messages)
    settle(controller)
    return monitor, view, controller, outbox


def settle(controller: ImageController) -> None:
    deadline = time.monotonic() + 60
    controller.refresh()
    while controller.preparing or controller.stale:
        assert time.monotonic() < deadline
        time.sleep(0.002)
        controller.refresh()


def test_the_shot_that_is_shown_is_unpacked_and_named() -> None:
    _, view, _, _ = watched(geometry(), status(indexed=1), shot_image(181204))
    picture, shape = view.told["picture"]
    assert picture is not None and shape == (200, 240)
    caption, old = view.told["caption"]
    assert caption[:5] == ("frame 181\u2009204", "indexed", "2.10 Å", "latest indexed", "run 1") and not old
    assert view.told["sentence"] == ("",) and view.told["state"] == (True, "indexed", 181204)
    (spots,) = view.told["spots"]
    assert len(spots.indexed) == 20 and len(spots.found) == 20
    rings, centre = view.told["geometry"]
    assert len(rings) > 1 and np.allclose(centre, (120.0, 100.0))


def test_the_group_of_the_shot_stands_beside_its_state() -> None:
    shot = shot_image(7)
    shot = msgspec.structs.replace(shot, result=msgspec.structs.replace(shot.result, group="pumped\x1b" + "x" * 99))
    _, view, _, _ = watched(geometry(), status(indexed=1), shot)
    caption, _ = view.told["caption"]
    assert caption[1] == "indexed" and caption[2].startswith("pumped\ufffdxxx") and len(caption[2]) == 48


def test_a_shot_of_another_run_is_drawn_by_its_own_geometry_or_by_the_present_one_which_is_said() -> None:
    present = msgspec.structs.replace(geometry(), series="run-9", run=9, photon_energy=6000.0)
    _, view, _, _ = watched(present, status(indexed=1), shot_image(5))
    assert "geometry of run 9" in view.told["caption"][0]
    rings, _ = view.told["geometry"]
    _, view, _, _ = watched(geometry(), present, status(indexed=1), shot_image(5))
    assert not any("geometry" in part for part in view.told["caption"][0])
    own_rings, _ = view.told["geometry"]
    assert [ring.d for ring in own_rings] != [ring.d for ring in rings]


def test_a_live_shot_that_is_old_says_its_age() -> None:
    _, view, _, _ = watched(geometry(), status(old=True, indexed=1), shot_image(1))
    caption, old = view.told["caption"]
    assert caption[-1] == "99 s ago" and old


def test_the_value_under_the_cursor_is_said_with_where_it_is() -> None:
    monitor, view, _, _ = watched(geometry(), shot_image(1))
    view.pointed.emit(239.5, 199.25)
    assert monitor.shot is not None and monitor.detector is not None
    value = np.random.default_rng(1).poisson(5.0, (200, 240))[199, 239]
    d = monitor.detector.resolution(239.5, 199.25)[0]
    assert view.told["readout"] == (f"{value} ADU · fs 239.5 ss 199.2 · panel p0 · {d:.2f} Å",)
    view.pointed.emit(240.5, 10.0)
    assert view.told["readout"] == ("",)


def test_the_value_under_a_cursor_that_rests_is_that_of_the_shot_that_came() -> None:
    monitor, view, controller, _ = watched(geometry(), shot_image(1))
    view.pointed.emit(30.5, 40.5)
    for number in (2, 3):
        monitor.take([shot_image(number)])
        settle(controller)
        value = np.random.default_rng(number).poisson(5.0, (200, 240))[40, 30]
        assert view.told["readout"][0].startswith(f"{value} ADU")
    view.pointed.emit(float("nan"), float("nan"))
    assert view.told["readout"] == ("",)


def test_a_masked_pixel_is_called_so() -> None:
    mask = np.zeros((200, 240), bool)
    mask[0, 0] = True
    monitor = Monitor(NotingOutbox())
    monitor.take([geometry()])
    assert monitor.detector is not None
    _, view, _, _ = watched(Geometry.of("run-1", 1, monitor.detector.with_mask(mask)), shot_image(1))
    view.pointed.emit(0.5, 0.5)
    assert view.told["readout"][0].startswith("masked (")


def test_reflections_are_predicted_from_the_shots_lattices_while_they_are_wanted() -> None:
    _, view, controller, _ = watched(geometry(), shot_image(1))
    assert len(view.told["spots"][0].predicted) > 5
    view.predicted_shown.emit(False)
    settle(controller)
    assert len(view.told["spots"][0].predicted) == 0


def test_a_lattice_that_cannot_be_is_said_and_the_picture_is_shown() -> None:
    shot = shot_image(1)
    flat = CrystalFound(cell=(10.0, 10.0, 10.0, 90.0, 90.0, 90.0), A=(0.0,) * 9, n_indexed=3, rmsd_px=1.0)
    bad = msgspec.structs.replace(shot, result=msgspec.structs.replace(shot.result, crystals=(flat,)))
    _, view, _, _ = watched(geometry(), bad)
    assert view.told["picture"][0] is not None
    assert view.told["sentence"][0].startswith("Expected three axes")


def test_damaged_pixels_are_a_sentence_and_the_next_shot_is_shown() -> None:
    shot = shot_image(1)
    monitor, view, controller, _ = watched(geometry(), msgspec.structs.replace(shot, payload=shot.payload[:-400]))
    assert view.told["picture"][0] is None and "block" in view.told["sentence"][0]
    monitor.take([shot_image(2)])
    settle(controller)
    assert view.told["picture"][0] is not None and view.told["sentence"] == ("",)


def test_rows_of_spots_that_are_no_rows_are_a_sentence() -> None:
    shot = shot_image(1)
    bad = msgspec.structs.replace(shot, result=msgspec.structs.replace(shot.result, peaks=b"123"))
    _, view, _, _ = watched(geometry(), bad)
    assert view.told["sentence"] == ("Spots come in rows of 24 bytes, found 3 bytes.",)


def test_a_shot_of_another_shape_is_shown_as_the_array_without_resolution() -> None:
    _, view, _, _ = watched(geometry((100, 100)), shot_image(1))
    picture, shape = view.told["picture"]
    assert picture is not None and shape == (200, 240) and view.told["geometry"] == ((), None)
    view.pointed.emit(3.5, 4.5)
    assert "Å" not in view.told["readout"][0] and "fs 3.5 ss 4.5" in view.told["readout"][0]


def test_a_shape_that_no_detector_has_is_a_sentence() -> None:
    _, view, _, _ = watched(geometry(), msgspec.structs.replace(shot_image(1), shape=(1 << 30, 1 << 30)))
    assert view.told["picture"][0] is None and "cannot be shown" in view.told["sentence"][0]


def test_a_shot_without_pixels_says_why_and_shows_its_spots() -> None:
    monitor, view, controller, outbox = watched(geometry(), shot_image(1))
    monitor.select([ShotKey("run-1", 5)])
    without = msgspec.structs.replace(shot_image(5), payload=b"")
    outbox.answer(Shot("run-1", 5, without, problem="it was not dumped"))
    settle(controller)
    assert view.told["picture"][0] is None and view.told["sentence"] == ("It was not dumped.",)
    assert len(view.told["spots"][0].indexed) == 20
    assert view.told["caption"][0][0] == "frame 5"


def test_a_shot_that_is_not_to_be_had_says_why() -> None:
    monitor, view, controller, outbox = watched(geometry(), shot_image(1))
    monitor.select([ShotKey("run-1", 5)])
    outbox.answer(Refusal("there is no frame 5 in this run"))
    settle(controller)
    assert view.told["picture"][0] is None
    assert view.told["sentence"] == ("There is no frame 5 in this run.",)


def test_nothing_to_show_is_explained() -> None:
    monitor, view, controller, outbox = watched()
    assert view.told["sentence"] == ("Nothing has been heard of a processor yet.",)
    monitor.take([status()])
    settle(controller)
    assert view.told["sentence"][0].startswith("Waiting for frames from tcp://10.0.0.1:9999 since")
    monitor.take([status(blank=500)])
    settle(controller)
    assert view.told["sentence"] == ("No indexed shot yet: no hits among 500 frames.",)
    monitor.take([status(blank=4786, hit=214)])
    monitor.ask_for_hits()
    outbox.answer(hits([hit_row(i + 1, i, State.HIT) for i in range(3)]))
    settle(controller)
    assert view.told["sentence"] == (
        "No indexed shot yet: 214 hits among 5\u2009000 frames, half of them with fewer than 41 spots.",
    )
    monitor.go_live("hit")
    monitor.take([status(blank=5)])
    settle(controller)
    assert view.told["sentence"] == ("No hit yet among 5 frames.",)


def test_what_the_buttons_ask_for_is_done() -> None:
    monitor, view, controller, _ = watched(geometry(), shot_image(1), shot_image(2))
    view.pause_wanted.emit(True)
    assert not monitor.live
    view.pause_wanted.emit(False)
    view.follow_wanted.emit("frame")
    assert monitor.live and monitor.follow == "frame"
    view.jump_wanted.emit(1)
    settle(controller)
    assert view.told["state"] == (False, "frame", 1)
    said: list[str] = []
    monitor.said.connect(said.append)
    view.trouble.emit("no room")
    assert said == ["no room"]


def test_only_the_newest_of_many_shots_is_prepared_next() -> None:
    monitor, view, controller, _ = watched(geometry(), shot_image(1))
    for number in range(2, 20):
        monitor.take([shot_image(number)])
        controller.refresh()
    settle(controller)
    assert view.told["state"][2] == 19


def test_spots_of_settings_under_trial_are_shown_and_taken_away() -> None:
    _, view, controller, _ = watched(geometry(), shot_image(1))
    controller.set_trial_peaks(np.array([3.0, 500.0]), np.array([4.0, 4.0]))
    assert view.told["trial_spots"][0].tolist() == [[3.0, 4.0]]
    controller.clear_trial_peaks()
    assert len(view.told["trial_spots"][0]) == 0


def test_everything_goes_when_another_processor_answers() -> None:
    monitor, view, controller, _ = watched(geometry(), shot_image(1))
    monitor.begin_anew()
    settle(controller)
    assert view.told["picture"] == (None, (0, 0)) and view.told["caption"][0] == ()
    monitor.take([geometry(), shot_image(1)])
    settle(controller)
    assert view.told["picture"][0] is not None
