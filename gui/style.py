"""How everything looks: palette and stylesheet of the application, fonts, pens and axes, all from a theme's tokens."""

from string import Template

import pyqtgraph as pg
from PyQt5.QtCore import Qt
from PyQt5.QtGui import QBrush, QColor, QFont, QFontDatabase, QFontMetricsF, QPalette, QPen
from PyQt5.QtWidgets import QApplication

from braggwatch.gui.theme import AXIS_PX, BAND_ALPHA, LINE_PX, SPACE, TITLE_PX, Theme

TEXT_PX = 13
FAMILIES = ("Inter", "Segoe UI", "Noto Sans", "Roboto", "Liberation Sans", "Arial", "DejaVu Sans")
"""In order of preference; taken is the first one that is installed and whose digits are equally wide."""
GRID_ALPHA = 0.16
_chosen: list[str] = []

_SHEET = Template("""
QWidget { font-family: "$family"; font-size: ${text_px}px; }
QMainWindow, QDialog, QMenuBar, QStatusBar, QToolBar { background: $window; color: $text; border: none; }
QMainWindow::separator { background: $window; width: ${half}px; height: ${half}px; }
QMainWindow::separator:hover { background: $line; }
QDockWidget { color: $quiet; font-size: ${title_px}px; font-weight: 600; }
QDockWidget::title { background: $panel; padding: 5px ${space}px; text-align: left; }
Panel { background: $panel; color: $text; }
QMenuBar::item { padding: 3px ${space}px; background: transparent; }
QMenuBar::item:selected, QMenu::item:selected { background: $chosen; color: $text; }
QMenu { background: $panel; color: $text; border: 1px solid $line; padding: ${half}px 0; }
QMenu::item { padding: 4px 24px 4px 24px; }
QMenu::item:disabled { color: $faint; }
QMenu::separator { height: 1px; background: $line; margin: ${half}px 0; }
QToolTip { background: $panel; color: $text; border: 1px solid $line; padding: ${half}px; }
QTabBar { background: transparent; }
QTabBar::tab { background: $window; color: $quiet; padding: 4px 12px; border: none; border-bottom: 2px solid $window; }
QTabBar::tab:selected { background: $panel; color: $text; border-bottom: 2px solid $text; }
QTabBar::tab:hover { color: $text; }
QTabWidget::pane { border: none; background: $panel; }
QPushButton, QToolButton { background: $raised; color: $text; border: 1px solid $line; border-radius: 4px;
    padding: 3px ${space}px; }
QToolButton { padding: 3px 5px; }
QPushButton:hover, QToolButton:hover { background: $chosen; }
QPushButton:pressed, QToolButton:pressed, QToolButton:checked, QPushButton:checked { background: $chosen;
    border-color: $quiet; }
QPushButton:focus, QToolButton:focus, QLineEdit:focus { border-color: $quiet; }
QPushButton:disabled, QToolButton:disabled { color: $faint; }
QToolButton[autoRaise="true"] { background: transparent; border-color: transparent; }
QToolButton[autoRaise="true"]:hover { background: $chosen; }
QToolButton::menu-indicator { image: none; }
QLineEdit { background: $window; color: $text; border: 1px solid $line; border-radius: 4px; padding: 3px 6px; }
QHeaderView { background: $panel; border: none; }
QHeaderView::section { background: $panel; color: $quiet; border: none; border-bottom: 1px solid $line;
    padding: 3px 6px; font-weight: normal; }
QTableView, QTreeView, QListView { background: $panel; alternate-background-color: $raised; color: $text; border: none;
    gridline-color: $line; selection-background-color: $chosen; selection-color: $text; outline: none; }
QTableCornerButton::section { background: $panel; border: none; }
QScrollArea, QGraphicsView { border: none; }
QScrollBar { background: transparent; border: none; margin: 0; }
QScrollBar:vertical { width: 10px; }
QScrollBar:horizontal { height: 10px; }
QScrollBar::handle { background: $chosen; border-radius: 3px; margin: 2px; min-height: 24px; min-width: 24px; }
QScrollBar::handle:hover { background: $faint; }
QScrollBar::add-line, QScrollBar::sub-line { width: 0; height: 0; }
QScrollBar::add-page, QScrollBar::sub-page { background: transparent; }
QSplitter::handle { background: $window; }
""")


def apply_style(application: QApplication, theme: Theme) -> None:
    """Dress the whole application; panels that draw are told by their own `set_theme`."""
    application.setFont(font(TEXT_PX))
    application.setPalette(palette(theme))
    application.setStyleSheet(stylesheet(theme))


def stylesheet(theme: Theme) -> str:
    """Return Qt's stylesheet; what it does not mention, the Fusion style draws from `palette`."""
    return _SHEET.substitute(
        family=family(), text_px=TEXT_PX, title_px=TITLE_PX, space=SPACE, half=SPACE // 2,
        window=theme.window, panel=theme.panel, line=theme.line, text=theme.text, quiet=theme.quiet,
        chosen=chosen(theme), faint=mixed(theme.quiet, theme.panel, 0.5), raised=mixed(theme.panel, theme.line, 0.35),
    )  # fmt: skip


