"""Stages of the chain out of mod_hitfind, mod_dump, mod_average and mod_view."""

from dataclasses import dataclass, field
from pathlib import Path

from braggwatch.processing.chain_settings import SettingsError
from braggwatch.streamer.pyana.cfg_file import Option
from braggwatch.streamer.pyana.draft import Draft, Needed
from braggwatch.streamer.pyana.hit_test import add_hit_test, limit_peakfinder8
from braggwatch.streamer.pyana.instance import Instance
from braggwatch.streamer.pyana.phil_file import Parameter
from braggwatch.streamer.pyana.phil_target import Target, find_target, read_target

DISPATCHES = ("nop", "index", "view", "spots", "write_dict")


@dataclass
class Stages:
    """Adds stages to a draft, one module after the other."""

    draft: Draft
    device: str
    """Of the detector's address, such as ``Cspad``."""
    _targets: dict[Path, Target] = field(default_factory=dict)
    _xtal_target: Option | None = None
    """The first one, for an `index` that has no options."""
    _spots_by: str | None = None
    """The stage that finds the spots of a shot."""
    _searched_with: dict[str, object] = field(default_factory=dict)
    _unwritten: Instance | None = None
    """What has integrated reflections that no stream has written yet."""

    def add(self, instance: Instance) -> None:
        """Add what stands for one module. Raises SettingsError."""
        if instance.module != "mod_dump":
            self._write_integrated()
        {
            "mod_hitfind": self._hitfind,
            "mod_dump": self._dump,
            "mod_average": self._average,
            "mod_view": self._view,
        }[instance.module](instance)

    def finish(self) -> None:
        """Add what has to come after the last module."""
        self._write_integrated()

    def _write_integrated(self) -> None:
        """Add a stream and files of results for what was indexed, behind the dumps, by which both name images."""
        instance, self._unwritten = self._unwritten, None
        if instance is None:
            return
        directory, basename = instance.given("integration_dirname"), instance.given("integration_basename")
        for stage in [self.draft.add_stage(f"{kind}:{instance.name}") for kind in ("stream", "results")]:
            self.draft.put(stage, "directory", directory.text if directory else "integration", directory)
            if basename is not None:
                self.draft.put(stage, "name", basename.text, basename)
        self.draft.note(
            f"{instance.full}: orientations and integrated reflections go into an HDF5 file an image and a CrystFEL "
            f"stream a run in the folder {directory.text if directory else 'integration'}, and into the dumps behind; "
            "no pickles are written",
            directory or instance.listed,
        )

    def _hitfind(self, instance: Instance) -> None:
        dispatch = self._dispatch(instance)
        option = instance.given("xtal_target")
        self._xtal_target = self._xtal_target or option
        target = self._target(option)
        tested = add_hit_test(self.draft, instance, target, self.device)
        if tested is not None:
            self._spots_by = tested
            self._searched_with = {key: value for key, (value, _) in target.spots.items()} if target else {}
        if dispatch == "index":
            self._index(instance, target, tested)
        elif dispatch in ("view", "spots"):
            self._open_window(instance.options["dispatch"])
            if dispatch == "spots" and self._spots_by is None:
                self._add_search(instance, target)
        elif dispatch == "write_dict":
            self._write_dict(instance)
        elif tested is None:
            self.draft.note(f"{instance.full} lets every shot pass: no threshold, nothing to dispatch", instance.listed)

    def _dispatch(self, instance: Instance) -> str | None:
        if not instance.options and instance.name == "index":
            self.draft.note(
                f"{instance.full} has no options: taken as dispatch = index, with the xtal_target of the module before",
                instance.listed,
            )
            return "index"
        if not instance.options:
            raise SettingsError(
                f"{instance.listed.place}: expected a section [{instance.full}] with its options, found none"
            )
        option = instance.given("dispatch")
        if option is not None and option.text not in DISPATCHES:
            raise option.wrong(f"one of {', '.join(DISPATCHES)}, or None")
        return None if option is None else option.text

    def _target(self, option: Option | None) -> Target | None:
        """Read a PHIL file, once, and say what of it has no meaning here."""
        if option is None:
            return None
        path = find_target(option)
        if path not in self._targets:
            target = self._targets[path] = read_target(path)
            for text, parameter in target.notes:
                self.draft.note(text, parameter)
            for parameter, reason in target.dropped:
                self.draft.drop(parameter, reason)
            self._ignore_tiles(target)
        return self._targets[path]

    def _ignore_tiles(self, target: Target) -> None:
        if target.ignored_tiles is None or not target.ignored_tiles[0]:
            return
        tiles, parameter = target.ignored_tiles
        before = self.draft.document.get("detector", {}).get("ignored_panels")
        if before is not None and before != tiles:
            raise parameter.wrong(f"the same tiles in every xtal_target, which were {before}")
        self.draft.put("detector", "ignored_panels", tiles, parameter)
        self.draft.note("leaves out the panels that stand at these places in the geometry file", parameter)
        self.draft.needed.append(
            Needed(
                (("detector", "geometry"),),
                f"{parameter.place}: counts the panels of a CrystFEL geometry file: expected one in the folder "
                "calib_dir, or -s detector.geometry=FILE.geom; or leave tile_flags out",
            )
        )

    def _add_search(self, instance: Instance, target: Target | None) -> None:
        """Add a stage that finds spots, where no hit test has."""
        stage = self.draft.add_stage(f"hitfind:{instance.name}")
        limit_peakfinder8(self.draft, stage, target)
        if target is not None and target.min_spots is not None:
            self.draft.put(stage, "min_peaks", target.min_spots[0], target.min_spots[1])
        self.draft.note(
            f"{instance.full}: no module before finds spots, so {stage} does (peakfinder8); shots with too few end "
            "there",
            instance.listed,
        )
        self._spots_by = stage

    def _index(self, instance: Instance, target: Target | None, tested: str | None) -> None:
        if target is None and self._xtal_target is not None:
            target = self._target(self._xtal_target)
            if instance.options:
                said = f"is taken for {instance.full} as well, which has none of its own"
                self.draft.note(said, self._xtal_target)
        if self._spots_by is None:
            self._add_search(instance, target)
        elif target is not None and tested is None:
            for key, (value, parameter) in target.spots.items():
                if self._searched_with.get(key) != value:
                    self.draft.note(f"does nothing: {self._spots_by} finds the spots, once for all stages", parameter)
        stage = self.draft.add_stage(f"index:{instance.name}")
        if target is not None and target.cell is not None:
            self.draft.put(stage, "cell", *target.cell)
        else:
            where = target.path if target else f"{instance.full}, which has no xtal_target"
            self.draft.needed.append(
                Needed(
                    ((stage, "cell"), ("index", "cell")),
                    f"{instance.listed.place}: {instance.full} indexes, and needs a cell: expected target_cell in "
                    f"{where}; give it there, or -s index.cell='79.2 79.2 38.0 90 90 90 P43212'",
                    stage,
                )
            )
        if target is not None and target.min_spots is not None:
            self._least_spots(stage, *target.min_spots)
        stage = self.draft.add_stage(f"integrate:{instance.name}")
        if target is not None and target.gain is not None:
            self.draft.put(stage, "gain", *target.gain)
        self._unwritten = instance

    def _least_spots(self, stage: str, least: int, parameter: Parameter) -> None:
        """Take over how many spots an image must have to be indexed, where all that were found are there to count."""
        assert self._spots_by is not None
        if self.draft.document[self._spots_by].get("method") != "spots":
            self.draft.put(stage, "min_peaks", least, parameter)
            return
        self.draft.note(
            f"is not taken over: {self._spots_by} passes on the spots above the threshold only, of which there are "
            f"fewer than the older tools counted here; -s index.min_peaks={least} sets it all the same",
            parameter,
        )

    def _write_dict(self, instance: Instance) -> None:
        directory, basename = instance.given("out_dirname"), instance.given("out_basename")
        option = instance.options["dispatch"]
        if directory is None and basename is None:
            self.draft.note("writes nothing without out_dirname and out_basename, as in the older tools", option)
            return
        self._add_dump(instance, directory, basename)
        self.draft.note("a stage dump does this", option)

    def _dump(self, instance: Instance) -> None:
        format_ = instance.given("out_format")
        if format_ is not None and format_.text not in ("pickle", "tiff"):
            raise format_.wrong("pickle or tiff")
        directory, basename = instance.given("out_dirname"), instance.given("out_basename")
        if directory is None or basename is None:
            missing = " and ".join(
                name for name, option in (("out_dirname", directory), ("out_basename", basename)) if option is None
            )
            self.draft.note(
                f"{instance.full} has no {missing}: it dumps to the folder "
                f"{directory.text if directory else 'dumps'}, into files that begin with "
                f"{basename.text if basename else instance.name}",
                instance.listed,
            )
        stage = self._add_dump(instance, directory, basename)
        if format_ is not None and format_.text == "tiff":
            self.draft.put(stage, "format", "tiff", format_)
            self.draft.note(
                "pixels have 32 bit and keep their values; those below 0 or above 65535 became 0 in the older tools "
                "(docs/dumps.md)",
                format_,
            )
        elif format_ is not None:
            self.draft.note("images go into NXmx files (HDF5); no pickles are written (docs/dumps.md)", format_)

    def _add_dump(self, instance: Instance, directory: Option | None, basename: Option | None) -> str:
        stage = self.draft.add_stage(f"dump:{instance.name}")
        if directory is not None:
            self.draft.put(stage, "directory", directory.text, directory)
        if basename is not None:
            self.draft.put(stage, "name", basename.text, basename)
        return stage

    def _average(self, instance: Instance) -> None:
        for name in ("flags", "background_path", "hot_threshold", "gain_threshold"):
            option = instance.given(name)
            if option is not None and option.text != "inactive":
                raise SettingsError(
                    f"{option.place}: expected None, found {option.text!r}: images are averaged as they are, masked "
                    "pixels left out"
                )
        for name in ("noise_threshold", "elastic_threshold", "symnoise_threshold"):
            option = instance.given(name)
            if option is not None:
                self.draft.note("does nothing without flags; it did nothing in the older tools", option)
        number = instance.given("n")
        if number is not None:
            self.draft.drop(number, "all images that pass are averaged")
        stage = self.draft.add_stage(f"average:{instance.name}")
        for key, part in (("directory", "dirname"), ("name", "basename")):
            given = [option for what in ("avg", "stddev", "max") if (option := instance.given(f"{what}_{part}"))]
            if given:
                self.draft.put(stage, key, given[0].text, given[0])
            for option in given[1:]:
                self.draft.note(
                    "mean, standard deviation and maximum go into one file, named as the first of them", option
                )

    def _view(self, instance: Instance) -> None:
        self._open_window(instance.listed)

    def _open_window(self, option: Option) -> None:
        self.draft.wants_window = True
        self.draft.note("the window opens where there is a display (`braggwatch gui`); no shot waits for it", option)
