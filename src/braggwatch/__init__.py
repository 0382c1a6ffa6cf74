"""Braggwatch: a real-time monitor for serial crystallography."""

__version__ = "0.1.0"
