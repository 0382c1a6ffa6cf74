"""The options of the older modules, and what is to be said of those that have no meaning here."""

import difflib

from braggwatch.processing.chain_settings import SettingsError
from braggwatch.streamer.pyana.draft import Draft
from braggwatch.streamer.pyana.instance import Instance

_RECORD = "every frame's end is in the record, the SQLite file of [experiment] record (docs/record.md)"
_PHOTONS = "hit finding never used it; pixels are not turned into photons"

NO_MEANING = {
    "detz_offset": "it is added to an encoder's position at LCLS; here the stream, the file or the geometry says the "
    "distance itself, and [detector] distance (m) overrides it",
    "check_beam_status": "streams tell nothing of foils, pulse length or charge; a frame without a wavelength counts "
    "as failed",
    "delta_k": "the stream says the photon energy itself; [detector] photon_energy (eV) overrides it",
    "verbose": "`braggwatch --verbose process` tells more",
    "photon_threshold": _PHOTONS,
    "two_photon_threshold": _PHOTONS,
    "bin_size": "the stream or the geometry file says how large a pixel is",
    "crop_rayonix": "images are looked at whole",
    "db_logging": _RECORD,
    "progress_logging": _RECORD,
    "sql_buffer_size": _RECORD,
    "db_host": _RECORD,
    "db_name": _RECORD,
    "db_table_name": _RECORD,
    "db_experiment_tag": _RECORD,
    "db_user": _RECORD,
    "db_password": _RECORD,
    "db_tags": _RECORD,
    "db_version": _RECORD,
    "trial": _RECORD,
    "trial_id": _RECORD,
    "rungroup_id": _RECORD,
}

CORRECTION = (
    "dark_path",
    "dark_stddev",
    "common_mode_correction",
    "gain_map_path",
    "gain_map_level",
    "mask_path",
)
"""What decides how an image is corrected, which happens once for all modules."""

_BASE = {
    *NO_MEANING,
    *CORRECTION,
    "address",
    "calib_dir",
    "cache_image",
    "laser_1_status",
    "laser_4_status",
    "laser_wait_time",
    "override_beam_x",
    "override_beam_y",
    "override_energy",
}
_HITFIND = {
    "dispatch",
    "threshold",
    "roi",
    "distl_min_peaks",
    "distl_flags",
    "xtal_target",
    "negate_hits",
    "integration_dirname",
    "integration_basename",
    "out_dirname",
    "out_basename",
}
_DUMP = {"out_dirname", "out_basename", "out_format"}
_AVERAGE = {
    "avg_dirname",
    "avg_basename",
    "stddev_dirname",
    "stddev_basename",
    "max_dirname",
    "max_basename",
    "background_path",
    "flags",
    "hot_threshold",
    "gain_threshold",
    "noise_threshold",
    "elastic_threshold",
    "symnoise_threshold",
    "n",
    "roi",
}

KNOWN = {
    "mod_hitfind": _BASE | _HITFIND,
    "mod_dump": _BASE | _DUMP,
    "mod_average": _BASE | _AVERAGE,
    "mod_view": _BASE | {"n_collate", "n_update"},
}
"""The options of each module that is known here."""

FLAGS = ("check_beam_status", "verbose", "cache_image", "crop_rayonix", "negate_hits", "db_logging", "progress_logging")


def sort_out(draft: Draft, instance: Instance) -> None:
    """Name the options that have no meaning here, and those that no module ever had.

    Raises SettingsError for what is nearly the name of an option.
    """
    known = KNOWN[instance.module]
    for name, option in instance.options.items():
        if name not in known:
            close = difflib.get_close_matches(name, sorted(known), 1, 0.8)
            if close:
                raise SettingsError(f"{option.place}: there is no such option; did you mean {close[0]}?")
            draft.drop(option, f"{instance.module} has no such option, and the older tools passed over it")
        elif option.value is not None and name in NO_MEANING:
            draft.drop(option, NO_MEANING[name])
        if name in FLAGS and instance.is_odd_flag(name):
            draft.note("reads as False, as the older tools read all but True; write True or False", option)
