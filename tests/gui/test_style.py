"""Colours, fonts and the plot that all panels share."""

import re
import time
from dataclasses import asdict, replace
from itertools import combinations

import numpy as np
import pytest
from numbers_by_hand import T0, rate
from numpy.typing import NDArray
from PyQt5.QtCore import QPointF, Qt
from PyQt5.QtGui import QColor, QPalette
from PyQt5.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from braggwatch.gui import numbers, style
from braggwatch.gui.panels.plot import Band, Plot, Quantity
from braggwatch.gui.theme import DARK, LIGHT, N_GROUP_TONES, THEMES, Theme, group_tone
from braggwatch.streamer.feed_messages import Queue


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.1."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


@pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)
def test_text_and_meanings_stand_out_from_the_panel(theme: Theme) -> None:
    def contrast(colour: str, paper: str = theme.panel) -> float:
        light, dark = sorted((luminance(colour), luminance(paper)), reverse=True)
        return (light + 0.05) / (dark + 0.05)

    assert contrast(theme.text) > 7 and contrast(theme.quiet) > 4.5
    groups = [group_tone(order) for order in range(N_GROUP_TONES)]
    assert len({getattr(theme, tone) for tone in groups}) == N_GROUP_TONES
    for meaning in ("hit", "indexed", "multi_lattice", "predicted", "alarm", *groups):
        assert contrast(getattr(theme, meaning)) >= 3
    assert contrast(theme.text, style.chosen(theme)) > 4.5


# Machado, Oliveira and Fernandes, IEEE Trans. Vis. Comput. Graph. 15 (2009) 1291: linear RGB as others see it
EYES = {
    "all cones": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def seen(colour: str, eye: str) -> NDArray[np.float64]:
    """A colour in CIE L*a*b*, as an eye sees it."""
    parts = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    x, y, z = np.cbrt(XYZ @ np.clip(np.array(EYES[eye]) @ linear, 0.0, 1.0) / [0.9505, 1.0, 1.089])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)
@pytest.mark.parametrize("eye", EYES)
def test_colour_blind_eyes_tell_groups_apart(theme: Theme, eye: str) -> None:
    groups = [seen(getattr(theme, group_tone(order)), eye) for order in range(N_GROUP_TONES)]
    apart = [float(np.linalg.norm(a - b)) for a, b in combinations(groups, 2)]
    assert min(apart) > 15
    assert apart[0] > 45  # pumped and dark


@pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)
def test_the_stylesheet_has_no_colour_of_its_own(theme: Theme, qapp: QApplication) -> None:
    black = replace(theme, **{k: "#000000" for k, v in asdict(theme).items() if v.startswith("#")})
    assert set(re.findall(r"#[0-9a-fA-F]{6}", style.stylesheet(theme))) > {theme.panel, theme.text, theme.quiet}
    assert set(re.findall(r"#[0-9a-fA-F]{6}", style.stylesheet(black))) == {"#000000"}
    assert "$" not in style.stylesheet(theme)


def test_the_application_takes_a_theme_and_another_one(qapp: QApplication) -> None:
    before = qapp.styleSheet(), QPalette(qapp.palette()), qapp.font()
    for theme in (DARK, LIGHT):
        style.apply_style(qapp, theme)
        assert qapp.palette().color(QPalette.ColorRole.Base) == QColor(theme.panel)
        assert theme.window in qapp.styleSheet()
    qapp.setStyleSheet(before[0])
    qapp.setPalette(before[1])
    qapp.setFont(before[2])


def test_digits_are_equally_wide(qapp: QApplication) -> None:
    assert style.has_tabular_digits(style.family())
    assert style.font(48, bold=True).pixelSize() == 48


def test_a_mixed_colour_lies_between_its_two() -> None:
    assert style.mixed("#000000", "#ff8040", 0.5) == "#804020"
    assert style.mixed("#102030", "#ffffff", 0.0) == "#102030"


@pytest.fixture
def plot(qtbot: QtBot) -> Plot:
    made = Plot(Quantity("time of day", "h:min"), Quantity("rate", "%"), clock=True)
    qtbot.addWidget(made)
    made.resize(600, 300)
    made.show()
    return made


def test_axes_have_quantity_and_unit(plot: Plot) -> None:
    labels = [plot.plotItem.getAxis(side).labelText for side in ("left", "bottom")]
    assert labels == ["rate (%)", "time of day (h:min)"]


