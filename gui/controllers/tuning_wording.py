"""What a trial has come to, as the rows of a table."""

from dataclasses import dataclass

from braggwatch.gui.monitor import Monitor
from braggwatch.gui.numbers import UNKNOWN, count, of, rate
from braggwatch.gui.trial_effect import Effect, Outcome
from braggwatch.streamer.feed_messages import Rate
from braggwatch.streamer.messages import State
from braggwatch.streamer.picture_messages import ImageKind
from braggwatch.streamer.wording import percent, said

_STATES: tuple[tuple[ImageKind, State], ...] = (
    ("blank", State.BLANK), ("hit", State.HIT), ("indexed", State.INDEXED),
)  # fmt: skip

PENDING = "…"


@dataclass(frozen=True)
class EffectRow:
    """One quantity by the settings in force and by the trial values."""

    name: str
    before: str
    after: str
    tooltip: str
    full_before: str = ""
    """The same with all that belongs to it, such as ``16 of 24 · 66.7 % ±17.7``, where there is more to say."""
    full_after: str = ""

    @property
    def changed(self) -> bool:
        """Whether it makes a difference."""
        return self.before != self.after and UNKNOWN not in (self.before, self.after)


def effect_rows(effect: Effect, monitor: Monitor) -> list[EffectRow]:
    """Return the table's rows; the same ones always, so that nothing moves."""
    shown = effect.shown.effect if effect.shown is not None else None
    before, after = (None, None) if shown is None else (shown.before, shown.after)
    pending = PENDING if effect.of and not effect.shots else ""
    waiting = PENDING if effect.of and not effect.finished else UNKNOWN
    rates = effect.expected_hit_rates(_frames_of_each_kind(monitor))
    expected = (None, None) if rates is None else rates
    return [
        EffectRow("Spots, this shot", _spots(before), _spots(after), "Spots that are found in the shown shot"),
        EffectRow("This shot is", _verdict(before), _verdict(after), "What the shown shot is taken for"),
        _rate_row(
            effect, "Hits", effect.before.hits, effect.after.hits,
            "Hits of the remembered shots, with half the 95 % interval (Wilson). Hits and indexed shots are remembered "
            "more often than blanks, so this is not the run's hit rate",
        ),
        _rate_row(
            effect, "Indexed", effect.before.indexed if effect.indexes else Rate(),
            effect.after.indexed if effect.indexes else Rate(),
            "Indexed shots of these hits, with half the 95 % interval (Wilson)",
        ),
        EffectRow("Spots per hit", pending or said(effect.before.spots, "", 0),
                  pending or said(effect.after.spots, "", 0), "Median number of spots of these hits"),
        EffectRow("Expected hit rate", _percent(expected[0], waiting), _percent(expected[1], waiting),
                  "Part of all frames of the run that would be hits: what became of the remembered blanks, hits and "
                  "indexed shots, each weighted by how many of them the run has had"),
    ]  # fmt: skip


def progress(effect: Effect, changes: bool) -> str:
    """Say how far a trial is."""
    if not changes:
        return "Change a value to see what it would do to the shown shot and to the remembered ones."
    done = len(effect.shots)
    if effect.finished:
        return f"{count(done)} remembered shots tried, {count(len(effect.changed()))} of them judged otherwise."
    return f"Trying: {count(done)} of {count(effect.of)} remembered shots …" if effect.of else "Trying …"


def _rate_row(effect: Effect, name: str, before: Rate, after: Rate, tooltip: str) -> EffectRow:
    if effect.of and not effect.shots:
        return EffectRow(name, PENDING, PENDING, tooltip)
    return EffectRow(name, percent(before), percent(after), tooltip, _full(before), _full(after))


def _full(value: Rate) -> str:
    return f"{of(value)} · {rate(value)}" if value.of else ""


def _percent(part: float | None, otherwise: str) -> str:
    return otherwise if part is None else said(100 * part, "%")


def _spots(outcome: Outcome | None) -> str:
    return UNKNOWN if outcome is None else count(outcome.n_spots)


def _verdict(outcome: Outcome | None) -> str:
    if outcome is None:
        return UNKNOWN
    if not outcome.is_hit:
        return "blank"
    return (
        "hit" if not outcome.n_lattices else "indexed" if outcome.n_lattices == 1 else f"{outcome.n_lattices} lattices"
    )


def _frames_of_each_kind(monitor: Monitor) -> dict[ImageKind, int]:
    status = monitor.status
    if status is None:
        return {}
    counts = (status.run.ledger if status.run is not None else status.totals).counts
    return {kind: counts.get(state, 0) for kind, state in _STATES}
