"""The options of ``[pyana]`` itself: what job to do, and on what."""

from braggwatch.streamer.pyana.cfg_file import CfgFile, Option
from braggwatch.streamer.pyana.draft import Draft

_NO_MEANING = {
    "num-events": "the processor goes on until Ctrl-C, or with --series until so many runs are over",
    "events": "the processor goes on until Ctrl-C, or with --series until so many runs are over",
    "skip-events": "every frame of the source is processed",
    "verbose": "`braggwatch --verbose process` tells more",
    "calib-dir": "where the pixels lie is read from a CrystFEL geometry file, [detector] geometry",
    "expname": "frames come from the stream or the files that [source] names",
    "experiment": "frames come from the stream or the files that [source] names",
    "instrument": "frames come from the stream or the files that [source] names",
    "file-list": "frames come from the stream or the files that [source] names",
    "config-name": "there is one section [pyana]",
}
_NOT_READ_HERE = (".xtc", ".xtc2")


def read_job_options(draft: Draft, file: CfgFile) -> None:
    """Take the number of processes, the job's name and the files from ``[pyana]``. Raises SettingsError."""
    section = file.sections.get("pyana") or file.sections["psana"]
    for option in section.options.values():
        name = option.name.replace("_", "-")
        if name == "modules" or option.value is None:
            continue
        if name == "num-cpu":
            draft.put("engine", "workers", _count(option), option)
        elif name == "job-name":
            draft.put("experiment", "name", option.text, option)
        elif name == "files":
            _files(draft, option)
        else:
            draft.drop(option, _NO_MEANING.get(name, "pyana's own options say nothing to this program"))


def _files(draft: Draft, option: Option) -> None:
    paths = option.text.split()
    if any(path.endswith(_NOT_READ_HERE) or path.startswith("exp=") for path in paths):
        draft.drop(option, "XTC files are not read; --source takes a stream's address, or files of images")
        return
    draft.put("source", "type", "files")
    draft.put("source", "paths", paths, option)


def _count(option: Option) -> int:
    try:
        return int(option.text)
    except ValueError:
        raise option.wrong("a whole number of processes") from None
