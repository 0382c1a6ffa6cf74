"""``[source]`` and ``[detector]`` out of the options that every older module shares."""

from pathlib import Path

from braggwatch.processing.chain_settings import SettingsError
from braggwatch.streamer.pyana.cfg_file import Option
from braggwatch.streamer.pyana.correction_files import correction_file, refuse_pickles
from braggwatch.streamer.pyana.draft import Draft, Needed
from braggwatch.streamer.pyana.instance import Instance
from braggwatch.streamer.pyana.known_options import CORRECTION

COMMON_MODES = ("none", "mean", "median", "mode", "gaussian", "chebyshev")
_FLAT = "the detector is taken for one flat panel, as the stream says; where it is not"


def device(instances: list[Instance]) -> str:
    """Return the device of the detector's address, such as ``Cspad``; empty where no instance has an address."""
    option = _first(instances, "address")
    if option is None or "://" in option.text:
        return ""
    last = option.text.replace(":", "|").rpartition("|")[2]
    return last.replace(".", "-").partition("-")[0]


def fill_detector(draft: Draft, instances: list[Instance]) -> None:
    """Fill in where frames come from, where pixels lie, and how images are corrected. Raises SettingsError."""
    _address(draft, instances)
    _geometry(draft, instances)
    _energy_and_beam(draft, instances)
    corrected = [instance for instance in instances if instance.options]
    if corrected:
        _correction(draft, corrected[0])
        _later_corrections(draft, corrected[0], corrected[1:])


def _first(instances: list[Instance], name: str) -> Option | None:
    for instance in instances:
        option = instance.given(name)
        if option is not None:
            return option
    return None


def _one_value(instances: list[Instance], name: str) -> Option | None:
    """Return an option that must be the same wherever it stands."""
    first = _first(instances, name)
    for instance in instances:
        other = instance.given(name)
        if first is not None and other is not None and other.text != first.text:
            raise SettingsError(f"{other.place}: expected {first.text!r} as in line {first.line}, found {other.text!r}")
    return first


def _address(draft: Draft, instances: list[Instance]) -> None:
    option = _one_value(instances, "address")
    if option is not None and "://" in option.text:
        if "source" in draft.document:
            raise option.wrong("no stream's address, because [pyana] files says where the frames come from")
        draft.put("source", "type", "dectris-v2")
        draft.put("source", "address", option.text, option)
    elif option is not None:
        draft.put("detector", "name", option.text, option)
        draft.needed.append(
            Needed(
                (("source", "address"), ("source", "paths")),
                f"{option.place}: {option.text} is an address in psana's data, which are not read here; say where the "
                "frames come from: --source tcp://HOST:PORT for a stream (DECTRIS Stream V2; for V1 -s "
                "source.type=dectris-v1 -s source.address=tcp://HOST:PORT), or --source 'run42/*.h5' for files",
            )
        )


def _geometry(draft: Draft, instances: list[Instance]) -> None:
    option, address = _one_value(instances, "calib_dir"), _first(instances, "address")
    if option is None:
        if address is not None and device(instances) == "Cspad":
            draft.note(f"a CSPAD without calib_dir: {_FLAT}, give -s detector.geometry=FILE.geom", address)
        return
    path = Path(option.text).expanduser()
    found = [path] if path.suffix == ".geom" else sorted(path.glob("*.geom")) if path.is_dir() else []
    if len(found) == 1:
        if not found[0].is_file():
            raise option.wrong("a CrystFEL geometry file, or a folder with one")
        draft.put("detector", "geometry", str(found[0]), option)
        if found[0] != path:
            draft.note(f"where the pixels lie is read from {found[0]}", option)
    elif found:
        raise option.wrong(f"a folder with one geometry file, found {', '.join(file.name for file in found)}; name one")
    else:
        draft.note(
            f"metrology is not read, and there is no CrystFEL geometry file: {_FLAT}, name the file here, put it into "
            "this folder, or give -s detector.geometry=FILE.geom",
            option,
        )


