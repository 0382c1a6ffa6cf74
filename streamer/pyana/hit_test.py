"""The hit test of a mod_hitfind as a stage `hitfind`."""

from braggwatch.processing.chain_settings import SettingsError
from braggwatch.processing.hit_criteria import Roi
from braggwatch.streamer.pyana.cfg_file import Option
from braggwatch.streamer.pyana.draft import Draft
from braggwatch.streamer.pyana.instance import Instance
from braggwatch.streamer.pyana.phil_target import Target

_CENTRAL_ASICS = 8
"""The four inner sensors of a CSPAD."""
_PEAKFINDER8 = {"d_min": "d_min", "d_max": "d_max", "minimum_spot_area": "min_pixels"}
"""What of a target holds for the search that the older tools did not have: keys of ``[hitfind]``."""


def add_hit_test(draft: Draft, instance: Instance, target: Target | None, device: str) -> str | None:
    """Add the hit test of a mod_hitfind and return its stage; None where there is no threshold, and no test.

    `device` is that of the detector's address. What the older tools refused is refused, what they swallowed is said.
    Raises SettingsError.
    """
    threshold = instance.integer("threshold", "ADU")
    min_peaks = instance.integer("distl_min_peaks", "spots of a hit")
    roi, flags = instance.given("roi"), instance.given("distl_flags")
    rule = _rule(draft, instance, min_peaks is not None)
    if min_peaks is not None and roi is not None:
        raise SettingsError(
            f"{roi.place}: expected roi or distl_min_peaks, found both (distl_min_peaks in line "
            f"{instance.options['distl_min_peaks'].line})"
        )
    region = None if roi is None else _region(roi)
    if threshold is None:
        for name in ("distl_min_peaks", "roi", "distl_flags", "negate_hits"):
            lost = instance.given(name)
            if lost is not None and (name != "negate_hits" or instance.flag(name, False)):
                draft.note("does nothing without threshold: every shot passes, as in the older tools", lost)
        return None
    stage = draft.add_stage(f"hitfind:{instance.name}")
    put, given = draft.put, instance.options
    if min_peaks is not None:
        put(stage, "method", "spots", given["distl_min_peaks"])
        put(stage, "threshold_adu", float(threshold), given["threshold"])
        put(stage, "min_peaks", min_peaks, given["distl_min_peaks"])
        put(stage, "rule", rule, flags)
        _search_the_centre(draft, stage, device, given["distl_min_peaks"])
        _put_spots(draft, stage, target)
    else:
        put(stage, "method", "threshold", given["threshold"])
        put(stage, "threshold_adu", float(threshold), given["threshold"])
        if roi is not None and region is not None:
            put(stage, "roi", region, roi)
            if device == "Cspad":
                draft.note(
                    "counts pixels of the array as it comes; in the older tools these were pixels of the image of 1765 "
                    "x 1765 that they put together from the panels",
                    roi,
                )
        limit_peakfinder8(draft, stage, target)
    if instance.flag("negate_hits", False):
        put(stage, "negate_hits", True, given["negate_hits"])
    return stage


def _rule(draft: Draft, instance: Instance, needed: bool) -> str:
    option = instance.given("distl_flags")
    words = [] if option is None else option.text.split()
    found = [word for word in ("permissive", "restrictive") if word in words]
    if needed and option is None:
        raise SettingsError(
            f"{instance.options['distl_min_peaks'].place}: expected distl_flags = permissive or restrictive beside "
            "it, found none"
        )
    if option is not None and needed and len(found) != 1:
        raise option.wrong("permissive or restrictive, one of them")
    for word in words:
        if word not in ("permissive", "restrictive") and option is not None:
            draft.note(f"{word} has no meaning, and was passed over by the older tools", option)
    if option is not None and not needed and instance.given("threshold") is not None:
        draft.note("does nothing without distl_min_peaks; it did nothing in the older tools", option)
    return found[0] if found else "permissive"


def _search_the_centre(draft: Draft, stage: str, device: str, option: Option) -> None:
    if device == "Cspad":
        draft.put(stage, "central_panels", _CENTRAL_ASICS)
    elif device not in ("Rayonix", "marccd"):
        draft.note(
            "the whole detector is searched; the older tools searched the four inner sensors of a CSPAD, "
            "which is -s hitfind.central_panels=8",
            option,
        )


def _put_spots(draft: Draft, stage: str, target: Target | None) -> None:
    for key, (value, parameter) in (target.spots if target else {}).items():
        draft.put(stage, key, value, parameter)


def limit_peakfinder8(draft: Draft, stage: str, target: Target | None) -> None:
    """Limit the search that the older tools did not have by what has the same meaning there."""
    if target is None:
        return
    for key, (value, parameter) in target.spots.items():
        if key in _PEAKFINDER8:
            draft.put(stage, _PEAKFINDER8[key], value, parameter)
        elif key == "spot_area_maximum_factor":
            least = target.spots.get("minimum_spot_area", (2, parameter))[0]
            draft.put(stage, "max_pixels", max(1, round(value * least)), parameter)
        else:
            draft.drop(parameter, f"spots are found by peakfinder8 in {stage}, which has min_snr and min_radius")


def _region(option: Option) -> str:
    text = option.text.strip("()")
    try:
        Roi.parse(text)
    except ValueError as error:
        raise SettingsError(f"{option.place}: {error}") from None
    return "".join(text.split())
