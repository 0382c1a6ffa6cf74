"""The settings in force while the processor runs, and how others come into force without a restart."""

import logging

from braggwatch.processing.chain_settings import SettingsError
from braggwatch.streamer.control_messages import Change, Changed
from braggwatch.streamer.hub import Hub
from braggwatch.streamer.results import Results
from braggwatch.streamer.settings import Settings
from braggwatch.streamer.settings_change import changed_settings, describe_change
from braggwatch.streamer.wording import plain

log = logging.getLogger(__name__)

LONGEST_NAME = 100


class LiveSettings:
    """Tells hub, record and viewers which settings are in force; it belongs to the hub's thread."""

    def __init__(self, settings: Settings, hub: Hub, results: Results) -> None:
        self._settings = settings
        self._hub = hub
        self._results = results
        results.settings_in_force(settings)

    def change(self, wanted: Change) -> Changed:
        """Put other settings in force from the next frames on, or say why not."""
        version = self._results.settings_version
        try:
            settings = changed_settings(self._settings, wanted.settings)
        except SettingsError as error:
            return Changed(version, str(error))
        what = describe_change(self._settings, settings, wanted.settings)
        if not what:
            return Changed(version, "nothing to change: these settings are in force already")
        by = plain(wanted.by, LONGEST_NAME) or "a viewer"
        if settings.select != self._settings.select:
            self._hub.change_selection(settings.select)
        self._settings = settings
        self._hub.change_settings(settings.pipeline().model_dump_json().encode())
        self._results.settings_in_force(settings, change=what, by=by)
        log.warning("settings changed by %s: %s", by, what)
        return Changed(self._results.settings_version)
