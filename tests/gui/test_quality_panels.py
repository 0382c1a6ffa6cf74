"""The views of cells, resolution, orientations, peakogram and powder: what they show and what a click says."""

from typing import Any

import msgspec
import numpy as np
import pytest
from messages_by_hand import geometry
from PyQt5.QtCore import QPointF, Qt
from pytestqt.qtbot import QtBot
from quality_by_hand import keeping, monitor_with, peakogram, powder, rows_of_lattices, settings

from braggwatch.gui.controllers.cells import CellsController
from braggwatch.gui.controllers.orientations import OrientationsController
from braggwatch.gui.controllers.peakogram import PeakogramController
from braggwatch.gui.controllers.powder import PowderController
from braggwatch.gui.controllers.resolution import ResolutionController
from braggwatch.gui.monitor import Monitor
from braggwatch.gui.panels.cells import CellsPanel
from braggwatch.gui.panels.orientations import OrientationsPanel
from braggwatch.gui.panels.peakogram import PeakogramPanel
from braggwatch.gui.panels.plot import Plot
from braggwatch.gui.panels.powder import PowderPanel
from braggwatch.gui.panels.resolution import ResolutionPanel
from braggwatch.gui.panels.resolution_axis import ResolutionAxis
from braggwatch.gui.theme import DARK, LIGHT
from braggwatch.streamer.archive_messages import SpotsWanted
from braggwatch.streamer.control_messages import Changed

PANELS: list[tuple[Any, Any]] = [
    (CellsPanel, CellsController),
    (ResolutionPanel, ResolutionController),
    (OrientationsPanel, OrientationsController),
    (PeakogramPanel, PeakogramController),
    (PowderPanel, PowderController),
]


def shown(qtbot: QtBot, panel: Any, controller: Any, n: int = 500) -> tuple[Any, Any, Monitor, Any]:
    monitor, outbox = monitor_with(rows_of_lattices(n))
    if n:
        (place,) = geometry().panels
        saturating = msgspec.structs.replace(geometry(), panels=(msgspec.structs.replace(place, max_adu=60_000.0),))
        monitor.take([saturating, settings(), peakogram(), powder(), powder("all"), powder("spots")])
    view = panel()
    keeps = controller(monitor, view)
    qtbot.addWidget(view, before_close_func=keeping(view, keeps))
    view.resize(700, 500)
    view.show()
    keeps.refresh()
    qtbot.wait(1)
    return view, keeps, monitor, outbox


def click(qtbot: QtBot, plot: Plot, x: float, y: float) -> None:
    """Press and release the mouse at a place of a plot."""
    place = plot.mapFromScene(plot.plotItem.vb.mapViewToScene(QPointF(x, y)))
    qtbot.mouseClick(plot.viewport(), Qt.MouseButton.LeftButton, pos=place)


@pytest.mark.parametrize(("panel", "controller"), PANELS)
@pytest.mark.parametrize("n", [0, 1, 500, 6000])
def test_each_panel_draws_at_every_size_in_both_themes(qtbot: QtBot, panel: Any, controller: Any, n: int) -> None:
    view, keeps, _, _ = shown(qtbot, panel, controller, n)
    view.setMinimumSize(140, 84)
    for theme in (LIGHT, DARK):
        view.set_theme(theme)
        for width, height in ((140, 84), (260, 180), (500, 700), (1600, 900)):
            view.resize(width, height)
            assert not view.grab().isNull()
    keeps.refresh()


@pytest.mark.parametrize(("panel", "controller"), PANELS)
def test_without_data_each_panel_says_what_is_waited_for(qtbot: QtBot, panel: Any, controller: Any) -> None:
    view, _, _, _ = shown(qtbot, panel, controller, 0)
    sentence = view.picture.empty if panel is PowderPanel else view.empty if panel is CellsPanel else view.plot.empty
    assert sentence.endswith(".") and ("waiting for" in sentence or "it comes with" in sentence)


def test_the_cells_say_fit_and_outliers_and_a_click_on_a_bar_opens_its_shots(qtbot: QtBot) -> None:
    view, _, monitor, _ = shown(qtbot, CellsPanel, CellsController)
    a = view.parameters[0]
    assert a.label.text.startswith("a 79.296 ± 0.003 Å") and "outliers" in a.spread.text
    assert a.target.isVisible() and a.target.value() == 79.2
    click(qtbot, a.plot, 79.3, 5.0)
    assert monitor.selection
    cells = monitor.hits.lattices["cell"][:, 0]
    row = monitor.hits.find(monitor.selection[0])
    assert row is not None
    assert abs(cells[monitor.hits.lattices["hit"] == row][0] - 79.3) < 0.05


