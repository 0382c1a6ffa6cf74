"""Settings out of the configuration files of the older tools: `pyana.cfg`, and the PHIL files it names."""