@pytest.mark.parametrize(("span", "spacing"), [(20, 5), (3600, 600), (86_400 * 3, 43_200), (86_400 * 40, 604_800)])
def test_the_clock_axis_has_round_local_times(plot: Plot, span: float, spacing: float) -> None:
    axis = plot.plotItem.getAxis("bottom")
    [(step, values)] = axis.tickValues(T0, T0 + span, 560.0)
    assert step == spacing
    assert all((value + time.localtime(value).tm_gmtoff) % step == 0 for value in values)
    form = "%H:%M:%S" if step < 60 else "%H:%M" if step < 86_400 else "%d %b"
    assert axis.tickStrings(values, 1.0, step) == [time.strftime(form, time.localtime(value)) for value in values]


def test_the_clock_axis_survives_times_that_are_none(plot: Plot) -> None:
    axis = plot.plotItem.getAxis("bottom")
    assert axis.tickValues(float("nan"), 1.0, 500.0) == []
    assert axis.tickValues(5.0, 5.0, 500.0) == []
    [(_, values)] = axis.tickValues(-1e18, 1e18, 500.0)
    texts = axis.tickStrings(list(values), 1.0, 86_400)
    assert texts[0] == texts[-1] == ""


def test_a_sentence_stands_in_for_the_curves_until_there_are_some(plot: Plot) -> None:
    plot.add_legend()
    plot.add_curve("hit rate", "hit")
    plot.set_empty("Waiting for frames.")
    assert plot.empty == "Waiting for frames." and not plot.plotItem.vb.childGroup.isVisible()
    plot.set_empty("")
    assert plot.empty == "" and plot.plotItem.vb.childGroup.isVisible()


def test_curves_and_bands_take_the_colours_of_another_theme(plot: Plot) -> None:
    curve, band = plot.add_curve("hit rate", "hit"), plot.add_band("hit")
    plot.set_theme(LIGHT)
    assert curve.opts["pen"].color().name().upper() == LIGHT.hit
    assert curve.opts["pen"].widthF() == 1.5
    brush = band.brush
    assert brush.color().name().upper() == LIGHT.hit and brush.color().alpha() == 51


def test_a_band_is_broken_where_a_limit_is_unknown(qapp: QApplication) -> None:
    band = Band()
    x = np.arange(6.0)
    band.set_data(x, np.array([1, 1, np.nan, 1, 1, 1.0]), np.array([2, 2, 2, 2, np.nan, 2.0]))
    inside = [band.path.contains(QPointF(at, 1.5)) for at in (0.5, 1.5, 2.5, 3.5, 4.5)]
    assert inside == [True, False, False, False, False]
    assert band.boundingRect().getRect() == (0.0, 1.0, 5.0, 1.0)
    band.set_data(x, np.full(6, np.nan), np.full(6, np.nan))
    assert band.boundingRect().isEmpty()


def test_a_click_tells_where_it_was_in_the_units_of_the_axes(plot: Plot, qtbot: QtBot) -> None:
    plot.plotItem.vb.setRange(xRange=(T0, T0 + 100), yRange=(0, 100), padding=0)
    QApplication.processEvents()
    box = plot.plotItem.vb.sceneBoundingRect()
    place = plot.mapFromScene(box.center())
    with qtbot.waitSignal(plot.clicked) as sent:
        qtbot.mouseClick(plot.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert sent.args is not None
    assert sent.args[0] - T0 == pytest.approx(50, abs=1) and sent.args[1] == pytest.approx(50, abs=1)


def test_a_legend_that_would_cover_the_plot_is_left_out(plot: Plot) -> None:
    plot.add_legend()
    for name in ("one", "two", "three", "four", "five"):
        plot.add_curve(name, "hit")
    plot.resize(900, 300)
    assert plot.plotItem.legend.isVisible() and 0 < plot.headroom < 0.2
    plot.resize(240, 150)
    assert not plot.plotItem.legend.isVisible() and plot.headroom == 0


def test_numbers_have_units_and_a_dash_where_they_are_unknown() -> None:
    assert numbers.rate(rate(496, 3990)) == "12.4 % ±1.0"
    assert numbers.of(rate(496, 3990)) == "496 of 3\u2009990"
    assert numbers.hertz(133.04) == "133.0 Hz" and numbers.frequency(12.5) == "12.5 /s"
    assert numbers.angstrom(2.1) == "2.10 Å"
    assert numbers.energy(12_398.4) == "12.40 keV" and numbers.distance(0.15) == "150.0 mm"
    assert numbers.fill(Queue(1, 310, 1000)) == "31 %"
    assert numbers.age(12.3) == "12 s ago" and numbers.age(4.9) == "" and numbers.age(None) == ""
    unknown = [
        numbers.rate(rate(0, 0)), numbers.number(rate(0, 0)), numbers.hertz(None), numbers.hertz(float("nan")),
        numbers.angstrom(None), numbers.energy(None), numbers.distance(None), numbers.fill(Queue()),
    ]  # fmt: skip
    assert set(unknown) == {"–"}
    assert numbers.of(rate(0, 0)) == ""