def test_the_proposal_shows_old_and_new_before_anything_is_sent(qtbot: QtBot) -> None:
    view, _, _, outbox = shown(qtbot, CellsPanel, CellsController)
    qtbot.mouseClick(view.propose, Qt.MouseButton.LeftButton)
    assert view.old.text == "Target cell now: 79.2 79.2 38.0 90 90 90 P43212" and view.old.isVisible()
    assert view.new.text.startswith("Proposed: 79.2") and view.new.isVisible() and not outbox.changes
    assert view.confirm.isVisible() and not view.propose.isVisible()
    qtbot.mouseClick(view.cancel, Qt.MouseButton.LeftButton)
    assert view.propose.isVisible() and not view.new.isVisible() and not outbox.changes
    qtbot.mouseClick(view.propose, Qt.MouseButton.LeftButton)
    qtbot.mouseClick(view.confirm, Qt.MouseButton.LeftButton)
    ((change, then),) = outbox.changes
    assert set(change.settings["index"]) == {"cell"}
    then(Changed(3))
    assert view.line == "The new target cell is in force, settings version 3."


def test_without_a_target_the_button_is_off_and_says_why(qtbot: QtBot) -> None:
    view, controller, monitor, _ = shown(qtbot, CellsPanel, CellsController)
    monitor.take([settings("")])
    controller.refresh()
    assert not view.propose.isEnabled()
    assert view.propose.toolTip() == "The settings in force name no target cell."


def test_a_click_on_a_bar_of_the_resolution_opens_its_shots(qtbot: QtBot) -> None:
    view, _, monitor, _ = shown(qtbot, ResolutionPanel, ResolutionController)
    click(qtbot, view.plot, 0.45, 2.0)
    assert monitor.selection
    for key in monitor.selection:
        row = monitor.hits.find(key)
        assert row is not None and abs(1 / monitor.hits.hits["resolution"][row] - 0.45) < 0.02


def test_a_click_on_a_pole_opens_its_shot_and_the_controls_choose_axis_and_symmetry(qtbot: QtBot) -> None:
    view, controller, monitor, _ = shown(qtbot, OrientationsPanel, OrientationsController, 60)
    x, y = view.points.getData()
    click(qtbot, view.plot, float(x[7]), float(y[7]))
    assert monitor.selection == (monitor.hits.key(int(monitor.hits.lattices["hit"][7])),)
    assert len(x) == 48
    qtbot.mouseClick(view.axes.buttons()[0], Qt.MouseButton.LeftButton)
    controller.refresh()
    assert len(view.points.getData()[0]) == 96
    view.fold.setChecked(False)
    controller.refresh()
    assert len(view.points.getData()[0]) == 48
    assert view.statement.text == "No preferred orientation seen"


def test_a_click_on_the_peakogram_asks_for_the_shots_of_that_bin(qtbot: QtBot) -> None:
    view, _, _, outbox = shown(qtbot, PeakogramPanel, PeakogramController)
    click(qtbot, view.plot, 0.203, 2.5)
    request, _ = outbox.asked[-1]
    assert isinstance(request, SpotsWanted)
    assert request.inverse_d[0] <= 0.203 < request.inverse_d[1]
    assert np.log10(request.max_value[0]) <= 2.51 and np.log10(request.max_value[1]) >= 2.49
    assert view.summary.text.startswith("40\u2009000 spots of 1\u2009000 hits · ")


def test_the_powder_shows_the_kind_that_is_chosen(qtbot: QtBot) -> None:
    view, controller, _, _ = shown(qtbot, PowderPanel, PowderController)
    assert view.summary.text == "Sum of 1\u2009200 of 4\u2009000 hits" and view.profile.isVisible()
    qtbot.mouseClick(view.kinds.buttons()[2], Qt.MouseButton.LeftButton)
    controller.refresh()
    assert view.summary.text == "Sum of 1\u2009200 hits, spots only"
    assert not view.profile.isVisible() and not view.whats.buttons()[1].isEnabled()
    view.ice.setChecked(True)
    view.rings.setChecked(False)
    for name in ("viridis", "inferno", "cividis", "inverted grey"):
        view.colours.setCurrentText(name)
        assert not view.grab().isNull()


def test_a_resolution_axis_has_round_ticks_that_do_not_touch(qtbot: QtBot) -> None:
    axis = ResolutionAxis("bottom", "d (Å)")
    for low, high, size in ((0.0, 0.6, 120.0), (0.0, 0.6, 2000.0), (0.3, 0.35, 300.0), (0.0, 0.001, 300.0)):
        ((_, places),) = axis.tickValues(low, high, size)
        assert all(low <= place <= high for place in places)
        assert (np.diff(places) * size / (high - low) >= 30 - 1e-6).all()
    assert axis.tickStrings([0.5, 1 / 2.5, 0.1, 0.0], 1.0, 1.0) == ["2", "2.5", "10", ""]
    assert axis.tickValues(0.0, float("nan"), 100.0) == []


def test_the_box_of_groups_is_there_only_where_shots_are_grouped(
    qtbot: QtBot,
) -> None:
    view = CellsPanel()
    qtbot.addWidget(view)
    view.resize(400, 300)
    view.show()
    told: list[str] = []
    view.group_chosen.connect(told.append)
    view.show_groups([], "")
    assert not view.groups.isVisible()
    view.show_groups([("laser 1", "laser 1"), ("laser 0", "laser 0")], "")
    assert view.groups.isVisible()
    view.groups.activated.emit(1)
    assert told == ["laser 1"]
    view.show_groups([("new", "new"), ("laser 1", "laser 1"), ("laser 0", "laser 0")], "laser 0")
    assert view.groups.isVisible() and view.groups.currentText() == "laser 0"
