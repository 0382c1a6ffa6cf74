"""The stages of the chain."""
