"""``[select]`` out of the older modules' options on the pump lasers."""

from braggwatch.processing.chain_settings import SettingsError
from braggwatch.streamer.pyana.draft import Draft
from braggwatch.streamer.pyana.instance import Instance

STATES = {"laser_1_status": "laser_1", "laser_4_status": "laser_4"}
"""The options, and the per-shot values that are looked at in their place."""
WAIT = "laser_wait_time"


def fill_selection(draft: Draft, instances: list[Instance]) -> None:
    """Fill in which shots are looked at: those that the first module takes, for all modules. Raises SettingsError.

    In the older tools a shot that a module left out was lost to all behind it, but not to those before.
    """
    able = [instance for instance in instances if instance.options]
    for instance in able:
        _check(draft, instance)
    if not able:
        return
    first, *later = able
    for instance in later:
        _refuse_other(first, instance)
    options = [option for name in STATES if (option := first.given(name)) is not None]
    if not options:
        return
    draft.put("select", "keep", {STATES[option.name]: int(option.text) for option in options}, options[0])
    if (wait := first.given(WAIT)) is not None:
        draft.put("select", "settle", int(wait.text) / 1000, wait)
    named = " and ".join(STATES[option.name] for option in options)
    draft.note(
        f"shots are chosen by {named} among the values that the stream sends with each; where it names them otherwise, "
        "say so in [select] keep (docs/pump-probe.md)",
        *options,
    )


def _check(draft: Draft, instance: Instance) -> None:
    expected = "0 for off or 1 for on"
    states = [instance.integer(name, expected) for name in STATES]
    for name, state in zip(STATES, states, strict=True):
        if state not in (None, 0, 1):
            raise instance.options[name].wrong(expected)
    wait = instance.integer(WAIT, "ms")
    if wait is None:
        return
    option = instance.options[WAIT]
    if wait < 0:
        raise option.wrong("a whole number from 0 on, ms")
    if states == [None, None]:
        draft.note("does nothing without laser_1_status or laser_4_status; it did nothing in the older tools", option)


def _refuse_other(first: Instance, later: Instance) -> None:
    """Refuse a module that chooses otherwise than the first; one that does not choose gets what the first has left."""
    filters = any(later.given(name) for name in STATES)
    for name in (*STATES, *([WAIT] if filters else [])):
        option, before = later.given(name), first.given(name)
        if option is None or (before is not None and int(option.text) == int(before.text)):
            continue
        raise SettingsError(
            f"{option.place}: expected what {first.full} has ({before.text if before else 'nothing'}), found "
            f"{option.text!r}: shots are chosen once, for all modules; put it into a section that they share, or run "
            "the file a second time with other options"
        )