def _energy_and_beam(draft: Draft, instances: list[Instance]) -> None:
    for instance in instances:
        for name, what in (("override_energy", "eV"), ("override_beam_x", "pixels"), ("override_beam_y", "pixels")):
            instance.number(name, what)
    energy = _one_value(instances, "override_energy")
    if energy is not None:
        draft.put("detector", "photon_energy", float(energy.text), energy)
    x, y = _one_value(instances, "override_beam_x"), _one_value(instances, "override_beam_y")
    if x is not None and y is not None:
        draft.put("detector", "beam_center", [float(x.text), float(y.text)], x)
        if "geometry" in draft.document.get("detector", {}):
            draft.note("does nothing here, because the geometry file says where the beam is", x)
    elif x is not None or y is not None:
        one = x or y
        assert one is not None
        raise SettingsError(f"{one.place}: expected override_beam_x and override_beam_y, found only {one.name}")


def _correction(draft: Draft, instance: Instance) -> None:
    dark, deviation = instance.given("dark_path"), instance.given("dark_stddev")
    if dark is not None and deviation is None:
        raise SettingsError(f"{dark.place}: expected dark_stddev beside it, found none")
    used = (dark, deviation if dark is not None else None, instance.given("gain_map_path"), instance.given("mask_path"))
    refuse_pickles(instance, [option for option in used if option is not None])
    if dark is not None and deviation is not None:
        draft.put("detector", "dark", correction_file(draft, instance, dark), dark)
        draft.put("detector", "noise", correction_file(draft, instance, deviation), deviation)
    elif deviation is not None:
        draft.note("does nothing without dark_path, and is left out; it did nothing in the older tools", deviation)
    _common_mode(draft, instance, has_dark=dark is not None)
    gain, level = instance.given("gain_map_path"), instance.given("gain_map_level")
    if gain is not None:
        draft.put("detector", "gain_map", correction_file(draft, instance, gain), gain)
        if level is not None:
            number = instance.number("gain_map_level", "the factor of pixels that are 0 in the gain map")
            draft.put("detector", "gain_map_level", number, level)
            draft.note(
                "multiplies the pixels that are 0 in the map, as the older code did, and its text denied",
                level,
            )
    elif level is not None:
        draft.note("does nothing without gain_map_path, and is left out; it did nothing in the older tools", level)
    mask = instance.given("mask_path")
    if mask is not None:
        draft.put("detector", "mask", correction_file(draft, instance, mask), mask)


def _common_mode(draft: Draft, instance: Instance, *, has_dark: bool) -> None:
    option = instance.given("common_mode_correction")
    if option is None or option.text == "none":
        return
    if option.text not in COMMON_MODES:
        raise option.wrong(f"one of {', '.join(COMMON_MODES)}")
    if not has_dark:
        draft.note("does nothing without dark_path, and is left out; it did nothing in the older tools", option)
        return
    draft.put("detector", "common_mode", option.text, option)
    roi = instance.given("roi")
    if roi is not None and option.text == "chebyshev" and instance.module == "mod_hitfind":
        draft.note("limits the hit test only, not the chebyshev correction: mod_hitfind kept it for itself", roi)


def _later_corrections(draft: Draft, first: Instance, later: list[Instance]) -> None:
    """The first module's image was kept for the later ones, unless it said otherwise."""
    cached = first.flag("cache_image", True)
    for instance in later:
        for name in CORRECTION:
            option, before = instance.given(name), first.given(name)
            if option is None or (before is not None and option.text == before.text) or option.text == "none":
                continue
            if not cached:
                raise SettingsError(
                    f"{option.place}: expected what {first.full} has ({before.text if before else 'nothing'}), found "
                    f"{option.text!r}: images are corrected once for all modules, also where cache_image is False"
                )
            draft.note(
                f"does nothing, because {first.full} corrects the image before and this one takes it from there; so it "
                "was in the older tools",
                option,
            )
    if not cached:
        draft.note("makes no difference: images are corrected once for all modules", first.options["cache_image"])
