"""Frames in, results out: DAQ protocols, hub, workers, ledger, feed, record, DAQ simulator and command line."""
