"""The files of images by which the older tools corrected others: darks, gain maps, masks."""

from collections.abc import Sequence
from pathlib import Path

from braggwatch.processing.array_files import WHY_NO_PICKLES
from braggwatch.processing.chain_settings import SettingsError
from braggwatch.streamer.pyana.cfg_file import Option
from braggwatch.streamer.pyana.draft import Draft
from braggwatch.streamer.pyana.instance import Instance

CONVERTING = "docs/converting-pickles.md"
_HDF5, _NPY = b"\x89HDF\r\n\x1a\n", b"\x93NUMPY"


def refuse_pickles(instance: Instance, options: Sequence[Option]) -> None:
    """Raise SettingsError for pickles that were not converted: all of them at once, with the commands that do so."""
    left = [option for option in options if _is_pickle(_path(instance, option))]
    left = [option for option in left if _converted(_path(instance, option)) is None]
    if not left:
        return
    first, *others = left
    also = "".join(f"; {option.name} (line {option.line}) the pickle {option.text}" for option in others)
    images = " ".join(dict.fromkeys(option.text for option in left if option.name != "mask_path"))
    masks = " ".join(option.text for option in left if option.name == "mask_path")
    commands = [f"python convert_pickle.py {images}"] if images else []
    commands += [f"python convert_pickle.py --mask {masks}"] if masks else []
    names = list(dict.fromkeys(_path(instance, option).with_suffix(".npy").name for option in left))
    taken = f"{names[0]} beside it is" if len(names) == 1 else f"{', '.join(names)} beside them are"
    raise SettingsError(
        f"{first.place}: expected an HDF5 or .npy file, found the pickle {first.text}{also}: {WHY_NO_PICKLES}. In the "
        f"Python of the older tools: {' and '.join(commands)} (the script is in {CONVERTING}); {taken} then taken"
    )


def correction_file(draft: Draft, instance: Instance, option: Option) -> str:
    """Return the file of an image; of a pickle, what it has been converted to and lies beside it.

    Raises SettingsError for a file that is not there, or of another kind.
    """
    path = _path(instance, option)
    if _is_pickle(path):
        converted = _converted(path)
        assert converted is not None, "refuse_pickles came before"
        draft.note(f"{WHY_NO_PICKLES}; {converted.name} beside it is taken", option)
        return str(converted)
    name, colon, _ = str(path).rpartition(":/")
    file = Path(name if colon else str(path))
    try:
        with file.open("rb") as opened:
            start = opened.read(8)
    except FileNotFoundError:
        raise option.wrong("an HDF5 or .npy file, but there is none") from None
    except OSError as error:
        raise option.wrong(f"an HDF5 or .npy file that can be read ({error.strerror})") from None
    if not start.startswith(_NPY if file.suffix.lower() == ".npy" else _HDF5):
        raise option.wrong(f"an HDF5 or .npy file; what it is instead is not known. If it is a pickle: {CONVERTING}")
    return str(path)


def _path(instance: Instance, option: Option) -> Path:
    path = instance.file(option.name)
    assert path is not None
    return path


def _is_pickle(path: Path) -> bool:
    return path.suffix.lower() in (".pickle", ".pkl")


def _converted(path: Path) -> Path | None:
    """Return what a pickle was converted to; None if it was not."""
    return next((file for suffix in (".npy", ".h5") if (file := path.with_suffix(suffix)).is_file()), None)