def palette(theme: Theme) -> QPalette:
    """Return the colours of what Qt draws by itself: check boxes, spin boxes, sliders, combo boxes."""
    roles = {
        QPalette.Window: theme.window, QPalette.WindowText: theme.text, QPalette.Base: theme.panel,
        QPalette.AlternateBase: mixed(theme.panel, theme.line, 0.35), QPalette.Text: theme.text,
        QPalette.Button: mixed(theme.panel, theme.line, 0.35), QPalette.ButtonText: theme.text,
        QPalette.BrightText: theme.alarm, QPalette.ToolTipBase: theme.panel, QPalette.ToolTipText: theme.text,
        QPalette.Highlight: chosen(theme), QPalette.HighlightedText: theme.text, QPalette.Link: theme.multi_lattice,
        QPalette.LinkVisited: theme.multi_lattice, QPalette.PlaceholderText: theme.quiet,
    }  # fmt: skip
    colours = QPalette()
    for role, colour in roles.items():
        colours.setColor(role, QColor(colour))
    for role in (QPalette.WindowText, QPalette.Text, QPalette.ButtonText):
        colours.setColor(QPalette.Disabled, role, QColor(mixed(theme.quiet, theme.panel, 0.5)))
    return colours


def chosen(theme: Theme) -> str:
    """Return the background of what is selected or under the mouse."""
    return mixed(theme.line, theme.quiet, 0.25)


def mixed(one: str, other: str, share: float) -> str:
    """Return the colour between two, `share` (0 to 1) of the way to the other."""
    pairs = ((int(one[i : i + 2], 16), int(other[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(a + share * (b - a)):02x}" for a, b in pairs)


def family() -> str:
    """Return the window's one family: numbers must not dance, so that its digits are equally wide."""
    if not _chosen:
        installed = set(QFontDatabase().families())
        wanted = [name for name in FAMILIES if name in installed and has_tabular_digits(name)]
        _chosen.append(wanted[0] if wanted else QFont().defaultFamily())
    return _chosen[0]


def has_tabular_digits(name: str) -> bool:
    """Return whether all digits of a family take the same room."""
    metrics = QFontMetricsF(_font(name, 100))
    return len({round(metrics.horizontalAdvance(digit), 1) for digit in "0123456789"}) == 1


def font(px: int, *, bold: bool = False) -> QFont:
    """Return the window's font, `px` high."""
    return _font(family(), px, bold)


def _font(name: str, px: int, bold: bool = False) -> QFont:
    made = QFont(name)
    made.setPixelSize(px)
    made.setBold(bold)
    return made


def line_pen(colour: str, width: float = LINE_PX, style: Qt.PenStyle = Qt.PenStyle.SolidLine) -> QPen:
    """Return a pen for curves, px wide at every zoom."""
    pen = QPen(QColor(colour), width, style)
    pen.setCosmetic(True)
    return pen


def band_brush(colour: str) -> QBrush:
    """Return a brush for what lies within an interval: the curve's colour at 20 % opacity."""
    filled = QColor(colour)
    filled.setAlpha(BAND_ALPHA)
    return QBrush(filled)


def style_plot(plot: pg.PlotItem, theme: Theme) -> None:
    """Give a plot its font, colours and light grid; no box around it."""
    for side in ("left", "bottom", "right", "top"):
        if plot.getAxis(side).isVisible():
            style_axis(plot.getAxis(side), theme)
    plot.showGrid(x=True, y=True, alpha=GRID_ALPHA)
    if plot.legend is not None:
        style_legend(plot.legend, theme)


def style_legend(legend: pg.LegendItem, theme: Theme) -> None:
    """Give a legend its font and colours."""
    legend.setLabelTextColor(theme.text)
    for _, label in legend.items:  # takes new colours only with its text
        label.setText(label.text, color=theme.text, size=f"{AXIS_PX}px")
    background = QColor(theme.panel)
    background.setAlpha(190)
    legend.setBrush(QBrush(background))


def style_axis(axis: pg.AxisItem, theme: Theme, colour: str | None = None) -> None:
    """Give an axis its font and colours; `colour` is that of its text, where it belongs to one curve only."""
    axis.setPen(pg.mkPen(mixed(theme.line, theme.quiet, 0.3)))
    axis.setTickPen(pg.mkPen(theme.quiet))
    axis.setTextPen(pg.mkPen(colour or theme.quiet))
    axis.setTickFont(font(AXIS_PX))
    axis.setStyle(tickLength=-4, tickTextOffset=4, hideOverlappingLabels=True)
    axis.label.setFont(font(AXIS_PX))
    axis.setLabel(axis.labelText, color=colour or theme.quiet, **{"font-size": f"{AXIS_PX}px"})
